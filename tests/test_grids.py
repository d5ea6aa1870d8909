"""Grids: each rule is uniform in what it says, against published grids, at the ends, and in its error messages."""

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy
import torch
from hypothesis import given
from hypothesis import strategies as st

from numdiff import grids, schedules
from numdiff.level import Level

RULES = {  # the function in which each rule is uniform
    grids.uniform_t: lambda s, t: t,
    grids.power: lambda s, t: np.sqrt(t),
    grids.uniform_log_snr: lambda s, t: s.log_snr(t),
    grids.karras: lambda s, t: s.rho(t) ** (1 / 7),
}
SCHEDULES = [schedules.get(name) for name in schedules.names() if name != "discrete"]
TABLE = schedules.Discrete.stable_diffusion()
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)


def start_of(schedule):
    return 0.99 if schedule.is_flow else schedule.T


@each_rule
@each_schedule
@given(steps=st.integers(1, 60), ends=st.tuples(st.floats(0, 0.45), st.floats(0.55, 1)))
def test_rules_are_uniform_in_what_they_say(rule, schedule, steps, ends):
    span = start_of(schedule) - schedule.t_end
    end, start = (schedule.t_end + fraction * span for fraction in ends)
    grid = rule(schedule, steps, t_start=start, t_end=end)
    assert grid.dtype == np.float64
    assert grid.shape == (steps + 1,)
    assert (grid[0], grid[-1]) == (start, end)  # exactly
    assert (np.diff(grid) < 0).all()
    values = RULES[rule](schedule, grid)
    uniform = np.linspace(values[0], values[-1], steps + 1)
    # times are rounded by 1 ulp, and the functions amplify that: rho by |d log rho/d log t| up to 20 on VP schedules
    np.testing.assert_allclose(values, uniform, rtol=1e-12, atol=1e-13 * np.abs(values).max())


@each_rule
@each_schedule
def test_defaults_and_final_zero(rule, schedule):
    start = {"t_start": 0.99} if schedule.is_flow else {}
    plain = rule(schedule, 9, **start)
    assert (plain[0], plain[-1]) == (start_of(schedule), schedule.t_end)
    final = rule(schedule, 10, final_zero=True, **start)
    levels = grids.levels(schedule, final)
    assert len(levels) == 11
    assert (levels[-1].alpha, levels[-1].sigma, levels[-1].log_snr) == (1.0, 0.0, math.inf)
    assert [level.time for level in levels[:-1]] == plain.tolist()
    assert len(grids.levels(schedule, rule(schedule, 1, final_zero=True, **start))) == 2


def test_power_exponent():
    grid = grids.power(schedules.VPLinear(), 7, exponent=3)
    np.testing.assert_allclose(np.diff(np.cbrt(grid), 2), 0, atol=1e-15)
    np.testing.assert_allclose(
        grids.power(schedules.VPLinear(), 7, exponent=1), grids.uniform_t(schedules.VPLinear(), 7), rtol=1e-13
    )


def test_karras_is_the_published_grid():
    from diffusers import EDMEulerScheduler

    published = EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0)
    published.set_timesteps(18)
    grid = grids.karras(schedules.EDM(), 18, final_zero=True)
    np.testing.assert_allclose(grid, published.sigmas.numpy(), rtol=3e-6)  # float32, raised to the seventh power


def test_clean_end_without_a_time():
    """VE stops at sigma_min: the clean level lies beyond every time, with the last model time the network knows."""
    grid = grids.uniform_t(schedules.VE(), 3, final_zero=True)
    assert isinstance(grid, list)
    assert grid[-1] == Level(-math.inf, 1.0, 0.0, 0.0)
    assert grids.levels(schedules.VE(), grid) == tuple(grid)


# -------------------------------------------------------------------------------------------------------- given values


