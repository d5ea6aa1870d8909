"""One run of a scheme as a page of Python that needs no numdiff and no other package.

The program is the executor's: the tableaus rewritten for what the model predicts (`numdiff.drivers.program`), zeros
dropped. Consecutive tableaus that combine the same values become one loop over a table of their coefficients; what is
the same in all of them is written into the loop, and the coefficient 1 is not written at all. A shifted history is
therefore a renaming, and the start of a multistep method is a few lines before the loop.

Registers are named x (the sample), y1, y2, ...; evaluations f (f0, f1, ... where there are several); noises n0, n1, ...
Coefficients are written by ``repr``, which gives back the same float. The page uses + and * only, so that NumPy arrays
and torch tensors of any dtype and device will do.
"""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from numdiff.drivers import program
from numdiff.elementary import is_zero
from numdiff.executor import Native
from numdiff.export.statements import assignment, folded, table
from numdiff.export.values import refusal
from numdiff.methods.scheme import Scheme
from numdiff.parameterizations import EDM, Prediction, get
from numdiff.tableau import Row

MEANING = {
    "noise": "the noise eps",
    "data": "the clean sample x_0",
    "v": "v = alpha eps - sigma x_0",
    "velocity": "the velocity dx/dt",
    "flow": "the flow-matching velocity eps - x_0",
    "score": "the score -eps/sigma",
    "edm": "the raw network output F of Karras et al.",
}

LONGEST = 120
"""Longest line of a page."""

Shape = tuple[tuple[int, ...], ...]


def to_python(scheme: Scheme, *, prediction: str | Prediction | None = None) -> str:
    """Return the scheme as Python source with a function ``sample(model, x, noise=None)``.

    Parameters
    ----------
    scheme
        What `Method.discretize` returned.
    prediction
        What ``model(x, t)`` predicts, as in `numdiff.sample`; the scheme's own prediction by default.

    Returns
    -------
    str
        The page. Its function agrees with `numdiff.sample` to rounding (for a plain ODE with `numdiff.solve_ivp`, and
        ``model(x, t)`` is then dx/dt). For a scheme with noise ``noise(index, column)`` is as in `numdiff.sample`.

    Raises
    ------
    TypeError
        If `scheme` is none.
    ValueError
        For coefficients that carry gradients or are arrays, for ``start="exact"``, for fields other than the model's,
        and where the prediction cannot be converted (see `numdiff.parameterizations`).

    Examples
    --------
    A page that needs Python only, and the sample that it returns:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> scheme = nd.GHVB(2, 0.8).discretize(schedule, nd.grids.uniform_log_snr(schedule, 4))
    >>> page = nd.export.to_python(scheme)
    >>> print(page.splitlines()[2])
    # method     GHVB2(0.8), order 2
    >>> model = nd.problems.Gaussian([0.0, 0.0], 0.25).model(schedule)
    >>> space, x = {}, np.ones((3, 2))
    >>> exec(page, space)
    >>> bool(np.allclose(space["sample"](model, x), nd.sample(scheme, model, x, prediction="noise"), rtol=1e-12))
    True
    """
    if not isinstance(scheme, Scheme):
        raise TypeError(f"scheme must be what method.discretize(schedule, grid) returns, got {scheme!r}")
    if scheme.exact_starts:
        raise ValueError('a page cannot ask for exact samples; discretize with start="runge-kutta" or start="lower"')
    wanted = get(scheme.prediction if prediction is None else prediction)
    steps = _steps(program(scheme, wanted))
    tables: list[str] = []
    body: list[str] = []
    for _, group in itertools.groupby(steps, key=lambda step: (step.stages, step.held, step.outputs)):
        made = _segment(list(group))
        tables += made[0]
        body += made[1]
    noisy = any(step.noises for step in steps)
    parts = ["\n".join(_header(scheme)), *tables, "\n".join(["", *_opening(wanted, noisy), *body, "    return x"])]
    return "\n\n".join(parts) + "\n"


# --- a tableau as rows of numbered values -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Step:
    """A tableau as it is written: which values its rows read, and the numbers in the order in which they are read.

    Values are numbered as in `numdiff.tableau.Plan`, and -1 is a bias. ``held`` rows read the prediction (0) and the
    stage's sample (1), and are empty where the prediction itself is kept.
    """

    index: int
    registers: int
    noises: int
    stages: Shape
    held: Shape
    outputs: Shape
    times: tuple[float, ...]
    numbers: tuple[float, ...]


