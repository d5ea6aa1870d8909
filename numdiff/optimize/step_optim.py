r"""The published interface: ``StepOptim(ns).get_ts_lambdas(N, eps, initType)`` of Xue et al. (CVPR 2024), certified.

The authors' function takes a noise schedule, the number of steps, the last time and the name of a starting grid, and
returns N + 1 times and half log-SNRs from noise to data. This one takes and returns the same and minimizes the same
objective (`numdiff.optimize.objectives.paper`, orders 1, 2, 3, ..., 3, 2, 1), with exact derivatives and a minimum gap:
without one the minimum has steps of length zero, which the published search avoids by stopping before it arrives.
The objective depends on the log-SNRs alone, so any schedule will do that can turn times into them and back.

Reference: Xue et al., Accelerating Diffusion Sampling with Optimized Time Steps, arXiv:2402.17376; the authors' code is
the repository DM-NonUniform.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff._names import suggest
from numdiff.formulations import DATA_LOG_SNR
from numdiff.methods import AdamsBashforth
from numdiff.optimize.objectives.paper import Paper
from numdiff.optimize.result import TimeSteps
from numdiff.optimize.timesteps import timesteps
from numdiff.schedules import Flow, Schedule

Array = NDArray[np.float64]

INITIAL = ("unif", "unif_t", "edm", "quad")
"""Starting grids: uniform in log-SNR, in t, EDM's with rho = 7, quadratic in t; with "_origin" they are the result."""


@dataclass(frozen=True)
class StepOptim:
    """Optimized time steps of a third-order data-prediction multistep solver, by the published interface.

    Parameters
    ----------
    ns
        A schedule of numdiff, or a noise schedule of DPM-Solver's code: T, ``marginal_lambda`` and ``inverse_lambda``
        of float64 tensors.
    p
        Power of sigma in the assumed error: 2 for latents, 1 for pixels.
    gap
        Smallest step in half log-SNR; by default that of `Paper`.
    """

    ns: Any
    p: int = 2
    gap: float | None = None

    def get_ts_lambdas(self, N: int, eps: float, initType: str) -> tuple[Any, Any]:
        """Return the times and the half log-SNRs, each of shape (N + 1,), from noise to data.

        Parameters
        ----------
        N
            Number of steps, at least 2.
        eps
            The last time.
        initType
            Where the search starts: "unif", "unif_t", "edm" or "quad"; with "_origin" appended, that grid itself.

        Returns
        -------
        (ts, lambdas): float64 arrays for a schedule of numdiff, else float64 tensors.

        Raises
        ------
        ValueError
            For an unknown initType, fewer than two steps, or ends that the objective cannot measure.

        Warns
        -----
        UserWarning
            If the steps could not be certified as a minimum.
        """
        if initType.endswith("_origin"):
            return self._answer(self.start(N, eps, initType.removesuffix("_origin")))
        found = self.optimize(N, eps, initType)
        if not found.certified:
            warnings.warn(f"the time steps are not certified: {found.message}", stacklevel=2)
        return self._answer(found.log_snr)

    def optimize(self, N: int, eps: float, initType: str) -> TimeSteps:
        """Return the whole result; its schedule is a stand-in with the same log-SNRs, so its times are not those of ns.

        Parameters and errors are those of `get_ts_lambdas`.
        """
        first, flow = self.start(N, eps, initType), Flow()
        return timesteps(
            AdamsBashforth(3, DATA_LOG_SNR),
            flow,
            N,
            objective=Paper(self.p),
            t_start=float(flow.time(float(first[0]))),
            t_end=float(flow.time(float(first[-1]))),
            gap=self.gap,
            orders=[min(3, n + 1, N - n) for n in range(N)],
            starts=[first],
        )

    def start(self, N: int, eps: float, name: str) -> Array:
        """Return the half log-SNRs of a starting grid, shape (N + 1,)."""
        if name not in INITIAL:
            suggest(name, INITIAL, "initType")
        ends = np.array([float(self.ns.T), float(eps)])
        lam = self._log_snr(ends)
        if name == "unif":
            return _spaced(lam, N)
        if name == "edm":
            return np.asarray(-7 * np.log(_spaced(np.exp(-lam / 7), N)))
        power = 1 if name == "unif_t" else 2
        return self._log_snr(np.clip(_spaced(ends ** (1 / power), N) ** power, ends[1], ends[0]))

    def _log_snr(self, t: Array) -> Array:
        if isinstance(self.ns, Schedule):
            return np.asarray(self.ns.log_snr(t))
        import torch

        return np.asarray(self.ns.marginal_lambda(torch.from_numpy(t)), dtype=float)

    def _answer(self, log_snr: Array) -> tuple[Any, Any]:
        if isinstance(self.ns, Schedule):
            return self.ns.time(log_snr), log_snr
        import torch

        lam = torch.tensor(log_snr)  # a copy: the result keeps its own
        return self.ns.inverse_lambda(lam), lam


def _spaced(ends: Array, steps: int) -> Array:
    return np.linspace(ends[0], ends[1], steps + 1)
