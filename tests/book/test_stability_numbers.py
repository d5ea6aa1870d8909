"""The numbers of the stability explorer against Python's, for every polynomial that it offers.

The scripts of the core are loaded alone in a real browser, with the data of the built site.
"""

import json
import math
import random
from fractions import Fraction
from functools import cached_property
from itertools import groupby
from pathlib import Path

import mpmath
import numpy as np
import pytest
import sympy as sp

import numdiff as nd
from book.tools import explorer
from numdiff.methods.registry import FAMILIES
from numdiff.symbolic.steady import H

pytestmark = pytest.mark.book

SCRIPTS = Path(explorer.__file__).parents[1] / "explore" / "js"
CLOSE = 1e-10
"""How closely JavaScript agrees with Python, relative to numbers larger than one."""

EXPONENTIAL = 2
"""How many exponential polynomials of a group have their intervals compared: exact ends with a float h take long."""


@pytest.fixture(scope="module")
def offered(folder):
    """The document of the built site, and for each polynomial a member with random parameters."""
    text = (folder / "explore" / "data" / "stability.js").read_text()
    document = json.loads(text[text.index("(") + 1 : text.rindex(")")])
    found = Unnumbered()
    for key, family in FAMILIES.items():
        explorer._family(key, "", family, found)
    rng, cases = random.Random(20240417), {}
    for family in document["families"]:
        for member in family["members"]:
            if member["polynomial"] not in cases:
                symbols = document["polynomials"][member["polynomial"]]["symbols"]
                place = {name: member[name] for name in ("order", "formulation", "variant")}
                options = found.built[(family["key"], *place.values())]
                cases[member["polynomial"]] = Case(family, place, options, symbols, rng)
    assert len(cases) == len(document["polynomials"])
    return document, list(cases.values())


class Unnumbered(explorer.Catalogue):
    """A catalogue that notes the options of all members and works out no polynomial and no order."""

    def number(self, method):
        return 0

    def order(self, method):
        return [None]


class Case:
    """A member with numbers for its parameters."""

    def __init__(self, family, place, options, symbols, rng):
        self.beta = Fraction(rng.randint(20, 2000), 1000) if "beta" in symbols else None
        self.h = rng.randint(20, 3000) / 1000 if "h" in symbols else None
        given = {} if self.beta is None else {"beta": self.beta}
        self.method = FAMILIES[family["key"]].build(**{**options, **given})
        self.group = family["group"]
        self.choice = {"family": family["key"], **place}
        self.parameters = {"beta": float(self.beta or 1), "h": self.h or 1.0}
        self.step = {} if self.h is None else {"h": self.h}
        self.z = [complex(rng.uniform(-4, 1), rng.uniform(-3, 3)) for _ in range(30)]

    @property
    def arguments(self):
        """The arguments of a function of the explorer."""
        return [self.choice, self.parameters, [[z.real, z.imag] for z in self.z]]

    @cached_property
    def coefficients(self):
        """Return {(i, j): coefficient} in 30 digits."""
        h = sp.Rational(str(self.h)) if self.h else 1
        known = nd.stability.polynomial(self.method).as_dict()
        return {power: mpmath.mpf(sp.N(sp.expand_func(c).subs(H, h), 30)) for power, c in known.items()}

    def __str__(self):
        return f"{self.method} beta={self.beta} h={self.h}"


@pytest.fixture(scope="module")
def core(browser, offered):
    """A page with the scripts of the core and nothing else."""
    page = browser.new_page()
    for name in ("algebra.js", "stability-core.js"):
        page.add_script_tag(path=str(SCRIPTS / name))
    page.evaluate("data => numdiffStability.register(data)", offered[0])
    yield page
    page.close()


def close(found, expected):
    return abs(found - expected) <= CLOSE * max(1, abs(expected)) or found == expected


def test_coefficients_agree(core, offered):
    for case in offered[1]:
        found = core.evaluate(
            "([m, p]) => { const c = numdiffStability.coefficients(m, p); return [c.n, c.d, [...c.c]] }",
            case.arguments[:2],
        )
        n, d, flat = found
        expected = case.coefficients
        assert n == max(i for i, _ in expected), case
        assert d == max(j for _, j in expected), case
        for i in range(n + 1):
            for j in range(d + 1):
                assert close(flat[i * (d + 1) + j], float(expected.get((i, j), 0))), (str(case), i, j)


