"""Schedules against their definitions in 50-digit arithmetic, their inverses, derivatives, ends and error messages."""

import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from numdiff import _names, schedules

EPS = 2.0**-52


def zero_terminal(N=50):
    betas = np.linspace(1e-3, 0.2, N)
    betas[-1] = 1
    return schedules.Discrete(betas=betas, name="zero-terminal")


CONTINUOUS = [
    schedules.VPLinear(),
    schedules.VPLinear(beta_min=0.5, beta_max=3.0, T=2.0),
    schedules.SubVP(),
    schedules.Cosine(),
    schedules.Cosine(T=1.0),
    schedules.VE(),
    schedules.EDM(),
    schedules.Flow(),
    schedules.Flow(shift=3.0),
    schedules.Flow(shift=0.3),
]
TABLES = [schedules.Discrete.ddpm_linear(), schedules.Discrete.stable_diffusion(), zero_terminal()]
EVERY = CONTINUOUS + TABLES
each = pytest.mark.parametrize("schedule", EVERY, ids=repr)
each_continuous = pytest.mark.parametrize("schedule", CONTINUOUS, ids=repr)

TINY = (5e-324, 1e-300, 1e-100, 1e-20, 1e-12, 1e-6)
fractions = st.one_of(st.floats(0, 1), st.floats(-300, 0).map(lambda e: 10.0**e), st.sampled_from(TINY))


def times_of(schedule, seed=0, count=2000):
    return schedule.T * np.concatenate([[0.0, 1.0], TINY, np.random.default_rng(seed).uniform(0, 1, count)])


# --------------------------------------------------------------------------------------------- independent definitions


def integrated_beta(s, t):
    """Integrate beta numerically, so that no closed form is shared with the code under test."""
    b, slope = mpmath.mpf(s.beta_min), (mpmath.mpf(s.beta_max) - s.beta_min) / s.T
    return mpmath.quad(lambda u: b + slope * u, [0, t])


def definition(s, t):
    """Return (alpha, sigma) at the mpmath number t, in the words of the papers and with no care for cancellation."""
    if s.name == "vp-linear":
        variance = 1 - mpmath.exp(-integrated_beta(s, t))
        return mpmath.sqrt(1 - variance), mpmath.sqrt(variance)
    if s.name == "sub-vp":
        return mpmath.exp(-integrated_beta(s, t) / 2), 1 - mpmath.exp(-integrated_beta(s, t))
    if s.name == "cosine":
        offset = mpmath.mpf(s.s)
        bar = [mpmath.cos((u + offset) / (1 + offset) * mpmath.pi / 2) ** 2 for u in (t, 0)]
        return mpmath.sqrt(bar[0] / bar[1]), mpmath.sqrt(1 - bar[0] / bar[1])
    if s.name == "ve":
        return mpmath.mpf(1), s.sigma_min * (mpmath.mpf(s.sigma_max) / s.sigma_min) ** t
    if s.name == "edm":
        return mpmath.mpf(1), t
    shifted = s.shift * t / (1 + (mpmath.mpf(s.shift) - 1) * t)
    return 1 - shifted, shifted


@each_continuous
def test_values_are_the_definition_in_50_digits(schedule):
    rng = np.random.default_rng(1)
    grid = schedule.T * np.concatenate([10 ** rng.uniform(-12, 0, 15), rng.uniform(0, 1, 15)])
    with mpmath.workdps(50):
        for t in grid.tolist():
            alpha, sigma = definition(schedule, mpmath.mpf(t))
            # log alpha and the argument of VE's exponential reach 10, and exp turns an ulp of 10 into 10 ulp
            for value, exact in (
                (schedule.alpha(t), alpha),
                (schedule.sigma(t), sigma),
                (schedule.rho(t), sigma / alpha),
            ):
                assert abs(value - exact) <= 16 * EPS * exact
            lam = mpmath.log(alpha / sigma)
            assert abs(schedule.log_snr(t) - lam) <= 4 * EPS * (1 + abs(lam))


