"""Multistep methods on a grid: history, start-up and the last step, once for all of them.

A multistep method has one evaluation a step, at the sample itself, and a memory. It supplies

- `advance(state, point)`: the tableau of one step and the next state, where the state is what belongs to the grid and
  not to the run (nothing for Adams, the velocity filter's moments for GHVB; None before the first step);
- `weights_at(state, point)`: the weights themselves;
- `steady_state(ratio)`: the state after infinitely many equal steps.

Everything else is here: which nodes there are to interpolate, how the first steps are made, what happens at sigma = 0.

**Start.** With fewer than k nodes "lower" lowers the order of the step. The other two starts keep the memory rows of
that tableau and replace its sample row: "runge-kutta" by an explicit Runge-Kutta step of order k - 1 (a fixed number
of steps with local error O(h^k) leaves the order k intact), "exact" by x+ = x, the driver putting the exact sample in
its place before the next evaluation.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from numdiff.elementary import Number, kind, product, vanishes
from numdiff.formulations import NOISE_RATIO, Formulation, Span
from numdiff.level import Level
from numdiff.methods.additive import Additive
from numdiff.methods.base import Method
from numdiff.methods.butcher import Butcher, of_order
from numdiff.methods.layout import Layout, ratio_of
from numdiff.tableau import Tableau, one_stage
from numdiff.weights import exact, tidy

__all__ = ["AdamsType", "Multistep", "Point"]


def positive_ratio(ratio: Number, name: str) -> Number:
    """Return a step ratio h_n/h_{n-1}, refusing what cannot be one.

    Steps go one way and none has length 0, so a ratio is positive and finite. A symbol passes unless its assumptions
    say otherwise.

    Raises
    ------
    ValueError
        If it is zero, negative, infinite or nan.
    """
    if getattr(ratio, "is_number", True):
        fits = 0 < ratio < float("inf")
    else:  # SymPy's answers are True, False, or None for "not known"
        fits = ratio.is_positive is not False and ratio.is_finite is not False
    if not fits:
        raise ValueError(
            f"{name} must be positive and finite, the length of a step over that of the one before it, got "
            f"{ratio}; give a number such as 2 or 4/5, or a symbol"
        )
    return ratio


def check_ratios(method: Method, ratios: Sequence[Number] | None) -> tuple[Number, ...]:
    """Return the step ratios r_1, r_2, ... before a step of `method`, equal steps by default, or raise."""
    count = method.points - 1
    ratios = (1,) * count if ratios is None else tuple(ratios)
    if len(ratios) != count:
        raise ValueError(f"ratios must have {count} entries for {method.name}, got {len(ratios)}")
    return tuple(positive_ratio(ratio, f"ratios[{j}]") for j, ratio in enumerate(ratios))


@dataclass(frozen=True)
class Point:
    """Where a multistep method stands when it makes a step.

    Parameters
    ----------
    span
        Geometry of the step.
    nodes
        Interpolation nodes relative to the present one in units of ``span.unit``, newest (0) first; the last gap, if
        any, is always there.
    order
        Order of this step, at most ``len(nodes)``.
    first
        Whether the memory is empty (or holds nothing that may be interpolated).
    momentum
        False in a step that must return the denoised estimate.

    Examples
    --------
    >>> import numdiff as nd
    >>> point = nd.AdamsBashforth(3).point(ratios=[2, 1])  # a step twice as long as those before
    >>> print(*point.nodes)  # in units of the present step
    0 -1/2 -1
    >>> point.order
    3
    """

    span: Span
    nodes: tuple[Number, ...]
    order: int
    first: bool
    momentum: bool = True


class Multistep(Method):
    """A method with one evaluation a step and a memory.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.AdamsBashforth(2).registers, nd.GHVB(3, 0.8).registers
    (2, 3)
    >>> print(*nd.AdamsBashforth(2).coefficients(ratios=[2]))
    2 -1
    """

    @property
    @abc.abstractmethod
    def registers(self) -> int:
        """Number of external values."""

    @property
    def stages(self) -> int:
        """One evaluation a step."""
        return 1

    @abc.abstractmethod
    def advance(self, state: Any, point: Point) -> tuple[Tableau, Any]:
        """Return the tableau of the step at `point` and the state after it."""

    def _program(self, layout: Layout) -> Iterator[Tableau]:
        state = None
        for n in range(layout.steps):
            point = self.point_of(layout, n)
            tableau, state = self.advance(state, point)
            tableau = tableau.same_shape(levels=(layout.levels[n],), target=layout.levels[n + 1])
            if layout.formulation.stochastic:
                tableau = tableau.with_noise(point.span.noise, point.span.clock)
            if layout.start == "exact" and not layout.ready(n):
                tableau = _hold(tableau)
            elif layout.start == "runge-kutta" and not layout.ready(n) and not layout.arrives(n):
                tableau = _bootstrap(tableau, layout, n)
            yield tableau

    def point_of(self, layout: Layout, n: int) -> Point:
        """Return where step `n` of a run stands: its geometry, nodes and order."""
        return point_at(layout, n)

    def steady(self, h: Number | None = None, *, ratio: Number = 1) -> Tableau:
        """Return the tableau of one step among equal (or geometric) steps; see `Method.steady`."""
        h = self._steady_h(h, positive_ratio(ratio, "ratio"))
        point = self._point(h, (ratio,) * (self.points - 1))
        return self.advance(self.steady_state(ratio), point)[0]

    def coefficients(self, *, h: Number | None = None, ratios: Sequence[Number] | None = None) -> tuple[Number, ...]:
        """Return the weights of one step, exact.

        Parameters
        ----------
        h
            Step length, as in `steady`; the weights of exponential formulations depend on it through phi.
        ratios
            Step ratios r_1 = h_n/h_{n-1}, r_2 = h_{n-1}/h_{n-2}, ... (numbers or symbols), one fewer than `points`;
            equal steps by default. A velocity filter remembers every step, so GHVB takes equal ratios only: a
            geometric grid.

        Returns
        -------
        tuple
            The weights on the newest evaluation (for GHVB: velocity) first, for kappa = 1.

        Raises
        ------
        ValueError
            For the wrong number of ratios, one that is not positive and finite, or unequal ones where the method has a
            filter.
        """
        ratios = check_ratios(self, ratios)
        return tuple(tidy(self.weights_at(self.state_at(ratios), self.point(h=h, ratios=ratios))))

    def point(self, *, h: Number | None = None, ratios: Sequence[Number] | None = None) -> Point:
        """Return where the method stands in the step that `coefficients` describes, and raise as that does."""
        return self._point(self._steady_h(h, 1), check_ratios(self, ratios))

    def state_at(self, ratios: Sequence[Number]) -> Any:
        """Return the state in which `coefficients` are taken on steps of these ratios."""
        if any(ratio != ratios[0] for ratio in ratios):
            raise ValueError(
                f"{self.name} remembers every step: give equal ratios (a geometric grid), got {tuple(ratios)}"
            )
        return self.steady_state(ratios[0] if ratios else 1)

    @abc.abstractmethod
    def weights_at(self, state: Any, point: Point) -> list[Number]:
        """Return the weights kappa omega_j of the step at `point`, newest first."""

    def _point(self, h: Number, ratios: Sequence[Number]) -> Point:
        return steady_point(self.formulation or NOISE_RATIO, h, ratios, self.points)

    def steady_state(self, ratio: Number) -> Any:
        """Return the state after infinitely many equal (or geometric) steps, ready for `advance`."""
        return None


class AdamsType(Multistep):
    """x+ = xi x + kappa sum_j omega_j F_j: a multistep method that remembers the sample and past evaluations alone.

    Examples
    --------
    >>> import numdiff as nd
    >>> tableau = nd.AdamsBashforth(3).steady()
    >>> print(*tableau.V[0], "|", *tableau.B[0])  # of the sample and the past evaluations, and of the new one
    1 -4/3 5/12 | 23/12
    """

    @property
    def registers(self) -> int:
        """The sample and all evaluations but the newest."""
        return self.points

    def state_at(self, ratios: Sequence[Number]) -> None:
        """Return None: there is no state beside the past evaluations, so any ratios will do."""

    def advance(self, state: Any, point: Point) -> tuple[Tableau, Any]:
        """Return the tableau of one step; see `Multistep`."""
        omega = self.weights_at(state, point)
        pad = [0] * (self.points - len(omega))
        return one_stage([omega[0], point.span.xi, *omega[1:], *pad], [1, *[0] * self.points]), None


def steady_point(formulation: Formulation, h: Number, ratios: Sequence[Number], moments: int) -> Point:
    """Return a step of length `h` after steps of the given ratios, in X = x/kappa, with that many moments."""
    nodes, gap = [exact(0)], exact(1)
    for ratio in ratios:
        gap = gap / exact(ratio)
        nodes.append(nodes[-1] - gap)
    return Point(formulation.steady_span(h, moments), tuple(nodes), len(nodes), first=False)


def point_at(layout: Layout, n: int, *, extra: int = 0) -> Point:
    """Describe step `n`: its span with `extra` moments beyond its order, its nodes, its order."""
    formulation, levels = layout.formulation, layout.levels
    denoises = layout.denoises(n)
    count = min(layout.orders[n], layout.history(n))
    order = 1 if denoises else count
    here, span = levels[n], layout.span(n, order + extra)
    if span.max_order < order or (span.infinite and order > 1 and not layout.limited):
        raise ValueError(_no_limit(layout, n))
    if not formulation.is_finite(here):
        return Point(span, (0.0,), 1, first=True)
    origin = layout.nodes[n]
    reach = min(layout.history(n), max(order, 2))
    nodes = tuple([(layout.nodes[n - j] - origin) / span.unit for j in range(reach)])
    return Point(span, nodes, order, first=layout.history(n) == 1, momentum=not denoises)


def _no_limit(layout: Layout, n: int) -> str:
    zero = "sigma" if vanishes(layout.levels[n + 1].sigma) else "alpha"
    remedy = 'use final="denoise" (the default) or ' if zero == "sigma" else ""
    return (
        f"{layout.method.name} in formulation {layout.formulation.name} has no finite limit at {zero} = 0 beyond "
        f"order 1; {remedy}end the grid at a positive {zero}, or lower the last order with orders="
    )


def first_order(formulation: Formulation, here: Level, there: Level, *, noise_factor: Number = 1) -> Tableau:
    """Return the step of order 1, DDIM's: at sigma = 0 the denoised estimate, from alpha = 0 on the limit; with noise.

    One-step methods make it where a stage would be infinitely far away.
    """
    clean = vanishes(there.sigma)
    span = formulation.denoising_span(here, there) if clean else formulation.span(here, there, 1)
    step = one_stage([span.moments[0], span.xi], [1, 0], level=here, target=there)
    return step.with_noise(product(noise_factor, span.noise), span.clock)


def _hold(tableau: Tableau) -> Tableau:
    """Keep the memory rows and leave the sample as it is, for the driver to replace."""
    unit = (1, *(0,) * (tableau.registers - 1))
    return tableau.replace(B=((0,), *tableau.B[1:]), V=(unit, *tableau.V[1:]))


def _bootstrap(tableau: Tableau, layout: Layout, n: int) -> Tableau:
    """Keep the memory rows and make the sample row a Runge-Kutta step of order one below the step's."""
    return runge_kutta(of_order(max(layout.orders[n] - 1, 1)), layout, n, memory=tableau)


