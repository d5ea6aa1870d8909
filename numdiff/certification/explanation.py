"""What a comparison of a sampler's coefficients with formula (*) says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Explanation:
    """What the coefficients say.

    Parameters
    ----------
    sentence
        What is wrong and where, for a maintainer; "" if the coefficients meet the claim.
    order
        The order that the coefficients have, at most the claim.
    formulation
        Name of the formulation in which they are simplest.
    rows
        Numbers behind the sentence: "levels" (largest distance between where samples lie and where they are asked
        about), "errors" (of the moments, by formulation and number of steps), "moments" and "asked" (of a step in the
        middle, in units of its total weight).
    grain
        By what the weights of a step miss their sum where that is single precision; 0 where it is not.
    misplaced
        Which questions are asked at a level other than that of their samples, in words; "" if none are.
    compared
        The order up to which coefficients were compared, the claim or `numdiff.certification.series.COUNT`: of a
        higher claim only this much is known, and `order` is the claim if nothing speaks against it.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.certification import explain, of_method
    >>> found = explain(of_method(nd.DPMSolverPP(2)), 2)
    >>> found.sentence, found.order, found.formulation
    ('', 2, 'data/log-snr')
    """

    sentence: str
    order: int
    formulation: str
    rows: dict[str, Any] = field(default_factory=dict)
    grain: float = 0.0
    misplaced: str = ""
    compared: int = 0
