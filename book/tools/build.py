"""Build the book: write the generated pages, run the notebooks, make the site in ``book/_build/html``.

    python -m book.tools.build                       # all of it, warnings are errors
    python -m book.tools.build --full                # the same after computing the stored results anew (an hour)
    python -m book.tools.build --only learn/stability explore/stability    # a draft of a few pages, quickly

A draft has only the pages that are asked for, and its references to the others dangle, so warnings are not errors.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path

from book.tools import notebooks
from book.tools.pages import BOOK

GENERATORS = ("architecture", "api", "gallery", "explorer", "playground", "certificates")
"""Modules of `book.tools` whose ``write(book)`` makes pages or data."""


def prepare(source: Path, pages: list[str], cache: Path, names: tuple[str, ...] = GENERATORS) -> None:
    """Write the generated pages and run the notebooks among `pages`, as many at a time as there are processors."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        generated = [pool.submit(_generate, name) for name in names]
        started = notebooks.start(source, pages, cache, pool)
        for name, future in zip(names, generated, strict=True):
            print(f"{name}: {future.result():.1f} s", flush=True)
        notebooks.keep(started, cache)


def _generate(name: str) -> float:
    start = time.perf_counter()
    import_module(f"book.tools.{name}").write(BOOK)
    return time.perf_counter() - start


def sphinx(source: Path, out: Path, cache: Path, *, strict: bool) -> int:
    """Run Sphinx as ``jupyter-book build --all -W -n --keep-going`` does, with a configuration of our own."""
    from jupyter_book.sphinx import build_sphinx

    result = build_sphinx(
        source,
        out / "html",
        noconfig=True,
        path_config=source / "_config.yml",
        confoverrides={"external_toc_path": str(source / "_toc.yml"), "latex_individualpages": False}
        | {"nitpicky": strict, "nb_execution_cache_path": str(cache)},
        force_all=True,
        freshenv=True,
        warningiserror=strict,
        keep_going=True,
        jobs=1,  # sphinx-proof cannot merge what parallel readers find
        quiet=True,
    )
    return result if isinstance(result, int) else 2


def all_pages() -> list[str]:
    """Return the names of the pages that are there, without the generated ones on a fresh clone."""
    paths = (path.relative_to(BOOK) for path in sorted(BOOK.rglob("*.md")))
    return [path.with_suffix("").as_posix() for path in paths if path.parts[0] != "_build"]


def draft(wanted: list[str], scratch: Path) -> tuple[Path, list[str]]:
    """Return a copy of the book that has the pages in `wanted` only (patterns such as ``learn/*``), and their names."""
    pages = all_pages()
    chosen = [page for page in pages if any(fnmatch(page, pattern) for pattern in wanted)]
    if not chosen:
        raise SystemExit(f"--only {' '.join(wanted)}: no page has such a name; there are {', '.join(pages)}")
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(BOOK, scratch, ignore=shutil.ignore_patterns("_build*", "__pycache__"))
    chosen = sorted({*chosen, "intro", "about/bibliography"})  # the root, and what citations need
    files = "\n".join(f"      - file: {page}" for page in chosen if page != "intro")
    (scratch / "_toc.yml").write_text(f"format: jb-book\nroot: intro\nparts:\n  - chapters:\n{files}\n")
    return scratch, chosen


def main(arguments: list[str] | None = None) -> int:
    """Build as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m book.tools.build", description=__doc__.partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="compute the stored results anew first")
    parser.add_argument("--only", nargs="+", metavar="PAGE", help="a draft of these pages (patterns)")
    parser.add_argument("--out", type=Path, default=BOOK / "_build", help="folder of the build (book/_build)")
    parser.add_argument("--generate", nargs="*", metavar="NAME", help="only write generated pages (all, or these)")
    chosen = parser.parse_args(arguments)
    root = str(BOOK.parent)  # the notebooks import book.tools; kernels start in the folder of their page
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # tqdm misses widgets, which no page has
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # two kernels share the processors already
    if chosen.full:
        from book.tools.results import recompute

        recompute()
    out = chosen.out.resolve()
    cache = out / "notebooks"
    if chosen.generate is not None:
        prepare(BOOK, [], cache, tuple(chosen.generate) or GENERATORS)
        return 0
    if chosen.only:
        source, pages = draft(chosen.only, out / "source")
        prepare(source, pages, cache, ())
        return sphinx(source, out, cache, strict=False)
    prepare(BOOK, all_pages(), cache)
    shutil.rmtree(out / "html", ignore_errors=True)
    return sphinx(BOOK, out, cache, strict=True)


if __name__ == "__main__":
    sys.exit(main())
