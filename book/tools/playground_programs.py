"""Schemes as compact data for ``playground-core.js``: programs of tableaus with their zeros dropped.

A tableau is a pattern and numbers. A pattern names the values that each row of it sums, y_0 .. y_{r-1}, F_0 ..
F_{s-1}, n_0 .. n_{q-1} as in `numdiff.tableau.Plan`: k stands for the next number times value k, and -1 - k for value k
itself. The numbers of all programs of a method follow one another as float64, little-endian, in base 64, so that they
arrive without rounding. A level is the number of a node of the grid, or -1 - k for level k of the method's own; a
program that evaluates all stages of its tableau n at node n and arrives at node n + 1 has no list of them. Levels of
the method's own are (alpha, sigma), or (alpha, sigma, d alpha/dt, d sigma/dt) where it combines velocities of a
schedule on which those derivatives are not -1 and 1.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from numdiff.level import Level
from numdiff.methods import Scheme
from numdiff.tableau import Row, Tableau

__all__ = ["Archive", "base64_of", "numbers_of"]

Pattern = dict[str, Any]


def base64_of(values: Iterable[float]) -> str:
    """Return doubles in base 64."""
    return base64.b64encode(np.asarray(list(values), dtype="<f8").tobytes()).decode()


def numbers_of(level: Level) -> tuple[float, ...]:
    """Return alpha, sigma and their derivatives at a level."""
    return tuple(float(x) for x in (level.alpha, level.sigma, level.d_alpha, level.d_sigma))


def runs(values: Iterable[int]) -> list[int]:
    """Return values and how often each comes in succession, one after the other."""
    return [x for value, group in groupby(values) for x in (value, len(list(group)))]


class Archive:
    """Collects the programs of one method.

    Attributes
    ----------
    patterns
        The distinct patterns.
    numbers
        The coefficients of all programs.
    levels
        Levels that are not nodes of a common grid.
    wide
        Whether derivatives belong to them.
    """

    def __init__(self) -> None:
        self.patterns: list[Pattern] = []
        self.numbers: list[float] = []
        self.levels: list[tuple[float, ...]] = []
        self.wide = False
        self._known: dict[tuple[Any, ...], int] = {}
        self._own: dict[tuple[float, ...], int] = {}

    def add(self, scheme: Scheme, nodes: Sequence[tuple[float, ...]]) -> dict[str, Any]:
        """Store a scheme; return its entry: prediction, patterns, levels and where its numbers begin.

        Parameters
        ----------
        scheme
            What is stored.
        nodes
            The nodes of the common grid, as `numbers_of` gives them; empty where the grid is the method's own.
        """
        numbered = {node: i for i, node in enumerate(nodes)}
        begin, levels, usual = len(self.numbers), [], []
        for n, tableau in enumerate(scheme):
            places = (*tableau.levels, tableau.target)
            levels += [None if level is None else self._place(numbers_of(level), numbered) for level in places]
            usual += [*(n for _ in tableau.levels), n + 1]
        self.wide |= scheme.prediction == "velocity" and any(x.d_alpha != -1 for x in scheme.levels)
        entry = {"f": scheme.prediction, "p": runs(self._pattern(tableau) for tableau in scheme), "n": begin}
        return entry if levels == usual else entry | {"l": levels}

    def _place(self, level: tuple[float, ...], numbered: dict[tuple[float, ...], int]) -> int:
        if level in numbered:
            return numbered[level]
        if level not in self._own:
            self._own[level] = len(self.levels)
            self.levels.append(level)
        return -1 - self._own[level]

    def _pattern(self, tableau: Tableau) -> int:
        if tableau.a or tableau.b:
            raise ValueError(f"{tableau!r} has biases, which the playground does not know")
        plan = tableau.plan
        stages = tuple([self._row(row) for row in plan.stages])
        outputs = tuple([self._row(row) for row in plan.outputs])
        key = (tableau.registers, tableau.noises, stages, outputs, tableau.tags)
        if key not in self._known:
            self._known[key] = len(self.patterns)
            tags = [int(tag == "condition") for tag in tableau.tags]
            self.patterns.append(dict(zip("rqsot", (*key[:4], tags), strict=True)))
        return self._known[key]

    def _row(self, row: Row) -> tuple[int, ...]:
        places = []
        for i, c in row:
            number = float(c)
            places.append(-1 - i if number == 1.0 else i)
            if number != 1.0:
                self.numbers.append(number)
        return tuple(places)

    def document(self) -> dict[str, Any]:
        """Return what the programs share."""
        width = 4 if self.wide else 2
        flat = [x for level in self.levels for x in level[:width]]
        return {
            "patterns": self.patterns,
            "numbers": base64_of(self.numbers),
            "levels": base64_of(flat),
            "width": width,
        }
