"""diffusers' schedulers as subjects: on our levels they are the house's methods, and what does not sample is refused.

TOLERANCE is for two programs that share no line: twenty-four steps, weights of third differences on steps of
alternating length, on samples of size 1.
"""

import itertools
import warnings

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff.certification.measure import Layout, measure
from numdiff.certification.own import of_method
from numdiff.certification.subject import NotASamplerError, Setting, Subject, answered
from numdiff.methods.ancestral import DPM2Ancestral, EulerAncestral
from numdiff.methods.pndm import PNDM
from numdiff.methods.published.classical import FlowHeun
from numdiff.methods.published.correctors import SASolver
from numdiff.problems import paths

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations of diffusers' own dependencies, at its import only
    import diffusers as package

    from numdiff.adapters.subjects import diffusers, resolve
    from numdiff.adapters.subjects import diffusers_tables as tables
    from numdiff.adapters.subjects.diffusers_precision import computing

TOLERANCE = 1e-10
PATH, SPAN, STEPS = paths.toys(), (-1.0, 3.0), 24


def ended(subject, path=PATH, pattern="alternating", steps=STEPS, **setting):
    """Return x/alpha where a subject arrives on our levels, and the levels at which it asked."""
    levels = Layout(pattern, seed=2).levels(subject, path.span, steps)
    field, asked = answered(path, subject), []

    def recorded(x, level):
        asked.append(level)
        return field(x, level)

    found = subject.run(recorded, path.state(levels[0]), levels, Setting(**setting)) / float(levels[-1].alpha)
    assert found.dtype == np.float64
    return found, asked, levels


def visited(levels, asked):
    """Tell whether every level of ours but the last is among those where the network is asked, in order."""
    at = iter([float(level.log_snr) for level in asked])
    return all(any(abs(a - float(level.log_snr)) < 1e-12 for a in at) for level in levels[:-1])


EQUALS = [
    ("DDIMScheduler", {}, nd.DDIM("noise/ratio"), "vp"),
    ("EulerDiscreteScheduler", {}, nd.DDIM("noise/ratio"), "vp"),
    ("CogVideoXDDIMScheduler", {"prediction_type": "sample"}, nd.DDIM("noise/ratio"), "vp"),
    ("DPMSolverMultistepScheduler", {}, nd.DPMSolverPP(2, rule="half"), "vp"),
    (
        "DPMSolverMultistepScheduler",
        {"solver_type": "heun", "prediction_type": "v_prediction"},
        nd.DPMSolverPP(2),
        "vp",
    ),
    ("DPMSolverMultistepScheduler", {"solver_order": 3}, nd.DPMSolverPP(3, rule="3m"), "vp"),
    ("EDMDPMSolverMultistepScheduler", {}, nd.DPMSolverPP(2, rule="half"), "edm"),
    ("DEISMultistepScheduler", {"solver_order": 3}, nd.DEIS(3, "log-rho"), "vp"),
    ("UniPCMultistepScheduler", {"solver_order": 3, "lower_order_final": False}, nd.UniPC(3, rule="bh2"), "vp"),
    (
        "UniPCMultistepScheduler",
        {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "lower_order_final": False},
        nd.UniPC(2, rule="bh2"),
        "flow",
    ),
    ("HeliosScheduler", {"lower_order_final": False}, nd.UniPC(2, rule="bh2"), "flow"),
    ("LMSDiscreteScheduler", {}, nd.LMS(4), "vp"),
    ("HeunDiscreteScheduler", {}, nd.Heun(), "vp"),
    ("KDPM2DiscreteScheduler", {}, DPM2Ancestral(eta=0), "vp"),
    ("PNDMScheduler", {"skip_prk_steps": True}, PNDM(), "vp"),
    ("IPNDMScheduler", {}, nd.PLMS(4), "vp"),
    ("SASolverScheduler", {"tau_func": 0, "lower_order_final": False}, SASolver(2, 2, tau=0, rule="bh1"), "vp"),
    ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}, nd.DDIM("noise/ratio"), "flow"),
    ("MiniMaxH3Scheduler", {}, nd.DDIM("noise/ratio"), "flow"),
    ("FlowMatchHeunDiscreteScheduler", {}, FlowHeun(), "flow"),
]