@each_schedule
def test_from_sigmas_inverts_rho(schedule):
    times = grids.uniform_t(schedule, 12, t_start=start_of(schedule))
    again = grids.from_sigmas(schedule, schedule.rho(times))
    np.testing.assert_allclose(again, times, rtol=1e-12, atol=1e-12)  # the promised accuracy of the inverse
    clean = grids.levels(schedule, grids.from_sigmas(schedule, [*schedule.rho(times), 0.0]))
    assert (clean[-1].sigma, len(clean)) == (0.0, 14)
    appended = grids.levels(schedule, grids.from_sigmas(schedule, schedule.rho(times), final_zero=True))
    assert appended == clean


NO_SCHEDULE = "schedule must be a noise schedule such as nd.schedules.VPLinear\\(\\).*, got "


@pytest.mark.parametrize(
    "make",
    [
        *(lambda schedule, name=name: grids.named(name, schedule, 10) for name in grids.NAMED),
        lambda schedule: grids.uniform_t(schedule, 10, t_start=1.0, t_end=0.5, final_zero=True),
        lambda schedule: grids.from_times(schedule, [1.0, 0.5]),
        lambda schedule: grids.from_sigmas(schedule, [1.0, 0.5], clip=True),
        lambda schedule: grids.levels(schedule, [1.0, 0.5]),
    ],
    ids=[*grids.NAMED, "ends", "times", "sigmas", "levels"],
)
@pytest.mark.parametrize(
    ("given", "told"),
    [(10, "10$"), ("vp", "'vp'$"), (schedules.VPLinear, r"<class .*; pass an instance, VPLinear\(\.\.\.\)$")],
    ids=["number", "name", "class"],
)
def test_what_is_no_schedule_is_refused_at_the_door(make, given, told):
    with pytest.raises(TypeError, match=NO_SCHEDULE + told):
        make(given)


def test_swapped_arguments_are_no_schedule():
    for rule in grids.NAMED.values():
        with pytest.raises(TypeError, match=NO_SCHEDULE + "10$"):
            rule(10, schedules.VPLinear())


def test_published_sigmas_may_lie_just_outside():
    published = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.0]
    with pytest.raises(ValueError, match=r"sigmas\[0\] = 14.615 lies outside .* 14\.6146.*; pass clip=True"):
        grids.from_sigmas(TABLE, published)
    grid = grids.from_sigmas(TABLE, published, clip=True)
    assert (grid[0], grid[-1]) == (1.0, 0.0)
    np.testing.assert_allclose(TABLE.rho(grid)[1:], published[1:], rtol=1e-12)


def test_from_times():
    times = [0.9, 0.5, 0.1]
    np.testing.assert_array_equal(grids.from_times(TABLE, times), times)
    np.testing.assert_array_equal(
        grids.from_times(TABLE, torch.tensor(times), final_zero=True), [*np.float32(times), 0]
    )


def test_from_timesteps_are_the_levels_of_ddim():
    from diffusers import DDIMScheduler

    for to_one, final in ((True, "zero"), (False, "first-entry")):
        ddim = DDIMScheduler(
            1000,
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            set_alpha_to_one=to_one,
            steps_offset=1,
        )
        ddim.set_timesteps(20)
        schedule = schedules.Discrete(alphas_cumprod=ddim.alphas_cumprod)
        levels = grids.levels(schedule, grids.from_timesteps(schedule, ddim.timesteps, final=final))
        bars = [*ddim.alphas_cumprod[ddim.timesteps].tolist(), float(ddim.final_alpha_cumprod)]
        np.testing.assert_allclose([level.alpha**2 for level in levels], bars, rtol=1e-14)  # 32 ulp, as for the table
        assert [level.model_time for level in levels[:-1]] == ddim.timesteps.tolist()
    assert len(grids.from_timesteps(TABLE, [900, 100], final=None)) == 2


# ------------------------------------------------------------------------------------------------------------ sub-grids


