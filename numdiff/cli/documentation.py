"""What a docstring says of a method: its formula, what the symbols in it are, its claims and its references."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from textwrap import dedent

from numdiff.methods import Method
from numdiff.methods.churn import EulerChurn
from numdiff.methods.published.classical import DEIS, IPNDM, RhoRK
from numdiff.methods.published.correctors import SASolver, UniC, UniPC
from numdiff.methods.published.single_step import DPM2
from numdiff.methods.registry import catalogue
from numdiff.methods.registry.families import FAMILIES

WRAPPED: dict[str, Callable[..., Method]] = {
    "deis": DEIS,
    "unipc": UniPC,
    "unic": UniC,
    "sa-solver": SASolver,
    "rho-rk": RhoRK,
    "euler-churn": EulerChurn,
}
"""The function that makes members of a family, where the registry calls it by a function of its own."""

NAMED: dict[str, Callable[..., Method]] = {
    "ipndm": IPNDM,
    "ipndmscheduler": IPNDM,
    "dpm2": DPM2,
    "kdpm2discretescheduler": DPM2,
    "dpmsolver2": DPM2,
}
"""Members with a docstring of their own, by what `catalogue.key` makes of their names."""


@dataclass(frozen=True)
class Documentation:
    """The parts of a method's docstring, each empty where it is missing.

    Parameters
    ----------
    formula
        The first indented block.
    symbols
        The paragraph after it, which says what the symbols are.
    claims
        The first paragraph of the section "Notes".
    references
        The section "References".
    """

    formula: str
    symbols: str
    claims: str
    references: str


def of(family: str, method: Method, name: str = "") -> Documentation:
    """Return what is documented about a family, or about the member of it that `name` stands for.

    Parameters
    ----------
    family
        A name of `FAMILIES`.
    method
        A member, whose class or else module speaks for it where the family's own function shows no formula.
    name
        The name that was asked for, with or without its library.
    """
    own = NAMED.get(catalogue.key(catalogue.split_library(name)[1]))
    speaking = (own or WRAPPED.get(family) or FAMILIES[family].build, type(method), inspect.getmodule(type(method)))
    found = [read(documented) for documented in speaking]
    return next((documentation for documentation in found if documentation.formula), found[0])


def read(documented: object) -> Documentation:
    """Return the parts of the docstring of a function or class."""
    sections = _sections(inspect.getdoc(documented) or "")
    paragraphs = re.split(r"\n\s*\n", sections[""])
    blocks = [i for i, text in enumerate(paragraphs) if text.startswith("    ")]
    after = paragraphs[blocks[0] + 1 : blocks[0] + 2] if blocks else []
    return Documentation(
        formula=dedent(paragraphs[blocks[0]]).rstrip() if blocks else "",
        symbols=_joined(*after),
        claims=_joined(sections.get("Notes", "").split("\n\n")[0]),
        references=_joined(sections.get("References", "")),
    )


def _sections(text: str) -> dict[str, str]:
    """Return the text of each section by its title, that before the first one by the empty title."""
    pieces = re.split(r"^([A-Z][A-Za-z ]*)\n-{3,}\n", text, flags=re.MULTILINE)
    return {"": pieces[0], **dict(zip(pieces[1::2], (piece.strip("\n") for piece in pieces[2::2]), strict=True))}


def _joined(text: str = "") -> str:
    return " ".join(text.split())
