"""Certification: what order a sampler has, with what confidence, and why it falls short.

`certify` puts the order of one sampler to the test, `certify_all` makes a table of many; `read` and `write` keep
certificates in files, `overview` and `markdown` show them. A sampler is a `Subject`: `of_method` makes one of a method,
`numdiff.adapters.subjects` one of everybody else's, and `explain` compares its coefficients with formula (*).

Of the modules, `subject` says what a sampler must offer and `own` makes subjects of numdiff's methods. `measure`
observes the order of a flow and `weak` that of a law, `experiments` changes circumstances one at a time, `health` says
whether there is an order at all, `diagnose` finds the cause, for which `identify` reads the coefficients off the
sampler, and `effective` and `faults` compare them with formula (*). `documents` and `pages` write certificates down.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numdiff.certification.certificate import Certificate, Experiment
    from numdiff.certification.certifier import certify
    from numdiff.certification.documents import read, write
    from numdiff.certification.effective import explain
    from numdiff.certification.explanation import Explanation
    from numdiff.certification.identify import NotLinearError
    from numdiff.certification.measure import Layout, SamplerError
    from numdiff.certification.own import of_method
    from numdiff.certification.pages import markdown, overview
    from numdiff.certification.subject import NotASamplerError, Setting, Subject
    from numdiff.certification.table import certify_all, path_named

#: Verdicts by name, and what they mean.
VERDICTS: dict[str, str]

_HOMES = {
    "VERDICTS": "certificate",
    "Certificate": "certificate",
    "Experiment": "certificate",
    "Explanation": "explanation",
    "Layout": "measure",
    "NotASamplerError": "subject",
    "NotLinearError": "identify",
    "SamplerError": "measure",
    "Setting": "subject",
    "Subject": "subject",
    "certify": "certifier",
    "certify_all": "table",
    "explain": "effective",
    "markdown": "pages",
    "of_method": "own",
    "overview": "pages",
    "path_named": "table",
    "read": "documents",
    "write": "documents",
}


def __getattr__(name: str) -> Any:
    """Import a name on first use."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"numdiff.certification.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'numdiff.certification' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List what is imported on first use too."""
    return sorted({*globals(), *__all__})


__all__ = [
    "VERDICTS",
    "Certificate",
    "Experiment",
    "Explanation",
    "Layout",
    "NotASamplerError",
    "NotLinearError",
    "SamplerError",
    "Setting",
    "Subject",
    "certify",
    "certify_all",
    "explain",
    "markdown",
    "of_method",
    "overview",
    "path_named",
    "read",
    "write",
]
