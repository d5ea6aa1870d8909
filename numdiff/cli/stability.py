"""``numdiff stability``: intervals, and the region as a figure."""

from __future__ import annotations

import argparse
from typing import Any

from numdiff.cli.derive import shown
from numdiff.cli.layout import columns, dump
from numdiff.cli.messages import in_options
from numdiff.cli.selection import chosen
from numdiff.cli.values import Symbol, UsageError


def run(options: argparse.Namespace) -> None:
    """Print the intervals, and draw the region if a file is named."""
    from numdiff.answers.expressions import expression, measured, roots
    from numdiff.answers.prose import plain
    from numdiff.answers.summary import MEANING_OF_Z
    from numdiff.properties import stability
    from numdiff.symbolic import latex

    if options.out is not None and isinstance(options.beta, Symbol):
        raise UsageError("--out draws a region, which needs a number for --beta; write --beta 0.8")
    method, h = chosen(options), None if options.step is None else float(options.step)
    exponential = method.kernel != 0
    found: dict[str, Any] = {"method": method.name, "notes": []}
    ends: dict[str, Any] = {}
    for name, interval in (("real", stability.real_interval), ("imaginary", stability.imaginary_interval)):
        try:
            end = interval(method, h=h)
            ends[name] = measured(end) if exponential else end
        except ValueError as error:
            if found["notes"]:  # there is none of the two
                raise
            ends[name] = None
            found["notes"].append(f"{name} interval: {in_options(str(error))}")
    derived = [end for end in ends.values() if end is not None]
    found |= {name: expression(end, latex.names(derived)) for name, end in ends.items()}
    if options.out is not None:
        found["figure"] = _draw(method, options, h, float((found["real"] or {}).get("float") or 0))
    if options.json:
        dump(found)
        return
    rows = [(title, shown(title, found[title.split()[0]])) for title in ("real interval", "imaginary interval")]
    print(f"{method.name}\n{columns(rows, indent=2)}")
    for note in found["notes"]:
        print(f"no {note}")
    for sentence in [*roots(derived), *([MEANING_OF_Z] if exponential else [])]:
        print(plain(sentence))
    if options.out is not None:
        print(f"wrote {found['figure']}")


def _draw(method: Any, options: argparse.Namespace, h: float | None, real: float) -> str:
    from numdiff._files import write_atomically
    from numdiff.properties import stability
    from numdiff.study import draw, regions

    extent = options.window or regions.fitted(method, real, h)
    mask = stability.region(method, regions.plane(extent, options.points), h=h)
    write_atomically(options.out, draw.rendered(draw.region(method, extent, mask), options.out.suffix[1:].lower()))
    return str(options.out)
