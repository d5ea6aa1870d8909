r"""Why an order falls short, found by experiment.

Everything is clean at first: exact start, harmless end, float64, levels as exact as can be, equal steps. The
coefficients are read off the sampler once (`numdiff.certification.effective`): questions asked at the wrong level, and
single precision, they tell whatever the order is. Then

1. if the claim is met where all is clean, its circumstances are brought back one at a time (its own start, its own last
   steps, alternating steps, the precision it ships with, its own time table); those under which the order falls are the
   cause, unless start and end are both accused: then rest has hidden what the coefficients say;
2. if it is not, equal steps are tried in other variables: weights made for equal steps in rho need equal steps in rho;
3. if that does not help either, the cause is what the coefficients miss of formula (*).

Nothing here knows a sampler's name or its formula.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from numdiff.certification.certificate import Experiment
from numdiff.certification.effective import Explanation, explain
from numdiff.certification.experiments import CLEAN, SHIPPED, Bench, Trial, costs, holes, meets
from numdiff.certification.identify import NotLinearError
from numdiff.certification.measure import Layout, SamplerError
from numdiff.certification.subject import Subject
from numdiff.certification.words import biased, broken, floor_of, joined, remarks, seen, stops, undefined

BIAS = "what is added does not vanish with the steps"
HIDDEN = "a path at rest over the first and the last steps does not see it"
GRAIN = "its coefficients are in single precision, to {:.0e}"
UNSEEN = (
    "its weights integrate what they should, so its stages do not fit together, or the order is not seen at these "
    "numbers of steps: give others (steps=, --steps), fewer where errors reach rounding"
)

ELSEWHERE = ("rho", "inverse-rho", "time", "karras")
"""Variables other than the log-SNR in which weights may want equal steps."""


@dataclass(frozen=True)
class Finding:
    """What a diagnosis found.

    Parameters
    ----------
    verdict
        "certified", "conditional", "refuted", "undecided" or "observed".
    cause
        A sentence, or "".
    experiments
        All that was measured, in the order in which a reader wants them.
    """

    verdict: str
    cause: str
    experiments: tuple[Experiment, ...]


def standard(bench: Bench, roughs: tuple[Layout, ...]) -> tuple[Experiment, ...]:
    """Return the experiments of every certificate: exact start, as shipped, rough grids.

    The law of a stochastic sampler is followed on Gaussian data, which do not rest: its start is always its own.
    """
    subject, clean = bench.subject, _cleanest(bench.subject)
    rough = [replace(clean, layout=layout) for layout in roughs if subject.given]
    on_rough = [bench.run(trial.layout.name, trial) for trial in rough]
    if subject.stochastic:
        return bench.run("as shipped", clean), *on_rough
    shipped = replace(SHIPPED, own=subject.grid is not None, precision="shipped" if subject.single else "float64")
    return bench.run("exact start", clean), bench.run("as shipped", shipped), *on_rough


def _cleanest(subject: Subject) -> Trial:
    return CLEAN if subject.given else replace(CLEAN, own=True)


def diagnose(bench: Bench, claim: int, main: tuple[Experiment, ...]) -> Finding:
    """Return the verdict on a claim, and its cause.

    Parameters
    ----------
    bench
        The subject and what it follows.
    claim
        The order that is claimed.
    main
        What `standard` returned.
    """
    if bench.subject.stochastic:
        return _of_the_law(claim, main)
    reading, unread = _reading(bench, claim)
    if undefined(main[0]):
        return Finding(*_coefficients(claim, main, reading, unread), main)
    if biased(main[0]):
        return Finding("refuted", f"even where all is clean it has {seen(main[0])}: {BIAS}", main)
    if reading is not None and reading.misplaced:
        hidden = f"; {HIDDEN}" if meets(main[0], claim) else ""
        return Finding("refuted", f"{reading.misplaced}{hidden}", main)
    if holes(main[0]) and not costs(main[0], claim):
        return Finding("conditional", f"{joined([], main, claim)}; elsewhere it has {seen(main[0])}", main)
    grain = [] if reading is None or not reading.grain else [GRAIN.format(reading.grain)]
    if meets(main[0], claim):
        return _met(bench, claim, main, reading, grain)
    natural, tried = _elsewhere(bench, claim)
    if natural is not None:
        variable = natural.layout.variable
        causes, more = _one_at_a_time(bench, claim, natural)
        if hidden := _hidden(more, claim, reading):
            return Finding("refuted", hidden, (*main, *tried, *more))
        first = f"it has order {claim} on equal steps in {variable} and {seen(main[0])} on equal steps in log-snr"
        return Finding("conditional", joined([first, *causes, *grain], main, claim), (*main, *tried, *more))
    verdict, cause = _coefficients(claim, main, reading, unread)
    return Finding(verdict, cause, (*main, *tried))


def _met(
    bench: Bench, claim: int, main: tuple[Experiment, ...], reading: Explanation | None, grain: list[str]
) -> Finding:
    """Return the verdict where the claim is met if all is clean."""
    if all(meets(one, claim) for one in main):
        rough = [bench.run(f"{trial.layout.name}, own start and end", trial) for trial in _unrested(bench, main)]
        lost = [f"{one.name}: {seen(one)}" for one in rough if costs(one, claim)]
        said = "; ".join([*lost, *filter(None, [remarks(main)]), *grain])
        return Finding("conditional" if lost else "certified", said, (*main, *rough) if lost else main)
    causes, more = _one_at_a_time(bench, claim, _cleanest(bench.subject))
    if hidden := _hidden(more, claim, reading):
        return Finding("refuted", hidden, (*main, *more))
    return Finding("conditional", joined([*causes, *grain], main, claim), (*main, *more))


def _hidden(more: list[Experiment], claim: int, reading: Explanation | None) -> str:
    """Return what the coefficients say where start and end are both accused: rest hides what shifts a whole run."""
    ends = [one for one in more if one.name in ("its own start", "its own end")]
    if reading is None or reading.order >= claim or not ends or not all(costs(one, claim) for one in ends):
        return ""
    said = reading.sentence or f"its weights have order {reading.order} ({reading.formulation})"
    return f"{said}; {HIDDEN}"


def _unrested(bench: Bench, main: tuple[Experiment, ...]) -> list[Trial]:
    """Return the rough trials with the sampler's own start and end, which a path at rest would forgive."""
    clean = _cleanest(bench.subject)
    made = {one.name for one in main}
    rough = [trial for trial in bench.made if trial.layout.name in made and trial.start and trial.end]
    return [replace(trial, start=False, end=False) for trial in rough if trial.layout != clean.layout]


