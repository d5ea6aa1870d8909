"""Plain loops over a scheduler of diffusers and ours, with one smooth network, for comparisons in float32."""

import inspect
import warnings

import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations of diffusers' own dependencies, at its import only
    import diffusers

    from numdiff.adapters.diffusers import NumdiffScheduler

SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
X = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
TOLERANCE = 2e-5
"""Relative to the sample: ten steps of some ten float32 roundings, 6e-8 each, and tables that the peers keep in
float32, 1e-6 of abar, which the first and last steps multiply by up to ten."""


def network(x, t):
    """A bounded, smooth, non-linear function of the sample and the time."""
    return torch.tanh(0.7 * x + 1e-4 * float(t)) * 0.9 + 0.05 * torch.sin(3 * x)


def run(scheduler, steps=8, x=X, seed=5, model=network, timesteps=None, **given):
    """The loop of a pipeline: its starting noise, its scaled input, its step."""
    if timesteps is None:
        scheduler.set_timesteps(steps, **given)
    x = x * float(getattr(scheduler, "init_noise_sigma", 1.0))
    chance = {"generator": torch.Generator().manual_seed(seed)}
    extra = chance if "generator" in inspect.signature(scheduler.step).parameters else {}
    scale = getattr(scheduler, "scale_model_input", lambda x, t: x)
    for t in scheduler.timesteps if timesteps is None else timesteps:
        x = scheduler.step(model(scale(x, t), t), t, x, return_dict=False, **extra)[0]
    return x


def peer(name, **config):
    """A scheduler of diffusers by the first part of its name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of the noise forms of DPM-Solver, to be removed there
        return getattr(diffusers, f"{name}Scheduler")(**config)


def same(found, expected, tolerance=TOLERANCE):
    """Compare two runs, relative to the largest entry of the sample."""
    assert bool(expected.isfinite().all())
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * float(expected.abs().max()))


def alike(theirs, method, steps=8, tolerance=TOLERANCE, model=network, given=None, **options):
    """Check that ours, made of their configuration, lists the same timesteps and draws the same samples; return it."""
    ours = NumdiffScheduler.from_config(theirs.config, method=method, **options)
    expected = run(theirs, steps, model=model, **(given or {}))
    found = run(ours, steps, model=model, **(given or {}))
    torch.testing.assert_close(
        ours.timesteps.double(),
        theirs.timesteps[: len(ours.timesteps)].double(),
        rtol=1e-5,
        atol=1.0 if tolerance > TOLERANCE else 2e-3,
    )
    same(found, expected, tolerance)
    return ours
