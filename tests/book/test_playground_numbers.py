"""The numerics of the sampler playground in a browser against numdiff's: methods, exact flow, predictions, noise."""

import warnings
from itertools import product

import numpy as np
import pytest

from book.computed.playground_claims import View, end_points, run
from book.tools import playground
from book.tools.playground_methods import offers
from book.tools.playground_noise import normals
from book.tools.playground_programs import numbers_of

pytestmark = pytest.mark.book

SEED, PARTICLES = 5, 12

GRIDS = [("log-snr", 5), ("karras", 12), ("uniform-t", 8), ("quadratic", 6), ("optimized", 10)]
"""Grids, with the number of steps that methods are compared on there."""

RUN = """async ([cases, mixture, component, seed, n]) => {
    const P = numdiffPlayground, mix = P.mixture(P.shared.mixtures[mixture].components);
    const noise = (index, column) => P.normals(seed, n, index, column);
    const end = ([key, name, scale]) => {
        const program = P.program(key, name);
        if (!program) return P.reason(key, name);
        const path = P.run(program, P.normals(seed, n), P.field(mix, program, {scale, component}), noise);
        return Array.from(path[path.length - 1]);
    };
    await Promise.all(cases.map(([key]) => P.load(key, "/explore/data/playground/")));
    return cases.map(end);
}"""

FLOW = """([cases, seed, n]) => cases.map(([mixture, schedule, scale]) => {
    const P = numdiffPlayground, [from, to] = P.shared.schedules[schedule];
    const mix = P.mixture(P.shared.mixtures[mixture].components);
    return Array.from(P.flow(mix, P.normals(seed, n), from, to, {scale, component: 1}));
})"""

PREDICT = """([cases, x]) => cases.map(([mixture, level, prediction]) => {
    const P = numdiffPlayground, mix = P.mixture(P.shared.mixtures[mixture].components);
    return Array.from(P.predict(mix, prediction, Float64Array.from(x), level, 1, 0, 0));
})"""


@pytest.fixture
def core(page, site):
    """A page of the site without the theme: the core and the shared data alone, loaded as the book loads them."""
    scripts = "".join(
        f"<script src='/explore/{name}.js'></script>" for name in ("js/playground-core", "data/playground/index")
    )
    body = f"<!doctype html><link rel='icon' href='data:,'>{scripts}"
    page.route("**/core", lambda route: route.fulfill(content_type="text/html", body=body))
    page.goto(f"{site}/core")
    return page


