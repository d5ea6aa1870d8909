r"""Forward and adjoint runs of a scheme whose coefficients are numbers c_1, c_2, ...

A run turns x_T into x_0 by sums of values v (samples, memory, evaluations, noises) and evaluations F = f(Y, level).
As a `Program` every value is made once, and what a method only passes on is the same value, not a copy. For a scalar
loss l(x_0) the adjoint run carries a = dl/dv backwards:

    row    v_k = sum_j c_j v_j:      dl/dv_j += c_j a_k,       dl/dc_j = <a_k, v_j>
    stage  F = f(Y, level):          dl/dY += (df/dY)^T a,     dl/d(alpha, sigma, ...) = <a, df/d(alpha, sigma, ...)>

Many problems run side by side, each with its own loss: the leading axis of every array numbers them, and <., .> sums
over the other axes only. One backward run then gives the gradients of all losses, row by row a Jacobian with respect
to the coefficients and the levels, and the chain rule with their derivatives (`numdiff.optimize.tape`) finishes it:

    dl/dz = sum_j dl/dc_j dc_j/dz.

NumPy arrays and torch tensors pass alike. Where every problem is one number, `numdiff.optimize.objectives.fields` runs
the same programs with fewer and larger array operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from numdiff.methods.scheme import Scheme
from numdiff.optimize.compiled import is_traced

Array = NDArray[np.float64]

LEVEL = ("alpha", "sigma", "d_alpha", "d_sigma", "time", "model_time")
"""What a field is told of a level, in this order."""


class Move(NamedTuple):
    """What makes one value: the sum of its terms first:last, or, with a stage, the field at the value `sample`."""

    out: int
    first: int = 0
    last: int = 0
    stage: int = -1
    sample: int = -1


class Field(Protocol):
    """What the scheme integrates, in the prediction that its tableaus combine."""

    def evaluate(self, Y: Any, level: Sequence[Any]) -> tuple[Any, Callable[[Any], tuple[Any, dict[str, Any]]]]:
        """Return F at `Y` and level (entries as `LEVEL`), and its adjoint.

        The adjoint takes a, of F's shape, and returns (df/dY)^T a and, by the names of `LEVEL`, <a, df/d(name)> of
        shape (problems,); names that it leaves out do not enter.
        """


class Program:
    """A traced scheme as moves over a vector of varying numbers.

    Parameters
    ----------
    scheme
        A scheme, traced or not.
    entries
        The entries of `LEVEL` that the field reads; the others vary in vain and are left out of `numbers`.

    Attributes
    ----------
    numbers : list
        The traced coefficients and level entries, in the order of c; compile these.
    moves : tuple of Move
        The run. Values are numbered: the evaluations, the first sample, the noises, then the sums.
    stages, noises, size : int
        Numbers of evaluations, of noises, and of all values.
    start, result : int
        The values that hold the first and the last sample.
    values, slots, constants : ndarray
        For every term of every sum: which value; which entry of c multiplies it, or -1; and the constant that does.
    levels, level_slots : ndarray
        For every stage the entries of `LEVEL`: constants, NaN where the schedule has none; and entries of c, or -1.

    Raises
    ------
    ValueError
        If the scheme has more than one field, biases, or an exact start.
    """

    def __init__(self, scheme: Scheme, entries: Sequence[str] = LEVEL) -> None:
        _check(scheme)
        self.stages, self.noises = scheme.nfe, sum(tableau.noises for tableau in scheme)
        self.start = self.stages
        self.size = self.start + 1 + self.noises
        self.numbers: list[Any] = []
        rows, evaluations, self.result = self._read(scheme)
        terms: list[tuple[int, int, float]] = []
        self.moves = tuple(self._move(out, rows, evaluations, terms) for out in _needed(rows, evaluations, self.result))
        columns = zip(*terms, strict=True) if terms else ((), (), ())
        self.values, self.slots, self.constants = (
            np.array(x, dtype=kind) for x, kind in zip(columns, (np.intp, np.intp, float), strict=True)
        )
        levels = [level for tableau in scheme for level in tableau.levels]
        used = {move.stage for move in self.moves}
        placed = [
            [self._place(getattr(level, name) if i in used and name in entries else None) for name in LEVEL]
            for i, level in enumerate(levels)
        ]
        self.level_slots = np.array([[slot for slot, _ in row] for row in placed], dtype=np.intp).reshape(
            -1, len(LEVEL)
        )
        self.levels = np.array([[x for _, x in row] for row in placed], dtype=float).reshape(-1, len(LEVEL))

    def _read(self, scheme: Scheme) -> tuple[dict[int, list[tuple[int, Any]]], dict[int, int], int]:
        """Return the sums by the value they make, the samples of the evaluations, and the last sample."""
        rows: dict[int, list[tuple[int, Any]]] = {}
        evaluations: dict[int, int] = {}
        registers, noise = [self.start] + [-1] * (scheme.registers - 1), self.start + 1
        for tableau in scheme:
            first = len(evaluations)
            known = [*registers, *range(first, first + tableau.stages), *range(noise, noise + tableau.noises)]
            noise += tableau.noises
            for row in tableau.plan.stages:
                evaluations[len(evaluations)] = self._value(row, known, rows)
            registers = [self._value(row, known, rows) for row in tableau.plan.outputs]
        return rows, evaluations, registers[0]

    def _value(self, row: Sequence[tuple[int, Any]], known: list[int], rows: dict[int, list[tuple[int, Any]]]) -> int:
        """Return which value a row is: what it copies, or a new one; -1 for none."""
        if not row:
            return -1
        if len(row) == 1 and not is_traced(row[0][1]) and row[0][1] == 1:
            return known[row[0][0]]
        rows[self.size] = sorted(((known[i], c) for i, c in row), key=lambda term: term[0])
        self.size += 1
        return self.size - 1

    def _move(self, out: int, rows: Any, evaluations: Any, terms: list[tuple[int, int, float]]) -> Move:
        if out < self.stages:
            return Move(out, stage=out, sample=evaluations[out])
        first = len(terms)
        terms.extend((value, *self._place(c)) for value, c in rows[out])
        return Move(out, first, len(terms))

    def _place(self, x: Any) -> tuple[int, float]:
        """Return the entry of c that holds `x`, or -1 and the constant that it is; NaN for None."""
        if not is_traced(x):
            return -1, np.nan if x is None else float(x)
        self.numbers.append(x)
        return len(self.numbers) - 1, 0.0

    def coefficients(self, c: Array) -> Array:
        """Return the factor of every term."""
        return np.where(self.slots >= 0, c[self.slots], self.constants) if len(c) else self.constants

    def stage_levels(self, c: Array) -> Array:
        """Return the entries of `LEVEL` for every stage, NaN where there is none."""
        return np.where(self.level_slots >= 0, c[self.level_slots], self.levels) if len(c) else self.levels


def _check(scheme: Scheme) -> None:
    tags = {tag for tableau in scheme for tag in tableau.tags} - {""}
    if tags:
        raise ValueError(
            f"{scheme.method} evaluates the fields {sorted(tags)} beside the model, and an objective has one; "
            "optimize the steps of the method that does not split"
        )
    if any(tableau.a or tableau.b for tableau in scheme):
        raise ValueError(f"{scheme.method} adds constants to the sample, which objectives do not follow")
    if scheme.exact_starts:
        raise ValueError('start="exact" takes samples from the exact flow, which optimized steps cannot; drop it')


def _needed(rows: dict[int, list[tuple[int, Any]]], evaluations: dict[int, int], result: int) -> list[int]:
    """Return the sums and evaluations that the result is made of, in an order in which they can be made."""
    order: list[int] = []
    seen: set[int] = set()
    waiting: list[tuple[int, bool]] = [(result, False)]
    while waiting:
        value, ready = waiting.pop()
        if ready:
            order.append(value)
        elif value not in seen and (value in rows or value in evaluations):
            seen.add(value)
            waiting.append((value, True))
            sources = [i for i, _ in rows[value]] if value in rows else [evaluations[value]]
            waiting.extend((i, False) for i in sources)
    return order


@dataclass(frozen=True, eq=False)
class Record:
    """What an adjoint run needs of a forward run: the values, and the adjoints of the evaluations."""

    values: list[Any]
    adjoints: dict[int, Callable[[Any], tuple[Any, dict[str, Any]]]]


def forward(program: Program, c: Array, x: Any, field: Field, noises: Sequence[Any] = ()) -> tuple[Any, Record]:
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
    noises
        One array like `x` for each noise of the program.

    Raises
    ------
    ValueError
        For another number of noises than the program has.
    """
    if len(noises) != program.noises:
        raise ValueError(f"noises must have {program.noises} arrays like x, one for each column, got {len(noises)}")
    factors, sources = program.coefficients(c).tolist(), program.values.tolist()
    levels = [[None if x != x else x for x in row] for row in program.stage_levels(c).tolist()]
    values: list[Any] = [None] * program.size
    values[program.start : program.start + 1 + program.noises] = [x, *noises]
    adjoints = {}
    for move in program.moves:
        if move.stage < 0:
            terms = range(move.first, move.last)
            values[move.out] = _sum([factors[k] for k in terms], [values[sources[k]] for k in terms])
        else:
            values[move.out], adjoints[move.stage] = field.evaluate(values[move.sample], levels[move.stage])
    return values[program.result], Record(values, adjoints)


def _sum(factors: list[float], values: list[Any]) -> Any:
    total = factors[0] * values[0]
    for factor, value in zip(factors[1:], values[1:], strict=True):
        total = total + factor * value
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
    factors, sources, slots = program.coefficients(c).tolist(), program.values.tolist(), program.slots.tolist()
    gradient = np.zeros((len(c), len(seed)))
    total: list[Any] = [None] * program.size
    total[program.result] = seed
    for move in reversed(program.moves):
        a = total[move.out]
        if move.stage < 0:
            for k in range(move.first, move.last):
                if slots[k] >= 0:
                    gradient[slots[k]] = inner(a, record.values[sources[k]])
                _add(total, sources[k], factors[k] * a)
        else:
            back, slopes = record.adjoints[move.stage](a)
            for name, slope in slopes.items():
                slot = program.level_slots[move.stage, LEVEL.index(name)]
                if slot >= 0:
                    gradient[slot] = slope
            _add(total, move.sample, back)
    return gradient, total[program.start]


def _add(total: list[Any], index: int, term: Any) -> None:
    total[index] = term if total[index] is None else total[index] + term
