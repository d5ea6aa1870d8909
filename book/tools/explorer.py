"""The data of the stability explorer: the stability polynomials of the registry, with symbols for beta and h.

``write`` makes ``explore/data/stability.js``, which calls ``numdiffStability.register`` with

families
    Groups of methods with their members: order (the parameter), formulation, variant (what else differs from the
    family's default), the number of the polynomial, and the order that is proved: for a generic damping, and for
    beta = 1 where there is a damping. ``default`` is the position of the member that the gallery shows.
polynomials
    Each pi(zeta, z) as a list of generators (``beta``, ``h``, ``["exp", a]`` for e^{ah}, ``["phi", k, a]`` for
    phi_k(ah)) and terms ``[i, j, numerator, denominator]`` of zeta^i z^j, both a list of monomials ``[integer,
    exponents of the generators...]``. Nothing is rounded; JavaScript puts the numbers in. With the intervals in closed
    form as LaTeX where Python has one that fits on a line.
published
    The names that members have in libraries.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from inspect import signature
from itertools import product
from pathlib import Path
from typing import Any

import sympy as sp

from book.tools.pages import write as write_page
from numdiff.formulations import FORMULATIONS
from numdiff.methods.exponential_runge_kutta import KNOWN
from numdiff.methods.published.classical import RHO_RK
from numdiff.methods.registry import FAMILIES, Family, catalogue
from numdiff.properties import order as orders
from numdiff.properties.order.consistency import exact_steady
from numdiff.symbolic.intervals import CriticalRoot, interval
from numdiff.symbolic.phi import phi
from numdiff.symbolic.polynomials import ZETA, Z, stability_polynomial
from numdiff.symbolic.steady import H, depends_on, one_field
from numdiff.tableau import Tableau

BETA = sp.Symbol("beta", positive=True)
"""The damping in the coefficients."""

ORDERS = range(1, 6)
"""Orders that are offered, where a family has them."""

BARE = ("tableau", "variant")
"""Options whose values speak for themselves."""

CORRECTED, OPEN = 4, 3
"""Highest orders of predictor-correctors that are offered, and with the damping as a symbol: the next take seconds."""

RULES = ("exact", "half", "bh1", "bh2", "3m", "3m-heun", "dpmsolver", "taylor", "published", "sign")
VARIED: dict[str, tuple[Any, ...]] = {
    "rule": RULES,
    "mode": ("PEC", "PECE"),
    "momentum": ("repaired", "published", "nesterov"),
    "variant": ("rho", "log-rho"),
    "tableau": (*KNOWN, *RHO_RK),
}
"""Options that are varied one at a time, and what is tried; a family's own routine refuses what it does not know."""

GROUPS = {
    "Adams and other multistep": "ab ddim plms pndm fpndm ipndm-v lms deis dpm-solver dpmpp flow-euler flow-ab bdia",
    "Momentum": "hb nt ghvb filtered-adams stretched-adams",
    "Predictor-corrector": "pec adams-moulton unipc unip unic",
    "Runge-Kutta": "heun midpoint ralston kutta3 ralston3 heun3 vdh3 ssprk3 ssprk43 rk4 kutta38 rho-rk flow-heun "
    "flow-midpoint",
    "Exponential Runge-Kutta": "dpm-solver-single single-step res hochbruck-ostermann etd",
}
"""Where a family stands in the list; those without a place are stochastic."""
REST = "With noise (stability of the mean)"

LONGEST = 110
"""Characters of the longest closed form that is shown."""

EASY = {"real": 5, "imaginary": 3}
"""Degrees in zeta up to which a closed form in beta is worked out; those beyond seldom fit on a line."""

LARGEST = 2**53
"""Integers from here on are written as strings, or JavaScript's parser would round them twice."""