def _steps(entries: Sequence[Native]) -> list[_Step]:
    """Return the program, without the moves of registers that are not set yet."""
    steps, unset = [], set(range(1, entries[0].tableau.registers))
    for index, entry in enumerate(entries):
        steps.append(_step(entry, index, unset))
        unset = {k for k, row in enumerate(steps[-1].outputs) if not row}
    return steps


def _step(entry: Native, index: int, unset: set[int]) -> _Step:
    tableau, place = entry.tableau, f"tableau {index}"
    for tag in tableau.tags:
        if tag:
            raise ValueError(f"{place} evaluates the field {tag!r}; a page has one model only")
    stages = [_row(*pair) for pair in zip(tableau.plan.stages, tableau.a or (0.0,) * tableau.stages, strict=True)]
    outputs = [_row(*pair) for pair in zip(tableau.plan.outputs, tableau.b or (0.0,) * tableau.registers, strict=True)]
    outputs = [() if unset & {i for i, _ in row} else row for row in outputs]
    held = [() if row is None else _row(row, 0.0) for row in entry.held]
    rows = [row for pair in zip(stages, held, strict=True) for row in pair] + outputs
    return _Step(
        index=index,
        registers=tableau.registers,
        noises=tableau.noises,
        stages=_shape(stages),
        held=_shape(held),
        outputs=_shape(outputs),
        times=tuple(_time(level, place) for level in tableau.levels),
        numbers=tuple(_float(c, place) for row in rows for _, c in row),
    )


def _row(row: Row, bias: Any) -> Row:
    """Return the terms in the order of their values, the bias last."""
    return (*sorted(row, key=lambda term: term[0]), *(() if is_zero(bias) else ((-1, bias),)))


def _shape(rows: Sequence[Row]) -> Shape:
    return tuple(tuple(i for i, _ in row) for row in rows)


def _float(x: Any, place: str) -> float:
    if type(x) is not float:
        raise ValueError(f"a coefficient of {place} {refusal(x)}")
    if not math.isfinite(x):
        raise ValueError(f"a coefficient of {place} is {x}; a page needs finite numbers")
    return x


def _time(level: Any, place: str) -> float:
    time = None if level is None else level.model_time
    time = time.item() if isinstance(time, np.generic) else float(time) if isinstance(time, Fraction) else time
    if hasattr(time, "requires_grad"):
        raise ValueError(f"the model time of {place} {refusal(time)}")
    if isinstance(time, bool) or not isinstance(time, (int, float)) or not math.isfinite(time):
        raise ValueError(f"the model time of {place} must be a finite number, got {time!r}")
    return time


# --- a run of tableaus as source --------------------------------------------------------------------------------------


def _segment(steps: list[_Step]) -> tuple[list[str], list[str]]:
    """Return the table and the lines of consecutive steps of one shape."""
    first, last = steps[0], steps[-1]
    columns, texts = folded([(*step.times, *step.numbers) for step in steps], _time_names(first))
    many, indent = len(steps) > 1, " " * 4
    numbered = f"steps {first.index + 1} to {last.index + 1}" if many else f"step {first.index + 1}"
    comment = f"{indent}# {numbered}"
    if not many:
        return [], [comment, *_body(first, texts, indent, str(first.index))]
    name = numbered.upper().replace(" ", "_")
    named = [texts[k] for k in columns]
    rows = [tuple((*step.times, *step.numbers)[k] for k in columns) for step in steps]
    body = _body(first, texts, indent * 2, "i")
    loop = [*_wrapped(_loop(first, len(steps), name, named), indent), *body] if body else []
    return ([table(name, named, rows)] if columns else []), [comment, *loop]


def _time_names(step: _Step) -> list[str]:
    return ["t"] if len(step.times) == 1 else [f"t{k}" for k in range(len(step.times))]


def _loop(first: _Step, count: int, name: str, columns: list[str]) -> str:
    """Return the head of the loop over a table, with the number of the step where noise needs it."""
    start = first.index
    if not columns:
        return f"for {'i' if first.noises else '_'} in range({start}, {start + count}):"
    row = ", ".join(columns)
    if first.noises:
        return f"for i, {row if len(columns) == 1 else f'({row})'} in enumerate({name}, {start}):"
    return f"for {row if len(row) + len(name) < LONGEST - 20 else f'({row})'} in {name}:"


