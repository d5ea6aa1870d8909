"""The tableau: one step of an explicit general linear method, as data.

With r external values y (y_0 is the sample; the others are past evaluations, a velocity) and s model evaluations F,

::

    Y_i  = sum_j U_ij y_j + sum_{j<i} A_ij F_j + a_i + sum_k Na_ik n_k       i < s
    F_i  = f(Y_i, level_i)                                                   of the field named tag_i
    y'_i = sum_j V_ij y_j + sum_j B_ij F_j + b_i + sum_k Nb_ik n_k           i < r

a, b are bias vectors and n_k standard normal noises; both may be absent. Entries are of any number type;
`Tableau.to_float` makes the Python floats that a run uses. On the linear field f = z Y a step is the matrix V + z B (I
- z A)^-1 U.

Reference: Butcher, General linear methods, Acta Numerica 15 (2006), section 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from numdiff.elementary import Number, differentiable, is_zero, kind, product
from numdiff.level import Level

__all__ = ["Plan", "Tableau", "one_stage", "to_float"]

MATRICES = ("A", "U", "B", "V", "Na", "Nb")

Matrix = Sequence[Sequence[Number]]
Term = tuple[int, Number]
Row = tuple[Term, ...]


def _matrix(rows: Matrix) -> tuple[tuple[Number, ...], ...]:
    return tuple(map(tuple, rows))


@dataclass(frozen=True)
class Plan:
    """A tableau with its zeros dropped: each row is a sum of coefficient * value.

    Values are numbered y_0 .. y_{r-1}, F_0 .. F_{s-1}, n_0 .. n_{q-1}; a row with the single coefficient 1 is a
    pointer move.

    Parameters
    ----------
    stages, outputs
        For each row its terms (number of the value, coefficient), a coefficient 1 first.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.AdamsBashforth(2).steady().to_float().plan.outputs  # x+ = x + 3/2 F - 1/2 y_1, y_1+ = F
    (((0, 1.0), (1, -0.5), (2, 1.5)), ((2, 1.0),))
    """

    stages: tuple[Row, ...]
    outputs: tuple[Row, ...]


@dataclass(frozen=True, eq=False)
class Tableau:
    """One step of an explicit general linear method.

    Parameters
    ----------
    A, U, B, V
        Matrices of shapes (s, s) strictly lower triangular, (s, r), (r, s), (r, r).
    levels
        Where the s evaluations happen; None in a steady step, which happens nowhere in particular.
    target
        The level of the sample y_0 after the step; None for a step of a steady state.
    tags
        The field that each stage evaluates; "" is the model.
    a, b
        Bias vectors of lengths s and r, numbers or arrays (in the sample's dtype) that broadcast against the sample;
        empty for none.
    Na, Nb
        Noise matrices of shapes (s, q) and (r, q); empty for none.
    clocks
        For each noise the Brownian times between which it is a scaled increment, or None where it belongs to no path.

    Raises
    ------
    ValueError
        If shapes disagree or A is not strictly lower triangular.

    Examples
    --------
    Heun's method on y' = z y multiplies by V + z B (I - z A)^-1 U, which is 1 + z + z^2/2:

    >>> from fractions import Fraction
    >>> import numdiff as nd
    >>> half = Fraction(1, 2)
    >>> heun = nd.Tableau(A=((0, 0), (1, 0)), U=((1,), (1,)), B=((half, half),), V=((1,),))
    >>> z = Fraction(1, 10)
    >>> nd.step(heun, [1], lambda Y, level: z * Y) == [1 + z + z**2 / 2]
    True
    >>> nd.Tableau(A=((1,),), U=((1,),), B=((1,),), V=((1,),))
    Traceback (most recent call last):
        ...
    ValueError: A must be strictly lower triangular: numdiff's methods are explicit
    """

    A: Matrix
    U: Matrix
    B: Matrix
    V: Matrix
    levels: tuple[Level | None, ...] = ()
    target: Level | None = None
    tags: tuple[str, ...] = ()
    a: tuple[Any, ...] = ()
    b: tuple[Any, ...] = ()
    Na: Matrix = ()
    Nb: Matrix = ()
    clocks: tuple[tuple[Number, Number] | None, ...] = ()
    noises: int = field(init=False)

    def __post_init__(self) -> None:
        """Normalise to tuples and check every shape."""
        entries = self.__dict__  # a step may be made 1000 times a run, and object.__setattr__ is slow
        for name in MATRICES:
            entries[name] = _matrix(entries[name])
        s, r, q = len(self.A), len(self.V), len((*self.Na, *self.Nb, ())[0])
        entries.update(
            levels=tuple(self.levels) or (None,) * s,
            tags=tuple(self.tags) or ("",) * s,
            a=tuple(self.a),
            b=tuple(self.b),
            noises=q,
            clocks=tuple(self.clocks) or (None,) * q,
        )
        self._check(s, r)

    def _check(self, s: int, r: int) -> None:
        q = self.noises
        for name, rows, columns in (("A", s, s), ("U", s, r), ("B", r, s), ("V", r, r), ("Na", s, q), ("Nb", r, q)):
            matrix = self.__dict__[name]
            if not matrix and name in ("Na", "Nb"):
                continue
            if len(matrix) != rows or {*map(len, matrix)} - {columns}:
                raise ValueError(
                    f"{name} must have shape ({rows}, {columns}); A is (s, s), U (s, r), B (r, s), V (r, r)"
                )
        for name, length in (("levels", s), ("tags", s), ("a", s), ("b", r)):
            if len(getattr(self, name)) not in ((length,) if name in ("levels", "tags") else (0, length)):
                raise ValueError(f"{name} must have {length} entries, got {len(getattr(self, name))}")
        if len(self.clocks) != q:
            raise ValueError(f"clocks must have one entry per noise ({q}), got {len(self.clocks)}")
        if not all(_known_zero(x) for i, row in enumerate(self.A) for x in row[i:]):
            raise ValueError("A must be strictly lower triangular: numdiff's methods are explicit")

    @property
    def stages(self) -> int:
        """Number s of model evaluations."""
        return len(self.A)

    @property
    def registers(self) -> int:
        """Number r of external values."""
        return len(self.V)

    @cached_property
    def plan(self) -> Plan:
        """The rows as pruned sums, which is what the executor reads."""
        s, r, q = self.stages, self.registers, self.noises
        Na, Nb = self.Na or ((0,) * q,) * s, self.Nb or ((0,) * q,) * r
        return Plan(
            stages=tuple(_row(*entry) for entry in zip(self.U, self.A, Na, strict=True)),
            outputs=tuple(_row(*entry) for entry in zip(self.V, self.B, Nb, strict=True)),
        )

    def map(self, convert: Callable[[Number], Number]) -> Tableau:
        """Return the tableau with `convert` applied to every coefficient and bias (levels stay)."""
        changes: dict[str, Any] = {n: tuple([tuple(map(convert, row)) for row in getattr(self, n)]) for n in MATRICES}
        return self.same_shape(**changes, a=tuple(map(convert, self.a)), b=tuple(map(convert, self.b)))

    def to_float(self) -> Tableau:
        """Return the tableau in Python floats, except tensors that carry gradients, which stay 0-d tensors."""
        return self.map(to_float)

    def with_noise(self, scale: Number, clock: tuple[Number, Number] | None = None, *, stages: bool = False) -> Tableau:
        """Return the step with one noise of standard deviation `scale` on the new sample (and on every stage).

        A step whose scale is 0 adds none.
        """
        if _known_zero(scale):
            return self
        on_stages = ((scale if stages else 0,),) * self.stages
        on_outputs = ((scale,), *((0,),) * (self.registers - 1))
        return self.same_shape(Na=on_stages, Nb=on_outputs, clocks=(clock,), noises=1)

    def scaled(self, factor: Number) -> Tableau:
        """Return the step with `factor` times the new sample, noise and bias included."""
        changes: dict[str, Any] = {"b": tuple([factor * x if i == 0 else x for i, x in enumerate(self.b)])}
        for name in ("V", "B", "Nb"):
            rows = getattr(self, name)
            changes[name] = [[product(factor, x) for x in row] if i == 0 else row for i, row in enumerate(rows)]
        return self.replace(**changes)

    def replace(self, **changes: Any) -> Tableau:
        """Return a copy with some fields changed, checked as a new one would be."""
        return Tableau(**({name: self.__dict__[name] for name in _ARGUMENTS} | changes))

    def same_shape(self, **changes: Any) -> Tableau:
        """Return a copy with some fields changed to tuples of the same shapes; for programs, unchecked and so fast."""
        copy = object.__new__(Tableau)
        copy.__dict__.update(self.__dict__, **changes)
        copy.__dict__.pop("plan", None)
        return copy

    def __repr__(self) -> str:
        """Show the coefficients and leave out what is empty."""
        shown = [f.name for f in fields(self) if f.name not in ("levels", "target", "noises", "clocks", "tags")]
        body = ", ".join(f"{n}={getattr(self, n)!r}" for n in shown if getattr(self, n))
        return f"Tableau({body})"


_ARGUMENTS = tuple(f.name for f in fields(Tableau) if f.init)


def to_float(x: Number) -> Number:
    """Return `x` as a Python float (never a NumPy scalar, which would promote a float32 state).

    Parameters
    ----------
    x
        An exact number, a float, a NumPy scalar, a SymPy number or a tensor.

    Returns
    -------
    float
        The number; a tensor that carries a gradient, and an array with a shape, as they are.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from numdiff.tableau import to_float
    >>> to_float(Fraction(3, 2))
    1.5
    """
    if type(x) is float:
        return x
    if type(x) is int:
        return float(x)
    if differentiable(x):
        return x
    if kind(x) in ("numpy", "torch") and x.ndim:
        return x
    return float(x)


def _known_zero(x: Number) -> bool:
    return x == 0 if type(x) in (float, int) else is_zero(x)


def _row(*parts: Sequence[Number]) -> Row:
    """Return the terms that are not zero, a coefficient 1 first: it needs no multiplication."""
    row = [(i, c) for i, c in enumerate([x for part in parts for x in part]) if not _known_zero(c)]
    unit = next((k for k, (_, c) in enumerate(row) if type(c) is float and c == 1.0), 0)
    return (*row[unit : unit + 1], *row[:unit], *row[unit + 1 :])


def one_stage(
    sample: Sequence[Number],
    new: Sequence[Number],
    *,
    level: Level | None = None,
    target: Level | None = None,
) -> Tableau:
    """Return the tableau with one evaluation F at the sample itself, and a shift register.

    Parameters
    ----------
    sample
        Coefficients (F, y_0, ..., y_{r-1}) of the new sample.
    new
        Coefficients (F, y_0, ..., y_{r-1}) of the new first memory register y_1; y_j moves to y_{j+1} for j >= 1.
    level
        Where the evaluation happens; None for a steady step.
    target
        The level of the sample after the step; None for a steady one.

    Returns
    -------
    Tableau
        With one stage and as many registers as `sample` has coefficients beside that of F.

    Examples
    --------
    Adams-Bashforth of order 2, whose one memory register is the last evaluation:

    >>> from fractions import Fraction
    >>> from numdiff.tableau import one_stage
    >>> one_stage([Fraction(3, 2), 1, Fraction(-1, 2)], [1, 0, 0]).to_float()
    Tableau(A=((0.0,),), U=((1.0, 0.0),), B=((1.5,), (1.0,)), V=((1.0, -0.5), (0.0, 0.0)))
    """
    r = len(sample) - 1
    shift = [[1 if j == i - 1 else 0 for j in range(r)] for i in range(2, r)]
    return Tableau(
        A=((0,),),
        U=((1, *(0,) * (r - 1)),),
        B=((sample[0],), (new[0],), *((0,),) * (r - 2))[:r],
        V=(tuple(sample[1:]), tuple(new[1:]), *shift)[:r],
        levels=(level,),
        target=target,
    )
