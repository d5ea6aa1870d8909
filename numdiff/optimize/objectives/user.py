r"""An objective of one's own: residuals made from a scheme's coefficients and levels.

The function is called once, with a scheme whose numbers are traced (`numdiff.optimize.tape`); what it returns is
differentiated exactly, as the built-in objectives are. F(z) is the sum of the squares of what it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numdiff.methods.scheme import Scheme
from numdiff.optimize.compiled import Trace
from numdiff.optimize.problem import Array, Parts
from numdiff.optimize.tape import Traced
from numdiff.optimize.window import Window


@dataclass(frozen=True)
class Residuals:
    """The sum of squares of residuals that a function makes of a scheme.

    Parameters
    ----------
    function
        ``function(scheme)`` returns a sequence of numbers made from the scheme's coefficients (``for tableau in scheme:
        tableau.B[0][0]``) and levels (``scheme.levels[i].log_snr``, ``.alpha``, ``.sigma``) by + - * /, whole powers
        and the functions of `numdiff.elementary` (``exp``, ``log``, ``sqrt``, ``sin``, ``cos``).
    name
        What results call it.
    minimum_gap
        Default minimum gap in half log-SNR, as a share of the mean gap.

    Raises
    ------
    TypeError, ValueError
        When used: if the function returns no such numbers, or none that depend on the steps.
    """

    function: Callable[[Scheme], Sequence[Any]]
    name: str = "residuals"
    minimum_gap: float = 0.01

    def gap(self, length: float, steps: int) -> float:
        """Return the default minimum gap in half log-SNR for ends `length` apart."""
        return self.minimum_gap * length / steps

    def problem(self, trace: Trace) -> _Squares:
        """Return the problem over the trace's window."""
        return _Squares(trace, _checked(self.function(trace.scheme)))


def _checked(residuals: Any) -> list[Any]:
    try:
        found = list(residuals)
    except TypeError:
        raise TypeError(f"function must return a sequence of numbers, got {type(residuals).__name__}") from None
    for i, x in enumerate(found):
        if not isinstance(x, (Traced, int, float)) or isinstance(x, bool):
            raise TypeError(
                f"function must return numbers made of the scheme's, but entry {i} is {type(x).__name__} {x!r}; use "
                "+ - * / and the functions of numdiff.elementary"
            )
    if not any(isinstance(x, Traced) for x in found):
        raise ValueError("function returned nothing that depends on the steps; make its numbers from the scheme's")
    return found


class _Squares:
    """The problem of `Residuals`."""

    def __init__(self, trace: Trace, residuals: list[Any]) -> None:
        self.window: Window = trace.window
        self._compiled = trace.compile(residuals)

    def evaluate(self, z: Array) -> Parts:
        """Return the residuals and their Jacobian."""
        values, jacobian = self._compiled(z)
        return Parts(np.zeros(z.size), residuals=values, residual_jacobian=jacobian)
