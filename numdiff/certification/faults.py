r"""Faults: which single coefficient, wrong by which factor, explains what is wrong with a row of weights.

A row has moments b_m where mu_m is asked, d_m = b_m - mu_m. What it stands on, an answer or a velocity, has moments G^m
itself (of the answer at u_j they are u_j^m). Two kinds of single faults leave traces that cannot be mistaken:

- one **weight** w is wrong by delta: d_m = delta G^m for all m, so d_0 is delta, d_1/d_0 says which one it is, and the
  higher moments confirm it; its factor is w/(w - delta), 0 for an entry that is lost;
- one **term** is wrong, the m-th derivative (at the highest m: the m-th divided difference): d_m alone is not 0, and
  the factor is b_m/mu_m.

Two weights k and l may be wrong, d_m = delta_k G_k^m + delta_l G_l^m: the first two moments give both, and the higher
ones confirm them. An answer of the wrong age is such a pair: what belongs on k lies on l, and k has nothing.

Rules that are right only up to O(h) leave a remainder that falls as the grid is refined; then the factor is that of the
limit. A fault is believed if it has one factor on all steps, and the simpler that factor, the more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations, permutations

import numpy as np

from numdiff.certification.subject import Array

EXACT = 1e-6
"""Relative remainder up to which a fault explains a row entirely: rounding, twice divided by a step."""

NEAR = 0.2
"""Relative remainder up to which a fault may explain a row in the limit, if it falls."""

FALLS = 0.75
"""By what a remainder of O(h) falls at least when the grid is halved."""

CLOSE = 0.03
"""How near an extrapolated factor must come to a simple one."""

DENOMINATOR = 12
"""Largest denominator of a simple factor; `FEW` where it is extrapolated."""

FEW = 3


@dataclass(frozen=True, eq=False)
class Series:
    """One row of a step, on many steps.

    Parameters
    ----------
    place
        Which row: "" for the step itself, or "the input of question 2".
    names
        What the K weights stand on.
    weights
        Shape (rows, K), in units of the total weight.
    moments
        G^m of what the weights stand on, shape (rows, K, count).
    defects, mu
        d_m and mu_m, shapes (rows, count).
    least
        How many moments must be right.
    rank
        How far-fetched it is to look at the sampler like this: of two explanations the lower rank is taken.
    inside
        How many of the names, the first ones, belong to the step itself.
    equal
        Whether the moments are those that equal steps would have.
    used
        How many answers or velocities the rows have weights on: a term with the m-th derivative takes m + 1 of them.
    """

    place: str
    names: tuple[str, ...]
    weights: Array
    moments: Array
    defects: Array
    mu: Array
    least: int
    rank: int
    inside: int = 0
    equal: bool = False
    used: int = 0


@dataclass(frozen=True)
class Fault:
    """A single fault that explains a series.

    Parameters
    ----------
    what
        The coefficient in words.
    factor
        What it carries of what is asked.
    simple
        The factor as a fraction of small numbers, the same on all steps; None if it is none.
    conditions
        How many moments are right once it is mended.
    exact
        Whether they are right to rounding, and not only in the limit.
    rank
        Of the series.
    odd
        Whether something is missing that need not be there: an older answer in the input of a stage.
    term
        Of the wrong term its m; None for a weight.
    """

    what: str
    factor: float
    simple: Fraction | None
    conditions: int
    exact: bool
    rank: int
    odd: bool = False
    term: int | None = None

    @property
    def key(self) -> tuple[bool, bool, int, int, int, int]:
        """What the best fault has least of."""
        size = 99 if self.simple is None else abs(self.simple.numerator) + self.simple.denominator + 8 * self.odd
        return self.simple is None, not self.exact, -self.conditions, self.rank, size, -len(self.what)

    def sentence(self) -> str:
        """Return the fault in words, with what to do about it."""
        return f"{self.what} {_carries(Fraction(self.factor) if self.simple is None else self.simple)}"


def _carries(factor: Fraction) -> str:
    if factor == 0:
        return "is 0 where (*) asks for one: an entry of the history is lost"
    if factor == -1:
        return "carries -1 of what (*) asks: its sign is wrong"
    inverse = 1 / factor
    remedy = f"it lacks a factor {inverse}" if abs(inverse) > 1 else f"it has a factor {factor} too much"
    return f"carries {float(factor):.4g} of what (*) asks on every step: {remedy}"


def best(pairs: Sequence[tuple[Series, Series]], order: int) -> Fault | None:
    """Return the single fault that explains most; None if none does.

    A fault without a simple factor is none: what is not a formula at all can be called a faulty one in many ways.

    Parameters
    ----------
    pairs
        Each series on a grid, and on another one twice as fine.
    order
        Of the sampler. A wrong term with the m-th derivative leaves order m, so only terms up to that are to blame.
    """
    found = [fault for coarse, fine in pairs for fault in _explaining(coarse, fine)]
    found = [fault for fault in found if fault.simple is not None and (fault.term is None or fault.term <= order)]
    return min(found, key=lambda fault: fault.key) if found else None


def moved(series: Series) -> str:
    """Return in words which weight lies on an answer that it does not belong on; "" if none does."""
    pairs = permutations(range(len(series.names)), 2) if wrong(series) else ()
    return next(filter(None, (_moved(series, k, other) for k, other in pairs)), "")


def double(series: Series) -> str:
    """Return the two weights that explain a series in words; "" if no two do, or too few moments are known."""
    if not wrong(series) or series.least < 3:
        return ""
    told = filter(None, (_both(series, *pair) for pair in combinations(range(len(series.names)), 2)))
    return min(told, default=(0.0, ""))[1]


def _moved(series: Series, k: int, other: int) -> str:
    """Say so if the weight that belongs on k lies on another."""
    G, w, d = series.moments, series.weights, series.defects
    told = w[:, other, None] * (G[:, other] - G[:, k])
    if np.max(np.abs(w[:, k])) > EXACT or np.min(np.abs(w[:, other])) < EXACT:
        return ""
    if np.max(np.abs(d - told)[:, : series.least]) > EXACT:
        return ""
    on = series.names[other].removeprefix("the weight ")
    return f"{series.names[k]} is 0 and lies {on} instead: an answer of another age is used"


def _both(series: Series, k: int, other: int) -> tuple[float, str] | None:
    """Return what two weights carry, and how far-fetched that is; None if they do not explain the rows."""
    G = series.moments[:, [k, other]]
    if np.min(np.abs(G[:, 0, 0] * G[:, 1, 1] - G[:, 1, 0] * G[:, 0, 1])) < EXACT:  # two answers at one node
        return None
    delta = np.linalg.solve(G[:, :, :2].transpose(0, 2, 1), series.defects[:, :2, None])[..., 0]
    left = np.abs(series.defects - np.einsum("rk,rkm->rm", delta, G))[:, : series.least]
    if np.max(left) > EXACT or np.min(np.max(np.abs(delta), axis=0)) < EXACT:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = series.weights[:, [k, other]] / (series.weights[:, [k, other]] - delta)
    simple = [_steady(factors[:, i]) for i in range(2)]
    known = [one for one in simple if one is not None]
    summed = np.max(np.abs(series.defects[:, 0])) < EXACT
    if not known or (len(known) == 1 and not summed):
        return None
    (i, j), (f, g) = ((k, other), simple) if simple[0] is not None else ((other, k), simple[::-1])
    assert f is not None
    size = float(sum(abs(one.numerator) + one.denominator for one in known) + 50 * (len(known) == 1))
    second = "makes up for it in the sum" if g is None else _carries(g)
    return size, f"two coefficients are wrong: {series.names[i]} {_carries(f)}; {series.names[j]} {second}"


def _steady(factors: Array) -> Fraction | None:
    """Return the simple factor that is the same on all steps."""
    factor = float(np.median(factors))
    if not np.all(np.isfinite(factors)) or np.max(np.abs(factors - factor)) > 10 * EXACT * max(1.0, abs(factor)):
        return None
    return _simple(factor, DENOMINATOR, 10 * EXACT)


def wrong(series: Series) -> bool:
    """Tell whether a moment that must be right is not, beyond rounding."""
    return bool(np.max(np.abs(series.defects[:, : series.least])) > EXACT)


def _explaining(coarse: Series, fine: Series) -> Iterator[Fault]:
    """Yield the faults that explain a series."""
    if not wrong(fine):
        return
    for k in range(len(fine.names)):
        if _idle(fine, k):
            continue
        for fault in _fault(fine.names[k] + fine.place, fine, [_of_weight(one, k) for one in (coarse, fine)]):
            lost = fault.simple == 0 and fine.rank == 1
            if not (lost and k >= fine.inside):  # a stage need not look at earlier steps
                yield replace(fault, odd=lost and k != fine.inside - 1)
    for m in range(min(fine.least, fine.used if fine.used <= len(fine.names) else 0)):
        found = _fault(_term(m, fine) + fine.place, fine, [_of_term(one, m) for one in (coarse, fine)])
        yield from (replace(fault, term=m) for fault in found)


def _idle(series: Series, k: int) -> bool:
    """Tell whether k is of an earlier step and nothing is made of it, but of another answer at the same node."""
    same = np.all(np.abs(series.moments - series.moments[:, k : k + 1]) < EXACT, axis=(0, 2))
    used = np.max(np.abs(series.weights), axis=0) > EXACT
    return bool(k >= series.inside and not used[k] and np.any(same & used))


def _of_weight(series: Series, k: int) -> tuple[Array, Array]:
    """Return the factor of weight k on each step, and the relative remainders of all moments, shape (rows, count)."""
    G = series.moments[:, k]
    delta = series.defects[:, 0] / G[:, 0]
    left = np.abs(series.defects - delta[:, None] * G)
    with np.errstate(divide="ignore", invalid="ignore"):
        return series.weights[:, k] / (series.weights[:, k] - delta), left / np.abs(delta)[:, None]


def _of_term(series: Series, m: int) -> tuple[Array, Array]:
    """Return the factor of moment m on each step, and the relative remainders of all moments."""
    d = series.defects
    others = np.abs(np.where(np.arange(d.shape[1]) == m, 0.0, d))
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 + d[:, m] / series.mu[:, m], others / np.abs(d[:, m])[:, None]


def term(m: int) -> str:
    """Return what moment m of a row stands for."""
    return "the sum of the weights" if m == 0 else f"the term with the {ordinal(m)} derivative"


def ordinal(m: int) -> str:
    """Return 1st, 2nd, 3rd, ..."""
    return {1: "1st", 2: "2nd", 3: "3rd"}.get(m if m < 20 else m % 10, f"{m}th")


def _term(m: int, series: Series) -> str:
    top = 0 < m == series.least - 1
    return term(m) + (" (" + term(m).split()[-2] + " divided difference)" if top else "")


def _fault(what: str, fine: Series, tried: list[tuple[Array, Array]]) -> Iterator[Fault]:
    """Yield the fault if it explains all moments that must be right."""
    (before, above), (factors, left) = tried
    if not np.all(np.isfinite(factors)) or not np.all(np.isfinite(left)):
        return
    worst = left.max(axis=0)
    conditions = int(np.argmax(np.append(worst > EXACT, True)))
    spread = float(np.max(np.abs(factors - np.median(factors))))
    factor = float(np.median(factors))
    if conditions >= fine.least:
        simple = _simple(factor, DENOMINATOR, 10 * EXACT) if spread < 10 * EXACT * max(1.0, abs(factor)) else None
        yield Fault(what, factor, simple, conditions, True, fine.rank)
        return
    least = fine.least
    coarse = above.max(axis=0)
    if least > 1 and np.all(np.isfinite(before)) and worst[:least].max() < min(NEAR, FALLS * coarse[:least].max()):
        limit = 2 * factor - float(np.median(before))
        yield Fault(what, limit, _simple(limit, FEW, CLOSE), least, False, fine.rank)


def _simple(factor: float, denominator: int, tolerance: float) -> Fraction | None:
    found = Fraction(factor).limit_denominator(denominator)
    near = abs(float(found) - factor) <= tolerance * max(1.0, abs(factor))
    return found if near and found != 1 and abs(found.numerator) <= DENOMINATOR else None
