"""Answers in four notations: each says the same, and none breaks on what a value or a sentence may hold."""

import json
import re
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import numdiff as nd
from numdiff.answers import Answer, Line, render
from numdiff.symbolic.phi import phi

BETA, Z, H = sp.symbols("beta z h")
PIECEWISE = sp.Piecewise((2 - BETA, sp.Rational(2, 3) >= BETA), (BETA / 3, True))
LONG = sp.expand((BETA + Z + H) ** 5)

# value: (text, LaTeX, exact text)
VALUES = [
    (6 * (2 - BETA) / (12 - BETA), "(12 - 6*beta)/(12 - beta)", r"\frac{12 - 6 \beta}{12 - \beta}", ...),
    (sp.Eq(Z, 2 - BETA), "z = 2 - beta", r"z = 2 - \beta", "Eq(z, 2 - beta)"),
    (sp.Eq(Z, PIECEWISE), "z = 2 - beta (beta <= 2/3); beta/3 (otherwise)", ..., ...),
    (sp.Le(BETA, sp.Rational(1, 2)), "beta <= 1/2 = 0.5", r"\beta \le \frac{1}{2} = 0.5", "beta <= 1/2"),
    (sp.Eq(Z, 0.5 * BETA), "z = 0.5*beta", r"z = 0.5 \beta", ...),
    (sp.Gt(BETA, 1), "beta > 1", r"\beta > 1", "beta > 1"),
    (PIECEWISE, "2 - beta (beta <= 2/3); beta/3 (otherwise)", ..., ...),
    (sp.oo, "infinity", r"\infty", "oo"),
    (-np.inf, "-infinity", r"-\infty", "-oo"),
    (3, "3", "3", "3"),
    (np.int64(3), "3", "3", "3"),
    (sp.Integer(0), "0", "0", "0"),
    (Fraction(9, 10), "9/10 = 0.9", r"\frac{9}{10} = 0.9", "9/10"),
    (sp.Rational(18, 23), "18/23 ≈ 0.782609", r"\frac{18}{23} \approx 0.782609", "18/23"),
    (sp.sqrt(2), "sqrt(2) ≈ 1.41421", r"\sqrt{2} \approx 1.41421", "sqrt(2)"),
    (sp.CRootOf(Z**5 - Z - 1, 0), "≈ 1.1673", r"\approx 1.1673", "CRootOf(z**5 - z - 1, 0)"),
    (sp.Rational(1, 10**40), "≈ 1e-40", r"\approx 1.0 \cdot 10^{-40}", f"1/{10**40}"),
    (0.5, "≈ 0.5", r"\approx 0.5", None),
    (1.5e-12, "≈ 1.5e-12", r"\approx 1.5 \cdot 10^{-12}", None),
    (sp.Float("0.123456789") * BETA, "0.123457*beta", r"0.123457 \beta", ...),
    (1 + sp.I, "1 + I", "1 + i", "1 + I"),
    (H * phi(2, -H), "h*phi(2, -h)", r"h \varphi_{2}\left(- h\right)", "h*phi(2, -h)"),
    (sp.Interval(-2, 0, True, False), "(-2, 0]", ..., ...),
    (sp.Contains(BETA, sp.Interval.Lopen(0, 2)), "beta in (0, 2]", r"\beta \in \left(0, 2\right]", ...),
    (sp.Union(sp.Interval.open(0, 1), sp.FiniteSet(2)), "(0, 1) or {2}", ..., ...),
    (sp.And(BETA > 0, BETA <= 2), "beta <= 2 and beta > 0", ..., ...),
    (sp.Poly(Z**2 + BETA, Z), "beta + z**2", ..., "beta + z**2"),
    (sp.Tuple(1, BETA), "(1, beta)", ..., "(1, beta)"),
]


@pytest.mark.parametrize(("value", "text", "latex", "exact"), VALUES, ids=[v[1] for v in VALUES])
def test_a_value_in_every_notation(value, text, latex, exact):
    shown, data = render.show(value), render.record(value)
    assert shown.text == text
    assert latex is ... or shown.latex == latex
    assert exact is ... or data["exact"] == exact
    assert set(data) == {"text", "exact", "float", "latex", "mathml"}
    json.dumps(data, allow_nan=False)


@pytest.mark.parametrize(
    ("value", "text", "data"),
    [
        (None, "-", None),
        (sp.nan, "-", None),
        (float("nan"), "-", None),
        ("A-stable", "A-stable", "A-stable"),
        (True, "yes", "yes"),
        (np.bool_(False), "no", "no"),
        (sp.true, "yes", "yes"),
    ],
)
def test_words_are_no_formulas(value, text, data):
    assert render.show(value) == render.Shown(text)
    assert render.record(value) == data


