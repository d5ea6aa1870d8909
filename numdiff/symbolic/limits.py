r"""Limits of a method's coefficients, each computed exactly and compared with what it should be.

h -> 0
    The weights of an exponential formulation, over h, become the classical ones of the same rule on the same ratios:
    phi_k(0) = 1/k!.
r -> 1
    The weights on a variable grid become those of equal steps.
beta -> 1
    The velocity is the last evaluation: GHVB_k becomes AB_k, momentum its base, and of the pair (rho, sigma) a power
    of zeta splits off, which is stored history.
beta -> 0
    The velocity is an average over ever more evaluations. The weights w_i on velocities diverge like 1/beta, but in the
    parts of `numdiff.weights`, a on the oldest velocity and b_j on the evaluations since, the limit is plain: on equal
    steps the oldest velocity's moments grow like beta^-m, so that a -> 0 and b_j becomes AB_{k-1},

        rho -> (zeta - e^{ch}) (zeta - 1) zeta^m,    sigma -> (zeta - 1) sigma_{AB_{k-1}} zeta^m,

    and the factor zeta - 1 cancels: a constant added to every D_n = X_{n+1} - e^{ch} X_n, which is what the velocity
    was to begin with. On a grid of ratio r > 1 the past steps add up to 1/(r-1) and every old evaluation lies near u =
    -1/(r-1): the limit is Adams-Bashforth with that node as its oldest. Momentum that averages a mix keeps its first
    velocity for ever: sigma -> 0.

gamma -> 0, C -> 0
    Filtered Adams methods lose the momentum of their velocity, or the relaxation that sets their error constant.

A limit is the value of a rational function in lowest terms where its denominator does not vanish.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import sympy as sp

from numdiff.methods import GHVB, AdamsBashforth, FilteredAdams, PredictorCorrector, RungeKutta
from numdiff.methods.base import Method
from numdiff.methods.layout import ratio_of
from numdiff.methods.momentum import Momentum
from numdiff.symbolic.closed_forms import BETA, RATIO, Row, free_ratios, parts, weights
from numdiff.symbolic.polynomials import ZETA, multistep_pair, stability_polynomial, tidy, to_sympy
from numdiff.symbolic.steady import H, exact_method
from numdiff.weights import interpolatory
from numdiff.weights import tidy as lowest

__all__ = ["Limit", "limits"]


@dataclass(frozen=True)
class Limit:
    """One limit and what it is.

    Parameters
    ----------
    name
        For example "h -> 0".
    of
        What the limit is taken of.
    value
        The limit, entry by entry.
    equals
        What it should be, in words.
    expected
        What it should be, derived on its own.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic import limits
    >>> found = limits.limits(nd.GHVB(2, 0.8))[1]
    >>> found.name, found.value, found.equals, found.verified
    ('beta -> 1', (r/2 + 1, -r/2), 'those of AB2', True)
    """

    name: str
    of: str
    value: Row
    equals: str
    expected: Row

    @property
    def verified(self) -> bool:
        """Whether both agree exactly, for all values of the symbols."""
        return len(self.value) == len(self.expected) and all(
            x.is_finite is not False and lowest([x - y])[0] == 0 for x, y in zip(self.value, self.expected, strict=True)
        )


def limits(method: Any) -> tuple[Limit, ...]:
    """Return the limits of a method's coefficients: h -> 0, r -> 1, beta -> 1 and beta -> 0, as far as it has them.

    Parameters
    ----------
    method
        A damping counts as a symbol, whatever its value; other floats are read as the decimals they print as.

    Returns
    -------
    tuple of Limit

    Raises
    ------
    ValueError
        If the coefficients depend on nothing: Runge-Kutta methods, and Adams-Bashforth of order 1 without a kernel.
    TypeError
        If `method` is none.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic import limits
    >>> [(found.name, found.verified) for found in limits.limits(nd.AdamsBashforth(2))]
    [('r -> 1', True)]
    """
    if not isinstance(method, Method):
        raise TypeError(f"method must be a numdiff method, got {method!r}")
    found = () if isinstance(method, RungeKutta) else _limits(exact_method(method))
    if not found:
        raise ValueError(
            f"{method} has no limits: its weights depend on no step ratio and no kernel, and on no damping whose "
            "limits are methods"
        )
    return found


@cache
def _limits(method: Any) -> tuple[Limit, ...]:
    return (*_in_h(method), *_in_ratio(method), *_in_beta(method))


def at(value: sp.Expr, symbol: sp.Symbol, point: Any) -> sp.Expr:
    """Return a rational function in lowest terms at a point, complex infinity at a pole."""
    exponentials = {e: sp.Dummy() for e in value.atoms(sp.exp)}  # 1/e^h is no denominator
    numerator, denominator = sp.fraction(sp.together(value.xreplace(exponentials)))
    below = denominator.subs(symbol, point)
    limit = sp.zoo if sp.expand(below) == 0 else numerator.subs(symbol, point) / below
    return limit.xreplace({name: e for e, name in exponentials.items()})


def _in_h(method: Any) -> Iterator[Limit]:
    if not method.kernel:
        return
    ratios, classical = free_ratios(method), _without_kernel(method)
    expected = weights(classical, ratios=ratios)
    for name, row in weights(method, ratios=ratios).items():
        value = tuple(tidy(at(x, H, 0)) for x in lowest([x / H for x in row]))
        yield Limit("h -> 0", f"{name}s over h", value, f"those of {classical}", expected[name])


def _without_kernel(method: Any) -> Any:
    """Return the same method in the ratio variable."""
    if isinstance(method, Momentum):
        return replace(method, base=_without_kernel(method.base))
    changes: dict[str, Any] = {"formulation": ratio_of(method.formulation)}
    if getattr(method, "predictor", None) is not None:
        changes["predictor"] = _without_kernel(method.predictor)
    return replace(method, **changes)


def _in_ratio(method: Any) -> Iterator[Limit]:
    ratios = free_ratios(method)
    variable, equal = weights(method, ratios=ratios), weights(method)
    for name, row in variable.items():
        if any(set(ratios) & x.free_symbols for x in row):
            value = row
            for ratio in set(ratios):
                value = tuple(at(x, ratio, 1) for x in value)
            yield Limit("r -> 1", f"{name}s", tuple(map(tidy, value)), f"those of {method} on equal steps", equal[name])


def _in_beta(method: Any) -> Iterator[Limit]:
    if isinstance(method, GHVB):
        family = replace(method, beta=BETA)
        yield from _to_adams(family, method.order)
        yield from _to_fewer(family)
    elif isinstance(method, Momentum):
        yield from _to_base(replace(method, beta=BETA))
    elif isinstance(method, FilteredAdams):
        yield from _to_plainer_filters(method)
    elif isinstance(method, PredictorCorrector) and method.beta != 1:
        yield _without_velocities(replace(method, beta=BETA))


def _pair(method: Any) -> tuple[sp.Poly, sp.Poly]:
    return multistep_pair(method.steady())


def _pair_limit(name: str, method: Any, point: int, equals: str, expected: Sequence[Any], degree: int) -> Limit:
    """Return the limit of (rho, sigma) beside `expected`, of this degree in zeta, times a power of zeta."""
    rho, sigma = _pair(method)
    value = tuple(
        sp.Poly([at(c, BETA, point) for c in p.all_coeffs()], ZETA).as_expr() if p else sp.Integer(0)
        for p in (rho, sigma)
    )
    shift = ZETA ** (rho.degree() - degree)
    shown = (tuple(_factored(x, method.kernel) for x in row) for row in (value, [shift * x for x in expected]))
    return Limit(name, "(rho, sigma)", next(shown), equals, next(shown))


def _factored(value: sp.Expr, c: int) -> sp.Expr:
    """Return a polynomial in zeta and e^{ch} in factors."""
    xi = sp.Symbol("zeta_xi", positive=True)  # sorted after zeta, which leads in every factor
    return tidy(value.replace(sp.exp, lambda z: xi ** (z / (c * H)))).xreplace({xi: sp.exp(c * H)})


def _to_adams(family: GHVB, k: int) -> Iterator[Limit]:
    adams = AdamsBashforth(k, family.formulation, family.weights)
    ratios = (RATIO,) * (k - 1)
    (row,), (expected,) = weights(family, ratios=ratios).values(), weights(adams, ratios=ratios).values()
    value = tuple(tidy(at(x, BETA, 1)) for x in row)
    yield Limit("beta -> 1", "weights, where v_{n+1-i} = f_{n-i}", value, f"those of {adams}", expected)
    rho, sigma = _pair(adams)
    yield _pair_limit("beta -> 1", family, 1, f"{adams}", (rho.as_expr(), sigma.as_expr()), rho.degree())


def _to_fewer(family: GHVB) -> Iterator[Limit]:
    k = family.order
    if k == 1:
        yield _frozen(family)
        return
    adams = AdamsBashforth(k - 1, family.formulation, family.weights)
    (expected,) = weights(adams).values()
    a, *b = (tidy(at(x, BETA, 0)) for x in lowest(parts(family, None, (1,) * (k - 1))))
    yield Limit("beta -> 0", "(b_0, b_1, ..., a)", (*b, a), f"those of {adams}, and 0", (*expected, sp.Integer(0)))
    rho, sigma = (p.as_expr() * (ZETA - 1) for p in _pair(adams))
    yield _pair_limit("beta -> 0", family, 0, f"{adams} times zeta - 1", (rho, sigma), k)
    if family.weights == "variable":
        yield _accumulated(family)


def _accumulated(family: GHVB) -> Limit:
    """Return the limit on a grid whose past steps add up to 1/(r-1)."""
    ratios = (RATIO,) * (family.order - 1)
    point = family.point(ratios=ratios)
    a, *b = (tidy(at(x, BETA, 0)) for x in lowest(parts(family, None, ratios)))
    nodes = [*point.nodes[:-1], -1 / (RATIO - 1)]
    expected = tuple(tidy(to_sympy(x)) for x in lowest(interpolatory(nodes, point.span.moments)))
    what = f"those of AB{family.order} with the node -1/(r-1), where the past accumulates, as its oldest"
    return Limit("beta -> 0 at r > 1", "(b_0, b_1, ..., a)", (*b, a), what, expected)


def _frozen(method: Any) -> Limit:
    xi = sp.exp(method.kernel * H)
    what = "a velocity that keeps its first value"
    return _pair_limit("beta -> 0", method, 0, what, ((ZETA - xi) * (ZETA - 1), sp.Integer(0)), 2)


def _to_base(family: Momentum) -> Iterator[Limit]:
    rho, sigma = _pair(family.base)
    pair = (rho.as_expr(), sigma.as_expr())
    yield _pair_limit("beta -> 1", family, 1, f"{family.base}", pair, rho.degree())
    if isinstance(family.base, AdamsBashforth):
        yield _frozen(family)


def _to_plainer_filters(method: FilteredAdams) -> Iterator[Limit]:
    """Yield what is left of a filtered method without its relaxation, or without the velocity's own momentum."""
    simpler: dict[str, Any] = {}
    if method.error is not None:
        simpler["error"] = replace(method, order=method.order + 1, error=None)
    if method.momentum != 0:
        simpler["momentum"] = replace(method, momentum=0)
    for parameter, plain in simpler.items():
        symbol = sp.Symbol({"error": "C", "momentum": "gamma"}[parameter])
        (row,), (expected,) = (weights(x).values() for x in (replace(method, **{parameter: symbol}), plain))
        value = tuple(tidy(at(x, symbol, 0)) for x in row)
        yield Limit(f"{symbol} -> 0", "weights on equal steps", value, f"those of {plain}", expected)


def _without_velocities(family: PredictorCorrector) -> Limit:
    """Return the limit beta -> 1 of a predictor-corrector's stability polynomial."""
    plain = replace(family, beta=1)
    pi, expected = stability_polynomial(family.steady()), stability_polynomial(plain.steady())
    shift = ZETA ** (pi.degree(ZETA) - expected.degree(ZETA))
    value = sp.Add(*(at(c, BETA, 1) * sp.prod(g**e for g, e in zip(pi.gens, m, strict=True)) for m, c in pi.terms()))
    return Limit("beta -> 1", "stability polynomial", (value,), f"that of {plain}", (shift * expected.as_expr(),))
