"""Sweeps of experiments: one function, many settings, one file each, on whatever computes.

::

    from numdiff.study import sweeps

    def error(method, steps):
        ...
        return {"rmse": 0.01}

    records = sweeps.run(error, [{"method": "ghvb3", "steps": n} for n in (5, 10, 20)], out="results/error", jobs=4)

Every setting is one call, ``function(**setting)``, whose result is written to ``out`` by the process that asked, as
soon as it comes. The file is named by the digest of the setting, holds what is needed to read it alone, and is written
all or nothing. The same call goes on where an interrupted one stopped: what is there is not computed again, and what
failed is tried again.

**Where it runs** is joblib's business. ``jobs=4`` takes four processes of this machine (loky). A cluster is chosen
outside, so that the experiment does not know about it::

    from dask.distributed import Client
    with Client("tcp://scheduler:8786"), joblib.parallel_config(backend="dask"):
        sweeps.run(error, settings, out="results/error")

or, for Ray, ``ray.util.joblib.register_ray()`` and ``parallel_config(backend="ray")``. Workers need the packages and
the function's module, not the folder. Backends that return results only all at once (Ray's, multiprocessing) are given
as many settings at a time as they have workers. Of Dask all its workers take part, whatever `jobs` is; a setting that
kills its worker, for want of memory say, fails as one that raises does.

**What is used again** was made by the same function: its name, the arguments that a `functools.partial` binds, its
compiled code and its default values, and by the same versions of the libraries. What the function calls is not looked
at: after a change there, give another `out` or ``resume=False``. Lambdas, local functions, methods and callable objects
have no name of their own and need ``name=``.

A setting whose function raises (or leaves by `SystemExit`) is written beside the results as ``DIGEST.failed.json``,
with the traceback, and does not stop the others; all failures are raised as one `SweepError` when the rest is done.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from pathlib import Path
from typing import Any

from numdiff import provenance
from numdiff._files import write_atomically
from numdiff.study import sweep_names
from numdiff.study.store import digest
from numdiff.study.sweep_calls import ClusterError, Outcome, outcomes, plain

__all__ = ["SweepError", "run"]

FORMAT, VERSION = "numdiff sweep", 1


class SweepError(RuntimeError):
    """Some settings failed; the others are done and kept.

    Attributes
    ----------
    failures : list of dict
        Their records: ``settings``, ``error`` and ``traceback``.
    records : list of dict
        Those of the settings that were done, in order.

    Examples
    --------
    >>> import tempfile
    >>> from numdiff.study import sweeps
    >>> def inverse(n):
    ...     return 1 / n
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     try:
    ...         sweeps.run(inverse, [{"n": 2}, {"n": 0}], out=folder, name="inverse")
    ...     except sweeps.SweepError as error:
    ...         print([failure["settings"] for failure in error.failures], [kept["result"] for kept in error.records])
    [{'n': 0}] [0.5]
    """

    def __init__(self, message: str, failures: list[dict[str, Any]], records: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.failures, self.records = failures, records


def run(
    function: Callable[..., Any],
    settings: Iterable[Mapping[str, Any]],
    *,
    out: str | os.PathLike[str],
    backend: str | None = None,
    jobs: int | None = None,
    progress: Any = None,
    resume: bool = True,
    name: str | None = None,
) -> list[dict[str, Any]]:
    """Call a function with many settings, in parallel if asked, and keep each result.

    Parameters
    ----------
    function
        ``function(**setting)``, which returns plain JSON data (None where a number does not exist, no NaN). It must be
        one that the backend can send to its workers: for Dask and Ray one of a module that they can import.
    settings
        Keyword arguments, plain JSON data, no two alike. The function gets them as JSON has them: a tuple is a list.
        1 and 1.0 are two settings.
    out
        Folder for the results, made if need be.
    backend
        A backend of joblib: "loky", "threading", "dask", "ray", "sequential". By default that of an enclosing
        ``joblib.parallel_config``, and without one loky, or for ``jobs=None`` this process alone.
    jobs
        How many at a time; -1 for all processors. By default what an enclosing ``joblib.parallel_config`` says or the
        given backend likes best, and without either 1.
    progress
        Its ``advance(text)`` is called for every setting, kept ones too.
    resume
        Whether results of `out` are used again. Otherwise they are replaced one by one.
    name
        What the results are recognised by in place of the function's name and code. Needed where it has no name of its
        own; whoever gives it says that all results under it are those of one function.

    Returns
    -------
    list of dict
        A record for each setting, in order: ``settings``, ``result``, ``seconds``, ``function`` and its ``code``,
        ``versions`` here and the ``environment`` there; the same whether it was computed now or read.

    Raises
    ------
    SweepError
        If settings failed, when all others are done; the message names the first.
    ValueError, TypeError
        For settings that are not JSON data or occur twice, an unknown backend, jobs that are no number of processes, a
        function without a name of its own or that cannot be sent to other processes, or a folder that holds results of
        another function or of other versions of what computes.
    OSError
        If `out` cannot be used, or a result not be written (a full disk); what was written is kept.
    KeyboardInterrupt
        When interrupted; the message says what is kept.

    Examples
    --------
    >>> import tempfile
    >>> import numdiff as nd
    >>> from numdiff.study import sweeps
    >>> def error(order, steps):
    ...     method = nd.AdamsBashforth(order)
    ...     y = nd.solve_ivp(method, lambda t, y: -y, [k / steps for k in range(steps + 1)], 1.0)
    ...     return {"error": abs(float(y) - 2.718281828459045**-1)}
    >>> settings = [{"order": 2, "steps": steps} for steps in (10, 20, 40)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     records = sweeps.run(error, settings, out=folder, name="error")
    ...     again = sweeps.run(error, settings, out=folder, name="error")  # read, not computed
    >>> again == records, [f"{record['result']['error']:.1e}" for record in records]
    (True, ['4.0e-04', '8.8e-05', '2.1e-05'])
    """
    _check(function, out, backend, jobs, progress, name)
    known = (sweep_names.name(function), sweep_names.code(function)) if name is None else (name, None)
    sweep = _Sweep(known, _listed(settings), _folder(Path(out)), progress)
    if resume:
        sweep.take_up()
    missing = [row for row in range(len(sweep.settings)) if row not in sweep.records]
    tasks = [(row, sweep.settings[row]) for row in missing]
    try:
        with closing(outcomes(function, tasks, backend, jobs)) as found:
            for row, outcome in found:
                sweep.add(row, outcome)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(sweep.said()) from None
    except BrokenProcessPool as error:
        raise RuntimeError(f"a process died, for want of memory perhaps; use fewer jobs. {sweep.said()}") from error
    except ClusterError as error:
        raise RuntimeError(f"{error}. {sweep.said()}") from error
    return sweep.finished()


# --- what is asked ----------------------------------------------------------------------------------------------------


def _check(function: Any, out: Any, backend: Any, jobs: Any, progress: Any, name: Any) -> None:
    if not callable(function):
        raise TypeError(f"function must be a function that returns JSON data, got {function!r}")
    if not isinstance(out, (str, os.PathLike)):
        raise TypeError(f"out must be the path of a folder, got {out!r}")
    if not isinstance(backend, (str, type(None))):
        raise TypeError(f"backend must be the name of one, such as 'loky' or 'dask', got {backend!r}")
    if jobs is not None and (isinstance(jobs, bool) or not isinstance(jobs, int)):
        raise TypeError(f"jobs must be an int, got {jobs!r}")
    if jobs is not None and jobs < 1 and jobs != -1:
        raise ValueError(f"jobs must be at least 1, or -1 for all processors, got {jobs}")
    if progress is not None and not hasattr(progress, "advance"):
        raise TypeError(f"progress must have a method advance(text), got {progress!r}")
    if name is not None and not (isinstance(name, str) and name):
        raise TypeError(f"name must be text that the results are recognised by, got {name!r}")


def _listed(settings: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the settings, checked."""
    if isinstance(settings, (str, Mapping)) or not isinstance(settings, Iterable):
        raise TypeError(f"settings must be a list of mappings, got {settings!r}; put the one into a list")
    found: list[dict[str, Any]] = []
    seen: dict[str, int] = {}
    for number, one in enumerate(settings):
        if not isinstance(one, Mapping) or not all(isinstance(name, str) for name in one):
            raise TypeError(f"settings[{number}] must be a mapping from names of arguments to values, got {one!r}")
        try:
            key = digest(dict(one))
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"settings[{number}] = {one!r} is not plain JSON data ({error}); use numbers, text, lists and "
                "mappings, and convert inside the function"
            ) from None
        if key in seen:
            raise ValueError(f"settings[{seen[key]}] and settings[{number}] are the same, {one!r}; drop one of them")
        seen[key] = number
        found.append(plain(dict(one)))
    return found


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        text = "is in the way of a folder; choose another out= or remove it"
        raise NotADirectoryError(errno.ENOTDIR, text, str(path)) from None
    return path


