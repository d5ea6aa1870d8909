"""Which members of a family are as published and which are repaired, where a family has both.

Each table holds pairs (options, status); the first pair whose options a member has is the member's.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

Variants = tuple[tuple[dict[str, Any], str], ...]

AS_PUBLISHED = "as published"

THIRD: Variants = (
    *(
        ({"order": 3, "rule": rule}, "as published, of order 2; order 3 with rule exact is repaired")
        for rule in ("3m", "3m-heun")
    ),
    ({"order": 3, "rule": "exact"}, 'repaired, of order 3; rules "3m" and "3m-heun" are published, of order 2'),
    *(({"order": order}, AS_PUBLISHED) for order in (1, 2)),
)
THIRD_WITH_NOISE: Variants = (
    ({"order": 3, "rule": "sign"}, "as diffusers has it, with a sign lost; rule exact is repaired"),
    *THIRD,
)
EQUAL_STEPS: Variants = (
    ({"weights": "uniform"}, "as published, with weights of equal steps; weights variable are repaired"),
)
UNIPC: Variants = tuple(
    ({"rule": rule}, f'as the published code, rule "{rule}"; "exact" is the paper\'s') for rule in ("bh1", "bh2")
)
SA_SOLVER: Variants = (({"rule": "bh1"}, "as the published code, which substitutes in two-point formulas"),)

_RULES = ("dpmsolver", "taylor", "half")
_LOWER: Variants = tuple(({"order": order}, AS_PUBLISHED) for order in (1, 2))
SINGLE: Variants = (
    *_LOWER,
    *(
        ({"order": 3, "rule": rule, "c3": c3}, "as published, of order 3 as c3 = 2/3")
        for rule in _RULES
        for c3 in (None, Fraction(2, 3))
    ),
    *(({"rule": rule}, "as published, of order 2; rule exact is repaired, of order 3") for rule in _RULES),
)
ON_THE_GRID: Variants = (
    *_LOWER,
    *(({"rule": rule}, "as published; rule exact is repaired, of order 3 on any grid") for rule in _RULES),
)
RES: Variants = (
    ({"order": 2}, AS_PUBLISHED),
    ({"rule": "published"}, "as in widespread code, of order 2 unless c3 = 1; rule exact is repaired"),
)
SPLITTING: Variants = (({"weights": "uniform"}, "as published; strang has order 2"),)
ONE_PATH: Variants = (({"path": "rho"}, 'as k-diffusion has it; path "brownian" is repaired'),)
PNDM: Variants = (
    ({"combine": "v"}, 'as published for v predictions, of order 1; combine "noise" is repaired'),
    ({}, 'as published for noise predictions, repaired for v predictions; combine "v" is published for these'),
)
