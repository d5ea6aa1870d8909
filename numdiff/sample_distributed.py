"""``torchrun -m numdiff.sample_distributed METHOD ... --out DIR``: a set of samples by many processes.

How to start it, what stays the same and what a killed process costs is in `numdiff.distributed`. METHOD and its options
are those of ``numdiff sample``, and so is the pipeline; without torchrun it is one process.

Exit codes are those of ``numdiff``: 0 done, 1 a batch failed or a rank was lost, 2 a mistake in what was asked, 130
stopped. What goes wrong is one line on standard error that names the rank.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numdiff.cli import INTERNAL, INTERRUPTED, MISTAKE, OK, values
from numdiff.cli.messages import in_options
from numdiff.cli.method_group import method_options
from numdiff.cli.parser import Parser
from numdiff.cli.sample_options import DTYPES, size
from numdiff.cli.selection import chosen, grid
from numdiff.cli.values import UsageError
from numdiff.distributed import (
    BatchError,
    Denoiser,
    LostRankError,
    Pipeline,
    Plan,
    Source,
    StoppedError,
    Tally,
    connected,
    work,
)
from numdiff.distributed.ranks import TIMEOUT
from numdiff.distributed.shards import FORMATS
from numdiff.grids import NAMED as TIME_GRIDS

PROGRAM = "numdiff.sample_distributed"
DEVICES = ("auto", "cpu", "cuda")
MODEL_ONLY = ("model", "grid")
PIPELINE_ONLY = (
    *("prompt", "prompts", "negative_prompt", "size", "timesteps", "dtype", "call"),
    *("weights_variant", "revision", "allow_pickle", "trust_remote_code"),
)

EPILOG = """\
examples:
  python -m numdiff.sample_distributed ghvb3 --beta 0.8 --steps 10 --samples 1000 --out samples
  torchrun --nproc-per-node=8 -m numdiff.sample_distributed dpmpp2 --model glyphs --samples 50000 --out samples

The same command goes on where it was interrupted, with any number of processes.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one rank and return its exit code.

    Parameters
    ----------
    argv
        The arguments without the program's name; ``sys.argv[1:]`` if not given.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        _run(build().parse_args(arguments), arguments)
    except SystemExit as leave:  # --help, or a mistake that rank 0 has reported
        return int(leave.code or 0)
    except (KeyboardInterrupt, StoppedError) as stopped:
        return _complain(str(stopped) or "interrupted; the same command goes on", INTERRUPTED)
    except (BatchError, LostRankError) as error:
        return _complain(f"error: {_line(error)}", INTERNAL, error)
    except (ValueError, TypeError, OSError, ModuleNotFoundError) as error:
        return _complain(f"error: {_line(error)}", MISTAKE, error)
    return OK