def _layouts(place):
    """Return three layouts for a member by its place in the list, so that neighbours have different ones."""
    vp, flow = GRIDS[place % len(GRIDS)], GRIDS[:-1][place // 2 % (len(GRIDS) - 1)]  # nothing is optimized for flows
    pushed = place // len(GRIDS) % 2  # whether the first of the three has a push, or the others
    other = GRIDS[(place + 2) % len(GRIDS)]
    scales = (1.5, 0.0) if pushed else (0.0, 1.5)
    return [("vp-linear", *vp, scales[0]), ("vp-linear", *other, scales[1]), ("flow", *flow, scales[1])]


def _scheme(offer, schedule, grid, steps):
    """Return the scheme, or None and why there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of grids that do not suit a method
            return playground.scheme(offer, schedule, grid, steps), ""
    except ValueError as error:
        return None, str(error)


def test_every_method_ends_where_numdiff_does(core):
    cases = [(offer, *layout) for place, offer in enumerate(offers()) for layout in _layouts(place)]
    asked = [(offer.key, f"{schedule}/{grid}/{steps}", scale) for offer, schedule, grid, steps, scale in cases]
    found = core.evaluate(RUN, [asked, "unequal", 1, SEED, PARTICLES])
    start, compared = normals(SEED, PARTICLES), []
    for (offer, schedule, grid, steps, scale), ends in zip(cases, found, strict=True):
        scheme, refusal = _scheme(offer, schedule, grid, steps)
        if scheme is None:
            assert ends == refusal
            continue
        view = View("unequal", ("", "", 0), ("", "", 0), scale, 1, schedule)
        expected = run(view, scheme, start, SEED)
        distance = np.abs(np.reshape(ends, (-1, 2)) - expected).max()
        assert distance < 1e-10 * max(1.0, np.abs(expected).max()), (offer.key, schedule, grid, steps, distance)
        compared.append((offer, schedule, grid, scale > 0))
    assert {offer.key for offer, *_ in compared} == {offer.key for offer in offers()}
    groups = {offer.group for offer in offers()}
    kinds = {(offer.group, *rest) for offer, *rest in compared}
    assert {(group, pushed) for group, _, _, pushed in kinds} == set(product(groups, (False, True)))
    assert {(schedule, grid) for _, schedule, grid, _ in kinds} == {
        *product(playground.SCHEDULES, [grid for grid, _ in GRIDS[:-1]]),
        ("vp-linear", "optimized"),
    }


def test_the_exact_flow_is_the_mixtures(core):
    schedules = [*playground.SCHEDULES]
    cases = [
        (mixture, schedules[(place + pushed) % 2], 4.0 * pushed)  # every mixture on both schedules, once with a push
        for place, mixture in enumerate(playground.MIXTURES)
        for pushed in (0, 1)
    ]
    found = core.evaluate(FLOW, [cases, SEED, 20])
    for (mixture, schedule, scale), ends in zip(cases, found, strict=True):
        view = View(mixture, ("", "", 0), ("", "", 0), scale, 1, schedule)
        expected = end_points(view, normals(SEED, 20))
        assert np.abs(np.reshape(ends, (-1, 2)) - expected).max() < 1e-10 * np.abs(expected).max(), view


def test_predictions_are_the_mixtures(core):
    schedule, x = playground.SCHEDULES["vp-linear"], 1.5 * normals(SEED, 50)
    cases = list(product(playground.MIXTURES, (1.0, 0.5, 0.1, 1e-3), ("noise", "data", "velocity")))
    asked = [(mixture, numbers_of(schedule.level(t)), kind) for mixture, t, kind in cases]
    found = core.evaluate(PREDICT, [asked, x.ravel().tolist()])
    for (mixture, t, kind), values in zip(cases, found, strict=True):
        expected = playground.mixture(playground.MIXTURES[mixture][1]).model(schedule, kind)(x, t)
        assert np.abs(np.reshape(values, (-1, 2)) - expected).max() < 1e-11 * np.abs(expected).max(), (mixture, t, kind)


def test_noise_and_density_are_pythons(core):
    found = core.evaluate("seed => Array.from(numdiffPlayground.normals(seed, 500, 7, 1))", 4294967295)
    assert np.abs(np.reshape(found, (-1, 2)) - normals(4294967295, 500, 7, 1)).max() < 1e-14
    level, x = playground.SCHEDULES["flow"].level(0.3), normals(SEED, 60)
    found = core.evaluate(
        """([x, alpha, sigma]) => {
            const P = numdiffPlayground, mix = P.mixture(P.shared.mixtures.rare.components);
            return x.map(([a, b]) => P.logDensity(mix, a, b, alpha, sigma));
        }""",
        [x.tolist(), level.alpha, level.sigma],
    )
    exact = playground.mixture(playground.MIXTURES["rare"][1]).log_density(x, level)
    assert np.allclose(found, exact, rtol=1e-12, atol=1e-12)


def test_the_data_is_small_enough_to_load(folder):
    sizes = {path.name: path.stat().st_size for path in (folder / "explore" / "data" / "playground").iterdir()}
    assert set(sizes) == {"index.js", *(f"{offer.key}.js" for offer in offers())}
    assert max(sizes.values()) < 400_000
    assert sum(sizes.values()) < 12_000_000
