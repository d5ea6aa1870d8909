"""A scheme: a method laid out on a grid, as a program of tableaus."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numdiff.elementary import kind
from numdiff.level import Level
from numdiff.tableau import Tableau

if TYPE_CHECKING:
    from numdiff.methods.base import Method

__all__ = ["Scheme"]


@dataclass(frozen=True, eq=False)
class Scheme:
    """What `Method.discretize` returns and `sample` runs; iterate over it to read its tableaus.

    Parameters
    ----------
    tableaus
        The program, in Python floats. There may be more or fewer of them than grid steps.
    levels
        The grid, N + 1 levels.
    prediction
        What the tableaus call f: "noise", "data" or "velocity".
    method
        The method it came from.
    schedule
        The noise schedule, or None for a plain ODE.
    exact_starts
        How many nodes after the first the driver must supply the exact sample at (``start="exact"``).
    options
        The keyword arguments of `discretize`, to lay the same method out on another grid.

    Examples
    --------
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> scheme = nd.AdamsBashforth(2).discretize(schedule, nd.grids.uniform_t(schedule, 4))
    >>> scheme
    Scheme(AB2, 4 steps from t = 1 to 0.001, nfe=4)
    >>> scheme.nfe, scheme.steps, scheme.prediction
    (4, 4, 'noise')
    >>> [tableau.stages for tableau in scheme]
    [1, 1, 1, 1]
    """

    tableaus: tuple[Tableau, ...]
    levels: tuple[Level, ...]
    prediction: str
    method: Method
    schedule: Any
    exact_starts: int = 0
    options: tuple[tuple[str, Any], ...] = ()

    def __iter__(self) -> Iterator[Tableau]:
        """Iterate over the tableaus."""
        return iter(self.tableaus)

    def __len__(self) -> int:
        """Return the number of tableaus."""
        return len(self.tableaus)

    @property
    def nfe(self) -> int:
        """Number of model evaluations of one run."""
        return sum(tableau.stages for tableau in self.tableaus)

    @property
    def steps(self) -> int:
        """Number of grid steps."""
        return len(self.levels) - 1

    @property
    def registers(self) -> int:
        """Number of external values; the first is the sample."""
        return self.tableaus[0].registers

    @property
    def ends(self) -> tuple[float, float]:
        """First and last time, as floats."""
        first, last = (level.time for level in (self.levels[0], self.levels[-1]))
        return _plain(first), _plain(last)

    def __repr__(self) -> str:
        """Name the method, its grid and its cost."""
        first, last = self.ends
        return f"Scheme({self.method}, {self.steps} steps from t = {first:.6g} to {last:.6g}, nfe={self.nfe})"


def _plain(time: Any) -> float:
    return float(time.detach() if kind(time) == "torch" else time)
