"""Programs run as the executor does, and adjoints are derivatives: complex steps, and differences of whole runs."""

import numpy as np
import pytest

import numdiff as nd
from numdiff.optimize.compiled import Trace
from numdiff.optimize.objectives.fields import EndPoints
from numdiff.optimize.propagate import LEVEL, Program, backward, forward
from numdiff.optimize.window import Window

STEPS = 6
VP, FLOW = nd.schedules.VPLinear(), nd.schedules.Flow(shift=3.0)
RUNS = {
    "adams": (nd.AdamsBashforth(3), VP),
    "dpm++": (nd.DPMSolverPP(3), VP),
    "published 2M": (nd.DPMSolverPP(2, rule="half"), VP),
    "heavy ball": (nd.HeavyBall(nd.DPMSolverPP(2), 0.8), VP),
    "ghvb": (nd.GHVB(3, 0.8), VP),
    "unipc": (nd.UniPC(3), VP),
    "heun": (nd.Heun(), VP),
    "deis": (nd.DEIS(3), VP),
    "flow": (nd.AdamsBashforth(3, formulation=nd.VELOCITY_TIME), FLOW),
    "flow unipc": (nd.UniPC(2), FLOW),
}


def trace_of(method, schedule, steps=STEPS):
    ends = schedule.level(schedule.T), schedule.level(schedule.t_end)
    low, high = (float(level.log_snr) for level in ends)
    return Trace(method, schedule, ends, Window(low, high, steps, np.full(steps, 1e-3)), {})


def somewhere(window, seed=0):
    """Interior log-SNRs far from those that were traced."""
    low, high = max(window.low, -5.0), window.high
    steps = np.random.default_rng(seed).uniform(0.3, 1.0, window.steps)
    return low + (high - low) * np.cumsum(steps)[:-1] / steps.sum()


@pytest.fixture(params=list(RUNS))
def trace(request):
    return trace_of(*RUNS[request.param])


class Bent:
    """A smooth field of everything a level has, for real and complex numbers."""

    def evaluate(self, Y, level):
        alpha, sigma, *others = (0.0 if x is None else x for x in level)
        clock = sum((k + 1) * x for k, x in enumerate(others))
        F = np.sin(alpha * Y / 9) + sigma * np.cos(Y / 9) + 1e-3 * clock

        def adjoint(a):
            slopes = {"alpha": a * np.cos(alpha * Y / 9) * Y / 9, "sigma": a * np.cos(Y / 9)}
            slopes |= {name: 1e-3 * (k + 1) * a for k, name in enumerate(LEVEL[2:])}
            return a * (alpha * np.cos(alpha * Y / 9) - sigma * np.sin(Y / 9)) / 9, slopes

        return F, adjoint


def test_a_program_runs_as_the_executor_does(trace):
    mixture = nd.problems.GaussianMixture([0.3, 0.7], [[-0.8], [0.6]], [[0.05], [0.3]])
    z = somewhere(trace.window)
    scheme, prediction = trace.scheme_at(z), trace.scheme.prediction
    program = Program(trace.scheme)
    c = trace.compile(program.numbers)(z)[0]
    x = np.linspace(-2, 2, 7)[:, None] * float(trace.ends[0].sigma)

    class Model:
        def evaluate(self, Y, level):
            alpha, sigma, d_alpha, d_sigma, time, model_time = level
            return mixture.predict(Y, nd.Level(time, alpha, sigma, model_time, d_alpha, d_sigma), prediction), None

    expected = nd.sample(scheme, mixture.model(trace.schedule, prediction=prediction), x, prediction=prediction)
    assert forward(program, c, x, Model())[0] == pytest.approx(expected, rel=1e-11, abs=1e-11)


def test_the_adjoint_is_the_derivative_of_the_run(trace):
    """Im f(c + i h)/h has no cancellation, so h = 1e-30 gives the derivative to rounding."""
    program = Program(trace.scheme)
    c = trace.compile(program.numbers)(somewhere(trace.window))[0]
    x, seed = np.array([0.3, -0.9, 1.4]), np.array([1.0, -2.0, 0.5])
    gradient, first = backward(program, c, forward(program, c, x, Bent())[1], seed)
    for k in range(len(c)):
        moved = c.astype(complex)
        moved[k] += 1e-30j
        slope = seed * forward(program, moved, x, Bent())[0].imag / 1e-30
        assert gradient[k] == pytest.approx(slope, rel=1e-11, abs=1e-12)
    slope = seed * forward(program, c, x + 1e-30j, Bent())[0].imag / 1e-30
    assert first == pytest.approx(slope, rel=1e-11, abs=1e-12)


