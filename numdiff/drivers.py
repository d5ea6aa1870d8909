"""Drivers of the ask/tell machine: `sample` and `invert` for diffusion models, `solve_ivp` for plain ODEs.

A driver owns the loop: it evaluates the model where the machine asks, checks the answer, and reports progress. What a
scheme *is* lives in its tableaus; nothing here depends on the method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from numdiff.drivers_checks import (
    ODE_WORDS,
    WORDS,
    Check,
    Words,
    check_callable,
    check_functions,
    check_generator,
    given_samples,
)
from numdiff.drivers_checks import answers_by_tag as answers_by_tag
from numdiff.drivers_checks import check_sampling as check_sampling
from numdiff.drivers_checks import predicted as predicted
from numdiff.elementary import kind
from numdiff.executor import Array, Machine, Native, native
from numdiff.executor_native import fitted
from numdiff.methods.base import Method
from numdiff.methods.scheme import Scheme
from numdiff.noise import from_generator
from numdiff.parameterizations import get
from numdiff.tableau import Row, to_float

__all__ = ["invert", "sample", "solve_ivp"]

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
    entries = [*made, *(Native(tableau, ()) for tableau in scheme)]  # in no_grad mode the gradients are in those alone
    biases = [bias for entry in entries for bias in (*entry.tableau.a, *entry.tableau.b)]
    if not (any(entry.has_tensor for entry in entries) or any(kind(bias) == "torch" for bias in biases)):
        cache[prediction] = made
    return made


def _float_row(row: Row | None) -> Row | None:
    return None if row is None else tuple((i, to_float(c)) for i, c in row)


def sample(
    scheme: Scheme,
    model: Model,
    x: Array | tuple[Array, ...],
    *,
    prediction: Any = None,
    fields: Mapping[str, Model] | None = None,
    generator: Any = None,
    noise: Any = None,
    callback: Callable[[int, Any, Array], None] | None = None,
    trajectory: bool = False,
    states: bool = False,
    exact: Callable[[Any], Array] | None = None,
    edit: Callable[[Array, Any], Array] | None = None,
    copies: bool = False,
    finite: bool = True,
) -> Any:
    """Run a scheme from noise to data.

    Parameters
    ----------
    scheme
        What `Method.discretize` returned, on a grid that runs from noise to data.
    model
        ``model(x, t)`` returns the prediction at sample x (same shape and dtype) and model time t, a Python float. A
        ``prediction`` or ``schedule`` that it has must be that of the run.
    x
        The initial sample x_T, shape (...), a floating NumPy array or torch tensor; it decides dtype and device and is
        not written to. For a method whose state is several samples (BDIA) also the tuple of them, as `invert` returns
        it: the samples at the first levels of the grid, the outermost first. The steps between those are not made.
    prediction
        What the model predicts: "noise", "data", "v", "velocity", "flow", "score", "edm", or an object of
        `numdiff.parameterizations`. None takes ``model.prediction`` where the model says so, else "noise".
    fields
        The other fields of a splitting scheme by their tags, ``{"condition": g}``: differences of predictions, to be
        added to the model's for the guided one.
    generator
        A ``numpy.random.Generator`` or ``torch.Generator`` for schemes that add noise.
    noise
        Instead of a generator, ``noise(index, column)``, the noise itself, or what has a ``bind(x, scheme)`` that
        returns such a function: `numdiff.noise.Seeded` or `numdiff.noise.BrownianPath`.
    callback
        ``callback(step, level, x)`` after each grid step, with step = 1 ... N and the level reached.
    trajectory
        Return the list of the samples at all N + 1 grid levels instead of the last one (where a tableau crosses
        several grid steps at once, at the levels that it completes; given samples are in the list).
    states
        Return the tuple of last samples, the last one first, from which `invert` runs back exactly.
    exact
        ``exact(level)`` returns the exact sample there; needed by schemes made with ``start="exact"``.
    edit
        ``edit(x, level)`` returns the sample at which the model is evaluated instead of x, before each evaluation; the
        change is added to the sample (`numdiff.guidance.Inpainting`). The last sample is not edited.
    copies
        True where the model re-uses its output buffer.
    finite
        Check that what the model returns is finite, on a device other than the CPU by one transfer when the run is
        over. With False nothing is read back, and the host never waits for the device.

    Returns
    -------
    array, or list or tuple of arrays
        x_0, of the shape, dtype and device of `x`.

    Raises
    ------
    ValueError
        If the number of samples in `x` is not that of the method's state, the scheme runs from data to noise (use
        `invert`), belongs to a plain ODE (use `solve_ivp`), the model says that it predicts something else or is of
        another schedule, or returns another shape or a value that is not finite (naming the step and the time).
    TypeError
        If `x` is not a floating array or the model returns another type or dtype.

    Examples
    --------
    For normal data of standard deviation 1/2 the noise prediction is known, and the exact flow takes 1 to 1/2:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> def model(x, t):
    ...     level = schedule.level(t)
    ...     return level.sigma * x / (level.sigma**2 + level.alpha**2 / 4)

    >>> for steps in (10, 20):
    ...     scheme = nd.DPMSolverPP(2).discretize(schedule, nd.grids.uniform_log_snr(schedule, steps))
    ...     print(steps, round(nd.sample(scheme, model, np.ones(1), prediction="noise").item(), 3))
    10 0.545
    20 0.513
    """
    check_sampling(scheme)
    if trajectory and states:
        raise ValueError("trajectory and states ask for two different results; the states are the path's last samples")
    draw = _noise(scheme, given_samples(scheme, x, WORDS, finite)[-1], generator, noise)
    answers = answers_by_tag(scheme, model, fields)
    kept = trajectory or states
    path = _drive(
        scheme, answers, x, predicted(model, prediction), draw, callback, kept, exact, copies, edit=edit, finite=finite
    )
    return _states(scheme, path) if states else path


def invert(
    scheme: Scheme,
    model: Model,
    x: Array | tuple[Array, ...],
    *,
    prediction: Any = None,
    fields: Mapping[str, Model] | None = None,
    callback: Callable[[int, Any, Array], None] | None = None,
    trajectory: bool = False,
    copies: bool = False,
) -> Any:
    """Run a scheme's method backwards over its grid, from data to noise (DDIM inversion for `DDIM`).

    The method (what its ``reverse()`` returns) is laid out anew on the reversed grid (``orders`` reversed too), so the
    result is that method's approximation of the inverse flow and agrees with the inverse of `sample` to the method's
    order. Where the state is several samples (BDIA) the run can be undone to rounding: `sample` from the tuple that
    this returns gives back x, and this gives back what `sample` started from if x is the tuple of its ``states``.

    Parameters
    ----------
    scheme, model, prediction, fields, callback, trajectory, copies
        As in `sample`; the scheme is the one that samples, from noise to data.
    x
        The data x_0, shape (...); for a method whose state is several samples also the tuple of the samples at the
        last levels of the grid, x_0 first.

    Returns
    -------
    array, tuple of arrays or list of arrays
        x_T, of the shape, dtype and device of `x`; where the state is several samples the tuple of the samples at the
        first levels of the grid, x_T first.

    Raises
    ------
    ValueError
        As in `sample`; also where the formulation cannot start at the data end (data prediction at sigma = 0).

    Examples
    --------
    Data to noise and back, by the same method:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> scheme = nd.DPMSolverPP(2).discretize(schedule, nd.grids.uniform_log_snr(schedule, 100))
    >>> model, x0 = lambda x, t: np.tanh(x), np.array([0.5, -0.2])
    >>> x_T = nd.invert(scheme, model, x0, prediction="noise")
    >>> bool(abs(nd.sample(scheme, model, x_T, prediction="noise") - x0).max() < 1e-3)
    True
    """
    check_sampling(scheme)
    if scheme.method.stochastic:
        raise ValueError(f"{scheme.method} adds noise on the way, so it has no inverse; invert a method with tau = 0")
    options = {k: v for k, v in scheme.options if k != "final"}
    if options["start"] == "exact":
        raise ValueError('invert cannot run a scheme with start="exact"; discretize with start="runge-kutta"')
    if options["orders"] is not None:
        options["orders"] = tuple(options["orders"])[::-1]
    back = scheme.method.reverse().discretize(scheme.schedule, list(scheme.levels[::-1]), **options)
    several = back.method.samples > 1 and not trajectory
    answers = answers_by_tag(back, model, fields)
    path = _drive(back, answers, x, predicted(model, prediction), None, callback, trajectory or several, None, copies)
    return _states(back, path) if several else path


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

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> t = np.linspace(0.0, 2.0, 21)
    >>> for method in (nd.AdamsBashforth(2), nd.AdamsBashforthMoulton(4), nd.RK4()):
    ...     y = nd.solve_ivp(method, lambda t, y: -y, t, 1.0, start="runge-kutta")
    ...     print(f"{method.name:12} {method.nfe(20)} evaluations, error {abs(y - np.exp(-2.0)):.0e}")
    AB2          20 evaluations, error 4e-04
    PECE4-4      39 evaluations, error 2e-06
    RK4          80 evaluations, error 2e-07
    """
    if not isinstance(method, Method):
        raise TypeError(f"method must be a method such as nd.AdamsBashforth(3), got {method!r}")
    check_callable(fun, "fun")
    scheme = method.discretize(None, t_grid, start=start)
    if split := sorted({tag for tableau in scheme for tag in tableau.tags if tag}):
        raise ValueError(
            f"{method} evaluates the fields {split} apart from the model, and an ODE has one right-hand side, fun; "
            "use a method without splitting, such as nd.AdamsBashforth(3)"
        )
    if not hasattr(y0, "dtype") or (kind(y0) == "numpy" and y0.dtype.kind in "iu"):
        y0 = np.asarray(y0, dtype=np.result_type(np.float64, np.asarray(y0).dtype))
    at = None if exact is None else (lambda level: _like(exact(to_float(level.time)), y0))

    def model(y: Array, t: Any) -> Array:
        return _like(fun(to_float(t), y), y0)

    # right-hand sides that fill one dydt buffer again and again are common among ODE codes, so their values are copied
    fields = answers_by_tag(scheme, model, None)
    return _drive(scheme, fields, y0, get("velocity"), None, None, trajectory, at, True, ODE_WORDS)


