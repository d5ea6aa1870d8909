r"""Splitting for guided sampling: the model by one method, the condition by another.

A guided flow has two fields. With the scaled sample y = x/a and its variable s (x/alpha and rho for noise prediction)

::

    dy/ds = e(y, s) + g(y, s),    g = -scale sigma grad_x log p(c | x)    or    g = scale (eps_c - eps_u)

where e is the model and g, a difference of predictions, the field tagged "condition". A multistep formula for the sum
is unstable for large scales; splitting keeps it for e alone. With d the step and e_n = e(z_n, s_n),

::

    LTSP, condition first    z = y + d g(y, s_n),      y+ = z + d sum_i a_i e_{n-i}
    LTSP, condition last     z = y,                    y~ = y + d sum_i a_i e_{n-i},   y+ = y~ + d g(y~, s_n)
    STSP                     z = y + d/2 g(y, s_n),    y~ = z + d sum_i a_i e_{n-i},   y+ = y~ + d/2 g(y~, s_{n+1})

(in the second g may be taken at s_{n+1} too: ``at="end"``).

**Order.** LTSP and STSP have order 1 whatever the multistep formula. Its history lies on the trajectory of both fields,
so the formula integrates e along that instead of along the flow of e alone: on the scalar problem below, with k >= 2
and exact flows e^C of g, every step leaves A C/2. Order 2 takes a one-step solver for e and second-order halves for g,
which is `Strang`.

**Stability.** On e = lam_1 y, g = lam_2 y with A = d lam_1, C = d lam_2 and F = 1 + C (LTSP) or (1 + C/2)^2 (STSP),

::

    r^k = F [r^{k-1} + A sum_i a_i r^{k-1-i}],    unsplit:  r^k = r^{k-1} + (A + C) sum_i a_i r^{k-1-i}

In exponential formulations d g stands for the step's total weight, as for a constant g.

**The ends.** At sigma = 0 the difference g vanishes in noise, data and velocity, since eps_c - eps_u = -sigma grad log
p(c | x): LTSP and STSP leave out evaluations there. (A classifier has a gradient there, which sigma multiplies; a
network need not be evaluated.) A step of order 1 that returns the denoised estimate is not split: x_t = xi x_s +
W (e + g), both at x_s, is the guided estimate. Where alpha = 0 the formulation decides, as it does for its base.

Source: Wizadwongsa, Suwajanakorn, Accelerating Guided Diffusion Sampling with Splitting Numerical Methods (ICLR 2023);
Strang, SIAM J. Numer. Anal. 5 (1968); Hairer, Lubich, Wanner, Geometric Numerical Integration, II.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, ClassVar

from numdiff import formulations
from numdiff.elementary import Number, vanishes
from numdiff.formulations import NOISE_RATIO, Formulation, Span
from numdiff.level import Level
from numdiff.methods import butcher as arrays
from numdiff.methods.adams import AdamsBashforth
from numdiff.methods.additive import Additive, composed
from numdiff.methods.base import OneStep, Transformed
from numdiff.methods.butcher import Butcher
from numdiff.methods.checks import choice
from numdiff.methods.layout import Layout
from numdiff.methods.multistep import Multistep, first_order, runge_kutta, steady_runge_kutta
from numdiff.methods.splitting_steps import CONDITION, Splitting, after, before, is_clean, unsplit
from numdiff.tableau import Tableau
from numdiff.weights import exact

__all__ = ["CONDITION", "LTSP", "STSP", "MultistepSplitting", "Splitting", "Strang"]

PLACES = ("first", "last", "both")


@dataclass(frozen=True)
class MultistepSplitting(Transformed, Splitting):
    """A multistep method for the model and Euler steps for the condition; `LTSP` and `STSP` make them.

    ::

        z = y + d a g(y, s_n),    y~ = z + d sum_{i<k} w_i e_{n-i},    y+ = y~ + d b g(y~, s)

    where y is the scaled sample, d the step, e_{n-i} are the model's evaluations, at the samples z, w_i the base's
    weights, g is the field "condition", and (a, b) is (1, 0), (0, 1) or (1/2, 1/2); s is s_n or s_{n+1}.

    Parameters
    ----------
    base
        Multistep method of the model; deterministic.
    condition
        Where the step of the condition goes: "first", "last", or "both" for a half at either side.
    at
        Where a condition after the model is evaluated: "start" for the level that the step leaves, "end" for the one
        it reaches. A condition that goes first is at the start.

    Raises
    ------
    TypeError, ValueError
        For a base that is not a deterministic multistep method, or an unknown option.

    Notes
    -----
    Order 1, whatever the base. A step makes one evaluation of the model and one of the condition, two for "both".

    References
    ----------
    Wizadwongsa and Suwajanakorn, Accelerating guided diffusion sampling with splitting numerical methods, ICLR 2023,
    arXiv:2301.11558.

    Examples
    --------
    >>> import numdiff as nd
    >>> method = nd.MultistepSplitting(nd.GHVB(2, 0.8), "both", "end")
    >>> print(method, method.evaluations)  # of the model and of the condition, in a step
    STSP(GHVB2(0.8)) {'condition': 2, '': 1}
    """

    base: Multistep
    condition: str = "last"
    at: str = "start"

    def __post_init__(self) -> None:
        """Check the parameters."""
        if not isinstance(self.base, Multistep):
            raise TypeError(f"base must be a multistep method such as AdamsBashforth(4), got {self.base!r}")
        if self.base.stochastic:
            raise ValueError(f"base {self.base} adds noise; split a deterministic method")
        choice("condition", self.condition, PLACES)
        choice("at", self.at, ("start", "end"))
        if self.condition == "first" and self.at == "end":
            raise ValueError('condition="first" is evaluated where the step starts; use at="start" or condition="last"')

    @property
    def order(self) -> int:  # type: ignore[override]
        """1 whatever the base."""
        return 1

    @property
    def name(self) -> str:
        """LTSP or STSP, the base, and where the condition goes."""
        if self.condition == "both":
            return f"STSP({self.base.name})" if self.at == "end" else f"STSP({self.base.name}, at start)"
        return f"LTSP({self.base.name}, {self.condition}{' at end' if self.at == 'end' else ''})"

    def coefficients(self) -> Any:
        """Return the base's coefficients."""
        return self.base.coefficients()

    def steady(self, h: Number | None = None, *, ratio: Number = 1) -> Tableau:
        """Return the tableau of one step among equal (or geometric) steps; see `Method.steady`."""
        span = (self.formulation or NOISE_RATIO).steady_span(self._steady_h(h, ratio), 1)
        return self._split(self.base.steady(h, ratio=ratio), span, (None, None), skip=(False, False))

    def _program(self, layout: Layout) -> Iterator[Tableau]:
        if layout.start != "lower" and self.points > 1:
            raise ValueError(
                f"{self.name} has order 1 and its history is that of its own run: it has no start={layout.start!r}; "
                'use start="lower"'
            )
        for n, tableau in enumerate(self.base._program(layout)):
            here, there = layout.levels[n], layout.levels[n + 1]
            span = layout.span(n)
            if layout.denoises(n) or vanishes(span.xi):
                yield unsplit(tableau, span.moments[0])
            else:
                skip = (is_clean(layout, here), is_clean(layout, there))
                yield self._split(tableau, span, (here, there), skip)

    def _split(
        self, base: Tableau, span: Span, ends: tuple[Level | None, Level | None], skip: tuple[bool, bool]
    ) -> Tableau:
        """Return the base's step with the condition before and after it; `skip` where the condition vanishes."""
        total, here = exact(span.moments[0]), ends[0]
        part = total / 2 if self.condition == "both" else total
        tableau = base
        if self.condition != "last" and not skip[0]:
            tableau = before(tableau, part / exact(span.xi), here)
        at_end = self.at == "end"
        if self.condition != "first" and not skip[at_end]:
            tableau = after(tableau, part, 1 if at_end else 1 / exact(span.xi), ends[at_end])
        return tableau


