"""Many samplers, each certified in a process of its own: rows of a table, kept as they come.

A row never fails: a sampler that is none, or that raises where nobody expected it, is a certificate without an order
that says why. Processes come from joblib (loky); each computes with one thread, since matrices are small, and at most
two rows a process wait. Rows are kept as they are done and returned in the order in which they were asked for.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from numdiff._files import write_atomically
from numdiff._names import suggest
from numdiff.certification.certificate import Certificate
from numdiff.certification.documents import markdown, write
from numdiff.certification.records import Records, conditions
from numdiff.certification.subject import NotASamplerError, Subject
from numdiff.grids.patterns import GRIDS
from numdiff.problems import mixtures, odes, paths
from numdiff.properties.order.regression import FEWEST

Resolve = Callable[..., Subject]


@dataclass(frozen=True)
class _Task:
    """What a process needs to know about one row."""

    row: int
    spec: str
    resolve: Resolve
    certify: Callable[..., Certificate] | None
    path: str
    asked: dict[str, Any]


@dataclass(frozen=True)
class _Result:
    """What comes back; a surprise is an exception that nobody foresaw."""

    row: int
    certificate: Certificate
    surprise: bool = False


def certify_all(
    specs: Sequence[str],
    resolve: Resolve,
    *,
    jobs: int | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: Any = None,
    seed: int = 0,
    steps: Sequence[int] | None = None,
    patterns: Sequence[str] = ("alternating",),
    path: str = "toys",
    resume: bool = True,
    certify: Callable[..., Certificate] | None = None,
) -> list[Certificate]:
    """Certify many samplers in parallel processes.

    Parameters
    ----------
    specs
        Names that `resolve` understands, each once.
    resolve
        ``resolve(spec) -> Subject``, called in the process that certifies: that of
        `numdiff.adapters.subjects`, or one's own.
    jobs
        Processes; by default as many as there are CPUs. One runs here, and needs no joblib.
    out
        Folder for one JSON file a sampler, under ``samplers``, and in the end ``certificates.json`` and
        ``certificates.md``. Nothing is kept without it.
    progress
        Its ``advance(text)`` is called after every row, kept ones too.
    seed, steps, patterns
        As in `certify`.
    path
        What is followed, as in `path_named`.
    resume
        Whether rows in `out` that were made under the same conditions are used again; see `records`.
    certify
        What certifies; `numdiff.certification.certify` by default.

    Returns
    -------
    list of Certificate
        One for each name, in order.

    Raises
    ------
    ValueError, TypeError
        For a name that occurs twice, an unknown path, or jobs that are no whole number of at least 1.
    OSError
        If `out` cannot be used.
    KeyboardInterrupt
        When interrupted; the message says what is kept and how to go on.

    Examples
    --------
    >>> from numdiff.adapters.subjects import resolve
    >>> from numdiff.certification import certify_all
    >>> found = certify_all(["numdiff:dpmpp", "numdiff:nope"], resolve, jobs=1, steps=(24, 48, 96))
    >>> [(one.subject, one.verdict) for one in found]
    [('numdiff:AB2 data/log-snr', 'certified'), ('numdiff:nope', 'no order')]
    """
    _check(jobs, steps, patterns, path)
    asked = {"seed": seed, "steps": None if steps is None else list(steps), "patterns": list(patterns)}
    table = _Table(_names(specs), path, asked, out, progress)
    if resume:
        table.take_up()
    missing = [row for row in range(len(table.specs)) if row not in table.rows]
    tasks = [_Task(row, table.specs[row], resolve, certify, path, asked) for row in missing]
    try:
        for result in _results(tasks, jobs):
            table.add(result)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(table.said()) from None
    except BrokenProcessPool as error:
        raise RuntimeError(f"a process died, for want of memory perhaps; use fewer jobs. {table.said()}") from error
    return table.finished()


@lru_cache(maxsize=2)
def path_named(name: str) -> paths.Path:
    """Return the path of that name: "toys", one toy equation ("riccati"), or the flow of a mixture ("two-modes").

    Parameters
    ----------
    name
        "toys", a name of `numdiff.problems.odes`, or one of `numdiff.problems.mixtures`.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        For an unknown name, with the nearest known one.

    Examples
    --------
    >>> from numdiff.certification import path_named
    >>> path = path_named("riccati")
    >>> path.span, path.exact(0.0).shape
    ((-1.0, 3.0), (1, 1))
    """
    equations = odes()
    if name == "toys":
        return paths.toys()
    if name in equations:
        return paths.of_ode(equations[name])
    _check_path(name)
    return paths.of_mixture(name, mixtures()[name])


def _check_path(name: str) -> None:
    known = ("toys", *odes(), *mixtures())
    if name not in known:
        suggest(name, known, "path")


def _check(jobs: int | None, steps: Sequence[int] | None, patterns: Sequence[str], path: str) -> None:
    """Refuse here what would otherwise be refused in every row."""
    if jobs is not None and (isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1):
        raise ValueError(f"jobs must be a whole number of at least 1, got {jobs!r}")
    if steps is not None and len(set(steps)) < FEWEST:
        raise ValueError(f"steps must hold at least {FEWEST} different numbers, got {list(steps)}; 24, 48, 96, say")
    if isinstance(patterns, str):
        raise TypeError(f"patterns must be a sequence of names, got the string {patterns!r}; write ({patterns!r},)")
    for name in patterns:
        if name not in GRIDS:
            suggest(name, GRIDS, "pattern")
    _check_path(path)


def _names(specs: Sequence[str]) -> list[str]:
    if isinstance(specs, str):
        raise TypeError(f"specs must be a sequence of names, got the string {specs!r}; write [{specs!r}]")
    for spec, count in Counter(specs).items():
        if not isinstance(spec, str):
            raise TypeError(f"specs must be texts such as 'diffusers:DDIMScheduler', got {spec!r}")
        if count > 1:
            raise ValueError(f"specs holds {spec!r} {count} times; name every sampler once")
    return list(specs)


class _Table:
    """The rows that are done, in memory and on disk."""

    def __init__(self, specs: list[str], path: str, asked: dict[str, Any], out: Any, progress: Any) -> None:
        self.specs, self.out, self.progress = specs, None if out is None else Path(out), progress
        self.asked = {"path": path, **asked}
        self.records = None if self.out is None else Records.open(self.out / "samplers")
        self.conditions = [conditions(spec, self.asked) for spec in specs if self.records is not None]
        self.rows: dict[int, Certificate] = {}

    def take_up(self) -> None:
        """Take the rows that are kept and still hold."""
        if self.records is None:
            return
        for row, spec in enumerate(self.specs):
            if (found := self.records.kept(spec, self.conditions[row])) is not None:
                self._done(row, found)

    def add(self, result: _Result) -> None:
        """Keep a row that has come, unless it is a surprise, which the next call has another try at."""
        if self.records is not None and not result.surprise:
            self.records.keep(self.specs[result.row], result.certificate, self.conditions[result.row])
        self._done(result.row, result.certificate)

    def finished(self) -> list[Certificate]:
        """Return all rows in order; write them as one file, and as a page."""
        found = [self.rows[row] for row in range(len(self.specs))]
        if self.out is not None:
            write(self.out / "certificates.json", found, self.asked)
            write_atomically(self.out / "certificates.md", markdown(found).encode())
        return found

    def said(self) -> str:
        """Say how far it is, what is kept, and how to go on."""
        count = f"{len(self.rows)} of {len(self.specs)} samplers are done"
        if self.out is None:
            return f"{count} and lost; a folder (--out) would have kept them"
        return f"{count} and kept in {self.out}, and the same command goes on from there"

    def _done(self, row: int, certificate: Certificate) -> None:
        self.rows[row] = certificate
        if self.progress is not None:
            self.progress.advance(self.specs[row])


# --- the processes ----------------------------------------------------------------------------------------------------


def _results(tasks: list[_Task], jobs: int | None) -> Iterator[_Result]:
    """Yield rows as they are done."""
    if jobs == 1 or len(tasks) <= 1:
        yield from map(_row, tasks)
        return
    try:
        from joblib import Parallel, cpu_count, delayed, parallel_config
        from joblib.externals.loky import get_reusable_executor
    except ModuleNotFoundError:
        text = "several processes need joblib: pip install 'numdiff[certify]', or use one (jobs=1)"
        raise ModuleNotFoundError(text) from None
    count = min(len(tasks), jobs or cpu_count())
    finished = False
    try:
        with warnings.catch_warnings(), parallel_config(backend="loky", n_jobs=count, inner_max_num_threads=1):
            warnings.filterwarnings("ignore", ".*still being processed", UserWarning)  # said by `said` when interrupted
            parallel = Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs")
            yield from parallel(delayed(_row)(task) for task in tasks)
        finished = True
    finally:  # idle processes would keep their memory for minutes
        get_reusable_executor().shutdown(wait=True, kill_workers=not finished)


def _row(task: _Task) -> _Result:
    """Return a row, whatever happens."""
    subject = None
    try:
        subject = task.resolve(task.spec)
        with _one_thread():
            certify = task.certify or _certify()
            return _Result(task.row, certify(subject, path=path_named(task.path), **task.asked))
    except NotASamplerError as error:
        return _Result(task.row, _without_order(task, subject, f"not a sampler: {_line(error)}"))
    except Exception as error:
        cause = f"{type(error).__name__}: {_line(error)}"
        return _Result(task.row, _without_order(task, subject, cause), surprise=True)


def _without_order(task: _Task, subject: Subject | None, cause: str) -> Certificate:
    claim, kind = (None, "flow") if subject is None else (subject.order, "weak" if subject.stochastic else "flow")
    return Certificate(task.spec, claim, kind, task.path, (), "no order", cause)


def _certify() -> Callable[..., Certificate]:
    """Return what certifies; all that it needs is imported where rows are made."""
    from numdiff.certification.certifier import certify

    return certify


def _one_thread() -> AbstractContextManager[Any]:
    """Compute with one thread (if threadpoolctl is installed) in whatever is loaded by now."""
    try:
        from threadpoolctl import threadpool_limits
    except ModuleNotFoundError:
        return nullcontext()
    limits: AbstractContextManager[Any] = threadpool_limits(limits=1)
    return limits


def _line(error: BaseException) -> str:
    """Return the message of an error on one line."""
    return " ".join(str(error).split()) or "no message"
