"""The bank's end points are the flow's, its errors those of runs, and its minimum a better place than simple grids."""

import mpmath as mp
import numpy as np
import pytest

import numdiff as nd
from numdiff.optimize.compiled import Trace
from numdiff.optimize.objectives.bank import MixtureBank, lattice, quantile
from numdiff.optimize.search import minimize
from numdiff.optimize.timesteps import timesteps
from numdiff.optimize.window import Window
from tests.optimize.test_propagate import FLOW, VP, somewhere, trace_of


def gaps_of(bank, trace):
    low, high = (float(end.log_snr) for end in trace.ends)
    return np.full(trace.window.steps, bank.gap(high - low, trace.window.steps))


def test_quantiles_go_where_the_flow_takes_them():
    """One dimension: the rearrangement is the probability flow, which an ODE solver follows at 1e-13."""
    rng = np.random.default_rng(0)
    first, last = VP.level(VP.T), VP.level(1e-3)
    for mu, s, b in zip(rng.uniform(0.1, 2.5, 6), rng.uniform(0.05, 0.6, 6), rng.uniform(-1, 1, 6), strict=True):
        share = 1 / (1 + np.exp(-2 * b))
        mixture = nd.problems.GaussianMixture([share, 1 - share], [[mu], [-mu]], [[s * s]] * 2)
        z = np.array([-2.5, -1.0, -0.2, 0.3, 0.9, 2.2])
        start, end = (
            quantile(z, float(x.alpha) * np.full(6, mu), np.full(6, np.hypot(x.alpha * s, x.sigma)), np.full(6, b))
            for x in (first, last)
        )
        assert end == pytest.approx(mixture.flow(VP, start[:, None], VP.T, 1e-3, rtol=1e-13).x[:, 0], abs=1e-9)


@pytest.mark.parametrize(
    ("mean", "width", "tilt"), [(1.0, 0.02, 0.7), (1e-3, 1.0, 0.0), (3.0, 3.0, -1.5), (0.0, 2.0, 0)]
)
def test_quantiles_to_rounding(mean, width, tilt):
    z = np.array([-6.0, -1.3, -0.4, 0.0, 0.8, 2.0, 7.0])
    found = quantile(z, np.full(7, mean), np.full(7, width), np.full(7, float(tilt)))
    with mp.workdps(40):
        share = 1 / (1 + mp.exp(-2 * mp.mpf(tilt)))

        def tail(x):
            return share * mp.ncdf((mean - x) / mp.mpf(width)) + (1 - share) * mp.ncdf((-mean - x) / mp.mpf(width))

        for x, level in zip(found, z, strict=True):
            wanted = mp.ncdf(-level)
            sharp = mp.findroot(lambda y, q=wanted: mp.log(tail(y) / q), (x - 1e-9, x + 1e-9), solver="anderson")
            density = abs(mp.diff(tail, sharp))
            slack = 1e-14 * min(float(mp.ncdf(level)), float(mp.ncdf(-level))) / float(density)  # rounding of the tail
            assert abs(float(sharp) - x) < slack + 1e-13 * (mean + width)


@pytest.mark.parametrize(("method", "schedule"), [(nd.DPMSolverPP(3), VP), (nd.GHVB(2, 0.8), VP), (nd.UniPC(2), FLOW)])
def test_residuals_are_end_point_errors(method, schedule):
    """Runs by the executor on the mixtures themselves; at alpha = 0 too."""
    trace, bank = trace_of(method, schedule), MixtureBank(problems=12, power=0.5, outlier=None)
    z = somewhere(trace.window)
    problem = bank.problem(trace)
    residuals = problem.evaluate(z).residuals
    mean, width, tilt, noise = bank.mixtures()
    scheme, (first, last) = trace.scheme_at(z), trace.ends
    for k in range(12):
        share = 1 / (1 + np.exp(-2 * tilt[k]))
        mixture = nd.problems.GaussianMixture([share, 1 - share], [[mean[k]], [-mean[k]]], [[width[k] ** 2]] * 2)
        one = [x[k : k + 1] for x in (noise, mean, width, tilt)]
        start = quantile(one[0], first.alpha * one[1], np.hypot(first.alpha * one[2], first.sigma), one[3])
        end = nd.sample(scheme, mixture.model(schedule, prediction="data"), start[:, None], prediction="data")[0, 0]
        exact = mixture.flow(None, start[:, None], first, last, rtol=1e-12).x[0, 0]
        unit = np.sqrt(12) * np.hypot(mean[k], width[k]) ** 0.5
        assert residuals[k] * unit == pytest.approx(end - exact, abs=1e-9)
    found = problem.errors(z)
    assert found["error"] / (np.sqrt(12) * np.hypot(mean, width) ** 0.5) == pytest.approx(residuals, rel=1e-12)


