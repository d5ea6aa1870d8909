r"""Forward and adjoint runs of a scheme whose coefficients are numbers c_1, c_2, ...

A run turns x_T into x_0 by sums c v of values v (samples, memory, evaluations) and evaluations F = f(Y, level). For a
scalar loss l(x_0) the adjoint run carries a = dl/dv backwards:

    row    y' = sum_j c_j v_j:       dl/dv_j += c_j a,        dl/dc_j = <a, v_j>
    stage  F = f(Y, level):          dl/dY += (df/dY)^T a,    dl/d(alpha, sigma, ...) = <a, df/d(alpha, sigma, ...)>

Many problems run side by side, each with its own loss: the leading axis of every array numbers them, and <., .> sums
over the other axes only. One backward run then gives the gradients of all losses, row by row a Jacobian with respect
to the coefficients and the levels, and the chain rule with their derivatives (`numdiff.optimize.tape`) finishes it:

    dl/dz = sum_j dl/dc_j dc_j/dz.

NumPy arrays and torch tensors pass alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from numdiff.level import Level
from numdiff.methods.scheme import Scheme
from numdiff.optimize.compiled import is_traced

Array = NDArray[np.float64]

LEVEL = ("alpha", "sigma", "d_alpha", "d_sigma", "time", "model_time")
"""What a field is told of a level, in this order."""


class Term(NamedTuple):
    """A coefficient, constant or entry `slot` of c, times value `value` (registers first, then evaluations)."""

    value: int
    slot: int
    constant: float


class Stage(NamedTuple):
    """One evaluation: the row that makes its sample, and where its level's numbers are."""

    row: tuple[Term, ...]
    level: tuple[tuple[int, float | None], ...]


class Move(NamedTuple):
    """One tableau: its stages, and the row of every external value after it."""

    stages: tuple[Stage, ...]
    outputs: tuple[tuple[Term, ...], ...]


class Field(Protocol):
    """What the scheme integrates, in the prediction that its tableaus combine."""

    def evaluate(self, Y: Any, level: Sequence[Any]) -> tuple[Any, Callable[[Any], tuple[Any, dict[str, Any]]]]:
        """Return F at `Y` and level (entries as `LEVEL`), and its adjoint.

        The adjoint takes a, of F's shape, and returns (df/dY)^T a and, by the names of `LEVEL`, <a, df/d(name)> of
        shape (problems,); names that it leaves out do not enter.
        """


class Program:
    """A traced scheme as rows over a vector of varying numbers.

    Attributes
    ----------
    numbers : list
        The traced coefficients and level entries, in the order of c; compile these.

    Raises
    ------
    ValueError
        If the scheme has more than one field, or biases.
    """

    def __init__(self, scheme: Scheme) -> None:
        self.numbers: list[Any] = []
        self.registers = scheme.registers
        tags = {tag for tableau in scheme for tag in tableau.tags} - {""}
        if tags:
            raise ValueError(
                f"{scheme.method} evaluates the fields {sorted(tags)} beside the model, and an objective has one; "
                "optimize the steps of the method that does not split"
            )
        if any(tableau.a or tableau.b for tableau in scheme):
            raise ValueError(f"{scheme.method} adds constants to the sample, which objectives do not follow")
        self.moves = tuple(self._move(tableau) for tableau in scheme)

    def _move(self, tableau: Any) -> Move:
        known = tableau.registers + tableau.stages
        stages = tuple(
            Stage(self._row(row, known), self._level(level))
            for row, level in zip(tableau.plan.stages, tableau.levels, strict=True)
        )
        return Move(stages, tuple(self._row(row, known) for row in tableau.plan.outputs))

    def _row(self, row: Sequence[tuple[int, Any]], known: int) -> tuple[Term, ...]:
        return tuple(Term(value, *self._place(c)) for value, c in row if value < known)

    def _level(self, level: Level) -> tuple[tuple[int, float | None], ...]:
        entries = [getattr(level, name) for name in LEVEL]
        return tuple((-1, None) if x is None else self._place(x) for x in entries)

    def _place(self, x: Any) -> tuple[int, float]:
        if not is_traced(x):
            return -1, float(x)
        self.numbers.append(x)
        return len(self.numbers) - 1, 0.0


