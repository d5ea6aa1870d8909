r"""Growth on the linear model x_0 = kappa x/alpha, in steady state on equal log-SNR steps.

A denoiser that returns kappa times the scaled sample is the Gaussian test problem at a frozen ratio of signal and
noise, kappa = alpha^2 s^2/S: 1 for flat data, 0 for a point mass at the origin. Guidance can push kappa out of [0, 1].
In the exact flow x/alpha grows by e^{(kappa-1)h} over a step h of lambda = log(alpha/sigma); a method is stable where
its own growth is at most 1.

**Every formulation in one frame.** With q = e^{-h} and eps = (1-kappa) x/sigma the prediction is, for X = x/kappa_t and
on the formulation's own variable,

    data, log-SNR    f = kappa X            growth of x/alpha = growth of X
    noise, log-SNR   f = (kappa-1) X                            q times that
    noise, ratio     f = (1-kappa) X/rho    steps of ratio q    that
    data, ratio      f = kappa X rho        steps of ratio 1/q  q times that

In a ratio variable s the slope falls as 1/s: measured in the present step, d f = z X with z = (1-kappa)(q-1) or
kappa (1/q-1), a stage at s + c_i d has the slope z/(1 + c_i (r-1)), where r is the ratio of the steps, and stored
evaluations change their unit by r from one step to the next. So one constant matrix describes a step again:

    M = D (V + B L (I - A L)^-1 U),    L = diag(z_i),    D = q or 1 times diag(1, r, ..., r).

Its spectral radius is the growth factor. At kappa = 1 a method that preserves constants has the root 1 exactly, and
beyond it grows; the *kappa interval* (kappa*, 1) is found from there downwards by exact root counting
(`numdiff.symbolic.intervals`). With h a number, e^{-h} enters as a rational good to `DIGITS` digits; without h it stays
the symbol q, and where h occurs in no other way the interval is a formula, as the coth(h/2) = (1+q)/(1-q) of DDIM.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from numdiff.formulations import NOISE_RATIO, VELOCITY_TIME, Formulation
from numdiff.methods.base import Method
from numdiff.properties.spectral.scalar import check_real, kind_of
from numdiff.symbolic.intervals import DAMPING, interval
from numdiff.symbolic.polynomials import ZETA, Z, parameters, stability_polynomial, step_matrix, tidy, to_sympy
from numdiff.symbolic.steady import H, exact_method
from numdiff.tableau import Tableau

Q = sp.Symbol("q", positive=True)
"""e^{-h}, between 0 and 1."""

DIGITS = 40
"""Digits of e^{-h} in exact work: an order of 8 divides by h^8, which leaves double precision for h > 0.001."""


LARGEST = 4
"""External values up to which the interval is worked out as a formula in q."""


def steady_gain(method: Any, kappa: ArrayLike, *, h: float) -> NDArray[np.float64]:
    """Return the growth factor of x/alpha per step on x_0 = kappa x/alpha.

    Parameters
    ----------
    method
        A method with numbers for its parameters, in a noise or data formulation (None: noise/ratio).
    kappa
        Real array of any shape.
    h
        Step in lambda = log(alpha/sigma) towards the data, positive.

    Returns
    -------
    ndarray
        Spectral radius of the step, of the shape of `kappa`; the exact flow has exp((kappa - 1) h).

    Raises
    ------
    TypeError
        If `method` is no method, or `kappa` or `h` are no real numbers.
    ValueError
        For a velocity formulation, a symbol among the parameters, a method without a steady step, h not positive.
    """
    points = check_real(kappa, "kappa", negative=True)
    tableau, base = frozen(method, _positive(h))
    M = step_matrix(tableau)
    if M.domain.domain.is_Composite:
        raise ValueError(f"{method} has symbols among its parameters; give them numbers, or use kappa_interval")
    matrices = np.zeros((*points.shape, *M.shape))
    for (i, j), entry in M.to_dok().items():
        matrices[..., i, j] = sum(
            float(M.domain.domain.to_sympy(c)) * (points - base) ** k for (k,), c in entry.terms()
        )
    return np.abs(np.linalg.eigvals(matrices)).max(-1)


def kappa_interval(method: Any, *, h: Any = None) -> tuple[sp.Expr, sp.Expr]:
    """Return the ends (kappa*, 1) of the interval of kappa next to 1 on which the method is stable, exactly.

    Parameters
    ----------
    method
        A method in a noise or data formulation (None: noise/ratio); one parameter may be a symbol if h is a number.
    h
        Step in lambda = log(alpha/sigma), positive; None keeps the symbol `Q` = e^{-h}.

    Returns
    -------
    tuple of Expr
        Both ends; a formula or ``Piecewise`` where there is a symbol. kappa* is 1 where there is no such interval and
        -oo where it never ends.

    Raises
    ------
    TypeError, ValueError
        As `steady_gain`; without `h` also where h enters the weights other than through e^{-h}.
    """
    tableau, base = frozen(method, None if h is None else _positive(h))
    if h is None and tableau.registers > LARGEST:
        raise ValueError(
            f"the interval of {method} as a formula in e^-h is out of reach: {tableau.registers} external values, at "
            f"most {LARGEST} take seconds; give h, such as h=0.1"
        )
    pi = stability_polynomial(tableau)
    if h is None and {H, Q} <= set(parameters(pi)):
        raise ValueError(f"h enters the weights of {method} in other ways than through e^-h; give h, such as h=0.1")
    unit = 1 / (1 - _decay(h))  # in this unit the interval tends to the classical one as h -> 0, and not to infinity
    pi = sp.Poly(pi.as_expr().xreplace({Z: unit * Z + 1 - base}), ZETA, Z, domain=pi.domain)
    end = interval(pi, "real", (0, 1) if parameters(pi) == (Q,) else DAMPING)
    return _below_one(end, unit), sp.Integer(1)


def _below_one(end: sp.Expr, unit: sp.Expr) -> sp.Expr:
    """Return 1 - unit * end, piece by piece; without the value at q = 1, where there is no step."""
    if not end.has(sp.Piecewise):
        return tidy(1 - unit * end) if end.is_rational_function() else 1 - unit * end
    pieces = [(_below_one(part, unit), when) for part, when in end.args if when != sp.Eq(Q, 1)]
    return pieces[0][0] if len(pieces) == 1 else sp.Piecewise(*pieces)


def _decay(h: sp.Rational | None) -> sp.Expr:
    """Return q = e^{-h}: the symbol, or a rational good to `DIGITS` digits."""
    return Q if h is None else sp.Rational(sp.exp(-h).evalf(DIGITS))


def frozen(method: Any, h: sp.Rational | None) -> tuple[Tableau, int]:
    """Return the step on x_0 = kappa x/alpha as a tableau for f = (kappa - base) Y, and the base 0 or 1."""
    formulation = _formulation(method)
    data = formulation.prediction == "data"
    q = _decay(h)
    outer = q if formulation.name in ("noise/log-snr", "data/ratio") else sp.Integer(1)
    if formulation.c:
        ratio, tableau = sp.Integer(1), exact_method(method).steady().map(lambda x: _closed(x, q, h))
        factors = [sp.Integer(1)] * tableau.stages
    else:
        ratio = 1 / q if data else q
        tableau = exact_method(method).steady(ratio=ratio).map(to_sympy)
        slope = ratio - 1 if data else 1 - ratio
        factors = [slope / (1 + c * (ratio - 1)) for c in _positions(tableau)]
    units = [outer] + [outer * ratio] * (tableau.registers - 1)
    rows = {name: [[u * x for x in row] for u, row in zip(units, getattr(tableau, name), strict=True)] for name in "BV"}
    A, B = ([[x * p for x, p in zip(row, factors, strict=True)] for row in m] for m in (tableau.A, rows["B"]))
    return Tableau(A=A, U=tableau.U, B=B, V=rows["V"]), int(not data)


def _formulation(method: Any) -> Formulation:
    if not isinstance(method, Method):
        raise TypeError(f"method must be a method such as nd.DPMSolverPP(2), got {method!r}")
    formulation = method.formulation or NOISE_RATIO
    if formulation == VELOCITY_TIME:
        raise ValueError(
            f"{method.name} steps in time, in which x_0 = kappa x/alpha has no steady step; use a noise or data "
            "formulation, or nd.spectral.response on a grid"
        )
    return formulation


def _positive(h: Any) -> sp.Rational:
    if isinstance(h, bool) or kind_of(h) not in ("exact", "float", "numpy", "sympy") or getattr(h, "ndim", False):
        raise TypeError(f"h must be a number, got {h!r}")
    if getattr(h, "is_number", True) and not (h > 0 and h < sp.oo):
        raise ValueError(f"h must be positive and finite, a step of the log-SNR towards the data, got {h}")
    number = to_sympy(h.item() if kind_of(h) == "numpy" else h, "h")
    if not number.is_number:
        raise TypeError(f"h must be a number, got the symbol {h}; leave it out of kappa_interval to keep e^-h a symbol")
    return number if number.is_Rational else sp.Rational(number.evalf(DIGITS))


def _closed(x: Any, q: sp.Expr, h: sp.Rational | None) -> sp.Expr:
    """Return a coefficient with phi written out and e^{-h} as q, which keeps identities between weights exact."""
    x = sp.expand_func(to_sympy(x)).xreplace({sp.exp(-H): q, sp.exp(H): 1 / q})
    return sp.cancel(x) if h is None else x.xreplace({H: h})


def _positions(tableau: Tableau) -> list[sp.Expr]:
    """Return the places c_i of the stages, in steps: where f = 1 takes the sample X = s.

    Raises
    ------
    ValueError
        If a register other than the sample does not hold an average of evaluations, and so has no unit to change.
    """
    for v, b in zip(tableau.V[1:], tableau.B[1:], strict=True):
        if v[0] != 0 or sp.cancel(sum(v[1:]) + sum(b) - 1) != 0:
            raise ValueError("the method stores something other than averages of evaluations; use nd.spectral.response")
    return [sp.cancel(sum(a) + sum(u[1:])) for a, u in zip(tableau.A, tableau.U, strict=True)]
