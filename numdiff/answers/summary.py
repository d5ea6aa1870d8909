r"""What is known about a method before it runs: coefficients, stability polynomial, order, error constant, intervals.

Everything is derived from the method's own steady tableau, exactly; `derive` gathers it, in SymPy expressions, and
`record` writes it down as text, LaTeX and MathML, so that a table can be printed without deriving anything again.

The multistep weights w_j stand for x_{n+1} = xi x_n + kappa sum_j w_j f_{n-j} (velocities v_{n+1-j} for GHVB) on steps
of length 1, or of the symbol h where they depend on it. Signs: the real interval is (-x*, 0), the imaginary one (-i y*,
i y*), the local error C h^{p+1} x^{(p+1)}.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numdiff.answers.expressions import expression, measured


@dataclass(frozen=True)
class Derived:
    """A method's theory; every entry but the names is a SymPy expression, and None where the method has no such thing.

    Parameters
    ----------
    name, reference
        The method's.
    order, claim
        Certified order, and the order that the method claims.
    weights
        Coefficients of one step, newest first; the weights b of a Runge-Kutta method.
    polynomial
        Stability polynomial in zeta and z.
    error_constant, real, imaginary
        As in the module's text.
    notes
        Why an entry is None.
    """

    name: str
    reference: str
    order: int
    claim: int
    weights: tuple[Any, ...]
    polynomial: Any
    error_constant: Any
    real: Any
    imaginary: Any
    notes: tuple[str, ...] = ()


def derive(method: Any, *, h: Any = None, ratio: Any = 1) -> Derived:
    """Derive everything about a method.

    Parameters
    ----------
    method
        A method with exact parameters; a damping may be a symbol.
    h
        Step length of an exponential method, a number; without one its coefficients contain the symbol ``h``, and so do
        its intervals where a formula in h is proved.
    ratio
        Each step over the one before it, exact, or a symbol; only without a kernel. Weights and polynomial are then
        those of a geometric grid, the order is that of equal steps, and error constant and intervals, which refer to
        equal steps too, are left out.

    Raises
    ------
    ValueError, TypeError
        For options that do not fit the method.
    """
    from numdiff.methods.multistep import positive_ratio
    from numdiff.properties import order, stability
    from numdiff.symbolic.polynomials import stability_polynomial, to_sympy
    from numdiff.symbolic.steady import exact_method, steady

    positive_ratio(ratio, "ratio")
    method = exact_method(method)
    geometric = ratio != 1
    tableau = method.steady(ratio=ratio) if geometric else steady(method, h)
    found = method.coefficients(**_options(method, h, ratio))
    weights = tuple(to_sympy(w) for w in getattr(found, "b", found))
    notes: list[str] = []

    def on_equal_steps(what: str, question: Any) -> Any:
        try:
            if geometric:
                raise ValueError(f"it refers to equal steps; ratio is {ratio}")
            return question()
        except ValueError as error:
            notes.append(f"{what}: {error}")
            return None

    # An exponential method's coefficients are transcendental: decimals, so that roots can be isolated.
    exponential = h is not None and method.kernel != 0
    subject = steady(method, float(h)) if exponential else method
    rounded = measured if exponential else _as_it_is
    return Derived(
        name=method.name,
        reference=method.reference,
        order=order.certified(method),
        claim=method.order,
        weights=weights,
        polynomial=stability_polynomial(tableau),
        error_constant=on_equal_steps("error constant", lambda: order.error_constant(method)),
        real=on_equal_steps("real interval", lambda: rounded(stability.real_interval(subject))),
        imaginary=on_equal_steps("imaginary interval", lambda: rounded(stability.imaginary_interval(subject))),
        notes=tuple(notes),
    )


def _as_it_is(value: Any) -> Any:
    return value


def _options(method: Any, h: Any, ratio: Any) -> dict[str, Any]:
    """Return the options of `coefficients`: a Runge-Kutta method takes none."""
    options: dict[str, Any] = {}
    if h is not None:
        options["h"] = h
    if ratio != 1 and method.points > 1:
        options["ratios"] = (ratio,) * (method.points - 1)
    return options


def record(derived: Derived) -> dict[str, Any]:
    """Return a derivation as plain data for JSON."""
    polynomial = derived.polynomial.as_expr()
    return {
        "name": derived.name,
        "reference": derived.reference,
        "order": derived.order,
        "claimed_order": derived.claim,
        "weights": [expression(w) for w in derived.weights],
        "polynomial": expression(polynomial.collect(derived.polynomial.gens[1])),
        "error_constant": expression(derived.error_constant),
        "real_interval": expression(derived.real),
        "imaginary_interval": expression(derived.imaginary),
        "notes": list(derived.notes),
    }
