"""The sliced distance against SciPy's quantiles and the distance of shifted Gaussians, which is that of their means."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from numdiff.problems import GaussianMixture
from numdiff.study.sliced import directions, quantiles, sliced_distance


def test_quantiles_of_projections_solve_the_equation_of_their_law():
    mixture = GaussianMixture([0.25, 0.75], [[-2.0, 1.0], [3.0, 0.0]], [0.09, 1.0])
    v = np.array([0.6, -0.8])
    law = lambda x, p: 0.25 * norm.cdf(x, -2.0, 0.3) + 0.75 * norm.cdf(x, 1.8, 1.0) - p  # noqa: E731
    p = np.array([0.001, 0.1, 0.24, 0.5, 0.99])
    assert np.allclose(quantiles(mixture, v, p), [brentq(law, -20, 20, args=(one,)) for one in p], atol=3e-4)


@pytest.mark.parametrize("shift", [[0.5, 0.0, 0.0], [1.0, -2.0, 0.5]])
def test_a_shift_is_seen_by_as_much_of_it_as_lies_along_each_direction(shift):
    mixture = GaussianMixture([1.0], [[1.0, 0.0, -1.0]], [0.25])
    x = np.random.default_rng(1).normal([1.0, 0.0, -1.0], 0.5, (40_000, 3)) + shift
    expected = np.sqrt(np.mean((directions(3, 40) @ shift) ** 2))
    assert sliced_distance(x, mixture, 40) == pytest.approx(expected, rel=0.02)
    assert sliced_distance(x - shift, mixture, 40) < 0.02
