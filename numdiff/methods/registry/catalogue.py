"""The names that samplers have elsewhere: each with the family and the options that it stands for.

A sampler is called DPMSolverMultistepScheduler in diffusers, sample_dpmpp_2m in k-diffusion, dpmpp_2m in ComfyUI,
"DPM++ 2M" in AUTOMATIC1111's menus and DPM-Solver++(2M) in its paper. All of these are one entry here, and
`numdiff.methods.method` builds it from any of them.

Names are compared without case, spaces and punctuation, "++" being "pp". A word for the grid that menus put behind a
sampler ("Karras", "SGM Uniform") is understood and left to the caller, since a method is not its grid. Where
libraries give one name to different samplers, ``"library:name"`` chooses; a family's own name is the family's.

What is no linear method with fixed steps cannot be built; `outside` says why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from numdiff.methods.registry.names import ABSENT, OUTSIDE, ROWS

LIBRARIES = ("diffusers", "k-diffusion", "ComfyUI", "AUTOMATIC1111", "paper")

GRIDS = {
    "karras": "nd.grids.karras",
    "exponential": "nd.grids.uniform_log_snr",
    "polyexponential": "nd.grids.from_sigmas",
    "sgmuniform": "nd.grids.uniform_t",
    "ddimuniform": "nd.grids.uniform_t",
    "uniform": "nd.grids.uniform_t",
    "normal": "nd.grids.uniform_t",
    "simple": "nd.grids.uniform_t",
    "beta": "nd.grids.from_sigmas",
    "alignyoursteps": "nd.grids.from_sigmas",
    "ays": "nd.grids.from_sigmas",
}
"""Words for a grid behind a sampler's name, and what makes such a grid."""


@dataclass(frozen=True)
class Alias:
    """A sampler's name in a library.

    Parameters
    ----------
    name
        As it is written there.
    library
        One of `LIBRARIES`.
    family
        A name of `numdiff.methods.FAMILIES`.
    settings
        The options that the name stands for.
    note
        What differs there, or how to get it; empty for nothing.
    """

    name: str
    library: str
    family: str
    settings: tuple[tuple[str, Any], ...] = ()
    note: str = ""

    @property
    def options(self) -> dict[str, Any]:
        """The options as keyword arguments."""
        return dict(self.settings)

    @property
    def described(self) -> str:
        """The family with the options, as in "unipc(order=3, rule='bh1')"."""
        shown = (
            f"{option}={value!r}" if isinstance(value, str) else f"{option}={value}" for option, value in self.settings
        )
        return f"{self.family}({', '.join(shown)})"

    def __str__(self) -> str:
        """Return "library:name"."""
        return f"{self.library}:{self.name}"


def key(name: str) -> str:
    """Return what two spellings of a name have in common."""
    text = name.lower().replace("++", "pp").replace("\N{GREEK SMALL LETTER RHO}", "rho")
    return re.sub(r"[\s_\-./,()]+", "", text)


def _expanded(rows: Iterable[tuple[str, Mapping[str, Any], Mapping[str, str], str]]) -> tuple[Alias, ...]:
    return tuple(
        Alias(name.strip(), library, family, tuple(options.items()), note)
        for family, options, names, note in rows
        for library, listed in names.items()
        for name in listed.split("|")
    )


ALIASES = _expanded(ROWS)
"""Every name of every library."""


def split_library(text: str) -> tuple[str | None, str]:
    """Return (library, name) from "library:name", and (None, text) where no library of `LIBRARIES` stands first."""
    first, colon, rest = text.partition(":")
    library = next((one for one in LIBRARIES if key(one) == key(first)), None)
    return (library, rest.strip()) if colon and library else (None, text)


def split_grid(text: str) -> tuple[str, str | None]:
    """Return (name, grid) from a name with a word for the grid behind it, as in "DPM++ 2M Karras"."""
    words = text.split()
    for i in range(1, len(words)):
        if key("".join(words[i:])) in GRIDS:
            return " ".join(words[:i]), GRIDS[key("".join(words[i:]))]
    return text, None


def aliases(text: str, spelt: Callable[[str], str] = key) -> tuple[Alias, ...]:
    """Return the aliases of that name: one, or several where libraries share it, or none.

    Parameters
    ----------
    text
        "name" or "library:name".
    spelt
        What two spellings have in common.
    """
    library, name = split_library(text)
    asked = (spelt(name), spelt(re.sub(r"^sample_(?=[a-z])", "", name)))
    return tuple(alias for alias in ALIASES if spelt(alias.name) in asked and library in (None, alias.library))


def outside(text: str) -> str | None:
    """Return why a sampler of that name cannot be built, as a sentence's end, or None if the name is unknown."""
    name = key(re.sub(r"^sample_(?=[a-z])", "", split_library(text)[1]))
    for table, what in ((OUTSIDE, "is not a fixed-step linear method"), (ABSENT, "has no family here")):
        for names, reason in table.items():
            if name in map(key, names.split("|")):
                return f"{what}: {reason}"
    return None


def of_family(family: str) -> tuple[Alias, ...]:
    """Return the aliases that a family's members have."""
    return tuple(alias for alias in ALIASES if alias.family == family)
