"""Where a scheduler's run is, as pipelines read it."""

from __future__ import annotations

from typing import Any

import torch

from numdiff.adapters.diffusers import beginning
from numdiff.adapters.diffusers.running import Plan, Run
from numdiff.methods.scheme import Scheme


class Place:
    """The part of `NumdiffScheduler` that says where a run begins and where it is."""

    timesteps: torch.Tensor
    config: Any
    _plan: Plan | None
    _process: Any
    _listed = False

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a pickle needs: all, a run in progress too, but the generator of its last step.

        A copy does not know the last sample of a run that is over, with which another step is refused.
        """
        return {**self.__dict__, "_last": None, "_generator": None}

    def __len__(self) -> int:
        """Return the number of timesteps that the network was trained with."""
        return int(self._settings.num_train_timesteps)

    @property
    def _settings(self) -> Any:
        """The registered configuration, whose entries are attributes; diffusers types it as a plain dict."""
        return self.config

    def _reset(self) -> None:
        self._run: Run | None = None
        self._step_index: int | None = None
        self._begin_index: int | None = None
        self._last: Any = None

    @property
    def scheme(self) -> Scheme | None:
        """The method laid out on the grid of `set_timesteps`."""
        return None if self._plan is None else self._plan.scheme

    @property
    def order(self) -> int:
        """Evaluations of a grid step, by which pipelines multiply step numbers; 1 where they differ.

        Behind a start with more evaluations than the other steps, and for grids given as a list, the product with a
        number n is not n times as much but the evaluation with which the n-th step begins (`beginning.Order`); with a
        list, n counts evaluations, as pipelines that pass one do, and stands for the grid step there. A pipeline that
        takes ``timesteps[n:]`` without asking for the order begins elsewhere, as with every scheduler of order 2.
        """
        plan = self._plan
        if plan is None:
            return 1
        if plan.even and (plan.order == 1 or not self._listed):
            return plan.order
        return beginning.Order(plan, self._listed)

    @property
    def init_noise_sigma(self) -> float:
        """The standard deviation of the noise that a run starts from."""
        first = None if self._plan is None else self._plan.levels[0]
        return float(self._process.init_noise_sigma(self.config, first))

    @property
    def step_index(self) -> int | None:
        """How many of ``timesteps`` are behind; None before the first step."""
        return self._step_index

    @property
    def begin_index(self) -> int | None:
        """Where a run begins, as the pipeline said; None if it did not."""
        return self._begin_index

    def set_begin_index(self, begin_index: int = 0) -> None:
        """Say with which of ``timesteps`` a run begins.

        Raises
        ------
        ValueError
            For a number that is none of an entry, and for one with which no grid step begins.
        """
        if not 0 <= begin_index < len(self.timesteps):
            raise ValueError(f"begin_index must lie in 0 ... {len(self.timesteps) - 1}, got {begin_index}")
        if begin_index and self._plan is not None:
            beginning.check(self._plan, begin_index)
        self._begin_index = begin_index
