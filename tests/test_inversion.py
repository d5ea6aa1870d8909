"""Inversion: exact for BDIA, on networks too, and to the method's order for the others."""

import dataclasses

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff import models
from numdiff.methods.bdia import BDIA

VP = nd.schedules.VPLinear()
MIXTURE = nd.problems.mixtures()["three-scales"]
GRID = np.linspace(0.98, 0.02, 21)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def growth(gamma, steps, schedule=VP, grid=GRID):
    """What a rounding error may grow to when gamma < 1 is run back: the inverse product of the roots -c_n."""
    first, last = schedule.level(float(grid[0])), schedule.level(float(grid[-1]))
    return max(1.0, (last.alpha / first.alpha) ** 2 * gamma**-steps)


@pytest.mark.parametrize("gamma", [1, 0.96, 0.9])
def test_encode_then_decode_returns_the_data_of_a_mixture(gamma):
    x, model = MIXTURE.sample(32, 1), MIXTURE.model(VP)
    scheme = BDIA(gamma).discretize(VP, GRID)
    pair = nd.invert(scheme, model, x)
    assert type(pair) is tuple
    assert [z.shape for z in pair] == [x.shape] * 2
    back = nd.sample(scheme, model, pair)
    np.testing.assert_allclose(back, x, rtol=0, atol=1e-14 * len(GRID) * np.abs(pair[0]).max())
    assert (nd.sample(scheme, model, pair[0]) != back).any()  # the second state matters


@pytest.mark.parametrize("gamma", [1, 0.96])
def test_decode_then_encode_returns_the_noise(gamma):
    z, model = MIXTURE.sample_level(32, VP.level(GRID[0]), 2), MIXTURE.model(VP)
    scheme = BDIA(gamma).discretize(VP, GRID)
    states = nd.sample(scheme, model, z, states=True)
    assert (states[0] == nd.sample(scheme, model, z)).all()
    again = nd.invert(scheme, model, states)
    np.testing.assert_allclose(again[0], z, rtol=0, atol=1e-14 * growth(gamma, 20) * len(GRID))
    path = nd.sample(scheme, model, z, trajectory=True)
    np.testing.assert_allclose(again[1], path[1], rtol=0, atol=1e-14 * growth(gamma, 20) * len(GRID))
    twice = nd.sample(scheme, model, again, states=True)
    for one, other in zip(twice, states, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-14 * growth(gamma, 20) * len(GRID))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("gamma", [1, 0.96])
def test_encode_then_decode_on_the_digits_network(dtype, gamma):
    """A trained network with guidance, where DDIM inversion is far off, and BDIA back to rounding."""
    network = models.digits().to(dtype)
    schedule = network.schedule
    grid = np.linspace(1.0, 1e-3, 11)
    labels = torch.arange(10)
    model = network.conditioned(labels, 2.0)
    z = torch.randn(10, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)
    with torch.no_grad():
        options = {"prediction": model.prediction}
        x = nd.sample(nd.DPMSolverPP(2).discretize(schedule, grid), model, z, **options)
        scheme = BDIA(gamma, "noise/ratio").discretize(schedule, grid[1:])
        pair = nd.invert(scheme, model, x, **options)
        back = nd.sample(scheme, model, pair, **options)
        ddim = nd.DDIM().discretize(schedule, grid[1:])
        plain = nd.sample(ddim, model, nd.invert(ddim, model, x, **options), **options)
    assert back.dtype == dtype
    largest = max(float(z.abs().max()) for z in pair)
    assert float((back - x).abs().max()) < 20 * torch.finfo(dtype).eps * largest * growth(gamma, 9, schedule, grid[1:])
    assert float((plain - x).abs().max()) > 1e-2


def test_it_is_exact_to_sigma_0():
    """Also where the data have no noise: the inversion starts there, and decoding ends there."""
    x, model = MIXTURE.sample(16, 1), MIXTURE.model(VP, "v")
    scheme = BDIA().discretize(VP, np.linspace(1.0, 0.0, 12))
    pair = nd.invert(scheme, model, x, prediction="v")
    back = nd.sample(scheme, model, pair, prediction="v")
    np.testing.assert_allclose(back, x, rtol=0, atol=1e-12)


def test_it_is_exact_on_flow_schedules():
    flow, x = nd.schedules.Flow(), MIXTURE.sample(16, 1)
    model, scheme = MIXTURE.model(flow, "flow"), BDIA(0.9).discretize(flow, np.linspace(1.0, 0.0, 12))
    pair = nd.invert(scheme, model, x, prediction="flow")
    np.testing.assert_allclose(nd.sample(scheme, model, pair, prediction="flow"), x, rtol=0, atol=1e-12)


