"""The options of ``numdiff sample --pipeline`` as the library's arguments, and as the settings of a record.

``run.json`` holds the settings as they would be typed (``"beta": "4/5"``, ``"size": "768x512"``), so that repeating a
run means parsing them again; `typed` returns them as arguments of the command line. Paths and the machine are not among
them: images are kept in the folder, the pipeline is known by its hash.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from numdiff.cli import messages
from numdiff.cli.sample_options import flag
from numdiff.cli.selection import FLAGS, split
from numdiff.cli.values import LARGEST, UsageError
from numdiff.methods import find

LOADING = ("weights_variant", "revision", "allow_pickle", "trust_remote_code")
RECORDED = (
    *("method", *FLAGS, "set", "base", "steps", "start", "labels", "guidance", "threads", *LOADING, "prompt"),
    *("negative_prompt", "size", "strength", "timesteps", "times", "sigmas", "call", "dtype", "device", "slicing"),
    *("offload", "format"),
)
"""Options that decide the samples, apart from seeds, images and the pipeline."""

ARGUMENTS = {
    "prompt": "--prompt",
    "negative_prompt": "--negative-prompt",
    "guidance_scale": "--guidance",
    "class_labels": "--labels",
    "image": "--image",
    "mask_image": "--mask",
    "strength": "--strength",
    "num_inference_steps": "--steps",
    "timesteps": "--times",
    "sigmas": "--sigmas",
    "size": "--size",
}
"""How the arguments of a pipeline's call are typed."""

OWN = {
    "num_images_per_prompt": "--n",
    "batch_size": "--n",
    "generator": "--seed",
    "output_type": "--format",
    "height": "--size",
    "width": "--size",
    **ARGUMENTS,
}
"""Arguments of a pipeline's call that options say, so that --call does not."""

WORDS = {
    "karras": "karras",
    "exponential": "exponential",
    "beta": "beta",
    "sgmuniform": "trailing",
    "simple": "trailing",
    "ddimuniform": "leading",
    "normal": "linspace",
    "uniform": "linspace",
}
"""Words behind METHOD ("DPM++ 2M Karras") that name a spacing of the steps."""

_REMEDIES = {
    "allow_pickle=True": "--allow-pickle",
    "trust_remote_code=True": "--trust-remote-code",
    "dtype=": "--dtype ",
    "device=": "--device ",
    "variant=": "--weights-variant ",
    "choose another folder for these": "choose another --out for these",
    "choose another folder": "choose another --out",
    "choose another place": "choose another --out",
    "drop offload": "drop --offload",
}


def in_options(text: str) -> str:
    """Return a message of the library with its arguments as options."""
    for said, meant in _REMEDIES.items():
        text = re.sub(rf"(?<![\w-]){re.escape(said)}", meant, text)
    return messages.in_options(text)


def spelt(argument: str) -> str:
    """Return how an argument of a pipeline's call is typed."""
    return ARGUMENTS.get(argument, f"--call {argument}")


# --- images -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Picture:
    """An image that was given: its file's bytes, their ending, and its pixels as PIL's."""

    data: bytes
    ending: str
    image: Any

    def kept_as(self, name: str) -> str:
        """Return the name of its copy in the folder."""
        return f"input_{name}{self.ending}"

    @property
    def identity(self) -> str:
        """The hash of its file."""
        return hashlib.sha256(self.data).hexdigest()


def pictures(options: argparse.Namespace) -> dict[str, Picture]:
    """Return --image (in colour) and --mask (in grey), those that are given.

    Raises
    ------
    UsageError
        For a mask or a strength without an image, and what is no image.
    """
    for name in ("mask", "strength"):
        if getattr(options, name) is not None and options.image is None:
            raise UsageError(f"--{name} goes with --image, which is missing")
    modes = {"image": "RGB", "mask": "L"}
    return {name: _picture(getattr(options, name), mode) for name, mode in modes.items() if getattr(options, name)}


