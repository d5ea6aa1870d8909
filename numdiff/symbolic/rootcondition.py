r"""The root condition, decided exactly.

A polynomial p of degree n satisfies the root condition if its roots lie in the closed unit disc and those on the circle
are simple (p is then called simple von Neumann; Schur if all roots lie inside). With p*(zeta) = zeta^n conj(p)(1/zeta),
whose coefficients are the conjugates in reverse, and the reduced polynomial of degree n - 1

    p_1(zeta) = (conj(p_n) p(zeta) - p_0 p*(zeta)) / zeta,

Miller's theorem says::

    p Schur               <=>  |p_0| < |p_n| and p_1 Schur                                       (Schur, Cohn)
    p simple von Neumann  <=>  |p_0| < |p_n| and p_1 simple von Neumann,  or  p_1 = 0 and p' Schur

where p_1 = 0 says that p is self-inversive: its roots are symmetric in the circle. The recursion adds and multiplies
only, so over the (Gaussian) rationals it is a proof, on the boundary too.

Source: J. J. H. Miller, On the location of zeros of certain classes of polynomials with applications to numerical
analysis, J. Inst. Math. Appl. 8 (1971), theorems 4.1 and 4.2; Strikwerda, Finite difference schemes, section 4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

__all__ = ["is_schur", "satisfies_root_condition"]

Gaussian = tuple[Fraction, Fraction]
"""A complex number with rational parts: (real, imaginary)."""


def _times(a: Gaussian, b: Gaussian) -> Gaussian:
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def _minus(a: Gaussian, b: Gaussian) -> Gaussian:
    return a[0] - b[0], a[1] - b[1]


def _conj(a: Gaussian) -> Gaussian:
    return a[0], -a[1]


def _square(a: Gaussian) -> Fraction:
    return a[0] ** 2 + a[1] ** 2


def _reduced(p: Sequence[Gaussian]) -> list[Gaussian]:
    """Return p_1; `p` lists the lowest power first."""
    lead, n = _conj(p[-1]), len(p) - 1
    return [_minus(_times(lead, p[k + 1]), _times(p[0], _conj(p[n - 1 - k]))) for k in range(n)]


def is_schur(p: Sequence[Gaussian]) -> bool:
    """Tell whether every root lies strictly inside the unit circle; lowest power first, the last one not zero.

    Parameters
    ----------
    p
        As in `satisfies_root_condition`.

    Returns
    -------
    bool

    Examples
    --------
    >>> from fractions import Fraction
    >>> from numdiff.symbolic.rootcondition import is_schur
    >>> is_schur([(Fraction(1, 4), Fraction(0)), (Fraction(0), Fraction(0)), (Fraction(1), Fraction(0))])     # +-i/2
    True
    """
    return len(p) == 1 or (_square(p[0]) < _square(p[-1]) and is_schur(_reduced(p)))


def satisfies_root_condition(p: Sequence[Gaussian]) -> bool:
    """Tell whether every root lies in the closed unit disc, and is simple if it lies on the circle.

    Parameters
    ----------
    p
        Coefficients, lowest power first, as pairs of rationals (real, imaginary); the last one is not zero.

    Returns
    -------
    bool

    Examples
    --------
    >>> from fractions import Fraction
    >>> from numdiff.symbolic.rootcondition import satisfies_root_condition
    >>> def check(*coefficients):
    ...     return satisfies_root_condition([(Fraction(c), Fraction(0)) for c in coefficients])
    >>> check(-1, 0, 1), check(1, -2, 1)            # 1 and -1, each once; 1 twice
    (True, False)
    """
    if len(p) == 1:
        return True
    reduced = _reduced(p)
    if _square(p[0]) < _square(p[-1]):
        return satisfies_root_condition(reduced)
    if any(c != (0, 0) for c in reduced):
        return False
    return is_schur([(k * c[0], k * c[1]) for k, c in enumerate(p)][1:])
