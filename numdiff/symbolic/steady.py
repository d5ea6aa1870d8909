"""The steady step of a method, exactly.

Theory starts from a method's steady tableau: the step it makes after infinitely many equal ones. A damping that was
given as a float is read as the decimal it prints as (0.8 is 4/5), so that a proof is about the method that was meant
and not about its binary rounding.
"""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from typing import Any

import sympy as sp

from numdiff.elementary import kind
from numdiff.methods.scheme import Scheme
from numdiff.tableau import Tableau

__all__ = ["H", "depends_on", "exact_method", "one_field", "steady"]

H = sp.Symbol("h", positive=True)
"""The step length in the steady tableaus of exponential methods."""


def exact_method(method: Any) -> Any:
    """Return `method` with every float among its parameters read as the decimal fraction it prints as, bases included.

    Anything that is no dataclass instance is returned unchanged.

    Parameters
    ----------
    method
        A method, or anything else.

    Returns
    -------
    Method

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic.steady import exact_method
    >>> exact_method(nd.GHVB(2, 0.8)).beta
    Fraction(4, 5)
    """
    if not dataclasses.is_dataclass(method) or isinstance(method, type):
        return method
    changes = {}
    for field in dataclasses.fields(method):
        value = getattr(method, field.name)
        if field.init and (new := _exact(value)) is not value:
            changes[field.name] = new
    return dataclasses.replace(method, **changes) if changes else method


def _exact(value: Any) -> Any:
    if isinstance(value, sp.Float):
        return Fraction(str(value))
    if isinstance(value, float) or (type(value).__module__.startswith("torch") and getattr(value, "ndim", 1) == 0):
        number = float(value)
        return Fraction(repr(number)) if math.isfinite(number) else value
    return exact_method(value) if hasattr(value, "steady") else value


def steady(method: Any, h: Any = None) -> Tableau:
    """Return the exact steady tableau of a method.

    Parameters
    ----------
    method
        An object with a ``steady()`` routine, or a `Tableau`, which is returned as it is.
    h
        Step length, for exponential methods only; None leaves the symbol `H` in their coefficients.

    Returns
    -------
    Tableau

    Raises
    ------
    TypeError
        If `method` has no steady form, or `h` is no number.
    ValueError
        If `h` is not positive and finite, or the method does not depend on it.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic.steady import steady
    >>> steady(nd.AdamsBashforth(2)).B[0], steady(nd.DPMSolverPP(1)).B[0]
    ((Fraction(3, 2),), (h*phi(1, -h),))
    """
    if isinstance(method, Tableau):
        tableau = method
    elif isinstance(method, type) or not callable(getattr(method, "steady", None)):
        raise TypeError(f"method must be a method such as nd.AdamsBashforth(2), got {method!r}{_remedy(method)}")
    else:
        method = exact_method(method)
        tableau = _named(method)
    if h is None:
        return tableau
    _check_h(h)
    if not depends_on(tableau, H):
        raise ValueError(
            f"h = {h} was given, but {method} does not depend on the step length (its kernel exponent is 0); drop h"
        )
    if isinstance(method, Tableau):
        return tableau.map(lambda x: x.subs(H, h) if isinstance(x, sp.Basic) else x)
    return method.steady(h)


def _remedy(given: Any) -> str:
    """Say how a method is made of what was given for one, where that is known."""
    if isinstance(given, type):
        return f"; pass an instance, {given.__name__}(...)"
    if isinstance(given, str):
        return f"; nd.method({given!r}) makes one of a name"
    return "; pass scheme.method" if isinstance(given, Scheme) else ""


def _named(method: Any) -> Tableau:
    """Return the steady tableau of a method; where there is none, the reason names the method."""
    try:
        return method.steady()
    except ValueError as error:
        if str(method) in str(error):
            raise
        raise ValueError(f"{method}: {error}") from error


def one_field(method: Any, h: Any = None) -> Tableau:
    """Return the steady tableau of a method that evaluates one field; see `steady`.

    Parameters
    ----------
    method, h
        As in `steady`.

    Returns
    -------
    Tableau

    Raises
    ------
    ValueError
        For a method with several fields (guidance, split): one argument z says nothing of the others.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic.steady import one_field
    >>> one_field(nd.RK4()).stages
    4
    >>> try:
    ...     one_field(nd.STSP(2))
    ... except ValueError as error:
    ...     print(str(error).partition(", and")[0])
    STSP(AB2) evaluates the fields ['', 'condition']
    """
    tableau = steady(method, h)
    fields = sorted(set(tableau.tags))
    if len(fields) > 1:
        what = "the step" if isinstance(method, Tableau) else str(method)
        raise ValueError(
            f"{what} evaluates the fields {fields}, and this is about methods of one; use "
            "nd.stability.split_polynomial, split_interval or split_region, which have an argument for each"
        )
    return tableau


def depends_on(tableau: Tableau, symbol: sp.Symbol) -> bool:
    """Tell whether any coefficient contains `symbol`.

    Parameters
    ----------
    tableau
        A steady tableau.
    symbol
        Of SymPy.

    Returns
    -------
    bool

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic.steady import H, depends_on, steady
    >>> [depends_on(steady(method), H) for method in (nd.AdamsBashforth(2), nd.DPMSolverPP(2))]
    [False, True]
    """
    entries = (x for name in "AUBV" for row in getattr(tableau, name) for x in row)
    return any(isinstance(x, sp.Basic) and symbol in x.free_symbols for x in entries)


def _check_h(h: Any) -> None:
    try:
        known = kind(h) in ("exact", "float", "numpy") or (kind(h) == "sympy" and h.is_number)
    except TypeError:
        known = False
    if not known or isinstance(h, bool):
        raise TypeError(f"h must be a number, got {h!r}; leave it out to keep the symbol h")
    if not 0 < h < math.inf:
        raise ValueError(f"h must be positive and finite, got {h}")
