"""The API pages: one for each public module, with every name of its ``__all__``, by autodoc.

An object that several modules name is shown once, in the first that names it; the others point there. What is public is
what `PAGES` lists; ``tests/book/test_api.py`` holds every object on it to a docstring with an example.
"""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from book.tools.pages import write_folder


@dataclass(frozen=True)
class Page:
    """A page of the API: the module, and the name that users write for it."""

    module: str
    title: str
    group: str

    @property
    def stem(self) -> str:
        """The page's file name without its ending."""
        return self.title.removeprefix("nd.").replace(".", "-").replace(" ", "-")


def _pages() -> tuple[Page, ...]:
    groups = {
        "Methods and running them": {
            "numdiff": "numdiff",
            "numdiff.schedules": "nd.schedules",
            "numdiff.grids": "nd.grids",
            "numdiff.formulations": "nd.formulations",
            "numdiff.parameterizations": "nd.parameterizations",
            "numdiff.sde": "numdiff.sde",
            "numdiff.noise": "nd.noise",
            "numdiff.executor": "numdiff.executor",
            "numdiff.methods": "numdiff.methods",
            "numdiff.phi": "numdiff.phi",
            "numdiff.weights": "numdiff.weights",
        },
        "Deriving and proving": {
            "numdiff.properties.order": "nd.order",
            "numdiff.properties.stability": "nd.stability",
            "numdiff.properties.spectral": "nd.spectral",
            "numdiff.design": "nd.design",
            "numdiff.answers": "nd.answers",
            "numdiff.export": "nd.export",
        },
        "Validating": {
            "numdiff.problems": "nd.problems",
            "numdiff.certification": "nd.certification",
            "numdiff.testing": "nd.testing",
            "numdiff.work_precision": "nd.work_precision",
            "numdiff.plotting": "nd.plotting",
        },
        "Tuning": {"numdiff.optimize": "nd.optimize"},
        "Real models": {
            "numdiff.runtime": "nd.runtime",
            "numdiff.guidance": "nd.guidance",
            "numdiff.models": "nd.models",
            "numdiff.adapters.diffusers": "nd.adapters.diffusers",
            "numdiff.adapters.pipelines": "nd.adapters.pipelines",
            "numdiff.adapters.pipelines.generate": "nd.adapters.pipelines.generate",
            "numdiff.adapters.kdiffusion": "nd.adapters.kdiffusion",
            "numdiff.adapters.comfyui": "nd.adapters.comfyui",
            "numdiff.adapters.networks": "nd.adapters.networks",
            "numdiff.adapters.sigma_lists": "nd.adapters.sigma_lists",
            "numdiff.adapters.subjects": "nd.adapters.subjects",
            "numdiff.distributed": "numdiff.distributed",
            "numdiff.study": "numdiff.study",
            "numdiff.study.sweeps": "numdiff.study.sweeps",
            "numdiff.provenance": "numdiff.provenance",
        },
    }
    return tuple(Page(module, title, group) for group, names in groups.items() for module, title in names.items())


PARTS: dict[str, tuple[str, ...]] = {
    "numdiff": ("elementary", "methods.butcher"),
    "numdiff.grids": ("patterns",),
    "numdiff.answers": ("render",),
    "numdiff.problems": ("flow",),
    "numdiff.optimize": (
        "objectives.bank",
        "objectives.gaussian",
        "objectives.ays",
        "problem",
        "search",
        "search.certificate",
        "orders",
        "interpolation",
        "rounding",
        "documents",
    ),
    "numdiff.runtime": ("precision", "fused"),
    "numdiff.models": ("metrics",),
    "numdiff.adapters.diffusers": ("tables", "spacing", "flow", "edm", "hooks"),
    "numdiff.adapters.subjects": ("callables",),
    "numdiff.study": ("threads",),
}
"""Inner modules whose heads have the formulas that docstrings refer to; they stand at the ends of these pages."""

PAGES = _pages()
"""The public modules, in the order of the table of contents."""


def public() -> dict[Page, dict[str, Any]]:
    """Return the public objects of every page, each on the first page that names it."""
    seen: set[int] = set()
    found: dict[Page, dict[str, Any]] = {}
    for page in PAGES:
        module = importlib.import_module(page.module)
        found[page] = {}
        for name in sorted(getattr(module, "__all__", ()), key=str.lower):
            value = getattr(module, name)
            if (
                isinstance(value, ModuleType)
                or name == "__version__"
                or (shown_by_identity(value) and id(value) in seen)
            ):
                continue
            seen.add(id(value))
            found[page][name] = value
    return found


def shown_by_identity(value: Any) -> bool:
    """Return whether two names of `value` are one thing: true of classes and functions, not of numbers and strings."""
    return inspect.isclass(value) or inspect.isroutine(value)


def directive(name: str, value: Any) -> str:
    """Return autodoc's directive for an object."""
    if inspect.isclass(value):
        return f".. autoclass:: {name}\n   :members:\n"
    return f".. autofunction:: {name}\n" if inspect.isroutine(value) else f".. autodata:: {name}\n   :no-value:\n"


def text(page: Page, objects: dict[str, Any]) -> str:
    """Return a page."""
    blocks = "\n".join(directive(name, value) for name, value in objects.items())
    # the name numdiff.methods is that of a function, too, which has the better claim to be found
    hidden = ["   :no-index:"] if page.module == "numdiff.methods" else []
    lines = [
        f".. automodule:: {page.module}",
        "   :no-members:",
        *hidden,
        "",
        f".. currentmodule:: {page.module}",
        "",
        blocks,
    ]
    # a search for nd.sample asks for both words in an object's name or its page's title
    title = "numdiff (nd)" if page.module == "numdiff" else page.title
    return f"# {title}\n\n```{{eval-rst}}\n" + "\n".join(lines) + "```\n" + details(page)


def details(page: Page) -> str:
    """Return the end of a page: the heads of the inner modules that its docstrings refer to."""
    inner = [f"{page.module}.{name}" for name in PARTS.get(page.module, ())]
    blocks = [
        f"### {name.removeprefix(f'{page.module}.')}\n\n```{{eval-rst}}\n.. py:module:: {name}\n\n{head(name)}\n```\n"
        for name in inner
    ]
    return "\n## Formulas and rules\n\n" + "\n".join(blocks) if blocks else ""


def head(module: str) -> str:
    """Return a module's docstring as reStructuredText: what is indented is shown as it is, bars are bars."""
    found = []
    for part in (inspect.getdoc(importlib.import_module(module)) or "").split("\n\n"):
        formula = all(line.startswith("    ") for line in part.splitlines())
        found.append(f".. code-block:: text\n\n{part}" if formula else outside_code(part))
    return "\n\n".join(found)


def outside_code(part: str) -> str:
    """Escape bars and stars in a paragraph, but for bold words and what is in backticks."""
    pieces = re.split(r"(``.*?``|`[^`]*`|\*\*.*?\*\*)", part, flags=re.DOTALL)
    pieces[::2] = [re.sub(r"([|*])", r"\\\1", text) for text in pieces[::2]]
    return "".join(pieces)


def write(book: Path) -> None:
    """Write the pages."""
    write_folder(book / "api" / "reference", {f"{page.stem}.md": text(page, objs) for page, objs in public().items()})
