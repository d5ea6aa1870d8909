"""Notebooks of the book: each is run in a process of its own, and Sphinx reads what came out from a cache."""

from __future__ import annotations

import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

TIMEOUT = 120
"""Seconds that a cell may take."""
READER = {"type": "plugin", "name": "myst_nb_md"}
"""How jupyter-cache reads a page, as myst-nb asks it to."""


def start(source: Path, pages: list[str], folder: Path, pool: ProcessPoolExecutor) -> list[tuple[str, Any]]:
    """Begin to run those `pages` of `source` that are notebooks; return their names and futures of what comes out."""
    from jupyter_cache import get_cache
    from myst_nb.core.read import is_myst_markdown_notebook

    shutil.rmtree(folder, ignore_errors=True)  # it is keyed by a page's cells and would not see a change in numdiff
    cache = get_cache(str(folder))
    paths = [source / f"{page}.md" for page in pages]
    found = [path for path in paths if is_myst_markdown_notebook(path.read_text())]
    records = [(path, cache.add_nb_to_project(str(path), read_data=READER)) for path in found]
    return [(str(path), pool.submit(_run, cache.get_project_notebook(one.pk).nb, path)) for path, one in records]


def keep(started: list[tuple[str, Any]], folder: Path) -> None:
    """Wait for the notebooks and put them into the cache; a failed cell ends the build with its page and traceback."""
    from jupyter_cache import get_cache
    from jupyter_cache.base import CacheBundleIn

    cache = get_cache(str(folder))
    for path, future in started:
        result = future.result()
        if result.err is not None:
            raise SystemExit(f"{path}: a cell failed\n{result.exc_string}")
        bundle = CacheBundleIn(result.nb, path, data={"execution_seconds": result.time})
        cache.cache_notebook_bundle(bundle, check_validity=False)
        print(f"{path}: {result.time:.1f} s", flush=True)


def _run(notebook: Any, path: Path) -> Any:
    from jupyter_cache.executors.utils import single_nb_execution

    quiet = ["--log-level=ERROR"]  # a kernel warns that others on this machine could listen
    return single_nb_execution(notebook, str(path.parent), TIMEOUT, allow_errors=False, extra_arguments=quiet)
