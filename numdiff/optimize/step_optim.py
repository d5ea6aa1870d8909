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

    Examples
    --------
    >>> import numdiff as nd
    >>> tuner = nd.optimize.StepOptim(nd.schedules.VPLinear())
    >>> times, log_snr = tuner.get_ts_lambdas(5, 1e-3, "unif")
    >>> times.shape, float(times[0]), float(times[-1])
    ((6,), 1.0, 0.001)
    >>> result = tuner.optimize(5, 1e-3, "unif")
    >>> result.objective < result.initial_objective
    True
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
            The last time, between 0 and T, both excluded.
        initType
            Where the search starts: "unif", "unif_t", "edm" or "quad"; with "_origin" appended, that grid itself.

        Returns
        -------
        (ts, lambdas): float64 arrays for a schedule of numdiff, else float64 tensors; ts[0] is T and ts[-1] is eps.

        Raises
        ------
        TypeError, ValueError
            For an unknown initType, fewer than two steps, an eps outside (0, T), a schedule whose log-SNR is infinite
            at T, or ends that the objective cannot measure.

        Warns
        -----
        UserWarning
            If the steps could not be certified as a minimum.
        """
        if isinstance(initType, str) and initType.endswith("_origin"):
            return self._answer(self.start(N, eps, initType.removesuffix("_origin")), eps)
        found = self.optimize(N, eps, initType)
        if not found.certified:
            warnings.warn(f"the time steps are not certified: {found.message}", stacklevel=2)
        return self._answer(found.log_snr, eps)

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
        """Return the half log-SNRs of a starting grid, shape (N + 1,); errors are those of `get_ts_lambdas`."""
        if not isinstance(name, str) or name not in INITIAL:
            suggest(name, INITIAL, "initType")
        ends = self._ends(N, eps)
        lam = self._log_snr(ends)
        if not np.isfinite(lam).all():
            raise ValueError(
                f"the half log-SNRs at T = {ends[0]:g} and eps = {ends[1]:g} are {lam} and must be finite: the "
                "objective needs some signal at T; use nd.optimize.timesteps with another objective for such a schedule"
            )
        if name == "unif":
            return _spaced(lam, N)
        if name == "edm":
            return np.asarray(-7 * np.log(_spaced(np.exp(-lam / 7), N)))
        power = 1 if name == "unif_t" else 2
        return self._log_snr(np.clip(_spaced(ends ** (1 / power), N) ** power, ends[1], ends[0]))

    def _ends(self, N: Any, eps: Any) -> Array:
        """Return T and eps, checked together with the number of steps."""
        if not hasattr(self.ns, "T") or not (isinstance(self.ns, Schedule) or hasattr(self.ns, "marginal_lambda")):
            raise TypeError(f"ns must be a noise schedule such as nd.schedules.VPLinear(), got {self.ns!r}")
        if isinstance(N, bool) or not isinstance(N, (int, np.integer)):
            raise TypeError(f"N must be a whole number, at least 2, got {N!r}")
        if N < 2:
            raise ValueError(f"N must be at least 2, got {N}: with one step there is nothing to place")
        if isinstance(eps, (bool, str)) or not isinstance(eps, (int, float, np.number)):
            raise TypeError(f"eps must be a time, got {eps!r}")
        if not 0 < eps < self.ns.T:
            raise ValueError(f"eps = {eps} must lie between 0 and T = {float(self.ns.T):g}; 1e-3 is usual")
        return np.array([float(self.ns.T), float(eps)])

    def _log_snr(self, t: Array) -> Array:
        if isinstance(self.ns, Schedule):
            return np.asarray(self.ns.log_snr(t))
        import torch

        return np.asarray(self.ns.marginal_lambda(torch.from_numpy(t)), dtype=float)

    def _answer(self, log_snr: Array, eps: float) -> tuple[Any, Any]:
        """Return times and log-SNRs with the ends exactly as asked for; an inversion is off in the last bits."""
        ends = self._ends(len(log_snr) - 1, eps)
        lam = np.array(log_snr)
        lam[[0, -1]] = self._log_snr(ends)
        if isinstance(self.ns, Schedule):
            times = np.array(self.ns.time(lam), dtype=float)
            times[[0, -1]] = ends
            return times, lam
        import torch

        tensor = torch.from_numpy(lam)
        found = self.ns.inverse_lambda(tensor).clone()
        found[0], found[-1] = ends.tolist()
        return found, tensor


def _spaced(ends: Array, steps: int) -> Array:
    return np.linspace(ends[0], ends[1], steps + 1)
