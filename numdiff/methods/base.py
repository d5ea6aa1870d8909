"""What every method is: a frozen description that can be laid out on a grid or asked for its steady step."""

from __future__ import annotations

import abc
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from fractions import Fraction
from typing import Any, ClassVar, Self

from numdiff import grids
from numdiff.elementary import Number, kind
from numdiff.formulations import NOISE_RATIO, VELOCITY_TIME, Formulation
from numdiff.level import Level
from numdiff.methods.checks import check_no_orders, check_orders, choice, needs_floats, symbols_of
from numdiff.methods.layout import Layout
from numdiff.methods.scheme import Scheme
from numdiff.schedules import Schedule
from numdiff.tableau import Tableau

__all__ = ["Method", "OneStep", "Transformed"]

STARTS = ("lower", "runge-kutta", "exact")
FINALS = (None, "limit", "denoise")


class Method(abc.ABC):
    """A fixed-step sampler as data.

    Subclasses are frozen dataclasses with an ``order`` (their claim, with exact starts), a ``formulation`` (None:
    noise/ratio, or velocity/time on a flow schedule and for plain ODEs) and two routines: `steady` and `_program`.

    Examples
    --------
    >>> import numdiff as nd
    >>> method = nd.DPMSolverPP(2)
    >>> method.name, method.order, method.points, method.stages, method.nfe(20), method.stochastic
    ('AB2 data/log-snr', 2, 2, 1, 20, False)
    >>> print(method.formulation, "|", method.reference)
    data/log-snr | Hairer, Norsett, Wanner, Solving ODEs I, III.5; Zhang and Chen, DEIS, 2023
    """

    reference: ClassVar[str] = ""

    @property
    def points(self) -> int:
        """How many evaluations the interpolation combines; the default of ``orders``."""
        return int(self.order)

    @property
    def has_limit(self) -> bool:
        """Whether the weights stay finite when a log-SNR step becomes infinitely long, as it does at sigma = 0."""
        return True

    order: int
    formulation: Formulation | None

    @property
    def weak_order(self) -> int | None:
        """Claimed order of expectations given the first sample, 2 at most; None without noise. See `numdiff.sde`."""
        return min(self.order, getattr(self.formulation, "weak_order", 1)) if self.stochastic else None

    @property
    def stages(self) -> int:
        """Model evaluations of one step, once the run is under way."""
        return self.steady().stages

    @property
    def samples(self) -> int:
        """How many newest samples are the whole state of a run; more than one where a run can go on from them."""
        return 1

    def reverse(self) -> Method:
        """Return the method that `numdiff.invert` lays out on the reversed grid."""
        return self

    def check_orders(self, orders: Any, steps: int) -> tuple[int, ...]:
        """Return what a run over `steps` grid steps makes of ``orders``, the default for None, or raise."""
        return check_orders(self, orders, steps)

    def nfe(self, steps: int) -> int:
        """Return the model evaluations of a run of `steps` grid steps that ends at a positive sigma."""
        return self.stages * steps

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """A short name for tables and legends."""

    @abc.abstractmethod
    def steady(self, h: Number | None = None, *, ratio: Number = 1) -> Tableau:
        """Return the tableau of one step among equal (or geometric) steps, in X = x/kappa, exact.

        Parameters
        ----------
        h
            Step length in the integration variable. Defaults to 1 where the kernel exponent is 0 and to a SymPy symbol
            ``h`` where it is not, since exponential weights depend on it.
        ratio
            Each step over the one before it; other than 1 only where the kernel exponent is 0.
        """

    @abc.abstractmethod
    def coefficients(self) -> Any:
        """Return the exact coefficients: the weights of a multistep method, the Butcher array of a Runge-Kutta one."""

    @abc.abstractmethod
    def _program(self, layout: Layout) -> Iterable[Tableau]:
        """Yield the tableaus of a run over the layout."""

    def discretize(
        self,
        schedule: Any,
        grid: Any,
        *,
        start: str = "lower",
        final: str | None = None,
        orders: Sequence[int] | None = None,
    ) -> Scheme:
        """Lay the method out on a grid.

        Parameters
        ----------
        schedule
            A noise schedule, or None for a plain ODE dx/dt = f(t, x).
        grid
            Strictly monotone times, shape (N + 1,), or as many `Level` objects.
        start
            "lower": orders 1, 2, ... while the history fills (order 2 overall at best). "runge-kutta": the first steps
            are Runge-Kutta steps of order ``order - 1``, which keeps the order. "exact": the driver supplies the exact
            sample at the first nodes; for tests. One-step methods ignore it.
        final
            What happens when the last level has sigma = 0. "limit": the limit of the formula where it is finite.
            "denoise": a step of order 1 that bypasses momentum, which returns the denoised estimate. None: "limit"
            where it is finite, else "denoise".
        orders
            At most how many evaluations each of the N steps combines, 1 to `points` (for Adams methods the order of the
            step; UniPC of order 3 combines 3, though its corrector makes it order 4), to lower it on the way. The
            history still has to fill. `SingleStep` takes the orders of its steps, which add up to N. Methods that
            combine no past evaluations, as Runge-Kutta methods, take none.

        Returns
        -------
        Scheme
            N grid steps; iterate over it for the tableaus.

        Raises
        ------
        ValueError
            For a grid that is not monotone, finite and of at least two points; for too few steps for the order; for a
            level at which the formulation does not exist; for unknown options, and orders that the method cannot have.

        Examples
        --------
        >>> import numdiff as nd
        >>> schedule = nd.schedules.VPLinear()
        >>> nd.DPMSolverPP(3).discretize(schedule, nd.grids.uniform_log_snr(schedule, 10))
        Scheme(AB3 data/log-snr, 10 steps from t = 1 to 0.001, nfe=10)
        >>> nd.DPMSolverPP(3).discretize(schedule, [1.0, 0.5, 0.7])
        Traceback (most recent call last):
            ...
        ValueError: times must be strictly monotone, but t[1] = 0.5 and t[2] = 0.7; drop one of them
        """
        if not (schedule is None or isinstance(schedule, Schedule)):
            raise TypeError(
                f"schedule must be a noise schedule such as nd.schedules.VPLinear(), or None, got {schedule!r}"
            )
        symbols = sorted(map(str, symbols_of(self)))
        if symbols:
            raise ValueError(
                f"{self} contains the symbol {', '.join(symbols)}, and a run needs numbers; give it a value such as 0.8"
            )
        levels = grids.levels(schedule, grid)
        if self.stochastic and start != "lower":
            raise ValueError(f'{self} adds noise: it has no start={start!r}, which follows the flow; use start="lower"')
        layout = Layout(
            method=self,
            schedule=schedule,
            levels=levels,
            formulation=self._formulation(schedule),
            start=choice("start", start, STARTS),
            final=choice("final", final, FINALS),
            orders=self.check_orders(orders, len(levels) - 1),
        )
        inexact = any(kind(level.time) in ("torch", "traced") for level in levels)
        method = self.in_floats() if inexact or needs_floats(self) else self
        program = tuple(tableau.to_float() for tableau in method._program(layout))
        _warn_unmet_window(method, layout.formulation, program, levels)
        starts = layout.exact_starts
        options = (("start", start), ("final", final), ("orders", orders))
        return Scheme(program, levels, layout.formulation.prediction, self, schedule, starts, options)

    def program(
        self, levels: Sequence[Level], formulation: Formulation, *, schedule: Any = None, start: str = "lower"
    ) -> tuple[Tableau, ...]:
        """Return the tableaus of a run in the number type of the levels: exact and symbolic ones stay so.

        Parameters
        ----------
        levels
            N + 1 levels, taken as they are.
        formulation
            What is interpolated, in which variable.
        schedule
            What places levels between the given ones, by its ``time`` and ``level``; needed by Runge-Kutta steps.
        start
            As in `discretize`.
        """
        orders, start = self._full_orders(len(levels) - 1), choice("start", start, STARTS)
        return tuple(self._program(Layout(self, schedule, tuple(levels), formulation, start, None, orders)))

    def _full_orders(self, steps: int) -> tuple[int, ...]:
        """Return the orders of a run whose steps all have the full one, however few there are."""
        return (self.points,) * steps

    def in_floats(self) -> Self:
        """Return the method with its exact parameters as floats: Fractions, tensors and SymPy numbers do not mix."""
        changes: dict[str, Any] = {}
        for item in fields(self):  # type: ignore[arg-type]  # every method is a dataclass
            value = getattr(self, item.name)
            if isinstance(value, Method):
                changes[item.name] = value.in_floats()
            elif isinstance(value, Fraction) or getattr(value, "is_comparable", False):  # real SymPy numbers
                changes[item.name] = float(value)
        return replace(self, **changes)  # type: ignore[type-var]

    def _formulation(self, schedule: Any) -> Formulation:
        if schedule is None:
            if self.stochastic:
                raise ValueError(
                    f"{self} adds the noise of a diffusion, and a plain ODE has none; give a noise schedule, or a "
                    "noise level of 0"
                )
            return VELOCITY_TIME
        if self.formulation is None:
            return VELOCITY_TIME if schedule.is_flow else NOISE_RATIO
        if self.formulation == VELOCITY_TIME and not schedule.has_derivatives:
            raise ValueError(
                f"formulation velocity/time needs d alpha/dt and d sigma/dt, which schedule {schedule.name} does not "
                "have; choose noise/ratio or data/log-snr"
            )
        return self.formulation

    @property
    def kernel(self) -> Number:
        """Kernel exponent c of the formulation."""
        return 0 if self.formulation is None else self.formulation.c

    @property
    def stochastic(self) -> bool:
        """Whether a run adds noise."""
        return self.formulation is not None and self.formulation.stochastic

    def _steady_h(self, h: Number | None, ratio: Number) -> Number:
        """Return the step length of the steady step, exact unless the caller gave a float."""
        if self.kernel == 0:
            return 1 if h is None else h
        if kind(ratio) != "exact" or ratio != 1:
            raise ValueError(
                f"{self.name} has no steady step on a geometric grid: its weights depend on h; use ratio=1"
            )
        import sympy

        return sympy.Symbol("h", positive=True) if h is None else (sympy.Rational(h) if kind(h) == "exact" else h)

    def __str__(self) -> str:
        """Return the name."""
        return self.name


