"""Explicit Runge-Kutta methods in the ratio (or time) variable: Heun, midpoint, Kutta, Ralston, SSP methods, RK4.

The scaled sample y = x/alpha obeys dy/drho = eps (and y = x/sigma obeys dy/d(1/rho) = x_0), a plain ODE to which a
classical method applies::

    Y_i = y_n + h sum_j a_ij f_j at s_n + c_i h,    y_{n+1} = y_n + h sum_i b_i f_i

EDM's Heun sampler is the two-stage one with noise prediction. Where the grid ends at sigma = 0 the last step is
Euler's, which evaluates nothing at sigma = 0 and returns the denoised estimate.

With noise prediction these are the rho-RK variants of DEIS: `published.classical.RhoRK` takes their names there.

Sources: Karras et al., Elucidating the design space (2022), algorithm 1; Zhang and Chen, DEIS (2023), rho-RK.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from numdiff import formulations
from numdiff.elementary import Number
from numdiff.formulations import Formulation
from numdiff.methods import butcher
from numdiff.methods.base import OneStep
from numdiff.methods.butcher import Butcher
from numdiff.methods.checks import check_label
from numdiff.methods.layout import Layout
from numdiff.methods.multistep import first_order, runge_kutta, steady_runge_kutta
from numdiff.tableau import Tableau

__all__ = ["KNOWN", "RungeKutta"]

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
class RungeKutta(OneStep):
    """An explicit Runge-Kutta method, classical in the ratio or time variable.

    ::

        y_i = y_n + h sum_{j<i} a_ij f(y_j, s_n + c_j h),    y_{n+1} = y_n + h sum_i b_i f(y_i, s_n + c_i h)

    where y is the scaled sample and s its variable (x/alpha and sigma/alpha for noise prediction, x/sigma and
    alpha/sigma for data, x and t for the velocity), f the prediction, h the step in s, and (a, b, c) the Butcher array.

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
    TypeError
        For something that is no Butcher array.
    ValueError
        For a log-SNR formulation.

    Notes
    -----
    Order p; s stages; s N evaluations for N steps, those of the array. A last step to sigma = 0 is Euler's.

    References
    ----------
    Hairer, Norsett, Wanner, Solving ordinary differential equations I, II.1; Karras, Aittala, Aila, Laine, Elucidating
    the design space, arXiv:2206.00364, algorithm 1.

    Examples
    --------
    An array of one's own:

    >>> from fractions import Fraction
    >>> import numdiff as nd
    >>> from numdiff.methods import butcher
    >>> method = nd.RungeKutta(butcher.two_stage(Fraction(3, 4)), "theta = 3/4")
    >>> print(method, nd.order.certified(method), *method.coefficients().b)
    theta = 3/4 2 1/3 2/3
    """

    butcher: Butcher
    label: str = "RK"
    formulation: Formulation | None = None

    reference: ClassVar[str] = "Hairer, Norsett, Wanner, Solving ODEs I, II.1; Karras et al. 2022, algorithm 1"

    def __post_init__(self) -> None:
        """Check the array and the formulation."""
        if not isinstance(self.butcher, Butcher):
            raise TypeError(
                f"butcher must be an array of numdiff.methods.butcher such as RK4, got {self.butcher!r}; the members "
                "nd.Heun(), nd.RK4() and others have theirs"
            )
        check_label(self.label)
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
    def name(self) -> str:
        """The label, with the formulation if it is not the default."""
        return self.label if self.formulation is None else f"{self.label} {self.formulation.name}"

    def coefficients(self) -> Butcher:
        """Return the exact Butcher array."""
        return self.butcher

    def steady(self, h: Number | None = None, *, ratio: Number = 1) -> Tableau:
        """Return the Butcher array as a tableau, scaled by `h`; see `Method.steady`."""
        return steady_runge_kutta(self.butcher, self._steady_h(h, 1))

    def _program(self, layout: Layout) -> Iterator[Tableau]:
        for n, (here, there) in enumerate(pairwise(layout.levels)):
            if layout.arrives(n):
                yield first_order(layout.formulation, here, there)
            else:
                yield runge_kutta(self.butcher, layout, n)
