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

from numdiff.answers.answer import Answer, Line
from numdiff.answers.expressions import expression, measured, roots
from numdiff.answers.noise import DRIFT, MEAN

MEANING_OF_Z = (
    "z = d, where `X' = c X + d X` in `X = x/kappa`: c is what the exponential step of length h solves exactly, and "
    "d X the linear model's prediction; without an exponential (c = 0) steps have length 1, so that z is the usual h d"
)
"""What the stability polynomial of an exponential method is a polynomial in."""


@dataclass(frozen=True)
class Derived:
    """A method's theory; every entry but the names is a SymPy expression, and None where the method has no such thing.

    Parameters
    ----------
    name, reference
        The method's.
    order, claim
        Order, and the order that the method claims.
    weights
        Coefficients of one step, newest first; the weights b of a Runge-Kutta method.
    polynomial
        Stability polynomial in zeta and z.
    error_constant, real, imaginary
        As in the module's text.
    notes
        What is missing and why: "error constant: ...".
    certified
        Whether the order is proved to be that of convergence; where zero-stability was not decided, it is that of
        consistency.
    exponential
        Whether the method has a linear part that it solves exactly.
    weak
        Order of expectations that a method with noise claims; everything else is then about its drift. None without
        noise.
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
    certified: bool = True
    exponential: bool = False
    weak: int | None = None


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
    from numdiff.symbolic.polynomials import stability_polynomial, to_sympy
    from numdiff.symbolic.steady import exact_method, one_field

    positive_ratio(ratio, "ratio")
    method = exact_method(method)
    tableau = one_field(method, h) if ratio == 1 else method.steady(ratio=ratio)
    weights = _weights(method, tableau, h, ratio)
    certified, doubt = _order(method)
    facts, missing = _facts(method, h) if ratio == 1 else _no_facts(ratio)
    return Derived(
        name=method.name,
        reference=method.reference,
        order=certified,
        claim=method.order,
        weights=tuple(map(to_sympy, weights)),
        polynomial=stability_polynomial(tableau),
        error_constant=facts["error constant"],
        real=facts["real interval"],
        imaginary=facts["imaginary interval"],
        notes=(*doubt, *missing),
        certified=not doubt,
        exponential=method.kernel != 0,
        weak=method.weak_order,
    )


def _weights(method: Any, tableau: Any, h: Any, ratio: Any) -> Any:
    """Return the weights of a step: those of past evaluations, or of the evaluations of a step without memory."""
    from numdiff.methods import PredictorCorrector, RungeKutta
    from numdiff.methods.multistep import Multistep

    if not isinstance(method, Multistep | PredictorCorrector | RungeKutta):
        return tableau.B[0]
    found = method.coefficients(**_options(method, h, ratio))
    return getattr(found, "b", found)


FACTS = ("error constant", "real interval", "imaginary interval")


def _facts(method: Any, h: Any) -> tuple[dict[str, Any], list[str]]:
    """Return what is known on equal steps, and why something is not."""
    from numdiff.properties import order, stability
    from numdiff.symbolic.steady import steady

    # An exponential method's coefficients are transcendental: decimals, so that roots can be isolated.
    in_decimals = h is not None and method.kernel != 0
    subject = steady(method, float(h)) if in_decimals else method
    questions = (order.error_constant, stability.real_interval, stability.imaginary_interval)
    facts: dict[str, Any] = dict.fromkeys(FACTS)
    missing = []
    for what, question in zip(FACTS, questions, strict=True):
        try:
            is_end = in_decimals and what != "error constant"
            facts[what] = measured(question(subject)) if is_end else question(method)
        except ValueError as error:
            missing.append(f"{what}: {_on_topics(str(error), method)}")
    return facts, missing


def _no_facts(ratio: Any) -> tuple[dict[str, Any], list[str]]:
    """Return the same on steps of another ratio, where nothing of it is defined."""
    polynomial = (
        f"stability polynomial: with step ratio {ratio} the polynomial is the determinant of one step, and its zeros "
        "do not say whether a run on growing steps is stable"
    )
    return dict.fromkeys(FACTS), [polynomial, *(f"{x}: it refers to equal steps; ratio is {ratio}" for x in FACTS)]


def _order(method: Any) -> tuple[int, list[str]]:
    """Return the order of convergence; where zero-stability is not decided, that of consistency and a note."""
    from numdiff.properties import order
    from numdiff.properties.order.consistency import consistent

    found = consistent(method)
    try:
        return (found if found == 0 or order.is_zero_stable(method) else 0), []
    except ValueError as error:
        return found, [f"proof of zero-stability: the order is {found} where the method is zero-stable; {error}"]


def _on_topics(reason: str, method: Any) -> str:
    """Name the topic that answers where the library names its function."""
    found = "one constant per rooted tree: see leading_error"
    topic = "no single constant: see the topic stiff-order" if method.kernel else None
    return reason.replace(found, topic or found.replace("leading_error", "the topic leading-error"))


def _options(method: Any, h: Any, ratio: Any) -> dict[str, Any]:
    """Return the options of `coefficients`: a Runge-Kutta method takes none."""
    options: dict[str, Any] = {}
    if h is not None:
        options["h"] = h
    if ratio != 1 and method.points > 1:
        options["ratios"] = (ratio,) * (method.points - 1)
    return options


def record(derived: Derived) -> dict[str, Any]:
    """Return a derivation as plain data for JSON; "definitions" say what names in the expressions mean."""
    from numdiff.symbolic import latex

    polynomial = derived.polynomial.as_expr()
    known = latex.names((derived.real, derived.imaginary))
    return {
        "name": derived.name,
        "reference": derived.reference,
        "order": derived.order,
        "certified": derived.certified,
        "claimed_order": derived.claim,
        "weak_order": derived.weak,
        "weights": [expression(w) for w in derived.weights],
        "polynomial": expression(polynomial.collect(derived.polynomial.gens[1])),
        "error_constant": expression(derived.error_constant),
        "real_interval": expression(derived.real, known),
        "imaginary_interval": expression(derived.imaginary, known),
        "notes": list(derived.notes),
        "definitions": roots((derived.real, derived.imaginary)),
    }


def answer(derived: Derived) -> Answer:
    """Return a derivation as an answer, to be shown by `numdiff.answers.render` in any form."""
    claim = "" if derived.order == derived.claim else f"claimed: {derived.claim}"
    lines = [Line("certified order" if derived.certified else "order where zero-stable", derived.order, claim)]
    lines += [Line(f"weight {j}", w) for j, w in enumerate(derived.weights)]
    polynomial = derived.polynomial.as_expr().collect(derived.polynomial.gens[1])
    lines += [
        Line("error constant", derived.error_constant),
        Line("real interval x*", derived.real, "" if derived.real is None else "`(-x*, 0)`"),
        Line("imaginary interval y*", derived.imaginary, "" if derived.imaginary is None else "`(-i y*, i y*)`"),
        Line("polynomial", polynomial),
    ]
    notes = [f"no {note}." for note in derived.notes]
    notes += [f"{MEANING_OF_Z}."] if derived.exponential else []
    if derived.weak is not None:
        lines.insert(1, Line("weak order", derived.weak, "claimed: that of expectations, with the noise"))
        notes = [f"{DRIFT} {MEAN}", *notes]
    return Answer(f"{derived.name}, derived", tuple(lines), (*notes, derived.reference))
