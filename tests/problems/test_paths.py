"""Paths are the solutions of their equations, models like any other, and at rest where they say so."""

import math
from fractions import Fraction
from itertools import pairwise

import mpmath
import numpy as np
import pytest

import numdiff as nd
from numdiff.certification.own import of_method
from numdiff.certification.subject import SCALES, Setting, answered, level_of
from numdiff.methods.splitting import Splitting
from numdiff.parameterizations import convert
from numdiff.problems import GaussianMixture, mixtures, odes, paths

SPAN = (-1.0, 3.0)
RESTS = {"none": (False, False), "start": (True, False), "end": (False, True), "both": (True, True)}
every_rest = pytest.mark.parametrize("rest", RESTS.values(), ids=RESTS.keys())
every_ode = pytest.mark.parametrize("name", odes())


def resting(path, rest):
    return path.resting(start=rest[0], end=rest[1])


def residual(path, cells, nodes):
    """Return max |y(b) - y(a) - int_a^b F(lambda, y(lambda)) dlambda| over `cells` equal parts of the span."""
    points, weights = np.polynomial.legendre.leggauss(nodes)
    ends = np.linspace(*path.span, cells + 1)
    worst = 0.0
    for a, b in pairwise(ends):
        slopes = [path.slope(lam, path.exact(lam)) for lam in (a + b) / 2 + (b - a) / 2 * points]
        integral = (b - a) / 2 * sum(w * f for w, f in zip(weights, slopes, strict=True))
        worst = max(worst, float(np.abs(path.exact(b) - path.exact(a) - integral).max()))
    return worst


@every_rest
@every_ode
def test_an_equation_is_solved_by_its_path(name, rest):
    """The joints of the clock lie at multiples of 1/20 of the span, so every cell is smooth; 20 Gauss nodes a cell."""
    path = resting(paths.of_ode(odes()[name]), rest)
    size = max(float(np.abs(path.exact(lam)).max()) for lam in np.linspace(*SPAN, 9))
    # Rounding of a stiff right side: its rate of 100 over the span of 4, times that of y.
    assert residual(path, 20, 20) < (1e-11 if "stiff" in odes()[name].tags else 1e-13) * max(1.0, size)


def test_a_mixture_is_solved_by_its_path():
    path = paths.of_mixture("three", mixtures()["three-scales"], (0.0, 2.0), points=4)
    # Six nodes integrate degree 11; the twelfth derivative of the smallest scale leaves a few 1e-9.
    assert residual(path, 4, 6) < 1e-8


def test_the_error_of_a_closed_form_bounds_it():
    """Against the same lines in 40 digits, at the same float64 times of the equation."""
    for name, ode in odes().items():
        path = paths.of_ode(ode, (0.0, 1.0))
        with mpmath.workdps(40):
            truth = [float(v) for v in ode.exact(mpmath.mpf(ode.t_span[1]))]
        assert np.sqrt(np.mean((path.exact(1.0)[0] - truth) ** 2)) <= path.error, name


@pytest.mark.parametrize("end", [3.0, math.inf])
def test_the_flow_of_one_gaussian_is_in_closed_form(end):
    """(y - m)/sqrt(c + rho^2) stays what it is along the flow of N(m, c)."""
    mixture = GaussianMixture([1.0], [[0.5, -1.0]], [0.3])
    path = paths.of_mixture("gaussian", mixture, (-2.0, end), points=5)
    scaled = (path.exact(-2.0) - [0.5, -1.0]) / np.sqrt(0.3 + math.exp(4.0))
    for lam in (-1.0, 0.5, 2.0, end):
        expected = [0.5, -1.0] + scaled * np.sqrt(0.3 + math.exp(-2 * lam))
        np.testing.assert_allclose(path.exact(lam), expected, rtol=0, atol=1e-13)


