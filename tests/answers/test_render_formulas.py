"""Names of algebraic functions, decimals inside formulas, and mathematics inside sentences."""

import re
from xml.etree import ElementTree

import pytest
import sympy as sp

import numdiff as nd
from numdiff.answers import Answer, Line, expressions, prose, render
from numdiff.answers.answer import Setting
from numdiff.answers.coefficients import derivation
from numdiff.answers.growth import relative
from numdiff.answers.stability import intervals
from numdiff.symbolic import latex
from numdiff.symbolic.intervals import CriticalRoot

BETA, X = sp.symbols("beta X")
HB4 = nd.HeavyBall(nd.PLMS(4), beta=BETA)
CUBIC, QUARTIC, OTHER = (sp.Lambda(X, p) for p in (X**3 + BETA * X - 1, X**4 - BETA, X**3 - BETA))
FIRST, SECOND, THIRD = CriticalRoot(0, CUBIC), CriticalRoot(1, QUARTIC), CriticalRoot(0, OTHER)
BREAK = sp.CRootOf(X**5 - X - 1, 0)
FORMS = (render.to_text, render.to_markdown, render.to_latex)


def parsed(mathml):
    return ElementTree.fromstring(mathml.replace("&InvisibleTimes;", "\u2062"))


# --- names ------------------------------------------------------------------------------------------------------------


def test_polynomials_of_one_degree_have_different_names_throughout_an_answer():
    answer = Answer("t", (Line("a", FIRST + SECOND), Line("b", sp.sqrt(THIRD) / FIRST)))
    text = render.to_text(answer)
    assert "root0(P_3) + root1(P_4)" in text
    assert "sqrt(root0(Q_3))/root0(P_3)" in text
    assert "P_3(X) = X**3 + X*beta - 1; root0 is its smallest real zero." in text
    assert "P_4(X) = X**4 - beta; root1 is its real zero number 1, counted from 0 at the smallest." in text
    assert "Q_3(X) = X**3 - beta; root0" in text
    assert r"\par $Q_{3}{\left(X \right)} = X^{3} - \beta$; $\operatorname{root}_{0}$ is" in render.to_latex(answer)
    assert r"- $P_{3}{\left(X \right)} = X^{3} + X \beta - 1$; $\operatorname{root}_{0}$" in render.to_markdown(answer)
    data = render.to_data(answer)
    assert [note.split(" = ")[0] for note in data["notes"]] == ["P_3(X)", "P_4(X)", "Q_3(X)"]
    assert [line["value"]["text"] for line in data["lines"]] == [
        "root0(P_3) + root1(P_4)",
        "sqrt(root0(Q_3))/root0(P_3)",
    ]


def test_ten_polynomials_of_one_degree_have_ten_names():
    values = [CriticalRoot(0, sp.Lambda(X, X**3 + k * BETA * X - 1)) for k in range(1, 11)]
    names = latex.names(values)
    assert len(set(names.values())) == len(names) == 10
    for value in values:
        parsed(f"<math>{expressions.mathml(latex.short(value, names))}</math>")


@pytest.mark.parametrize(
    ("question", "method"),
    [(intervals, HB4), (intervals, nd.Nesterov(nd.PLMS(3), beta=BETA)), (relative, nd.GHVB(3, BETA))],
    ids=["HB4", "NT3", "GHVB3"],
)
def test_every_name_that_is_shown_is_explained(question, method):
    answer = question(method, Setting())
    for form in FORMS:
        shown = form(answer)
        used = set(re.findall(r"(?:root\d+\(|root\}_\{\d+\}\()([P-W]'*_\{?\d+\}?)", shown))
        assert used
        assert all(re.search(re.escape(name) + r"(\(X\)|\{\\left\(X \\right\)\}) = ", shown) for name in used)
    assert "CRootOf" not in "".join(form(answer) for form in FORMS)


def test_a_definition_defines_the_value():
    """y*^2 of heavy ball on AB4 is the zero of the polynomial that is written down, at a damping put into both."""
    y = nd.stability.imaginary_interval(HB4)
    (definition,) = [equation for equation, _ in latex.definitions([y])]
    beta = sp.Rational(3, 2)
    zeros = sp.Poly(definition.rhs.subs(BETA, beta), X).real_roots()
    assert float(zeros[0]) == pytest.approx(float(y.subs(BETA, beta)) ** 2, rel=1e-12)


