"""Order conditions, leading error, modified equation and order on any grid, as answers.

Signs: errors are exact minus numerical, over one step. F(t) are elementary differentials, f''(f'f, f) and the like.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numdiff.answers.answer import Answer, Line, Setting

LONGEST = 120
"""Operations in a formula beyond which an answer says only how long it is."""

SUM = "`{0}` times the sum over trees of coefficient times `F(t)`; exact minus numerical over one step"


def _power(k: int) -> str:
    """Return h^k."""
    return "h" if k == 1 else f"h^{k}"


@contextmanager
def _naming_topics() -> Iterator[None]:
    """Name the topic for what the library refuses to answer."""
    try:
        yield
    except ValueError as error:
        raise ValueError(str(error).replace("the stiff order conditions", "the topic stiff-order")) from error


@_naming_topics()
def conditions(method: Any, setting: Setting) -> Answer:
    """List the order conditions up to the first order that fails."""
    from numdiff.properties.order import conditions as order_conditions
    from numdiff.properties.order import leading_error as leading
    from numdiff.symbolic.trees import MAX_ORDER

    order = leading(method).order
    lines = []
    for c in order_conditions(method, min(order + 1, MAX_ORDER)):
        verdict = "holds" if c.satisfied else f"should be {c.target}: misses {c.residual}"
        note = f"{c.differential}; gamma = {c.density}, sigma = {c.symmetry}; {verdict}"
        lines.append(Line(f"order {c.order}: {c.name}", c.value, note))
    return Answer(
        f"Order conditions of {method}",
        (Line("order", order), *lines),
        (
            "A tree t counts `1/gamma(t)` in the exact flow; the value is what the map has that the samples follow, "
            "for a Runge-Kutta method the elementary weight. The order is p if all trees of up to p vertices agree.",
        ),
    )


@_naming_topics()
def leading_error(method: Any, setting: Setting) -> Answer:
    """List the coefficients of the leading local error on elementary differentials."""
    from numdiff.properties.order import error_constant, is_multistep
    from numdiff.properties.order import leading_error as leading
    from numdiff.properties.order.consistency import exact_steady
    from numdiff.symbolic.differentials import differential_text
    from numdiff.symbolic.trees import symmetry

    error = leading(method)
    power = error.order + 1
    lines = [Line("order", error.order)]
    if is_multistep(exact_steady(method)):
        lines.append(
            Line("error constant C", error_constant(method), f"the local error is `C {_power(power)} x^({power})`")
        )
    lines += [Line(differential_text(t), value / symmetry(t)) for t, value in error.coefficients if value != 0]
    return Answer(f"Leading error of {method}", tuple(lines), (SUM.format(_power(power)), f"Local error: {error}"))


@_naming_topics()
def modified_equation(method: Any, setting: Setting) -> Answer:
    """Show the two leading terms of the modified equation."""
    from numdiff.properties.order import modified_equation as modified

    equation = modified(method)
    p = equation.order
    lines = [Line("order", p), *(Line(f"f_{k}", equation.term(k), f"times {_power(k)}") for k in (p, p + 1))]
    return Answer(
        f"Modified equation of {method}",
        tuple(lines),
        (
            f"The samples solve `x' = f + {_power(p)} f_{p} + h^{p + 1} f_{p + 1} + O(h^{p + 2})`, once the starting "
            "transients of a method with memory have died out.",
        ),
    )


@_naming_topics()
def any_grid(method: Any, setting: Setting) -> Answer:
    """Show the order on any grid and its proof."""
    import sympy as sp

    from numdiff.properties.order import any_grid as on_any_grid
    from numdiff.properties.order import error_constant, is_multistep
    from numdiff.properties.order.consistency import exact_steady
    from numdiff.properties.order.grids import J

    found = on_any_grid(method)
    lines = [
        Line("order on any grid", found.order),
        Line("order on smooth grids", found.smooth_order, "steps that are a smooth function of equal ones"),
        Line("order on equal steps", found.equal_order),
    ]
    lines += [_line(line.name, line.value, line.text) for line in found.proof if line.value is not None]
    notes = [f"{line.name}: {line.text}." for line in found.proof if line.value is None]
    if len(found.proof) > 1:
        notes.append("R_m: exact minus numerical for `f = u^m`, u in units of the step; local error `C h^{p+1} f^(p)`.")
        lines.append(_line("local error constant C", found.residual))
        if found.order == found.equal_order and is_multistep(exact_steady(method)):
            lines.append(Line("C on equal steps", error_constant(method), "the error constant"))
    shown = sp.Tuple(found.residual, *(line.value for line in found.proof if line.value is not None)).free_symbols
    if J in found.residual.free_symbols:
        notes.append("J: the derivative f' of the field, which acts on the derivative D beside it.")
    if any(symbol.name.startswith("r_") for symbol in shown):
        notes.append("`r_1 = h_n/h_{n-1}`, `r_2 = h_{n-1}/h_{n-2}`, ...; ratios bounded.")
    notes.append("Starting values are exact.")
    return Answer(f"Order of {method} on any grid", tuple(lines), tuple(notes))


def _line(label: str, value: Any, note: str = "") -> Line:
    """Return a line, without its value where that is too long to read."""
    length = value.count_ops()
    if length <= LONGEST:
        return Line(label, value, note)
    return Line(label, None, f"not 0: a formula of {length} operations, which nd.order.any_grid returns")
