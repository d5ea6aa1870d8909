"""Samples from a pipeline: sample i depends on seed i alone, and what goes wrong is said with its step.

Each sample has a generator of its own, on the CPU, which draws its initial noise and whatever noise the method adds; so
a batch is a way to compute and no part of the result, up to how a kernel sums for another batch size. Several diffusers
pipelines (DiT, SD3, Flux) do not pass generators on to their scheduler; here it gets them all the same.

The network's outputs are watched: the first one that is not finite names its evaluation and timestep. On the CPU it
stops the run at once; on an accelerator, where looking would make the host wait, sums of the outputs stay on the device
and are read at the end.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from traceback import walk_tb
from typing import Any

import numpy as np

from numdiff.adapters.pipelines.memory import OutOfMemoryError, is_out_of_memory, release

__all__ = ["Drawn", "NotFiniteError", "draw", "generate"]

EACH = ("prompt", "prompt_2", "prompt_3", "negative_prompt", "negative_prompt_2", "negative_prompt_3", "class_labels")
"""Arguments of pipelines that have one value a sample."""


PICTURES = ("image", "mask_image")
"""Arguments of pipelines that begin with an image."""


class NotFiniteError(ValueError):
    """A network returned NaN or infinity.

    Examples
    --------
    >>> import torch
    >>> from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel
    >>> from numdiff.adapters.pipelines.generate import NotFiniteError, generate
    >>> blocks = {"down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",), "block_out_channels": (32,)}
    >>> network = UNet2DModel(sample_size=8, in_channels=3, out_channels=3, **blocks)
    >>> pipe = DDIMPipeline(network, DDIMScheduler())
    >>> pipe.set_progress_bar_config(disable=True)
    >>> with torch.no_grad():
    ...     filled = network.conv_out.bias.fill_(float("nan"))
    >>> try:
    ...     generate(pipe, seeds=[5], num_inference_steps=2)
    ... except NotFiniteError as error:
    ...     print(str(error).split(" (")[0])
    the network returned NaN or infinity at step 1
    """


@dataclass(frozen=True)
class Drawn:
    """What one call of a pipeline gave.

    Parameters
    ----------
    images
        One array a seed, shape (height, width, channels), float32 in [0, 1].
    nfe
        How often the scheduler was told an output of the network.
    seconds
        Wall-clock seconds of the call.
    flagged
        Whether a safety checker blackened each image.
    steps
        How many steps of the scheduler's grid were taken, or None where it does not say.

    Examples
    --------
    >>> import numpy as np
    >>> from numdiff.adapters.pipelines.generate import Drawn
    >>> drawn = Drawn([np.zeros((8, 8, 3), np.float32)], nfe=20, seconds=1.5, flagged=[False], steps=20)
    >>> f"{1000 * drawn.seconds / drawn.nfe:.0f} ms an evaluation"
    '75 ms an evaluation'
    """

    images: list[np.ndarray]
    nfe: int
    seconds: float
    flagged: list[bool]
    steps: int | None = None


def generate(pipe: Any, seeds: Sequence[int], *, scheduler: Any = None, **call: Any) -> list[np.ndarray]:
    """Return one image a seed, uint8 of shape (height, width, channels).

    Parameters
    ----------
    pipe
        A pipeline of diffusers that draws images.
    seeds
        Of the samples' generators.
    scheduler
        What to sample with instead of the pipeline's own; the pipeline keeps its own afterwards.
    **call
        Arguments of the pipeline; a prompt, a negative prompt or a label is one for all samples or a list of one each.

    Returns
    -------
    list of ndarray
        In the order of the seeds; the same image for a seed in whatever batch, to rounding.

    Raises
    ------
    NotFiniteError
        If the network returns NaN or infinity, with the evaluation and its timestep.
    OutOfMemoryError
        If the batch does not fit.
    ValueError, TypeError
        For arguments that the pipeline refuses.

    Examples
    --------
    >>> from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel
    >>> from numdiff.adapters.pipelines.generate import generate
    >>> blocks = {"down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",), "block_out_channels": (32,)}
    >>> network = UNet2DModel(sample_size=8, in_channels=3, out_channels=3, **blocks)
    >>> pipe = DDIMPipeline(network, DDIMScheduler())
    >>> pipe.set_progress_bar_config(disable=True)
    >>> one, two = generate(pipe, seeds=[5, 6], num_inference_steps=2)
    >>> one.shape, one.dtype.name
    ((8, 8, 3), 'uint8')
    >>> alone = generate(pipe, seeds=[6], num_inference_steps=2)[0]
    >>> int(abs(alone.astype(int) - two).max()) <= 1
    True
    """
    return [pixels(image) for image in draw(pipe, seeds, scheduler=scheduler, **call).images]


def pixels(image: np.ndarray) -> np.ndarray:
    """Return an image in [0, 1] as bytes, rounded to the nearest."""
    return np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)


def draw(
    pipe: Any,
    seeds: Sequence[int],
    *,
    scheduler: Any = None,
    tell: Callable[[int, int], None] | None = None,
    **call: Any,
) -> Drawn:
    """Draw one batch: `generate` with floats for pixels, with what it cost, and with progress.

    Parameters
    ----------
    pipe, seeds, scheduler, **call
        As in `generate`, which see for the errors, too.
    tell
        Called after each evaluation with its number, from 1, and how many there will be.

    Returns
    -------
    Drawn
        Images, and what they cost.

    Examples
    --------
    >>> from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel
    >>> from numdiff.adapters.pipelines.generate import draw
    >>> blocks = {"down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",), "block_out_channels": (32,)}
    >>> network = UNet2DModel(sample_size=8, in_channels=3, out_channels=3, **blocks)
    >>> pipe = DDIMPipeline(network, DDIMScheduler())
    >>> pipe.set_progress_bar_config(disable=True)
    >>> told = []
    >>> drawn = draw(pipe, [5], tell=lambda done, of: told.append((done, of)), num_inference_steps=3)
    >>> drawn.nfe, drawn.images[0].shape, told
    (3, (8, 8, 3), [(1, 3), (2, 3), (3, 3)])
    """
    import torch

    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    arguments = _batched(pipe, call, len(seeds))
    began = time.perf_counter()
    with _using(pipe, scheduler), watched(pipe.scheduler, generators, tell) as watch:
        try:
            output = pipe(generator=generators, **arguments)
        except (RuntimeError, MemoryError) as error:
            _explain(error, len(seeds))
        watch.check()
        steps = _steps(pipe.scheduler)
    images = _images(output, pipe, watch)
    flags = getattr(output, "nsfw_content_detected", None) or [False] * len(images)
    return Drawn(images, watch.count, time.perf_counter() - began, [bool(flag) for flag in flags], steps)


def _steps(scheduler: Any) -> int | None:
    """Return how many grid steps a run took; one that began with an image began in the middle.

    Multiples of a scheduler's order are where steps begin, which it is asked for: they need not be evenly spaced.
    """
    order, begin = getattr(scheduler, "order", None), getattr(scheduler, "begin_index", None) or 0
    if order is None:
        return None
    evaluations = len(scheduler.timesteps)
    return len({n * order for n in range(evaluations)} & set(range(begin, evaluations)))


def is_pipelines(error: BaseException) -> bool:
    """Tell whether an error that `draw` raised comes from the pipeline's own code, and not from a scheduler of ours."""
    package = str(Path(__file__).parents[2] / "_")[:-1]
    frames = [(frame.f_code.co_filename, frame.f_code.co_name) for frame, _ in walk_tb(error.__traceback__)]
    if (__file__, "draw") not in frames:
        return False
    inside = frames[len(frames) - frames[::-1].index((__file__, "draw")) :]
    return bool(inside) and not any(name.startswith(package) for name, _ in inside)


