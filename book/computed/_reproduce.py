"""Every figure and table that is drawn anywhere, with the one command that makes it again, read from the files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from book.tools.build import GENERATORS
from book.tools.pages import BOOK
from book.tools.results import RESULTS, names, record

ROOT = BOOK.parent
Row = tuple[str, str, str]
"""What it is, what it says, and the command."""


def analysis() -> list[Row]:
    """Return the scripts of ``analysis``, each a figure and a table."""
    found = []
    for path in sorted((ROOT / "analysis").glob("*.py")):
        sentence, text = documented(path)
        command = re.search(r"python -m analysis\.\w+(?: --out \S+)?", text)
        if command is None:
            raise ValueError(f"{path} does not say with which command it runs")
        found.append((path.stem, sentence, command.group()))
    return found


def readme() -> list[Row]:
    """Return the figures of the README: those in ``book/_static`` that a script of ``analysis`` has drawn."""
    scripts = {name: sentence for name, sentence, _ in analysis()}
    drawn = sorted(path.stem for path in (BOOK / "_static").glob("*.png"))
    return [(f"{name}.png", scripts[name], f"python -m analysis.{name} --out book/_static") for name in drawn]


def results() -> list[Row]:
    """Return the stored results of the book, with how long they took where they are there."""
    rows = []
    for name in names():
        took = f" ({record(name)['seconds']:.0f} s)" if (RESULTS / f"{name}.json").exists() else ""
        sentence = documented(BOOK / "computed" / f"{name}.py")[0]
        rows.append((name, sentence + took, f"python -m book.tools.results {name}"))
    return rows


def generated() -> list[Row]:
    """Return the programs that write pages and data of the book."""
    tools = BOOK / "tools"
    where = {name: tools / f"{name}.py" for name in GENERATORS}
    where = {name: path if path.exists() else tools / name / "__init__.py" for name, path in where.items()}
    return [
        (name, documented(path)[0], f"python -m book.tools.build --generate {name}") for name, path in where.items()
    ]


def experiments() -> list[Row]:
    """Return the commands of the experiments with trained networks."""
    found = []
    for path in sorted((ROOT / "experiments").glob("*/*.py")):
        sentence, _ = documented(path)
        command = re.search(r"python -m experiments\.\w+\.\w+", sentence)
        if command is not None:
            found.append((f"{path.parent.name}/{path.stem}", sentence.partition(":")[0] + ".", command.group()))
    return found


def benchmarks() -> list[Row]:
    """Return the benchmarks, each a table."""
    paths = (p for p in sorted((ROOT / "benchmarks").glob("*.py")) if "__main__" in p.read_text())
    named = [path for path in paths if not path.stem.startswith("_")]
    return [(path.stem, documented(path)[0], f"python -m benchmarks.{path.stem}") for path in named]


def targets() -> list[tuple[str, str]]:
    """Return the targets of the Makefile and what they are for."""
    text = (ROOT / "Makefile").read_text()
    return [(f"make {name}", what) for name, what in re.findall(r"^([a-z-]+):.*?## (.*)$", text, re.MULTILINE)]


def tables() -> Iterator[tuple[str, list[Row]]]:
    """Yield headings and rows, all there are."""
    yield "README", readme()
    yield "Analysis", analysis()
    yield "Stored results of this book", results()
    yield "Generated pages of this book", generated()
    yield "Experiments with trained networks", experiments()
    yield "Benchmarks", benchmarks()


def documented(path: Path) -> tuple[str, str]:
    """Return the first sentence of a module's docstring, and all of it."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    first = text.partition("\n\n")[0].replace("\n", " ")
    return first.replace("``", ""), text
