"""What the samples of a set are drawn with: a denoiser and a method, or a pipeline of diffusers and a scheduler.

A source says what it is as plain JSON data (`settings`, which the manifest holds and every rank must agree on) and
draws a batch. Sample i takes its initial noise, and all noise that the method adds, from streams that belong to (seed,
i): of Philox for a denoiser (`numdiff.noise.Seeded`), of torch's generator with seed ``seed + i`` for a pipeline, as
``numdiff sample --pipeline`` has it, so that one image can be drawn again alone.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from numdiff import grids
from numdiff.distributed.shards import Arrays
from numdiff.distributed.units import Batch
from numdiff.noise import Seeded
from numdiff.study import sampling

SHIPPED = ("digits", "glyphs")
"""Denoisers that come with the package."""


class Source(Protocol):
    """Draws the samples of a set, by their numbers.

    Attributes
    ----------
    settings : dict
        Everything that decides the samples but their numbers, as plain JSON data.

    Examples
    --------
    >>> import numpy as np
    >>> from numdiff import distributed
    >>> class Noise:
    ...     settings = {"source": "normal numbers", "seed": 7}
    ...     def draw(self, batch):
    ...         drawn = [np.random.default_rng((7, i)).normal(size=2) for i in batch.indices]
    ...         return {"samples": np.array(drawn), "seeds": np.array(batch.indices)}
    >>> one, two = (np.concatenate([Noise().draw(b)["samples"] for b in distributed.batches(6, k)]) for k in (2, 6))
    >>> bool((one == two).all())  # sample i depends on i alone
    True
    """

    settings: dict[str, Any]

    def draw(self, batch: Batch) -> Arrays:
        """Return ``samples``, shape (count, ...), and ``labels`` or ``seeds``, shape (count,)."""


class Denoiser:
    """Samples of a class-conditional denoiser by a method on a grid.

    Parameters
    ----------
    model
        "digits", "glyphs", or the path of NAME.safetensors beside NAME.json.
    method
        Any method.
    grid
        A name of `numdiff.grids.NAMED`.
    steps
        Number of steps.
    labels
        Classes; sample i has ``labels[i % len(labels)]``. All classes if None.
    guidance
        Strength of classifier-free guidance, 1 for none, 0 for samples without a class.
    start
        As `Method.discretize` takes it.
    seed
        From 0 to 2^63 - 1.
    device
        A torch device.

    Raises
    ------
    ValueError, OSError
        For a model that is not there or damaged, unknown names, and labels that are no classes.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff import distributed
    >>> source = distributed.Denoiser("digits", nd.DPMSolverPP(2), steps=5, labels=[3, 8], seed=1)
    >>> drawn = source.draw(distributed.Batch(number=0, first=0, count=4))
    >>> drawn["samples"].shape, drawn["labels"].tolist()
    ((4, 8, 8), [3, 8, 3, 8])
    >>> again = source.draw(distributed.Batch(number=0, first=2, count=2))["samples"]
    >>> bool(abs(again - drawn["samples"][2:]).max() < 1e-4)  # the same to rounding in another batch
    True
    """

    def __init__(
        self,
        model: str,
        method: Any,
        *,
        grid: str = "log-snr",
        steps: int = 20,
        labels: Sequence[int] | None = None,
        guidance: float = 1.0,
        start: str = "lower",
        seed: int = 0,
        device: Any = "cpu",
    ) -> None:
        self.denoiser = denoiser(model).to(device)
        self.method, self.start, self.seed, self.guidance = method, start, seed, guidance
        self.labels = list(range(self.denoiser.null)) if labels is None else _classes(labels, self.denoiser.null)
        self.times = grids.named(grid, self.denoiser.schedule, steps)
        self.settings = {
            "model": model if model in SHIPPED else Path(model).stem,
            "weights": fingerprint([self.denoiser]),
            "method": method.name,
            "definition": repr(method),
            "steps": steps,
            "grid": grid,
            "times": [float(t) for t in self.times],
            "start": start,
            "guidance": guidance,
            "labels": self.labels,
            "seed": seed,
        }

    def draw(self, batch: Batch) -> Arrays:
        """See `Source`; samples have the shape of the model's images."""
        import torch

        place = self.denoiser.device
        noise = Seeded(self.seed, first=batch.first)
        like = torch.empty((batch.count, *self.denoiser.shape), dtype=self.denoiser.dtype, device=place)
        labels = np.array([self.labels[i % len(self.labels)] for i in batch.indices], dtype=np.int64)
        classes = torch.from_numpy(labels).to(place)
        options: dict[str, Any] = {"start": self.start, "noise": noise}
        x = noise.initial(like)
        found = sampling.run(self.denoiser, self.method, self.times, x, classes, self.guidance, **options)
        samples = found.samples.cpu().numpy()
        if samples.ndim == 2:  # flattened images
            samples = samples.reshape(batch.count, *self.denoiser.config.image_shape)
        return {"samples": samples, "labels": labels}


