"""The published interface: the same grids, the same ends, and a lower bound than the published search finds."""

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff.optimize.objectives.paper import Paper
from numdiff.optimize.step_optim import INITIAL, StepOptim
from numdiff.study import published_timesteps as published

VP = nd.schedules.VPLinear()


class NoiseSchedule:
    """What DPM-Solver's code calls NoiseScheduleVP, of the linear schedule."""

    T = 1.0

    def marginal_lambda(self, t):
        log_alpha = -0.25 * t**2 * 19.9 - 0.05 * t
        return log_alpha - 0.5 * torch.log(-torch.expm1(2 * log_alpha))

    def inverse_lambda(self, lam):
        twice = 2 * 19.9 * torch.logaddexp(-2 * lam, torch.zeros_like(lam))
        return twice / (torch.sqrt(0.01 + twice) + 0.1) / 19.9


@pytest.mark.parametrize("name", INITIAL)
def test_the_original_grids_are_the_published_ones(name):
    times, lam = StepOptim(VP).get_ts_lambdas(9, 1e-3, f"{name}_origin")
    expected_times, expected = published.get_ts_lambdas(9, 1e-3, f"{name}_origin")
    assert lam == pytest.approx(expected, rel=1e-9)
    assert times == pytest.approx(expected_times, rel=1e-9)


@pytest.mark.parametrize("steps", [5, 8, 10])
@pytest.mark.parametrize("p", [1, 2])
def test_the_optimum_is_certified_and_never_above_the_published_search_under_the_same_gap(steps, p):
    first = published.start("unif_t", steps, 1e-3)
    gap = Paper().gap(first[-1] - first[0], steps)
    found = StepOptim(VP, p).optimize(steps, 1e-3, "unif_t")
    theirs = published.optimize(first, p=p, gap=gap)
    assert found.certified, found.message
    assert np.diff(found.log_snr).min() > gap - 1e-9
    assert found.objective == pytest.approx(published.objective(found.log_snr, p), rel=1e-9)
    assert found.objective < theirs.objective * (1 + 1e-6)


def test_every_start_ends_at_the_same_steps():
    lam = [StepOptim(VP).get_ts_lambdas(8, 1e-3, name)[1] for name in INITIAL]
    assert np.ptp(lam, axis=0).max() < 1e-6


def test_times_and_log_snrs_belong_together_and_to_the_ends():
    times, lam = StepOptim(VP).get_ts_lambdas(6, 1e-3, "unif_t")
    assert times[[0, -1]] == pytest.approx([1.0, 1e-3], rel=1e-9)
    assert VP.log_snr(times) == pytest.approx(lam, abs=1e-9)


def test_the_authors_noise_schedule_gives_tensors_with_the_same_steps():
    times, lam = StepOptim(NoiseSchedule()).get_ts_lambdas(6, 1e-3, "unif")
    assert times.dtype == lam.dtype == torch.float64
    assert lam.numpy() == pytest.approx(StepOptim(VP).get_ts_lambdas(6, 1e-3, "unif")[1], abs=1e-7)


@pytest.mark.parametrize("name", ["unif_t", "quad_origin"])
@pytest.mark.parametrize(
    "ns", [VP, nd.schedules.SubVP(), nd.schedules.Cosine(), NoiseSchedule()], ids=lambda ns: type(ns).__name__
)
def test_the_ends_are_exactly_those_that_were_asked_for(ns, name):
    times, lam = StepOptim(ns).get_ts_lambdas(5, 1e-3, name)
    assert (float(times[0]), float(times[-1])) == (ns.T, 1e-3)
    if isinstance(ns, nd.schedules.Schedule):
        assert (lam[0], lam[-1]) == (ns.log_snr(ns.T), ns.log_snr(1e-3))


@pytest.mark.parametrize(
    ("ns", "steps", "eps", "name", "error", "message"),
    [
        (VP, 6, 1e-3, "unif_T", ValueError, "initType 'unif_T'"),
        (VP, 6, 1e-3, None, ValueError, "unknown initType None"),
        (VP, 1, 1e-3, "unif", ValueError, "N must be at least 2, got 1"),
        (VP, 1, 1e-3, "unif_origin", ValueError, "N must be at least 2, got 1"),
        (VP, 0, 1e-3, "unif_origin", ValueError, "N must be at least 2, got 0"),
        (VP, -3, 1e-3, "quad", ValueError, "N must be at least 2, got -3"),
        (VP, 6.0, 1e-3, "quad", TypeError, "N must be a whole number"),
        (VP, 6, 0, "unif", ValueError, "eps = 0 must lie between 0 and T = 1"),
        (VP, 6, 1.0, "unif", ValueError, "eps = 1.0 must lie between 0 and T = 1"),
        (VP, 6, float("nan"), "unif", ValueError, "eps = nan must lie between"),
        (VP, 6, "1e-3", "unif", TypeError, "eps must be a time"),
        (nd.schedules.Flow(), 6, 1e-3, "unif", ValueError, "must be finite: the objective needs some signal"),
        (3, 6, 1e-3, "unif", TypeError, "ns must be a noise schedule"),
    ],
)
def test_bad_input_is_named_at_the_door(ns, steps, eps, name, error, message):
    with pytest.raises(error, match=message):
        StepOptim(ns).get_ts_lambdas(steps, eps, name)
