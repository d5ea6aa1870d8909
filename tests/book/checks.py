"""What may not be wrong with a page of the book: each check returns sentences, none if all is well."""

from __future__ import annotations

from pathlib import Path

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 900}

DRAWN = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
STILL = "*, *::before, *::after { transition: none !important; animation: none !important; }"

IMAGES = """() => [...document.images]
    .filter(image => image.getAttribute("src") && image.complete && image.naturalWidth === 0)
    .map(image => image.getAttribute("src"))"""

FORMULAS = r"""async () => {
    const written = [...document.querySelectorAll(".math")];
    if (!written.length) return [];
    if (!window.MathJax || !MathJax.startup) return ["MathJax did not start"];
    await MathJax.startup.promise;
    const raw = written.filter(place => !place.querySelector("mjx-container"));
    const wrong = [...document.querySelectorAll("mjx-container")].filter(
        place => place.querySelector("[data-mml-node='merror'], [data-mjx-error], mjx-merror"));
    return [...raw, ...wrong].map(place => place.textContent.slice(0, 80) || place.outerHTML.slice(0, 80));
}"""

WIDE = """() => {
    const limit = document.documentElement.clientWidth;
    const scrolls = element => {
        for (let up = element.parentElement; up && !up.matches("article"); up = up.parentElement)
            if (["auto", "scroll"].includes(getComputedStyle(up).overflowX)) return true;
        return false;
    };
    return [...document.querySelectorAll("article *")]
        .filter(element => element.getBoundingClientRect().right > limit + 1 && !scrolls(element))
        .slice(0, 3).map(element => element.outerHTML.slice(0, 90));
}"""


ALIKE = "mjx-container svg, mjx-assistive-mml, dl.py ~ dl.py ~ dl.py"


class Watch:
    """Listens to a page and keeps what goes wrong on it.

    Parameters
    ----------
    page
        A Playwright page.
    site
        The address that requests may go to.
    """

    def __init__(self, page, site: str):
        self.problems: list[str] = []
        self.site = site
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
        page.on("requestfailed", lambda request: self.problems.append(f"failed request: {request.url[:200]}"))
        page.on("response", self._response)
        page.on("request", self._request)

    def _console(self, message) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"console {message.type}: {message.text}")

    def _response(self, response) -> None:
        if response.status >= 400:
            self.problems.append(f"status {response.status}: {response.url[:200]}")

    def _request(self, request) -> None:
        if not request.url.startswith((self.site, "data:", "blob:", "about:")):
            self.problems.append(f"outside request: {request.url[:200]}")


def settle(page) -> None:
    """Wait until a page has loaded and its formulas are typeset."""
    page.wait_for_load_state("networkidle")
    page.evaluate("async () => { if (window.MathJax && MathJax.startup) await MathJax.startup.promise; }")


def images(page) -> list[str]:
    """Return the images that do not show."""
    page.evaluate("() => document.querySelectorAll('img[loading=lazy]').forEach(image => image.loading = 'eager')")
    page.wait_for_load_state("networkidle")
    return [f"broken image: {source}" for source in page.evaluate(IMAGES)]


def formulas(page) -> list[str]:
    """Return the formulas that are not typeset."""
    return [f"untypeset formula: {text}" for text in page.evaluate(FORMULAS)]


def phone(page) -> list[str]:
    """Return what is wider than a phone."""
    page.set_viewport_size(PHONE)
    page.evaluate(DRAWN)
    found = [f"too wide at 360 px: {text}" for text in page.evaluate(WIDE)]
    page.set_viewport_size(DESKTOP)
    return found


def accessibility(page) -> list[str]:
    """Return what axe-core finds serious or critical, by all its rules but that for colours."""
    return axe(page, {"rules": {"color-contrast": {"enabled": False}}})


def contrast(page) -> list[str]:
    """Return what cannot be read in light or in dark mode.

    Takes off the page what costs axe-core most of its time and adds no colour: the outlines of formulas, which have the
    colour of their text, and the entries of an API page after its second.
    """
    page.evaluate(f"() => document.querySelectorAll({ALIKE!r}).forEach(element => element.remove())")
    only = {"runOnly": ["color-contrast"]}
    light = axe(page, only)
    page.emulate_media(color_scheme="dark")
    page.evaluate(
        "() => { document.documentElement.dataset.mode = 'dark'; document.documentElement.dataset.theme = 'dark'; }"
    )
    if page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)":
        return [*light, "dark mode leaves the page white"]
    return light + [f"dark mode: {text}" for text in axe(page, only)]


def axe(page, options: dict[str, object]) -> list[str]:
    """Return what axe-core finds serious or critical with these options."""
    if not AXE.exists():
        raise FileNotFoundError(f"{AXE} is not there; install it: npm ci --prefix tests/book")
    page.add_style_tag(content=STILL)  # colours in the middle of a fade are nobody's
    if not page.evaluate("() => Boolean(window.axe)"):
        page.add_script_tag(content=AXE.read_text())
    options = {"resultTypes": ["violations"], "preload": False, **options}
    found = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{violation['impact']}: {violation['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


def everything(page) -> list[str]:
    """Return all that is wrong with a page that has settled; afterwards the page is not whole."""
    return images(page) + formulas(page) + phone(page) + accessibility(page) + contrast(page)
