"""The tableaus of a step split between the model and the condition, and of one that is not."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

from numdiff.elementary import Number, product, vanishes
from numdiff.level import Level
from numdiff.methods.base import Method
from numdiff.methods.layout import Layout
from numdiff.tableau import Tableau

__all__ = ["CONDITION", "Splitting"]

CONDITION = "condition"
"""The tag of the second field."""

REFERENCE = "Wizadwongsa, Suwajanakorn, Splitting Numerical Methods for guided diffusion, ICLR 2023"


class Splitting(Method):
    """A method that evaluates the model and, apart from it, the field tagged "condition".

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.LTSP(4).evaluations, nd.STSP(4).evaluations
    ({'': 1, 'condition': 1}, {'condition': 2, '': 1})
    """

    reference: ClassVar[str] = REFERENCE

    @property
    def evaluations(self) -> dict[str, int]:
        """How often one step evaluates each field, by tag; "" is the model."""
        return dict(Counter(self.steady().tags))


def before(base: Tableau, weight: Number, level: Level | None) -> Tableau:
    """Return a step whose sample is moved by weight * g, evaluated where it is, before all else."""
    s, r = base.stages, base.registers
    return base.replace(
        A=[(0,) * (s + 1), *((product(u[0], weight), *a) for u, a in zip(base.U, base.A, strict=True))],
        U=[(1, *(0,) * (r - 1)), *base.U],
        B=[(product(v[0], weight), *b) for v, b in zip(base.V, base.B, strict=True)],
        levels=(level, *base.levels),
        tags=(CONDITION, *base.tags),
    )


def after(base: Tableau, weight: Number, scale: Number, level: Level | None) -> Tableau:
    """Return a step whose new sample is moved by weight * g, evaluated at `scale` times that sample, after all else."""
    return base.replace(
        A=[*((*a, 0) for a in base.A), (*(product(b, scale) for b in base.B[0]), 0)],
        U=[*base.U, tuple(product(v, scale) for v in base.V[0])],
        B=[(*base.B[0], weight), *((*b, 0) for b in base.B[1:])],
        levels=(*base.levels, level),
        tags=(*base.tags, CONDITION),
    )


def unsplit(base: Tableau, weight: Number) -> Tableau:
    """Return the step with weight * g added to the new sample, g evaluated where the model is."""
    return base.replace(
        A=((0, 0), (0, 0)),
        U=(base.U[0],) * 2,
        B=[(*base.B[0], weight), *((*b, 0) for b in base.B[1:])],
        levels=base.levels * 2,
        tags=("", CONDITION),
    )


def is_clean(layout: Layout, level: Level) -> bool:
    """Tell whether `level` is where a difference of predictions vanishes."""
    return layout.schedule is not None and vanishes(level.sigma)
