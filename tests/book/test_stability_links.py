"""The links into the stability explorer: its own, those of the gallery, and spoilt ones."""

import re
from pathlib import Path

import numpy as np
import pytest

import numdiff as nd
from numdiff.methods.registry import FAMILIES
from tests.book import stability_page
from tests.book.stability_page import PAGE, place, state, verdict

pytestmark = pytest.mark.book

watched, page, opened = stability_page.watched, stability_page.page, stability_page.opened


def test_the_link_holds_the_whole_state(opened, page, site):
    opened("#m=ghvb&k=2&f=noise/ratio&b=0.4")
    page.get_by_label("Compare with a second method").check()
    page.get_by_label("Method", exact=True).last.select_option("dpmpp")
    page.locator("#stability-plane").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("-")
    page.get_by_role("button", name="Copy a link to this picture").click()
    page.get_by_text("Link copied").wait_for()
    page.wait_for_function("location.hash.includes('m2=dpmpp') && location.hash.includes('w=')")
    kept, link = state(page), page.evaluate("location.href")
    opened(link.removeprefix(f"{site}/{PAGE}"), reload=True)
    again = state(page)
    for name in ("first", "second", "compare", "h"):
        assert again[name] == kept[name], name
    assert np.allclose(again["pointer"], kept["pointer"], rtol=1e-6)
    assert np.allclose(list(again["seen"].values()), list(kept["seen"].values()), rtol=1e-6)
    page.evaluate("location.hash = '#m=rk4&f=noise/ratio'")
    page.wait_for_function("numdiffStabilityPage.state.first.family === 'rk4'")
    assert not state(page)["compare"]


def test_a_spoilt_link_falls_back_and_says_what_was_not_understood(opened):
    start = state(opened(""))
    spoilt = "m=nothing&k=x&b=99&h=1e-9&z=a,b&w=1,2"
    page = opened(f"#{spoilt}", reload=True)
    assert state(page) == start
    said = page.locator("#stability-lost")
    assert set(said.inner_text().partition(": ")[2].split(", ")) >= set(spoilt.replace("a,b", "a").split("&")[:4])
    page = opened("#m=ghvb&k=77&f=noise/ratio&b=7&m2=zzz&q=1")
    assert state(page)["first"]["family"] == "ghvb"
    assert 0 < state(page)["first"]["beta"] <= 2
    assert not state(page)["compare"]
    assert said.inner_text().endswith(": k=77, b=7, m2=zzz, q=1")
    assert page.evaluate("location.hash").endswith("&q=1"), "the address is as it was"
    page = opened("#m=deis&k=2&v=log-rho&f=data/log-snr")
    assert page.evaluate("numdiffStabilityPage.unknown").count("f=data/log-snr") == 1, "no member has all three"
    opened("#m=deis&k=2&v=log-rho")
    assert said.is_hidden()


@pytest.mark.parametrize("fragment", ["m=ab&w=1e300,0,1", "m=ab&z=1e300,1e300", "m=ab&w=0,0,1e9", "m=ab&w=0,0,1e-9"])
def test_numbers_out_of_reach_are_refused(opened, fragment):
    page = opened(f"#{fragment}")
    assert re.search(r"spectral radius \d", verdict(page))
    assert page.evaluate("numdiffStabilityPage.unknown") == fragment.split("&")[1:]


def test_what_a_link_leaves_out_is_the_family_s_default(opened):
    for name, key in (("method", "unipc"), ("m", "dpmpp"), ("m", "pec")):
        page = opened(f"#{name}={key}")
        first = state(page)["first"]
        end = page.evaluate("m => numdiffStability.realInterval(m, { beta: m.beta, h: 0.5 })", first)
        member = FAMILIES[key].member()
        options = {"h": 0.5} if member.kernel else {}
        assert np.isclose(end, float(nd.stability.real_interval(member, **options)), rtol=1e-10), key


