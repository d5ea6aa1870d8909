"""The reference flow against theorems: quantile transport in one dimension, change of variables, closed forms."""

import mpmath
import numpy as np
import pytest
import scipy.integrate
import torch

from numdiff import schedules
from numdiff.level import Level
from numdiff.problems import Gaussian, GaussianMixture, flow, mixtures

MIXTURES = mixtures()
NARROW = GaussianMixture([0.3, 0.7], [[-1.0], [1.0]], [1e-10, 1e-8])
MASSES = GaussianMixture([0.3, 0.7], [[-1.0], [1.0]], [0.0, 0.0])
DISTANT = GaussianMixture([0.4, 0.6], [[99.0], [101.0]], [0.01, 0.04])
WIDE = GaussianMixture([0.4, 0.6], [[-1e3], [1e3]], [1.0, 100.0])
LINE = {
    "two-modes": MIXTURES["two-modes"],
    "three-scales": MIXTURES["three-scales"],
    "narrow": NARROW,
    "point-masses": MASSES,
    "distant": DISTANT,
    "wide": WIDE,
}


def level(alpha, sigma):
    return Level(0.5, alpha, sigma, 0.5)


def transported(mixture, x, start, end):
    """The y with F_end(y) = F_start(x), to 40 digits, by Newton's method kept inside a bracket.

    In one dimension the flow preserves F_t(x_t) = P(X_t <= x_t), because paths of an ODE do not cross and carry p_t.
    """
    parts = [mixture.weights, mixture.means[:, 0], mixture.spectrum.variances[:, 0]]
    parts = list(zip(*[[mpmath.mpf(float(v)) for v in part] for part in parts], strict=True))

    def law(at, y):
        scaled = [(w, (y - at.alpha * m) / mpmath.sqrt(at.alpha**2 * v + at.sigma**2), v) for w, m, v in parts]
        slope = sum(w * mpmath.npdf(z) / mpmath.sqrt(at.alpha**2 * v + at.sigma**2) for w, z, v in scaled)
        return sum(w * mpmath.ncdf(z) for w, z, _ in scaled), slope

    with mpmath.workdps(40):
        wanted = law(start, mpmath.mpf(float(x)))[0]
        low, high = (
            mpmath.mpf(s * (20 * end.sigma + 2 * end.alpha * np.abs(mixture.means).max() + 20)) for s in (-1, 1)
        )
        y = (low + high) / 2
        while high - low > mpmath.mpf(10) ** -30:
            value, slope = law(end, y)
            low, high = (y, high) if value < wanted else (low, y)
            step = (wanted - value) / slope if slope > 0 else mpmath.inf
            if abs(step) < mpmath.mpf(10) ** -30:
                break
            y = y + step if low < y + step < high else (low + high) / 2
        return float(y)


def unit(mixture, at):
    return np.hypot(np.sqrt(np.trace(mixture.covariance) / mixture.dimension) * at.alpha, at.sigma)


def actual_error(mixture, found, x, start, end):
    truth = np.array([transported(mixture, v, start, end) for v in x[:, 0]])
    return np.abs(found.x[:, 0] - truth) / unit(mixture, end)


ROUTES = {
    "flow matching": (level(0.0, 1.0), level(1.0, 0.0)),
    "karras": (level(1.0, 80.0), level(1.0, 2e-3)),
    "far out": (level(1.0, 1e4), level(1.0, 1e-8)),
    "inner part": (level(0.1, 0.995), level(0.9, 0.3)),
}


@pytest.mark.parametrize("name", LINE)
@pytest.mark.parametrize("route", ROUTES)
def test_flow_to_the_data_transports_quantiles(name, route):
    mixture, (start, end) = LINE[name], ROUTES[route]
    if end.sigma == 0 and mixture.spectrum.singular:
        end = level(1.0, 1e-6)
    x = mixture.sample_level(12, start, 1)
    found = mixture.flow(None, x, start, end)
    error = actual_error(mixture, found, x, start, end)
    # The stated tolerance: no worse than the estimate (of the looser run) beside rounding; that itself is near rtol.
    assert error.max() <= found.error.max() + 1e-13
    assert found.error.max() < 1e-10
    # Where the start is not itself rounded away (a distance of 100 in units of 1), 1e-12 is what was asked for.
    assert error.max() < 1e-12


@pytest.mark.parametrize("name", ["two-modes", "three-scales"])
def test_flow_from_data_to_noise_transports_quantiles(name):
    mixture, start, end = LINE[name], level(1.0, 0.0), level(0.0, 1.0)
    x = mixture.sample(12, 2)
    found = mixture.flow(None, x, start, end)
    assert actual_error(mixture, found, x, start, end).max() < max(1e-12, found.error.max())


