"""What a mixture refuses, and the remedy its message names."""

import numpy as np
import pytest
import torch

from numdiff import schedules
from numdiff.level import Level
from numdiff.problems import Gaussian, GaussianMixture, mixtures

MIXTURES = mixtures()
POINTS = GaussianMixture([0.25, 0.75], [[-1.0], [1.0]], [0.0, 0.0])
CLEAN = Level(0.0, 1.0, 0.0, 0.0)
W, MU, C = [0.5, 0.5], [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], [1.0, 2.0]
TURNED = np.stack([np.eye(3), np.diag([1.0, 1.0, -0.5])])
SKEW = np.stack([np.eye(3), np.triu(np.ones((3, 3)))])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.5, 0.6], MU, C), r"weights must sum to 1, but they sum to 1.1; pass weights / weights.sum\(\)"),
        (([1.5, -0.5], MU, C), r"weights must be positive, but weights\[1\] = -0.5"),
        (([np.nan, 0.5], MU, C), r"weights must be positive, but weights\[0\] = nan"),
        (([1.0], MU, C), r"weights have shape \(1,\), but there are 2 means"),
        (
            (W, [0.0, 1.0], C),
            r"means must have shape \(K, d\), not \(2,\); for one-dimensional data use means\[:, None\]",
        ),
        ((W, [[0.0], [np.inf]], C), "means must be finite, but row 1 is not"),
        (
            (W, MU, [1.0, 2.0, 3.0]),
            r"covariances have shape \(3,\), but there are K = 2 means of d = 3: give \(K, d, d\)",
        ),
        ((W, MU, np.eye(3)), r"one matrix shared by all components repeat it, np.broadcast_to\(C, \(2, 3, 3\)\)"),
        ((W, MU, [1.0, -1.0]), r"variances must not be negative, but entry \(1,\) is -1.0"),
        ((W, MU, [1.0, np.nan]), r"covariances must be finite, but entry \(1,\) is not"),
        ((W, MU, TURNED), r"covariances\[1\] has the negative eigenvalue -0.5"),
        ((W, MU, SKEW), r"covariances\[1\] is not symmetric"),
    ],
)
def test_bad_mixtures_are_refused_with_the_remedy(arguments, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(*arguments)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m: m.noise(np.zeros((5, 3)), CLEAN),
            r"x has shape \(5, 3\), but its last axis must be the dimension 2",
        ),
        (lambda m: m.noise(1.0, CLEAN), r"x has shape \(\), but its last axis"),
        (lambda m: m.noise(np.zeros(2), Level(0.5, np.ones(4), 1.0, 0.5)), r"level.alpha must be one number"),
        (lambda m: m.predict(np.zeros(2), CLEAN, "nois"), "unknown prediction 'nois'; did you mean 'noise'"),
        (lambda m: m.model(schedules.VPLinear(), "dta"), "unknown prediction 'dta'; did you mean 'data'"),
        (lambda m: m.conditional(8), "component must be distinct indices from 0 to 7, not 8"),
        (lambda m: m.component_score(np.zeros(2), CLEAN, []), "component must be distinct indices"),
        (lambda m: m.sample(-1, 0), "n must be a non-negative integer, not -1"),
        (lambda m: Gaussian([[0.0]], [1.0]), r"mean must have shape \(d,\)"),
        (lambda m: POINTS.denoise(np.zeros((1, 1)), CLEAN), "at sigma = 0 a singular covariance"),
        (lambda m: POINTS.log_density(np.zeros((1, 1)), CLEAN), "at sigma = 0 a singular covariance"),
    ],
)
def test_bad_calls_are_refused_with_the_remedy(call, message):
    with pytest.raises(ValueError, match=message):
        call(MIXTURES["ring"])


@pytest.mark.parametrize(
    "call",
    [
        lambda m, schedule: m.model(schedule),
        lambda m, schedule: m.model(schedule, "velocity"),
        lambda m, schedule: m.guidance(schedule, 0),
        lambda m, schedule: m.condition(schedule, 0),
        lambda m, schedule: m.flow(schedule, np.zeros((1, 2)), 1.0, 0.5),
    ],
    ids=["model", "velocity", "guidance", "condition", "flow"],
)
@pytest.mark.parametrize("given", ["vp", schedules.VPLinear])
def test_what_is_no_schedule_is_refused_when_the_model_is_made(call, given):
    with pytest.raises(TypeError, match=r"schedule must be a noise schedule such as nd.schedules.VPLinear\(\).*, got "):
        call(MIXTURES["ring"], given)


def test_a_condition_knows_its_prediction():
    with pytest.raises(ValueError, match="unknown prediction 'nois'; did you mean 'noise'"):
        MIXTURES["ring"].condition(schedules.VPLinear(), 0, prediction="nois")


def test_wrong_kinds_are_type_errors():
    with pytest.raises(TypeError, match="rng must be an integer seed"):
        MIXTURES["ring"].sample(3, None)
    for x in (np.zeros(2, dtype=complex), torch.zeros(2, dtype=torch.complex64)):
        with pytest.raises(TypeError, match="x must be real"):
            MIXTURES["ring"].noise(x, CLEAN)
