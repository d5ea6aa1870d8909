"""Running a program of tableaus: one step, the ask/tell machine over many, and the loop that most users want.

A step is linear algebra on external values: `_stage` and `_outputs` are the only places where a tableau meets an array,
and `stages` makes a step of them. They run on NumPy arrays, torch tensors and SymPy numbers alike, and on f = z Y a
step is the matrix V + z B (I - z A)^-1 U.

`Machine` turns a program around: it *asks* for the model at (x, level) and is *told* the answer, so that whoever owns
the loop (a sampling function, a pipeline, a test) can drive it. A program may have tableaus with no evaluation or with
several. It reads each tableau flattened (`Native.flat`), so that a step costs little more than torch's own calls.

**Memory.** A row with the single coefficient 1 is a pointer move, so a shifted history costs nothing. Other rows write
one fresh buffer and accumulate into it; nothing that a model, a callback or a caller may hold is ever written to.
Registers not yet set are None and never read.

**Predictions.** A model may predict something other than what the tableaus call f; `numdiff.executor_native` rewrites
the program for it before the run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, NamedTuple

from numdiff.elementary import is_zero, kind
from numdiff.executor_native import Native, dtype_of, has_tensor, native
from numdiff.level import Level
from numdiff.tableau import Row, Tableau

__all__ = ["Machine", "Native", "Question", "combiner", "native", "stages", "step"]

Array = Any
Combine = Callable[[Row, Sequence[Any]], Array]
Request = tuple[Array, int]
Answer = tuple[Array, Array | None]


def _combine_any(row: Row, values: Sequence[Any]) -> Array:
    """Sum coefficient * value with operators only: SymPy numbers, and tensors whose coefficients carry gradients."""
    (i, c), *rest = row
    out = values[i] if type(c) in (int, float) and c == 1 else values[i] * c
    for i, c in rest:
        out = out + values[i] * c
    return out


def _combine_numpy(row: Row, values: Sequence[Any]) -> Array:
    i, c = row[0]
    first = values[i] if type(c) in (int, float) and c == 1 else values[i] * c  # a coefficient may be an array
    if len(row) == 1:
        return first
    j, d = row[1]
    out = values[j] * d
    out += first
    for i, c in row[2:]:
        out += values[i] * c
    return out


def _combine_torch(row: Row, values: Sequence[Any]) -> Array:
    i, c = row[0]
    if type(c) is not float or c != 1.0:
        out, rest = values[i].mul(c), row[1:]
    elif len(row) == 1:
        return values[i]
    else:
        j, d = row[1]
        out, rest = values[i].add(values[j], alpha=d), row[2:]
    for i, c in rest:
        out.add_(values[i], alpha=c)
    return out


def combiner(x: Any, tableaus: Iterable[Tableau] = ()) -> Combine:
    """Return the routine that forms linear combinations of values like `x`.

    Parameters
    ----------
    x
        A value: a NumPy array, a torch tensor, or a number of any kind.
    tableaus
        The tableaus whose rows are to be combined; a tensor among their coefficients is multiplied by operators.

    Returns
    -------
    callable
        ``combine(row, values)``, where `row` has terms (number of the value, coefficient).
    """
    return _combiner(x, any(has_tensor((*t.plan.stages, *t.plan.outputs)) for t in tableaus))


def _combiner(x: Any, generic: bool) -> Combine:
    which = kind(x)
    if which == "torch" and not generic:
        return _combine_torch
    return _combine_numpy if which == "numpy" else _combine_any


def stages(
    tableau: Tableau, y: Sequence[Any], noise: Sequence[Any] = (), combine: Combine = _combine_any
) -> Generator[Request, Answer, list[Any]]:
    """Make one step: yield (Y_i, i) for each stage, be sent (F_i, edited Y_i or None), return the new y.

    Parameters
    ----------
    tableau
        The step.
    y
        The r external values.
    noise
        One array per noise column.
    combine
        What forms the sums, from `combiner`.

    Returns
    -------
    generator
        It yields requests, is sent answers, and returns the new external values.

    Raises
    ------
    ValueError
        For another number of external values or noises than the tableau has.
    """
    r, plan = tableau.registers, tableau.plan
    if len(y) != r:
        raise ValueError(f"the tableau has {r} registers, but the state has {len(y)}; a program keeps their number")
    values = [*y, *(None,) * tableau.stages, *noise]
    for i, row in enumerate(plan.stages):
        Y = _stage(tableau, i, row, values, combine)
        F, edited = yield Y, i
        if edited is not None:
            _edit(tableau, i, values, Y, edited)
        values[r + i] = F
    return _outputs(tableau, plan.outputs, values, combine)


def _stage(tableau: Tableau, i: int, row: Row | int, values: Sequence[Any], combine: Combine) -> Array:
    """Return Y_i; a row that is a number is the pointer move from that value."""
    Y = values[row] if type(row) is int else combine(row, values) if row else None  # type: ignore[arg-type]
    if tableau.a:
        Y = _biased(Y, tableau.a[i], values[0])
    if Y is None:
        raise ValueError(f"stage {i} of the tableau reads nothing; give its row of U, A or a an entry")
    return Y


def _outputs(tableau: Tableau, rows: Sequence[Row | int], values: Sequence[Any], combine: Combine) -> list[Any]:
    """Return the new y; a register whose row reads nothing is its bias, or stays unset."""
    new = [values[row] if type(row) is int else combine(row, values) if row else None for row in rows]  # type: ignore[arg-type]
    return [_biased(x, b, values[0]) for x, b in zip(new, tableau.b, strict=True)] if tableau.b else new


def _edit(tableau: Tableau, i: int, values: list[Any], Y: Array, edited: Array) -> None:
    """Move the sample so that stage i, which was Y, is what the driver made of it."""
    values[0] = edited if Y is values[0] else values[0] + (edited - Y) / tableau.U[i][0]


def _biased(value: Array | None, bias: Any, like: Array) -> Array | None:
    """Add a bias; a row that reads nothing is its bias alone, and without one stays unset."""
    if is_zero(bias):
        return value
    return bias + (0.0 * like if value is None else value)


def step(
    tableau: Tableau, y: Sequence[Any], f: Callable[[Array, Level | None], Array], noise: Sequence[Any] = ()
) -> list[Any]:
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

    Raises
    ------
    ValueError
        For another number of external values or noises than the tableau has.
    """
    if len(noise) != tableau.noises:
        raise ValueError(f"noise must have {tableau.noises} arrays like y[0], one for each column, got {len(noise)}")
    run = stages(tableau, y, noise, combiner(y[0], [tableau]))
    try:
        Y, i = next(run)
        while True:
            Y, i = run.send((f(Y, tableau.levels[i]), None))
    except StopIteration as stop:
        return list(stop.value)


