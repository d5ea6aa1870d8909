"""What a driver asks of its arguments: models that fit the scheme, arrays that are finite and like the sample."""

from __future__ import annotations

import cmath
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from numdiff.elementary import kind
from numdiff.executor import Array, Machine, Question
from numdiff.methods.scheme import Scheme
from numdiff.parameterizations import Prediction, get
from numdiff.parameterizations import names as known_predictions
from numdiff.schedules import Schedule

Model = Callable[[Array, Any], Array]


@dataclass(frozen=True)
class Words:
    """What the arguments of a driver are called in its messages."""

    state: str = "the sample"
    model: str = "the model"
    time: str = "model time"


WORDS = Words()
ODE_WORDS = Words("y0", "fun", "t =")


def predicted(model: Any, prediction: Any = None) -> Prediction:
    """Return what a model predicts: `prediction`, or where that is None ``model.prediction``, else the noise.

    Raises
    ------
    ValueError
        For an unknown name, or a prediction that contradicts the model's own.
    """
    told = getattr(model, "prediction", None)
    if not isinstance(told, (str, Prediction)):
        return get("noise" if prediction is None else prediction)
    if prediction is None:
        return get(told)
    asked = get(prediction)
    if (isinstance(told, Prediction) or told in known_predictions()) and get(told) != asked:
        raise ValueError(
            f"prediction = {spelled(asked)!r} contradicts the model, which says that it predicts {spelled(told)!r} "
            "(model.prediction); leave prediction out, or correct the model"
        )
    return asked


def spelled(prediction: str | Prediction) -> str | Prediction:
    """Return a prediction by its name, where that says all."""
    plain = isinstance(prediction, Prediction) and prediction == get(prediction.name)
    return prediction.name if plain and isinstance(prediction, Prediction) else prediction


def _agree(ours: Schedule, theirs: Schedule) -> bool:
    """Tell whether two schedules have the same levels at the times that a model is given, wherever both have them."""
    if ours is theirs:
        return True
    found = []
    for share in (1e-3, 1e-2, 0.1, 0.3, 0.5, 0.7, 0.9):
        t = share * ours.T
        try:
            other = theirs.from_model_time(ours.model_time(t))
            pairs = [(ours.alpha(t), theirs.alpha(other)), (ours.sigma(t), theirs.sigma(other))]
        except ValueError:
            continue  # beyond the end of the other
        found += [math.isclose(float(a), float(b), rel_tol=1e-3, abs_tol=1e-6) for a, b in pairs]
    return bool(found) and all(found)


def check_sampling(scheme: Any) -> None:
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


def answers_by_tag(scheme: Scheme, model: Model, others: Mapping[str, Model] | None) -> dict[str, Model]:
    """Return what answers each tag, checked against the tags that the scheme asks for, the model against its schedule.

    Raises
    ------
    TypeError, ValueError
        For what is no function, for other tags, and for a model made for another schedule than the scheme's.
    """
    check_callable(model, "the model")
    theirs = getattr(model, "schedule", None)
    if isinstance(theirs, Schedule) and scheme.schedule is not None and not _agree(scheme.schedule, theirs):
        raise ValueError(
            f"the model was made for the schedule {theirs!r} (model.schedule), and the scheme is laid out on "
            f"{scheme.schedule!r}; discretize with the model's"
        )
    if not (others is None or isinstance(others, Mapping)):
        raise TypeError(f'fields must be a dictionary of functions by tag, {{"condition": g}}, got {others!r}')
    others = dict(others or {})
    asked = sorted({tag for tableau in scheme for tag in tableau.tags if tag})
    if set(others) != set(asked):
        wanted = f"pass fields={{{asked[0]!r}: ...}}" if asked else "it takes no fields"
        raise ValueError(f"{scheme.method} evaluates the fields {asked}, got {sorted(others, key=str)}; {wanted}")
    for tag, field in others.items():
        check_callable(field, f"fields[{tag!r}]")
    return {"": model, **others}


def check_callable(value: Any, name: str) -> None:
    """Raise unless `value`, the argument `name`, can be called."""
    if not callable(value):
        raise TypeError(f"{name} must be a function, got {value!r}")


def check_state(x: Any, words: Words, finite: bool = True) -> None:
    """Raise unless `x` is a floating array that is finite; without `finite` no value is looked at."""
    which = kind(x) if hasattr(x, "dtype") else None
    inexact = x.is_floating_point() or x.is_complex() if which == "torch" else which == "numpy" and x.dtype.kind in "fc"
    if not inexact:
        what = f"an array of dtype {x.dtype}" if which else type(x).__name__
        raise TypeError(f"{words.state} must start as a floating NumPy array or torch tensor, got {what}; convert it")
    if which == "torch" and x.dtype.itemsize < 2:
        raise TypeError(f"{words.state} is {x.dtype}, in which torch cannot compute; convert it to bfloat16 or wider")
    if finite and _on_host(x) and not _finite(x):
        raise ValueError(f"{words.state} is not finite at the start; drop the points that are NaN or infinite")


def check_generator(generator: Any, x: Array) -> None:
    """Raise unless `generator` is None or makes random numbers for arrays like `x`."""
    torch = sys.modules.get("torch")
    wanted = torch.Generator if torch is not None and kind(x) == "torch" else np.random.Generator
    if generator is not None and not isinstance(generator, wanted):
        like = "torch.Generator" if kind(x) == "torch" else "numpy.random.Generator"
        raise TypeError(f"generator must be a {like} for such a sample, got {generator!r}")


def _on_host(x: Array) -> bool:
    return kind(x) == "numpy" or x.device.type == "cpu"


