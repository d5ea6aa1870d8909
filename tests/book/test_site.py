"""Every page of the built site, in a real browser; and a spoilt copy, which must fail every check."""

from __future__ import annotations

import html
import os
import re
import shutil
from urllib.parse import unquote, urlsplit

import pytest

from tests.book import checks
from tests.book.conftest import served, site_folder

pytestmark = pytest.mark.book
SKIPPED = ("_static/", "_modules/", "genindex", "py-modindex", "search", "index.html")


def pages(folder) -> list[str]:
    """Return the pages of a site, without its search page, its listings of source code, and what leads to the first."""
    found = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.html")))
    return [name for name in found if not name.startswith(SKIPPED)]


def pytest_generate_tests(metafunc):
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", pages(site_folder(metafunc.config)))


def test_the_book_is_built(folder):
    assert len(pages(folder)) > 100


def test_the_address_of_the_site_leads_to_the_first_page(page, site):
    page.goto(f"{site}/")
    page.wait_for_url(f"{site}/intro.html")
    checks.settle(page)


def test_page(page, site, name):
    page.goto(f"{site}/{name}")
    checks.settle(page)
    problems = checks.everything(page)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("kind", ["_modules/index.html", "genindex.html", "py-modindex.html", "search.html"])
def test_index_pages(page, site, kind):
    page.goto(f"{site}/{kind}")
    checks.settle(page)
    problems = checks.phone(page) + checks.accessibility(page) + checks.contrast(page)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    ("words", "target"), [("heavy ball", "learn/momentum"), ("SA-Solver", "gallery/methods/sa-solver")]
)
def test_search_finds(page, site, words, target):
    page.goto(f"{site}/search.html?q={words.replace(' ', '+')}")
    page.wait_for_selector("#search-results ul.search li a")
    found = page.eval_on_selector_all("#search-results ul.search li a", "links => links.map(link => link.href)")
    assert any(target in link for link in found), found


def test_search_by_keyboard(page, site):
    page.goto(f"{site}/intro.html")
    checks.settle(page)
    page.keyboard.press("Control+k")
    page.keyboard.type("stability polynomial")
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results ul.search li a")


# --- links to places on pages, read from the files ------------------------------------------------------------------

LINK = re.compile(r'<a\b[^>]*\shref="([^"]*#[^"]*)"')
PLACE = re.compile(r'\s(?:id|name)="([^"]*)"')
VIEWS = ("explore/stability.html", "explore/playground.html")
"""Pages that read what they show from the fragment."""


def dangling(folder) -> list[str]:
    """Return the links of a site to places on its own pages that are not there, with the pages that have them."""
    folder = folder.resolve()
    texts = {path: path.read_text() for path in folder.rglob("*.html") if "_static" not in path.parts}
    places = {path: set(map(html.unescape, PLACE.findall(text))) for path, text in texts.items()}
    missing = []
    for path, text in texts.items():
        for link in set(LINK.findall(text)):
            there = urlsplit(html.unescape(link))
            page = (path.parent / unquote(there.path)).resolve() if there.path else path
            if there.scheme or not there.fragment or page.as_posix().endswith(VIEWS):
                continue
            if unquote(there.fragment) not in places.get(page, ()):
                missing.append(f"{path.relative_to(folder)}: {link}")
    return missing


def test_links_arrive(folder):
    missing = dangling(folder)
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("kind", ["place", "page"])
def test_spoilt_links_are_found(folder, tmp_path, kind):
    """One place or page taken away from a copy of the site leaves links that arrive nowhere."""
    shutil.copytree(folder, tmp_path / "site", copy_function=os.link)
    page = tmp_path / "site" / "api" / "reference" / "optimize.html"
    text = page.read_text()
    page.unlink()  # it is a link to the true page
    if kind == "place":
        page.write_text(text.replace(' id="numdiff.optimize.timesteps"', ""))
    missing = dangling(tmp_path / "site")
    assert any("_modules/numdiff/optimize/timesteps.html" in link for link in missing), missing
    assert all("optimize.html" in link or link.startswith("api/reference/optimize") for link in missing), missing


# --- spoilt copies ---------------------------------------------------------------------------------------------------

BEGINNING = re.compile(r"<article[^>]*>")
SPOILT = {
    "console error": ('<script>console.error("spoilt")</script>', "console error"),
    "console warning": ('<script>console.warn("spoilt")</script>', "console warning"),
    "exception": ("<script>throw new Error('spoilt')</script>", "exception"),
    "missing file": ('<script src="no-such-file.js"></script>', "status 404"),
    "outside request": ('<img alt="" src="http://192.0.2.1/picture.png">', "outside request"),
    "broken image": ('<img alt="spoilt" src="data:image/png;base64,spoilt">', "broken image"),
    "untypeset formula": ('<span class="math"><code>\\(x\\)</code></span>', "untypeset formula"),
    "formula with an error": ('<span class="math">\\(\\spoilt{x\\)</span>', "untypeset formula"),
    "wide element": ('<div style="width: 900px; height: 1em">spoilt</div>', "too wide"),
    "button without a name": ("<button></button>", "critical: button-name"),
    "faint text": ('<p style="color: #777; background: #888">spoilt</p>', "serious: color-contrast"),
    "faint text in dark mode": (
        '<style>html[data-theme="dark"] h1 { color: #222 !important }</style>',
        "dark mode: serious",
    ),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_spoilt_page_fails(browser, folder, tmp_path, kind):
    """A page with one mistake at its beginning is found out, by the check that is meant to find it."""
    addition, expected = SPOILT[kind]
    shutil.copytree(folder, tmp_path / "site", copy_function=os.link)
    place = tmp_path / "site" / "about" / "architecture.html"
    text = place.read_text()
    place.unlink()  # it is a link to the true page
    place.write_text(BEGINNING.sub(lambda tag: tag[0] + addition, text, count=1))
    with served(tmp_path / "site") as site:
        context = browser.new_context(viewport=checks.DESKTOP)
        page = context.new_page()
        watch = checks.Watch(page, site)
        page.goto(f"{site}/about/architecture.html", wait_until="domcontentloaded")
        checks.settle(page)
        problems = checks.everything(page) + watch.problems
        context.close()
    assert any(problem.startswith(expected) for problem in problems), problems


def test_spoilt_search_fails(browser, folder, tmp_path):
    """With an empty index a search finds nothing: the search tests look at the index."""
    shutil.copytree(folder, tmp_path / "site", copy_function=os.link)
    index = tmp_path / "site" / "searchindex.js"
    index.unlink()
    index.write_text(
        'Search.setIndex({"docnames":[],"filenames":[],"titles":[],"terms":{},"titleterms":{},"alltitles":{},"indexentries":{},"objects":{},"objnames":{},"objtypes":{},"envversion":{}})'
    )
    with served(tmp_path / "site") as site:
        page = browser.new_context().new_page()
        page.goto(f"{site}/search.html?q=heavy+ball")
        page.wait_for_function(
            "() => document.querySelector('#search-results p.search-summary, #search-results')?.innerText.length > 20"
        )
        assert page.locator("#search-results ul.search li a").count() == 0
        page.context.close()