class OneStep(Method):
    """A method without a memory: its state is the sample alone.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.RK4().points, nd.RK4().nfe(10)
    (1, 40)
    """

    @property
    def points(self) -> int:
        """1, since a one-step method combines no past evaluations."""
        return 1

    def check_orders(self, orders: Any, steps: int) -> tuple[int, ...]:
        """Return 1 for every step, or raise if orders are given: there is nothing to lower."""
        return check_no_orders(self, orders, steps)


class Transformed(Method):
    """A method made of another, its base: the formulation, the evaluations combined and the limit are the base's.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.HeavyBall(nd.DPMSolverPP(2), beta=0.8).formulation
    Formulation(name='data/log-snr', prediction='data', variable='log-snr', c=-1)
    """

    base: Method

    @property
    def formulation(self) -> Formulation | None:  # type: ignore[override]
        """The base's formulation."""
        return self.base.formulation

    @property
    def points(self) -> int:
        """As many evaluations as the base combines."""
        return self.base.points

    @property
    def has_limit(self) -> bool:
        """As the base's."""
        return self.base.has_limit


def _warn_unmet_window(method: Method, formulation: Formulation, program: Sequence[Tableau], levels: Any) -> None:
    """Warn where the window of a noise level meets no step, so that a stochastic method adds no noise."""
    window: Any = getattr(formulation, "level", None)
    if getattr(window, "everywhere", True) or any(tableau.noises for tableau in program):
        return
    name, low, high = window.variable, window.low, window.high
    first, last = (float(getattr(level, name)) for level in (levels[0], levels[-1]))
    warnings.warn(
        f"{method} adds no noise on this grid: {name} runs from {first:g} to {last:g} on it and never enters the "
        f"window [{low}, {high}]; give a Tau with another window or variable",
        stacklevel=3,
    )
