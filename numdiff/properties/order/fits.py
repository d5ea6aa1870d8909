r"""Fits of log(error) against log(step): a straight line, and one with a correction that dies out.

With x = log h and y = log e the law e = C h^p is a straight line of slope p. The next term of the expansion bends it,

    e = C h^p (1 + D h^q),      y = log C + p x + log(1 + u g),   g = (h/h_max)^q,  u = D h_max^q,

which for given q and u is again linear in (log C, p); u is found on a table and refined. Of the exponents q = `POWERS`
the one with the least residual is taken, and how far the others move p is part of the uncertainty.

**Which.** The bent line is believed if it lowers the residual by more than chance would (F test at `CHANCE`). Where the
last local slopes run in one direction, but the points are too few to tell, the straight line keeps the uncertainty of a
drift: the limit to which the last two slopes lead belongs to the interval. That of a bent line is never narrower than
twice the distance between p and the slope that the finest points show by themselves: the terms after the correction
count there for less than it does. A drift that has turned round is fitted from where it turned.

**A bend that scatter hides** is allowed for: the interval of a straight line reaches over that of the fit with a
correction of q = 1 that is 0 but for that of u = `UNSEEN`, as a standard deviation, and the interval of a bent line
over those of all exponents that chance leaves possible. Where the line is straight this is wider than need be.

**Known errors.** With statistical errors s_i of y_i the squares are weighted by 1/s_i^2, and the covariance is that of
known variances, enlarged by the residual's chi^2 per degree of freedom where that exceeds 1. Where it exceeds `OTHER`
the line bends for other reasons than chance, and the s_i are left out.

Source: Draper, Smith, Applied regression analysis, chapters 1, 2 and 24.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

POWERS = (1, 2, 3)
"""Exponents q of the correction: methods have q = 1, symmetric ones and coincidences more."""

CHANCE = 0.01
"""Probability with which a bend is seen in a straight line with normal scatter."""

RUN = 4
"""Slopes that run in one direction at the fine end, and show a drift of their own; scatter does so rarely."""

GROWN, FASTER = 0.2, 1.5
"""A drift grows if it has come so far, and goes so many times faster at its end than at its beginning."""

OTHER = 100.0
"""Chi^2 per degree of freedom from which statistical errors are not what the residuals are made of."""

ALIKE = 10.0
"""How many times the least residual leaves an exponent q possible."""

UNSEEN = 1.0
"""Size of u where scatter hides the bend, one standard deviation: it doubles the leading term at the coarsest step."""

REACH = (-0.9, 4.0)
"""Range of u: the correction is no zero of the error, and at the coarsest step at most four times the leading term."""

EXACT = 1e-10
"""Root mean square residual below which a line is straight: rounding of the errors themselves."""


@dataclass(frozen=True)
class Fit:
    """A fitted order.

    Parameters
    ----------
    slope
        p.
    half
        Half the width of its confidence interval.
    residual
        Root mean square of the residuals of log(error).
    power
        Exponent q of the correction; 0 for a straight line.
    """

    slope: float
    half: float
    residual: float
    power: int = 0


def local(x: Floats, y: Floats) -> Floats:
    """Return the slopes between neighbouring points, one fewer than those."""
    return np.asarray(np.diff(y) / np.diff(x))


def drifts(slopes: Floats) -> bool:
    """Tell whether slopes run in one direction: three or more of them, each beyond the one before."""
    return len(slopes) > 2 and run_length(slopes) == len(slopes)


def run_length(slopes: Floats) -> int:
    """Return how many slopes at the fine end run in one direction: two if the last change is against the others."""
    change = np.sign(np.diff(slopes))
    against = np.flatnonzero(change != change[-1]) if len(change) else np.empty(0)
    return len(slopes) - (int(against[-1]) + 1 if len(against) else 0)


def grows(x: Floats, y: Floats) -> bool:
    """Tell whether the slopes at the fine end drift faster and faster: the leading term is not in sight yet."""
    slopes = local(x, y)
    run = run_length(slopes)
    if run < RUN:
        return False
    pace = np.abs(np.diff(slopes[-run:]) / np.diff((x[:-1] + x[1:])[-run:] / 2))
    return bool(abs(slopes[-1] - slopes[-run]) > GROWN and pace[-1] > FASTER * pace[0] and pace[-1] >= pace[-2])


def order(x: Floats, y: Floats, scatter: Floats | None, confidence: float) -> Fit:
    """Return the slope of y against x as the step goes to 0, and what it is worth.

    Parameters
    ----------
    x, y
        log(step), falling, and log(error), shape (points,), at least three.
    scatter
        Standard errors of y, shape (points,); None if they are not known.
    confidence
        Coverage of the interval.
    """
    known = scatter is not None
    scale = np.ones_like(y) if scatter is None else 1 / scatter
    straight = _solve(x, y, scale, 0, 0.0, known, confidence)
    if known and _squares(straight, scale) > OTHER * (len(x) - 2):
        return order(x, y, None, confidence)
    if straight.residual < EXACT or len(x) < 4:
        return _kept(straight, x, y, scale, known, confidence)
    run = run_length(local(x, y))
    if RUN <= run < len(x) - 1 and not known:  # the drift of the fine end is not that of the coarse one
        return order(x[-run - 1 :], y[-run - 1 :], None, confidence)
    bent = [_bent(x, y, scale, q, known, confidence) for q in POWERS]
    best = min(bent, key=lambda fit: fit.residual)
    if not _is_bent(_squares(straight, scale), _squares(best, scale), len(x), known):
        return _kept(straight, x, y, scale, known, confidence)
    spread = max(abs(fit.slope - best.slope) for fit in bent if fit.residual < ALIKE * best.residual + EXACT)
    spread = max(spread, _reach(bent, best, scale, known))
    return _widened(best, max(spread, 0.0 if known else 2 * abs(best.slope - local(x, y)[-1])))


def _kept(straight: Fit, x: Floats, y: Floats, scale: Floats, known: bool, confidence: float) -> Fit:
    """Return the straight line, its interval with the drift that the points leave open.

    Of points whose scatter is known it is left open only if the line is contradicted; of three others by t anyway.
    """
    from scipy.stats import chi2

    if known:
        drifting = _squares(straight, scale) > chi2.isf(0.05, len(x) - 2)
    else:
        drifting = straight.residual >= EXACT and len(x) > 3 and run_length(local(x, y)) >= RUN - 1
    open_ = _drift(x, y, straight.slope) if drifting else 0.0
    if straight.residual >= EXACT and len(x) > 3:
        open_ = max(open_, _hidden(x, y, scale, straight, known, confidence))
    return _widened(straight, open_)


def _hidden(x: Floats, y: Floats, scale: Floats, straight: Fit, known: bool, confidence: float) -> float:
    """Return how far the order may lie from a straight line's slope if scatter hides a bend of the size of `UNSEEN`.

    log(1 + `UNSEEN` g) enters as a third column whose coefficient is 0 but for 1: Bayes' rule for a normal prior.
    """
    from scipy.stats import norm, t

    free = len(x) - 2
    ratio = _squares(straight, scale) / free
    unit = max(1.0, ratio) if known else ratio
    tail = (1 - confidence) / 2
    width = float(norm.isf(tail)) if known else float(t.isf(tail, free))
    design = np.stack([np.ones_like(x), x - x.mean(), _column(x, 1, UNSEEN)], axis=1) * scale[:, None]
    inverse = np.linalg.inv(design.T @ design + np.diag([0.0, 0.0, unit]))
    slope = float((inverse @ design.T @ (y * scale))[1])
    return abs(slope - straight.slope) + width * float(np.sqrt(unit * inverse[1, 1]))


def _reach(bent: list[Fit], best: Fit, scale: Floats, known: bool) -> float:
    """Return how far the intervals of all exponents that chance leaves possible reach from the best fit's slope."""
    from scipy.stats import chi2, f

    least, free = _squares(best, scale), len(scale) - 3
    ratio = least / free
    allowed = chi2.isf(0.05, 1) * max(1.0, ratio) if known else f.isf(0.05, 1, free) * ratio
    possible = [fit for fit in bent if _squares(fit, scale) <= least + allowed]
    return max(abs(fit.slope - best.slope) + fit.half for fit in possible)