def test_subgrid():
    grid = np.linspace(1, 0, 13)
    np.testing.assert_array_equal(grids.subgrid(grid, every=4), grid[[0, 4, 8, 12]])
    np.testing.assert_array_equal(grids.subgrid(grid, indices=[0, 3, -1]), grid[[0, 3, 12]])
    levels = list(grids.levels(None, grid))
    assert grids.subgrid(levels, indices=np.array([1, 2])) == levels[1:3]
    assert grids.subgrid(levels, every=12) == [levels[0], levels[-1]]
    tensor = torch.linspace(1, 0, 13, requires_grad=True)
    (slope,) = torch.autograd.grad(grids.subgrid(tensor, indices=[0, 5]).sum(), tensor)
    assert slope.nonzero().ravel().tolist() == [0, 5]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, "exactly one of every and indices"),
        ({"every": 2, "indices": [0, 1]}, ValueError, "exactly one of every and indices"),
        ({"every": 5}, ValueError, "every = 5 must divide the grid's 12 steps; use indices"),
        ({"every": 24}, ValueError, "every = 24 must divide"),
        ({"every": 0}, ValueError, "every must be an integer of at least 1, not 0"),
        ({"indices": [3]}, ValueError, "at least two"),
        ({"indices": [3, 1]}, ValueError, "indices must rise strictly"),
        ({"indices": [0, 13]}, ValueError, "index 13 is outside a grid of 13 points"),
        ({"indices": [0, 1.5]}, TypeError, "indices must be integers, not 1.5"),
    ],
)
def test_subgrid_errors(options, error, message):
    with pytest.raises(error, match=message):
        grids.subgrid(np.linspace(1, 0, 13), **options)


# --------------------------------------------------------------------------------------------------------------- levels


@pytest.mark.parametrize("kind", [list, tuple, np.array, torch.tensor, lambda t: [np.float64(x) for x in t]])
def test_levels_are_python_floats(kind):
    for times in ([0.9, 0.5, 0.1, 0.0], [0.0, 0.5]):  # sampling, and the way back
        levels = grids.levels(schedules.VPLinear(), kind(times))
        assert type(levels) is tuple
        assert {type(x) for level in levels for x in (level.time, level.alpha, level.sigma, level.model_time)} == {
            float
        }
        np.testing.assert_allclose([level.time for level in levels], times, rtol=1e-7)  # torch.tensor is float32
        assert grids.levels(schedules.VPLinear(), levels) == levels
        assert grids.levels(schedules.VPLinear(), list(levels)) == levels


def test_levels_keep_gradients():
    times = torch.tensor([1.0, 0.5, 0.25, 0.0], requires_grad=True)
    for grid in (times, list(times), [1.0, times[1], times[2], 0.0]):
        levels = grids.levels(schedules.Flow(), grid)
        assert levels[1].sigma.dtype == torch.float64
        assert levels[1].sigma.ndim == 0
        assert (levels[0].alpha, levels[3].sigma) == (0.0, 0.0)  # the ends are constants, known to be zero
        (slope,) = torch.autograd.grad(levels[1].log_snr + levels[2].rho, times)
        np.testing.assert_allclose(slope, [0, -1 / 0.25, 1 / 0.75**2, 0], rtol=1e-6)  # float32
    assert grids.levels(None, times)[0].time.requires_grad


def test_plain_times():
    assert grids.levels(None, [0, 1.5]) == (Level.of_time(0.0), Level.of_time(1.5))
    exact = grids.levels(None, [Fraction(1, 3), sympy.Rational(1, 2), 1])
    assert [level.time for level in exact] == [Fraction(1, 3), sympy.Rational(1, 2), 1.0]
    r = sympy.Symbol("r", positive=True)
    assert grids.levels(None, [sympy.Integer(0), sympy.Integer(1), 1 + r])[2].time == 1 + r
    with pytest.raises(ValueError, match="must be strictly monotone"):
        grids.levels(None, [Fraction(1, 3), Fraction(1, 3)])


