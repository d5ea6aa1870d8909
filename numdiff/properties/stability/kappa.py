r"""Stability in step length and damping together: exponential methods, and the diffusion test problem.

**Exponential methods.** On X' = c X + z X the intervals of z depend on the step length h through q = e^{-h}. They are
derived as formulas in h and the damping and proved for all of them (`numdiff.symbolic.parametric`).

**The diffusion test problem.** Data N(0, s^2) have the denoised estimate x_0 = kappa x/alpha with a kappa in (0, 1),
and the derivative of x_0 by x/alpha plays that part elsewhere: negative or beyond 1 where the model (or guidance) makes
it so. The noise is then eps = (1 - kappa) x/sigma, and with the half log-SNR lambda

    d(x/alpha)/d lambda = (kappa - 1) x/alpha.

So kappa = 1 is neutral, larger kappa repels, and a method should keep x/alpha bounded for every smaller kappa. On
levels equally spaced in log-SNR, by h, the steps of every noise and data formulation repeat, when each stored
evaluation is measured in units of the coming step:

    data, log-SNR     f = x_0 = kappa X                X = x/alpha                  z = kappa
    noise, log-SNR    f = eps = -(1 - kappa) X         X = -x/sigma, x/alpha ~ qX   z = kappa - 1
    data, ratio       d f = (r - 1) kappa X            X = x/sigma,  x/alpha ~ qX   z = (r - 1) kappa,  r = e^h
    noise, ratio      d f = (r - 1) (1 - kappa) X      X = x/alpha                  z = (r - 1)(1 - kappa),  r = e^{-h}

where "~ qX" says that roots zeta in X count as q zeta, and stages at s_n + c_i d of Runge-Kutta methods see (r - 1)/(1
+ c_i (r - 1)) in place of r - 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import sympy as sp

from numdiff.elementary import kind
from numdiff.formulations import NOISE_RATIO, VELOCITY_TIME, Formulation
from numdiff.methods.base import Method
from numdiff.methods.ghvb import GHVB
from numdiff.symbolic.intervals import DAMPING, interval
from numdiff.symbolic.parametric import Parameters, Q, UncertifiedError, certified_end, lowered
from numdiff.symbolic.phi import phi
from numdiff.symbolic.polynomials import ZETA, Z, stability_polynomial, to_sympy
from numdiff.symbolic.steady import H, exact_method, one_field
from numdiff.tableau import Tableau

KAPPA = sp.Symbol("kappa")

COTH = sp.Symbol("c", positive=True)
"""coth(h/2), while a formula is put into factors."""

EASY = 2
"""Degree in zeta up to which the imaginary interval is tried with the step length open; it ends at a surd beyond."""

MOST_OPEN = 3
"""Points up to which the diffusion interval is tried with step length and damping open; a failed proof takes long."""

REMEDY = "give the step length or the damping a number, such as h=0.1"

DIGITS = 60
"""Digits of e^{-h} where it is rounded: weights divide by h^8 at most, which leaves 20 for h > 1e-4."""

SAMPLE = {H: sp.Rational(1, 2), Q: sp.exp(-sp.Rational(1, 2)), COTH: sp.Integer(4)}


def diffusion_polynomial(method: Any) -> sp.Poly:
    """Return the polynomial in `ZETA` and `KAPPA` whose roots multiply x/alpha per step where x_0 = kappa x/alpha.

    Parameters
    ----------
    method
        A method with a noise or data formulation (None is noise/ratio); its damping may be a symbol.

    Returns
    -------
    Poly
        Levels are equally spaced in log-SNR; the step length enters as h and q = e^{-h}.

    Raises
    ------
    ValueError
        For a velocity formulation, whose steps do not repeat on such levels.

    Examples
    --------
    One root for DDIM; at kappa = 1, flat data, it is 1:

    >>> import sympy as sp
    >>> import numdiff as nd
    >>> pi = nd.stability.diffusion_polynomial(nd.DPMSolverPP(1))
    >>> zeta, kappa = pi.gens
    >>> sp.factor(sp.solve(pi.as_expr().subs(kappa, 1), zeta)[0])
    1
    """
    cleared = _cleared(_checked(method)).as_dict()
    lead = cleared[max(cleared)]
    return sp.Poly.from_dict({power: sp.cancel(c / lead) for power, c in cleared.items()}, ZETA, KAPPA)


def _cleared(method: Method) -> sp.Poly:
    """Return the polynomial times a common denominator, in `ZETA` and `Z` for kappa."""
    return lowered(_in_kappa(method))


def _in_kappa(method: Method) -> sp.Poly:
    """Return the polynomial in `ZETA` and `KAPPA`."""
    formulation = method.formulation or NOISE_RATIO
    noise = formulation.prediction == "noise"
    tableau = _geometric(method, formulation) if formulation.c == 0 else method.steady()
    pi = stability_polynomial(tableau).as_expr().subs(Z, KAPPA - 1 if noise else KAPPA)
    if formulation.variable in ("inverse-rho", "log-snr") and (noise or formulation.c == 0):
        degree = sp.degree(pi, ZETA)
        pi = sp.expand(Q**degree * pi.subs(ZETA, ZETA / Q))
    return sp.Poly(pi, ZETA, KAPPA)


def _whole(pi: sp.Poly, h: Any) -> tuple[sp.Poly, Any, int]:
    """Return pi with h = d h', so that stages at fractions of a step have whole powers of e^{-h'}; h in h', and d."""
    found = set().union(*(c.atoms(sp.exp, phi) for c in pi.coeffs()))
    multiples = [sp.cancel((f.args[0] if isinstance(f, sp.exp) else f.args[1]) / H) for f in found]
    d = int(sp.ilcm(1, 1, *(a.q for a in multiples if a.is_Rational)))
    if d == 1:
        return pi, h, d
    shorter = tuple(x / d for x in h) if isinstance(h, tuple) else None if h is None else h / d
    scaled = {power: c.subs({H: d * H, Q: Q**d}, simultaneous=True) for power, c in pi.as_dict().items()}
    return sp.Poly.from_dict(scaled, *pi.gens), shorter, d


