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

**Reference.** The exact flow of a mixture (`numdiff.problems.flow`), and otherwise a fine run with a stated error
(`probe_reference`).

Root mean square error is not a distance between distributions: a noise that ends as another good sample counts as an
error here.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff.optimize import propagate
from numdiff.optimize.compiled import Trace
from numdiff.optimize.objectives.probe_reference import Watched, reference, run
from numdiff.optimize.objectives.probe_store import Store
from numdiff.optimize.objectives.probe_subjects import Subject, caller, subject_of
from numdiff.optimize.problem import Parts, check_share
from numdiff.parameterizations import Prediction, get
from numdiff.problems.exact_model import ExactModel
from numdiff.problems.mixture import GaussianMixture

Array = NDArray[np.float64]

ROUNDING = 1e-8
"""Root mean square error, in units of the spread of the end points, that nobody needs a better reference for."""


INSIDE = 1e-10
"""By how much half log-SNR a gap may be short by rounding."""


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
    conditions
        What a network takes as its third argument, one entry per noise: labels, say, as an array or a tensor of shape
        (n, ...). It is called as ``model(x, t, conditions[rows])`` with the rows of a batch. Without, model(x, t).
    points, seed, shape
        See `noises`; `shape` is that of one sample. By default between 64 and 256 points, the more the fewer numbers a
        sample has (1024 numbers in all in between).
    bandwidth
        Standard deviation of the Gaussians around images; by default a tenth of the images' own.
    reference
        "auto": the exact flow of a mixture, else `STEPS` steps. A number: that many steps.
    power
        p of formula (1), in (0, 2].
    batch
        How many noises are run at a time, which bounds the memory; None: 64 for networks, and for others as many as
        keep an array below 32 MB. A network that holds labels itself, one a noise, needs all of them: give them as
        `conditions`, and it does not.
    held_out
        How many noises, drawn from another seed, the errors of the result are reported on as well; by default a quarter
        of `points` for mixtures and images, and none for networks, since each takes a reference of its own.
    cache
        A folder, made if there is none, where the reference and the best steps so far are kept, so that an interrupted
        run goes on where it was, and a finished one is confirmed at once. It serves one model; runs that differ
        otherwise do not disturb one another.
    minimum_gap
        Default minimum gap in half log-SNR, as a share of the mean gap.

    Raises
    ------
    TypeError, ValueError
        If the model is none of the three, or an argument is out of range.

    Notes
    -----
    The noises on which steps are judged must not be those they were tuned on: the errors of a result that count are
    those "held out". A network in float32 has derivatives of about four digits, so that its searches end at a
    `tolerance` of 1e-2; ``model.double()`` with float64 noises gets 1e-8. More `points` and a larger `power` lower
    the root mean square error on others, at a cost in proportion. A time limit of the search does not count the
    reference, which a network is evaluated 1.5 times `reference` times for.

    Examples
    --------
    >>> import numdiff as nd
    >>> probe = nd.optimize.Probe(nd.problems.mixtures()["ring"], points=32)
    >>> found = nd.optimize.timesteps(nd.DPMSolverPP(2), nd.schedules.VPLinear(), steps=4, objective=probe)
    >>> found.objective < found.initial_objective
    True
    >>> [f"{found.errors[kind]:.2f}" for kind in ("training rms", "held-out rms")]
    ['0.15', '0.19']
    """

    model: Any
    noises: Any = None
    prediction: str | Prediction = "noise"
    _: KW_ONLY
    conditions: Any = None
    points: int | None = None
    seed: int = 0
    shape: tuple[int, ...] | None = None
    bandwidth: float | None = None
    reference: str | int = "auto"
    power: float = 1.5
    batch: int | None = None
    held_out: int | None = None
    cache: str | Path | None = None
    minimum_gap: float = 0.05

    name = "probe"
    kept = False  # its model and noises may be large, and a network may be trained on between calls
    starts = ("log-snr", "quadratic")

    def __post_init__(self) -> None:
        """Check the numbers; the model is checked when it meets a schedule."""
        get(self.prediction)
        for name, least in (("points", 1), ("batch", 1), ("held_out", 0), ("seed", 0)):
            _check_whole(name, getattr(self, name), least, optional=name != "seed")
        if self.shape is not None and not (
            isinstance(self.shape, (tuple, list)) and all(isinstance(n, int) and n > 0 for n in self.shape)
        ):
            raise TypeError(f"shape must be the shape of one sample, a tuple such as (3, 32, 32), got {self.shape!r}")
        if isinstance(self.power, bool) or not isinstance(self.power, (int, float)):
            raise TypeError(f"power must be a number in (0, 2], got {self.power!r}")
        if not 0 < self.power <= 2:
            raise ValueError(f"power must lie in (0, 2], got {self.power!r}: 2 is the mean square error")
        if self.reference != "auto" and (not isinstance(self.reference, int) or self.reference < 20):
            raise ValueError(f'reference must be "auto" or a number of steps of at least 20, got {self.reference!r}')
        check_share("minimum_gap", self.minimum_gap)

    @property
    def tolerance(self) -> float:
        """Default tolerance of a search: what the first-order conditions of the model can be met to."""
        if isinstance(self.model, (GaussianMixture, ExactModel, np.ndarray)) or not callable(self.model):
            return Subject.tolerance
        from numdiff.optimize.objectives.probe_torch import dtype_of, tolerance_of

        return tolerance_of(dtype_of(self.model, self.noises))

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


def _check_whole(name: str, value: Any, least: int, *, optional: bool) -> None:
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number of at least {least}, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")


class ProbeProblem:
    """Formula (1) over a window; see `numdiff.optimize.problem.Problem`.

    Attributes
    ----------
    reference_error : float
        Estimated root mean square error of the reference over noises and coordinates.
    resumed : list
        The best z of an interrupted run, shape (size,), from which alone it goes on; empty without a cache.
    initial_objective : float or None
        F where the interrupted run began.
    advice : str
        What to do if the result is not certified; empty if nothing is known.
    """

    def __init__(self, probe: Probe, trace: Trace, subject: Subject) -> None:
        self.window, self.trace, self.probe, self.subject = trace.window, trace, probe, subject
        wanted = trace.scheme.prediction
        self._program = propagate.Program(trace.scheme, subject.entries(wanted))
        self._compiled = trace.compile(self._program.numbers)
        self._store = Store.of(probe, trace, subject)
        self.target, self.reference_error = self._store.reference(lambda: reference(subject, trace, probe.reference))
        self._spread = float(np.std(subject.plain(self.target)))
        self._floor = (1e-3 * self._spread) ** 2 or 1e-12
        best, self._best, self.initial_objective = self._store.best()
        self._initial = self.initial_objective
        self.resumed = [] if best is None else [best]
        self.advice = subject.advice

    def evaluate(self, z: Array) -> Parts:
        """Return F at `z` as its smooth value.

        Raises
        ------
        ValueError
            If the model returns a value that is not finite; the message names the level.
        """
        q, jacobian = self.squares(z)
        value, weights = self._mean(q)
        if self._initial is None:
            self._initial = value
        # A search may look a little outside its window, where F can be lower; it must end inside.
        if value < self._best and np.min(self.window.slack(z), initial=math.inf) >= -INSIDE:
            self._best = value
            self._store.keep(z, value, self._initial)
        return Parts(gradient=weights @ jacobian, value=value)

    def _mean(self, q: Array) -> tuple[float, Array]:
        """Return F and dF/dq."""
        half = self.probe.power / 2
        lifted = q + self._floor
        total = float((lifted**half).sum())
        return math.log(total / len(q)) / half, lifted ** (half - 1) / total

    def squares(self, z: Array) -> tuple[Array, Array]:
        """Return q_b, shape (n,), and its Jacobian, shape (n, size)."""
        c, slopes = self._compiled(z)
        parts = [self._part(c, rows) for rows in self.subject.batches()]
        q, gradient = (np.concatenate(x, axis=-1) for x in zip(*parts, strict=True))
        return q, gradient.T @ slopes

    def _part(self, c: Array, rows: slice) -> tuple[Array, Array]:
        """Return q and its derivatives with respect to c, shape (len(c), rows), for some of the noises."""
        subject = self.subject
        field = Watched(subject.field(self.trace.scheme.prediction, rows), self.trace.schedule)
        with np.errstate(over="ignore", invalid="ignore"):
            x, record = propagate.forward(self._program, c, subject.noises[rows], field)
            error = x - self.target[rows]
            q = subject.inner(error, error) / subject.size
            gradient, _ = propagate.backward(self._program, c, record, (2 / subject.size) * error, subject.inner)
        return q, gradient

    def errors(self, z: Array) -> dict[str, Any]:
        """Return the errors sqrt(q_b) and their summaries; warns if the reference is no better.

        Returns
        -------
        dict
            "training rms", "training median" and "training noises", shape (n,): on the noises that the steps were tuned
            on, where they flatter the steps. "held-out rms", "held-out median" and "held-out noises", on as many others
            as `Probe.held_out` says: what to expect. "reference": its stated error.
        """
        q = _squares(self.subject, self.target, self.trace, z)
        self._confirm(z, self._mean(q)[0])
        found = {**_summary("training", q), **self._held_out(z), "reference": self.reference_error}
        rms = found["training rms"]
        if self.reference_error > 0.1 * rms and rms > ROUNDING * self._spread:
            warnings.warn(
                f"the reference is known to {self.reference_error:.2g} only, and the optimized steps end within "
                f"{rms:.2g} of it: give Probe a larger reference=, the number of its steps",
                stacklevel=caller(),
            )
        return found

    def _confirm(self, z: Array, value: float) -> None:
        """Keep where a search ended, though a point on the way had an F that was lower in its last digits."""
        if value <= self._best + 1e-9 * abs(self._best) and self._initial is not None:
            self._store.keep(z, value, self._initial)

    def _held_out(self, z: Array) -> dict[str, Any]:
        probe, subject = self.probe, self.subject
        usual = -(-len(subject.noises) // 4) if subject.held_out_by_default else 0
        count = usual if probe.held_out is None else probe.held_out
        if not count:
            return {}
        other = subject_of(subject.others(probe, count), self.trace)
        target, _ = reference(other, self.trace, probe.reference)
        return _summary("held-out", _squares(other, target, self.trace, z))


def _squares(subject: Subject, target: Any, trace: Trace, z: Array) -> Array:
    """Return q_b of a plain run."""
    scheme = trace.scheme_at(z)
    runs = (run(subject, scheme, trace.schedule, rows) - target[rows] for rows in subject.batches())
    return np.concatenate([subject.inner(e, e) / subject.size for e in runs])


def _summary(name: str, q: Array) -> dict[str, Any]:
    found = np.sqrt(q)
    rms, median = float(np.sqrt(np.mean(q))), float(np.median(found))
    return {f"{name} rms": rms, f"{name} median": median, f"{name} noises": found}