def LTSP(
    order: int = 4,
    *,
    weights: str = "variable",
    formulation: Formulation | str | None = None,
    condition: str = "last",
    at: str = "start",
    base: Multistep | None = None,
) -> MultistepSplitting:
    """Return the Lie-Trotter splitting: a multistep step of the model and an Euler step of the condition; order 1.

    ::

        y~ = y_n + d sum_{i<k} w_i e_{n-i},    y_{n+1} = y~ + d g(y~, s_n)

    where y = x/alpha, s = sigma/alpha, d is the step in it, e_{n-i} are the model's noise predictions, newest first, g
    is the field "condition", as scale (eps_c - eps_u), and w_i are Adams-Bashforth weights over d.

    Parameters
    ----------
    order
        Evaluations of the model that are combined, 1 to 8. Published as LTSP4 with ``weights="uniform"`` (PLMS4).
    weights
        "variable" on the true nodes (the repaired form), or "uniform" as published.
    formulation
        None for noise/ratio as published (velocity/time on flow schedules), or any other.
    condition, at
        "last" at "start" is the published algorithm; see `MultistepSplitting`.
    base
        Another multistep method for the model, which replaces the first three arguments.

    Returns
    -------
    MultistepSplitting

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order 1; 2 stages; 2 N evaluations for N steps, N of the model and N of the condition. Weights "uniform" are
    published, "variable" repaired.

    References
    ----------
    Wizadwongsa and Suwajanakorn, Accelerating guided diffusion sampling with splitting numerical methods, ICLR 2023,
    arXiv:2301.11558.

    Examples
    --------
    Ten evaluations of the model and ten of the condition:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> scheme = nd.LTSP(2).discretize(schedule, nd.grids.uniform_t(schedule, 10))
    >>> fields = {"condition": lambda x, t: 0.5 * (x - 1.0)}
    >>> x = nd.sample(scheme, lambda x, t: np.tanh(x), np.zeros(3), prediction="noise", fields=fields)
    >>> scheme.nfe, x.shape
    (20, (3,))
    """
    return MultistepSplitting(base or AdamsBashforth(order, formulation, weights), condition, at)  # type: ignore[arg-type]


