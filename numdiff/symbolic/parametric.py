r"""Stability intervals with several parameters, certified on a whole box of them.

For exponential methods the stability polynomial pi(zeta, z) depends on a damping beta and on the step length h through
e^{ah} and phi_k(ah). With q = e^{-h} in (0, 1) all of these are rational in q and h. On z = -X (or X = y^2, z = i y)
the interval ends at some X*(q, h, beta), which is found at one rational sample and proved everywhere.

**Criterion.** The root condition as polynomial inequalities: the a_i and Delta_k of `numdiff.symbolic.hurwitz`.

**Candidate.** At the sample the end is exact (`numdiff.symbolic.segments`); the factor of a_0, a_n or Delta_{n-1} that
vanishes there, if linear in X, gives the formula X* = N/D.

**Proof.** X = tau N/D with 0 < tau < 1 makes each a_i and Delta_k a rational function on a box, whose sign is certified
(`numdiff.symbolic.positivity`). So (0, X*) is stable for all parameters of the box. It is not longer: the linear factor
changes sign at X*, its cofactor does not vanish there, and a negative a_i or Delta_k means a root outside.

**When h stays beside q** the two are not independent. The curve h = -log q lies in the strip

    2q/(1 - q^2) < 1/h < (1 + q)/(2(1 - q)),    tighter  2q(2 + q)/((1 - q)(1 + 5q)) < 1/h < (1 + 4q + q^2)/(3(1 - q^2))

(each bound on -log q agrees with it at q = 1 and has a derivative that differs by one sign), and a proof for all (q, h)
in the strip is one for the curve. A given rational h leaves q in a tiny rational box around e^{-h} instead; there an
end that is no rational function is enclosed, by the same signs, between two numbers.

Source of the bounds: Topsoe, Some bounds for the logarithmic function, RGMIA 7 (2004).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sympy as sp
from mpmath import iv

from numdiff.symbolic.critical import X, critical_polynomials, irreducible
from numdiff.symbolic.hurwitz import Condition, conditions
from numdiff.symbolic.phi import phi
from numdiff.symbolic.polynomials import ZETA, Z
from numdiff.symbolic.positivity import sign_on
from numdiff.symbolic.segments import endpoint
from numdiff.symbolic.steady import H

Q = sp.Symbol("q", positive=True)
"""e^{-h}."""

TAU, STRIP = sp.symbols("tau strip")
"""Position between 0 and the end of the interval; position between the two bounds on 1/h."""

BOUNDS = (
    (2 * Q / (1 - Q**2), (1 + Q) / (2 * (1 - Q))),
    (2 * Q * (2 + Q) / ((1 - Q) * (1 + 5 * Q)), (1 + 4 * Q + Q**2) / (3 * (1 - Q**2))),
)
"""Rational functions of q below and above 1/h = -1/log q on 0 < q < 1, the tighter pair second."""

SAMPLE_H = sp.Rational(7, 10)
SAMPLE = sp.Rational(11, 29)
"""Where candidates are looked for: the step length, and the fraction of the way along every other side; no special
damping falls on it."""

DIGITS = 40
"""Digits of decimals."""

COARSE, FINE = BITS = 12, 130
"""Bits of the box around e^{-h} for a given h; the coarse one, in short integers, mostly does."""

WIDTH = sp.Rational(1, 10**24)
"""Relative width to which an end without a formula is enclosed."""


class UncertifiedError(ValueError):
    """No proof was found; nothing is claimed."""


@dataclass(frozen=True)
class Parameters:
    """Where the parameters of a stability polynomial vary.

    Parameters
    ----------
    sides
        Open interval of every symbol but h, by symbol.
    h
        A positive rational; a pair (low, high) for every h between; None for every h > 0.
    maps
        Substitutions that turn a curved region into a box: symbol -> rational function of the symbols in `sides`.
    """

    sides: Mapping[sp.Symbol, tuple[Any, Any]]
    h: Any = None
    maps: Mapping[sp.Symbol, sp.Expr] = field(default_factory=dict)

    def chart(self, symbols: set[sp.Symbol], effort: int) -> _Chart:
        """Return a box whose image contains the parameters, more closely at effort 1 than at 0."""
        box: dict[sp.Symbol, Any] = {**self.sides, TAU: (0, 1), Q: self._q(BITS[effort])}
        maps = dict(self.maps)
        if isinstance(self.h, sp.Rational):
            maps[H] = self.h
        elif H in symbols:
            low, high = BOUNDS[effort]
            box, maps[H] = {**box, STRIP: (0, 1)}, 1 / (low + STRIP * (high - low))
        return _Chart(box, maps)

    def sample(self) -> dict[sp.Symbol, sp.Rational]:
        """Return one rational point, with q = e^{-h} to rounding."""
        h = self.h if isinstance(self.h, sp.Rational) else _along(*(self.h or (0, 2 * SAMPLE_H)))
        point = {x: _along(*side) for x, side in self.sides.items()} | {Q: sum(_around(h)) / 2, H: h}
        return point | {x: value.subs(point) for x, value in self.maps.items()}

    @property
    def is_point(self) -> bool:
        """Whether there is only one step length and no other parameter."""
        return isinstance(self.h, sp.Rational) and not self.sides

    def _q(self, bits: int) -> tuple[Any, Any]:
        """Return bounds on e^{-h}."""
        if self.h is None:
            return 0, 1
        if isinstance(self.h, sp.Rational):
            return _around(self.h, bits)
        low, high = self.h
        return _around(high, COARSE)[0], _around(low, COARSE)[1] if low else sp.Integer(1)


def certified_end(pi: sp.Poly, axis: str, parameters: Parameters) -> sp.Expr:
    """Return x* (y* on the imaginary axis) as a formula that is proved for all the parameters.

    Parameters
    ----------
    pi
        Stability polynomial in `ZETA` and `Z`; coefficients rational in symbols, h, e^{ah} and phi_k(ah).
    axis
        "real" for -x* < z < 0, "imaginary" for |z| < y*.
    parameters
        Where they vary; every symbol has a side or a map.

    Returns
    -------
    Expr
        The end in terms of `H`, `Q` and the symbols; 0 where there is no interval, oo where it never ends.

    Raises
    ------
    UncertifiedError
        If no single rational formula was found, or no proof for it.
    """
    pi = lowered(pi)
    numbers = sp.Poly(pi.as_expr().subs(parameters.sample()), ZETA, Z, domain="QQ")
    root = _end_at_sample(numbers, axis)
    if not (root.is_Rational or root is sp.oo or parameters.is_point):
        raise UncertifiedError(_unproved("it ends at a root of higher degree there"))
    needed = conditions(pi, axis)
    symbols = pi.free_symbols_in_domain
    end = _candidate(root, needed, parameters.sample())
    for effort in (0, 1) if parameters.h is not None or H in symbols else (0,):
        if end is not None and _proved(needed, end, parameters.chart(symbols, effort)):
            return end if axis == "real" else sp.sqrt(end)
    if end is None:  # there are numbers only
        end = _enclosed(root, needed, parameters.chart(symbols, 1))
        return end if axis == "real" else sp.sqrt(end)
    raise UncertifiedError(_unproved(f"it is {sp.factor(end)} there, in X"))


def _unproved(found: str) -> str:
    return (
        f"the end of the stability interval could not be proved on the whole domain from one sample ({found}); narrow "
        "the domain of the damping or of h, or give numbers"
    )


def lowered(pi: sp.Poly) -> sp.Poly:
    """Write e^{ah} and phi_k(ah) as rational functions of q = e^{-h} and h, and clear denominators.

    Raises
    ------
    ValueError
        If an exponent is no whole multiple of h, or a coefficient is not rational in these.
    """
    values = [value.xreplace(_lower(value)) for value in pi.as_dict().values()]
    domain = sp.QQ.frac_field(*sorted(set().union({Q}, *(v.free_symbols for v in values)), key=str))
    try:
        fractions = [domain.from_sympy(v) for v in values]
    except (sp.CoercionFailed, ValueError) as error:
        raise ValueError(f"coefficients must be rational in h, e^(ah) and phi_k(ah), got {pi.domain}") from error
    common = domain.field.ring.one
    for fraction in fractions:
        common = common.lcm(fraction.denom)
    cleared = [(fraction.numer * common.exquo(fraction.denom)).as_expr() for fraction in fractions]
    return sp.Poly.from_dict(dict(zip(pi.as_dict(), cleared, strict=True)), ZETA, Z)


def _lower(value: sp.Expr) -> dict[sp.Expr, sp.Expr]:
    found = {}
    for f in value.atoms(sp.exp, phi):
        order, z = (0, f.args[0]) if isinstance(f, sp.exp) else f.args
        a = sp.cancel(z / H)
        if not a.is_Integer:
            raise ValueError(f"{f} is no power of e^(-h) with a whole exponent; give a number for h")
        found[f] = (Q**-a - sum((z**j / sp.factorial(j) for j in range(order)), sp.Integer(0))) / z**order
    return found


# --- candidate ---


def _end_at_sample(numbers: sp.Poly, axis: str) -> Any:
    """Return X* of a polynomial without parameters as a real algebraic number; 0 or oo likewise."""
    factors, _ = irreducible(critical_polynomials(numbers, axis))
    end = endpoint(numbers, factors, axis)
    if end.owner is None:
        return sp.Integer(0) if end.bounded else sp.oo
    owner = factors[end.owner]
    return -owner.nth(0) / owner.nth(1) if owner.degree() == 1 else sp.CRootOf(owner, end.index)


def _candidate(root: Any, needed: list[Condition], point: Mapping[sp.Symbol, Any]) -> sp.Expr | None:
    """Return X* as a rational function, from the factor that ends the interval at the sample; None without one."""
    if root in (0, sp.oo):
        return root
    for condition in needed:
        for factor, _ in condition.factors if condition.critical and root.is_Rational else ():
            if factor.degree(X) == 1 and factor.as_expr().subs(point).subs(X, root) == 0:
                slope, constant = sp.Poly(factor.as_expr(), X).all_coeffs()
                return sp.cancel(-constant / slope)
    return None


def _enclosed(root: Any, needed: list[Condition], chart: _Chart) -> sp.Float:
    """Return X* as a decimal: the interval is proved to reach WIDTH below it and not to reach WIDTH beyond it."""
    middle = sp.Rational(sp.N(root, DIGITS))
    low, high = (middle * (1 + sign * WIDTH) for sign in (-1, 1))
    tau, one = chart.images[TAU]
    inside = (tau * int(low.p), one * int(low.q))
    beyond = chart.fraction(high)
    if _stable(needed, inside, chart) and _unstable(needed, beyond, chart):
        return sp.Float(middle, 20)
    raise UncertifiedError(f"the end of the stability interval, about {sp.N(root, 6)} in X, could not be enclosed")


def _along(low: Any, high: Any) -> sp.Rational:
    low, high = sp.sympify(low), sp.sympify(high)
    return low + (1 if high is sp.oo else high - low) * SAMPLE


def _around(h: sp.Rational, bits: int = FINE) -> tuple[sp.Rational, sp.Rational]:
    """Return rational bounds on e^{-h}: interval arithmetic, rounded outwards to `bits` bits."""
    before, iv.prec = iv.prec, bits + 10
    try:
        value = iv.exp(-iv.mpf(h.p) / h.q)
    finally:
        iv.prec = before
    unit = sp.Integer(2) ** (bits + int(sp.ceiling(h / sp.Rational(2, 3))))  # 2^{3/2} > e
    low, high = (sp.Rational(*_ratio(x)) * unit for x in (value.a, value.b))
    return sp.floor(low) / unit, sp.ceiling(high) / unit


def _ratio(x: Any) -> tuple[int, int]:
    """Return a binary floating-point number as numerator and denominator."""
    sign, mantissa, exponent, _ = x._mpi_[0]
    mantissa = -mantissa if sign else mantissa
    return (mantissa << exponent, 1) if exponent >= 0 else (mantissa, 1 << -exponent)


# --- proof ---

Pair = tuple[Any, Any]  # numerator and denominator


class _Chart:
    """A box, and the substitutions that lead to it, with integer polynomials on the box.

    A rational function is a pair of polynomials; no common factors are looked for but those of known denominators.
    """

    def __init__(self, box: Mapping[sp.Symbol, tuple[Any, Any]], maps: Mapping[sp.Symbol, sp.Expr]) -> None:
        self.box, self.maps = box, maps
        self.gens = tuple(sorted(box, key=str))
        self.ring = sp.ZZ[self.gens].ring
        self.signs: dict[Any, int] = {}
        self.images = {x: self.fraction(x) for x in self.gens} | {x: self.fraction(v) for x, v in maps.items()}

    def fraction(self, value: Any) -> Pair:
        """Return a rational function of the variables of the box as a pair."""
        parts = sp.fraction(sp.cancel(value))
        return tuple(self.ring.from_expr(sp.sympify(part)) for part in parts)

    def image(self, polynomial: sp.Poly, value: Pair | None = None) -> Pair:
        """Return a polynomial in X and the parameters, at X = `value`, on the box."""
        scale, polynomial = polynomial.clear_denoms(convert=True)
        images = [value if x == X and value else self.images[x] for x in polynomial.gens]
        degrees = [max(polynomial.degree(x), 0) for x in polynomial.gens]
        powers = [_powers(image, degree, self.ring.one) for image, degree in zip(images, degrees, strict=True)]
        total = self.ring.zero
        for exponents, c in polynomial.terms():
            term = self.ring.one * int(c)
            for k, (above, below) in zip(exponents, powers, strict=True):
                term *= above[k] * below[len(below) - 1 - k]
            total += term
        denominator = self.ring.one * int(scale)
        for _, below in powers:
            denominator *= below[-1]
        return total, denominator

    def reduced(self, value: Pair) -> Pair:
        """Return a rational function in lowest terms."""
        numerator, denominator = value
        common = numerator.gcd(denominator)
        return numerator.exquo(common), denominator.exquo(common)

    def sign(self, value: Pair) -> int:
        """Return the certified sign of a rational function on the box, 0 if there is no certificate."""
        numerator, denominator = value
        total = 1
        for factor, power in denominator.factor_list()[1]:
            quotient, rest = divmod(numerator, factor)
            while numerator and not rest:  # what cancels does not matter
                numerator, power = quotient, power - 1
                quotient, rest = divmod(numerator, factor)
            total *= self._sign(factor) ** (power % 2 or 2)
        total *= 1 if denominator.factor_list()[0] > 0 else -1
        return total and total * self._sign(numerator)

    def _sign(self, p: Any) -> int:
        if p not in self.signs:
            self.signs[p] = sign_on(sp.Poly.from_dict(dict(p), *self.gens, domain=sp.ZZ), self.box)
        return self.signs[p]

    def condition(self, condition: Condition, value: Pair) -> int:
        """Return the sign of a condition at X = `value`."""
        total = int(sp.sign(condition.constant))
        for factor, power in condition.factors:
            if total:
                total *= self.sign(self.image(factor, value)) ** power
        return total


def _powers(pair: Pair, degree: int, one: Any) -> tuple[list[Any], list[Any]]:
    """Return the powers 0 to `degree` of numerator and denominator."""
    above, below = [one], [one]
    for _ in range(degree):
        above.append(above[-1] * pair[0])
        below.append(below[-1] * pair[1])
    return above, below


def _proved(needed: list[Condition], end: sp.Expr, chart: _Chart) -> bool:
    """Tell whether the interval is proved to be (0, end) on the chart."""
    tau = chart.images[TAU]
    if end == 0:
        beside = [replace(g, factors=tuple(f for f in g.factors if f[0].as_expr() != X)) for g in needed]
        return _unstable(beside, (chart.ring.zero, chart.ring.one), chart)  # the sign for small X > 0
    if end is sp.oo:
        return _stable(needed, tau, _Chart({**chart.box, TAU: (0, sp.oo)}, chart.maps))
    gens = sorted(end.free_symbols, key=str) or [Q]
    (a, b), (c, d) = (chart.image(sp.Poly(part, *gens)) for part in sp.fraction(end))
    value = chart.reduced((a * d, b * c))
    inside = (tau[0] * value[0], value[1])
    return chart.sign(value) == 1 and _stable(needed, inside, chart) and _ends(needed, end, value, chart)


def _stable(needed: list[Condition], value: Pair, chart: _Chart) -> bool:
    """Tell whether all conditions hold at X = `value` throughout the chart."""
    orientation = 0
    for condition in needed:
        sign = chart.condition(condition, value)
        orientation = orientation or sign  # the first one is a_0
        if not sign or sign != orientation**condition.power:
            return False
    return True


def _ends(needed: list[Condition], end: sp.Expr, value: Pair, chart: _Chart) -> bool:
    """Tell whether some condition changes sign at X = `end`, which is `value` on the chart."""
    numerator, denominator = sp.fraction(end)
    for condition in needed:
        linear = [k for k, (f, _) in enumerate(condition.factors) if _vanishes(f, numerator, denominator)]
        odd = sum(condition.factors[k][1] for k in linear) % 2
        others = tuple(f for k, f in enumerate(condition.factors) if k not in linear)
        rest = Condition(condition.constant, others, condition.power, condition.critical)
        if odd and chart.condition(rest, value):
            return True
    return False


def _vanishes(factor: sp.Poly, numerator: sp.Expr, denominator: sp.Expr) -> bool:
    """Tell whether an irreducible factor is a multiple of denominator X - numerator."""
    if factor.degree(X) != 1:
        return False
    slope, constant = sp.Poly(factor.as_expr(), X).all_coeffs()
    return bool(sp.expand(slope * numerator + constant * denominator) == 0)


def _unstable(needed: list[Condition], value: Pair, chart: _Chart) -> bool:
    """Tell whether some condition fails strictly at X = `value`, which proves a root outside the circle."""
    orientation = chart.condition(needed[0], value)
    return bool(orientation) and any(
        chart.condition(condition, value) == -(orientation**condition.power) for condition in needed[1:]
    )
