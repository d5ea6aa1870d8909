"""``numdiff sample METHOD --pipeline``: images of a pipeline of diffusers, in a folder with their record."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numdiff import provenance
from numdiff.cli import sample_settings as given
from numdiff.cli.layout import dump
from numdiff.cli.sample_options import MODEL_ONLY, PIPELINE, completed, flag
from numdiff.cli.selection import chosen
from numdiff.cli.values import UsageError

START = {"cpu": 4}
"""Samples at a time that --batch auto begins with, by device; 8 on others."""


@dataclass
class Job:
    """One run of the command.

    Parameters
    ----------
    options
        The options, with the form's defaults.
    source
        Where the pipeline's files are.
    folder
        The samples.
    size
        How many are drawn at a time, at present.
    notes
        What the user ought to know at the end.
    """

    options: argparse.Namespace
    source: Path
    folder: Any
    size: int
    notes: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        """How many samples are done, in words."""
        done, total = len(self.folder.made), len(self.folder.seeds)
        return f"{done} of {total} samples are in {self.folder.path}"


def run(options: argparse.Namespace) -> None:
    """Draw the samples that are not there yet, and say what was done."""
    job = produce(options)
    report(job, job.folder.finish())


def produce(options: argparse.Namespace, replay: Iterable[tuple[int, int, set[int]]] = ()) -> Job:
    """Draw what is missing of the samples that the options describe.

    Parameters
    ----------
    options
        As parsed; changed in place.
    replay
        Batches (first, count, places to write) to be drawn before all others, as a record has them.

    Raises
    ------
    UsageError
        For whatever stops it that is a mistake or a lack, with how many samples are done.
    """
    grids = [flag(name) for name in ("times", "sigmas", "steps", "timesteps") if getattr(options, name) is not None]
    if len(grids) > 1 and grids != ["--steps", "--timesteps"]:
        raise UsageError(f"{grids[0]} says where all steps are; drop {grids[1]}")
    completed(options, PIPELINE, MODEL_ONLY, "a model that ships with numdiff")
    if options.times or options.sigmas:
        options.steps = None
    chosen(options)  # a mistake in the method is told before anything is read
    given.check(options)
    pictures = given.pictures(options)
    try:
        job = _opened(options, pictures)
    except ValueError as error:
        raise UsageError(given.in_options(str(error))) from error
    if len(job.folder.made) < len(job.folder.seeds):
        _draw(job, pictures, replay)
    return job


def _opened(options: argparse.Namespace, pictures: dict[str, given.Picture]) -> Job:
    """Find the pipeline's files, and the folder with what it has kept."""
    from numdiff.adapters.pipelines import checks, image_folder, loading

    source = loading.resolve(options.pipeline, **given.loading(options))
    index = checks.index(source)
    files = checks.fingerprint(index)
    options.device = str(loading.torch_device(options.device))
    identity = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    settings = given.settings(options, pictures) | {"pipeline": f"{index.kind} {identity}"}
    facts = {
        "pipeline": {"name": given.shown(options.pipeline), "class": index.kind, **_commit(source), "files": files},
        "batch": options.batch,
    }
    folder = image_folder.open_folder(Path(options.out), settings, facts)
    size = START.get(options.device, 8) if options.batch == "auto" else options.batch
    job = Job(options, source, folder, min(size, len(folder.seeds)))
    if folder.made:
        job.notes.append(f"kept {len(folder.made)} samples of an earlier run")
    job.notes += [f"{name} was damaged, and was drawn anew" for name in folder.damaged]
    return job


def _commit(source: Path) -> dict[str, str]:
    """Return the commit of a hub's pipeline, by which the hub's cache names its folder."""
    return {"revision": source.name} if source.parent.name == "snapshots" else {}


# --- the pipeline -----------------------------------------------------------------------------------------------------


def _draw(job: Job, pictures: dict[str, given.Picture], replay: Iterable[tuple[int, int, set[int]]]) -> None:
    """Load the pipeline and draw, telling how to go on whatever stops it."""
    from numdiff.adapters.pipelines.memory import OutOfMemoryError, is_out_of_memory
    from numdiff.study.progress import Progress
    from numdiff.study.threads import limited

    options, progress = job.options, Progress(quiet=bool(job.options.quiet) or not sys.stderr.isatty())
    try:
        with limited(options.threads) if options.threads else nullcontext():
            pipe, call = _prepared(job, pictures)
            job.folder.drawn_on(provenance.environment(options.device))
            with progress.stage("sampling", len(job.folder.seeds) - len(job.folder.made)):
                _batches(job, pipe, call, replay, progress)
    except KeyboardInterrupt:
        if not job.folder.made:
            raise KeyboardInterrupt("no sample was drawn yet") from None
        _save(job)
        raise KeyboardInterrupt(f"{job.state}; the same command goes on from there") from None
    except (OSError, ValueError, OutOfMemoryError, RuntimeError) as error:
        with suppress(OSError):  # on a full disk
            _save(job)
        if isinstance(error, RuntimeError) and not is_out_of_memory(error):
            raise
        raise UsageError(_stopped(job, error)) from error


def _save(job: Job) -> None:
    """Write the record, if there is anything to record."""
    if job.folder.started:
        job.folder.save()