@each_continuous
def test_derivatives_are_those_of_the_definition(schedule):
    with mpmath.workdps(60):
        for t in (1e-6, 0.01, 0.3, 0.77, 0.99):
            t = t * schedule.T
            slopes = [
                mpmath.diff(lambda u, i=i: definition(schedule, u)[i], mpmath.mpf(t), h=t * 1e-20) for i in (0, 1)
            ]
            for value, exact in zip((schedule.d_alpha(t), schedule.d_sigma(t)), slopes, strict=True):
                # as above, twice over (alpha alpha'/sigma); the difference quotient itself is good to 20 digits
                assert abs(value - exact) <= 32 * EPS * abs(exact) + mpmath.mpf("1e-18")


@each_continuous
def test_inverse_solves_the_definition(schedule):
    with mpmath.workdps(40):
        for t in (1e-5, 0.2, 0.6, 0.95):
            alpha, sigma = definition(schedule, mpmath.mpf(t * schedule.T))
            exact = mpmath.log(alpha / sigma)
            # the error of rounding the argument, EPS |lambda|, times |dt/dlambda| <= T here, and a few roundings more
            assert (
                abs(schedule.time(float(exact)) - mpmath.mpf(t * schedule.T)) <= 8 * EPS * (1 + abs(exact)) * schedule.T
            )


# ----------------------------------------------------------------------------------------------- the inverse, the ends


@each
@given(fraction=fractions)
def test_time_inverts_log_snr(schedule, fraction):
    t = min(fraction * schedule.T, schedule.T)
    assert abs(schedule.time(schedule.log_snr(t)) - t) <= 1e-12  # the bound the schedules promise


@each
def test_time_inverts_log_snr_for_arrays_and_tensors(schedule):
    t = times_of(schedule)
    assert np.abs(schedule.time(schedule.log_snr(t)) - t).max() <= 1e-12
    t = torch.from_numpy(t)
    assert (schedule.time(schedule.log_snr(t)) - t).abs().max() <= 1e-12


@each
def test_log_snr_falls_strictly_and_rho_is_its_exponential(schedule):
    t = np.linspace(0, schedule.T, 1001)
    lam = schedule.log_snr(t)
    assert (np.diff(lam) < 0).all()
    inner = np.isfinite(lam)
    np.testing.assert_allclose(schedule.rho(t)[inner], np.exp(-lam[inner]), rtol=16 * EPS)  # exp(5) amplifies 5 ulp


@each
def test_ends_are_exact_and_never_nan(schedule):
    assert schedule.alpha(0.0) == 1.0
    assert schedule.time(schedule.log_snr(0.0)) == 0.0
    # the inverse is good to rounding everywhere else, but an end has to come back inside [0, T]
    assert schedule.T * (1 - 1e-12) <= schedule.time(schedule.log_snr(schedule.T)) <= schedule.T
    for t, rho in ((0.0, schedule.rho(0.0)), (schedule.T, schedule.rho(schedule.T))):
        level = schedule.level(t)
        assert level.log_snr == pytest.approx(schedule.log_snr(t), rel=1e-15, abs=1e-14)  # inf == inf included
        assert level.rho == rho
    for kind in (np.asarray, torch.tensor):
        ends = kind([0.0, schedule.T])
        for function in (schedule.alpha, schedule.sigma, schedule.log_snr, schedule.rho, schedule.model_time):
            assert not np.isnan(np.asarray(function(ends))).any()


def test_infinite_ends():
    for schedule in EVERY:
        if schedule.name != "ve":
            assert math.copysign(1, schedule.sigma(0.0)) == 1
            assert (schedule.sigma(0.0), schedule.rho(0.0), schedule.log_snr(-0.0)) == (0.0, 0.0, math.inf)
    for schedule in (schedules.Flow(), schedules.Flow(shift=1.1), schedules.Cosine(T=1.0), zero_terminal()):
        assert (schedule.alpha(1.0), schedule.rho(1.0), schedule.log_snr(1.0)) == (0.0, math.inf, -math.inf)
        assert schedule.sigma(1.0) == pytest.approx(1, rel=4 * EPS)
        assert schedule.time(-math.inf) == 1.0
    assert [schedules.Flow(shift=s).sigma(1.0) for s in (0.3, 1.1, 3.0)] == [1.0, 1.0, 1.0]  # 1 + (0.3 - 1) is not 0.3
    for schedule in (schedules.VPLinear(), schedules.Cosine()):
        assert schedule.d_sigma(0.0) == math.inf
        assert schedule.d_sigma(np.zeros(1)) == math.inf
    assert schedules.SubVP().d_sigma(0.0) == pytest.approx(0.1, rel=4 * EPS)  # sigma = 1 - alpha^2 ~ beta_min t


