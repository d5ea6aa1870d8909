"""Explicit Runge-Kutta methods in the ratio (or time) variable: Heun, midpoint, Kutta, Ralston, SSP methods, RK4.

The scaled sample y = x/alpha obeys dy/drho = eps (and y = x/sigma obeys dy/d(1/rho) = x_0), a plain ODE to which a
classical method applies:

    Y_i = y_n + h sum_j a_ij f_j at s_n + c_i h,    y_{n+1} = y_n + h sum_i b_i f_i

EDM's Heun sampler is the two-stage one with noise prediction. Where the grid ends at sigma = 0 the last step is
Euler's, which evaluates nothing at sigma = 0 and returns the denoised estimate.

With noise prediction these are the rho-RK variants of DEIS: `published.classical.RhoRK` takes their names there.

Sources: Karras et al., Elucidating the design space (2022), algorithm 1; Zhang and Chen, DEIS (2023), rho-RK.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from numdiff import formulations
from numdiff.elementary import Number, vanishes
from numdiff.formulations import Formulation
from numdiff.methods import butcher
from numdiff.methods.base import Method
from numdiff.methods.butcher import Butcher
from numdiff.methods.layout import Layout
from numdiff.methods.multistep import runge_kutta
from numdiff.tableau import Tableau, one_stage

KNOWN = {
    "Euler": butcher.EULER,
    "Midpoint": butcher.MIDPOINT,
    "Ralston": butcher.RALSTON,
    "Heun": butcher.HEUN,
    "Kutta3": butcher.KUTTA3,
    "Ralston3": butcher.RALSTON3,
    "Heun3": butcher.HEUN3,
    "VanDerHouwen3": butcher.VAN_DER_HOUWEN3,
    "SSPRK3": butcher.SSPRK3,
    "SSPRK43": butcher.SSPRK43,
    "RK4": butcher.RK4,
    "Kutta38": butcher.KUTTA38,
}


@dataclass(frozen=True)
class RungeKutta(Method):
    """An explicit Runge-Kutta method, classical in the ratio or time variable.

    Parameters
    ----------
    butcher
        The exact Butcher array; see `numdiff.methods.butcher`.
    label
        Its name in tables.
    formulation
        noise/ratio, data/ratio or velocity/time; None for noise/ratio (velocity/time on flow schedules).

    Raises
    ------
    ValueError
        For a log-SNR formulation.
    """

    butcher: Butcher
    label: str = "RK"
    formulation: Formulation | None = None

    reference: ClassVar[str] = "Hairer, Norsett, Wanner, Solving ODEs I, II.1; Karras et al. 2022, algorithm 1"

    def __post_init__(self) -> None:
        """Check the formulation."""
        if self.formulation is not None:
            object.__setattr__(self, "formulation", formulations.get(self.formulation))
        if self.kernel != 0:
            raise ValueError(
                f"{self.label} is a classical Runge-Kutta method and needs a formulation without kernel, "
                f"got {self.formulation}; use noise/ratio, data/ratio or velocity/time"
            )

    @property
    def order(self) -> int:  # type: ignore[override]
        """Order of the Butcher array."""
        return self.butcher.order

    @property
    def points(self) -> int:
        """A one-step method combines no past evaluations."""
        return 1

    @property
    def name(self) -> str:
        """The label, with the formulation if it is not the default."""
        return self.label if self.formulation is None else f"{self.label} {self.formulation.name}"

    def coefficients(self) -> Butcher:
        """Return the exact Butcher array."""
        return self.butcher

    def steady(self, h: Number | None = None, *, ratio: Number = 1) -> Tableau:
        """Return the Butcher array as a tableau, scaled by `h`; see `Method.steady`."""
        h = self._steady_h(h, 1)
        scaled = [[h * x for x in row] for row in self.butcher.A]
        return Tableau(A=scaled, U=[(1,)] * len(scaled), B=[[h * x for x in self.butcher.b]], V=((1,),))

    def _program(self, layout: Layout) -> Iterator[Tableau]:
        for n in range(layout.steps):
            yield _arrival(layout, n) if layout.arrives(n) else runge_kutta(self.butcher, layout, n)


def _arrival(layout: Layout, n: int) -> Tableau:
    """Return the step of order 1 that evaluates nothing at its end."""
    here, there = layout.levels[n], layout.levels[n + 1]
    clean = vanishes(there.sigma)
    span = layout.formulation.denoising_span(here, there) if clean else layout.formulation.span(here, there, 1)
    return one_stage([span.moments[0], span.xi], [1, 0], level=here, target=there)
