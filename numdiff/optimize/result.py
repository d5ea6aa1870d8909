r"""What an optimization of time steps returns: the steps, how good they are, and how far that is proved.

A result holds N + 1 half log-SNRs lambda_0 < ... < lambda_N, lambda = log(alpha/sigma), from noise to data; either end
may be infinite (alpha = 0, sigma = 0). Everything else about the steps follows from them and the schedule: the times
t(lambda), the scales alpha and sigma, the grid that `Method.discretize` takes, and the scheme.

Rounding. A network trained on a table of noise levels may be asked only at its entries. Each step then begins at an
entry of its own, near in log-SNR (`numdiff.optimize.rounding`), and the objective F, which was minimal before, becomes
F(rounded)/F times what it was: the cost of rounding, which `TimeSteps.rounding` reports.

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
from numdiff.optimize.nodes import Checked, frozen, nodes
from numdiff.optimize.rounding import SAME_END, Rounding, assign, moves, schedule_table, table_of
from numdiff.schedules import Schedule

__all__ = ["Rounding", "TimeSteps", "nodes", "versions"]

Array = NDArray[np.float64]


LOGARITHMIC = ("probe",)
"""Objectives that are twice the logarithm of an error."""


def versions() -> dict[str, str]:
    """Return the versions that a result depends on.

    Returns
    -------
    dict
        Of numdiff, numpy and scipy, as text.

    Examples
    --------
    >>> from numdiff.optimize.result import versions
    >>> sorted(versions())
    ['numdiff', 'numpy', 'scipy']
    """
    import scipy

    import numdiff

    return {"numdiff": numdiff.__version__, "numpy": np.__version__, "scipy": scipy.__version__}


@dataclass(frozen=True, eq=False, repr=False)
class TimeSteps:
    """Optimized time steps of a method on a schedule.

    Parameters
    ----------
    method, schedule
        What the steps are for; `method` is as it was given, `tuned` has the optimized parameters. Where a function of
        them was given, `method` is what it returns at the optimum.
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
    t_start
        First time exactly as asked for; from the log-SNRs where None.
    t_end
        Last time, likewise.
    start, final, orders
        Arguments of `Method.discretize`.
    parameters
        Optimized parameters by name ("beta", or "base.beta" of a part), or of the function that was given.
    made
        Whether `method` is what a function of the parameters returned, and so has them already.
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
        The objective as a function of (lambda_1, ..., lambda_{N-1}, parameters); see `value`. None in a result that
        was read from a file or a pickle, which hold numbers and no code.
    provenance
        Versions that it was made with.

    Raises
    ------
    TypeError, ValueError
        If the log-SNRs are not N + 1 >= 3 numbers that rise strictly, with infinite ones at the ends only.

    Examples
    --------
    >>> import numdiff as nd
    >>> found = nd.optimize.preset("vp-linear", 10, "dpmpp-2m")
    >>> found.steps, found.certified, found.objective_name
    (10, True, 'mixture-bank')
    >>> [f"{t:.3f}" for t in found.times[:3]]
    ['1.000', '0.687', '0.573']
    >>> again = nd.optimize.TimeSteps.from_json(found.to_json())
    >>> bool((again.log_snr == found.log_snr).all())
    True
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
    made: bool = False
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
        object.__setattr__(self, "trace", frozen(self.trace))
        if self.evaluate is not None and not isinstance(self.evaluate, Checked):
            object.__setattr__(self, "evaluate", Checked(self.evaluate, self.steps - 1, tuple(self.parameters)))

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields for a pickle or a copy: numbers, and not the objective's code."""
        return {item.name: getattr(self, item.name) for item in dataclasses.fields(self)} | {"evaluate": None}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Take the fields; arrays, which come writable out of a pickle, are frozen again."""
        self.__dict__.update(state)
        self.__post_init__()

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
        return frozen(np.concatenate([[first], inner, [last]]))

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
        """The method with the optimized parameters.

        What a function of them returned has them already, under whatever names.
        """
        method = self.method
        if self.made:
            return method
        for name, value in self.parameters.items():
            method = _with(method, name.split("."), float(value))
        return method

    def scheme(self) -> Scheme:
        """Return the tuned method laid out on the steps."""
        return self.tuned.discretize(self.schedule, self.grid, start=self.start, final=self.final, orders=self.orders)

    def value(self, log_snr: Any = None, parameters: Mapping[str, float] | None = None) -> float:
        """Return the objective at other log-SNRs between the same ends.

        Parameters
        ----------
        log_snr
            Half log-SNRs of the N - 1 nodes between the ends, or of all N + 1; the result's own if None.
        parameters
            Values of the optimized parameters by name; those not named are the result's own.

        Raises
        ------
        TypeError, ValueError
            If they do not rise strictly between the ends of this result, for parameters that were not optimized, and
            for a result that cannot be evaluated (`evaluate`).
        """
        given = self.log_snr if log_snr is None else np.asarray(log_snr)
        if given.shape == (self.steps - 1,):
            given = np.concatenate([self.log_snr[:1], given, self.log_snr[-1:]])
        if given.shape != (self.steps + 1,):
            raise ValueError(
                f"log_snr must be the {self.steps - 1} half log-SNRs between the ends, or all {self.steps + 1}, got an "
                f"array of shape {given.shape}"
            )
        if not np.allclose(given[[0, -1]], self.log_snr[[0, -1]], rtol=0, atol=1e-9):
            raise ValueError(f"log_snr must begin and end at {self.log_snr[[0, -1]]}, where the objective's ends are")
        unknown = set(parameters or {}) - set(self.parameters)
        if unknown:
            raise ValueError(f"parameters names {sorted(unknown)}; optimized were {list(self.parameters)}")
        if self.evaluate is None:
            raise ValueError(_UNKNOWN)
        values = {**self.parameters, **(parameters or {})}
        return float(self.evaluate(np.append(nodes(given)[1:-1], list(values.values()))))

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
        """The entries of the schedule's table at which the N steps begin, falling strictly, shape (N,).

        Every step has an entry of its own, the nearest where those differ; see `numdiff.optimize.rounding`.

        Raises
        ------
        TypeError
            If the schedule is no table.
        ValueError
            If there are more steps than entries.
        """
        return self.rounded_to(schedule_table(self.schedule)).timesteps

    def rounded(self) -> tuple[NDArray[np.int64], float]:
        """Return `timesteps`, and the objective at them.

        Raises
        ------
        TypeError, ValueError
            As `timesteps`; ValueError too for a result that was read from a file, which cannot be evaluated, and where
            an end is no entry.
        """
        found = self.rounded_to(schedule_table(self.schedule))
        if found.objective is None:
            moved = f"an end moves by {moves(self.log_snr, found.log_snr)[1]:.3g}, and the objective's ends are fixed"
            raise ValueError(_UNKNOWN if self.evaluate is None else moved)
        return found.timesteps, found.objective

    @property
    def rounding(self) -> float:
        """The cost of rounding: the objective at the rounded steps over the objective. Raises as `rounded`.

        For a probe, whose objective is twice the logarithm of an error, the error over the error.
        """
        after = self.rounded()[1]
        if self.objective_name in LOGARITHMIC:
            return math.exp((after - self.objective) / 2)
        return after / self.objective if self.objective else (1.0 if after == self.objective else math.inf)

    def rounded_to(self, entries: Any) -> Rounding:
        """Return the steps moved to entries of a table of half log-SNRs, falling strictly, shape (M,).

        Raises
        ------
        ValueError
            If the table does not fall strictly, or there are more steps than entries.
        """
        table = table_of(entries)
        index = assign(table, self.log_snr[: self.steps + (self.log_snr[-1] < math.inf)])
        moved = frozen(np.append(table[index], self.log_snr[len(index) :]))
        shift, end = moves(self.log_snr, moved)
        known = self.evaluate is not None and end <= SAME_END
        return Rounding(index[: self.steps], moved, shift, self.value(moved[1:-1]) if known else None)

    # --- text ---------------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        """Say at a glance what was optimized, by how much, and whether it is certified."""
        proved = "certified" if self.certified else f"not certified: {self.message or self.status}"
        tuned = "".join(f", {name}={value:.4g}" for name, value in self.parameters.items())
        unknown = math.isnan(self.objective)
        change = "not evaluated" if unknown else f"{self.initial_objective:.4g} -> {self.objective:.4g}"
        return (
            f"TimeSteps({self.method}, {self.steps} steps on {self.schedule.name}{tuned}; {self.objective_name} "
            f"{change}; {proved}; {self.seconds:.3g} s)"
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


_UNKNOWN = "the objective of a result that was read from a file or added to cannot be evaluated; optimize again"


def _with(part: Any, path: list[str], value: float) -> Any:
    """Return a method with the field at `path` set."""
    name, rest = path[0], path[1:]
    if not dataclasses.is_dataclass(part) or name not in {item.name for item in dataclasses.fields(part)}:
        raise ValueError(f"parameters: {part} has no parameter {name!r}")
    assert not isinstance(part, type)
    return replace(part, **{name: _with(getattr(part, name), rest, value) if rest else value})
