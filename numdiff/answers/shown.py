"""One value of an answer as text, LaTeX and plain data; see `render`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

from numdiff.answers.expressions import APPROXIMATELY, DIGITS, expression, mathml, text

DASH = "-"

_RELATIONS = {"==": ("=", "="), "!=": ("!=", r"\ne"), "<=": ("<=", r"\le"), ">=": (">=", r"\ge")}
_RELATIONS |= {"<": ("<", "<"), ">": (">", ">")}


@dataclass(frozen=True)
class Shown:
    """A value in two notations: text, and LaTeX without dollar signs (None for a string)."""

    text: str
    latex: str | None = None


def exact(value: Any) -> Any:
    """Return a value as a SymPy object, a string or None; a float becomes a decimal, nan nothing."""
    import numpy as np
    import sympy as sp

    if isinstance(value, (bool, np.bool_)) or value in (sp.true, sp.false):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        if math.isnan(value):
            return None
        return sp.Float(float(value)) if math.isfinite(value) else sp.oo * (1 if value > 0 else -1)
    if isinstance(value, sp.Poly):
        return value.as_expr()
    return (
        None
        if value is None or value is sp.nan
        else value
        if isinstance(value, str)
        else sp.sympify(value, strict=True)
    )


def show(value: Any, names: Any = None) -> Shown:
    """Return a value as text and LaTeX; `names` as in `numdiff.answers.expressions.expression`.

    Raises
    ------
    TypeError
        If it is nothing that an answer may hold.
    """
    import sympy as sp

    from numdiff.symbolic import latex

    if isinstance(value, Shown):
        return value
    value = _checked(value)
    if value is None:
        return Shown(DASH)
    if isinstance(value, str):
        return Shown(value)
    if isinstance(value, sp.core.relational.Relational):
        left, right = show(value.lhs, names), show(value.rhs, names)
        plain, math_ = _RELATIONS[value.rel_op]
        return Shown(f"{left.text} {plain} {right.text}", f"{left.latex} {math_} {right.latex}")
    if isinstance(value, sp.Expr):
        return _expression(value, names)
    return Shown(_logic(value), sp.latex(latex.short(value, names)))


def _logic(value: Any) -> str:
    """Return a set, a statement about one, or statements combined, as text."""
    import sympy as sp

    if isinstance(value, sp.Interval):
        ends = f"{show(value.start).text}, {show(value.end).text}"
        return f"{'(' if value.left_open else '['}{ends}{')' if value.right_open else ']'}"
    if isinstance(value, sp.FiniteSet):
        return f"{{{', '.join(show(member).text for member in value)}}}"
    if isinstance(value, sp.Contains):
        return f"{show(value.args[0]).text} in {show(value.args[1]).text}"
    words = {sp.Union: " or ", sp.Or: " or ", sp.And: " and "}.get(type(value))
    return words.join(show(part).text for part in value.args) if words else str(value)


def _checked(value: Any) -> Any:
    try:
        return exact(value)
    except ValueError as error:  # SymPy's SympifyError
        raise TypeError(f"an answer cannot show a {type(value).__name__}: {value!r}") from error


def _expression(value: Any, names: Any) -> Shown:
    import sympy as sp

    from numdiff.symbolic import latex

    if value in (sp.oo, -sp.oo):
        sign = "-" if value == -sp.oo else ""
        return Shown(f"{sign}infinity", rf"{sign}\infty")
    if value.has(sp.Float):
        return _decimal(value)
    plain, formula = text(value, names), latex.math(value, names)
    if not value.is_number or not value.is_real:
        return Shown(plain, formula)
    if plain != str(value):  # a decimal stands for something longer
        return Shown(f"≈ {plain}", formula)
    decimal = f"{float(value):.{DIGITS}g}"
    if value.is_Integer or decimal == plain:
        return Shown(plain, formula)
    whole = value.is_Rational and Fraction(decimal) == Fraction(int(value.p), int(value.q))
    signs = ("=", "=") if whole else ("≈", r"\approx")
    more = "" if formula.startswith(r"\approx") or "e" in decimal else f" {signs[1]} {decimal}"
    return Shown(f"{plain} {signs[0]} {decimal}", formula + more)


def _decimal(value: Any) -> Shown:
    """Return a number that was measured, or a formula with such numbers in it, rounded to `DIGITS` digits."""
    import sympy as sp

    rounded = value.xreplace({number: sp.Float(number, DIGITS) for number in value.atoms(sp.Float)})
    if value.is_number and value.is_real:
        number = sp.Float(value, DIGITS)
        return Shown(f"≈ {float(number):.{DIGITS}g}", rf"\approx {sp.latex(number)}")
    return Shown(str(rounded), sp.latex(rounded))


def record(value: Any, names: Any = None) -> Any:
    """Return a value as plain data: text, exact text, float, LaTeX and MathML of a formula; a string; None."""
    import sympy as sp

    value = _checked(value)
    if value is None or isinstance(value, str):
        return value
    shown = show(value, names)
    if value.is_Float:
        rounded = mathml(sp.Float(value, DIGITS))
        code = f"<math>{APPROXIMATELY}{rounded}</math>"
        return {"text": shown.text, "exact": None, "float": float(value), "latex": shown.latex, "mathml": code}
    real = value.is_real is not False if value.is_number else not value.has(sp.Float)
    if isinstance(value, sp.Expr) and real:
        return expression(value, names)
    if isinstance(value, sp.core.relational.Relational) and real:
        return {**cast(dict[str, Any], expression(value, names)), "text": shown.text, "latex": shown.latex}
    return {"text": shown.text, "exact": sp.sstr(value), "float": None, "latex": shown.latex, "mathml": None}
