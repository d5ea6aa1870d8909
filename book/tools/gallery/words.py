"""What the docstrings of a family say: its options, the keys of its references, its prose as Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import cache
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from typing import Any

from book.tools.gallery.general import tex
from book.tools.pages import BOOK
from numdiff.answers.prose import GREEK, typeset
from numdiff.cli import documentation
from numdiff.methods import FAMILIES, AdamsBashforth, Method

PRINTED = {
    "Hairer, Norsett, Wanner": "hairer1993solving",
    "Hairer, Lubich, Wanner": "hairer2006geometric",
    "BIT 51": "hochbruck2011exponential",
    "Numer. Anal. 43": "hochbruck2005explicit",
    "Bashforth and Adams": "bashforth1883attempt",
    "Moulton, New": "moulton1926new",
    "Polyak": "polyak1964some",
    "Nesterov, Soviet": "nesterov1983method",
    "Heun, Z": "heun1900neue",
    "Runge, Math": "runge1895numerische",
    "Kutta, Z": "kutta1901beitrag",
    "Ralston, Runge": "ralston1962runge",
    "van der Houwen": "vanderhouwen1977construction",
    "Shu and Osher": "shu1988efficient",
    "Kraaijevanger": "kraaijevanger1991contractivity",
    "Spiteri and Ruuth": "spiteri2002new",
    "Cox and Matthews": "cox2002exponential",
    "Krogstad": "krogstad2005generalized",
    "Strehmel and Weiner": "strehmel1992linear",
    "Strang, SIAM": "strang1968construction",
    "Crowson": "crowson2022k",
    "diffusers": "vonplaten2022diffusers",
    "GHVB: Wizadwongsa": "wizadwongsa2024diffusion",
}
"""Words of a reference that has no arXiv number, and its key."""


GREEK_NAME = re.compile(rf"(?<![\w\\-])({'|'.join(set(GREEK) - {'pi'})})(?![\w-])")
"""A Greek letter's name in a sentence."""


INTEGRAL = re.compile(r"((?:[a-z]\w*\([a-z]\) = )?int_0\^\w .*?\bd[a-z]\b)")
"""An integral in a sentence, with what it is equal to."""


@cache
def bibliography(path: Path = BOOK / "references.bib") -> tuple[dict[str, str], frozenset[str]]:
    """Return (arXiv number: key) and all the keys of the bibliography."""
    entries = re.split(r"^@", path.read_text(), flags=re.MULTILINE)[1:]
    keys = [re.match(r"\w+\{([^,]+),", entry)[1] for entry in entries]  # type: ignore[index]
    numbers = [re.search(r"eprint\s*=\s*\{([^}]+)\}", entry) for entry in entries]
    known = {found[1]: key for key, found in zip(keys, numbers, strict=True) if found}
    return known, frozenset(keys)


def keys(text: str) -> list[str]:
    """Return the keys of the works that a reference names, in its order."""
    numbers, _ = bibliography()
    found = [(text.index(number), key) for number, key in numbers.items() if number in text]
    found += [(text.index(words), key) for words, key in PRINTED.items() if words in text]
    return list(dict.fromkeys(key for _, key in sorted(found)))


def references(name: str, method: Method) -> tuple[str, list[str]]:
    """Return what a family's reference says and the keys of the works in it."""
    said = documentation.of(name, method).references or method.reference
    return said, keys(said) or keys(method.reference)


def options(name: str) -> list[tuple[str, str, str]]:
    """Return (option, default, meaning) of a family."""
    family = FAMILIES[name]
    method = family.member()
    said: dict[str, str] = {}
    for documented in (documentation.WRAPPED.get(name), family.build, type(method), AdamsBashforth):
        said = {**_parameters(inspect.getdoc(documented) or ""), **said}
    said |= {"tableau": f"The name of the array: {family.summary.partition('by name: ')[2]}."}
    said |= {"order": said["points"]} if name == "ipndm-v" else {}
    return [(option, _default(name, method, option), _resolved(option, said[option])) for option in family.options]


def _default(name: str, method: Method, option: str) -> str:
    """Return an option's default as the registry has it, "needed" where there is none."""
    default = inspect.signature(FAMILIES[name].build).parameters.get(option)
    if default is not None and default.default is not default.empty:
        return _shown(default.default)
    if option in FAMILIES[name].example:
        return f"needed; {_shown(FAMILIES[name].example[option])} here"
    of = next((one for one in (method, getattr(method, "base", None)) if hasattr(one, option)), None)
    wrapped = documentation.WRAPPED.get(name)
    stated = inspect.signature(wrapped).parameters.get(option) if wrapped else None
    if stated is not None and stated.default is not stated.empty and (of is None or option == "formulation"):
        return _shown(stated.default)
    return _shown(getattr(of, option)) if of is not None and option != "order" else "needed"


def _resolved(option: str, meaning: str) -> str:
    """Return a meaning with the words of the class it points to in the place of the pointer."""
    found = re.match(r"As in `(\w+)`\.?;? ?", meaning)
    if found is None:
        return meaning
    elsewhere = _parameters(inspect.getdoc(getattr(import_module("numdiff.methods"), found[1])) or "").get(option)
    if elsewhere is None:
        return meaning
    rest = meaning[found.end() :]
    return f"{elsewhere} {rest[:1].upper()}{rest[1:]}".strip()


def _parameters(text: str) -> dict[str, str]:
    """Return the descriptions of a docstring's section "Parameters" by name."""
    found = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n---|\Z)", text, re.MULTILINE | re.DOTALL)
    pieces = re.split(r"^(?=\S)", found[1], flags=re.MULTILINE)[1:] if found else []
    said = {}
    for piece in pieces:
        head, _, body = piece.partition("\n")
        said |= {one.strip(" *"): " ".join(body.split()) for one in head.partition(":")[0].split(",")}
    return said


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str) or value is None else str(value).removeprefix("tau=")


# --- Markdown ---------------------------------------------------------------------------------------------------------


def literal(text: str) -> str:
    """Return plain text so that Markdown takes it as it is."""
    return re.sub(r"([\\*_\[\]<>$`|~#])", r"\\\1", text)


def markdown(text: str, escaped: Callable[[str], str] = literal) -> str:
    """Return a docstring's sentences as Markdown: code stays code, symbols are typeset, the rest is `escaped`."""
    parts = re.split(r"(``[^`]+``|`[^`]+`)", text)
    return "".join(f"`{part.strip('`')}`" if i % 2 else _typed(part, escaped) for i, part in enumerate(parts))


def symbols(text: str) -> str:
    """Return what the symbols of a formula are as Markdown, Greek letters typeset wherever they stand."""
    parts = INTEGRAL.split(text)
    said = [markdown(part, lambda one: GREEK_NAME.sub(r"$\\\1$", literal(one))) for part in parts[::2]]
    typed = [f"${tex(part)}$" for part in parts[1::2]]
    return "".join(piece for pair in zip_longest(said, typed, fillvalue="") for piece in pair)


def capital(text: str) -> str:
    """Return a summary as the beginning of a sentence; names with a small letter before a capital keep it."""
    return text if text[1:2].isupper() else text[:1].upper() + text[1:]


def _typed(text: str, escaped: Callable[[str], str]) -> str:
    return typeset(text.replace("`", ""), escaped) if text else ""


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown; cells are Markdown already."""
    cells = [[cell.replace("\n", " ") for cell in row] for row in [head, [":--"] * len(head), *rows]]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