@dataclass
class Catalogue:
    """The different polynomials met so far with their numbers, and what is known of them."""

    numbers: dict[sp.Poly, int] = field(default_factory=dict)
    known: dict[Any, int] = field(default_factory=dict)
    """The numbers of the polynomials, by the tableau."""
    proved: dict[Any, list[int | None]] = field(default_factory=dict)
    """The orders, by the tableau."""
    built: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    """The options of every member, by (family, order, formulation, variant)."""

    def number(self, method: Any) -> int:
        """Return the number of a method's polynomial."""
        tableau = one_field(method)
        place = _entries(tableau)
        if place not in self.known:
            self.known[place] = self.numbers.setdefault(stability_polynomial(tableau), len(self.numbers))
        return self.known[place]

    def order(self, method: Any) -> list[int | None]:
        """Return the proved order, and that without momentum where beta is a symbol; None where it is not known."""
        try:
            tableau = exact_steady(method)
        except ValueError:  # the noise has no constant level
            return [None]
        place = _entries(tableau)
        if place not in self.proved:
            plain = tableau.map(lambda x: x.subs(BETA, 1) if isinstance(x, sp.Basic) else x)
            cases = [tableau] if _entries(plain) == place else [tableau, plain]
            # an expansion in h with beta as a symbol takes too long
            skipped = len(cases) > 1 and depends_on(tableau, H)
            self.proved[place] = [None if skipped and case is tableau else _proved(case) for case in cases]
        return self.proved[place]


def _entries(tableau: Tableau) -> tuple[Any, ...]:
    return tableau.A, tableau.U, tableau.B, tableau.V


def _proved(tableau: Tableau) -> int | None:
    """Return the order of convergence, or None where zero-stability is not decided."""
    try:
        return orders.certified(tableau)
    except ValueError:
        return None


def document() -> dict[str, Any]:
    """Return all that the explorer knows."""
    return collected()[0]


def collected() -> tuple[dict[str, Any], Catalogue]:
    """Return all that the explorer knows, and what it was made of."""
    found = Catalogue()
    placed = {key: group for group, keys in GROUPS.items() for key in keys.split()}
    families = [_family(key, placed.get(key, REST), family, found) for key, family in FAMILIES.items()]
    order = [*GROUPS, REST]
    families = sorted((f for f in families if f["members"]), key=lambda f: order.index(f["group"]))
    polynomials = [_polynomial(pi) for pi in found.numbers]
    return {"families": families, "polynomials": polynomials, "published": list(_published(families))}, found


def _family(key: str, group: str, family: Family, found: Catalogue) -> dict[str, Any]:
    """Return a family with its members."""
    listed, taken = [], set()
    for options in (*_options(family), *(alias.options for alias in catalogue.of_family(key))):
        method = symbolic(family, options)
        if method is None:
            continue
        place = _place(family, options, method)
        if tuple(place.values()) not in taken and not _repeats(family, options, method):
            taken.add(tuple(place.values()))
            found.built[key, *place.values()] = dict(options)
            listed.append(place | _member(family, options, method, found))
    return {
        "key": key,
        "group": group,
        "summary": family.summary,
        "default": _default(family, listed),
        "members": listed,
    }


def _default(family: Family, listed: list[dict[str, Any]]) -> int:
    """Return the position of the member that the family's own options make, which the gallery shows."""
    method = symbolic(family, family.example)
    if method is None or not listed:
        return 0
    place = _place(family, family.example, method)
    return next(k for k, member in enumerate(listed) if place.items() <= member.items())


def _options(family: Family) -> Iterator[dict[str, Any]]:
    """Yield the options of the members that are offered: every order and kernel, other options one at a time."""
    orders = [k for k in ORDERS if k <= CORRECTED or not _corrects(family)]
    axes = {"order": orders, "formulation": tuple(FORMULATIONS)}
    full = [(name, values) for name, values in axes.items() if name in family.options]
    varied = [{}, *({name: value} for name, values in VARIED.items() if name in family.options for value in values)]
    for options in varied:
        for chosen in product(*(values for _, values in full)):
            yield {**family.example, **dict(zip((name for name, _ in full), chosen, strict=True)), **options}


def symbolic(family: Family, options: Mapping[str, Any]) -> Any:
    """Return the member with beta as a symbol, or None where the family has no such member or no steady step."""
    opened = "beta" in family.options and (options.get("order", 0) <= OPEN or not _corrects(family))
    try:
        method = family.build(**{**options, **({"beta": BETA} if opened else {})})
        one_field(method)
    except (TypeError, ValueError):
        return None
    return method


def _corrects(family: Family) -> bool:
    """Tell whether a family is one of predictor-correctors, whose coefficients are long."""
    return "mode" in family.options


def _repeats(family: Family, options: Mapping[str, Any], method: Any) -> bool:
    """Tell whether options that are varied only spell out the family's defaults."""
    plain = {name: value for name, value in options.items() if name not in VARIED or name in family.example}
    return len(plain) < len(options) and symbolic(family, plain) == method


