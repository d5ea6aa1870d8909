r"""Explicit Runge-Kutta arrays of two fields, composed from flows of one.

With stage k evaluating the field tag_k at the level of s_n + c_k h,

    Y_k = y_n + h sum_{l<k} A_kl f_{tag_l}(Y_l),    y_{n+1} = y_n + h sum_k b_k f_{tag_k}(Y_k)

A flow of one field over the fraction [p, q] of the step by a Runge-Kutta array (A, b, c) appends the rows of (q - p) A
behind what the flows before it have added to y, at the fractions p + (q - p) c.

Source: Hairer, Lubich, Wanner, Geometric Numerical Integration, II.5 and III.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from numdiff.elementary import kind
from numdiff.methods.butcher import Butcher
from numdiff.methods.layout import Layout, ratio_of
from numdiff.tableau import Tableau
from numdiff.weights import exact


@dataclass(frozen=True)
class Additive:
    """An exact Runge-Kutta array of two fields: A (s x s), b (s), the fractions c of the step where its stages are."""

    A: tuple[tuple[Fraction, ...], ...]
    b: tuple[Fraction, ...]
    c: tuple[Fraction, ...]
    tags: tuple[str, ...]

    def in_floats(self) -> Additive:
        """Return the array in floats, for steps that are tensors."""
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


def additive_step(array: Additive, layout: Layout, n: int) -> Tableau:
    """Return step `n` by an array of two fields in the ratio (or time) variable; see `multistep.runge_kutta`."""
    formulation = ratio_of(layout.formulation)
    here, there = layout.levels[n], layout.levels[n + 1]
    formulation.span(here, there, 1)  # raises where y does not exist
    h = formulation.node(there) - formulation.node(here)
    if kind(h) == "torch":
        array = array.in_floats()
    place = {c: layout.level_at(n, c) for c in dict.fromkeys(array.c)}
    levels = tuple(place[c] for c in array.c)
    unit = exact(1) if kind(h) in ("exact", "sympy") else 1.0
    velocity = formulation.prediction == "velocity"
    places = (here, *levels, there)
    scale, *stages, last = (unit if velocity else formulation.scales(level)[0] for level in places)
    return Tableau(
        A=[[a * h * x if x else 0 for x in row] for a, row in zip(stages, array.A, strict=True)],
        U=[(1,) if level is here else (a / scale,) for a, level in zip(stages, levels, strict=True)],
        B=[[last * h * x if x else 0 for x in array.b]],
        V=[(last / scale,)],
        levels=levels,
        target=there,
        tags=array.tags,
    )
