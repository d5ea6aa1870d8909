"""Where a page leads: the member that it shows in the stability explorer and in the sampler playground."""

from __future__ import annotations

from inspect import signature
from typing import Any
from urllib.parse import quote

from book.computed.gallery_work_precision import two_fields
from book.tools.gallery.regions import STEP
from book.tools.playground import scheme
from book.tools.playground_methods import STEPS, Offer, offers
from numdiff.formulations import NOISE_RATIO
from numdiff.methods import FAMILIES, Method
from numdiff.symbolic.steady import exact_method

BUDGET = 10
"""Evaluations of the runs that links to the playground show, at most, where the method can do with so few."""

GUIDANCE = 400
"""Hundredths of the push towards a component, for methods that split it off."""


def explorer(name: str, method: Method, *, exponential: bool) -> str:
    """Return the fragment that stands for a family's member in the stability explorer.

    Parameters
    ----------
    name
        The family.
    method
        The member that its page shows, which differs from no other of its order and formulation.
    exponential
        Whether the step length is in its coefficients.
    """
    family = FAMILIES[name]
    parts: list[tuple[str, Any]] = [("m", name)]
    if "order" in family.options:
        default = signature(family.build).parameters.get("order")
        parts.append(("k", family.example.get("order", default.default if default else None)))
    parts.append(("f", (method.formulation or NOISE_RATIO).name))
    if "beta" in family.options:
        parts.append(("b", f"{float(getattr(method, 'beta')):.8g}"))  # noqa: B009  (of some methods)
    if exponential:
        parts.append(("h", f"{STEP:g}"))
    return "&".join(f"{key}={quote(str(value), safe='/')}" for key, value in parts)


def offered(name: str, method: Method) -> Offer | None:
    """Return the member as the playground has it, None where it does not."""
    exact = exact_method(method)
    own = (offer for offer in offers() if offer.family == name)
    return next((offer for offer in own if exact_method(offer.method()) == exact), None)


def playground(name: str, method: Method) -> tuple[str, int] | None:
    """Return the fragment that runs a family's member beside DDIM, and its evaluations; None where it is not on offer.

    Parameters
    ----------
    name
        The family.
    method
        The member that its page shows.
    """
    offer = offered(name, method)
    if offer is None:
        return None
    schedule = "flow" if flow(method) else "vp-linear"
    steps, evaluations = _run(offer, schedule)
    ddim = min(STEPS, key=lambda n: abs(n - evaluations))
    parts = [f"a--{offer.key}--log-snr--{steps}", f"b--ddim--log-snr--{ddim}"]
    parts += [f"schedule--{schedule}"] if flow(method) else []
    parts += [f"scale--{GUIDANCE}"] if two_fields(method) else []
    return f"view__{'__'.join(parts)}", evaluations


def _run(offer: Offer, schedule: str) -> tuple[int, int]:
    """Return (steps, evaluations) of the longest run within the budget, or of the shortest that there is."""
    found = {}
    for steps in STEPS:
        try:
            found[steps] = scheme(offer, schedule, "log-snr", steps).nfe
        except ValueError:  # fewer steps than points
            continue
        if found[steps] > BUDGET:
            break
    within = [steps for steps, evaluations in found.items() if evaluations <= BUDGET]
    steps = max(within, default=min(found))
    return steps, found[steps]


def flow(method: Method) -> bool:
    """Tell whether a method is one for flow schedules: it integrates a velocity and adds no noise."""
    return getattr(method.formulation, "prediction", "") == "velocity" and not method.stochastic
