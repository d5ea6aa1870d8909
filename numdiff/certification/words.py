"""Observed orders in words, as the sentences of a diagnosis need them."""

from __future__ import annotations

import math

from numdiff.certification.certificate import Experiment
from numdiff.certification.experiments import costs, holes, meets


def undefined(one: Experiment) -> bool:
    """Tell whether there is no order."""
    return one.estimate is None or not one.estimate.defined


def stops(one: Experiment) -> bool:
    """Tell whether errors stop falling above the rounding of float64."""
    return one.estimate is not None and one.estimate.floor_kind not in ("", "double")


def biased(one: Experiment) -> bool:
    """Tell whether errors stop falling where no precision can be the reason."""
    return one.estimate is not None and one.estimate.floor_kind == "large"


def seen(one: Experiment) -> str:
    """Return an observed order."""
    if one.estimate is None:
        return one.failure
    if not one.estimate.defined:
        return f"none: {one.estimate.cause}"
    clearly = "" if not one.estimate.irregular else ", without following a power"
    return f"order {one.estimate.slope:.2f}{clearly}{_and(floor_of(one))}"


def _and(text: str) -> str:
    return f" and{text}" if text else ""


def floor_of(one: Experiment) -> str:
    """Return at what level errors stop falling, "" if they do not."""
    if one.estimate is None or not stops(one):
        return ""
    kinds = {"single": "the rounding of float32", "between": "less than the rounding of float32"}
    size = kinds.get(one.estimate.floor_kind, "more than the rounding of float32")
    return f" a floor of {one.estimate.plateau:.0e} ({size})"


def remarks(main: tuple[Experiment, ...]) -> str:
    """Return what a certified sampler's users should know all the same: a floor."""
    return "; ".join(f"{one.name}:{floor_of(one)}" for one in main if stops(one))


def broken(one: Experiment) -> str:
    """Return where a sampler without an order is not finite."""
    if one.estimate is None:
        return one.failure
    bad = [n for n, error in zip(one.estimate.steps, one.estimate.errors, strict=True) if not math.isfinite(error)]
    return f"not finite at N = {', '.join(map(str, bad))}" if bad else f"no order: {one.estimate.cause}"


def joined(causes: list[str], main: tuple[Experiment, ...], claim: int) -> str:
    """Return the causes as one sentence; say so where no single one explains what was seen."""
    gaps = [f"{one.name}: not finite at N = {', '.join(map(str, holes(one)))}" for one in main if holes(one)]
    if causes or gaps:
        return "; ".join([*gaps, *causes])
    short = [one for one in main if not meets(one, claim)]
    said = ", ".join(f"{one.name} ({seen(one)})" for one in short)
    if not any(costs(one, claim) for one in short):
        return f"no circumstance costs the order alone; {said} is not clear at these numbers of steps"
    return f"no circumstance costs the order alone, several together do: {said}"
