"""The page of the stability explorer in a real browser, under mouse, keys and touch."""

import json
import random
import re

import numpy as np
import pytest

import numdiff as nd
from numdiff.methods.registry import FAMILIES
from tests.book import stability_page
from tests.book.stability_page import PAGE, WAIT, place, shown, state, verdict

pytestmark = pytest.mark.book


watched, page, opened = stability_page.watched, stability_page.page, stability_page.opened


def test_choosing_by_name_shows_python_s_interval(opened):
    page = opened()
    page.get_by_label("Or by its name in a library").first.select_option("paper:DPM-Solver++(2M)")
    page.get_by_label("Step h in log-SNR, as a number").fill("0.5")
    assert state(page)["first"]["family"] == "dpmpp"
    end = float(nd.stability.real_interval(nd.DPMSolverPP(2, rule="half"), h=0.5))
    page.wait_for_function(
        "text => document.querySelector('dd[data-axis=real]').textContent.includes(text)", arg=f"{end:.5f}"[:6]
    )


def test_beta_moves_the_region_and_the_closed_form_is_set(opened):
    page = opened("#m=hb&k=4&f=noise/ratio&b=1")
    before = shown(page, "real")
    page.get_by_label("Damping β, as a number").first.fill("0.3")
    verdict(page)
    after = shown(page, "real")
    assert before != after
    assert "1.7" in after
    assert shown(page, "imaginary") == "none"
    page.locator('dd[data-axis="real"] mjx-container svg').wait_for()


def test_a_damping_out_of_range_is_marked_and_changes_nothing(opened):
    page = opened("#m=ghvb&k=3&f=noise/ratio&b=0.5")
    number, said = page.get_by_label("Damping β, as a number").first, page.locator("#stability-first-beta-wrong")
    for wrong in ("2.5", "-1", ""):
        number.fill(wrong)
        assert number.get_attribute("aria-invalid") == "true"
        assert said.inner_text() == "A number from 0.01 to 2; 0.5 is kept."
        assert state(page)["first"]["beta"] == 0.5
    number.blur()
    assert number.input_value() == "0.5"
    assert said.inner_text() == ""


def test_the_mouse_points_drags_and_zooms(opened):
    page = opened("#m=ab&k=1&f=noise/ratio")
    page.mouse.click(*place(page, -1, 0.25))
    assert np.allclose(state(page)["pointer"], [-1, 0.25], atol=0.02)
    assert "stable" in verdict(page)
    assert "unstable" not in verdict(page)
    page.mouse.move(*place(page, 0.3, 0.3))
    assert "unstable" in verdict(page)
    seen = state(page)["seen"]
    page.mouse.wheel(0, -240)
    page.wait_for_function("r => numdiffStabilityPage.view.r < r", arg=seen["r"])
    seen, (x, y) = state(page)["seen"], place(page, -1, 0)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y + 20, steps=4)
    page.mouse.up()
    moved = state(page)["seen"]
    assert moved["x"] < seen["x"]
    assert moved["y"] > seen["y"]
    assert np.allclose(state(page)["pointer"], [-1, 0.25], atol=0.02), "a drag sets no pointer"
    page.get_by_role("button", name="Show the whole region").click()
    page.wait_for_function("numdiffStabilityPage.state.view === null")


def test_the_keyboard_does_all_of_it(opened):
    page = opened("#m=rk4&f=noise/ratio&z=0,0")
    page.locator("#stability-plane").focus()
    seen = state(page)["seen"]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    x, y = state(page)["pointer"]
    assert x == -y < 0
    page.keyboard.press("+")
    assert state(page)["seen"]["r"] < seen["r"]
    page.keyboard.press("Shift+ArrowRight")
    assert state(page)["seen"]["x"] > seen["x"] or state(page)["seen"]["r"] < seen["r"]
    page.keyboard.press("0")
    page.wait_for_function("r => Math.abs(numdiffStabilityPage.view.r - r) < 1e-9", arg=seen["r"])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") != "stability-plane", "no keyboard trap"


