"""What is wanted of a pipeline, as the arguments of its call: refused where the call has no such parameter.

diffusers' pipelines share the names of their parameters (prompt, guidance_scale, image, mask_image, strength,
class_labels, height, ...) but not the set of them, and most ignore what they are missing until deep in a run. Here the
signature of the call decides. A pipeline that draws from text is exchanged for its sibling that begins with an image,
or paints within a mask, where one is given and diffusers' AutoPipeline knows the sibling: the same networks, no copy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from numdiff.adapters.pipelines.generate import parameters

NEEDED = ("prompt", "class_labels", "image", "mask_image")
"""Arguments that a pipeline does not do without, though its signature may have a default for them."""

_WHAT = {
    "prompt": "draws what a text says",
    "class_labels": "draws a class by its number",
    "image": "begins with an image",
    "mask_image": "paints within a mask",
}
_ELSE = {
    "size": "its network draws {size}",
    "image": "diffusers knows no pipeline of its kind that begins with an image",
    "mask_image": "diffusers knows no inpainting pipeline of its kind",
    "strength": "it does not begin with an image",
    "prompt": "it draws without a text",
    "negative_prompt": "it has no second text",
    "guidance_scale": "it has no guidance",
    "class_labels": "it draws without classes",
    "timesteps": "its grid is chosen by a number of steps and a name",
    "sigmas": "its grid is chosen by a number of steps and a name",
}


def fitted(pipe: Any, wanted: dict[str, Any], spelt: Callable[[str], str] = str) -> tuple[Any, dict[str, Any]]:
    """Return the pipeline that does what is wanted, and the arguments of its call.

    Parameters
    ----------
    pipe
        A pipeline of diffusers.
    wanted
        Arguments by their names in diffusers, and ``size``, (width, height) in pixels; None is not wanted. Images are
        PIL's, and are brought to the size, if one is given.
    spelt
        How the caller's user writes an argument, for the errors.

    Raises
    ------
    ValueError
        For an argument that the pipeline does not take, one that it needs, and a size that its networks cannot do.
    """
    asked = {name: value for name, value in wanted.items() if value is not None}
    pipe = _sibling(pipe, asked)
    size = asked.pop("size", None)
    takes = parameters(pipe)
    for name in asked:
        if name not in takes:
            _refuse(pipe, name, spelt)
    for name in NEEDED:
        if name in takes and not _given(name, asked, takes):
            raise ValueError(f"{spelt(name)} is missing: {type(pipe).__name__} {_WHAT[name]}")
    if size is not None:
        asked |= _sized(pipe, asked, size, spelt)
    return pipe, asked


def check_classes(pipe: Any, labels: Sequence[int], spelt: Callable[[str], str] = str) -> None:
    """Refuse classes that a pipeline does not have; its network would look beyond the end of a table.

    Parameters
    ----------
    pipe
        A pipeline of diffusers, whose call takes class_labels.
    labels
        What they shall be.
    spelt
        As in `fitted`.

    Raises
    ------
    ValueError
        With the first that is none.
    """
    config = getattr(getattr(pipe, "transformer", None), "config", None)
    count: Any = getattr(config, "num_embeds_ada_norm", None)
    for label in labels if count is not None else ():
        if not 0 <= label < count:
            raise ValueError(f"{spelt('class_labels')} {label} is no class of this pipeline; it draws 0 to {count - 1}")


def _given(name: str, asked: dict[str, Any], takes: Any) -> bool:
    """Tell whether an argument is there, or there in another form, or may be left out."""
    if name in asked or f"{name}_embeds" in asked or f"{name}_latents" in asked:
        return True
    optional = takes[name].default is not takes[name].empty
    return name == "image" and optional and not ({"strength", "mask_image"} & set(takes))


def _sibling(pipe: Any, asked: dict[str, Any]) -> Any:
    """Return the image-to-image or inpainting pipeline of the same networks, where it is needed and there is one."""
    takes = parameters(pipe)
    missing = [name for name in ("mask_image", "image") if name in asked and name not in takes]
    if not missing:
        return pipe
    import diffusers

    kind = diffusers.AutoPipelineForInpainting if "mask_image" in asked else diffusers.AutoPipelineForImage2Image
    try:
        found = kind.from_pipe(pipe)
    except ValueError:  # diffusers knows no such pipeline; the caller says which argument cannot be taken
        return pipe
    found.set_progress_bar_config(disable=True)
    return found


def _refuse(pipe: Any, name: str, spelt: Callable[[str], str]) -> None:
    why = _ELSE.get(name, f"its call has no {name}")
    raise ValueError(f"{type(pipe).__name__} takes no {spelt(name)}: {why}; drop it, or use another pipeline")


def _sized(pipe: Any, asked: dict[str, Any], size: tuple[int, int], spelt: Callable[[str], str]) -> dict[str, Any]:
    """Return the arguments that a size decides."""
    width, height = size
    unit = _unit(pipe)
    if width % unit or height % unit:
        near = "x".join(str(max(unit, round(side / unit) * unit)) for side in size)
        raise ValueError(
            f"{spelt('size')} {width}x{height}: width and height of {type(pipe).__name__} are multiples of {unit}; "
            f"use {near}"
        )
    found: dict[str, Any] = {}
    if {"height", "width"} <= set(parameters(pipe)):
        found = {"height": height, "width": width}
    elif "image" not in asked:
        own = _ELSE["size"].format(size=_own_size(pipe))
        raise ValueError(f"{type(pipe).__name__} takes no {spelt('size')}: {own}; drop it, or use another pipeline")
    for name, filtered in (("image", "LANCZOS"), ("mask_image", "NEAREST")):
        if name in asked:
            found[name] = _resized(asked[name], size, filtered)
    return found


def _unit(pipe: Any) -> int:
    """Return what width and height must be multiples of: an autoencoder's factor times the side of a patch.

    Pipelines with a UNet ask for multiples of 8 whatever their autoencoder does; Flux's packs its latents two by two,
    which its image processor knows and its transformer does not.
    """
    if getattr(pipe, "vae", None) is None:
        return 1
    scale = getattr(pipe, "vae_scale_factor", 1)
    if getattr(pipe, "unet", None) is not None:
        return math.lcm(8, scale)
    patch = getattr(getattr(getattr(pipe, "transformer", None), "config", None), "patch_size", None)
    processor = getattr(getattr(pipe, "image_processor", None), "config", {})
    return math.lcm(scale * (patch if isinstance(patch, int) else 1), processor.get("vae_scale_factor", 1))


def _resized(image: Any, size: tuple[int, int], filtered: str) -> Any:
    from PIL import Image

    return image if image.size == size else image.resize(size, getattr(Image.Resampling, filtered))


def _own_size(pipe: Any) -> str:
    parts = (getattr(pipe, name, None) for name in ("unet", "transformer"))
    found = next((part.config.sample_size for part in parts if part is not None), None)
    if found is None:
        return "one size"
    height, width = (found, found) if isinstance(found, int) else found
    scale = getattr(pipe, "vae_scale_factor", 1) if getattr(pipe, "vae", None) is not None else 1
    return f"{width * scale}x{height * scale}"
