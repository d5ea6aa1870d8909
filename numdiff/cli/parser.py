"""The grammar of the command line: commands, their options, and the help of each.

A command is a module of this package that is imported when it runs; here it's only named. Options that several commands
share are defined once.
"""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numdiff
from numdiff import parameterizations, schedules
from numdiff._names import suggest
from numdiff.answers import TOPICS
from numdiff.cli import values
from numdiff.cli.certify_options import EPILOG as CERTIFY_EPILOG
from numdiff.cli.certify_options import certify_options
from numdiff.cli.layout import columns
from numdiff.cli.method_group import method_options
from numdiff.cli.sample_options import EPILOG as SAMPLE_EPILOG
from numdiff.cli.sample_options import sample_options
from numdiff.cli.timesteps_options import timesteps_options
from numdiff.grids import NAMED as TIME_GRIDS
from numdiff.methods.base import FINALS, STARTS
from numdiff.study.orders import GRIDS as ORDER_GRIDS

COMMANDS = {
    "methods": "list the families of methods",
    "derive": "coefficients, stability polynomial, order and intervals of a method, exactly",
    "stability": "stability intervals and region of a method",
    "order": "observed order of a method on a problem whose solution is known",
    "certify": "the order of anybody's sampler, and why it falls short of the claim",
    "timesteps": "optimize the time steps of a method, with a certificate",
    "sample": "draw samples with a pipeline of diffusers, or with a model that ships with numdiff",
    "study": "derive, validate and run many methods, and write a report",
}

EPILOG = """\
METHOD is a family (numdiff methods lists them), also with its order (ghvb, ab3), or a sampler's name (dpmpp_2m).
Numbers are exact: 0.8 means 4/5. Exit codes: 0 done, 1 internal failure, 2 mistake, 3 claim refuted
(certify --strict), 130 interrupted.

Intervals are those of z = d in X' = c X + d X for X = x/kappa; methods without an exponential have c = 0, z = h d.

examples:
  numdiff derive ghvb --order 3 --beta beta
  numdiff derive hb --base plms4 --beta 0.8 --topic intervals,leading-error --latex
  numdiff derive dpmpp --order 2 --python --schedule cosine --steps 20 --out sampler.py
  numdiff stability hb --base plms4 --beta 0.8 --out region.pdf
  numdiff order ghvb3 --beta 0.8 --problem correlated --grid log-snr --start runge-kutta
  numdiff certify diffusers:UniPCMultistepScheduler --order 3
  numdiff timesteps unipc3 --steps 10 --out steps.json
  numdiff sample dpmpp --order 2 --steps 10 --guidance 2 --out digits.png
  numdiff sample ghvb3 --beta 0.8 --pipeline FOLDER --prompt "a red fox" --steps 10 --n 4 --out foxes
  numdiff study --out results/study
"""


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are exceptions, with the name of the command to ask for help."""

    def error(self, message: str) -> NoReturn:
        """Raise a UsageError."""
        raise values.UsageError(f"{message} ({self.prog} --help explains)")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options, with the function that carries them out as ``command``.

    Raises
    ------
    ValueError
        If the arguments cannot be understood.
    """
    # Options before the command take no values, so the first word is the command; argparse would suggest nothing.
    word = next((argument for argument in arguments if not argument.startswith("-")), None)
    if word is not None and word not in COMMANDS:
        suggest(word, COMMANDS, "command")
    options = build().parse_args(_joined(arguments))
    if options.name is None:
        raise values.UsageError(f"no command given; choose from {', '.join(COMMANDS)} (numdiff --help explains)")
    options.command = _runner(options.name)
    return options


def _joined(arguments: Sequence[str]) -> list[str]:
    """Write ``--window -3,1,-2,2`` as ``--window=-3,1,-2,2``: argparse takes what begins with a minus for an option."""
    found: list[str] = []
    for argument in arguments:
        if found and found[-1] == "--window" and re.match(r"-[\d.]", argument):
            found[-1] += f"={argument}"
        else:
            found.append(argument)
    return found