class Pipeline:
    """Images of a diffusers pipeline.

    Parameters
    ----------
    pipe
        What `numdiff.adapters.pipelines.loading.load` returned.
    name
        What to call it.
    scheduler
        What to sample with instead of the pipeline's own.
    call
        Arguments of the pipeline, plain JSON data.
    each
        Lists of values of arguments that change from sample to sample (``prompt``, ``class_labels``); sample i has
        value i modulo their number.
    seed
        Of the first sample; sample i has seed + i.

    Examples
    --------
    >>> from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel
    >>> from numdiff import distributed
    >>> blocks = {"down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",), "block_out_channels": (32,)}
    >>> network = UNet2DModel(sample_size=8, in_channels=3, out_channels=3, **blocks)
    >>> pipe = DDIMPipeline(network, DDIMScheduler())
    >>> pipe.set_progress_bar_config(disable=True)
    >>> source = distributed.Pipeline(pipe, "tiny", call={"num_inference_steps": 2}, seed=5)
    >>> drawn = source.draw(distributed.Batch(number=0, first=0, count=2))
    >>> drawn["samples"].shape, drawn["seeds"].tolist()
    ((2, 8, 8, 3), [5, 6])
    """

    def __init__(
        self,
        pipe: Any,
        name: str,
        *,
        scheduler: Any = None,
        call: dict[str, Any] | None = None,
        each: dict[str, list[Any]] | None = None,
        seed: int = 0,
    ) -> None:
        self.pipe, self.scheduler, self.call, self.each, self.seed = pipe, scheduler, call or {}, each or {}, seed
        used = pipe.scheduler if scheduler is None else scheduler
        networks = [part for part in pipe.components.values() if hasattr(part, "state_dict")]
        self.settings = {
            "model": name,
            "pipeline": type(pipe).__name__,
            "weights": fingerprint(networks),
            "method": str(getattr(used.config, "method", type(used).__name__)),
            "scheduler": {key: value for key, value in used.config.items() if _plain(value)},
            "call": self.call,
            "each": self.each,
            "seed": seed,
        }

    def draw(self, batch: Batch) -> Arrays:
        """See `Source`; samples are bytes, shape (count, height, width, channels)."""
        from numdiff.adapters.pipelines.generate import generate

        seeds = [self.seed + i for i in batch.indices]
        own = {name: [values[i % len(values)] for i in batch.indices] for name, values in self.each.items()}
        images = generate(self.pipe, seeds, scheduler=self.scheduler, **self.call, **own)
        found = {"samples": np.stack(images), "seeds": np.array(seeds, dtype=np.int64)}
        if "class_labels" in own:
            found["labels"] = np.array(own["class_labels"], dtype=np.int64)
        return found


def denoiser(model: str) -> Any:
    """Return a denoiser that ships with the package, or the one saved at a path, on the CPU.

    Raises
    ------
    OSError, ValueError
        If there is none, it is damaged, or no denoiser.
    """
    from numdiff import models

    if model in SHIPPED:
        return getattr(models, model)()
    plain = model.removesuffix(".safetensors").removesuffix(".json")
    if not Path(f"{plain}.json").exists():
        raise FileNotFoundError(
            f"there is no model {model!r}: give {' or '.join(SHIPPED)}, the path of a pair NAME.safetensors, "
            "NAME.json, or a pipeline by --pipeline"
        )
    found = models.load(plain)
    if not hasattr(found, "conditioned"):
        raise ValueError(f"{model!r} holds a {type(found).__name__}, which draws nothing; give a denoiser")
    return found


def fingerprint(networks: Iterable[Any]) -> str:
    """Return the SHA-256 of the weights of torch modules: equal on two machines if and only if the weights are."""
    import torch

    found = hashlib.sha256()
    for network in networks:
        tensors = {name: one for name, one in network.state_dict().items() if isinstance(one, torch.Tensor)}
        for name, tensor in sorted(tensors.items()):
            held = tensor.detach().contiguous().cpu()
            found.update(f"{name} {held.dtype} {tuple(held.shape)}\n".encode())
            if held.numel():
                found.update(held.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _classes(labels: Sequence[int], null: int) -> list[int]:
    wrong = [label for label in labels if not 0 <= label < null]
    if wrong:
        raise ValueError(
            f"label {wrong[0]} is no class of this model; give labels from 0-{null - 1}, or guidance=0 for samples "
            "without a class"
        )
    return list(labels)


def _plain(value: Any) -> bool:
    """Tell whether a value is JSON data, as the entries of a scheduler's configuration are but for private ones."""
    if isinstance(value, (list, tuple)):
        return all(map(_plain, value))
    if isinstance(value, dict):
        return all(map(_plain, value.values()))
    if isinstance(value, float):
        return math.isfinite(value)  # JSON has no words for others
    return value is None or isinstance(value, (bool, int, str))
