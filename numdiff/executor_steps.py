"""One step of a tableau: the sums of its rows, and the requests for its evaluations; see `numdiff.executor`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any

from numdiff.elementary import is_zero, kind
from numdiff.executor_native import has_tensor
from numdiff.level import Level
from numdiff.tableau import Row, Tableau

__all__ = ["Array", "Combine", "combiner", "combiner_of", "edit", "outputs", "stage", "stages", "step"]

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

    Examples
    --------
    >>> import numpy as np
    >>> from numdiff.executor import combiner
    >>> combine = combiner(np.zeros(2))
    >>> combine(((0, 1.0), (1, -0.5)), [np.ones(2), np.full(2, 4.0)]).tolist()  # 1 * first - 0.5 * second
    [-1.0, -1.0]
    """
    return combiner_of(x, any(has_tensor((*t.plan.stages, *t.plan.outputs)) for t in tableaus))


def combiner_of(x: Any, generic: bool) -> Combine:
    """Return the routine for values like `x`; a generic one uses operators only."""
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
        For another number of external values than the tableau has, or a stage that reads nothing.

    Examples
    --------
    What ``step`` does, question by question:

    >>> import numdiff as nd
    >>> from numdiff.executor import stages
    >>> run = stages(nd.Heun().steady(h=1), [1.0])
    >>> Y, i = next(run)
    >>> Y, i = run.send((-Y, None))
    >>> Y, i
    (0.0, 1)
    """
    r, plan = tableau.registers, tableau.plan
    if len(y) != r:
        raise ValueError(f"the tableau has {r} registers, but the state has {len(y)}; a program keeps their number")
    values = [*y, *(None,) * tableau.stages, *noise]
    for i, row in enumerate(plan.stages):
        Y = stage(tableau, i, row, values, combine)
        F, edited = yield Y, i
        if edited is not None:
            edit(tableau, i, values, Y, edited)
        values[r + i] = F
    return outputs(tableau, plan.outputs, values, combine)


def stage(tableau: Tableau, i: int, row: Row | int, values: Sequence[Any], combine: Combine) -> Array:
    """Return Y_i; a row that is a number is the pointer move from that value."""
    Y = values[row] if type(row) is int else combine(row, values) if row else None  # type: ignore[arg-type]
    if tableau.a:
        Y = _biased(Y, tableau.a[i], values[0])
    if Y is None:
        raise ValueError(f"stage {i} of the tableau reads nothing; give its row of U, A or a an entry")
    return Y


def outputs(tableau: Tableau, rows: Sequence[Row | int], values: Sequence[Any], combine: Combine) -> list[Any]:
    """Return the new y; a register whose row reads nothing is its bias, or stays unset."""
    new = [values[row] if type(row) is int else combine(row, values) if row else None for row in rows]  # type: ignore[arg-type]
    return [_biased(x, b, values[0]) for x, b in zip(new, tableau.b, strict=True)] if tableau.b else new


def edit(tableau: Tableau, i: int, values: list[Any], Y: Array, edited: Array) -> None:
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

    Returns
    -------
    list
        The r new external values.

    Raises
    ------
    ValueError
        For another number of external values or noises than the tableau has.

    Examples
    --------
    One step of Adams-Bashforth 2 on y' = -y with h = 1/10; the second register is the last evaluation:

    >>> from fractions import Fraction
    >>> import numdiff as nd
    >>> tableau = nd.AdamsBashforth(2).steady(h=Fraction(1, 10))
    >>> y, memory = nd.step(tableau, [Fraction(1), Fraction(-11, 10)], lambda Y, level: -Y)
    >>> print(y, memory)
    181/200 -1
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