@each
def test_default_end_has_finite_log_snr(schedule):
    assert 0 <= schedule.t_end < schedule.T
    assert math.isfinite(schedule.log_snr(schedule.t_end))


# --------------------------------------------------------------------------------------------- number types, gradients


@each
def test_number_types_agree(schedule):
    t = times_of(schedule, count=50)
    for name in ("alpha", "sigma", "log_snr", "rho", "model_time", "d_alpha", "d_sigma"):
        function = getattr(schedule, name)
        if name.startswith("d_") and not schedule.has_derivatives:
            continue
        array, tensor = function(t), function(torch.from_numpy(t))
        numbers = [function(x) for x in t.tolist()]
        assert {type(x) for x in numbers} == {float}
        assert type(function(np.float64(t[-1]))) is float
        assert (array.dtype, tensor.dtype) == (np.float64, torch.float64)
        # the libraries' exp, log and sin differ by an ulp each, and exp(-5) turns an ulp of 5 into five
        np.testing.assert_allclose(array, numbers, rtol=16 * EPS, atol=1e-323)
        np.testing.assert_allclose(tensor, numbers, rtol=16 * EPS, atol=1e-323)


def test_dtype_is_kept():
    for schedule in EVERY:
        assert schedule.alpha(torch.tensor([0.1, schedule.T])).dtype == torch.float32
        assert schedule.time(schedule.log_snr(np.float32([0.1, 0.5]))).dtype == np.float32
        assert type(schedule.alpha(0)) is float


@each
def test_autograd_agrees_with_the_derivatives(schedule):
    t = torch.linspace(0, schedule.T, 43, dtype=torch.float64)[1:-1].requires_grad_()
    lam = schedule.log_snr(t)
    (slope,) = torch.autograd.grad(lam.sum(), t, retain_graph=True)
    (back,) = torch.autograd.grad(schedule.time(lam).sum(), lam)
    np.testing.assert_allclose(back * slope, 1, rtol=1e-12)  # both run through expm1/log1p of numbers down to 1e-5
    if schedule.has_derivatives:
        x = t.detach().numpy()
        expected = schedule.d_alpha(x) / schedule.alpha(x) - schedule.d_sigma(x) / schedule.sigma(x)
        np.testing.assert_allclose(slope, expected, rtol=1e-12)


def test_levels_carry_gradients_but_infinite_ends_are_constants():
    t = torch.tensor(0.3, dtype=torch.float32, requires_grad=True)
    for schedule in EVERY:
        level = schedule.level(t)
        assert level.alpha.dtype == torch.float64
        (slope,) = torch.autograd.grad(level.log_snr, t)
        assert torch.isfinite(slope)
        assert slope < 0
    end = torch.tensor(1.0, requires_grad=True)
    assert schedules.Flow().level(end) == schedules.Flow().level(1.0)
    assert type(schedules.Flow().level(end).alpha) is float
    assert type(schedules.VPLinear().level(torch.tensor(0.3)).alpha) is float


# ---------------------------------------------------------------------------------------------------- particular facts


@given(t=st.floats(1e-3, 0.999), shift=st.floats(0.1, 10))
def test_flow_shift_moves_log_snr(t, shift):
    moved, plain = schedules.Flow(shift=shift), schedules.Flow()
    assert moved.log_snr(t) == pytest.approx(plain.log_snr(t) - math.log(shift), abs=1e-14)
    assert moved.alpha(t) + moved.sigma(t) == pytest.approx(1, rel=4 * EPS)


@given(t=st.floats(0, 0.9946))
def test_variance_is_preserved(t):
    for schedule in (schedules.VPLinear(), schedules.Cosine(), TABLES[0], TABLES[2]):
        assert schedule.alpha(t) ** 2 + schedule.sigma(t) ** 2 == pytest.approx(1, rel=16 * EPS)


