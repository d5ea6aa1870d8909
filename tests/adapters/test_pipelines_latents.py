"""NumdiffScheduler inside real pipelines: the latents of diffusers' own scheduler, to float32 rounding.

Both schedulers have the same configuration, except for the method, and the same generator. The last sample is compared
before a decoder or a clamp can hide anything.
"""

import warnings
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch

from tests.pipelines import arguments, latents, tiny

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations of diffusers' own dependencies, at its import only
    import diffusers

    from numdiff.adapters.diffusers import NumdiffScheduler

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")

ROUNDING = 1e-5
"""Of the largest latent: five steps of two dozen float32 roundings, 6e-8 each, and the peers' float32 tables, 1e-6."""

TRAILING = {"timestep_spacing": "trailing"}
LEADING = {"timestep_spacing": "leading", "steps_offset": 1}
CLEAN = {"final_sigmas_type": "zero", "set_alpha_to_one": True}
ENTRY = {"final_sigmas_type": "sigma_min", "set_alpha_to_one": False}
"""Where a run ends: in the clean sample, or at the first entry of the table."""


@dataclass(frozen=True)
class Peer:
    """A scheduler of diffusers with its settings, and what numdiff calls its method."""

    scheduler: str
    settings: dict[str, Any]
    method: str
    options: dict[str, Any] = field(default_factory=dict)
    call: dict[str, Any] = field(default_factory=dict)

    def pair(self, config):
        """Return diffusers' scheduler with the noise levels of `config`, and ours with diffusers' configuration."""
        kept = {k: v for k, v in config.items() if k.startswith(("beta", "num_train", "trained"))}
        theirs = getattr(diffusers, self.scheduler)(**kept, **self.accepted())
        settings = {**theirs.config, **self.settings, "_class_name": self.scheduler}
        return theirs, NumdiffScheduler.from_config(settings, method=self.method, **self.options)

    def with_settings(self, settings):
        """Return the same with other settings."""
        return replace(self, settings=self.settings | settings)

    def accepted(self):
        known = getattr(diffusers, self.scheduler)._get_init_keys(getattr(diffusers, self.scheduler))
        return {k: v for k, v in self.settings.items() if k in known}


MULTISTEP = "DPMSolverMultistepScheduler"
HALF = {"order": 2, "rule": "half"}
NO_CLIP = {"clip_sample": False}
PEERS = {
    "ddim": Peer("DDIMScheduler", TRAILING | CLEAN | NO_CLIP, "ddim"),
    "ddim-leading": Peer("DDIMScheduler", LEADING | ENTRY | NO_CLIP, "ddim"),
    "ddim-eta": Peer("DDIMScheduler", TRAILING | CLEAN | NO_CLIP, "ddim", {"eta": 1}, {"eta": 1.0}),
    "ddpm": Peer("DDPMScheduler", TRAILING | CLEAN | NO_CLIP, "ddpm"),
    "dpmpp-2m": Peer(MULTISTEP, TRAILING | CLEAN, "dpmpp", HALF),
    "dpmpp-2m-exact": Peer(MULTISTEP, TRAILING | CLEAN | {"solver_type": "heun"}, "dpmpp", {"order": 2}),
    "dpmpp-2m-sde": Peer(MULTISTEP, TRAILING | CLEAN | {"algorithm_type": "sde-dpmsolver++"}, "sde-dpmpp", HALF),
    "unipc": Peer("UniPCMultistepScheduler", TRAILING | CLEAN, "unipc", {"order": 2, "rule": "bh2"}),
    "deis": Peer(
        "DEISMultistepScheduler",
        TRAILING | ENTRY | {"lower_order_final": False},
        "deis",
        {"order": 2, "variant": "log-rho"},
    ),
    "plms": Peer("PNDMScheduler", LEADING | ENTRY | {"skip_prk_steps": True}, "pndm", {"warmup": "heun"}),
    "pndm": Peer("PNDMScheduler", LEADING | ENTRY | {"skip_prk_steps": False}, "pndm", {"warmup": "runge-kutta"}),
    "euler": Peer("EulerDiscreteScheduler", LEADING | CLEAN, "euler"),
    "euler-ancestral": Peer("EulerAncestralDiscreteScheduler", LEADING | CLEAN, "ancestral"),
    "lms": Peer("LMSDiscreteScheduler", LEADING | CLEAN, "lms"),
    "heun": Peer("HeunDiscreteScheduler", LEADING | CLEAN, "heun"),
}

FROM_THE_START = ("plms", "pndm", "lms")
"""Of diffusers, those whose runs must begin at the beginning: PNDM's list repeats a time, so that a pipeline which cuts
it shifts its times by one, and LMS takes the weights of four evaluations where it has fewer."""


def agree(name, peer, steps=5, count=1, rounding=ROUNDING, **more):
    peer = PEERS[peer] if isinstance(peer, str) else peer
    pipe = tiny(name)
    call = {**arguments(name, count), "num_inference_steps": steps, **more}
    theirs, ours = peer.pair(pipe.scheduler.config)
    expected = latents(pipe, theirs, call | peer.call, count)
    found = latents(pipe, ours, call, count)
    # times between entries of a table come from logarithms in float32 there
    torch.testing.assert_close(ours.timesteps.double(), theirs.timesteps.double(), rtol=1e-5, atol=0)
    assert found.dtype == expected.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=rounding * expected.abs().max().item())
    return expected


@pytest.mark.parametrize("peer", ["ddim", "ddim-leading", "ddpm", "dpmpp-2m"])
def test_ddpm(peer):
    agree("ddpm", peer)


