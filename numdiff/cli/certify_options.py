"""The options of ``numdiff certify``."""

from __future__ import annotations

from typing import Any

from numdiff.certification.certificate import VERDICTS
from numdiff.cli import values
from numdiff.cli.layout import columns
from numdiff.grids.patterns import GRIDS

PACKAGES = ("numdiff", "diffusers", "k-diffusion", "azula", "scipy", "torchdiffeq")
"""Packages whose samplers have names."""

ROUGH = tuple(name for name in GRIDS if name != "uniform")
"""Grids beside equal steps."""

EPILOG = f"""\
SAMPLER is PACKAGE:NAME, such as diffusers:UniPCMultistepScheduler, k-diffusion:sample_dpmpp_2m or numdiff:unipc3, with
options in brackets if it has any: azula:zABSampler(order=3). Or it is MODULE:FUNCTION, a sampler of your own; modules
are looked for in the current folder too. It is written as

  sample(model, x, sigmas)       as in k-diffusion: tensors, alpha = 1, model(x, sigma) returns the denoised sample;
  sample(model, x, ts)           a whole run from ts[0] to ts[-1], on NumPy arrays;
  step(model, x, t, t_next)      a step that remembers nothing; or
  make_step(model)               a function or a class that returns step(x, t, t_next), made anew for every run;

and the last three are told by --set what the model answers and what t is:

  --set prediction=noise         what the model answers: noise (default), data, v, velocity or flow
  --set scale=vp                 alpha^2 + sigma^2 = 1 (default); edm: alpha = 1; flow: alpha + sigma = 1; or time: a
                                 plain equation y' = f(t, y), where model(y, t) is f
  --set time=log-snr             what t is: log-snr (default, rising), sigma or time (both falling)
  --set library=torch            tensors instead of NumPy arrays

All other --set are arguments of the function itself.

It runs on equations whose solutions are known, with exact starting values, as it is shipped, and on rough grids; the
order is the slope of its errors, with a 95 % interval. Where that is below the claim, further experiments find out why:
its start, its last step, the grid, the precision, the rounding of its times, a coefficient.

verdicts:
{columns(VERDICTS.items(), indent=2)}

examples:
  numdiff certify diffusers:UniPCMultistepScheduler --order 3
  numdiff certify diffusers:DPMSolverMultistepScheduler --set solver_order=3 --order 3 --plot order.png
  numdiff certify numdiff:ghvb3 --set beta=0.8
  numdiff certify my_module:sample_mine --order 2 --strict
  numdiff certify my_module:step_mine --order 2 --set scale=edm --set time=sigma
  numdiff certify my_module:solve --order 4 --set scale=time
  numdiff certify --list k-diffusion
  numdiff certify --all diffusers --jobs 2 --out results/diffusers --markdown
"""


def certify_options(parser: Any) -> None:
    """Add SAMPLER, the experiments, tables and output."""
    parser.add_argument(
        "sampler", nargs="?", metavar="SAMPLER", help="what to certify: PACKAGE:NAME or MODULE:FUNCTION"
    )
    parser.add_argument(
        "--order", type=values.whole(1, 20), metavar="K", help="the claim (default: what its documentation claims)"
    )
    parser.add_argument(
        "--set",
        type=values.setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the sampler, as in --set solver_order=3 or, of your own function, --set time=sigma; may be "
        "given several times",
    )
    _experiments(parser.add_argument_group("experiments"))
    _tables(parser.add_argument_group("many samplers"))
    _output(parser.add_argument_group("output"))


def _experiments(group: Any) -> None:
    group.add_argument(
        "--steps",
        type=values.steps,
        metavar="N,N,...",
        help="increasing numbers of steps, three or more (default 24,32,48,64,96,128,192,256,384)",
    )
    group.add_argument(
        "--path",
        default="toys",
        metavar="NAME",
        help="what is followed: toys (four toy equations side by side), one equation (riccati, logistic, ...) or a "
        "mixture (two-modes, correlated, ...); an unknown name lists all (default toys)",
    )
    group.add_argument(
        "--grids",
        type=values.listed("grid", ROUGH),
        default=("alternating",),
        metavar="GRID,...",
        help=f"rough grids: {', '.join(ROUGH)} (default alternating)",
    )
    group.add_argument(
        "--seed", type=values.whole(0), default=0, metavar="S", help="seed of the random grids (default 0)"
    )


def _tables(group: Any) -> None:
    packages = values.named("package", PACKAGES)
    known = ", ".join(PACKAGES)
    group.add_argument("--list", type=packages, metavar="PACKAGE", help=f"list the samplers of a package: {known}")
    group.add_argument("--all", type=packages, metavar="PACKAGE", help="certify all samplers of a package, as a table")
    group.add_argument(
        "--jobs", type=values.whole(1, 1024), metavar="N", help="processes of --all (default: one for each CPU)"
    )
    group.add_argument(
        "--out",
        metavar="DIR",
        help="folder for the table of --all as JSON and Markdown, and for every row as it is done; the same command "
        "goes on from there",
    )
    group.add_argument("--force", action="store_true", help="certify everything anew, whatever is in --out already")


def _output(group: Any) -> None:
    form = group.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print everything that was measured as JSON")
    form.add_argument("--markdown", action="store_true", help="print a table in Markdown")
    files = values.output(".png", ".pdf", ".svg")
    group.add_argument(
        "--plot", type=files, metavar="FILE", help="draw the errors of SAMPLER into a .png, .pdf or .svg file"
    )
    group.add_argument(
        "--strict",
        action="store_true",
        help="leave with exit code 3 if a claim is neither certified nor conditional (default: 0 whatever is found)",
    )
