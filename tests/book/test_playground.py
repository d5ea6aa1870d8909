"""The sampler playground's page in a browser: by mouse, keys, touch and link, and the errors that it shows."""

import json
import re

import numpy as np
import pytest

from book.computed.playground_claims import VIEWS
from book.tools.playground_methods import STEPS
from book.tools.results import stored
from tests.book.checks import PHONE, WIDE

pytestmark = pytest.mark.book


def _ready(page, times=1):
    page.wait_for_function(
        "times => Number(document.getElementById('numdiff-playground').dataset.ready || 0) >= times", arg=times
    )


def _settled(page):
    """Wait until nothing has been computed for a while."""
    page.wait_for_function(
        """async () => {
            const root = document.getElementById("numdiff-playground"), before = root.dataset.ready;
            await new Promise(resolve => setTimeout(resolve, 450));
            return before !== undefined && root.dataset.ready === before;
        }"""
    )


def _open(page, site, link=""):
    page.goto(f"{site}/explore/playground.html{link}")
    _ready(page)


def _leave(page):
    """Go to an empty page once nothing is being loaded: a request that is cut off counts as failed."""
    page.wait_for_load_state("networkidle")
    page.goto("about:blank")


def _state(page):
    return page.evaluate("numdiffPlayground.page.state")


def _shown(page, side, name="rms"):
    return page.locator(f"#pg-{side}-{name}").inner_text()


def _follow(page, link):
    """Open a link of the page that is shown already."""
    before = page.evaluate("Number(document.getElementById('numdiff-playground').dataset.ready)")
    page.evaluate("link => { location.hash = link; }", link)
    _ready(page, before + 1)


def test_links_show_the_errors_that_numdiff_finds(page, site):
    _open(page, site)
    for name, view in VIEWS.items():
        claimed = stored("playground_claims")[name]
        assert claimed["link"] == view.link
        _follow(page, claimed["link"])
        series = page.evaluate("numdiffPlayground.page.series")
        for side, chosen, drawn in (("a", view.a, series[0]), ("b", view.b, series[1])):
            rms, median = claimed[side][str(chosen[2])]
            assert _shown(page, side) == f"{rms:#.3g}" or float(_shown(page, side)) == pytest.approx(rms, rel=5e-3)
            assert float(_shown(page, side, "median")) == pytest.approx(median, rel=5e-3)
            assert [e for _, e in drawn["points"]] == pytest.approx([e for e, _ in claimed[side].values()], rel=1e-5)


def _errors(page, view, **sides):
    link = view.link
    for side, chosen in sides.items():
        link = re.sub(rf"__{side}--[^_]*(_[^_]+)*", f"__{side}--{'--'.join(map(str, chosen))}", link, count=1)
    _follow(page, link)
    return [page.evaluate(f"numdiffPlayground.page.now.{side}.rms") for side in "ab"]


def test_what_the_page_says_of_its_links_is_so(page, site):
    _open(page, site)
    third, better = _errors(page, VIEWS["grid"])
    assert better < 0.1 < 1 < third
    second, _ = _errors(page, VIEWS["grid"], a=("dpmpp_2", "uniform-t", 10))
    first, _ = _errors(page, VIEWS["grid"], a=("ddim", "uniform-t", 10))
    assert first < second < third
    plain, optimized = _errors(page, VIEWS["optimized"])
    assert optimized < plain / 3
    plms, split = _errors(page, VIEWS["push-10"])
    assert split < 2 * 1.5 * np.sin(np.pi / 8) < plms  # the distance of neighbours on the ring
    adams, _ = _errors(page, VIEWS["push-10"], a=("ab_4", "log-snr", 10))
    assert adams < split
    plms, split = _errors(page, VIEWS["push-20"])
    assert plms < split / 10
    points = np.log(page.evaluate("numdiffPlayground.page.series[1].points")[-5:])
    assert np.polyfit(points[:, 0], points[:, 1], 1)[0] == pytest.approx(-1, abs=0.15)


