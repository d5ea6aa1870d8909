"""What is drawn keeps its promises, and what fails shrinks to something to look at."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff import testing
from numdiff.methods import FAMILIES
from numdiff.methods.splitting import Splitting
from numdiff.testing import method_strategies, strategies

VP = nd.schedules.VPLinear()
QUIET = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=150,
    report_multiple_bugs=False,
    phases=(Phase.generate, Phase.shrink),  # what varies without changing the result costs a hundred runs more
)


FIRST = settings(QUIET, max_examples=3)  # hypothesis begins with what it takes for simplest


def simplest(strategy, condition=None):
    return find(strategy, condition or (lambda value: True), settings=QUIET if condition else FIRST)


def fails(assertion, *args, **options):
    try:
        assertion(*args, **options)
    except AssertionError:
        return True
    return False


# --- promises ---------------------------------------------------------------------------------------------------------


@given(st.data(), st.sampled_from([1.0, 1.5, 2.0, 30.0]), st.integers(1, 9), st.sampled_from(["time", "log-snr"]))
def test_grids_are_monotone_with_bounded_ratios_and_the_ends_asked_for(data, most, count, variable):
    schedule = data.draw(testing.schedules(tables=False))
    span = (0.9 * schedule.T, max(schedule.t_end, 0.05 * schedule.T))
    drawn = testing.grids(schedule, min_steps=count, max_steps=9, max_ratio=most, variable=variable, span=span)
    grid = data.draw(drawn)
    assert grid.dtype == np.float64
    assert (grid[0], grid[-1]) == span
    assert count <= len(grid) - 1 <= 9
    assert (np.diff(grid) < 0).all()
    h = np.diff(grid if variable == "time" else schedule.log_snr(grid))
    ratios = h[1:] / h[:-1]
    # differences of neighbouring nodes: rounding of the nodes, or of the inverse that promises 1e-12 in time, over h
    slack = 1 + 1e-10 * (np.abs(schedule.log_snr(grid)).max() + 1) / np.abs(h).min()
    assert ratios.max(initial=1) <= most * slack
    assert ratios.min(initial=1) >= 1 / most / slack


@given(testing.grids(max_steps=20), testing.grids(span=(3.0, -1.0)), testing.grids(span=st.just((2.0, 5.0))))
def test_grids_of_plain_equations_go_where_they_are_told(plain, back, drawn):
    assert (plain[0], plain[-1], back[0], back[-1], drawn[0], drawn[-1]) == (0, 1, 3, -1, 2, 5)
    assert (np.diff(back) < 0).all()


@pytest.mark.parametrize("exact", [False, True])
@given(st.data())
def test_steps_differ_from_their_neighbours_and_from_each_other_within_bounds(exact, data):
    h = data.draw(testing.steps(2, 30, max_ratio=2, exact=exact))
    slack = 0 if exact else 4 * 2.0**-52
    assert all(isinstance(x, Fraction if exact else float) for x in h)
    assert all(Fraction(1, 2) * (1 - slack) <= b / a <= 2 * (1 + slack) for a, b in pairwise(h))
    assert max(h) <= 16 * min(h) * (1 + slack)


@given(testing.schedules())
def test_drawn_schedules_are_schedules(schedule):
    t = np.array([0.05, 0.3, 0.6, 0.95]) * schedule.T
    assert (np.diff(schedule.log_snr(t)) < 0).all()
    # a table on which log alpha falls by 1e-3 a step knows its inverse to three digits less than others
    np.testing.assert_allclose(schedule.time(schedule.log_snr(t)), t, rtol=1e-11)


def test_every_registered_schedule_and_every_family_can_be_drawn():
    drawn = {*strategies.PARAMETERS, *strategies.TABLES, "discrete"}
    assert drawn == set(nd.schedules.names())
    for name in nd.schedules.names():
        assert simplest(testing.schedules(names=[name])).name == name
    assert all(method_strategies._members(name) for name in FAMILIES)


@given(testing.levels(smallest=1e-3), testing.levels(VP))
def test_levels_lie_on_their_schedules(level, own):
    assert level.alpha >= 0
    assert level.sigma > 0
    assert own == VP.level(own.time)


@given(testing.mixtures(4, 5))
def test_mixtures_are_well_conditioned(mixture):
    assert mixture.dimension <= 4
    assert mixture.components <= 5
    assert mixture.weights.max() <= 4.001 * mixture.weights.min()
    # |L| and its inverse have entries up to (3/2)^(d-2)/2: |L|_F |L^-1|_F < 2.7 * 3.2 in four dimensions, squared < 75
    assert np.linalg.cond(mixture.covariances).max() <= 75 * 10


@given(
    testing.methods(max_order=3, formulations=[None, "data/log-snr"], min_beta=0.5),
    testing.methods(deterministic=False),
    testing.methods(families=["ghvb", "hb"]),
)
def test_methods_are_those_asked_for(method, noisy, damped):
    assert method.order <= 3
    assert not method.stochastic
    assert not isinstance(method, Splitting)
    assert method.formulation in (None, nd.DATA_LOG_SNR)
    assert getattr(method, "beta", 1) >= 0.5 or not isinstance(method, (nd.GHVB, nd.HeavyBall, nd.Nesterov))
    assert noisy.stochastic
    assert isinstance(damped, (nd.GHVB, nd.HeavyBall))


@given(testing.odes(), testing.odes(stiff=True), testing.paths(resting=True), testing.paths(resting=False))
def test_problems_are_those_asked_for(smooth, any_, resting, moving):
    assert "stiff" not in smooth.tags
    assert any_.dimension >= 1
    first, last = resting.span
    np.testing.assert_array_equal(resting.exact(first), resting.exact(first + 0.1 * (last - first)))
    middle = 0.9 * first + 0.1 * last
    assert np.abs(moving.slope(middle, moving.exact(middle))).max() > 0


# --- shrinking --------------------------------------------------------------------------------------------------------


def test_the_simplest_of_everything():
    assert simplest(testing.steps(3, 9)) == [1, 1, 1]
    assert simplest(testing.step_ratios(exact=True)) == [1]
    assert simplest(testing.grids()).tolist() == [0, 1]
    assert simplest(testing.schedules()) == VP
    assert simplest(testing.levels()) == VP.level(0.5)
    assert simplest(testing.methods()) == nd.AdamsBashforth(1)
    assert simplest(testing.layouts()) == testing.orders.Layout("uniform", "log-snr", 0)
    assert simplest(testing.odes()).name == "reciprocal"
    assert simplest(testing.paths()).name == "toys"
    mixture = simplest(testing.mixtures())
    assert (mixture.means, mixture.covariances, mixture.weights) == (0, 1, 1)


def test_failing_steps_are_equal_but_for_the_changes_that_matter():
    assert simplest(testing.steps(1, 30), lambda h: max(h) > 1.7) == [1, 2]
    grid = simplest(testing.grids(max_steps=30), lambda t: np.diff(t).max() > 3 * np.diff(t).min())
    np.testing.assert_allclose(np.diff(grid) / np.diff(grid)[0], [1, 2, 4], rtol=1e-12)


def test_weights_of_equal_steps_fail_on_two_unequal_ones():
    plms = nd.PLMS(2)
    grid = simplest(testing.grids(min_steps=2), lambda t: fails(testing.assert_weights_integrate, plms, t))
    np.testing.assert_allclose(sorted(np.diff(grid)), [1 / 3, 2 / 3], rtol=1e-15)


def test_a_failing_method_is_the_first_of_its_order():
    assert simplest(testing.methods(), lambda m: m.order == 3) == nd.AdamsBashforth(3)
    slow = simplest(testing.methods(families=["ghvb"]), lambda m: m.beta < 0.7)
    assert slow == nd.GHVB(1, Fraction(2, 3))


def test_a_failing_mixture_has_two_components_and_one_dimension():
    mixture = simplest(testing.mixtures(4, 4), lambda m: m.components > 1)
    assert mixture.means.shape == (2, 1)
    assert not mixture.means.any()


def test_a_failing_property_names_its_simplest_example():
    @settings(QUIET, max_examples=50)
    @given(testing.methods(families=["ab", "rk4", "heun"]), testing.steps())
    def every_method_takes_one_evaluation(method, steps):
        assert method.stages == 1 or len(steps) < 2

    with pytest.raises(AssertionError) as caught:
        every_method_takes_one_evaluation()
    text = "\n".join(caught.value.__notes__)
    assert "label='Heun'" in text
    assert "formulation=None" in text
    assert "steps=[1.0, 1.0]" in text


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: testing.grids(min_steps=0), "min_steps and max_steps must satisfy 1 <= min <= max, got 0 and 12"),
        (lambda: testing.grids(max_ratio=0.5), "max_ratio must lie between 1 and 1000, got 0.5"),
        (lambda: testing.grids(VP, variable="log-snir"), "unknown variable 'log-snir'; did you mean 'log-snr'"),
        (lambda: testing.grids(variable="log-snr"), "needs a schedule"),
        (lambda: simplest(testing.grids(span=(1.0, 1.0))), "span must be two different times"),
        (lambda: testing.levels(smallest=0), "smallest must lie strictly between 0 and 1, got 0"),
        (lambda: testing.layouts(patterns=["alternate"]), "unknown pattern 'alternate'; did you mean 'alternating'"),
        (lambda: testing.layouts(variables=["lamda"]), "unknown variable 'lamda'"),
        (lambda: testing.schedules(names=["vp-liner"]), "unknown schedule 'vp-liner'; did you mean 'vp-linear'"),
        (lambda: testing.schedules(names=["discrete"], tables=False), "leaves no schedule"),
        (lambda: testing.methods(families=["gvhb"]), "unknown family 'gvhb'; did you mean 'ghvb'"),
        (lambda: testing.methods(min_beta=0), "min_beta in"),
        (lambda: testing.methods(families=["rk4"], max_order=3), "no method of the registry is left"),
        (lambda: testing.profile("cli"), "unknown profile 'cli'; did you mean 'ci'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
