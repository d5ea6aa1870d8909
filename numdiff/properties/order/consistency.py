r"""Order of a method: proved from its tableau, and observed in runs.

**Certified.** A method converges with order p if its steady step is consistent of order p and zero-stable (Dahlquist;
Butcher for general linear methods), on exact starting values. Consistency is decided exactly, at a symbolic damping
too:

- one evaluation a step, at the sample: eliminating the memory leaves a linear multistep pair (rho, sigma), which must
  be exact on the monomials up to t^p, or on e^{wu} to O(h^{p+1}) where the coefficients depend on the step length
  (`numdiff.symbolic.multistep`);
- anything else: the order conditions of all rooted trees with up to p vertices (`numdiff.symbolic.trees`), bicoloured
  where the coefficients depend on the step length (`numdiff.symbolic.bicoloured`).

**Error constant.** For a multistep pair C_{p+1}/sigma(1): the local error is about C h^{p+1} x^{(p+1)} per step, and
the global error C h^p times the solution of the variational equation. So constants of different methods compare
directly.

**Observed.** See `numdiff.properties.order.regression`.

Sources: Hairer, Norsett, Wanner, Solving ODEs I, III.2-III.4; Butcher, General linear methods, Acta Numerica 15 (2006).
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from numdiff.symbolic.bicoloured import exponential_stage_order
from numdiff.symbolic.intervals import DAMPING, interval
from numdiff.symbolic.multistep import classical_order, exponential_order, taylor
from numdiff.symbolic.polynomials import (
    ZETA,
    Z,
    multistep_pair,
    parameters,
    stability_polynomial,
    to_fraction,
    to_sympy,
)
from numdiff.symbolic.rootcondition import satisfies_root_condition
from numdiff.symbolic.steady import H, depends_on, steady
from numdiff.symbolic.trees import tree_order
from numdiff.tableau import Tableau


def certified(method: Any) -> int:
    """Return the order of convergence on exact starting values, proved from the coefficients.

    Parameters
    ----------
    method
        A method, or a steady `Tableau` with exact entries. A damping may be a symbol: the order is then that of a
        generic damping, with zero-stability on all of (0, 2); single values can have a higher order. A float damping is
        read as the decimal it prints as.

    Returns
    -------
    int
        The order; 0 for a method that is inconsistent or not zero-stable. Of a method that adds noise it is the order
        for the drift of its diffusion, X' = c X + (1 + tau^2) f, with the noise left out; what a run with noise has is
        the method's ``weak_order``.

    Raises
    ------
    TypeError
        If `method` has no steady tableau.
    ValueError
        For floating-point coefficients, and for methods that evaluate more than one field.

    Examples
    --------
    >>> import sympy as sp
    >>> import numdiff as nd
    >>> beta = sp.Symbol("beta", positive=True)
    >>> nd.order.certified(nd.GHVB(3, beta))                               # for every damping in (0, 2)
    3
    >>> nd.order.certified(nd.HeavyBall(nd.AdamsBashforth(3), beta))       # heavy ball costs two orders
    1
    >>> nd.order.certified(nd.method("dpmpp", order=3, rule="3m"))         # the widely copied 3M lacks a factor 2
    2
    """
    order = consistent(method)
    return order if order > 0 and is_zero_stable(method) else 0


def consistent(method: Any) -> int:
    """Return the order of consistency: that of convergence where the method is zero-stable.

    Parameters
    ----------
    method
        As in `certified`; any number of its parameters may be symbols.

    Raises
    ------
    TypeError, ValueError
        As `certified`, but for what concerns zero-stability.
    """
    tableau = exact_steady(method)
    return max(0, _multistep_order(tableau)[0] if is_multistep(tableau) else _several_stages_order(tableau))


def error_constant(method: Any) -> sp.Expr:
    """Return C_{p+1}/sigma(1), the error constant of a multistep method.

    Parameters
    ----------
    method
        As in `certified`; one evaluation a step.

    Returns
    -------
    Expr
        A number or a formula in the parameters. For an exponential rule that is not exact, a polynomial in ``D``, the
        derivative acting on f. nan if the method is not consistent.

    Raises
    ------
    ValueError
        For methods with several evaluations a step, whose error has one constant per rooted tree: see `leading_error`.

    Examples
    --------
    >>> import sympy as sp
    >>> import numdiff as nd
    >>> [nd.order.error_constant(nd.AdamsBashforth(k)) for k in (1, 2, 3, 4)]
    [1/2, 5/12, 3/8, 251/720]
    >>> beta = sp.Symbol("beta", positive=True)
    >>> nd.order.error_constant(nd.GHVB(2, beta))                          # 5/12 at beta = 1, larger with momentum
    (6 - beta)/(12*beta)
    """
    tableau = exact_steady(method)
    if not is_multistep(tableau):
        raise ValueError(
            f"{method} is no multistep method; its error has one constant per rooted tree: see leading_error"
        )
    return _multistep_order(tableau)[1]


def is_zero_stable(method: Any) -> bool:
    """Tell whether rho satisfies the root condition for small steps; throughout (0, 2) if the damping is a symbol.

    Parameters
    ----------
    method
        As in `certified`.

    Returns
    -------
    bool
        Whether no root of rho(zeta) lies outside the unit circle and those on it are simple.

    Raises
    ------
    TypeError, ValueError
        As `certified`.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.order.is_zero_stable(nd.GHVB(3, 0.2))
    True

    The explicit two-step method of order 3, x_{n+1} = -4 x_n + 5 x_{n-1} + 4 f_n + 2 f_{n-1}, as a steady tableau:

    >>> bad = nd.Tableau(A=[[0]], U=[[1, 0, 0]], B=[[4], [0], [1]], V=[[-4, 5, 2], [1, 0, 0], [0, 0, 0]])
    >>> nd.order.is_zero_stable(bad), nd.order.certified(bad)
    (False, 0)
    """
    return _zero_stable(stability_polynomial(exact_steady(method)))


def exact_steady(method: Any) -> Tableau:
    """Return the steady tableau, or refuse what cannot be certified."""
    tableau = _drift(method, steady(method))
    entries = [x for name in "AUBV" for row in getattr(tableau, name) for x in row]
    if any(isinstance(x, float) or (isinstance(x, sp.Basic) and x.has(sp.Float)) for x in entries):
        raise ValueError(
            f"{method} has floating-point coefficients, but an order is proved for exact ones; "
            "use Fraction, int or SymPy numbers"
        )
    if len(set(tableau.tags)) > 1:
        raise ValueError(
            f"{method} evaluates the fields {sorted(set(tableau.tags))}; orders are certified for methods of one "
            "field: numdiff.properties.order.partitioned has the conditions for two"
        )
    return tableau


def _drift(method: Any, tableau: Tableau) -> Tableau:
    """Return the steady tableau of X' = c X + f with f = (1 + tau^2) times the evaluation, where there is noise."""
    if not getattr(method, "stochastic", False):
        return tableau
    squared = getattr(getattr(method.formulation, "level", None), "constant", None)
    if squared is None:
        raise ValueError(
            f"{method} adds noise whose level is no constant tau, so that no steady drift has its order; what it "
            f"claims is weak_order = {method.weak_order}"
        )
    factor = 1 / (1 + to_sympy(squared))

    def scaled(rows: Any) -> Any:
        return [[to_sympy(x) * factor for x in row] for row in rows]

    return tableau.replace(A=scaled(tableau.A), B=scaled(tableau.B))