def _runner(name: str) -> Callable[[argparse.Namespace], None]:
    def run(options: argparse.Namespace) -> None:
        importlib.import_module(f"numdiff.cli.{name}").run(options)

    return run


def build() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = Parser(
        prog="numdiff",
        description="Numerical analysis of diffusion samplers: derive, validate and run them from one definition.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"numdiff {numdiff.__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(name=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=EPILOGS[name]() if name in EPILOGS else None,
            formatter_class=argparse.RawDescriptionHelpFormatter if name in EPILOGS else argparse.HelpFormatter,
            allow_abbrev=False,
        )
        command.add_argument(
            "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error"
        )
        command.set_defaults(name=name)
        OPTIONS[name](command)
    return parser


def _topics() -> str:
    """Return the list of topics for the help of derive."""
    rows = [
        *((name, topic.summary) for name, topic in TOPICS.items()),
        ("all", "all of these; what has no answer says why"),
    ]
    return f"topics:\n{columns(rows, indent=2)}"


def _json(parser: Any, what: str) -> None:
    parser.add_argument("--json", action="store_true", help=f"print {what} as JSON")


def _seed(parser: Any, what: str) -> None:
    parser.add_argument("--seed", type=values.whole(0), default=0, metavar="S", help=f"seed of {what} (default 0)")


def _start(parser: Any, choices: Sequence[str], default: str) -> None:
    parser.add_argument(
        "--start",
        type=values.named("start", choices),
        default=default,
        metavar="START",
        help=f"first steps of a multistep method: {', '.join(choices)} (default {default})",
    )


"""Numbers that families take: the symbol that may stand for one, what it is, its default."""


def _methods(parser: Any) -> None:
    parser.add_argument(
        "family", nargs="?", metavar="NAME", help="show in full what this family, alias or sampler of a library is"
    )
    parser.add_argument("--aliases", action="store_true", help="list the names that samplers have in libraries")
    _json(parser, "the list")


def _derive(parser: Any) -> None:
    method_options(parser, symbol=True)
    parser.add_argument(
        "--step", type=values.number, metavar="H", help="step length of an exponential method (default: the symbol h)"
    )
    parser.add_argument(
        "--ratio",
        type=values.number_or("r"),
        metavar="R",
        help="each step over the one before it: a number, or r for a symbol (default 1)",
    )
    parser.add_argument(
        "--topic",
        type=values.listed("topic", (*TOPICS, "all")),
        action="extend",
        metavar="TOPIC",
        help="answer this question instead of the summary; several with commas, all of them with all (list below)",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="print Markdown")
    form.add_argument("--latex", action="store_true", help="print LaTeX (booktabs, amsmath)")
    _json(form, "everything")
    form.add_argument(
        "--python", action="store_true", help="print one run as Python that needs no numdiff: sample(model, x)"
    )
    form.add_argument(
        "--scheme", action="store_true", help="print one run as exact JSON, which numdiff.export.from_json loads"
    )
    _run(parser)
    files = values.output(".txt", ".md", ".tex", ".json", ".py")
    parser.add_argument("--out", type=files, metavar="FILE", help="write into this file instead of printing")


def _run(parser: Any) -> None:
    """Add the options of one run of a method: its schedule, its grid and both ends."""
    group = parser.add_argument_group("run", "of --python and --scheme, and of topics about a run")
    names = tuple(name for name in schedules.names() if name != "discrete")  # a table of one's own: in Python
    group.add_argument(
        "--schedule",
        type=values.named("schedule", names),
        metavar="NAME",
        help=f"noise schedule: {', '.join(names)} (default vp-linear)",
    )
    group.add_argument(
        "--grid",
        type=values.named("grid", TIME_GRIDS),
        metavar="GRID",
        help=f"spacing of the times: {', '.join(TIME_GRIDS)} (default log-snr; uniform-t for flow)",
    )
    group.add_argument("--steps", type=values.whole(1, 100_000), metavar="N", help="number of steps (default 10)")
    starts = tuple(name for name in STARTS if name != "exact")  # needs the exact solution
    group.add_argument(
        "--start",
        type=values.named("start", starts),
        metavar="START",
        help=f"first steps of a multistep method: {', '.join(starts)} (default lower)",
    )
    finals = tuple(name for name in FINALS if name)
    group.add_argument(
        "--final",
        type=values.named("final", finals),
        metavar="FINAL",
        help=f"last step, where it ends at sigma = 0: {', '.join(finals)} (default: limit where it is finite)",
    )
    predictions = parameterizations.names()
    group.add_argument(
        "--prediction",
        type=values.named("prediction", predictions),
        metavar="P",
        help=f"what the model of --python predicts: {', '.join(predictions)} (default: what the method combines)",
    )


def _stability(parser: Any) -> None:
    method_options(parser, symbol=True)
    parser.add_argument(
        "--step", type=values.number, metavar="H", help="step length, which an exponential method needs"
    )
    figures = values.output(".png", ".pdf", ".svg")
    parser.add_argument("--out", type=figures, metavar="FILE", help="draw the region into a .png, .pdf or .svg file")
    parser.add_argument(
        "--window",
        type=values.window,
        metavar="L,R,B,T",
        help="drawn part of the z plane: left, right, bottom, top, as in -3,1,-2,2 (default: fits the region)",
    )
    parser.add_argument(
        "--points",
        type=values.whole(2, 4000),
        default=401,
        metavar="N",
        help="points a side of the drawing (default 401)",
    )
    _json(parser, "the intervals")


def _order(parser: Any) -> None:
    method_options(parser, symbol=False)
    parser.add_argument(
        "--problem",
        default="riccati",
        metavar="NAME",
        help="a toy equation (riccati, chirp, logistic, ...) or a mixture (two-modes, correlated, ring, ...); an "
        "unknown name lists all (default riccati)",
    )
    _start(parser, STARTS, "runge-kutta")
    parser.add_argument(
        "--grid",
        type=values.named("grid", ORDER_GRIDS),
        default="uniform",
        metavar="GRID",
        help="uniform; alternating (h, 2h, ...); random; refined; log-snr (mixtures only) (default uniform)",
    )
    parser.add_argument(
        "--steps",
        type=values.steps,
        default=(20, 40, 80, 160, 320),
        metavar="N,N,...",
        help="increasing numbers of steps, three or more (default 20,40,80,160,320)",
    )
    parser.add_argument(
        "--points", type=values.whole(1, 100_000), default=32, metavar="N", help="samples of a mixture (default 32)"
    )
    _seed(parser, "random grids and samples")
    _json(parser, "slope, interval and errors")


def _study(parser: Any) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path("results/study"), metavar="DIR", help="output folder (default results/study)"
    )
    parser.add_argument("--fast", action="store_true", help="fewer cases and samples: seconds instead of minutes")
    _seed(parser, "every random number")
    parser.add_argument(
        "--threads", type=values.whole(1, 1024), default=1, metavar="N", help="threads of torch and BLAS (default 1)"
    )
    parser.add_argument("--force", action="store_true", help="compute everything anew, whatever is there already")


OPTIONS: dict[str, Callable[[Any], None]] = {
    "methods": _methods,
    "derive": _derive,
    "stability": _stability,
    "order": _order,
    "certify": certify_options,
    "timesteps": timesteps_options,
    "sample": sample_options,
    "study": _study,
}

EPILOGS: dict[str, Callable[[], str]] = {
    "derive": _topics,
    "certify": lambda: CERTIFY_EPILOG,
    "sample": lambda: SAMPLE_EPILOG,
}
