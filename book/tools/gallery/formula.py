r"""One step of a method as LaTeX, read off its exact steady tableau.

The external values of a tableau have no names. They get them from what the step does with them: y_0 is the scaled
sample X; a value that only takes over a stage's evaluation is an old evaluation, one that only takes over another
external value is the older one of it, and whatever is mixed anew in every step is a velocity v.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from numdiff.methods.exponential_butcher import ExponentialButcher
from numdiff.symbolic import latex
from numdiff.symbolic.polynomials import to_sympy
from numdiff.symbolic.readable import readable
from numdiff.symbolic.steady import H, exact_method
from numdiff.tableau import Tableau

Row = Sequence[sp.Expr]


@dataclass(frozen=True)
class Name:
    """A letter with a time: the value at step n + `at`, where stage `stage` of several is meant."""

    letter: str
    at: int
    stage: int | None = None
    field: str = ""

    def __str__(self) -> str:
        """Return it as LaTeX."""
        time = "n" if self.at == 0 else f"n{self.at:+d}"
        index = time if self.stage is None else f"{time}, {self.stage}"
        return f"{self.letter}_{{{index}}}"

    def older(self) -> Name:
        """Return the same value one step before."""
        return Name(self.letter, self.at - 1, self.stage, self.field)


def steady(method: Any) -> Tableau:
    """Return the exact steady tableau with the step length as the symbol h, also where it is a factor only."""
    method = exact_method(method)
    try:
        return method.steady(H)
    except (TypeError, ValueError):
        return method.steady()


def align(method: Any) -> str:
    """Return the equations of one step as the body of an ``aligned`` environment; raise ``ValueError`` without any."""
    tableau = steady(method)
    A, U, B, V = ([[to_sympy(x) for x in row] for row in getattr(tableau, name)] for name in "AUBV")
    stages = [_stage(i, A, U, tableau.tags) for i in range(len(A))]
    values = _values(B, V, stages)
    lines = [
        line
        for i, (F, Y, at) in enumerate(stages)
        if not _at_sample(A[i], U[i])
        for line in (f"{Y} &= {_sum(U[i], values, A[i], stages)}", f"{F} &= {at}")
    ]
    outputs = [(0, Name("X", 1))]
    outputs += [(i, Name("v", 1)) for i, name in enumerate(values) if name.letter == "v" and name.at == 0]
    lines += [f"{name} &= {_sum(V[i], values, B[i], stages)}" for i, name in outputs]
    return r" \\ ".join(lines)


def _at_sample(a: Row, u: Row) -> bool:
    """Tell whether a stage sits at the sample itself."""
    return u[0] == 1 and not any(u[1:]) and not any(a)


def _stage(i: int, A: Sequence[Row], U: Sequence[Row], tags: Sequence[str]) -> tuple[Name, Name, str]:
    """Return the names of a stage's evaluation and sample, and the evaluation written out."""
    letter = "g" if tags and tags[i] else "f"
    if _at_sample(A[i], U[i]):
        same = sum(_at_sample(A[j], U[j]) and tags[j : j + 1] == tags[i : i + 1] for j in range(i))
        return Name(letter, 0, same or None), Name("X", 0), ""
    if len(A) == 1:  # a predictor's sample is the next one
        Y = Name(r"\tilde X", 1)
        return Name(r"\tilde f", 1), Y, f"f({Y})"
    return Name(letter, 0, i + 1), Name("Y", 0, i + 1), f"{letter}({Name('Y', 0, i + 1)})"


def _values(B: Sequence[Row], V: Sequence[Row], stages: Sequence[Any]) -> list[Name]:
    """Return what the external values are called at the beginning of a step."""
    names: list[Name | None] = [Name("X", 0), *[None] * (len(V) - 1)]
    for i in range(1, len(V)):
        units = [k for k, x in enumerate(B[i]) if x != 0]
        if not any(V[i]) and len(units) == 1 and B[i][units[0]] == 1:
            names[i] = stages[units[0]][0].older()
    for _ in range(len(V)):  # a chain of old values is as long as there are values
        for i in range(1, len(V)):
            from_ = [j for j, x in enumerate(V[i]) if x != 0]
            moved = not any(B[i]) and len(from_) == 1 and V[i][from_[0]] == 1 and from_[0] != i
            if names[i] is None and moved and names[from_[0]] is not None:
                names[i] = names[from_[0]].older()  # type: ignore[union-attr]
        for i in range(1, len(V)):
            mixed = any(B[i]) or sum(x != 0 for x in V[i]) > 1
            if names[i] is None and mixed and not any(name and name.letter == "v" for name in names):
                names[i] = Name("v", 0)
    if None in names:
        raise ValueError("the values that a step keeps have no plain meaning; its matrices are below")
    return [name for name in names if name is not None]


def _sum(on_values: Row, values: Sequence[Name], on_stages: Row, stages: Sequence[Any]) -> str:
    """Return a row as a sum, evaluations inside h (...) where that takes h out of all of them."""
    kept = [(x, str(name)) for x, name in zip(on_values, values, strict=True) if x != 0]
    samples = [(x, name) for x, name in kept if name.startswith(("X", "v"))]
    asked = [(x, str(F)) for x, (F, _, _) in zip(on_stages, stages, strict=True) if x != 0]
    asked += [term for term in kept if term not in samples]
    inside = [(sp.cancel(x / H) if not x.has(sp.exp, sp.Function) else x, name) for x, name in asked]
    if len(asked) > 1 and not any(x.has(H) for x, _ in inside):
        return " ".join(filter(None, [_terms(samples), rf"+ h \left({_terms(inside)}\right)"]))
    return _terms([*samples, *asked])


def _terms(terms: Iterable[tuple[sp.Expr, str]]) -> str:
    text = ""
    for x, name in terms:
        factor = latex.math(readable(x)) if x not in (1, -1) else "" if x == 1 else "-"
        if sp.Add.make_args(readable(x))[1:]:
            factor = rf"\left({factor}\right)"
        sign = "" if not text else " " if factor.startswith("-") else " + "
        text += f"{sign}{factor} {name}" if factor else f"{sign}{name}"
    return text


def butcher(method: Any) -> str:
    """Return the array of a Runge-Kutta method, classical or exponential, as LaTeX."""
    table = exact_method(method).coefficients()
    exponential = isinstance(table, ExponentialButcher)
    A, b = table.weights(to_sympy(method.kernel * H)) if exponential else (table.A, table.b)
    rows = [[c, *(x if j < i else "" for j, x in enumerate(_padded(row, len(b))))] for i, (c, row) in _rows(table.c, A)]
    rows.append(["", *b])
    lines = [" & ".join("" if x == "" else latex.math(readable(to_sympy(x))) for x in row) for row in rows]
    lines[-1] = rf"\hline {lines[-1]}"
    columns = "c" * len(b)
    return rf"\begin{{array}}{{c|{columns}}} " + r" \\ ".join(lines) + r" \end{array}"


def _rows(c: Row, A: Sequence[Row]) -> Iterable[tuple[int, tuple[sp.Expr, Row]]]:
    return enumerate(zip(c, A, strict=True))


def _padded(row: Row, length: int) -> list[Any]:
    return [*row, *[""] * (length - len(row))]