def _like(value: Any, y0: Array) -> Array:
    """Return what a right-hand side gave as an array like y0, if it is no array yet."""
    if kind(y0) != "numpy" or hasattr(value, "dtype"):
        return value
    array = np.asarray(value)
    return array.astype(y0.dtype) if np.can_cast(array.dtype, y0.dtype, "same_kind") else array


def _states(scheme: Scheme, path: list[Array]) -> tuple[Array, ...]:
    """Return the samples that are the state at the end of a run, the last one first."""
    return tuple(path[: -scheme.method.samples - 1 : -1])


def _noise(scheme: Scheme, x: Array, generator: Any, noise: Any) -> Callable[[int, int], Array]:
    """Return the source of noise for samples like `x`, from what the caller gave."""
    if noise is None:
        check_generator(generator, x)
        return from_generator(x, generator)
    if generator is not None:
        raise ValueError("give generator or noise, not both: the noise is drawn by one of them")
    if isinstance(noise, type):
        raise TypeError(f"noise must be a source such as {noise.__name__}(0), got the class {noise.__name__}")
    draw = noise.bind(x, scheme) if hasattr(noise, "bind") else noise
    check_callable(draw, "noise")
    return draw


def _drive(
    scheme: Scheme,
    fields: Mapping[str, Model],
    x: Array | tuple[Array, ...],
    prediction: Any,
    noise: Callable[[int, int], Array] | None,
    callback: Callable[[int, Any, Array], None] | None,
    trajectory: bool,
    exact: Callable[[Any], Array] | None,
    copies: bool,
    words: Words = WORDS,
    edit: Callable[[Array, Any], Array] | None = None,
    finite: bool = True,
) -> Any:
    """Loop over the machine's questions."""
    given = given_samples(scheme, x, words, finite)
    check_functions(scheme, exact=exact, callback=callback, edit=edit)
    *earlier, now = given
    check = Check(now, words, finite)
    draw, entries = None if noise is None else check.noise(noise), fitted(program(scheme, prediction), now)
    machine = Machine(entries, now, noise=draw, copies=copies, earlier=earlier[::-1])
    path, nodes, asked, arrived = list(given), _node_ends(scheme), 0, 0

    def report() -> None:
        nonlocal arrived
        for index, reached in machine.passed:
            if index not in nodes:
                continue
            arrived = nodes[index]
            if trajectory:
                path.append(reached)
            if callback is not None:
                callback(nodes[index], scheme.tableaus[index].target, reached)

    report()
    while (question := machine.ask()) is not None:
        Y = None
        if exact is not None and 1 <= asked <= scheme.exact_starts:
            Y = exact(question.level)
            check.given(Y, "exact", f"at {words.time} {question.level.time}")
        if edit is not None:
            edited = edit(question.x if Y is None else Y, question.level)
            check.given(edited, "edit", f"at {words.time} {question.level.time}", question.x if Y is None else Y)
            Y = Y if edited is question.x else edited
        F = fields[question.tag](question.x if Y is None else Y, _bare(question.level.model_time))
        check(F, question)
        at_node = question.level is scheme.levels[arrived] and (edit is None or question.x is path[-1])
        if Y is not None and trajectory and at_node:
            path[-1] = Y  # a predictor asks for the next node instead, where the step then arrives
        check.tell(machine, F, Y)
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
