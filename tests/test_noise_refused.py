"""What is given as noise is checked before it meets the sample."""

import numpy as np
import pytest
import torch

import numdiff as nd

SCHEDULE = nd.schedules.VPLinear()
SCHEME = nd.DDPM().discretize(SCHEDULE, np.linspace(0.9, 0.1, 4))
X = np.ones((5, 2))


def model(x, t):
    return 0.1 * x


CASES = [
    ({"noise": lambda i, k: 0.7}, TypeError, "noise returned float for column 0 of tableau 0"),
    ({"noise": lambda i, k: np.ones((1, 2))}, ValueError, r"noise returned shape \(1, 2\) .* expected \(5, 2\)"),
    ({"noise": lambda i, k: np.ones((5, 2), np.float32)}, TypeError, "noise returned dtype float32"),
    ({"noise": lambda i, k: torch.ones(5, 2)}, TypeError, "noise returned Tensor"),
    ({"noise": lambda i, k: np.full((5, 2), np.nan)}, ValueError, "noise returned a value that is not finite"),
    ({"noise": nd.noise.Seeded}, TypeError, r"noise must be a source such as Seeded\(0\)"),
    ({"noise": 3}, TypeError, "noise must be a function, got 3"),
    ({"generator": 0}, TypeError, r"generator must be a numpy\.random\.Generator"),
    ({"generator": torch.Generator()}, TypeError, r"generator must be a numpy\.random\.Generator"),
    (
        {"generator": np.random.default_rng(0), "noise": nd.noise.Seeded(0)},
        ValueError,
        "give generator or noise, not both",
    ),
]


@pytest.mark.parametrize(("options", "error", "message"), CASES, ids=[case[2][:30] for case in CASES])
def test_bad_noise_is_refused_by_name(options, error, message):
    with pytest.raises(error, match=message):
        nd.sample(SCHEME, model, X, **options)


def test_the_generator_is_that_of_the_samples_library():
    with pytest.raises(TypeError, match=r"generator must be a torch\.Generator"):
        nd.sample(SCHEME, model, torch.ones(5, 2), generator=np.random.default_rng(0))


def test_a_field_is_named_when_it_fails():
    scheme = nd.LTSP(1).discretize(SCHEDULE, np.linspace(0.9, 0.1, 4))
    with pytest.raises(ValueError, match=r"fields\['condition'\] returned shape \(2,\)"):
        nd.sample(scheme, model, X, fields={"condition": lambda x, t: np.ones(2)})


def test_one_state_may_come_as_a_tuple_of_one():
    scheme = nd.DDIM().discretize(SCHEDULE, np.linspace(0.9, 0.1, 4))
    states = nd.sample(scheme, model, X, states=True)
    np.testing.assert_array_equal(nd.invert(scheme, model, states), nd.invert(scheme, model, states[0]))
