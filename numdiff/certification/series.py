r"""Series: the ways in which the rows of a sampler may be made up, each as something that a fault can be looked for in.

The rows of `numdiff.certification.frames` are what comes out. What went in may be

- the **weights themselves**, on the answers so far: Adams methods, and the stages of one-step methods;
- the same **as if all steps were equal**: nodes u_j = -j in units of the present step;
- a **velocity of increments**, v+ = r v + (1 - r) p: rows are proportional to their predecessors on old answers, and
  p = (row - r row_before)/(1 - r) has a short memory. If p is what an Adams method would have, the heavy ball; with
  p_n = (z_n + r p_{n-1})/(1 + r) of those z, the look-ahead; and if the moments asked of it are those of the difference
  itself, a linear two-step method;
- a **velocity of answers**, weights w_i on v_{n+1-i}: a row falls by the factor r with the age of the answer, and
  w_i (1 - r) = row_i - r row_{i-1};
- a **predictor and a corrector**, of which only the predicted samples are seen: with P and C their weights,
  row_n = P_n + e^{ch} (C_{n-1} - P_{n-1}), so each follows if the other is (*). It is believed only of rows that have
  the answers of both steps and no others, and only where it differs from formula (*) on those answers: on equal steps
  with c = 0 the two are the same, and what is wrong with one is no matter of correcting.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from math import comb

import numpy as np

from numdiff.certification.faults import Series
from numdiff.certification.frames import NOTHING, Row, View
from numdiff.certification.subject import Array
from numdiff.weights import adams

COUNT = 9
"""Moments looked at, and the highest claim that is: higher powers of old nodes are lost in rounding."""

AGES = 6
"""Answers looked back at."""

OTHER = 1e-6
"""Weight from which an answer is used."""

OLD = slice(7, 15)
"""Ages of answers that only a velocity remembers."""


def series(view: View, claim: int) -> Iterator[Series]:
    """Yield all series of a sampler in one formulation.

    Parameters
    ----------
    view
        The sampler.
    claim
        How many moments of a step must be right.
    """
    found = view.ends
    yield from _direct(view, found, claim)
    if all(b - a == 1 for a, b in found):
        late = range(OLD.stop, view.found.questions - 1)
        if any(view.nodes[a] == view.nodes[a + 1] for a in late):
            return
        rows = {a: view.row(a, a + 1, COUNT) for a in late}
        now = [a for a, _ in found if a > OLD.stop]
        for equal in (False, True):
            spaced = chain(_answers(rows, found, claim, equal), _increments(rows, now, claim, equal))
            yield from (replace(one, equal=equal) for one in chain(spaced, _velocity(rows, now, claim, equal)))
        yield from _corrected(view, rows, now, claim)


def _answers(rows: dict[int, Row], found: list[tuple[int, int]], claim: int, equal: bool) -> Iterator[Series]:
    """Yield the weights on the answers as if all steps were equal."""
    if equal:
        chosen = [rows[a] for a, _ in found]
        yield _on_answers([row.weights for row in chosen], chosen, [_nodes(row, True) for row in chosen], claim, 6, "")


def _direct(view: View, found: list[tuple[int, int]], claim: int) -> Iterator[Series]:
    """Yield the rows of the inputs and of the result of each step, on the answers."""
    width = found[0][1] - found[0][0]
    alone = width > 1 and all(view.forgets(a) for a, _ in found)
    for i in range(1, width + 1):
        rows = [view.row(a, a + i, COUNT) for a, _ in found]
        kept = [r for r in rows if abs(r.h) > 0]
        if len(kept) < len(rows):
            continue
        place = "" if i == width else f" of the input of question {i + 1} of each step"
        inside = [f"the weight on the answer to question {k + 1} of the step" for k in range(i)]
        columns = list(range(i)) + ([] if alone else [-k for k in range(1, AGES)])
        names = inside if width > 1 else [_aged(0)]
        names = names + ([] if alone else [_aged(k) for k in range(1, AGES)])
        yield Series(
            place,
            tuple(names),
            np.array([[r.weights[r.first + k] for k in columns] for r in rows]),
            np.array([[r.nodes[r.first + k] ** np.arange(COUNT) for k in columns] for r in rows]),
            np.array([r.defects(COUNT) for r in rows]),
            np.array([r.mu for r in rows]),
            least=claim if i == width else 1,
            rank=0 if i == width else 1,
            inside=i,
            used=_used([r.weights for r in rows]),
        )


def _used(weights: list[Array]) -> int:
    """Return how many weights rows have."""
    return max(int(np.sum(np.abs(w) > OTHER)) for w in weights)


def _aged(age: int) -> str:
    if age == 0:
        return "the weight on the newest answer"
    return f"the weight on the answer {age} question{'s' if age > 1 else ''} back"


def _nodes(row: Row, equal: bool) -> Array:
    """Return the nodes of a row, or those that equal steps would have."""
    return np.asarray(np.arange(len(row.nodes)) - float(row.first) if equal else row.nodes)


def _on_answers(
    weights: list[Array],
    rows: list[Row],
    nodes: list[Array],
    least: int,
    rank: int,
    place: str,
    asked: Array | None = None,
    newest: int = 0,
    ages: int = AGES,
) -> Series:
    """Return the series of weights on answers, the newest of which is `newest` after the present one."""
    powers = np.arange(COUNT)
    columns = [row.first + newest - np.arange(ages) for row in rows]
    seen = [w[c] for w, c in zip(weights, columns, strict=True)]
    G = [u[c][:, None] ** powers for u, c in zip(nodes, columns, strict=True)]
    mu = np.array([row.mu for row in rows]) if asked is None else asked
    full = np.array([[w @ u**m for m in powers] for w, u in zip(weights, nodes, strict=True)])
    names = ("the weight on the new answer",) * newest + tuple(_aged(k) for k in range(ages - newest))
    return Series(place, names, np.array(seen), np.array(G), full - mu, mu, least, rank, used=_used(weights))


def _fading(now: Array, before: Array) -> float | None:
    """Return r of now = r before, where both are not nothing and proportional; else None."""
    size = float(before @ before)
    if size < NOTHING**2:
        return None
    r = float(now @ before) / size
    return r if np.linalg.norm(now - r * before) < 1e-6 * np.sqrt(size) * max(abs(r), 1e-3) else None


def _increments(rows: dict[int, Row], now: list[int], claim: int, equal: bool) -> Iterator[Series]:
    """Yield what drives a velocity of increments, where there is one."""
    r = {a: _fading(_old(rows[a], a), _old(rows[a - 1], a)) for a in rows if a > OLD.stop}
    known = [a for a in r if r[a] is not None]
    if not set(now) <= set(known) or not now:
        return
    start = max([a for a in r if r[a] is None and a < min(now)], default=OLD.stop) + 1
    z = {a: (rows[a].weights - r[a] * rows[a - 1].weights) / (1 - r[a]) for a in range(start, max(now) + 1)}  # type: ignore[operator]
    p = dict(z)
    for a in range(start + 1, max(now) + 1):
        p[a] = (z[a] + r[a] * p[a - 1]) / (1 + r[a])  # type: ignore[operator]
    chosen = [rows[a] for a in now]
    nodes = [_nodes(row, equal) for row in chosen]
    least, place = max(claim, 2), " in what enters the velocity"
    yield _on_answers([z[a] for a in now], chosen, nodes, least, 2 + 4 * equal, place)
    yield _on_answers([p[a] for a in now], chosen, nodes, least, 4 + 4 * equal, place)
    asked = np.array([_of_two_steps(rows[a], rows[a - 1], float(r[a] or 0), equal) for a in now])
    yield _on_answers([z[a] for a in now], chosen, nodes, least, 3 + 4 * equal, " of the two-step method", asked)


def _old(row: Row, a: int) -> Array:
    return row.weights[a - OLD.stop : a - OLD.start]


def _of_two_steps(row: Row, before: Row, r: float, equal: bool) -> Array:
    """Return the moments that (increment - r increment before)/(1 - r) should have."""
    powers = np.arange(COUNT)
    ratio, back = (1.0, -1.0) if equal else (before.h / row.h, row.nodes[before.first])
    moved = [sum(comb(m, j) * back ** (m - j) * ratio**j * before.mu[j] for j in range(m + 1)) for m in powers]
    return (row.mu - r * np.array(moved)) / (1 - r)


def _velocity(rows: dict[int, Row], now: list[int], claim: int, equal: bool) -> Iterator[Series]:
    """Yield the weights on a velocity of answers, where there is one."""
    chosen = [rows[a] for a in now]
    r = [
        _fading(_old(row, row.first), row.weights[row.first - OLD.stop + 1 : row.first - OLD.start + 1])
        for row in chosen
    ]
    if not now or any(x is None for x in r) or max(np.abs(np.diff(r)), default=0.0) > 1e-6:  # type: ignore[arg-type]
        return
    fading, powers = float(np.median(r)), np.arange(COUNT)  # type: ignore[arg-type]
    weights, moments, defects = [], [], []
    for row in chosen:
        aged, nodes = row.weights[row.first :: -1], _nodes(row, equal)[row.first :: -1]
        weights.append((aged - fading * np.append(0.0, aged[:-1]))[:AGES] / (1 - fading))
        velocities = [(1 - fading) * fading ** np.arange(len(aged) - k) for k in range(AGES)]
        moments.append([[v @ nodes[k:] ** m for m in powers] for k, v in enumerate(velocities)])
        defects.append(np.array([aged @ nodes**m for m in powers]) - row.mu)
    names = tuple(f"the weight on the velocity {k} step{'s' if k > 1 else ''} back" for k in range(1, AGES))
    names = ("the weight on the newest velocity", *names)
    mu = np.array([row.mu for row in chosen])
    made = np.array(weights), np.array(moments), np.array(defects)
    yield Series("", names, *made, mu, claim, 2 + 4 * equal, used=_used(weights))


def _corrected(view: View, rows: dict[int, Row], now: list[int], claim: int) -> Iterator[Series]:
    """Yield the corrector of predicted samples if the predictor is (*), and the predictor if the corrector is."""
    for points in {max(claim - 1, 1), claim} if now else ():
        if not _corrects(view, [rows[a] for a in now], points):
            continue
        ready = range(min(now) - AGES, max(now) + 1)
        P = {a: _interpolatory(view, rows[a], range(points)) for a in ready}
        C = {a: _interpolatory(view, rows[a], range(-1, points)) for a in ready}
        before = [rows[a - 1] for a in now]
        corrector = [(_absolute(rows[a]) - P[a]) / rows[a].grown + P[a - 1] for a in now]
        scaled = [w / row.total for w, row in zip(corrector, before, strict=True)]
        nodes = [row.nodes for row in before]
        least, place = points + 1, " of the corrector"
        yield _on_answers(scaled, before, nodes, least, 3, place, newest=1, ages=points + 1)
        predictor = {ready[0]: P[ready[0]]}
        for a in ready[1:]:
            predictor[a] = _absolute(rows[a]) + rows[a].grown * (predictor[a - 1] - C[a - 1])
        if max(float(np.max(np.abs(predictor[a][ready[0] + 1 : a - points + 1]), initial=0.0)) for a in now) > OTHER:
            continue
        chosen = [rows[a] for a in now]
        scaled = [_newest(predictor[a], a, points + 1) / rows[a].total for a in now]
        nodes = [row.nodes for row in chosen]
        yield _on_answers(scaled, chosen, nodes, points, 3, " of the predictor", ages=points)


def _corrects(view: View, rows: list[Row], points: int) -> bool:
    """Tell whether rows have the answers of a step and of the one before, and (*) on those is another formula."""
    old = [float(np.max(np.abs(row.weights[: row.first - points]), initial=0.0)) for row in rows]
    last = [abs(float(row.weights[row.first - points])) for row in rows]
    lengths = [row.h for row in rows]
    same = float(view.formulation.c) == 0 and np.ptp(lengths) < 1e-6 * abs(lengths[0])
    return max(old) < NOTHING < 1e-9 < min(last) and not same


def _absolute(row: Row) -> Array:
    return row.weights * row.total


def _interpolatory(view: View, row: Row, ages: range) -> Array:
    """Return formula (*) on the answers of these ages, as weights on all answers."""
    out = np.zeros(len(row.weights))
    columns = [row.first - age for age in ages]
    nodes = [float(row.nodes[c] * row.h) for c in columns]
    out[columns] = adams(nodes, row.h, float(view.formulation.c))
    return out


def _newest(weights: Array, a: int, points: int) -> Array:
    """Return the weights on the newest answers; what the start left on old ones is none of the present step's."""
    return np.where((np.arange(len(weights)) > a - points), weights, 0.0)
