"""A program of tableaus rewritten for what a model predicts and for what arrays cost.

The tableaus combine evaluations F = f(Y, level), but a model may predict something else, m with F = p Y + q m. Rather
than convert arrays, `native` puts the conversion and every scalar factor it can into the coefficients:

- stage i holds F_i/q_i = m_i + (p_i/q_i) Y_i, one pass over the arrays instead of two, and m_i itself where p_i = 0;
- an evaluation that only the new sample reads is not converted at all: with Y = y_0, B F = (B p) y_0 + (B q) m;
- register j holds y_j/scale_j, where the scale is the coefficient of the one value that its row stores, or of the
  evaluation that its row mixes with older values. A shift register then keeps moving pointers, and a velocity
  v' = (1-beta) v + beta f is kept as v'/beta = f + ((1-beta)/beta) v: one multiplication less.

A field with a tag is a difference of predictions (guidance): it is converted by q alone, since p Y cancels.

The sample is register 0 and its scale is 1, because the model must be given x itself. (A scaled sample whose own
coefficient is 1 would save a multiplication in its row and spend one on x.)
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from numdiff.elementary import Number, is_zero, kind
from numdiff.parameterizations import Prediction, coefficients, get
from numdiff.tableau import Row, Tableau

__all__ = ["Native", "native"]

LARGEST = 16.0
"""Largest coefficient beside an evaluation's 1 in a register kept in its units: float16 has room for that much more."""


@dataclass(frozen=True, slots=True)
class Flat:
    """A rewritten tableau with everything looked up that a machine needs in a step.

    A row that is a pointer move is the number of the value that it moves. ``asks`` has the level and the tag of each
    stage, ``unset`` one None for each.
    """

    tableau: Tableau
    registers: int
    stages: tuple[Row | int, ...]
    outputs: tuple[Row | int, ...]
    held: tuple[Row | None, ...]
    asks: tuple[tuple[Any, str], ...]
    unset: tuple[None, ...]


@dataclass(frozen=True)
class Native:
    """A tableau rewritten onto a model's own prediction m.

    Parameters
    ----------
    tableau
        The rewritten step.
    held
        How stage i keeps what it is told, as a row of terms over (m_i, Y_i); None keeps m_i itself.

    Examples
    --------
    The history of DPM-Solver++ keeps data, so a noise prediction is converted when it comes:

    >>> import numdiff as nd
    >>> from numdiff.executor import native
    >>> schedule = nd.schedules.Flow()
    >>> scheme = nd.DPMSolverPP(2).discretize(schedule, [0.5, 0.25, 0.1])
    >>> first, last = native(scheme, "noise", scheme.prediction)
    >>> first.held  # kept is eps - 2 x at t = 1/2, minus the data
    (((0, 1.0), (1, -2.0)),)
    """

    tableau: Tableau
    held: tuple[Row | None, ...]

    def flat(self, dtype: Any = None) -> Flat:
        """Return the step as a machine reads it, for samples of a torch dtype (`dtype_of`) or others (None).

        It is made once: a run of a step costs little more than its arrays' operations.
        """
        made = self._flats.get(dtype)
        return _flatten(self, dtype) if made is None else made

    @cached_property
    def _flats(self) -> dict[Any, Flat]:
        return {}

    @cached_property
    def has_tensor(self) -> bool:
        """Whether a coefficient is a tensor, which carries a gradient, or differs between the samples of a batch."""
        plan = self.tableau.plan
        return has_tensor((*plan.stages, *plan.outputs, *filter(None, self.held)))

    @cached_property
    def has_array(self) -> bool:
        """Whether a coefficient or a bias is an array with a shape."""
        plan, biases = self.tableau.plan, (*self.tableau.a, *self.tableau.b)
        rows = (*plan.stages, *plan.outputs, *filter(None, self.held))
        numbers = (*(c for row in rows for _, c in row), *biases)
        return any(type(c) is not float and getattr(c, "ndim", 0) for c in numbers)


