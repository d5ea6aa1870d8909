r"""What an optimization of time steps returns: the steps, how good they are, and how far that is proved.

A result holds N + 1 half log-SNRs lambda_0 < ... < lambda_N, lambda = log(alpha/sigma), from noise to data; either end
may be infinite (alpha = 0, sigma = 0). Everything else about the steps follows from them and the schedule: the times
t(lambda), the scales alpha and sigma, the grid that `Method.discretize` takes, and the scheme.

Rounding. A network trained on a table of noise levels may be asked only at its entries. Each step then begins at the
entry nearest in log-SNR, and the objective F, which was minimal before, becomes F(rounded)/F times what it was: the
cost of rounding, which `TimeSteps.rounding` reports. Two steps that fall on one entry are an error, not a shorter grid.

A result is certified where a check of the Karush-Kuhn-Tucker conditions that does not trust the optimizer holds; else
`message` says why it is not. `to_json` writes the numbers so that they come back bit for bit; the objective's own code
is not written, so a result that was read can be used, drawn and exported, but not evaluated again.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff._files import write_atomically
from numdiff.level import Level
from numdiff.methods import Method, Scheme
from numdiff.schedules import Discrete, Schedule

Array = NDArray[np.float64]


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    import scipy

    import numdiff

    return {"numdiff": numdiff.__version__, "numpy": np.__version__, "scipy": scipy.__version__}


@dataclass(frozen=True, eq=False)
class Rounding:
    """Steps moved to the nearest entries of a table.

    Parameters
    ----------
    timesteps
        The entries at which the N steps begin, falling strictly, shape (N,).
    log_snr
        Half log-SNR of all N + 1 nodes after rounding; an infinite end stays.
    shift
        The largest move of a node in half log-SNR.
    objective
        The objective there, or None where the result cannot evaluate it. The ends are fixed in the objective: a move
        of an end is in `shift` and not in `objective`.
    """

    timesteps: NDArray[np.int64]
    log_snr: Array
    shift: float
    objective: float | None


@dataclass(frozen=True, eq=False, repr=False)
class TimeSteps:
    """Optimized time steps of a method on a schedule.

    Parameters
    ----------
    method, schedule
        What the steps are for; `method` is as it was given, `tuned` has the optimized parameters.
    objective_name
        Which objective was minimized.
    log_snr
        Half log-SNR of the nodes, rising strictly from noise to data, shape (N + 1,), N >= 2.
    objective, initial_objective
        The objective at the steps and at the start.
    status, message
        How the search ended, as a word and for people.
    certified
        Whether the optimality conditions were checked to hold.
    optimality
        What is left of them, in the units of the objective.
    t_start, t_end
        First and last time exactly as asked for; from the log-SNRs where None.
    start, final, orders
        Arguments of `Method.discretize`.
    parameters
        Optimized parameters of the method by name ("beta", or "base.order" of a part).
    objective_options
        Options of the objective.
    gap
        Smallest lambda_{i+1} - lambda_i that was allowed: one number, or one a step.
    certificate
        The numbers of the independent check.
    trace
        Objective against iteration.
    errors
        Predicted error by mode, or None.
    seconds, evaluations
        What the search took.
    evaluate
        The objective as a function of (lambda_1, ..., lambda_{N-1}, parameters); None in a result that was read.
    provenance
        Versions that it was made with.

    Raises
    ------
    TypeError, ValueError
        If the log-SNRs are not N + 1 >= 3 numbers that rise strictly, with infinite ones at the ends only.
    """

    method: Method
    schedule: Schedule
    objective_name: str
    log_snr: Array
    objective: float
    initial_objective: float
    status: str
    message: str
    certified: bool
    optimality: float
    t_start: float | None = None
    t_end: float | None = None
    start: str = "lower"
    final: str | None = None
    orders: tuple[int, ...] | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)
    objective_options: Mapping[str, Any] = field(default_factory=dict)
    gap: Any = None
    certificate: Any = None
    trace: Array = field(default_factory=lambda: np.zeros(0))
    errors: Mapping[str, Any] | None = None
    seconds: float = 0.0
    evaluations: int = 0
    evaluate: Callable[[Array], float] | None = None
    provenance: Mapping[str, str] = field(default_factory=versions)

    def __post_init__(self) -> None:
        """Check the nodes and keep arrays of our own that nobody can write to."""
        object.__setattr__(self, "log_snr", nodes(self.log_snr))
        object.__setattr__(self, "trace", _frozen(self.trace))

    # --- the steps ----------------------------------------------------------------------------------------------------

    @property
    def steps(self) -> int:
        """Number of steps N."""
        return len(self.log_snr) - 1

    @cached_property
    def times(self) -> Array:
        """Times of the nodes, falling strictly, shape (N + 1,); -inf for a clean end that has no time."""
        inner = np.asarray(self.schedule.time(self.log_snr[1:-1]), dtype=float)
        first = self._time(self.log_snr[0]) if self.t_start is None else self.t_start
        last = self._time(self.log_snr[-1]) if self.t_end is None else self.t_end
        return _frozen(np.concatenate([[first], inner, [last]]))

    def _time(self, log_snr: float) -> float:
        if log_snr == math.inf and self.schedule.sigma(0.0) > 0:
            return -math.inf
        return float(self.schedule.time(float(log_snr)))

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """The N + 1 levels of the nodes."""
        levels = [self.schedule.level(t) for t in self.times[:-1].tolist()]
        last = float(self.times[-1])
        if math.isfinite(last):
            return (*levels, self.schedule.level(last))
        clean = replace(self.schedule.level(0.0), time=last, sigma=0.0, d_alpha=None, d_sigma=None)
        return (*levels, clean)

    @property
    def grid(self) -> Array | list[Level]:
        """What `Method.discretize` takes: times, or levels where the clean end has no time."""
        return self.times if math.isfinite(self.times[-1]) else list(self.levels)

    @property
    def alphas(self) -> Array:
        """Signal scale at the nodes, shape (N + 1,)."""
        return np.array([level.alpha for level in self.levels], dtype=float)

    @property
    def sigmas(self) -> Array:
        """Noise scale at the nodes, shape (N + 1,); for sigma/alpha see `numdiff.optimize.sigmas`."""
        return np.array([level.sigma for level in self.levels], dtype=float)

    @property
    def tuned(self) -> Method:
        """The method with the optimized parameters."""
        method = self.method
        for name, value in self.parameters.items():
            method = _with(method, name.split("."), float(value))
        return method

    def scheme(self) -> Scheme:
        """Return the tuned method laid out on the steps."""
        return self.tuned.discretize(self.schedule, self.grid, start=self.start, final=self.final, orders=self.orders)

    def with_clean_end(self) -> TimeSteps:
        """Return the steps with one more, from the last node to sigma = 0, for programs that end there.

        The added step was not optimized: the result is not certified and cannot be evaluated. Given `orders` go on
        with 1, the order of a step that returns the denoised estimate.

        Raises
        ------
        ValueError
            If the steps end at sigma = 0 already.
        """
        if self.log_snr[-1] == math.inf:
            raise ValueError("the steps end at sigma = 0 already")
        return replace(
            self,
            log_snr=np.append(self.log_snr, math.inf),
            t_end=None,
            orders=None if self.orders is None else (*self.orders, 1),
            certified=False,
            message="a step to sigma = 0 was added after the optimization",
            evaluate=None,
        )

    # --- rounding -----------------------------------------------------------------------------------------------------

    @property
    def timesteps(self) -> NDArray[np.int64]:
        """The table entries nearest to where the N steps begin, falling strictly, shape (N,).

        Raises
        ------
        TypeError
            If the schedule is no table.
        ValueError
            If two nodes fall on one entry; the message names them.
        """
        return self.rounded_to(self._table()).timesteps

    def rounded(self) -> tuple[NDArray[np.int64], float]:
        """Return `timesteps`, and the objective at them.

        Raises
        ------
        TypeError, ValueError
            As `timesteps`; ValueError too for a result that was read from a file, which cannot be evaluated.
        """
        found = self.rounded_to(self._table())
        if found.objective is None:
            raise ValueError("the objective of a result that was read from a file cannot be evaluated; optimize again")
        return found.timesteps, found.objective

    @property
    def rounding(self) -> float:
        """The cost of rounding: the objective at the rounded steps over the objective. Raises as `rounded`."""
        after = self.rounded()[1]
        return after / self.objective if self.objective else (1.0 if after == self.objective else math.inf)

    def rounded_to(self, entries: Any) -> Rounding:
        """Return the steps moved to the nearest entries of a table of half log-SNRs, falling strictly, shape (M,).

        Raises
        ------
        ValueError
            If the table does not fall strictly, or two nodes fall on one entry.
        """
        table = np.asarray(entries, dtype=float)
        if table.ndim != 1 or len(table) < 2 or not (np.diff(table) < 0).all():
            raise ValueError("entries must be half log-SNRs that fall strictly, at least two of them")
        known = self.log_snr[np.isfinite(self.log_snr)]
        index = _nearest(table, self.log_snr[: self.steps + (self.log_snr[-1] < math.inf)])
        _refuse_collisions(self, index)
        moved = np.append(table[index], self.log_snr[len(index) :])
        shift = np.abs(moved[np.isfinite(self.log_snr)] - known).max()
        return Rounding(index[: self.steps], _frozen(moved), float(shift), self._at(moved))

    def _table(self) -> Array:
        if not isinstance(self.schedule, Discrete):
            raise TypeError(
                f"timesteps are entries of a table, and {self.schedule!r} is none; use times, or "
                "nd.optimize.diffusers_arguments with the scheduler whose table it is"
            )
        zero_signal = self.schedule.alphas_cumprod[-1] == 0
        return np.concatenate([[-math.inf] if zero_signal else [], self.schedule.corners])[::-1]

    def _at(self, moved: Array) -> float | None:
        if self.evaluate is None:
            return None
        return float(self.evaluate(np.append(moved[1:-1], list(self.parameters.values()))))

    # --- text ---------------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        """Say at a glance what was optimized, by how much, and whether it is certified."""
        proved = "certified" if self.certified else f"not certified: {self.message or self.status}"
        tuned = "".join(f", {name}={value:.4g}" for name, value in self.parameters.items())
        return (
            f"TimeSteps({self.method}, {self.steps} steps on {self.schedule.name}{tuned}; {self.objective_name} "
            f"{self.initial_objective:.4g} -> {self.objective:.4g}; {proved}; {self.seconds:.3g} s)"
        )

    def to_json(self) -> str:
        """Return the result as JSON that `from_json` reads back bit for bit; see `numdiff.optimize.documents`."""
        from numdiff.optimize import documents

        return documents.to_json(self)

    @classmethod
    def from_json(cls, text: str) -> TimeSteps:
        """Return the result that `to_json` wrote; see `numdiff.optimize.documents`."""
        from numdiff.optimize import documents

        return documents.from_json(text)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `to_json` to a file, all or nothing."""
        write_atomically(Path(path), self.to_json().encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TimeSteps:
        """Return the result that `save` wrote."""
        return cls.from_json(Path(path).read_text(encoding="utf-8"))


def nodes(log_snr: Any) -> Array:
    """Return half log-SNRs as a read-only array, checked.

    Raises
    ------
    TypeError, ValueError
        Unless they are at least three numbers in one dimension that rise strictly, infinite at the ends only.
    """
    values = np.asarray(log_snr)
    if values.dtype.kind not in "iuf":
        raise TypeError(f"log_snr must be numbers, not {log_snr!r}")
    if values.ndim != 1 or len(values) < 3:
        raise ValueError(f"log_snr must be one-dimensional with at least three nodes, but has shape {values.shape}")
    bad = ~(values[1:] > values[:-1])
    if bad.any():
        i = int(np.argmax(bad))
        raise ValueError(
            f"log_snr must rise strictly from noise to data, but log_snr[{i}] = {values[i]} and log_snr[{i + 1}] = "
            f"{values[i + 1]}"
        )
    return _frozen(values)


def _frozen(values: Any) -> Array:
    array = np.array(values, dtype=float)
    array.setflags(write=False)
    return array


def _with(part: Any, path: list[str], value: float) -> Any:
    """Return a method with the field at `path` set."""
    name, rest = path[0], path[1:]
    if name not in {item.name for item in dataclasses.fields(part)}:
        raise ValueError(f"parameters: {part} has no parameter {name!r}")
    return replace(part, **{name: _with(getattr(part, name), rest, value) if rest else value})


def _nearest(table: Array, values: Array) -> NDArray[np.int64]:
    """Return the indices of the entries of a falling table that are nearest to each of the values."""
    upper = np.clip(np.searchsorted(-table, -values), 1, len(table) - 1)
    with np.errstate(invalid="ignore"):  # inf - inf beside an entry with alpha = 0
        below = values - table[upper] < table[upper - 1] - values
    return np.where(below | (values == table[upper]), upper, upper - 1)


def _refuse_collisions(result: TimeSteps, index: NDArray[np.int64]) -> None:
    same = np.flatnonzero(np.diff(index) >= 0)
    if same.size:
        lam = result.log_snr
        where = "; ".join(
            f"nodes {i} and {i + 1} (log-SNR {lam[i]:.6g} and {lam[i + 1]:.6g}) on entry {index[i]}" for i in same
        )
        raise ValueError(f"the steps are closer than the table: {where}; take fewer steps or a larger gap")
