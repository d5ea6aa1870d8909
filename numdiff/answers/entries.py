"""Coefficients that are no list of weights: exponential arrays, and every other steady step entry by entry.

An exponential Runge-Kutta method is shown by its array in phi functions, as it is published; a method that is neither
that nor a multistep method (two fields, two samples, a step to less noise) by the nonzero entries of its steady tableau

    Y_i = sum_j a_ij f_j + sum_j u_ij y_j,    y_i+ = sum_j b_ij f_j + sum_j v_ij y_j.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numdiff.answers.answer import Answer, Line, Setting
from numdiff.answers.noise import drift
from numdiff.methods.exponential_butcher import ExponentialButcher
from numdiff.methods.single_step import SingleStep
from numdiff.symbolic.closed_forms import readable, step_length
from numdiff.symbolic.polynomials import to_sympy
from numdiff.symbolic.steady import H, exact_method, steady


def array_answer(method: Any, setting: Setting) -> Answer:
    """Show the exponential array of a method, in phi."""
    method = exact_method(method)
    h, table = step_length(method, setting.h), method.coefficients()
    h_ = "(1 + tau^2) h" if method.stochastic else "h"
    notes = (
        f"In `X = x/kappa`, `c = {method.kernel}`; the stages sit at `s_n + c_i h`.",
        f"`X_i = e^{{c_i ch}} X_n + {h_} sum_j a_ij f_j` and `X_{{n+1}} = e^{{ch}} X_n + {h_} sum_j b_j f_j`.",
        "`phi_k(z) = int_0^1 e^{(1-t)z} t^{k-1}/(k-1)! dt`.",
        _span(method),
    )
    lines = tuple(_array(table, method.kernel * (H if h is None else h)))
    return Answer(f"Coefficients of {method.name}", lines, (*notes, *drift(method)))


def _span(method: Any) -> str:
    """Say what grid intervals a step covers."""
    if isinstance(method, SingleStep):
        return f"A step of length h covers {method.order} grid intervals, here equal ones; their nodes are its c_i."
    return "A one-step method: its array does not depend on step ratios."


def _array(table: ExponentialButcher, z: Any) -> Iterator[Line]:
    A, b = table.weights(to_sympy(z))
    for i, row in enumerate(A):
        yield from (Line(f"a_{i}{j}", readable(x)) for j, x in enumerate(row))
    yield from (Line(f"b_{j}", readable(x)) for j, x in enumerate(b))
    yield from (Line(f"c_{i}", to_sympy(x)) for i, x in enumerate(table.c))


def entries_answer(method: Any, setting: Setting) -> Answer:
    """Show the nonzero entries of the steady tableau of any other method."""
    method = exact_method(method)
    tableau = steady(method, setting.h)
    if setting.ratio != 1:
        tableau = method.steady(setting.h, ratio=setting.ratio)
    lines = [
        Line(f"{name.lower()}_{i}{j}", readable(x), f"field {tag!r}" if (tag := _field(tableau, name, j)) else "")
        for name in "AUBV"
        for i, row in enumerate(getattr(tableau, name))
        for j, x in enumerate(row)
        if to_sympy(x) != 0
    ]
    notes = [
        "`Y_i = sum_j a_ij f_j + sum_j u_ij y_j` is evaluated, `y_i+ = sum_j b_ij f_j + sum_j v_ij y_j` is kept; y_0 "
        "is the sample over kappa.",
    ]
    if method.kernel:
        notes.append("`phi_k(z) = int_0^1 e^{(1-t)z} t^{k-1}/(k-1)! dt`.")
    else:
        notes.append("The step has length 1; on a step of length h the entries a and b are h times these.")
    return Answer(f"Coefficients of {method.name}", tuple(lines), (*notes, *drift(method)))


def _field(tableau: Any, name: str, j: int) -> str:
    """Return the field that column j of a matrix multiplies, where it is not the model."""
    return tableau.tags[j] if name in "AB" and tableau.tags else ""