@pytest.mark.parametrize(
    ("name", "config", "method", "scale"), EQUALS, ids=[f"{c[0]}-{i}" for i, c in enumerate(EQUALS)]
)
def test_a_scheduler_on_our_levels_is_the_house_s_method(name, config, method, scale):
    subject = diffusers.subject(name, **config)
    assert subject.scale == scale
    assert not subject.stochastic
    found, asked, levels = ended(subject)
    expected, _, _ = ended(of_method(method, scale=scale))
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    assert visited(levels, asked)


NOISY = [
    ("EulerAncestralDiscreteScheduler", {}, EulerAncestral()),
    ("KDPM2AncestralDiscreteScheduler", {}, DPM2Ancestral()),
    ("DDPMScheduler", {}, nd.DDIM(eta=1)),
    ("DDIMScheduler", {"eta": "1.0"}, nd.DDIM(eta=1)),
    ("DDPMWuerstchenScheduler", {}, nd.DDIM(eta=1)),
    ("UnCLIPScheduler", {}, nd.DDIM(eta=1)),
]


def normal(seed=5):
    return np.random.default_rng(seed).standard_normal


@pytest.mark.parametrize(("name", "config", "method"), NOISY, ids=[c[0] for c in NOISY])
def test_noise_is_ours(name, config, method):
    """On the mixture: the toys grow without bound where noise carries them."""
    path = paths.of_mixture("two", nd.problems.GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [0.1, 0.2]), SPAN, points=3)
    subject = diffusers.subject(name, **config)
    assert subject.stochastic
    found, _, _ = ended(subject, path, noise=normal())
    expected, _, _ = ended(of_method(method), path, noise=normal())
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    assert np.abs(ended(subject, path, noise=normal(6))[0] - found).max() > 1e-3
    own, again = (ended(subject, path)[0] for _ in range(2))  # the scheduler's generator, which is seeded
    np.testing.assert_array_equal(own, again)


@pytest.mark.parametrize("name", ["DPMSolverSDEScheduler", "CosineDPMSolverMultistepScheduler"])
def test_increments_of_a_brownian_path_belong_together(name):
    """On Gaussian data a run is linear in x and its independent draws: the variance is exact, its error second order.

    With a draw of its own for each of two overlapping intervals the first of these is of order 1.
    """
    subject, spread = diffusers.subject(name), 0.25
    errors = [variance_error(subject, spread, steps) for steps in (32, 64, 128)]
    assert 1.8 < np.log2(errors[1] / errors[2]) < 2.3
    assert errors[1] < errors[0] / 3


def variance_error(subject, spread, steps):
    levels = Layout().levels(subject, SPAN, steps)

    def field(x, level):
        alpha, sigma = float(level.alpha), float(level.sigma)
        mean = alpha * spread * x / (alpha**2 * spread + sigma**2)
        return mean if subject.prediction == "data" else (x - alpha * mean) / sigma

    counter = itertools.count(1)

    def basis(shape):
        z = np.zeros(shape)
        z[next(counter)] = 1.0
        return z

    first, last = (float(level.alpha) ** 2 * spread + float(level.sigma) ** 2 for level in (levels[0], levels[-1]))
    x = np.zeros((2 * steps + 2, 1))
    x[0] = np.sqrt(first)
    found = subject.run(field, x, levels, Setting(noise=basis))
    return abs(float(np.sum(found**2)) / last - 1)


