"""The stability explorer's page under test, shared by the tests that only move it about."""

import re

import pytest

from tests.book.checks import DESKTOP, Watch

PAGE = "explore/stability.html"
WAIT = "window.numdiffStabilityPage && numdiffStabilityPage.view"
FRESH = """fragment => new Promise(done => {
  history.replaceState(null, "", "#");
  window.addEventListener("hashchange", () => requestAnimationFrame(() => requestAnimationFrame(done)), { once: true });
  location.hash = fragment;
})"""


@pytest.fixture(scope="module")
def watched(browser, site):
    """One page for all tests that need no other, and what notices when something goes wrong on it."""
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    yield page, Watch(page, site)
    context.close()


@pytest.fixture
def page(watched):
    page, watch = watched
    page.set_viewport_size(DESKTOP)
    page.mouse.move(2, 2)
    yield page
    assert not watch.problems, "\n".join(watch.problems)


@pytest.fixture
def opened(page, site):
    """Return a routine that opens the explorer at a fragment and waits until it has drawn.

    The page is loaded anew only for a fragment that is not the explorer's, or with ``reload``.
    """

    def go(fragment="", reload=False):
        if page.url.startswith(f"{site}/{PAGE}") and re.match("#(m|method)=", fragment) and not reload:
            page.evaluate(FRESH, fragment)
        else:
            page.goto("about:blank")
            page.goto(f"{site}/{PAGE}{fragment}")
            page.wait_for_function(WAIT)
        page.locator("#stability-plane").scroll_into_view_if_needed()
        return page

    return go


def state(page):
    return page.evaluate(
        "JSON.parse(JSON.stringify({ ...numdiffStabilityPage.state, seen: numdiffStabilityPage.view }))"
    )


def place(page, x, y):
    """Return where on the screen z = x + iy is drawn."""
    box = page.locator("#stability-plane").bounding_box()
    px, py = page.evaluate("z => numdiffStabilityPage.toPixel(...z)", [x, y])
    return box["x"] + px, box["y"] + py


def verdict(page):
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.locator("#stability-verdict").inner_text()


def shown(page, axis):
    return page.locator(f'dd[data-axis="{axis}"][data-which="0"] > span').first.inner_text()
