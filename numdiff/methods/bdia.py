r"""BDIA: DDIM steps forwards and backwards from each level, a two-step method that can be run back exactly.

With DDIM_{n->m} the DDIM step from level n to level m and gamma > 0,

::

    x_{n+1} = gamma (x_{n-1} - DDIM_{n->n-1}(x_n)) + DDIM_{n->n+1}(x_n)

after a first step of plain DDIM. The state is the pair (x_n, x_{n-1}); solved for x_{n-1} it is the same formula with
1/gamma on the reversed grid, at the same evaluation. So run from both last samples it returns the pair it came from, up
to rounding, whatever the network: no accuracy is needed.

**Order.** In y = x/alpha with rho = sigma/alpha, h_n = rho_{n+1} - rho_n and c_n = gamma alpha_{n-1}/alpha_{n+1} a step
leaves the residual (h_n^2 - c_n h_{n-1}^2) y''/2 + O(h^3). gamma = 1 is the leapfrog of y' = eps where alpha is
constant and steps are equal: order 2, and so on every smooth grid, since then h_n - h_{n-1} = O(h^2) and
c_n - 1 = O(h). On a grid of alternating steps, and for every gamma < 1, it has order 1. The other root is -c_n, whose
product over a run is gamma^N times alpha_0 alpha_1/(alpha_N alpha_{N+1}): stable from noise to data for gamma <= 1
(weakly for 1: oscillations do not die out); run back it amplifies by the inverse.

**Heavy ball.** On equal steps in rho it is the heavy ball on DDIM with beta_n = 1 + c_n; beta = 1 + gamma for constant
alpha.

Source: Zhang, Lewis and Kleijn, Exact diffusion inversion via bi-directional integration approximation (2023).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, ClassVar

from numdiff import formulations
from numdiff.elementary import Number, kind
from numdiff.formulations import DATA_LOG_SNR, NOISE_RATIO, VELOCITY_TIME, Formulation, Span
from numdiff.methods.base import Method
from numdiff.methods.checks import check_no_orders, check_number, show
from numdiff.methods.layout import Layout
from numdiff.methods.multistep import positive_ratio
from numdiff.tableau import Tableau

__all__ = ["BDIA"]

KNOWN = (NOISE_RATIO, DATA_LOG_SNR, VELOCITY_TIME)


@dataclass(frozen=True)
class BDIA(Method):
    """Bi-directional integration of DDIM, which `numdiff.invert` undoes exactly from the pair of last samples.

    ::

        x_{n+1} = gamma (x_{n-1} - DDIM_{n->n-1}(x_n)) + DDIM_{n->n+1}(x_n),    x_1 = DDIM_{0->1}(x_0)

    where DDIM_{n->m}(x) = (alpha_m/alpha_n) x + (sigma_m - sigma_n alpha_m/alpha_n) e(x, t_n), and e is the noise
    prediction, the same one in both.

    Parameters
    ----------
    gamma
        Weight of the backward half, positive; 1 is the leapfrog. The inverse has 1/gamma.
    formulation
        How the DDIM step is written: noise/ratio, data/log-SNR (for a first level with alpha = 0) or velocity/time
        (Euler's method in t, which is DDIM on flow schedules). None for noise/ratio (velocity/time on flow schedules).

    Raises
    ------
    ValueError, TypeError
        For a gamma out of range, or another formulation.

    Notes
    -----
    Order 2; 1 stage; N evaluations for N steps. That is for gamma = 1 on smooth grids; on rough grids, and for gamma <
    1, the order is 1. As published.

    Arriving at sigma = 0 it makes its own step, which can be run back; ``final="denoise"`` makes a plain DDIM step
    there instead, which cannot. With data prediction no run, and so no inversion, can start at sigma = 0.

    References
    ----------
    Zhang, Lewis, Kleijn, Exact diffusion inversion via bi-directional integration approximation, arXiv:2307.10829.

    Examples
    --------
    What was sampled runs back to the noise that it came from:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> scheme = nd.BDIA().discretize(schedule, nd.grids.uniform_t(schedule, 10))
    >>> model, x = lambda x, t: np.tanh(x), np.array([0.3, -1.2])
    >>> states = nd.sample(scheme, model, x, prediction="noise", states=True)
    >>> back = nd.invert(scheme, model, states, prediction="noise")
    >>> float(abs(back[0] - x).max()) < 1e-12
    True
    """

    gamma: Any = 1
    formulation: Formulation | None = None

    reference: ClassVar[str] = "Zhang, Lewis, Kleijn, Exact diffusion inversion via BDIA, 2023"

    def __post_init__(self) -> None:
        """Check the parameters."""
        remedy = "published are values from 0.9 to 1, and gamma = 0, which cannot be run back, is DDIM"
        object.__setattr__(self, "gamma", check_number("gamma", self.gamma, 0, above=True, remedy=remedy))
        if self.formulation is not None:
            object.__setattr__(self, "formulation", formulations.get(self.formulation))
            if self.formulation not in KNOWN:
                names = ", ".join(f.name for f in KNOWN)
                raise ValueError(
                    f"formulation must be one of {names} (DDIM is the same in all), got {self.formulation}"
                )

    @property
    def order(self) -> int:  # type: ignore[override]
        """2 for gamma = 1, on equal steps and smooth grids; else 1."""
        return 2 if self.gamma == 1 else 1

    @property
    def points(self) -> int:
        """One evaluation a step."""
        return 1

    def check_orders(self, orders: Any, steps: int) -> tuple[int, ...]:
        """Return 1 for every step, or raise if orders are given: there is nothing to lower."""
        return check_no_orders(self, orders, steps)

    @property
    def samples(self) -> int:
        """The state is the newest sample and the one before it."""
        return 2

    @property
    def registers(self) -> int:
        """The two samples."""
        return 2

    @property
    def name(self) -> str:
        """BDIA and gamma, with the formulation if it is given."""
        parts = [show(self.gamma)] + ([self.formulation.name] if self.formulation is not None else [])
        return f"BDIA({', '.join(parts)})"

    def reverse(self) -> BDIA:
        """Return the method that undoes this one on the reversed grid: BDIA with 1/gamma."""
        inverse = Fraction(1) / self.gamma if kind(self.gamma) == "exact" else 1 / self.gamma
        return BDIA(inverse, self.formulation)

    def coefficients(self, *, h: Number | None = None) -> tuple[Number, ...]:
        """Return the factors of x_n, x_{n-1} and f in the new sample of an equal step, exact, for kappa = 1."""
        tableau = self.steady(h)
        return (*tableau.V[0], *tableau.B[0])

    def steady(self, h: Number | None = None, *, ratio: Number = 1) -> Tableau:
        """Return the tableau of one step among equal (or geometric) steps where alpha is constant; see `Method`."""
        h = self._steady_h(h, positive_ratio(ratio, "ratio"))
        formulation = self.formulation or NOISE_RATIO
        last = h if ratio == 1 else h / ratio
        return self._step(formulation.steady_span(h, 1), formulation.steady_span(-last, 1))

    def _step(self, ahead: Span, back: Span | None) -> Tableau:
        """Return the step over `ahead`; without a span back to the sample before, the plain DDIM step."""
        gamma = 0 if back is None else self.gamma
        (xi, w), (eta, v) = ((s.xi, s.moments[0]) if s else (0, 0) for s in (ahead, back))
        return Tableau(A=((0,),), U=((1, 0),), B=((w - gamma * v,), (0,)), V=((xi - gamma * eta, gamma), (1, 0)))

    def _program(self, layout: Layout) -> Iterator[Tableau]:
        for n, (here, there) in enumerate(pairwise(layout.levels)):
            plain = n == 0 or (layout.final == "denoise" and layout.denoises(n))
            back = None if plain else layout.formulation.span(here, layout.levels[n - 1], 1)
            tableau = self._step(layout.span(n), back)
            yield tableau.replace(levels=(here,), target=there)
