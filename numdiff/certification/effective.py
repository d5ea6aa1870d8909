r"""What the coefficients of a sampler say about the order that is claimed for it.

The sampler is identified on grids of `STEPS` steps (`numdiff.certification.identify`). Its questions must
lie where they are asked (`placement`). The formulation is that in which it carries the sample exactly where the answers
are 0, and in which most moments of its steps are those of formula (*) (`frames`). Its order follows from how their
errors over the middle of a run fall, and where that is below the claim, the row of a step is compared with (*) in every
way in which it may be made up (`series`), until a single coefficient explains it (`faults`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from numdiff.certification.faults import Fault, best, term, wrong
from numdiff.certification.frames import ROUNDING, Row, View, errors, observed_order, views
from numdiff.certification.identify import NotLinearError, identify
from numdiff.certification.measure import Layout
from numdiff.certification.placement import place
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


@dataclass(frozen=True)
class Explanation:
    """What the coefficients say.

    Parameters
    ----------
    sentence
        What is wrong and where, for a maintainer; "" if the coefficients meet the claim.
    order
        The order that the coefficients have, at most the claim.
    formulation
        Name of the formulation in which they are simplest.
    rows
        Numbers behind the sentence: "levels" (largest distance between where samples lie and where they are asked
        about), "errors" (of the moments, by formulation and number of steps), "moments" and "asked" (of a step in the
        middle, in units of its total weight).
    grain
        By what the weights of a step miss their sum where that is single precision; 0 where it is not.
    """

    sentence: str
    order: int
    formulation: str
    rows: dict[str, Any] = field(default_factory=dict)
    grain: float = 0.0


def explain(
    subject: Subject,
    claim: int,
    *,
    layout: Layout | None = None,
    setting: Setting | None = None,
    span: tuple[float, float] = (-1.0, 3.0),
) -> Explanation:
    """Return what the coefficients of a sampler say about a claim.

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
    """
    if isinstance(claim, bool) or not isinstance(claim, int) or claim < 1:
        raise ValueError(f"claim must be a whole number of at least 1, got {claim!r}")
    if not subject.given:
        raise ValueError(f"{subject.name} takes no levels, so its coefficients cannot be compared with those of a grid")
    layout = layout or Layout()
    found = [identify(subject, layout.levels(subject, span, n), setting) for n in STEPS]
    seen = list(zip(*(views(one, subject.scale) for one in found), strict=True))
    where = place(subject, found[0])
    grain = _grain(seen)
    natural = _natural(seen, claim, grain)
    order, sizes = _order(seen, natural, claim, grain)
    chosen, sentence = natural, where.sentence(strict=order >= claim)
    if not sentence and order < claim:
        alone = sizes[natural[-1].name][-1] == 0.0  # where a step is right by itself, no other view has its fault
        chosen, sentence = natural, _at_its_best(natural[-1], order, claim)
        if not sentence:
            chosen, sentence = _coefficient([natural] if alone else _carrying(seen), natural, order, claim)
        sentence = sentence or where.between() or _without_single_fault(natural[-1], order, claim)
    if not sentence and grain:
        sentence = f"its coefficients are in single precision: the weights of a step add up to 1 but for {grain:.0e}"
    row = _middle_row(chosen[-1])
    moments = row.defects(claim) + row.mu[:claim]
    rows = {"levels": where.deviation, "errors": sizes, "moments": moments.tolist(), "asked": row.mu[:claim].tolist()}
    return Explanation(sentence, order, chosen[-1].name, rows, grain)


def _middle_row(view: View) -> Row:
    """Return a step in the middle of a run."""
    found = view.ends
    return view.row(*found[len(found) // 2], COUNT)


def _carrying(seen: list[Views]) -> list[Views]:
    """Return the views in which the sample is carried exactly where all answers are 0; the best if none is exact."""
    amounts = [max(view.row(*pair, 1).carried for pair in view.ends) for *_, view in seen]
    return [one for one, amount in zip(seen, amounts, strict=True) if amount < max(CARRIED, 2 * min(amounts))]


def _natural(seen: list[Views], claim: int, grain: float) -> Views:
    """Return the view in which the moments of the steps in the middle are nearest to those asked.

    Coefficients in single precision leave a trace on all old answers, whose high powers are large; they are left out.
    """

    def distance(found: Views) -> float:
        rows = [found[-1].row(*pair, COUNT) for pair in found[-1].ends]
        defects = [row.without(100 * grain).defects(max(claim, 2)) for row in rows]
        return float(np.mean(np.log10(np.abs(defects) + 1e-12)))

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
    return max(float(np.sqrt(np.mean([row.defects(1) ** 2 for row in rows]))), max(row.carried for row in rows))


def _grain(seen: list[Views]) -> float:
    """Return what a step's weights miss the exact result for constant answers by, if that is single precision, else 0.

    In some formulation a sampler is exact for constant answers, or nearly so and the more the finer the grid.
    """
    found = [[_missed(view) for view in one] for one in seen]
    low, high = GRAIN
    stay = [after for before, after in found if low < after < high and after > before / 2]
    return min(stay, default=0.0) if min(after for _, after in found) > low else 0.0


def _at_its_best(view: View, order: int, claim: int) -> str:
    """Say so if a step cannot have a higher order with as many answers as it combines: nothing in it is wrong."""
    counts = {int(np.sum(np.abs(view.row(*pair, 1).weights) > USED)) for pair in view.ends}
    if not order or counts != {order}:
        return ""
    answers = f"{order} answers" if order > 1 else "one answer"
    return (
        f"a step combines {answers}, with which no higher order than {order} can be had, and has it; order {claim} "
        "needs a longer history or more stages"
    )


def _coefficient(seen: list[Views], natural: Views, order: int, claim: int) -> tuple[Views, str]:
    """Return what is wrong with a coefficient, and the view in which it is."""
    found: list[tuple[Fault, Views]] = []
    for chosen in seen:
        if any(one.equal and not wrong(one) for one in series(chosen[-1], claim)):
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


def _without_single_fault(view: View, order: int, claim: int) -> str:
    """Say what is known where no single coefficient explains the order: the first condition that fails."""
    row = _middle_row(view)
    taken = (row.defects(claim) + row.mu[:claim]) / row.mu[:claim]
    if np.all(np.abs(taken - 1) < RIGHT):
        return (
            "the weights of every step integrate what they should, but its stages do not fit together: weighted with "
            f"them, what the stages miss in a linear answer adds up to {_coupled(view):.4g} h^2 instead of 0"
        )
    m = order if abs(taken[order] - 1) >= RIGHT else int(np.argmax(np.abs(taken - 1)))
    return (
        f"no single coefficient explains it; in the middle of a run a step takes {taken[m]:.4g} of {term(m)} that (*) "
        f"asks ({view.name})"
    )


def _coupled(view: View) -> float:
    """Return sum_i b_i (first moment of stage i less what it should be) of a step in the middle, in units of h^2."""
    first, last = view.ends[len(view.ends) // 2]
    step = view.row(first, last, 2)
    inside = [view.row(first, i, 2) for i in range(first + 1, last)]
    return float(sum(step.weights[row.last] * row.defects(2)[1] * (row.h / step.h) ** 2 for row in inside))
