r"""Time steps for data at hand: the end-point errors of a run on a model.

n noises x_T are carried to the clean end twice, by the scheme whose steps z are sought and, once, by a reference of
much higher accuracy. With d coordinates, the squared errors of the noises b and the objective are

    q_b(z) = |x_b(z) - x_ref,b|^2 / d,      F(z) = (2/p) log( (1/n) sum_b (q_b + eps^2)^(p/2) ),                  (1)

the logarithm of the power mean of the errors: p = 2 is the mean square error. That is dominated by the few noises on
a ridge between two modes that end in the other one, of which a sample of noises holds too few to generalize from; p = 1
all but ignores them. In between, p = 1.5 lowers the root mean square on other noises about as much as p = 2 and their
median error half as much again; p = 1 is for the median. eps, a thousandth of the spread of x_ref, keeps (1) smooth
at q_b = 0. The logarithm gives every problem the same scale.

**Gradient.** One adjoint run gives d q_b / d c for all noises b and coefficients c of the scheme
(`numdiff.optimize.propagate`), and the chain rule dF/dz. The derivatives of the model come from closed forms for a
mixture and a kernel-density estimate (`probe_fields`), and from torch for a network (`probe_torch`).

**Reference.** The exact flow of a mixture (`numdiff.problems.flow`). Otherwise Adams-Bashforth steps of order 4 in
data/log-SNR on R and on R/2 steps, uniform in log-SNR within +-`DEEP` and with an infinite end attached; the distance
of the two is the stated error of the better one, and is an overestimate of it.

Root mean square error is not a distance between distributions: a noise that ends as another good sample counts as an
error here.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff.drivers import program as native
from numdiff.elementary import kind
from numdiff.executor import Machine
from numdiff.formulations import DATA_LOG_SNR
from numdiff.level import Level
from numdiff.methods import AdamsBashforth
from numdiff.methods.scheme import Scheme
from numdiff.optimize import propagate
from numdiff.optimize.compiled import Trace
from numdiff.optimize.objectives.probe_store import Store
from numdiff.optimize.objectives.probe_subjects import Subject, subject_of
from numdiff.optimize.problem import Parts
from numdiff.parameterizations import Prediction, get

Array = NDArray[np.float64]

DEEP = 10.0
"""Half log-SNR at which a reference run takes the sample for noise or data alone; what that neglects is e^-20."""

STEPS = 200
"""Steps of a reference run that is no exact flow."""


@dataclass(frozen=True, eq=False)
class Probe:
    """The end-point error on a model, formula (1).

    Parameters
    ----------
    model
        A `numdiff.problems.GaussianMixture` (or its ``.model(schedule)``); an array of images, shape (N, ...), of which
        a kernel-density estimate is made; or a torch model: ``model(x, t)`` with x of shape (n, ...) and t of shape
        (n,), both in the dtype and on the device of the noises, differentiable and independent from sample to sample
        (a network in evaluation mode). A model that looks t up in a table counts as constant in t between its entries.
    noises
        Samples at the first level, shape (n, ...): NumPy for mixtures and images, torch for networks. None draws
        `points` of them by `seed`: from the exact law of a mixture or of images, and for a network sigma times standard
        normal numbers of the given `shape`.
    prediction
        What a torch model predicts: a name or an object of `numdiff.parameterizations`.
    points, seed, shape
        See `noises`; `shape` is that of one sample.
    bandwidth
        Standard deviation of the Gaussians around images; by default a tenth of the images' own.
    reference
        "auto": the exact flow of a mixture, else `STEPS` steps. A number: that many steps.
    power
        p of formula (1), in (0, 2].
    batch
        How many noises are run at a time, which bounds the memory; None: 64 for networks, and for others as many as
        keep an array below 32 MB. A network that holds labels, one a noise, needs all of them.
    cache
        A folder, made if there is none, where the reference and the best steps so far are kept, so that an interrupted
        run goes on where it was. It serves one model; runs that differ otherwise do not disturb one another.
    minimum_gap
        Default minimum gap in half log-SNR, as a share of the mean gap.

    Raises
    ------
    TypeError, ValueError
        If the model is none of the three, or an argument is out of range.

    Notes
    -----
    The noises on which steps are judged must not be those they were tuned on. More `points` and a larger `power` lower
    the root mean square error on others, at a cost in proportion. A time limit of the search does not count the
    reference, which a network is evaluated 1.5 times `reference` times for.
    """

    model: Any
    noises: Any = None
    prediction: str | Prediction = "noise"
    _: KW_ONLY
    points: int = 256
    seed: int = 0
    shape: tuple[int, ...] | None = None
    bandwidth: float | None = None
    reference: str | int = "auto"
    power: float = 1.5
    batch: int | None = None
    cache: str | Path | None = None
    minimum_gap: float = 0.05

    name = "probe"
    kept = False  # its model and noises may be large, and a network may be trained on between calls
    starts = ("log-snr", "quadratic")

    def __post_init__(self) -> None:
        """Check the numbers; the model is checked when it meets a schedule."""
        get(self.prediction)
        for name, value in (("points", self.points), ("batch", self.batch)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        if self.shape is not None and not (isinstance(self.shape, (tuple, list)) and all(n > 0 for n in self.shape)):
            raise TypeError(f"shape must be the shape of one sample, a tuple such as (3, 32, 32), got {self.shape!r}")
        if not 0 < self.power <= 2:
            raise ValueError(f"power must lie in (0, 2], got {self.power!r}: 2 is the mean square error")
        if self.reference != "auto" and (not isinstance(self.reference, int) or self.reference < 20):
            raise ValueError(f'reference must be "auto" or a number of steps of at least 20, got {self.reference!r}')

    def gap(self, length: float, steps: int) -> float:
        """Return the default minimum gap in half log-SNR for ends `length` apart."""
        return self.minimum_gap * length / steps

    def problem(self, trace: Trace) -> ProbeProblem:
        """Return F over the trace's window; runs the reference, or reads it from the cache.

        Raises
        ------
        TypeError, ValueError
            For a model, images or noises that do not fit, a method that adds noise or evaluates other fields, a model
            that returns NaN or another shape, and a cache of another model.
        """
        if trace.scheme.method.stochastic:
            raise ValueError(
                f"{trace.scheme.method} adds noise, and a probe compares end points with those of the flow without; "
                "optimize a deterministic method"
            )
        return ProbeProblem(self, trace, subject_of(self, trace))


class ProbeProblem:
    """Formula (1) over a window; see `numdiff.optimize.problem.Problem`.

    Attributes
    ----------
    reference_error : float
        Estimated root mean square error of the reference over noises and coordinates.
    starts : list
        The best log-SNRs of an interrupted run, shape (N - 1,); empty without a cache.
    """

    def __init__(self, probe: Probe, trace: Trace, subject: Subject) -> None:
        self.window, self.trace, self.probe, self.subject = trace.window, trace, probe, subject
        wanted = trace.scheme.prediction
        self._field = _Watched(subject.field(wanted), trace.schedule)
        self._program = propagate.Program(trace.scheme, subject.entries(wanted))
        self._compiled = trace.compile(self._program.numbers)
        self._store = Store.of(probe, trace, subject)
        self.target, self.reference_error = self._store.reference(self._reference)
        spread = float(np.std(subject.plain(self.target)))
        self._floor = (1e-3 * spread) ** 2 or 1e-12
        best, self._best = self._store.best()
        self.starts = [] if best is None else [best[: self.window.steps - 1]]

    def evaluate(self, z: Array) -> Parts:
        """Return F at `z` as its smooth value.

        Raises
        ------
        ValueError
            If the model returns a value that is not finite; the message names the level.
        """
        q, jacobian = self.squares(z)
        half = self.probe.power / 2
        lifted = q + self._floor
        weights = lifted ** (half - 1)
        total = float((lifted**half).sum())
        value = math.log(total / len(q)) / half
        if value < self._best:
            self._best = value
            self._store.keep(z, value)
        return Parts(gradient=(weights @ jacobian) / total, value=value)

    def squares(self, z: Array) -> tuple[Array, Array]:
        """Return q_b, shape (n,), and its Jacobian, shape (n, size)."""
        c, slopes = self._compiled(z)
        parts = [self._part(c, rows) for rows in self.subject.batches()]
        q, gradient = (np.concatenate(x, axis=-1) for x in zip(*parts, strict=True))
        return q, gradient.T @ slopes

    def _part(self, c: Array, rows: slice) -> tuple[Array, Array]:
        """Return q and its derivatives with respect to c, shape (len(c), rows), for some of the noises."""
        subject = self.subject
        with np.errstate(over="ignore", invalid="ignore"):
            x, record = propagate.forward(self._program, c, subject.noises[rows], self._field)
            error = x - self.target[rows]
            q = subject.inner(error, error) / subject.size
            gradient, _ = propagate.backward(self._program, c, record, (2 / subject.size) * error, subject.inner)
        return q, gradient

    def errors(self, z: Array) -> dict[str, Any]:
        """Return the errors sqrt(q_b) of the noises and their summaries; warns if the reference is no better.

        Returns
        -------
        dict
            "rms", "median", "reference" (its stated error) and "noises", shape (n,).
        """
        found = np.sqrt(self._plain_squares(z))
        rms, median = float(np.sqrt(np.mean(found**2))), float(np.median(found))
        if self.reference_error > 0.1 * rms:
            warnings.warn(
                f"the reference is known to {self.reference_error:.2g} only, and the optimized steps end within "
                f"{rms:.2g} of it: give Probe a larger reference=, the number of its steps",
                stacklevel=2,
            )
        return {"rms": rms, "median": median, "reference": self.reference_error, "noises": found}

    def _plain_squares(self, z: Array) -> Array:
        scheme = self.trace.scheme_at(z)
        ends = (self._run(scheme, rows) - self.target[rows] for rows in self.subject.batches())
        return np.concatenate([self.subject.inner(e, e) / self.subject.size for e in ends])

    # --- the reference ----------------------------------------------------------------------------------------------

    def _reference(self) -> tuple[Any, float]:
        """Return the end points and their estimated error."""
        exact = self.subject.flow(self.trace) if self.probe.reference == "auto" else None
        if exact is not None:
            return exact
        steps = STEPS if self.probe.reference == "auto" else int(self.probe.reference)
        fine, coarse = (self._fine(n) for n in (steps, steps // 2))
        apart = (self.subject.inner(a - b, a - b) for a, b in zip(fine, coarse, strict=True))
        error = math.sqrt(float(np.mean(np.concatenate(list(apart)))) / self.subject.size)
        return self.subject.join(fine), error

    def _fine(self, steps: int) -> list[Any]:
        levels = fine_levels(self.trace, steps)
        scheme = AdamsBashforth(4, DATA_LOG_SNR).discretize(self.trace.schedule, levels)
        return [self._run(scheme, rows) for rows in self.subject.batches()]

    def _run(self, scheme: Scheme, rows: slice) -> Any:
        """Return the end points of a plain scheme; keeps no more than the scheme's own memory."""
        field = _Watched(self.subject.field(scheme.prediction), self.trace.schedule)
        machine = Machine(native(scheme, get(scheme.prediction)), self.subject.noises[rows])
        while (question := machine.ask()) is not None:
            level = [getattr(question.level, name) for name in propagate.LEVEL]
            machine.tell(field.value(question.x, level))
        return machine.sample


