"""Steps moved to entries of a table: an entry each, as near as possible, and what it costs."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import numdiff as nd
from tests.optimize.test_result import TABLE, VP, on, result


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.0012, 0.998), min_size=2, max_size=12, unique=True))
def test_timesteps_are_the_nearest_entries_where_those_differ(inner):
    times = sorted({1.0, *inner, 0.001}, reverse=True)
    steps = on(TABLE, times, t_start=1.0)
    abar = np.array(TABLE.alphas_cumprod)
    entries = 0.5 * np.log(abar / (1 - abar))
    every = [int(np.argmin(np.abs(entries - lam))) for lam in steps.log_snr]
    assert (np.diff(steps.timesteps) < 0).all()
    if len(set(every)) == len(every):
        assert steps.timesteps.tolist() == every[:-1]
        assert steps.rounded_to(entries).shift == pytest.approx(np.abs(entries[every] - steps.log_snr).max(), abs=1e-12)


def sum_of_squares(entries, log_snr, chosen):
    return float(((entries[list(chosen)] - log_snr) ** 2).sum())


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(-40, 40), min_size=3, max_size=7, unique=True),
    st.lists(st.integers(-50, 50), min_size=3, max_size=6, unique=True),
)
def test_rounding_has_the_least_sum_of_squares_of_all_choices(entries, nodes):
    """Compared with every choice of distinct entries, one after the other."""
    table, lam = np.sort(entries)[::-1] / 8.0, np.sort(nodes) / 10.0
    steps = result(nd.schedules.EDM(), lam)
    if len(lam) > len(table):
        with pytest.raises(ValueError, match=f"{len(lam)} nodes need .* has {len(table)} for them"):
            steps.rounded_to(table)
        return
    found = steps.rounded_to(table)
    choices = itertools.combinations(range(len(table) - 1, -1, -1), len(lam))
    least = min(sum_of_squares(table, lam, chosen) for chosen in choices)
    assert ((found.log_snr - lam) ** 2).sum() == pytest.approx(least, rel=1e-12, abs=1e-15)
    assert table[found.timesteps].tolist() == found.log_snr[:-1].tolist()
    assert (np.diff(found.timesteps) < 0).all()
    assert found.shift == np.abs(found.log_snr - lam).max()


def test_more_steps_than_the_clean_end_has_entries_for_move_on():
    """At N = 20 the table's first spacings, 0.35, 0.20, 0.15, are longer than the steps of an even grid."""
    lam = np.linspace(TABLE.log_snr(1.0), TABLE.log_snr(0.001), 41)
    steps = result(TABLE, lam, evaluate=lambda z: 1.0 + float(z @ z))
    assert steps.timesteps.shape == (40,)
    assert (np.diff(steps.timesteps) < 0).all()
    assert (steps.timesteps[0], steps.timesteps[-1]) == (999, 1)
    assert math.isfinite(steps.rounding)


def test_entries_stay_and_cost_nothing():
    grid = nd.grids.from_timesteps(TABLE, [999, 700, 300, 20], final="zero")
    steps = on(TABLE, grid, evaluate=lambda z: float(z @ z), objective=0.0)
    steps = dataclasses.replace(steps, objective=float(steps.log_snr[1:-1] @ steps.log_snr[1:-1]))
    assert steps.timesteps.tolist() == [999, 700, 300, 20]
    assert steps.rounding == pytest.approx(1.0, abs=1e-12)


def test_rounding_is_the_objective_there_over_the_objective_here():
    z = np.array([TABLE.log_snr(0.5004), TABLE.log_snr(0.2003)])
    minimum = {"evaluate": lambda x: 1.0 + float((x[:2] - z) @ (x[:2] - z)) + x[2], "objective": 1.25}
    ends = TABLE.log_snr(1.0), TABLE.log_snr(0.001)
    steps = result(TABLE, [ends[0], *z, ends[1]], method=nd.GHVB(2, 0.25), parameters={"beta": 0.25}, **minimum)
    integers, after = steps.rounded()
    moved = np.array([TABLE.log_snr(0.5), TABLE.log_snr(0.2)])  # entries 499 and 199
    assert integers.tolist() == [999, 499, 199]
    assert after == pytest.approx(1.25 + (moved - z) @ (moved - z), rel=1e-12)
    assert steps.rounding == after / 1.25


def test_colliding_steps_take_neighbouring_entries():
    abar = np.array(TABLE.alphas_cumprod)[498:501]
    lam = 0.5 * np.log(abar / (1 - abar))
    close = lam[1] + 0.3 * (lam[0] - lam[1]), lam[1] - 0.2 * (lam[1] - lam[2])  # both nearest to entry 499
    steps = result(TABLE, [TABLE.log_snr(1.0), close[1], close[0], TABLE.log_snr(0.1), TABLE.log_snr(0.001)])
    # (499, 498) moves by 0.2 and 0.7 spacings, (500, 499) by 0.8 and 0.3
    assert steps.timesteps.tolist() == [999, 499, 498, 99]
    assert steps.rounded_to(np.array(TABLE.corners)[::-1]).shift == pytest.approx(0.7 * (lam[0] - lam[1]), rel=1e-6)


def test_an_end_that_moves_has_no_objective():
    steps = on(TABLE, [0.9996, 0.5, 0.001], evaluate=lambda z: 1.0)  # the first node lies between two entries
    found = steps.rounded_to(np.linspace(5.0, -5.0, 101))
    assert found.shift == pytest.approx(np.abs(found.log_snr - steps.log_snr).max())
    assert found.objective is None
    far = on(TABLE, [0.9995, 0.5, 0.001], evaluate=lambda z: 1.0)
    assert far.rounded_to([*far.log_snr[::-1]]).objective == 1.0
    with pytest.raises(ValueError, match=r"an end moves by 0\.00\d+, and the objective's ends are fixed"):
        far.rounded()


def test_more_steps_than_entries_are_refused():
    table = nd.schedules.Discrete(alphas_cumprod=[0.99, 0.7, 0.3])
    lam = [table.log_snr(1.0), -0.3, -0.2, -0.1, table.log_snr(1 / 3)]
    with pytest.raises(ValueError, match=r"5 nodes need .* table, and it has 3 for them; take fewer"):
        _ = result(table, lam).timesteps


def test_a_table_that_ends_at_no_signal():
    table = nd.schedules.Discrete(alphas_cumprod=[0.99, 0.7, 0.3, 0.0])
    steps = result(table, [-math.inf, table.log_snr(0.5), math.inf])
    assert steps.timesteps.tolist() == [3, 1]
    low = result(table, [-math.inf, -20.0, -19.0, math.inf])  # entry 3 has no signal and takes no node that has some
    assert low.timesteps.tolist() == [3, 2, 1]
    other = low.rounded_to([2.0, 1.0, -1.0])
    assert other.timesteps.tolist() == [2, 1, 0]
    assert other.shift == 21.0


def test_what_cannot_be_rounded():
    with pytest.raises(TypeError, match=r"entries of a table.*use times"):
        _ = on(VP, [0.9, 0.5, 1e-3]).timesteps
    with pytest.raises(ValueError, match="optimize again"):
        on(TABLE, [1.0, 0.5, 0.001]).rounded()
    with pytest.raises(ValueError, match="optimize again"):
        _ = on(TABLE, [1.0, 0.5, 0.001]).rounding
    with pytest.raises(ValueError, match="fall strictly"):
        on(TABLE, [1.0, 0.5, 0.001]).rounded_to([0.0, 1.0])
