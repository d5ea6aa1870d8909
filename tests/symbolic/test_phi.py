"""The opaque SymPy function phi: closed form, derivative, series and digits against one another and the numeric phi."""

import pickle
import sys

import mpmath
import numpy as np
import pytest
import sympy as sp

import numdiff.phi
from numdiff.symbolic.phi import phi

x = sp.Symbol("x")
ORDERS = range(7)


def closed(k, z):
    return (sp.exp(z) - sum(z**j / sp.factorial(j) for j in range(k))) / z**k


# --- values ---


def test_numeric_module_hands_over_symbols():
    assert numdiff.phi.phi(2, x) == phi(2, x)
    assert numdiff.phi.phis(3, -x) == [sp.exp(-x), phi(1, -x), phi(2, -x)]
    assert numdiff.phi.phi(3, sp.Integer(0)) == sp.Rational(1, 6)


@pytest.mark.parametrize("k", ORDERS)
def test_special_values(k):
    assert phi(k, 0) == sp.Rational(1, sp.factorial(k))
    assert phi(k, x).subs(x, 0) == sp.Rational(1, sp.factorial(k))
    assert phi(k, sp.oo) == sp.oo
    assert phi(k, -sp.oo) == 0
    assert phi(k, sp.nan) is sp.nan
    assert phi(k, sp.zoo) is sp.nan


@pytest.mark.parametrize("k", [-1, sp.Rational(1, 2), 2.0, sp.Symbol("q", negative=True)])
def test_orders_that_are_no_whole_numbers_are_refused(k):
    with pytest.raises(ValueError, match="k must be a whole number >= 0"):
        phi(k, x)


@pytest.mark.parametrize("z", ["1e-200", "1e-30", "-1e-8", "0.3", "-7", "12", "-699.7", "699.7"])
@pytest.mark.parametrize("k", [1, 2, 5, 12])
def test_digits_at_any_precision(k, z):
    z = sp.Rational(z)
    with mpmath.workdps(60 + 12 * 201 + 700):  # all that the closed form can cancel
        exact = closed(k, mpmath.mpf(z.p) / z.q)
    for digits in (15, 50):
        error = abs(phi(k, z).evalf(digits) / sp.Float(exact, 60) - 1)
        assert error < sp.Rational(1, 10) ** digits  # SymPy carries about a digit more
    rounding = (8 + abs(float(z))) * sys.float_info.epsilon  # 8 ulp of phi, and |d phi|/phi <= |dz| as float(z) rounds
    assert float(phi(k, z)) == pytest.approx(numdiff.phi.phi(k, float(z)), rel=rounding, abs=0)


def test_digits_of_other_arguments():
    assert abs(phi(2, sp.I).evalf(30) - closed(2, sp.I).evalf(30)) < sp.Float("1e-28")
    assert abs(phi(2, -sp.pi).evalf(30) - closed(2, -sp.pi).evalf(30)) < sp.Float("1e-28")
    large = sp.Rational("1000000.3")  # its rounding to 30 digits alone would change e^z by 1e-24
    assert abs(phi(2, large).evalf(30) / closed(2, large).evalf(30) - 1) < sp.Float("1e-28")
    assert phi(2, sp.Float("0.1", 30)).is_Float
    assert phi(2, sp.sqrt(2) + x).evalf().has(phi)


@pytest.mark.parametrize("modules", [None, "numpy", "math", "mpmath", [{"phi": numdiff.phi.phi}]])
def test_lambdify(modules):
    expression = phi(2, -x) / 3 + x
    function = sp.lambdify(x, expression, **({} if modules is None else {"modules": modules}))
    point = mpmath.mpf(0.25) if modules == "mpmath" else 0.25
    assert function(point) == numdiff.phi.phi(2, -point) / 3 + point


def test_lambdify_on_arrays_and_tensors():
    torch = pytest.importorskip("torch")
    function, z = sp.lambdify(x, phi(2, x)), np.linspace(-3, 3, 7)
    assert np.array_equal(function(z), numdiff.phi.phi(2, z))
    assert np.array_equal(function(torch.tensor(z)).numpy(), numdiff.phi.phi(2, z))


# --- identities ---


@pytest.mark.parametrize("k", ORDERS)
def test_closed_form(k):
    for form in (sp.expand_func(phi(k, x)), phi(k, x).rewrite(sp.exp)):
        assert sp.simplify(form - closed(k, x)) == 0