def dtype_of(x: Any) -> Any:
    """Return the dtype of a plain real torch tensor, whose steps may keep factors as tensors; None for all else."""
    torch = sys.modules.get("torch")
    if torch is None or type(x) is not torch.Tensor or torch.compiler.is_compiling():
        return None  # fake tensors and the like refuse real ones
    return x.dtype if x.dtype.is_floating_point else None


def _flatten(entry: Native, dtype: Any) -> Flat:
    """Return the step as a machine reads it, and keep it."""
    tableau, plan, factor = entry.tableau, entry.tableau.plan, factors(dtype)

    def row(terms: Row) -> Row | int:
        if len(terms) == 1 and type(terms[0][1]) is float and terms[0][1] == 1.0:
            return terms[0][0]
        return tuple((j, factor(c) if n == 0 else c) for n, (j, c) in enumerate(terms))

    made = entry._flats[dtype] = Flat(
        tableau,
        tableau.registers,
        tuple(map(row, plan.stages)),
        tuple(map(row, plan.outputs)),
        entry.held,
        tuple(zip(tableau.levels, tableau.tags, strict=True)),
        (None,) * tableau.stages,
    )
    return made


def _same(c: Number) -> Number:
    return c


def factors(dtype: Any) -> Any:
    """Return what makes of a float, not 1, the number that multiplies tensors of `dtype`.

    torch makes a tensor of a float each time it multiplies with it and casts it, which costs as much as to multiply
    16 thousand numbers. A 0-d tensor on the host has the same effect on a tensor of any device and dtype.
    """
    if dtype is None:
        return _same
    torch = sys.modules["torch"]
    wide = np.float64 if dtype == torch.float64 else np.float32

    def factor(c: Number) -> Any:
        if type(c) is not float or c == 1.0:
            return c
        with torch.inference_mode(False):  # a gradient may be taken through it in a later run
            return torch.from_numpy(np.array(c, dtype=wide))  # whatever mode, transform or default device there is

    return factor


def native(tableaus: Iterable[Tableau], source: str | Prediction, target: str | Prediction) -> Iterator[Native]:
    """Rewrite a program that combines `target` evaluations for a model that predicts `source`.

    Parameters
    ----------
    tableaus
        The program.
    source, target
        What the model predicts and what the tableaus combine, by name or as objects of `numdiff.parameterizations`.

    Returns
    -------
    iterator of Native
        The program, one after another; make a tuple of it for a `Machine`.

    Raises
    ------
    ValueError
        If the conversion does not exist at some level (see `numdiff.parameterizations`).

    Examples
    --------
    A step of one evaluation takes the network's own output, here the velocity, and needs no conversion in the run:

    >>> import numdiff as nd
    >>> from numdiff.executor import native
    >>> scheme = nd.DDIM("data/log-snr").discretize(nd.schedules.Flow(), [0.5, 0.25])
    >>> (entry,) = native(scheme, "velocity", scheme.prediction)
    >>> entry.tableau.B, entry.held
    (((-0.25,),), (None,))
    """
    scale: list[Number] | None = None
    same = get(source) == get(target)
    for tableau in tableaus:
        scale = scale or [1.0] * tableau.registers
        pairs = [
            (0.0, 1.0) if same or level is None else coefficients(level, source=source, target=target)
            for level in tableau.levels
        ]
        pairs = [(0.0, q) if tag else (p, q) for (p, q), tag in zip(pairs, tableau.tags, strict=True)]
        held, scale = _rescale(tableau, [1.0 if is_zero(q) else q for _, q in pairs], scale)
        yield _fold(held, pairs)


