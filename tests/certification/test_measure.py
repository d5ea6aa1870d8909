"""Orders that theory gives are measured, on grids that are what they are called, and failures carry their N."""

import math

import numpy as np
import pytest

import numdiff as nd
from numdiff.certification.measure import NORMS, VARIABLES, Layout, SamplerError, final, measure
from numdiff.certification.own import of_method
from numdiff.certification.subject import SCALES, Setting, Subject, position
from numdiff.grids.patterns import PATTERNS, fractions
from numdiff.problems import odes, paths

STEPS = (64, 96, 128, 192)
TOYS = paths.toys()
OF_LEVEL = {
    "log-snr": lambda level: float(level.log_snr),
    "rho": lambda level: float(level.sigma / level.alpha),
    "inverse-rho": lambda level: float(level.alpha / level.sigma),
    "karras": lambda level: float(level.sigma / level.alpha) ** (1 / 7),
    "time": lambda level: float(level.time),
}
"""Variables of a grid, from the levels themselves."""


def slope(method, path, steps=STEPS, **options):
    return measure(of_method(method, scale=options.pop("scale", "vp")), path, steps, **options).slope


# --- grids ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", OF_LEVEL)
@pytest.mark.parametrize("scale", SCALES)
def test_steps_follow_their_pattern_in_their_variable(scale, variable):
    subject = of_method("ddim", scale=scale)
    for pattern in PATTERNS:
        levels = Layout(pattern, variable, seed=3).levels(subject, (-1.0, 3.0), 17)
        s = np.array([OF_LEVEL[variable](level) for level in levels])
        # log-SNRs and times turn into each other with the rounding of a schedule
        np.testing.assert_allclose((s - s[0]) / (s[-1] - s[0]), fractions(pattern, 17, 3), rtol=0, atol=1e-11)
        assert [position(scale, levels[k]) for k in (0, -1)] == pytest.approx([-1.0, 3.0], abs=1e-12)


@pytest.mark.parametrize("variable", [*VARIABLES, "time"])
def test_a_path_that_goes_evenly_is_cut_evenly(variable):
    """At the levels of equal steps in s it is where the path is at equal steps in lambda."""
    for scale in SCALES:
        subject, layout = of_method("ddim", scale=scale), Layout("uniform", variable)
        even = layout.evenly(subject, TOYS)
        levels = layout.levels(subject, TOYS.span, 10)
        for lam, level in zip(np.linspace(*TOYS.span, 11), levels, strict=True):
            np.testing.assert_allclose(even.exact(position(scale, level)), TOYS.exact(lam), rtol=0, atol=1e-11)
        for lam in (-0.5, 1.0, 2.5):
            h = 1e-3
            a, b, c, d = (even.exact(lam + k * h) for k in (-2, -1, 1, 2))
            # steep in time at the clean end; fourth-order differences
            np.testing.assert_allclose(even.slope(lam, even.exact(lam)), (a - 8 * b + 8 * c - d) / (12 * h), atol=1e-6)


def test_a_plain_equation_has_its_time_only():
    subject = of_method("rk4", scale="time")
    for variable in ("log-snr", "karras", "nonsense"):
        levels = Layout("uniform", variable).levels(subject, (0.5, 2.5), 4)
        assert [level.time for level in levels] == [0.5, 1.0, 1.5, 2.0, 2.5]


# --- orders -----------------------------------------------------------------------------------------------------------


def test_orders_with_exact_start_are_the_claims_and_a_start_by_euler_leaves_two():
    """AB3 began with Euler steps has the order 2 of their local error; a path at rest hides the start."""
    for method, shipped in ((nd.AdamsBashforth(3), 2), (nd.GHVB(3, 0.8), 2), (nd.DDIM(), 1)):
        assert slope(method, TOYS.resting()) == pytest.approx(method.order, abs=0.2), method
        assert slope(method, TOYS, scale="time") == pytest.approx(shipped, abs=0.1), method
    assert slope(nd.AdamsBashforth(3), TOYS) < 2.6
    assert slope(nd.RK4(), TOYS) == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize("scale", [*SCALES, "time"])
def test_orders_do_not_depend_on_the_scale(scale):
    assert slope(nd.AdamsBashforth(3), TOYS.resting(), scale=scale) == pytest.approx(3, abs=0.2)


def test_weights_for_equal_steps_are_right_on_those_alone():
    """PLMS4 has order 4 on equal steps in rho, 2 on steps that change smoothly in it, 1 on alternating ones."""
    steps = (128, 192, 256, 384)
    method = nd.PLMS(4)
    for layout, order in (
        (Layout("uniform", "rho"), 4),
        (Layout("uniform"), 2),
        (Layout("alternating"), 1),
        (Layout("alternating", "rho"), 1),
    ):
        path = layout.evenly(of_method(method), TOYS).resting()
        assert slope(method, path, steps, layout=layout) == pytest.approx(order, abs=0.25), layout
    exact = nd.AdamsBashforth(4, formulation="noise/ratio")
    for layout in (Layout("uniform"), Layout("alternating"), Layout("uniform", "rho")):
        path = layout.evenly(of_method(exact), TOYS).resting()
        assert slope(exact, path, steps, layout=layout) == pytest.approx(4, abs=0.25), layout