def test_derivatives_in_the_steps_are_those_of_whole_runs(trace):
    """Through coefficients, levels and samples at once: against differences of order 8 of plain layouts."""
    mixtures = [([0.3, 0.7], 0.9, 0.2), ([0.5, 0.5], 0.4, 0.4), ([0.9, 0.1], 1.5, 0.3)]
    mean, width = (np.array([m[k] for m in mixtures]) for k in (1, 2))
    tilt = np.array([0.5 * np.log(w[1] / w[0]) for w, *_ in mixtures])
    x = np.array([0.4, -1.1, 0.8]) * float(trace.ends[0].sigma)
    z, h = somewhere(trace.window), 0.02
    last, jacobian = EndPoints(trace, mean, width, x[None], tilt)(z)

    def run(z):
        scheme, ends = trace.scheme_at(z), []
        for (weights, mu, s), start in zip(mixtures, x, strict=True):
            mixture = nd.problems.GaussianMixture(weights, [[-mu], [mu]], [[s * s]] * 2)
            model = mixture.model(trace.schedule, prediction="data")
            ends.append(nd.sample(scheme, model, np.array([[start]]), prediction="data")[0, 0])
        return np.array(ends)

    assert last == pytest.approx(run(z), rel=1e-10, abs=1e-10)
    for k in range(trace.window.size):
        e = h * np.eye(trace.window.size)[k]
        weights = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
        slope = sum(w * (run(z + j * e) - run(z - j * e)) for j, w in weights.items()) / h
        assert jacobian[:, k] == pytest.approx(slope, rel=2e-6, abs=2e-8)  # (0.1)^8 of the derivative, at most


def test_many_numbers_a_problem_and_an_inner_product():
    trace = trace_of(nd.UniPC(2), VP)
    program = Program(trace.scheme)
    c = trace.compile(program.numbers)(somewhere(trace.window))[0]
    x = np.random.default_rng(0).standard_normal((2, 3))
    apart = [backward(program, c, forward(program, c, row, Bent())[1], np.ones(3))[0].sum(1) for row in x]

    class Field(Bent):
        def evaluate(self, Y, level):
            F, adjoint = super().evaluate(Y, level)

            def summed(a):
                back, slopes = adjoint(a)
                return back, {name: slope.sum(1) for name, slope in slopes.items()}

            return F, summed

    together = backward(program, c, forward(program, c, x, Field())[1], np.ones((2, 3)), lambda a, v: (a * v).sum(1))[0]
    assert np.allclose(together.T, apart, rtol=1e-12, atol=0)


def test_noise_enters_as_the_executor_adds_it():
    method = nd.Ancestral(nd.Heun(), 0.8)
    scheme = method.discretize(VP, nd.grids.uniform_log_snr(VP, 5))
    program = Program(scheme)
    rng = np.random.default_rng(1)
    noises, x = rng.standard_normal((program.noises, 4, 1)), rng.standard_normal((4, 1))
    mixture = nd.problems.GaussianMixture([0.4, 0.6], [[-1.0], [0.7]], [[0.1], [0.2]])

    class Model:
        def evaluate(self, Y, level):
            return mixture.predict(Y, nd.Level(level[4], level[0], level[1], level[5]), scheme.prediction), None

    drawn = iter(noises)
    expected = nd.sample(scheme, mixture.model(VP), x, noise=lambda *_: next(drawn))
    assert forward(program, np.zeros(0), x, Model(), noises)[0] == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match=r"noises must have \d+ arrays"):
        forward(program, np.zeros(0), x, Model())


def test_schemes_that_no_objective_follows_are_refused():
    grid = nd.grids.uniform_log_snr(VP, 5)
    with pytest.raises(ValueError, match="exact"):
        Program(nd.DPMSolverPP(3).discretize(VP, grid, start="exact"))