def _has_no_values(x: Array) -> bool:
    """Tell whether an array is a shape alone: a tensor on the device "meta", for trials."""
    return kind(x) == "torch" and x.device.type == "meta"


def _total(x: Array) -> Any:
    """Return the sum of a tensor, wide enough that only what is not finite makes it so (or a sum beyond float32)."""
    return x.detach().sum(dtype=sys.modules["torch"].float32 if x.dtype.itemsize < 4 else None)


def _finite(x: Array) -> bool:
    if kind(x) == "numpy":
        return bool(np.isfinite(x).all())
    return cmath.isfinite(_total(x).item()) or bool(x.isfinite().all())


class Check:
    """Checks what a model returns, without waiting for a device.

    A sum tells whether an array is finite in one read. On a device other than the CPU the sums are looked at when the
    run is over. Without `finite` no value is looked at, on any device.
    """

    def __init__(self, x: Array, words: Words, finite: bool = True) -> None:
        self.x, self.words, self.finite, self.count = x, words, finite, 0
        self.deferred: list[tuple[Array, str]] = []

    def __call__(self, F: Any, question: Question) -> None:
        """Raise unless `F` is a finite array like the sample; on a device, later."""
        self.count += 1
        when = f"{self.words.time} {question.level.model_time}"
        where = f"at evaluation {self.count}, step {question.index + 1} ({when})"
        who = f"fields[{question.tag!r}]" if question.tag else self.words.model
        self.array(F, who, where)
        if not self.finite or _has_no_values(F):
            return
        if not _on_host(F):
            self.deferred.append((_total(F), f"{who} returned a value that is not finite {where}"))
        elif not _finite(F):
            self._refuse(question.x, who, where)

    def tell(self, machine: Machine, F: Array, Y: Array | None) -> None:
        """Tell the machine an answer; a coefficient beyond the range of the sample's type is torch's RuntimeError."""
        try:
            machine.tell(F, Y)
        except RuntimeError as error:
            if "without overflow" not in str(error):
                raise
            raise ValueError(
                f"a coefficient after evaluation {self.count} is beyond the range of {self.x.dtype}; run in bfloat16 "
                "or float32, or on a smaller range of noise levels"
            ) from error

    def noise(self, draw: Callable[[int, int], Array]) -> Callable[[int, int], Array]:
        """Return `draw` with its answers checked."""

        def checked(index: int, column: int) -> Array:
            z, where = draw(index, column), f"for column {column} of tableau {index}"
            self.array(z, "noise", where)
            if self.finite and _on_host(z) and not _finite(z):
                raise ValueError(f"noise returned a value that is not finite {where}")
            return z

        return checked

    def given(self, Y: Any, who: str, where: str, of: Array | None = None) -> None:
        """Raise unless `Y`, which `who` made `of` an array for the model to see, is finite and like the sample."""
        self.array(Y, who, where)
        if not self.finite or Y is of or _has_no_values(Y):
            return
        if not _on_host(Y):
            self.deferred.append((_total(Y), f"{who} returned a value that is not finite {where}"))
        elif not _finite(Y):
            late = of is not None and not _finite(of)
            raise ValueError(self._overflow(where) if late else f"{who} returned a value that is not finite {where}")

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

    def _refuse(self, Y: Array, who: str, where: str) -> None:
        """Say whether the model or what it was given is to blame."""
        if not _finite(Y):
            raise ValueError(self._overflow(where))
        raise ValueError(f"{who} returned a value that is not finite {where}")

    def _overflow(self, where: str) -> str:
        state = "y" if self.words is ODE_WORDS else self.words.state
        remedy = "take smaller steps, a more stable method or a wider dtype"
        return f"{state} is no longer finite {where}: it outgrew {self.x.dtype}; {remedy}"

    def finish(self, x: Array) -> None:
        """Look at the deferred sums, in one transfer, and at the last sample."""
        if self.deferred:
            totals = sys.modules["torch"].stack([total.abs() for total, _ in self.deferred]).tolist()
            for total, (_, message) in zip(totals, self.deferred, strict=True):
                if not math.isfinite(total):
                    raise ValueError(message)
        if self.finite and not _has_no_values(x) and not _finite(x):
            raise ValueError(self._overflow("after the last step"))


def given_samples(scheme: Scheme, x: Any, words: Words, finite: bool) -> tuple[Array, ...]:
    """Return the samples that a run starts from, in the order of its levels, checked."""
    given = x if isinstance(x, tuple) else (x,)
    number = scheme.method.samples
    if isinstance(x, tuple) and len(x) != number:
        state = f"{number} samples at the first {number} levels of the run" if number > 1 else "one sample, an array"
        raise ValueError(f"{scheme.method} starts from {state}; got a tuple of {len(x)}")
    if len(given) > scheme.steps:
        raise ValueError(f"{len(given)} samples leave {scheme.method} no step to make on a grid of {scheme.steps}")
    for one in given:
        check_state(one, words, finite)
    for one in given[1:]:
        if type(one) is not type(given[0]) or (one.shape, one.dtype) != (given[0].shape, given[0].dtype):
            shapes = ", ".join(f"{tuple(y.shape)} {y.dtype}" for y in given)
            raise ValueError(f"the samples of the tuple must be alike: one type, shape and dtype; got {shapes}")
    return given


def check_functions(scheme: Scheme, **functions: Any) -> None:
    """Raise unless what a driver calls can be called, and an exact start has its solution."""
    for name, function in functions.items():
        if function is not None:
            check_callable(function, name)
    if scheme.exact_starts and functions["exact"] is None:
        raise ValueError('start="exact" needs exact=, a function that returns the exact sample at a level')