def test_zooming_out_to_the_end_keeps_the_centre(opened, page):
    opened("#m=rk4&z=-1,1")
    for direction in ("Zoom out", "Zoom in"):
        page.evaluate(
            "name => { for (let k = 0; k < 80; k++) document.querySelector(`[title='${name}']`).click() }", direction
        )
        seen = state(page)["seen"]
        assert np.hypot(seen["x"] + 1, seen["y"] - 1) <= 2 * seen["r"]
    assert seen["r"] < 1e-5


def test_the_region_stays_in_sight_when_the_window_changes(opened, page):
    opened("#m=rk4&z=-1,1")
    page.set_viewport_size({"width": 620, "height": 700})
    page.wait_for_function("document.querySelector('#stability-plane').clientWidth < 620")
    verdict(page)
    box = page.locator("#stability-plane").bounding_box()
    _, high = page.evaluate("numdiffStabilityPage.toPixel(0, 2.95)")  # the region of RK4 reaches 2.95 i
    assert 0 < high < box["height"] / 2
    opened("#m=rk4&z=-1,1&w=0,0,2")
    page.set_viewport_size({"width": 900, "height": 700})
    verdict(page)
    assert state(page)["seen"] == {"x": 0, "y": 0, "r": 2}, "a view that was chosen stays"


def test_only_the_first_button_points(opened, page):
    opened("#m=ab&k=1&z=3,3")
    for button, expected in (("right", [3, 3]), ("middle", [3, 3]), ("left", [-1, 0.25])):
        page.mouse.click(*place(page, -1, 0.25), button=button)
        assert np.allclose(state(page)["pointer"], expected, atol=0.02), button


def test_menus_have_short_names_with_the_registry_s_and_the_proved_order(opened, page):
    opened("#m=pec&k=3")
    texts = page.locator("#stability-first-method option").all_inner_texts()
    assert len(texts) == len(set(texts))
    assert all(re.search(r" \([\w-]+\)$", text) for text in texts)
    assert not any(text.count("(") != text.count(")") or text.startswith("IPNDM") for text in texts)
    assert max(map(len, texts)) < 90
    assert page.get_by_label("Order (parameter)").first.input_value() == "3"
    order = nd.order.certified(FAMILIES["pec"].member())
    assert page.locator(".explorer-proved").first.inner_text().endswith(f": order {order}")


def test_a_formula_takes_one_tab_stop(opened, page):
    opened("#m=ghvb&k=3")
    page.locator("dd[data-axis=real] mjx-container svg").wait_for()
    formula = page.locator(".explorer-formula").first
    assert formula.locator('[tabindex="0"]').count() <= 1
    assert formula.get_attribute("tabindex") is None
    assert formula.get_attribute("aria-label").endswith(shown(page, "real"))


READ = """points => {
  const canvas = document.querySelector('#stability-plane'), scale = canvas.width / canvas.clientWidth;
  const copy = document.createElement('canvas');
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const context = copy.getContext('2d', { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  const image = context.getImageData(0, 0, canvas.width, canvas.height);
  return points.map(([x, y]) => {
    const [u, v] = numdiffStabilityPage.toPixel(x, y).map((p) => Math.floor(p * scale));
    return image.data[4 * (v * canvas.width + u) + 3];
  });
}"""


def test_the_picture_is_painted_where_the_method_is_stable(opened):
    """Pixels well inside and outside the unit disc around -1, the region of Euler's method."""
    page = opened("#m=ab&k=1&f=noise/ratio&z=3,3&w=-1,0,2.5")
    verdict(page)
    rng = random.Random(3)
    points = [(rng.uniform(-3.4, 1.4), rng.uniform(-1.9, 1.9)) for _ in range(800)]
    radii = [abs(complex(x + 1, y)) for x, y in points]
    opacity = page.evaluate(READ, points)
    inside = [a for a, r in zip(opacity, radii, strict=True) if r < 0.95]
    outside = [a for a, r in zip(opacity, radii, strict=True) if r > 1.05]
    assert min(len(inside), len(outside)) > 80
    assert all(inside), "the region has holes"
    assert np.mean(np.array(outside) > 0) < 0.1, "there is more than axes, lines of the grid and labels outside"


