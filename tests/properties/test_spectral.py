"""The spectral response against runs of the executor, linear algebra on tableaus, and the flow of Gaussian data."""

from time import perf_counter

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff.properties.spectral import response, transfer

MEMBERS = nd.methods()
SCALES = np.array([0.0, 1e-3, 0.3, 1.0, 2.5, 40.0])
FORMULATIONS = [nd.NOISE_RATIO, nd.NOISE_LOG_SNR, nd.DATA_LOG_SNR, nd.DATA_RATIO, nd.VELOCITY_TIME]
VP, EDM, COSINE, FLOW = nd.schedules.VPLinear(), nd.schedules.EDM(), nd.schedules.Cosine(), nd.schedules.Flow(shift=2.0)
GRIDS = {
    "vp": (VP, np.linspace(1.0, 0.02, 9)),
    "edm": (EDM, nd.grids.karras(EDM, 8)),
    "cosine": (COSINE, nd.grids.uniform_log_snr(COSINE, 9, t_start=0.95)),
    "flow": (FLOW, np.linspace(0.98, 0.05, 9)),
}


def constant_preserving(method, schedule):
    """Velocities are constant for constant data on straight lines only."""
    velocity = method.formulation == nd.VELOCITY_TIME
    return not velocity or schedule.is_flow


def compare(method, schedule, grid, **options):
    """Run the executor on exact models in every direction at once, and predict the outcome."""
    scheme = method.discretize(schedule, grid, **options)
    d = SCALES.size
    mu = np.linspace(-2, 3, d)
    problem = nd.problems.Gaussian(mu, SCALES**2)
    found = response(scheme, SCALES)
    x = problem.sample_level(4, scheme.levels[0], 0)
    x[0] = 0
    exact = None
    if scheme.exact_starts:

        def exact(level):
            first = scheme.levels[0]
            r = np.hypot(level.alpha * SCALES, level.sigma) / np.hypot(first.alpha * SCALES, first.sigma)
            return level.alpha * mu + r * (x - first.alpha * mu)

    y = nd.sample(scheme, problem.model(schedule, "v"), x, prediction="v", exact=exact)
    expected = found.gain * x + found.mean * mu + found.offset
    # rounding of a run is relative to the largest sample on the way, and the model's own conversion costs a few ulp
    size = np.abs(found.gains).max(0) * np.abs(x) + np.abs(found.drifts).max(0) * np.abs(mu)
    return np.abs(y - expected).max(), size.max(), found


@pytest.mark.parametrize("name", MEMBERS)
def test_response_is_what_a_run_does(name):
    for grid in GRIDS:
        responds_as_it_runs(name, grid)


def responds_as_it_runs(name, grid):
    error, size, found = compare(MEMBERS[name], *GRIDS[grid])
    assert error <= 1e-12 * size, grid
    if constant_preserving(MEMBERS[name], GRIDS[grid][0]):
        # data/ratio multiplies rounding by 1e4 on the steep grid of EDM
        np.testing.assert_allclose(found.drifts, [[lv.alpha] * SCALES.size for lv in found.levels], rtol=1e-10)


@pytest.mark.parametrize("formulation", FORMULATIONS)
@pytest.mark.parametrize("start", ["lower", "runge-kutta", "exact"])
def test_every_formulation_and_start(formulation, start):
    for method in (nd.AdamsBashforth(3, formulation), nd.GHVB(3, 0.7, formulation), nd.UniPC(2, formulation)):
        error, size, _ = compare(method, *GRIDS["vp"], start=start)
        assert error <= 1e-12 * size


@pytest.mark.parametrize("method", [nd.DDIM(), nd.DPMSolverPP(2), nd.GHVB(3, 0.8), nd.Heun(), nd.UniPC(2)], ids=str)
@pytest.mark.parametrize("schedule", [VP, EDM, COSINE, FLOW], ids=lambda s: s.name)
def test_clean_end(method, schedule):
    scheme = method.discretize(
        schedule, nd.grids.uniform_log_snr(schedule, 6, t_start=schedule.T * 0.9, final_zero=True)
    )
    problem = nd.problems.Gaussian([1.5], [0.49])
    found = response(scheme, 0.7)
    x = np.array([[0.4], [-3.0]])
    y = nd.sample(scheme, problem.model(schedule, "data"), x, prediction="data")
    np.testing.assert_allclose(y, found.gain * x + found.mean * 1.5, rtol=1e-12)
    # the last level is the data itself
    assert found.exact == pytest.approx(0.7 / found.scales[0], rel=1e-14)