@every_rest
def test_predictions_are_of_one_sample_and_one_noise(rest):
    """x = alpha x_0 + sigma eps for any x, on the path or off it, and every prediction is the conversion of every."""
    path = resting(paths.toys(), rest)
    x = np.random.default_rng(0).uniform(0.2, 1.0, (3, 4))
    kinds = ("noise", "data", "v", "velocity", "flow", "score", nd.parameterizations.EDM(0.7))
    for scale in SCALES:
        for lam in (-0.9, 0.4, 1.0, 2.9):
            level = level_of(scale, lam)
            found = {kind: path.predict(x, level, kind) for kind in kinds}
            np.testing.assert_allclose(level.alpha * found["data"] + level.sigma * found["noise"], x, rtol=1e-14)
            for source, value in found.items():
                for target, expected in found.items():
                    got = convert(value, x, level, source=source, target=target)
                    # x_0 from noise, and noise from x_0, lose e^3 at the ends; velocities are of a clock of their own.
                    size = max(np.abs(expected).max(), np.abs(value).max(), 1.0)
                    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13 * size, err_msg=f"{source} {target}")


def test_the_noise_is_the_derivative_of_y_in_rho():
    """dy/drho = eps, by central differences of order 4 in rho, on every scale."""
    path, h = paths.toys(), 1e-3
    for scale in SCALES:
        for lam in (-0.5, 1.0, 2.5):
            rho = math.exp(-lam)
            y = [path.exact(-math.log(rho * (1 + k * h))) for k in (-2, -1, 1, 2)]
            slope = (y[0] - 8 * y[1] + 8 * y[2] - y[3]) / (12 * h * rho)
            level = level_of(scale, lam)
            # h^4/30 times a fifth derivative in log rho; 1e-13/h of rounding
            np.testing.assert_allclose(path.predict(path.state(level), level, "noise"), slope, rtol=0, atol=1e-9 / rho)


def test_at_sigma_zero_the_prediction_is_the_sample():
    path = paths.of_mixture("two", mixtures()["two-modes"], (-1.0, math.inf), points=3)
    for scale in SCALES:
        level = level_of(scale, math.inf)
        x = path.state(level)
        np.testing.assert_allclose(path.predict(x, level, "data"), x / level.alpha, rtol=1e-15)
        assert np.all(path.predict(x, level, "noise") == 0)
        near = level_of(scale, 12.0)
        # |y(inf) - y(12)| = rho |eps|, a few e^-12
        np.testing.assert_allclose(path.predict(path.state(near), near, "data"), x / level.alpha, rtol=0, atol=1e-4)


# --- rest -------------------------------------------------------------------------------------------------------------


@every_rest
def test_the_slope_is_nothing_at_rest_and_something_elsewhere(rest):
    path = resting(paths.toys(), rest)
    y = np.full((1, 4), 0.5)
    for part in np.linspace(0, 1, 41):
        still = (rest[0] and part <= paths.REST) or (rest[1] and part >= 1 - paths.REST)
        slope = path.slope(-1 + 4 * part, y)
        if abs(part - paths.REST) > 0.02 and abs(1 - paths.REST - part) > 0.02:
            assert np.all(slope == 0) == still, part
    first, last = SPAN
    same = paths.toys()
    np.testing.assert_array_equal(path.exact(first), same.exact(first))
    np.testing.assert_allclose(path.exact(last), same.exact(last), rtol=1e-15)


@pytest.mark.parametrize("scale", SCALES)
def test_any_sampler_is_exact_at_rest(scale):
    """Whatever its start and its order, on rough steps; but v is not constant at rest, nor velocities on curves."""
    path = paths.toys().resting()
    ends = ((-1.0, -1 + 4 * paths.REST), (3 - 4 * paths.REST, 3.0))
    for method in nd.methods(every=True).values():
        if method.stochastic or isinstance(method, Splitting):
            continue
        subject = of_method(method, scale=scale)
        if subject.prediction == "v" or (subject.prediction == "velocity" and scale != "flow"):
            continue
        for first, last in ends:
            cuts = first + (last - first) * np.array([0, 0.1, 0.15, 0.4, 0.5, 0.55, 0.8, 1.0])
            levels = [subject.level(lam) for lam in (*cuts[:-1], last)]
            x = subject.run(answered(path, subject), path.state(levels[0]), levels, Setting())
            # sums of large weights that add up to one: AB5 on these ratios has weights of a few hundred
            np.testing.assert_allclose(x, path.state(levels[-1]), rtol=0, atol=1e-12, err_msg=str(method))