def diffusion_interval(method: Any, *, h: Any = None, domain: tuple[Any, Any] = DAMPING) -> tuple[sp.Expr, sp.Expr]:
    """Return the ends (low, high) of the stability interval on the diffusion test problem, proved.

    Parameters
    ----------
    method
        A method with a noise or data formulation (None is noise/ratio); its damping may be a symbol.
    h
        Spacing of the levels in half log-SNR: an exact number or a float, read as the decimal it prints as; a pair (0,
        2) for all between; by default every h > 0, and the symbol ``h`` in the result.
    domain
        Where a symbolic damping varies, low < beta < high, both ends excluded.

    Returns
    -------
    tuple
        For data prediction the interval of kappa around 0 in x_0 = kappa x/alpha, usually (low, 1); for noise
        prediction the interval (0, high) of kappa in eps = kappa x/sigma, so that x_0 = (1 - kappa) x/alpha. Within it
        x/alpha stays bounded; the end 1, or 0 for noise, is where the exact x/alpha does not move. Formulas in h and
        the damping, proved for all values in their domains. With numbers throughout an end may be a decimal, enclosed
        to 20 digits. For GHVB on noise/ratio a formula holds where the velocity filter settles,
        ``e^{-(k-1) h} > |1 - beta|``.

    Raises
    ------
    ValueError
        If no single formula could be proved on the whole domain (``UncertifiedError``): nothing is claimed then. Also
        for a velocity formulation, a step length that is not positive, and symbols besides the damping.
    TypeError
        If `method` is no method, or `h` no number.

    Examples
    --------
    For data prediction, with every step length h > 0:

    >>> import sympy as sp
    >>> import numdiff as nd
    >>> nd.stability.diffusion_interval(nd.DPMSolverPP(1))
    (-coth(h/2), 1)
    >>> nd.stability.diffusion_interval(nd.DPMSolverPP(2, rule="half"))
    (-coth(h/2)/2, 1)
    >>> low, high = nd.stability.diffusion_interval(nd.DPMSolverPP(2), h=sp.Rational(1, 2))
    >>> print(f"{float(low):.4f}", high)
    -1.9602 1
    """
    return _diffusion_interval(_checked(method), _step(h), _side(domain))


