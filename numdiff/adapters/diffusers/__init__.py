"""diffusers: a scheduler that runs any registered method in a pipeline.

``scheduler`` is the class; what it is made of: ``tables`` (noise levels), ``spacing`` (diffusers' words for grids),
``table``, ``flow`` and ``edm`` (the processes; ``processes`` chooses), ``grids`` (levels by name or by search),
``configs`` (other schedulers' configurations), ``hooks`` (thresholding), ``forward`` and ``place`` (what pipelines ask
for beside stepping), ``running`` (plans and runs).
"""

from diffusers.schedulers.scheduling_utils import SchedulerMixin

from numdiff.adapters.diffusers.scheduler import NumdiffScheduler, NumdiffSchedulerOutput

__all__ = ["NumdiffScheduler", "NumdiffSchedulerOutput", "SchedulerMixin"]

# A saved pipeline names the module of its scheduler, in which diffusers looks for the class and for its mixin: this
# package, which outlives its files.
NumdiffScheduler.__module__ = __name__
