r"""The order that runs show: slope of log(error) against log(step), with its uncertainty and the reasons against it.

For a method of order p the error behaves as e(h) = C h^p (1 + D h^q + ...), between two ends: for large steps higher
terms count, for small ones rounding, the reference, or chance. `window` chooses the stretch of the points (1/N, e_N)
in between, `fits` gives its slope as h goes to 0 and a confidence interval for it, which covers scatter and what a
drift of the local slopes leaves open. Errors that stop falling, and convergence that follows no power, are named in
`cause`.

Where no slope can be given it is nan, and `cause` says why: all errors at rounding level (an exact method), runs that
were not finite, too few points, errors that are no larger than chance.

Sources: Hairer, Norsett, Wanner, Solving ODEs I, II.4; Draper, Smith, Applied regression analysis, chapter 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff._names import suggest
from numdiff.properties.order.fits import local, order, run_length
from numdiff.properties.order.window import FEWEST, SPREAD, Window, choose

__all__ = ["FEWEST", "SPREAD", "OrderEstimate", "observed"]

ROUNDINGS = 64
"""Rounding floor in units of eps times the size of the solution: what sums of a few hundred terms leave."""

Floats = NDArray[np.float64]

NORMS: dict[str, Callable[[Floats], Any]] = {
    "rms": lambda e: np.sqrt(np.mean(e**2)),
    "max": np.max,
    "median": np.median,
}
"""Norms of an array of absolute differences."""

FLOORS = (
    (1e-11, "double", "of the size of double-precision rounding"),
    (1e-8, "between", "more than double-precision rounding, less than single-precision: an inexact reference, say"),
    (1e-5, "single", "of the size of single-precision rounding"),
    (np.inf, "large", "more than rounding of single precision: rounded times, an inexact reference, or another limit"),
)
"""Levels of a plateau relative to the solution, up to which it has a kind, and what that is in words."""


@dataclass(frozen=True)
class OrderEstimate:
    """An observed order.

    Parameters
    ----------
    slope
        Fitted order; nan where none can be given.
    interval
        95 % confidence interval of the slope, (low, high).
    window
        First and last N of the points fitted; None without a slope.
    floor
        Error below which points were taken for rounding.
    cause
        What the reader should know: why there is no slope, or what speaks against it; "" if nothing does.
    steps, errors
        All that was measured.
    residual
        Root mean square of the residuals of log(error) in the window.
    power
        Exponent q of the correction 1 + D h^q that was fitted along; 0 for a straight line.
    preasymptotic
        The N before the window.
    plateau
        Level at which the errors stop falling; None if they don't.
    size
        Size of the solution, to which a plateau is compared.
    uncertainty
        Standard errors of the errors; () if they have none.
    irregular
        Whether no stretch of the errors follows a power; the slope is then that of the finest points, or of the
        stretch that is about to leave it.

    Examples
    --------
    >>> import numdiff as nd
    >>> found = nd.order.observed(lambda n: n ** -2.0 + 40 * n ** -4.0, [8, 16, 32, 64, 128])
    >>> print(f"{found.slope:.2f}", found.steps, found.defined)
    2.00 (8, 16, 32, 64, 128) True
    >>> [round(p, 2) for p in found.local_slopes]                   # pairs of points see the next term too
    [2.49, 2.15, 2.04, 2.01]
    """

    slope: float
    interval: tuple[float, float]
    window: tuple[int, int] | None
    floor: float
    cause: str
    steps: tuple[int, ...]
    errors: tuple[float, ...]
    residual: float = nan
    power: int = 0
    preasymptotic: tuple[int, ...] = ()
    plateau: float | None = None
    size: float = 1.0
    uncertainty: tuple[float, ...] = ()
    irregular: bool = False

    @property
    def defined(self) -> bool:
        """Whether there is a slope."""
        return not isnan(self.slope)

    @property
    def local_slopes(self) -> tuple[float, ...]:
        """Slopes between neighbouring N, one fewer than `steps`; nan where an error is 0 or not finite."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = local(-np.log(self.steps), np.log(self.errors))
        return tuple(float(p) if np.isfinite(p) else nan for p in found)

    @property
    def floor_kind(self) -> str:
        """What the plateau is of the size of: "double", "single", "between", "large"; "" without one."""
        return "" if self.plateau is None else _kind(self.plateau, self.size)[0]

    def __str__(self) -> str:
        """Return slope, interval and cause on one line."""
        if not self.defined:
            return f"no order: {self.cause}"
        half = (self.interval[1] - self.interval[0]) / 2
        return f"{self.slope:.2f} +- {half:.2f} (N = {self.window[0]}..{self.window[1]})" + (  # type: ignore[index]
            f"; {self.cause}" if self.cause else ""
        )