@cache
def _diffusion_interval(method: Method, h: Any, side: tuple[Any, Any]) -> tuple[sp.Expr, sp.Expr]:
    whole, h, d = _whole(_in_kappa(method), h)
    pi = lowered(whole).as_expr()
    if isinstance(h, sp.Rational) and method.kernel == 0:
        numbers = not pi.free_symbols - {ZETA, Z, H, Q}
        if numbers:  # a filter that does not settle on steps of this ratio says so
            method.steady(
                ratio=Fraction(math.exp(-h if (method.formulation or NOISE_RATIO).prediction == "noise" else h))
            )
    parameters = _parameters(method, pi, h, side)
    if parameters.sides and not isinstance(h, sp.Rational) and method.points > MOST_OPEN:
        raise UncertifiedError(
            f"{method} has more than {MOST_OPEN} points, damping and step length are both open: that could not be "
            f"proved in reasonable time; {REMEDY}"
        )
    if (method.formulation or NOISE_RATIO).prediction == "noise":
        below = sp.Poly(pi.subs(Z, 1 + Z), ZETA, Z)  # the method's own kappa is minus Z
        return sp.Integer(0), in_step_length(certified_end(below, "real", parameters), h).subs(H, H / d)
    ends = [certified_end(sp.Poly(pi.subs(Z, sign * Z), ZETA, Z), "real", parameters) for sign in (1, -1)]
    low, high = (in_step_length(end, h).subs(H, H / d) for end in (-ends[0], ends[1]))
    return low, high


def exponential_interval(method: Any, axis: str, h: Any, domain: tuple[Any, Any] = DAMPING) -> sp.Expr:
    """Return x* or y* of an exponential method as a formula in h and the damping, proved; see `diffusion_interval`."""
    return _exponential_interval(exact_method(method), axis, _step(h), _side(domain))


@cache
def _exponential_interval(method: Any, axis: str, h: Any, side: tuple[Any, Any]) -> sp.Expr:
    pi, h, d = _whole(stability_polynomial(one_field(method)), h)
    parameters = _parameters(method, pi.as_expr(), h, side)
    if axis == "imaginary" and isinstance(h, sp.Rational) and not parameters.sides:
        return _in_decimals(pi, axis, h)
    if axis == "imaginary" and not isinstance(h, sp.Rational) and pi.degree(ZETA) > EASY:
        raise UncertifiedError(f"the imaginary interval of {method} could not be proved as a formula; {REMEDY}")
    return in_step_length(certified_end(pi, axis, parameters), h).subs(H, H / d)


def _in_decimals(pi: sp.Poly, axis: str, h: sp.Rational) -> sp.Expr:
    """Return the end for numbers throughout, with e^{-h} rounded to `DIGITS` digits: conditions on both take long."""
    at = {H: h, Q: sp.Rational(sp.exp(-h).evalf(DIGITS))}
    end = interval(sp.Poly(lowered(pi).as_expr().subs(at), ZETA, Z), axis)
    return sp.N(end, 20) if end.is_finite and end != 0 else end


def in_step_length(value: sp.Expr, h: Any = None) -> sp.Expr:
    """Write a rational function of q = e^{-h} and h in h, by coth(h/2) where that is shorter than e^{-h}."""
    if value.is_Pow and value.exp == sp.S.Half:
        return sp.sqrt(in_step_length(value.base, h))
    value = value if value.has(sp.Float) else _turned(value)
    if Q not in value.free_symbols:
        return value.subs(H, h) if isinstance(h, sp.Rational) else value
    length = h if isinstance(h, sp.Rational) else H
    found = [value.subs(H, length).subs(Q, sp.exp(-length))]
    if H not in value.free_symbols:
        found.append(_turned(value.subs(Q, (COTH - 1) / (COTH + 1))).subs(COTH, sp.coth(length / 2)))
    return min(found, key=sp.count_ops)


def _turned(value: sp.Expr) -> sp.Expr:
    """Return a rational function in factors that are positive for a short step and a damping of 1/2."""
    sign, parts = sp.Integer(1), []
    for part in sp.Mul.make_args(sp.factor(value)):
        base, power = part.as_base_exp()
        if base.is_Add:
            point = {x: SAMPLE.get(x, sp.S.Half) for x in base.free_symbols}
            if base.subs(point).is_negative:
                sign, base = sign * (-1) ** power, -base
        parts.append(base**power)
    return sign * sp.Mul(*parts)


# --- the steps ---


def _geometric(method: Method, formulation: Formulation) -> Tableau:
    """Return the step on a geometric grid with evaluations in units of the coming step, r - 1 included."""
    r = Q if formulation.variable == "rho" else 1 / Q
    sign = -1 if formulation.prediction == "noise" else 1  # kappa - 1 or kappa multiplies it
    tableau = method.steady(ratio=r).map(to_sympy)
    evaluations = _evaluations(method)
    nodes = [
        sum(a, sp.Integer(0)) + sum(x for x, e in zip(u, evaluations, strict=True) if e)
        for a, u in zip(tableau.A, tableau.U, strict=True)
    ]
    gains = [sign * (r - 1) / (1 + c * (r - 1)) for c in nodes]
    units = [r if e else 1 for e in evaluations]
    return tableau.replace(
        A=[[a * g for a, g in zip(row, gains, strict=True)] for row in tableau.A],
        B=[[k * b * g for b, g in zip(row, gains, strict=True)] for k, row in zip(units, tableau.B, strict=True)],
        V=[[k * v for v in row] for k, row in zip(units, tableau.V, strict=True)],
    )