def test_links_on_the_page_open_in_the_playground(page, site):
    _open(page, site)
    page.locator("table a").nth(2).click()
    page.wait_for_function("numdiffPlayground.page.state.scale === 6")
    _ready(page, 2)
    assert _state(page)["b"] == {"key": "ltsp_4", "grid": "log-snr", "steps": 10}
    page.evaluate("location.hash = '#three-things-to-try'")  # a heading: the view stays
    page.wait_for_timeout(100)
    assert _state(page)["scale"] == 6


def test_dark_mode_repaints_and_only_the_reader_changes_the_address(page, site):
    picture = "document.getElementById('pg-a-canvas').toDataURL()"
    _open(page, site, "#three-things-to-try")
    light = page.evaluate(picture)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    _ready(page, 2)
    assert page.evaluate(picture) != light
    page.wait_for_timeout(250)
    assert page.evaluate("location.hash") == "#three-things-to-try"
    page.select_option("#pg-mixture", "two")
    page.wait_for_function("location.hash.includes('mixture--two')")


def test_everything_goes_into_the_link_and_comes_back(page, site):
    _open(page, site)
    page.select_option("#pg-mixture", "unequal")
    page.select_option("#pg-schedule", "flow")
    page.select_option("#pg-particles", "100")
    page.click("#pg-noise")
    page.select_option("#pg-component", label="component 3")
    page.locator("#pg-scale").fill("1.25")
    page.select_option("#pg-b-family", "With noise|seeds")
    page.select_option("#pg-b-member", "seeds_1")
    page.select_option("#pg-b-grid", "karras")
    page.locator("#pg-b-steps").fill(str(STEPS.index(15)))
    page.locator("#pg-a-plane button").nth(1).press("Shift+ArrowLeft")
    page.uncheck("#pg-paths")
    page.click("#pg-back")
    _settled(page)
    state, numbers, link = _state(page), [_shown(page, side) for side in "ab"], page.evaluate("location.hash")
    assert state["means"][1] == pytest.approx([1.1 - 0.25, 0.9])
    assert (state["mixture"], state["scale"], state["component"], state["place"]) == ("unequal", 1.25, 2, 0.9)
    _leave(page)
    _open(page, site, link)
    assert _state(page) == state
    assert [_shown(page, side) for side in "ab"] == numbers
    assert "follow the law" in _shown(page, "b", "note")


def test_a_link_that_is_not_understood_says_so(page, site):
    _open(page, site, "#view__a--nothing--log-snr--10__scale--900__seed--3")
    assert _state(page)["a"]["key"] == "dpmpp_2"
    assert _state(page)["seed"] == 3
    said = page.locator("#pg-status").inner_text()
    assert "a--nothing--log-snr--10" in said
    assert "scale--900" in said