def observed(
    run: Callable[[int], Any],
    steps: Iterable[int],
    *,
    reference: Any = None,
    floor: float | None = None,
    confidence: float = 0.95,
    norm: str = "rms",
    uncertainty: Iterable[float] | None = None,
    size: float | None = None,
) -> OrderEstimate:
    """Run a method with different numbers of steps and fit its order.

    Parameters
    ----------
    run
        Called with N; returns the error of N steps (a number >= 0), a pair of an error and its standard error, or, with
        a `reference`, the solution, which may be complex.
    steps
        Different whole numbers N >= 1, at least three; the step is proportional to 1/N.
    reference
        Solution to compare with, of the shape that `run` returns.
    floor
        Errors at or below it are taken for rounding. Defaults to 64 eps times `size`.
    confidence
        Coverage of the interval.
    norm
        Of the difference to `reference`: "rms", "max" or "median".
    uncertainty
        Standard errors of the errors, in the order of `steps`.
    size
        Size of the solution, to which rounding is relative. Defaults to the root mean square of `reference`, or 1.

    Returns
    -------
    OrderEstimate

    Raises
    ------
    ValueError, TypeError
        For steps that are not three different whole numbers, a run that cannot be called or returns no numbers, a
        negative error, a reference that is not finite or of another shape than the solution, a floor, a size, a
        confidence or standard errors out of range, an unknown norm.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> problem = nd.problems.odes()["riccati"]
    >>> def run(n):
    ...     return nd.solve_ivp(nd.AdamsBashforth(3), problem.fun, np.linspace(*problem.t_span, n + 1), problem.y0,
    ...                         start="runge-kutta")
    >>> found = nd.order.observed(run, [40, 60, 80, 120, 160], reference=problem.exact(problem.t_span[1]))
    >>> print(f"{found.slope:.1f}")
    3.0

    Errors of the size of rounding have no order, and it says so:

    >>> nd.order.observed(lambda n: 1e-15, [10, 20, 40]).cause
    'every error is at rounding level (1.4e-14 or below): the method is exact here'
    """
    steps = _listed(steps, "steps", "whole numbers, such as (20, 40, 80, 160)")
    ascending = _checked(steps)
    if not callable(run):
        raise TypeError(f"run must be a function of the number of steps, got {run!r}")
    _check_options(floor, confidence, norm, size)
    target = None if reference is None else _array(reference, "reference")
    if target is not None and not np.all(np.isfinite(target)):
        raise ValueError("reference must be finite, but has entries that are nan or infinite; give another solution")
    pairs = [_error(run(n), target, n, norm) for n in ascending]
    scatter = _scatter(pairs, steps, uncertainty)
    if size is None:
        size = 1.0 if target is None else float(np.sqrt(np.mean(np.abs(target) ** 2)))
    if floor is None:
        floor = ROUNDINGS * float(np.finfo(float).eps) * size
    return _estimate(np.array(ascending), np.array([e for e, _ in pairs]), scatter, float(floor), size, confidence)


def _checked(steps: Sequence[int]) -> list[int]:
    """Return the steps in ascending order."""
    for n in steps:
        if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
            raise TypeError(f"steps must be whole numbers, got {n!r}")
        if n < 1:
            raise ValueError(f"steps must be at least 1, got {n}")
    unique = sorted({int(n) for n in steps})
    if len(unique) < FEWEST or len(unique) < len(steps):
        raise ValueError(f"steps must be at least {FEWEST} different numbers, got {list(steps)}; 20, 40, 80, 160, say")
    return unique


def _listed(values: Any, name: str, what: str) -> list[Any]:
    """Return values of any iterable as a list."""
    try:
        if not isinstance(values, (str, bytes)):
            return list(values)
    except TypeError:  # a number, or an array without axes
        pass
    raise TypeError(f"{name} must be a sequence of {what}, got {values!r}")


def _number(value: Any, name: str) -> float:
    """Return a number, a tensor of one too, as a float."""
    try:
        if not isinstance(value, (str, bytes)):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise TypeError(f"{name} must be a number, got {value!r}")


def _check_options(floor: float | None, confidence: float, norm: str, size: float | None) -> None:
    if not 0 < _number(confidence, "confidence") < 1:
        raise ValueError(f"confidence must lie strictly between 0 and 1, got {confidence}; 0.95, say")
    if floor is not None and not 0 <= _number(floor, "floor") < np.inf:
        raise ValueError(f"floor must be a finite error >= 0, got {floor}; 0 takes no error for rounding")
    if size is not None and not 0 <= _number(size, "size") < np.inf:
        raise ValueError(f"size must be a finite number >= 0, got {size}")
    if norm not in NORMS:
        suggest(norm, NORMS, "norm")