def test_names_in_mathml_are_indices_of_letters():
    root = parsed(expressions.expression(sp.sqrt(FIRST))["mathml"])
    indexed = [tuple(part.text for part in node) for node in root.iter("msub")]
    assert indexed == [("root", "0"), ("P", "3")]


# --- decimals inside formulas -----------------------------------------------------------------------------------------


def test_numbers_without_a_short_form_are_decimals_inside_formulas():
    value = sp.Piecewise((BETA + BREAK, BETA < 2 * BREAK), (BETA * BREAK**2, True), evaluate=False)
    found = expressions.expression(value)
    number = float(BREAK)
    assert found["text"] == (f"≈{number:.6g} + beta (beta < ≈{2 * number:.6g}); ≈{number**2:.6g}*beta (otherwise)")
    for notation in ("text", "latex", "mathml"):
        assert "rootof" not in found[notation].lower()
    assert r"\beta < {\approx}" + f"{2 * number:.6g}" in found["latex"]
    decimals = [node.text for node in parsed(found["mathml"]).iter("mn")]
    assert f"{2 * number:.6g}" in decimals
    assert "CRootOf" in found["exact"]


def test_decimals_in_sets_and_conditions():
    shown = render.show(sp.Contains(BETA, sp.Interval.open(0, BREAK)))
    assert "CRootOf" not in shown.text + shown.latex
    shown = render.show(sp.Le(BETA, BREAK))
    assert shown.text == f"beta <= ≈ {float(BREAK):.6g}"


# --- mathematics inside sentences -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "math"),
    [
        ("mu_m = h int_0^1 e^{ch(1-u)} u^m du", r"\mu_{m} = h \int_{0}^{1} e^{ch(1-u)} u^{m} du"),
        ("m! h phi_{m+1}(ch)", r"m! h \varphi_{m+1}(ch)"),
        ("sum_i w_i M_i^m", r"\sum_{i} w_{i} M_{i}^{m}"),
        ("|1-beta| <= r^m", r"\vert 1-\beta\vert \le r^{m}"),
        ("X' = c X + z X", "X' = c X + z X"),
        ("(-x*, 0), 2*y", r"(-x^{*}, 0), 2\cdot y"),
        ("rho(zeta) - z sigma(zeta)", r"\rho(\zeta) - z \sigma(\zeta)"),
        ("r_1, ..., r -> 1", r"r_{1}, \ldots, r \to 1"),
        ("C h^{p+1} f^(p)", "C h^{p+1} f^{(p)}"),
        ("50% {of} root2", r"50\% \{of\} \operatorname{root}_{2}"),
        ("weight j", r"\text{weight} j"),
    ],
)
def test_marked_fragments_are_mathematics(text, math):
    assert prose.formula(text) == math
    answer = Answer("t", (), (f"where `{text}` holds",))
    assert render.to_text(answer).splitlines()[1:] == [f"where {text} holds"]
    assert render.to_markdown(answer).splitlines()[-1] == f"- where ${math}$ holds"
    assert render.to_latex(answer).splitlines()[-1] == rf"\par where ${math}$ holds"
    assert render.to_data(answer)["notes"] == [f"where {text} holds"]


@pytest.mark.parametrize(
    ("sentence", "latex_"),
    [
        ("rho(zeta) of x* and zeta", r"$\rho(\zeta)$ of $x^{*}$ and $\zeta$"),
        ("a phi_1 at x**2", r"a $\varphi_{1}$ at x**2"),
        ("one ` alone", "one ` alone"),
    ],
)
def test_unmarked_symbols(sentence, latex_):
    assert render.to_latex(Answer(sentence, ())).splitlines()[0] == rf"\paragraph{{{latex_}}}"


@pytest.mark.parametrize(
    "method", [nd.GHVB(2, BETA), nd.Heun(), nd.UniPC(2), HB4, nd.DPMSolverPP(2, rule="half")], ids=str
)
def test_sentences_of_derivations_are_typeset_throughout(method):
    text = render.to_latex(derivation(method, Setting()))
    sentences = "\n".join(line for line in text.splitlines() if line.startswith(r"\subparagraph"))
    for half_done in ("int\\_", "sum\\_", r"\textasciicircum", r"$\phi", "`"):
        assert half_done not in sentences
    assert sentences.count("$") % 2 == 0
    assert "`" not in render.to_text(derivation(method, Setting()))


def test_dots_begin_no_line():
    answer = Answer("t", (), ("r_1 is this step over the last, r_2 the last over the one before, and so on, ...",))
    for width in range(40, 100):
        assert not any(line.strip().startswith("...") for line in render.to_text(answer, width).splitlines())
