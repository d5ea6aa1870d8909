r"""Order conditions, leading local error and modified equation of a method, tree by tree.

Three views of the B-series of the principal map Phi that a method's samples follow (`numdiff.symbolic.bseries`), exact
and at a symbolic damping too. For the classical theory, in which the field does not depend on the step length: kernel
exponent 0, one field.

- **Order conditions** Phi(t) = 1/gamma(t), one for each rooted tree.
- **Leading error** exact minus numerical = h^{p+1} sum_{|t| = p+1} e(t)/sigma(t) F(t) + O(h^{p+2}), e = 1/gamma - Phi.
  For a multistep method it equals C h^{p+1} x^{(p+1)} with the error constant C, sign included.
- **Modified equation** x' = f + h^p f_p + h^{p+1} f_{p+1} + O(h^{p+2}), which the samples of the method solve exactly.

Sources: Butcher, Acta Numerica 15 (2006); Hairer, Lubich, Wanner, Geometric Numerical Integration, IX.1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import sympy as sp

from numdiff.properties.order.consistency import exact_steady
from numdiff.symbolic.bseries import Logarithm, PrincipalMap, first_defect
from numdiff.symbolic.differentials import bracket_text, differential, elementary_sum, sum_text
from numdiff.symbolic.polynomials import tidy
from numdiff.symbolic.steady import H, depends_on, exact_method
from numdiff.symbolic.trees import MAX_ORDER, Tree, density, order_of, symmetry, trees

Coefficients = tuple[tuple[Tree, sp.Expr], ...]


@dataclass(frozen=True)
class Condition:
    """The order condition of one rooted tree.

    Parameters
    ----------
    tree
        The tree as nested tuples, () for the single vertex.
    value
        Phi(t), what the method has; Butcher's elementary weight for a Runge-Kutta method.

    Examples
    --------
    >>> import numdiff as nd
    >>> for c in nd.order.conditions(nd.Heun(), 3):
    ...     print(c.order, c.name, c.value, c.target, c.satisfied)
    1 tau 1 1 True
    2 [tau] 1/2 1/2 True
    3 [tau, tau] 1/2 1/3 False
    3 [[tau]] 0 1/6 False
    """

    tree: Tree
    value: sp.Expr

    @property
    def order(self) -> int:
        """Number of vertices."""
        return order_of(self.tree)

    @property
    def density(self) -> int:
        """gamma(t)."""
        return density(self.tree)

    @property
    def symmetry(self) -> int:
        """sigma(t)."""
        return symmetry(self.tree)

    @property
    def target(self) -> sp.Rational:
        """1/gamma(t), what the exact flow has."""
        return sp.Rational(1, self.density)

    @property
    def residual(self) -> sp.Expr:
        """The target minus the value, in lowest terms."""
        return tidy(self.target - self.value)

    @property
    def satisfied(self) -> bool:
        """Whether the condition holds (for every value of a symbol)."""
        return bool(self.residual == 0)

    @property
    def name(self) -> str:
        """The tree in bracket notation."""
        return bracket_text(self.tree)

    @property
    def differential(self) -> sp.Symbol:
        """The elementary differential F(t)."""
        return differential(self.tree)


@dataclass(frozen=True)
class LeadingError:
    """The leading term of exact minus numerical over one step.

    Parameters
    ----------
    order
        The order p of the method.
    coefficients
        (t, e(t)) for every tree of order p + 1; e(t)/sigma(t) multiplies h^{p+1} F(t).

    Examples
    --------
    >>> import numdiff as nd
    >>> found = nd.order.leading_error(nd.AdamsBashforth(2))
    >>> found.order, len(found.coefficients)
    (2, 2)
    >>> found.expression
    5*f''(f, f)*h**3/12 + 5*f'f'f*h**3/12
    """

    order: int
    coefficients: Coefficients

    @property
    def expression(self) -> sp.Expr:
        """The sum as a SymPy expression in h and elementary differentials."""
        return elementary_sum(dict(self.coefficients), H)

    def __str__(self) -> str:
        """Return the sum as one line."""
        return f"{sum_text(dict(self.coefficients))} + O(h^{self.order + 2})"


@dataclass(frozen=True)
class ModifiedEquation:
    """The differential equation that the samples solve, up to O(h^{p+2}).

    Parameters
    ----------
    order
        The order p of the method.
    coefficients
        (t, a(t)) for the single vertex and every tree of orders p + 1 and p + 2; a(t)/sigma(t) multiplies
        ``h^{|t| - 1} F(t)``.

    Examples
    --------
    >>> import numdiff as nd
    >>> found = nd.order.modified_equation(nd.AdamsBashforth(1))
    >>> found.order, found.term(0), found.term(1)
    (1, f, -f'f/2)
    """

    order: int
    coefficients: Coefficients

    @property
    def expression(self) -> sp.Expr:
        """The right side as a SymPy expression in h and elementary differentials."""
        return elementary_sum(dict(self.coefficients), H, 1)

    def term(self, power: int) -> sp.Expr:
        """Return the factor of h^power: f for 0, f_p for p, f_{p+1} for p + 1."""
        part = {tree: value for tree, value in self.coefficients if order_of(tree) == power + 1}
        return elementary_sum(part, sp.Integer(1), 1)

    def __str__(self) -> str:
        """Return the equation as one line."""
        return f"x' = {sum_text(dict(self.coefficients), 1)} + O(h^{self.order + 2})"


def conditions(method: Any, order: int) -> list[Condition]:
    """Return the order conditions of every rooted tree with up to `order` vertices, smallest first.

    Parameters
    ----------
    method
        A method of kernel exponent 0, or a steady `Tableau` with exact entries. A damping may be a symbol.
    order
        From 1 to 8.

    Returns
    -------
    list of Condition

    Raises
    ------
    TypeError
        If `method` has no steady tableau, or `order` is no int.
    ValueError
        For an order beyond the known trees, floating-point coefficients, several fields, and a kernel exponent other
        than 0; if the method follows no one-step map.

    Examples
    --------
    >>> import numdiff as nd
    >>> found = nd.order.conditions(nd.RK4(), 5)
    >>> len(found), [sum(c.order == p and not c.satisfied for c in found) for p in range(1, 6)]
    (17, [0, 0, 0, 0, 9])
    """
    if isinstance(order, bool) or not isinstance(order, int):
        raise TypeError(f"order must be an int, got {order!r}; it counts the vertices of trees")
    if not 1 <= order <= MAX_ORDER:
        raise ValueError(f"order must be between 1 and {MAX_ORDER}, the largest trees that are known, got {order}")
    principal = _principal(exact_method(method))
    return [Condition(tree, principal.coefficient(tree)) for tree in _trees(range(1, order + 1))]


def leading_error(method: Any) -> LeadingError:
    """Return the leading term of the local error, exact minus numerical, as elementary differentials.

    With memory, it is the defect of a step on exact memory along the principal eigenvector of V, the part that
    accumulates. Then it does not depend on how registers are chosen or scaled.

    Parameters
    ----------
    method
        As in `conditions`.

    Returns
    -------
    LeadingError

    Raises
    ------
    TypeError, ValueError
        As `conditions`; also for a method of order 8 or more.

    Examples
    --------
    Two methods of order 2 with errors in different directions:

    >>> import numdiff as nd
    >>> nd.order.leading_error(nd.Midpoint()).expression
    f''(f, f)*h**3/24 + f'f'f*h**3/6
    >>> nd.order.leading_error(nd.Heun()).expression
    -f''(f, f)*h**3/12 + f'f'f*h**3/6
    """
    principal, order = _of_order(method, 1)
    terms = ((tree, principal.coefficient(tree)) for tree in trees(order + 1))
    return LeadingError(order, tuple((tree, tidy(sp.Rational(1, density(tree)) - value)) for tree, value in terms))


def modified_equation(method: Any) -> ModifiedEquation:
    """Return the modified equation to its two leading orders.

    Samples of a method with memory solve it after the starting transients, whose parasitic modes die out where V has no
    eigenvalue on the unit circle but 1.

    Parameters
    ----------
    method
        As in `conditions`.

    Returns
    -------
    ModifiedEquation

    Raises
    ------
    TypeError, ValueError
        As `conditions`; also for a method of order 7 or more, and for one that is not consistent.

    Examples
    --------
    Euler's samples of x' = f(x) follow a field that lags behind f; f' f is the second derivative of x:

    >>> import numdiff as nd
    >>> nd.order.modified_equation(nd.AdamsBashforth(1)).expression
    f + f''(f, f)*h**2/12 - f'f*h/2 + f'f'f*h**2/3
    """
    _, order = _of_order(method, 2)
    if order == 0:
        raise ValueError(f"{method} is not consistent: its samples do not approach solutions of x' = f(x)")
    field = _vector_field(exact_method(method))
    return ModifiedEquation(order, tuple((t, field.coefficient(t)) for t in _trees((1, order + 1, order + 2))))


def _trees(orders: Iterable[int]) -> list[Tree]:
    return [tree for order in orders for tree in trees(order)]


@cache
def _principal(method: Any) -> PrincipalMap:
    tableau = exact_steady(method)
    if depends_on(tableau, H):
        raise ValueError(
            f"{method} is an exponential method: its coefficients depend on the step length, and rooted trees in f "
            "alone do not hold its error; use a formulation without kernel, or the stiff order conditions"
        )
    return PrincipalMap(tableau)


@cache
def _vector_field(method: Any) -> Logarithm:
    principal = _principal(method)
    return Logarithm(principal, principal.field)


def _of_order(method: Any, beyond: int) -> tuple[PrincipalMap, int]:
    """Return the principal map and the order p, with p + `beyond` within the known trees."""
    principal = _principal(exact_method(method))
    first = first_defect(principal, MAX_ORDER)
    if first is None or first - 1 + beyond > MAX_ORDER:
        raise ValueError(
            f"{method} has order {MAX_ORDER if first is None else first - 1}{' or more' if first is None else ''}, and "
            f"trees are known up to order {MAX_ORDER}; this needs trees {beyond} above the order"
        )
    return principal, first - 1
