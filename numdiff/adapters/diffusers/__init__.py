"""diffusers: a scheduler that runs any registered method in a pipeline.

``scheduler`` is the class; what it is made of: ``tables`` (noise levels), ``spacing`` (diffusers' words for grids),
``table``, ``flow`` and ``edm`` (the processes; ``processes`` chooses), ``grids`` (levels by name or by search),
``configs`` (other schedulers' configurations), ``hooks`` (thresholding), ``forward`` and ``place`` (what pipelines ask
for beside stepping), ``output`` (what a step returns), ``running`` (plans and runs), ``beginning`` and ``starting``
(where and how a run starts).

A pipeline that was saved with this scheduler names this package. diffusers imports no package but its own and
transformers when it loads one: write ``import numdiff.adapters.diffusers`` before ``DiffusionPipeline.from_pretrained``
in a new process (`numdiff.adapters.pipelines` and ``numdiff sample`` do).
"""

from diffusers.schedulers.scheduling_utils import SchedulerMixin as SchedulerMixin

from numdiff.adapters.diffusers.output import NumdiffSchedulerOutput
from numdiff.adapters.diffusers.scheduler import NumdiffScheduler

__all__ = ["NumdiffScheduler", "NumdiffSchedulerOutput"]

# A saved pipeline names the module of its scheduler, in which diffusers looks for the class and for its mixin: this
# package, which outlives its files.
NumdiffScheduler.__module__ = __name__