ORDERS = [
    ("DDIMScheduler", {}, 1, 1.0),
    ("DPMSolverMultistepScheduler", {}, 2, 2.0),
    ("DPMSolverMultistepScheduler", {"solver_order": "3"}, 3, 2.0),  # a divided difference lacks a factor 2
    ("UniPCMultistepScheduler", {"solver_order": 2}, 3, 3.0),  # the corrector adds one, as its docstring says
    ("DPMSolverSinglestepScheduler", {}, 2, 2.0),
]


@pytest.mark.parametrize(("name", "config", "claim", "order"), ORDERS, ids=[f"{c[0]}-{c[2]}" for c in ORDERS])
def test_orders_on_a_path_that_rests_at_both_ends(name, config, claim, order):
    subject = diffusers.subject(name, **config)
    assert subject.order == claim
    estimate = measure(subject, PATH.resting(), (48, 64, 96, 128, 192), layout=Layout("alternating"))
    assert abs(estimate.slope - order) < 0.15


def test_what_is_claimed():
    claims = {
        "PNDMScheduler": 4,
        "IPNDMScheduler": 4,
        "LMSDiscreteScheduler": 4,
        "HeunDiscreteScheduler": 2,
        "DDIMScheduler": 1,
        "DPMSolverMultistepScheduler": 2,
        "SASolverScheduler": 1,
        "UniPCMultistepScheduler": 3,  # "solver_order + 1", of 2
        "HeliosScheduler": 3,
    }
    assert {name: diffusers.subject(name).order for name in claims} == claims
    third = diffusers.subject("UniPCMultistepScheduler", order=3)
    assert third.order == third.run.config["solver_order"] == 3
    assert diffusers.subject("LMSDiscreteScheduler", order=2).run.step == {"order": 2}
    assert diffusers.subject("SASolverScheduler", tau_func=0, predictor_order=3).order == 3
    assert diffusers.subject("UniPCMultistepScheduler", order=3, solver_order=2).order == 3


REASONS = {
    "AmusedScheduler": "cannot be built without mask_token_id",
    "RePaintScheduler": "needs original_image, mask",
    "ScoreSdeVeScheduler": "has no method step",
    "DDIMInverseScheduler": "from data to noise",
    "TCDScheduler": r"replaces \d+% of the noise of its sample",
    "LCMScheduler": "jumps between samples",
    "CMStochasticIterativeScheduler": "moves a sample whose model finds no noise",
    "DiscreteDDIMScheduler": "neither a table of noise levels nor sigmas",
    "ConsistencyDecoderScheduler": "more than 2 inference steps are not supported",
    "PiflowScheduler": "not divisible by n_grid",
}


@pytest.mark.parametrize("name", REASONS)
def test_what_does_not_sample_is_refused_with_the_reason(name):
    with pytest.raises(NotASamplerError, match=REASONS[name]):
        diffusers.subject(name)


def test_an_option_can_make_a_sampler_none():
    with pytest.raises(NotASamplerError, match=r"\(stochastic_sampling=True\) replaces 9\d%"):
        diffusers.subject("FlowMatchEulerDiscreteScheduler", stochastic_sampling=True)


def computes_with(subject, levels):
    """Tell whether all numbers of a scheduler's own tables are our levels, and those of stages between them."""
    with computing("float64"):
        scheduler = tables.given(subject.run.cls, subject.run.config, subject.run.how, levels).scheduler
    kind, parts = subject.run.how.kind, subject.run.how.parts
    found = scheduler.alphas_cumprod if kind == "table" else getattr(scheduler, "sigmas", scheduler.timesteps)
    if kind == "table":
        ours = [float(level.alpha) ** 2 for level in levels[::-1]]
        if hasattr(scheduler, "sigmas"):
            rho = np.array([*(float(level.rho) for level in levels), 0.0])
            assert np.abs(np.asarray(scheduler.sigmas)[:, None] - rho).min(axis=1).max() < 1e-12
        return np.abs(np.asarray(found)[::parts] - ours).max() < 1e-12
    if kind == "listed":
        return np.abs(np.asarray(scheduler.betas) - [float(level.sigma) for level in levels]).max() < 1e-12
    if kind == "clock":
        abar = scheduler._alpha_cumprod(scheduler.timesteps, None)
        return np.abs(np.asarray(abar) - [float(level.alpha) ** 2 for level in levels]).max() < 1e-12
    return {float(s) for s in found} - {0.0} == {float(level.sigma) for level in levels}


