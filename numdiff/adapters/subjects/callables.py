r"""Your own sampler as a subject: a step, or a function that makes a whole run.

Write the sampler as it will be used and say what it works with; nothing in it has to know this package:

>>> import numpy as np
>>> from numdiff.adapters.subjects import of_step
>>> def two_step(model):
...     '''Adams-Bashforth in rho = sigma/alpha on the noise, alpha = 1.'''
...     history = []  # fresh for every run, because this function is called for every run
...
...     def step(x, t, t_next):  # from sigma = t to sigma = t_next
...         history.append((t, model(x, t)))
...         slope = history[-1][1]
...         if len(history) > 1:
...             (s, before), (_, now) = history[-2:]
...             slope = now + (t_next - t) / (2 * (t - s)) * (now - before)
...         return x + (t_next - t) * slope
...
...     return step
>>> subject = of_step(two_step, order=2, prediction="noise", scale="edm", time="sigma")
>>> from numdiff.certification.measure import measure
>>> from numdiff.problems.paths import toys
>>> round(measure(subject, toys().resting(), (48, 96, 192, 384)).slope)
2

**What it is given.** `model(x, t)` answers with `prediction` at the level that t stands for: its log-SNR, its sigma or
its time on `scale` (`numdiff.adapters.subjects.clock`); t may be any level, one for all points. Samples have shape
(points, d): float64 NumPy arrays and Python numbers, or with ``library="torch"`` tensors and 0-d tensors. A function
with a parameter called `noise` is given ``noise(shape)``, which draws its standard normal numbers.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from numdiff._names import suggest
from numdiff.adapters.subjects import clock
from numdiff.adapters.subjects.signatures import (
    called,
    calling,
    check_model,
    check_options,
    positional,
    required,
    sample_of,
)
from numdiff.certification.own import of_method
from numdiff.certification.subject import Array, Field, Setting, Subject
from numdiff.level import Level
from numdiff.methods.base import Method
from numdiff.parameterizations import get

LIBRARIES = ("numpy", "torch")
Grid = Callable[[int], Sequence[float]]


@dataclass(frozen=True)
class Arrays:
    """The arrays of a library, in one floating-point type, from and to NumPy's in float64."""

    library: str
    single: bool = False

    @property
    def dtype(self) -> Any:
        """NumPy's name of the floating-point type."""
        return np.float32 if self.single else np.float64

    def of(self, x: Any) -> Any:
        """Return an array of the library, always a copy."""
        array = np.array(x, dtype=self.dtype)
        if self.library == "numpy":
            return array
        import torch

        return (
            torch.from_numpy(array)
            if array.ndim
            else torch.tensor(array.item(), dtype=getattr(torch, array.dtype.name))
        )

    @staticmethod
    def back(x: Any) -> Array:
        """Return an array of the library, or a tensor on any device, as NumPy's in float64."""
        return np.asarray(x.detach().cpu() if hasattr(x, "detach") else x, dtype=float)

    def numbers(self, values: Array) -> list[Any]:
        """Return numbers as a step is given them: Python's, or tensors without dimensions."""
        return [float(v) if self.library == "numpy" else self.of(v) for v in values]


@dataclass(frozen=True)
class Told:
    """How a sampler is told everything.

    Parameters
    ----------
    scale, prediction
        As in `Subject`.
    time
        "log-snr", "sigma" or "time": what t is.
    library
        "numpy" or "torch".
    single
        Whether it is given float32 where the circumstances are "shipped".
    """

    prediction: str = "noise"
    scale: str = "vp"
    time: str = "log-snr"
    library: str = "numpy"
    single: bool = False

    def __post_init__(self) -> None:
        """Check the names."""
        get(self.prediction)  # which raises for an unknown name
        clock.checked(self.scale, self.time)
        if self.library not in LIBRARIES:
            suggest(self.library, LIBRARIES, "library")

    def begin(self, field: Field, levels: Sequence[Level], setting: Setting) -> tuple[Arrays, clock.Clock, Any]:
        """Return the arrays, the clock and the model of a run."""
        arrays = Arrays(self.library, self.single and setting.precision == "shipped")
        dial = clock.Clock(levels, self.scale, self.time, arrays.dtype)

        def model(x: Any, t: Any, **ignored: Any) -> Any:
            return arrays.of(field(arrays.back(x), dial(t)))

        return arrays, dial, model


TELLING = (*Told.__dataclass_fields__, "grid")
"""Options that are not the callable's own: how it is told its levels."""


