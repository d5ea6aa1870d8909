r"""A run in series: what its first steps, its steady part and its last steps miss on x' = lambda x.

The program of a method is laid out on a few rational nodes, with exact coefficients, and followed by
`numdiff.symbolic.transients`. Three sums come out of it, of which the powers up to the order of the steady part count:
the first steps, of lower order or made by a Runge-Kutta method; what the memory, which starts with one evaluation,
lacks until it has settled; and the last steps. Where a program only tends to the steady one (the filter of
variable-step GHVB remembers its start for ever) its weights integrate the same polynomials at every step, so nothing
below that order is left out after the first steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Any

import sympy as sp

from numdiff.formulations import NOISE_RATIO, Formulation
from numdiff.level import Level
from numdiff.methods.base import Method
from numdiff.methods.layout import Layout
from numdiff.symbolic.polynomials import tidy
from numdiff.symbolic.transients import Timed, Transients
from numdiff.tableau import Tableau

PATTERNS = {"uniform": (Fraction(1),), "smooth": (Fraction(1),), "alternating": (Fraction(2, 3), Fraction(4, 3))}
"""Steps of one period, in units of their mean."""

T, STEP, RHO = sp.Symbol("T", positive=True), sp.Symbol("h", positive=True), sp.Symbol("rho", real=True, nonzero=True)

UNSETTLED = "a memory that has not settled yet, as a velocity that starts at the first evaluation"


@dataclass(frozen=True)
class Cause:
    """One thing that bounds the order of a run.

    Parameters
    ----------
    name
        "method", "grid", "start-up", "lowered orders" or "last step".
    order
        The order that it leaves.
    sentence
        What it is.

    Examples
    --------
    >>> import numdiff as nd
    >>> for cause in nd.order.of_run(nd.AdamsBashforth(3)).causes:
    ...     print(cause.name, cause.order)
    start-up 2
    method 3
    """

    name: str
    order: int
    sentence: str


@dataclass(frozen=True)
class LeadingTerms:
    """computed - exact = e^{-T} ((k + last) h^q + C T h^p) on y' = -y, equal steps h, to leading order in each term.

    Parameters
    ----------
    k, last, q
        What the start and the last steps (lowered ones, and that of a predictor-corrector, which is not corrected)
        leave; q is p if neither leaves anything below that.
    C, p
        What every step adds. On alternating steps (2/3 and 4/3 of their mean h), their mean; on a smooth grid of local
        step h e^{rho t} an expression in `RHO`.
    smooth
        Whether T h^p stands for h^p (e^{p rho T} - 1)/(p rho).

    Examples
    --------
    The first step of Adams-Bashforth 2 is Euler's. Its error is of the same power of h as that of all the others:

    >>> import numdiff as nd
    >>> terms = nd.order.of_run(nd.AdamsBashforth(2)).constant
    >>> terms.k, terms.q, terms.C, terms.p
    (-1/2, 2, 5/12, 2)
    >>> terms.error
    (5*T*h**2/12 - h**2/2)*exp(-T)
    """

    k: sp.Expr
    last: sp.Expr
    q: int
    C: sp.Expr
    p: int
    smooth: bool = False

    @property
    def error(self) -> sp.Expr:
        """The two terms as an expression in `T`, `STEP` and, on smooth grids, `RHO`."""
        length = (sp.exp(self.p * RHO * T) - 1) / (self.p * RHO) if self.smooth else T
        end = sp.exp(self.q * RHO * T) if self.smooth else 1
        return sp.exp(-T) * ((self.k + self.last * end) * STEP**self.q + self.C * length * STEP**self.p)


class Run:
    """The series of one run: a few steps at the start, the steady part, a few at the end."""

    def __init__(self, method: Method, start: str, grid: str, orders: tuple[int, ...] | None) -> None:
        """Lay the method out on as few steps as show everything."""
        self.grid, pattern, points = grid, PATTERNS[grid], method.points
        first, self.share, last = _parts(orders, points)
        middle = points + 4 * len(pattern) + 1
        middle += (len(first) + middle + len(last)) % len(pattern)  # whole periods
        kept = (*first, *(points,) * middle, *last)
        self._first, self._last = len(first), len(last)
        steps = (pattern[n % len(pattern)] for n in range(len(kept)))
        program, given = _exact_program(method, list(accumulate(steps, initial=Fraction(0))), start, kept)
        self._program = program
        self._series = Transients(program, max(method.order, points) + 3, given)
        self._opening = sum(entry.arrival is None for entry in program)
        self._settle(method)

    def _settle(self, method: Method) -> None:
        """Follow the start until the program repeats itself or, if it never does, until its order is reached."""
        series, program, period = self._series, self._program, len(PATTERNS[self.grid])
        lowered = self._opening + max(self._first, method.points - 1)
        begin = lowered + (lowered - self._opening) % period
        self.repeats, self.fades = self._repeats(begin), True
        if not self.repeats and self._repeats(begin + period):  # the first step with a velocity differs from the rest
            self.repeats, begin = True, begin + period
        tail = len(program) - self._last - 1
        tail -= (tail - begin) % period
        missed, memory, time = series.follow(range(begin), Fraction(0), series.nothing())
        self._early = _added(missed[:lowered], series.zero)
        self._unsettled = _added(missed[lowered:], series.zero)
        if self.repeats:
            memory, time = self._repeated(range(begin, begin + period), tail, time, memory)
        else:
            late, memory, time = series.follow(range(begin, tail), time, memory)
            self.bulk = min(late, key=_order) if period > 1 else _steady_defect(method, series)
        self.bulk_order = _order(self.bulk) - 1
        self._late = _added(series.follow(range(tail, len(program)), time, memory)[0], series.zero)

    def _repeated(self, cycle: range, tail: int, time: Any, memory: list[Any]) -> tuple[list[Any], Any]:
        """Add what the memory still remembers; return the settled memory and the time before tableau `tail`."""
        series = self._series
        state = series.periodic(cycle, time)
        back = series.exponential(-time)
        deviation = [_minus(series.times(x, back), y) for x, y in zip(memory, state.memory, strict=True)]
        remembered = series.remembered(cycle, time, deviation)
        self.fades = series.fades(cycle)
        if not self.fades:  # every step keeps missing what the next one does not make good
            remembered = min([remembered, *series.follow(range(cycle.start, tail), time, memory)[0]], key=_order)
        self._unsettled, self.bulk = _added([self._unsettled, remembered], series.zero), state.defect
        time = series.end(range(tail), time)
        return [series.times(x, series.exponential(time)) for x in state.memory], time

    def _repeats(self, begin: int) -> bool:
        """Tell whether the period that starts at a tableau is the same as the next."""
        period = len(PATTERNS[self.grid])
        pairs = zip(self._program[begin : begin + period], self._program[begin + period :], strict=False)
        return all(getattr(x.tableau, name) == getattr(y.tableau, name) for x, y in pairs for name in "AUBV")

    def causes(self, proved: int) -> Iterator[Cause]:
        """Yield what start-up and lowered orders leave, where that is less than the proved order."""
        early, unsettled, late = map(_order, (self._early, self._unsettled, self._late))
        q = _order(_added([self._early, self._unsettled], self._series.zero))
        if q < proved:
            parts = ["first steps of lower order"] * (early <= unsettled) + [UNSETTLED] * (unsettled <= early)
            yield Cause("start-up", q, f"start-up leaves an error of order h^{q}: {' and '.join(parts)}")
        if late < proved:
            yield Cause("lowered orders", late, f"the last steps, of lower order, leave an error of order h^{late}")
        if self.share:
            yield Cause(
                "lowered orders", self.share, f"steps lowered to order {self.share} are a fixed share of the run"
            )

    def leading_terms(self, sensitivity: sp.Expr) -> LeadingTerms | None:
        """Return k, q, C, p; None where the steps follow no pattern, or the memory never forgets its start.

        `sensitivity` is G of a smooth grid, and 0 on others.
        """
        if not self.fades or (not self.repeats and self.grid == "alternating"):
            return None
        field, p = self._series.field, self.bulk_order
        C = (-1) ** (p + 1) * field.to_sympy(self.bulk[p + 1]) / sum(PATTERNS[self.grid])
        if sensitivity != 0 and p >= 2:
            C, p = (C if p == 2 else 0) + sensitivity * RHO, 2
        first = _added([self._early, self._unsettled], self._series.zero)
        q = min(_order(first), _order(self._late), p)
        k, last = (tidy((-1) ** q * field.to_sympy(part[q])) for part in (first, self._late))
        return LeadingTerms(k, last, q, tidy(C), p, self.grid == "smooth")


def _steady_defect(method: Method, series: Transients) -> list[Any]:
    """Return what a step misses once a filter has settled, where the program only tends to that."""
    tableau = method.steady()
    step = Transients([Timed(tableau, (None,) * tableau.stages, Fraction(1))], len(series.zero))
    defect = step.periodic(range(1), Fraction(0)).defect
    return [series.field.convert_from(x, step.field) for x in defect]


def _order(series: Sequence[Any]) -> int:
    """Return the lowest power that occurs."""
    return next((k for k, x in enumerate(series) if x), len(series))


def _added(parts: Sequence[Sequence[Any]], zero: Sequence[Any]) -> list[Any]:
    return [sum(x[1:], x[0]) for x in zip(zero, *parts, strict=True)]


def _minus(a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
    return [x - y for x, y in zip(a, b, strict=True)]


def _parts(orders: tuple[int, ...] | None, points: int) -> tuple[tuple[int, ...], int | None, tuple[int, ...]]:
    """Return the lowered orders at the start, the lowest in between if it is below `points`, and those at the end."""
    if not orders:
        return (), None, ()
    full = [n for n, k in enumerate(orders) if k == max(orders)]
    lowest = min(orders[full[0] : full[-1] + 1])
    return orders[: full[0]], lowest if lowest < points else None, orders[full[-1] + 1 :]


@dataclass(frozen=True)
class _ExactLayout(Layout):
    """A layout on rational nodes, whose Runge-Kutta stages are on rational nodes too."""

    def level_at(self, n: int, fraction: Any, variable: Formulation | None = None) -> Level:
        """Return the level at s_n + fraction * h, exact; there is one variable only."""
        here, there = self.nodes[n], self.nodes[n + 1]
        return _level(here + fraction * (there - here))


def _level(s: Fraction) -> Level:
    return Level(time=s, alpha=Fraction(1), sigma=s, model_time=s)


def _exact_program(
    method: Method, times: Sequence[Fraction], start: str, orders: tuple[int, ...]
) -> tuple[list[Timed], list[Fraction]]:
    """Return the tableaus that `discretize` makes on these nodes, exact, and the nodes with given samples."""
    levels = tuple(map(_level, times))
    layout = _ExactLayout(method, None, levels, NOISE_RATIO, start, None, orders)
    given = times[1 : layout.exact_starts + 1]
    return [_timed(tableau) for tableau in method._program(layout)], list(given)


def _timed(tableau: Tableau) -> Timed:
    times = tuple(level.time for level in tableau.levels if level is not None)
    return Timed(tableau, times, None if tableau.target is None else tableau.target.time)
