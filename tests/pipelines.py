"""Tiny diffusion pipelines with random weights, in the format of the hub: what a practitioner downloads, in miniature.

Every pipeline has the parts and the scheduler configuration of its model on the hub (tokenizers, text encoders,
autoencoder, denoiser), with a few thousand weights drawn from a fixed seed, so a call of five steps takes a tenth of
a second. Their images mean nothing; two samplers that do the same draw the same ones.

>>> pipe = tiny("sd")
>>> pipe(**arguments("sd"), num_inference_steps=5, generator=torch.Generator().manual_seed(0)).images

diffusers and transformers are imported by the first call: collecting tests must not pay for them.
"""

import functools
import inspect
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tests import tiny_networks as parts
from tests.tiny_networks import PIXELS, TOKENS

NAMES = ("ddpm", "dit", "sd", "sd-img2img", "sd-inpaint", "sdxl", "sd3", "flux")
"""The pipelines that every sampler is tried in."""

MORE = ("ddim", "sd-inpaint-9", "lcm", "pixart", "sdxl-img2img", "sd3-img2img", "flux-img2img")
"""Pipelines that differ from those in one part: options of a step, nine channels, a guidance embedding, a T5 prompt, a
first image."""


def tiny(name: str) -> Any:
    """Return the pipeline `name` afresh: float32, in evaluation mode, on the CPU, without a progress bar."""
    builders = {
        "ddpm": parts.ddpm,
        "ddim": parts.ddim,
        "dit": parts.dit,
        "sd": parts.sd,
        "sd-img2img": lambda: parts.sd("StableDiffusionImg2ImgPipeline"),
        "sd-inpaint": lambda: parts.sd("StableDiffusionInpaintPipeline"),
        "sd-inpaint-9": lambda: parts.sd("StableDiffusionInpaintPipeline", channels=9),
        "lcm": lambda: parts.sd("LatentConsistencyModelPipeline", time_cond_proj_dim=8),
        "sdxl": parts.sdxl,
        "sd3": parts.sd3,
        "flux": parts.flux,
        "pixart": parts.pixart,
        "sdxl-img2img": lambda: parts.rebuilt("StableDiffusionXLImg2ImgPipeline", parts.sdxl()),
        "sd3-img2img": lambda: parts.rebuilt("StableDiffusion3Img2ImgPipeline", parts.sd3()),
        "flux-img2img": lambda: parts.rebuilt("FluxImg2ImgPipeline", parts.flux()),
    }
    if name not in builders:
        raise ValueError(f"unknown pipeline {name!r}; known are {', '.join(builders)}")
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # deprecations of diffusers' own dependencies, at its import
        pipe = builders[name]()
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval().requires_grad_(False)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def saved(name: str, folder: Path | str) -> Path:
    """Write the pipeline `name` into `folder` as `save_pretrained` does (JSON and safetensors); return the folder."""
    tiny(name).save_pretrained(folder, safe_serialization=True)
    return Path(folder)


def arguments(name: str, count: int = 1) -> dict[str, Any]:
    """Return what a call of the pipeline needs besides steps and generator, for `count` different samples."""
    if name in ("ddpm", "ddim"):
        return {"batch_size": count}
    if name == "dit":
        return {"class_labels": [(7 * n + 1) % 1000 for n in range(count)], "guidance_scale": 4.0}
    call: dict[str, Any] = {"prompt": [f"a sketch of {n + 1} cats" for n in range(count)]}
    if name.endswith("-img2img"):
        call |= {"image": picture(), "strength": 0.6}
    if name.startswith("sd-inpaint"):
        call |= {"image": picture(), "mask_image": mask(), "strength": 1.0}
    if name not in ("sd-img2img", "sdxl-img2img"):
        call |= {"height": PIXELS, "width": PIXELS}
    if name.startswith(("sd3", "flux", "pixart")):
        call |= {"max_sequence_length": TOKENS}
    if name == "pixart":
        call |= {"use_resolution_binning": False, "clean_caption": False}
    return call


def embedded(name: str, pipe: Any, count: int = 1) -> dict[str, Any]:
    """Return `arguments` with the prompts already encoded by `pipe`, the second way to call one with text."""
    call = arguments(name, count)
    encoded = pipe.encode_prompt(prompt=call.pop("prompt"), **_encoding(name))
    keys = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
    if name == "flux":
        keys = ("prompt_embeds", "pooled_prompt_embeds")
    return call | dict(zip(keys, encoded, strict=False))


def generators(count: int = 1, seed: int = 0) -> Any:
    """Return a generator for each of `count` samples: a list, as pipelines take it, or one."""
    chance = [torch.Generator().manual_seed(seed + n) for n in range(count)]
    return chance if count > 1 else chance[0]


def latents(pipe: Any, scheduler: Any, call: Mapping[str, Any], count: int = 1, seed: int = 0) -> torch.Tensor:
    """Return what `scheduler` makes of `pipe`'s noise: the last sample, before a decoder or a clamp touches it.

    Parameters
    ----------
    pipe
        A pipeline; its scheduler is replaced.
    call
        Arguments of the call besides the generator.
    count, seed
        Number of samples that the call makes, and the seed of the first.
    """
    pipe.scheduler = scheduler
    with torch.random.fork_rng(devices=[]):  # DiT's and SD3's pipelines hand no generator to their scheduler
        torch.manual_seed(seed)
        return _latents(pipe, scheduler, call, generators(count, seed))


def _latents(pipe: Any, scheduler: Any, call: Mapping[str, Any], chance: Any) -> torch.Tensor:
    accepts_latents = "callback_on_step_end" in inspect.signature(pipe.__call__).parameters
    if accepts_latents:
        return pipe(**call, generator=chance, output_type="latent").images
    kept: list[torch.Tensor] = []
    step = scheduler.step

    @functools.wraps(step)  # pipelines look at its signature
    def recording(*args: Any, **options: Any) -> Any:
        result = step(*args, **options)
        kept.append(result[0])
        return result

    scheduler.step = recording
    try:
        pipe(**call, generator=chance, output_type="pt")
    finally:
        del scheduler.step
    return kept[-1]


def _encoding(name: str) -> dict[str, Any]:
    if name == "flux":
        return {"prompt_2": None, "max_sequence_length": TOKENS}
    if name == "sd3":
        return {"prompt_2": None, "prompt_3": None, "max_sequence_length": TOKENS}
    return {"device": "cpu", "num_images_per_prompt": 1, "do_classifier_free_guidance": True}


def picture() -> Image.Image:
    """Return a smooth coloured image of `PIXELS` x `PIXELS`."""
    x, y = np.meshgrid(np.linspace(0, 1, PIXELS), np.linspace(0, 1, PIXELS))
    return Image.fromarray((255 * np.stack([x, y, (x + y) / 2], axis=-1)).astype(np.uint8))


def mask() -> Image.Image:
    """Return the mask that has the right half painted anew."""
    where = np.zeros((PIXELS, PIXELS), dtype=np.uint8)
    where[:, PIXELS // 2 :] = 255
    return Image.fromarray(where)