@contextmanager
def _using(pipe: Any, scheduler: Any) -> Iterator[None]:
    own = pipe.scheduler
    try:
        if scheduler is not None:
            pipe.scheduler = scheduler
        yield
    finally:
        pipe.scheduler = own


def parameters(pipe: Any) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a pipeline's call, by name."""
    return inspect.signature(type(pipe).__call__).parameters


def _batched(pipe: Any, call: dict[str, Any], count: int) -> dict[str, Any]:
    """Return the arguments of a call for `count` samples."""
    takes, found = parameters(pipe), dict(call)
    for name in EACH:
        if found.get(name) is not None:
            found[name] = _one_each(name, found[name], count)
    if "strength" in takes:  # one image for all would be encoded with the first sample's generator alone
        found |= {name: [found[name]] * count for name in PICTURES if hasattr(found.get(name), "resize")}
    if "batch_size" in takes:
        found["batch_size"] = count
    elif count > 1 and not any(found.get(name) is not None for name in EACH):
        if "num_images_per_prompt" not in takes:
            raise ValueError(f"{type(pipe).__name__} draws one image a call; give one seed at a time")
        found["num_images_per_prompt"] = count
    if "output_type" in takes:
        found["output_type"] = "np"
    return found


def _one_each(name: str, value: Any, count: int) -> list[Any]:
    if isinstance(value, (str, int)):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{name} has {len(value)} entries for {count} seeds; give one for all, or one each")
    return list(value)