def of_step(
    make_step: Callable[..., Any],
    *,
    name: str | None = None,
    order: int | None = None,
    prediction: str | None = None,
    scale: str = "vp",
    time: str | None = None,
    library: str = "numpy",
    single: bool = False,
    grid: Grid | None = None,
) -> Subject:
    """Return a sampler that goes step by step as a subject.

    Parameters
    ----------
    make_step
        ``make_step(model)`` returns ``step(x, t, t_next) -> x_next``; it is called anew for every run, so that what
        the step remembers is of this run only. A step that remembers nothing may be given as it is:
        ``step(model, x, t, t_next)``. A class with ``__init__(self, model)`` and ``__call__(self, x, t, t_next)`` is
        a factory.
    name
        What reports call it; by default its own name.
    order
        What you claim; None to see what comes out.
    prediction
        What the model answers: "noise" (the default), "data", "v", "velocity" or "flow".
    scale
        "vp", "edm", "flow", or "time" for a plain equation y' = f(t, y), whose prediction is "velocity".
    time
        What t is: "log-snr" (the default), "sigma" or "time", which is the only one of a plain equation.
    library
        "numpy" or "torch".
    single
        Whether it is given float32 samples and times as it is shipped.
    grid
        ``grid(steps)`` returns the values of t that it visits by itself, if it has a grid of its own.

    Returns
    -------
    Subject
        For `numdiff.certification.certify` and `numdiff.work_precision.diagram`.

    Raises
    ------
    ValueError
        For unknown names.
    TypeError
        For something that takes neither a model nor a model and a step.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.certification.measure import measure
    >>> def euler(model, x, t, t_next):
    ...     return x + (t_next - t) * model(x, t)  # dx/dsigma = eps at alpha = 1
    >>> subject = nd.adapters.subjects.of_step(euler, order=1, scale="edm", time="sigma")
    >>> observed = measure(subject, nd.problems.paths.toys().resting(), (48, 96, 192))
    >>> round(observed.slope)
    1
    """
    told = _told(prediction, scale, time, library, single)
    build = _builder(make_step)

    def run(field: Field, x: Array, levels: Sequence[Level], setting: Setting) -> Array:
        arrays, dial, model = told.begin(field, levels, setting)
        step, state = build(model, **_noise(make_step, setting, arrays)), arrays.of(x)
        if not callable(step):
            raise TypeError(f"{called(make_step)}(model) must return a function step(x, t, t_next), got {step!r:.80}")
        numbers = arrays.numbers(dial.values)
        with calling(f"step(x, t, t_next) of {called(make_step)}", "t and t_next are numbers"):
            for t, t_next in pairwise(numbers):
                state = sample_of(step(state, t, t_next), "a step", x.shape)
        return arrays.back(state)

    return _subject(make_step, run, told, name, order, grid)


def of_function(
    sampler: Callable[..., Any],
    *,
    name: str | None = None,
    order: int | None = None,
    prediction: str | None = None,
    scale: str = "vp",
    time: str | None = None,
    library: str = "numpy",
    single: bool = False,
    grid: Grid | None = None,
) -> Subject:
    """Return a function that makes a whole run as a subject.

    Parameters
    ----------
    sampler
        ``sampler(model, x, ts)`` carries x from ``ts[0]`` to ``ts[-1]``; ts of shape (steps + 1,).
    name, order, prediction, scale, time, library, single, grid
        As for `of_step`.

    Returns
    -------
    Subject
        For `numdiff.certification.certify` and `numdiff.work_precision.diagram`.

    Raises
    ------
    ValueError
        For unknown names.
    TypeError
        For something that cannot be called with a model, a sample and times.

    Examples
    --------
    >>> import numdiff as nd
    >>> def euler(model, x, ts):
    ...     for t, t_next in zip(ts[:-1], ts[1:], strict=True):
    ...         x = x + (t_next - t) * model(x, t)  # dx/dsigma = eps at alpha = 1
    ...     return x
    >>> mine = nd.adapters.subjects.of_function(euler, scale="edm", time="sigma")
    >>> samplers = {"mine": mine, "DDIM": nd.DDIM()}
    >>> found = nd.work_precision.diagram(samplers, nd.problems.paths.toys(), nfe=(10,), repeats=0)
    >>> own, ddim = (record.error("rms") for record in found.records)
    >>> abs(own - ddim) < 1e-9  # it is DDIM
    True
    """
    told = _told(prediction, scale, time, library, single)
    if (count := required(sampler)) != 3:
        raise TypeError(f"sampler must be a function (model, x, ts), but {called(sampler)} requires {count} arguments")
    check_model(sampler)

    def run(field: Field, x: Array, levels: Sequence[Level], setting: Setting) -> Array:
        arrays, dial, model = told.begin(field, levels, setting)
        extra = _noise(sampler, setting, arrays)
        with calling(
            f"{called(sampler)}(model, x, ts)", f"model(x, t) is a function and ts holds {len(levels)} numbers"
        ):
            found = sampler(model, arrays.of(x), arrays.of(dial.values), **extra)
        return arrays.back(sample_of(found, called(sampler), x.shape))

    return _subject(sampler, run, told, name, order, grid)


