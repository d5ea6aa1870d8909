"""What a subject promises: its levels are of its scale, its field follows the path, and nonsense is refused."""

import math

import numpy as np
import pytest

from numdiff.certification.subject import SCALES, NotASamplerError, Setting, Subject, answered, level_of, position
from numdiff.parameterizations import convert
from numdiff.problems import paths

SUMS = {
    "vp": lambda alpha, sigma: alpha**2 + sigma**2,
    "edm": lambda alpha, sigma: alpha,
    "flow": lambda alpha, sigma: alpha + sigma,
}
LAMBDAS = (-3.0, -1.0, 0.0, 0.3, 2.9, 4.0)


def run(field, x, levels, setting):
    return x


@pytest.mark.parametrize("scale", SCALES)
def test_levels_lie_on_their_scale_and_come_back_as_log_snrs(scale):
    subject = Subject("tests:none", run, scale=scale)
    for lam in LAMBDAS:
        level = subject.level(lam)
        assert SUMS[scale](level.alpha, level.sigma) == pytest.approx(1, abs=1e-13)
        # a log-SNR is found by its schedule's time, whose own rounding it carries
        assert position(scale, level) == pytest.approx(lam, abs=1e-11)
        assert level == level_of(scale, lam)
    clean = subject.level(math.inf)
    assert clean.sigma == 0
    assert clean.alpha == pytest.approx(1, abs=1e-13)
    assert position(scale, clean) == math.inf


@pytest.mark.parametrize("scale", SCALES)
def test_a_level_knows_the_velocity_of_its_schedule(scale):
    """dx/dt = alpha' x_0 + sigma' eps with the derivatives of the schedule's levels, by differences of order 4."""
    schedule, h = SCALES[scale], 1e-3
    for lam in (-1.0, 1.0):
        level = level_of(scale, lam)
        step = h * level.time
        near = [schedule.level(level.time + k * step) for k in (-2, -1, 1, 2)]
        for name, found in (("alpha", level.d_alpha), ("sigma", level.d_sigma)):
            a, b, c, d = (getattr(other, name) for other in near)
            assert (a - 8 * b + 8 * c - d) / (12 * step) == pytest.approx(float(found), rel=1e-8, abs=1e-9)


def test_times_are_levels_of_a_plain_equation():
    subject = Subject("tests:none", run, scale="time", prediction="velocity")
    level = subject.level(0.7)
    assert (level.time, level.alpha, level.sigma) == (0.7, 1, 0)
    assert position("time", level) == 0.7
    path = paths.toys()
    y = path.exact(0.7)
    np.testing.assert_array_equal(answered(path, subject)(y, level), path.slope(0.7, y))


@pytest.mark.parametrize("prediction", ["noise", "data", "v", "velocity", "flow"])
def test_the_field_answers_as_the_sampler_wants_it(prediction):
    path = paths.toys()
    for scale in SCALES:
        subject = Subject("tests:none", run, scale=scale, prediction=prediction)
        level = subject.level(0.5)
        x = path.state(level)
        rho = level.sigma / level.alpha
        noise = -path.slope(-math.log(rho), x / level.alpha) / rho
        expected = convert(noise, x, level, source="noise", target=prediction)
        np.testing.assert_allclose(answered(path, subject)(x, level), expected, rtol=1e-12, atol=1e-13)


def test_what_makes_no_subject_is_refused():
    with pytest.raises(ValueError, match="unknown scale 'vpp'; did you mean 'vp'"):
        Subject("tests:none", run, scale="vpp")
    with pytest.raises(TypeError, match=r"run must be a function .* got 3"):
        Subject("tests:none", 3)
    for order in (2.0, True, "3"):
        with pytest.raises(TypeError, match=f"order must be a whole number or None, got {order!r}"):
            Subject("tests:none", run, order)
    for order in (0, -1):
        with pytest.raises(ValueError, match=f"order must be at least 1, got {order}; use None where nothing"):
            Subject("tests:none", run, order)
    with pytest.raises(ValueError, match="tests:none neither takes levels nor has a grid of its own"):
        Subject("tests:none", run, given=False)
    assert Subject("tests:none", run, given=False, grid=lambda steps: ()).order is None
    assert issubclass(NotASamplerError, ValueError)
    assert Setting() == Setting("float64", "given", None)