@pytest.mark.parametrize("name", MEMBERS)
def test_transfer_matrices_are_the_formula_and_multiply_to_the_gain(name):
    scheme = MEMBERS[name].discretize(*GRIDS["vp"])
    matrices, total = transfer(scheme, SCALES), np.eye(scheme.registers)
    for tableau, T in zip(scheme, matrices, strict=True):
        A, U, B, V = (np.array(getattr(tableau, n), dtype=float) for n in "AUBV")
        for i, s in enumerate(SCALES):
            model = nd.problems.Gaussian([0.0], [s**2]).predict
            slopes = [model(np.ones(1), level, scheme.prediction)[0] for level in tableau.levels]
            L = np.diag(slopes)
            dense = V + (B @ L @ np.linalg.solve(np.eye(len(slopes)) - A @ L, U) if slopes else 0)
            np.testing.assert_allclose(T[i], dense, rtol=1e-12, atol=1e-13 * np.abs(dense).max())
        total = T @ total
    np.testing.assert_allclose(total[..., 0, 0], response(scheme, SCALES).gain, rtol=1e-10)


@given(st.floats(0, 1e3), st.floats(-5, 5), st.floats(-5, 5), st.integers(3, 12), st.sampled_from(sorted(MEMBERS)))
def test_superposition(s, a, b, steps, name):
    # affine in x_0 and mu: two runs determine every other one
    method = MEMBERS[name]
    steps = max(steps, method.points)
    scheme = method.discretize(VP, np.linspace(0.9, 0.05, steps + 1))
    found = response(scheme, s)
    model = nd.problems.Gaussian([b], [s**2]).model(VP, "data")
    y = nd.sample(scheme, model, np.array([a]), prediction="data")[0]
    size = np.abs(found.gains).max() * 5 + np.abs(found.drifts).max() * 5
    assert y == pytest.approx(float(found.gain) * a + float(found.mean) * b, abs=1e-12 * size)


@given(st.floats(0, 1e6), st.integers(1, 30), st.sampled_from([VP, EDM, COSINE]))
def test_ddim_per_step_gain(s, steps, schedule):
    # x_t = alpha_t E[x_0 | x] + sigma_t E[eps | x] with regressions alpha s^2/S and sigma/S of x_0 and eps on x
    grid = nd.grids.uniform_log_snr(schedule, steps, t_start=0.9 * schedule.T)
    found = response(nd.DDIM(nd.DATA_LOG_SNR).discretize(schedule, grid), s)
    for here, there, gain, exact in zip(found.levels, found.levels[1:], found.steps, found.exact_steps, strict=False):
        S = here.alpha**2 * s**2 + here.sigma**2
        expected = (there.alpha * here.alpha * s**2 + there.sigma * here.sigma) / S
        assert gain == pytest.approx(expected, rel=1e-12)
        assert gain <= exact * (1 + 1e-12)  # Cauchy-Schwarz


@given(st.floats(0.05, 20), st.lists(st.floats(0.05, 1), min_size=2, max_size=12))
def test_ddim_loses_the_cosines_of_its_angles(s, gaps):
    # gain = sqrt(S_t/S_s) cos(theta_s - theta_t), theta = arctan(sigma/(alpha s)); log cos is concave, so that equal
    # angles are best
    def run(theta):
        rho = s * np.tan(theta)
        return response(nd.DDIM().discretize(EDM, rho), s).ratio

    ends = np.arctan(np.array([0.01, 60.0]) / s)
    theta = ends[1] - np.diff(ends) * np.concatenate([[0], np.cumsum(gaps) / np.sum(gaps)])
    theta[-1] = ends[0]
    assert run(theta) == pytest.approx(np.cos(np.diff(theta)).prod(), rel=1e-10)
    assert run(np.linspace(*ends[::-1], len(gaps) + 1)) >= run(theta) * (1 - 1e-12)