def test_components_are_dragged_by_mouse(page, site):
    _open(page, site)
    handle, plane = page.locator("#pg-a-plane button").first, page.locator("#pg-a-plane")
    plane.scroll_into_view_if_needed()
    box, from_ = plane.bounding_box(), handle.bounding_box()
    page.mouse.move(from_["x"] + from_["width"] / 2, from_["y"] + from_["height"] / 2)
    page.mouse.down(button="middle")  # which does not drag
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 4)
    page.mouse.up(button="middle")
    assert _state(page)["means"] is None
    page.mouse.move(from_["x"] + from_["width"] / 2, from_["y"] + from_["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 4, steps=4)
    page.mouse.up()
    _settled(page)
    assert _state(page)["means"][0] == pytest.approx([0, 1.5], abs=0.05)
    assert page.locator("#pg-reset").is_enabled()
    page.click("#pg-reset")
    _settled(page)
    assert _state(page)["means"] is None


def test_components_are_dragged_by_touch(browser, site):
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True)
    page = context.new_page()
    _open(page, site)
    plane = page.locator("#pg-a-plane")
    plane.scroll_into_view_if_needed()
    box, handle = plane.bounding_box(), page.locator("#pg-a-plane button").first.bounding_box()
    session = context.new_cdp_session(page)
    x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    end = (box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for part in (0.3, 0.6, 1.0):
        point = {"x": x + part * (end[0] - x), "y": y + part * (end[1] - y)}
        session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    _settled(page)
    assert _state(page)["means"][0] == pytest.approx([0, 0], abs=0.05)
    assert page.evaluate(WIDE) == []
    context.close()


def test_everything_is_reached_by_keyboard(page, site):
    _open(page, site)
    page.locator("#pg-mixture").focus()
    reached = []
    for _ in range(60):
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
        if reached[-1] == "pg-copy":
            break
        page.keyboard.press("Tab")
    wanted = [
        "pg-mixture",
        "pg-scale",
        "pg-a-family",
        "pg-a-steps",
        "1",
        "8",
        "pg-b-grid",
        "pg-play",
        "pg-place",
        "pg-copy",
    ]
    assert [name for name in wanted if name in reached] == wanted
    page.locator("#pg-a-steps").focus()
    page.keyboard.press("ArrowRight")
    _ready(page, 2)
    assert _state(page)["a"]["steps"] == 12


def test_a_run_plays_and_stops_and_goes_by_steps(page, site):
    _open(page, site)
    page.click("#pg-play")
    page.wait_for_function("numdiffPlayground.page.state.place > 0.05 && numdiffPlayground.page.state.place < 1")
    page.click("#pg-play")
    place = _state(page)["place"]
    page.wait_for_timeout(150)
    assert _state(page)["place"] == place
    page.click("#pg-forward")
    assert 10 * _state(page)["place"] == pytest.approx(np.floor(10 * place) + 1)
    page.click("#pg-back")
    assert 10 * _state(page)["place"] == pytest.approx(np.floor(10 * place))


def test_without_motion_a_run_is_shown_by_whole_steps(page, site):
    page.emulate_media(reduced_motion="reduce")
    _open(page, site, "#view__a--dpmpp_2--log-snr--50")
    page.evaluate(
        """() => {
            window.places = new Set();
            const look = () => { places.add(numdiffPlayground.page.state.place); requestAnimationFrame(look); };
            look();
        }"""
    )
    page.click("#pg-play")
    page.wait_for_function("places.size >= 4")
    page.click("#pg-play")
    steps = 50 * np.array(page.evaluate("[...places]"))
    assert np.allclose(steps, np.round(steps))


def test_what_the_canvas_shows_is_said_in_words(page, site):
    _open(page, site, VIEWS["push-10"].link)
    page.wait_for_function("document.getElementById('pg-words').textContent.includes('Sampler B')")
    words = page.locator("#pg-words").text_content()
    for side in "ab":
        assert f"RMS error at the end {_shown(page, side)}" in words
        assert "guidance included" in _shown(page, side, "counted")
        assert (
            _shown(page, side, "count") == str(page.evaluate(f"numdiffPlayground.page.now.{side}.evaluations")) == "20"
        )
    assert page.locator("#pg-words").get_attribute("aria-live") == "polite"
    _follow(page, VIEWS["optimized"].link)  # without a push
    assert [_shown(page, side, "counted") for side in "ab"] == ["evaluations"] * 2
    _follow(page, "#view__a--ab_4--log-snr--3__b--sde-dpmpp_2--optimized--5")
    assert "needs at least 4 steps" in _shown(page, "a", "note")
    assert "adds noise" in _shown(page, "b", "note")
    assert _shown(page, "a") == "\u2013"


def test_it_runs_from_a_folder(browser, folder):
    context = browser.new_context()
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((folder / "explore" / "playground.html").as_uri())
    _ready(page)
    page.select_option("#pg-a-family", "Runge-Kutta|rk4")
    _ready(page, 2)
    assert page.evaluate("numdiffPlayground.page.now.a.evaluations") == 40
    assert json.dumps(errors) == "[]"
    context.close()