def fine_levels(trace: Trace, steps: int) -> list[Level]:
    """Return levels uniform in log-SNR between a trace's ends; an infinite end is attached at +-`DEEP`."""
    (first, last), schedule = trace.ends, trace.schedule
    low, high = float(first.log_snr), float(last.log_snr)
    inner = np.linspace(max(low, min(-DEEP, high - DEEP)), min(high, max(DEEP, low + DEEP)), steps + 1)
    inner = inner[(inner > low) & (inner < high)]
    reach = [float(schedule.log_snr(t)) for t in (schedule.T, 0.0)]
    inner = inner[(inner > reach[0]) & (inner < reach[1])]
    return [first, *(schedule.level(schedule.time(float(x))) for x in inner), last]


class _Watched:
    """A field whose values are checked: NaN is an error that names the level."""

    def __init__(self, field: Any, schedule: Any) -> None:
        self.field, self.schedule = field, schedule

    def evaluate(self, Y: Any, level: Sequence[Any]) -> tuple[Any, Callable[[Any], tuple[Any, dict[str, Any]]]]:
        """Return the field and its adjoint."""
        F, adjoint = self.field.evaluate(Y, level)
        self._check(Y, F, level)
        return F, adjoint

    def value(self, Y: Any, level: Sequence[Any]) -> Any:
        """Return the field alone."""
        F = self.field.value(Y, level)
        self._check(Y, F, level)
        return F

    def _check(self, Y: Any, F: Any, level: Sequence[Any]) -> None:
        if _finite(F):
            return
        snr = math.log(level[0] / level[1]) if level[0] and level[1] else math.inf if level[0] else -math.inf
        place = f"at t = {self.schedule.time(snr):.6g} (half log-SNR {snr:.4g})"
        if not _finite(Y):
            raise ValueError(f"the run itself is not finite {place}: the steps are too long for the method there")
        raise ValueError(
            f"the model returned a value that is not finite {place}; check its prediction= and its time argument "
            "there, or move that end of the run inwards (t_start, t_end)"
        )


def _finite(x: Any) -> bool:
    return bool(np.isfinite(x).all()) if kind(x) == "numpy" else bool(x.isfinite().all())
