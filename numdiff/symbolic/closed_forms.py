r"""Coefficients of a step as closed forms: in step ratios, in h through phi, in the state of a velocity filter.

`Method.coefficients` is asked with symbols and its answer is written so that it can be read. Weights of classical
formulations are rational functions in factors; weights of exponential ones are linear in the phis, h (C_1 phi_1(ch) +
C_2 phi_2(ch) + ...), with such factors for C_m.

**Any grid.** A velocity filter remembers every step, so its weights on a general grid are functions of what it
remembers: the moments M^1, ..., M^{k-1} of the oldest velocity about the oldest node, in units of the present step.
With l_j the Lagrange basis and P the product of u - u_j on the k - 1 newest nodes,

    a = mu[P]/M[P],    b_j = (mu - a M)[l_j],    w_0 = b_0/beta,    w_i = (b_i - (1-beta) b_{i-1})/beta, ...

and one step on, d = u_{k-2} - u_{k-1} from the oldest node to the next and r_0 the coming step over the present one,

    M^m  becomes  r_0^{-m} (1-beta) sum_j binom(m, j) (-d)^{m-j} M^j.                                (m >= 1)

**The two-step form.** Write D_n = X_{n+1} - e^{ch_n} X_n. Heavy ball has D_n = W_n v_{n+1}, Nesterov's momentum D_n =
W_n ((1-beta) v_{n+1} + beta p_n), GHVB D_n = a_n v_{n+2-k} + sum_j b_{n,j} f_{n-j}; eliminating the velocity from two
steps in a row leaves

    D_n = g_n D_{n-1} + sum_j c_{n,j} f_{n-j},    g_n = (1-beta) W_n/W_{n-1}   or   (1-beta) a_n/a_{n-1},

a linear multistep method with variable coefficients. The product of the g_n telescopes: on no grid does a heavy ball
multiply what it remembers by more than (1-beta)^m W_n/W_{n-m} in m steps.

Sources: `numdiff.weights`; Hairer, Norsett, Wanner, Solving ODEs I, III.5 (variable coefficients).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import sympy as sp

from numdiff.methods import GHVB, AdamsBashforth, RungeKutta
from numdiff.methods.momentum import Momentum
from numdiff.symbolic.polynomials import tidy, to_sympy
from numdiff.symbolic.readable import RATIO, free_ratios, ratio_symbols, readable, remembers, step_length
from numdiff.symbolic.steady import H, exact_method
from numdiff.weights import observe, on_newer, on_oldest, on_velocities, recentre, rescale

__all__ = [
    "BETA",
    "RATIO",
    "GeneralWeights",
    "TwoStep",
    "free_ratios",
    "general_weights",
    "ratio_symbols",
    "readable",
    "remembers",
    "step_length",
    "two_step",
    "weights",
]

Row = tuple[sp.Expr, ...]

BETA = sp.Symbol("beta", positive=True)
"""A damping that may take any value."""

A = sp.Symbol("a")
"""The weight on the oldest velocity."""


def weights(method: Any, *, h: Any = None, ratios: Sequence[Any] | None = None) -> dict[str, Row]:
    """Return the weights of one step of a multistep or predictor-corrector method, to be read.

    Parameters
    ----------
    method
        Its parameters may be symbols; floats are read as the decimals they print as.
    h
        Step length of an exponential method, exact; None keeps the symbol.
    ratios
        As in the method's ``coefficients``: numbers or symbols, None for equal steps.

    Returns
    -------
    dict
        "weight": newest first, on evaluations (on velocities for GHVB); "predictor weight" and "corrector weight" where
        a step has two rows.

    Raises
    ------
    ValueError
        For a Runge-Kutta method, which has a Butcher array instead; for ratios that do not fit the method.

    Examples
    --------
    >>> import sympy as sp
    >>> import numdiff as nd
    >>> from numdiff.symbolic import closed_forms
    >>> closed_forms.weights(nd.GHVB(2, sp.Symbol("beta", positive=True)))
    {'weight': ((beta + 2)/(2*beta), (beta - 2)/(2*beta))}
    >>> method = nd.AdamsBashforth(2)
    >>> closed_forms.weights(method, ratios=closed_forms.ratio_symbols(method))
    {'weight': (r_1/2 + 1, -r_1/2)}
    >>> closed_forms.weights(nd.DPMSolverPP(2))
    {'weight': (h*(phi(1, -h) + phi(2, -h)), -h*phi(2, -h))}
    """
    if isinstance(method, RungeKutta):
        raise ValueError(
            f"{method} is a one-step method: it has a Butcher array, method.coefficients(), and no weights on past "
            "evaluations, so that it does not depend on step ratios"
        )
    return dict(_weights(exact_method(method), step_length(method, h), None if ratios is None else tuple(ratios)))


@cache
def _weights(method: Any, h: Any, ratios: tuple[Any, ...] | None) -> tuple[tuple[str, Row], ...]:
    found = method.coefficients(h=h, ratios=ratios)
    rows = {"weight": found} if isinstance(found, tuple) else _rows(found)
    return tuple((name, tuple(map(readable, row))) for name, row in rows.items())


def _rows(found: Any) -> dict[str, Row]:
    rows = {"predictor weight": found.predictor, "corrector weight": found.corrector}
    return {name: row for name, row in rows.items() if row}  # a predictor alone has no corrector


@dataclass(frozen=True)
class GeneralWeights:
    """GHVB on any grid; the symbol `A` stands for a in `b`, and a, b_0, b_1, ... for the parts in `on_velocities`.

    Parameters
    ----------
    ratios
        r_1, r_2, ...: the step ratios between the nodes.
    moments
        M^1, ..., M^{k-1} of the oldest velocity about the oldest node, in units of the present step.
    a
        The weight on the oldest velocity.
    b
        The weights on the k - 1 newest evaluations.
    on_velocities
        The weights w_i on the k newest velocities, in these.
    update
        The moments of the next step, in these and r_0, the coming step over the present one.

    Examples
    --------
    The filter of GHVB2 remembers one number, the mean age of the velocity, and this is what a step makes of it:

    >>> import sympy as sp
    >>> import numdiff as nd
    >>> from numdiff.symbolic import closed_forms
    >>> found = closed_forms.general_weights(nd.GHVB(2, sp.Symbol("beta", positive=True)))
    >>> found.moments, found.update
    ((M^1,), ((1 - beta)*(M^1*r_1 - 1)/(r_0*r_1),))
    """

    ratios: tuple[sp.Symbol, ...]
    moments: tuple[sp.Symbol, ...]
    a: sp.Expr
    b: Row
    on_velocities: Row
    update: Row

    @property
    def weights(self) -> Row:
        """The weights on the velocities as functions of ratios and moments; long from order 4 on."""
        b = [x.subs(A, self.a) for x in self.b]
        values = {A: self.a, **dict(zip(part_symbols(len(b)), b, strict=True))}
        return tuple(w.subs(values) for w in self.on_velocities)


def part_symbols(count: int) -> tuple[sp.Symbol, ...]:
    """Return b_0, b_1, ...: the weights on evaluations."""
    return tuple(sp.symbols(f"b_:{count}"))


def general_weights(method: Any, *, h: Any = None) -> GeneralWeights:
    """Return the closed form of a GHVB step on any grid, in what its filter remembers.

    Parameters
    ----------
    method
        GHVB of order 2 or more with ``weights="variable"``.
    h
        Step length of an exponential method, exact; None keeps the symbol.

    Returns
    -------
    GeneralWeights

    Raises
    ------
    ValueError
        For another method: `weights` with symbolic ratios then covers every grid already.

    Examples
    --------
    >>> import sympy as sp
    >>> import numdiff as nd
    >>> from numdiff.symbolic import closed_forms
    >>> found = closed_forms.general_weights(nd.GHVB(2, sp.Symbol("beta", positive=True)))
    >>> found.a, found.b
    (r_1/(2*(M^1*r_1 - 1)), (1 - a,))
    """
    if not isinstance(method, GHVB) or method.weights != "variable" or method.order < 2:
        raise ValueError(
            f"the weights of {method} do not depend on the state of a filter; for any grid use weights(method, "
            "ratios=ratio_symbols(method))"
        )
    return _general(exact_method(method), step_length(method, h))


@cache
def _general(method: GHVB, h: Any) -> GeneralWeights:
    ratios, k = ratio_symbols(method), method.order
    M = (sp.Integer(1), *sp.symbols(f"M^1:{k}"))
    point = method.point(h=h, ratios=ratios)
    nodes, mu = method.interpolant(point)
    a = on_oldest(nodes, M, method.beta, mu)
    shifted = observe(recentre(M, nodes[-2] - nodes[-1]), method.beta)
    return GeneralWeights(
        ratios,
        M[1:],
        a=readable(a),
        b=tuple(sp.collect(sp.expand(x), A, readable) for x in on_newer(nodes, M, mu, A)),
        on_velocities=tuple(map(tidy, on_velocities(A, part_symbols(k - 1), method.beta))),
        update=tuple(map(tidy, rescale(shifted, 1 / sp.Symbol("r_0", positive=True))[1:])),
    )


@dataclass(frozen=True)
class TwoStep:
    """A recursion D_n = gain D_{n-1} + sum_j weights[j] f_{n-j} for D_n = X_{n+1} - e^{ch_n} X_n.

    Parameters
    ----------
    gain
        What is kept of D_{n-1}.
    weights
        c_{n,j}, on the newest evaluation first.

    Examples
    --------
    >>> import sympy as sp
    >>> import numdiff as nd
    >>> from numdiff.symbolic import closed_forms
    >>> found = closed_forms.two_step(nd.HeavyBall(nd.AdamsBashforth(1), sp.Symbol("beta", positive=True)))
    >>> found.gain, found.weights                   # x_{n+1} - x_n = (1 - beta)(x_n - x_{n-1}) + beta h f_n
    (1 - beta, (beta, 0))
    """

    gain: sp.Expr
    weights: Row


def two_step(method: Any, *, h: Any = None, ratios: Sequence[Any] | None = None) -> TwoStep:
    """Return a method with one velocity (or none) as a multistep method, the velocity eliminated.

    Parameters
    ----------
    method
        `AdamsBashforth`, heavy ball or Nesterov momentum on it, or `GHVB`.
    h
        Length of the present step, in exponential formulations: exact; None keeps the symbol.
    ratios
        r_1 = h_n/h_{n-1}, r_2, ...: as many as `points`, one more than in `weights`; None for equal steps. GHVB takes
        equal ratios.

    Returns
    -------
    TwoStep

    Raises
    ------
    ValueError
        For another method, or ratios that do not fit.

    Examples
    --------
    >>> import sympy as sp
    >>> import numdiff as nd
    >>> from numdiff.symbolic import closed_forms
    >>> closed_forms.two_step(nd.GHVB(2, sp.Symbol("beta", positive=True)))
    TwoStep(gain=1 - beta, weights=(beta/2 + 1, beta/2 - 1))
    """
    method = exact_method(method)
    adams = getattr(method, "base", method)
    if not isinstance(adams, (AdamsBashforth, GHVB)) or (isinstance(method, Momentum) and isinstance(adams, GHVB)):
        raise ValueError(f"{method} has no two-step form; it exists for Adams methods, heavy balls on them, and GHVB")
    ratios = (1,) * method.points if ratios is None else tuple(ratios)
    if len(ratios) != method.points:
        raise ValueError(f"ratios must have {method.points} entries for {method.name}, got {len(ratios)}")
    if isinstance(method, GHVB) and any(ratio != ratios[0] for ratio in ratios):
        raise ValueError(f"{method.name} remembers every step: give equal ratios (a geometric grid), got {ratios}")
    return _two_step(method, step_length(method, h), ratios)


@cache
def _two_step(method: Any, h: Any, ratios: tuple[Any, ...]) -> TwoStep:
    length = (H if method.kernel else sp.Integer(1)) if h is None else h
    at = ({H: length}, {H: length / to_sympy(ratios[0], "ratio")})  # derived once, for any step length
    gain, now, scale, before = (_through_parts if isinstance(method, GHVB) else _through_mixes)(method, ratios, at)
    if method.kernel:  # phis of two step lengths do not combine
        return TwoStep(gain, tuple(x + scale * y for x, y in zip(now, before, strict=True)))
    return TwoStep(tidy(gain), tuple(readable(x + scale * y) for x, y in zip(now, before, strict=True)))


Lengths = tuple[dict[sp.Symbol, sp.Expr], dict[sp.Symbol, sp.Expr]]


def _through_mixes(method: Any, ratios: tuple[Any, ...], at: Lengths) -> tuple[Any, list[Any], Any, list[Any]]:
    """Return the gain, and the weights of this step and (times a factor) of the last one.

    With d_n = D_n/W_n = a v_n + b p_n, d_n - (1-beta) d_{n-1} = b p_n + (beta a - (1-beta) b) p_{n-1} holds no v.
    """
    rows = [method.coefficients(h=H, ratios=r) for r in (ratios[:-1], ratios[1:])]
    now, before = ([readable(x).subs(h) for x in row] for row, h in zip(rows, at, strict=True))
    if isinstance(method, AdamsBashforth):
        return sp.Integer(0), now, 0, [sp.Integer(0)] * len(now)
    here, there = (readable(sum(row)).subs(h) for row, h in zip(rows, at, strict=True))
    beta, (on_v, on_p) = method.beta, method.factors()
    late = tidy(beta * on_v - (1 - beta) * on_p) * here / there
    return (1 - beta) * here / there, [*(on_p * x for x in now), sp.Integer(0)], late, [sp.Integer(0), *before]


def _through_parts(method: GHVB, ratios: tuple[Any, ...], at: Lengths) -> tuple[Any, list[Any], Any, list[Any]]:
    """Return the same of GHVB, whose oldest velocity obeys v_{n+2-k} = (1-beta) v_{n+1-k} + beta f_{n+1-k}."""
    a, *b = map(readable, parts(method, H, ratios[1:]))
    gain = (1 - method.beta) * a.subs(at[0]) / a.subs(at[1])
    now = [*(x.subs(at[0]) for x in b), method.beta * a.subs(at[0])]
    return gain, now, -gain, [sp.Integer(0), *(x.subs(at[1]) for x in b)]


@cache
def parts(method: GHVB, h: Any, ratios: tuple[Any, ...]) -> Row:
    """Return a, b_0, b_1, ... of a GHVB step: the weights on the oldest velocity and on the evaluations since."""
    a, b = method.parts_at(method.state_at(ratios), method.point(h=h, ratios=ratios))
    return tuple(map(to_sympy, (a, *b)))