@pytest.mark.parametrize(
    ("data", "noise"), [(nd.DATA_RATIO, nd.NOISE_RATIO), (nd.DATA_LOG_SNR, nd.NOISE_LOG_SNR)], ids=str
)
def test_data_and_noise_are_dual(data, noise):
    # x = alpha x_0 + sigma eps: exchanging alpha with sigma and x_0/s with eps turns one formulation into the other
    levels = [VP.level(t) for t in np.linspace(0.9, 0.05, 8)]
    swapped = [nd.Level(i, lv.sigma, lv.alpha, i) for i, lv in enumerate(levels)]
    for build in (
        lambda f: nd.AdamsBashforth(3, f),
        lambda f: nd.GHVB(3, 0.7, f),
        lambda f: nd.HeavyBall(nd.AdamsBashforth(2, f), beta=0.8),
        lambda f: nd.UniPC(2, f),
    ):
        one = response(build(data).discretize(VP, levels), SCALES[1:])
        two = response(build(noise).discretize(VP, swapped), 1 / SCALES[1:])
        np.testing.assert_allclose(one.gain, two.gain, rtol=1e-9)


def own_grid(method, steps):
    """Levels of EDM (alpha = 1, sigma = rho) with equal steps in the method's own variable."""
    variable = (method.formulation or nd.NOISE_RATIO).variable
    high, low = 2.0, 0.5
    if variable == "log-snr":
        return np.geomspace(high, low, steps + 1)
    return (
        1 / np.linspace(1 / high, 1 / low, steps + 1)
        if variable == "inverse-rho"
        else np.linspace(high, low, steps + 1)
    )


@pytest.mark.parametrize("name", MEMBERS)
def test_gain_converges_with_the_claimed_order(name):
    method = MEMBERS[name]
    errors = []
    for steps in (48, 96):
        found = response(method.discretize(EDM, own_grid(method, steps), start="exact"), np.array([0.2, 1.0, 3.0]))
        errors.append(np.abs(found.ratio - 1).max())
    # the next term of the error still counts at these steps, and lowers the exponent by up to a tenth
    assert errors[1] < 1e-12 or np.log2(errors[0] / errors[1]) > 0.85 * method.order


def test_midpoint_has_order_three_on_gaussian_data():
    # y' = g y in rho with g = rho/(s^2 + rho^2), y = x/alpha: the h^3 terms of flow and method are equal for every s
    rho, s, h = sp.symbols("rho s h", positive=True)
    g = rho / (s**2 + rho**2)
    y, derivatives = sp.Integer(1), []
    for _ in range(3):
        y = sp.diff(y, rho) + g * y
        derivatives.append(y)
    flow = sum(h**k / sp.factorial(k) * d for k, d in enumerate(derivatives, 1))
    method = sum(h**k / sp.factorial(k - 1) / 2 ** (k - 1) * sp.diff(g, rho, k - 1) for k in range(1, 4))
    method += h**2 / 2 * g * (g + h / 2 * sp.diff(g, rho))
    assert sp.cancel(flow - method) == 0
    grids = [nd.grids.karras(VP, steps, t_start=0.8, t_end=0.2) for steps in (30, 60)]
    errors = [abs(response(nd.Midpoint().discretize(VP, grid), 0.7).ratio - 1) for grid in grids]
    assert np.log2(errors[0] / errors[1]) > 2.9


@pytest.mark.parametrize("name", [n for n, m in MEMBERS.items() if m.formulation != nd.VELOCITY_TIME])
@settings(max_examples=6)
@given(st.integers(6, 14), st.floats(0.3, 3))
def test_point_masses_are_reached_exactly(name, steps, power):
    # s = 0: the data prediction is mu everywhere and the noise prediction is constant along the flow, x = alpha mu +
    # sigma eps; weights reproduce constants whatever they are
    grid = 0.9 * (1 - np.linspace(0, 1, steps + 1) ** power)
    found = response(MEMBERS[name].discretize(COSINE, grid), 0.0)
    assert found.drift == pytest.approx(1, rel=1e-12)
    # rounding of the noise prediction x/sigma, on steps that shrink sigma
    assert np.abs(found.gain) < 1e-12
    if "data" in name:
        assert found.gain == 0
        assert nd.spectral.errors(MEMBERS[name].discretize(COSINE, grid), 0.0, mu=3).w2 < 1e-12


