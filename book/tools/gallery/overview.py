"""The tables of `gallery/compare.md` and the cards of `gallery/index.md`, as HTML that these pages include."""

from __future__ import annotations

from html import escape
from typing import Any

from book.computed.gallery_work_precision import measure
from book.tools.gallery import figures
from book.tools.gallery.calls import described
from book.tools.gallery.facts import Facts
from book.tools.gallery.page import MEASURES, RESULT, STEPS, evaluations
from book.tools.results import stored
from book.tools.show import Raw, Table
from numdiff.methods import (
    BDIA,
    FAMILIES,
    GHVB,
    ExponentialRungeKutta,
    FilteredAdams,
    Method,
    Momentum,
    MultistepSplitting,
    PredictorCorrector,
    RungeKutta,
    SingleStep,
    Strang,
)
from numdiff.methods.registry import catalogue

BUDGET = 10
"""Evaluations of the errors in the table."""

GROUPS: dict[str, tuple[type, ...]] = {
    "Momentum": (Momentum, GHVB, FilteredAdams),
    "Predictor-corrector": (PredictorCorrector,),
    "Runge-Kutta": (RungeKutta,),
    "Exponential Runge-Kutta": (ExponentialRungeKutta, SingleStep),
    "Splitting of guidance": (MultistepSplitting, Strang),
    "Invertible": (BDIA,),
}
"""Kinds of methods without noise; what is none of these is a multistep method, what adds noise is stochastic."""


def group(method: Method) -> str:
    """Return the group of a method."""
    if method.stochastic:
        return "Stochastic"
    return next((name for name, kinds in GROUPS.items() if isinstance(method, kinds)), "Adams")


def link(name: str, label: str = "") -> Raw:
    """Return a link to a family's page."""
    return Raw(f'<a href="methods/{name}.html">{escape(label or name)}</a>')


def compare(facts: dict[str, Facts]) -> str:
    """Return the table of all families."""
    errors = [f"{MEASURES[kind][0]} at {BUDGET}" for kind in MEASURES]
    columns = ["method", "group", "order", "weak order", f"evaluations for {STEPS} intervals", *errors]
    columns += ["formulation", "error constant", "real interval", "imaginary interval", "elsewhere"]
    rows = [_row(name, facts[name]) for name in FAMILIES]
    return Table(rows, columns, "All families of the registry", tools=True)._repr_html_()


def _row(name: str, facts: Facts) -> list[Any]:
    method = FAMILIES[name].member()
    kind = measure(method)
    error = at_budget(stored(RESULT)["curves"][kind].get(name, {}))
    names = catalogue.of_family(name)
    region = facts["region"] if facts["region"]["value"] else {"real": None, "imaginary": None}
    return [
        named(name, method),
        group(method),
        method.order,
        _number(method.weak_order),
        method.nfe(STEPS),
        *(_number(error if one == kind else None) for one in MEASURES),
        "default" if method.formulation is None else method.formulation.name,
        _number(facts["constant"]["number"]),
        _number(region["real"]),
        _number(region["imaginary"]),
        str(names[0].name) if names else "\N{EN DASH}",
    ]


def named(name: str, method: Method) -> Raw:
    """Return the link to a family's page, with every name by which the filter above the table finds it."""
    family = FAMILIES[name]
    own = [method.name, family.summary, *family.aliases]
    elsewhere = [text for alias in catalogue.of_family(name) for text in (alias.name, alias.library)]
    known = escape(" ".join(dict.fromkeys([*own, *elsewhere])), quote=True)
    return Raw(f'<span data-search="{known}">{link(name)}</span>')


def at_budget(curves: dict[str, dict[str, float]]) -> float | None:
    """Return the error of the longest run within the budget."""
    return next((error for n, error, _ in reversed(figures.best(curves)) if n <= BUDGET), None)


def _number(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


def aliases() -> str:
    """Return the table of the names that samplers have elsewhere."""
    columns = [
        "name",
        "where",
        "what it builds",
        "order",
        "weak order",
        f"evaluations for {STEPS} intervals",
        "published?",
    ]
    rows = [_alias(one) for one in catalogue.ALIASES]
    return Table(rows, columns, "Names in libraries and papers", tools=True)._repr_html_()


def _alias(alias: catalogue.Alias) -> list[Any]:
    family = FAMILIES[alias.family]
    method = family.build(**alias.options)
    builds = Raw(f"<code>{escape(described(alias))}</code>")
    status = family.status(alias.options)
    return [
        link(alias.family, alias.name),
        alias.library,
        builds,
        method.order,
        _number(method.weak_order),
        method.nfe(STEPS),
        status,
    ]


def cards(facts: dict[str, Facts]) -> str:
    """Return the families as cards, group by group."""
    members = {name: family.member() for name, family in FAMILIES.items()}
    parts = []
    for title in ("Adams", *GROUPS, "Stochastic"):
        chosen = [name for name, method in members.items() if group(method) == title]
        items = "".join(f"<li>{_card(name, members[name], facts[name])}</li>" for name in chosen)
        parts.append(f'<h2>{title}</h2><ul class="nd-cards">{items}</ul>')
    return "\n".join(parts)


def _card(name: str, method: Method, facts: Facts) -> str:
    picture = facts["thumbnail"] or '<span class="nd-thumb nd-none">no region</span>'
    order = f"order {method.order}" if method.weak_order is None else f"weak order {method.weak_order}"
    return (
        f'<a class="nd-card" href="methods/{name}.html">{picture}<strong>{name}</strong>'
        f"<span>{escape(FAMILIES[name].summary)}</span><small>{order}, evaluations: {evaluations(method)}</small></a>"
    )