@dataclass(frozen=True, eq=False)
class Record:
    """What an adjoint run needs of a forward run: every move's values, and its stages' adjoints."""

    values: list[list[Any]]
    adjoints: list[list[Callable[[Any], tuple[Any, dict[str, Any]]]]]


def forward(program: Program, c: Array, x: Any, field: Field) -> tuple[Any, Record]:
    """Return the sample at the end of a run from `x`, and what the adjoint run needs.

    Parameters
    ----------
    program
        The run.
    c
        Values of ``program.numbers``.
    x
        The first sample, shape (problems, ...).
    field
        What is integrated.
    """
    numbers = c.tolist()
    registers: list[Any] = [x, *[None] * (program.registers - 1)]
    record = Record([], [])
    for move in program.moves:
        values, adjoints = list(registers), []
        for row, level in move.stages:
            F, adjoint = field.evaluate(_combine(row, values, numbers), [_number(x, numbers) for x in level])
            values.append(F)
            adjoints.append(adjoint)
        record.values.append(values)
        record.adjoints.append(adjoints)
        registers = [_combine(row, values, numbers) for row in move.outputs]
    return registers[0], record


def _number(entry: tuple[int, float | None], numbers: Sequence[float]) -> float | None:
    slot, constant = entry
    return numbers[slot] if slot >= 0 else constant


def _combine(row: tuple[Term, ...], values: Sequence[Any], numbers: Sequence[float]) -> Any:
    total = None
    for value, slot, constant in row:
        factor = numbers[slot] if slot >= 0 else constant
        term = values[value] if factor == 1.0 else factor * values[value]
        total = term if total is None else total + term
    return total


def backward(
    program: Program, c: Array, record: Record, seed: Any, inner: Callable[[Any, Any], Any] | None = None
) -> tuple[Array, Any]:
    """Return the derivatives of every problem's loss: shape (len(c), problems), and with respect to the first sample.

    Parameters
    ----------
    program, c, record
        As in, and from, `forward`.
    seed
        dl/dx_0, of the sample's shape.
    inner
        <a, v> for every problem, of shape (problems,), as a NumPy array; by default the product, for problems of one
        number each.
    """
    inner = inner or np.multiply
    numbers = c.tolist()
    gradient = np.zeros((len(numbers), len(seed)))
    later: list[Any] = [seed, *[None] * (program.registers - 1)]
    for move, values, adjoints in zip(program.moves[::-1], record.values[::-1], record.adjoints[::-1], strict=True):
        total: list[Any] = [None] * len(values)
        for row, a in zip(move.outputs, later, strict=True):
            _pull(row, a, values, total, numbers, gradient, inner)
        for i in range(len(move.stages) - 1, -1, -1):
            a = total[program.registers + i]
            if a is None:
                continue
            row, level = move.stages[i]
            back, slopes = adjoints[i](a)
            for name, slope in slopes.items():
                slot = level[LEVEL.index(name)][0]
                if slot >= 0:
                    gradient[slot] += slope
            _pull(row, back, values, total, numbers, gradient, inner)
        later = total[: program.registers]
    return gradient, later[0]


def _pull(
    row: tuple[Term, ...],
    a: Any,
    values: Sequence[Any],
    total: list[Any],
    numbers: Sequence[float],
    gradient: Array,
    inner: Callable[[Any, Any], Any],
) -> None:
    """Add what the row's result is worth to its values and coefficients."""
    if a is None:
        return
    for value, slot, constant in row:
        if slot >= 0:
            gradient[slot] += inner(a, values[value])
            constant = numbers[slot]
        term = a if constant == 1.0 else constant * a
        total[value] = term if total[value] is None else total[value] + term
