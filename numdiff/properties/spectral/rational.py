r"""The end-to-end gain as an exact rational function of the data's standard deviation s.

Every slope is a quotient of two polynomials of degree one in u = s^2 (formula (1) of the test problem), its denominator
S_i = alpha_i^2 u + sigma_i^2. A run of n evaluations is built from such slopes by additions and multiplications, each
slope entering a product at most once, so that

    gain(u) = P(u)/(S_1 S_2 ... S_n),    deg P <= n.                                                              (1)

P is found exactly by running the scheme itself in rational arithmetic at n + 1 rational values of u and interpolating;
the coefficients of a scheme in floating point enter as the rationals that they are. Factors that P shares with the
denominator are taken out. Where coefficients or levels are symbols, the run is made in symbols instead and brought to
lowest terms at every evaluation, which is for a step or two.

**Exact levels.** A method in a ratio formulation has rational coefficients on rational levels, and so an exact gain
free of all rounding: pass the method and the levels. One DDIM step gives

    (alpha_t alpha_s s^2 + sigma_t sigma_s)/(alpha_s^2 s^2 + sigma_s^2)

in symbols, which is sqrt(S_t/S_s) cos(theta_s - theta_t) with theta = arctan(sigma/(alpha s)). So over a run DDIM loses
the product of these cosines, and it never makes too much variance. On data of one scale s it loses least on N steps of
equal angle, about Theta^2/(2N) of the deviation; for s = 1 those are the steps of a cosine schedule, uniform in time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import sympy as sp

from numdiff.elementary import kind
from numdiff.executor import step
from numdiff.formulations import NOISE_RATIO
from numdiff.level import Level
from numdiff.methods.layout import Layout
from numdiff.methods.multistep import Multistep
from numdiff.methods.scheme import Scheme
from numdiff.properties.spectral.scalar import check_fields, check_scheme, kind_of, slope
from numdiff.symbolic.polynomials import to_sympy
from numdiff.symbolic.steady import exact_method
from numdiff.tableau import Tableau

S = sp.Symbol("s", nonnegative=True)
"""Standard deviation of the data."""

U = sp.Symbol("u")

Program = tuple[tuple[Tableau, ...], str]


def exact(scheme: Any, levels: Sequence[Level] | None = None, *, s: Any = S) -> sp.Expr:
    """Return the end-to-end gain dx_N/dx_0 on data of standard deviation s, exactly.

    Parameters
    ----------
    scheme
        A scheme, whose floats are taken as the rationals that they are; or a multistep method in a ratio formulation,
        together with `levels`.
    levels
        Levels with exact entries (int, Fraction, SymPy rationals or symbols) to lay a method out on, noise first.
    s
        A symbol, or an exact number.

    Returns
    -------
    Expr
        A rational function of s in lowest terms, its denominator in factors; a number where s is one.

    Raises
    ------
    TypeError
        If `scheme` is neither a scheme nor a method with levels, or s is a float (use `response`) or no number.
    ValueError
        As `response`; for a method that has no rational coefficients on rational levels; for start="exact".

    Examples
    --------
    One step of DDIM from alpha = 0.6 to 0.8, exactly, for data of every standard deviation:

    >>> from fractions import Fraction
    >>> import numdiff as nd
    >>> ends = [(Fraction(3, 5), Fraction(4, 5)), (Fraction(4, 5), Fraction(3, 5))]
    >>> levels = [nd.Level(i, alpha, sigma, i) for i, (alpha, sigma) in enumerate(ends)]
    >>> nd.spectral.exact(nd.DDIM(), levels)
    12*(s**2 + 1)/(9*s**2 + 16)

    The exact flow has the square root of a quotient; at s = 1 the two agree:

    >>> nd.spectral.exact(nd.DDIM(), levels, s=1)
    24/25
    """
    tableaus, prediction = _program(scheme, levels)
    s = _checked(s)
    entries = [x for t in tableaus for level in t.levels for x in _scales(level)]
    entries += [c for t in tableaus for row in (*t.plan.stages, *t.plan.outputs) for _, c in row]
    if not all(_rational(x) for x in entries):
        return sp.factor(_run(tableaus, prediction, s**2, to_sympy, sp.cancel))
    exactly = tuple(_in(tableau, _fraction) for tableau in tableaus)
    if s.is_Rational:
        return to_sympy(_run(exactly, prediction, _fraction(s**2)))
    return _interpolated(exactly, prediction).xreplace({U: s**2})


def _program(scheme: Any, levels: Sequence[Level] | None) -> Program:
    """Return the tableaus to run, without biases and noise, and what they combine."""
    if levels is None:
        check_scheme(scheme)
        if scheme.exact_starts:
            raise ValueError('with start="exact" the flow\'s square roots enter, and the gain is not rational in s')
        tableaus, prediction = scheme.tableaus, scheme.prediction
    else:
        tableaus, prediction = _laid_out(scheme, levels)
        check_fields(tableaus)
    return tuple(t.same_shape(a=(), b=(), Na=(), Nb=(), noises=0) for t in tableaus), prediction


def _laid_out(method: Any, levels: Sequence[Level]) -> Program:
    """Return a method's program on exact levels."""
    if isinstance(method, Scheme):
        raise TypeError("a scheme has its levels already; pass levels with a method, or the scheme alone")
    if not isinstance(method, Multistep):
        raise TypeError(
            f"exact levels need a multistep method such as nd.DDIM(), got {method!r}; pass a scheme instead"
        )
    formulation = method.formulation or NOISE_RATIO
    if formulation.c or formulation.prediction == "velocity":
        raise ValueError(
            f"{method.name} in formulation {formulation.name} has no rational coefficients on rational levels; use "
            "noise/ratio or data/ratio, or pass a scheme, whose floats count as the rationals that they are"
        )
    levels = tuple(_exact_level(level) for level in levels)
    if len(levels) <= method.points:
        raise ValueError(f"{method.name} needs at least {method.points + 1} levels, got {len(levels)}")
    nodes = [formulation.node(level) for level in levels]
    for n, (here, there) in enumerate(pairwise(nodes)):
        if here == there:
            raise ValueError(f"levels {n} and {n + 1} have the same sigma/alpha; drop one of them")
    orders = method._full_orders(len(levels) - 1)
    layout = Layout(exact_method(method), None, levels, formulation, "lower", None, orders)
    return tuple(layout.method._program(layout)), formulation.prediction