def is_multistep(tableau: Tableau) -> bool:
    """Tell whether the only evaluation is at the sample itself.

    Parameters
    ----------
    tableau
        A steady `Tableau`, from ``method.steady()``.

    Returns
    -------
    bool
        True for linear multistep methods, momentum included; False for those with stages between the samples.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.order.is_multistep(nd.GHVB(3, 0.8).steady()), nd.order.is_multistep(nd.Heun().steady())
    (True, False)
    """
    return tableau.stages == 1 and tuple(tableau.U[0]) == (1, *(0,) * (tableau.registers - 1))


def _multistep_order(tableau: Tableau) -> tuple[int, sp.Expr]:
    rho, sigma = multistep_pair(tableau)
    return exponential_order(rho, sigma) if depends_on(tableau, H) else classical_order(rho, sigma)


def _several_stages_order(tableau: Tableau) -> int:
    return exponential_stage_order(tableau) if depends_on(tableau, H) else tree_order(tableau)


def _zero_stable(pi: sp.Poly) -> bool:
    """Decide the root condition of rho at h = 0, exactly."""
    rho = sp.Poly.from_dict({(i,): taylor(c, 1)[0] for (i, j), c in pi.as_dict().items() if j == 0}, ZETA)
    symbols = parameters(rho)
    if not all(c.is_rational_function(*symbols) and c.is_rational is not False for c in rho.all_coeffs()):
        raise ValueError(
            f"zero-stability is decided for rational coefficients, got {rho.as_expr()}; use a Fraction nearby"
        )
    if not symbols:
        return satisfies_root_condition(
            [(to_fraction(sp.Rational(c)), to_fraction(sp.S.Zero)) for c in rho.all_coeffs()[::-1]]
        )
    if len(symbols) > 1:
        raise ValueError(
            f"zero-stability is decided for one symbol, got {', '.join(map(str, symbols))}; give numbers for the others"
        )
    rest, remainder = sp.div(rho, sp.Poly(ZETA - 1, ZETA))
    at_one = sp.Poly(sp.numer(sp.together(rest.eval(1))), *symbols)
    low, high = map(sp.Rational, DAMPING)
    if not remainder.is_zero or at_one.is_zero or any(low < r < high for r in at_one.real_roots()):
        return False
    # with the damping as minus z, the roots stay in the disc up to the end of a "real stability interval"
    along = sp.Poly(sp.numer(sp.together(rest.as_expr().subs(symbols[0], low - Z))), ZETA, Z)
    return bool(rest.degree() == 0 or interval(along, "real") >= high - low)