def _squares(fit: Fit, scale: Floats) -> float:
    return float(fit.residual**2 * np.sum(scale**2))


def _widened(fit: Fit, half: float) -> Fit:
    return Fit(fit.slope, max(fit.half, half), fit.residual, fit.power)


def _drift(x: Floats, y: Floats, slope: float) -> float:
    """Return how far the limit of drifting slopes may lie from `slope`: where a straight line in h leads them."""
    *_, before, last = local(x, y)
    middle = (x[-3] + x[-2]) / 2, (x[-2] + x[-1]) / 2
    return float(abs(last - slope) + abs(last - before) / np.expm1(middle[0] - middle[1]))


def _is_bent(straight: float, bent: float, points: int, known: bool) -> bool:
    """Test whether the correction explains more than chance: F, or chi^2 where the scatter is known."""
    from scipy.stats import chi2, f

    gain = straight - bent
    if known:
        return bool(gain > chi2.isf(CHANCE, 1) * max(1.0, bent / max(points - 3, 1)))
    free = points - 3
    return bool(bent < EXACT**2 or gain / (bent / free) > f.isf(CHANCE, 1, free))


def _column(x: Floats, q: int, u: float) -> Floats:
    return np.asarray(np.log1p(u * np.exp(q * (x - x.max()))))