def _exact_level(level: Any) -> Level:
    """Return the level with its scales exact."""
    if not isinstance(level, Level):
        raise TypeError(f"levels must be nd.Level objects, got {level!r}")
    scales = (to_sympy(x, f"a scale of the level at t = {level.time}") for x in (level.alpha, level.sigma))
    alpha, sigma = (_fraction(x) if x.is_Rational else x for x in scales)
    return replace(level, alpha=alpha, sigma=sigma)


def _checked(s: Any) -> sp.Expr:
    if isinstance(s, (bool, str)) or kind_of(s) not in ("exact", "sympy"):
        raise TypeError(
            f"s must be a symbol or an exact number such as 2 or Fraction(1, 3), got {s!r}; for floats use "
            "nd.spectral.response(scheme, s)"
        )
    s = to_sympy(s)
    if s.is_number and not (s.is_finite and s >= 0):
        raise ValueError(f"s must be finite and not negative: it is a standard deviation, got {s}")
    return s


def _scales(level: Level | None) -> Iterable[Any]:
    assert level is not None  # programs happen somewhere
    return (x for x in (level.alpha, level.sigma, level.d_alpha, level.d_sigma) if x is not None)


def _rational(x: Any) -> bool:
    return kind(x) != "sympy" or bool(x.is_Rational)


def _fraction(x: Any) -> Fraction:
    """Return a rational of any kind, floats included, as a Fraction."""
    x = to_sympy(x)
    return Fraction(int(x.p), int(x.q))


