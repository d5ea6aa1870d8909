"""A table of derived schemes: name, coefficients, order, error constant and real stability interval, all exact.

Every entry is derived from the method's own tableau when the table is made; nothing is looked up. What a method does
not have is None: exponential methods have no stability interval without a step length, Runge-Kutta methods no single
error constant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from numdiff.properties import order, stability
from numdiff.symbolic import latex
from numdiff.symbolic.polynomials import to_sympy
from numdiff.symbolic.steady import H, depends_on, exact_method, steady

__all__ = ["SchemeRow", "scheme_table", "to_latex", "to_markdown"]

HEADINGS = ("scheme", "weights", "order", "error constant", "real interval")


@dataclass(frozen=True)
class SchemeRow:
    """One line of the table.

    Parameters
    ----------
    name
        The method's name.
    coefficients
        Weights on the newest evaluation (or velocity) first; the weights b of a Runge-Kutta method.
    order
        Certified order.
    error_constant
        C_{p+1}/sigma(1), or None.
    real_interval
        x* of the interval (-x*, 0), or None.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.properties.schemes import scheme_table
    >>> (row,) = scheme_table([nd.GHVB(2, 0.8)])
    >>> row.order, row.coefficients, row.error_constant, row.real_interval
    (2, (7/4, -3/4), 13/24, 6/5)
    """

    name: str
    coefficients: tuple[sp.Expr, ...]
    order: int
    error_constant: sp.Expr | None
    real_interval: sp.Expr | None

    def cells(self) -> tuple[str, ...]:
        """Return the LaTeX of every column but the name, without dollar signs."""
        weights = r",\; ".join(latex.math(c) for c in self.coefficients) or "-"
        return weights, str(self.order), latex.math(self.error_constant), latex.math(self.real_interval)


def scheme_table(methods: Iterable[Any]) -> list[SchemeRow]:
    """Derive one row per method.

    Parameters
    ----------
    methods
        Methods; their dampings may be symbols, floats are read as the decimals they print as.

    Returns
    -------
    list of SchemeRow

    Raises
    ------
    TypeError
        If something in `methods` is no method.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.properties.schemes import scheme_table
    >>> for row in scheme_table([nd.AdamsBashforth(2), nd.Heun()]):
    ...     print(row.name, row.order, row.error_constant, row.real_interval)
    AB2 2 5/12 1
    Heun 2 None 2
    """
    return [_row(method) for method in methods]


def to_markdown(rows: Sequence[SchemeRow]) -> str:
    r"""Return the table in Markdown, formulas between dollar signs.

    Parameters
    ----------
    rows
        From `scheme_table`.

    Returns
    -------
    str

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.properties.schemes import scheme_table, to_markdown
    >>> print(to_markdown(scheme_table([nd.AdamsBashforth(1)])).splitlines()[2])
    | AB1 | $1$ | $1$ | $\frac{1}{2}$ | $2$ |
    """
    lines = [HEADINGS, ("---",) * len(HEADINGS), *((row.name, *map(_dollars, row.cells())) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def to_latex(rows: Sequence[SchemeRow], *, document: bool = False) -> str:
    r"""Return the table as a LaTeX ``tabular`` for the booktabs and amsmath packages.

    Parameters
    ----------
    rows
        From `scheme_table`.
    document
        Whether to wrap it in a document that compiles by itself.

    Returns
    -------
    str

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.properties.schemes import scheme_table, to_latex
    >>> print(to_latex(scheme_table([nd.AdamsBashforth(1)])).splitlines()[4])
    AB1 & $1$ & $1$ & $\frac{1}{2}$ & $2$ \\
    """
    body = [" & ".join((latex.text(row.name), *map(_dollars, row.cells()))) + r" \\" for row in rows]
    lines = [r"\begin{tabular}{llrll}", r"\toprule", " & ".join(HEADINGS) + r" \\", r"\midrule", *body]
    lines += [r"\bottomrule", r"\end{tabular}"]
    if document:
        packages = [
            r"\documentclass{standalone}",
            r"\usepackage{amsmath}",
            r"\usepackage{booktabs}",
            r"\begin{document}",
        ]
        lines = [*packages, *lines, r"\end{document}"]
    return "\n".join(lines) + "\n"


def _row(method: Any) -> SchemeRow:
    tableau = steady(method)
    multistep = order.is_multistep(tableau)
    return SchemeRow(
        name=str(getattr(method, "name", method)),
        coefficients=_coefficients(method),
        order=order.certified(method),
        error_constant=order.error_constant(method) if multistep else None,
        real_interval=None if depends_on(tableau, H) else stability.real_interval(method),
    )


def _coefficients(method: Any) -> tuple[sp.Expr, ...]:
    """Return a method's weights, or those of its only sample row."""
    if not hasattr(method, "coefficients"):
        return ()
    weights = exact_method(method).coefficients()
    return tuple(to_sympy(w) for w in getattr(weights, "b", weights))


def _dollars(cell: str) -> str:
    return cell if cell == "-" else f"${cell}$"
