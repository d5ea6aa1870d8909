"""Strengths as functions of the log-SNR; CFG++ as one of them; levels found from a model's own time."""

import math

import numpy as np
import pytest

import numdiff as nd
from numdiff.guidance import ClassifierFree, PerStep, Ramp, cfg_plus_plus, of_time, sigma_interval
from numdiff.guidance.strength import finder
from tests.guidance.problem import LABELS, VP, X, network

NULL = np.full(6, 3)


@pytest.mark.parametrize("shape", ["linear", "cosine"])
def test_a_ramp_goes_from_end_to_end_and_is_odd_about_its_middle(shape):
    ramp = Ramp(1.0, 5.0, (-2.0, 4.0), shape)
    assert [ramp(lam) for lam in (-9.0, -2.0, 1.0, 4.0, 9.0)] == pytest.approx([1, 1, 3, 5, 5])
    for u in (0.3, 1.2, 2.9):
        assert ramp(1 + u) + ramp(1 - u) == pytest.approx(6)
        assert ramp(1 + u) > ramp(1 + u - 0.1)
    slope = (ramp(1.01) - ramp(0.99)) / 0.02
    assert slope == pytest.approx(4 / 6 * (1 if shape == "linear" else math.pi / 2), rel=1e-4)


def test_a_function_of_time_is_read_at_the_time_of_the_log_snr():
    rising = of_time(VP, lambda t: 2 * (1 - t))
    for t in (0.1, 0.5, 0.9):
        assert rising(VP.log_snr(t)) == pytest.approx(2 * (1 - t))


def test_a_sigma_interval_is_one_of_log_snr():
    low, high = sigma_interval(0.28, 2.9)
    assert (math.exp(-high), math.exp(-low)) == pytest.approx((0.28, 2.9))
    assert sigma_interval(0, math.inf) == (-math.inf, math.inf)


@pytest.mark.parametrize("schedule", [VP, nd.schedules.Discrete.stable_diffusion(), nd.schedules.EDM()])
def test_each_step_has_its_strength(schedule):
    times = nd.grids.uniform_log_snr(schedule, steps=7)
    scheme = nd.DDIM().discretize(schedule, times)
    values = [1.0, 3.0, 0.5, 2.0, 4.0, 1.0, 2.5]
    guided = ClassifierFree(lambda x, t, c: c * np.ones_like(x), 1.0, 0.0, PerStep.of(scheme.levels, values),
                            schedule=schedule, batched=False)  # fmt: skip
    seen = []
    nd.sample(scheme, lambda x, t: seen.append(guided(x, t)[0, 0]) or 0 * x, X)
    assert seen == values


@pytest.mark.parametrize("schedule", [VP, nd.schedules.Flow()], ids=["vp", "flow, from alpha = 0"])
def test_cfg_plus_plus_is_ddim_with_a_strength_for_each_step(schedule):
    """Against its own recursion: the clean image from the guided noise, renoised with the unguided one."""
    times, strength = np.linspace(1.0, 0.02, 9), 0.6
    prediction = "flow" if schedule.is_flow else "noise"
    net = network(prediction, schedule)
    method = nd.AdamsBashforth(1, nd.DATA_LOG_SNR)  # DDIM, in the form that takes alpha = 0
    scheme = method.discretize(schedule, times)
    guided = ClassifierFree(
        net, LABELS, NULL, cfg_plus_plus(scheme.levels, strength), schedule=schedule, prediction=prediction
    )
    found = nd.sample(scheme, guided, X, prediction=prediction)

    x = X
    for here, there in zip(scheme.levels, scheme.levels[1:], strict=False):
        both = [net(x, here.model_time, c) for c in (LABELS, NULL)]
        mixed = [strength * both[0] + (1 - strength) * both[1], both[1]]
        change = nd.parameterizations.convert
        clean = change(mixed[0], x, here, source=prediction, target="data")
        noise = change(mixed[1], x, here, source=prediction, target="noise")
        x = there.alpha * clean + there.sigma * noise
    np.testing.assert_allclose(found, x, rtol=1e-9, atol=1e-10)  # rounding, times rho/(rho - rho') of the steps


def test_levels_of_a_scheme_are_found_by_their_model_time():
    table = nd.schedules.Discrete.stable_diffusion()
    levels = [table.level(t) for t in (0.9, 0.5, 0.1)]
    moved = [nd.Level(lv.time, lv.alpha, 1.1 * lv.sigma, round(lv.model_time)) for lv in levels]
    scheme = nd.DDIM().discretize(table, moved)
    find = finder(scheme)
    assert [find(lv.model_time).sigma for lv in moved] == [lv.sigma for lv in moved]
    assert find(np.full(3, moved[0].model_time)) is find(moved[0].model_time)
    with pytest.raises(ValueError, match="the scheme evaluates no model at t = 3"):
        find(3.0)


def test_a_model_time_that_stands_for_two_levels_is_refused():
    table = nd.schedules.Discrete.stable_diffusion()
    levels = [nd.Level(t, table.alpha(t), table.sigma(t), 5.0 if t < 0.5 else 7.0) for t in (0.6, 0.4, 0.3)]
    with pytest.raises(ValueError, match=r"two levels at model time 5.0"):
        finder(nd.DDIM().discretize(table, levels))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Ramp(1, 2, (1.0, 0.0)), "rising from noise to data"),
        (lambda: Ramp(1, 2, (0.0, 1.0), "cosin"), "did you mean 'cosine'"),
        (lambda: sigma_interval(2.0, 1.0), "0 <= low < high"),
        (lambda: PerStep((0.0, 1.0), (1.0, 2.0)), "one for each of 1 steps, got 2"),
        (lambda: PerStep((1.0, 0.0), (1.0,)), "must rise"),
        (
            lambda: ClassifierFree(network(), LABELS, NULL, lambda lam: math.inf, schedule=VP)(X, 0.5),
            "finite, got inf",
        ),
    ],
)
def test_refused_with_a_remedy(call, words):
    with pytest.raises(ValueError, match=words):
        call()