FORMULATION = r",? (?:noise|data|velocity)/[\w-]+"
"""What the explorer spells out in a name."""
FOLLOW = """async fragments => {
  const found = [], S = numdiffStability;
  for (const fragment of fragments) {
    const heard = new Promise((done) => window.addEventListener("hashchange", done, { once: true }));
    location.hash = fragment;
    await heard;
    const { state, unknown } = numdiffStabilityPage, m = state.first, p = { beta: m.beta, h: state.h };
    const ends = [S.realInterval(m, p), S.imaginaryInterval(m, p)].map(String);  // JSON has no infinity
    found.push({ chosen: m, member: S.find(m), unknown: [...unknown], ends });
  }
  return found;
}"""


def gallery(folder):
    """Return {family: (fragment of the link, real end, imaginary end)} of the gallery's pages."""
    found = {}
    for path in sorted((Path(folder) / "gallery" / "methods").glob("*.html")):
        text = path.read_text()
        link = re.search(r'href="[./]*explore/stability\.html#([^"]*)"', text)
        ends = re.search(r"real interval to (-?[\d.einf+-]+), imaginary interval to ([\d.einf+-]+) on", text)
        if link:
            found[path.stem] = (link[1].replace("&amp;", "&"), -float(ends[1]), float(ends[2]))
    return found


def test_every_link_of_the_gallery_opens_what_its_page_shows(opened, folder):
    """The member, and the intervals, which Python and JavaScript work out apart."""
    links = gallery(folder)
    assert len(links) > 40
    page = opened("#m=rk4&z=0,0&h=0.7")
    followed = page.evaluate(FOLLOW, [fragment for fragment, _, _ in links.values()])
    for (name, (fragment, *ends)), found in zip(links.items(), followed, strict=True):
        method, chosen, member = FAMILIES[name].member(), found["chosen"], found["member"]
        assert (chosen["family"], found["unknown"]) == (name, []), fragment
        assert (chosen["formulation"], chosen["variant"]) == ((method.formulation or nd.NOISE_RATIO).name, ""), fragment
        if member["needs"]["beta"]:
            assert chosen["beta"] == pytest.approx(float(method.beta)), fragment
        else:
            assert re.sub(FORMULATION, "", member["name"]) == re.sub(FORMULATION, "", method.name), fragment
        for end, text in zip(ends, found["ends"], strict=True):
            assert np.isclose(end, float(text.replace("Infinity", "inf")), rtol=6e-3, atol=1e-9), (name, fragment)


def test_the_address_changes_only_after_a_change(opened, page):
    opened("#how-to-read-it")
    page.mouse.move(*place(page, -0.5, 0.2))
    page.wait_for_timeout(300)
    assert page.evaluate("location.hash") == "#how-to-read-it"
    page.locator("#stability-plane").focus()
    page.keyboard.press("ArrowUp")
    page.wait_for_timeout(300)
    assert page.evaluate("location.hash") == "#how-to-read-it", "a heading keeps its place"
    opened("")
    page.mouse.move(*place(page, -0.5, 0.2))
    page.wait_for_timeout(300)
    assert page.evaluate("location.hash") == ""
    page.locator("#stability-plane").focus()
    page.keyboard.press("ArrowUp")
    page.wait_for_function("location.hash.startsWith('#m=ghvb')")


def test_every_link_on_the_page_shows_what_it_says(opened):
    page = opened()
    links = page.locator('article a[href^="#m="]')
    assert links.count() >= 3
    for position in range(links.count()):
        target = links.nth(position).get_attribute("href")
        links.nth(position).click()
        wanted = dict(part.split("=", 1) for part in target.removeprefix("#").split("&"))
        settled = "b => b === null || numdiffStabilityPage.state.first.beta === b"
        page.wait_for_function("m => numdiffStabilityPage.state.first.family === m", arg=wanted["m"])
        page.wait_for_function(settled, arg=float(wanted["b"]) if "b" in wanted else None)
        found = state(page)
        assert found["first"]["order"] == int(wanted["k"])
        assert found["first"]["formulation"] == wanted["f"]
        assert found["first"]["variant"] == wanted.get("v", "").replace("+", " ")
        assert found["compare"] == ("m2" in wanted)
        assert "m2" not in wanted or found["second"]["family"] == wanted["m2"]