CLIPPED = TRAILING | CLEAN | {"clip_sample": True, "clip_sample_range": 0.5}
DDIM_CALLS = {
    "plain": PEERS["ddim"],
    "eta": PEERS["ddim-eta"],
    "clipped": Peer("DDIMScheduler", CLIPPED, "ddim"),
    "noise-of-the-clipped": Peer(
        "DDIMScheduler", CLIPPED, "ddim", {"clip_keeps_noise": False}, {"use_clipped_model_output": True}
    ),
}
"""Options that DDIMPipeline passes to a step are options of the method or entries of the configuration here."""


CANCELLED = 2e-4
"""x_0 = (x - sigma eps)/alpha with x up to 3 and alpha = 0.006 at the first level is known to 6e-8 x 3/0.006 = 3e-5 in
float32; where that lies in the range it is kept, and 1e-4 is allowed beside the range's 0.5."""


@pytest.mark.slow
def test_the_pipeline_of_ddim_which_passes_options_to_every_step():
    for call in ("plain", "eta"):
        agree("ddim", DDIM_CALLS[call])
    one, other = (agree("ddim", DDIM_CALLS[call], rounding=CANCELLED) for call in ("clipped", "noise-of-the-clipped"))
    assert (one - other).abs().max() > 100 * CANCELLED  # the option that the pipeline passes matters


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ddim", "sd"])
def test_an_eta_that_a_pipeline_is_given_is_not_forgotten(name):
    pipe = tiny(name)
    call = {**arguments(name), "num_inference_steps": 3}
    pipe.scheduler = NumdiffScheduler.from_config(pipe.scheduler.config, method="dpmpp")
    with pytest.raises(ValueError, match=r"eta = 0\.7: eta is an option of the method here"):
        pipe(**call, eta=0.7)
    assert pipe(**call, eta=0.0).images


@pytest.mark.parametrize("peer", ["ddim", "dpmpp-2m", "unipc"])
def test_dit(peer):
    agree("dit", peer, count=2)


@pytest.mark.slow
@pytest.mark.parametrize("peer", PEERS)
def test_stable_diffusion(peer):
    agree("sd", peer)


@pytest.mark.slow
@pytest.mark.parametrize("peer", ["ddim", "dpmpp-2m", "dpmpp-2m-sde", "unipc", "euler", "heun"])
def test_stable_diffusion_xl(peer):
    agree("sdxl", peer)


@pytest.mark.slow
@pytest.mark.parametrize("peer", [name for name in PEERS if name not in FROM_THE_START])
def test_image_to_image_starts_in_the_middle(peer):
    agree("sd-img2img", peer, strength=0.7)


@pytest.mark.slow
@pytest.mark.parametrize("strength", [0.2, 1.0])
@pytest.mark.parametrize("peer", ["dpmpp-2m", "heun"])
def test_one_step_of_image_to_image_and_all_of_them(peer, strength):
    agree("sd-img2img", peer, strength=strength)


@pytest.mark.slow
@pytest.mark.parametrize("peer", [name for name in PEERS if name not in ("plms", "pndm")])
def test_inpainting(peer):
    """The pipeline pastes the known half into the sample after every step."""
    agree("sd-inpaint", peer)


@pytest.mark.slow
@pytest.mark.parametrize("peer", ["dpmpp-2m", "unipc"])
def test_inpainting_by_a_network_that_sees_the_mask(peer):
    agree("sd-inpaint-9", peer)


@pytest.mark.slow
@pytest.mark.parametrize("peer", ["ddim", "dpmpp-2m", "unipc", "heun"])
def test_inpainting_that_starts_in_the_middle(peer):
    agree("sd-inpaint", peer, strength=0.6)


@pytest.mark.slow
@pytest.mark.parametrize("peer", ["ddim", "dpmpp-2m", "unipc", "euler"])
def test_pixart(peer):
    agree("pixart", peer)


RULES = [("dpmpp-2m", "use_karras_sigmas"), ("dpmpp-2m", "use_lu_lambdas")]
RULES += [("euler", f"use_{rule}_sigmas") for rule in ("karras", "exponential", "beta")]
"""DPM-Solver's exponential and beta times are cut down to integers after rounding in float32: 998.9999 is 998."""


@pytest.mark.slow
@pytest.mark.parametrize(("peer", "rule"), RULES)
@pytest.mark.parametrize("name", ["sd", "sd-img2img"])
def test_grids_of_noise_levels(name, peer, rule):
    agree(name, PEERS[peer].with_settings({rule: True}))


SPACED = [
    (peer, rule) for peer in ("dpmpp-2m", "unipc", "euler", "ddpm") for rule in ("linspace", "leading", "trailing")
]
SPACED += [("ddim", "leading"), ("ddim", "trailing")]
"""Without DDIM's linspace: its steps of 1000/N miss the times."""


@pytest.mark.slow
@pytest.mark.parametrize(("peer", "spacing"), SPACED)
def test_the_spacing_is_that_of_the_scheduler_replaced(peer, spacing):
    """DPM-Solver's family spaces N + 1 points and drops the last; DDIM's and Euler's spaces N."""
    agree("sd", PEERS[peer].with_settings(LEADING if spacing == "leading" else {"timestep_spacing": spacing}))


def test_the_samplers_are_told_apart():
    """What makes the tests above able to fail: methods differ by far more than the rounding allowed."""
    pipe = tiny("ddpm")
    found = {}
    for peer in ("ddim", "dpmpp-2m", "dpmpp-2m-exact", "unipc"):
        _, ours = PEERS[peer].pair(pipe.scheduler.config)
        found[peer] = latents(pipe, ours, {"num_inference_steps": 5})
    names = list(found)
    for i, first in enumerate(names):
        for second in names[:i]:
            apart = (found[first] - found[second]).abs().max() / found[first].abs().max()
            assert apart > 20 * ROUNDING, (first, second)
