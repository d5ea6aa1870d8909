r"""The published procedure for optimizing time steps, plainly stated, to measure and test `numdiff.optimize` against.

Xue et al., "Accelerating Diffusion Sampling with Optimized Time Steps", CVPR 2024 (arXiv:2402.17376). On half log-SNRs
lambda_0 < ... < lambda_N a data-prediction multistep scheme of orders 1, 2, 3, ..., 3, 2, 1 ends at

    x_N/sigma_N = x_0/sigma_0 + sum_s sum_k J_sk f_{s-k},     J_sk = int_{lambda_s}^{lambda_{s+1}} e^l ell_k(l) dl,

ell_k the Lagrange polynomials on lambda_s, lambda_{s-1}, ... If every f_n is wrong by eps_n = sigma_n^p / alpha_n (on
the variance-preserving schedule), the end is wrong by no more than about

    F = |eps_0 J_0| + |eps_{N-1} J_{N-1}| + sum_{1 <= s < trunc} ||(eps J)_s||_2 + sum_n |c_n|,

where c_n collects eps_n J over the steps max(1, trunc) <= s <= N - 2 that use f_n. trunc is 3 for N <= 7 and 0 above,
p is 2 in a latent and 1 in pixel space. The paper minimizes F by SciPy's ``trust-constr`` with finite differences and
BFGS from one of four simple grids. The one addition here is a minimum gap between neighbours, 0 as published.

Nothing here uses numdiff: the integrals are written out, so that the two can be compared. `objective` takes any numbers
that `exp` takes; the integrals cancel for short steps, and mpmath numbers give them to any precision. The authors' own
code computes each exponential several times over and takes four to eight times as long an evaluation.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

BETA_MIN, BETA_MAX = 0.1, 20.0
STARTS = ("unif", "unif_t", "edm", "quad")


def order(step: int, steps: int) -> int:
    """Return the order of a step: 1, 2, 3, ..., 3, 2, 1."""
    return min(3, step + 1, steps - step)


def weights(lam: Sequence[Any], step: int, exp: Callable[[Any], Any] = math.exp) -> list[Any]:
    """Return J of one step for its nodes, the newest first."""
    h = lam[step + 1] - lam[step]
    grown = exp(h)
    m0 = grown - 1  # int_0^h e^u u^m du
    m1 = grown * h - m0
    scale = exp(lam[step])
    used = order(step, len(lam) - 1)
    if used == 1:
        return [scale * m0]
    a = lam[step] - lam[step - 1]  # the nodes are u = 0, -a, -b
    if used == 2:
        return [scale * (m1 + a * m0) / a, -scale * m1 / a]
    b = lam[step] - lam[step - 2]
    m2 = grown * h * h - 2 * m1
    return [
        scale * (m2 + (a + b) * m1 + a * b * m0) / (a * b),
        -scale * (m2 + b * m1) / (a * (b - a)),
        scale * (m2 + a * m1) / (b * (b - a)),
    ]


def errors(lam: Sequence[Any], p: int, exp: Callable[[Any], Any] = math.exp) -> list[Any]:
    """Return sigma^p / alpha at every node, variance preserving."""
    inverse_snr = [exp(-2 * value) for value in lam]
    return [(1 + q) ** 0.5 * (q / (1 + q)) ** (0.5 * p) for q in inverse_snr]


def truncation(steps: int) -> int:
    """Return the published trunc."""
    return 3 if steps <= 7 else 0


def objective(lam: Sequence[Any], p: int = 2, trunc: int | None = None, exp: Callable[[Any], Any] = math.exp) -> Any:
    """Return F of N + 1 half log-SNRs."""
    steps = len(lam) - 1
    trunc = truncation(steps) if trunc is None else trunc
    assumed = errors(lam[:-1], p, exp)
    total, shared = 0, [0] * steps
    for step in range(steps):
        charges = [assumed[step - k] * value for k, value in enumerate(weights(lam, step, exp))]
        if step in (0, steps - 1):
            total += abs(charges[0])
        elif step < trunc:
            total += sum(c * c for c in charges) ** 0.5
        else:
            for k, charge in enumerate(charges):
                shared[step - k] += charge
    return total + sum(map(abs, shared))


def log_snr(t: Any) -> Any:
    """Return lambda of the linear variance-preserving schedule."""
    log_alpha = -0.25 * t**2 * (BETA_MAX - BETA_MIN) - 0.5 * t * BETA_MIN
    return log_alpha - 0.5 * np.log(-np.expm1(2 * log_alpha))


def time_of(lam: np.ndarray) -> np.ndarray:
    """Return the time of the linear variance-preserving schedule at which lambda is `lam`."""
    twice = 2 * (BETA_MAX - BETA_MIN) * np.logaddexp(-2 * lam, 0)
    return twice / (np.sqrt(BETA_MIN**2 + twice) + BETA_MIN) / (BETA_MAX - BETA_MIN)


def start(name: str, steps: int, t_end: float, t_start: float = 1.0) -> np.ndarray:
    """Return one of the published starting grids, N + 1 half log-SNRs."""
    first, last = t_start, t_end
    if name == "unif":
        return np.linspace(log_snr(first), log_snr(last), steps + 1)
    if name == "unif_t":
        return log_snr(np.linspace(first, last, steps + 1))
    if name == "edm":
        return -7 * np.log(np.linspace(math.exp(-log_snr(first) / 7), math.exp(-log_snr(last) / 7), steps + 1))
    if name == "quad":
        return log_snr(np.linspace(math.sqrt(first), math.sqrt(last), steps + 1) ** 2)
    raise ValueError(f"start must be one of {', '.join(STARTS)}, not {name!r}")


@dataclass(frozen=True, eq=False)
class Outcome:
    """What the published procedure ends with.

    Parameters
    ----------
    log_snr
        The N + 1 half log-SNRs.
    objective, initial_objective
        F there and at the start.
    optimality, status
        SciPy's: the largest entry of the Lagrangian's gradient, by finite differences, and what ended the search: 0 its
        budget of iterations, 1 a gradient below 1e-8, 2 a trust region below 1e-8, which says nothing about a minimum.
    evaluations, seconds
        Of F, finite differences included; and what the call took.
    """

    log_snr: np.ndarray
    objective: float
    initial_objective: float
    optimality: float
    status: int
    evaluations: int
    seconds: float


def optimize(first: np.ndarray, *, p: int = 2, gap: float = 0.0, trunc: int | None = None) -> Outcome:
    """Minimize F between the ends of `first`, N + 1 half log-SNRs, as published.

    Parameters
    ----------
    first
        The start; its ends stay.
    p, trunc
        Of the objective.
    gap
        Smallest distance of neighbours; 0 as published.
    """
    from scipy.optimize import BFGS, LinearConstraint, minimize

    began, low, high, steps = perf_counter(), first[0], first[-1], len(first) - 1
    rows = np.eye(steps, steps - 1) - np.eye(steps, steps - 1, k=-1)
    least = np.full(steps, gap)
    least[0] += low
    least[-1] -= high

    def value(inner: np.ndarray) -> float:
        with np.errstate(all="ignore"):  # the optimizer may step onto a coinciding pair
            return float(objective([low, *inner, high], p, trunc, np.exp))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # BFGS, of steps too short to change the gradient
        found = minimize(
            value,
            first[1:-1],
            method="trust-constr",
            jac="2-point",
            hess=BFGS(),
            constraints=[LinearConstraint(rows, least, np.inf)],
        )
    return Outcome(
        log_snr=np.array([low, *found.x, high]),
        objective=float(found.fun),
        initial_objective=value(first[1:-1]),
        optimality=float(found.optimality),
        status=int(found.status),
        evaluations=int(found.nfev),
        seconds=perf_counter() - began,
    )


def get_ts_lambdas(steps: int, t_end: float, start_name: str, *, p: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return (times, half log-SNRs) on the linear variance-preserving schedule, as the published function does.

    A start called "..._origin" is returned as it is, without optimization.
    """
    first = start(start_name.removesuffix("_origin"), steps, t_end)
    lam = first if start_name.endswith("_origin") else optimize(first, p=p).log_snr
    return time_of(lam), lam