def _picture(path: Path, mode: str) -> Picture:
    from PIL import Image, UnidentifiedImageError

    data = path.read_bytes()
    try:
        image = Image.open(io.BytesIO(data)).convert(mode)
    except UnidentifiedImageError:  # whose message names the buffer
        raise UsageError(f"{path} is no image that can be read: its format is unknown; give a PNG or a JPEG") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UsageError(f"{path} is no image that can be read ({error}); give a PNG or a JPEG") from error
    return Picture(data, path.suffix.lower(), image)


# --- arguments of the library -----------------------------------------------------------------------------------------


def seeds(options: argparse.Namespace) -> list[int]:
    """Return the samples' seeds: those of --seeds, or --n from --seed on.

    Raises
    ------
    UsageError
        If both are given.
    """
    if options.seeds is None:
        first = options.seed or 0
        if first + (options.n or 1) - 1 > LARGEST:
            raise UsageError(f"--seed {first} and the {options.n} after it go beyond the largest seed, {LARGEST}")
        return list(range(first, first + (options.n or 1)))
    for name in ("seed", "n"):
        if getattr(options, name) is not None:
            raise UsageError(f"--seeds says all seeds already; drop --{name}")
    return list(options.seeds)


def loading(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of `numdiff.adapters.pipelines.loading` that say which files may be read."""
    return {
        "variant": options.weights_variant,
        "revision": options.revision,
        "allow_pickle": bool(options.allow_pickle),
        "trust_remote_code": bool(options.trust_remote_code),
    }


def scheduler(config: Any, options: argparse.Namespace) -> Any:
    """Return the scheduler of the method, on the noise levels of a pipeline's own."""
    from numdiff.adapters.diffusers import NumdiffScheduler

    name, order = split(options.method)
    if options.base is not None:
        order = _adams_order(options)
    chosen = {key: plain(getattr(options, key)) for key in FLAGS if getattr(options, key) is not None}
    chosen |= {key: plain(value) for key, value in options.set or ()}
    if order is not None:
        chosen["order"] = order
    asked = {"timesteps": _spacing(options), "start": options.start}
    asked = {key: value for key, value in asked.items() if value is not None}
    return NumdiffScheduler.from_config(config, method=name, method_options=chosen, **asked)


def _adams_order(options: argparse.Namespace) -> int | None:
    """Return the order behind --base, which is Adams-Bashforth's in a pipeline: a scheduler's file names one method."""
    base, order = split(options.base)
    if find(base).family != "ab":
        raise UsageError(
            f"--base {options.base} cannot be in a pipeline, whose scheduler is written down as one method and its "
            f"options; use {options.method} without --base, which is around ab, or another METHOD"
        )
    return order


def _spacing(options: argparse.Namespace) -> str | None:
    """Return how the steps are spaced, or None for the pipeline's own way."""
    if options.timesteps is not None or find(options.method).grid is None:
        return options.timesteps
    word = re.split(r"[\s_-]+", options.method.strip().lower())
    known = next((WORDS[tail] for i in range(1, len(word)) if (tail := "".join(word[i:])) in WORDS), None)
    if known is None:
        raise UsageError(f"{options.method} asks for a grid of its own; choose one by --timesteps, as in karras")
    return known


def notes(options: argparse.Namespace) -> list[str]:
    """Return what the name of the method decided beside the method."""
    if options.timesteps is not None or find(options.method).grid is None:
        return []
    return [f"timesteps {_spacing(options)}, which {options.method} asks for"]


def wanted(options: argparse.Namespace, pictures: dict[str, Picture]) -> dict[str, Any]:
    """Return the arguments of the pipeline's call; of those that the samples take in turn, the first."""
    for name in ("prompt", "negative_prompt", "labels"):
        if getattr(options, name) is not None and len(getattr(options, name)) == 0:
            raise UsageError(f"{flag(name)} is empty")
    found = {
        "prompt": options.prompt and options.prompt[0],
        "negative_prompt": options.negative_prompt and options.negative_prompt[0],
        "class_labels": None if options.labels is None else options.labels[0],
        "guidance_scale": options.guidance,
        "strength": options.strength,
        "size": options.size,
        "num_inference_steps": None if options.times or options.sigmas else options.steps,
        "timesteps": options.times and [_whole(value) for value in options.times],
        "sigmas": options.sigmas and list(options.sigmas),
        "image": pictures["image"].image if "image" in pictures else None,
        "mask_image": pictures["mask"].image if "mask" in pictures else None,
    }
    return found | {name: _switch(value) for name, value in options.call or ()}


def check(options: argparse.Namespace) -> None:
    """Refuse a --call that is given twice, one of what other options say, and a strength that leaves no step."""
    steps = options.steps or len(options.times or options.sigmas)
    if options.strength is not None and int(steps * options.strength) < 1:  # as pipelines round it
        raise UsageError(f"--strength {options.strength:g} of {steps} steps is less than one; use more steps")
    names = [name for name, _ in options.call or ()]
    for i, name in enumerate(names):
        if name in OWN:
            raise UsageError(f"--call {name} is what {OWN[name]} says; use that instead")
        if name in names[:i]:
            raise UsageError(f"--call {name} is given twice; drop one")


def calls(options: argparse.Namespace) -> str:
    """Return all of --call as it is typed."""
    return " ".join(f"--call {name}={'none' if value is None else value}" for name, value in options.call or ())


def each(options: argparse.Namespace, call: dict[str, Any], places: Iterable[int]) -> dict[str, Any]:
    """Return the arguments that the samples at these places take in turn."""
    turns = {"prompt": options.prompt, "negative_prompt": options.negative_prompt, "class_labels": options.labels}
    where = list(places)
    return {name: [turn[i % len(turn)] for i in where] for name, turn in turns.items() if turn and name in call}


def _whole(value: float) -> float | int:
    return int(value) if value.is_integer() else value


def _switch(value: Any) -> Any:
    """Return a value of --call: exact numbers as floats, "true" and "false" as what they say."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else plain(value)


def plain(value: Any) -> Any:
    """Return a value as JSON data: fractions as floats, tuples as lists, what JSON does not know as text."""
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else float(value)
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(one) for one in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


# --- the record -------------------------------------------------------------------------------------------------------


def settings(options: argparse.Namespace, pictures: dict[str, Picture]) -> dict[str, Any]:
    """Return what decides the samples, as it would be typed; without what was not given."""
    found = {name: _text(name, getattr(options, name)) for name in RECORDED if getattr(options, name) is not None}
    found["method"], order = split(options.method)  # "ghvb3" and "ghvb --order 3" are the same samples
    if order is not None:
        found["order"] = order
    if options.times or options.sigmas:
        found.pop("steps", None)
    found |= {name: f"{one.kept_as(name)} {one.identity}" for name, one in pictures.items()}
    return {**found, "seeds": seeds(options)}


def _text(name: str, value: Any) -> Any:
    if name in ("set", "call"):
        return [f"{key}={'none' if one is None else one}" for key, one in value]
    if name == "size":
        return "x".join(map(str, value))
    if isinstance(value, tuple):
        return ",".join(str(_whole(one) if isinstance(one, float) else one) for one in value)
    return str(value) if isinstance(value, (Fraction, Path)) else value


def typed(settings: dict[str, Any]) -> list[str]:
    """Return settings as arguments of the command line, except for images and the pipeline."""
    found: list[str] = []
    for name, value in settings.items():
        if name not in (*RECORDED, "seeds"):
            continue
        option = "--method" if name == "method" else flag(name)
        if name == "seeds":
            value = ",".join(map(str, value))
        values = value if isinstance(value, list) else [value]
        found += [option if one is True else f"{option}={one}" for one in values]
    return found


def shown(pipeline: str) -> str:
    """Return a pipeline's name for a record: an id or a relative path as given, the last part of any other."""
    path = Path(pipeline)
    return path.name if path.is_absolute() or ".." in path.parts or pipeline.startswith("~") else pipeline