def test_both_regions_are_painted_and_named(opened, page):
    """Inside the imaginary axis RK4 alone is stable, next to -2.6 too; Euler's disc lies in both."""
    opened("#m=ab&k=1&z=3,3&w=-1,0,2.5&m2=rk4")
    verdict(page)
    both, second, none = page.evaluate(READ, [(-1.03, 0.33), (-1.03, 1.73), (0.83, 1.33)])
    assert both > second > none == 0
    texts = page.locator(".explorer-key").all_inner_texts()
    assert texts[0].startswith("AB1")
    assert texts[1].startswith("RK4")
    assert page.locator("#stability-verdict-2").inner_text().startswith("RK4")


@pytest.mark.parametrize("dark", [False, True])
def test_both_modes_have_colours_of_their_own(browser, site, dark):
    context = browser.new_context(color_scheme="dark" if dark else "light")
    page = context.new_page()
    page.goto(f"{site}/{PAGE}")
    page.wait_for_function(WAIT)
    text = page.evaluate("getComputedStyle(document.querySelector('#stability-verdict')).color")
    assert (sum(int(part) for part in text.strip("rgba() ").split(",")[:3]) > 384) is dark
    before = page.evaluate("document.querySelector('#stability-plane').toDataURL()")
    page.evaluate("mode => { document.documentElement.dataset.theme = mode }", "light" if dark else "dark")
    page.wait_for_function("old => document.querySelector('#stability-plane').toDataURL() !== old", arg=before)
    context.close()


def test_a_phone(browser, site):
    """360 pixels wide: nothing is wider, a tap points, two fingers zoom, the plot stays in sight at the controls."""
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f"{site}/{PAGE}#m=unipc&k=2&v=rule+bh2&f=data/log-snr&b=1&h=0.5&m2=ghvb&k2=3&f2=noise/ratio&b2=0.5")
    page.wait_for_function(WAIT)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator("#stability-plane").scroll_into_view_if_needed()
    page.touchscreen.tap(*place(page, -0.6, 0.4))
    assert np.allclose(state(page)["pointer"], [-0.6, 0.4], atol=0.05)
    seen, session = state(page)["seen"], context.new_cdp_session(page)
    x, y = place(page, -0.6, 0.2)

    def touch(kind, *points):
        session.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": u, "y": v, "id": k} for k, (u, v) in enumerate(points)]},
        )

    touch("touchStart", (x - 20, y), (x + 20, y))
    for gap in (28, 40, 60):
        touch("touchMove", (x - gap, y), (x + gap, y))
    touch("touchEnd")
    page.wait_for_function("r => numdiffStabilityPage.view.r < 0.6 * r", arg=seen["r"])
    page.locator("#stability-first-beta").evaluate("e => e.scrollIntoView({ block: 'end' })")
    box = page.locator("#stability-plane").bounding_box()
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= 740
    for control in page.locator(".explorer button:visible, .explorer select:visible").all():
        assert control.bounding_box()["height"] >= 36, control
    context.close()


def test_the_summary_says_what_is_seen(opened):
    page = opened("#m=ab&k=3&f=noise/ratio&z=-0.2,0.1")
    page.wait_for_function("document.querySelector('#stability-summary').textContent.includes('AB3')")
    text = page.locator("#stability-summary").inner_text()
    assert page.locator("#stability-summary").get_attribute("aria-live") == "polite"
    assert f"{6 / 11:.6f}"[:7] in text
    assert "spectral radius" in text


def test_the_file_opens_without_a_server(browser, folder):
    page = browser.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto((folder / PAGE).resolve().as_uri())
    page.wait_for_function(WAIT)
    assert not problems
    page.close()


REDRAW = """() => {
  const times = [], seen = new Set(), canvas = document.querySelector('#stability-plane');
  for (let k = 0; k < 20; k++) {
    const start = performance.now();
    numdiffStabilityPage.redraw();
    times.push(performance.now() - start);
    seen.add(canvas.toDataURL());
  }
  return [times, seen.size];
}"""


def test_time_of_a_redraw(opened):
    """No assertion on the time: it is printed (pytest -s), and only that all redraws paint the same is checked."""
    page = opened()
    times, same = page.evaluate(REDRAW)
    print(json.dumps({"median redraw in ms": round(float(np.median(times)), 2)}))
    assert same == 1