def test_the_jacobian_is_the_derivative_of_the_residuals():
    trace = trace_of(nd.UniPC(3), VP)
    problem, z, h = MixtureBank(problems=40, outlier=0.1).problem(trace), somewhere(trace.window), 0.005
    parts = problem.evaluate(z)
    weights = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
    for k, e in enumerate(np.eye(trace.window.size) * h):
        moved = {j: [problem.evaluate(z + sign * j * e).residuals for sign in (1, -1)] for j in weights}
        slope = sum(w * (moved[j][0] - moved[j][1]) for j, w in weights.items()) / h
        assert parts.residual_jacobian[:, k] == pytest.approx(slope, rel=1e-6, abs=1e-8)
    assert not parts.value
    assert not parts.gradient.any()


def test_large_errors_count_by_their_logarithm():
    trace, c = trace_of(nd.DPMSolverPP(2), VP), 0.02
    z = somewhere(trace.window)
    found = [MixtureBank(problems=30, outlier=x).problem(trace).evaluate(z).residuals for x in (c, None, 1e9)]
    errors = np.sqrt(30) * found[1]
    assert np.abs(errors).max() > 3 * c
    assert 30 * found[0] ** 2 == pytest.approx(c**2 * np.log1p((errors / c) ** 2), rel=1e-12)
    assert np.sign(found[0]) == pytest.approx(np.sign(errors))
    assert found[2] == pytest.approx(found[1], rel=1e-12)


def test_the_lattice_fills_its_box():
    """Each of 2^4 boxes of volume 1/16 holds 1/16 of 3200 points to within a tenth; no coordinate has a gap."""
    u = lattice(3200, 4)
    boxes = (u >= 0.5).astype(int).T @ (2 ** np.arange(4))
    assert np.abs(np.bincount(boxes, minlength=16) - 200).max() <= 20
    for row in u:
        assert np.diff(np.sort(row)).max() < 4 / 3200


@pytest.mark.parametrize("method", [nd.DPMSolverPP(3), nd.HeavyBall(nd.DPMSolverPP(2), 0.8)], ids=str)
def test_the_minimum_is_better_than_simple_grids_on_data_of_another_kind(method):
    """Three components in two dimensions: the median error is below that of every simple grid; RMSE of log-SNR's."""
    steps, bank = 8, MixtureBank()
    ends = VP.level(VP.T), VP.level(VP.t_end)
    low, high = (float(level.log_snr) for level in ends)
    window = Window(low, high, steps, np.full(steps, bank.gap(high - low, steps)))
    trace = Trace(method, VP, ends, window, {})
    grids = {
        "quadratic": nd.grids.power(VP, steps),
        "log-snr": nd.grids.uniform_log_snr(VP, steps),
        "uniform t": nd.grids.uniform_t(VP, steps),
    }
    starts = [np.array([float(VP.log_snr(t)) for t in grid])[1:-1] for grid in grids.values()]
    problem = bank.problem(trace)
    found = minimize(problem, starts[:1])
    assert all(found.objective < problem.evaluate(z).objective for z in starts)
    mixture = nd.problems.GaussianMixture([0.2, 0.3, 0.5], [[-1, 0.3], [1, 0.8], [0.2, -1]], [[0.04, 0.02]] * 3)
    x = mixture.sample_level(400, ends[0], 0)
    exact = mixture.flow(VP, x, VP.T, VP.t_end).x

    def rms(scheme):
        return np.sqrt(np.mean((nd.sample(scheme, mixture.model(VP), x) - exact) ** 2))

    best = rms(trace.scheme_at(found.z))
    assert all(best < rms(method.discretize(VP, grid)) for grid in grids.values())


def test_bad_parameters_are_named():
    for name, value in [
        ("problems", 0), ("problems", 2.5), ("means", (2.0, 1.0)), ("means", (0.0, 1.0)), ("ratios", (1.0,)),
        ("share", 0.3), ("share", 1.0), ("quantile", -1.0), ("power", float("nan")), ("outlier", 0.0),
        ("means", ("a", "b")),
    ]:  # fmt: skip
        with pytest.raises((TypeError, ValueError), match=name):
            MixtureBank(**{name: value})


def test_methods_with_noise_are_refused():
    with pytest.raises(ValueError, match=r"adds noise.*gaussian"):
        MixtureBank(problems=5).problem(trace_of(nd.Ancestral(nd.DDIM(), 1.0), VP))


def test_the_default_gap_fits():
    trace = trace_of(nd.DDIM(), VP)
    assert gaps_of(MixtureBank(), trace).sum() < trace.window.high - trace.window.low


@pytest.mark.parametrize("method", [nd.UniPC(3), nd.GHVB(2, 0.8)], ids=str)
def test_a_start_moved_by_rounding_ends_at_the_same_steps(method):
    found = timesteps(method, VP, 8, objective=MixtureBank())
    z = found.log_snr[1:-1] + 1e-7 * np.random.default_rng(0).standard_normal(7)
    assert found.certified
    assert timesteps(method, VP, 8, objective=MixtureBank(), starts=(z,)).log_snr == pytest.approx(
        found.log_snr, abs=1e-7
    )
