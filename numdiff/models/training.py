"""A training loop that may be interrupted: it goes on from its last checkpoint and ends with the same weights.

It's what the scripts in ``experiments`` train the shipped networks with; ``tasks`` holds what they train.

Step k is a function of the task's state and of (seed, k) only: the random numbers of a step come from a generator
seeded for it, so no generator state has to survive. A checkpoint is written to a temporary file and moved into place;
an interrupt at any moment loses at most the steps since the last one. Same bits means: on the same machine, with the
same versions and number of threads.
"""

from __future__ import annotations

import argparse
import io
import math
import pickle
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from numdiff import provenance
from numdiff._files import write_atomically

CHECKPOINT_EVERY = 100

LIBRARIES = ("numpy", "torch", "scikit-learn", "diffusers", "matplotlib")
"""The libraries whose versions a record of training names, where they are installed."""

INTERRUPTED = "interrupted; the same command goes on from the last checkpoint"

Progress = Callable[[range], Iterable[int]]


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """AdamW with linear warm-up, cosine decay to zero and clipped gradients, on batches drawn with replacement."""

    steps: int
    learning_rate: float
    weight_decay: float = 0.0
    batch: int = 256
    warm_up: int = 100
    clip: float = 1.0
    seed: int = 0


class Task(Protocol):
    """What is trained: its settings, its data in words, its device, its state, one step."""

    settings: Any
    data: str
    device: torch.device

    def step(self, k: int) -> float:
        """Make step k and return its loss."""
        ...

    def scores(self) -> dict[str, float]:
        """Return what to log at a checkpoint."""
        ...

    def state(self) -> dict[str, Any]:
        """Return everything that step k + 1 depends on."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        ...


@dataclass
class Log:
    """What a run leaves besides weights: losses of every step, scores at checkpoints, time over all its parts."""

    loss: list[float] = field(default_factory=list)
    scores: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def record(self, task: Task) -> dict[str, Any]:
        """Return the JSON-serialisable account of the run; the loss curve in means over 50 steps."""
        curve = [float(np.mean(self.loss[i : i + 50])) for i in range(0, len(self.loss), 50)]
        return {
            "settings": asdict(task.settings),
            "data": task.data,
            "loss_curve": {"steps_per_point": 50, "loss": [round(value, 5) for value in curve]},
            "scores": self.scores,
            "seconds": round(self.seconds, 1),
            "cpu_seconds": round(self.cpu_seconds, 1),
            **provenance.environment(task.device, LIBRARIES),
        }


def run(task: Task, steps: int, seed: int, checkpoint: Path, progress: Progress = iter) -> Log:
    """Train `task` up to step `steps`, from `checkpoint` if there is one.

    Raises
    ------
    ValueError
        If the checkpoint cannot be read, or was made with other settings.
    """
    log, start = _resume(task, checkpoint)
    last = np.array([time.perf_counter(), time.process_time()])
    with torch.random.fork_rng(devices=[task.device] if task.device.type == "cuda" else []):
        for k in progress(range(start + 1, steps + 1)):
            torch.manual_seed((seed << 32) + k)
            log.loss.append(task.step(k))
            if k % CHECKPOINT_EVERY == 0 or k == steps:
                log.scores.append({"step": k, **task.scores()})
                now = np.array([time.perf_counter(), time.process_time()])
                spent, last = (now - last).tolist(), now
                log.seconds, log.cpu_seconds = log.seconds + spent[0], log.cpu_seconds + spent[1]
                _write(task, log, k, checkpoint)
    return log


def _write(task: Task, log: Log, k: int, checkpoint: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"settings": repr(task.settings), "step": k, "log": asdict(log), "state": task.state()}, buffer)
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(checkpoint, buffer.getvalue())


def _resume(task: Task, checkpoint: Path) -> tuple[Log, int]:
    if not checkpoint.exists():
        return Log(), 0
    try:
        saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{checkpoint} is no readable checkpoint ({error}); delete it to start anew") from error
    if saved["settings"] != repr(task.settings):
        raise ValueError(f"{checkpoint} was made with other settings; choose another --out, or delete it to start anew")
    task.restore(saved["state"])
    return Log(**saved["log"]), saved["step"]


class Optimiser:
    """AdamW as `Optimisation` describes it."""

    def __init__(self, network: nn.Module, settings: Optimisation) -> None:
        self.network, self.settings = network, settings
        self.adam = torch.optim.AdamW(
            network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, betas=(0.9, 0.99)
        )

    def rate(self, k: int) -> float:
        """Return the learning rate of step k."""
        decay = (1 + math.cos(math.pi * k / self.settings.steps)) / 2
        return self.settings.learning_rate * min(1.0, k / self.settings.warm_up) * decay

    def step(self, loss: Tensor, k: int) -> float:
        """Make step k down the gradient of `loss` and return the loss."""
        self.adam.param_groups[0]["lr"] = self.rate(k)
        self.adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        self.adam.step()
        return loss.item()


def arguments(description: str | None, out: str, *more: Callable[[argparse.ArgumentParser], object]) -> Any:
    """Return --out and --fast of the command line, and set torch to one thread, which the recorded runs used.

    Parameters
    ----------
    description
        What the script does.
    out
        The folder that --out is by default.
    *more
        Called with the parser, to add options.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(out), metavar="DIR", help=f"folder of the results ({out})")
    parser.add_argument("--fast", action="store_true", help="a tiny run of a few seconds, to see that it works")
    for add in more:
        add(parser)
    torch.set_num_threads(1)
    return parser.parse_args()


def from_the_door(command: Callable[[], object]) -> None:
    """Run a command line; a mistake of the user, or an interrupt, is one line and not a traceback."""
    try:
        command()
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except OSError as error:
        named = error.strerror is not None and error.filename is not None
        text = f"{error.filename}: {error.strerror}" if named else str(error)
        raise SystemExit(f"error: {text}; is this the right --out or --weights?") from None
    except ValueError as error:
        raise SystemExit(f"error: {' '.join(str(error).split())}") from None


def bar(steps: range) -> Iterable[int]:
    """Return `steps` under a progress bar."""
    from tqdm import tqdm

    return tqdm(steps, total=steps.stop - 1, initial=steps.start - 1, unit="step")
