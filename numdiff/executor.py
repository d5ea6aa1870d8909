"""Running a program of tableaus: one step, the ask/tell machine over many, and the loop that most users want.

A step is linear algebra on external values: `stage` and `outputs` of `numdiff.executor_steps` are the only places where
a tableau meets an array, and `stages` makes a step of them. They run on NumPy arrays, torch tensors and SymPy numbers
alike, and on f = z Y a step is the matrix V + z B (I - z A)^-1 U.

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

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from numdiff.executor_native import Native, dtype_of, native
from numdiff.executor_steps import Array, combiner, combiner_of, edit, outputs, stage, stages, step
from numdiff.level import Level

__all__ = ["Machine", "Native", "Question", "combiner", "native", "stages", "step"]


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

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> from numdiff.executor import native
    >>> schedule = nd.schedules.VPLinear()
    >>> scheme = nd.DDIM().discretize(schedule, [1.0, 0.5, 0.001])
    >>> program = tuple(native(scheme, "noise", scheme.prediction))
    >>> question = nd.Machine(program, np.ones(2)).ask()
    >>> question.level.model_time, question.tag, question.index
    (1.0, '', 0)
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
        The tuple of tableaus as rewritten by `native`: ``tuple(native(scheme, prediction, scheme.prediction))`` with
        what the model predicts.
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
    TypeError
        If `program` is no tuple (or list) of `Native`, such as a scheme or its tableaus.
    ValueError
        If the tableaus differ in their number of registers, or one has noise and `noise` is missing.

    Examples
    --------
    The loop of ``nd.sample``, with the loop in the caller's hands:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> from numdiff.executor import native
    >>> schedule = nd.schedules.VPLinear()
    >>> scheme = nd.DPMSolverPP(2).discretize(schedule, nd.grids.uniform_log_snr(schedule, 10))
    >>> machine = nd.Machine(tuple(native(scheme, "noise", scheme.prediction)), np.ones(2))
    >>> while (question := machine.ask()) is not None:
    ...     machine.tell(np.tanh(question.x))

    >>> x = nd.sample(scheme, lambda x, t: np.tanh(x), np.ones(2), prediction="noise")
    >>> machine.finished, bool((machine.sample == x).all())
    (10, True)
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
        _check(program)
        self._program = program
        generic = any(entry.has_tensor for entry in program)
        self._combine, self._like = combiner_of(x, generic), None if generic else dtype_of(x)
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
            edit(flat.tableau, i, values, question.x, Y)
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
        Y = stage(flat.tableau, i, flat.stages[i], self._values, self._combine)
        level, tag = flat.asks[i]
        self._stage, self.question = i, _question(Y, level, tag, self.finished)

    def _finish(self) -> None:
        """End the tableau."""
        flat = self._flat
        self._registers = registers = outputs(flat.tableau, flat.outputs, self._values, self._combine)
        self.passed.append((self.finished, registers[0]))
        self.finished += 1

    def _draw(self, column: int) -> Array:
        if self._noise is None:
            raise ValueError("this scheme adds noise: pass noise= or generator=")
        return self._noise(self.finished, column)


def _check(program: Any) -> None:
    """Raise TypeError unless `program` is one, with how it is made."""
    entries = program if isinstance(program, (tuple, list)) else ()
    strangers = [type(entry).__name__ for entry in entries if not isinstance(entry, Native)]
    if not entries or strangers:
        raise TypeError(
            "program must be tuple(native(scheme, prediction, scheme.prediction)), with native from numdiff.executor "
            f"and what the model predicts, got {type(program).__name__}{f' of {strangers[0]}' if strangers else ''}; "
            "nd.sample takes the scheme itself"
        )
