"""Certificates of our registry and of everybody's samplers: what the Certify pages list.

What takes minutes for each package is kept row by row under ``book/_build/certificates``, so that an interrupted
computation goes on where it was; what is stored is what the pages show of it.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from book.tools.pages import BOOK
from numdiff.adapters.subjects import names, resolve
from numdiff.certification import Certificate
from numdiff.certification.pages import MAIN, order
from numdiff.certification.table import certify_all

PACKAGES = ("numdiff", "diffusers", "k-diffusion", "azula", "torchdiffeq", "scipy")


def compute() -> dict[str, Any]:
    """Certify every sampler of every package."""
    found = {}
    for package in PACKAGES:
        out = BOOK / "_build" / "certificates" / package
        found[package] = table(certify_all([f"{package}:{name}" for name in names(package)], resolve, out=out))
    return found


def table(certificates: Sequence[Certificate]) -> dict[str, Any]:
    """Return what is stored of the certificates of a package: rows, versions and the date."""
    versions = {name: number for one in certificates for name, number in one.versions.items()}
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": dict(sorted(versions.items())),
        "seconds": round(sum(one.seconds for one in certificates)),
        "rows": [row(one) for one in certificates],
    }


def row(one: Certificate) -> dict[str, Any]:
    """Return a row: the claim, the observed orders as text, the verdict and the diagnosis."""
    seen = {experiment.name: order(experiment.estimate) for experiment in one.experiments if experiment.name in MAIN}
    return {
        "sampler": one.subject,
        "claim": one.claim,
        "kind": one.kind,
        "orders": [seen.get(name, "") for name in MAIN],
        "verdict": one.verdict,
        "cause": one.cause,
        "notes": list(one.notes),
    }
