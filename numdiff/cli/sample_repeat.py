"""``numdiff sample --repeat RUN.JSON``: the samples of a record drawn anew, and compared with it bit for bit."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

from numdiff.cli import sample_pipeline
from numdiff.cli import sample_settings as given
from numdiff.cli.layout import dump
from numdiff.cli.sample_options import flag
from numdiff.cli.values import UsageError

OWN = ("name", "command", "debug", "repeat", "out", "pipeline", "device", "threads", "quiet", "json")
"""Options that go with --repeat; the record has the others."""


def run(options: argparse.Namespace) -> None:
    """Draw the record's samples into another folder, batch for batch as they were, and compare."""
    from numdiff.adapters.pipelines.image_folder import read_record

    for name, value in vars(options).items():
        if name not in OWN and value is not None:
            raise UsageError(f"{flag(name)} is in the record already; drop it, or {flag('repeat')}")
    path = options.repeat / "run.json" if options.repeat.is_dir() else options.repeat
    record = read_record(path)
    if Path(options.out).resolve() == path.parent.resolve():
        raise UsageError(f"--out {options.out} is the folder of the record itself; choose another to compare with it")
    again = _options(record, path.parent, options)
    job = sample_pipeline.produce(again, _replay(record))
    found = job.folder.finish()
    same, different = compared(record, found)
    if options.json:
        dump(found | {"repeats": {"same": len(same), "different": different}})
        return
    sample_pipeline.report(job, found)
    if not options.quiet:
        print(_verdict(record, found, same, different))


def _options(record: dict[str, Any], folder: Path, options: argparse.Namespace) -> argparse.Namespace:
    """Return the record's settings as options, with the pipeline and the images where they are now."""
    from numdiff.cli.parser import parse

    settings = dict(record["settings"])
    for name in ("device", "threads"):
        if getattr(options, name) is not None:
            settings[name] = getattr(options, name)
    pipeline = options.pipeline or record["pipeline"]["name"]
    if options.pipeline is None and "revision" in record["pipeline"]:
        settings["revision"] = record["pipeline"]["revision"]  # of the hub, which may have moved on
    found = parse(["sample", f"--pipeline={pipeline}", f"--out={options.out}", *given.typed(settings)])
    found.method = found.method_flag
    for name in ("image", "mask"):
        if name in settings:
            setattr(found, name, _input(folder, name, settings[name]))
    found.quiet, found.json = options.quiet, options.json
    _same_pipeline(record, found)
    return found


def _input(folder: Path, name: str, said: str) -> Path:
    """Return the copy of an image that the record's folder has kept, which must be the one that was used."""
    kept, identity = said.rsplit(" ", 1)
    path = folder / Path(kept).name
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != identity:
        raise UsageError(f"{path}, the --{name} of the record, is missing or changed; put it back from where it was")
    return path


def _same_pipeline(record: dict[str, Any], found: argparse.Namespace) -> None:
    """Refuse a pipeline that is not there, or not the record's."""
    from numdiff.adapters.pipelines import checks, loading

    try:
        folder = loading.resolve(found.pipeline, **given.loading(found))
    except loading.PipelineError as error:
        raise UsageError(f"{error}; where the pipeline lies now is said by --pipeline FOLDER") from error
    now, before = checks.fingerprint(checks.index(folder)), record["pipeline"]["files"]
    wrong = next((name for name in sorted({*before, *now}) if before.get(name) != now.get(name)), None)
    if wrong is not None:
        raise UsageError(
            f"{found.pipeline} is not the pipeline of the record: {wrong} differs; give that one by --pipeline FOLDER"
        )


def _replay(record: dict[str, Any]) -> list[tuple[int, int, set[int]]]:
    """Return the batches (first, count, places) in which the record's samples were drawn."""
    found: dict[tuple[int, int], set[int]] = {}
    for entry in record["images"]:
        found.setdefault(tuple(entry["batch"]), set()).add(entry["index"])
    return [(first, count, places) for (first, count), places in sorted(found.items())]


def compared(before: dict[str, Any], now: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return the files of two records that are the same bit for bit, and those that are not."""
    hashes = {entry["index"]: entry["sha256"] for entry in now["images"]}
    same: list[str] = []
    different: list[str] = []
    for entry in before["images"]:
        (same if hashes.get(entry["index"]) == entry["sha256"] else different).append(entry["file"])
    return same, different


def _verdict(before: dict[str, Any], now: dict[str, Any], same: list[str], different: list[str]) -> str:
    total = len(same) + len(different)
    if not different:
        return f"all {total} are those of the record, bit for bit"
    then, here = _flat(before["environment"]), _flat(now["environment"])
    names = [name for name in sorted({*then, *here}) if then.get(name) != here.get(name)]
    why = "; ".join(f"{name} {then.get(name)} then, {here.get(name)} now" for name in names)
    text = f"{len(different)} of {total} are not those of the record bit for bit, from {different[0]} on"
    return f"{text} ({why or 'though versions and device are the same'})"


def _flat(environment: dict[str, Any]) -> dict[str, Any]:
    """Return a record of the machine with its versions beside its other entries."""
    return {**{name: one for name, one in environment.items() if name != "versions"}, **environment["versions"]}
