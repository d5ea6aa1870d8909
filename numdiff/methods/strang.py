"""Strang's splitting with second-order flows of the model and of the condition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import ClassVar

from numdiff import formulations
from numdiff.elementary import Number
from numdiff.formulations import Formulation
from numdiff.methods import butcher as arrays
from numdiff.methods.additive import Additive, composed
from numdiff.methods.base import OneStep
from numdiff.methods.butcher import Butcher
from numdiff.methods.checks import choice
from numdiff.methods.layout import Layout
from numdiff.methods.multistep import first_order, runge_kutta, steady_runge_kutta
from numdiff.methods.splitting_steps import CONDITION, Splitting, unsplit
from numdiff.tableau import Tableau

__all__ = ["Strang"]


@dataclass(frozen=True)
class Strang(OneStep, Splitting):
    """Strang's splitting with second-order flows: half of one field, all of the other, half of the first; order 2.

    ::

        y_{n+1} = G(d/2) E(d) G(d/2) y_n,    each by the midpoint rule:    G(d) y = y + d g(y + d/2 g(y, s), s + d/2)

    where y is the scaled sample, s its variable, d the step in it, G the flow of the field "condition" and E that of
    the model, from s_n to s_n + d/2, s_n to s_{n+1} and s_n + d/2 to s_{n+1}; ``outer="model"`` exchanges them.

    Parameters
    ----------
    butcher
        Explicit Runge-Kutta array of order 2 at least for every flow; the midpoint rule by default.
    formulation
        noise/ratio, data/ratio or velocity/time; None for noise/ratio (velocity/time on flow schedules).
    outer
        The field with two halves: "condition", or "model".

    Raises
    ------
    TypeError, ValueError
        For an array of order 1, a log-SNR formulation or an unknown option.

    Notes
    -----
    Order 2; 6 stages; 6 N evaluations for N steps, 2 N of the model and 4 N of the condition. Repaired: `STSP` as
    published has order 1.

    References
    ----------
    Strang, SIAM J. Numer. Anal. 5 (1968); Hairer, Lubich, Wanner, Geometric numerical integration, II.5.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.Strang().evaluations
    {'condition': 4, '': 2}
    >>> print(*nd.Strang().coefficients().c)  # where in a step its stages are
    0 1/4 0 1/2 1/2 3/4
    """

    butcher: Butcher = arrays.MIDPOINT
    formulation: Formulation | None = None
    outer: str = CONDITION

    reference: ClassVar[str] = "Strang, SIAM J. Numer. Anal. 5 (1968)"

    def __post_init__(self) -> None:
        """Check the parameters."""
        if not isinstance(self.butcher, Butcher):
            raise TypeError(f"butcher must be an array of numdiff.methods.butcher, got {self.butcher!r}")
        if self.butcher.order < 2:
            raise ValueError("butcher must have order 2 or more, got 1; use MIDPOINT, HEUN or RALSTON")
        choice("outer", self.outer, (CONDITION, "model"))
        if self.formulation is not None:
            object.__setattr__(self, "formulation", formulations.get(self.formulation))
        if self.kernel != 0 or self.stochastic:
            raise ValueError(
                f"Strang composes classical Runge-Kutta steps and needs a formulation without kernel, got "
                f"{self.formulation}; use noise/ratio, data/ratio or velocity/time"
            )

    @property
    def order(self) -> int:  # type: ignore[override]
        """2, that of the composition."""
        return 2

    @property
    def name(self) -> str:
        """Strang, its array, and what differs from the default."""
        known = {arrays.MIDPOINT: "midpoint", arrays.HEUN: "Heun", arrays.RALSTON: "Ralston"}
        parts = [known.get(self.butcher, f"RK{self.butcher.order}")]
        parts += [] if self.formulation is None else [self.formulation.name]
        parts += [] if self.outer == CONDITION else ["model outside"]
        return f"Strang({', '.join(parts)})"

    def coefficients(self) -> Additive:
        """Return the exact array of both fields."""
        half, inner = Fraction(1, 2), "" if self.outer == CONDITION else CONDITION
        outer = CONDITION if self.outer == CONDITION else ""
        zero, one = Fraction(0), Fraction(1)
        return composed([(outer, zero, half), (inner, zero, one), (outer, half, one)], self.butcher)

    def steady(self, h: Number | None = None, *, ratio: Number = 1) -> Tableau:
        """Return the array as a tableau, scaled by `h`; see `Method.steady`."""
        return steady_runge_kutta(self.coefficients(), self._steady_h(h, 1))

    def _program(self, layout: Layout) -> Iterator[Tableau]:
        array = self.coefficients()
        for n, (here, there) in enumerate(pairwise(layout.levels)):
            if layout.arrives(n):  # not split: nothing can be evaluated at its end
                step = first_order(layout.formulation, here, there)
                yield unsplit(step, step.B[0][0])
            else:
                yield runge_kutta(array, layout, n)
