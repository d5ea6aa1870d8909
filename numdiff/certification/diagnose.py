r"""Why an order falls short, found by experiment.

Everything is clean at first: exact start, harmless end, float64, levels as exact as can be, equal steps. Then

1. if the claim is met there, its circumstances are brought back one at a time (its own start, its own last steps,
   alternating steps, the precision it ships with, its own time table); those under which the order falls are the cause;
2. if it is not, equal steps are tried in other variables: weights made for equal steps in rho need equal steps in rho;
3. if that does not help either, the coefficients are read off the sampler and compared with what formula (*) asks
   (`numdiff.certification.effective`).

Nothing here knows a sampler's name or its formula.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from numdiff.certification.certificate import Experiment
from numdiff.certification.effective import explain
from numdiff.certification.experiments import CLEAN, SHIPPED, Bench, Trial, costs, meets
from numdiff.certification.identify import NotLinearError
from numdiff.certification.measure import Layout, SamplerError
from numdiff.certification.subject import Subject
from numdiff.properties.order.regression import OrderEstimate

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
        What `standard` returned, with an order in the first.
    """
    if all(meets(one, claim) for one in main):
        return Finding("certified", "; ".join(filter(None, (_remarks(main), _grain(bench, claim)))), main)
    if bench.subject.stochastic:
        return _of_the_law(claim, main)
    if _undefined(main[0]):
        return Finding(*_coefficients(bench, claim, main), main)
    if meets(main[0], claim):
        causes, more = _one_at_a_time(bench, claim, _cleanest(bench.subject))
        causes = [*causes, *filter(None, [_grain(bench, claim)])]
        return Finding("conditional", _joined(causes, main, claim), (*main, *more))
    natural, tried = _elsewhere(bench, claim)
    if natural is not None:
        variable = natural.layout.variable
        causes, more = _one_at_a_time(bench, claim, natural)
        first = f"it has order {claim} on equal steps in {variable} and {_seen(main[0])} on equal steps in log-snr"
        return Finding("conditional", _joined([first, *causes], main, claim), (*main, *tried, *more))
    verdict, cause = _coefficients(bench, claim, main)
    return Finding(verdict, cause, (*main, *tried))


def _undefined(one: Experiment) -> bool:
    return one.estimate is None or not one.estimate.defined


def _of_the_law(claim: int, main: tuple[Experiment, ...]) -> Finding:
    """Return the verdict on a claimed weak order."""
    if meets(main[0], claim):
        lost = "; ".join(f"on {one.name} steps it has {_seen(one)}" for one in main if not meets(one, claim))
        return Finding("conditional", f"its weak order is met on equal steps, and lost elsewhere: {lost}", main)
    return Finding(_verdict(main[0], claim), f"the law of its samples shows {_seen(main[0])}", main)


# --- the claim is met where everything is clean ---------------------------------------------------------------------


def _one_at_a_time(bench: Bench, claim: int, clean: Trial) -> tuple[list[str], list[Experiment]]:
    """Return the causes among the circumstances, and the experiments with one of them brought back at a time."""
    causes, made = [], []
    for name, trial, sentence in _circumstances(bench, clean):
        known = trial in bench.made
        found = bench.run(name, trial)
        made += [] if known else [found]
        if costs(found, claim) or (found.estimate is not None and _stops(found.estimate)):
            causes.append(sentence.format(seen=_seen(found)))
    return causes, made


def _circumstances(bench: Bench, clean: Trial) -> Iterator[tuple[str, Trial, str]]:
    """Yield the name of each circumstance, its trial, and what it means if the order falls under it alone."""
    subject, variable = bench.subject, clean.layout.variable
    yield "its own start", replace(clean, start=False), "the start alone costs the order: {seen}"
    yield "its own end", replace(clean, end=False), "its last steps alone cost the order: {seen}"
    if subject.given:
        rough = replace(clean, layout=Layout("alternating", variable))
        text = "its weights are for equal steps in " + variable + ": on alternating steps it has {seen}"
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


def _grain(bench: Bench, claim: int) -> str:
    """Say so where coefficients are in single precision though everything else is not: it shows below many errors."""
    if bench.subject.stochastic or not bench.subject.given:
        return ""
    try:
        found = explain(bench.subject, claim)
    except (NotLinearError, SamplerError):
        return ""
    return f"its coefficients are in single precision, to {found.grain:.0e}" if found.grain else ""


