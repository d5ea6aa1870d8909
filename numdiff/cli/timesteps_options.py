"""The options of ``numdiff timesteps``."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Any

from numdiff import schedules
from numdiff.cli import values
from numdiff.cli.method_group import method_options
from numdiff.methods.base import FINALS

FORMS = ("table", "times", "log-snr", "sigmas", "timesteps", "comfyui", "json")
"""How the steps are printed."""


def timesteps_options(parser: Any) -> None:
    """Add METHOD, the run, the objective and the search."""
    method_options(parser, symbol=False)
    _run(parser.add_argument_group("run"))
    _objective(parser.add_argument_group("objective"))
    parser.add_argument(
        "--form",
        type=values.named("form", FORMS),
        default="table",
        metavar="FORM",
        help=f"what is printed: {', '.join(FORMS)} (default table)",
    )
    files = values.output(".json", ".png", ".pdf", ".svg")
    parser.add_argument(
        "--out", type=files, metavar="FILE", help="write the result (.json) or a figure of it (.png, .pdf, .svg)"
    )


def _run(group: Any) -> None:
    names = tuple(name for name in schedules.names() if name != "discrete")  # a table of one's own: in Python
    group.add_argument(
        "--schedule",
        type=values.named("schedule", names),
        default="vp-linear",
        metavar="NAME",
        help=f"noise schedule: {', '.join(names)} (default vp-linear)",
    )
    group.add_argument("--shift", type=values.real, metavar="S", help="shift of the flow schedule (default 1)")
    group.add_argument(
        "--steps", type=values.whole(2, 1000), default=10, metavar="N", help="number of steps (default 10)"
    )
    group.add_argument("--t-start", type=values.real, metavar="T", help="first time (default: the schedule's last)")
    group.add_argument("--t-end", type=values.real, metavar="T", help="last time (default: the schedule's t_end)")
    group.add_argument("--final-zero", action="store_true", help="let the last step arrive at sigma = 0")
    finals = tuple(name for name in FINALS if name)
    group.add_argument(
        "--final",
        type=values.named("final", finals),
        metavar="FINAL",
        help=f"last step, where it ends at sigma = 0: {', '.join(finals)} (default: limit where it is finite)",
    )
    group.add_argument(
        "--orders",
        metavar="K,K,...",
        help="at most how many evaluations each step combines, or lowered (1,2,3,...,3,2,1), or search for the best",
    )


def _objective(group: Any) -> None:
    group.add_argument(
        "--objective",
        default="mixture-bank",
        metavar="NAME",
        help="mixture-bank, gaussian, paper, ays (not with --final-zero), or probe:MIXTURE with a mixture of "
        "nd.problems.mixtures() (default mixture-bank)",
    )
    group.add_argument(
        "--gap", type=values.real, metavar="G", help="smallest step in half log-SNR (default: by objective)"
    )
    group.add_argument(
        "--optimize", action="append", default=[], metavar="NAME", help="optimize this parameter of METHOD too, as beta"
    )
    group.add_argument(
        "--bounds",
        type=bounds,
        action="append",
        default=[],
        metavar="NAME=LOW:HIGH",
        help="where --optimize NAME may go, as in momentum=-0.2:0.5 (needed for all but beta, c2 and c3)",
    )
    group.add_argument(
        "--tolerance",
        type=values.real,
        metavar="X",
        help="of the optimality conditions, relative (default 1e-8)",
    )
    group.add_argument(
        "--start", action="append", metavar="GRID", help="start the search from this grid; may be given several times"
    )
    group.add_argument(
        "--time-limit", type=values.real, metavar="S", help="seconds after which to stop with the best so far"
    )
    group.add_argument("--progress", action="store_true", help="report the search on standard error")


def bounds(text: str) -> tuple[str, tuple[float, float]]:
    """Return (name, (low, high)) from "name=low:high"."""
    name, equals, box = text.partition("=")
    low, colon, high = box.partition(":")
    if not (equals and name.strip()):
        raise ArgumentTypeError(f"{text!r} is not NAME=LOW:HIGH, as in c2=0.3:0.7")
    if not colon:
        raise ArgumentTypeError(f"the range of {name.strip()} is {box!r} and not LOW:HIGH; write NAME=LOW:HIGH")
    pair = values.real(low.strip()), values.real(high.strip())
    if not pair[0] < pair[1]:
        raise ArgumentTypeError(f"the range of {name.strip()}, {box!r}, must have LOW below HIGH")
    return name.strip().replace("-", "_"), pair