def test_between_the_rests_no_sampler_is_exact():
    path = paths.toys().resting()
    for method in (nd.AdamsBashforth(3), nd.RK4(), nd.GHVB(3, 0.8)):
        subject = of_method(method)
        levels = [subject.level(lam) for lam in np.linspace(0, 2, 8)]
        x = subject.run(answered(path, subject), path.state(levels[0]), levels, Setting())
        assert np.abs(x - path.state(levels[-1])).max() > 1e-6, method


def clock(rest):
    """Return theta(lambda) and its speed on [0, 1], read off a path whose slope is 1."""
    path = resting(
        paths.Path("line", lambda lam, y: np.ones_like(y), lambda lam: np.full((1, 1), lam), (0, 1), 0), rest
    )
    return (lambda u: float(path.exact(u)[0, 0])), (lambda u: float(path.slope(u, np.ones((1, 1)))[0, 0]))


@every_rest
def test_the_clock_never_runs_backwards_stands_still_at_rest_and_arrives_in_time(rest):
    theta, speed = clock(rest)
    nodes = np.linspace(0, 1, 501)
    values, speeds = np.array([theta(u) for u in nodes]), [speed(u) for u in nodes]
    assert (values[0], values[-1]) == (0.0, 1.0)
    assert np.diff(values).min() > -1e-15
    assert min(speeds) >= 0
    assert np.all(values[nodes <= paths.REST] == 0) or not rest[0]
    assert np.all(values[nodes >= 1 - paths.REST] == 1) or not rest[1]
    points, weights = np.polynomial.legendre.leggauss(12)
    for a, b in ((0.0, 0.1), (0.2, 0.3), (0.45, 0.5), (0.5, 0.7), (0.6, 0.85), (0.9, 1.0)):
        integral = (
            (b - a) / 2 * sum(w * speed((a + b) / 2 + (b - a) / 2 * p) for p, w in zip(points, weights, strict=True))
        )
        assert theta(b) - theta(a) == pytest.approx(integral, abs=1e-14)


def smooth_step():
    """Return the polynomial of degree 15 from 0 to 1 with seven derivatives 0 at both ends, in exact coefficients."""
    q = paths.SMOOTH
    slope = [Fraction(0)] * q + [Fraction((-1) ** i * math.comb(q, i)) for i in range(q + 1)]
    rise = [Fraction(0)] + [c / (k + 1) for k, c in enumerate(slope)]
    return [c / sum(rise) for c in rise]


def derivative(p, k, x):
    return sum(c * math.perm(n, k) * x ** (n - k) for n, c in enumerate(p) if n >= k)


def test_the_speed_is_the_step_with_seven_derivatives_at_its_joints_and_no_eighth():
    """Sixteen conditions and degree 15: there is one such polynomial, which a resting path's speed is on its ramps."""
    p = smooth_step()
    for k in range(paths.SMOOTH + 1):
        assert derivative(p, k, Fraction(0)) == 0
        assert derivative(p, k, Fraction(1)) == (1 if k == 0 else 0)
    assert derivative(p, paths.SMOOTH + 1, Fraction(0)) != 0
    for rest, shares in (((True, False), 0.675), ((False, True), 0.675), ((True, True), 0.35)):
        speed = clock(rest)[1]
        for x in (0.01, 0.1, 0.35, 0.5, 0.8, 0.99):
            for begins, u in ((rest[0], paths.REST + paths.RAMP * x), (rest[1], 1 - paths.REST - paths.RAMP * x)):
                if begins:
                    assert speed(u) * shares == pytest.approx(
                        float(derivative(p, 0, Fraction(x))), rel=1e-10, abs=1e-15
                    ), (rest, u)


def test_no_rest_is_the_path_itself():
    path = paths.toys()
    assert path.resting(start=False, end=False) is path
    assert path.resting().name == "toys, at rest at the start and the end"
    assert path.resting(end=False).name == "toys, at rest at the start"