def test_levels_may_round_the_model_time_but_not_turn_around():
    schedule = schedules.VPLinear()
    first, second, third = (schedule.level(t) for t in (0.9, 0.5, 0.1))
    same_time_for_the_model = [Level(t.time, t.alpha, t.sigma, 3.0) for t in (first, second)]
    assert len(grids.levels(schedule, same_time_for_the_model)) == 2
    with pytest.raises(ValueError, match=r"log-SNRs must be strictly monotone, but log_snr\[1\] = "):
        grids.levels(schedule, [first, third, second])
    turned = Level(0.95, second.alpha, second.sigma, 0.95)
    with pytest.raises(ValueError, match=r"times must be strictly monotone, but t\[1\] = 0.95 and t\[2\] = 0.1"):
        grids.levels(schedule, [first, turned, third])
    with pytest.raises(TypeError, match="all times or all levels, not both"):
        grids.levels(schedule, [first, 0.5])


@pytest.mark.parametrize(
    ("grid", "error", "message"),
    [
        (
            [0.5, 0.3, 0.25, 0.2, 0.2],
            ValueError,
            r"^times must be strictly monotone, but t\[3\] = 0.2 and t\[4\] = 0.2; drop",
        ),
        ([0.5, 0.3, 0.4], ValueError, r"t\[1\] = 0.3 and t\[2\] = 0.4"),
        ([0.2, 0.2], ValueError, r"t\[0\] = 0.2 and t\[1\] = 0.2"),
        (torch.tensor([0.5, 0.5], requires_grad=True), ValueError, r"t\[0\] = 0.5 and t\[1\] = 0.5"),
        ([0.5], ValueError, "a grid needs at least two times, but has 1"),
        ([], ValueError, "a grid needs at least two times, but has 0"),
        ([0.5, math.nan], ValueError, r"times must be finite, but t\[1\] = nan"),
        ([-math.inf, 0.5], ValueError, r"times must be finite, but t\[0\] = -inf"),
        (np.ones((2, 2)), ValueError, r"times must be one-dimensional, but have shape \(2, 2\)"),
        (np.array(0.5), ValueError, r"times must be one-dimensional, but have shape \(\)"),
        ([[0.5, 0.3], [0.2, 0.1]], TypeError, r"t\[0\] must be a float.*, not list"),
        (["0.5", "0.3"], TypeError, r"t\[0\] must be a float.*, not str '0.5'"),
        ([0.5, True], TypeError, r"t\[1\] must be a number, not True"),
        ([0.5, None], TypeError, r"t\[1\] must be a float.*, not NoneType"),
        ([0.5, 0.1j], TypeError, r"t\[1\] must be a float.*, not complex"),
        ("0.5, 0.3", TypeError, "a sequence of times or levels, not str"),
        (0.5, TypeError, "a sequence of times or levels, not float 0.5"),
        ({0.5: 1}, TypeError, "a sequence of times or levels, not dict"),
    ],
)
def test_grids_that_are_none(grid, error, message):
    for schedule in (None, schedules.VPLinear()):
        with pytest.raises(error, match=message):
            grids.levels(schedule, grid)


def test_times_outside_the_schedule():
    with pytest.raises(ValueError, match=r"t = 1.5 lies outside \[0.0, 1.0\]"):
        grids.levels(schedules.VPLinear(), [1.5, 0.5])


# --------------------------------------------------------------------------------------------------------------- errors


@each_rule
@pytest.mark.parametrize("steps", [0, -1, 2.0, True, "3", None, math.nan])
def test_steps_must_be_a_positive_integer(rule, steps):
    with pytest.raises(ValueError, match="steps must be an integer of at least 1, not "):
        rule(schedules.VPLinear(), steps)


@each_rule
@pytest.mark.parametrize(
    "ends", [{"t_end": 1.0}, {"t_start": 1.5}, {"t_end": -0.1}, {"t_start": math.nan}, {"t_start": 0.1, "t_end": 0.2}]
)
def test_ends_must_be_in_order_and_in_range(rule, ends):
    with pytest.raises(ValueError, match=r"need T >= t_start > t_end >= 0, but T = 1\.0, t_start = "):
        rule(schedules.VPLinear(), 4, **ends)


