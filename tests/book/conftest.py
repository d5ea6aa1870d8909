"""A built site served on this machine, and a browser that notices whatever goes wrong on its pages.

make book test-book
pytest tests/book -m book --site FOLDER     # another built site
"""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "book" / "_build" / "html"


def pytest_addoption(parser):
    parser.addoption("--site", default=str(BUILT), help="folder of the built book")


def site_folder(config) -> Path:
    """Return the folder of the built book."""
    return Path(config.getoption("--site", str(BUILT)))


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *arguments):
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve `folder` on a free port of this machine; yield the address."""
    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def folder(request) -> Path:
    """The folder of the built site."""
    found = site_folder(request.config)
    if not (found / "index.html").exists():
        raise FileNotFoundError(f"{found} holds no built book; build it first: make book")
    return found


@pytest.fixture(scope="session")
def site(folder) -> Iterator[str]:
    """The address of the served site, without a slash at the end."""
    with served(folder) as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    """A Chromium without a window."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        raise FileNotFoundError("the browser tests need Chromium: apt-get install chromium fonts-dejavu-core")
    flags = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=flags)
        yield found
        found.close()


@pytest.fixture
def page(browser, site) -> Iterator:
    """A fresh page; the test fails if anything on it goes wrong: console, exceptions, failed or outside requests."""
    from tests.book.checks import Watch

    context = browser.new_context(viewport={"width": 1280, "height": 900})
    found = context.new_page()
    watch = Watch(found, site)
    yield found
    context.close()
    assert not watch.problems, "\n".join(watch.problems)
