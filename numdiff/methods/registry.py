"""The registry: every family by name, and representative methods for tests, tables, plots and the command line.

Registering a family here puts it under every test of the registry.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from inspect import signature
from typing import Any

from numdiff._names import suggest
from numdiff.formulations import DATA_LOG_SNR, DATA_RATIO, NOISE_LOG_SNR, NOISE_RATIO, VELOCITY_TIME
from numdiff.methods import aliases
from numdiff.methods.adams import AdamsBashforth
from numdiff.methods.base import Method
from numdiff.methods.filtered_adams import FilteredAdams, StretchedAdams
from numdiff.methods.ghvb import GHVB
from numdiff.methods.momentum import HeavyBall, Nesterov
from numdiff.methods.predictor_corrector import PredictorCorrector, UniPC


@dataclass(frozen=True)
class Family:
    """A family of methods as the command line sees it.

    Parameters
    ----------
    build
        Builds a member from keyword options.
    options
        The names of the options.
    summary
        One line for listings.
    aliases
        Other names, in lower case.
    """

    build: Callable[..., Method]
    options: tuple[str, ...]
    summary: str
    aliases: tuple[str, ...] = ()


def _on_adams(wrap: Callable[..., Method]) -> Callable[..., Method]:
    def build(order: int = 2, beta: Any = Fraction(4, 5), **options: Any) -> Method:
        return wrap(AdamsBashforth(order, **options), beta=beta)

    return build


def _pec(order: int, **options: Any) -> Method:
    return PredictorCorrector(order, **options)


ADAMS = ("order", "formulation", "weights", "rule")

FAMILIES = {
    "ab": Family(AdamsBashforth, ADAMS, "Adams-Bashforth in any formulation", ("adams", "adams-bashforth")),
    "hb": Family(_on_adams(HeavyBall), (*ADAMS, "beta"), "heavy ball on Adams-Bashforth", ("heavy-ball", "heavyball")),
    "nt": Family(_on_adams(Nesterov), (*ADAMS, "beta"), "Nesterov momentum on Adams-Bashforth", ("nesterov",)),
    "ghvb": Family(GHVB, ("order", "beta", "formulation", "weights"), "generalized heavy ball", ()),
    "filtered-adams": Family(
        FilteredAdams,
        ("order", "beta", "momentum", "error", "formulation", "weights"),
        "Adams on filtered evaluations: GHVB with momentum in the velocity or a given error constant",
        ("relaxed-ghvb",),
    ),
    "stretched-adams": Family(
        StretchedAdams,
        ("real_interval", "formulation", "weights"),
        "second order with a given real stability interval (3 unless told otherwise)",
        ("second-order-momentum",),
    ),
    "ddim": Family(aliases.DDIM, ("formulation",), "DDIM: Adams-Bashforth of order 1", ("euler",)),
    "plms": Family(aliases.PLMS, ("order",), "PLMS, equal-step Adams weights on noise", ("pndm", "ipndm")),
    "lms": Family(aliases.LMS, ("order",), "LMS: variable-step Adams on noise in sigma/alpha", ("lmsdiscrete",)),
    "deis": Family(aliases.DEIS, ("order", "variant"), "DEIS, rho-AB or log-rho", ()),
    "dpm-solver": Family(aliases.DPMSolver, ("order", "rule"), "DPM-Solver: exponential Adams on noise", ("dpm",)),
    "dpmpp": Family(
        aliases.DPMSolverPP, ("order", "rule"), "DPM-Solver++: exponential Adams on data", ("dpm-solver++", "dpm++")
    ),
    "pec": Family(
        _pec, ("order", "formulation", "rule", "beta"), "Adams predictor and corrector, one evaluation a step", ("abm",)
    ),
    "unipc": Family(UniPC, ("order", "formulation", "rule", "beta"), "UniPC: exponential predictor-corrector", ()),
    "flow-euler": Family(aliases.FlowEuler, (), "Euler on the velocity", ()),
    "heun": Family(aliases.Heun, ("formulation",), "Heun's Runge-Kutta method (EDM)", ("edm-heun",)),
    "midpoint": Family(aliases.Midpoint, ("formulation",), "explicit midpoint Runge-Kutta", ()),
    "ralston": Family(aliases.Ralston, ("formulation",), "Ralston's second-order Runge-Kutta", ()),
    "kutta3": Family(aliases.Kutta3, ("formulation",), "Kutta's third-order Runge-Kutta", ("rk3",)),
    "rk4": Family(aliases.RK4, ("formulation",), "classical fourth-order Runge-Kutta", ()),
}


def family(name: str) -> Family:
    """Return the family of that name or alias, upper or lower case.

    Raises
    ------
    ValueError
        For an unknown name, with the nearest known one.
    """
    known = {alias: f for key, f in FAMILIES.items() for alias in (key, *f.aliases)}
    if not isinstance(name, str) or name.lower() not in known:
        suggest(name, known, "method")
    return known[name.lower()]


def register(
    name: str,
    build: Callable[..., Method],
    *,
    summary: str,
    options: tuple[str, ...] = (),
    aliases: tuple[str, ...] = (),
) -> None:
    """Add a family to the registry of this process, so that `method` and the command line find it by name.

    Parameters
    ----------
    name
        Lower case, in letters, digits and hyphens.
    build
        Builds a member from keyword options.
    summary, options, aliases
        As in `Family`.

    Raises
    ------
    ValueError
        For a name or alias that is taken or has other characters; for options that `build` does not take.
    """
    taken = {alias for key, f in FAMILIES.items() for alias in (key, *f.aliases)}
    for new in (name, *aliases):
        if not isinstance(new, str) or not re.fullmatch(r"[a-z][a-z0-9+-]*", new):
            raise ValueError(f"a family's name must be lower-case letters, digits and hyphens, got {new!r}")
        if new in taken:
            raise ValueError(f"method {new!r} is registered already; choose another name")
    accepted = signature(build).parameters.values()
    open_ended = any(p.kind is p.VAR_KEYWORD for p in accepted)
    unknown = [option for option in options if not open_ended and option not in {p.name for p in accepted}]
    if unknown:
        raise ValueError(f"build does not take the options {', '.join(unknown)}; drop them")
    FAMILIES[name] = Family(build, tuple(options), summary, tuple(aliases))


def method(name: str, **options: Any) -> Method:
    """Return a member of a family by name, for example ``method("ghvb", order=3, beta=0.8)``.

    Raises
    ------
    ValueError
        For an unknown family or option, with the nearest known one; for a missing option.
    """
    chosen = family(name)
    for option in options:
        if option not in chosen.options:
            if not chosen.options:
                raise ValueError(f"method {name} takes no options, got {option}")
            suggest(option, chosen.options, f"option of {name}")
    for parameter in signature(chosen.build).parameters.values():
        option, needed = parameter.name, parameter.default is parameter.empty
        if needed and parameter.kind is not parameter.VAR_KEYWORD and option not in options:
            raise ValueError(f"method {name} needs {option}, for example {option}={'0.8' if option == 'beta' else '2'}")
    return chosen.build(**options)


def methods() -> dict[str, Method]:
    """Return a representative member of everything registered, by name: what the registry-wide tests run over."""
    beta = Fraction(4, 5)
    members: list[Method] = [AdamsBashforth(k) for k in range(1, 6)]
    members += [AdamsBashforth(3, f) for f in (NOISE_RATIO, NOISE_LOG_SNR, DATA_LOG_SNR, DATA_RATIO, VELOCITY_TIME)]
    members += [aliases.PLMS(4), aliases.DPMSolverPP(2, rule="half"), aliases.DPMSolver(2), aliases.DPMSolverPP(2)]
    members += [HeavyBall(AdamsBashforth(k), beta=beta) for k in (1, 2, 4)]
    members += [HeavyBall(aliases.DPMSolverPP(2, rule="half"), beta=beta)]
    members += [HeavyBall(aliases.PLMS(2), beta=Fraction(3, 2))]
    members += [Nesterov(AdamsBashforth(k), beta=beta) for k in (1, 2)] + [Nesterov(aliases.DPMSolverPP(2), beta=beta)]
    members += [GHVB(k, beta) for k in range(1, 6)] + [GHVB(3, beta, DATA_LOG_SNR), GHVB(2, beta, NOISE_LOG_SNR)]
    members += [GHVB(3, Fraction(1, 2), DATA_RATIO), GHVB(3, beta, NOISE_RATIO, weights="uniform")]
    members += [PredictorCorrector(k) for k in (1, 3)] + [PredictorCorrector(2, beta=beta), UniPC(2), UniPC(3)]
    members += [UniPC(2, NOISE_LOG_SNR, rule="bh1"), UniPC(2, rule="bh2", beta=beta)]
    members += [FilteredAdams(k, beta, error=Fraction(1, 2)) for k in (1, 2, 3)]
    members += [StretchedAdams(2), StretchedAdams(3, formulation=DATA_LOG_SNR)]
    members += [FilteredAdams.from_dampings(3, beta, Fraction(1, 2)), FilteredAdams(3, 1, Fraction(1, 4), beta)]
    members += [FilteredAdams(2, beta, Fraction(1, 5), beta, NOISE_RATIO, "uniform")]
    members += [aliases.Heun(), aliases.Midpoint(), aliases.Ralston(), aliases.Kutta3(), aliases.RK4()]
    members += [aliases.Heun(DATA_RATIO), aliases.RK4(VELOCITY_TIME)]
    return {member.name: member for member in members}
