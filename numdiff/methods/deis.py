r"""DEIS in time (tAB-DEIS): Adams-Bashforth whose interpolant is a polynomial in t, under the kernel of log-SNR.

Noise and data predictions are smooth in the schedule's time, and that is what this method interpolates in, while the
integral stays the exact one. With lambda the log-SNR, t(lambda) the inverse of the schedule, u = lambda - lambda_s and
l_j the Lagrange basis on the times t_n, t_{n-1}, ... of the evaluations,

::

    x_t = xi x_s + kappa_t sum_j omega_j f_{n-j},    omega_j = int_0^h e^{c(h-u)} l_j(t(lambda_s + u)) du

For noise prediction that is alpha_t int l_j(t(rho)) drho. With tau = (t - t_s)/(t_t - t_s) the weights follow from the
moments mu_m = kappa_t int_0^h e^{c(h-u)} tau(u)^m du as in formula (*).

**Quadrature.** There is no closed form, since the schedule stands between the kernel and the polynomial. Gauss-Legendre
with 24 points on every piece of u of length at most 2 leaves about 1e-15 on schedules given by a formula; one call of
the schedule's inverse serves a step. On a table (`Discrete`) t(lambda) has a corner at every entry, so that pieces
end there as well, with 4 points each. The published code takes a left Riemann sum in rho with 10^4 points, whose
relative error is about 1e-4: that is its only difference.

**No steady step.** Weights depend on the schedule and on where the step is, so no two steps are alike, and `steady`
refuses. As steps shrink t becomes linear in lambda, and the method tends to log-rho DEIS, which has one.

Source: Zhang and Chen, Fast sampling of diffusion models with exponential integrator (2023), proposition 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import Any, ClassVar, NoReturn

import numpy as np

from numdiff import formulations
from numdiff.elementary import Number, exp, kind
from numdiff.formulations import DATA_LOG_SNR, NOISE_LOG_SNR, Formulation, Span
from numdiff.methods.checks import check_order
from numdiff.methods.layout import Layout
from numdiff.methods.multistep import AdamsType, Point, point_at
from numdiff.phi import phi
from numdiff.schedules import Discrete
from numdiff.schedules.base import plain
from numdiff.tableau import Tableau
from numdiff.weights import MAX_ORDER, interpolatory

__all__ = ["TimeAdams"]

POINTS, PIECE = 24, 2.0
POINTS_ON_TABLES = 4
_START, _END = np.zeros(1), np.ones(1)


@dataclass(frozen=True)
class TimeAdams(AdamsType):
    """tAB-DEIS: exponential Adams-Bashforth exact on polynomials of degree < k in the schedule's time.

    ::

        x_t = (alpha_t/alpha_s) x_s + alpha_t sum_{j<k} w_j e_{n-j},    w_j = int_{rho_s}^{rho_t} l_j(t(rho)) drho

    where rho = sigma/alpha, e_{n-j} are the noise predictions, newest first, t(rho) is the schedule's inverse and l_j
    the polynomial in time that is 1 at t_{n-j} and 0 at the other k - 1.

    Order k with exact starts, one evaluation a step; the paper counts degrees, so its tAB r has k = r + 1.

    Parameters
    ----------
    order
        k, from 1 to 8: the number of evaluations combined.
    formulation
        noise/log-SNR, as published, or data/log-SNR: the prediction and its kernel.

    Raises
    ------
    ValueError, TypeError
        For parameters out of range.

    Notes
    -----
    Order k; 1 stage; N evaluations for N steps. Order k holds on any grid with exact starts. As published, with
    quadrature to rounding for the left Riemann sum of the published code.

    References
    ----------
    Zhang and Chen, Fast sampling of diffusion models with exponential integrator, arXiv:2204.13902, proposition 3.
    Code: qsh-zh/deis.

    Examples
    --------
    For data of the standard normal distribution the noise prediction is sigma x, and the exact flow moves nothing:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> grid = nd.grids.power(schedule, 20)
    >>> for k in (1, 2, 3):
    ...     scheme = nd.TimeAdams(k).discretize(schedule, grid)
    ...     x = nd.sample(scheme, lambda x, t: schedule.sigma(t) * x, np.ones(1), prediction="noise")
    ...     print(f"{abs(x.item() - 1):.0e}")
    7e-02
    1e-02
    4e-03
    """

    order: int = 4
    formulation: Formulation | None = NOISE_LOG_SNR

    reference: ClassVar[str] = "Zhang and Chen, DEIS, 2023, proposition 3"

    def __post_init__(self) -> None:
        """Check the parameters."""
        object.__setattr__(self, "order", check_order(self.order, MAX_ORDER))
        found = NOISE_LOG_SNR if self.formulation is None else formulations.get(self.formulation)
        if found not in (NOISE_LOG_SNR, DATA_LOG_SNR):
            raise ValueError(f"formulation must be noise/log-snr or data/log-snr, the kernels of DEIS, got {found}")
        object.__setattr__(self, "formulation", found)

    @property
    def name(self) -> str:
        """The method, its order, and the formulation if it is not the published one."""
        name = f"tAB{self.order}"
        return name if self.formulation == NOISE_LOG_SNR else f"{name} {self.formulation}"

    @property
    def has_limit(self) -> bool:
        """False, since no quadrature here covers an infinite step, so runs to sigma = 0 end with a step of order 1."""
        return False

    def steady(self, h: Number | None = None, *, ratio: Number = 1) -> Tableau:
        """Refuse: there is no steady step.

        Raises
        ------
        ValueError
            Always.
        """
        self._refuse("steady step")

    def coefficients(self, *, h: Number | None = None, ratios: Sequence[Number] | None = None) -> tuple[Number, ...]:
        """Refuse, as `steady`."""
        self._refuse("closed form of its weights")

    def _refuse(self, what: str) -> NoReturn:
        raise ValueError(
            f"{self.name} has no {what}: it depends on the schedule and on where the step is; look at the tableaus of "
            'discretize(...), or at DEIS(order, "log-rho"), to which it tends as steps shrink'
        )

    def weights_at(self, state: Any, point: Point) -> list[Number]:
        """Return the weights of the step, for nodes in time and moments over it."""
        return interpolatory(point.nodes[: point.order], point.span.moments)

    def point_of(self, layout: Layout, n: int) -> Point:
        """Return step `n` with its nodes in time, in units of the step's, and its moments over it."""
        point = point_at(layout, n)
        if point.order == 1 or point.span.infinite:
            return point
        near = [level.log_snr for level in layout.levels[n + 1 - point.order : n + 2]]
        h, c = near[-1] - near[-2], point.span.c
        scale = point.span.moments[0] / (h * phi(1, c * h))
        nodes, mu = in_time(layout.schedule, near, c)
        return Point(
            Span(point.span.xi, h, [scale * m for m in mu], c=c), nodes, point.order, point.first, point.momentum
        )

    def _formulation(self, schedule: Any) -> Formulation:
        if schedule is None:
            raise ValueError(f"{self.name} integrates over a noise schedule's log-SNR; give a schedule, not None")
        return super()._formulation(schedule)


