"""Where the calls of a sweep are made: in this process, or by a backend of joblib.

Of a Dask cluster joblib gives the client and no more. Its own way to Dask waits for ever when a function cannot be sent
or a worker dies for good (it is told of results, not of errors), so the client is asked directly; and there a worker
that dies is the failure of the setting that it died of, since Dask starts another and goes on.
"""

from __future__ import annotations

import json
import pickle
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from numdiff import provenance
from numdiff.study.store import canonical

_NEEDED = "several processes and clusters need joblib: pip install 'numdiff[sweeps]', or leave jobs and backend out"
Task = tuple[int, dict[str, Any]]
"""The number of a setting, and the setting."""


class ClusterError(RuntimeError):
    """The cluster has gone, and with it what was under way."""


@dataclass(frozen=True)
class Outcome:
    """What a worker sends back: a result as JSON has it, or the error in its place."""

    result: Any = None
    seconds: float = 0.0
    environment: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    traceback: str = ""


def computed(function: Callable[..., Any], row: int, setting: dict[str, Any]) -> tuple[int, Outcome]:
    """Call the function, in the process of a worker, whatever happens but an interrupt."""
    began = time.perf_counter()
    try:
        result = plain(function(**setting))
    except (Exception, SystemExit) as failure:
        return row, Outcome(None, time.perf_counter() - began, _environment(), _said(failure), traceback.format_exc())
    return row, Outcome(result, time.perf_counter() - began, _environment())


def plain(value: Any) -> Any:
    """Return JSON data as a file gives them back: tuples are lists, keys are text, NumPy's floats are floats."""
    canonical(value)  # refuses what has no place in JSON, and keys of several types, which could become the same text
    return json.loads(json.dumps(value))


def _said(failure: BaseException) -> str:
    return f"{type(failure).__name__}: {' '.join(str(failure).split()) or 'no message'}"


def _environment() -> dict[str, Any]:
    """Return where this process computes; torch is asked only if the function has used it."""
    torch = sys.modules.get("torch")
    if torch is None:
        return {"device": provenance.device(), "versions": provenance.versions()}
    return provenance.environment("cuda" if torch.cuda.is_initialized() else "cpu")


def outcomes(
    function: Callable[..., Any], tasks: Sequence[Task], backend: str | None, jobs: int | None
) -> Generator[tuple[int, Outcome]]:
    """Yield what comes of the settings, in any order."""
    alone = backend in (None, "sequential") and jobs in (None, 1)
    if not tasks or (alone and "joblib" not in sys.modules):  # then nobody has configured it, and it's not needed
        yield from (computed(function, *task) for task in tasks)
        return
    try:
        from joblib.parallel import get_active_backend
    except ModuleNotFoundError:
        raise ModuleNotFoundError(_NEEDED) from None
    with warnings.catch_warnings(), _configured(backend, jobs):
        warnings.filterwarnings("ignore", ".*still being processed", UserWarning)  # said by the sweep when interrupted
        active, count = get_active_backend()
        width = active.effective_n_jobs(active.default_n_jobs if count is None else count)  # as Parallel has it
        kind = type(active).__name__
        if kind == "DaskDistributedBackend":
            _sendable(function)
            yield from _by_dask(active, function, tasks)
            return
        if width > 1 and not getattr(active, "supports_sharedmem", False):
            _sendable(function)
        with _ended(kind == "LokyBackend" and width > 1):
            yield from _by_joblib(active, width, function, tasks)


def _configured(backend: str | None, jobs: int | None) -> AbstractContextManager[Any]:
    """Return the configuration of joblib: that of the surroundings where nothing is asked for."""
    from joblib import parallel_config

    if backend is None and jobs is None:
        return nullcontext()
    given = {} if backend is None else {"backend": backend}
    try:
        return parallel_config(n_jobs=-1 if jobs is None else jobs, **given)
    except (ValueError, ImportError) as error:
        raise ValueError(
            f"backend {backend!r} cannot be used: {error}; choose loky, threading or sequential, or one that is "
            "registered, such as dask (with a Client) or ray (after register_ray)"
        ) from error