def opened(name):
    """Run a scheduler shortly, on our levels and on its own, in both precisions; None if it is refused."""
    try:
        subject = resolve(f"diffusers:{name}")
    except NotASamplerError:
        return None
    assert isinstance(subject, Subject)
    assert subject.name == f"diffusers:{name}"
    assert subject.version == f"diffusers {package.__version__}"
    exact, asked, levels = ended(subject, PATH.resting(), steps=9, noise=np.zeros)
    assert np.all(np.isfinite(exact))
    assert visited(levels, asked)
    assert computes_with(subject, levels)
    single, _, _ = ended(subject, PATH.resting(), steps=9, noise=np.zeros, precision="shipped")
    assert 0 < np.abs(single - exact).max() < 2e-3
    if subject.grid is not None:
        levels = subject.grid(7)
        start, noise = np.full((2, 2), float(levels[0].sigma)), normal()
        field = lambda x, level: 0.1 * x  # noqa: E731
        found = subject.run(field, start, levels, Setting(grid="own", noise=noise))
        assert found.shape == (2, 2)
        assert np.all(np.isfinite(found))
    return subject


@pytest.mark.parametrize("name", ["DDIMScheduler", "LTXEulerAncestralRFScheduler", "CosineDPMSolverMultistepScheduler"])
def test_a_scheduler_runs(name):
    assert opened(name) is not None


@pytest.mark.slow
def test_every_scheduler_runs_or_is_refused():
    names = diffusers.names()
    assert {name for name in names if opened(name) is None} >= set(REASONS)
    listed = {name for name in dir(package.schedulers) if name.endswith("Scheduler") and not name.startswith("Flax")}
    assert listed <= set(names)


def table(start, end, scaled=False):
    betas = np.linspace(start**0.5, end**0.5, 1000) ** 2 if scaled else np.linspace(start, end, 1000)
    abar = np.cumprod(1 - betas)
    return abar, np.sqrt((1 - abar) / abar)


def test_own_grid_of_a_table():
    """DDIM: timesteps 875, 750, ..., 0 of abar, and the clean end."""
    abar, _ = table(1e-4, 0.02)
    levels = diffusers.subject("DDIMScheduler").grid(8)
    np.testing.assert_allclose(
        [level.alpha**2 for level in levels], [*abar[np.arange(7, -1, -1) * 125], 1.0], rtol=1e-12
    )


@pytest.mark.parametrize("name", ["EulerDiscreteScheduler", "HeunDiscreteScheduler", "LMSDiscreteScheduler"])
def test_own_grid_of_sigmas(name):
    """Sigma interpolated in the table, at eight times from one end to the other, and 0."""
    _, sigmas = table(*((0.00085, 0.012) if name.startswith("Heun") else (1e-4, 0.02)))
    expected = np.interp(np.linspace(999, 0, 8), np.arange(1000), sigmas)
    subject = diffusers.subject(name)
    levels = subject.grid(8)
    np.testing.assert_allclose([level.rho for level in levels], [*expected, 0.0], rtol=1e-12)
    asked = []
    x = np.ones((1, 1)) * float(levels[0].sigma)
    subject.run(lambda x, level: asked.append(level) or x, x, levels, Setting(grid="own"))
    assert sorted({float(level.rho) for level in asked}) == pytest.approx(sorted(expected), rel=1e-12)


