r"""Integrators of y' = f(t, y) that choose their steps, made to take given ones: SciPy's and torchdiffeq's.

An adaptive one-step method makes one step per interval: its steps would be longer and are cut at the nodes, and its
tolerance accepts anything. So what is seen is the formula that it carries on with, local extrapolation included.
Methods whose step depends on a tolerance otherwise, or whose order changes on the way, have no order of their own and
are refused. Multistep methods of torchdiffeq run over the whole grid.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import numpy as np

from numdiff._names import suggest
from numdiff.adapters.subjects.callables import Arrays, labelled
from numdiff.certification.subject import Array, Field, NotASamplerError, Setting, Subject
from numdiff.level import Level

SCIPY = {"RK23": 3, "RK45": 5, "DOP853": 8}
"""Orders that SciPy's documentation gives to what these carry on with."""

REFUSED = {
    "Radau": "it solves for its stages up to a fraction of the tolerance, which takes the place of the step's order",
    "BDF": "its order changes between 1 and 5 with the estimated errors, and so do the steps that it can take",
    "LSODA": "it changes between Adams and BDF formulas and their orders with the estimated errors",
}
"""Why other solvers of `scipy.integrate` have no order at given steps."""

ONE_STEP = {"dopri8": 8, "dopri5": 5, "bosh3": 3, "fehlberg2": 2, "adaptive_heun": 2}
"""torchdiffeq's adaptive methods and their documented orders."""

FIXED = {"euler": 1, "midpoint": 2, "heun2": 2, "heun3": 3, "rk4": 4, "explicit_adams": None, "implicit_adams": None}
"""torchdiffeq's fixed-grid methods; the order of the Adams methods is their option `max_order`."""

MAX_ORDER = 12
"""Default of `max_order`."""

ITERATED = 1e-14
"""Relative tolerance to which the equation of an implicit step is solved, so that its formula is what is seen."""

ANYTHING = 1e100
"""A tolerance that accepts any step."""


def scipy_names() -> tuple[str, ...]:
    """Return the names of SciPy's solvers, those too that are refused."""
    return (*SCIPY, *REFUSED)


def of_scipy(name: str, *, order: int | None = None, **options: Any) -> Subject:
    """Return a solver of `scipy.integrate`, one step per interval.

    Parameters
    ----------
    name
        "RK23", "RK45" or "DOP853".
    order
        What is claimed; by default what SciPy says.
    options
        There are none: steps and tolerances are not left to it.

    Raises
    ------
    ValueError
        For an unknown name.
    TypeError
        For options.
    NotASamplerError
        For solvers without an order at given steps, with the reason.
    """
    if name in REFUSED:
        raise NotASamplerError(f"scipy:{name} has no order at given steps: {REFUSED[name]}")
    if name not in SCIPY:
        suggest(name, scipy_names(), "solver of SciPy")
    if options:
        raise TypeError(f"scipy:{name} takes no options here, got {', '.join(options)}: its steps are given to it")
    return _subject(f"scipy:{name}", partial(_run_scipy, name), SCIPY[name] if order is None else order, "scipy")


def _run_scipy(name: str, field: Field, x: Array, levels: Sequence[Level], setting: Setting) -> Array:
    """Take one step of a SciPy solver per interval."""
    import scipy.integrate

    kind, state = getattr(scipy.integrate, name), x.reshape(-1)

    def slope(t: float, y: Array) -> Array:
        return field(y.reshape(x.shape), Level.of_time(float(t))).reshape(-1)

    for t, t_next in pairwise(float(level.time) for level in levels):
        solver = kind(slope, t, state, t_next, first_step=abs(t_next - t), atol=ANYTHING)
        solver.h_abs *= 2  # longer than the interval and cut at its end: its own length might leave an ulp to go
        solver.step()
        state = solver.y
    return np.asarray(state).reshape(x.shape)


def torchdiffeq_names() -> tuple[str, ...]:
    """Return the names of torchdiffeq's methods, those too that are refused."""
    from torchdiffeq._impl.odeint import SOLVERS

    return tuple(SOLVERS)


