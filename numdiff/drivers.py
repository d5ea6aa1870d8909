"""Drivers of the ask/tell machine: `sample` and `invert` for diffusion models, `solve_ivp` for plain ODEs.

A driver owns the loop: it evaluates the model where the machine asks, checks the answer, and reports progress. What a
scheme *is* lives in its tableaus; nothing here depends on the method.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
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
    if scheme.schedule is None:
        raise ValueError("the scheme belongs to a plain ODE (its schedule is None); use solve_ivp")
    if not scheme.levels[0].log_snr < scheme.levels[-1].log_snr:
        first, last = scheme.ends
        raise ValueError(
            f"the grid runs from data to noise (t = {first:.6g} to {last:.6g}); reverse it to sample, or use invert"
        )
    draw = _noise(x, generator) if noise is None else noise
    return _drive(scheme, model, x, get(prediction), draw, callback, trajectory, exact, copies)


def invert(scheme: Scheme, model: Model, x: Array, *, prediction: Any = "noise", trajectory: bool = False) -> Array:
    """Run a scheme's method backwards over its grid, from data to noise (DDIM inversion for `DDIM`).

    The method is laid out anew on the reversed grid, so the result is that method's approximation of the inverse flow
    and agrees with the inverse of `sample` to the method's order.

    Parameters
    ----------
    scheme, model, prediction, trajectory
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
    if scheme.schedule is None:
        raise ValueError("the scheme belongs to a plain ODE (its schedule is None); use solve_ivp on reversed times")
    options = {k: v for k, v in scheme.options if k != "final"}
    back = scheme.method.discretize(scheme.schedule, list(scheme.levels[::-1]), **options)
    return _drive(back, model, x, get(prediction), None, None, trajectory, None, False)


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
    scheme = method.discretize(None, t_grid, start=start)
    if not hasattr(y0, "dtype") or (kind(y0) == "numpy" and y0.dtype.kind in "iu"):
        y0 = np.asarray(y0, dtype=np.result_type(np.float64, np.asarray(y0).dtype))
    at = None if exact is None else (lambda level: _like(exact(to_float(level.time)), y0))

    def model(y: Array, t: Any) -> Array:
        return _like(fun(to_float(t), y), y0)

    return _drive(scheme, model, y0, get("velocity"), None, None, trajectory, at, False)


def _like(value: Any, y0: Array) -> Array:
    return np.asarray(value, dtype=y0.dtype) if kind(y0) == "numpy" and not hasattr(value, "dtype") else value


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
) -> Any:
    """Loop over the machine's questions."""
    _check_state(x)
    if scheme.exact_starts and exact is None:
        raise ValueError('start="exact" needs exact=, a function that returns the exact sample at a level')
    machine = Machine(program(scheme, prediction), x, noise=noise, copies=copies)
    check = _Check(x)
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
        Y = exact(question.level) if exact is not None and 1 <= asked <= scheme.exact_starts else None
        F = model(question.x if Y is None else Y, _bare(question.level.model_time))
        check(F, question)
        if Y is not None and trajectory:
            path[-1] = Y
        machine.tell(F, Y)
        del F  # unless it is history, its memory is free while the model works
        asked += 1
        report()
    check.finish()
    return path if trajectory else machine.sample


def _bare(model_time: Any) -> Any:
    """Return a NumPy scalar as a Python number: multiplied with a float32 sample it would promote it."""
    return model_time.item() if isinstance(model_time, np.generic) else model_time


def _node_ends(scheme: Scheme) -> dict[int, int]:
    """Map the tableaus that complete a grid step to the number of that step."""
    ends = [i for i, tableau in enumerate(scheme.tableaus) if tableau.target is not None]
    return {i: n + 1 for n, i in enumerate(ends)}


def _check_state(x: Any) -> None:
    which = kind(x) if hasattr(x, "dtype") else None
    floating = x.is_floating_point() if which == "torch" else which == "numpy" and np.issubdtype(x.dtype, np.inexact)
    if not floating:
        what = f"an array of dtype {x.dtype}" if which else type(x).__name__
        raise TypeError(f"the initial sample must be a floating NumPy array or torch tensor, got {what}")


class _Check:
    """Checks what a model returns, without waiting for a device.

    A sum tells whether an array is finite in one read. On a device other than the CPU the sums are looked at when the
    run is over.
    """

    def __init__(self, x: Array) -> None:
        self.x, self.count = x, 0
        self.deferred: list[tuple[Array, str]] | None = [] if kind(x) == "torch" and x.device.type != "cpu" else None

    def __call__(self, F: Any, question: Question) -> None:
        self.count += 1
        x, when = self.x, question.level.model_time
        where = f"at evaluation {self.count}, step {question.index + 1} (model time {when})"
        if type(F) is not type(x) and not (hasattr(F, "dtype") and kind(F) == kind(x)):
            raise TypeError(f"the model returned {type(F).__name__} {where}; expected {type(x).__name__}")
        if F.shape != x.shape:
            shapes = f"shape {tuple(F.shape)} {where}; expected {tuple(x.shape)}"
            raise ValueError(f"the model returned {shapes}, the sample's")
        if F.dtype != x.dtype:
            raise TypeError(f"the model returned dtype {F.dtype} {where}; expected {x.dtype}, the sample's; cast one")
        if kind(x) == "numpy":
            if not np.isfinite(F).all():
                raise ValueError(f"the model returned a value that is not finite {where}")
            return
        if F.device != x.device:
            raise ValueError(f"the model returned a tensor on {F.device} {where}; the sample is on {x.device}")
        total = F.detach().sum(dtype=sys.modules["torch"].float32 if F.dtype.itemsize < 4 else None)
        if self.deferred is not None:
            self.deferred.append((total, where))
        elif not math.isfinite(total) and not F.isfinite().all():
            raise ValueError(f"the model returned a value that is not finite {where}")

    def finish(self) -> None:
        """Look at the deferred sums, in one transfer."""
        if self.deferred:
            totals = sys.modules["torch"].stack([total for total, _ in self.deferred]).tolist()
            for total, (_, where) in zip(totals, self.deferred, strict=True):
                if not math.isfinite(total):
                    raise ValueError(f"the model returned a value that is not finite {where}")


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
