"""What the library says, in the words of the command line: its arguments are options here.

The library says beta=0.8, weights="uniform" or "a number for h" where the command line says --beta 0.8, --weights
uniform or --step 0.1. What stands in the parentheses of a name or a call, as in FA2(beta, momentum=gamma), is no
advice and stays.
"""

from __future__ import annotations

import re

_OPTION = {"h": "step", "real_interval": "real-interval"}
_NAMES = "h|beta|order|ratio|rule|weights|formulation|variant|start|base|momentum|error|real_interval|guidance"
_CALL = r"\w\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)"
_KEYWORD = re.compile(rf"({_CALL})|(?<!--set )\b({_NAMES})=\"?([\w./-]*\w)\"?")

_REMEDIES = (
    (
        r"narrow the domain of the damping or of h, or give numbers",
        "give numbers for symbols: --step 0.1 for h, --beta 0.8 for beta",
    ),
    (
        r"\blower the order or take more steps\b",
        "lower the order (--order, or the number in METHOD's name) or take more steps",
    ),
    (r"\ba (?:number|float) for h, such as h=", "h="),
    (r"\ba (?:number|float) for h\b", "h=0.1"),
    (r"\bdrop h\b", "drop --step"),
    (r"\buse a constant tau\b", "use a constant --set tau=1"),
    (r"\bwithout noise \(tau = 0\)", "without noise (--set tau=0, eta=0, norm=0 or S_churn=0, what it has of these)"),
    (r"\btau=0, eta=0, norm=0 or S_churn=0", "--set tau=0, eta=0, norm=0 or S_churn=0"),
    (r"\buse norm=0", "use --set norm=0"),
)
"""Advice that names no keyword of the library, or an argument that the command line lacks, and the same as options."""


def in_options(text: str) -> str:
    """Return a message of the library with its arguments as options of the command line."""
    for said, meant in _REMEDIES:
        text = re.sub(said, meant, text)
    return _KEYWORD.sub(_option, text)


def _option(found: re.Match[str]) -> str:
    return found[1] or f"--{_OPTION.get(found[2], found[2])} {found[3]}"