@pytest.mark.parametrize("name", [n for n, m in MEMBERS.items() if m.formulation != nd.VELOCITY_TIME])
def test_flat_data_keep_their_scale(name):
    # s -> oo: the noise prediction vanishes, the data prediction is x/alpha, which stands still
    found = response(MEMBERS[name].discretize(*GRIDS["vp"]), 1e160)
    assert found.gain == pytest.approx(found.levels[-1].alpha / found.levels[0].alpha, rel=1e-10)
    assert found.ratio == pytest.approx(1, rel=1e-10)


def noisy(scheme, amount):
    """The scheme with one noise in the sample row of every tableau, and another in its stages."""
    from dataclasses import replace

    def with_noise(t):
        return t.replace(
            Na=[(0.0, amount)] * t.stages,
            Nb=[(amount, 0.3 * amount) if i == 0 else (0.0, 0.0) for i in range(t.registers)],
        )

    return replace(scheme, tableaus=tuple(map(with_noise, scheme.tableaus)))


@pytest.mark.parametrize("method", [nd.DPMSolverPP(2), nd.GHVB(3, 0.8), nd.Heun(), nd.UniPC(2)], ids=str)
def test_noise_variance_is_the_sum_over_unit_noises(method):
    scheme = noisy(method.discretize(*GRIDS["vp"]), 0.2)
    s = 0.8
    model = nd.problems.Gaussian([0.0], [s**2]).model(VP, "noise")
    total = 0.0
    for index in range(len(scheme)):
        for column in range(2):  # linear: the variance is the sum of squares of what each unit noise adds alone

            def unit(i, k, chosen=(index, column)):
                return np.array([1.0 if (i, k) == chosen else 0.0])

            total += nd.sample(scheme, model, np.zeros(1), prediction="noise", noise=unit)[0] ** 2
    found = response(scheme, [s, 3.0])
    assert found.noise_variance[0] == pytest.approx(total, rel=1e-12)
    plain = response(method.discretize(*GRIDS["vp"]), [s, 3.0])
    np.testing.assert_allclose(found.gain, plain.gain, rtol=1e-13)
    assert not plain.noise_variance.any()
    deviation = np.sqrt(plain.gain**2 * plain.scales[0] ** 2 + found.noise_variance)
    np.testing.assert_allclose(
        nd.spectral.errors(scheme, [s, 3.0]).w2, np.abs(deviation - plain.scales[-1]), rtol=1e-10
    )


def test_biases_offset_the_sample():
    from dataclasses import replace

    scheme = nd.DPMSolverPP(2).discretize(*GRIDS["vp"])
    biased = replace(scheme, tableaus=tuple(t.replace(a=(0.1,), b=(0.2, -0.3)) for t in scheme.tableaus))
    model = nd.problems.Gaussian([0.0], [0.49]).model(VP, "data")
    found = response(biased, 0.7)
    assert found.offset == pytest.approx(nd.sample(biased, model, np.zeros(1), prediction="data")[0], rel=1e-12)
    assert found.gain == pytest.approx(float(response(scheme, 0.7).gain), rel=1e-14)


def test_steps_multiply_to_the_gain_and_zeros_are_said():
    found = response(nd.AdamsBashforth(3).discretize(*GRIDS["vp"]), SCALES[1:])
    np.testing.assert_allclose(found.steps.prod(0), found.gain, rtol=1e-12)
    np.testing.assert_allclose(found.exact_steps.prod(0), found.exact, rtol=1e-12)
    held = response(nd.DDIM(nd.DATA_LOG_SNR).discretize(VP, [0.9, 0.5, 0.0]), 0.0)
    assert held.steps[-1] == 0
    assert np.isnan(held.ratio)  # 0/0: a point mass, reached


