"""Sources of noise: batches may be split, paths may be refined, and both have the law that they claim."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats

import numdiff as nd
from numdiff.noise import BrownianPath, Seeded, from_generator
from numdiff.sde import stochastic

VP = nd.schedules.VPLinear()
MIXTURE = nd.problems.mixtures()["three-scales"]
GRID = np.linspace(0.95, 0.05, 9)
SDE = nd.AdamsBashforth(1, stochastic("data/log-snr", 1))
FORMULATIONS = ["data/log-snr", "noise/log-snr", "noise/ratio"]


def scheme_for(formulation="data/log-snr", tau=1, grid=GRID):
    return nd.AdamsBashforth(1, stochastic(formulation, tau)).discretize(VP, grid)


def start(n, seed=0):
    return MIXTURE.sample_level(n, VP.level(GRID[0]), seed)


# --- one source, any batch --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [Seeded, BrownianPath])
def test_a_sample_gets_the_same_noise_in_any_batch(source):
    x, scheme, model = start(10), scheme_for(), MIXTURE.model(VP)
    whole = nd.sample(scheme, model, x, noise=source(7))
    for cut in (1, 4, 9):
        parts = [
            nd.sample(scheme, model, part, noise=source(7, first=first))
            for part, first in ((x[:cut], 0), (x[cut:], cut))
        ]
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-13)  # the model's sums depend on the batch
    assert (whole == nd.sample(scheme, model, x, noise=source(7))).all()
    assert not np.isclose(whole, nd.sample(scheme, model, x, noise=source(8))).any()


@pytest.mark.parametrize("source", [Seeded, BrownianPath])
@pytest.mark.parametrize("shape", [(3,), (4, 1), (4, 5), (2, 3, 4, 4), (1, 7)])
def test_the_noise_itself_is_cut_exactly(source, shape):
    x, scheme = np.zeros(shape), scheme_for()
    whole = source(2).bind(x, scheme)(3, 0)
    assert whole.shape == shape
    rows = [source(2, first=i).bind(x[i : i + 1], scheme)(3, 0) for i in range(len(x))]
    assert (np.concatenate(rows) == whole).all()
    assert len(np.unique(whole)) == whole.size
    for other in (source(2).bind(x, scheme)(4, 0), source(3).bind(x, scheme)(3, 0)):
        assert not (other == whole).any()


@pytest.mark.parametrize("source", [Seeded, BrownianPath])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_tensors_get_the_same_numbers_cast(source, dtype):
    scheme, x = scheme_for(), np.zeros((4, 3))
    expected = source(1).bind(x, scheme)(2, 0)
    found = source(1).bind(torch.zeros(4, 3, dtype=dtype), scheme)(2, 0)
    assert found.dtype == dtype
    assert torch.equal(found, torch.tensor(expected).to(dtype))
    narrow = source(1).bind(x.astype(np.float32), scheme)(2, 0)
    assert narrow.dtype == np.float32
    assert (narrow == expected.astype(np.float32)).all()


def test_a_single_number_has_noise_too():
    for source in (Seeded(0), BrownianPath(0)):
        for x in (np.array(1.5), torch.tensor(1.5)):
            assert nd.sample(scheme_for(), lambda x, t: 0.1 * x, x, noise=source).shape == ()


def test_a_generator_draws_as_before():
    x = torch.zeros(3, dtype=torch.float32)
    drawn = from_generator(x, torch.Generator().manual_seed(1))(0, 0)
    assert torch.equal(drawn, torch.randn(3, generator=torch.Generator().manual_seed(1)))
    drawn = from_generator(np.zeros(3, np.float32), np.random.default_rng(1))(0, 0)
    assert (drawn == np.random.default_rng(1).standard_normal(3).astype(np.float32)).all()


@pytest.mark.parametrize("size", [1, 3, 64])
def test_seeded_noise_is_standard_normal_and_independent(size):
    x = np.zeros((30000 // size, size))
    draw = Seeded(11).bind(x, scheme_for())
    one, two, column = draw(0, 0), draw(1, 0), draw(0, 1)
    assert stats.kstest(one.ravel(), "norm").pvalue > 1e-3
    for other in (two, column, np.roll(one, 1, axis=0)):
        correlation = np.mean(one * other)
        assert abs(correlation) < 4 / math.sqrt(one.size)
    if size > 1:
        pairs = np.corrcoef(one.T)[np.triu_indices(size, 1)]
        assert np.abs(pairs).max() < 5 / math.sqrt(len(x))  # 2016 pairs at most


# --- the path ---------------------------------------------------------------------------------------------------------

CLOCKS = [1e-9, 3.7e-7, 0.02, 0.4, 0.41, 1.0, 1.7, 256.0, 300.0, 9e8, -1e4, -99.0, -98.9, -0.3, -2e-6]


def test_the_path_has_the_covariance_of_brownian_motion():
    n = 10000
    path = np.array([BrownianPath(3).value(t, (n,)) / math.sqrt(abs(t)) for t in CLOCKS])
    for (i, s), (j, t) in itertools.combinations_with_replacement(enumerate(CLOCKS), 2):
        exact = math.sqrt(min(abs(s), abs(t)) / max(abs(s), abs(t))) if s * t > 0 else 0.0
        found = np.mean(path[i] * path[j])
        assert abs(found - exact) < 4 * math.sqrt((1 + exact**2) / n), (s, t)


def test_increments_are_independent_normal_and_of_the_right_size_over_18_decades():
    n, ends = 10000, [0.0, 1e-9, 1.1e-9, 3e-4, 0.8, 0.8001, 2.0, 5e3, 5.5e3, 1e9]
    for sign in (1, -1):
        values = [BrownianPath(4).value(sign * t, (n,)) for t in ends]
        rows = np.array(
            [(b - a) / math.sqrt(t - s) for (s, a), (t, b) in itertools.pairwise(zip(ends, values, strict=True))]
        )
        for row in rows:
            assert stats.kstest(row, "norm").pvalue > 1e-3
        covariance = rows @ rows.T / n
        errors = np.abs(covariance - np.eye(len(rows))) / np.sqrt((1 + np.eye(len(rows))) / n)
        assert errors.max() < 4


def test_the_path_is_continuous():
    """Neighbouring numbers, across the ends of tree nodes too: sqrt of the relative length of the last intervals."""
    for t in (1.0, 256.0, 16.0, 0.37, 1e9, 1e-9):
        for side in (t, -t):
            here, there = (BrownianPath(5).value(x, (50,)) for x in (side, np.nextafter(side, np.inf)))
            assert np.abs(here - there).max() < 5e-5 * math.sqrt(t)


def test_values_do_not_depend_on_the_order_of_questions():
    scheme = scheme_for()
    x = np.zeros((3, 2))
    forwards, backwards = BrownianPath(1).bind(x, scheme), BrownianPath(1).bind(x, scheme)
    order = range(len(scheme))
    order = [i for i in order if scheme.tableaus[i].noises]
    one = {i: forwards(i, 0) for i in order}
    two = {i: backwards(i, 0) for i in reversed(order)}
    assert all((one[i] == two[i]).all() for i in order)


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_increments_of_a_coarse_grid_are_sums_of_those_of_a_fine_one(formulation):
    fine = scheme_for(formulation, 0.8)
    coarse = scheme_for(formulation, 0.8, GRID[::2])
    x = np.zeros((5, 3))

    def increments(scheme):
        draw = BrownianPath(9).bind(x, scheme)
        clocks = [tableau.clocks[0] for tableau in scheme]
        return np.array([draw(i, 0) * math.sqrt(t - s) for i, (s, t) in enumerate(clocks)]), clocks

    (small, _), (large, clocks) = increments(fine), increments(coarse)
    scale = np.array([math.sqrt(max(map(abs, c))) for c in clocks])[:, None, None]
    np.testing.assert_allclose((small[::2] + small[1::2]) / scale, large / scale, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    "formulation", [FORMULATIONS[0], *(pytest.param(f, marks=pytest.mark.slow) for f in FORMULATIONS[1:])]
)
def test_runs_on_one_path_converge_strongly_and_others_do_not(formulation):
    """Additive noise and order 1: the distance of N to 2N steps falls by 2 for each sample, not only in law."""
    gaussian = nd.problems.Gaussian([0.5, -1.0], [[0.5, 0.2], [0.2, 0.3]])
    x, model = gaussian.sample_level(100, VP.level(0.9), 2), gaussian.model(VP)

    def run(steps, source):
        scheme = scheme_for(formulation, 1, nd.grids.uniform_log_snr(VP, steps=steps, t_start=0.9, t_end=0.1))
        return nd.sample(scheme, model, x, noise=source)

    runs = [run(steps, BrownianPath(6)) for steps in (32, 64, 128, 256)]
    gaps = [np.sqrt(np.mean((a - b) ** 2)) for a, b in itertools.pairwise(runs)]
    slopes = np.log2(np.array(gaps[:-1]) / gaps[1:])
    assert (slopes > 0.8).all()
    spread = runs[-1].std()
    assert gaps[-1] < 0.05 * spread
    for source in (Seeded(6), BrownianPath(60)):
        assert np.sqrt(np.mean((run(256, source) - runs[-1]) ** 2)) > 0.3 * spread  # the reverse diffusion forgets x


def test_a_path_starts_at_clock_0_where_alpha_is_0():
    flow = nd.schedules.Flow()
    scheme = SDE.discretize(flow, np.linspace(1.0, 0.1, 6))
    assert scheme.tableaus[0].clocks[0][0] == 0
    n = 20000
    draw = BrownianPath(2).bind(np.zeros((n,)), scheme)
    found = np.array([draw(i, 0) for i in range(5)])
    errors = np.abs(found @ found.T / n - np.eye(5)) / np.sqrt((1 + np.eye(5)) / n)
    assert errors.max() < 4


# --- levels of noise far from 1 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"tau": x} for x in (1e-150, 1e-6, 0.24, 4)] + [{"eta": 1e-7}], ids=str)
def test_increments_have_their_size_for_every_noise_level(options):
    scheme = nd.AdamsBashforth(1, stochastic(**options)).discretize(VP, GRID)
    n = 5000
    draw = BrownianPath(3).bind(np.zeros(n), scheme)
    found = np.array([draw(i, 0) for i in range(len(GRID) - 1)])
    errors = np.abs(found @ found.T / n - np.eye(len(found))) / np.sqrt((1 + np.eye(len(found))) / n)
    assert errors.max() < 4


@pytest.mark.parametrize("tau", [1e-6, 0.249, 0.251])
def test_runs_on_one_path_approach_one_another_at_small_noise(tau):
    """On both sides of the level at which the clock is another one; the difference is that of the noise, too."""
    gaussian = nd.problems.Gaussian([0.5, -1.0], [[0.5, 0.2], [0.2, 0.3]])
    x, model, method = gaussian.sample_level(100, VP.level(0.9), 2), gaussian.model(VP), scheme_for(tau=tau).method
    grids = [nd.grids.uniform_log_snr(VP, steps=n, t_start=0.9, t_end=0.1) for n in (32, 64, 128)]
    schemes = [method.discretize(VP, grid) for grid in grids]
    plain = [nd.sample(s, model, x, noise=lambda i, k: np.zeros_like(x)) for s in schemes]
    noisy = [(nd.sample(s, model, x, noise=BrownianPath(1)) - y) / tau for s, y in zip(schemes, plain, strict=True)]
    gaps = [np.sqrt(np.mean((a - b) ** 2)) for a, b in itertools.pairwise(noisy)]
    assert gaps[1] < 0.62 * gaps[0]


@pytest.mark.parametrize("tau", [20, 1e3])
def test_a_level_beyond_floats_is_refused_with_a_remedy(tau):
    with pytest.raises(ValueError, match=r"clock of noise 0 of .* use longer steps, less noise or noise="):
        BrownianPath(0).bind(np.zeros(2), scheme_for(tau=tau))
    short = VP.level(0.5).log_snr + np.array([0.0, 1e-10])
    with pytest.raises(ValueError, match="use longer steps"):
        BrownianPath(0).bind(np.zeros(2), scheme_for(grid=[VP.time(s) for s in short]))


# --- empty and complex samples ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [Seeded, BrownianPath])
@pytest.mark.parametrize("shape", [(0,), (0, 2), (3, 0), (0, 0, 4)])
def test_an_empty_sample_stays_empty(source, shape):
    for x in (np.zeros(shape), torch.zeros(shape), np.zeros(shape, complex)):
        found = nd.sample(scheme_for(), lambda x, t: 0.1 * x, x, noise=source(0))
        assert (found.shape, found.dtype) == (x.shape, x.dtype)
    assert BrownianPath(0).value(0.3, shape).shape == shape


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_noise_of_complex_samples_is_complex_with_variance_one(kind):
    n = 30000
    x = np.zeros((n, 2), np.complex64) if kind == "numpy" else torch.zeros(n, 2, dtype=torch.complex64)
    scheme = scheme_for()
    generator = np.random.default_rng(0) if kind == "numpy" else torch.Generator().manual_seed(0)
    for draw in (from_generator(x, generator), Seeded(1).bind(x, scheme), BrownianPath(1).bind(x, scheme)):
        z = draw(3, 0)
        assert (z.dtype, tuple(z.shape)) == (x.dtype, (n, 2))
        parts = np.stack([np.asarray(z.real), np.asarray(z.imag)]).transpose(0, 2, 1).reshape(4, n)
        errors = np.abs(parts @ parts.T / n - np.eye(4) / 2) / np.sqrt((1 + np.eye(4)) / 4 / n)
        assert errors.max() < 4
    one = Seeded(1).bind(x[5:6], scheme)(3, 0)
    assert Seeded(1, first=5).bind(x[:1], scheme)(3, 0)[0, 0] == Seeded(1).bind(x, scheme)(3, 0)[5, 0] != one[0, 0]
    assert nd.sample(scheme, lambda x, t: 0.1 * x, x[0, 0], noise=Seeded(2)).shape == ()


@pytest.mark.parametrize("source", [Seeded, BrownianPath])
def test_samples_beyond_the_counter_are_refused(source):
    scheme, last = scheme_for(), 2**64 // 10 - 4  # ten blocks of four numbers each
    with pytest.raises(ValueError, match=f"first must be at most {last} for 4 samples of 40 numbers each"):
        nd.sample(scheme, lambda x, t: 0.1 * x, np.zeros((4, 40)), noise=source(0, first=2**62))
    for first in (last, 2**62 // 10):
        assert np.isfinite(source(0, first=first).bind(np.zeros((4, 40)), scheme)(1, 0)).all()
    with pytest.raises(ValueError, match="first must be at most"):
        source(0, first=last + 1).bind(np.zeros((4, 40)), scheme)


# --- doors ------------------------------------------------------------------------------------------------------------


def test_a_noise_without_a_clock_is_refused():
    tableau = nd.Tableau(A=[[0]], U=[[1]], B=[[0]], V=[[1]], Nb=[[1]], levels=[VP.level(0.5)])
    with pytest.raises(ValueError, match=r"noise 0 of tableau 0 .* belongs to no Brownian path"):
        BrownianPath(0).bind(np.zeros(2), _scheme([tableau]))


def test_clocks_that_overlap_are_refused():
    """Their noises would not be independent."""
    tableau = nd.Tableau(A=[[0]], U=[[1]], B=[[0]], V=[[1]], Nb=[[1]], levels=[VP.level(0.5)])
    pair = [tableau.replace(clocks=[clock]) for clock in ((1.0, 3.0), (2.0, 4.0))]
    with pytest.raises(ValueError, match=r"the clocks \(1.0, 3.0\) and \(2.0, 4.0\) of AB1 overlap"):
        BrownianPath(0).bind(np.zeros(2), _scheme(pair))
    tableau = nd.Tableau(A=[[0]], U=[[1]], B=[[0]], V=[[1]], Nb=[[1]], levels=[VP.level(0.5)], clocks=[(2.0, 1.0)])
    with pytest.raises(ValueError, match=r"must rise, .* got 2\.0 to 1\.0"):
        BrownianPath(0).bind(np.zeros(2), _scheme([tableau]))


def _scheme(tableaus):
    return dataclasses.replace(nd.DDIM().discretize(VP, GRID), tableaus=tuple(tableaus))


@pytest.mark.parametrize("source", [Seeded, BrownianPath])
def test_bad_seeds_are_refused(source):
    with pytest.raises(TypeError, match=r"seed must be an int, got 1\.5"):
        source(1.5)
    with pytest.raises(TypeError, match="first must be an int, got True"):
        source(0, True)
    with pytest.raises(ValueError, match="seed must lie between 0 and"):
        source(-1)
    assert source(np.int64(3)) == source(3)
    for clock in (math.inf, math.nan):
        with pytest.raises(ValueError, match="no value at clock"):
            BrownianPath(0).value(clock, (2,))


def test_noise_that_is_no_source_is_refused():
    with pytest.raises(TypeError, match="noise must be a function, got 3"):
        nd.sample(scheme_for(), MIXTURE.model(VP), start(2), noise=3)