def test_rounded_timesteps_are_where_the_network_is_asked():
    """Karras' sigmas lie between the entries of the table, and DPM-Solver tells the network the nearest of these."""
    subject = diffusers.subject("DPMSolverMultistepScheduler", use_karras_sigmas="true")
    levels, asked = subject.grid(12), []
    x = np.ones((1, 1)) * float(levels[0].sigma)
    subject.run(lambda x, level: asked.append(level) or x, x, levels, Setting(grid="own"))
    apart = [abs(float(a.log_snr - b.log_snr)) for a, b in zip(asked, levels[:-1], strict=True)]
    assert 1e-4 < max(apart) < 1e-1
    assert all(float(level.model_time).is_integer() for level in asked)


def test_flow_schedulers_have_no_grid_of_their_own_to_compare_on():
    subject = diffusers.subject("FlowMatchEulerDiscreteScheduler")
    assert subject.grid is None
    assert any("begins at alpha = 0" in note for note in subject.notes)


def test_what_was_switched_off_is_noted():
    notes = diffusers.subject("DDIMScheduler").notes
    assert {"clip_sample=False", "thresholding=False"} <= set(notes)
    assert "clip_sample=False" not in diffusers.subject("DDIMScheduler", clip_sample=False).notes


def test_bad_options():
    with pytest.raises(ValueError, match="unknown scheduler of diffusers 'UniPCScheduler'; did you mean"):
        diffusers.subject("UniPCScheduler")
    with pytest.raises(ValueError, match="option of DDIMScheduler 'clip_sampel'; did you mean 'clip_sample'"):
        diffusers.subject("DDIMScheduler", clip_sampel=True)
    with pytest.raises(ValueError, match="clip_sample must be true or false, got 'maybe'"):
        diffusers.subject("DDIMScheduler", clip_sample="maybe")
    with pytest.raises(ValueError, match="solver_order must be a number such as 2, got 'two'"):
        diffusers.subject("UniPCMultistepScheduler", solver_order="two")
    with pytest.raises(ValueError, match=r"\(solver_type=bh3\) does not run: NotImplementedError: bh3"):
        diffusers.subject("UniPCMultistepScheduler", solver_type="bh3")
    with pytest.raises(ValueError, match="table of 1000 timesteps, got 1001 steps"):
        diffusers.subject("DDIMScheduler").grid(1001)


def test_bad_settings():
    subject = diffusers.subject("DDIMScheduler")
    levels = Layout().levels(subject, SPAN, 4)
    x = np.zeros((1, 1))
    with pytest.raises(ValueError, match="precision"):
        subject.run(lambda x, level: x, x, levels, Setting(precision="float16"))
    with pytest.raises(ValueError, match="grid"):
        subject.run(lambda x, level: x, x, levels, Setting(grid="mine"))
    with pytest.raises(ValueError, match="noise must fall from level to level, but"):
        subject.run(lambda x, level: x, x, levels[::-1], Setting())
    noisy = diffusers.subject("DDPMScheduler")
    with pytest.raises(ValueError, match="return the shape that it is asked for"):
        noisy.run(lambda x, level: x, x, levels, Setting(noise=lambda shape: np.zeros(3)))


def test_everything_is_put_back():
    """Also when the field raises: names of the modules, torch's default dtype and generator, and diffusers' log."""
    from diffusers.schedulers import scheduling_ddpm as module
    from diffusers.utils import logging

    def state():
        return module.torch, module.np, module.randn_tensor, torch.get_default_dtype(), logging.get_verbosity()

    before, generator = state(), torch.get_rng_state()
    subject = diffusers.subject("DDPMScheduler")
    levels = Layout().levels(subject, SPAN, 4)

    def broken(x, level):
        assert state() != before
        raise KeyError("broken")

    with pytest.raises(KeyError, match="broken"):
        subject.run(broken, np.zeros((1, 1)), levels, Setting(noise=np.zeros))
    subject.run(lambda x, level: x, np.zeros((1, 1)), levels, Setting(precision="shipped"))
    assert state() == before
    assert torch.equal(torch.get_rng_state(), generator)
