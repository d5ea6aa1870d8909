"""Design of methods: solve for free parameters, exactly; compare methods; find one that dominates another.

From a question to a method that runs, and that `nd.method` and the command line find by name in this process::

    import dataclasses
    import numdiff as nd
    from numdiff.methods import registry

    design = nd.design.dominating(nd.AdamsBashforth(1))   # Euler's order and error constant, twice its interval
    design.real_interval, design.proof                    # 4, and why no other member has a longer one
    family = lambda formulation=None: dataclasses.replace(design.method, formulation=formulation)
    registry.register("long-euler", family, summary="dominates Euler", options=("formulation",))
    scheme = nd.method("long-euler", formulation="noise/ratio").discretize(schedule, grid)
"""

from numdiff.design.dominance import Merits, Tradeoff, dominates, dominating, merits, order_conditions, tradeoff
from numdiff.design.solve import Design, largest_interval, smallest_error, solve

__all__ = [
    "Design",
    "Merits",
    "Tradeoff",
    "dominates",
    "dominating",
    "largest_interval",
    "merits",
    "order_conditions",
    "smallest_error",
    "solve",
    "tradeoff",
]
