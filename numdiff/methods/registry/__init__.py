"""The registry: every family by name, with its options and claims, for tests, tables, plots and the command line.

A name is a family's, an alias of one, or a sampler's in a library (`numdiff.methods.registry.catalogue`). Registering a
family here puts it under every test of the registry.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any, NoReturn

from numdiff._names import nearest, suggest
from numdiff.methods.base import Method
from numdiff.methods.registry import catalogue
from numdiff.methods.registry.families import FAMILIES, Family
from numdiff.methods.registry.names import FOLLOWING
from numdiff.methods.registry.variants import AS_PUBLISHED

__all__ = ["FAMILIES", "Family", "Found", "find", "method", "register"]


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
        What the catalogue says about the name, and who else calls a sampler so.
    name
        The name in its library, or the family's.
    order
        The order that stands behind a family's name, as in "ghvb3", which is one of `options` too; else None.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.methods import find
    >>> found = find("DPM++ 2M Karras")
    >>> found.family, found.options, found.grid
    ('dpmpp', {'order': 2, 'rule': 'half'}, 'nd.grids.karras')
    >>> print(found.published)
    as published
    """

    family: str
    options: dict[str, Any]
    grid: str | None = None
    note: str = ""
    name: str = ""
    order: int | None = None

    @property
    def published(self) -> str:
        """What is published and what is repaired, about the method if the name fixes options, else about the family."""
        chosen = FAMILIES[self.family]
        return chosen.status(self.options) if self.options else chosen.published or AS_PUBLISHED


def families() -> dict[str, str]:
    """Return (name or alias of a family: the family)."""
    return {alias: key for key, f in FAMILIES.items() for alias in (key, *f.aliases)}


def find(name: str) -> Found:
    """Return the family and options of a name: a family, an alias of one, or a sampler's name in a library.

    Parameters
    ----------
    name
        For example "ghvb", "ghvb3" (its order behind it), "dpmpp_2m", "DPM++ 2M Karras", "DPMSolverMultistepScheduler"
        or "diffusers:DEIS...". A family's name is the family's, whatever else is called so; a sampler's name goes
        before a family with its order ("DPM2", "UniPC-3"). `Found.note` tells of both.

    Returns
    -------
    Found
        With the ``family``, the ``options`` that the name stands for, the ``grid``, a ``note`` and the ``order``.

    Raises
    ------
    ValueError
        For an empty or unknown name, with the nearest known one; for one that libraries give to different samplers;
        for a sampler that is no fixed-step linear method, with the reason.
    TypeError
        If it is no text.

    Examples
    --------
    >>> from numdiff.methods import find
    >>> found = find("UniPCMultistepScheduler")
    >>> found.family, found.options
    ('unipc', {'order': 2, 'rule': 'bh2'})
    >>> find("ghvb3").order
    3
    >>> find("euler_a").family
    'ancestral'
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be the text of a name such as 'ghvb' or 'DPM++ 2M', got {name!r}")
    if not name.strip():
        raise ValueError("name is empty; give a family or a sampler's name, such as 'ghvb' or 'DPM++ 2M'")
    short, grid = catalogue.split_grid(name.strip())
    texts = ((name.strip(), None), (short, grid))[: 1 if grid is None else 2]
    for text, spaced in texts:
        found = _found(text)
        if found:
            return replace(found, grid=spaced or None)
    for text, _ in texts:
        reason = catalogue.outside(text)
        if reason:
            raise ValueError(f"{name} {reason}")
    _unknown(name.strip())


def _found(text: str) -> Found | None:
    """Return what a name without a grid stands for, as it is written first: uni_pc is ComfyUI's, uni-pc the family."""
    library, _ = catalogue.split_library(text)
    for spelt in (str.lower, catalogue.key):
        known = {spelt(alias): key for alias, key in families().items()}
        if library is None and spelt(text) in known:
            family = known[spelt(text)]
            return Found(family, {}, note=_elsewhere(text, family, {}), name=family)
        named = catalogue.aliases(text, spelt) or catalogue.schedulers(text, spelt)
        if named:
            return _one_of(named, text)
    if library is not None or catalogue.outside(text):
        return None
    ordered, order = _with_order(text)
    return None if ordered is None else Found(ordered, {"order": order}, name=ordered, order=order)


def _with_order(text: str) -> tuple[str | None, int | None]:
    """Return (family, order) from "ghvb3", "ghvb-3" or "ghvb 3", if the family has orders."""
    match = re.fullmatch(r"(.*?)[\s_-]*(\d{1,2})", text)
    known = {catalogue.key(alias): key for alias, key in families().items()}
    family = known.get(catalogue.key(match[1])) if match else None
    if match is None or family is None or "order" not in FAMILIES[family].options:
        return None, None
    return family, int(match[2])


def _one_of(found: tuple[catalogue.Alias, ...], name: str) -> Found:
    """Return what all of the aliases stand for, or ask which is meant."""
    family, order = _with_order(name)
    own = {} if family is None else {"order": order}
    if len({(alias.family, alias.settings) for alias in found}) > 1:
        if family is not None and any((alias.family, alias.options) == (family, own) for alias in found):
            return Found(family, own, note=_elsewhere(name, family, own), name=family, order=order)
        each = "; ".join(f'"{alias}" is {alias.described}' for alias in found)
        raise ValueError(f"{name!r} is the name of different samplers, choose one: {each}")
    first = found[0]
    notes = [first.note]
    if family is not None and not _same((first.family, first.options), (family, own)):
        notes.append(f"the family's own of that order is {catalogue.described(family, own)}")
    return Found(first.family, first.options, note="; ".join(filter(None, notes)), name=first.name)