class Question(NamedTuple):
    """What a `Machine` asks: the model at sample `x` and `level`.

    Parameters
    ----------
    x
        The sample, of the shape of the run's.
    level
        Where it is evaluated.
    tag
        The field; "" is the model.
    index
        The number of the tableau.
    """

    x: Array
    level: Level
    tag: str
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here


def _question(*entries: Any) -> Question:
    """Make a question in half the time of its class."""
    return tuple.__new__(Question, entries)


class Machine:
    """An ask/tell run of a program of tableaus.

    Parameters
    ----------
    program
        The tuple of tableaus as rewritten by `native`.
    x
        The sample to start from; never written to.
    noise
        ``noise(index, column)`` returns the standard normal array of that column of tableau number `index`; needed
        where a tableau has noise.
    copies
        True where the model re-uses its output buffer between calls, so that stored outputs must be copied.
    earlier
        The samples before `x`, newest first, where the run goes on from several: registers 1, 2, ... after as many
        tableaus of the program, which are skipped.

    Attributes
    ----------
    question
        What is asked now; None when the run is over.
    sample
        The sample after the last finished tableau.
    finished
        How many tableaus are finished.
    passed
        Number and sample of each tableau that the last answer finished; those without evaluations come along.

    Raises
    ------
    ValueError
        If the tableaus differ in their number of registers, or one has noise and `noise` is missing.
    """

    def __init__(
        self,
        program: Sequence[Native],
        x: Array,
        *,
        noise: Callable[[int, int], Array] | None = None,
        copies: bool = False,
        earlier: Sequence[Array] = (),
    ) -> None:
        self._program = program
        generic = any(entry.has_tensor for entry in program)
        self._combine, self._like = _combiner(x, generic), None if generic else dtype_of(x)
        self._noise, self._copies = noise, copies
        self._registers: list[Any] = [x, *earlier, *(None,) * (program[0].tableau.registers - 1 - len(earlier))]
        self.finished = len(earlier)
        self.passed: list[tuple[int, Array]] = []
        self.question: Question | None = None
        self._enter()

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
            The sample it was evaluated at, where the driver changed it (inpainting, an exact start): the conversion to
            what the tableaus combine uses it, and the change is added to the sample.

        Raises
        ------
        RuntimeError
            If the run is over.
        """
        question = self.question
        if question is None:
            raise RuntimeError("the run is over: there is no question to answer")
        flat, values, i = self._flat, self._values, self._stage
        held = flat.held[i]
        if held is not None:
            F = self._combine(held, (F, question.x if Y is None else Y))
        elif self._copies:
            F = F.clone() if hasattr(F, "clone") else F.copy()
        if Y is not None:
            _edit(flat.tableau, i, values, question.x, Y)
        values[flat.registers + i] = F
        self.passed = []
        if i + 1 < len(flat.stages):
            self._ask(i + 1)
        else:
            self._finish()
            self._enter()

    def _enter(self) -> None:
        """Begin the next tableau, passing through those without evaluations."""
        while self.finished < len(self._program):
            self._flat = flat = self._program[self.finished].flat(self._like)
            noise = [self._draw(k) for k in range(flat.tableau.noises)] if flat.tableau.noises else ()
            if len(self._registers) != flat.registers:
                raise ValueError(
                    f"tableau {self.finished} has {flat.registers} registers, but the state has "
                    f"{len(self._registers)}; a program keeps their number"
                )
            self._values = [*self._registers, *flat.unset, *noise]
            if flat.stages:
                return self._ask(0)
            self._finish()
        self.question = None

    def _ask(self, i: int) -> None:
        """Make the question of stage i."""
        flat = self._flat
        Y = _stage(flat.tableau, i, flat.stages[i], self._values, self._combine)
        level, tag = flat.asks[i]
        self._stage, self.question = i, _question(Y, level, tag, self.finished)

    def _finish(self) -> None:
        """End the tableau."""
        flat = self._flat
        self._registers = registers = _outputs(flat.tableau, flat.outputs, self._values, self._combine)
        self.passed.append((self.finished, registers[0]))
        self.finished += 1

    def _draw(self, column: int) -> Array:
        if self._noise is None:
            raise ValueError("this scheme adds noise: pass noise= or generator=")
        return self._noise(self.finished, column)
