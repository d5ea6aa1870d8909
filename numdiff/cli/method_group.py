"""The options that choose a method, shared by the commands that take one."""

from __future__ import annotations

from typing import Any

from numdiff.cli import values
from numdiff.formulations import FORMULATIONS
from numdiff.methods.adams import WEIGHTS
from numdiff.methods.published.classical import VARIANTS


def method_options(parser: Any, symbol: bool, flag: bool = False) -> None:
    """Add METHOD, which with `flag` may be given as --method (``method_flag``) instead, and the families' options."""
    group = parser.add_argument_group("method")
    group.add_argument(
        "method",
        metavar="METHOD",
        nargs="?" if flag else None,
        help="family, or family and order (ghvb, ab3, plms4, heun, ...), or a sampler's name in a library (dpmpp_2m)",
    )
    if flag:
        group.add_argument("--method", dest="method_flag", metavar="METHOD", help="the same, written as an option")
    group.add_argument("--order", type=values.whole(1), metavar="K", help="number of evaluations combined (1 to 8)")
    for name, (letter, text, default) in NUMBERS.items():
        or_symbol = f", or {letter} for a symbol" if symbol else ""
        group.add_argument(
            f"--{name}",
            type=values.number_or(letter) if symbol else values.number,
            metavar="X",
            help=f"{text}{or_symbol}{default}",
        )
    names = {
        "formulation": ("what is interpolated in which variable", FORMULATIONS),
        "weights": ("for the actual steps, or those of equal steps as published", WEIGHTS),
        "variant": ("variable of DEIS", VARIANTS),
    }
    for name, (text, known) in names.items():
        kind, listed = values.named(name, known), ", ".join(known)
        group.add_argument(f"--{name}", type=kind, metavar=name[0].upper(), help=f"{text}: {listed}")
    _other_options(group)


def _other_options(group: Any) -> None:
    """Add what every family understands in its own way."""
    group.add_argument(
        "--rule",
        type=str.lower,
        metavar="R",
        help="exact integral, or as published, which every family has its own of; half: 2M midpoint; 3m, 3m-heun: 3M; "
        "bh1, bh2: those of unipc; dpmsolver, taylor: single-step",
    )
    group.add_argument(
        "--set",
        type=values.setting,
        action="append",
        metavar="NAME=VALUE",
        help="another option of the family, as in --set eta=1/2 --set mode=PECE (numdiff methods METHOD lists them)",
    )
    group.add_argument(
        "--base",
        metavar="METHOD",
        help="what hb or nt are built around (default ab); order, formulation, weights and rule are then the base's",
    )


NUMBERS = {
    "beta": ("beta", "damping in (0, 2] of hb, nt and ghvb: 0.8, 4/5", " (hb and nt: default 4/5)"),
    "momentum": ("gamma", "momentum of the velocity of filtered-adams", " (default 0)"),
    "error": ("C", "error constant that filtered-adams is to have", ""),
    "real-interval": ("x", "length of the real interval of stretched-adams", " (default 3)"),
}