def test_phi_agrees_with_many_digits(core):
    rng = random.Random(1)
    cases = [(k, x) for k in range(9) for x in (0.0, 1e-12, -1e-12, *(rng.uniform(-12, 12) for _ in range(40)))]
    found = core.evaluate("cases => cases.map(([k, x]) => numdiffAlgebra.phi(k, x))", cases)
    for (k, x), value in zip(cases, found, strict=True):
        expected = float(mpmath.hyp1f1(1, k + 1, x) / mpmath.factorial(k))
        assert abs(value - expected) <= 2e-14 * expected, (k, x)


def test_roots_agree_where_they_are_well_conditioned(core, offered):
    compared = total = 0
    for case in offered[1]:
        found = core.evaluate(
            "([m, p, z]) => z.slice(0, 3).map(q => numdiffStability.roots(m, p, ...q))", case.arguments
        )
        terms = case.coefficients
        for z, roots in zip(case.z, found, strict=False):
            p = np.zeros(max(i for i, _ in terms) + 1, dtype=complex)
            for (i, j), c in terms.items():
                p[i] += float(c) * z**j
            expected = list(np.roots(p[::-1]))
            assert len(roots) == len(expected), case
            for zeta in (complex(*root) for root in roots):
                slope = abs(np.polynomial.polynomial.polyval(zeta, np.polynomial.polynomial.polyder(p)))
                size = np.polynomial.polynomial.polyval(abs(zeta), abs(p))
                total += 1
                if size <= 1e3 * slope * max(1, abs(zeta)):
                    compared += 1
                    assert min(abs(zeta - other) for other in expected) <= CLOSE * max(1, abs(zeta)), (str(case), z)
    assert compared > 0.9 * total


REGION = """([m, p, z]) => [
  z.map(q => numdiffStability.stable(m, p, ...q)),
  z.map(q => Math.max(...numdiffStability.roots(m, p, ...q).map(r => Math.hypot(...r)))),
]"""


def test_the_region_agrees_away_from_its_boundary(core, offered):
    inside = outside = 0
    for case in offered[1]:
        found, radius = map(np.array, core.evaluate(REGION, case.arguments))
        expected = nd.stability.region(case.method, np.array(case.z), **case.step)
        clear = np.abs(np.array(radius) - 1) > 1e-6
        assert np.array_equal(found[clear], expected[clear]), case
        inside, outside = inside + int(found.sum()), outside + int((~found).sum())
    assert min(inside, outside) > 300


def test_intervals_agree(core, offered):
    cases = [case for case in offered[1] if case.h is None]
    exponential = random.Random(7).sample(offered[1], len(offered[1]))
    for _, several in groupby(sorted(exponential, key=lambda case: case.group), lambda case: case.group):
        cases += [case for case in several if case.h is not None][:EXPONENTIAL]
    for case in cases:
        found = core.evaluate(
            "([m, p]) => [numdiffStability.realInterval(m, p), numdiffStability.imaginaryInterval(m, p)].map(String)",
            case.arguments[:2],
        )
        for value, interval in zip(found, (nd.stability.real_interval, nd.stability.imaginary_interval), strict=True):
            expected = float(interval(case.method, **case.step))
            assert close(math.inf if value == "Infinity" else float(value), expected), (
                str(case),
                interval.__name__,
                value,
                expected,
            )


def test_the_locus_has_a_root_of_modulus_one(core, offered):
    angles = [0.3, 1.1, 2.9]
    for case in offered[1]:
        zs = core.evaluate("([m, p, t]) => t.map(a => numdiffStability.locus(m, p, a))", [*case.arguments[:2], angles])
        terms = {power: float(c) for power, c in case.coefficients.items()}
        for angle, points in zip(angles, zs, strict=True):
            zeta = complex(math.cos(angle), math.sin(angle))
            for z in (complex(*point) for point in points):
                values = [c * zeta**i * z**j for (i, j), c in terms.items()]
                assert abs(sum(values)) <= CLOSE * sum(map(abs, values)), (str(case), angle)


def test_a_damping_at_the_end_of_its_range(core):
    """Roots that stay on the circle: the heavy ball on Euler at beta = 2 is the leapfrog method."""
    found = core.evaluate(
        "m => [numdiffStability.realInterval(m, { beta: 2 }), numdiffStability.imaginaryInterval(m, { beta: 2 })]",
        {"family": "hb", "order": 1, "formulation": "noise/ratio", "variant": ""},
    )
    method = nd.HeavyBall(nd.AdamsBashforth(1), beta=2)
    assert found[0] == float(nd.stability.real_interval(method)) == 0
    assert close(found[1], float(nd.stability.imaginary_interval(method)))
