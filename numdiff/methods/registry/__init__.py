"""The registry: every family by name, with its options and claims, for tests, tables, plots and the command line.

A name is a family's, an alias of one, or a sampler's in a library (`numdiff.methods.registry.catalogue`). Registering a
family here puts it under every test of the registry.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any, NoReturn

from numdiff._names import nearest, suggest
from numdiff.methods.base import Method
from numdiff.methods.registry import catalogue
from numdiff.methods.registry.families import FAMILIES, Family


@dataclass(frozen=True)
class Found:
    """What a name stands for.

    Parameters
    ----------
    family
        A name of `FAMILIES`.
    options
        The options that the name fixes unless they are given.
    grid
        What makes the grid that the name asks for ("DPM++ 2M Karras"), or None.
    note
        What the catalogue says about the name.
    """

    family: str
    options: dict[str, Any]
    grid: str | None = None
    note: str = ""


def families() -> dict[str, str]:
    """Return (name or alias of a family: the family)."""
    return {alias: key for key, f in FAMILIES.items() for alias in (key, *f.aliases)}


def find(name: str) -> Found:
    """Return the family and options of a name: a family, an alias of one, or a sampler's name in a library.

    Parameters
    ----------
    name
        For example "ghvb", "dpmpp_2m", "DPM++ 2M Karras", "DPMSolverMultistepScheduler" or "diffusers:DEIS...". A
        family's name is the family's, whatever else is called so.

    Raises
    ------
    ValueError
        For an unknown name, with the nearest known one; for one that libraries give to different samplers; for a
        sampler that is no fixed-step linear method, with the reason.
    """
    if not isinstance(name, str):
        _unknown(name)
    library, _ = catalogue.split_library(name)
    short, grid = catalogue.split_grid(name)
    for text, spaced in ((name, None), (short, grid)):
        for spelt in (str.lower, catalogue.key):  # as it is written first: uni_pc is ComfyUI's, uni-pc the family
            known = {spelt(alias): key for alias, key in families().items()}
            if library is None and spelt(text) in known:
                return Found(known[spelt(text)], {}, spaced)
            found = catalogue.aliases(text, spelt)
            if found:
                return _one_of(found, text, spaced)
    for text in (name, short):
        reason = catalogue.outside(text)
        if reason:
            raise ValueError(f"{name} {reason}")
    _unknown(name)


def _one_of(found: tuple[catalogue.Alias, ...], name: str, grid: str | None) -> Found:
    """Return what all of the aliases stand for, or ask which is meant."""
    if len({(alias.family, alias.settings) for alias in found}) > 1:
        each = "; ".join(f'"{alias}" is {alias.described}' for alias in found)
        raise ValueError(f"{name!r} is the name of different samplers, choose one: {each}")
    return Found(found[0].family, found[0].options, grid, found[0].note)


def _unknown(name: object) -> NoReturn:
    """Raise the error for an unknown name, with the nearest of all the names there are."""
    best = nearest(name, [*families(), *(alias.name for alias in catalogue.ALIASES)])
    hint = f"did you mean {best!r}? " if best is not None else ""
    raise ValueError(
        f"unknown method {name!r}; {hint}known: {', '.join(sorted(families()))}, and samplers of libraries"
    )


def family(name: str) -> Family:
    """Return the family that a name stands for, without the options that it fixes; see `find`."""
    return FAMILIES[find(name).family]


def register(
    name: str,
    build: Callable[..., Method],
    *,
    summary: str,
    options: tuple[str, ...] = (),
    aliases: tuple[str, ...] = (),
) -> None:
    """Add a family to the registry of this process, so that `method` and the command line find it by name.

    Parameters
    ----------
    name
        Lower case, in letters, digits and hyphens.
    build
        Builds a member from keyword options.
    summary, options, aliases
        As in `Family`.

    Raises
    ------
    ValueError
        For a name or alias that is taken or has other characters; for options that `build` does not take.
    """
    taken = {catalogue.key(alias) for alias in families()}
    for new in (name, *aliases):
        if not isinstance(new, str) or not re.fullmatch(r"[a-z][a-z0-9+-]*", new):
            raise ValueError(f"a family's name must be lower-case letters, digits and hyphens, got {new!r}")
        if catalogue.key(new) in taken:
            raise ValueError(f"method {new!r} is registered already; choose another name")
    accepted = signature(build).parameters.values()
    open_ended = any(p.kind is p.VAR_KEYWORD for p in accepted)
    unknown = [option for option in options if not open_ended and option not in {p.name for p in accepted}]
    if unknown:
        raise ValueError(f"build does not take the options {', '.join(unknown)}; drop them")
    FAMILIES[name] = Family(build, tuple(options), summary, tuple(aliases))


def method(name: str, **options: Any) -> Method:
    """Return a member of a family by name, for example ``method("ghvb", order=3, beta=0.8)``.

    Parameters
    ----------
    name
        A family, an alias of one, or a sampler's name in a library, which stands for options too: "dpmpp_2m",
        "DPM++ 2M Karras" (the grid is the caller's), "UniPCMultistepScheduler", "ComfyUI:deis".
    options
        Options of the family, which override those that the name stands for.

    Raises
    ------
    ValueError
        As `find`; for an unknown option, with the nearest known one; for a missing option.
    """
    found = find(name)
    chosen = FAMILIES[found.family]
    for option in options:
        if option not in chosen.options:
            if not chosen.options:
                raise ValueError(f"method {name} takes no options, got {option}")
            suggest(option, chosen.options, f"option of {name}")
    given = {**found.options, **options}
    for parameter in signature(chosen.build).parameters.values():
        option, needed = parameter.name, parameter.default is parameter.empty
        if needed and parameter.kind is not parameter.VAR_KEYWORD and option not in given:
            raise ValueError(f"method {name} needs {option}, for example {option}={'0.8' if option == 'beta' else '2'}")
    return chosen.build(**given)
