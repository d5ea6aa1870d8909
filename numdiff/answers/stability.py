"""How stable a method is: intervals, zero-stability, the A(alpha) angle, and the diffusion test problem."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numdiff.answers.answer import Answer, Line, Setting
from numdiff.answers.noise import mean


def intervals(method: Any, setting: Setting) -> Answer:
    """Answer on which intervals of the axes steps stay bounded."""
    from numdiff.properties import stability

    lines = (
        *_polynomial(method, setting.h),
        _line("real interval x*", "-x* < z < 0", lambda: stability.real_interval(method, h=setting.h)),
        _line("imaginary interval y*", "z = i y, |y| < y*", lambda: stability.imaginary_interval(method, h=setting.h)),
    )
    notes = ["On X' = c X + z X the steps stay bounded there: the roots of pi(zeta, z) satisfy the root condition."]
    if method.kernel:
        notes.append("c h is part of the coefficients; a formula in h is proved for every h > 0 and every damping.")
    return Answer(f"Stability intervals of {method}", lines, (*notes, *mean(method)))


def _polynomial(method: Any, h: Any) -> list[Line]:
    """Return the stability polynomial, as the pair of a linear multistep method where it is one."""
    from numdiff.symbolic.polynomials import ZETA, Z, multistep_pair, stability_polynomial, tidy
    from numdiff.symbolic.steady import one_field

    tableau = one_field(method, h)
    pi = stability_polynomial(tableau)
    if pi.degree(Z) > 1:
        return [Line("stability polynomial pi", pi.as_expr().collect([ZETA, Z], tidy))]
    rho, sigma = multistep_pair(tableau)
    return [
        Line("rho(zeta)", rho.as_expr().collect(ZETA, tidy), "pi(zeta, z) = rho(zeta) - z sigma(zeta)"),
        Line("sigma(zeta)", sigma.as_expr().collect(ZETA, tidy)),
    ]


def zero_stability(method: Any, setting: Setting) -> Answer:
    """Answer for which dampings and step ratios a method is zero-stable."""
    from numdiff.properties import stability

    found, ratio = stability.zero_stability(method), stability.largest_safe_ratio(method)
    where = "" if found.symbol is None else f" for {found.symbol} in"
    lines = [
        Line("rho", found.rho),
        Line(f"zero-stable{where}", _values(found.symbol, found.stable)),
        Line(f"weakly so{where}", _values(found.symbol, found.weak), "a root besides 1 on the unit circle"),
        Line("largest safe step ratio", ratio.ratio, ratio.reason),
    ]
    if ratio.filter is not None:
        note = "for steady weights to exist on a geometric grid; not a matter of stability"
        lines.append(Line("smallest ratio of the filter", ratio.filter, note))
    return Answer(f"Zero-stability of {method}", tuple(lines))


def angle(method: Any, setting: Setting) -> Answer:
    """Answer which sector around the negative real axis a method keeps bounded."""
    from numdiff.properties import stability

    found = stability.sector_angle(method)
    return Answer(f"A(alpha)-stability of {method}", (Line("alpha", found.angle, found.reason),))


def diffusion_interval(method: Any, setting: Setting) -> Answer:
    """Answer for which slopes of the denoised estimate a method stays bounded on equal steps in log-SNR."""
    from numdiff.formulations import NOISE_RATIO

    low, high, where = _proved(method, setting.h)
    noise = (method.formulation or NOISE_RATIO).prediction == "noise"
    models = ("eps = kappa x/sigma", "x_0 = kappa x/alpha")
    model, other = models if noise else models[::-1]
    twin = "x_0" if noise else "eps"
    lines = (
        Line("low", low, f"of kappa in {model}"),
        Line("high", high, "kappa = 0 is neutral" if noise else "kappa = 1 is neutral"),
        Line(f"low, of {twin}", 1 - high, f"1 - kappa, for {other}"),
        Line(f"high, of {twin}", 1 - low),
    )
    notes = (
        f"Levels equally spaced by h in half log-SNR; x/alpha stays bounded for kappa between the two{where}.",
        "Gaussian data N(0, s^2) have slopes of x_0 between 0 and 1; sharper models and guidance go beyond.",
    )
    return Answer(f"Stability of {method} on the diffusion test problem", lines, (*notes, *mean(method)))


def _proved(method: Any, h: Any) -> tuple[Any, Any, str]:
    """Return the ends and for which steps they are proved: all of them, or short ones where long ones differ."""
    from numdiff.properties import stability
    from numdiff.symbolic.parametric import UncertifiedError

    if h is not None:
        return *stability.diffusion_interval(method, h=h), ""
    for upper in (None, 1):
        try:
            ends = stability.diffusion_interval(method, h=None if upper is None else (0, upper))
        except UncertifiedError:
            continue
        return *ends, ", for every h > 0" if upper is None else f", for 0 < h < {upper}; longer steps may end elsewhere"
    raise ValueError("no one formula for the interval could be proved for h < 1; give a number for h, such as h=0.5")


def _line(label: str, note: str, question: Callable[[], Any]) -> Line:
    """Return a result, or the reason why there is none."""
    try:
        return Line(label, question(), note)
    except ValueError as error:
        return Line(label, None, str(error))


def _values(symbol: Any, values: Any) -> Any:
    """Return a set of a parameter, or a word where there is no parameter."""
    import sympy as sp

    if symbol is None:
        return "no" if values is sp.S.EmptySet else "yes"
    return "no value" if values is sp.S.EmptySet else values
