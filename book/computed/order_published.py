"""Certificates of published samplers: which circumstance of a run costs the order that is claimed for them."""

from __future__ import annotations

import math
from typing import Any

from numdiff.adapters.subjects import resolve
from numdiff.certification import Certificate, certify

SAMPLERS = {
    "UniPC 3": ("diffusers:UniPCMultistepScheduler(solver_order=3)", 4),
    "DPM-Solver++ 2M": ("k-diffusion:sample_dpmpp_2m", 2),
    "DPM-Solver++ 3M": ("diffusers:DPMSolverMultistepScheduler(solver_order=3)", 3),
    "PLMS 4": ("diffusers:PNDMScheduler(skip_prk_steps=True)", 4),
    "DEIS 3": ("diffusers:DEISMultistepScheduler(solver_order=3)", 3),
}
"""What it is called, how numdiff finds it, and the order that is claimed; UniPC documents ``solver_order + 1``."""
STEPS = (24, 32, 48, 64, 96, 128, 192)


def compute() -> dict[str, Any]:
    """Return verdicts, causes, and slope and 95 % interval of every experiment, by sampler."""
    return {name: _digest(certify(resolve(spec), claim, steps=STEPS)) for name, (spec, claim) in SAMPLERS.items()}


def _digest(found: Certificate) -> dict[str, Any]:
    slopes = {
        one.name: [_number(x) for x in (one.slope, *one.estimate.interval)]
        for one in found.experiments
        if one.estimate is not None
    }
    return {
        "subject": found.subject,
        "claim": found.claim,
        "verdict": found.verdict,
        "cause": found.cause,
        "slopes": slopes,
        "versions": dict(found.versions),
    }


def _number(value: float) -> float | None:
    return round(float(value), 2) if math.isfinite(value) else None
