"""The import diagram of the architecture page, read off the code: who imports whom, and what each room is for.

Modules stand in an order in which each imports only those before it (a topological order, ties as in the text of the
code that defines it: `ORDER` of ``tests/test_layers.py``). An arc joins a module with one that it imports; an import
that follows from others (a imports b imports c, and a imports c) is drawn faint.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from html import escape
from pathlib import Path

import numdiff
from book.tools import pages
from book.tools.show import Raw, Table

ROOT = Path(numdiff.__file__).parent
ROW, LEFT, WIDTH = 22, 170, 640
"""Pixels: height of a row, where the arcs begin, width of the drawing."""


def room(name: str) -> str:
    """Return the room of a dotted module below numdiff: its first name, all of ``executor_*`` being one room."""
    first = name.split(".")[1]
    return next((core for core in ("executor", "drivers") if first.startswith(core)), first)


def sources() -> dict[str, list[Path]]:
    """Return the files of every room."""
    found: dict[str, list[Path]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        dotted = ".".join(("numdiff", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        if dotted != "numdiff":
            found.setdefault(room(dotted), []).append(path)
    return found


def imported(path: Path) -> Iterator[str]:
    """Yield the rooms that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "numdiff":
            yield from (room(f"numdiff.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("numdiff."):
            yield room(str(node.module))
        elif isinstance(node, ast.Import):
            yield from (room(alias.name) for alias in node.names if alias.name.startswith("numdiff."))


@cache
def imports() -> dict[str, frozenset[str]]:
    """Return which rooms every room imports, in an order in which only earlier ones are imported.

    ``phi`` asks ``symbolic`` about a SymPy number, inside a function: the one import against the order.
    """
    files = sources()
    edges = {
        name: {other for path in paths for other in imported(path)} & set(files) - {name}
        for name, paths in files.items()
    }
    edges["phi"].discard("symbolic")
    return {name: frozenset(edges[name]) for name in ordered(edges)}


def ordered(edges: dict[str, set[str]]) -> list[str]:
    """Return a topological order, in which a room stands as early as it can."""
    done: list[str] = []
    while len(done) < len(edges):
        ready = [name for name in sorted(edges) if name not in done and edges[name] <= set(done)]
        if not ready:
            raise ValueError(f"these rooms import one another in a circle: {sorted(set(edges) - set(done))}")
        done += ready
    return done


def reduced(edges: dict[str, frozenset[str]]) -> set[tuple[str, str]]:
    """Return the imports (importer, imported) that do not follow from others."""
    below: dict[str, set[str]] = {}
    for name, others in edges.items():
        below[name] = set(others).union(*(below[other] for other in others))
    return {(a, b) for a, others in edges.items() for b in others if not any(b in below[c] for c in others - {b})}


def arc(start: int, end: int, *, faint: bool) -> str:
    """Return the arc between two rows."""
    y0, y1 = (ROW * (row + 0.5) for row in (start, end))
    bulge = LEFT + 8 + (WIDTH - LEFT - 20) * (abs(end - start) / len(imports())) ** 0.75 * 1.3
    kind = "faint" if faint else "strong"
    return f'<path class="{kind}" d="M{LEFT} {y0:.0f} C{bulge:.0f} {y0:.0f} {bulge:.0f} {y1:.0f} {LEFT} {y1:.0f}"/>'


def label(row: int, name: str) -> str:
    """Return the name of a module and its dot."""
    y = ROW * (row + 0.5)
    return f'<text x="{LEFT - 10}" y="{y + 4:.0f}">{escape(name)}</text><circle cx="{LEFT}" cy="{y:.0f}" r="3"/>'


def drawing() -> str:
    """Return the diagram as inline SVG, which takes its colours from the page."""
    edges, names = imports(), list(imports())
    needed = reduced(edges)
    pairs = sorted(((a, b) for a in names for b in edges[a]), key=lambda pair: pair in needed)
    arcs = "".join(arc(names.index(a), names.index(b), faint=(a, b) not in needed) for a, b in pairs)
    labels = "".join(label(row, name) for row, name in enumerate(names))
    count = sum(map(len, edges.values()))
    text = f"{count} imports between {len(names)} modules, all upwards; the table below lists them"
    size = f'viewBox="0 0 {WIDTH} {ROW * len(names)}" width="{WIDTH}" height="{ROW * len(names)}"'
    picture = f'<svg class="numdiff-imports" role="img" aria-label="{text}" {size}>{arcs}{labels}</svg>'
    return f'<div class="numdiff-scroll" tabindex="0" role="region" aria-label="Import diagram">{picture}</div>\n'


def purpose(name: str) -> str:
    """Return the first sentence of a room's docstring."""
    path = ROOT / name / "__init__.py" if (ROOT / name).is_dir() else ROOT / f"{name}.py"
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n\n")[0].replace("\n", " ")


def listing() -> str:
    """Return the table of the rooms."""
    files, needed = sources(), reduced(imports())
    rows = []
    for name in imports():
        lines = sum(len(path.read_text().splitlines()) for path in files[name])
        above = ", ".join(other for other in imports() if (name, other) in needed)
        rows.append((Raw(f"<code>{name}</code>"), purpose(name), len(files[name]), lines, above))
    columns = ["module", "what it is for", "files", "lines", "imports (those that do not follow from others)"]
    return Table(rows, columns, "The modules of numdiff", tools=False)._repr_html_()


def write(book: Path) -> None:
    """Write the diagram and the table."""
    pages.write(book / "about" / "_imports.html", drawing())
    pages.write(book / "about" / "_modules.html", listing())
