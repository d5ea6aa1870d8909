"""The study: derive, validate and run, end to end, and write it up.

`run` makes the five parts of it: derived schemes, stability regions, observed orders, the trained model of digits
sampled by many methods, and one report that holds it all. `settings` says what is computed, the modules named after the
parts compute it, `store` keeps the results, `tables`, `summaries`, `draw`, `findings` and `report` only format them:
every number and every claim in the report comes from the results.

Importing this package imports NumPy only.
"""

from __future__ import annotations

from numdiff.study import settings
from numdiff.study.runner import Stage, StageError, run, stages
from numdiff.study.settings import Settings, Spec
from numdiff.study.store import StoreError

#: The study.
FULL = settings.FULL
#: The same in seconds, for continuous integration.
FAST = settings.FAST

__all__ = ["FAST", "FULL", "Settings", "Spec", "Stage", "StageError", "StoreError", "run", "stages"]
