r"""A tape repeated by NumPy: values and exact derivatives of a traced program.

Of the operations on a `Tape` (`numdiff.optimize.tape`), `Compiled` keeps what the wanted outputs need and groups it: in
every round all operations of one kind whose arguments are known are carried out together, as one NumPy call on rows

    row_i = (m_i, dm_i/dz_1, ..., dm_i/dz_p).                                                                    (1)

Steps of the same shape fall into the same groups, so that the number of calls is that of one step for a multistep
method, however many steps there are. Derivatives are carried forward by the rules of the product, the quotient and the
chain, exact to rounding.

**Compression.** A coefficient depends on few neighbouring variables. Two variables that meet in no output share one
column of (1) (Curtis, Powell and Reid, IMA J. Appl. Math. 13 (1974)): a banded Jacobian costs as many columns as the
band is wide.

**Many points.** A small program spends its time in calling NumPy. `Compiled.many` carries the rows of several z through
the same calls, so that ten points cost two or three evaluations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff.optimize.tape import FUNCTIONS, Operation, Tape, Traced
from numdiff.phi import phis

Array = NDArray[np.float64]

_NEAR, _TERMS = 4.0, 34  # 4^34 / 34! is 1e-18
_BATCH = 300_000  # numbers worked out at once: more do not fit into a processor's cache

_SLOPES: dict[str, Callable[[Array, Array], Array]] = {  # g'(x) from x and g(x)
    "exp": lambda x, g: g,
    "expm1": lambda x, g: g + 1,
    "log": lambda x, g: 1 / x,
    "log1p": lambda x, g: 1 / (1 + x),
    "sqrt": lambda x, g: 0.5 / g,
    "sin": lambda x, g: np.cos(x),
    "cos": lambda x, g: -np.sin(x),
    "arctan": lambda x, g: 1 / (1 + x * x),
}


@dataclass(frozen=True, eq=False)
class Group:
    """Operations of one kind that are carried out together: rows start:stop from rows a (and b)."""

    rule: str
    start: int
    stop: int
    a: NDArray[np.intp]
    b: NDArray[np.intp]
    extra: Any = None


def _run_add(group: Group, rows: Array, out: Array) -> None:
    np.add(rows.take(group.a, 0), rows.take(group.b, 0), out=out)


def _run_sub(group: Group, rows: Array, out: Array) -> None:
    np.subtract(rows.take(group.a, 0), rows.take(group.b, 0), out=out)


def _run_mul(group: Group, rows: Array, out: Array) -> None:
    x, y = rows.take(group.a, 0), rows.take(group.b, 0)
    np.multiply(x, y[..., :1], out=out)
    y *= x[..., :1]
    out[..., 1:] += y[..., 1:]


def _run_div(group: Group, rows: Array, out: Array) -> None:
    x, y = rows.take(group.a, 0), rows.take(group.b, 0)
    quotient = x[..., 0] / y[..., 0]
    np.multiply(y, -quotient[..., None], out=out)
    out += x
    out /= y[..., :1]
    out[..., 0] = quotient


def _run_function(group: Group, rows: Array, out: Array) -> None:
    x = rows.take(group.a, 0)
    value = FUNCTIONS[group.rule](x[..., 0])
    np.multiply(x, _SLOPES[group.rule](x[..., 0], value)[..., None], out=out)
    out[..., 0] = value


def _run_phis(group: Group, rows: Array, out: Array) -> None:
    """Fill the rows of phi_0 .. phi_{count-1}, one block of rows for each; phi_k' = phi_k - k phi_{k+1}."""
    x, count = rows.take(group.a, 0), group.extra
    values = _phis(count + 1, x[..., 0].ravel())
    slopes = values[:-1] - np.arange(count)[:, None] * values[1:]
    out, shape = out.reshape(count, *x.shape), (count, *x.shape[:-1])
    np.multiply(slopes.reshape(*shape, 1), x, out=out)
    out[..., 0] = values[:-1].reshape(shape)


@cache
def _series(count: int, negative: bool) -> Array:
    """Return the coefficients of |z|^j in phi_k(z) or, for z < 0, in e^-z phi_k(z), shape (terms, count)."""
    table = np.zeros((_TERMS, count))
    for j in range(_TERMS):
        for k in range(count):
            if not negative:
                table[j, k] = 1 / math.factorial(j + k)
            elif k:
                table[j, k] = 1 / ((j + k) * math.factorial(j) * math.factorial(k - 1))
    if negative:
        table[0, 0] = 1.0
    return table


