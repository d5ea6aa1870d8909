r"""What the coefficients of a sampler say about the order that is claimed for it.

The sampler is identified on grids of `STEPS` steps (`numdiff.certification.identify`). Its questions must
lie where they are asked (`placement`). The formulation is that in which it carries the sample exactly where the answers
are 0, and in which most moments of its steps are those of formula (*) (`frames`). Its order follows from how their
errors over the middle of a run fall, and where that is below the claim, the row of a step is compared with (*) in every
way in which it may be made up (`series`), until a single coefficient explains it (`faults`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from numdiff.certification.explanation import Explanation
from numdiff.certification.faults import Fault, Series, best, double, moved, ordinal, term, wrong
from numdiff.certification.frames import ROUNDING, Row, View, errors, observed_order, views
from numdiff.certification.identify import Identified, NotLinearError, identify
from numdiff.certification.measure import Layout
from numdiff.certification.placement import APART, place
from numdiff.certification.series import COUNT, series
from numdiff.certification.subject import Setting, Subject

Views = tuple[View, ...]
"""One formulation, on each of the grids."""

__all__ = ["Explanation", "NotLinearError", "explain"]

STEPS = (48, 96)
"""Numbers of steps of the grids, each twice the one before it, divisible by the periods of the step patterns."""

SHORT = 0.4
"""How far an order seen on these grids may lie below the claim: neighbouring orders stay apart."""

GRAIN = (1e-11, 2e-4)
"""Errors of the sum of a step's weights that are neither rounding of float64 nor faults but single precision: 6e-8 of
the sample, which may be a hundred times the step."""

SPREAD = 30
"""How much larger than that of a step the trace of single precision may be in another formulation or on old answers."""


USED = 1e-9
"""Relative weight from which an answer takes part in a step."""

RIGHT = 1e-6
"""Relative error up to which a moment is right."""

CARRIED = 1e-9
"""How much of the sample may be lost where it is said to be carried exactly."""

STEADY = 1e-3
"""Relative spread up to which what is lost of the sample is the same on all steps of all grids."""

MEMORY = 9
"""Answers to which a step of a short memory is limited; more tell nothing of a formulation."""


def explain(
    subject: Subject,
    claim: int,
    *,
    layout: Layout | None = None,
    setting: Setting | None = None,
    span: tuple[float, float] = (-1.0, 3.0),
) -> Explanation:
    r"""Return what the coefficients of a sampler say about a claim.

    Parameters
    ----------
    subject
        The sampler; it must take levels.
    claim
        Its claimed order.
    layout
        How the steps lie; equal steps in log-SNR by default.
    setting
        Circumstances of the runs; random draws are replaced by zeros.
    span
        First and last log-SNR, or times.

    Returns
    -------
    Explanation

    Raises
    ------
    NotLinearError
        If the sampler's response is not linear.
    SamplerError
        If it raises.
    ValueError
        If the claim is not a positive whole number, or the sampler takes no levels.

    Examples
    --------
    What is wrong with the widely copied 3M, read off its coefficients:

    >>> from numdiff.certification import explain, of_method
    >>> print(explain(of_method("dpmpp", order=3, rule="3m"), 3).sentence.replace(": it", ":\nit"))
    the term with the 2nd derivative (2nd divided difference) carries 0.5 of what (*) asks on every step:
    it lacks a factor 2 (data/log-snr)
    """
    if isinstance(claim, bool) or not isinstance(claim, int) or claim < 1:
        raise ValueError(f"claim must be a whole number of at least 1, got {claim!r}")
    if not subject.given:
        raise ValueError(f"{subject.name} takes no levels, so its coefficients cannot be compared with those of a grid")
    layout, compared = layout or Layout(), min(claim, COUNT)
    found = [identify(subject, layout.levels(subject, span, n), setting) for n in STEPS]
    _follows(subject, found)
    seen = list(zip(*(views(one, subject.scale) for one in found), strict=True))
    where, scaled = place(subject, found[0]), _scaled(seen)
    grain = 0.0 if scaled else _grain(seen)
    natural = _natural(seen, compared, grain)
    order, sizes = _order(seen, natural, compared, grain)
    stages = where.certain or _wrong_as_asked(natural[-1], compared)
    misplaced = where.sentence(strict=order >= compared, stages=stages)
    if not misplaced and not where.certain and order < compared:
        misplaced = _beside(natural[-1], compared)
    chosen, sentence = natural, misplaced
    if not sentence and order < compared:
        chosen, sentence = scaled or _cause(seen, natural, order, compared, sizes, grain)
        if not sentence and where.certain:
            sentence = misplaced = where.between()
        sentence = sentence or _without_single_fault(natural, order, compared)
    if not sentence and grain:
        sentence = f"its coefficients are in single precision: the weights of a step add up to 1 but for {grain:.0e}"
    if sentence and compared < claim:
        sentence += f" (compared up to order {compared} only)"
    row = _middle_row(chosen[-1])
    moments = (row.defects(compared) + row.mu[:compared]).tolist()
    rows = {"levels": where.deviation, "errors": sizes, "moments": moments, "asked": row.mu[:compared].tolist()}
    order = claim if order == compared else order
    return Explanation(sentence, order, chosen[-1].name, rows, grain, misplaced, compared)


def _follows(subject: Subject, found: list[Identified]) -> None:
    """Raise if a sampler does not go along its grids."""
    counts = [one.questions for one in found]
    if counts[0] == counts[1] or min(counts) < STEPS[0] // 2:
        asked = f"it asks {counts[0]} and {counts[1]} questions on grids of {STEPS[0]} and {STEPS[1]} steps"
        raise NotLinearError(f"{subject.name} takes steps of its own: {asked}")


def _beside(view: View, claim: int) -> str:
    """Say which stage is asked elsewhere than where its weights put it, if a step would be right had it been there.

    With c = 0 and a kappa that does not change, the sum of its weights is how far a stage has gone from its node.
    """
    count, ways = max(claim, 2), []
    if view.formulation.c != 0:
        return ""
    for first, last in view.ends:
        row = view.row(first, last, count)
        gone = np.array([np.sum(view.absolute(first, i)) / row.total for i in range(first, last)])
        nodes = np.concatenate([row.nodes[:first], gone, row.nodes[last:]])
        ways.append((row.defects(count), replace(row, nodes=nodes).defects(count), row.nodes[first:last], gone))
    asked, lying, *found = (np.array([way[i] for way in ways]) for i in range(4))
    at, lies = (np.median(one, axis=0) for one in found)
    apart = np.flatnonzero(np.abs(at - lies) > APART)
    if np.max(np.abs(asked)) < RIGHT or np.max(np.abs(lying)) > RIGHT or not len(apart):
        return ""
    k, unit = int(apart[0]), view.formulation.variable
    where = f"asked {at[k] + 0.0:.3g} of a step from its node, while its sample lies {lies[k]:.3g} of a step from it"
    return f"question {k + 1} of each step is {where} (in {unit})"


def _scaled(seen: list[Views]) -> tuple[Views, str] | None:
    """Return the view in which all steps of all grids multiply the sample by one wrong factor, and that in words."""
    for one in seen:
        lost = np.array([view.row(*pair, 1).carried for view in one for pair in view.ends])
        off = float(np.median(lost))
        if abs(off) > CARRIED and float(np.ptp(lost)) < STEADY * abs(off):
            factor = f"{1 / (1 - off):.9g}" if off != 1 else "infinitely many times"
            return one, f"the factor of the sample is {factor} of what it should be on every step ({one[-1].name})"
    return None


def _wrong_as_asked(view: View, claim: int) -> bool:
    """Tell whether the result of a step is wrong if its questions are where they are asked."""
    count = max(claim, 2)
    return any(np.max(np.abs(view.row(*pair, count).defects(count))) > RIGHT for pair in view.ends)


def _cause(
    seen: list[Views], natural: Views, order: int, claim: int, sizes: dict[str, list[float]], grain: float
) -> tuple[Views, str]:
    """Return what explains an order below the claim, and the view in which it does; "" if nothing does entirely."""
    view = natural[-1]
    sentence = _uneven(view, claim, grain) or _at_its_best(view, order)
    if sentence:
        return natural, sentence
    alone = sizes[view.name][-1] == 0.0  # where a step is right by itself, no other view has its fault
    tried = [natural] if alone else _carrying(seen)
    chosen, sentence = _weights(tried, claim, moved)
    if not sentence:
        chosen, sentence = _coefficient(tried, natural, order, claim)
    return (chosen, sentence) if sentence else _weights(tried, claim, double)


def _weights(seen: list[Views], claim: int, told: Callable[[Series], str]) -> tuple[Views, str]:
    """Return what two weights of a step tell, and the view in which they do."""
    for one in seen:
        direct = (made for made in series(one[-1], claim) if made.rank == 0)
        sentence = next(filter(None, map(told, direct)), "")
        if sentence:
            return one, f"{sentence} ({one[-1].name})"
    return seen[0], ""


def _uneven(view: View, claim: int, grain: float) -> str:
    """Say which steps are wrong where others are right to rounding."""
    states, count = [*view.states, view.found.questions], view.steps
    body = range(count // 2, count - 3)
    if any(view.nodes[states[n]] == view.nodes[states[n + 1]] for n in body):
        return ""
    rows = {n: view.row(states[n], states[n + 1], claim) for n in body}
    sizes = {n: float(np.max(np.abs(row.defects(claim)))) for n, row in rows.items()}
    limit = max(RIGHT, SPREAD * grain)
    bad = [n for n in body if sizes[n] > limit]
    if any(sizes[n] < 1000 * limit for n in bad):
        return ""
    gaps = set(np.diff(bad).tolist())
    if not bad or len(bad) > len(body) - 3 or (bad[0] == body[0] and gaps <= {1}):  # those of a start come first
        return ""
    which = f"{len(bad)} of the {len(body)} steps of the second half do not what the others do: one of them"
    if len(gaps) == 1 and gaps != {1}:
        which = f"every {ordinal(gaps.pop())} step"
    elif bad[-1] == body[-1] and gaps <= {1}:
        which = f"from step {bad[0] + 1} of {count} on, every step"
    d = rows[bad[0]].defects(claim)
    m = int(np.argmax(np.abs(d) > RIGHT))
    taken = round(1 + d[m] / rows[bad[0]].mu[m], 9) + 0.0
    return f"{which} takes {taken:.4g} of {term(m)} that (*) asks, and the others all of it ({view.name})"


def _middle_row(view: View) -> Row:
    """Return a step in the middle of a run."""
    found = view.ends
    return view.row(*found[len(found) // 2], COUNT)


def _carrying(seen: list[Views]) -> list[Views]:
    """Return the views in which the sample is carried exactly where all answers are 0; the best if none is exact."""
    amounts = [max(abs(view.row(*pair, 1).carried) for pair in view.ends) for *_, view in seen]
    return [one for one, amount in zip(seen, amounts, strict=True) if amount < max(CARRIED, 2 * min(amounts))]


def _natural(seen: list[Views], claim: int, grain: float) -> Views:
    """Return the view in which steps have the fewest answers, and of those the one with the best moments.

    In a formulation that is not its own a method of a few answers depends on all of them. Coefficients in single
    precision leave a trace on all old answers, whose high powers are large; they are left out.
    """

    def distance(found: Views) -> tuple[int, float]:
        rows = [found[-1].row(*pair, COUNT).without(100 * grain) for pair in found[-1].ends]
        answers = max(int(np.sum(np.abs(row.weights) > USED)) for row in rows)
        defects = [row.defects(max(claim, 2)) for row in rows]
        return min(answers, MEMORY), float(np.mean(np.log10(np.abs(defects) + 1e-12)))

    return min(_carrying(seen), key=distance)


def _order(seen: list[Views], natural: Views, claim: int, grain: float) -> tuple[int, dict[str, list[float]]]:
    """Return the order of the coefficients, at most the claim, and the errors it was seen from.

    In single precision small weights and errors count for nothing: `SPREAD` tells how small.
    """

    def size(view: View) -> float:
        trace = min(_missed(view), SPREAD * grain)
        found = float(np.max(errors(view, claim, SPREAD * trace)))
        return found if found > max(ROUNDING, 10 * SPREAD * trace) else 0.0

    sizes = {found[-1].name: [size(view) for view in found] for found in seen}
    slope = observed_order(sizes[natural[-1].name], STEPS)
    if any(b - a > 1 for a, b in natural[-1].ends):  # stages may not fit together
        slope = min(slope, observed_order([max(column) for column in zip(*sizes.values(), strict=True)], STEPS))
    return (claim if slope > claim - SHORT else max(round(slope), 0)), sizes


def _missed(view: View) -> float:
    """Return by how much a step misses the exact result for constant answers and for none."""
    rows = [view.row(*pair, 1) for pair in view.ends]
    return max(float(np.sqrt(np.mean([row.defects(1) ** 2 for row in rows]))), max(abs(row.carried) for row in rows))


def _grain(seen: list[Views]) -> float:
    """Return what a step's weights miss the exact result for constant answers by, if that is single precision, else 0.

    In some formulation a sampler is exact for constant answers, or nearly so and the more the finer the grid.
    """
    found = [[_missed(view) for view in one] for one in seen]
    low, high = GRAIN
    stay = [after for before, after in found if low < after < high and after > before / 2]
    return min(stay, default=0.0) if min(after for _, after in found) > low else 0.0


def _at_its_best(view: View, order: int) -> str:
    """Say so if a step cannot have a higher order with as many answers as it combines: nothing in it is wrong."""
    counts = {int(np.sum(np.abs(view.row(*pair, 1).weights) > USED)) for pair in view.ends}
    if not order or counts != {order}:
        return ""
    answers = f"{order} answers" if order > 1 else "one answer"
    return (
        f"a step combines {answers}, with which no higher order than {order} can be had, and has it; a higher one "
        "needs a longer history or more stages"
    )


def _coefficient(seen: list[Views], natural: Views, order: int, claim: int) -> tuple[Views, str]:
    """Return what is wrong with a coefficient, and the view in which it is."""
    found: list[tuple[Fault, Views]] = []
    for chosen in seen:
        lengths = [chosen[-1].row(*pair, 1).h for pair in chosen[-1].ends]
        unequal = float(np.ptp(lengths)) > RIGHT * abs(lengths[0])
        if unequal and any(one.equal and not wrong(one) for one in series(chosen[-1], claim)):
            return (
                chosen,
                f"its weights are those of equal steps in {chosen[-1].formulation.variable}, whatever they are",
            )
        tables = [{(one.place, one.rank, one.least, one.names): one for one in series(view, claim)} for view in chosen]
        fault = best([(tables[0][key], tables[1][key]) for key in tables[1] if key in tables[0]], order)
        found += [] if fault is None else [(fault, chosen)]
    if not found:
        return natural, ""
    fault, chosen = min(found, key=lambda one: one[0].key)
    return chosen, f"{fault.sentence()} ({chosen[-1].name})"


def _without_single_fault(natural: Views, order: int, claim: int) -> str:
    """Say what is known where no coefficient explains the order: the first condition that fails, and by how much."""
    rows = [_middle_row(view) for view in natural]
    taken = np.array([1 + row.defects(claim) / row.mu[:claim] for row in rows])
    off, name, n = np.abs(taken - 1), natural[-1].name, STEPS
    if np.all(off[-1] < RIGHT):
        return _coupled(natural[-1], claim)
    if np.ptp(taken[-1]) < RIGHT:
        return f"all weights of a step are {taken[-1][0]:.6g} of what (*) asks in the middle of a run ({name})"
    fall = np.log2(np.maximum(off[0], 1e-300) / np.maximum(off[1], 1e-300))
    failing = [m for m in range(claim) if off[-1][m] >= RIGHT and fall[m] < claim - m - SHORT]
    m = failing[0] if failing else min(order, claim - 1)
    size = f"takes {taken[0][m]:.5g} of {term(m)} that (*) asks with {n[0]} steps and {taken[1][m]:.5g} with {n[1]}"
    power = max(round(float(fall[m])), 0)
    much = f"off by O(h{'' if power == 1 else f'^{power}'})" if power else "no nearer to it"
    return f"no single coefficient explains it; in the middle of a run a step {size}, {much} ({name})"


def _coupled(view: View, claim: int) -> str:
    """Return the first condition on the stages of a step that fails, with its size."""
    first, last = view.ends[len(view.ends) // 2]
    step = view.row(first, last, 3)
    said = "the weights of every step integrate what they should, but its stages do not fit together"
    missed = []
    for row in (view.row(first, i, 3) for i in range(first + 1, last)):
        part = row.h / step.h
        weight, node = step.weights[row.last], step.nodes[row.last]
        d = row.defects(3) if part else np.zeros(3)
        missed.append((weight * d[1] * part**2, weight * node * d[1] * part**2, weight * d[2] * part**3))
    sums = np.sum(missed, axis=0) if missed else np.zeros(3)
    linear = "what the stages miss in a linear answer"
    for total, words, power in zip(sums, (linear, linear, "what they miss in a quadratic one"), (2, 3, 3), strict=True):
        if abs(total) > RIGHT and claim > power:
            times = " and with their nodes" if words is linear and power == 3 else ""
            return f"{said}: weighted with them{times}, {words} adds up to {total:.4g} h^{power} instead of 0"
    return said
