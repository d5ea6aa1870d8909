"""What the ranks of a job say to each other: which batch is next, how many are done, and in the end who did what.

Batches are dealt by one counter in the job's store (the TCP store that the ranks meet at): who asks gets the next
number. A slow rank so takes fewer batches, and nobody has to know how many ranks there are, or were. The counter starts
at zero every time; a batch that is done already costs its reader a look at the file.

The process group (gloo on CPUs, NCCL on GPUs) is used once, for the summary at the end: the ranks meet there, so that
whoever hosts the store leaves last, and a rank that has died is noticed as soon as its connections close. Nothing
between the ranks is collective before that, so that none waits for another.

Accelerate has no part in this. What it would give here is ``PartialState().split_between_processes``, which cuts the
work in advance by the number of ranks, where a counter is shorter, balances, and lets a restart have other ranks.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

TIMEOUT = 3600.0
"""Seconds that a rank waits for the others before it gives up: longer than a batch, and than loading a model."""


class LostRankError(RuntimeError):
    """Another rank has gone, or isn't heard of any more.

    Examples
    --------
    >>> from torch.distributed import HashStore
    >>> from numdiff import distributed
    >>> from numdiff.distributed.ranks import met
    >>> try:
    ...     met(HashStore(), 1, 2, timeout=0.1)  # rank 1 of 2, and no rank 0
    ... except distributed.LostRankError as error:
    ...     print(error)
    another rank did not come in time; are all ranks started?
    """


@dataclass
class Ranks:
    """One process that is the whole job; `Several` is one of many.

    Attributes
    ----------
    rank, size
        This process and how many there are.
    local
        Number of this process on its machine.
    device
        Where it computes, a torch device.

    Examples
    --------
    >>> import torch
    >>> from numdiff import distributed
    >>> alone = distributed.Ranks(rank=0, size=1, local=0, device=torch.device("cpu"))
    >>> [alone.claim() for _ in range(3)]
    [0, 1, 2]
    >>> alone.done(2), alone.gathered([1.0, 2.0], lambda: None)
    (2, [[1.0, 2.0]])
    """

    rank: int
    size: int
    local: int
    device: Any

    def __post_init__(self) -> None:
        """Begin to count."""
        self._claimed = self._done = 0

    def claim(self) -> int:
        """Return the number of the next batch that nobody has taken."""
        self._claimed += 1
        return self._claimed - 1

    def done(self, more: int = 0) -> int:
        """Count `more` batches as done and return how many are, on all ranks."""
        self._done += more
        return self._done

    def first_does(self, task: Callable[[], Any]) -> None:
        """Let rank 0 do something while the others wait.

        Raises
        ------
        SystemExit
            On the others, if rank 0 failed; it's rank 0 that says why.
        """
        task()

    def same(self, said: Mapping[str, Any]) -> None:
        """Raise a ValueError unless plain JSON data are those of rank 0; the message names what differs."""

    def gathered(self, numbers: list[float], waiting: Callable[[], None]) -> list[list[float]]:
        """Return the numbers of all ranks, in order, when all have come here.

        Parameters
        ----------
        numbers
            What this rank says, as many numbers as every other.
        waiting
            Called again and again meanwhile.

        Raises
        ------
        LostRankError
            If a rank has died, or doesn't come.
        """
        return [numbers]


@dataclass
class Several(Ranks):
    """One rank of many, which share a store and a process group of torch.distributed.

    Parameters
    ----------
    rank, size, local, device
        As in `Ranks`.
    store
        A store of ``torch.distributed`` that all ranks share.
    timeout
        Seconds to wait for the others.

    Examples
    --------
    >>> import torch
    >>> from torch.distributed import HashStore
    >>> from numdiff import distributed
    >>> store, cpu = HashStore(), torch.device("cpu")
    >>> one, other = (distributed.Several(rank, 2, rank, cpu, store=store) for rank in (0, 1))
    >>> one.claim(), other.claim(), one.claim()  # batches are dealt by a counter
    (0, 1, 2)
    >>> one.done(1), other.done(2)
    (1, 3)
    """

    store: Any
    timeout: float = TIMEOUT

    def claim(self) -> int:
        """See `Ranks`."""
        return int(self.store.add("claimed", 1)) - 1

    def done(self, more: int = 0) -> int:
        """See `Ranks`."""
        return int(self.store.add("done", more))

    def first_does(self, task: Callable[[], Any]) -> None:
        """See `Ranks`."""
        if self.rank:
            if self._get("opened", "open the folder") != "yes":
                raise SystemExit(2)
            return
        try:
            task()
        except BaseException:
            self.store.set("opened", "no")
            raise
        self.store.set("opened", "yes")

    def same(self, said: Mapping[str, Any]) -> None:
        """See `Ranks`."""
        if self.rank == 0:
            self.store.set("said", json.dumps(said))
            return
        other = json.loads(self._get("said", "say its settings"))
        for name in (*other, *said):
            here, there = json.loads(json.dumps(said.get(name))), other.get(name)
            if here != there:
                raise ValueError(
                    f"the ranks were started differently: {name} is {here!r} here and {there!r} on rank 0; give all of "
                    "them the same command, the same files and the same versions"
                )

    def gathered(self, numbers: list[float], waiting: Callable[[], None]) -> list[list[float]]:
        """See `Ranks`."""
        import torch
        from torch import distributed

        mine = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        every = [torch.zeros_like(mine) for _ in range(self.size)]
        try:
            work = distributed.all_gather(every, mine, async_op=True)
            while not work.is_completed():
                waiting()
                time.sleep(0.1)
            work.wait()
        except RuntimeError as error:  # what torch raises when a connection closes or time is up
            raise LostRankError(
                f"another rank has gone, or did nothing for {self.timeout:g} s ({' '.join(str(error).split())[:200]})"
            ) from error
        return [one.tolist() for one in every]

    def _get(self, key: str, what: str) -> str:
        try:
            return str(self.store.get(key).decode())
        except RuntimeError as error:
            raise LostRankError(f"rank 0 did not {what} within {self.timeout:g} s, or has gone") from error


def asked() -> tuple[int, int, int]:
    """Return (rank, size, local rank) from the environment that torchrun makes; (0, 1, 0) where there is none.

    Raises
    ------
    ValueError
        If the environment is only half there, or its numbers are none.
    """
    rank, size, local = (_number(name, usual) for name, usual in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0)))
    names = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    missing = [name for name in names if name not in os.environ]
    if size > 1 and missing:
        raise ValueError(
            f"WORLD_SIZE is {size} but {', '.join(missing)} is not set; start the ranks with torchrun, or set all of "
            f"WORLD_SIZE, {', '.join(names)}"
        )
    if size < 1 or (size > 1 and rank >= size):
        raise ValueError(
            f"RANK is {rank} and WORLD_SIZE {size}, but ranks count from 0 to WORLD_SIZE - 1; use torchrun"
        )
    return rank, size, local


def _number(name: str, usual: int) -> int:
    """Return a number of the environment."""
    text = os.environ.get(name, str(usual))
    if not text.isdecimal():
        raise ValueError(
            f"{name} is {text!r} in the environment, not a number; start the ranks with torchrun, or unset it"
        )
    return int(text)


def device(name: str, local: int = 0) -> Any:
    """Return the torch device of a rank: for "cuda" the GPU of its local number.

    Parameters
    ----------
    name
        "cpu", "cuda", or "auto": cuda where there is one.
    local
        Number of the rank on its machine.

    Raises
    ------
    ValueError
        If there are fewer GPUs than ranks, or none.
    """
    import torch

    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not there):
        return torch.device("cpu")
    if name not in ("cuda", "auto"):
        raise ValueError(
            f"device must be 'auto', 'cpu' or 'cuda', got {name!r}; a rank takes the GPU of its own number"
        )
    if local >= there:
        fewer = f"use --nproc-per-node={there}, or LOCAL_RANK=0 where each process sees its own GPU alone"
        remedy = fewer if there else "use --device cpu, or a CUDA build of torch"
        raise ValueError(
            f"local rank {local} has no GPU of its own: torch {torch.__version__} sees {there or 'none'} on this "
            f"machine; {remedy}"
        )
    return torch.device("cuda", local)


@contextmanager
def connected(where: str = "auto", timeout: float = TIMEOUT) -> Iterator[Ranks]:
    """Join the job that the environment describes, and leave it after the block.

    Parameters
    ----------
    where
        As for `device`.
    timeout
        Seconds to wait for other ranks.

    Yields
    ------
    Ranks
        This process alone, or `Several` where the environment names others.

    Raises
    ------
    ValueError
        If the environment is only half there, or the device is not.
    LostRankError
        If the ranks don't find each other.

    Examples
    --------
    >>> from numdiff import distributed
    >>> with distributed.connected("cpu") as ranks:  # not started by torchrun: one process is the whole job
    ...     ranks.rank, ranks.size
    (0, 1)
    """
    rank, size, local = asked()
    place = device(where, local)
    if place.type == "cuda":
        import torch

        torch.cuda.set_device(place)
    if size == 1:
        yield Ranks(0, 1, local, place)
        return
    from torch import distributed

    store = _joined(rank, size, place, timeout)
    try:
        yield Several(rank, size, local, place, store=store, timeout=timeout)
    finally:
        distributed.destroy_process_group()


def _joined(rank: int, size: int, place: Any, timeout: float) -> Any:
    """Make the process group and return the part of its store that is ours."""
    from torch import distributed

    limit = timedelta(seconds=timeout)
    backend, options = ("nccl", {"device_id": place}) if place.type == "cuda" else ("gloo", {})
    try:
        store, _, _ = next(distributed.rendezvous("env://", rank, size, timeout=limit))
        store.set_timeout(limit)
        name = met(store, rank, size, timeout)
        group = distributed.PrefixStore(f"{name}/group", store)
        distributed.init_process_group(backend, store=group, rank=rank, world_size=size, timeout=limit, **options)
    except RuntimeError as error:
        raise LostRankError(
            f"{size} ranks did not find each other at {os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']} "
            f"({' '.join(str(error).split())[:200]}); are all of them started, and may they connect?"
        ) from error
    return distributed.PrefixStore(f"{name}/work", store)


def met(store: Any, rank: int, size: int, timeout: float) -> str:
    """Return a name that the ranks of this start agree on, and that no earlier start had.

    torchrun keeps its store when it starts ranks again, with all that the dead ones wrote, and what it says about the
    number of starts differs from machine to machine. So rank 0 makes up a name and shows it; each of the others answers
    under the name it sees, which may be an old one, with a word of its own; and only whose word comes back, which
    nobody but a living rank 0 does, knows that the name is today's.

    Raises
    ------
    LostRankError
        If not all have come in time.
    """
    own, until = uuid.uuid4().hex, time.monotonic() + timeout
    if rank == 0:
        store.set("numdiff", own)
        for other in range(1, size):
            store.set(f"{own}/seen/{other}", _until(store, f"{own}/here/{other}", until))
        return own
    while time.monotonic() < until:
        name = _until(store, "numdiff", until)
        store.set(f"{name}/here/{rank}", own)
        if store.check([f"{name}/seen/{rank}"]) and store.get(f"{name}/seen/{rank}").decode() == own:
            return name
        time.sleep(0.05)
    raise LostRankError(f"rank 0 did not come within {timeout:g} s; are all ranks started?")


def _until(store: Any, key: str, until: float) -> str:
    """Return what a key holds, once it is there."""
    try:
        store.wait([key], timedelta(seconds=max(0.001, until - time.monotonic())))
    except RuntimeError as error:
        raise LostRankError("another rank did not come in time; are all ranks started?") from error
    return str(store.get(key).decode())
