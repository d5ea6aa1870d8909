r"""Which of the measured errors show an order: after the start that is not asymptotic, before the floor.

Of the points (h_i, e_i), h_i = 1/N_i, those after the last run that was not finite and before the first that is
rounding or statistics are looked at, but for single ones at rounding level between others far above it. The **window**
is the longest stretch of them, up to the finest or to a plateau, whose local slopes

    p_i = log(e_i/e_{i+1}) / log(h_i/h_{i+1})

stay close to their mean (`SPREAD`), which is above `FLAT`, with at least `FEWEST` points. Three points whose neighbours
tell another story are no window if there were many to choose from: a few slopes may agree by chance where the error
changes sign.

A **plateau** is a tail over which the errors fall more slowly than h^`FLAT`, after errors that did fall. Where rounding
scatters more than that, it is a tail above the power that at least four points before it follow, and what it adds to
that power grows somewhere, or goes up and down and nearly levels off. Errors that fall below the power first pass a
zero, and what a term of lower order adds falls all the time: neither is a plateau. Its level is the median there, and
points near it carry too much of it to be fitted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from numdiff.properties.order.fits import drifts, grows, local, run_length

SPREAD = 0.2
"""How far local slopes up to 3 may lie from their mean in the asymptotic window; above, a fifteenth of it.

