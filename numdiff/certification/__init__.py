"""Certification: what order a sampler has, with what confidence, and why it falls short.

`subject` says what a sampler must offer, `own` makes subjects of numdiff's methods (`numdiff.adapters.subjects` of
everybody else's). `measure` observes the order of a flow and `weak` that of a law, `experiments` changes circumstances
one at a time, `health` says whether there is an order at all, `diagnose` finds the cause, for which `identify` reads
the coefficients off the sampler, and `effective` and `faults` compare them with formula (*). `certify` is all of it.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "VERDICTS": "certificate",
    "Certificate": "certificate",
    "Experiment": "certificate",
    "Layout": "measure",
    "NotASamplerError": "subject",
    "SamplerError": "measure",
    "Setting": "subject",
    "Subject": "subject",
    "certify": "certifier",
    "certify_all": "table",
    "measure": "measure",
    "of_method": "own",
}


def __getattr__(name: str) -> Any:
    """Import a name on first use."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"numdiff.certification.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'numdiff.certification' has no attribute {name!r}")
