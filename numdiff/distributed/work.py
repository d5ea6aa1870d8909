"""The loop of a rank: take the next batch, look whether it is there, draw it, write it.

A rank that is asked to stop (SIGTERM, which torchrun sends when another rank has died; in a job of several also
Ctrl-C) finishes its batch first. One that is killed leaves its batch undone. Either way the same command goes on, and
draws what is missing.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numdiff import provenance
from numdiff.distributed import manifest
from numdiff.distributed.ranks import Ranks
from numdiff.distributed.shards import FORMATS, Shards
from numdiff.distributed.sources import Source
from numdiff.distributed.units import Batch, batches


class BatchError(RuntimeError):
    """A batch failed; the message says on which rank, and which samples they are.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import torch
    >>> from numdiff import distributed
    >>> class Broken:
    ...     settings = {"source": "nothing"}
    ...     def draw(self, batch):
    ...         raise ZeroDivisionError("no noise")
    >>> ranks = distributed.Ranks(0, 1, 0, torch.device("cpu"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     try:
    ...         distributed.work(Broken(), distributed.Plan(Path(folder, "set"), n=4), ranks)
    ...     except distributed.BatchError as error:
    ...         print(error)
    rank 0, batch 0 (samples 0 to 3): no noise
    """


class StoppedError(Exception):
    """The rank was asked to stop, and has finished its batch.

    Examples
    --------
    >>> from numdiff import distributed
    >>> issubclass(distributed.BatchError, RuntimeError), issubclass(distributed.StoppedError, RuntimeError)
    (True, False)
    """


@dataclass(frozen=True)
class Plan:
    """What is wanted of a set besides its source.

    Parameters
    ----------
    out
        Folder of the set.
    n, batch
        Number of samples, and how many are drawn at a time.
    kind
        "safetensors" or "png".
    command
        How it was asked for.

    Examples
    --------
    >>> from pathlib import Path
    >>> from numdiff import distributed
    >>> plan = distributed.Plan(Path("samples"), n=50_000, batch=512)
    >>> len(distributed.batches(plan.n, plan.batch)), plan.kind
    (98, 'safetensors')
    """

    out: Path
    n: int
    batch: int = 256
    kind: str = "safetensors"
    command: Sequence[str] = ()


@dataclass
class Tally:
    """What one rank did.

    Parameters
    ----------
    drawn, samples
        Batches drawn, and the samples in them.
    kept
        Batches found whole.
    seconds
        Of its loop.
    began
        When it began, by ``time.perf_counter``.

    Examples
    --------
    >>> from numdiff import distributed
    >>> tally = distributed.Tally(drawn=3, samples=192, kept=1, seconds=2.5)
    >>> tally.numbers()
    [3, 192, 1, 2.5]
    """

    drawn: int = 0
    samples: int = 0
    kept: int = 0
    seconds: float = 0.0
    began: float = field(default_factory=time.perf_counter)

    def numbers(self) -> list[float]:
        """Return what is sent to the others."""
        return [self.drawn, self.samples, self.kept, self.seconds]


def work(
    source: Source, plan: Plan, ranks: Ranks, *, progress: Any = None, say: Callable[[str], None] = lambda text: None
) -> list[Tally]:
    """Draw what is missing of a set, together with the other ranks.

    Parameters
    ----------
    source
        What draws.
    plan
        What is wanted.
    ranks
        This rank and the others.
    progress
        Its ``update(more)`` is called on rank 0 with the number of batches done since, by anybody.
    say
        Called on rank 0 with a remark.

    Returns
    -------
    list of Tally
        What each rank did, in order.

    Raises
    ------
    BatchError
        If a batch could not be drawn.
    OSError
        If one could not be written.
    StoppedError
        If this rank was asked to stop; the message says what is kept.
    ValueError
        If the ranks were started differently, or the folder holds another set.
    LostRankError
        If another rank has gone.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import torch
    >>> from numdiff import distributed
    >>> class Noise:
    ...     settings = {"source": "normal numbers"}
    ...     def draw(self, batch):
    ...         drawn = [np.random.default_rng(i).normal(size=2) for i in batch.indices]
    ...         return {"samples": np.array(drawn), "seeds": np.array(batch.indices)}
    >>> ranks = distributed.Ranks(0, 1, 0, torch.device("cpu"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     plan = distributed.Plan(Path(folder, "set"), n=6, batch=4)
    ...     [(tally.drawn, tally.kept) for tally in distributed.work(Noise(), plan, ranks)]
    ...     ranks = distributed.Ranks(0, 1, 0, torch.device("cpu"))
    ...     [(tally.drawn, tally.kept) for tally in distributed.work(Noise(), plan, ranks)]  # nothing is missing
    [(2, 0)]
    [(0, 2)]
    """
    if plan.kind not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {plan.kind!r}")
    parts = batches(plan.n, plan.batch)
    wanted = _wanted(source, plan, ranks.device)
    ranks.same({**wanted["settings"], "versions": wanted["versions"]})
    shards = FORMATS[plan.kind](plan.out, manifest.key(wanted))
    with ExitStack() as held:
        ranks.first_does(lambda: _open(plan.out, wanted, shards, held))
        if ranks.rank == 0 and ranks.size > len(parts):
            say(f"{ranks.size} ranks for {len(parts)} batches: the others have nothing to do; use a smaller --batch")
        bar = _Bar(progress if ranks.rank == 0 else None, ranks)
        tally = _loop(source, shards, parts, ranks, bar)
        found = [_tally(numbers) for numbers in ranks.gathered(tally.numbers(), bar.look)]
        bar.look()
        if ranks.rank == 0:
            _complete(plan.out, shards, parts, found, ranks)
    return found


def _wanted(source: Source, plan: Plan, device: Any) -> dict[str, Any]:
    """Return the manifest of the set that is asked for; on the CPU, sums depend on the number of threads."""
    import torch

    kind = getattr(device, "type", str(device))
    own = {"n": plan.n, "batch": plan.batch, "format": plan.kind, "device": kind}
    if kind == "cpu":
        own["threads"] = torch.get_num_threads()
    return manifest.document({**source.settings, **own}, plan.command)


def _open(folder: Path, wanted: Mapping[str, Any], shards: Shards, held: ExitStack) -> None:
    """Make the folder ready; `held` keeps other jobs out of it until it is closed."""
    held.enter_context(manifest.locked(folder))
    manifest.opened(folder, wanted)
    shards.clean()


class _Bar:
    """Shows on rank 0 how many batches are done on all of them."""

    def __init__(self, progress: Any, ranks: Ranks) -> None:
        self.progress, self.ranks, self.shown = progress, ranks, 0

    def look(self) -> None:
        """Show what is done by now."""
        if self.progress is None:
            return
        done = self.ranks.done()
        self.progress.update(done - self.shown)
        self.shown = done


def _loop(source: Source, shards: Shards, parts: Sequence[Batch], ranks: Ranks, bar: _Bar) -> Tally:
    tally = Tally()
    with stopping(several=ranks.size > 1) as stop:
        while (number := ranks.claim()) < len(parts):
            if shards.holds(parts[number]):
                tally.kept += 1
            else:
                _make(source, shards, parts[number], ranks.rank)
                tally.drawn += 1
                tally.samples += parts[number].count
            ranks.done(1)
            bar.look()
            if stop.is_set():
                raise StoppedError(f"stopped after {parts[number]}; {_kept(shards, parts)}")
    tally.seconds = time.perf_counter() - tally.began
    return tally


def _make(source: Source, shards: Shards, batch: Batch, rank: int) -> None:
    """Draw and write one batch; say whose it was if that fails."""
    import numpy as np

    who = f"rank {rank}, {batch}"
    try:
        arrays = source.draw(batch)
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise BatchError(f"{who}: {text}{_advice(error, batch)}") from error
    arrays["indices"] = np.arange(batch.first, batch.first + batch.count, dtype=np.int64)
    try:
        shards.write(batch, arrays)
    except OSError as error:
        text = f"{error.strerror}, in {who}; what is written is kept, and the same command goes on"
        raise OSError(error.errno, text, error.filename) from error
    except (ValueError, ModuleNotFoundError) as error:
        raise BatchError(f"{who}: {error}") from error


def _advice(error: BaseException, batch: Batch) -> str:
    torch = sys.modules.get("torch")
    memory = isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError))
    return f". Use a --batch smaller than {batch.count}, with another --out" if memory else ""


def _kept(shards: Shards, parts: Sequence[Batch]) -> str:
    there = sum(shards.path(batch).is_file() for batch in parts)
    return f"{there} of {len(parts)} batches are kept in {shards.folder}, and the same command goes on from there"


def _tally(numbers: Sequence[float]) -> Tally:
    drawn, samples, kept, seconds = numbers
    return Tally(int(drawn), int(samples), int(kept), seconds)


def _complete(folder: Path, shards: Shards, parts: Sequence[Batch], tallies: Sequence[Tally], ranks: Ranks) -> None:
    """Check that all is there, and enter the run into the manifest."""
    missing = [batch for batch in parts if not shards.path(batch).is_file()]
    if missing:  # a rank that took a batch and died without anybody's notice
        raise BatchError(f"{missing[0]} is missing in {folder} though it was taken; run the same command again")
    found = manifest.read(folder)
    each = [{"batches": one.drawn, "samples": one.samples, "seconds": round(one.seconds, 3)} for one in tallies]
    environment = provenance.environment(ranks.device)
    found["runs"].append({"ranks": ranks.size, "kept": sum(one.kept for one in tallies), "each": each, **environment})
    manifest.save(folder, found)


@contextmanager
def stopping(*, several: bool) -> Iterator[threading.Event]:
    """Turn SIGTERM, and Ctrl-C in a job of several ranks, into an event while the block runs.

    Without other ranks Ctrl-C stays a KeyboardInterrupt, which waits for nothing.
    """
    stop = threading.Event()
    signals = [signal.SIGTERM, signal.SIGINT] if several else [signal.SIGTERM]
    if threading.current_thread() is not threading.main_thread():  # where Python allows no handlers
        yield stop
        return
    before = [(one, signal.signal(one, lambda number, frame: stop.set())) for one in signals]
    try:
        yield stop
    finally:
        for one, handler in before:
            signal.signal(one, handler)