def runge_kutta(array: Butcher | Additive, layout: Layout, n: int, memory: Tableau | None = None) -> Tableau:
    """Return step `n` by an explicit Runge-Kutta array, of one field or more, in the ratio (or time) variable.

    With the scale a of the scaled sample, y = x/a, dy/ds = f: stage i sits at the level of s_n + c_i h, where the
    scale is a_i. `memory` supplies the rows of the registers y_1, y_2, ... from the first stage, which is an
    evaluation at the present node.
    """
    formulation = ratio_of(layout.formulation)
    here, there = layout.levels[n], layout.levels[n + 1]
    formulation.span(here, there, 1)  # raises where y does not exist
    h = formulation.node(there) - formulation.node(here)
    if kind(h) in ("float", "numpy", "torch", "traced"):
        array = array.in_floats()
    placed = {c: layout.level_at(n, c) for c in dict.fromkeys(array.c)}
    levels = tuple(placed[c] for c in array.c)
    unit = exact(1) if kind(h) in ("exact", "sympy") else 1.0  # a velocity has scale 1, which must not be a float there
    velocity = formulation.prediction == "velocity"
    places = (here, *levels, there)
    scale, *stages, last = (unit if velocity else formulation.scales(level)[0] for level in places)
    s, r = len(array.b), memory.registers if memory else 1
    rest, others = (0,) * (r - 1), memory.B[1:] if memory else ()
    return Tableau(
        A=[[a * h * x if x else 0 for x in row] for a, row in zip(stages, array.A, strict=True)],
        U=[(1 if level is here else a / scale, *rest) for a, level in zip(stages, levels, strict=True)],
        B=[[last * h * x if x else 0 for x in array.b], *((row[0], *(0,) * (s - 1)) for row in others)],
        V=[(last / scale, *rest), *(memory.V[1:] if memory else ())],
        levels=levels,
        target=there,
        tags=getattr(array, "tags", ()),
    )


def steady_runge_kutta(array: Butcher | Additive, h: Number) -> Tableau:
    """Return a Runge-Kutta array, scaled by the step length, as the tableau of one step in X = x/kappa."""
    A = [[h * x for x in row] for row in array.A]
    return Tableau(A=A, U=[(1,)] * len(A), B=[[h * x for x in array.b]], V=((1,),), tags=getattr(array, "tags", ()))
