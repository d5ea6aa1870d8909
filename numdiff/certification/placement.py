r"""Placement: whether the questions of a sampler are asked at the levels where its samples lie.

Of a single data point any consistent sampler is exact, so its coefficients tell the alpha and sigma of each sample
(`Identified.implied`), whatever the order. A question that is asked elsewhere is told about another level than the
answer is used for. Where alpha and sigma fit no level of the schedule at all, it is the weights that are wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from numdiff.certification.identify import Identified
from numdiff.certification.subject import Array, Subject, position
from numdiff.level import Level

SAME = 1e-5
"""Distance, in units of the shortest step, up to which two levels are the same."""

APART = 0.05
"""Distance, in units of the shortest step, from which two levels are not the same."""

PERIODS = (1, 2, 3, 4)
"""Questions after which a pattern of misplaced ones may repeat itself, other than those of a step."""

SHARE = 0.6
"""Of the questions of a kind, how many must be misplaced before it is the sampler's habit."""


@dataclass(frozen=True, eq=False)
class Placement:
    """Where the samples of the questions lie and where the questions are asked.

    Parameters
    ----------
    lies, asked
        Positions (log-SNR or time), shape (M,); nan where the sample fits no level of the schedule.
    grid
        Positions of the grid, shape (N + 1,).
    certain
        Whether wrong weights would have put the samples off the schedule, so that where they lie can be trusted.
    """

    lies: Array
    asked: Array
    grid: Array
    certain: bool

    @property
    def step(self) -> float:
        """The shortest step of the grid."""
        return float(np.min(np.abs(np.diff(self.grid[np.isfinite(self.grid)]))))

    @property
    def deviation(self) -> float:
        """Largest distance between where a sample lies and where it is asked about; nan if one fits no level."""
        return float(np.max(np.abs(self.lies - self.asked)))

    def sentence(self, *, strict: bool = False, stages: bool = True) -> str:
        """Say which questions are asked at the wrong level, and which level that is; "" if none are.

        Parameters
        ----------
        strict
            Whether samples must lie at nodes exactly: a sampler that is not exact on a single data point lies where its
            error puts it.
        stages
            Whether to look at any but the first question of a step. A wrong coefficient moves the sample of a stage
            just as a wrong level does, so this takes other evidence that it is the level.
        """
        near = (SAME if strict else APART) * self.step
        late = [self._late(float(x), float(y), near) for x, y in zip(self.lies, self.asked, strict=True)]
        return self._habit(late, stages) or (self.between() if self.certain and not strict else "")

    def between(self) -> str:
        """Say which questions are asked beside a node and lie at one, or the other way round; "" if none are."""
        near = APART * self.step
        return self._habit([self._beside(float(x), float(y), near) for x, y in zip(self.lies, self.asked, strict=True)])

    def _habit(self, found: list[str | None], stages: bool = True) -> str:
        """Return what is said of most questions of a kind, or of most first questions of the steps."""
        usual = max(round(len(found) / (len(self.grid) - 1)), 1)
        periods = (usual, *(p for p in PERIODS if p != usual))
        for period in periods if stages or usual == 1 else (usual, 1):
            for k in range(period if stages or usual == 1 else 1):
                said = found[k::period]
                habit = max(set(said), key=said.count) if said else None
                if habit is not None and said.count(habit) > SHARE * len(said):
                    step = " of each step" if period == usual else f" of every {period}"
                    return f"{'every question' if period == 1 else f'question {k + 1}{step}'} is asked {habit}"
        return ""

    def _node(self, s: float, near: float) -> int | None:
        """Return the node of the grid at s, or None."""
        n = int(np.nanargmin(np.abs(self.grid - s))) if math.isfinite(s) else -1
        return n if n >= 0 and abs(self.grid[n] - s) < near else None

    def _late(self, lies: float, asked: float, near: float) -> str | None:
        """Say at which node a question is asked whose sample lies at another one."""
        mine, other = self._node(lies, near), self._node(asked, near)
        if mine is None or other is None or mine == other:
            return None
        late, side = ("late", "next") if other > mine else ("early", "previous")
        if abs(other - mine) == 1:
            return f"one node {late}: at the level of the {side} node, while its sample fits the node itself"
        return f"{abs(other - mine)} nodes {late}, while its sample fits the node itself"

    def _beside(self, lies: float, asked: float, near: float) -> str | None:
        """Say so if of the level of a question and that of its sample one is a node and the other is not."""
        mine, other = self._node(lies, near), self._node(asked, near)
        if (mine is None) == (other is None) or not math.isfinite(lies):
            return None
        return (
            "at the level of a node, while its sample lies between two nodes"
            if mine is None
            else "between two nodes, while its sample lies at a node"
        )


def place(subject: Subject, found: Identified) -> Placement:
    """Return where the samples of a sampler lie and where it asks about them."""
    if subject.scale == "time" or _over_time(found):
        asked, grid = (np.array([float(level.time) for level in levels]) for levels in (found.asked, found.grid))
        return Placement(grid[0] + found.inputs[:, 1:].sum(axis=1), asked, grid, False)
    asked, grid = (
        np.array([position(subject.scale, level) for level in levels]) for levels in (found.asked, found.grid)
    )
    lies = [_position(subject, float(a), float(s)) for a, s in zip(*(x[:-1] for x in found.implied()), strict=True)]
    return Placement(np.array(lies), asked, grid, subject.scale != "edm")


def _over_time(found: Identified) -> bool:
    """Tell whether velocities are just added up over time, which is not exact on a data point of a curved schedule."""
    return found.prediction == "velocity" and bool(np.max(np.abs(found.inputs[:, 0] - 1)) < SAME)


def _position(subject: Subject, alpha: float, sigma: float) -> float:
    """Return the log-SNR of alpha and sigma, nan where the schedule has no such level."""
    if not (alpha > 0 and sigma > 0 and math.isfinite(alpha + sigma)):
        return math.nan
    lam = math.log(alpha / sigma)
    try:
        level: Level = subject.level(lam)
    except ValueError:  # beyond the ends of the schedule
        return math.nan
    return lam if abs(float(level.alpha) - alpha) < 1e-4 * alpha else math.nan