def in_time(schedule: Any, log_snrs: Sequence[Number], c: Number) -> tuple[tuple[Number, ...], list[Number]]:
    """Return the interpolation nodes and the moments of a step in tau = (t - t_s)/(t_t - t_s), t the schedule's time.

    Parameters
    ----------
    schedule
        What inverts the log-SNR; for tensors, with gradients.
    log_snrs
        lambda at the k nodes, oldest first, and at the end of the step: k + 1 finite numbers.
    c
        Kernel exponent.

    Returns
    -------
    tuple
        tau at the nodes, newest (0) first; int_0^h e^{c(h-u)} tau(u)^m du for m < k.
    """
    *_, start, end = log_snrs
    h = end - start
    z: Any
    w: Any
    z, w = _rule(schedule, plain(start), plain(h))
    if kind(h) == "traced":
        return _in_traced_time(schedule, log_snrs, c, z, w)
    if kind(h) == "torch":
        import torch

        z, w = torch.from_numpy(z), torch.from_numpy(w)
        times = schedule.time(
            torch.cat([torch.stack([torch.as_tensor(s, dtype=h.dtype) for s in log_snrs]), start + h * z])
        )
        known = times[: len(log_snrs)].unbind()
    else:
        times = schedule.time(np.concatenate([log_snrs, start + h * z]))
        known = times[: len(log_snrs)].tolist()
    *_, origin, target = known
    length = target - origin
    weights, tau = w * _exp(c * h * (1 - z)), (times[len(known) :] - origin) / length
    moments = [h * value for value in _powers(weights, tau, len(known) - 1)]
    return tuple((t - origin) / length for t in reversed(known[:-1])), moments


