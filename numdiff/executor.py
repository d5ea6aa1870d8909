"""Running a program of tableaus: one step, the ask/tell machine over many, and the loop that most users want.

A step is linear algebra on external values: `stages` is the only place where a tableau meets an array. It runs on NumPy
arrays, torch tensors and SymPy numbers alike, and on f = z Y it is the matrix V + z B (I - z A)^-1 U.

`Machine` turns a program around: it *asks* for the model at (x, level) and is *told* the answer, so that whoever owns
the loop (a sampling function, a pipeline, a test) can drive it. A program may have tableaus with no evaluation or with
several.

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
from numdiff.executor_native import Native, has_tensor, native
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
    if len(row) == 1:
        return values[i] if c == 1 else values[i].mul(c)
    j, d = row[1]
    out = values[i].add(values[j], alpha=d) if c == 1 else values[i].mul(c).add_(values[j], alpha=d)
    for i, c in row[2:]:
        out.add_(values[i], alpha=c)
    return out


def combiner(x: Any, tableaus: Iterable[Tableau] = ()) -> Combine:
    """Return the routine that forms linear combinations of values like `x`."""
    return _combiner(x, any(has_tensor((*t.plan.stages, *t.plan.outputs)) for t in tableaus))


def _combiner(x: Any, generic: bool) -> Combine:
    which = kind(x)
    if which == "torch" and not generic:
        return _combine_torch
    return _combine_numpy if which == "numpy" else _combine_any


def stages(
    tableau: Tableau, y: Sequence[Any], noise: Sequence[Any] = (), combine: Combine = _combine_any
) -> Generator[Request, Answer, list[Any]]:
    """Make one step: yield (Y_i, i) for each stage, be sent (F_i, edited Y_i or None), return the new y."""
    r, plan = tableau.registers, tableau.plan
    if len(y) != r:
        raise ValueError(f"the tableau has {r} registers, but the state has {len(y)}; a program keeps their number")
    values = [*y, *(None,) * tableau.stages, *noise]
    for i, row in enumerate(plan.stages):
        Y = combine(row, values) if row else None
        if tableau.a:
            Y = _biased(Y, tableau.a[i], values[0])
        if Y is None:
            raise ValueError(f"stage {i} of the tableau reads nothing; give its row of U, A or a an entry")
        F, edited = yield Y, i
        if edited is not None:
            values[0] = edited if Y is values[0] else values[0] + (edited - Y) / tableau.U[i][0]
        values[r + i] = F
    new = [combine(row, values) if row else None for row in plan.outputs]
    return [_biased(x, b, values[0]) for x, b in zip(new, tableau.b, strict=True)] if tableau.b else new


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
    """What a `Machine` asks: the model at sample `x` and `level`, for the field `tag`, in tableau number `index`."""

    x: Array
    level: Level
    tag: str
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here


class Machine:
    """An ask/tell run of a program of tableaus.

    Parameters
    ----------
    program
        The tableaus, as rewritten by `native`.
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
        self._combine = _combiner(x, any(entry.has_tensor for entry in program))
        self._noise, self._copies = noise, copies
        self._registers: list[Any] = [x, *earlier, *(None,) * (program[0].tableau.registers - 1 - len(earlier))]
        self.finished = len(earlier)
        self.passed: list[tuple[int, Array]] = []
        self.question: Question | None = None
        self._resume(None)

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
        if self.question is None:
            raise RuntimeError("the run is over: there is no question to answer")
        held = self._program[self.finished].held[self._stage]
        if held is not None:
            F = self._combine(held, (F, self.question.x if Y is None else Y))
        elif self._copies:
            F = F.clone() if hasattr(F, "clone") else F.copy()
        self.passed = []
        self._resume((F, Y))

    def _resume(self, answer: Answer | None) -> None:
        """Run on to the next question, through tableaus without evaluations."""
        while answer is not None or self._enter():
            try:
                Y, self._stage = self._run.send(answer)  # type: ignore[arg-type]
            except StopIteration as stop:
                self._registers, answer = stop.value, None
                self.passed.append((self.finished, self.sample))
                self.finished += 1
            else:
                tableau = self._program[self.finished].tableau
                level = tableau.levels[self._stage]
                assert level is not None
                self.question = Question(Y, level, tableau.tags[self._stage], self.finished)
                return
        self.question = None

    def _enter(self) -> bool:
        """Begin the next tableau, if there is one."""
        if self.finished == len(self._program):
            return False
        tableau = self._program[self.finished].tableau
        noise = [self._draw(k) for k in range(tableau.noises)] if tableau.noises else ()
        self._run = stages(tableau, self._registers, noise, self._combine)
        return True

    def _draw(self, column: int) -> Array:
        if self._noise is None:
            raise ValueError("this scheme adds noise: pass noise= or generator=")
        return self._noise(self.finished, column)