def _elsewhere(name: str, family: str, options: dict[str, Any]) -> str:
    """Say which libraries mean something else by a family's name, and how to write it."""
    different: dict[str, list[str]] = {}
    for alias in catalogue.aliases(name):
        if not _same((alias.family, alias.options), (family, options)):
            different.setdefault(alias.described, []).append(f'"{alias}"')
    if not different:
        return ""
    each = "; ".join(f"{' and '.join(names)} is {what}" for what, names in different.items())
    return f"the name is another sampler's elsewhere: {each}"


def _same(one: tuple[str, dict[str, Any]], other: tuple[str, dict[str, Any]]) -> bool:
    """Tell whether (family, options) build the same method; what cannot be built is the same as itself only."""
    try:
        return bool(FAMILIES[one[0]].build(**one[1]) == FAMILIES[other[0]].build(**other[1]))
    except (TypeError, ValueError):
        return one == other


def _unknown(name: str) -> NoReturn:
    """Raise the error for an unknown name, with the nearest of all the names there are."""
    best = nearest(name, [*families(), *(alias.name for alias in catalogue.ALIASES)])
    hint = f"did you mean {best!r}? " if best is not None else ""
    raise ValueError(
        f"unknown method {name!r}; {hint}numdiff methods lists the families, and with --aliases the names of samplers "
        "in libraries"
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

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.methods import FAMILIES, register
    >>> def build(order=2):
    ...     return nd.HeavyBall(nd.PLMS(order), beta=0.8)

    >>> register("my-momentum", build, summary="a heavy ball on PLMS", options=("order",))
    >>> print(nd.method("my-momentum", order=3))
    HB(AB3 noise/ratio uniform, 0.8)
    >>> del FAMILIES["my-momentum"]  # for the next run of this example
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
        A family, also with its order behind it ("ghvb3"), an alias of one, or a sampler's name in a library, which
        stands for options too: "dpmpp_2m", "UniPCMultistepScheduler", "ComfyUI:deis". A word for the grid, as in
        "DPM++ 2M Karras", changes nothing: a method is not its grid, which `discretize` takes; ``find(name).grid``
        says what makes it.
    options
        Options of the family, which override those that the name stands for.

    Returns
    -------
    Method
        The member.

    Raises
    ------
    ValueError
        As `find`; for an unknown option, with the nearest known one; for a missing option; for one that contradicts
        what the name stands for.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.method("ghvb", order=3, beta=0.8) == nd.GHVB(3, 0.8)
    True
    >>> for name in ("dpmpp_2m", "DPM2 a", "diffusers:DEISMultistepScheduler"):
    ...     print(nd.method(name))
    AB2 data/log-snr half
    Ancestral(DPM-Solver-2S dpmsolver noise/log-snr, eta=1)
    AB2 noise/log-snr

    >>> nd.method("gvhb")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: unknown method 'gvhb'; did you mean 'ghvb'? ...
    """
    found = find(name)
    chosen = FAMILIES[found.family]
    _check_options(name, found, options)
    implied = [FOLLOWING.get(found.name, {}).get(item, {}) for item in options.items() if _hashable(item[1])]
    preset = {**found.options, **{key: value for each in implied for key, value in each.items()}}
    given = {**preset, **options}
    for parameter in signature(chosen.build).parameters.values():
        option, needed = parameter.name, parameter.default is parameter.empty
        if needed and parameter.kind is not parameter.VAR_KEYWORD and option not in given:
            raise ValueError(f"method {name} needs {option}, for example {option}={'0.8' if option == 'beta' else '2'}")
    try:
        return chosen.build(**given)
    except (TypeError, ValueError) as error:
        kept = {key: value for key, value in preset.items() if key not in options}
        if kept and options and _builds(chosen, options):
            raise ValueError(_contradiction(name, found.family, kept, error)) from error
        raise


def _hashable(value: Any) -> bool:
    return isinstance(value, (int, str))


def _check_options(name: str, found: Found, options: dict[str, Any]) -> None:
    """Refuse options that the family lacks, and an order beside the one in the name."""
    known = FAMILIES[found.family].options
    for option in options:
        if option not in known:
            if not known:
                raise ValueError(f"method {name} takes no options, got {option}")
            suggest(option, known, f"option of {name}")
    if found.order is not None and options.get("order", found.order) != found.order:
        raise ValueError(f"{name} has order {found.order}, but order={options['order']} is given; give one of them")


def _builds(family: Family, options: dict[str, Any]) -> bool:
    try:
        family.build(**options)
    except (TypeError, ValueError):
        return False
    return True


def _contradiction(name: str, family: str, kept: dict[str, Any], error: Exception) -> str:
    """Say which options come from the name and how to replace them."""
    given = ", ".join(f'{key}="{x}"' if isinstance(x, str) else f"{key}={x}" for key, x in kept.items())
    return (
        f"{error}. {given} comes with the name {name!r}: give another {' or '.join(kept)}, or begin with the family "
        f"{family!r}"
    )
