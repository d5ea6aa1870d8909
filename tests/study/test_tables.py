"""Tables say the same in Markdown, LaTeX and HTML; formulas in MathML have the value of the expression."""

import re
from xml.etree import ElementTree

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import numdiff as nd
from numdiff.answers import expressions
from numdiff.properties.schemes import scheme_table
from numdiff.study.tables import Cell, Table, formula, number, significant

TABLE = Table(
    "A & B < C",
    ["name", "x", Cell("y", html="<i>y</i>")],
    [["a|b_c", number(0.012345), "1"], [Cell("bold", bold=True), number(None), formula(None)]],
    "lrc",
    groups=(("", 1), ("both", 2)),
)


def test_the_three_forms():
    markdown = TABLE.markdown().splitlines()
    assert markdown[2:4] == ["| name | both x | both y |", "| :-- | --: | :-: |"]
    assert markdown[4] == r"| a\|b_c | 0.0123 | 1 |"
    latex = TABLE.latex()
    assert r"\begin{tabular}{lrc}" in latex
    assert r"\cmidrule(lr){2-3}" in latex
    assert r"a|b\_c & 0.0123 & 1 \\" in latex
    assert r"\textbf{bold} & -- & -- \\" in latex
    root = ElementTree.fromstring(TABLE.html().replace("&ensp;", " "))
    assert [len(row) for row in root.iter("tr")] == [2, 3, 3, 3]
    assert [cell.get("class") for cell in root.find("tbody/tr")] == ["l", "r", "c"]
    assert "".join(root.find("tbody/tr/td").itertext()) == "a|b_c"


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="needs 2 cells"):
        Table("t", ["a", "b"], [["1"]], "ll")
    with pytest.raises(ValueError, match="must cover its 2 columns"):
        Table("t", ["a", "b"], [], "ll", groups=(("g", 1),))


@given(st.floats(1e-12, 1e12), st.integers(1, 6), st.sampled_from([-1, 1]))
def test_significant_digits(size, digits, sign):
    """The text is the number to half a unit of its last digit, with as many digits as were asked for."""
    text = significant(sign * size, digits)
    plain = re.sub("\N{MULTIPLICATION SIGN}10([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)", lambda m: "e" + m[1].translate(LOWERED), text)
    value = float(plain)
    assert abs(value - sign * size) <= 0.5000001 * 10.0 ** (1 - digits) * abs(value)
    mantissa = plain.split("e")[0].lstrip("-")
    shown = len(mantissa.replace(".", "").lstrip("0"))
    assert shown == digits or (shown > digits and "." not in mantissa)


LOWERED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


def value(node, **symbols):
    """Evaluate presentation MathML: rows are products, but for signs and sums, in the way a reader reads them."""
    kind, children = node.tag, list(node)
    if kind in ("mn", "mi"):
        return symbols[node.text] if node.text in symbols else float(node.text)
    if kind == "mfrac":
        return value(children[0], **symbols) / value(children[1], **symbols)
    if kind == "msup":
        return value(children[0], **symbols) ** value(children[1], **symbols)
    if kind == "msqrt":
        return row(children, **symbols) ** 0.5
    return row(children, **symbols)


def row(children, **symbols):
    total, product, sign = 0.0, None, 1
    for child in children:
        if child.tag == "mo":
            if child.text in "+\N{MINUS SIGN}":
                total += 0 if product is None else sign * product
                product, sign = None, 1 if child.text == "+" else -1
            else:
                assert child.text in "()\u2062"
        else:
            factor = value(child, **symbols)
            product = factor if product is None else product * factor
    return total + sign * product


def parsed(mathml):
    return ElementTree.fromstring(mathml.replace("&InvisibleTimes;", "\u2062"))


BETA = sp.Symbol("beta")
FAMILIES = [
    nd.AdamsBashforth(3),
    *(nd.GHVB(k, BETA) for k in (1, 2, 3, 4)),
    nd.HeavyBall(nd.AdamsBashforth(3), beta=BETA),
]


@pytest.mark.parametrize("method", FAMILIES, ids=str)
def test_mathml_has_the_value_of_the_expression(method):
    (scheme,) = scheme_table([method])
    for expression in (*scheme.coefficients, scheme.error_constant, scheme.real_interval):
        for beta in (0.3, 1.25):
            shown = value(parsed(expressions.expression(expression)["mathml"]), **{"β": beta})
            # 1e-13: a handful of roundings of numbers up to 2000
            assert shown == pytest.approx(float(expression.subs(BETA, beta)), rel=1e-13)


def test_numbers_and_roots_in_mathml():
    for expression in (sp.Integer(-3), sp.Rational(-4, 3), 4 * sp.sqrt(65) / 75, sp.Rational(1, 7)):
        assert value(parsed(expressions.expression(expression)["mathml"])) == pytest.approx(
            float(expression), rel=1e-13
        )


def test_pieces_and_unwieldy_expressions_stay_readable():
    pieces = sp.Piecewise((0, BETA < 1), (2 / BETA, True))
    assert expressions.text(pieces) == "0 (beta < 1); 2/beta (otherwise)"
    parsed(expressions.expression(pieces)["mathml"])  # well formed, although SymPy writes a bare "<"
    root = nd.stability.imaginary_interval(nd.HeavyBall(nd.AdamsBashforth(4), beta=BETA))
    short = expressions.expression(root)
    assert "root0(P_3)" in short["text"]
    assert "CriticalRoot" in short["exact"]
    assert len(short["text"]) < 100
    parsed(short["mathml"])
    assert expressions.expression(None) is None