def _phis(count: int, z: Array) -> Array:
    """Return phi_0 .. phi_{count-1} of z, shape (count, len(z)).

    Steps are short and of one sign, where the series of `numdiff.phi`'s definition (z > 0) and of its Kummer transform
    e^z M(k, k+1, -z)/k! (z < 0) have positive terms: a few ulp from one product of matrices.
    """
    size = np.abs(z)
    negative = bool(z[0] < 0)
    if not (size.max() <= _NEAR and np.all((z < 0) == negative)):
        return np.array(phis(count, z))
    values = (np.vander(size, _TERMS, increasing=True) @ _series(count, negative)).T
    return np.asarray(values * np.exp(z) if negative else values)


def _run_piecewise(group: Group, rows: Array, out: Array) -> None:
    out[..., 0] = group.extra(rows.take(group.a, 0)[..., 0])


_RULES: dict[str, Callable[[Group, Array, Array], None]] = {
    "add": _run_add,
    "sub": _run_sub,
    "mul": _run_mul,
    "truediv": _run_div,
    "phis": _run_phis,
    "piecewise": _run_piecewise,
}


class Compiled:
    """Outputs of a tape as a function of its variables.

    Parameters
    ----------
    tape
        The trace.
    variables
        Its variables z, shape (n,).
    outputs
        Numbers of the tape, or constants, shape (q,).

    Attributes
    ----------
    variables : int
        Number of variables n.
    outputs : int
        Number of outputs q.
    """

    def __init__(self, tape: Tape, variables: Sequence[Traced], outputs: Sequence[Any]) -> None:
        inputs = [x.index for x in variables]
        wanted = [tape.index(x) for x in outputs]
        needed = _needed(tape, wanted)
        self.variables, self.outputs = len(inputs), len(wanted)
        plan = _Plan(tape, inputs, needed)
        self._program = [(_RULES.get(group.rule, _run_function), group) for group in plan.groups]
        places = plan.places
        reach = _reach(tape, inputs, needed)
        self._columns, self._width = _colours([reach[i] for i in wanted], self.variables)
        size = max(places.values()) + 1
        self._start = np.zeros((size, 1 + self._width))
        self._start[list(plan.constants), 0] = list(plan.constants.values())
        self._start[np.arange(self.variables), 1 + self._columns] = 1.0
        self._wanted = np.array([places[i] for i in wanted], dtype=np.intp)
        pairs = [(k, j) for k, i in enumerate(wanted) for j in _bits(reach[i])]
        self.rows, self.inputs = (np.array(x, dtype=np.intp) for x in (zip(*pairs, strict=True) if pairs else ((), ())))
        self._taken = 1 + self._columns[self.inputs]

    def __call__(self, z: Array) -> tuple[Array, Array]:
        """Return the outputs, shape (q,), and their Jacobian, shape (q, n), at `z`."""
        rows = self.evaluate(z)
        jacobian = np.zeros((self.outputs, self.variables))
        jacobian[self.rows, self.inputs] = rows[self.rows, self._taken]
        return rows[:, 0], jacobian

    def many(self, points: Array) -> tuple[Array, Array]:
        """Return the outputs, shape (k, q), and their Jacobians, shape (k, q, n), at `points`, shape (k, n)."""
        values = np.empty((len(points), self.outputs))
        jacobians = np.zeros((len(points), self.outputs, self.variables))
        share = max(1, _BATCH // self._start.size)
        for first in range(0, len(points), share):
            part = slice(first, first + share)
            rows = self.evaluate(points[part].T)
            values[part] = rows[..., 0].T
            jacobians[part, self.rows, self.inputs] = rows[self.rows, :, self._taken].T
        return values, jacobians

    def evaluate(self, z: Array) -> Array:
        """Return the rows (1) of the outputs, compressed: (q, 1 + p) at z, or (q, k, 1 + p) at k points (n, k)."""
        rows = self._start.copy() if z.ndim == 1 else np.repeat(self._start[:, None], z.shape[1], axis=1)
        rows[: self.variables, ..., 0] = z
        for run, group in self._program:
            run(group, rows, rows[group.start : group.stop])
        return rows.take(self._wanted, 0)


def _needed(tape: Tape, wanted: Sequence[int]) -> list[int]:
    """Return the entries that the wanted ones are made of, in the order of the tape."""
    seen = [False] * len(tape.operations)
    for i in wanted:
        seen[i] = True
    for i in range(len(seen) - 1, -1, -1):
        if seen[i]:
            for j in tape.operations[i][1:3]:
                if j >= 0:
                    seen[j] = True
    return [i for i, kept in enumerate(seen) if kept]


def _reach(tape: Tape, inputs: Sequence[int], needed: Sequence[int]) -> dict[int, int]:
    """Return for every entry the set of variables it depends on, as the bits of an integer."""
    reach = {i: 1 << k for k, i in enumerate(inputs)}
    for i in needed:
        rule, a, b, _ = tape.operations[i]
        if rule != "variable":
            reach[i] = (reach[a] if a >= 0 else 0) | (reach[b] if b >= 0 else 0)
    return reach


def _bits(mask: int) -> list[int]:
    return [k for k in range(mask.bit_length()) if mask >> k & 1]


def _colours(reaches: Sequence[int], variables: int) -> tuple[NDArray[np.intp], int]:
    """Give every variable a column such that two that meet in an output have different ones; first fit."""
    meets = [0] * variables
    for mask in set(reaches):
        for k in _bits(mask):
            meets[k] |= mask
    columns: list[int] = []
    for k in range(variables):
        taken = {columns[j] for j in _bits(meets[k] & ((1 << k) - 1))}
        columns.append(next(c for c in range(variables + 1) if c not in taken))
    return np.array(columns, dtype=np.intp), max(columns, default=-1) + 1


class _Plan:
    """The order in which entries are worked out: always the largest group of operations that is ready.

    Attributes
    ----------
    places
        The row of every entry; variables take the first rows.
    constants
        The constants by row.
    groups
        What to run.
    """

    def __init__(self, tape: Tape, inputs: Sequence[int], needed: Sequence[int]) -> None:
        self.tape = tape
        self.groups: list[Group] = []
        self.places = {i: k for k, i in enumerate(inputs)}
        self.constants: dict[int, float] = {}
        self._users: dict[int, list[int]] = {}
        self._missing: dict[int, int] = {}
        self._ready: dict[Any, list[int]] = {}
        self._phis: dict[int, list[int]] = {}
        for i in needed:
            self._enter(i)
        for i in list(self.places):
            self._know(i)
        row = len(self.places)
        while self._ready:
            row = self._take(row)

    def _enter(self, i: int) -> None:
        rule, a, b, extra = self.tape.operations[i]
        if rule == "constant":
            self.places[i] = len(self.places)
            self.constants[self.places[i]] = extra
        elif rule == "phi":
            self._phis.setdefault(a, []).append(i)
        elif rule != "variable":
            arguments = {j for j in (a, b) if j >= 0}
            self._missing[i] = len(arguments)
            for j in arguments:
                self._users.setdefault(j, []).append(i)

    def _know(self, i: int) -> None:
        """Note that an entry has a row: operations that waited for it alone are ready."""
        for user in self._users.pop(i, ()):
            self._missing[user] -= 1
            if not self._missing[user]:
                self._ready.setdefault(_sort(self.tape.operations[user]), []).append(user)

    def _take(self, row: int) -> int:
        """Make a group of the largest set that is ready, from this row on; return the next free row."""
        members = self._ready.pop(max(self._ready, key=lambda sort: len(self._ready[sort])))
        operations = [self.tape.operations[i] for i in members]
        rule, extra, size = operations[0].rule, operations[0].extra, len(members)
        blocks = 1
        if rule == "phis":
            extra = blocks = max(operation.extra for operation in operations)
        a = [self.places[x.a] for x in operations]
        b = [self.places[x.b] for x in operations if x.b >= 0]
        stop = row + size * blocks
        self.groups.append(Group(rule, row, stop, np.array(a, dtype=np.intp), np.array(b, dtype=np.intp), extra))
        for offset, i in enumerate(members):
            for entry in self._phis.get(i, (i,)):  # phi_k fills the block k
                block = self.tape.operations[entry].extra if rule == "phis" else 0
                self.places[entry] = row + block * size + offset
                self._know(entry)
        return stop


def _sort(operation: Operation) -> Any:
    """Return what operations must share to be carried out together."""
    return (operation.rule, operation.extra) if operation.rule == "piecewise" else operation.rule