def _place(family: Family, options: Mapping[str, Any], method: Any) -> dict[str, Any]:
    """Return what tells a member from its fellows."""
    defaults = {p.name: p.default for p in signature(family.build).parameters.values() if p.default is not p.empty}
    aside = {"order", "formulation", "beta"}
    others = {n: v for n, v in options.items() if n not in aside and v != {**defaults, **family.example}.get(n)}
    return {
        "order": options.get("order", defaults.get("order")) if "order" in family.options else None,
        "formulation": (method.formulation or FORMULATIONS["noise/ratio"]).name,
        "variant": ", ".join(str(value) if name in BARE else f"{name} {value}" for name, value in others.items()),
    }


def _member(family: Family, options: Mapping[str, Any], method: Any, found: Catalogue) -> dict[str, Any]:
    """Return what the explorer knows of one member besides its place."""
    beta = _damping(family, options)
    long = beta is not None and method.kernel and any(name in VARIED for name in options)
    return {
        "name": method.name,
        "polynomial": found.number(method),
        "proved": [None] if long else found.order(method),
        "noise": method.stochastic,
        "beta": beta,
    }


def _damping(family: Family, options: Mapping[str, Any]) -> float | None:
    """Return the damping that the family has unless told otherwise, or None where there is none."""
    if "beta" not in family.options:
        return None
    return float(getattr(family.build(**options), "beta"))  # noqa: B009  (of some methods)


def _published(families: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the names of members in libraries."""
    for alias in catalogue.ALIASES:
        family = FAMILIES[alias.family]
        method = symbolic(family, alias.options)
        listed = next((f for f in families if f["key"] == alias.family), None)
        if method is None or listed is None:
            continue
        for position, member in enumerate(listed["members"]):
            if member["name"] == method.name:
                yield {"library": alias.library, "name": alias.name, "family": alias.family, "member": position}
                break


def _polynomial(pi: sp.Poly) -> dict[str, Any]:
    """Return a polynomial as generators and terms, with its intervals in closed form."""
    field_ = pi.domain
    symbols = getattr(field_, "symbols", ()) if not field_.is_QQ and not field_.is_ZZ else ()
    terms = [[i, j, *_fraction(value, bool(symbols))] for (i, j), value in pi.rep.to_dict().items()]
    return {"symbols": [_generator(s) for s in symbols], "terms": terms, "intervals": _closed_forms(pi)}


def _generator(symbol: sp.Expr) -> Any:
    """Return a generator of the field of coefficients."""
    if symbol in (BETA, H):
        return symbol.name
    if isinstance(symbol, sp.exp):
        return ["exp", _ratio(symbol.args[0])]
    if isinstance(symbol, phi):
        return ["phi", int(symbol.args[0]), _ratio(symbol.args[1])]
    raise ValueError(f"the coefficients contain {symbol}, which the explorer cannot evaluate")


def _ratio(argument: sp.Expr) -> list[int]:
    """Return a of a h as a pair of integers."""
    a = sp.Rational(argument / H)
    return [int(a.p), int(a.q)]


def _fraction(value: Any, open_: bool) -> tuple[list[Any], list[Any]]:
    """Return numerator and denominator of a coefficient, each a list of monomials."""
    if open_:
        return _monomials(value.numer), _monomials(value.denom)
    number = Fraction(int(value.numerator), int(value.denominator))
    return [[_integer(number.numerator)]], [[_integer(number.denominator)]]


def _monomials(polynomial: Any) -> list[Any]:
    return [[_integer(int(c)), *powers] for powers, c in polynomial.terms()]


def _integer(number: int) -> int | str:
    return number if abs(number) < LARGEST else str(number)


def _closed_forms(pi: sp.Poly) -> dict[str, str]:
    """Return the intervals as LaTeX where they have a closed form in beta that fits on a line."""
    free = pi.free_symbols_in_domain
    found = {}
    for axis, degree in EASY.items():
        if not free or (free == {BETA} and pi.degree(Z) == 1 and pi.degree(ZETA) <= degree):
            value = interval(pi, axis)
            if not value.has(CriticalRoot) and len(str(value)) <= LONGEST and not value.has(sp.CRootOf):
                found[axis] = sp.latex(value)
    return found


def write(book: Path) -> None:
    """Write the data file."""
    text = json.dumps(document(), separators=(",", ":"))
    write_page(book / "explore" / "data" / "stability.js", f"numdiffStability.register({text});\n")
