"""A program of tableaus as a straight line: every value has a number, every operation is listed once.

The ask/tell machine carries registers from step to step. A run that nobody interrupts needs none: all of its operations
are known beforehand, so that each value gets a number of its own (0 is the initial sample, then the noises, then what
the run makes), a register that only moves is a renaming, and what nobody reads is not computed. From the last operation
that reads a value follows when its memory is free, and from that a place in a fixed set of buffers for every
combination, its own operand's where that is read for the last time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise
from typing import Any

from numdiff.elementary import is_zero
from numdiff.executor_native import Native
from numdiff.tableau import Row, to_float


@dataclass(frozen=True)
class Sum:
    """A linear combination: value `out` is ``sum(c * value[j] for j, c in zip(reads, coefficients)) + bias``.

    `slot` is the buffer that it is written to where a run owns its buffers, and `last` the values read here for the
    last time.
    """

    out: int
    reads: tuple[int, ...]
    coefficients: tuple[float, ...]
    bias: float = 0.0
    slot: int = 0
    last: tuple[int, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """Evaluation number `index`: value `out` is what the field `tag` says of value `x` at the model time `time`."""

    out: int
    x: int
    tag: str
    time: Any
    index: int
    last: tuple[int, ...] = ()

    @property
    def reads(self) -> tuple[int, ...]:
        """The number of the value that is read."""
        return (self.x,)


Operation = Sum | Evaluation


@dataclass(frozen=True)
class Line:
    """A straight-line program.

    Parameters
    ----------
    operations
        In the order of the run.
    noises
        For each noise, numbered 1, 2, ..., the (tableau, column) that it belongs to.
    result
        The number of the last sample.
    size
        How many values there are.
    slots
        How many buffers a run needs that owns them.
    """

    operations: tuple[Operation, ...]
    noises: tuple[tuple[int, int], ...]
    result: int
    size: int
    slots: int = 0

    @property
    def times(self) -> tuple[Any, ...]:
        """The model times of the evaluations."""
        return tuple(op.time for op in self.operations if isinstance(op, Evaluation))

    @property
    def passes(self) -> int:
        """Arrays of the sample's size that the combinations must read and write at the least, in a whole run."""
        return sum(len(op.reads) + 1 for op in self.operations if isinstance(op, Sum))

    def pieces(self) -> tuple[tuple[Operation, ...], ...]:
        """Return the operations cut behind what follows each evaluation: one piece an evaluation."""
        starts = [n for n, op in enumerate(self.operations) if isinstance(op, Evaluation)][1:]
        cuts = [0, *starts, len(self.operations)]
        return tuple(self.operations[a:b] for a, b in pairwise(cuts))


def straight(program: Sequence[Native]) -> Line:
    """Return a program, as rewritten by `numdiff.drivers.program`, as a straight line.

    Raises
    ------
    ValueError
        If a coefficient or a bias is an array or a tensor: those differ between the samples of a batch or carry a
        gradient, which is `numdiff.sample`'s business.
    """
    noises = tuple((n, k) for n, entry in enumerate(program) for k in range(entry.tableau.noises))
    numbers, operations = count(1 + len(noises)), list[Operation]()
    sources = iter(range(1, 1 + len(noises)))
    registers: list[int | None] = [0, *(None,) * (program[0].tableau.registers - 1)]
    evaluations = count()
    for entry in program:
        t, r = entry.tableau, entry.tableau.registers
        values = [*registers, *(None,) * t.stages, *(next(sources) for _ in range(t.noises))]
        for i, row in enumerate(t.plan.stages):
            Y = _emit(row, t.a[i] if t.a else 0.0, values, numbers, operations)
            level = t.levels[i]
            if Y is None or level is None:
                raise ValueError(f"stage {i} of a tableau reads nothing or has no level: it cannot be evaluated")
            F: int | None = next(numbers)
            assert F is not None
            operations.append(Evaluation(F, Y, t.tags[i], _time(level.model_time), next(evaluations)))
            held = entry.held[i]
            values[r + i] = F if held is None else _emit(held, 0.0, (F, Y), numbers, operations)
        biases = t.b or (0.0,) * r
        rows = zip(t.plan.outputs, biases, strict=True)
        registers = [_emit(row, bias, values, numbers, operations) for row, bias in rows]
    assert registers[0] is not None
    line = Line(tuple(_needed(operations, registers[0])), noises, registers[0], next(numbers))
    return _placed(line)


def _time(model_time: Any) -> Any:
    time = to_float(model_time)
    if type(time) is not float:
        raise ValueError(f"a model time is a tensor ({model_time!r}), which carries a gradient; run it with nd.sample")
    return time


def _emit(
    row: Row, bias: Any, values: Sequence[int | None], numbers: Iterator[int], operations: list[Operation]
) -> int | None:
    """Append the combination that a row is, and return the number of its value; a pointer move has it already."""
    if not row and is_zero(bias):
        return None
    if len(row) == 1 and values[row[0][0]] is None:
        return None  # an unset register moves on
    for c in (*(c for _, c in row), bias):
        if type(c) is not float and not (type(c) is int and c == 0):
            raise ValueError(
                f"a coefficient is {type(c).__name__}: it differs between the samples of a batch or carries a "
                "gradient, and a straight-line run has plain numbers only; run it with nd.sample"
            )
    terms: dict[int, float] = {} if row else {0: 0.0}  # a bias alone has the sample's shape
    for j, c in row:
        value = values[j]
        assert value is not None, "an unset register is read"
        terms[value] = terms[value] + c if value in terms else c  # two registers may hold one value
    if len(terms) == 1 and bias == 0.0 and 1.0 in terms.values():
        return next(iter(terms))
    out = next(numbers)
    operations.append(Sum(out, tuple(terms), tuple(terms.values()), float(bias)))
    return out


def _needed(operations: Sequence[Operation], result: int) -> list[Operation]:
    """Return the operations that something depends on; a model is always evaluated."""
    wanted, kept = {result}, list[Operation]()
    for op in reversed(operations):
        if isinstance(op, Evaluation) or op.out in wanted:
            kept.append(replace(op, last=tuple(sorted({*op.reads} - wanted))))
            wanted.update(op.reads)
    kept.reverse()
    return kept


def _placed(line: Line) -> Line:
    """Return the line with a buffer for every combination."""
    place, free, slots, placed = dict[int, int](), list[int](), 0, list[Operation]()
    for op in line.operations:
        ending = [place[j] for j in op.last if j in place]
        if isinstance(op, Sum):
            op = _own_first(op, place)
            first = op.reads[0]
            if first in op.last and first in place:
                slot = place[first]
                ending.remove(slot)
            elif free:
                slot = free.pop()
            else:
                slot, slots = slots, slots + 1
            place[op.out] = slot
            op = replace(op, slot=slot)
        free += ending
        placed.append(op)
    return replace(line, operations=tuple(placed), slots=slots)


def _own_first(op: Sum, place: dict[int, int]) -> Sum:
    """Return the sum with a term first whose buffer may be written over, unless the first saves a multiplication."""
    own = next((n for n, j in enumerate(op.reads) if j in op.last and j in place), 0)
    if own == 0 or op.coefficients[0] == 1.0:
        return op
    order = [own, *(n for n in range(len(op.reads)) if n != own)]
    reads, coefficients = ([entries[n] for n in order] for entries in (op.reads, op.coefficients))
    return replace(op, reads=tuple(reads), coefficients=tuple(coefficients))  # type: ignore[arg-type]  # ints, floats
