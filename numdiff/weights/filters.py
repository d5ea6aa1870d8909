"""Weights on velocities, and the filter that makes these of the evaluations; see `numdiff.weights`."""

from __future__ import annotations

from itertools import pairwise
from math import comb

from numdiff.elementary import Number, kind, vanishes
from numdiff.weights.interpolation import INEXACT, Vector, exact, interpolatory, tidy, to_float

__all__ = [
    "SINGULAR",
    "filtered",
    "filtered_twice",
    "observe",
    "on_newer",
    "on_oldest",
    "on_velocities",
    "recentre",
    "rescale",
    "steady_filter",
]

SINGULAR = 1e-3
"""Smallest share of its terms that `filtered` divides by for beta > 1; below it three digits cancel in a divisor."""


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

    Returns
    -------
    list
        k weights, newest velocity first.

    Raises
    ------
    ValueError
        If no such weights exist; for beta > 1 in floating point also if they exist by less than `SINGULAR`.

    Examples
    --------
    On equal steps these are the weights of GHVB:

    >>> from fractions import Fraction
    >>> from numdiff.weights import filtered, moments, steady_filter
    >>> beta = Fraction(4, 5)
    >>> print(*filtered([0, -1], steady_filter(beta, 2), beta, moments(1, 0, 2)))
    7/4 -3/4
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

    Returns
    -------
    list
        k weights, newest velocity first.

    Raises
    ------
    ValueError
        If no such weights exist, or in floating point if they exist by less than `SINGULAR`.

    Examples
    --------
    On equal steps these are the weights of ``nd.FilteredAdams(2, beta, momentum)``:

    >>> from fractions import Fraction
    >>> import numdiff as nd
    >>> from numdiff.weights import filtered_twice, moments, recentre, steady_filter
    >>> beta, momentum = Fraction(4, 5), Fraction(1, 5)
    >>> older = steady_filter(beta, 2, momentum=momentum)
    >>> print(*filtered_twice([0, -1], recentre(older, -1), older, beta, momentum, moments(1, 0, 2)))
    3/2 -1/2
    >>> print(*nd.FilteredAdams(2, beta, momentum).coefficients())
    3/2 -1/2
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


def recentre(M: Vector, d: Number) -> list[Number]:
    """Return the moments about a node that lies `d` ahead of the present centre: sum_j binom(m, j) (-d)^{m-j} M^j.

    Parameters
    ----------
    M
        Moments M^0, M^1, ...
    d
        The distance, in the unit of the moments.

    Returns
    -------
    list
        As many moments.

    Examples
    --------
    The moments of a value at the centre are 1, 0, 0; from a node one unit ahead it lies at -1:

    >>> from numdiff.weights import recentre
    >>> recentre([1, 0, 0], 1)
    [1, -1, 1]
    """
    out = list(M)
    for low in range(1, len(out)):  # (u - d)^m = (u - d)^{m-1} u - d (u - d)^{m-1}, one factor a sweep
        for m in range(len(out) - 1, low - 1, -1):
            out[m] = out[m] - d * out[m - 1]
    return out


def rescale(M: Vector, factor: Number) -> list[Number]:
    """Return the moments in a unit that is 1/`factor` times the present one: factor^m M^m.

    Parameters
    ----------
    M
        Moments M^0, M^1, ...
    factor
        The old unit over the new one.

    Returns
    -------
    list
        As many moments.

    Examples
    --------
    >>> from numdiff.weights import rescale
    >>> rescale([1, -1, 1], 2)  # in half the unit
    [1, -2, 4]
    """
    out, power = [], 1
    for value in M:
        out.append(power * value)
        power = power * factor
    return out


def observe(M: Vector, beta: Number) -> list[Number]:
    """Let the filter see the node at the centre, where u^m is 1 for m = 0 and 0 otherwise.

    Parameters
    ----------
    M
        Moments of the velocity before, centred on that node.
    beta
        Damping of the filter.

    Returns
    -------
    list
        (1 - beta) M^m, and beta more for m = 0.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from numdiff.weights import observe
    >>> print(*observe([1, -1, 1], Fraction(4, 5)))
    1 -1/5 1/5
    """
    return [(1 - beta) * x + (beta if m == 0 else 0) for m, x in enumerate(M)]


def steady_filter(beta: Number, count: int, ratio: Number = 1, momentum: Number = 0) -> list[Number]:
    """Return the filter's moments M^0 ... M^{count-1} at the newest node of a grid with constant step ratio.

    Units are the coming step; `ratio` is that step over the one before it. This is the filter's fixed point, to which
    its moments tend from any start if and only if ``|1 - beta| < ratio^m`` for every m < `count` (with momentum: if
    both roots of zeta^2 - (1 - beta + momentum) zeta + momentum are smaller than ratio^m). Symbols are taken to satisfy
    it.

    Parameters
    ----------
    beta, momentum
        Parameters of the filter.
    count
        How many moments.
    ratio
        Each step over the one before it.

    Returns
    -------
    list
        `count` numbers of the kind of the parameters.

    Raises
    ------
    ValueError
        Where numbers violate the condition: the steps shrink as fast as the filter forgets, or faster. On equal steps
        only where there is no fixed point, so that the weakly stable beta = 2 has its weights.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from numdiff.weights import steady_filter
    >>> print(*steady_filter(Fraction(4, 5), 3))
    1 -1/4 3/8
    >>> print(*steady_filter(1, 3))  # beta = 1 sees the newest value alone
    1 0 0
    """
    field = exact if kind(beta) in ("exact", "sympy") else to_float
    beta, ratio, momentum = field(beta), field(ratio), field(momentum)
    M: list[Number] = [field(1)]
    for m in range(1, count):
        near, far = (1 - beta + momentum) / ratio**m, momentum / ratio ** (2 * m)
        if _outweighs(near, far, ratio):
            raise ValueError(
                f"the velocity filter has no steady state at beta = {beta} on steps of ratio {ratio}: the steps change "
                f"faster than its memory fades{_condition(beta, ratio, momentum, count)}; use a ratio nearer to 1 or a "
                "beta nearer to 1"
            )
        gap = 1 + 1 / ratio  # the node before the last one, in units of the step before this one
        past = [(-1) ** (m - j) * (near - far * gap ** (m - j) * ratio ** (m - j)) for j in range(m)]
        M += tidy([sum(comb(m, j) * past[j] * M[j] for j in range(m)) / (1 - near + far)])
    return M


def _outweighs(near: Number, far: Number, ratio: Number) -> bool:
    """Tell whether M -> near M - far M_before forgets nothing, by Jury's conditions; False for symbols."""
    if "sympy" in (kind(near), kind(far)) and not all(getattr(x, "is_number", True) for x in (near, far)):
        return False
    if bool(abs(far) > 1 or abs(near) > 1 + far or near == 1 + far):
        return True
    return bool(ratio != 1 and (abs(far) == 1 or near == -1 - far))  # it then swings for ever


def _condition(beta: Number, ratio: Number, momentum: Number, count: int) -> str:
    """Return the condition in numbers, where there is a short one."""
    if not vanishes(momentum) or kind(beta) == "sympy":
        return ""
    return f" (|1 - beta| = {abs(1 - beta)} must be below ratio^{count - 1} = {ratio ** (count - 1)})"
