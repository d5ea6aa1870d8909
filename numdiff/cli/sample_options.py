"""The options of ``numdiff sample``, and which belong to which of its forms.

Options that a form does not have are refused instead of being passed over, so no option has a default here: a form
fills in its own (`MODEL`, `PIPELINE`).
"""

from __future__ import annotations

import argparse
import itertools
import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numdiff.cli import values
from numdiff.cli.method_group import method_options
from numdiff.grids import NAMED as TIME_GRIDS

MOST = 100_000
"""Most samples of a run."""

DTYPES = ("float32", "float16", "bfloat16")
FORMATS = ("png", "npy")

MODEL = {"model": "digits", "start": "lower", "steps": 20, "guidance": 1.0, "n": 50, "seed": 0, "threads": 1}
"""Defaults of sampling a model that ships with numdiff."""

PIPELINE = {"steps": 20, "dtype": "float32", "device": "auto", "batch": "auto", "format": "png"}
"""Defaults of sampling a pipeline."""

MODEL_ONLY = ("model", "grid")
PIPELINE_ONLY = (
    *(
        "pipeline",
        "weights_variant",
        "revision",
        "allow_pickle",
        "trust_remote_code",
        "prompt",
        "negative_prompt",
        "size",
    ),
    *("image", "mask", "strength", "timesteps", "times", "sigmas", "call", "seeds", "batch", "dtype", "device"),
    *("slicing", "offload", "format", "quiet", "json", "repeat"),
)

EPILOG = """\
With --pipeline, the samples go into the folder --out as they are drawn, with grid.png and with run.json, the record of
everything that made them. The same command goes on where it was interrupted, also with more samples (--n) or another
--batch; samples that are there already are kept. --repeat draws the samples of a record anew into another folder and
says whether they are the same bit for bit.

Sample i has a random generator of its own, on the CPU, so it does not depend on the batch that it is drawn in, up to
rounding. Only JSON and safetensors are read: weights that are pickles, and code of a pipeline's own, can run any
program, and need --allow-pickle and --trust-remote-code.

examples:
  numdiff sample dpmpp --order 2 --steps 10 --guidance 2 --out digits.png
  numdiff sample --pipeline google/ddpm-cifar10-32 --method ghvb --order 3 --beta 0.8 --steps 10 --n 16 --out cifar
  numdiff sample unipc3 --pipeline FOLDER --prompt "a red fox" --guidance 7.5 --steps 10 --seeds 0-15 --out foxes
  numdiff sample ghvb2 --pipeline FOLDER --prompt "a fox" --image dog.png --strength 0.6 --out dog-to-fox
  numdiff sample ddim --pipeline FOLDER --labels 207,360 --n 8 --timesteps optimized --out imagenet
  numdiff sample --repeat foxes/run.json --out foxes-again
"""


def sample_options(parser: Any) -> None:
    """Add METHOD, the model or the pipeline, what is drawn, how, and where it goes."""
    method_options(parser, symbol=False, flag=True)
    _run(parser.add_argument_group("run"))
    _model(parser.add_argument_group("a model that ships with numdiff"))
    _pipeline(parser.add_argument_group("a pipeline of diffusers"))
    _drawn(parser.add_argument_group("what the pipeline draws"))
    _computed(parser.add_argument_group("how the pipeline computes"))
    _output(parser.add_argument_group("output"))


def _adder(group: Any) -> Callable[[str, Any, str, str], None]:
    def add(name: str, kind: Any, metavar: str, text: str) -> None:
        group.add_argument(name, type=kind, metavar=metavar, help=text)

    return add


def _run(group: Any) -> None:
    add = _adder(group)
    add("--steps", values.whole(1, values.MOST_STEPS), "N", "number of steps (default 20)")
    group.add_argument(
        "--start",
        type=values.named("start", ("lower", "runge-kutta")),
        metavar="START",
        help="first steps of a multistep method: lower, runge-kutta (default lower)",
    )
    group.add_argument(
        "--labels",
        "--label",
        type=values.labels,
        metavar="L",
        help="classes, which the samples take in turn: 3, 0-9 or 1,4,7-9 (a shipped model: default 0-9)",
    )
    add(
        "--guidance",
        values.strength,
        "G",
        "strength of guidance, 0 (without a class) to 100; 1 is none (default: 1, or the pipeline's own)",
    )
    add("--n", values.whole(1, MOST), "N", "number of samples (default 50; of a pipeline 1)")
    add("--seed", values.whole(0), "S", "seed of all noise (default 0); samples of a pipeline have S, S+1, ...")
    add("--threads", values.whole(1, 1024), "N", "threads of torch (default 1; of a pipeline, torch's own choice)")


def _model(group: Any) -> None:
    group.add_argument(
        "--model", metavar="MODEL", help='"digits" (default), or the path of NAME.safetensors beside NAME.json'
    )
    group.add_argument(
        "--grid",
        type=values.named("grid", TIME_GRIDS),
        metavar="GRID",
        help=f"spacing of the times: {', '.join(TIME_GRIDS)} (default that of METHOD's last word, or log-snr)",
    )


def _pipeline(group: Any) -> None:
    group.add_argument(
        "--pipeline", metavar="PATH_OR_ID", help="a folder in the hub's format, or a hub id such as name/model"
    )
    group.add_argument("--weights-variant", metavar="V", help="which set of weights of several, such as fp16")
    group.add_argument("--revision", metavar="R", help="branch, tag or commit of a hub id (default main)")
    group.add_argument("--allow-pickle", action="store_true", default=None, help="also read weights that are pickles")
    group.add_argument(
        "--trust-remote-code", action="store_true", default=None, help="also run code that comes with the pipeline"
    )


