r"""Interpolatory weights and the velocity filter, for any number type.

**Formula (*)**. A multistep method replaces f by the polynomial through its values at nodes u_j (the present node is
u = 0, history has u < 0 in the direction of travel) and integrates it against an exponential kernel over a step h::

    omega_j = int_0^h e^{c(h-u)} l_j(u) du = sum_m l_jm mu_m,        mu_m = int_0^h e^{c(h-u)} u^m du = m! h^{m+1}
    phi_{m+1}(c h)

with l_jm the coefficients of the Lagrange basis polynomial l_j. c = 0 is variable-step Adams, and equal steps give the
classical weights. Callers measure u in units of the step, so that no power of a small h is ever formed.

**The velocity filter** v+ = (1 - beta) v + beta f of the generalized heavy ball sees f only through an average.
Feeding it the monomials u^m gives moments M^m, which stay centred on a node: moving the centre by d is the binomial
shift M^m -> sum_j binom(m, j) (-d)^{m-j} M^j. Weights w_i on the k newest velocities that integrate every polynomial
of degree < k solve sum_i w_i M_i^m = mu_m. That system is not solved as it stands: where steps shrink, the velocities
share a distant past and differ by little. But they span what the k - 1 newest evaluations span with the oldest
velocity, of moments M, and on these the weights are b_j and a::

    P = prod_{j<k-1} (u - u_j),    a = mu[P]/M[P],    b_j = (mu - a M)[l_j],

where mu[P] = sum_m p_m mu_m. Since f_n = (v_{n+1} - (1-beta) v_n)/beta,

::

    w_0 = b_0/beta,    w_i = (b_i - (1-beta) b_{i-1})/beta,    w_{k-1} = a - (1-beta) b_{k-2}/beta.

For beta <= 1 the oldest velocity is an average over nodes at and before u_{k-1}, where P has one sign, so that M[P] is
not zero on any grid; about u_{k-1} all terms of M[P] and M[l_j] have one sign too, and nothing cancels. For beta > 1
M[P] may vanish.

On a grid of constant step ratio r (r = 1: equal steps), in units of the present step, the moments of the present node
have the fixed point

::

    M^0 = 1,    M^m = (1-beta) r^-m sum_{j<=m} binom(m, j) (-1)^{m-j} M^j.

**Momentum in the filter**, v+ = v + beta (f - v) + momentum (v - v_before), makes it a filter of second order, two
filters in a row when its poles are real. The same algebra holds with two old velocities beside the k - 2 newest
evaluations: their two weights are fixed by P = prod_{j<k-2} (u - u_j) and by (u - u_{k-1}) P.

Sources: Hairer, Norsett, Wanner, Solving ODEs I, III.5 (variable-step Adams); Hochbruck and Ostermann, Acta Numerica
2010 (exponential multistep methods); Wizadwongsa et al., ICLR 2024 (the heavy-ball family, equal steps). The
variable-step filter is numdiff's.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from math import comb, factorial, prod
from typing import Any

from numdiff.elementary import Number, kind, vanishes
from numdiff.phi import phis

Vector = Sequence[Number]

MAX_ORDER = 8
"""Highest order of a multistep method; (*) needs phi_1 ... phi_order."""

INEXACT = ("float", "numpy", "torch", "traced")
"""Kinds of numbers that rationals are turned into floats for."""

SINGULAR = 1e-3
"""Smallest share of its terms that `filtered` divides by for beta > 1; below it three digits cancel in a divisor."""


def exact(x: Number) -> Number:
    """Return an int as a Fraction, so that division stays exact; anything else as it is."""
    return Fraction(x) if isinstance(x, int) else x


def lagrange(nodes: Vector) -> list[list[Number]]:
    """Return the Lagrange basis on `nodes`: row j holds the coefficients of l_j, lowest power first."""
    nodes = [exact(u) for u in nodes]
    rows = []
    for j, u_j in enumerate(nodes):
        others = [u_i for i, u_i in enumerate(nodes) if i != j]
        row: list[Number] = [1]
        for u_i in others:
            row = [-u_i * row[0], *[a - u_i * b for a, b in pairwise(row)], row[-1]]
        gaps = prod([u_j - u_i for u_i in others])
        rows.append([x / gaps for x in row])
    return rows


@lru_cache(maxsize=256)
def _lagrange_on_rationals(nodes: tuple[int | Fraction, ...], floats: bool) -> list[list[Number]]:
    rows = lagrange(nodes)
    return [[float(x) for x in row] for row in rows] if floats else rows


def moments(h: Number, c: Number, count: int) -> list[Number]:
    """Return mu_m in units of the step, int_0^h e^{c(h-u)} (u/h)^m du = m! h phi_{m+1}(c h), for m < `count`."""
    if kind(c) == "exact" and c == 0:
        return [h * Fraction(1, m + 1) if kind(h) in ("exact", "sympy") else h / (m + 1) for m in range(count)]
    return [factorial(m) * h * value for m, value in enumerate(phis(count + 1, c * h)[1:])] if count else []


def interpolatory(nodes: Vector, mu: Vector) -> list[Number]:
    """Return the weights sum_m l_jm mu_m of formula (*) for the moments `mu` (at least as many as nodes)."""
    if len(nodes) == 1:
        return [mu[0]]
    rational = all(type(u) in (int, Fraction) for u in nodes)
    basis = _lagrange_on_rationals(tuple(nodes), kind(mu[0]) in INEXACT) if rational else lagrange(nodes)
    return [sum([a * m for a, m in zip(row, mu, strict=False)]) for row in basis]


def adams(nodes: Vector, h: Number, c: Number = 0) -> list[Number]:
    """Return int_0^h e^{c(h-u)} l_j(u) du for every node: formula (*) in absolute units.

    Parameters
    ----------
    nodes
        Interpolation nodes relative to the present one, distinct, in the same units as `h`.
    h
        Signed step length, not zero.
    c
        Kernel exponent: 0 for ratio and time variables, -1 and +1 for data and noise prediction in log-SNR.
    """
    h = exact(h)
    return interpolatory([u / h for u in nodes], moments(h, c, len(nodes)))


def filtered(nodes: Vector, M: Vector, beta: Number, mu: Vector) -> list[Number]:
    """Return the weights w_i on the velocities v_{n+1}, ..., v_{n+2-k} that integrate every polynomial of degree < k.

    Parameters
    ----------
    nodes
        The k >= 2 newest nodes, from the present one, u_0 = 0.
    M
        Moments M^m, m < k, of the oldest velocity, centred on the last of the nodes.
    beta
        Damping of the filter.
    mu
        Moments of the kernel, m < k, centred on the present node.

    Raises
    ------
    ValueError
        If no such weights exist; for beta > 1 in floating point also if they exist by less than `SINGULAR`.
    """
    a = on_oldest(nodes, M, beta, mu)
    return on_velocities(a, on_newer(nodes, M, mu, a), beta)


def on_oldest(nodes: Vector, M: Vector, beta: Number, mu: Vector) -> Number:
    """Return the weight a on the oldest velocity, beside weights on the k - 1 newest evaluations; as `filtered`."""
    newer, M = nodes[:-1], tidy(M)
    terms = [p * m for p, m in zip(_with_roots([u - nodes[-1] for u in newer]), M, strict=True)]
    seen = sum(terms)
    inexact = kind(seen) in INEXACT
    if vanishes(seen) or (inexact and beta > 1 and abs(seen) <= SINGULAR * sum(map(abs, terms))):
        raise ValueError("the velocities do not determine the integral of a polynomial, or barely do")
    (a,) = tidy([sum(p * m for p, m in zip(_with_roots(newer), mu, strict=True)) / seen])
    return a


def on_newer(nodes: Vector, M: Vector, mu: Vector, a: Number) -> list[Number]:
    """Return the weights b_j = (mu - a M)[l_j] on the k - 1 newest evaluations beside a weight a on the velocity."""
    newer, apart = nodes[:-1], [u - nodes[-1] for u in nodes[:-1]]
    return tidy([x - a * y for x, y in zip(interpolatory(newer, mu), interpolatory(apart, M), strict=True)])


def on_velocities(a: Number, b: Vector, beta: Number) -> list[Number]:
    """Return the weights w_i on the velocities, from a on the oldest one and b_j on the evaluations since."""
    older = [0, *[(1 - beta) * x for x in b]]
    return tidy([(x - y) / beta for x, y in zip(b, older, strict=False)] + [a - older[-1] / beta])


def filtered_twice(
    nodes: Vector, newer: Vector, older: Vector, beta: Number, momentum: Number, mu: Vector
) -> list[Number]:
    """Return the weights on k velocities of the filter with momentum; see `filtered`.

    Parameters
    ----------
    nodes
        The k >= 2 newest nodes, from the present one, u_0 = 0.
    newer, older
        Moments M^m, m < k, of the last velocity but one and of the last, both centred on the last of the nodes.
    beta, momentum
        Parameters of the filter.
    mu
        Moments of the kernel, m < k, centred on the present node.

    Raises
    ------
    ValueError
        If no such weights exist, or in floating point if they exist by less than `SINGULAR`.
    """
    evaluated, origin = nodes[:-2], nodes[-1]
    apart = [u - origin for u in evaluated]
    local, about_now = _with_roots(apart), _with_roots(evaluated)
    lifted = [x - origin * y for x, y in zip([0, *about_now], [*about_now, 0], strict=True)]  # (u - u_{k-1}) P
    (a, b), (c, d) = ((_paired(row, local), _paired(row[1:], local)) for row in (newer, older))
    determinant = a * d - b * c
    inexact = kind(determinant) in INEXACT
    if vanishes(determinant) or (inexact and abs(determinant) <= SINGULAR * (abs(a * d) + abs(b * c))):
        raise ValueError("the velocities do not determine the integral of a polynomial, or barely do")
    p, q = _paired(mu, about_now), _paired(mu, lifted)
    last = tidy([(p * d - q * c) / determinant, (q * a - p * b) / determinant])
    known = zip(*(interpolatory(at, row) for at, row in ((evaluated, mu), (apart, newer), (apart, older))), strict=True)
    on_f = [x - last[0] * y - last[1] * z for x, y, z in known] if evaluated else []
    w = [0] * len(evaluated) + last
    for j, x in enumerate(on_f):  # beta f_{n-j} = v_{n+1-j} - (1-beta+momentum) v_{n-j} + momentum v_{n-1-j}
        for i, factor in enumerate((1, beta - 1 - momentum, momentum)):
            w[j + i] = w[j + i] + x * factor / beta
    return tidy(w)


def _paired(row: Vector, polynomial: Vector) -> Number:
    """Return the functional with these moments, applied to the polynomial."""
    return sum(m * p for m, p in zip(row, polynomial, strict=False))


def _with_roots(roots: Vector) -> list[Number]:
    """Return the coefficients of prod_j (u - u_j), lowest power first."""
    P: list[Number] = [1]
    for u in roots:
        P = [-u * P[0], *[x - u * y for x, y in pairwise(P)], P[-1]]
    return P


def to_float(x: Number) -> Number:
    """Return an exact number as a float, since a Fraction and a tensor do not mix; anything else as it is."""
    return float(x) if kind(x) == "exact" else x


def tidy(row: Vector) -> list[Number]:
    """Bring SymPy expressions to lowest terms."""
    if all(kind(x) != "sympy" for x in row):
        return list(row)
    try:
        field = _field([x for x in row if kind(x) == "sympy"])
        return [field.to_sympy(field.from_sympy(x)) if kind(x) == "sympy" else x for x in row]
    except ValueError:  # roots, decimals, exponentials: more relations than those of a rational function
        return [x.cancel() if kind(x) == "sympy" else x for x in row]


def _field(expressions: Vector) -> Any:
    """Return the field of rational functions in the symbols and phis of expressions, where arithmetic is fast."""
    import sympy

    atoms = set().union(*(x.free_symbols | x.atoms(sympy.Function) for x in expressions))
    if not atoms or any(isinstance(x, sympy.exp) for x in atoms) or any(x.has(sympy.Float) for x in expressions):
        raise ValueError
    return sympy.ZZ.frac_field(*sorted(atoms, key=str))


def recentre(M: Vector, d: Number) -> list[Number]:
    """Return the moments about a node that lies `d` ahead of the present centre: sum_j binom(m, j) (-d)^{m-j} M^j."""
    out = list(M)
    for low in range(1, len(out)):  # (u - d)^m = (u - d)^{m-1} u - d (u - d)^{m-1}, one factor a sweep
        for m in range(len(out) - 1, low - 1, -1):
            out[m] = out[m] - d * out[m - 1]
    return out


def rescale(M: Vector, factor: Number) -> list[Number]:
    """Return the moments in a unit that is 1/`factor` times the present one: factor^m M^m."""
    out, power = [], 1
    for value in M:
        out.append(power * value)
        power = power * factor
    return out


def observe(M: Vector, beta: Number) -> list[Number]:
    """Let the filter see the node at the centre, where u^m is 1 for m = 0 and 0 otherwise."""
    return [(1 - beta) * x + (beta if m == 0 else 0) for m, x in enumerate(M)]


def steady_filter(beta: Number, count: int, ratio: Number = 1, momentum: Number = 0) -> list[Number]:
    """Return the filter's moments M^0 ... M^{count-1} at the newest node of a grid with constant step ratio.

    Units are the coming step; `ratio` is that step over the one before it. The filter starts afresh nowhere: this is
    its fixed point.
    """
    field = exact if kind(beta) in ("exact", "sympy") else to_float
    beta, ratio, momentum = field(beta), field(ratio), field(momentum)
    M: list[Number] = [field(1)]
    for m in range(1, count):
        near, far = (1 - beta + momentum) / ratio**m, momentum / ratio ** (2 * m)
        if _outweighs(near, far):
            raise ValueError(
                f"the velocity filter has no steady state at beta = {beta} on steps of ratio {ratio}: the steps change "
                "faster than its memory fades; use a ratio nearer to 1 or a larger beta"
            )
        gap = 1 + 1 / ratio  # the node before the last one, in units of the step before this one
        past = [(-1) ** (m - j) * (near - far * gap ** (m - j) * ratio ** (m - j)) for j in range(m)]
        M += tidy([sum(comb(m, j) * past[j] * M[j] for j in range(m)) / (1 - near + far)])
    return M


def _outweighs(near: Number, far: Number) -> bool:
    """Tell whether M -> near M - far M_before forgets nothing, by Jury's conditions; False for symbols."""
    if "sympy" in (kind(near), kind(far)) and not all(getattr(x, "is_number", True) for x in (near, far)):
        return False
    return bool(abs(far) > 1 or abs(near) > 1 + far or near == 1 + far)