def STSP(
    order: int = 4,
    *,
    weights: str = "variable",
    formulation: Formulation | str | None = None,
    at: str = "end",
    base: Multistep | None = None,
) -> MultistepSplitting:
    """Return the published Strang splitting: half an Euler step of the condition at either side; order 1 all the same.

    ::

        z_n = y_n + d/2 g(y_n, s_n),    y~ = z_n + d sum_{i<k} w_i e_{n-i},    y_{n+1} = y~ + d/2 g(y~, s_{n+1})

    where y = x/alpha, s = sigma/alpha, d is the step in it, e_{n-i} = e(z_{n-i}, s_{n-i}) are the model's noise
    predictions, g is the field "condition", as scale (eps_c - eps_u), and w_i are Adams-Bashforth weights over d.

    Parameters
    ----------
    order, weights, formulation, base
        As in `LTSP`.
    at
        Level of the second half: "end", or "start".

    Returns
    -------
    MultistepSplitting

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order 1; 3 stages; 3 N evaluations for N steps, N of the model and 2 N of the condition. Weights "uniform" are
    published, "variable" repaired; `Strang` has order 2.

    References
    ----------
    Wizadwongsa and Suwajanakorn, Accelerating guided diffusion sampling with splitting numerical methods, ICLR 2023,
    arXiv:2301.11558.

    Examples
    --------
    Its history is that of both fields, so its order is 1; ``Strang`` remembers nothing and has order 2:

    >>> import numdiff as nd
    >>> for method in (nd.STSP(2), nd.Strang()):
    ...     print(method, method.order, method.evaluations)
    STSP(AB2) 1 {'condition': 2, '': 1}
    Strang(midpoint) 2 {'condition': 4, '': 2}
    """
    return MultistepSplitting(base or AdamsBashforth(order, formulation, weights), "both", at)  # type: ignore[arg-type]


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
