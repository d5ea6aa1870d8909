"""Drivers of the ask/tell machine: `sample` and `invert` for diffusion models, `solve_ivp` for plain ODEs.

A driver owns the loop: it evaluates the model where the machine asks, checks the answer, and reports progress. What a
scheme *is* lives in its tableaus; nothing here depends on the method.
"""

from __future__ import annotations

import cmath
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from numdiff.elementary import kind
from numdiff.executor import Array, Machine, Native, Question, native
from numdiff.methods.base import Method
from numdiff.methods.scheme import Scheme
from numdiff.parameterizations import get
from numdiff.tableau import Row, to_float

Model = Callable[[Array, Any], Array]


@dataclass(frozen=True)
class Words:
    """What the arguments of a driver are called in its messages."""

    state: str = "the sample"
    model: str = "the model"
    time: str = "model time"


ODE_WORDS = Words("y0", "fun", "t =")

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
    return _drive(scheme, model, x, get(prediction), draw, callback, trajectory, exact, copies)


def invert(
    scheme: Scheme,
    model: Model,
    x: Array,
    *,
    prediction: Any = "noise",
    callback: Callable[[int, Any, Array], None] | None = None,
    trajectory: bool = False,
    copies: bool = False,
) -> Array:
    """Run a scheme's method backwards over its grid, from data to noise (DDIM inversion for `DDIM`).

    The method is laid out anew on the reversed grid (``orders`` reversed too), so the result is that method's
    approximation of the inverse flow and agrees with the inverse of `sample` to the method's order.

    Parameters
    ----------
    scheme, model, prediction, callback, trajectory, copies
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
    options = {k: v for k, v in scheme.options if k != "final"}
    if options["start"] == "exact":
        raise ValueError('invert cannot run a scheme with start="exact"; discretize with start="runge-kutta"')
    if options["orders"] is not None:
        options["orders"] = tuple(options["orders"])[::-1]
    back = scheme.method.discretize(scheme.schedule, list(scheme.levels[::-1]), **options)
    return _drive(back, model, x, get(prediction), None, callback, trajectory, None, copies)


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
    return _drive(scheme, model, y0, get("velocity"), None, None, trajectory, at, True, ODE_WORDS)


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


def _check_callable(value: Any, name: str) -> None:
    if not callable(value):
        raise TypeError(f"{name} must be a function, got {value!r}")


def _drive(
    scheme: Scheme,
    model: Model,
    x: Array,
    prediction: Any,
    noise: Callable[[int, int], Array] | None,
    callback: Callable[[int, Any, Array], None] | None,
    trajectory: bool,
    exact: Callable[[Any], Array] | None,
    copies: bool,
    words: Words = Words(),
) -> Any:
    """Loop over the machine's questions."""
    _check_state(x, words)
    _check_callable(model, words.model)
    if exact is not None:
        _check_callable(exact, "exact")
    if scheme.exact_starts and exact is None:
        raise ValueError('start="exact" needs exact=, a function that returns the exact sample at a level')
    machine = Machine(program(scheme, prediction), x, noise=noise, copies=copies)
    check = _Check(x, words)
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
        F = model(question.x if Y is None else Y, _bare(question.level.model_time))
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
    ends = [i for i, tableau in enumerate(scheme.tableaus) if tableau.target is not None]
    return {i: n + 1 for n, i in enumerate(ends)}


def _check_state(x: Any, words: Words) -> None:
    """Raise unless `x` is a floating array that is finite."""
    which = kind(x) if hasattr(x, "dtype") else None
    inexact = x.is_floating_point() or x.is_complex() if which == "torch" else which == "numpy" and x.dtype.kind in "fc"
    if not inexact:
        what = f"an array of dtype {x.dtype}" if which else type(x).__name__
        raise TypeError(f"{words.state} must start as a floating NumPy array or torch tensor, got {what}; convert it")
    if _on_host(x) and not _finite(x):
        raise ValueError(f"{words.state} is not finite at the start; drop the points that are NaN or infinite")


def _on_host(x: Array) -> bool:
    return kind(x) == "numpy" or x.device.type == "cpu"


def _total(x: Array) -> Any:
    """Return the sum of a tensor, wide enough that only what is not finite makes it so (or a sum beyond float32)."""
    return x.detach().sum(dtype=sys.modules["torch"].float32 if x.dtype.itemsize < 4 else None)


def _finite(x: Array) -> bool:
    if kind(x) == "numpy":
        return bool(np.isfinite(x).all())
    return cmath.isfinite(_total(x).item()) or bool(x.isfinite().all())


class _Check:
    """Checks what a model returns, without waiting for a device.

    A sum tells whether an array is finite in one read. On a device other than the CPU the sums are looked at when the
    run is over.
    """

    def __init__(self, x: Array, words: Words) -> None:
        self.x, self.words, self.count = x, words, 0
        self.deferred: list[tuple[Array, str]] = []

    def __call__(self, F: Any, question: Question) -> None:
        self.count += 1
        when = f"{self.words.time} {question.level.model_time}"
        where = f"at evaluation {self.count}, step {question.index + 1} ({when})"
        self.array(F, self.words.model, where)
        if not _on_host(F):
            self.deferred.append((_total(F), where))
        elif not _finite(F):
            self._refuse(question.x, where)

    def array(self, F: Any, who: str, where: str) -> None:
        """Raise unless `F`, returned by `who`, is an array like the sample."""
        x, state = self.x, self.words.state
        if type(F) is not type(x) and not (hasattr(F, "dtype") and kind(F) == kind(x)):
            raise TypeError(f"{who} returned {type(F).__name__} {where}; expected {type(x).__name__}")
        if F.shape != x.shape:
            raise ValueError(f"{who} returned shape {tuple(F.shape)} {where}; expected {tuple(x.shape)}, as {state}")
        if F.dtype != x.dtype:
            raise TypeError(f"{who} returned dtype {F.dtype} {where}; expected {x.dtype}, as {state}; cast one of them")
        if kind(x) == "torch" and F.device != x.device:
            raise ValueError(f"{who} returned a tensor on {F.device} {where}; {state} is on {x.device}")

    def _refuse(self, Y: Array, where: str) -> None:
        """Say whether the model or what it was given is to blame."""
        if not _finite(Y):
            raise ValueError(self._overflow(where))
        raise ValueError(f"{self.words.model} returned a value that is not finite {where}")

    def _overflow(self, where: str) -> str:
        state = "y" if self.words is ODE_WORDS else self.words.state
        remedy = "take smaller steps, a more stable method or a wider dtype"
        return f"{state} is no longer finite {where}: it outgrew {self.x.dtype}; {remedy}"

    def finish(self, x: Array) -> None:
        """Look at the deferred sums, in one transfer, and at the last sample."""
        if self.deferred:
            totals = sys.modules["torch"].stack([total.abs() for total, _ in self.deferred]).tolist()
            for total, (_, where) in zip(totals, self.deferred, strict=True):
                if not math.isfinite(total):
                    raise ValueError(f"{self.words.model} returned a value that is not finite {where}")
        if not _finite(x):
            raise ValueError(self._overflow("after the last step"))


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
