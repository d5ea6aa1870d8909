"""``numdiff methods``: the families with their claims, one of them in full, or every name that a sampler has."""

from __future__ import annotations

import argparse
import dataclasses
from fractions import Fraction
from textwrap import wrap
from typing import Any

from numdiff.cli import documentation
from numdiff.cli.layout import columns, dump
from numdiff.cli.selection import split
from numdiff.formulations import Formulation
from numdiff.methods import FAMILIES, Method, find
from numdiff.methods.registry import Found, catalogue

STEPS = 10
WIDTH = 100


def run(options: argparse.Namespace) -> None:
    """List all families, show the one that is asked for, or list all names."""
    if options.aliases:
        _list_aliases(options)
    elif options.family is None:
        _list_families(options)
    else:
        name, order = split(options.family)
        _show(find(name), order, options, name)


def _list_families(options: argparse.Namespace) -> None:
    if options.json:
        dump([_entry(name) for name in FAMILIES])
        return
    head = ("family", "example", "order", "noise", "NFE", "options", "also called", "what it is")
    print(columns([head, *map(_row, FAMILIES)]))
    print(f"\nNFE: evaluations of {STEPS} steps of the example; order: weak order where there is noise.")
    print("numdiff methods NAME shows one in full; --aliases lists the names that samplers have in other libraries.")


def _row(name: str) -> tuple[str, ...]:
    family = FAMILIES[name]
    method = family.member()
    example = " ".join(f"{option}={value}" for option, value in family.example.items())
    return (
        name,
        example or "-",
        str(method.order if method.weak_order is None else method.weak_order),
        "yes" if method.stochastic else "-",
        str(method.nfe(STEPS)),
        " ".join(family.options) or "-",
        " ".join(family.aliases) or "-",
        family.summary,
    )


def _list_aliases(options: argparse.Namespace) -> None:
    chosen = catalogue.ALIASES if options.family is None else catalogue.of_family(find(options.family).family)
    if options.json:
        dump([_alias(alias) for alias in chosen])
        return
    rows = [("name", "library", "what it stands for"), *((a.name, a.library, a.described) for a in chosen)]
    print(columns(rows))


def _alias(alias: catalogue.Alias) -> dict[str, Any]:
    stands_for = {option: _plain(value) for option, value in alias.settings}
    return {
        "name": alias.name,
        "library": alias.library,
        "family": alias.family,
        "options": stands_for,
        "note": alias.note,
    }


def _plain(value: Any) -> Any:
    """Return a value that JSON has: numbers that it lacks and formulations as text."""
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


# --- one family -------------------------------------------------------------------------------------------------------


def _show(found: Found, order: int | None, options: argparse.Namespace, asked: str) -> None:
    family = FAMILIES[found.family]
    given = {**(found.options or family.example), **({} if order is None else {"order": order})}
    method = family.build(**{**family.example, **given} if _incomplete(found) else given)
    entry = _entry(found.family, method, asked)
    if options.json:
        dump([{**entry, "published": found.published, "grid": found.grid, "note": found.note}])
        return
    rows = [
        ("family", found.family),
        ("what it is", family.summary),
        ("also called", " ".join(family.aliases) or "-"),
        ("options", " ".join(family.options) or "-"),
        ("for example" if found.options == {} else "stands for", _call(found.family, given)),
        ("builds", constructed(method)),
        ("order", f"{method.order} with exact starts"),
        ("weak order", "-" if method.weak_order is None else str(method.weak_order)),
        ("evaluations", f"{method.stages} a step, {method.nfe(STEPS)} for {STEPS} steps"),
        ("published", found.published),
        ("note", found.note),
        ("grid", found.grid or ""),
        ("claims", entry["claims"]),
        ("references", entry["references"]),
        *((library, _names_in(found.family, library)) for library in entry["names"]),
    ]
    print(columns([line for label, text in rows if text for line in _wrapped(label, text)]))
    print("\n".join(["", entry["formula"], "", *wrap(entry["symbols"], WIDTH + 20)]).rstrip())


def _names_in(family: str, library: str) -> str:
    """Return the names of a family's members in a library, each with the options that it stands for."""
    found = [alias for alias in catalogue.of_family(family) if alias.library == library]
    options = [", ".join(f"{name}={_shown(name, value)}" for name, value in alias.settings) for alias in found]
    return ", ".join(f"{a.name} ({text})" if text else a.name for a, text in zip(found, options, strict=True))


def _shown(name: str, value: Any) -> str:
    """Return the value of an option as text, without the option's name, with which a noise level begins."""
    return str(_plain(value)).removeprefix(f"{name}=")


def _incomplete(found: Found) -> bool:
    """Tell whether a name leaves open what its family needs."""
    return not set(FAMILIES[found.family].example) <= set(found.options)


def _wrapped(label: str, text: str) -> list[tuple[str, str]]:
    lines = wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
    return [(label if i == 0 else "", line) for i, line in enumerate(lines)]


def _call(family: str, options: dict[str, Any]) -> str:
    return f"nd.method({', '.join([repr(family), *(f'{name}={constructed(x)}' for name, x in options.items())])})"


def _entry(name: str, method: Method | None = None, asked: str = "") -> dict[str, Any]:
    family = FAMILIES[name]
    method = method or family.member()
    documented = documentation.of(name, method, asked)
    names: dict[str, list[str]] = {}
    for alias in catalogue.of_family(name):
        names.setdefault(alias.library, []).append(alias.name)
    return {
        "family": name,
        "summary": family.summary,
        "options": list(family.options),
        "aliases": list(family.aliases),
        "example": {option: _plain(value) for option, value in family.example.items()},
        "builds": constructed(method),
        "order": method.order,
        "weak_order": method.weak_order,
        "stochastic": method.stochastic,
        "stages": method.stages,
        "nfe": {"steps": STEPS, "evaluations": method.nfe(STEPS)},
        "published": family.published or "as published",
        "formula": documented.formula,
        "symbols": documented.symbols,
        "claims": documented.claims,
        "references": documented.references,
        "reference": method.reference,
        "names": names,
    }


def constructed(value: Any) -> str:
    """Return a method as the call that makes it, formulations by their names."""
    if isinstance(value, Formulation):
        return repr(value.name)
    if isinstance(value, tuple) and len(value) > 0:
        return f"({', '.join(map(constructed, value))},)"
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return str(value) if isinstance(value, Fraction) else repr(value)
    shown = [item.name for item in dataclasses.fields(value) if item.init]
    body = ", ".join(f"{name}={constructed(getattr(value, name))}" for name in shown)
    return f"{type(value).__name__}({body})"
