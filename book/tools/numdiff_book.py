"""The Sphinx extension of the book: what the site needs beside the pages, so that nothing is loaded from outside.

Everything under ``book/_static`` loads on every page. What only some pages need is copied in when the build is
finished: MathJax (from the package sphinx-mathjax-offline) to ``_static/vendor``, and ``explore/js`` and
``explore/data`` of the explorers beside their pages.
"""

from __future__ import annotations

import importlib.metadata
import re
import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

VENDORED = {"tex-svg.js": ("sphinx-mathjax-offline", "sphinx-mathjax-offline/static/mathjax/tex-svg.js")}
"""Files of other packages that the site carries: name on the site, package, file in it."""
COPIED = ("explore/js", "explore/data")
"""Folders of the book that go to the site as they are."""

ARROW = re.compile(r'(?<=>)([^<>]+)(</a><details[^>]*>)<summary>(?=<span class="toctree-toggle")')
"""An arrow of the theme's table of contents, and the title it belongs to."""


def packaged(package: str, name: str) -> Path:
    """Return where a file of an installed package lies; raise ``FileNotFoundError`` if the package has none."""
    for file in importlib.metadata.files(package) or ():
        if str(file) == name:
            return Path(str(file.locate()))
    raise FileNotFoundError(f"the package {package} has no file {name}; install the book's requirements: make book")


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Copy what the pages load beside themselves."""
    if exception is not None or app.builder.format != "html":
        return
    vendor = Path(app.outdir) / "_static" / "vendor"
    vendor.mkdir(parents=True, exist_ok=True)
    for name, (package, path) in VENDORED.items():
        shutil.copyfile(packaged(package, path), vendor / name)
    mend_pages(Path(app.outdir))
    mend_front(Path(app.outdir) / "index.html")
    for folder in COPIED:
        if (Path(app.srcdir) / folder).is_dir():
            shutil.copytree(Path(app.srcdir) / folder, Path(app.outdir) / folder, dirs_exist_ok=True)


def mend_pages(folder: Path) -> None:
    """Mend what screen readers stumble over: nameless arrows in the contents, and docutils' list without list items."""
    for path in folder.rglob("*.html"):
        text = path.read_text().replace('<div role="list" class="citation-list">', '<div class="citation-list">')
        path.write_text(ARROW.sub(r'\1\2<summary aria-label="Pages of \1">', text))


def mend_front(path: Path) -> None:
    """Give the page that leads to the first one a language, a title, and no icon, which a browser else looks for."""
    head = '<title>numdiff</title>\n<link rel="icon" href="data:,">'
    path.write_text(f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n{path.read_text()}</head>\n</html>\n')


def mend_listing(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Put the nested lists of Sphinx's list of modules inside items, where screen readers look for them."""
    if pagename == "_modules/index":
        *inner, last = context["body"].replace("</li>\n<ul>", "\n<ul>").split("</ul>")
        context["body"] = "</ul></li>".join(inner) + "</ul>" + last


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("html-page-context", mend_listing)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True}
