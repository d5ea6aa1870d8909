"""The Sphinx extension of the API pages: what autodoc and viewcode leave to be mended.

Signatures show names and not the insides of default values; a name in single backticks is a link where such an object
exists, and code where it does not or is a parameter; links between a page and its source listing lead somewhere.
"""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.nodes import make_refnode

LONG = 60
"""Characters of a default value from which on a signature shows something shorter."""
ARRAY = re.compile(r"~?numpy\.ndarray\[[^|]*?dtype\[(?:[^\[\]]|\[[^\[\]]*\])*\]\]")
"""An array as autodoc spells ``NDArray``; shapes are in the docstrings."""
BACK = re.compile(
    r'(?P<head><div class="viewcode-block" id="(?P<name>[^"]+)">\s*)'
    r'<a class="viewcode-back" href="(?P<page>[^"#]*)#(?P<target>[^"]*)">[^<]*</a>'
)
"""What viewcode puts before an object's source: a link to the documentation."""
ID = re.compile(r'\sid="([^"]+)"')


def short(value: Any) -> str | None:
    """Return what a signature shows in the place of a default value whose ``repr`` is long; None: leave it."""
    if len(repr(value)) < LONG:
        return None
    if isinstance(value, tuple) and all(isinstance(x, (int, float)) for x in value):
        return f"({value[0]!r}, ..., {value[-1]!r})"
    public = vars(importlib.import_module("numdiff"))
    return next((f"nd.{name}" for name, named in public.items() if named is value), None)


def parameters(value: Any) -> dict[str, inspect.Parameter]:
    """Return the parameters of a class or function; none of other things."""
    try:
        return dict(inspect.signature(value).parameters)
    except (TypeError, ValueError):
        return {}


def shorten(app: Sphinx, what: str, name: str, value: Any, options: Any, shown: str | None, returns: str | None) -> Any:
    """Put short words for long default values, plain words for arrays, and one type of what is returned."""
    types = app.env.temp_data.get("annotations", {}).get(name, {})
    types.pop("return", None)  # the docstring says it
    types.update({key: ARRAY.sub("numpy.ndarray", text) for key, text in types.items()})
    for parameter in parameters(value).values() if shown else ():
        word = None if parameter.default is parameter.empty else short(parameter.default)
        if word:
            shown = (shown or "").replace(repr(parameter.default), word)
    return shown, returns


def mark_parameters(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Make an object's own parameters code, lest `method` be a link to the function of this name."""
    own = "|".join(re.escape(key) for key in parameters(value))
    if own:
        lines[:] = [re.sub(rf"(?<![`:\w])`({own})`(?!`)", r"``\1``", line) for line in lines]


def find_elsewhere(app: Sphinx, env: Any, node: Any, content: nodes.Node) -> nodes.Node | None:
    """Resolve a class or member by its short name (`Method.discretize`) if exactly one page has it."""
    target = node.get("reftarget", "")
    if (node.get("refdomain"), node.get("reftype")) != ("py", "obj") or not re.match(r"[A-Z]\w*[a-z]|\w+\.\w", target):
        return None
    objects = env.get_domain("py").objects
    found = [name for name in objects if name.endswith(f".{target}")]
    if len(found) != 1:
        return None
    entry = objects[found[0]]
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, found[0])


def source_of(app: Sphinx, module: str, attribute: str) -> str | None:
    """Return the module with a class's source where it says that it is of another (``__module__`` was set)."""
    value = getattr(importlib.import_module(module), attribute, None)
    if not inspect.isclass(value):
        return None
    own = (member for member in vars(value).values() if inspect.isfunction(member))
    homes = {member.__module__ for member in own if member.__qualname__.startswith(f"{value.__qualname__}.")}
    return homes.pop() if len(homes) == 1 and next(iter(homes)).startswith("numdiff") else None


def merge_rows(app: Sphinx, doctree: nodes.document) -> None:
    """Show parameters that share a sentence in one row; napoleon repeats the sentence for each of them."""
    for rows in doctree.findall(lambda node: isinstance(node, nodes.bullet_list) and in_field(node)):
        kept = None
        for row in list(rows):
            if kept is not None and sentence(row) and sentence(row) == sentence(kept):
                at = dash(kept[0])
                kept[0].insert(at, [nodes.Text(", "), *row[0][: dash(row[0])]])
                rows.remove(row)
            else:
                kept = row


def in_field(node: nodes.Node) -> bool:
    """Return whether a list stands in a field such as "Parameters"."""
    return isinstance(node.parent, nodes.field_body)


def dash(paragraph: nodes.Element) -> int:
    """Return the position of the dash between a parameter and what is said of it; the end if there is none."""
    found = (k for k, part in enumerate(paragraph) if isinstance(part, nodes.Text) and part.startswith(" \N{EN DASH} "))
    return next(found, len(paragraph))


def sentence(row: nodes.Element) -> str:
    """Return what a row says of its parameter."""
    first = row[0]
    return "".join(part.astext() for part in (*first[dash(first) + 1 :], *row[1:]))


def mend_back_links(app: Sphinx, exception: Exception | None) -> None:
    """Let the links of source listings lead to what is on the page, whatever module it is documented under."""
    if exception is None and app.builder.format == "html":
        for path in (Path(app.outdir) / "_modules").rglob("*.html"):
            text = path.read_text()
            mended = BACK.sub(lambda link, place=path: back_link(link, place), text)  # type: ignore[misc]
            if mended != text:
                path.write_text(mended)


def back_link(link: re.Match[str], path: Path) -> str:
    """Return a listing's link to its documentation: as it is, to the one target of that name, or none."""
    page = path.parent / link["page"]
    there = ID.findall(page.read_text()) if page.exists() else []
    if link["target"] in there:
        return link[0]
    found = [name for name in there if name.startswith("numdiff.") and name.endswith(f".{link['name']}")]
    return link[0].replace(f"#{link['target']}", f"#{found[0]}") if len(found) == 1 else link["head"]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("autodoc-process-signature", shorten, priority=900)  # after autodoc's own, which notes the types
    app.connect("autodoc-process-docstring", mark_parameters)
    app.connect("missing-reference", find_elsewhere)
    app.connect("viewcode-follow-imported", source_of)
    app.connect("doctree-read", merge_rows)
    app.connect("build-finished", mend_back_links)
    return {"parallel_read_safe": True}