def _joined(causes: list[str], main: tuple[Experiment, ...], claim: int) -> str:
    """Return the causes as one sentence; say so where no single one explains what was seen."""
    if causes:
        return "; ".join(causes)
    short = [one for one in main if not meets(one, claim)]
    seen = ", ".join(f"{one.name} ({_seen(one)})" for one in short)
    if not any(costs(one, claim) for one in short):
        return f"no circumstance costs the order alone; {seen} is not clear at these numbers of steps"
    return f"no circumstance costs the order alone, several together do: {seen}"


# --- it is not --------------------------------------------------------------------------------------------------------


def _elsewhere(bench: Bench, claim: int) -> tuple[Trial | None, list[Experiment]]:
    """Return the trial on equal steps in another variable that meets the claim, if there is one."""
    tried: list[Experiment] = []
    if bench.subject.scale == "time" or not bench.subject.given:
        return None, tried
    for variable in ELSEWHERE:
        trial = replace(CLEAN, layout=Layout(variable=variable))
        tried.append(bench.run(f"equal steps in {variable}", trial))
        if meets(tried[-1], claim):
            return trial, tried
    return None, tried


def _coefficients(bench: Bench, claim: int, main: tuple[Experiment, ...]) -> tuple[str, str]:
    """Return verdict and cause from the coefficients themselves."""
    seen = f"with exact start and equal steps it has {_seen(main[0])}"
    if not main[0].failure and _undefined(main[0]):
        seen = _broken(main[0])
    if not bench.subject.given:
        return _verdict(main[0], claim), f"{seen}; it takes no levels, so its coefficients cannot be compared"
    try:
        found = explain(bench.subject, claim, layout=Layout())
    except (NotLinearError, SamplerError) as error:
        return _verdict(main[0], claim), f"{seen}; its coefficients cannot be read: {error}"
    if found.sentence:
        return "refuted", f"{seen}: {found.sentence}"
    if _undefined(main[0]):
        return "no order", seen
    if found.order < claim:
        return "refuted", f"{seen}; read off the sampler, its weights have order {found.order} ({found.formulation})"
    text = "its weights integrate what they should, so either more steps are needed to see the order, or its stages "
    return _verdict(main[0], claim), f"{seen}; {text}do not fit together"


def _verdict(clean: Experiment, claim: int) -> str:
    """Return "refuted" where the interval excludes the claim, else "undecided"."""
    estimate = clean.estimate
    excluded = estimate is not None and estimate.defined and estimate.interval[1] < claim - 0.5
    return "refuted" if excluded else "undecided"


# --- words -----------------------------------------------------------------------------------------------------------


def _seen(one: Experiment) -> str:
    """Return an observed order in words."""
    if one.estimate is None:
        return one.failure
    if not one.estimate.defined:
        return f"none: {one.estimate.cause}"
    clearly = "" if not one.estimate.irregular else ", without following a power"
    return f"order {one.estimate.slope:.2f}{clearly}{_stop(one.estimate)}"


def _broken(one: Experiment) -> str:
    """Return where a sampler without an order is not finite."""
    assert one.estimate is not None
    bad = [n for n, error in zip(one.estimate.steps, one.estimate.errors, strict=True) if not math.isfinite(error)]
    return f"not finite at N = {', '.join(map(str, bad))}" if bad else f"no order: {one.estimate.cause}"


def _stops(estimate: OrderEstimate) -> bool:
    """Tell whether errors stop falling above the rounding of float64."""
    return estimate.floor_kind not in ("", "double")


def _stop(estimate: OrderEstimate) -> str:
    """Return at what level errors stop falling, in words."""
    if not _stops(estimate):
        return ""
    kinds = {"single": "the rounding of float32", "between": "less than the rounding of float32"}
    size = kinds.get(estimate.floor_kind, "more than the rounding of float32")
    return f" and a floor of {estimate.plateau:.0e} ({size})"


def _remarks(main: tuple[Experiment, ...]) -> str:
    """Return what a certified sampler's users should know all the same: a floor."""
    return "; ".join(
        f"{one.name}{_stop(one.estimate)}" for one in main if one.estimate is not None and _stops(one.estimate)
    )
