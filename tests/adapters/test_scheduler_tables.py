"""Every table of noise levels that diffusers' schedulers can be configured with, against their float32 ones."""

import numpy as np
import pytest
import torch

from numdiff.adapters.diffusers import tables
from tests.scheduler_loops import SD, NumdiffScheduler, diffusers, peer

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")


def table(scheduler):
    return np.array(scheduler.schedule.alphas_cumprod)


def close(found, expected):
    """A running product of 1000 float32 factors: 1000 roundings of 6e-8 at most, 1e-6 in practice."""
    np.testing.assert_allclose(found, expected.double().numpy(), rtol=6e-5)
    assert np.median(np.abs(found / expected.double().numpy() - 1)) < 3e-6


@pytest.mark.parametrize("rule", ["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "laplace"])
@pytest.mark.parametrize("count", [1000, 100])
def test_rules(rule, count):
    theirs = peer("DDPM", beta_schedule=rule, num_train_timesteps=count)
    ours = NumdiffScheduler.from_config(theirs.config)
    close(table(ours), theirs.alphas_cumprod)
    torch.testing.assert_close(ours.betas, theirs.betas, rtol=2e-3, atol=1e-7)  # 1 - (1 - beta), beta from 1e-4 on
    torch.testing.assert_close(ours.alphas_cumprod, theirs.alphas_cumprod, rtol=6e-5, atol=0)


@pytest.mark.parametrize("transform", ["cosine", "exp", "laplace"])
def test_transforms(transform):
    from diffusers.schedulers.scheduling_ddpm import betas_for_alpha_bar

    rule = "squaredcos_cap_v2" if transform == "cosine" else transform
    expected = betas_for_alpha_bar(500, alpha_transform_type=transform).numpy()
    np.testing.assert_allclose(tables.betas(500, 0.0, 0.0, rule), expected, rtol=1e-6, atol=1e-9)


def test_zero_terminal_snr():
    """Schedulers that divide by alpha put 2^-24 for the last abar, the others 0."""
    for name, last in (("DDIM", 0.0), ("EulerDiscrete", 2**-24), ("DPMSolverMultistep", 2**-24)):
        theirs = peer(name, rescale_betas_zero_snr=True, **SD)
        ours = NumdiffScheduler.from_config(theirs.config)
        assert table(ours)[-1] == last
        np.testing.assert_allclose(table(ours), theirs.alphas_cumprod.double().numpy(), rtol=2e-4, atol=1e-7)


def test_a_table_of_ones_own_and_one_that_is_shifted():
    given = np.linspace(0.001, 0.03, 50)
    for betas in (given, given.tolist()):
        ours = NumdiffScheduler(trained_betas=betas)
        np.testing.assert_allclose(table(ours), np.cumprod(1 - given), rtol=1e-14)
        assert ours.config.trained_betas == given.tolist()
    theirs = peer("CogVideoXDDIM", snr_shift_scale=3.0)
    np.testing.assert_allclose(
        table(NumdiffScheduler.from_config(theirs.config)), theirs.alphas_cumprod.double().numpy(), rtol=6e-5
    )


def test_an_unknown_rule_is_named():
    with pytest.raises(ValueError, match=r"unknown beta_schedule .*'scaled_liner'; did you mean 'scaled_linear'"):
        NumdiffScheduler(beta_schedule="scaled_liner")
    with pytest.raises(ValueError, match=r"betas must lie in \(0, 1\)"):
        NumdiffScheduler(trained_betas=[0.1, 1.5, 0.2])


def test_the_sigmas_before_a_run_are_the_whole_table():
    theirs = diffusers.EulerDiscreteScheduler(**SD)
    ours = NumdiffScheduler.from_config(theirs.config)
    torch.testing.assert_close(ours.sigmas, theirs.sigmas, rtol=1e-3, atol=0)
    assert ours.timesteps.tolist() == theirs.timesteps.tolist()
