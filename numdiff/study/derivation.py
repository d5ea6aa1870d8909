"""Stage 1 of the study: what is known about every scheme before it runs, derived by `numdiff.answers.summary`."""

from __future__ import annotations

from typing import Any

from numdiff.answers.summary import derive, record
from numdiff.study.progress import Progress
from numdiff.study.settings import SYMBOL, SchemeSettings, Spec


def specs(settings: SchemeSettings) -> list[tuple[str, Spec]]:
    """Return (family, spec) of every scheme in the table."""
    found = [("Adams-Bashforth", Spec(f"AB{k}", "ab", k)) for k in settings.adams]
    families = (
        ("heavy ball", "hb", settings.heavy_ball, settings.betas),
        ("GHVB", "ghvb", settings.ghvb, settings.betas),
        ("Nesterov", "nt", settings.nesterov, (SYMBOL,)),
    )
    for title, family, orders, betas in families:
        found += [(title, Spec(f"{family}{k} {beta}", family, k, beta)) for beta in betas for k in orders]
    return found


def units(settings: SchemeSettings) -> int:
    """Return the number of schemes."""
    return len(specs(settings))


def compute(settings: SchemeSettings, seed: int, progress: Progress) -> dict[str, Any]:
    """Derive every scheme; the table in Markdown and LaTeX comes with them."""
    from numdiff.properties.schemes import scheme_table, to_latex, to_markdown

    rows, methods = [], []
    for family, spec in specs(settings):
        method = spec.method()
        methods.append(method)
        rows.append({"family": family, "k": spec.order, "beta": spec.beta, **record(derive(method))})
        progress.advance(method.name)
    table = scheme_table(methods)
    return {"schemes": rows, "markdown": to_markdown(table), "latex": to_latex(table)}