def _explain(error: BaseException, count: int) -> None:
    """Raise what an error of torch means."""
    if is_out_of_memory(error):
        release()
        text = " ".join(str(error).split())[:200]
        raise OutOfMemoryError(f"a batch of {count} does not fit into memory ({text})") from error
    if "not implemented for" in str(error) or "expected scalar type" in str(error):
        raise ValueError(f"the pipeline does not run in this dtype here ({error}); use dtype=float32") from error
    raise error


def _images(output: Any, pipe: Any, watch: Watch) -> list[np.ndarray]:
    found = getattr(output, "images", None)
    if found is None:
        kinds = ", ".join(output.keys()) if hasattr(output, "keys") else type(output).__name__
        raise ValueError(f"{type(pipe).__name__} draws no images but {kinds}; call it in Python")
    images = [np.asarray(image, dtype=np.float32) for image in found]
    bad = next((i for i, image in enumerate(images) if not np.isfinite(image).all()), None)
    if bad is not None:
        raise NotFiniteError(
            f"the decoder made NaN or infinity of sample {bad}, whose {watch.count} evaluations were finite; its "
            "autoencoder does not bear this precision: use dtype=bfloat16 or dtype=float32"
        )
    return images


# --- watching a run ---------------------------------------------------------------------------------------------------


@dataclass
class Watch:
    """What a run has been told so far: how many outputs of the network, and the sum of each."""

    count: int = 0
    sums: list[Any] = field(default_factory=list)
    times: list[Any] = field(default_factory=list)

    def see(self, output: Any, timestep: Any) -> None:
        """Count an output; on the CPU raise at once if it is not finite, elsewhere keep its sum on the device."""
        import torch

        self.count += 1
        self.sums.append(output.sum(dtype=torch.float32))  # finite terms have a finite sum, and nothing is allocated
        self.times.append(timestep)
        if output.device.type == "cpu":
            self.check()
            self.sums, self.times = [], []

    def check(self) -> None:
        """Raise for the first output that was not finite.

        Raises
        ------
        NotFiniteError
            With its number and its timestep.
        """
        import torch

        if not self.sums:
            return
        finite = torch.isfinite(torch.stack(self.sums)).tolist()
        if all(finite):
            return
        at = finite.index(False)
        number = self.count - len(finite) + at + 1
        raise NotFiniteError(
            f"the network returned NaN or infinity at step {number} (timestep {float(self.times[at]):g}); if that is "
            "too large for float16, use dtype=bfloat16 or dtype=float32; if guidance is strong, lower it; else its "
            "weights are damaged"
        )


@contextmanager
def watched(scheduler: Any, generators: Sequence[Any], tell: Callable[[int, int], None] | None) -> Iterator[Watch]:
    """Watch the calls of ``scheduler.step`` while the block runs, and pass the samples' generators to each.

    Parameters
    ----------
    scheduler
        A scheduler of diffusers, or a `NumdiffScheduler`.
    generators
        One a sample.
    tell
        As in `draw`.
    """
    watch, step = Watch(), scheduler.step
    draws = "generator" in inspect.signature(step).parameters

    @functools.wraps(step)  # pipelines look at its signature
    def observed(model_output: Any, timestep: Any, sample: Any, *args: Any, **options: Any) -> Any:
        watch.see(model_output, timestep)
        if draws and not args and options.get("generator") is None:
            options["generator"] = _for_rows(generators, sample.shape[0])
        found = step(model_output, timestep, sample, *args, **options)
        if tell is not None:
            tell(watch.count, len(scheduler.timesteps) - (getattr(scheduler, "begin_index", None) or 0))
        return found

    scheduler.step = observed
    try:
        yield watch
    finally:
        del scheduler.step  # the class's own again


def _for_rows(generators: Sequence[Any], rows: int) -> list[Any] | None:
    """Return a generator for each row of a batch; DiT's has every sample twice, the second time to be thrown away."""
    import torch

    if rows == len(generators):
        return list(generators)
    if rows == 2 * len(generators):
        return [*generators, *(torch.Generator("cpu").manual_seed(0) for _ in generators)]
    return None