def _drawn(group: Any) -> None:
    for name, text in (("--prompt", "text to draw"), ("--negative-prompt", "text to draw the opposite of")):
        group.add_argument(
            name, action="append", metavar="TEXT", help=f"{text}; given several times, the samples take them in turn"
        )
    add = _adder(group)
    add("--seeds", seeds, "S", "seeds of the samples, one each: 0-15 or 3,5,8 (instead of --seed and --n)")
    add("--size", size, "WxH", "width and height in pixels, as in 768x512; with --image, that is brought to this size")
    add("--image", Path, "FILE", "image to begin with")
    add("--mask", Path, "FILE", "image whose white part is painted anew, with --image")
    add("--strength", share, "X", "how much of --image is made anew, above 0 to 1")
    add("--timesteps", str.lower, "NAME", "how the steps are spaced: optimized, karras, trailing, uniform-log-snr, ...")
    add("--times", falling, "T,T,...", "the timesteps themselves, falling, instead of --steps")
    add("--sigmas", falling, "S,S,...", "the noise levels themselves, falling, instead of --steps")
    group.add_argument(
        "--call",
        type=values.setting,
        action="append",
        metavar="NAME=VALUE",
        help="another argument of the pipeline's call, as in --call guidance_rescale=0.7",
    )


def _computed(group: Any) -> None:
    add = _adder(group)
    add("--batch", batch, "B", "samples at a time, or auto: 4 (8 on an accelerator), halved where memory runs out")
    kind = values.named("dtype", DTYPES)
    add("--dtype", kind, "D", "precision of the networks: float32 (default), float16 or bfloat16")
    add("--device", str.lower, "D", "cpu, cuda, cuda:1 or auto (default): CUDA where there is one")
    group.add_argument("--slicing", action="store_true", default=None, help="less memory: attention in slices")
    group.add_argument(
        "--offload", action="store_true", default=None, help="less memory: only the part that computes is on the device"
    )


def _output(group: Any) -> None:
    group.add_argument(
        "--out",
        required=True,
        metavar="FILE|DIR",
        help="image (.png) or arrays (.npz) of a model; with --pipeline, a folder for images and run.json",
    )
    add = _adder(group)
    add("--format", values.named("format", FORMATS), "F", "png (default), or npy: float32 in [0, 1]")
    add("--repeat", Path, "RUN.JSON", "draw the samples of this record anew, with its settings")
    group.add_argument("--quiet", action="store_true", default=None, help="no progress and no summary")
    group.add_argument("--json", action="store_true", default=None, help="print the record as JSON")


# --- values -----------------------------------------------------------------------------------------------------------

_SEEDS = re.compile(r"(\d{1,19})(?:-(\d{1,19}))?")
_PIXELS = re.compile(r"(\d{1,5})x(\d{1,5})")


def seeds(text: str) -> tuple[int, ...]:
    """Return different seeds from "0-15" or "3,5,8-9"."""
    found: list[int] = []
    for part in text.split(","):
        match = _SEEDS.fullmatch(part.strip())
        if not match:
            raise ArgumentTypeError(f"{text!r} is not a list of seeds; write 0-15 or 3,5,8")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ArgumentTypeError(f"{part!r} runs backwards; write {last}-{first}")
        if last > values.LARGEST:
            raise ArgumentTypeError(f"{last} is too large for a seed; the largest is {values.LARGEST}")
        if last - first >= MOST - len(found):
            raise ArgumentTypeError(f"{text!r} are more than {MOST} seeds; draw them in several folders")
        found += range(first, last + 1)
    if len(set(found)) < len(found):
        raise ArgumentTypeError(f"{text!r} has a seed twice, which would be the same sample; drop one")
    return tuple(found)


def size(text: str) -> tuple[int, int]:
    """Return (width, height) from "768x512"."""
    match = _PIXELS.fullmatch(text.lower())
    if not match or not (int(match[1]) and int(match[2])):
        raise ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT in pixels, as in 768x512")
    return int(match[1]), int(match[2])


def share(text: str) -> float:
    """Return a number above 0 and at most 1."""
    value = values.real(text)
    if not 0 < value <= 1:
        raise ArgumentTypeError(f"{text!r} is not above 0 and at most 1; 0.6 keeps the outlines, 1 nothing")
    return value


def batch(text: str) -> int | str:
    """Return a batch size, or "auto"."""
    return "auto" if text.lower() == "auto" else values.whole(1, 4096)(text)


def falling(text: str) -> tuple[float, ...]:
    """Return falling numbers from "999,500,1"."""
    found = tuple(values.real(part.strip()) for part in text.split(","))
    if any(a <= b for a, b in itertools.pairwise(found)) or found[-1] < 0:
        raise ArgumentTypeError(f"{text!r} must be falling numbers of at least 0, as in 999,500,1")
    return found


# --- forms ------------------------------------------------------------------------------------------------------------


def completed(options: argparse.Namespace, defaults: dict[str, Any], others: tuple[str, ...], form: str) -> None:
    """Fill in a form's defaults, after refusing what belongs to the other form.

    Parameters
    ----------
    options
        Changed in place.
    defaults
        `MODEL` or `PIPELINE`.
    others
        Names of options that the form does not have.
    form
        What the other options belong to, for the error.

    Raises
    ------
    UsageError
        For the first of `others` that was given.
    """
    for name in others:
        if getattr(options, name) is not None:
            raise values.UsageError(f"{flag(name)} belongs to {form}; drop it, or see numdiff sample --help")
    for name, value in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, value)


def flag(name: str) -> str:
    """Return an option as it is typed."""
    return "METHOD" if name == "method" else f"--{name.replace('_', '-')}"
