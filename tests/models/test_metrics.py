"""The Frechet distance against its closed forms and SciPy's matrix square root; the nearest neighbour."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from numdiff.models.metrics import feature_statistics, frechet_distance, nearest_distance

D = 24


def rotation(seed):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((D, D)))[0]


def covariance(seed, rank=D):
    factor = np.random.default_rng(seed).standard_normal((D, rank))
    return factor @ factor.T


def commuting(a, b, Q):
    """The closed form for C1 = Q diag(a) Q^T, C2 = Q diag(b) Q^T and equal means."""
    mean = np.zeros(D)
    return frechet_distance(mean, Q @ np.diag(a) @ Q.T, mean, Q @ np.diag(b) @ Q.T), np.sum((a**0.5 - b**0.5) ** 2)


@pytest.mark.parametrize("seed", range(4))
def test_commuting_covariances_have_the_closed_form(seed):
    a, b = np.random.default_rng(seed).lognormal(sigma=2, size=(2, D))
    found, exact = commuting(a, b, rotation(seed))
    assert found == pytest.approx(exact, abs=4 * D * np.finfo(float).eps * (a.sum() + b.sum()))  # the docstring's bound


def test_singular_covariances_keep_full_accuracy():
    a, b = np.random.default_rng(0).lognormal(size=(2, D))
    a[: D // 2], b[D // 3 :] = 0, 0  # overlapping and disjoint null spaces
    found, exact = commuting(a, b, rotation(1))
    assert found == pytest.approx(exact, rel=1e-12)  # the root of an eigenvalue's rounding, 1e-8, would show
    assert commuting(0 * a, a, rotation(1))[0] == pytest.approx(a.sum(), rel=1e-13)


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_the_matrix_square_root(seed):
    first, second = covariance(seed), covariance(seed + 10)
    mean1, mean2 = np.random.default_rng(seed).standard_normal((2, D))
    textbook = np.sum((mean1 - mean2) ** 2) + np.trace(first + second - 2 * np.real(sqrtm(first @ second)))
    assert frechet_distance(mean1, first, mean2, second) == pytest.approx(textbook, rel=1e-9)  # sqrtm's own error


def test_symmetric_and_invariant_under_rotations_and_shifts():
    first, second, Q = covariance(0), covariance(1, rank=5), rotation(2)
    mean1, mean2 = np.random.default_rng(3).standard_normal((2, D))
    value = frechet_distance(mean1, first, mean2, second)
    assert frechet_distance(mean2, second, mean1, first) == pytest.approx(value, rel=1e-12)
    assert frechet_distance(mean1 + 7, first, mean2 + 7, second) == pytest.approx(value, rel=1e-12)
    turned = frechet_distance(Q @ mean1, Q @ first @ Q.T, Q @ mean2, Q @ second @ Q.T)
    assert turned == pytest.approx(
        value, rel=1e-10
    )  # here 1e-16 Q noise enters null directions, then its root times 1e-8


def test_distance_of_scaled_samples():
    features = np.random.default_rng(0).standard_normal((100, D)) @ rotation(0) + 3
    mean, cov = feature_statistics(features)
    assert frechet_distance(mean, cov, mean, cov) < 1e-12 * np.trace(cov)
    doubled = frechet_distance(mean, cov, *feature_statistics(2 * features))
    assert doubled == pytest.approx(mean @ mean + np.trace(cov), rel=1e-12)  # (2-1)^2 of both parts


def test_feature_statistics_are_those_of_numpy():
    features = np.random.default_rng(0).standard_normal((50, 7)).astype(np.float32)
    mean, cov = feature_statistics(features)
    np.testing.assert_allclose(mean, features.astype(float).mean(axis=0), rtol=0, atol=1e-15)
    np.testing.assert_allclose(cov, np.cov(features.astype(float).T), rtol=0, atol=1e-14)


def test_nearest_distance():
    references = np.random.default_rng(0).standard_normal((30, 5))
    points = np.vstack([references[7], references[3] + [1e-9, 0, 0, 0, 0], np.full(5, 100.0)])
    copy, near, far = nearest_distance(points, references)
    assert copy == 0
    assert near == pytest.approx(1e-9, rel=1e-6)  # x + 1e-9 is rounded to 1e-16
    assert far == min(np.linalg.norm(references - 100.0, axis=1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3), np.eye(3), np.zeros(2), np.eye(2)), "mean1 and mean2 have 3 and 2 entries"),
        ((np.zeros(2), np.eye(3), np.zeros(2), np.eye(2)), r"cov1 must be a finite matrix of shape \(2, 2\)"),
        ((np.zeros(2), np.eye(2), np.array([0, np.nan]), np.eye(2)), "mean2 must be a finite vector"),
        ((np.zeros(2), np.array([[1, 2], [0, 1]]), np.zeros(2), np.eye(2)), "cov1 must be symmetric"),
        ((np.zeros(2), np.eye(2), np.zeros(2), np.diag([1, -1])), "cov2 must be positive semidefinite"),
    ],
)
def test_bad_statistics_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(*arguments)


def test_bad_features_are_named():
    with pytest.raises(ValueError, match="n >= 2"):
        feature_statistics(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="row 2 is not"):
        feature_statistics([[0.0], [1.0], [np.inf]])
    with pytest.raises(ValueError, match="references must be"):
        nearest_distance(np.zeros((2, 3)), np.zeros((2, 4)))
