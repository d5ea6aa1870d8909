"""The settings of the guidance experiment: everything that decides its numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any

import numdiff as nd

BETA = Fraction(4, 5)
GUIDANCES = {
    "free": "classifier-free",
    "through": "classifier, through the network",
    "beside": "classifier, beside the network",
}
"""Kinds of guidance: the null network and the conditional one; the classifier on the predicted clean image."""


@dataclass(frozen=True)
class Solver:
    """A method under a name.

    Parameters
    ----------
    method
        The method.
    group
        "plain", "momentum" or "splitting".
    base
        Of a splitting method: which network is the model, "null" or "condition".
    """

    method: nd.Method
    group: str
    base: str | None = None


SOLVERS: dict[str, Solver] = {
    "DDIM": Solver(nd.DDIM(), "plain"),
    "PLMS4": Solver(nd.PLMS(4), "plain"),
    "AB2": Solver(nd.AdamsBashforth(2), "plain"),
    "DPM-Solver++ 2M": Solver(nd.DPMSolverPP(2, rule="half"), "plain"),
    "HB(PLMS4, 0.8)": Solver(nd.HeavyBall(nd.PLMS(4), BETA), "momentum"),
    "HB(DPM-Solver++ 2M, 0.8)": Solver(nd.HeavyBall(nd.DPMSolverPP(2, rule="half"), BETA), "momentum"),
    "GHVB4(0.8), published": Solver(nd.GHVB(4, BETA, weights="uniform"), "momentum"),
    "GHVB2(0.8)": Solver(nd.GHVB(2, BETA), "momentum"),
    "GHVB2(0.5)": Solver(nd.GHVB(2, Fraction(1, 2)), "momentum"),
    "LTSP4": Solver(nd.LTSP(4, weights="uniform"), "splitting", "null"),
    "LTSP4, conditional base": Solver(nd.LTSP(4, weights="uniform"), "splitting", "condition"),
    "STSP4": Solver(nd.STSP(4, weights="uniform"), "splitting", "null"),
    "Strang": Solver(nd.Strang(), "splitting", "null"),
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is sampled and measured.

    Parameters
    ----------
    samples
        Images of each run, classes 0..9 in turn.
    seed
        Of the initial noise, the same in all runs, and of the bootstrap.
    budgets
        Evaluations that a run may take: of the network, a backward pass through it counting as one.
    scales
        Guidance scales by kind.
    remedies
        The scale at which the guided model itself is changed.
    reference_steps
        Steps of the reference, DPM-Solver++ of order 3 with a Runge-Kutta start; and half as many for its error.
    grid
        A name of `numdiff.grids`.
    others
        More units, as (kind, scale, grid).
    """

    samples: int = 200
    seed: int = 0
    budgets: tuple[int, ...] = (12, 24, 48)
    scales: dict[str, tuple[float, ...]] = field(
        default_factory=lambda: {
            "free": (1.0, 2.0, 4.0, 7.0, 10.0, 15.0),
            "through": (15.0,),
            "beside": (15.0,),
        }
    )
    remedies: float = 10.0
    reference_steps: int = 1000
    grid: str = "uniform-t"
    others: tuple[tuple[str, float, str], ...] = (("free", 7.0, "log-snr"),)

    def units(self) -> list[dict[str, Any]]:
        """Return the arguments of `measure.compute` for every kind and scale."""
        names = ("samples", "seed", "budgets", "reference_steps")
        shared = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items() if k in names}
        asked = [(kind, scale, self.grid) for kind, scales in self.scales.items() for scale in scales]
        asked += [("remedies", self.remedies, self.grid), *self.others]
        return [{"kind": kind, "scale": scale, "grid": grid, **shared} for kind, scale, grid in asked]


FULL = Settings()
FAST = Settings(
    samples=20, budgets=(12,), scales={"free": (1.0, 7.0), "through": (4.0,), "beside": (4.0,)}, reference_steps=200
)