@each
@given(fraction=st.floats(0, 1))
def test_model_time_round_trip(schedule, fraction):
    t = fraction * schedule.T
    # a table snaps model times within 1e-9 of an entry, 1e-9/N in t; Flow divides twice by numbers of order shift
    assert schedule.from_model_time(schedule.model_time(t)) == pytest.approx(t, rel=1e-14, abs=1e-10)


def test_model_time_is_what_the_network_knows():
    assert schedules.VPLinear(time_scale=999).model_time(0.25) == 249.75
    assert schedules.EDM().model_time(3.0) == 3.0
    flow = schedules.Flow(shift=3.0, time_scale=1000)
    assert flow.model_time(0.25) == pytest.approx(1000 * flow.sigma(0.25), rel=EPS)
    assert flow.model_time(0.25) == pytest.approx(500, rel=4 * EPS)  # 3/4 / (1 + 2/4) = 1/2


# ------------------------------------------------------------------------------------------------- registry and errors


def test_registry():
    for name in schedules.names():
        if name != "discrete":
            assert schedules.get(name).name == name
    assert schedules.get("flow", shift=3.0) == schedules.Flow(shift=3.0)
    assert schedules.get(TABLES[0]) is TABLES[0]
    assert [s.is_flow for s in (schedules.Flow(), schedules.EDM())] == [True, False]
    with pytest.raises(ValueError, match=r"unknown schedule 'vp-liner'; did you mean 'vp-linear'\? known: cosine, "):
        schedules.get("vp-liner")
    for initials in ("sd", "SD"):
        with pytest.raises(ValueError, match="did you mean 'stable-diffusion'"):
            schedules.get(initials)
    assert _names.nearest("d", ["discrete", "data-ratio"]) is None  # one word has no initials
    with pytest.raises(ValueError, match=r"unknown method 3; known: one, two$"):
        _names.suggest(3, ["two", "one"], "method")


@each
@pytest.mark.parametrize("bad", [-0.1, 1e3, math.nan, math.inf, np.array([0.1, math.nan]), torch.tensor([-1.0, 0.1])])
def test_times_outside_the_range(schedule, bad):
    for function in (schedule.alpha, schedule.sigma, schedule.log_snr, schedule.rho, schedule.model_time):
        with pytest.raises(ValueError, match=rf"t = \S+ lies outside \[0\.0, {schedule.T}\]"):
            function(bad)
    with pytest.raises(ValueError, match="log_snr = "):
        schedule.time(math.nan)


def test_log_snr_outside_the_range():
    with pytest.raises(ValueError, match=r"log_snr = -9.0 lies outside \[-5\.02"):
        schedules.VPLinear().time(-9.0)
    with pytest.raises(ValueError, match=r"log_snr = inf lies outside"):
        schedules.VE().time(math.inf)


@pytest.mark.parametrize("bad", ["0.5", [0.5], True, None, 1j, np.array(["a"])])
def test_times_that_are_no_numbers(bad):
    with pytest.raises(TypeError, match="t must be a"):
        schedules.VPLinear().alpha(bad)


def test_level_takes_one_time():
    with pytest.raises(ValueError, match=r"t must be one number, not an array of shape \(2,\)"):
        schedules.VPLinear().level(np.array([0.1, 0.2]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.VPLinear(beta_min=0), "beta_min must be positive and finite, not 0"),
        (lambda: schedules.VPLinear(T=math.nan), "T must be positive and finite, not nan"),
        (lambda: schedules.VPLinear(time_scale=-1), "time_scale must be positive"),
        (lambda: schedules.VPLinear(t_end=1.0), r"t_end must lie in \[0, T\)"),
        (lambda: schedules.EDM(t_end=0), "t_end = 0 has infinite log-SNR"),
        (lambda: schedules.Cosine(T=1.5), "T must be at most 1"),
        (lambda: schedules.VE(sigma_min=2, sigma_max=1), "sigma_min = 2 must be below sigma_max = 1"),
        (lambda: schedules.Flow(shift=-1), "shift must be positive"),
    ],
)
def test_parameters_that_make_no_schedule(make, message):
    with pytest.raises(ValueError, match=message):
        make()