def _pickled(value: Any) -> bytes:
    """Return something as loky and Dask send it: what has no name of its own goes by value."""
    from joblib.externals.loky.backend.reduction import dumps

    return bytes(dumps(value))


def _sendable(function: Callable[..., Any]) -> None:
    """Refuse a function that no other process can be given, before anybody waits for it."""
    try:
        _pickled(function)
    except Exception as error:
        raise TypeError(
            f"function {function!r} cannot be sent to other processes ({_said(error)}); make what it holds (locks, "
            'open files, connections) inside it, or use backend="threading"'
        ) from error


def _by_joblib(
    active: Any, width: int, function: Callable[..., Any], tasks: Sequence[Task]
) -> Iterator[tuple[int, Outcome]]:
    """Call by joblib; where it returns results only all at once, as many settings at a time as there are workers."""
    from joblib import Parallel, delayed

    streams = getattr(active, "supports_return_generator", False) or type(active).__name__ == "SequentialBackend"
    options = {"return_as": "generator_unordered", "batch_size": 1, "pre_dispatch": "2*n_jobs"} if streams else {}
    width = len(tasks) if streams else width
    for begin in range(0, len(tasks), width):
        calls = (delayed(computed)(function, *task) for task in tasks[begin : begin + width])
        yield from Parallel(**options)(calls)


@dataclass(frozen=True)
class _Call:
    """What is a call of `computed` where it is unpickled.

    A worker takes it without knowing the function's module, and where it has none, this task fails there by an
    ImportError. Dask's own way is to unpickle the function with the message, and nobody hears when that fails.
    """

    function: Callable[..., Any]
    row: int
    setting: dict[str, Any]

    def __reduce__(self) -> tuple[Any, ...]:
        """See above."""
        return computed, (self.function, self.row, self.setting)


def _by_dask(active: Any, function: Callable[..., Any], tasks: Sequence[Task]) -> Iterator[tuple[int, Outcome]]:
    """Call by the client that joblib's backend has found.

    Dask blames the death of a worker on all that were there; who is blamed has another try alone in the end.
    """
    from distributed import KilledWorker

    suspects = []
    for task, future in _finished(active, function, tasks):
        if isinstance(future.exception(), KilledWorker):
            suspects.append(task)
        else:
            yield _of_dask(future, task[0])
    for suspect in suspects:
        for (row, _), future in _finished(active, function, [suspect]):
            yield _of_dask(future, row)


def _finished(active: Any, function: Callable[..., Any], tasks: Sequence[Task]) -> Iterator[tuple[Task, Any]]:
    """Yield the tasks with their futures as they finish; what is left when the caller stops is cancelled."""
    from distributed import as_completed

    client, options = active.client, {"pure": False, "key": "sweep", **active.submit_kwargs}
    futures = client.map(pickle.loads, [_pickled(_Call(function, *task)) for task in tasks], **options)
    waiting = dict(zip(futures, tasks, strict=True))
    del futures  # those that are done are let go, so that the cluster forgets their results
    try:
        for future in as_completed(list(waiting)):
            task = waiting.pop(future)
            if future.cancelled():
                raise ClusterError("the Dask cluster or its Client has gone; start it again")
            yield task, future
    finally:
        if client.status == "running":
            client.cancel(list(waiting))


def _of_dask(future: Any, row: int) -> tuple[int, Outcome]:
    """Return what came of a future; what failed outside the function has no environment and no time."""
    try:
        found: tuple[int, Outcome] = future.result()
    except Exception as error:
        return row, Outcome(error=_said(error), traceback="".join(traceback.format_exception(error)))
    return found


@contextmanager
def _ended(loky: bool) -> Iterator[None]:
    """End the processes of loky after the block, at once if it is left early: they'd go on with what nobody waits for.

    Idle ones would keep their memory for minutes.
    """
    finished = False
    try:
        yield
        finished = True
    finally:
        if loky:
            from joblib.externals.loky import get_reusable_executor

            get_reusable_executor().shutdown(wait=True, kill_workers=not finished)
