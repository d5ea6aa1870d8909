"""Scalar fields are conditional means; their derivatives are those of high precision, and of runs, of complex steps."""

import mpmath as mp
import numpy as np
import pytest

import numdiff as nd
from numdiff.optimize.objectives.fields import CENTRE, ENTRIES, MANY, REACH, EndPoints, Mixtures, Runs, usual_steps
from numdiff.optimize.propagate import LEVEL, Program, forward
from numdiff.optimize.window import Window
from tests.optimize.test_propagate import RUNS, VP, somewhere, trace_of

PROBLEMS = [(0.0, 0.7, 0.0), (0.9, 0.2, 0.4), (2.5, 0.1, -0.3), (0.3, 0.6, 1.2)]
LEVELS = [(0.8, 0.6, -0.5, 0.7), (0.0, 1.0, -1.0, 1.0), (0.999999, 1e-8, -1e-3, 2.0), (1.0, 0.0, -1.0, 1.0)]


def expectation(x, level, problem, prediction):
    """E[p x_0 + q eps | x] from the two components' posteriors, nothing simplified."""
    alpha, sigma, d_alpha, d_sigma = level
    mu, s, b = problem
    v = alpha**2 * s**2 + sigma**2
    odds = [mp.exp(sign * b - (x - sign * alpha * mu) ** 2 / (2 * v)) for sign in (1, -1)]
    data = [sign * mu + alpha * s**2 / v * (x - sign * alpha * mu) for sign in (1, -1)]
    noise = [sigma / v * (x - sign * alpha * mu) for sign in (1, -1)]
    p, q = {"data": (1, 0), "noise": (0, 1), "velocity": (d_alpha, d_sigma)}[prediction]
    return sum(w * (p * d + q * e) for w, d, e in zip(odds, data, noise, strict=True)) / sum(odds)


@pytest.mark.parametrize("prediction", ENTRIES)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_fields_and_their_derivatives(prediction, level, problem):
    """Relative to 1, also at alpha = 0 and where sigma is small or 0."""
    mu, s, b = problem
    field = Mixtures(np.array([mu]), np.array([s]), prediction, np.array([b]))
    x = 0.37
    with mp.workdps(60):
        numbers = [mp.mpf(y) for y in (x, *level)]
        found, adjoint = field.evaluate(np.array([x]), [*level, None, None])
        back, slopes = adjoint(np.ones(1))
        assert set(slopes) == set(ENTRIES[prediction])
        assert found[0] == pytest.approx(float(expectation(numbers[0], numbers[1:], problem, prediction)), rel=1e-13)
        for k, slope in enumerate([back, *(slopes[name] for name in ENTRIES[prediction])]):

            def moved(y, k=k):
                entries = [*numbers[:k], y, *numbers[k + 1 :]]
                return expectation(entries[0], entries[1:], problem, prediction)

            exact = float(mp.diff(moved, numbers[k], h=mp.mpf("1e-25")))
            assert slope[0] == pytest.approx(exact, rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("prediction", ["data", "noise"])
def test_an_unequal_pair_is_a_gaussian_mixture(prediction):
    """tilt b gives the components the odds e^(2b)."""
    b, level = 0.6, VP.level(0.4)
    share = 1 / (1 + np.exp(-2 * b))
    mixture = nd.problems.GaussianMixture([share, 1 - share], [[0.8], [-0.8]], [[0.09], [0.09]])
    x = np.linspace(-2, 2, 9)
    field = Mixtures(np.full(9, 0.8), np.full(9, 0.3), prediction, np.full(9, b))
    found = field.evaluate(x, [level.alpha, level.sigma, None, None, None, None])[0]
    assert found == pytest.approx(mixture.predict(x[:, None], level, prediction)[:, 0], rel=1e-12)


class ComplexField:
    """The same expectations for complex numbers, by the logistic function of the log-odds."""

    def __init__(self, field):
        self.field = field

    def evaluate(self, Y, level):
        alpha, sigma, p, q = (0.0 if x is None else x for x in level[:4])
        mu, s2 = self.field.mean, self.field.width**2
        p, q = {"data": (1, 0), "noise": (0, 1), "velocity": (p, q)}[self.field.prediction]
        v = alpha**2 * s2 + sigma**2
        up = 1 / (1 + np.exp(-2 * (alpha * mu * Y / v + self.field.tilt)))
        side = mu * (2 * up - 1)
        rest = (Y - alpha * side) / v
        return p * (side + alpha * s2 * rest) + q * sigma * rest, None


@pytest.mark.parametrize("name", RUNS)
def test_gradients_of_runs_are_complex_steps(name):
    trace = trace_of(*RUNS[name])
    prediction = trace.scheme.prediction
    program = Program(trace.scheme, ENTRIES[prediction])
    c = trace.compile(program.numbers)(somewhere(trace.window))[0]
    mean, width, tilt = (np.array(column) for column in zip(*PROBLEMS, strict=True))
    field = Mixtures(mean, width, prediction, tilt)
    x = np.array([0.5, -0.8, 1.1, 0.2]) * float(trace.ends[0].sigma)
    last, gradient = Runs(program, field)(c, x[None])
    assert last == pytest.approx(forward(program, c, x, ComplexField(field))[0], rel=1e-12, abs=1e-13)
    for k in range(len(c)):
        moved = c.astype(complex)
        moved[k] += 1e-30j
        slope = forward(program, moved, x, ComplexField(field))[0].imag / 1e-30
        assert gradient[k] == pytest.approx(slope, rel=1e-9, abs=1e-10 * max(1.0, np.abs(slope).max()))


def test_the_jacobian_of_many_steps_is_a_banded_product():
    """Along a random direction, against differences of order 8."""
    trace, width = trace_of(nd.UniPC(3), VP, MANY + 5), np.array([0.2, 0.6, 1.0])
    ends = EndPoints(trace, np.array([0.8, 0.3, 2.0]), width, np.array([[0.4, -1.0, 1.5]]), np.array([0.2, 0.0, -0.4]))
    z, h = np.linspace(trace.window.low, trace.window.high, MANY + 6)[1:-1], 0.002
    direction = np.random.default_rng(0).standard_normal(len(z))
    weights = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
    slope = sum(w * (ends(z + j * h * direction)[0] - ends(z - j * h * direction)[0]) for j, w in weights.items()) / h
    assert ends(z)[1] @ direction == pytest.approx(slope, rel=1e-7, abs=1e-10)


def test_usual_steps_grow_away_from_the_centre():
    """Also where an end is infinite; equal angles, and no level that rounds to all noise."""
    for low, high in [(-5.1, 4.6), (-np.inf, 5.0), (-np.inf, np.inf)]:
        inner = usual_steps(Window(low, high, 12, np.full(12, 1e-3)))
        steps = np.diff(inner)
        assert len(inner) == 11
        assert (steps > 0).all()
        assert np.abs(inner).max() < 12
        assert steps.argmin() in np.searchsorted(inner, CENTRE) + np.array([-2, -1, 0])
        assert np.diff(np.arctan((inner - CENTRE) / REACH), 2) == pytest.approx(0, abs=1e-12)


def test_entries_are_those_of_a_level():
    assert all(set(names) <= set(LEVEL) for names in ENTRIES.values())