@pytest.mark.parametrize("norm", NORMS)
def test_every_norm_sees_the_same_order(norm):
    found = measure(of_method("ab2"), TOYS.resting(), STEPS, norm=norm)
    assert found.slope == pytest.approx(2, abs=0.1)


def test_norms_are_what_they_are_called():
    """Of the differences of a run that `final` gives; the largest is at least the mean square, and the median in it."""
    subject, levels = of_method("ab2"), Layout().levels(of_method("ab2"), TOYS.span, 24)
    e = np.abs(final(subject, TOYS, levels, Setting()) - TOYS.exact(3.0))
    found = {norm: measure(subject, TOYS, (24, 32, 48), norm=norm).errors[0] for norm in NORMS}
    assert found["rms"] == pytest.approx(math.sqrt((e**2).sum() / e.size), rel=1e-12)
    assert found["max"] == e.max()
    assert found["median"] == pytest.approx((np.sort(e[0])[1] + np.sort(e[0])[2]) / 2, rel=1e-12)


def test_the_error_does_not_depend_on_the_scale_of_the_sample():
    """x/alpha of the same method: noise/ratio weights see rho only, so EDM and VP give the same errors."""
    vp, edm = (measure(of_method("ab2", scale=scale), TOYS, STEPS).errors for scale in ("vp", "edm"))
    np.testing.assert_allclose(vp, edm, rtol=1e-8)


def test_an_exact_method_is_exact_and_has_no_order():
    """Data prediction makes one step exact where x_0 does not change: y' = -(y - m) in log-SNR, y = m + e^-lambda."""
    path = paths.Path(
        "point", lambda lam, y: 0.5 - y, lambda lam: np.array([[0.5 + math.exp(-lam)]]), (-1.0, 3.0), 1e-15
    )
    found = measure(of_method("ddim"), path, STEPS)
    assert not found.defined
    assert "exact" in found.cause


# --- grids of the sampler's own ---------------------------------------------------------------------------------------


def test_its_own_grid_is_run_and_ends_where_it_ends():
    """Equal steps over a longer span than the path's, to sigma = 0: the clean end is at rest, wherever it lies."""
    method = of_method("ab2")
    ends = []

    def grid(steps):
        ends.append(steps)
        return tuple(method.level(lam) for lam in (*np.linspace(-1.5, 3.5, steps), math.inf))

    subject = Subject("tests:own", method.run, 2, prediction=method.prediction, grid=grid, given=False)
    found = measure(subject, TOYS.resting(), STEPS, setting=Setting(grid="own"))
    assert ends == list(STEPS)
    assert found.slope == pytest.approx(2, abs=0.15)


# --- failures ---------------------------------------------------------------------------------------------------------


def failing(what, since=0):
    """Return a subject that does `what` with the sample from `since` steps on."""
    good = of_method("ddim").run

    def run(field, x, levels, setting):
        return what(x) if len(levels) - 1 >= since else good(field, x, levels, setting)

    return Subject("tests:failing", run)


def test_what_a_sampler_raises_is_named_with_its_steps():
    def boom(x):
        raise IndexError("index 48 is out\n of bounds")

    with pytest.raises(SamplerError, match="raised at N = 48: IndexError: index 48 is out of bounds") as caught:
        measure(failing(boom, 48), TOYS, (24, 32, 48, 64))
    assert caught.value.steps == 48
    assert isinstance(caught.value.error, IndexError)
    assert caught.value.__cause__ is caught.value.error


@pytest.mark.parametrize("what", [lambda x: x[:1], lambda x: x.T, lambda x: 0.0], ids=["row", "transposed", "number"])
def test_another_shape_is_refused(what):
    with pytest.raises(ValueError, match=r"tests:failing returned shape \(.*\) for a sample of shape \(2, 4\)"):
        measure(failing(what), TOYS, (24, 32, 48))


def test_nan_is_named_with_its_steps_and_never_a_number():
    found = measure(failing(lambda x: x * math.nan, 48), TOYS, (24, 32, 48, 64))
    assert "not finite at N = 48, 64" in found.cause
    assert not found.defined
    assert np.isnan(found.errors[2:]).all()


def test_the_sample_that_was_given_may_be_written_to():
    def greedy(field, x, levels, setting):
        x *= 0
        return x

    before = TOYS.exact(-1.0).copy()
    measure(Subject("tests:greedy", greedy), TOYS, (24, 32, 48))
    np.testing.assert_array_equal(TOYS.exact(-1.0), before)


def test_unknown_names_are_refused():
    subject = of_method("ddim")
    with pytest.raises(ValueError, match="unknown norm 'rsm'; did you mean 'rms'"):
        measure(subject, TOYS, STEPS, norm="rsm")
    with pytest.raises(ValueError, match="unknown grid 'smooth'"):
        measure(subject, TOYS, STEPS, layout=Layout("smooth"))
    with pytest.raises(ValueError, match="unknown variable 'log-snrs'; did you mean 'log-snr'"):
        measure(subject, TOYS, STEPS, layout=Layout("uniform", "log-snrs"))
    with pytest.raises(ValueError, match="steps must be at least 3 different numbers"):
        measure(subject, TOYS, (24, 48))


def test_a_stiff_or_rotating_system_is_measured_too():
    found = measure(of_method("rk4"), paths.of_ode(odes()["rotation"]), STEPS)
    assert found.slope == pytest.approx(4, abs=0.15)