@pytest.mark.parametrize("value", [object(), lambda x: x, b"x"], ids=["object", "function", "bytes"])
def test_what_no_answer_holds_is_refused(value):
    with pytest.raises(TypeError, match="an answer cannot show a"):
        render.show(value)


def test_nothing_in_a_string_is_evaluated(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hostile = "__import__('os').mkdir('x')"
    answer = Answer(hostile, (Line(hostile, hostile, hostile),), (hostile,))
    for form in (render.to_text, render.to_markdown, render.to_latex, render.to_data):
        form(answer)
    assert not list(tmp_path.iterdir())


@given(st.fractions())
def test_the_decimal_of_a_fraction_says_whether_it_is_all_of_it(x):
    text = render.show(x).text
    if " = " in text:
        assert Fraction(text.split(" = ")[1]) == x
    elif "≈" in text:
        decimal = float(text.split("≈")[1])
        assert decimal == pytest.approx(float(x), rel=1e-5)
    else:
        assert Fraction(text) == x


# --- answers ----------------------------------------------------------------------------------------------------------

LINES = tuple(Line(f"value {i}", value, "a note" * (i % 2)) for i, (value, *_) in enumerate(VALUES))
SENTENCE = "what it stands for, in a sentence that is longer than a line of a terminal and must be wrapped somewhere"
EVERYTHING = Answer(
    "GHVB3(beta): 50% of {a_b} & #1",
    (*LINES, Line("none", None, SENTENCE), Line("a label that is longer than labels should be", LONG, SENTENCE)),
    (SENTENCE, r"costs | 5 $ & \more < ~ x_1^2 * 3"),
)


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_text_fits_the_width_and_loses_no_word(width):
    text = render.to_text(EVERYTHING, width)
    long = max(len(word) for word in text.split())
    assert max(map(len, text.splitlines())) <= max(width, long + 12)
    words = [EVERYTHING.title, *EVERYTHING.notes]
    words += [part for line in EVERYTHING.lines for part in (line.label, render.show(line.value).text, line.note)]
    assert sorted(text.split()) == sorted(" ".join(words).split())
    assert not any(line != line.rstrip() for line in text.splitlines())


def test_text_is_aligned():
    lines = (Line("a", 1, "one"), Line("longer", BETA, ""), Line("w", "x " * 40, "note"))
    assert render.to_text(Answer("title", lines), 60).splitlines() == [
        "title",
        "  a       1  one",
        "  longer  beta",
        "  w       " + ("x " * 25).strip(),
        "          " + ("x " * 15).strip(),
        "          note",
    ]


STEPS = Answer(
    "derivation",
    (
        Line("1. nodes", sp.Eq(Z, 0), "The newest first: r -> 1 | 2 < 3."),
        Line("", sp.Eq(Z, -1)),
        Line("2. sum", BETA, ""),
        Line("", "done", "at last"),
    ),
    ("All checks pass.",),
)


def test_lines_without_a_label_are_steps():
    assert render.to_text(STEPS).splitlines() == [
        "derivation",
        "  1. nodes",
        "    The newest first: r -> 1 | 2 < 3.",
        "        z = 0",
        "        z = -1",
        "  2. sum",
        "        beta",
        "        done  at last",
        "All checks pass.",
    ]
    assert render.to_markdown(STEPS).splitlines() == [
        "### derivation",
        "",
        "**1. nodes.** The newest first: r -> 1 \\| 2 \\< 3.",
        "",
        "- $z = 0$",
        "- $z = -1$",
        "",
        "**2. sum.**",
        "",
        "- $\\beta$",
        "- done at last",
        "",
        "- All checks pass.",
    ]
    assert render.to_latex(STEPS).splitlines()[:5] == [
        "\\paragraph{derivation}",
        "\\subparagraph{1. nodes.} The newest first: r $\\to$ 1 $|$ 2 $<$ 3.",
        "\\begin{align*}",
        "  & z = 0 \\\\",
        "  & z = -1",
    ]


@pytest.mark.parametrize(
    ("sentence", "latex"),
    [
        ("mu_{m+1} of h^4", r"$\mu_{m+1}$ of $h^{4}$"),
        ("C h^{p+1} x^(p+1)", "C $h^{p+1}$ $x^{(p+1)}$"),
        ("M_0^1 w_0 = e^{ch_n} X_n", "$M_{0}^{1}$ $w_{0}$ = $e^{ch_{n}}$ $X_{n}$"),
        ("vp_linear, v_{n, file_name and x_", r"vp\_linear, v\_\{n, file\_name and x\_"),
        ("x_{}^2 a^{\\input{x}} b_{%}", r"$x_{}^{2}$ a\textasciicircum{}\{\textbackslash{}input\{x\}\} b\_\{\%\}"),
    ],
)
def test_symbols_in_sentences_are_formulas(sentence, latex):
    assert render.to_latex(Answer(sentence, ())).splitlines()[0] == rf"\paragraph{{{latex}}}"


def unescaped(text, mark):
    """Count the marks that have no backslash before them."""
    return len(re.findall(rf"(?<!\\){re.escape(mark)}", text))


def test_markdown_is_a_table_with_formulas_between_dollar_signs():
    lines = render.to_markdown(EVERYTHING).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == len(EVERYTHING.lines) + 2
    assert {unescaped(line, "|") for line in table} == {4}
    assert all(unescaped(line, "$") in (0, 2) for line in lines)
    assert lines[-1] == r"- costs \| 5 \$ & \\more \< ~ $x_{1}^{2}$ \* 3"
    plain = render.to_markdown(Answer("t", (Line("a", sp.Abs(Z)),)))
    assert plain == "### t\n\n| quantity | value |\n| :-- | :-- |\n| a | $\\left\\vert {z}\\right\\vert $ |\n"


@pytest.mark.parametrize(
    "answer", [EVERYTHING, STEPS, Answer("short & sweet", LINES[:2], ("50%",)), Answer("empty", ())]
)
def test_latex_is_balanced_and_escaped(answer):
    text = render.to_latex(answer)
    assert unescaped(text, "{") == unescaped(text, "}")
    assert sorted(re.findall(r"\\begin\{(\w+)", text)) == sorted(re.findall(r"\\end\{(\w+)", text))
    assert unescaped(text, "$") % 2 == 0
    assert unescaped(text, "%") == unescaped(text, "#") == 0
    assert "≈" not in text
    assert text.endswith("\n")


def test_latex_takes_a_table_for_short_formulas_and_lines_for_long_ones():
    short = render.to_latex(Answer("t", (Line("weight 0", BETA / 2, "the newest"), Line("x", None))))
    assert short == (
        "\\paragraph{t}\n\\begin{tabular}{llp{6cm}}\n\\toprule\nquantity & value & note \\\\\n\\midrule\n"
        "weight 0 & $\\frac{\\beta}{2}$ & the newest \\\\\nx & - &  \\\\\n\\bottomrule\n\\end{tabular}\n"
    )
    long = render.to_latex(Answer("t", (Line("sum", LONG), Line("x", "5%"))))
    assert long.startswith("\\paragraph{t}\n\\begin{align*}\n  \\text{sum:} \\quad & \\beta^{5}")
    assert long.endswith("\\\\\n  \\text{x:} \\quad & \\text{5\\%}\n\\end{align*}\n")


def test_data_is_json_that_gives_the_exact_value_back():
    data = json.loads(json.dumps(render.to_data(EVERYTHING), allow_nan=False))
    assert [line["label"] for line in data["lines"]] == [line.label for line in EVERYTHING.lines]
    assert data["notes"] == list(EVERYTHING.notes)
    local = {"beta": BETA, "z": Z, "h": H, "phi": phi}
    for line, written in zip(EVERYTHING.lines, data["lines"], strict=True):
        if isinstance(line.value, sp.Expr) and not line.value.has(sp.Float):
            assert sp.sympify(written["value"]["exact"], locals=local) == line.value


@pytest.mark.parametrize("name", ["NT(AB2, 4/5)", "GHVB4(4/5)", "GHVB3(4/5) data/log-snr"])
def test_what_the_library_derives_can_be_shown(name):
    """Intervals of algebraic functions, polynomials and weights with phi, as the library returns them."""
    from numdiff.symbolic.polynomials import to_sympy

    method = nd.methods()[name]
    values = [*map(to_sympy, method.coefficients()), nd.stability.polynomial(method)]
    if not method.kernel:
        values += [nd.stability.real_interval(nd.Nesterov(nd.AdamsBashforth(k), beta=BETA)) for k in (1, 2)]
    answer = Answer(name, tuple(Line(str(i), value) for i, value in enumerate(values)))
    assert render.to_text(answer)
    assert render.to_markdown(answer)
    assert render.to_latex(answer)
    json.dumps(render.to_data(answer), allow_nan=False)
