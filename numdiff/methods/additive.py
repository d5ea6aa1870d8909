r"""Explicit Runge-Kutta arrays of two fields, composed from flows of one.

With stage k evaluating the field tag_k at the level of s_n + c_k h,

::

    Y_k = y_n + h sum_{l<k} A_kl f_{tag_l}(Y_l),    y_{n+1} = y_n + h sum_k b_k f_{tag_k}(Y_k)

A flow of one field over the fraction [p, q] of the step by a Runge-Kutta array (A, b, c) appends the rows of (q - p) A
behind what the flows before it have added to y, at the fractions p + (q - p) c.

Source: Hairer, Lubich, Wanner, Geometric Numerical Integration, II.5 and III.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from numdiff.methods.butcher import Butcher

__all__ = ["Additive"]


@dataclass(frozen=True)
class Additive:
    """An exact Runge-Kutta array of two fields: A (s x s), b (s), the fractions c of the step where its stages are.

    Parameters
    ----------
    A
        The s rows of s Fractions, strictly lower triangular.
    b
        The s weights.
    c
        Where in the step the stages are.
    tags
        The field that each stage evaluates.

    Examples
    --------
    >>> import numdiff as nd
    >>> array = nd.Strang().coefficients()
    >>> print(array.tags, *array.c)
    ('condition', 'condition', '', '', 'condition', 'condition') 0 1/4 0 1/2 1/2 3/4
    """

    A: tuple[tuple[Fraction, ...], ...]
    b: tuple[Fraction, ...]
    c: tuple[Fraction, ...]
    tags: tuple[str, ...]

    def in_floats(self) -> Additive:
        """Return the array in floats, for runs."""
        return self._floats

    @cached_property
    def _floats(self) -> Additive:
        A: Any = tuple(tuple(map(float, row)) for row in self.A)
        b, c = (tuple(map(float, row)) for row in (self.b, self.c))
        return Additive(A, b, c, self.tags)  # type: ignore[arg-type]


def composed(pieces: Sequence[tuple[str, Fraction, Fraction]], butcher: Butcher) -> Additive:
    """Return flows one after another as one array: each piece is (tag, first, last) in fractions of the step."""
    rows: list[list[Fraction]] = []
    so_far: list[Fraction] = []
    nodes: list[Fraction] = []
    for _, first, last in pieces:
        length = last - first
        rows += [[*so_far, *(length * x for x in row)] for row in butcher.A]
        so_far += [length * x for x in butcher.b]
        nodes += [first + length * x for x in butcher.c]
    s = len(so_far)
    tags = tuple(tag for tag, _, _ in pieces for _ in butcher.b)
    return Additive(tuple((*row, *(Fraction(0),) * (s - len(row))) for row in rows), tuple(so_far), tuple(nodes), tags)
