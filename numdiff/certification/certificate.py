"""What a certification says: experiments, a verdict, and the reason in a sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # or the help of the command line, which lists the verdicts, would import SymPy
    from numdiff.properties.order.regression import OrderEstimate

VERDICTS = {
    "certified": "the claim is met with exact starting values, as shipped, and on rough grids",
    "conditional": "the claim is met where all is clean (exact start, equal steps in one variable), and lost elsewhere",
    "refuted": "the claim is not met, whatever the start and the grid",
    "observed": "nothing is claimed; the order is what was seen",
    "undecided": "the runs do not show an order clearly enough",
    "no order": "there is nothing to measure: it raises, is not finite, not repeatable, ignores its grid, or is exact",
}
"""Verdicts and what they mean."""


@dataclass(frozen=True)
class Experiment:
    """One measurement of a certification.

    Parameters
    ----------
    name
        "exact start", "as shipped", "alternating", or what a diagnosis called it.
    what
        Its circumstances in words.
    estimate
        What was seen; None where nothing could be.
    failure
        Why nothing could be; "" otherwise.

    Examples
    --------
    >>> import numdiff as nd
    >>> found = nd.certification.certify(nd.DPMSolverPP(2), steps=(24, 48, 96))
    >>> for experiment in found.experiments:
    ...     print(f"{experiment.name:12} {experiment.slope:.0f}  {experiment.what}")
    exact start  2  equal steps in log-snr, exact start, harmless end, float64 precision
    as shipped   2  equal steps in log-snr, its own start, its own end, float64 precision
    alternating  2  alternating steps in log-snr, exact start, harmless end, float64 precision
    """

    name: str
    what: str
    estimate: OrderEstimate | None = None
    failure: str = ""

    @property
    def slope(self) -> float:
        """The observed order; nan where there is none."""
        return float("nan") if self.estimate is None else self.estimate.slope


@dataclass(frozen=True)
class Certificate:
    """The result of `certify`.

    Parameters
    ----------
    subject
        Name of the sampler.
    claim
        The order that was put to the test; None if nothing is claimed.
    kind
        "flow" for the order of a deterministic sampler, "weak" for that of expectations of a stochastic one.
    path
        What was followed.
    experiments
        All measurements, the main ones first: "exact start", "as shipped", "alternating", then those of the diagnosis.
    verdict
        A key of `VERDICTS`.
    cause
        Why the claim is not met, or under which condition it is, in a sentence that a maintainer can act on; "" if
        there is nothing to say.
    versions
        Packages and versions.
    notes
        What was changed for the test, clipping switched off, say.
    seconds
        Time that it took.

    Examples
    --------
    >>> import numdiff as nd
    >>> found = nd.certification.certify(nd.DPMSolverPP(2), steps=(24, 48, 96))
    >>> found.subject, found.claim, found.verdict
    ('numdiff:AB2 data/log-snr', 2, 'certified')
    >>> found["as shipped"].estimate.window
    (24, 96)
    """

    subject: str
    claim: int | None
    kind: str
    path: str
    experiments: tuple[Experiment, ...]
    verdict: str
    cause: str
    versions: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def __getitem__(self, name: str) -> Experiment:
        """Return the experiment of that name.

        Raises
        ------
        KeyError
            If it was not made.
        """
        for one in self.experiments:
            if one.name == name:
                return one
        raise KeyError(f"no experiment {name!r}; there are {', '.join(one.name for one in self.experiments)}")
