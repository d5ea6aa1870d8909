r"""Which of the measured errors show an order: after the start that is not asymptotic, before the floor.

Of the points (h_i, e_i), h_i = 1/N_i, those after the last run that was not finite and before the first that is
rounding or statistics are looked at. The **window** is the longest stretch of them, up to the finest or to a plateau,
whose local slopes

    p_i = log(e_i/e_{i+1}) / log(h_i/h_{i+1})

stay close to their mean (`SPREAD`), which is above `FLAT`, with at least `FEWEST` points. Three points whose neighbours
tell another story are no window if there were many to choose from: a few slopes may agree by chance where the error
changes sign.

A **plateau** is a tail over which the errors fall more slowly than h^`FLAT`, after errors that did fall, or over which
they rise to well above where they were led. Its level is the median there, and points near it carry too much of it to
be fitted.
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
    first = _plateau(n, e)
    level = None if first is None else float(np.median(e[first:]))
    stop = len(e) if level is None else int(np.flatnonzero(e > ABOVE * level)[-1]) + 1
    slopes = local(-np.log(n), np.log(e))
    shake = None if scatter is None else _shake(n, (scatter / errors)[usable])
    part = _longest(slopes, stop, level is not None, shake)
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
    bad = np.flatnonzero(~np.isfinite(errors))
    causes = [f"not finite at N = {', '.join(map(str, steps[bad]))}"] if len(bad) else []
    start = int(bad[-1]) + 1 if len(bad) else 0
    rounded, lost = errors[start:] <= floor, np.zeros(len(errors) - start, dtype=bool)
    if scatter is not None:
        lost = ~rounded & (errors[start:] <= SIGNAL * scatter[start:])
    low = np.flatnonzero(rounded | lost)
    stop = start + int(low[0]) if len(low) else len(errors)
    if lost.any() and stop < len(errors) and lost[stop - start]:
        causes.append(_statistical(steps[stop], errors[stop], scatter[stop], stop - start))  # type: ignore[index]
    elif start < len(errors) and stop == start:
        causes.append(f"every error is at rounding level ({floor:.1e} or below): the method is exact here")
    if 0 < stop - start < FEWEST or (start == len(errors)):
        causes.append(f"only {stop - start} usable errors above rounding level; an order needs {FEWEST}")
    return np.arange(start, stop), causes


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
        if _rises(steps, errors, k) and errors[:k].max() >= SWING * np.median(tail):
            return k
        long_enough = len(tail) >= FEWEST or length >= np.log(2) - 1e-9
        if not long_enough or tail.max() > SWING * tail.min() or errors[:k].max() < SWING * np.median(tail):
            continue
        middle = np.log(steps[k:]) - np.log(steps[k:]).mean()
        if -(middle @ np.log(tail)) / (middle @ middle) < FLAT and errors[k - 1] > tail[0]:
            return k
    return None


def _rises(steps: Whole, errors: Floats, k: int) -> bool:
    """Tell whether errors rise from k on, to well above where the two before it led: at a zero they would be below."""
    if k < FEWEST - 1 or errors[-1] <= errors[k]:
        return False
    (slope,) = local(-np.log(steps[k - 2 : k]), np.log(errors[k - 2 : k]))
    trend = errors[k - 1] * (steps[k - 1] / steps[-1]) ** slope
    return bool(slope > FLAT and errors[-1] > SWING * trend)


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