def _in(tableau: Tableau, convert: Any) -> Tableau:
    """Return the tableau and its levels in another kind of numbers."""

    def level_in(level: Level) -> Level:
        names = ("alpha", "sigma", "d_alpha", "d_sigma")
        return replace(level, **{n: convert(x) for n in names if (x := getattr(level, n)) is not None})

    levels = tuple(level_in(level) for level in tableau.levels if level is not None)
    return tableau.map(convert).same_shape(levels=levels)


def _run(tableaus: Sequence[Tableau], prediction: str, u: Any, convert: Any = None, lowest: Any = lambda x: x) -> Any:
    """Return the gain at the variance u, by the executor in exact arithmetic."""
    zero, one = (0, 1) if convert is None else (sp.Integer(0), sp.Integer(1))
    y = [one] + [zero] * (tableaus[0].registers - 1)

    def field(Y: Any, level: Level | None) -> Any:
        assert level is not None  # programs happen somewhere
        return lowest(slope(level, prediction, u) * Y)

    for tableau in tableaus if convert is None else [_in(t, convert) for t in tableaus]:
        y = [zero if x is None else lowest(x) for x in step(tableau, y, field)]
    return y[0]


def _interpolated(tableaus: Sequence[Tableau], prediction: str) -> sp.Expr:
    """Return the gain by formula (1), a function of `U`."""
    squares = [(lv.alpha**2, lv.sigma**2) for t in tableaus for lv in t.levels]  # type: ignore[union-attr]
    points = [Fraction(k) for k in range(1, len(squares) + 2)]
    values = []
    for u in points:
        value = _run(tableaus, prediction, u)
        for alpha2, sigma2 in squares:
            value *= alpha2 * u + sigma2
        values.append(value)
    P = _newton(points, values)
    kept = []
    for square in squares:
        quotient, remainder = _divided(P, square)
        if remainder:
            kept.append(square)
        else:
            P = quotient
    over, top = _primitive(P)
    under: sp.Expr = sp.Integer(1)
    bottom: list[sp.Expr] = []
    for alpha2, sigma2 in kept:
        content, factor = _primitive([sigma2, alpha2])
        under, bottom = under * content, [*bottom, factor]
    return sp.Mul(over / under, top, sp.Pow(sp.Mul(*bottom), -1))


def _primitive(P: Sequence[Fraction]) -> tuple[sp.Rational, sp.Expr]:
    """Return a polynomial in `U`, lowest power first, as a number times one with coprime whole coefficients."""
    content, whole = sp.Poly([to_sympy(c) for c in reversed(P)], U, domain=sp.QQ).primitive()
    return content, whole.as_expr()


def _newton(points: Sequence[Fraction], values: Sequence[Fraction]) -> list[Fraction]:
    """Return the polynomial through the values, lowest power first."""
    differences, n = list(values), len(points)
    for k in range(1, n):
        for i in range(n - 1, k - 1, -1):
            differences[i] = (differences[i] - differences[i - 1]) / (points[i] - points[i - k])
    P = [differences[-1]]
    for x, c in zip(points[-2::-1], differences[-2::-1], strict=True):
        P = [c - x * P[0], *(a - x * b for a, b in pairwise(P)), P[-1]]
    while len(P) > 1 and not P[-1]:
        P.pop()
    return P


def _divided(P: Sequence[Fraction], factor: tuple[Fraction, Fraction]) -> tuple[list[Fraction], Fraction]:
    """Return quotient and remainder of P, lowest power first, by lead u + constant."""
    lead, constant = factor
    if not lead:  # alpha = 0: the factor is a number
        return [c / constant for c in P], Fraction(0)
    root, carry = -constant / lead, Fraction(0)
    sums = [carry := c + root * carry for c in reversed(P)]  # Horner's rule: the last one is P(root)
    return [c / lead for c in sums[-2::-1]] or [Fraction(0)], sums[-1]
