"""The table of derived schemes, and its Markdown and LaTeX."""

import re
from io import BytesIO

import pytest
import sympy as sp
from matplotlib import mathtext

import numdiff as nd
from numdiff.properties.schemes import HEADINGS, scheme_table, to_latex, to_markdown
from numdiff.symbolic import latex

BETA = sp.Symbol("beta")
METHODS = [
    nd.AdamsBashforth(3),
    nd.HeavyBall(nd.AdamsBashforth(2), beta=BETA),
    nd.GHVB(3, 0.8),
    nd.Nesterov(nd.AdamsBashforth(3), beta=1.5),
    nd.RK4(),
    nd.DPMSolverPP(2, rule="half"),
]


@pytest.fixture(scope="module")
def rows():
    return scheme_table(METHODS)


def test_rows_are_derived(rows):
    assert [row.name for row in rows] == [m.name for m in METHODS]
    assert [row.order for row in rows] == [m.order for m in METHODS]
    assert rows[0].coefficients == (sp.Rational(23, 12), sp.Rational(-4, 3), sp.Rational(5, 12))
    assert rows[0].error_constant == sp.Rational(3, 8)
    assert rows[1].real_interval.equals((2 - BETA) / BETA)
    assert sum(rows[2].coefficients) == 1
    assert rows[4].coefficients == tuple(sp.Rational(1, d) for d in (6, 3, 3, 6))
    assert rows[4].error_constant is None
    assert rows[5].real_interval is None


def test_markdown_is_a_table(rows):
    lines = to_markdown(rows).splitlines()
    assert len(lines) == len(rows) + 2
    assert {line.count("|") for line in lines} == {len(HEADINGS) + 1}


def test_every_formula_is_valid_mathematics(rows):
    parser = mathtext.MathTextParser("path")
    for line in to_markdown(rows).splitlines()[2:]:
        for formula in re.findall(r"\$([^$]*)\$", line):
            parser.parse(f"${formula}$")  # raises on anything that is not TeX mathematics


def test_latex_is_balanced(rows):
    source = to_latex(rows, document=True)
    assert source.count("{") == source.count("}")
    assert re.findall(r"\\begin\{(\w+)\}", source) == re.findall(r"\\end\{(\w+)\}", source)[::-1]
    body = source.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    assert len(body) == len(rows)
    assert all(line.count(" & ") == len(HEADINGS) - 1 and line.endswith(r" \\") for line in body)
    assert to_latex(rows) in source


def test_text_escapes_and_sets_greek():
    assert latex.text("HB(AB2, beta) 50%_x") == r"HB(AB2, $\beta$) 50\%\_x"


def test_numbers_stay_exact_while_short():
    assert latex.math(sp.Rational(3, 8)) == r"\frac{3}{8}"
    assert latex.math(sp.Rational(314159263, 100000000)) == r"\approx 3.14159"
    root = sp.Poly(sp.Symbol("x") ** 3 - 2 * sp.Symbol("x") - 5).real_roots()[0]
    assert latex.math(root) == r"\approx 2.09455"
    assert latex.math(None) == latex.math(sp.nan) == "-"


def test_algebraic_branches_are_named():
    formula = nd.stability.real_interval(nd.Nesterov(nd.AdamsBashforth(3), beta=BETA))
    assert r"\operatorname{root}_{0}(P_{3})" in latex.math(formula)


def test_pictures_of_the_formulas(rows):
    # the longest weights must fit a page: rendered, not only parsed
    buffer = BytesIO()
    mathtext.math_to_image(f"${rows[5].cells()[0]}$", buffer, format="png")
    assert buffer.getbuffer().nbytes > 0


def test_bad_input():
    with pytest.raises(TypeError, match="method must be a method such as"):
        scheme_table(["AB2"])