def _rescale(tableau: Tableau, q: Sequence[Number], scale: Sequence[Number]) -> tuple[Tableau, list[Number]]:
    """Return the tableau in held values, and the scales of the registers after it."""

    def times(matrix: Sequence[Sequence[Number]], factors: Sequence[Number]) -> list[Sequence[Number]]:
        return [[x if is_zero(x) else x * f for x, f in zip(row, factors, strict=True)] for row in matrix]

    A, U, B, V = times(tableau.A, q), times(tableau.U, scale), times(tableau.B, q), times(tableau.V, scale)
    after: list[Number] = [1.0] * tableau.registers
    for i in range(1, tableau.registers):
        if not tableau.b and not (tableau.Nb and any(tableau.Nb[i])):
            after[i], V[i], B[i] = _in_units(V[i], B[i])
    matrices = {name: tuple(map(tuple, rows)) for name, rows in zip("AUBV", (A, U, B, V), strict=True)}
    return tableau.same_shape(**matrices), after


def _in_units(v: Sequence[Number], b: Sequence[Number]) -> tuple[Number, Sequence[Number], Sequence[Number]]:
    """Return a factor of a register's rows and what is left of them, with a coefficient 1 in it."""
    nonzero = [x for x in (*v, *b) if not is_zero(x)]
    if len(nonzero) == 1:
        return nonzero[0], *([0.0 if is_zero(x) else 1.0 for x in row] for row in (v, b))
    if not (nonzero and all(type(x) is float for x in nonzero)):
        return 1.0, v, b
    unit = max(b, key=abs, default=0.0)
    if abs(unit) * LARGEST < max(map(abs, nonzero)):
        return 1.0, v, b
    return unit, [x / unit for x in v], [x / unit for x in b]


def _fold(held: Tableau, pairs: Sequence[tuple[Number, Number]]) -> Native:
    """Return how each stage keeps what it is told; an evaluation that only the sample reads is folded into its row."""
    rows = tuple(_held_row(p, q) for p, q in pairs)
    only_sample = held.stages == 1 and all(is_zero(row[0]) for row in held.B[1:])
    if not (only_sample and rows[0] and len(rows[0]) == 2 and _is_sample(held.plan.stages[0]) and not held.a):
        return Native(held, rows)
    mix = rows[0][1][1]
    sample = (held.V[0][0] + held.B[0][0] * mix, *held.V[0][1:])
    return Native(held.same_shape(V=(sample, *held.V[1:])), (None,))


def _is_sample(row: Row) -> bool:
    """Tell whether a stage is the sample itself; a coefficient may be an array."""
    return len(row) == 1 and row[0][0] == 0 and bool(is_zero(row[0][1] - 1))


def _held_row(p: Number, q: Number) -> Row | None:
    """Return F/q = m + (p/q) Y as a row over (m, Y); F = p Y where q = 0."""
    if is_zero(q):
        return ((1, p),)
    return None if is_zero(p) else ((0, 1.0), (1, p / q))


def fitted(program: tuple[Native, ...], x: Any) -> tuple[Native, ...]:
    """Return the program with arrays among its coefficients and biases in the dtype, and on the device, of `x`.

    Numbers fit every sample; an array of doubles would make a float32 sample double.
    """

    def fit(c: Number) -> Number:
        if type(c) is float or not getattr(c, "ndim", 0):
            return c
        if kind(x) == "torch":
            torch = sys.modules["torch"]
            return (torch.from_numpy(c) if kind(c) == "numpy" else c).to(dtype=x.dtype, device=x.device)
        if kind(c) == "torch":
            raise TypeError("the scheme's coefficients are tensors: the sample must be a tensor too, got a NumPy array")
        return c.astype(x.dtype, copy=False)

    def fit_row(row: Row | None) -> Row | None:
        return None if row is None else tuple((i, fit(c)) for i, c in row)

    return tuple(
        Native(entry.tableau.map(fit), tuple(map(fit_row, entry.held))) if entry.has_array else entry
        for entry in program
    )


def has_tensor(rows: Iterable[Row]) -> bool:
    """Tell whether a coefficient is a tensor, which carries a gradient or differs between the samples of a batch."""
    return any(type(c) is not float and kind(c) == "torch" for row in rows for _, c in row)