def _bent(x: Floats, y: Floats, scale: Floats, q: int, known: bool, confidence: float) -> Fit:
    """Return the best fit with a correction of exponent q."""
    from scipy.optimize import minimize_scalar

    basis, _ = np.linalg.qr(np.stack([np.ones_like(x), x], axis=1) * scale[:, None])

    def misfit(u: Floats) -> Floats:
        rest = (y - np.log1p(np.multiply.outer(u, np.exp(q * (x - x.max()))))) * scale
        rest = rest - rest @ basis @ basis.T
        return np.asarray(np.sum(rest**2, axis=-1))

    # of 1 + u the logarithm counts, and the table is close enough for one minimum between neighbours
    table = np.expm1(np.linspace(np.log1p(REACH[0]), np.log1p(REACH[1]), 60))
    best = int(np.argmin(misfit(table)))
    bounds = (table[max(best - 1, 0)], table[min(best + 1, len(table) - 1)])
    u = float(minimize_scalar(misfit, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x)
    return _solve(x, y, scale, q, u, known, confidence)


def _solve(x: Floats, y: Floats, scale: Floats, q: int, u: float, known: bool, confidence: float) -> Fit:
    """Return the least-squares fit for given q and u; the uncertainty of u enters by its derivative."""
    from scipy.stats import norm, t

    columns = [np.ones_like(x), x - x.mean()]
    if q:
        g = np.exp(q * (x - x.max()))
        columns.append(g / (1 + u * g))
    design = np.stack(columns, axis=1) * scale[:, None]
    target = (y - (_column(x, q, u) if q else 0.0)) * scale
    found = np.linalg.lstsq(design[:, :2], target, rcond=None)[0]
    rest = target - design[:, :2] @ found
    free = len(x) - design.shape[1]
    ratio = float(rest @ rest) / free if free else inf
    unit = float(np.sqrt(np.linalg.pinv(design.T @ design)[1, 1]))
    if known:
        half = float(norm.isf((1 - confidence) / 2)) * unit * max(1.0, ratio) ** 0.5
    else:
        half = float(t.isf((1 - confidence) / 2, free)) * unit * ratio**0.5
    residual = float(np.sqrt(np.sum(rest**2) / np.sum(scale**2)))
    return Fit(float(found[1]), half, residual, q)
