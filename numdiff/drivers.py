"""Drivers of the ask/tell machine: `sample` and `invert` for diffusion models, `solve_ivp` for plain ODEs.

A driver owns the loop: it evaluates the model where the machine asks, checks the answer, and reports progress. What a
scheme *is* lives in its tableaus; nothing here depends on the method.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from numdiff.drivers_checks import ODE_WORDS, WORDS, Check, Words, check_state
from numdiff.elementary import kind
from numdiff.executor import Array, Machine, Native, native
from numdiff.methods.base import Method
from numdiff.methods.scheme import Scheme
from numdiff.parameterizations import get
from numdiff.tableau import Row, to_float

Model = Callable[[Array, Any], Array]


_programs: WeakKeyDictionary[Scheme, dict[Any, tuple[Native, ...]]] = WeakKeyDictionary()


def program(scheme: Scheme, prediction: Any) -> tuple[Native, ...]:
    """Return the scheme rewritten for a model that predicts `prediction`, made once per scheme.

    Programs whose coefficients carry gradients are made anew each time, since a graph can be used only once.
    """
    cache = _programs.setdefault(scheme, {})
    if prediction in cache:
        return cache[prediction]
    made = tuple(native(scheme, prediction, scheme.prediction))
    made = tuple(Native(entry.tableau.to_float(), tuple(map(_float_row, entry.held))) for entry in made)
    if not any(kind(c) == "torch" for e in made for row in e.tableau.plan.outputs for _, c in row):
        cache[prediction] = made
    return made


def _float_row(row: Row | None) -> Row | None:
    return None if row is None else tuple((i, to_float(c)) for i, c in row)


def sample(
    scheme: Scheme,
    model: Model,
    x: Array,
    *,
    prediction: Any = "noise",
    fields: Mapping[str, Model] | None = None,
    generator: Any = None,
    noise: Callable[[int, int], Array] | None = None,
    callback: Callable[[int, Any, Array], None] | None = None,
    trajectory: bool = False,
    exact: Callable[[Any], Array] | None = None,
    copies: bool = False,
) -> Array:
    """Run a scheme from noise to data.

    Parameters
    ----------
    scheme
        What `Method.discretize` returned, on a grid that runs from noise to data.
    model
        ``model(x, t)`` returns the prediction at sample x (same shape and dtype) and model time t, a Python float.
    x
        The initial sample x_T, shape (...), a floating NumPy array or torch tensor; it decides dtype and device and is
        not written to.
    prediction
        What the model predicts: "noise", "data", "v", "velocity", "flow", "score", "edm", or an object of
        `numdiff.parameterizations`.
    fields
        The other fields of a splitting scheme by their tags, ``{"condition": g}``: differences of predictions, to be
        added to the model's for the guided one.
    generator
        A ``numpy.random.Generator`` or ``torch.Generator`` for schemes that add noise.
    noise
        ``noise(index, column)``, the noise itself, instead of a generator.
    callback
        ``callback(step, level, x)`` after each grid step, with step = 1 ... N and the level reached.
    trajectory
        Return the list of the samples at all N + 1 grid levels instead of the last one.
    exact
        ``exact(level)`` returns the exact sample there; needed by schemes made with ``start="exact"``.
    copies
        True where the model re-uses its output buffer.

    Returns
    -------
    array or list of arrays
        x_0, of the shape, dtype and device of `x`.

    Raises
    ------
    ValueError
        If the scheme runs from data to noise (use `invert`), belongs to a plain ODE (use `solve_ivp`), or the model
        returns another shape or a value that is not finite (naming the step and the time).
    TypeError
        If `x` is not a floating array or the model returns another type or dtype.
    """
    _check_sampling(scheme)
    draw = _noise(x, generator) if noise is None else noise
    return _drive(scheme, _fields(scheme, model, fields), x, get(prediction), draw, callback, trajectory, exact, copies)


def invert(
    scheme: Scheme,
    model: Model,
    x: Array,
    *,
    prediction: Any = "noise",
    fields: Mapping[str, Model] | None = None,
    callback: Callable[[int, Any, Array], None] | None = None,
    trajectory: bool = False,
    copies: bool = False,
) -> Array:
    """Run a scheme's method backwards over its grid, from data to noise (DDIM inversion for `DDIM`).

    The method is laid out anew on the reversed grid (``orders`` reversed too), so the result is that method's
    approximation of the inverse flow and agrees with the inverse of `sample` to the method's order.

    Parameters
    ----------
    scheme, model, prediction, fields, callback, trajectory, copies
        As in `sample`; the scheme is the one that samples, from noise to data.
    x
        The data x_0, shape (...).

    Returns
    -------
    array or list of arrays
        x_T, of the shape, dtype and device of `x`.

    Raises
    ------
    ValueError
        As in `sample`; also where the formulation cannot start at the data end (data prediction at sigma = 0).
    """
    _check_sampling(scheme)
    if scheme.method.stochastic:
        raise ValueError(f"{scheme.method} adds noise on the way, so it has no inverse; invert a method with tau = 0")
    options = {k: v for k, v in scheme.options if k != "final"}
    if options["start"] == "exact":
        raise ValueError('invert cannot run a scheme with start="exact"; discretize with start="runge-kutta"')
    if options["orders"] is not None:
        options["orders"] = tuple(options["orders"])[::-1]
    back = scheme.method.discretize(scheme.schedule, list(scheme.levels[::-1]), **options)
    return _drive(back, _fields(back, model, fields), x, get(prediction), None, callback, trajectory, None, copies)


def solve_ivp(
    method: Method,
    fun: Callable[[Any, Array], Array],
    t_grid: Any,
    y0: Any,
    *,
    start: str = "lower",
    exact: Callable[[float], Any] | None = None,
    trajectory: bool = False,
) -> Array:
    """Integrate dy/dt = fun(t, y) over given times with a fixed-step method.

    Parameters
    ----------
    method
        Any method; its velocity/time form is used.
    fun
        The right-hand side in SciPy's convention, fun(t, y), returning the shape of y.
    t_grid
        Strictly monotone times, shape (N + 1,), in either direction.
    y0
        Initial value: a number, list, array or tensor of any shape.
    start
        "lower", "runge-kutta" or "exact"; see `Method.discretize`.
    exact
        ``exact(t)``, the solution, for ``start="exact"``.
    trajectory
        Return the list of y at all N + 1 times.

    Returns
    -------
    array
        y at ``t_grid[-1]``, or the list.

    Raises
    ------
    ValueError, TypeError
        As in `sample` and `Method.discretize`.
    """
    if not isinstance(method, Method):
        raise TypeError(f"method must be a method such as nd.AdamsBashforth(3), got {method!r}")
    _check_callable(fun, "fun")
    scheme = method.discretize(None, t_grid, start=start)
    if not hasattr(y0, "dtype") or (kind(y0) == "numpy" and y0.dtype.kind in "iu"):
        y0 = np.asarray(y0, dtype=np.result_type(np.float64, np.asarray(y0).dtype))
    at = None if exact is None else (lambda level: _like(exact(to_float(level.time)), y0))

    def model(y: Array, t: Any) -> Array:
        return _like(fun(to_float(t), y), y0)

    # right-hand sides that fill one dydt buffer again and again are common among ODE codes, so their values are copied
    fields = _fields(scheme, model, None)
    return _drive(scheme, fields, y0, get("velocity"), None, None, trajectory, at, True, ODE_WORDS)


def _like(value: Any, y0: Array) -> Array:
    """Return what a right-hand side gave as an array like y0, if it is no array yet."""
    if kind(y0) != "numpy" or hasattr(value, "dtype"):
        return value
    array = np.asarray(value)
    return array.astype(y0.dtype) if np.can_cast(array.dtype, y0.dtype, "same_kind") else array


def _check_sampling(scheme: Any) -> None:
    """Raise unless `scheme` is laid out from noise to data."""
    if not isinstance(scheme, Scheme):
        raise TypeError(f"scheme must be what method.discretize(schedule, grid) returns, got {scheme!r}")
    if scheme.schedule is None:
        raise ValueError("the scheme belongs to a plain ODE (its schedule is None); use solve_ivp")
    if not scheme.levels[0].log_snr < scheme.levels[-1].log_snr:
        first, last = scheme.ends
        raise ValueError(
            f"the grid runs from data to noise (t = {first:.6g} to {last:.6g}); lay the method out from noise to data, "
            "then sample or invert"
        )


def _fields(scheme: Scheme, model: Model, others: Mapping[str, Model] | None) -> dict[str, Model]:
    """Return what answers each tag, checked against the tags that the scheme asks for."""
    _check_callable(model, "the model")
    others = dict(others or {})
    asked = sorted({tag for tableau in scheme for tag in tableau.tags if tag})
    if sorted(others) != asked:
        wanted = f"pass fields={{{asked[0]!r}: ...}}" if asked else "it takes no fields"
        raise ValueError(f"{scheme.method} evaluates the fields {asked}, got {sorted(others)}; {wanted}")
    for tag, field in others.items():
        _check_callable(field, f"fields[{tag!r}]")
    return {"": model, **others}


def _check_callable(value: Any, name: str) -> None:
    if not callable(value):
        raise TypeError(f"{name} must be a function, got {value!r}")


def _drive(
    scheme: Scheme,
    fields: Mapping[str, Model],
    x: Array,
    prediction: Any,
    noise: Callable[[int, int], Array] | None,
    callback: Callable[[int, Any, Array], None] | None,
    trajectory: bool,
    exact: Callable[[Any], Array] | None,
    copies: bool,
    words: Words = WORDS,
) -> Any:
    """Loop over the machine's questions."""
    check_state(x, words)
    if exact is not None:
        _check_callable(exact, "exact")
    if scheme.exact_starts and exact is None:
        raise ValueError('start="exact" needs exact=, a function that returns the exact sample at a level')
    machine = Machine(program(scheme, prediction), x, noise=noise, copies=copies)
    check = Check(x, words)
    path, nodes, asked = [x], _node_ends(scheme), 0

    def report() -> None:
        for index, reached in machine.passed:
            if index not in nodes:
                continue
            if trajectory:
                path.append(reached)
            if callback is not None:
                callback(nodes[index], scheme.tableaus[index].target, reached)

    report()
    while (question := machine.ask()) is not None:
        Y = None
        if exact is not None and 1 <= asked <= scheme.exact_starts:
            Y = exact(question.level)
            check.array(Y, "exact", f"at {words.time} {question.level.time}")
        F = fields[question.tag](question.x if Y is None else Y, _bare(question.level.model_time))
        check(F, question)
        if Y is not None and trajectory and question.level is scheme.levels[len(path) - 1]:
            path[-1] = Y  # a predictor asks for the next node instead, where the step then arrives
        machine.tell(F, Y)
        del F  # unless it is history, its memory is free while the model works
        asked += 1
        report()
    check.finish(machine.sample)
    return path if trajectory else machine.sample


def _bare(model_time: Any) -> Any:
    """Return a NumPy scalar as a Python number: multiplied with a float32 sample it would promote it."""
    return model_time.item() if isinstance(model_time, np.generic) else model_time


def _node_ends(scheme: Scheme) -> dict[int, int]:
    """Map the tableaus that complete a grid step to the number of that step."""
    numbers = {id(level): n for n, level in enumerate(scheme.levels)}
    return {i: numbers[id(t.target)] for i, t in enumerate(scheme.tableaus) if t.target is not None}


def _noise(x: Any, generator: Any) -> Callable[[int, int], Array]:
    """Return a source of standard normal noise like `x`."""

    def draw(index: int, column: int) -> Array:
        if kind(x) == "torch":
            torch = sys.modules["torch"]
            device = x.device if generator is None else generator.device
            return torch.randn(x.shape, generator=generator, dtype=x.dtype, device=device).to(x.device)
        rng = generator if generator is not None else np.random.default_rng()
        return rng.standard_normal(x.shape).astype(x.dtype)

    return draw