@pytest.mark.parametrize("rtol", [1e-6, 1e-8, 1e-10, 1e-13])
def test_the_error_estimate_covers_the_error_at_every_tolerance(rtol):
    mixture, (start, end) = MIXTURES["three-scales"], ROUTES["flow matching"]
    x = mixture.sample_level(12, start, 3)
    found = mixture.flow(None, x, start, end, rtol=rtol)
    error = actual_error(mixture, found, x, start, end)
    assert error.max() <= found.error.max() + 1e-13
    # 2000 evaluations, or some 150 steps, can add up local errors of rtol each; the flow contracts towards the data.
    assert found.error.max() < 200 * rtol


def test_the_estimate_grows_where_the_flow_magnifies_rounding():
    """The ridge: at x = the 40 % quantile the two modes (weights 0.4, 0.6) part, and an ulp decides."""
    mixture = GaussianMixture([0.4, 0.6], [[-1.0], [1.0]], [0.01, 0.01])
    ridge = float(scipy.special.ndtri(0.4))
    found = mixture.flow(None, np.array([[ridge], [ridge + 0.1]]), *ROUTES["flow matching"])
    assert found.error[0] > 1e3 * found.error[1]


@pytest.mark.parametrize(("alpha", "sigma"), [(1.0, 0.0), (0.8, 0.6), (0.3, 2.0)])
def test_density_changes_by_the_determinant_of_the_flow(alpha, sigma):
    """log p_t(x_t) = log p_s(x_s) - log |det dx_t/dx_s|, the Jacobian by central differences of the reference."""
    mixture, start, end = MIXTURES["correlated"], level(0.0, 1.0), level(alpha, sigma)
    x, h = np.array([0.3, -0.7]), 3e-5
    offsets = h * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1], [2, 0], [-2, 0], [0, 2], [0, -2]])
    y = mixture.flow(None, x + offsets, start, end).x
    near, far = (y[1:5:2] - y[2:5:2]) / (2 * h), (y[5::2] - y[6::2]) / (4 * h)
    determinant = np.linalg.det((4 * near - far) / 3)
    change = mixture.log_density(x, start) - mixture.log_density(y[0], end)
    # Fourth-order differences: h^4 = 1e-18 times the flow's fifth derivatives (1e9 here, near a ridge), and errors of
    # the flow, 1e-12, divided by h.
    np.testing.assert_allclose(np.log(determinant), change, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    "schedule", [schedules.Cosine(), schedules.Flow(shift=3.0), schedules.EDM()], ids=lambda s: s.name
)
def test_flow_is_the_schedules_own_ode_and_depends_on_levels_only(schedule):
    mixture = MIXTURES["ring"]
    times = [t * min(schedule.T, 2.0) for t in (0.9, 0.15)]
    start, end = map(schedule.level, times)
    x = mixture.sample_level(3, start, 0)
    model = mixture.model(schedule, "velocity")
    clock = schedule.level_at  # a velocity is the derivative in the level's clock, and SciPy's state is flat
    fun = lambda t, y: model(y.reshape(x.shape), clock(t).model_time).ravel()  # noqa: E731
    run = scipy.integrate.solve_ivp(fun, (start.time, end.time), x.ravel(), "DOP853", rtol=1e-11, atol=1e-12)
    found = mixture.flow(schedule, x, *times)
    # The comparison's own tolerance, 1e-11 a step, over some hundred steps.
    np.testing.assert_allclose(found.x.ravel(), run.y[:, -1], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(found.x, mixture.flow(None, x, start, end).x)


@pytest.mark.parametrize("name", ["ring", "correlated", "random-16"])
def test_there_and_back(name):
    mixture, (start, end) = MIXTURES[name], ROUTES["flow matching"]
    x = mixture.sample_level(6, start, 0)
    there = mixture.flow(None, x, start, end)
    back = mixture.flow(None, there.x, end, start)
    # Backwards magnifies by (standard deviation of noise)/(of a mode), 10 to 50, what forwards left.
    assert np.abs(back.x - x).max() < 1e-11 + back.error.max()


# --- one Gaussian ----------------------------------------------------------------------------------------------------


def gaussian(d=4):
    rng = np.random.default_rng(0)
    factor = rng.standard_normal((d, d))
    return Gaussian(rng.standard_normal(d), factor @ factor.T)


@pytest.mark.parametrize("shape", ["full", "diagonal", "isotropic"])
def test_a_gaussian_flows_by_its_closed_form(shape):
    full = gaussian()
    problem = {
        "full": full,
        "diagonal": Gaussian(full.mean, np.diag(full.covariance)),
        "isotropic": Gaussian(full.mean, 1.5),
    }[shape]
    for start, end in ROUTES.values():
        # x -> alpha mu + M (x - alpha' mu), M from a basis of the size of x; M S' M^T = S: marginals are carried.
        size = unit(problem, start)
        basis = start.alpha * problem.mean + size * np.eye(4)
        M = (problem.flow(None, basis, start, end).x - end.alpha * problem.mean).T / size
        before, after = (problem.marginal(at).covariance for at in (start, end))
        np.testing.assert_allclose(M @ before @ M.T, after, rtol=0, atol=1e-12 * np.abs(after).max())
        np.testing.assert_allclose(M, M.T, rtol=0, atol=1e-13 * np.abs(M).max())
        assert np.linalg.eigvalsh(M).min() > 0


def test_the_integrator_agrees_with_the_closed_form():
    problem, (start, end) = gaussian(), ROUTES["flow matching"]
    x = problem.sample_level(5, start, 0)
    integrated = flow.mixture_flow(problem, x, start, end, 1e-12)
    np.testing.assert_allclose(
        integrated.x, problem.flow(None, x, start, end).x, rtol=0, atol=1e-12 * unit(problem, end)
    )


def test_a_singular_gaussian_flows_to_its_support():
    factor = np.random.default_rng(1).standard_normal((3, 1))
    problem = Gaussian(np.zeros(3), factor @ factor.T)
    end = problem.flow(None, np.eye(3), level(0.0, 1.0), level(1.0, 0.0)).x
    np.testing.assert_allclose(np.linalg.matrix_rank(end, tol=1e-12), 1)
    with pytest.raises(ValueError, match="the start has sigma = 0 and a covariance is singular"):
        problem.flow(None, end, level(1.0, 0.0), level(0.0, 1.0))


# --- kinds, shapes, refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", [MIXTURES["ring"], Gaussian([0.5, 1.0], [1.0, 2.0])], ids=["mixture", "gaussian"])
def test_kind_dtype_and_shape_follow_the_points(problem):
    start, end = ROUTES["inner part"]
    x = problem.sample_level(6, start, 0).reshape(2, 3, 2)
    found = problem.flow(None, x, start, end)
    assert found.x.shape == (2, 3, 2)
    assert found.error.shape == (2, 3)
    for dtype in (torch.float64, torch.float32):
        tensor = torch.from_numpy(x).to(dtype)
        result = problem.flow(None, tensor, start, end).x
        assert result.dtype == dtype
        exact = problem.flow(None, tensor.double().numpy(), start, end).x
        np.testing.assert_array_equal(result.numpy(), exact.astype(result.numpy().dtype))
    np.testing.assert_allclose(problem.flow(None, x[1, 2], start, end).x, found.x[1, 2], rtol=0, atol=1e-11)
    np.testing.assert_allclose(problem.flow(None, x, start, start).x, x, rtol=1e-15)
    assert problem.flow(None, x[:0], start, end).x.shape == (0, 3, 2)


def test_groups_of_points_are_joined_in_order():
    mixture, (start, end) = MIXTURES["two-modes"], ROUTES["inner part"]
    x = mixture.sample_level(300, start, 0)
    found = mixture.flow(None, x, start, end)
    alone = mixture.flow(None, x[[0, 255, 256, 299]], start, end)
    np.testing.assert_allclose(found.x[[0, 255, 256, 299]], alone.x, rtol=0, atol=1e-11)
    assert found.error.shape == (300,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m: MASSES.flow(None, np.ones((1, 1)), level(0, 1), level(1, 0)),
            "the end has sigma = 0 and a covariance",
        ),
        (lambda m: MASSES.flow(None, np.ones((1, 1)), level(1, 0), level(0, 1)), "the start has sigma = 0 and a cov"),
        (lambda m: m.flow(None, np.ones(2), 1.0, level(1, 0)), "t_start = 1.0 is a time and needs a schedule"),
        (lambda m: m.flow(None, np.array([np.nan, 0]), level(0, 1), level(1, 0)), "x must be finite"),
        (lambda m: m.flow(None, np.ones(2), level(0, 1), level(1, 0), rtol=1e-16), "rtol must lie in"),
        (lambda m: m.flow(None, np.ones(3), level(0, 1), level(1, 0)), "its last axis must be the dimension 2"),
        (lambda m: m.flow(schedules.Cosine(), np.ones(2), 1.5, 0.0), "t = 1.5 lies outside"),
    ],
)
def test_refusals_name_the_remedy(call, message):
    with pytest.raises(ValueError, match=message):
        call(MIXTURES["ring"])
