r"""The schedule of a network trained on a table of noise levels, made continuous.

A table of N entries gives abar_i = prod_{j <= i} (1 - beta_j), with alpha = sqrt(abar_i) and sigma = sqrt(1 - abar_i)
(Ho et al. 2020, arXiv:2006.11239, eq. 4). Time runs over [0, 1] and entry i sits at t = (i+1)/N; t = 0 is the clean end
with alpha = 1 and sigma = 0. Between neighbours log alpha is linear in t (the rule of DPM-Solver, Lu et al. 2022,
arXiv:2206.00927, app. D.4); where the last entry is abar = 0 (zero terminal SNR, Lin et al. 2023, arXiv:2305.08891),
alpha itself is linear on the last interval. The inverse solves the same linear pieces for t, from
log alpha = -log(1 + e^(-2 lambda))/2. The network's time is N t - 1, so that it is given i at entry i.

The table is kept in float64. Published tables are computed in float32, beta by beta; a table given as a float32 array
is taken as the exact numbers it holds, which reproduces a published sampler. The presets here compute the same
definition in float64: they differ from the published float32 numbers by up to 1e-6 relative in abar (1000 entries,
rounding 1 - beta and the running product), which is 2e-4 of sigma^2 = 1 - abar at the first entry.
"""

from __future__ import annotations

import bisect
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from numdiff.elementary import Number, exp, expm1, kind, log, sqrt
from numdiff.schedules.base import Schedule, clamp, from_log_alpha, log_alpha_of, real, within

__all__ = ["Discrete"]

_SNAP = 1e-9
"""Distance, in table entries, within which a model time is an integer blurred by rounding: networks index with it."""


def _choose(mask: Any, yes: Number, no: Number) -> Number:
    if isinstance(yes, float) or kind(yes) == "traced":
        return yes if mask else no
    return np.where(mask, yes, no) if kind(yes) == "numpy" else sys.modules["torch"].where(mask, yes, no)


def _table(values: Any, name: str) -> np.ndarray:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(values, torch.Tensor):
        values = values.detach().cpu().double().numpy()
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be an array of numbers, not of {array.dtype}")
    if array.ndim != 1 or array.size < 2:
        raise ValueError(f"{name} must be one-dimensional with at least two entries, but has shape {array.shape}")
    return array.astype(np.float64)


def _from_betas(betas: Any) -> np.ndarray:
    betas = _table(betas, "betas")
    bad = ~((betas > 0) & (betas < 1))
    bad[-1] &= betas[-1] != 1
    if bad.any():
        i = int(np.argmax(bad))
        raise ValueError(f"betas must lie in (0, 1) (only the last may be 1), but betas[{i}] = {betas[i]}")
    return np.cumprod(1 - betas)


def _validated(table: np.ndarray) -> np.ndarray:
    values = np.concatenate([[1.0], table])
    bad = ~(values[1:] < values[:-1])
    if bad.any():
        i = int(np.argmax(bad))
        before = f"alphas_cumprod[{i - 1}] = {table[i - 1]}" if i else "1, the clean end"
        raise ValueError(f"alphas_cumprod must fall strictly, but alphas_cumprod[{i}] = {table[i]} follows {before}")
    if table[-1] < 0:
        raise ValueError(f"alphas_cumprod must not be negative, but its last entry is {table[-1]}")
    return table