@pytest.mark.parametrize("k", range(1, 7))
def test_recurrence(k):
    assert phi(k, x).lowered() == (phi(k - 1, x) - sp.Rational(1, sp.factorial(k - 1))) / x
    assert phi(k, x).raised() == sp.Rational(1, sp.factorial(k)) + x * phi(k + 1, x)
    for form in (phi(k, x).lowered(), phi(k, x).raised()):
        assert sp.simplify(sp.expand_func(form) - closed(k, x)) == 0


@pytest.mark.parametrize("k", range(1, 6))
def test_derivative(k):
    assert sp.diff(phi(k, x), x) == phi(k, x) - k * phi(k + 1, x)
    assert sp.simplify(sp.expand_func(sp.diff(phi(k, 2 * x), x)) - sp.diff(closed(k, 2 * x), x)) == 0


def test_symbolic_order():
    k = sp.Symbol("k", integer=True, nonnegative=True)
    assert sp.diff(phi(k, x), x) == phi(k, x) - k * phi(k + 1, x)
    assert phi(k, x).subs(k, 3) == phi(3, x)
    assert phi(k, 0) == 1 / sp.factorial(k)
    assert sp.expand_func(phi(k, x)) == phi(k, x)
    assert sp.diff(phi(k, x), k).has(sp.Derivative)  # no closed form is claimed


# --- series and limits ---


@pytest.mark.parametrize("k", ORDERS)
@pytest.mark.parametrize("z", [x, -3 * x, x**2, sp.sin(x)], ids=str)
def test_series_about_zero(k, z):
    expected = sum(z**j / sp.factorial(k + j) for j in range(6)).series(x, 0, 5)
    assert sp.expand(sp.series(phi(k, z), x, 0, 5) - expected).removeO() == 0
    assert sp.series(phi(k, z), x, 0, 5).getO() is not None


@pytest.mark.parametrize("k", [1, 2, 3])
def test_series_elsewhere_agree_with_the_closed_form(k):
    shifted = sp.series(phi(k, 1 + x), x, 0, 4).removeO()
    assert sp.simplify(sp.expand_func(shifted) - sp.series(closed(k, 1 + x), x, 0, 4).removeO()) == 0
    far = sp.series(phi(k, -x), x, sp.oo, 4).removeO()
    assert sp.simplify(far - sum((-1) ** j * x ** (j - k) / sp.factorial(j) for j in range(k)) * (-1) ** (k + 1)) == 0
    assert sp.series(phi(k, sp.sqrt(x)), x, 0, 1).removeO().coeff(sp.sqrt(x)) == sp.Rational(1, sp.factorial(k + 1))


def test_limits():
    assert sp.limit(phi(2, x), x, 0) == sp.Rational(1, 2)
    assert sp.limit((phi(2, x) - sp.Rational(1, 2) - x / 6) / x**2, x, 0) == sp.Rational(1, 24)
    assert sp.limit(phi(2, -1 / x) / x, x, 0) == 1
    assert sp.limit(phi(2, 1 / x), x, 0, "-") == 0
    assert sp.limit(phi(2, x), x, sp.oo) == sp.oo
    assert sp.limit(x * phi(2, x), x, -sp.oo) == -1  # phi_k(z) ~ -1/((k-1)! z)


# --- what SymPy asks of a function ---


def test_assumptions():
    real, unknown = phi(2, sp.Symbol("r", real=True)), phi(2, x)
    assert real.is_positive
    assert real.is_real
    assert real.is_finite
    assert real.is_zero is False
    assert sp.sqrt(real**2) == real
    assert unknown.is_positive is None
    assert sp.conjugate(unknown) == phi(2, sp.conjugate(x))


def test_printing():
    assert str(phi(2, -x)) == "phi(2, -x)"
    assert sp.latex(phi(2, x)) == r"\varphi_{2}\left(x\right)"
    assert sp.latex(phi(2, x) ** 3) == r"\varphi_{2}^{3}\left(x\right)"


def test_pickle_and_hash():
    expression = phi(2, x) + x
    assert pickle.loads(pickle.dumps(expression)) == expression
    assert hash(phi(2, x)) == hash(phi(2, sp.Symbol("x")))
    assert len({phi(2, x), phi(2, x), phi(3, x)}) == 2
