r"""The phi functions as an opaque SymPy function.

    phi(k, z) = int_0^1 e^{(1 - theta) z} theta^{k-1} / (k-1)! dtheta = sum_{j>=0} z^j / (k + j)!,   phi(0, z) = e^z

Coefficients of exponential methods are rational in phi(1, c h), phi(2, c h), ..., and short as long as phi stays a
name; put in closed form,

    phi(k, z) = (e^z - sum_{j<k} z^j/j!) / z^k                                                                 (1)

they grow, and lose every digit to cancellation near z = 0. So `phi` evaluates only where the value is simple
(z = 0, z infinite, k = 0, a floating-point z), knows what can be said without (1), that is its derivative, series,
sign and numerical value, and takes the closed form on request, by ``expand_func`` or ``rewrite(exp)``. From (1), and
from differentiating the series,

    phi(k, z) = (phi(k-1, z) - 1/(k-1)!) / z,        d/dz phi(k, z) = phi(k, z) - k phi(k+1, z)                (2)

The numerical counterpart is `numdiff.phi`, which hands SymPy arguments to this class.

Reference: M. Hochbruck and A. Ostermann, Exponential integrators, Acta Numerica 19 (2010), section 2.1.
"""

from __future__ import annotations

from typing import Any

import mpmath
import sympy
from sympy import S
from sympy.core.function import ArgumentIndexError

from numdiff.phi import in_mpmath
from numdiff.phi import phi as numerical_phi

__all__ = ["phi"]


class phi(sympy.Function):  # noqa: N801  (SymPy prints a function by the name of its class, and functions are lower case)
    r"""The function :math:`\varphi_k(z)`, unevaluated.

    Parameters
    ----------
    k
        Order: a whole number >= 0, or a symbol that may be one.
    z
        Argument: any SymPy expression.

    Raises
    ------
    ValueError
        If `k` is known not to be a whole number >= 0.

    Examples
    --------
    >>> from sympy import Symbol, diff, expand_func
    >>> from numdiff.symbolic.phi import phi
    >>> z = Symbol("z")
    >>> diff(phi(2, z), z)
    phi(2, z) - 2*phi(3, z)
    >>> expand_func(phi(2, z))
    (-z + exp(z) - 1)/z**2
    """

    nargs = 2
    _imp_ = staticmethod(numerical_phi)  # what lambdify puts in its place

    @classmethod
    def eval(cls, k: Any, z: Any) -> Any:
        """Evaluate at k = 0 and where z is 0, infinite or nan; leave the rest alone."""
        if k.is_integer is False or k.is_negative or k.is_Float:
            raise ValueError(f"k must be a whole number >= 0, got {k}; phi has no other orders")
        if k.is_zero:
            return sympy.exp(z)
        if z.is_zero:
            return 1 / sympy.factorial(k)
        if z is S.Infinity or z is S.NaN:
            return z
        if z is S.NegativeInfinity and k.is_positive:
            return S.Zero
        if z is S.ComplexInfinity:
            return S.NaN
        return phi(k, z, evaluate=False)._eval_evalf(z._prec) if z.is_Float else None

    def fdiff(self, argindex: int = 2) -> Any:
        """Return the derivative with respect to z, by (2)."""
        if argindex != 2:
            raise ArgumentIndexError(self, argindex)
        k, z = self.args
        return self - k * phi(k + 1, z)

    def lowered(self) -> Any:
        """Return the same value in terms of phi(k-1, z), by (2); the order must be positive."""
        k, z = self.args
        return (phi(k - 1, z) - 1 / sympy.factorial(k - 1)) / z

    def raised(self) -> Any:
        """Return the same value in terms of phi(k+1, z), by (2); defined at z = 0 too."""
        k, z = self.args
        return 1 / sympy.factorial(k) + z * phi(k + 1, z)

    # --- closed form ---

    def _eval_rewrite_as_exp(self, k: Any, z: Any, **hints: Any) -> Any:
        if not k.is_Integer:
            return None
        return (sympy.exp(z) - sum(z**j / sympy.factorial(j) for j in range(int(k)))) / z**k

    def _eval_rewrite_as_tractable(self, k: Any, z: Any, **hints: Any) -> Any:
        return self._eval_rewrite_as_exp(k, z)  # limits at infinity rank exponentials and powers

    def _eval_expand_func(self, **hints: Any) -> Any:
        closed = self._eval_rewrite_as_exp(*self.args)
        return self if closed is None else closed

    # --- series and limits ---

    def _eval_nseries(self, x: Any, n: int, logx: Any, cdir: Any = 0) -> Any:
        k, z = self.args
        lead = z.as_leading_term(x, logx=logx, cdir=cdir)
        start = lead.limit(x, 0, dir="-" if cdir == -1 else "+")
        if start.is_infinite:
            return sympy.expand_func(self)._eval_nseries(x, n, logx, cdir)
        if not start.is_zero:
            return super()._eval_nseries(x, n, logx, cdir)  # Taylor's formula, by fdiff
        terms = sympy.ceiling(n / sympy.Order(lead, x).getn())
        inner = z.nseries(x, n=n, logx=logx).removeO()
        outer = sum(inner**j / sympy.factorial(k + j) for j in range(int(terms) + 1))
        return sympy.expand(outer) + sympy.Order(x**n, x)

    def _eval_as_leading_term(self, x: Any, logx: Any = None, cdir: Any = 0) -> Any:
        k, z = self.args
        start = z.as_leading_term(x, logx=logx, cdir=cdir).limit(x, 0, dir="-" if cdir == -1 else "+")
        if start.is_infinite:
            return sympy.expand_func(self).as_leading_term(x, logx=logx, cdir=cdir)
        return phi(k, start)

    # --- numbers, sign, printing ---

    def _eval_evalf(self, prec: int) -> Any:
        k, z = self.args
        if not (k.is_Integer and z.is_number):
            return None
        magnitude = abs(sympy.N(z, 5))
        if not magnitude.is_comparable:
            return None
        guard = 4 + int(magnitude).bit_length()  # d phi/phi = O(dz), so z needs as many digits after the point as phi
        with mpmath.workprec(prec + guard):
            value = in_mpmath(int(k), z._to_mpmath(prec + guard))
        return sympy.Expr._from_mpmath(value, prec)

    def _eval_is_finite(self) -> bool | None:
        return True if self.args[1].is_finite else None

    def _eval_is_extended_real(self) -> bool | None:
        return True if self.args[1].is_extended_real else None

    def _eval_is_positive(self) -> bool | None:
        return True if self.args[1].is_real else None

    def _eval_conjugate(self) -> Any:
        return phi(self.args[0], self.args[1].conjugate())

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        k, z = (printer._print(a) for a in self.args)
        power = "" if exp is None else f"^{{{exp}}}"
        return rf"\varphi_{{{k}}}{power}\left({z}\right)"
