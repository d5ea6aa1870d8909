"""Work-precision diagrams: the errors of many samplers against what they cost.

One call does it::

    import numdiff as nd

    found = nd.work_precision.diagram(
        {"DDIM": nd.DDIM(), "DPM-Solver++ 2M": nd.DPMSolverPP(2), "UniPC 3": nd.UniPC(3)},
        nd.problems.mixtures()["ring"],
        errors=("rms", "W2"),
    )
    print(found.table())
    nd.plotting.work_precision(found)

Samplers are numdiff's methods, third parties' by name ("diffusers:UniPCMultistepScheduler"), or any `Subject`; problems
are paths, whose flow is known, and Gaussian data and mixtures, whose laws are. `diagram` measures; a `Diagram` holds
the records, ranks and filters them, and writes itself as a table or as JSON, which `read` reads back.
"""

from numdiff.work_precision import build, problem, record
from numdiff.work_precision.build import diagram
from numdiff.work_precision.documents import read
from numdiff.work_precision.laws import NotAffineError
from numdiff.work_precision.record import Diagram, LeftOut, Record, Series, average
from numdiff.work_precision.transport import energy, transport

#: Errors by name, and what axes call them.
ERRORS = record.ERRORS
#: Costs by name, and what axes call them.
COSTS = record.COSTS
#: Budgets of a diagram in model evaluations, unless told otherwise.
NFE = build.NFE
#: Log-SNRs between which mixtures are followed: about those of the linear VP schedule from t = 1 to t = 0.001.
SPAN = problem.SPAN
#: Samples in a set on a mixture, unless told otherwise.
POINTS = problem.POINTS

__all__ = [
    "COSTS",
    "ERRORS",
    "NFE",
    "POINTS",
    "SPAN",
    "Diagram",
    "LeftOut",
    "NotAffineError",
    "Record",
    "Series",
    "average",
    "diagram",
    "energy",
    "read",
    "transport",
]