def _evaluations(method: Method) -> list[bool]:
    """Tell for every register whether it holds evaluations rather than samples.

    In steps of length d an entry from x to x, or from f to f, is a number; from f to x it grows with d.
    """
    one, two = (method.steady(Fraction(d)).map(to_sympy) for d in (1, 2))
    found = {0: False}
    for _ in range(one.registers):  # as often as it takes to pass on what is known
        for i in set(range(one.registers)) - set(found):
            known = [(x, y, True) for x, y in zip(one.B[i], two.B[i], strict=True)]
            known += [(one.V[i][j], two.V[i][j], kept) for j, kept in found.items()]
            relation = next(((x, y, kept) for x, y, kept in known if x != 0), None)
            if relation is not None:
                x, y, kept = relation
                found[i] = bool(2 * y == x * (2 if kept else 1))
    return [found.get(i, True) for i in range(one.registers)]


def _parameters(method: Any, pi: sp.Expr, h: Any, side: tuple[Any, Any]) -> Parameters:
    """Return where the symbols vary; the velocity filter of GHVB has to settle, which bends the domain."""
    symbols = sorted(pi.free_symbols - {ZETA, Z, H, Q}, key=str)
    if len(symbols) > 1:
        raise ValueError(
            f"one symbolic damping at most, got {', '.join(map(str, symbols))}; give numbers for the others"
        )
    sides = dict.fromkeys(symbols, side)
    inner = velocity_filter(method)
    bends = inner is not None and inner.beta in symbols and (method.formulation or NOISE_RATIO) == NOISE_RATIO
    if not bends or side != _side(DAMPING):
        return Parameters(sides, h)
    memory = sp.Symbol("memory")
    return Parameters({memory: (-1, 1)}, h, {inner.beta: 1 - memory * Q ** (inner.order - 1)})


def velocity_filter(method: Any) -> Any:
    """Return the GHVB of order k >= 2 in a method, whose weights need |1 - beta| < r^(k-1) on steps of ratio r."""
    if isinstance(method, GHVB):
        return method if method.weights == "variable" and method.order > 1 else None
    return velocity_filter(method.base) if hasattr(method, "base") else None


# --- the door ---


def _checked(method: Any) -> Method:
    if not isinstance(method, Method):
        raise TypeError(f"method must be a method with a formulation, such as nd.DPMSolverPP(2), got {method!r}")
    if method.formulation == VELOCITY_TIME:
        raise ValueError(
            f"{method} works in time on the velocity, where steps equally spaced in log-SNR do not repeat; use "
            "real_interval, or a noise or data formulation"
        )
    one_field(method)  # or says why there is no steady step of one field
    return exact_method(method)


def _step(h: Any) -> Any:
    """Return h as None, a positive rational or a pair of rationals."""
    if h is None:
        return None
    if isinstance(h, Sequence) and not isinstance(h, str):
        if len(h) != 2 or not 0 <= h[0] < h[1]:
            raise ValueError(f"a range of step lengths needs 0 <= low < high, got {h}")
        return tuple(_number(x) for x in h)
    value = _number(h)
    if not value > 0:
        raise ValueError(f"h must be positive and finite, got {h}")
    return value


def _number(x: Any) -> sp.Rational:
    try:
        known = not isinstance(x, bool) and kind(x) in ("exact", "float", "numpy", "sympy")
        value = (
            sp.Rational(repr(float(x))) if known and kind(x) in ("float", "numpy") else to_sympy(x) if known else None
        )
    except (TypeError, ValueError):
        value = None
    if not isinstance(value, sp.Rational):
        raise TypeError(f"h must be a rational number or a float, got {x!r}; leave it out to keep the symbol h")
    return value


def _side(domain: tuple[Any, Any]) -> tuple[sp.Rational, sp.Rational]:
    low, high = (to_sympy(x) for x in domain)
    if not (low.is_Rational and high.is_Rational and low < high):
        raise ValueError(f"domain must be (low, high), two rationals with low < high, got {domain}")
    return low, high