def _of_the_law(claim: int, main: tuple[Experiment, ...]) -> Finding:
    """Return the verdict on a claimed weak order."""
    if all(meets(one, claim) for one in main):
        return Finding("certified", "", main)
    if meets(main[0], claim):
        lost = "; ".join(f"on {one.name} steps it has {seen(one)}" for one in main if not meets(one, claim))
        return Finding("conditional", f"its weak order is met on equal steps, and lost elsewhere: {lost}", main)
    return Finding(_verdict(main[0], claim), f"the law of its samples shows {seen(main[0])}", main)


# --- the claim is met where everything is clean ---------------------------------------------------------------------


def _one_at_a_time(bench: Bench, claim: int, clean: Trial) -> tuple[list[str], list[Experiment]]:
    """Return the causes among the circumstances, and the experiments with one of them brought back at a time."""
    causes, remarked, made = [], [], []
    for name, trial, sentence in _circumstances(bench, clean):
        known = trial in bench.made
        found = bench.run(name, trial, brief=True)
        made += [] if known else [found]
        if costs(found, claim) or biased(found):
            causes.append(sentence.format(seen=seen(found)))
        elif stops(found):
            remarked.append(f"{name}:{floor_of(found)}")
    return [*causes, *remarked], made


def _circumstances(bench: Bench, clean: Trial) -> Iterator[tuple[str, Trial, str]]:
    """Yield the name of each circumstance, its trial, and what it means if the order falls under it alone."""
    subject, variable = bench.subject, clean.layout.variable
    where = "" if subject.scale == "time" else f" in {variable}"
    yield "its own start", replace(clean, start=False), "the start alone costs the order: {seen}"
    yield "its own end", replace(clean, end=False), "its last steps alone cost the order: {seen}"
    if subject.given:
        rough = replace(clean, layout=Layout("alternating", variable))
        text = "its weights are for equal steps" + where + ": on alternating steps it has {seen}"
        yield "alternating alone", rough, text
    if subject.single:
        single = replace(clean, precision="shipped")
        yield "its own precision", single, "its own (single) precision alone: {seen}"
    if subject.given and subject.grid is not None:
        table = replace(clean, own=True)
        yield "its own time table", table, "its own time table alone costs the order: {seen}"
        last = replace(table, end=False)
        yield "its own last steps", last, "the last steps of its own time table cost the order: {seen}"
    if subject.regular:
        rounded = replace(clean, own=True, rounded=True)
        yield "rounded times", rounded, "times rounded to its table, where N does not divide it, cost the order: {seen}"


def _reading(bench: Bench, claim: int) -> tuple[Explanation | None, str]:
    """Return what the coefficients say; where they cannot be read, None and why."""
    if not bench.subject.given:
        return None, "it takes no levels, so its coefficients cannot be compared"
    try:
        return explain(bench.subject, claim), ""
    except (NotLinearError, SamplerError) as error:
        return None, f"its coefficients cannot be read: {error}"


# --- it is not --------------------------------------------------------------------------------------------------------


def _elsewhere(bench: Bench, claim: int) -> tuple[Trial | None, list[Experiment]]:
    """Return the trial on equal steps in another variable that meets the claim, if there is one."""
    tried: list[Experiment] = []
    if bench.subject.scale == "time" or not bench.subject.given:
        return None, tried
    for variable in ELSEWHERE:
        trial = replace(CLEAN, layout=Layout(variable=variable))
        tried.append(bench.run(f"equal steps in {variable}", trial, brief=True))
        if meets(tried[-1], claim):
            return trial, tried
    return None, tried


def _coefficients(
    claim: int, main: tuple[Experiment, ...], reading: Explanation | None, unread: str
) -> tuple[str, str]:
    """Return verdict and cause from the coefficients themselves."""
    said = broken(main[0]) if undefined(main[0]) else f"with exact start and equal steps it has {seen(main[0])}"
    if reading is None:
        return _verdict(main[0], claim), f"{said}; {unread}"
    if reading.sentence:
        return "refuted", f"{said}: {reading.sentence}"
    if undefined(main[0]):
        return "no order", said
    if reading.order < claim:
        return (
            "refuted",
            f"{said}; read off the sampler, its weights have order {reading.order} ({reading.formulation})",
        )
    return _verdict(main[0], claim), f"{said}; {UNSEEN}"


def _verdict(clean: Experiment, claim: int) -> str:
    """Return "refuted" where the interval excludes the claim, else "undecided"."""
    estimate = clean.estimate
    excluded = estimate is not None and estimate.defined and estimate.interval[1] < claim - 0.5
    return "refuted" if excluded else "undecided"
