"""Design of methods: solve for free parameters, exactly; compare methods; find one that dominates another."""

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