# --- what is kept -----------------------------------------------------------------------------------------------------


class _Sweep:
    """The settings with what has come of them."""

    def __init__(
        self, known: tuple[str, str | None], settings: list[dict[str, Any]], folder: Path, progress: Any
    ) -> None:
        (self.function, self.code), self.settings, self.folder, self.progress = known, settings, folder, progress
        self.records: dict[int, dict[str, Any]] = {}
        self.failures: dict[int, dict[str, Any]] = {}
        self.versions = provenance.versions()

    def path(self, row: int, ending: str = ".json") -> Path:
        """Return the file of a setting."""
        return self.folder / (digest(self.settings[row])[:20] + ending)

    def take_up(self) -> None:
        """Take the results that are there."""
        for row in range(len(self.settings)):
            record = _read(self.path(row))
            if record is not None:
                self._compare(row, record)
                self.records[row] = record
                self._said(row, "kept")

    def _compare(self, row: int, record: dict[str, Any]) -> None:
        """Refuse a result that another function, or another version of what computes, has made."""
        remedy = "give another out=, or resume=False to replace what is there"
        if record["function"] != self.function:
            raise ValueError(f"{self.path(row)} is a result of {record['function']}, not of {self.function}; {remedy}")
        for package, then in record["versions"].items():  # one that came or went meanwhile is not what computed
            now = self.versions.get(package, then)
            if then != now:
                raise ValueError(f"{self.path(row)} was made with {package} {then}, and here is {now}; {remedy}")
        if record.get("code", self.code) != self.code:
            raise ValueError(f"{self.path(row)} was made by {self.function} before its code was changed; {remedy}")

    def add(self, row: int, outcome: Outcome) -> None:
        """Keep what came of a setting."""
        record = {"format": FORMAT, "version": VERSION, "function": self.function}
        record |= {"code": self.code, "settings": self.settings[row]}
        ending = {"seconds": outcome.seconds, "versions": self.versions, "environment": outcome.environment}
        if outcome.error:
            self.failures[row] = {**record, "error": outcome.error, "traceback": outcome.traceback, **ending}
            self._write(self.path(row, ".failed.json"), self.failures[row])
        else:
            record |= {"result": outcome.result, **ending}
            record["sha256"] = _checksum(record)
            self.records[row] = record
            self._write(self.path(row), record)
            self.path(row, ".failed.json").unlink(missing_ok=True)
        self._said(row, outcome.error or f"{outcome.seconds:.1f} s")

    def _write(self, path: Path, record: dict[str, Any]) -> None:
        write_atomically(path, (json.dumps(record, indent=1, allow_nan=False) + "\n").encode())

    def _said(self, row: int, text: str) -> None:
        if self.progress is not None:
            self.progress.advance(f"{_short(self.settings[row])}: {text}")

    def said(self) -> str:
        """Say how far it is, what is kept, and how to go on."""
        count = f"{len(self.records)} of {len(self.settings)} settings are done"
        return f"{count} and kept in {self.folder}, and the same call goes on from there"

    def finished(self) -> list[dict[str, Any]]:
        """Return all records in order, or raise what failed."""
        done = [self.records[row] for row in sorted(self.records)]
        if not self.failures:
            return done
        row, first = min(self.failures.items())
        others = f", and {len(self.failures) - 1} more" if len(self.failures) > 1 else ""
        raise SweepError(
            f"{_short(self.settings[row])} failed{others}: {first['error']}. {self.said()}; tracebacks are in "
            f"{self.folder}/*.failed.json",
            [self.failures[row] for row in sorted(self.failures)],
            done,
        )


def _short(setting: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in setting.items()) or "no arguments"


def _checksum(record: Mapping[str, Any]) -> str:
    names = ("function", "settings", "result", "versions", *(["code"] if "code" in record else []))
    return digest({name: record[name] for name in names})


def _read(path: Path) -> dict[str, Any] | None:
    """Return a record; None if there is none, or none that can be trusted."""
    try:
        record = json.loads(path.read_bytes())
        sound = (record["format"], record["version"]) == (FORMAT, VERSION) and record["sha256"] == _checksum(record)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return record if sound else None