@dataclass(frozen=True, init=False, repr=False)
class Discrete(Schedule):
    """A table of noise levels, continued to all of [0, 1].

    Parameters
    ----------
    betas
        Noise variances beta_0..beta_{N-1} in (0, 1); the last may be 1 (zero terminal SNR). A list, numpy array or
        tensor.
    alphas_cumprod
        Or their consequence, abar_i in (0, 1) and falling strictly; the last may be 0. Give one of the two.
    name
        The schedule's name.

    Raises
    ------
    ValueError
        If not exactly one of the tables is given, or its values are out of range or order.

    Notes
    -----
    The pieces have corners, so there are no derivatives: `d_alpha` and `d_sigma` raise ValueError. `t_end` is 1/N, the
    first entry.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> schedule = nd.schedules.Discrete(betas=np.linspace(1e-4, 0.02, 1000))
    >>> schedule.N, schedule.model_time(1.0), schedule.from_model_time(0)
    (1000, 999.0, 0.001)
    >>> schedule.alphas_cumprod == nd.schedules.Discrete.ddpm_linear().alphas_cumprod
    True
    """

    alphas_cumprod: tuple[float, ...]
    name: str

    T = 1.0

    def __init__(
        self,
        *,
        betas: Sequence[float] | Any = None,
        alphas_cumprod: Sequence[float] | Any = None,
        name: str = "discrete",
    ) -> None:
        if (betas is None) == (alphas_cumprod is None):
            raise ValueError("give exactly one of betas and alphas_cumprod")
        table = _from_betas(betas) if betas is not None else _table(alphas_cumprod, "alphas_cumprod")
        object.__setattr__(self, "alphas_cumprod", tuple(_validated(table).tolist()))
        object.__setattr__(self, "name", name)

    @classmethod
    def ddpm_linear(cls, N: int = 1000) -> Discrete:
        """Return the table of Ho et al.: beta linear from 1e-4 to 0.02.

        Examples
        --------
        >>> import numdiff as nd
        >>> schedule = nd.schedules.Discrete.ddpm_linear()
        >>> round(schedule.log_snr(schedule.t_end), 3), round(schedule.log_snr(1.0), 3)
        (4.605, -5.059)
        """
        return cls(betas=np.linspace(1e-4, 0.02, N), name="ddpm-linear")

    @classmethod
    def stable_diffusion(cls, N: int = 1000) -> Discrete:
        """Return Stable Diffusion's table: sqrt(beta) linear from sqrt(0.00085) to sqrt(0.012).

        Examples
        --------
        >>> import numdiff as nd
        >>> schedule = nd.schedules.Discrete.stable_diffusion()
        >>> round(schedule.rho(1.0), 4)  # the largest "sigma" of k-diffusion
        14.6146
        """
        return cls(betas=np.linspace(0.00085**0.5, 0.012**0.5, N) ** 2, name="stable-diffusion")

    def __repr__(self) -> str:
        """Return the name, the size and the range of sigma/alpha, not the table."""
        return f"Discrete({self.name!r}, N={self.N}, sigma/alpha={self.rho(self.t_end):.4g}..{self.rho(1.0):.4g})"

    @property
    def N(self) -> int:
        """Number of table entries."""
        return len(self.alphas_cumprod)

    @property
    def t_end(self) -> float:  # type: ignore[override]  # a constant of the other schedules, here known from the table
        """The time of the first entry, 1/N."""
        return 1.0 / self.N

    @property
    def has_derivatives(self) -> bool:
        """False, since log alpha has a corner at every entry."""
        return False

    def from_model_time(self, m: Number) -> Number:
        """Return the time (m + 1)/N at which the network is given `m`, in [-1, N - 1]."""
        m = within(real(m, "model time"), -1.0, self.N - 1.0, "model time")
        return clamp((m + 1) / self.N, 0.0, 1.0)

    def _model_time(self, t: Number) -> Number:
        m = self.N * t - 1
        if kind(m) == "traced":
            return m  # numbers blurred by rounding do not come from a search
        detached = m.detach() if kind(m) == "torch" else m
        nearest = float(round(m)) if isinstance(m, float) else detached.round()
        return _choose(abs(detached - nearest) < _SNAP, m + (nearest - detached), m)

    def _d_alpha(self, t: Number) -> Number:
        raise ValueError(
            f"schedule {self.name!r} is a table and has no time derivatives; use a formulation other than velocity, or "
            "a schedule given by a formula"
        )

    _d_sigma = _d_alpha

    @property
    def _ends_at_zero(self) -> bool:
        return self.alphas_cumprod[-1] == 0

    @cached_property
    def _knots(self) -> np.ndarray:
        """Return log alpha at t = 0, 1/N, ..., 1; a finite stand-in for -inf, whose interval is treated apart."""
        table = np.array([1.0, *self.alphas_cumprod])
        if self._ends_at_zero:
            table[-1] = table[-2] / 2
        return 0.5 * np.log(table)

    @cached_property
    def _falling(self) -> list[float]:
        return (-self._knots).tolist()

    @cached_property
    def corners(self) -> np.ndarray:
        """The log-SNR of the entries with alpha > 0, rising, where log alpha has corners there."""
        abar = np.array([x for x in reversed(self.alphas_cumprod) if x > 0])
        return 0.5 * (np.log(abar) - np.log1p(-abar))

    @staticmethod
    def _as(like: Number, index: Any) -> Number:
        """Return an index as a number of the same kind; NumPy would make a float32 difference float64."""
        return index.astype(like.dtype) if kind(like) == "numpy" else index

    def _take(self, index: Any, like: Number) -> Number:
        if isinstance(like, float):
            return -self._falling[index]
        if kind(like) == "traced":
            return index.piecewise(self._at)
        if kind(like) == "numpy":
            return self._knots[index].astype(like.dtype)
        return sys.modules["torch"].as_tensor(self._knots, dtype=like.dtype, device=like.device)[index]

    def _at(self, index: np.ndarray) -> np.ndarray:
        """Return the knots at whole numbers held in floats."""
        return self._knots[index.astype(int)]

    def _last_alpha(self) -> float:
        return float(np.exp(self._knots[-2]))

    def _pieces(self, t: Number) -> tuple[Number, Any, Number]:
        """Return log alpha on a log-linear piece, whether the piece is alpha-linear instead, and alpha there."""
        position, last = self.N * t, self.N - 1
        if isinstance(t, float):
            index: Any = min(int(position), last)
        elif kind(t) == "numpy":
            index = np.minimum(position.astype(int), last)
        elif kind(t) == "traced":
            index = position.piecewise(self._entry_before)
        else:
            index = position.detach().long().clamp(max=last)
        left, right = self._take(index, t), self._take(index + 1, t)
        alpha = self._last_alpha() * (1 - clamp(position - last, 0.0, 1.0))
        return left + (position - self._as(t, index)) * (right - left), self._ends_at_zero & (index == last), alpha

    def _entry_before(self, position: np.ndarray) -> np.ndarray:
        """Return the entry at or before a position in the table."""
        return np.minimum(np.floor(position), self.N - 1)

    def _entry_at(self, log_alpha: np.ndarray) -> np.ndarray:
        """Return the entry at or before this log alpha."""
        return np.minimum(np.searchsorted(-self._knots, -log_alpha, side="right") - 1, self.N - 1)

    def _alpha(self, t: Number) -> Number:
        log_alpha, linear, alpha = self._pieces(t)
        return _choose(linear, alpha, exp(log_alpha))

    def _sigma(self, t: Number) -> Number:
        log_alpha, linear, alpha = self._pieces(t)
        return _choose(linear, sqrt((1 - alpha) * (1 + alpha)), from_log_alpha(log_alpha))

    def _log_snr(self, t: Number) -> Number:
        log_alpha, linear, alpha = self._pieces(t)
        smooth = log_alpha - 0.5 * log(-expm1(2 * log_alpha))
        return _choose(linear, log(alpha) - 0.5 * log((1 - alpha) * (1 + alpha)), smooth)

    def _time(self, log_snr: Number) -> Number:
        log_alpha, last = log_alpha_of(log_snr), self.N - 1
        if isinstance(log_alpha, float):
            index: Any = min(bisect.bisect_right(self._falling, -log_alpha) - 1, last)
        elif kind(log_alpha) == "numpy":
            index = self._entry_at(log_alpha)
        elif kind(log_alpha) == "traced":
            index = log_alpha.piecewise(self._entry_at)
        else:
            torch = sys.modules["torch"]
            falling = torch.as_tensor(-self._knots, dtype=log_alpha.dtype, device=log_alpha.device)
            index = (torch.searchsorted(falling, -log_alpha.detach(), right=True) - 1).clamp(max=last)
        left, right = self._take(index, log_alpha), self._take(index + 1, log_alpha)
        smooth = self._as(log_alpha, index) + (log_alpha - left) / (right - left)
        linear = last + 1 - exp(log_alpha) / self._last_alpha()
        return _choose(self._ends_at_zero & (index == last), linear, smooth) / self.N
