r"""A method's run of N steps as a function of where the steps are, with exact derivatives.

`Trace` lays a method out on levels whose interior log-SNRs (and parameters) are traced numbers: what comes back is an
ordinary `Scheme` whose coefficients and levels are traced. Any numbers made from them by arithmetic (coefficients,
error bounds, a user's residuals) compile to one function of z with `numdiff.optimize.straight_line`. Nothing here knows
a formula: the coefficients are the method's own.

The branches that a method takes while it is laid out (which order, whether a level is the last) belong to the shape of
the run and not to where its levels are, but for coincidences, as a node at exactly 2/3 of a step: a trace is made where
there are none. `Trace.mismatch` compares the compiled coefficients with a plain layout at any
other z, and an optimizer does so at its result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff.elementary import differentiable, exp, sqrt
from numdiff.level import Level
from numdiff.methods.base import Method
from numdiff.methods.scheme import Scheme
from numdiff.optimize.straight_line import Compiled
from numdiff.optimize.tape import Tape, Traced
from numdiff.optimize.window import Window
from numdiff.schedules import Schedule
from numdiff.tableau import MATRICES

Array = NDArray[np.float64]
Ends = tuple[Level, Level]


class Trace:
    """One layout of a method in traced numbers.

    Parameters
    ----------
    method, schedule
        What is laid out, and where; the method's parameters named in the window are replaced by traced ones. A function
        of them makes the method instead.
    ends
        First and last level.
    window
        The feasible set; its log-SNRs are those of the ends.
    options
        Options of `Method.discretize`.

    Attributes
    ----------
    scheme : Scheme
        The run, with traced coefficients and levels.
    variables : tuple
        The traced variables: interior log-SNRs, then parameters.

    Raises
    ------
    ValueError
        If the method cannot be laid out, or its tableau is no differentiable function of the levels.
    """

    def __init__(
        self,
        method: Method | Callable[..., Method],
        schedule: Schedule,
        ends: Ends,
        window: Window,
        options: Mapping[str, Any],
    ) -> None:
        self.family, self.schedule, self.ends, self.window, self.options = method, schedule, ends, window, dict(options)
        self.method = method if isinstance(method, Method) else self.method_at(window.generic().tolist())
        tape = Tape()
        self.variables = tuple(tape.variable(float(x)) for x in window.generic())
        try:
            self.scheme = self._layout(self.variables)
        except TypeError as error:
            raise ValueError(
                f"the tableau of {self.method} is not a differentiable function of its levels"
                f"{' and ' + ', '.join(window.names) if window.names else ''} on schedule {schedule.name} ({error}); "
                "choose another method or parameter"
            ) from error

    def _layout(self, z: Sequence[Any]) -> Scheme:
        inner = self.window.steps - 1
        levels = [self.schedule.level(self.schedule.time(x)) for x in z[:inner]]
        if inner and is_traced(z[0]):
            levels = _at_log_snrs(levels, z)
        return self.method_at(z).discretize(self.schedule, [self.ends[0], *levels, self.ends[1]], **self.options)

    def method_at(self, z: Sequence[Any]) -> Method:
        """Return the method with the parameters that `z` holds."""
        values = dict(zip(self.window.names, z[self.window.steps - 1 :], strict=True))
        return with_parameters(self.family, values)

    def scheme_at(self, z: Array) -> Scheme:
        """Return the plain layout at `z`, in Python floats."""
        return self._layout([float(x) for x in z])

    def compile(self, outputs: Sequence[Any]) -> Compiled:
        """Return numbers made of the scheme's as a function of z; see `numdiff.optimize.straight_line.Compiled`."""
        return Compiled(self.variables[0].tape, self.variables, outputs)

    def mismatch(self, z: Array) -> float:
        """Return the largest relative difference between the traced coefficients at `z` and a plain layout's there."""
        traced = self._coefficients(z)[0]
        plain = np.array([float(x) for x in coefficients(self.scheme_at(z))])
        if traced.shape != plain.shape:
            return math.inf
        return float(np.max(np.abs(traced - plain) / np.maximum(1.0, np.abs(plain)), initial=0.0))

    @cached_property
    def _coefficients(self) -> Compiled:
        return self.compile(coefficients(self.scheme))


@dataclass(frozen=True, slots=True)
class _Inner(Level):
    """A level of which the log-SNR is known, a variable, and is not worked out from alpha and sigma again."""

    known: Any = None

    @property
    def log_snr(self) -> Any:
        """The variable."""
        return self.known

    @property
    def rho(self) -> Any:
        """Noise-to-signal ratio."""
        return exp(-self.known)


def _at_log_snrs(levels: Sequence[Level], z: Sequence[Traced]) -> list[Level]:
    """Return traced levels in terms of their log-SNRs.

    Where alpha^2 + sigma^2 = 1 they need no detour by the time: alpha = (1 + rho^2)^(-1/2), sigma = rho alpha. Levels
    that only seem to be so would show in `Trace.mismatch`.
    """
    sizes = [float(level.alpha) ** 2 + float(level.sigma) ** 2 for level in levels]
    preserving = all(abs(size - 1) < 1e-13 for size in sizes)
    inner: list[Level] = []
    for level, x in zip(levels, z, strict=False):
        own = {item.name: getattr(level, item.name) for item in fields(level)}
        if preserving:
            rho = exp(-x)
            own["alpha"] = 1.0 / sqrt(1.0 + rho * rho)
            own["sigma"] = rho * own["alpha"]
        inner.append(_Inner(**own, known=x))
    return inner


def coefficients(scheme: Scheme) -> list[Any]:
    """Return every entry of a scheme's tableaus, zeros too, and then the scales of every stage's level, in order."""
    rows = [row for tableau in scheme for name in MATRICES for row in getattr(tableau, name)]
    levels = [level for tableau in scheme for level in tableau.levels if level is not None]
    return [c for row in rows for c in row] + [x for level in levels for x in (level.alpha, level.sigma)]


def with_parameters(method: Method | Callable[..., Method], values: Mapping[str, Any]) -> Method:
    """Return the method with fields replaced; a name may be that of the base's field, dotted: "base.beta".

    A function is called with the values instead, by name.

    Raises
    ------
    ValueError
        If the method has no such parameter.
    """
    if not isinstance(method, Method):
        made = method(**values)
        if not isinstance(made, Method):
            raise TypeError(f"method must return a method such as nd.UniPC(3), got {made!r}")
        return made
    for name, value in values.items():
        head, _, rest = name.partition(".")
        if not hasattr(method, "__dataclass_fields__") or head not in method.__dataclass_fields__:
            known = ", ".join(getattr(method, "__dataclass_fields__", ())) or "none"
            raise ValueError(f"{method} has no parameter {name!r}; it has: {known}")
        inner = with_parameters(getattr(method, head), {rest: value}) if rest else value
        method = replace(method, **{head: inner})  # type: ignore[type-var]
    return method


def is_traced(x: Any) -> bool:
    """Tell whether a number varies with z."""
    return type(x) is Traced and differentiable(x)
