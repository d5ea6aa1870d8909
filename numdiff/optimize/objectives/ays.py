r"""The objective of Align Your Steps for an exact denoiser: what freezing it over each step costs, in nats.

Sabour, Fidler, Kreis (2024, arXiv:2404.14507) choose the steps of the stochastic first-order sampler by minimizing a
Kullback-Leibler upper bound (KLUB) between the reverse SDE and the one whose denoiser is frozen over each step. For the
exact denoiser it has a closed form. Let g = (alpha/sigma)^2 = e^(2 lambda) and Y_g = g x/alpha = g x_0 + (a standard
Brownian motion at time g), since Var(g sigma eps/alpha) = g. Sampling is g rising, and given its own past Y obeys

    dY = D_g dg + dW,    D_g = E[x_0 | Y_g],         frozen:    dY = D_{g_i} dg + dW   on  [g_i, g_{i+1}],      (1)

the first being the reverse SDE (dY = x_0 dg + dB, and the innovations theorem), on any schedule; the second, solved
exactly, is DDIM with eta = 1. Girsanov's theorem gives the divergence of the two laws of paths from a common start,

    KL = 1/2 sum_i int_{g_i}^{g_{i+1}} E||D_g - D_{g_i}||^2 dg,                                                (2)

which bounds that of the samples (their equation 10, where dg/2 = -s'/s^3 dt for s = sigma/alpha). Nothing is lost by
looking between the nodes: between given ends Brownian motion of any constant drift is the same bridge, so that (2) is
also the divergence of the two chains of N + 1 samples, for any data (the diffusion loss of Kingma et al. 2021,
arXiv:2107.00630, less its limit). The forward process is Markov, so D is a martingale in g, D_a = E[D_b | Y_a] for
a < b, and E||D_b - D_a||^2 = m(a) - m(b) with m(g) = E||x_0 - D_g||^2. Hence (2) is the excess of a left Riemann sum
over the I-MMSE integral (`mmse`):

    F = 1/2 sum_i m(g_i) (g_{i+1} - g_i) - I(x_0; Y_{g_N}) + I(x_0; Y_{g_0}),                                  (3)
    2 dF/dg_j = m'(g_j) (g_{j+1} - g_j) + m(g_{j-1}) - m(g_j),       dg/d lambda = 2 g.                        (4)

Setting (4) to zero is a three-term recursion, g_{j+1} = g_j + (m(g_{j-1}) - m(g_j))/(-m'(g_j)), so that the first step
determines all. On N(0, s^2) its solutions are geometric in 1 + s^2 g, at every N. **Continuum**: a step h costs
-m' h^2/4, so by Cauchy and Schwarz F >= (int sqrt(-m') dg)^2/(4 N) to first order, with equality for steps of density
proportional to sqrt(-m') in g, or 2 g sqrt(-m') in lambda.

**Scale.** F does not change when x_0 is multiplied by c and lambda shifted by -log c: the steps follow the data's
scale. The paper works with data of standard deviation 0.5 (pixels) or about 1 (latents); a law must say which.

**Ends.** g_0 = 0 (lambda = -inf) is an ordinary point. At sigma = 0 the last term of (3) is infinite whatever the
steps; the published tables optimize down to a sigma_min > 0, which some programs then replace by 0. `clean` does that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff._names import suggest
from numdiff.optimize.objectives.mmse import Law, SymmetricMixtures, cumulative, information, snr_of
from numdiff.optimize.problem import Parts
from numdiff.optimize.window import Window

Array = NDArray[np.float64]

PUBLISHED: dict[str, tuple[float, ...]] = {
    "sd15": (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029),
    "sdxl": (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029),
    "deepfloyd-if": (160.41, 8.081, 3.315, 1.885, 1.207, 0.785, 0.553, 0.293, 0.186, 0.030, 0.006),
    "svd": (700.00, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002),
}
"""Noise levels sigma/alpha of ten steps, noise to data: table 3 of the paper (appendix B.3)."""


def default_law() -> SymmetricMixtures:
    """Return two-component mixtures of standard deviation 0.1 to 3 with widths 0.1, 0.3 and 0.6 of it, 24 in all.

    Data-free: for data scaled to a standard deviation about 1, of which 0.1 to 3 are the directions. For data of
    another scale c (the paper's pixels have 0.5) give a law of its own.
    """
    deviation, ratio = (a.ravel() for a in np.meshgrid(np.geomspace(0.1, 3.0, 8), [0.1, 0.3, 0.6]))
    return SymmetricMixtures(deviation * np.sqrt(1 - ratio**2), deviation * ratio)


@dataclass(frozen=True, eq=False)
class AYS:
    """The objective of Align Your Steps, by `KLUB`; the method optimized for does not enter.

    Parameters
    ----------
    law
        The data law; `default_law` if None.
    clean
        The half log-SNR that stands for the end at sigma = 0, where the bound is infinite; None for a finite end.
    name
        What results call it.
    minimum_gap
        Default minimum gap in half log-SNR, as a share of the mean gap. The bound does not draw steps together, so that
        the gap only keeps the steps distinct.

    Raises
    ------
    ValueError
        When used: at sigma = 0 without `clean`, with `clean` where the end is finite, and for parameters of a method.

    References
    ----------
    Sabour, Fidler, Kreis, "Align Your Steps", 2024, arXiv:2404.14507.

    Examples
    --------
    >>> import numdiff as nd
    >>> found = nd.optimize.timesteps(nd.DDIM(), nd.schedules.VPLinear(), steps=5, objective=nd.optimize.AYS())
    >>> found.certified, found.objective_name
    (True, 'ays')
    >>> print(f"{found.objective:.2f} of {found.initial_objective:.2f} nats")
    166.93 of 595.84 nats
    """

    law: Law | None = None
    clean: float | None = None
    name: str = "ays"
    minimum_gap: float = 0.01

    def gap(self, length: float, steps: int) -> float:
        """Return the default minimum gap in half log-SNR for ends `length` apart."""
        return self.minimum_gap * length / steps

    def problem(self, trace: Any) -> KLUB:
        """Return the problem over the trace's window."""
        return KLUB(trace.window, self.law or default_law(), self.clean)


@dataclass(frozen=True, eq=False)
class KLUB:
    """The KLUB over a window, formula (3) of `numdiff.optimize.objectives.ays`, with its exact gradient; a `Problem`.

    Parameters
    ----------
    window
        Where the log-SNRs may lie; without parameters.
    law
        The data law: `GaussianLaw`, `SymmetricMixtures`, `TableLaw`, `FunctionLaw`, or anything with ``at`` and
        ``scale``.
    clean
        The half log-SNR that stands for an infinite ``window.high``, where the last step ends as far as the objective
        is concerned; None for a finite one.

    Raises
    ------
    ValueError
        If the clean end is infinite and `clean` is not given (or the reverse), or the window has parameters.

    Notes
    -----
    The method does not enter: the bound is about the SDE with a frozen denoiser, and the paper uses its steps for every
    solver.
    """

    window: Window
    law: Law
    clean: float | None = None

    def __post_init__(self) -> None:
        """Check the ends."""
        infinite = math.isinf(self.window.high)
        if infinite and self.clean is None:
            raise ValueError(
                "the AYS bound is infinite at sigma = 0 whatever the steps; end at a t_end with sigma > 0, or give "
                "nd.optimize.AYS(clean=...) the log-SNR at which the last step ends in it (published tables: sigma_min)"
            )
        if not infinite and self.clean is not None:
            raise ValueError(f"clean is for an infinite end only, but the window ends at {self.window.high:g}; drop it")
        if self.clean is not None and not self.window.low < self.clean < math.inf:
            raise ValueError(
                f"clean must be finite and above the window's low end {self.window.low:g}, not {self.clean}"
            )
        if self.window.names:
            raise ValueError(f"the AYS bound does not depend on {', '.join(self.window.names)}; leave optimize= empty")

    @property
    def high(self) -> float:
        """The log-SNR at which the last step ends."""
        return self.window.high if self.clean is None else self.clean

    @cached_property
    def total(self) -> float:
        """I(x_0; Y) gained from the first level to the last, in nats; what F would add to for an infinite N."""
        return information(self.law, math.exp(2 * self.window.low), math.exp(2 * self.high))

    def evaluate(self, z: Array) -> Parts:
        """Return F and its gradient at the interior log-SNRs `z`, shape (N - 1,)."""
        inner = np.asarray(z, dtype=float)
        snr = np.exp(2 * np.concatenate([[self.window.low], inner, [self.high]]))
        m, slope = self.law.at(snr[:-1])
        value = 0.5 * m @ np.diff(snr) - self.total
        return Parts(snr[1:-1] * (slope[1:] * np.diff(snr)[1:] + m[:-1] - m[1:]), float(value))

    def start(self) -> Array:
        """Return the interior nodes of the continuum limit, shape (N - 1,): a start near the optimum."""
        return continuum_steps(self.law, self.window.low, self.high, self.window.steps)[1:-1]


# --- the optimum without an optimizer --------------------------------------------------------------------------------


def continuum_density(law: Law, log_snr: Any) -> Array:
    """Return the density of optimal steps per unit of log-SNR as N grows, 2 g sqrt(-m'(g)), not normalized.

    Its integral L over a window gives the optimum's first-order value L^2/(4 N). On N(0, s^2) it is
    2 s^2 g/(1 + s^2 g).
    """
    snr = np.exp(2 * np.asarray(log_snr, dtype=float))
    return 2 * snr * np.sqrt(-law.at(snr)[1])


def continuum_steps(law: Law, low: float, high: float, steps: int) -> Array:
    """Return `steps` + 1 log-SNRs from `low` (may be -inf) to `high`, quantiles of `continuum_density`.

    The density is integrated exactly to rounding (for smooth laws) and its quantiles are interpolated between 193
    places by monotone cubics: they split the integral evenly to about 1e-4.

    Raises
    ------
    ValueError
        If the law's m does not fall between the ends.
    """
    from scipy.interpolate import PchipInterpolator

    edges, total = cumulative(law, math.exp(2 * low), math.exp(2 * high), lambda m, slope: np.sqrt(-slope))
    if not total[-1] > 0:
        raise ValueError(f"the law's m does not fall between log-SNR {low:g} and {high:g}; there every step is exact")
    rises = np.append(True, np.diff(total) > 0)  # a pooled table has flat parts, where no step belongs
    u = PchipInterpolator(total[rises], edges[rises])(np.linspace(0, total[-1], steps + 1)[1:-1])
    return np.concatenate([[low], np.log(snr_of(u, law.scale)) / 2, [high]])


def continuum_value(law: Law, low: float, high: float) -> float:
    """Return (int sqrt(-m') dg)^2/4 between two log-SNRs, to which N F tends over the optimal steps."""
    total = cumulative(law, math.exp(2 * low), math.exp(2 * high), lambda m, slope: np.sqrt(-slope))[1]
    return float(total[-1] ** 2 / 4)


def by_recursion(law: Law, low: float, high: float, steps: int) -> Array:
    """Return `steps` + 1 log-SNRs from `low` (may be -inf) to `high` at which (4) vanishes, by shooting.

    The first step is the unknown of one scalar equation, that the recursion's last node be `high`; it is bracketed
    around the continuum's first step and found by Brent's method. F may have several stationary points for a law with
    well separated scales; this is one of them, the minimum where it is unique.

    Raises
    ------
    ValueError
        If no first step leads to `high`: the law's m does not fall everywhere, as a pooled table's.
    """
    from scipy.optimize import brentq

    first, last = math.exp(2 * low), math.exp(2 * high)
    if steps < 2:
        return np.array([low, high])

    def miss(log_step: float) -> float:
        nodes = _shoot(law, first, first + math.exp(log_step), last, steps)
        return min(math.log(nodes[-1] / last), 700.0) + steps + 1 - len(nodes)  # finite where a flat m sends it to inf

    short = far = math.log(math.exp(2 * continuum_steps(law, low, high, steps)[1]) - first)
    for _ in range(200):
        if miss(short) < 0 < miss(far):
            break
        short, far = short - 0.1 * (miss(short) >= 0), far + 0.1 * (miss(far) <= 0)
    root = brentq(miss, short, far, xtol=1e-15, rtol=1e-15) if miss(short) < 0 < miss(far) else far
    if not abs(miss(root)) < 1e-6:  # no bracket, or a jump across zero
        raise ValueError(f"no first step leads from log-SNR {low:g} to {high:g} in {steps}; does m fall everywhere?")
    nodes = _shoot(law, first, first + math.exp(root), last, steps)[:steps]
    return np.concatenate([[low], np.log(nodes[1:]) / 2, [high]])


def _shoot(law: Law, first: float, second: float, last: float, steps: int) -> list[float]:
    """Return the recursion's nodes g_0, g_1, ...; it stops early once it has passed `last`."""
    nodes = [first, second]
    before = float(law.at(np.array([first]))[0][0])
    while len(nodes) <= steps and nodes[-1] < last:
        m, slope = (float(a[0]) for a in law.at(np.array([nodes[-1]])))
        nodes.append(nodes[-1] + (before - m) / -slope if slope < 0 else math.inf)
        before = m
    return nodes


# --- the published tables --------------------------------------------------------------------------------------------


def interpolated(name: str, steps: int) -> Array:
    """Return a published table's noise levels for any number of steps, by log-linear interpolation.

    Parameters
    ----------
    name
        "sd15", "sdxl", "deepfloyd-if" or "svd".
    steps
        Number of steps N, at least 1; 10 gives the table itself.

    Returns
    -------
    array
        sigma/alpha, falling, shape (N + 1,): the logarithm of the table is linear between its entries, which lie at
        equal parts of the run (the authors' quickstart guide,
        https://research.nvidia.com/labs/toronto-ai/AlignYourSteps/howto.html).

    Raises
    ------
    ValueError
        If the name is unknown or `steps` is less than 1.
    """
    if name not in PUBLISHED:
        suggest(name, PUBLISHED, "table")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    table = np.array(PUBLISHED[name])
    if steps == len(table) - 1:
        return table
    places = np.linspace(0, len(table) - 1, steps + 1)
    return np.exp(np.interp(places, np.arange(len(table)), np.log(table)))
