"""The published tables of Align Your Steps, against diffusers' copy and the schedule they belong to."""

import numpy as np
import pytest

import numdiff as nd
from numdiff.optimize.objectives.ays import PUBLISHED, interpolated


@pytest.mark.parametrize(
    ("name", "copy"),
    [("sd15", "StableDiffusionSigmas"), ("sdxl", "StableDiffusionXLSigmas"), ("svd", "StableDiffusionVideoSigmas")],
)
def test_the_tables_are_those_of_diffusers_down_to_sigma_min(name, copy):
    utils = pytest.importorskip("diffusers.schedulers.scheduling_utils")
    theirs = utils.AysSchedules[copy]
    assert theirs[-1] == 0  # they end at sigma = 0 where the paper ends at sigma_min
    assert PUBLISHED[name][:-1] == tuple(theirs[:-1])


@pytest.mark.parametrize(
    ("name", "copy"), [("sd15", "StableDiffusionTimesteps"), ("sdxl", "StableDiffusionXLTimesteps")]
)
def test_the_noise_levels_are_within_half_a_step_of_the_published_timesteps(name, copy):
    """The timesteps are the noise levels rounded to whole steps of the schedule, and the levels to three decimals."""
    utils = pytest.importorskip("diffusers.schedulers.scheduling_utils")
    schedule = nd.schedules.Discrete.stable_diffusion()
    timesteps = np.array([*utils.AysSchedules[copy], 0])
    below, above = (
        np.array([float(schedule.rho(schedule.from_model_time(float(m)))) for m in np.clip(timesteps + half, 0, 999)])
        for half in (-0.5, 0.5)
    )
    table = np.array(PUBLISHED[name])
    assert np.all((below - 5.1e-4 < table) & (table < above + 5.1e-4))


@pytest.mark.parametrize("name", PUBLISHED)
def test_interpolation_is_geometric_between_the_entries(name):
    table = np.array(PUBLISHED[name])
    assert np.array_equal(interpolated(name, 10), table)
    twice = interpolated(name, 20)
    np.testing.assert_allclose(twice[::2], table, rtol=1e-14)
    np.testing.assert_allclose(twice[1::2], np.sqrt(table[1:] * table[:-1]), rtol=1e-14)
    np.testing.assert_allclose(interpolated(name, 5), table[::2], rtol=1e-14)
    for steps in (1, 3, 7, 13, 50):
        sigmas = interpolated(name, steps)
        assert sigmas.shape == (steps + 1,)
        assert np.all(np.diff(sigmas) < 0)
        np.testing.assert_allclose(sigmas[[0, -1]], table[[0, -1]], rtol=1e-14)


def test_bad_tables_are_refused():
    with pytest.raises(ValueError, match=r"unknown table 'sdxll'; did you mean 'sdxl'"):
        interpolated("sdxll", 10)
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        interpolated("sd15", 0)
