r"""Effective weights: the rows of an identified sampler, step by step, in a formulation, and the order they have.

In a formulation dX/ds = c X + f, X = x/kappa (`numdiff.formulations`), two samples of a run that lie at s_a and s_b
differ by

    X_b - e^{c(s_b - s_a)} X_a = sum_j w_j f_j,                                                                    (1)

the **row** of that stretch: one weight for every question asked so far. With h = s_b - s_a and u_j = (s_j - s_a)/h its
moments sum_j w_j u_j^m should be mu_m = int_0^h e^{c(h-u)} (u/h)^m du (`numdiff.weights`), as they are for formula (*).

**Order.** On f = u^m a sampler is a quadrature formula, and its error over a stretch in the middle of a run, far from
its start and its last steps, is the difference of the two: E_m. Order p means E_m = O(h^p) for all m < p, as the grid
is refined. f that depends on s alone in one formulation depends on the sample in another, so the same errors in all
formulations see also the conditions that couple the stages of a step. A plain equation has one formulation only; there
dX/ds = c X + f with another c does the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from numdiff.certification.identify import Identified, NotLinearError
from numdiff.certification.subject import Array, position
from numdiff.formulations import FORMULATIONS, VELOCITY_TIME, Formulation
from numdiff.level import Level
from numdiff.weights import moments

ROUNDING = 2e-12
"""Relative error up to which a moment is right: rounding of sums over some hundred questions."""

TRACE = 1e-13
"""Relative weight that rounding leaves on old answers, whose high powers are large."""

NOTHING = 1e-11
"""Relative weight below which an answer has none."""

COUPLED = Formulation("velocity less x, time", "velocity", "time", -1)
"""A second formulation of plain equations, dx/dt = f - x."""


@dataclass(frozen=True, eq=False)
class View:
    """An identified sampler in a formulation.

    Parameters
    ----------
    found
        Its coefficients on f of that formulation.
    formulation
        Which.
    scale
        Of the subject.
    """

    found: Identified
    formulation: Formulation
    scale: str

    @property
    def name(self) -> str:
        """Name of the formulation."""
        return self.formulation.name

    @property
    def steps(self) -> int:
        """Number of steps of the grid."""
        return len(self.found.grid) - 1

    @cached_property
    def nodes(self) -> Array:
        """The variable s at each question, shape (M,)."""
        return np.array([float(self.formulation.node(level)) for level in self.found.asked])

    @cached_property
    def states(self) -> tuple[int, ...]:
        """The last question at each node but the last of the grid; where none is asked there, the one before."""
        at = np.array([position(self.scale, level) for level in self.found.asked])
        grid = np.array([position(self.scale, level) for level in self.found.grid])
        near = 1e-6 * np.min(np.abs(np.diff(grid[np.isfinite(grid)])))
        last: list[int] = []
        for s in grid[:-1]:
            here = np.flatnonzero(np.abs(at - s) < near)
            last.append(int(here[-1]) if len(here) else (last[-1] if last else 0))
        return tuple(last)

    @cached_property
    def ends(self) -> list[tuple[int, int]]:
        """The questions between which the steps in the middle go: those that alone carry the past, or the states."""
        first, last = middle(self)
        states = [*self.states, self.found.questions]
        cuts = [j for j in range(states[first], states[last] + 1) if self.forgets(j)]
        found = list(pairwise(cuts if len(cuts) > 2 else states[first : last + 1]))
        found = [(a, b) for a, b in found if b == self.found.questions or self.nodes[a] != self.nodes[b]]
        if not found:
            raise NotLinearError("it asks its questions elsewhere than at the levels of its grid: steps of its own")
        lengths = [b - a for a, b in found]
        usual = max(set(lengths), key=lengths.count)
        return [(a, b) for a, b in found if b - a == usual]

    def forgets(self, j: int) -> bool:
        """Tell whether later samples depend on what was before question j by its sample alone."""
        present = self._scaled(j)
        for i in range(j + 1, min(j + 9, self.found.questions)):
            old = np.abs(self._scaled(i) - self._grown(j, i) * present)
            if np.max(old[1 : 1 + j], initial=0.0) > NOTHING * np.max(old):
                return False
        return True

    def _grown(self, first: int, last: int) -> float:
        asked = (*self.found.asked, self.found.grid[-1])
        return math.exp(float(self.formulation.c) * self._between(asked[first], asked[last]))

    def _between(self, a: Level, b: Level) -> float:
        return float(self.formulation.node(b)) - float(self.formulation.node(a))

    def _scaled(self, j: int) -> Array:
        """Return the coefficients of X = x/kappa of question j."""
        level = (*self.found.asked, self.found.grid[-1])[j]
        return np.asarray(self._rows[j] / self._kappa(level))

    @cached_property
    def _rows(self) -> Array:
        return self.found.rows

    def row(self, first: int, last: int, count: int = 6) -> Row:
        """Return (1) from the sample of question `first` to that of question `last`."""
        asked = (*self.found.asked, self.found.grid[-1])
        h, grown, held = self._between(asked[first], asked[last]), self._grown(first, last), self._scaled(last)
        difference = held - grown * self._scaled(first)
        mu = np.array(moments(h, self.formulation.c, count), dtype=float)
        carried = difference[0] / held[0] if held[0] else 0.0
        with np.errstate(divide="ignore", invalid="ignore"):  # two questions at one level have a row of no length
            nodes, weights, asks = (self.nodes - self.nodes[first]) / h, difference[1:] / mu[0], mu / mu[0]
        return Row(first, last, h, grown, weights, nodes, asks, float(mu[0]), float(carried))

    def absolute(self, first: int, last: int) -> Array:
        """Return the weights of (1) themselves, also where both questions are at one level."""
        return np.asarray((self._scaled(last) - self._grown(first, last) * self._scaled(first))[1:])

    def _kappa(self, level: Level) -> float:
        return 1.0 if self.formulation.prediction == "velocity" else float(self.formulation.kappa(level))


@dataclass(frozen=True, eq=False)
class Row:
    """The weights of a stretch of a run, in units of its total weight mu_0.

    Parameters
    ----------
    first, last
        Its questions.
    h, grown
        Its length in s, and the factor e^{ch} of X.
    weights
        On the answers to all questions, shape (M,).
    nodes
        u_j of all questions, in units of h.
    mu
        What the moments should be, `mu[0]` = 1.
    total
        The total weight mu_0.
    carried
        By how much more of x_0 is carried along than should be, relative to what there is of it.
    """

    first: int
    last: int
    h: float
    grown: float
    weights: Array
    nodes: Array
    mu: Array
    total: float
    carried: float

    def without(self, grain: float) -> Row:
        """Return the row without weights below the grain: those that rounding leaves on all old answers."""
        return replace(self, weights=np.where(np.abs(self.weights) < grain, 0.0, self.weights))

    def defects(self, count: int) -> Array:
        """Return the moments less what they should be, shape (count,)."""
        return np.array([self.weights @ self.nodes**m for m in range(count)]) - self.mu[:count]


def views(found: Identified, scale: str) -> tuple[View, ...]:
    """Return a sampler in all formulations that its levels allow."""
    if scale == "time":
        ones = np.ones(found.questions)
        return (
            View(found, VELOCITY_TIME, scale),
            View(found.in_terms_of(float(COUPLED.c) * ones, ones, "velocity"), COUPLED, scale),
        )
    made, known = [], {found.prediction: found}
    for formulation in FORMULATIONS.values():
        try:
            known.setdefault(formulation.prediction, _converted(found, formulation.prediction))
        except ValueError:  # a level of a question forbids that prediction
            continue
        if all(formulation.is_finite(level) for level in found.asked):
            made.append(View(known[formulation.prediction], formulation, scale))
    return tuple(made)


def _converted(found: Identified, prediction: str) -> Identified:
    return found.converted(prediction)


def middle(view: View) -> tuple[int, int]:
    """Return the nodes between which a run is judged: far from its start, and before its last steps."""
    return view.steps // 2, 3 * view.steps // 4


def errors(view: View, order: int, grain: float = 0.0) -> Array:
    """Return |E_m|, m < order, over the middle of a run relative to its total weight, but for weights below grain."""
    first, last = (view.states[n] for n in middle(view))
    return np.abs(view.row(first, last, max(order, 1)).without(max(grain, TRACE)).defects(order))


def observed_order(sizes: Sequence[float], steps: Sequence[int]) -> float:
    """Return the slope of the two finest errors, infinity where they are rounding.

    Parameters
    ----------
    sizes
        Errors for the numbers of steps.
    steps
        At least two numbers of steps, rising.
    """
    before, after = sizes[-2:]
    if after < ROUNDING:
        return math.inf
    return math.log(before / after) / math.log(steps[-1] / steps[-2]) if before > 0 else 0.0
