"""The forward process of a scheduler: noise added to data at a time, one for each sample or one for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from numdiff.adapters.diffusers import spacing
from numdiff.adapters.diffusers.running import Plan, Run, position, same


def refuse_other(name: str, value: Any) -> None:
    """Raise TypeError for a sample that is no floating-point tensor."""
    if not isinstance(value, torch.Tensor) or not (value.is_floating_point() or value.is_complex()):
        what = value.dtype if isinstance(value, torch.Tensor) else type(value).__name__
        raise TypeError(f"{name} must be a floating-point tensor, not {what}; convert it before")


class Forward:
    """What `NumdiffScheduler` adds to the protocol of stepping: `add_noise`, `scale_noise`, `get_velocity`.

    While a run is under way in a pipeline that says where it begins (``set_begin_index``), the level is that of the
    next evaluation, as in diffusers' schedulers, and no timestep is read. Else a timestep is one of ``timesteps``, or
    an entry of the table, which is looked up where the timesteps are.
    """

    timesteps: torch.Tensor
    config: Any
    _reset: Callable[[], None]
    _plan: Plan | None
    _run: Run | None
    _begin_index: int | None
    _process: Any
    _tables: dict[torch.device, tuple[torch.Tensor, torch.Tensor]]
    _step_index: int | None

    def _at_rest(self) -> None:
        """Be as a new scheduler: ``timesteps`` are all entries of the table, or as many levels of another process."""
        table = self._process.table()
        if table is not None:
            abar = np.asarray(table)
            self.timesteps = torch.from_numpy(np.arange(len(abar))[::-1].copy())
            self.sigmas = torch.from_numpy(np.append(spacing.table_rho(table)[::-1], 0.0)).float()
            self.alphas_cumprod = torch.from_numpy(abar).float()
            self.betas = torch.from_numpy(1 - abar / np.append(1.0, abar[:-1])).float()
        else:
            levels = self._process.rest(self.config)
            self.timesteps = torch.tensor([level.model_time for level in levels[:-1]], dtype=torch.float32)
            self.sigmas = torch.tensor([self._process.sigma(level) for level in levels])
        self._reset()

    def add_noise(self, original_samples: torch.Tensor, noise: torch.Tensor, timesteps: Any) -> torch.Tensor:
        """Return alpha_t x_0 + sigma_t eps at `timesteps`, shape (batch,), (1,) or ().

        Raises
        ------
        TypeError
            For samples or noise that are no floating-point tensors.
        ValueError
            For timesteps outside of the schedule's range, on the CPU.
        """
        refuse_other("original_samples", original_samples)
        refuse_other("noise", noise)
        alpha, sigma = self._scales(timesteps, original_samples)
        return alpha * original_samples + sigma * noise

    def scale_noise(self, sample: torch.Tensor, timestep: Any, noise: torch.Tensor | None = None) -> torch.Tensor:
        """Return the sample with noise, as pipelines of flow matching ask for it.

        Raises
        ------
        ValueError
            Without `noise`.
        """
        if noise is None:
            raise ValueError("scale_noise needs noise=, a tensor like the sample")
        return self.add_noise(sample, noise, timestep)

    def get_velocity(self, sample: torch.Tensor, noise: torch.Tensor, timesteps: Any) -> torch.Tensor:
        """Return alpha_t eps - sigma_t x_0, the target of "v_prediction"."""
        alpha, sigma = self._scales(timesteps, sample)
        return alpha * noise - sigma * sample

    def index_for_timestep(self, timestep: Any, schedule_timesteps: torch.Tensor | None = None) -> int:
        """Return which evaluation has this timestep; the last of those that have it, where a grid step begins.

        Raises
        ------
        ValueError
            If none has.
        """
        listed = self.timesteps if schedule_timesteps is None else schedule_timesteps
        at = position(listed, timestep)
        if at is not None:
            return at
        value = float(timestep)
        found = [k for k, t in enumerate(listed.tolist()) if same(value, t)]
        if not found:
            raise ValueError(
                f"timestep {value:g} is not one of timesteps; they run from {listed[0]:g} to {listed[-1]:g}"
            )
        return found[-1]

    def _scales(self, timesteps: Any, like: torch.Tensor) -> tuple[Any, Any]:
        """Return alpha and sigma, which broadcast against samples like `like`."""
        if self._plan is not None and self._begin_index is not None:
            index = self._begin_index if self._step_index is None else self._step_index
            levels = (*self._plan.levels, self._plan.scheme.levels[-1])
            return float(levels[index].alpha), float(levels[index].sigma)
        given = timesteps if isinstance(timesteps, torch.Tensor) else torch.as_tensor(timesteps)
        shape = (-1,) + (1,) * (like.ndim - 1)
        if self._process.table() is not None and not given.is_floating_point():
            alpha, sigma = self._table_on(like.device)
            entries = given.reshape(-1).to(like.device)
            if (
                entries.device.type == "cpu"
                and len(entries)
                and not 0 <= int(entries.min()) <= int(entries.max()) < len(alpha)
            ):
                raise ValueError(
                    f"timesteps must lie in 0 ... {len(alpha) - 1}, the table's entries, got {given.tolist()}"
                )
            return tuple(x[entries].reshape(shape).to(like.dtype) for x in (alpha, sigma))  # type: ignore[return-value]
        pairs = torch.tensor([self._level_at(t) for t in given.reshape(-1).tolist()], dtype=torch.float64)
        pairs = pairs.to(device=like.device, dtype=like.dtype)
        return pairs[:, 0].reshape(shape), pairs[:, 1].reshape(shape)

    def _table_on(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Return alpha and sigma of the table's entries, float64 where the device has it, moved there once."""
        if device not in self._tables:
            abar = np.asarray(self._process.table())
            dtype = torch.float32 if device.type == "mps" else torch.float64
            self._tables[device] = tuple(  # type: ignore[assignment]
                torch.from_numpy(np.sqrt(x)).to(device=device, dtype=dtype) for x in (abar, 1 - abar)
            )
        return self._tables[device]

    def _level_at(self, timestep: float) -> tuple[float, float]:
        """Return (alpha, sigma) at one of the run's timesteps, or wherever the network is told so."""
        if self._plan is not None:
            for level, time in zip(self._plan.levels, self._plan.times, strict=True):
                if same(timestep, time):
                    return float(level.alpha), float(level.sigma)
        alpha, sigma = self._process.at(timestep)
        return float(alpha), float(sigma)