@pytest.mark.parametrize("rule", [grids.uniform_log_snr, grids.karras])
def test_infinite_log_snr_is_refused(rule):
    for schedule in (schedules.Flow(), schedules.Cosine(T=1.0), schedules.Discrete(betas=[0.1, 0.5, 1.0])):
        with pytest.raises(ValueError, match=r"log-SNR is infinite at t = 1\.0; choose t_start below T"):
            rule(schedule, 4)
    with pytest.raises(ValueError, match=r"log-SNR is infinite at t = 0.0; choose t_end above 0 \(and final_zero=True"):
        rule(schedules.VPLinear(), 4, t_end=0)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: grids.power(TABLE, 3, exponent=0), ValueError, "exponent must be positive and finite, not 0"),
        (lambda: grids.karras(TABLE, 3, rho=-7), ValueError, "rho must be positive"),
        (lambda: grids.uniform_t(TABLE, 3, t_start="1"), TypeError, "t_start must be a float"),
        (lambda: grids.uniform_t(TABLE, 3, t_end=0, final_zero=True), ValueError, "ends at t = 0 already; drop final"),
        (lambda: grids.from_times(TABLE, [0.1, 0.5]), ValueError, "times must fall strictly.* or reverse the order"),
        (lambda: grids.from_times(TABLE, [0.5]), ValueError, "at least two times, but has 1"),
        (lambda: grids.from_times(TABLE, []), ValueError, "not empty"),
        (lambda: grids.from_times(TABLE, [0.5, math.nan]), ValueError, "t = nan lies outside"),
        (lambda: grids.from_times(TABLE, [[0.5, 0.2]]), ValueError, r"one-dimensional and not empty, .* \(1, 2\)"),
        (lambda: grids.from_times(TABLE, ["a"]), TypeError, "times must be numbers"),
        (lambda: grids.from_sigmas(TABLE, [1.0, 2.0]), ValueError, r"sigmas\[0\] = 1.0 and sigmas\[1\] = 2.0"),
        (lambda: grids.from_sigmas(TABLE, [1.0, -2.0]), ValueError, r"sigmas\[1\] = -2.0"),
        (lambda: grids.from_sigmas(TABLE, [1.0, math.nan]), ValueError, r"sigmas\[1\] = nan"),
        (lambda: grids.from_sigmas(TABLE, [1.0, 0.0], final_zero=True), ValueError, "end with 0 already"),
        (lambda: grids.from_sigmas(TABLE, [0.0]), ValueError, "at least two sigmas"),
        (lambda: grids.from_sigmas(schedules.VE(), [60.0, 1.0]), ValueError, r"sigmas\[0\] = 60.0 lies outside"),
        (lambda: grids.from_sigmas(schedules.VE(), [1.0, 1e-3]), ValueError, r"sigmas\[1\] = 0.001 lies outside"),
        (lambda: grids.from_timesteps(schedules.EDM(), [1, 0]), TypeError, "needs a Discrete schedule, not EDM"),
        (lambda: grids.from_timesteps(TABLE, [1.5, 0]), TypeError, "timesteps must be integers"),
        (lambda: grids.from_timesteps(TABLE, [1000, 0]), ValueError, r"timesteps = 1000.0 lies outside \[0, 999\]"),
        (lambda: grids.from_timesteps(TABLE, [5, -1]), ValueError, r"timesteps = -1.0 lies outside"),
        (lambda: grids.from_timesteps(TABLE, [5, 5]), ValueError, r"timesteps\[0\] = 5.0 and timesteps\[1\] = 5.0"),
        (lambda: grids.from_timesteps(TABLE, [5, 0], final="one"), ValueError, "final must be 'zero'"),
        (lambda: grids.from_timesteps(TABLE, [5, 0], final="first-entry"), ValueError, "the first entry already; use"),
        (lambda: grids.from_timesteps(TABLE, [5], final=None), ValueError, "at least two timesteps"),
    ],
)
def test_values_that_make_no_grid(make, error, message):
    with pytest.raises(error, match=message):
        make()
