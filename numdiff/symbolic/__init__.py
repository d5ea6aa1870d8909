"""What needs SymPy: stability polynomials, closed-form intervals, order conditions, LaTeX.

- a method as exact numbers: `steady`, `polynomials`, `phi`, `closed_forms`, `limits`, `derivations`;
- stability: `intervals`, `rootcondition`;
- order: `multistep`, `trees`, `bseries`, `bicoloured`, `stiff`, `transients`, `variable_order`;
- in writing: `differentials`, `latex`.

The modules load on first use, since `numdiff.phi` reaches into this package from the numerical core. Most questions
about a method have a function in `numdiff.stability`, `numdiff.order` or `numdiff.design`, which choose among these.
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = [
    "bicoloured",
    "bseries",
    "closed_forms",
    "derivations",
    "differentials",
    "intervals",
    "latex",
    "limits",
    "multistep",
    "phi",
    "polynomials",
    "rootcondition",
    "steady",
    "stiff",
    "transients",
    "trees",
    "variable_order",
]


def __getattr__(name: str) -> Any:
    """Import a module on first use."""
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
