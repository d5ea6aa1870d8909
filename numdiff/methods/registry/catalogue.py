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
    "alignyourstepsgits": "nd.grids.from_sigmas",
    "aysgits": "nd.grids.from_sigmas",
    "kloptimal": "nd.grids.from_sigmas",
    "linearquadratic": "nd.grids.from_sigmas",
    "turbo": "nd.grids.uniform_t",
    "automatic": "",
}
"""Words for a grid behind a sampler's name, and what makes such a grid; "automatic" leaves it to the menu."""

_PREFIXES = {"comfy": "ComfyUI", "a1111": "AUTOMATIC1111", "webui": "AUTOMATIC1111", "kdiff": "k-diffusion"}


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
        return described(self.family, self.options)

    def __str__(self) -> str:
        """Return "library:name"."""
        return f"{self.library}:{self.name}"


def described(family: str, options: Mapping[str, Any]) -> str:
    """Return a family with options, as in "unipc(order=3, rule='bh1')"."""
    return f"{family}({', '.join(f'{name}={shown(name, value)}' for name, value in options.items())})"


def shown(option: str, value: Any) -> str:
    """Return the value of an option as text, without the option's name, which a `Tau` begins with."""
    return repr(value) if isinstance(value, str) else str(value).removeprefix(f"{option}=")


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
    """Return (library, name) from "library:name" or "library.name", and (None, text) where no library stands first."""
    first, mark, rest = re.match(r"([^:.]*)([:.]?)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    library = next((one for one in LIBRARIES if key(one) == key(first)), _PREFIXES.get(key(first)))
    if not mark or library is None:
        return None, text
    return library, (rest.rpartition(".")[2] if mark == "." else rest).strip()


def split_grid(text: str) -> tuple[str, str | None]:
    """Return (name, grid) from a name with a word for the grid behind it: "DPM++ 2M Karras", "dpmpp_2m_karras"."""
    for gap in re.finditer(r"[\s_-]+", text):
        grid = GRIDS.get(key(text[gap.end() :]))
        if grid is not None and gap.start():
            return text[: gap.start()], grid
    return text, None


def _spellings(name: str) -> tuple[str, ...]:
    """Return the name, and without what libraries put around it: sample_NAME, k_NAME, and _a for _ancestral."""
    bare = re.sub(r"^(sample|k)_(?=[a-z])", "", name, flags=re.IGNORECASE)
    return name, bare, re.sub(r"_a$", "_ancestral", bare)


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
    asked = {spelt(spelling) for spelling in _spellings(name)}
    return tuple(alias for alias in ALIASES if spelt(alias.name) in asked and library in (None, alias.library))


def schedulers(text: str, spelt: Callable[[str], str] = key) -> tuple[Alias, ...]:
    """Return the aliases of a class of diffusers whose name lacks its end "Scheduler"."""
    library, name = split_library(text)
    return aliases(f"diffusers:{name}Scheduler", spelt) if library in (None, "diffusers") else ()


def outside(text: str) -> str | None:
    """Return why a sampler of that name cannot be built, as a sentence's end, or None if the name is unknown."""
    name = split_library(text)[1]
    asked = {key(spelling) for spelling in (*_spellings(name), f"{name}Scheduler")}
    for table, what in ((OUTSIDE, "is not a fixed-step linear method"), (ABSENT, "has no family here")):
        for names, reason in table.items():
            if asked & set(map(key, names.split("|"))):
                return f"{what}: {reason}"
    return None


def of_family(family: str) -> tuple[Alias, ...]:
    """Return the aliases that a family's members have."""
    return tuple(alias for alias in ALIASES if alias.family == family)