def of_object(found: Any, name: str, *, order: int | None = None, **options: Any) -> Subject:
    """Return whatever an import path led to as a subject, by what it is and how it is called.

    Parameters
    ----------
    found
        A `Subject`, a method of this package, a function ``sample_*(model, x, sigmas)``, or what `of_step` and
        `of_function` take.
    name
        What reports call it.
    order
        What is claimed.
    options
        Those of `of_step` and `of_function`; all others are the callable's own keyword arguments.

    Raises
    ------
    TypeError
        For anything else, and for options of what has none.
    ValueError
        For an unknown option, with the nearest known one.
    """
    if isinstance(found, (Subject, Method)):
        if isinstance(found, Subject) and options:
            raise TypeError(f"{name} is a subject already and takes no options, got {', '.join(options)}")
        check_options(name, options, ("change", "scale", "start"))
        return found if isinstance(found, Subject) else of_method(found, **options)
    if not callable(found):
        raise TypeError(f"{name} must be a sampler that can be called, got {found!r:.80}")
    if positional(found)[2:3] == ["sigmas"]:
        from numdiff.adapters.subjects import sigmas

        return sigmas.of_sampler(found, name=name, order=order, **options)
    check_options(name, options, _options(found))
    told = {key: options.pop(key) for key in TELLING if key in options}
    bound = partial(found, **options) if options else found
    make = of_function if required(bound) == 3 else of_step
    return make(bound, name=labelled(name, options), order=order, **told)


def _options(found: Callable[..., Any]) -> tuple[str, ...] | None:
    """Return the names of what a callable may be given by name, and of how it is told; None if it takes any."""
    parameters = inspect.signature(found).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    own = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return (*TELLING, *(p.name for n, p in enumerate(own) if n > 2 or p.default is not p.empty))


def labelled(name: str, options: dict[str, Any]) -> str:
    """Return a name with its options in brackets, as `numdiff.adapters.subjects.resolve` reads them."""
    written = ", ".join(f"{key}={value}" for key, value in options.items())
    return f"{name}({written})" if written else name


def _told(prediction: str | None, scale: str, time: str | None, library: str, single: bool) -> Told:
    """Return how a sampler is told everything, by what its scale leaves open."""
    plain = scale == "time"
    prediction = prediction or ("velocity" if plain else "noise")
    if plain and prediction != "velocity":
        raise ValueError(f'prediction must be "velocity" for a plain equation (scale="time"), got {prediction!r}')
    return Told(prediction, scale, time or ("time" if plain else "log-snr"), library, single)


def _subject(
    made_of: Any,
    run: Any,
    told: Told,
    name: str | None,
    order: int | None,
    grid: Grid | None,
) -> Subject:
    """Return the subject of a run."""

    def levels(steps: int) -> tuple[Level, ...]:
        dial = clock.Clock((), told.scale, told.time)
        return tuple(map(dial, grid(steps)))  # type: ignore[misc]

    return Subject(
        name=name or called(made_of),
        run=run,
        order=order,
        prediction=told.prediction,
        scale=told.scale,
        grid=levels if grid else None,
        single=told.single,
        stochastic="noise" in inspect.signature(made_of).parameters,
    )


def _noise(function: Any, setting: Setting, arrays: Arrays) -> dict[str, Any]:
    """Return the argument `noise` of what has such a parameter."""
    if "noise" not in inspect.signature(function).parameters:
        return {}
    draw = setting.noise or np.random.default_rng(0).standard_normal
    return {"noise": lambda shape: arrays.of(draw(tuple(shape)))}


def _builder(make_step: Callable[..., Any]) -> Callable[..., Callable[..., Any]]:
    """Return what makes the step of a run."""
    count = required(make_step)
    if count == 1:
        return make_step
    if count == 4:
        return partial(partial, make_step)  # the model and the noise of a run are bound for it
    raise TypeError(
        f"make_step must be a function (model) that returns a step (x, t, t_next), or a step (model, x, t, t_next), "
        f"but {called(make_step)} requires {count} arguments"
    )
