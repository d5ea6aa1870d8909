"""Peers: diffusers' schedulers in float64; k-diffusion's samplers without what only its training needs; their noise.

diffusers goes through the names ``torch.float32`` and ``np.float32`` of a scheduler's module, and through its
``randn_tensor``: `scheduler_module` replaces these and nothing else.

`k_diffusion` returns its sampling module. Its samplers work in the precision of the sample and of the sigmas, so that
float64 needs no patch. They are at scale alpha = 1: the schedule is EDM's, where the network's time is sigma.
"""

import importlib
import warnings

import numpy as np
import torch

import numdiff as nd
from numdiff.adapters.subjects.sigmas import k_diffusion as k_diffusion

EDM = nd.schedules.EDM(T=200.0)
SCHEDULE = nd.schedules.Discrete.stable_diffusion()
TABLE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
"""The same table as diffusers is told it."""
MIXTURE = nd.problems.GaussianMixture(
    [0.5, 0.3, 0.2],
    [[-1.0, -0.5], [1.0, 1.0], [1.2, -1.0]],
    [[[0.5, 0.3], [0.3, 0.25]], [[0.1, -0.08], [-0.08, 0.1]], [[0.04, 0.0], [0.0, 0.9]]],
)


class StandIn:
    """A module with some names replaced."""

    def __init__(self, module, **names):
        self._module = module
        self.__dict__.update(names)

    def __getattr__(self, name):
        return getattr(self._module, name)


def scheduler_module(monkeypatch, name, noise=None):
    """Return the scheduler module of this name in diffusers, in float64; ``noise(*args)`` draws its noise, if given."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations of diffusers' own dependencies, at its import only
        found = importlib.import_module(f"diffusers.schedulers.scheduling_{name}")
    monkeypatch.setattr(found, "torch", StandIn(torch, float32=torch.float64))
    if hasattr(found, "np"):
        monkeypatch.setattr(found, "np", StandIn(np, float32=np.float64))
    if noise is not None and hasattr(found, "randn_tensor"):
        monkeypatch.setattr(found, "randn_tensor", lambda *args, **options: noise(*args))
    return found


def scaled_levels(scheduler):
    """Levels of a scheduler that thinks in sigma/alpha: x = (x_0 + rho eps)/sqrt(1 + rho^2), and its model times."""
    rho = scheduler.sigmas.tolist()
    times = [*map(float, scheduler.timesteps), -1.0]
    return [
        nd.Level((t + 1) / 1000, (1 + r * r) ** -0.5, r * (1 + r * r) ** -0.5, t)
        for r, t in zip(rho, times, strict=True)
    ]


def denoiser(mixture=MIXTURE, schedule=EDM):
    """Return the exact denoiser as k-diffusion calls it: ``model(x, sigma)``, one (equal) sigma a sample."""
    model = mixture.model(schedule, "data")
    return lambda x, sigma: torch.from_numpy(model(x.numpy(), float(sigma[0])))


def model(mixture=MIXTURE, schedule=EDM):
    """Return the same denoiser as numdiff calls it; it predicts "data"."""
    exact = mixture.model(schedule, "data")
    return lambda x, t: torch.from_numpy(exact(x.numpy(), t))


def rough_sigmas(steps, largest=80.0, smallest=0.02, *, clean=True, seed=0):
    """Return `steps` + 1 falling sigmas, float64, with log steps that differ by up to three times; the last one 0."""
    rng = np.random.default_rng(seed)
    count = steps - 1 if clean else steps
    gaps = np.cumsum(rng.uniform(0.5, 1.5, count))
    sigmas = largest * (smallest / largest) ** (np.concatenate([[0.0], gaps]) / gaps[-1])
    return torch.from_numpy(np.append(sigmas, 0.0) if clean else sigmas)


def start(sigmas, count=6, seed=3):
    """Return `count` samples at the first sigma."""
    return torch.from_numpy(MIXTURE.sample_level(count, EDM.level(float(sigmas[0])), seed))


def sampled(scheme, seed=0, prediction="noise", start=None):
    """Return five samples of the mixture by a scheme, with noises of this seed."""
    x = MIXTURE.sample_level(5, scheme.levels[0], 3) if start is None else start
    noise = np.random.default_rng(seed).standard_normal((len(scheme.levels), *x.shape))
    model = MIXTURE.model(scheme.schedule, prediction)
    return nd.sample(scheme, model, x, prediction=prediction, noise=lambda n, k: noise[n])


class Recorder:
    """A source of noise that a peer draws from and that gives numdiff the same noise again.

    Parameters
    ----------
    source
        What draws: ``source(sigma, sigma_next)`` in k-diffusion's convention; independent noise of `like`'s shape if
        None.
    """

    def __init__(self, like, source=None, seed=5):
        generator = torch.Generator().manual_seed(seed)
        fresh = lambda *_: torch.randn(like.shape, generator=generator, dtype=like.dtype)  # noqa: E731
        self._source = source or fresh
        self.drawn = []

    def __call__(self, *levels, **ignored):
        """Draw, as a ``noise_sampler(sigma, sigma_next)`` or as ``randn_like(x)``."""
        self.drawn.append(self._source(*levels))
        return self.drawn[-1]

    def again(self, columns=1):
        """Return ``noise(index, column)`` for `nd.sample`, one-step methods with so many noises a step."""
        return lambda index, column: self.drawn[columns * index + column]


def close(found, expected, tolerance=1e-10):
    """Compare two runs, relative to the largest entry of the sample."""
    assert found.dtype == expected.dtype == torch.float64
    assert bool(torch.isfinite(expected).all())
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * float(expected.abs().max()))
