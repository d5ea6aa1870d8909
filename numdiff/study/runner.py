"""Run a study: stage after stage, each kept on disk as soon as it is done, then tables, figures and the report.

An interrupt loses the stage that is running and nothing else: the next run finds the results whose keys match, says so,
and goes on. What is drawn from the results is drawn again only if a result, the drawing code or a file is not what it
was.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from numdiff.study import derivation, orders, regions, store
from numdiff.study.progress import Progress
from numdiff.study.settings import FULL, Settings
from numdiff.study.threads import limited


class StageError(RuntimeError):
    """A stage failed; the cause says why.

    Examples
    --------
    >>> import tempfile
    >>> from numdiff import study
    >>> from numdiff.study.progress import Progress
    >>> def fails(seed, progress):
    ...     raise ZeroDivisionError("no numbers")
    >>> stage = study.Stage("mine", "my stage", {}, lambda: 1, fails)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     try:
    ...         study.run(folder, parts=[stage], progress=Progress(quiet=True))
    ...     except study.StageError as error:
    ...         print(error)
    my stage: ZeroDivisionError: no numbers
    """


@dataclass(frozen=True)
class Stage:
    """One part of a study.

    Parameters
    ----------
    name
        Name of its file.
    title
        What the progress display says.
    settings
        What decides its result besides the seed, as plain data.
    units
        How many steps the progress display counts; asked for only when the stage runs.
    compute
        Called with the seed and the progress; returns the result as plain data.

    Examples
    --------
    >>> from numdiff import study
    >>> stage = study.Stage("sum", "a sum", {"n": 4}, lambda: 1, lambda seed, progress: {"sum": sum(range(4)) + seed})
    >>> stage.compute(10, None)
    {'sum': 16}
    """

    name: str
    title: str
    settings: dict[str, Any]
    units: Callable[[], int]
    compute: Callable[[int, Progress], dict[str, Any]]


def stages(settings: Settings, threads: int = 1) -> list[Stage]:
    """Return the stages of a study in their order, for so many threads of torch.

    Parameters
    ----------
    settings
        Of the study.
    threads
        Threads of torch.

    Returns
    -------
    list of Stage
        Schemes, regions, orders, and the digits once for each strength of guidance.

    Examples
    --------
    >>> from numdiff import study
    >>> [stage.name for stage in study.stages(study.FULL)]
    ['schemes', 'regions', 'orders', 'digits-guidance-1', 'digits-guidance-4']
    """

    def stage(name: str, title: str, module: Any, part: Any) -> Stage:
        return Stage(name, title, asdict(part), partial(module.units, part), partial(module.compute, part))

    found = [
        stage("schemes", "deriving schemes", derivation, settings.schemes),
        stage("regions", "stability regions", regions, settings.regions),
        stage("orders", "observed orders", orders, settings.orders),
    ]
    return found + [_digits_stage(settings, guidance, threads) for guidance in settings.guidance]


def _digits_stage(settings: Settings, guidance: float, threads: int) -> Stage:
    part = settings.digits

    def units() -> int:
        from numdiff.study import digits

        return digits.units(part)

    def compute(seed: int, progress: Progress) -> dict[str, Any]:
        from numdiff.study import digits

        return digits.compute(part, seed, progress, guidance, threads)

    name = f"digits-guidance-{guidance:g}"
    return Stage(name, f"digits, guidance {guidance:g}", {**asdict(part), "guidance": guidance}, units, compute)


def run(
    out: str | os.PathLike[str],
    settings: Settings = FULL,
    *,
    force: bool = False,
    threads: int = 1,
    progress: Progress | None = None,
    parts: Sequence[Stage] | None = None,
) -> Path:
    """Run a study, or what is missing of it.

    Parameters
    ----------
    out
        Output folder; made if need be.
    settings
        `FULL`, `FAST`, or others.
    force
        Compute everything anew.
    threads
        Threads of BLAS and torch; see `numdiff.study.threads`.
    progress
        Where to report; standard error if not given.
    parts
        Stages to run instead of those of `settings`, without report.

    Returns
    -------
    Path
        The report, or the folder if there is none.

    Raises
    ------
    OSError
        If the folder cannot be used, or the weights of the model cannot be read.
    StageError
        If a stage fails.

    Examples
    --------
    >>> import tempfile
    >>> from numdiff import study
    >>> from numdiff.study.progress import Progress
    >>> stage = study.Stage("sum", "a sum", {"n": 4}, lambda: 1, lambda seed, progress: {"sum": sum(range(4)) + seed})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = study.run(folder, parts=[stage], progress=Progress(quiet=True))
    ...     sorted(file.name for file in path.rglob("*.json"))
    ['sum.json']
    """
    progress = Progress() if progress is None else progress
    folder = store.Folder.open(out)
    began = time.monotonic()
    chosen = stages(settings, threads) if parts is None else parts
    records = {stage.name: _result(folder, stage, settings.seed, force, threads, progress) for stage in chosen}
    if parts is not None:
        return folder.path
    from numdiff.study import report

    path = report.write(folder, settings, records, progress, force=force)
    progress.say(f"study complete after {time.monotonic() - began:.1f} s: {path}")
    return path


def _result(
    folder: store.Folder, stage: Stage, seed: int, force: bool, threads: int, progress: Progress
) -> dict[str, Any]:
    """Return the record of a stage, from disk if it is there."""
    key = store.key(stage.name, stage.settings, seed)
    record, reason = (None, "") if force else folder.load(stage.name, key)
    if record is not None:
        progress.say(f"{stage.title}: kept from an earlier run ({record['seconds']:.1f} s saved)")
        return record
    if reason:
        progress.say(f"{stage.title}: {reason}; computing it again")
    began = time.monotonic()
    try:
        with limited(threads), progress.stage(stage.title, stage.units()):
            result = stage.compute(seed, progress)
    except (OSError, ModuleNotFoundError):
        raise
    except Exception as error:
        raise StageError(f"{stage.title}: {type(error).__name__}: {error}") from error
    made = {
        "stage": stage.name,
        "key": key,
        "seed": seed,
        "settings": stage.settings,
        "versions": store.versions(),
        "seconds": round(time.monotonic() - began, 3),
        "result": result,
    }
    return folder.save(stage.name, made)
