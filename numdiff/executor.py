"""Running a program of tableaus: one step, the ask/tell machine over many, and the loop that most users want.

A step is linear algebra on external values: `stages` is the only place where a tableau meets an array. It runs on NumPy arrays, torch
tensors and SymPy numbers alike, and on f = z Y it is the matrix V + z B (I - z A)^-1 U.

`Machine` turns a program around: it *asks* for the model at (x, level) and is *told* the answer, so that whoever owns the loop (a sampling
function, a pipeline, a test) can drive it. A program may have tableaus with no evaluation or with several.

**Memory.** A row with the single coefficient 1 is a pointer move, so a shifted history costs nothing. Other rows write one fresh buffer and
accumulate into it; nothing that a model, a callback or a caller may hold is ever written to. Registers not yet set are None and never read.

**Predictions.** A model may predict something other than what the tableaus call f. The conversion f = p Y + q m is affine, and is folded into
the coefficients before the run (`native`): a stored evaluation is kept as m + (p/q) Y, one pass instead of two, with its factor q in the weights that
use it; an evaluation that only the sample uses is not converted at all.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from numdiff.elementary import Number, is_zero, kind
from numdiff.level import Level
from numdiff.parameterizations import Prediction, coefficients, get
from numdiff.tableau import Row, Tableau

Array = Any
Combine = Callable[[Row, Sequence[Any]], Array]


def _combine_any(row: Row, values: Sequence[Any]) -> Array:
    """Sum coefficient * value with operators only: SymPy numbers, and tensors whose coefficients carry gradients."""
    if not row:
        raise ValueError("a tableau row without coefficients has no value; every stage and output must read something")
    (i, c), *rest = row
    out = values[i] if type(c) in (int, float) and c == 1 else values[i] * c
    for i, c in rest:
        out = out + values[i] * c
    return out


def _combine_numpy(row: Row, values: Sequence[Any]) -> Array:
    (i, c), *rest = row
    if c == 1 and not rest:
        return values[i]
    out = values[i] * c
    for i, c in rest:
        out += values[i] * c
    return out


def _combine_torch(row: Row, values: Sequence[Any]) -> Array:
    i, c = row[0]
    if len(row) == 1:
        return values[i] if c == 1 else values[i] * c
    out = None
    j, d = row[1]
    if c == 1:
        out = values[i].add(values[j], alpha=d)
    elif d == 1:
        out = values[j].add(values[i], alpha=c)
    else:
        out = values[i].mul(c).add_(values[j], alpha=d)
    for i, c in row[2:]:
        out.add_(values[i], alpha=c)
    return out


def combiner(x: Any, tableaus: Iterable[Tableau] = ()) -> Combine:
    """Return the routine that forms linear combinations of values like `x`."""
    which = kind(x)
    if which == "torch" and not any(_has_tensor(tableau) for tableau in tableaus):
        return _combine_torch
    return _combine_numpy if which == "numpy" else _combine_any


def _has_tensor(tableau: Tableau) -> bool:
    return any(
        type(c) is not float and kind(c) == "torch" for row in (*tableau.plan.stages, *tableau.plan.outputs) for _, c in row
    )


Request = tuple[Array, int]
Answer = tuple[Array, Array | None]


def stages(
    tableau: Tableau, y: Sequence[Any], noise: Sequence[Any] = (), combine: Combine = _combine_any
) -> Generator[Request, Answer, list[Any]]:
    """Make one step: yield (Y_i, i) for each stage, be sent (F_i, edited Y_i or None), return the new external values."""
    r, plan = tableau.registers, tableau.plan
    values = [*y, *(None,) * tableau.stages, *noise]
    for i, row in enumerate(plan.stages):
        Y = combine(row, values)
        if tableau.a:
            Y = Y + tableau.a[i]
        F, edited = yield Y, i
        if edited is not None:
            values[0] = edited if Y is values[0] else values[0] + (edited - Y) / tableau.U[i][0]
        values[r + i] = F
    new = [combine(row, values) if row else None for row in plan.outputs]
    return [x + b for x, b in zip(new, tableau.b, strict=True)] if tableau.b else new


def step(tableau: Tableau, y: Sequence[Any], f: Callable[[Array, Level | None], Array], noise: Sequence[Any] = ()) -> list[Any]:
    """Return the external values after one step of `tableau` with the field f(Y, level).

    Parameters
    ----------
    tableau
        The step.
    y
        The r external values.
    f
        The field; the level is None for a steady tableau.
    noise
        One array per noise column.
    """
    run = stages(tableau, y, noise, combiner(y[0], [tableau]))
    try:
        Y, i = next(run)
        while True:
            Y, i = run.send((f(Y, tableau.levels[i]), None))
    except StopIteration as stop:
        return list(stop.value)


@dataclass(frozen=True)
class Native:
    """A tableau rewritten onto a model's own prediction m.

    ``held[i]`` says how stage i keeps what it is told, as a row over (m_i, Y_i); None keeps m_i itself.
    """

    tableau: Tableau
    held: tuple[Row | None, ...]


def native(tableaus: Iterable[Tableau], source: str | Prediction, target: str | Prediction) -> Iterator[Native]:
    """Rewrite a program that combines `target` evaluations for a model that predicts `source`.

    Register j holds y_j / scale_j; an evaluation is held as F/q. A row that merely stores one evaluation, or moves a register, passes its
    factor on to the scale instead of multiplying an array by it.

    Raises
    ------
    ValueError
        If the conversion does not exist at some level (see `numdiff.parameterizations`).
    """
    scale: list[Number] | None = None
    same = get(source) == get(target)
    for tableau in tableaus:
        scale = scale or [1.0] * tableau.registers
        pairs = [
            (0.0, 1.0) if same or tag or level is None else coefficients(level, source=source, target=target)
            for level, tag in zip(tableau.levels, tableau.tags, strict=True)
        ]
        held, scale = _rescale(tableau, [1.0 if is_zero(q) else q for _, q in pairs], scale)
        yield _fold(held, tableau, pairs)


def _rescale(tableau: Tableau, q: Sequence[Number], scale: Sequence[Number]) -> tuple[Tableau, list[Number]]:
    """Return the tableau in held values, and the scales of the registers after it."""

    def times(matrix: Sequence[Sequence[Number]], factors: Sequence[Number]) -> list[list[Number]]:
        return [[x if is_zero(x) else x * f for x, f in zip(row, factors, strict=True)] for row in matrix]

    if all(type(f) is float and f == 1.0 for f in (*q, *scale)):
        return tableau, [1.0] * tableau.registers
    A, U, B, V = times(tableau.A, q), times(tableau.U, scale), times(tableau.B, q), times(tableau.V, scale)
    after: list[Number] = [1.0] * tableau.registers
    noisy = tableau.Nb or ((),) * tableau.registers
    for i in range(1, tableau.registers):
        nonzero = [x for x in (*V[i], *B[i]) if not is_zero(x)]
        if len(nonzero) == 1 and not any(noisy[i]) and not tableau.b:
            after[i] = nonzero[0]
            V[i], B[i] = ([0.0 if is_zero(x) else 1.0 for x in row] for row in (V[i], B[i]))
    return tableau.replace(A=A, U=U, B=B, V=V), after


def _fold(held: Tableau, tableau: Tableau, pairs: Sequence[tuple[Number, Number]]) -> Native:
    """Return how each stage keeps what it is told; an evaluation that only the sample reads is folded into its row."""
    rows = tuple(_held_row(p, q) for p, q in pairs)
    only_sample = held.stages == 1 and all(is_zero(row[0]) for row in held.B[1:])
    if not (only_sample and rows[0] and len(rows[0]) == 2 and held.plan.stages[0] == ((0, 1),) and not held.a):
        return Native(held, rows)
    mix = rows[0][1][1]
    sample = (held.V[0][0] + held.B[0][0] * mix, *held.V[0][1:])
    return Native(held.replace(V=(sample, *held.V[1:])), (None,))


def _held_row(p: Number, q: Number) -> Row | None:
    """Return F/q = m + (p/q) Y as a row over (m, Y); F = p Y where q = 0."""
    if is_zero(q):
        return ((1, p),)
    return None if is_zero(p) else ((0, 1.0), (1, p / q))


@dataclass(frozen=True)
class Question:
    """What a `Machine` asks: the model at sample `x` and `level`, for the field `tag`, in tableau number `index`."""

    x: Array
    level: Level
    tag: str
    index: int


class Machine:
    """An ask/tell run of a program of tableaus.

    Parameters
    ----------
    program
        The tableaus, as rewritten by `native`.
    x
        The sample to start from; never written to.
    noise
        ``noise(index, column)`` returns the standard normal array of that column of tableau number `index`; needed where a tableau has noise.
    copies
        True where the model re-uses its output buffer between calls, so that stored outputs must be copied.

    Attributes
    ----------
    question
        What is asked now; None when the run is over.
    sample
        The sample after the last finished tableau.
    finished
        How many tableaus are finished.
    """

    def __init__(
        self,
        program: Sequence[Native],
        x: Array,
        *,
        noise: Callable[[int, int], Array] | None = None,
        copies: bool = False,
    ) -> None:
        self._program = program
        self._combine = combiner(x, (entry.tableau for entry in program))
        self._noise, self._copies = noise, copies
        self._registers: list[Any] = [x] + [None] * (program[0].tableau.registers - 1)
        self.finished = 0
        self.question: Question | None = None
        self._begin()

    @property
    def sample(self) -> Array:
        """The sample after the last finished tableau."""
        return self._registers[0]

    def ask(self) -> Question | None:
        """Return what the model must be evaluated at, or None when the run is over."""
        return self.question

    def tell(self, F: Array, Y: Array | None = None) -> None:
        """Answer the question.

        Parameters
        ----------
        F
            The model's prediction at the question's (x, level).
        Y
            The sample it was evaluated at, where the driver changed it (inpainting, an exact start): the conversion to what the tableaus
            combine uses it, and the change is added to the sample.

        Raises
        ------
        RuntimeError
            If the run is over.
        """
        if self.question is None:
            raise RuntimeError("the run is over: there is no question to answer")
        held = self._program[self.finished].held[self._stage]
        if held is not None:
            F = self._combine(held, (F, self.question.x if Y is None else Y))
        elif self._copies:
            F = F.clone() if hasattr(F, "clone") else F.copy()
        self._resume((F, Y))

    def _begin(self) -> None:
        """Enter the next tableau; pass through those without evaluations."""
        self.question = None
        if self.finished < len(self._program):
            tableau = self._program[self.finished].tableau
            noise = [self._draw(k) for k in range(tableau.noises)]
            self._run = stages(tableau, self._registers, noise, self._combine)
            self._resume(None)

    def _resume(self, answer: Answer | None) -> None:
        try:
            Y, self._stage = self._run.send(answer)  # type: ignore[arg-type]
        except StopIteration as stop:
            self._registers = stop.value
            self.finished += 1
            self._begin()
            return
        tableau = self._program[self.finished].tableau
        level = tableau.levels[self._stage]
        assert level is not None
        self.question = Question(Y, level, tableau.tags[self._stage], self.finished)

    def _draw(self, column: int) -> Array:
        if self._noise is None:
            raise ValueError("this scheme adds noise: pass noise= or generator=")
        return self._noise(self.finished, column)
