"""Trees in writing, against the table of Hairer, Norsett, Wanner and against each other."""

import pytest
import sympy as sp

from numdiff.symbolic.differentials import bracket_text, differential, differential_text, sum_text
from numdiff.symbolic.trees import trees

T = ()
KNOWN = {  # Solving ODEs I, table II.2.1
    T: ("tau", "f"),
    (T,): ("[tau]", "f'f"),
    (T, T): ("[tau, tau]", "f''(f, f)"),
    ((T,),): ("[[tau]]", "f'f'f"),
    (T, T, T): ("[tau, tau, tau]", "f'''(f, f, f)"),
    (T, (T,)): ("[[tau], tau]", "f''(f'f, f)"),
    ((T, T),): ("[[tau, tau]]", "f'f''(f, f)"),
    (((T,),),): ("[[[tau]]]", "f'f'f'f"),
    (T, T, T, T): ("[tau, tau, tau, tau]", "f^(4)(f, f, f, f)"),
}


@pytest.mark.parametrize("tree", KNOWN)
def test_names(tree):
    assert (bracket_text(tree), differential_text(tree)) == KNOWN[tree]


@pytest.mark.parametrize("order", range(1, 9))
def test_names_tell_trees_apart(order):
    names = [(bracket_text(t), differential_text(t)) for t in trees(order)]
    assert len({a for a, _ in names}) == len({b for _, b in names}) == len(trees(order))
    for brackets, differential_name in names:  # a vertex is a tau or a bracket, and an f
        assert brackets.count("tau") + brackets.count("[") == differential_name.count("f") == order


def test_latex():
    assert sp.latex(differential((T, T, T, T))) == "f^{(4)}(f, f, f, f)"
    assert sp.latex(sp.Rational(1, 2) * differential((T, (T,)))) == r"\frac{f''(f'f, f)}{2}"


def test_sums():
    beta = sp.Symbol("beta")
    coefficients = {T: sp.Integer(1), (T,): -sp.Rational(1, 2), (T, T): (2 - beta) / beta, ((T,),): sp.Integer(0)}
    assert sum_text(coefficients, 1) == "f - 1/2 h f'f + (2 - beta)/(2*beta) h^2 f''(f, f)"
    assert sum_text({(T,): beta - 2}) == "(beta - 2) h^2 f'f"
    assert sum_text({(T,): -sp.Integer(1), T: sp.Integer(3)}) == "-h^2 f'f + 3 h f"
    assert sum_text({}) == "0"