def _wrapped(head: str, indent: str) -> list[str]:
    """Return a loop's head as lines that are not too long: a long row, which is in parentheses, has its own."""
    if len(indent + head) <= LONGEST:
        return [indent + head]
    before, _, rest = head.partition("(")
    row, _, after = rest.partition(")")
    inner = textwrap.wrap(row, LONGEST, initial_indent=indent * 3, subsequent_indent=indent * 3)
    return [f"{indent}{before}(", *inner, f"{indent}){after}"]


def _body(step: _Step, texts: list[str], indent: str, index: str) -> list[str]:
    """Return the statements of one step, `texts` being its times and coefficients."""
    s, numbers = len(step.times), iter(texts[len(step.times) :])
    evaluations = ["f"] if s == 1 else [f"f{k}" for k in range(s)]
    noises = [f"n{k}" for k in range(step.noises)]
    values = [*_registers(step.registers), *evaluations, *noises]
    lines = [f"{indent}{name} = noise({index}, {k})" for k, name in enumerate(noises)]
    for k, (row, held) in enumerate(zip(step.stages, step.held, strict=True)):
        lines += _stage(_terms(row, values, numbers), evaluations[k], texts[k], held, numbers, indent)
    targets = [
        (name, _terms(row, values, numbers))
        for name, row in zip(_registers(step.registers), step.outputs, strict=True)
        if row
    ]
    return lines + assignment([(name, terms) for name, terms in targets if terms != [("", name)]], indent)


def _registers(count: int) -> list[str]:
    return ["x", *(f"y{k}" for k in range(1, count))]


def _terms(row: tuple[int, ...], values: list[str], numbers: Any) -> list[tuple[str, str]]:
    """Return the (coefficient, value) pairs of a row; the coefficient 1 is empty, and so is the value of a bias."""
    terms = [(next(numbers), "" if i < 0 else values[i]) for i in row]
    if row == (-1,):  # a row that is its bias alone has the sample's shape all the same
        terms.append(("0.0", "x"))
    return [("" if c == "1.0" and value else c, value) for c, value in terms]


def _stage(
    terms: list[tuple[str, str]], name: str, time: str, held: tuple[int, ...], numbers: Any, indent: str
) -> list[str]:
    """Return the statements of one evaluation, kept in the form that the later rows read."""
    lines, where = [], terms[0][1]
    if len(terms) > 1 or terms[0][0]:
        where, lines = "z", assignment([("z", terms)], indent)
    call = f"model({where}, {time})"
    return lines + assignment([(name, _terms(held, [call, where], numbers) if held else [("", call)])], indent)


# --- the page around it -----------------------------------------------------------------------------------------------


def _header(scheme: Scheme) -> list[str]:
    """Return what the page is, as a comment; names may hold anything, so they are escaped."""
    import numdiff

    method, schedule = scheme.method, scheme.schedule
    first, last = scheme.ends
    options = ", ".join(f"{key} = {value!r}" for key, value in scheme.options if value is not None)
    facts = {
        "method": f"{method.name}, order {method.order}",
        "reference": method.reference,
        "schedule": "none, a plain ODE dx/dt = f(t, x)" if schedule is None else repr(schedule),
        "grid": f"{scheme.steps} steps from t = {first!r} to {last!r}, {scheme.nfe} evaluations",
        "options": options or "none",
    }
    lines = [f"Written by numdiff {numdiff.__version__}; needs nothing but Python.", ""]
    lines += [f"{key:9}  {value}" for key, value in facts.items()]
    return [f"# {_escaped(line)}".rstrip() for line in lines]


def _escaped(text: str) -> str:
    """Return the text with everything that is not printable (a line's end, say) as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _opening(prediction: Prediction, noisy: bool) -> list[str]:
    """Return the head of the function and its docstring."""
    what = MEANING[prediction.name]
    if isinstance(prediction, EDM):
        what += f" (sigma_data = {float(prediction.sigma_data)!r})"
    noise = "noise(index, column) returns standard normal noise of the shape of x." if noisy else "No noise is added."
    lines = [
        "def sample(model, x, noise=None):",
        '    """Return the sample at the end of the grid.',
        "",
        f"    model(x, t) returns {what}.",
        "    x, the sample at the start, may be a NumPy array or a torch tensor; it decides dtype and device.",
        f"    {noise}",
        '    """',
    ]
    if noisy:
        lines += ["    if noise is None:", '        raise ValueError("this scheme adds noise: pass noise=")']
    return lines
