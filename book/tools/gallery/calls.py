"""How to get a family's member: the call, a program that draws samples with it, and commands of the shell."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from book.computed.gallery_work_precision import measure
from book.tools.gallery import links
from book.tools.gallery.facts import Facts, command
from numdiff.cli.methods import constructed
from numdiff.methods import FAMILIES, Method
from numdiff.methods.registry import catalogue


def described(alias: catalogue.Alias) -> str:
    """Return the call that builds what a name stands for."""
    return call(alias.family, alias.options)


def call(name: str, options: dict[str, Any] | None = None) -> str:
    """Return the call that makes a member, the example unless options are given."""
    given = FAMILIES[name].example if options is None else options
    return f"nd.method({', '.join([repr(name), *(f'{key}={literal(value)}' for key, value in given.items())])})"


def literal(value: Any) -> str:
    """Return a value as Python: fractions as decimals where they are finite ones."""
    if isinstance(value, Fraction):
        return repr(float(value)) if Fraction(repr(float(value))) == value else f"Fraction({value})"
    return repr(value) if isinstance(value, (str, int, float, tuple)) or value is None else constructed(value)


def code(name: str, method: Method) -> str:
    """Return a program that draws samples with a family's member."""
    flow = links.flow(method)
    schedule, prediction = ("Flow", "velocity") if flow else ("VPLinear", "noise")
    grid = "uniform_t(schedule, steps=10, t_end=0.01)" if flow else "uniform_log_snr(schedule, steps=10)"
    two = measure(method) == "guided"
    more = ", noise=nd.noise.Seeded(7)" if method.stochastic else ', fields={"condition": push}' if two else ""
    condition = "push = mixture.condition(schedule, component=0, scale=4.0)\n" if two else ""
    return (
        "import numpy as np\nimport numdiff as nd\n\n"
        f"method = {call(name)}\nschedule = nd.schedules.{schedule}()\n"
        f"scheme = method.discretize(schedule, nd.grids.{grid})\n\n"
        "centres = [[-1.0, 0.0], [1.0, 0.5]]\n"
        "mixture = nd.problems.GaussianMixture([0.4, 0.6], centres, [0.04, 0.09])\n"
        f'model = mixture.model(schedule, prediction="{prediction}")\n{condition}'
        "x_T = np.random.default_rng(0).standard_normal((1000, 2))\n"
        f'x0 = nd.sample(scheme, model, x_T, prediction="{prediction}"{more})\n'
    )


def shell(name: str, facts: Facts) -> list[str]:
    """Return commands about a family: what is derived of it, or its coefficients where that is all there is."""
    more = [command(name)] if "certified" in facts["order"] else []
    if not more and facts["tabulated"]:
        more = [f"{command(name)} --topic coefficients"]
    return [f"numdiff methods {name}", *more]
