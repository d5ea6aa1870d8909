"""Patterns of steps: what they promise of ratios, of sums, of refinement and of repetition."""

import numpy as np
import pytest

from numdiff.grids.patterns import BASE, PATTERNS, PERIOD, fractions

STEPS = (1, 2, 3, 5, 8, 17, 24, 64, 100)
SEEDS = range(20)


def lengths(pattern, steps, seed=0):
    return np.diff(fractions(pattern, steps, seed))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_nodes_rise_from_zero_to_one(pattern):
    for steps in STEPS:
        for seed in SEEDS:
            nodes = fractions(pattern, steps, seed)
            assert nodes.shape == (steps + 1,)
            assert (nodes[0], nodes[-1]) == (0.0, 1.0)
            assert np.all(np.diff(nodes) > 0), (steps, seed)


def test_uniform_steps_are_equal():
    np.testing.assert_allclose(lengths("uniform", 24), 1 / 24, rtol=1e-14)


def test_alternating_steps_are_h_and_2h_in_turn():
    for steps in (4, 7, 64):
        h = lengths("alternating", steps)
        np.testing.assert_allclose(h[1::2], 2 * h[0], rtol=1e-12)
        np.testing.assert_allclose(h[::2], h[0], rtol=1e-12)


@pytest.mark.parametrize("pattern", ["random", "alternating"])
def test_neighbours_differ_by_factors_of_at_most_two_and_never_become_smooth(pattern):
    for seed in SEEDS:
        for steps in (8, 64, 256, 259):
            h = lengths(pattern, steps, seed)
            ratios = np.maximum(h[1:] / h[:-1], h[:-1] / h[1:])
            assert ratios.max() <= 2 * (1 + 1e-12)
            assert ratios.max() > 1.3, (seed, steps)


def test_the_random_pattern_repeats_itself():
    """So the error constant is that of one period, whatever N; the ratio of neighbours is bounded across the seam."""
    for seed in SEEDS:
        h = lengths("random", 5 * PERIOD, seed)
        np.testing.assert_allclose(h[PERIOD:], h[:-PERIOD], rtol=1e-11)
        np.testing.assert_allclose(lengths("random", 10 * PERIOD, seed)[:PERIOD], h[:PERIOD] / 2, rtol=1e-12)
        np.testing.assert_allclose(fractions("random", 5 * PERIOD, seed)[::PERIOD], np.linspace(0, 1, 6), atol=1e-15)


def test_refinements_are_nested():
    """The nodes of N steps are among those of 2N, 3N, ...; between the cells' ends steps are equal."""
    for seed in SEEDS:
        for steps, factor in ((BASE, 2), (8, 2), (8, 3), (24, 4)):
            coarse, fine = fractions("refined", steps, seed), fractions("refined", factor * steps, seed)
            np.testing.assert_allclose(fine[::factor], coarse, rtol=0, atol=1e-14)
        h = lengths("refined", 8 * BASE, seed).reshape(BASE, 8)
        np.testing.assert_allclose(h, h[:, :1] + np.zeros(8), rtol=1e-12)
        jumps = np.maximum(h[1:, 0] / h[:-1, 0], h[:-1, 0] / h[1:, 0])
        assert 1.01 < jumps.max() <= 2 * (1 + 1e-12)


def test_a_remainder_goes_to_the_first_cells():
    whole, more = lengths("refined", 2 * BASE), lengths("refined", 2 * BASE + 1)
    np.testing.assert_allclose(more[:3].sum(), whole[:2].sum(), rtol=1e-13)
    np.testing.assert_allclose(more[3:], whole[2:], rtol=1e-13)


@pytest.mark.parametrize("pattern", ["random", "refined"])
def test_a_seed_gives_the_same_steps_again_and_another_seed_others(pattern):
    np.testing.assert_array_equal(fractions(pattern, 24, 3), fractions(pattern, 24, 3))
    firsts = {float(fractions(pattern, 24, seed)[1]) for seed in SEEDS}
    assert len(firsts) == len(SEEDS)


def test_unknown_patterns_and_no_steps_are_refused():
    with pytest.raises(ValueError, match="unknown grid 'alternate'; did you mean 'alternating'"):
        fractions("alternate", 8)
    for steps in (0, -3):
        with pytest.raises(ValueError, match=f"steps must be at least 1, got {steps}"):
            fractions("uniform", steps)