def _array(x: Any, who: str) -> NDArray[Any]:
    """Return a NumPy array, float64 or complex128, from an array or a tensor on any device."""
    found = np.asarray(x.detach().cpu() if hasattr(x, "detach") else x)
    if found.dtype.kind not in "biufc":
        raise TypeError(f"{who} must be numbers, got {x!r}")
    return found.astype(complex if found.dtype.kind == "c" else float)


def _error(result: Any, reference: NDArray[Any] | None, n: int, norm: str) -> tuple[float, float | None]:
    """Return the error of one run and its standard error, None if it has none."""
    if reference is None and isinstance(result, tuple) and len(result) == 2:
        return _size_of(result[0], n), _standard_error(result[1], f"run({n}) returned")
    value = _array(result, f"what run({n}) returns")
    if reference is None:
        return _size_of(value, n), None
    if value.shape != reference.shape:
        raise ValueError(f"run({n}) returned shape {value.shape}, but reference has shape {reference.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        return float(NORMS[norm](np.abs(value - reference))), None


def _size_of(result: Any, n: int) -> float:
    value = _array(result, f"what run({n}) returns")
    if np.iscomplexobj(value):
        raise ValueError(
            f"run({n}) returned the complex number {result}; return its absolute value, the size of an error"
        )
    if value.ndim:
        raise ValueError(f"run({n}) returned an array of shape {value.shape}; return an error, or give reference=")
    if value < 0:
        raise ValueError(f"run({n}) returned the negative error {float(value)}; return its size")
    return float(value)


def _standard_error(value: Any, who: str) -> float:
    found = _number(value, "a standard error")
    if not found >= 0:
        raise ValueError(f"{who} the standard error {value}; it must be a number >= 0")
    return found


def _scatter(
    pairs: list[tuple[float, float | None]], steps: Sequence[int], given: Iterable[float] | None
) -> Floats | None:
    """Return the standard errors in ascending order of the steps."""
    own = [s for _, s in pairs if s is not None]
    if given is None:
        if own and len(own) < len(pairs):
            raise ValueError("run returned a standard error for some N and none for others; return pairs for all")
        return np.array(own) if own else None
    if own:
        raise ValueError("run returns standard errors, and uncertainty gives others; drop one of them")
    given = _listed(given, "uncertainty", "standard errors, one for each N")
    if len(given) != len(steps):
        raise ValueError(f"uncertainty must have one entry for each of {len(steps)} steps, got {len(given)}")
    return np.array([_standard_error(given[i], "uncertainty has") for i in np.argsort(steps)])


def _estimate(
    steps: NDArray[np.int64], errors: Floats, scatter: Floats | None, floor: float, size: float, confidence: float
) -> OrderEstimate:
    """Choose the window, fit, and collect what speaks against the result."""
    found = choose(steps, errors, floor, scatter)
    measured = (tuple(map(int, steps)), tuple(map(float, errors)))
    bars = () if scatter is None else tuple(map(float, scatter))
    if (part := found.part) is None:
        said = "; ".join(found.remarks)
        return OrderEstimate(nan, (nan, nan), None, floor, said, *measured, size=size, uncertainty=bars)
    spread = None if scatter is None or not scatter[part].all() else scatter[part] / errors[part]
    fit = order(-np.log(steps[part]), np.log(errors[part]), spread, confidence)
    half = max(fit.half, _disagreement(found, fit.slope) if found.irregular else 0.0)
    return OrderEstimate(
        fit.slope,
        (fit.slope - half, fit.slope + half),
        (int(steps[part][0]), int(steps[part][-1])),
        floor,
        "; ".join(found.remarks + _stop(found, size)),
        *measured,
        residual=fit.residual,
        power=fit.power,
        preasymptotic=tuple(map(int, steps[: part[0]])),
        plateau=found.plateau,
        size=size,
        uncertainty=bars,
        irregular=found.irregular,
    )


def _disagreement(found: Window, slope: float) -> float:
    """Return how far the last three local slopes, or all that lead up to them in one direction, lie from a slope.

    Where they lead on, faster and faster, it is to the next order at least.
    """
    last = max(FEWEST, run_length(found.slopes))
    return float(np.abs(found.slopes[-last:] - slope).max()) + (1.0 if found.growing else 0.0)


def _kind(level: float, size: float) -> tuple[str, str]:
    """Return what a level is of the size of: a word, and a phrase."""
    relative = level / size if size else np.inf
    return next((word, phrase) for most, word, phrase in FLOORS if relative <= most)


def _stop(found: Window, size: float) -> list[str]:
    """Say where the errors stop falling, at what level, and what that is of the size of."""
    if found.plateau is None:
        return []
    return [
        f"the errors stop falling beyond N = {found.beyond}, at {found.plateau:.1e}: {_kind(found.plateau, size)[1]}"
    ]
