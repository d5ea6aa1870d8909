r"""An objective of one's own: residuals made from a scheme's coefficients and levels.

The function is called with a scheme whose numbers are traced (`numdiff.optimize.tape`); what it returns is
differentiated exactly, as the built-in objectives are. F(z) is the sum of the squares of what it returns.

It must be arithmetic, the same at every z: `if`, `max`, `abs` and ``math.exp`` see only the values that a scheme had
while it was traced. The function is called once more at the result, with plain numbers, and a result that does not
agree with what was minimized is not certified.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numdiff.methods.scheme import Scheme
from numdiff.optimize.compiled import Trace
from numdiff.optimize.problem import Array, Parts, check_share
from numdiff.optimize.tape import Traced
from numdiff.optimize.window import Window


@dataclass(frozen=True)
class Residuals:
    """The sum of squares of residuals that a function makes of a scheme.

    Parameters
    ----------
    function
        ``function(scheme)`` returns a sequence of numbers made from the scheme's coefficients (``tableau.B[0][0]`` of a
        tableau with stages) and levels (``scheme.levels[i].log_snr``, ``.alpha``, ``.sigma``) by + - * /, whole powers
        and the functions of `numdiff.elementary` (``exp``, ``log``, ``sqrt``, ``sin``, ``cos``).
    name
        What results call it.
    minimum_gap
        Default minimum gap in half log-SNR, as a share of the mean gap.

    Raises
    ------
    TypeError, ValueError
        When used: if the function returns no such numbers, or none that depend on the steps.

    Examples
    --------
    >>> import numdiff as nd
    >>> weights = nd.optimize.Residuals(lambda scheme: [tableau.B[0][0] for tableau in scheme])
    >>> found = nd.optimize.timesteps(nd.DDIM(), nd.schedules.VPLinear(), steps=4, objective=weights)
    >>> found.certified, found.objective < found.initial_objective
    (True, True)
    """

    function: Callable[[Scheme], Sequence[Any]]
    name: str = "residuals"
    minimum_gap: float = 0.01

    kept = False  # a function may read what changes between calls

    def __post_init__(self) -> None:
        """Check the function and the gap."""
        if not callable(self.function):
            raise TypeError(f"function must take a scheme and return numbers, got {self.function!r}")
        check_share("minimum_gap", self.minimum_gap)

    def gap(self, length: float, steps: int) -> float:
        """Return the default minimum gap in half log-SNR for ends `length` apart."""
        return self.minimum_gap * length / steps

    def problem(self, trace: Trace) -> _Squares:
        """Return the problem over the trace's window."""
        return _Squares(trace, _checked(_called(self.function, trace.scheme)), self.function)


def _called(function: Callable[[Scheme], Any], scheme: Scheme) -> Any:
    try:
        return function(scheme)
    except TypeError as error:
        raise TypeError(
            f"function failed on traced numbers ({error}); make its results by + - * /, whole powers and the functions "
            "of numdiff.elementary, not by NumPy's or math's"
        ) from error


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

    def __init__(self, trace: Trace, residuals: list[Any], function: Callable[[Scheme], Any]) -> None:
        self.window: Window = trace.window
        self._compiled, self._trace, self._function = trace.compile(residuals), trace, function

    def mismatch(self, z: Array) -> float:
        """Return the largest relative difference of the residuals from what the function makes of a plain scheme."""
        traced = self._compiled(z)[0]
        plain = np.array([float(x) for x in self._function(self._trace.scheme_at(z))])
        if plain.shape != traced.shape:
            return np.inf
        return float(np.max(np.abs(traced - plain) / np.maximum(1.0, np.abs(plain)), initial=0.0))

    def evaluate(self, z: Array) -> Parts:
        """Return the residuals and their Jacobian."""
        with np.errstate(all="ignore"):
            values, jacobian = self._compiled(z)
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise ValueError(
                f"residual {bad[0]} of the function is {values[bad[0]]}; leave out what is infinite at the ends"
            )
        return Parts(np.zeros(z.size), residuals=values, residual_jacobian=jacobian)