def _in_traced_time(
    schedule: Any, log_snrs: Sequence[Number], c: Number, z: np.ndarray, w: np.ndarray
) -> tuple[tuple[Number, ...], list[Number]]:
    """Return `in_time` for traced numbers, one at a time; the rule's nodes stay where they were traced."""
    if isinstance(schedule, Discrete):
        raise ValueError(
            f"the weights of polynomials in time are not smooth functions of the steps on the table {schedule.name!r}, "
            "whose corners the quadrature follows; use a schedule given by a formula, or a formulation in log-SNR"
        )
    start, end = log_snrs[-2:]
    h = end - start
    known = [schedule.time(s) for s in log_snrs]
    origin, length = known[-2], known[-1] - known[-2]
    tau = [(schedule.time(start + h * float(u)) - origin) / length for u in z]
    terms = [h * float(weight) * exp(c * h * (1 - float(u))) for u, weight in zip(z, w, strict=True)]
    moments = []
    for _ in range(len(known) - 1):
        moments.append(sum(terms))
        terms = [term * t for term, t in zip(terms, tau, strict=True)]
    return tuple((t - origin) / length for t in reversed(known[:-1])), moments


def _powers(weights: Any, tau: Any, count: int) -> Iterator[Any]:
    """Yield the sums of weights tau^m; Python floats of NumPy's."""
    for _ in range(count):
        total = weights.sum()
        yield float(total) if kind(total) == "numpy" else total
        weights = weights * tau


def _exp(z: Any) -> Any:
    return np.exp(z) if isinstance(z, np.ndarray) else z.exp()


def _rule(schedule: Any, start: float, h: float) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes in (0, 1) and weights of the composite Gauss-Legendre rule of a step."""
    pieces = max(1, ceil(abs(h) / PIECE))
    if not isinstance(schedule, Discrete):
        return _composite(POINTS, pieces)
    first, last = np.searchsorted(schedule.corners, sorted((start, start + h)))
    corners = (schedule.corners[first:last][:: 1 if h > 0 else -1] - start) / h
    inner = corners[(corners > 0) & (corners < 1)]
    known = [np.linspace(0, 1, pieces + 1), inner] if pieces > 1 else [_START, inner, _END]
    ends = np.unique(np.concatenate(known)) if pieces > 1 else np.concatenate(known)
    z, w = _gauss(POINTS if len(inner) == 0 else POINTS_ON_TABLES)
    lengths = ends[1:] - ends[:-1]
    return (ends[:-1, None] + lengths[:, None] * z).ravel(), (lengths[:, None] * w).ravel()


@cache
def _gauss(points: int) -> tuple[np.ndarray, np.ndarray]:
    z, w = np.polynomial.legendre.leggauss(points)
    return (z + 1) / 2, w / 2


@cache
def _composite(points: int, pieces: int) -> tuple[np.ndarray, np.ndarray]:
    z, w = _gauss(points)
    return ((np.arange(pieces)[:, None] + z) / pieces).ravel(), np.tile(w / pieces, pieces)