def test_ddim_inversion_is_of_order_1():
    x, model = MIXTURE.sample_level(32, VP.level(0.6), 3), MIXTURE.model(VP)

    def gap(steps):
        scheme = nd.DDIM().discretize(VP, nd.grids.uniform_log_snr(VP, steps=steps, t_start=0.6, t_end=0.2))
        return np.sqrt(np.mean((nd.invert(scheme, model, nd.sample(scheme, model, x)) - x) ** 2))

    gaps = [gap(n) for n in (64, 128, 256)]
    assert np.abs(np.log2(np.array(gaps[:-1]) / gaps[1:]) - 1).max() < 0.2


# --- what the caller sees ---------------------------------------------------------------------------------------------


def test_trajectory_and_callback_from_a_tuple():
    x, model, seen = MIXTURE.sample(4, 1), MIXTURE.model(VP), []
    scheme = BDIA(0.96).discretize(VP, GRID)
    pair = nd.invert(scheme, model, x)
    path = nd.sample(scheme, model, pair, trajectory=True, callback=lambda n, level, y: seen.append((n, level.time, y)))
    assert len(path) == len(GRID)
    assert path[0] is pair[0]
    assert path[1] is pair[1]
    assert [(n, t) for n, t, _ in seen] == list(enumerate(GRID.tolist()))[2:]
    assert all(y is z for (_, _, y), z in zip(seen, path[2:], strict=True))
    back = nd.invert(scheme, model, x, trajectory=True)
    assert len(back) == len(GRID)
    assert (back[-1] == pair[0]).all()
    assert (back[-2] == pair[1]).all()
    np.testing.assert_allclose(path, back[::-1], rtol=0, atol=1e-12)
    calls = []
    nd.sample(scheme, lambda x, t: calls.append(t) or model(x, t), pair)
    assert calls == GRID[1:-1].tolist()


def test_states_of_a_method_with_one_sample_and_of_few_steps():
    x, model = MIXTURE.sample_level(2, VP.level(GRID[0]), 2), MIXTURE.model(VP)
    scheme = nd.DDIM().discretize(VP, GRID)
    (only,) = nd.sample(scheme, model, x, states=True)
    assert (only == nd.sample(scheme, model, x)).all()
    assert not isinstance(nd.invert(scheme, model, x), tuple)
    short = BDIA().discretize(VP, GRID[:2])
    states = nd.sample(short, model, x, states=True)
    assert (states[1] == x).all()


def test_two_stages_across_several_grid_steps_report_the_levels_they_reach():
    """One tableau over two grid steps: the path holds the levels that were completed."""
    levels = [VP.level(t) for t in (0.9, 0.7, 0.5, 0.3, 0.2)]
    wide = nd.DDIM().discretize(VP, levels[::2])
    scheme = dataclasses.replace(nd.DDIM().discretize(VP, levels), tableaus=wide.tableaus)
    x, seen = MIXTURE.sample_level(2, levels[0], 2), []
    path = nd.sample(
        scheme, MIXTURE.model(VP), x, trajectory=True, callback=lambda n, level, y: seen.append((n, level))
    )
    assert len(path) == 3
    assert seen == [(2, levels[2]), (4, levels[4])]
    held = dataclasses.replace(scheme, exact_starts=1)
    true = 0.5 * np.ones_like(x)
    path = nd.sample(held, MIXTURE.model(VP), x, trajectory=True, exact=lambda level: true)
    assert path[1] is true


def test_wrong_numbers_of_states_are_refused():
    x, model = MIXTURE.sample_level(2, VP.level(GRID[0]), 2), MIXTURE.model(VP)
    bdia, ddim = BDIA(0.9).discretize(VP, GRID), nd.DDIM().discretize(VP, GRID)
    for bad in ((), (x,), (x, x, x)):
        with pytest.raises(ValueError, match=rf"BDIA\(0.9\) starts from 2 samples .* got a tuple of {len(bad)}"):
            nd.sample(bdia, model, bad)
        with pytest.raises(ValueError, match=r"BDIA\(10/9\)|BDIA\(1.11"):
            nd.invert(bdia, model, bad)
    with pytest.raises(ValueError, match="AB1 starts from one sample, an array; got a tuple of 2"):
        nd.sample(ddim, model, (x, x))
    with pytest.raises(ValueError, match="leave BDIA"):
        nd.sample(BDIA(0.9).discretize(VP, GRID[:2]), model, (x, x))
    with pytest.raises(ValueError, match="must be alike"):
        nd.sample(bdia, model, (x, x[:1]))
    with pytest.raises(ValueError, match="must be alike"):
        nd.sample(bdia, model, (x, x.astype(np.float32)))
    with pytest.raises(TypeError, match="must start as a floating"):
        nd.sample(bdia, model, (x, [1.0]))
    with pytest.raises(ValueError, match="not finite at the start"):
        nd.sample(bdia, model, (x, np.nan * x))
    with pytest.raises(ValueError, match="trajectory and states"):
        nd.sample(bdia, model, x, states=True, trajectory=True)
