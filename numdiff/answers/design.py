"""The design that dominates a method, or the trade-off along a family with one symbol, as answers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from numdiff.answers.answer import Answer, Line, Setting

STRETCHES = (Fraction(5, 4), Fraction(3, 2), Fraction(7, 4))
"""Required real intervals of a family, over that of its member without momentum."""

DOMINANCE = "Better: no lower order, no larger |C| and no shorter real interval (-x*, 0), one of them strictly."


def design(method: Any, setting: Setting) -> Answer:
    """Show what is better than a method of numbers, or which members of a family with a symbol are best."""
    from numdiff.design.solve import symbols
    from numdiff.symbolic.steady import exact_method

    return _tradeoff(method) if symbols(exact_method(method)) else _dominated(method)


def _dominated(method: Any) -> Answer:
    from numdiff.design import dominance

    own, found = dominance.merits(method), dominance.dominating(method)
    lines = _merits("of the method", own)
    if found is None:
        why = f"no FilteredAdams of order {own.order} with this C and roots of rho within {dominance.MEMORY} is better"
        return Answer(f"Design beyond {method}", (*lines, Line("better method", None, why)), (DOMINANCE,))
    lines += [Line("better method", str(found.method)), *_merits("of it", found)]
    lines += [Line(str(found.symbol), found.value, "its parameter"), _run(found.nearby, exact=found.value.is_Rational)]
    return Answer(f"Design beyond {method}", tuple(lines), (DOMINANCE, f"Proof: {found.proof}."))


def _merits(whose: str, merits: Any) -> list[Line]:
    """Return the three things by which methods are compared."""
    return [
        Line(f"order {whose}", merits.order),
        Line(f"C {whose}", merits.error_constant, "error constant"),
        Line(f"x* {whose}", merits.real_interval, "real interval (-x*, 0)"),
    ]


def _run(method: Any, *, exact: bool) -> Line:
    """Return how a design with rational parameters is made."""
    options = {"beta": method.beta, "momentum": method.momentum, "error": method.error}
    given = [f"{name}=Fraction({value})" for name, value in options.items() if value]
    called = ", ".join([str(method.order), *(text.replace("/", ", ") for text in given)])
    note = "" if exact else "with a rational parameter nearby, which is better too"
    return Line("run", f"nd.FilteredAdams({called})", note)


def _tradeoff(method: Any) -> Answer:
    from numdiff.design import order_conditions
    from numdiff.properties.order import certified, error_constant
    from numdiff.properties.stability import real_interval

    C, x = error_constant(method), real_interval(method)
    order, symbols = certified(method), C.free_symbols | x.free_symbols
    lines = [Line("order", order), Line("C", C, "error constant"), Line("x*", x, "real interval (-x*, 0)")]
    lines += [Line(f"order {order + 1} where this is 0", c) for c in order_conditions(method, order + 1)]
    if len(symbols) == 1:
        (symbol,) = symbols
        lines += [_least(method, symbol, part * x.subs(symbol, 1)) for part in STRETCHES]
    return Answer(f"Design within {method}", tuple(lines), ("Formulas and optima are for parameters in (0, 2].",))


def _least(method: Any, symbol: Any, wanted: Any) -> Line:
    """Return the member of least error constant with a real interval of the length wanted."""
    from numdiff.design import smallest_error

    label = f"{symbol} of least |C| with x* >= {wanted}"
    try:
        found = smallest_error(method, real_interval=wanted)
    except ValueError as error:
        return Line(label, None, str(error))
    return Line(label, found.value, f"C = {found.error_constant}, x* = {found.real_interval}")