So neighbouring orders stay apart."""

FEWEST = 3
"""Points in a window: two determine the slope and one is left to contradict it."""

FLAT = 0.25
"""Mean slope up to which a stretch is not convergence but a plateau: half of the least order there is, strong 1/2."""

SWING = 10.0
"""Largest ratio of errors on a plateau: rounding scatters, a zero of the error is deeper."""

ABOVE = 3.0
"""How many times the level of a plateau an error must be, to be fitted."""

SIGNAL = 3.0
"""How many standard errors a statistical error must be, to have a logarithm."""

DIP = 2.0
"""How many times smaller than the power before it an error on a floor may be: near a zero it is far smaller."""

DOUBT = 1.5
"""Factor by which a power may be off where it is extrapolated."""

SLOW = 0.75
"""Mean slope of the finest points of a floor that scatters: between a level and order 1."""

JUMP = 1.0
"""How far the two slopes before a window of three points may lie from theirs: an order."""

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Window:
    """The points to fit, as positions among all, and what is to be said about them.

    Parameters
    ----------
    part
        Positions; None if no slope can be given.
    remarks
        In words.
    plateau
        Level at which the errors stop falling; None if they don't.
    beyond
        N after which they stop falling; None if they don't.
    irregular
        Whether no stretch of the errors follows a power, or the one that does is about to leave it.
    slopes
        Local slopes of all usable points.
    growing
        Whether it is about to leave it: its slopes drift faster and faster.
    """

    part: Whole | None
    remarks: list[str] = field(default_factory=list)
    plateau: float | None = None
    beyond: int | None = None
    irregular: bool = False
    slopes: Floats = field(default_factory=lambda: np.empty(0))
    growing: bool = False


def choose(steps: Whole, errors: Floats, floor: float, scatter: Floats | None) -> Window:
    """Return the asymptotic window.

    Parameters
    ----------
    steps, errors
        N, rising, and the error of each, shape (points,).
    floor
        Errors at or below it are taken for rounding.
    scatter
        Standard errors of the errors, shape (points,); None if there are none.
    """
    usable, remarks = _usable(steps, errors, floor, scatter)
    if len(usable) < FEWEST:
        return Window(None, remarks)
    n, e = steps[usable], errors[usable]
    slopes = local(-np.log(n), np.log(e))
    shake = None if scatter is None else _shake(n, (scatter / errors)[usable])
    level, stop, part = _followed(e, slopes, shake, _plateau(n, e))
    if level is None and (part is None or (part.stop - part.start == FEWEST and slopes[part.start :].mean() < SLOW)):
        first = _departure(n, e)
        if first is not None:
            level, stop, part = _followed(e, slopes, shake, first)
    irregular, growing = part is None, False
    if part is None:
        what = "irregular convergence" if slopes.max() > FLAT else "the errors do not fall"
        remarks.append(f"{what}: local slopes {', '.join(f'{p:.2f}' for p in slopes)}")
        part = slice(max(stop, FEWEST) - FEWEST, max(stop, FEWEST))
    else:
        irregular = growing = grows(-np.log(n[part]), np.log(e[part]))
        remarks += _drift(slopes[part.start : part.stop - 1], growing)
    last = None if level is None else int(n[part.stop - 1])
    return Window(usable[part], remarks, level, last, irregular, slopes, growing)


def _followed(
    errors: Floats, slopes: Floats, shake: Floats | None, first: int | None
) -> tuple[float | None, int, slice | None]:
    """Return the level of the errors from position `first` on, where it begins to count, and the window before."""
    if first is None:
        return None, len(errors), _longest(slopes, len(errors), False, shake)
    level = float(np.median(errors[first:]))
    clear = np.flatnonzero(errors[: first + 1] > ABOVE * level)
    stop = int(clear[-1]) + 1 if len(clear) else 0
    return level, stop, _longest(slopes, stop, True, shake)


def _drift(inside: Floats, growing: bool) -> list[str]:
    """Name a drift of the slopes inside the window."""
    ends = f"local slopes go from {inside[0]:.2f} to {inside[-1]:.2f}"
    if growing:
        return [f"irregular convergence: {ends}, faster and faster; a zero of the error, or another order, lies ahead"]
    if drifts(inside) and abs(inside[-1] - inside[0]) > SPREAD / 2:
        return [f"still drifting: {ends}"]
    return []


def _usable(steps: Whole, errors: Floats, floor: float, scatter: Floats | None) -> tuple[Whole, list[str]]:
    """Return the positions after the last failure and before rounding or statistics take over, and remarks."""
    start, causes = _after_failures(steps, errors)
    rounded, lost = errors[start:] <= floor, np.zeros(len(errors) - start, dtype=bool)
    if scatter is not None:
        lost = ~rounded & (errors[start:] <= SIGNAL * scatter[start:])
    zeros = _alone(errors[start:], floor)
    low = np.flatnonzero((rounded & ~zeros) | lost)
    stop = start + int(low[0]) if len(low) else len(errors)
    alone = start + np.flatnonzero(zeros[: stop - start])
    if len(alone):
        where = ", ".join(map(str, steps[alone]))
        causes.append(f"the error at N = {where} is zero but for rounding, though not beyond it, and left out")
    if lost.any() and stop < len(errors) and lost[stop - start]:
        causes.append(_statistical(steps[stop], errors[stop], scatter[stop], stop - start))  # type: ignore[index]
    elif start < len(errors) and stop == start:
        causes.append(f"every error is at rounding level ({floor:.1e} or below): the method is exact here")
    usable = np.setdiff1d(np.arange(start, stop), alone)
    if (stop > start and len(usable) < FEWEST) or start == len(errors):
        said = "above rounding level" if not start else f"above rounding level after N = {steps[start - 1]}"
        causes.append(f"only {len(usable)} usable errors {said}; an order needs {FEWEST}")
    return usable, causes


def _after_failures(steps: Whole, errors: Floats) -> tuple[int, list[str]]:
    """Return the position after the last error that is not finite, and what those before it are worth."""
    bad = np.flatnonzero(~np.isfinite(errors))
    if not len(bad):
        return 0, []
    last, said = int(bad[-1]), f"not finite at N = {', '.join(map(str, steps[bad]))}"
    if last + 1 > len(bad):
        said += f", so that finite errors at fewer steps than {steps[last]} do not count: they show no convergence"
    return last + 1, [said]


def _alone(errors: Floats, floor: float) -> NDArray[np.bool_]:
    """Tell which errors are zero or rounding while the neighbours on both sides are far above it."""
    high = np.concatenate([[True], errors > SWING * floor, [False]])
    return np.asarray((errors <= floor) & high[:-2] & high[2:])


def _statistical(n: int, error: float, scatter: float, before: int) -> str:
    where = "at every N" if before == 0 else f"from N = {n} on"
    return (
        f"statistical error {where}: {error:.1e} +- {scatter:.1e} at N = {n} is less than {SIGNAL:g} standard errors; "
        "take more paths"
    )


def _shake(steps: Whole, relative: Floats) -> Floats:
    """Return twice the standard error of each local slope."""
    return np.asarray(2 * np.hypot(relative[1:], relative[:-1]) / np.diff(np.log(steps)))


def _plateau(steps: Whole, errors: Floats) -> int | None:
    """Return the position at which errors stop falling; None if they fall to the end."""
    for k in range(1, len(errors) - 1):
        tail, length = errors[k:], float(np.log(steps[-1] / steps[k]))
        long_enough = len(tail) >= FEWEST or length >= np.log(2) - 1e-9
        if not long_enough or tail.max() > SWING * tail.min() or errors[:k].max() < SWING * np.median(tail):
            continue
        middle = np.log(steps[k:]) - np.log(steps[k:]).mean()
        if -(middle @ np.log(tail)) / (middle @ middle) < FLAT and errors[k - 1] > tail[0]:
            return k
    return None


def _departure(steps: Whole, errors: Floats) -> int | None:
    """Return the position from which errors lie above the power that at least four before it followed; None if none do.

    They are no floor if they fall below it first, as at a zero, or follow another power, slower but steady.
    """
    x, y = np.log(steps), np.log(errors)
    slopes = -local(x, y)
    if slopes[-2:].min() > SLOW:  # they still fall
        return None
    for k in range(len(errors) - 1, FEWEST, -1):
        start = next((i for i in range(k - FEWEST) if _agree(slopes[i : k - 1], np.zeros(k - 1 - i))), None)
        if start is None or slopes[k - 1] > slopes[k - 2] > slopes[k - 3]:  # so they climb on the way to a zero
            continue
        trend = np.exp(np.polyval(np.polyfit(x[start:k], y[start:k], 1), x[k:]))
        above = errors[k:] / trend
        if (
            above.min() > 1 / DIP
            and above[-1] > ABOVE
            and (_adds_more(errors[k:], trend) or _scatters(slopes[k - 1 :]))
        ):
            return k
    return None


def _adds_more(errors: Floats, trend: Floats) -> bool:
    """Tell whether what comes on top of a trend grows somewhere: what is of lower order would fall, but more slowly."""
    least, most = errors - DOUBT * trend, errors - trend / DOUBT
    return bool(np.any(least[1:] > np.minimum.accumulate(most)[:-1]))


def _scatters(slopes: Floats) -> bool:
    """Tell whether slopes go up and down, and the last ones are nearly flat."""
    return bool(run_length(slopes) < len(slopes) >= FEWEST and slopes[1 - FEWEST :].mean() < SLOW)


def _longest(slopes: Floats, stop: int, plateau: bool, shake: Floats | None) -> slice | None:
    """Return the longest stretch of the first `stop` points whose slopes agree, the finest of equal ones."""
    room = np.zeros_like(slopes) if shake is None else shake
    for length in range(stop, FEWEST - 1, -1):
        for start in range(stop - length, -1, -1):
            inside = slopes[start : start + length - 1]
            if start + length < stop and not (plateau and slopes[start + length - 1] < inside.mean()):
                continue
            if _agree(inside, room[start : start + length - 1]) and not _by_chance(slopes, start, length):
                return slice(start, start + length)
    return None


def _agree(inside: Floats, room: Floats) -> bool:
    mean = float(inside.mean())
    return bool(mean > FLAT and np.all(np.abs(inside - mean) <= SPREAD * max(1.0, mean / 3) + room))


def _by_chance(slopes: Floats, start: int, length: int) -> bool:
    """Tell whether a short window out of at least six points is contradicted by one of the two slopes before it.

    Four points are, if the slopes climb to theirs: so they do on the way to a zero of the error.
    """
    if length > FEWEST + 1 or len(slopes) < 2 * FEWEST - 1 or start == 0:
        return False
    away = slopes[max(start - 2, 0) : start] - slopes[start : start + length - 1].mean()
    if length == FEWEST:
        return bool(np.abs(away).max() > JUMP)
    return bool(away.min() < -JUMP and run_length(slopes[: start + length - 1]) >= length + 1)
