"""``numdiff order``: the order that runs show, beside the one that is claimed."""

from __future__ import annotations

import argparse
from typing import Any

from numdiff.cli.layout import columns, dump
from numdiff.cli.selection import chosen


def run(options: argparse.Namespace) -> None:
    """Measure the order and print it with its confidence."""
    from numdiff.study.orders import estimate, observe
    from numdiff.study.threads import limited

    method = chosen(options)
    with limited(1):
        found = observe(
            method,
            options.problem,
            start=options.start,
            grid=options.grid,
            steps=options.steps,
            points=options.points,
            seed=options.seed,
        )
    if options.json:
        setting = {name: getattr(options, name) for name in ("problem", "start", "grid", "seed")}
        dump({"method": method.name, "claimed": method.order, **setting, **estimate(found)})
        return
    note = _ignored(method, options)
    print(f"{method.name} on {options.problem}, {options.grid} grid, start {options.start}")
    errors = [(str(n), f"{error:.3e}") for n, error in zip(found.steps, found.errors, strict=True)]
    print(columns([("steps", "error"), *errors], indent=2))
    print(f"observed order  {found}")
    print(f"claimed order   {method.order} (with exact starts)")
    if note:
        print(note)


def _ignored(method: Any, options: argparse.Namespace) -> str:
    """Say so where a plain equation, which has no levels of noise, leaves a formulation without effect."""
    from numdiff import problems

    if options.problem not in problems.odes() or (method.kernel == 0 and options.formulation is None):
        return ""
    name = method.formulation.name if method.formulation else "of the method"
    return (
        f"note: formulation {name} plays no part, as {options.problem} is a plain equation without levels of noise; "
        "a mixture (--problem correlated) shows it"
    )