def of_torchdiffeq(
    name: str, *, order: int | None = None, rtol: float | None = None, atol: float | None = None, **options: Any
) -> Subject:
    """Return a method of torchdiffeq on given steps.

    Parameters
    ----------
    name
        Of the method: "rk4", "explicit_adams", "dopri5", ...
    order
        What is claimed; by default the documented one, which of the Adams methods is `max_order`.
    rtol, atol
        Tolerances of the equations of implicit steps; by default they are solved to rounding.
    options
        Of the method, ``max_order=4``; steps are given to it.

    Raises
    ------
    ValueError
        For an unknown name, and for options that the method does not have or that set its steps.
    NotASamplerError
        For SciPy's solvers behind its door.
    """
    if name == "scipy_solver":
        raise NotASamplerError("torchdiffeq:scipy_solver hands everything to SciPy; certify scipy:RK45 instead")
    if name not in torchdiffeq_names():
        suggest(name, torchdiffeq_names(), "method of torchdiffeq")
    called = "implicit_adams" if name == "fixed_adams" else name
    tolerances = {key: value for key, value in (("rtol", rtol), ("atol", atol)) if value is not None}
    if called == "implicit_adams":
        options = {"max_iters": 100} | options
    for key in ("step_size", "grid_constructor", "first_step", "min_step", "max_step", "ifactor", "step_t", "jump_t"):
        if key in options:
            raise ValueError(f"{key} cannot be set: the steps of torchdiffeq:{name} are given to it")
    run = partial(_run_adaptive if called in ONE_STEP else _run_grid, called, options, tolerances)
    _try(name, run)
    claim = (ONE_STEP | FIXED)[called] or int(options.get("max_order", MAX_ORDER))
    shown = {key: value for key, value in options.items() if key != "max_iters"} | tolerances
    most = options.get("max_iters")
    notes = () if most is None else (f"implicit steps are solved to {ITERATED:g}, in at most {most} iterations",)
    full = labelled(f"torchdiffeq:{name}", shown)
    return _subject(full, run, claim if order is None else order, "torchdiffeq", single=True, notes=notes)


def _try(name: str, run: Callable[..., Array]) -> None:
    """Let torchdiffeq look at the options, of which it only warns."""
    levels = [Level.of_time(0.1 * k) for k in range(4)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            run(lambda y, level: 0 * y, np.ones((1, 1)), levels, Setting())
        except (UserWarning, TypeError, AssertionError, ValueError) as error:
            raise ValueError(f"torchdiffeq:{name} does not take these options: {error}") from error


def _slope(field: Field, arrays: Arrays) -> Callable[[Any, Any], Any]:
    """Return the right-hand side as torchdiffeq calls it."""
    return lambda t, y: arrays.of(field(arrays.back(y), Level.of_time(float(t))))


def _run_grid(
    name: str,
    options: dict[str, Any],
    tolerances: dict[str, Any],
    field: Field,
    x: Array,
    levels: Any,
    setting: Setting,
) -> Array:
    """Run a fixed-grid method over the whole grid."""
    from torchdiffeq import odeint

    arrays = Arrays("torch", setting.precision == "shipped")
    times = arrays.of([float(level.time) for level in levels])
    tight = {} if arrays.single else {"rtol": ITERATED, "atol": ITERATED}
    solution = odeint(
        _slope(field, arrays), arrays.of(x), times, method=name, options=dict(options), **(tight | tolerances)
    )
    return arrays.back(solution[-1])


def _run_adaptive(
    name: str,
    options: dict[str, Any],
    tolerances: dict[str, Any],
    field: Field,
    x: Array,
    levels: Any,
    setting: Setting,
) -> Array:
    """Take one step of an adaptive method per interval: longer ones are cut at the nodes."""
    from torchdiffeq import odeint

    arrays = Arrays("torch", setting.precision == "shipped")
    times = Arrays("torch").of([float(level.time) for level in levels])
    steps = {"first_step": 2 * abs(times[1] - times[0]), "ifactor": ANYTHING, "step_t": times[1:]}
    solution = odeint(
        _slope(field, arrays),
        arrays.of(x),
        times[[0, -1]],
        method=name,
        options=options | steps,
        rtol=0.0,
        atol=ANYTHING,
    )
    return arrays.back(solution[-1])


def _subject(
    name: str, run: Callable[..., Array], order: int, package: str, *, single: bool = False, notes: tuple[str, ...] = ()
) -> Subject:
    """Return an integrator of plain equations as a subject."""
    return Subject(
        name=name,
        run=run,
        order=order,
        prediction="velocity",
        scale="time",
        single=single,
        version=f"{package} {version(package)}",
        notes=notes,
    )
