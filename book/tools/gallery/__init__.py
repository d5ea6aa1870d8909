"""The gallery: a page for every family of the registry, the tables that compare them, and cards that lead to them.

Everything on these pages is derived from the registry when they are written (`facts`, kept in a cache under a hash of
the source), but for the work-precision runs, which are stored results.
"""

from __future__ import annotations

from pathlib import Path

from book.tools.gallery import overview, page
from book.tools.gallery.facts import all_facts
from book.tools.pages import write_folder
from numdiff.methods import FAMILIES


def write(book: Path) -> None:
    """Write ``gallery/methods``: a page a family, and the parts that ``compare.md`` and ``index.md`` include."""
    facts = all_facts()
    pages = {f"{name}.md": page.page(name, facts[name]) for name in FAMILIES}
    parts = {
        "_compare.html": overview.compare(facts),
        "_aliases.html": overview.aliases(),
        "_cards.html": overview.cards(facts),
    }
    write_folder(book / "gallery" / "methods", pages | parts)