def _stopped(job: Job, error: BaseException) -> str:
    """Return what stopped a run, what helps, and what is done."""
    from numdiff.adapters.pipelines.memory import is_out_of_memory

    if is_out_of_memory(error):
        text = f"out of memory ({error}): {_advice(job.options, job.size)}"
    elif isinstance(error, OSError) and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    else:
        text = given.in_options(str(error))
    return f"{text}; {job.state}, and are kept" if job.folder.made else text


def _advice(options: argparse.Namespace, size: int) -> str:
    """Return what needs less memory, in the order in which it costs least."""
    found = []
    if size > 1:
        found.append(f"a smaller --batch (now {size}), or --batch auto")
    if options.dtype == "float32":
        found.append("--dtype float16 or bfloat16 (now float32)")
    found += [f"--{name}" for name in ("slicing", "offload") if not getattr(options, name)]
    shown = "the pipeline's own" if options.size is None else "x".join(map(str, options.size))
    return f"use {', '.join([*found, f'a smaller --size (now {shown})'])}, in this order"


def _prepared(job: Job, pictures: dict[str, given.Picture]) -> tuple[Any, dict[str, Any]]:
    """Load the pipeline, give it the method, and return it with the arguments of its call."""
    from numdiff.adapters.pipelines import loading, memory
    from numdiff.adapters.pipelines.calls import check_classes, fitted

    options = job.options
    where = None if options.offload else options.device
    pipe = loading.load(job.source, device=where, dtype=options.dtype, **given.loading(options))
    with loading.quiet():
        pipe.scheduler = given.scheduler(pipe.scheduler.config, options)
        pipe, call = fitted(pipe, given.wanted(options, pictures), given.spelt)
        check_classes(pipe, options.labels or (), given.spelt)
    if options.slicing and not memory.slice_parts(pipe):
        raise UsageError(f"--slicing: {type(pipe).__name__} has nothing that could be sliced; drop it")
    if options.offload:
        memory.offload(pipe, loading.torch_device(options.device))
    for name, picture in pictures.items():
        job.folder.keep(picture.kept_as(name), picture.data)
    job.folder.record["called"] = type(pipe).__name__
    job.folder.record["scheduler"] = given.plain(dict(pipe.scheduler.config))
    return pipe, call


def _batches(job: Job, pipe: Any, call: dict[str, Any], replay: Iterable[Any], progress: Any) -> None:
    """Draw batch after batch, smaller ones where memory runs out and --batch is auto."""
    from numdiff.adapters.pipelines.memory import OutOfMemoryError

    def one(first: int, count: int, members: set[int] | None) -> None:
        seeds = job.folder.seeds[first : first + count]
        before = len(job.folder.made)
        each = given.each(job.options, call, range(first, first + count))
        job.folder.add(first, _drawn(job, pipe, seeds, progress, {**call, **each}), members)
        for _ in range(len(job.folder.made) - before):
            progress.advance()

    for first, count, members in replay:
        if not members <= job.folder.made:
            one(first, count, members)
    for first, count in job.folder.blocks(lambda: job.size):
        try:
            one(first, count, None)
        except OutOfMemoryError:
            if job.options.batch != "auto" or count == 1:
                raise
            job.notes.append(f"a batch of {count} did not fit into memory; went on with {count // 2}")
            job.size = count // 2


def _drawn(job: Job, pipe: Any, seeds: list[int], progress: Any, call: dict[str, Any]) -> Any:
    """Draw a batch; what a pipeline raises over an argument that came through --call is a mistake, not a bug."""
    from numdiff.adapters.pipelines import generate
    from numdiff.adapters.pipelines.hub import one_line

    try:
        return generate.draw(pipe, seeds, tell=_teller(progress), **call)
    except Exception as error:
        if not job.options.call or isinstance(error, ValueError) or not generate.is_pipelines(error):
            raise
        text = f"the pipeline refused {given.calls(job.options)}: {one_line(error)}"
        raise UsageError(f"{text}; correct or drop what it means") from error


def _teller(progress: Any) -> Callable[[int, int], None] | None:
    """Return what shows the evaluations of the present batch behind the bar; nothing where there is no bar."""
    if progress.bar is None:
        return None
    return lambda number, total: progress.bar.set_postfix_str(f"evaluation {number}/{total}")


def report(job: Job, record: dict[str, Any]) -> None:
    """Print the record, or a summary."""
    if job.options.json:
        dump(record)
        return
    if job.options.quiet:
        return
    for note in [*given.notes(job.options), *job.notes]:
        print(note)
    flagged = sum(bool(entry.get("flagged")) for entry in record["images"])
    if flagged:
        print(f"the pipeline's safety checker blackened {flagged} samples")
    asked = job.options.steps
    steps = max(entry.get("steps", 0) for entry in record["images"]) or asked
    taken = f"{steps} of {asked} steps" if asked and steps < asked else f"{steps} steps"
    cost = f"{taken}, {record['nfe']} evaluations, {record['seconds_per_image']:.3g} s a sample"
    print(f"{chosen(job.options).name} in {record['called']}: {cost}")
    print(f"wrote {len(record['images'])} samples, grid.png and run.json to {job.folder.path}")