def test_inversion_is_a_scheme_too():
    back = nd.DDIM().discretize(VP, np.linspace(0.02, 1.0, 200))
    assert response(back, 0.5).ratio == pytest.approx(1, abs=0.05)
    assert response(nd.Heun().discretize(VP, np.linspace(0.02, 1.0, 200)), 0.5).ratio == pytest.approx(1, abs=1e-3)


def test_overflow_is_silent():
    scheme = nd.AdamsBashforth(5).discretize(EDM, np.linspace(80, 0.002, 400))
    assert not np.isfinite(response(scheme, 0.0).gains).all() or abs(response(scheme, 0.0).gain) < 1e300


def test_grids_that_carry_gradients():
    import torch

    times = torch.linspace(0.9, 0.1, 6, dtype=torch.float64, requires_grad=True)
    for method in (nd.GHVB(3, 0.8), nd.Heun(), nd.DPMSolverPP(2)):
        found, plain = (response(method.discretize(VP, t), SCALES) for t in (times, times.detach().tolist()))
        np.testing.assert_allclose(found.gain, plain.gain, rtol=1e-12)
        np.testing.assert_allclose(found.exact, plain.exact, rtol=1e-12)


def test_tables_of_noise_levels():
    schedule = nd.schedules.Discrete.ddpm_linear()
    grid = nd.grids.from_timesteps(schedule, [999, 700, 400, 100])
    error, size, _ = compare(nd.DPMSolverPP(2), schedule, grid)
    assert error <= 1e-12 * size


def test_shapes():
    scheme = nd.DDIM().discretize(*GRIDS["vp"])
    found = response(scheme, np.ones((2, 3)))
    assert found.gains.shape == found.drifts.shape == found.variances.shape == (9, 2, 3)
    assert found.steps.shape == (8, 2, 3)
    assert response(scheme, 1).gain.shape == ()
    assert response(scheme, []).gain.shape == (0,)
    assert transfer(scheme, np.ones((2, 3)))[0].shape == (2, 3, 1, 1)
    assert response(scheme, [sp.Rational(1, 2)]).gain == response(scheme, [0.5]).gain


def test_speed():
    scheme = nd.GHVB(4, 0.8).discretize(VP, nd.grids.uniform_log_snr(VP, 20))
    s = np.logspace(-3, 3, 1000)
    times = []
    for _ in range(5):
        start = perf_counter()
        response(scheme, s)
        times.append(perf_counter() - start)
    assert min(times) < 0.05  # about 2 ms alone on a core; the margin is for busy machines


def split(scheme):
    from dataclasses import replace

    tableaus = tuple(t.replace(tags=("guidance",)) if i else t for i, t in enumerate(scheme.tableaus))
    return replace(scheme, tableaus=tableaus)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: response(nd.DDIM(), 1.0), TypeError, "lay the method out first"),
        (lambda s: response("ddim", 1.0), TypeError, "scheme must be what"),
        (lambda s: response(nd.DDIM().discretize(None, [0, 1, 2]), 1.0), ValueError, "plain ODE"),
        (lambda s: response(split(s), 1.0), ValueError, "several fields, '', 'guidance'"),
        (lambda s: response(s, -1.0), ValueError, "not negative: it is a standard deviation, got -1"),
        (lambda s: response(s, [1.0, np.inf]), ValueError, "s must be finite"),
        (lambda s: response(s, sp.Symbol("s")), TypeError, "nd.spectral.exact"),
        (lambda s: response(s, "1"), TypeError, "s must be real numbers"),
        (lambda s: response(s, True), TypeError, "s must be real numbers"),
        (lambda s: response(s, 1j), TypeError, "s must be real numbers"),
        (lambda s: transfer(s, [-1.0]), ValueError, "not negative"),
        (
            lambda s: response(nd.DDIM().discretize(VP, [0.0, 0.5, 1.0]), [1.0, 0.0]),
            ValueError,
            "standard deviation 0 leaves x no variance",
        ),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(nd.DDIM().discretize(*GRIDS["vp"]))