def build() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = Parser(
        prog=f"python -m {PROGRAM}",
        description="Draw many samples by many processes (torchrun), into files that an interrupt leaves sound.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    method_options(parser, symbol=False)
    _what(parser.add_argument_group("what is drawn"))
    _model(parser.add_argument_group("by a model of numdiff"))
    _pipeline(parser.add_argument_group("by a pipeline of diffusers"))
    _how(parser.add_argument_group("how"))
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the set, which they share")
    return parser


def _adder(group: Any) -> Callable[..., None]:
    def add(name: str, kind: Any, metavar: str, text: str, default: Any = None) -> None:
        group.add_argument(name, type=kind, default=default, metavar=metavar, help=text)

    return add


def _what(group: Any) -> None:
    add, whole = _adder(group), values.whole(1)
    add("--steps", values.whole(1, values.MOST_STEPS), "N", "number of steps (default 20)", 20)
    add(
        "--start", values.named("start", ("lower", "runge-kutta")), "START", "first steps: lower (default), runge-kutta"
    )
    add("--labels", values.labels, "L", "classes, which the samples take in turn: 3, 0-9 or 1,4,7-9 (of a model: all)")
    add("--guidance", values.strength, "G", "strength of guidance, 0 to 100; 1 is none (default: 1, a pipeline's own)")
    # torchrun takes --n for one of its own options, wherever it stands
    text = "number of samples (default 50000); torchrun understands the longer name only"
    group.add_argument("--samples", "--n", dest="n", type=whole, default=50_000, metavar="N", help=text)
    add("--seed", values.whole(0), "S", "seed of all noise (default 0); of a pipeline, sample i has seed S + i", 0)


def _model(group: Any) -> None:
    add = _adder(group)
    add("--model", str, "MODEL", '"digits" (default), "glyphs", or the path of NAME.safetensors beside NAME.json')
    spacing = f"spacing of the times: {', '.join(TIME_GRIDS)} (default that of METHOD's last word, or log-snr)"
    add("--grid", values.named("grid", TIME_GRIDS), "GRID", spacing)


def _pipeline(group: Any) -> None:
    add = _adder(group)
    add("--pipeline", str, "PATH_OR_ID", "a folder in the hub's format, or a hub id such as name/model")
    for name, text in (("--prompt", "text to draw"), ("--negative-prompt", "text to draw the opposite of")):
        turns = f"{text}; given several times, the samples take them in turn"
        group.add_argument(name, action="append", metavar="TEXT", help=turns)
    add("--prompts", Path, "FILE", "texts to draw, one a line, which the samples take in turn")
    add("--size", size, "WxH", "width and height in pixels")
    add("--timesteps", str.lower, "NAME", "how the steps are spaced: optimized, karras, trailing, ... (numdiff sample)")
    add(
        "--dtype", values.named("dtype", DTYPES), "D", "precision of the networks: float32 (default), float16, bfloat16"
    )
    add("--weights-variant", str, "V", "which set of weights of several, such as fp16")
    add("--revision", str, "R", "branch, tag or commit of a hub id")
    for name, text in (
        ("allow-pickle", "read weights that are pickles"),
        ("trust-remote-code", "run a pipeline's code"),
    ):
        group.add_argument(f"--{name}", action="store_true", default=None, help=f"also {text}")
    call = "another argument of the pipeline's call, as in --call clip_skip=1"
    group.add_argument("--call", type=values.setting, action="append", metavar="NAME=VALUE", help=call)


def _how(group: Any) -> None:
    add = _adder(group)
    add("--batch", values.whole(1, 1_000_000), "B", "samples that a process draws at a time (default 256)", 256)
    kinds = values.named("format", FORMATS)
    add("--format", kinds, "F", "safetensors (default), or png: images of 8 bits", "safetensors")
    add(
        "--device",
        values.named("device", DEVICES),
        "D",
        "cpu, cuda, or auto (default): a GPU each if there are",
        "auto",
    )
    add("--threads", values.whole(1, 1024), "N", "threads of torch in each process, on the CPU (default 1)", 1)
    add("--timeout", values.whole(1, 10**6), "S", f"seconds to wait for others (default {TIMEOUT:g})", TIMEOUT)
    group.add_argument("--quiet", action="store_true", help="no progress")


def _run(options: argparse.Namespace, command: Sequence[str]) -> None:
    import torch  # noqa: F401  (imported here so that it can be limited to its threads)

    from numdiff.study.threads import limited

    _fitting(options)
    method = chosen(options)
    with limited(options.threads), connected(options.device, options.timeout) as ranks:
        make = _denoiser if options.pipeline is None else _diffusers
        source = make(options, ranks.device)
        plan = Plan(options.out, options.n, options.batch, options.format, command)
        with _bar(options, ranks) as bar:
            tallies = work(source, plan, ranks, progress=bar, say=_say)
    if ranks.rank == 0:
        print(_summary(options, method, tallies))


def _fitting(options: argparse.Namespace) -> None:
    """Refuse options of a pipeline without one, and those of a model with one."""
    for name in PIPELINE_ONLY if options.pipeline is None else MODEL_ONLY:
        if getattr(options, name) is None:
            continue
        option = f"--{name.replace('_', '-')}"
        if options.pipeline is not None:
            raise UsageError(f"{option} does not go with --pipeline; drop one of them")
        if options.model is not None:
            raise UsageError(f"{option} does not go with --model; drop one of them")
        raise UsageError(f"{option} is of pipelines, and there is none; give --pipeline too, or drop {option}")


def _say(text: str) -> None:
    print(f"{PROGRAM}: {text}", file=sys.stderr)


def _denoiser(options: argparse.Namespace, device: Any) -> Source:
    return Denoiser(
        options.model or "digits",
        chosen(options),
        grid=grid(options, "log-snr"),
        steps=options.steps,
        labels=options.labels,
        guidance=1.0 if options.guidance is None else options.guidance,
        start=options.start or "lower",
        seed=options.seed,
        device=device,
    )


def _diffusers(options: argparse.Namespace, device: Any) -> Source:
    """Return what draws with a pipeline, by the arguments that ``numdiff sample --pipeline`` gives it."""
    from numdiff.adapters.pipelines import loading
    from numdiff.adapters.pipelines.calls import fitted
    from numdiff.cli import sample_settings as given

    options.prompt = _prompts(options)
    for name in ("image", "mask", "strength", "times", "sigmas"):  # of the other command
        setattr(options, name, None)
    try:
        pipe = loading.load(options.pipeline, device=device, dtype=options.dtype, **given.loading(options))
        with loading.quiet():
            scheduler = given.scheduler(pipe.scheduler.config, options)
            pipe, call = fitted(pipe, given.wanted(options, {}), given.spelt)
    except ValueError as error:
        raise UsageError(given.in_options(str(error))) from error
    turns = {"prompt": options.prompt, "negative_prompt": options.negative_prompt, "class_labels": options.labels}
    each = {name: list(turn) for name, turn in turns.items() if turn and name in call}
    call = {name: value for name, value in call.items() if name not in each}
    name = given.shown(options.pipeline)
    return Pipeline(pipe, name, scheduler=scheduler, call=call, each=each, seed=options.seed)


def _prompts(options: argparse.Namespace) -> list[str] | None:
    """Return the prompts: those of --prompt, or the lines of --prompts."""
    if options.prompts is None:
        prompts: list[str] | None = options.prompt
        return prompts
    if options.prompt:
        raise UsageError("--prompts says all prompts already; drop --prompt")
    lines = [line.strip() for line in options.prompts.read_text(encoding="utf-8").splitlines()]
    if not any(lines):
        raise UsageError(f"{options.prompts} holds no prompt; write one a line")
    return [line for line in lines if line]


@contextmanager
def _bar(options: argparse.Namespace, ranks: Any) -> Iterator[Any]:
    """Show the batches on rank 0, on a terminal as a bar."""
    if ranks.rank or options.quiet:
        yield None
        return
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:
        yield None
        return
    total = -(-options.n // options.batch)
    with tqdm(
        total=total, desc=f"{ranks.size} ranks", unit="batch", file=sys.stderr, mininterval=1.0, delay=0.5
    ) as bar:
        yield bar


def _summary(options: argparse.Namespace, method: Any, tallies: Sequence[Tally]) -> str:
    """Return who did what, and how fast."""
    drawn, kept = sum(one.drawn for one in tallies), sum(one.kept for one in tallies)
    seconds = max(one.seconds for one in tallies)
    speed = f"{sum(one.samples for one in tallies) / seconds:.1f} samples/s" if drawn else "nothing to do"
    done = f"{drawn} batches drawn, {kept} kept; {seconds:.1f} s, {speed}"
    lines = [f"{method.name}: {options.n} samples in {options.out}; {done}"]
    if len(tallies) > 1:
        lines += [
            f"  rank {rank}: {one.drawn} batches, {one.samples / max(one.seconds, 1e-9):.1f} samples/s"
            for rank, one in enumerate(tallies)
        ]
    return "\n".join(lines)


def _line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return in_options(" ".join(str(error).split())) or type(error).__name__


def _complain(text: str, code: int, error: BaseException | None = None) -> int:
    """Say what went wrong and on which rank, and leave it where torchrun looks for it."""
    several = os.environ.get("WORLD_SIZE", "1") != "1" and "RANK" in os.environ
    rank = f"rank {os.environ['RANK']}: " if several else ""
    print(f"{PROGRAM}: {rank}{text}", file=sys.stderr, flush=True)
    if error is not None and "TORCHELASTIC_ERROR_FILE" in os.environ:
        from torch.distributed.elastic.multiprocessing.errors import get_error_handler

        get_error_handler().record_exception(error)
    return code


if __name__ == "__main__":
    sys.exit(main())
