"""The artifact magnitude against its definition, written out cell by cell."""

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff.guidance import artifact_magnitude


@pytest.mark.parametrize("xp", [np.asarray, torch.tensor])
def test_the_published_magnitude(xp):
    rng = np.random.default_rng(0)
    x, mean, std = rng.standard_t(3, (3, 2, 8, 12)), np.array([0.1, -0.2]), np.array([0.9, 1.1])
    found = artifact_magnitude(xp(x), xp(mean[:, None, None]), xp(std[:, None, None]), channels=1, pool=4)
    for sample, value in zip(x, found, strict=True):
        cells = []
        for i in range(2):
            for j in range(3):
                cell = sample[:, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4].reshape(2, -1)
                largest = max(abs((cell[c] - mean[c]) / std[c]).max() for c in (0, 1))
                cells.append(largest if largest >= 3 else 0.0)
        assert float(value) == pytest.approx(np.mean(cells), rel=1e-13)


def test_points_and_data_within_the_threshold():
    mixture = nd.problems.mixtures()["ring"]
    x = mixture.sample(50, 0)
    z = abs((x - mixture.mean) / np.sqrt(np.diagonal(mixture.covariance)))
    found = artifact_magnitude(x, mixture.mean, np.sqrt(np.diagonal(mixture.covariance)), threshold=1.0)
    np.testing.assert_allclose(found, np.where(z < 1, 0, z).mean(axis=1))
    assert not artifact_magnitude(x, 0.0, 1.0, threshold=abs(x).max() * 1.01).any()


def test_cells_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="pool must divide height and width, got 3"):
        artifact_magnitude(np.zeros((1, 8, 8)), 0.0, 1.0, pool=3)


@pytest.mark.parametrize(
    ("std", "options", "words"),
    [
        (1.0, {"pool": 0}, "pool must be a whole number from 1, the side of the cells, got 0"),
        (1.0, {"channels": 7}, "channels must be one of the 4 axes of the samples after the first, got 7"),
        (1.0, {"channels": 0}, "channels must be .* got 0"),
        (0.0, {}, "std must be positive, got 0.0"),
        (np.zeros((2, 1, 1)), {}, "std must be positive"),
    ],
)
def test_refused_with_a_remedy(std, options, words):
    with pytest.raises(ValueError, match=words):
        artifact_magnitude(np.zeros((1, 2, 8, 8)), 0.0, std, **options)
