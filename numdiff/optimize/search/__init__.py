r"""Constrained minimization of time-step objectives, and an independent certificate of the result.

The problem is F(z) = value + sum r^2 + sum |a| over a window of linear constraints (`numdiff.optimize.problem`,
`numdiff.optimize.window`). Its kinks |a_i| = 0 are active at minimizers, so methods for smooth functions stop short
there. `minimize` keeps the kinks in the model of every step (`newton`, `quadratic`, `active`, `curvature`), falls back
on SciPy's solvers on the epigraph form (`epigraph`, `squares`) and judges the answer by `certify` (`certificate`),
which sees only the problem and the point.
"""

from numdiff.optimize.search.certificate import Certificate, certify
from numdiff.optimize.search.multistart import minimize
from numdiff.optimize.search.record import Outcome, Progress, Start

__all__ = ["Certificate", "Outcome", "Progress", "Start", "certify", "minimize"]
