"""diffusers: a scheduler that runs any registered method in a pipeline."""

from numdiff.adapters.diffusers.scheduler import NumdiffScheduler, NumdiffSchedulerOutput

__all__ = ["NumdiffScheduler", "NumdiffSchedulerOutput"]
