r"""Critical points: where a root of the stability polynomial may cross the unit circle as z moves along an axis.

Let z = -x (negative real axis) or z = i y (imaginary axis), and X = x or X = y^2. As X grows from 0 the number of roots
inside, on and outside the unit circle can only change where some root is on the circle, and such X are zeros of
polynomials in X (and in a parameter beta):

**Real axis.** The coefficients c_0(X), ..., c_n(X) of pi are real. A root at 1 or -1: pi(1, -X) pi(-1, -X) = 0. A pair
e^{+-i theta}: then pi and its reciprocal zeta^n pi(1/zeta) have a common root, hence so have the palindromic sum and
difference of the two. Divided by zeta + 1 and zeta - 1 where they must vanish there, these are polynomials in w = zeta
+ 1/zeta, of half the degree, and their resultant in w vanishes.

**Imaginary axis.** Put zeta = (1 + i t)/(1 - i t): (1 - i t)^n pi = P(t, y) + i Q(t, y) with P, Q real, and a root on
the circle other than -1 is a common real zero t. Complex conjugation (t, y) -> (-t, -y) leaves P and changes the sign
of Q, so that with t = y tau both P and Q/y are polynomials in tau and Y = y^2. Their resultant in tau vanishes; a root
at -1 makes the real and the imaginary part of pi(-1, i y) vanish.

Where the two polynomials share a factor for every X (roots that stay on the circle, as in the leapfrog method), the
factor is split off, and its discriminant marks where its roots meet and can leave the circle.

The converse need not hold (a zero may belong to a reciprocal pair off the circle): these are candidates, and
`numdiff.symbolic.intervals` decides between them exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sympy as sp

from numdiff.symbolic.polynomials import ZETA, Z, parameters

X, MAIN = sp.symbols("X main")
AXES = ("real", "imaginary")


def on_axis(pi: sp.Poly, axis: str) -> tuple[list[sp.Poly], list[sp.Poly]]:
    """Return the coefficients of pi(zeta, -X), or those of P and Q/y above without the change of variable.

    Both are lists over the powers of zeta, lowest first: real and imaginary parts, where on the imaginary axis the
    imaginary part is divided by y, so that both are polynomials in X.
    """
    gens = (X, *parameters(pi))
    real, imaginary = ([sp.Poly(0, *gens)] * (pi.degree(ZETA) + 1) for _ in range(2))
    for (i, j), value in pi.as_dict().items():
        if axis == "real":
            real[i] += sp.Poly(value * (-X) ** j, *gens)
        elif j % 2:
            imaginary[i] += sp.Poly(value * (-1) ** (j // 2) * X ** (j // 2), *gens)
        else:
            real[i] += sp.Poly(value * (-X) ** (j // 2), *gens)
    return real, imaginary


def cleared(pi: sp.Poly) -> tuple[sp.Poly, sp.Expr]:
    """Return pi times the common denominator of its coefficients, and that denominator."""
    denominator = sp.lcm_list([sp.denom(sp.together(c)) for c in pi.as_dict().values()])
    numerator = sp.Poly.from_dict({k: sp.cancel(denominator * c) for k, c in pi.as_dict().items()}, ZETA, Z)
    return numerator, sp.sympify(denominator)


def critical_polynomials(pi: sp.Poly, axis: str) -> list[sp.Poly]:
    """Return polynomials whose zeros in X contain every critical point; `pi` has polynomial coefficients."""
    real, imaginary = on_axis(pi, axis)
    if axis == "real":
        ends = [_at(real, 1), _at(real, -1)]
        return [*ends, *common_zeros(*_halves(real))]
    return [
        *common_zeros(_lift([_at(real, -1)]), _lift([_at(imaginary, -1)])),
        *common_zeros(*_cayley(real, imaginary)),
    ]


def common_zeros(p: sp.Poly, q: sp.Poly) -> list[sp.Poly]:
    """Return polynomials that vanish wherever p and q gain or lose a common zero in the variable `MAIN`."""
    gens = p.gens[1:]
    shared = p.gcd(q)
    found = []
    if not (p.is_zero or q.is_zero):
        found.append(p.quo(shared).resultant(q.quo(shared)))
    if shared.degree(MAIN) > 0:
        found += [shared.discriminant(), sp.Poly(sp.LC(shared.as_expr(), MAIN), *gens)]
    elif not shared.is_zero:
        found.append(sp.Poly(shared.as_expr(), *gens))
    return [sp.Poly(f, *gens) if not isinstance(f, sp.Poly) else f for f in found]


def irreducible(polynomials: Iterable[sp.Poly]) -> tuple[list[sp.Poly], list[sp.Poly]]:
    """Return the distinct irreducible factors: those with X (but X itself), and those in the parameter alone."""
    with_x: dict[sp.Poly, None] = {}
    without: dict[sp.Poly, None] = {}
    for polynomial in polynomials:
        if polynomial.is_zero:
            continue
        for factor, _ in polynomial.factor_list()[1]:
            if factor.as_expr() != X:
                (with_x if factor.degree(X) else without)[factor] = None
    return list(with_x), list(without)


def _at(coefficients: Sequence[sp.Poly], sign: int) -> sp.Poly:
    """Evaluate at zeta = +1 or -1."""
    return sum((c * sign**i for i, c in enumerate(coefficients)), coefficients[0] * 0)


def _lift(coefficients: Sequence[sp.Poly]) -> sp.Poly:
    """Return sum_i c_i MAIN^i as a polynomial whose first variable is MAIN."""
    gens = coefficients[0].gens
    return sp.Poly(sum(c.as_expr() * MAIN**i for i, c in enumerate(coefficients)), MAIN, *gens)


def _divided(coefficients: list[sp.Poly], root: int) -> list[sp.Poly]:
    """Divide by (zeta - root), which must leave no remainder; lowest power first."""
    quotient = [coefficients[-1]]
    for c in reversed(coefficients[1:-1]):
        quotient.append(c + root * quotient[-1])
    return quotient[::-1]


def _halves(c: list[sp.Poly]) -> tuple[sp.Poly, sp.Poly]:
    """Return the palindromic sum and difference of c and its reverse as polynomials in w = MAIN."""
    plus = [a + b for a, b in zip(c, c[::-1], strict=True)]
    minus = [a - b for a, b in zip(c, c[::-1], strict=True)]
    if len(c) % 2:
        minus = _divided(_divided(minus, 1), -1) if len(c) > 1 else minus
    else:
        plus, minus = _divided(plus, -1), _divided(minus, 1)
    return _in_w(plus), _in_w(minus)


def _in_w(p: list[sp.Poly]) -> sp.Poly:
    """Write a palindromic polynomial of degree 2d, over zeta^d, in w = zeta + 1/zeta."""
    d, w = len(p) // 2, sp.Poly(MAIN, MAIN, *p[0].gens)
    power = [w**0 * 2, w]  # zeta^k + zeta^-k satisfies the Chebyshev recurrence
    total = _lift([p[d]])
    for k in range(1, d + 1):
        total += _lift([p[d + k]]) * power[k]
        power.append(w * power[k] - power[k - 1])
    return total


def _cayley(real: list[sp.Poly], imaginary: list[sp.Poly]) -> tuple[sp.Poly, sp.Poly]:
    """Return P and Q/y as polynomials in tau = MAIN and X = y^2."""
    n, gens = len(real) - 1, real[0].gens
    t = sp.Symbol("t")
    P, Q = (sp.Poly(0, MAIN, *gens) for _ in range(2))
    for i in range(n + 1):
        powers = sp.Poly((1 + sp.I * t) ** i * (1 - sp.I * t) ** (n - i), t, domain="ZZ_I").all_coeffs()[::-1]
        for k, value in enumerate(powers):
            # zeta^i contributes value t^k = value y^k tau^k: real for even k, imaginary for odd k
            even, odd = (real[i], imaginary[i]) if k % 2 == 0 else (imaginary[i], real[i])
            number = sp.re(value) if k % 2 == 0 else sp.im(value)
            y_even = X ** (k // 2) if k % 2 == 0 else -(X ** (k // 2 + 1))
            P += sp.Poly(number * y_even * MAIN**k * even.as_expr(), MAIN, *gens)
            Q += sp.Poly(number * X ** (k // 2) * MAIN**k * odd.as_expr(), MAIN, *gens)
    return P, Q