# --- joined paths and wrong arguments ---------------------------------------------------------------------------------


def test_joined_paths_are_their_parts_side_by_side():
    parts = [paths.of_ode(odes()[name]) for name in ("rotation", "riccati", "kaps")]
    path = paths.joined("three", parts)
    y = path.exact(0.7)
    assert y.shape == (1, 5)
    np.testing.assert_array_equal(y, np.concatenate([part.exact(0.7) for part in parts], axis=1))
    np.testing.assert_array_equal(path.slope(0.7, y)[:, 2:3], parts[1].slope(0.7, y[:, 2:3]))
    np.testing.assert_array_equal(path.slope(0.7, y)[:, 3:], parts[2].slope(0.7, y[:, 3:]))
    assert path.error == max(part.error for part in parts)
    both = paths.toys().exact(1.0)
    np.testing.assert_array_equal(both, [both[0], both[0, ::-1]])  # the equations of the second point in reverse order


def test_paths_that_do_not_belong_together_are_refused():
    one, other = paths.of_ode(odes()["riccati"]), paths.of_ode(odes()["riccati"], (0.0, 3.0))
    with pytest.raises(ValueError, match=r"one span and one number of points, got .*\(-1.0, 3.0\), \(0.0, 3.0\)"):
        paths.joined("both", [one, other])
    with pytest.raises(ValueError, match="number of points"):
        paths.joined("both", [one, paths.of_mixture("two", mixtures()["two-modes"], points=2)])


@pytest.mark.parametrize("span", [(3.0, -1.0), (1.0, 1.0), (-math.inf, 3.0), (math.nan, 3.0), (0.0, math.nan)])
def test_a_span_that_is_none_is_refused(span):
    with pytest.raises(ValueError, match="span must be two rising log-SNRs, finite, not"):
        paths.of_ode(odes()["riccati"], span)
    with pytest.raises(ValueError, match="or ending at infinity"):
        paths.of_mixture("two", mixtures()["two-modes"], span)


def test_a_path_to_sigma_zero_rests_over_parts_of_a_span_that_ends():
    """It stays where it is beyond, or goes on; the infinite span itself has no parts."""
    path = paths.of_mixture("two", mixtures()["two-modes"], (-1.0, math.inf), points=2)
    with pytest.raises(ValueError, match=r"cannot rest over parts of .*; give a span that ends"):
        path.resting()
    both, start = path.resting(span=(-1.0, 3.0)), path.resting(end=False, span=(-1.0, 3.0))
    np.testing.assert_array_equal(both.exact(math.inf), path.exact(3.0))
    np.testing.assert_array_equal(both.exact(5.0), path.exact(3.0))
    np.testing.assert_array_equal(start.exact(math.inf), path.exact(math.inf))
    np.testing.assert_array_equal(start.exact(-0.7), path.exact(-1.0))


def test_the_denoised_sample_is_the_data_prediction():
    path = paths.of_mixture("two", mixtures()["two-modes"], (-1.0, math.inf), points=2)
    level = level_of("vp", 2.0)
    expected = path.predict(path.state(level), level, "data")
    np.testing.assert_allclose(path.denoised(level), expected, rtol=1e-13)


class Square:
    """theta = lambda^2 on [0, 1]."""

    def __call__(self, lam):
        return lam * lam

    def speed(self, lam):
        return 2 * lam


def test_a_path_by_another_clock_solves_its_equation_too():
    path = paths.of_ode(odes()["riccati"], (0.0, 1.0)).clocked(Square())
    np.testing.assert_array_equal(path.exact(0.5), paths.of_ode(odes()["riccati"], (0.0, 1.0)).exact(0.25))
    assert residual(path, 10, 12) < 1e-13


def test_an_equation_cannot_go_on_to_infinity():
    with pytest.raises(ValueError, match="finite"):
        paths.of_ode(odes()["riccati"], (0.0, math.inf))
    with pytest.raises(ValueError, match="unknown prediction 'nois'; did you mean 'noise'"):
        paths.toys().predict(np.ones((1, 4)), level_of("vp", 0.0), "nois")
