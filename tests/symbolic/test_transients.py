"""Series of runs: what geometric steps miss, and what is refused."""

from fractions import Fraction

import pytest
import sympy as sp

import numdiff as nd
from numdiff.symbolic.transients import Timed, Transients, geometric_defects

R = sp.Symbol("r", positive=True)


@pytest.mark.parametrize("method", [nd.AdamsBashforth(3), nd.PLMS(2), nd.PLMS(4), nd.AdamsBashforth(1)], ids=str)
def test_geometric_defects_are_sums_minus_integrals(method):
    """The step combines f at 0, -1/r, -1/r - 1/r^2, ... (in units of the step)."""
    weights = method.coefficients(ratios=(R,) * (method.points - 1))
    nodes = [-sum((R**-i for i in range(1, j + 1)), sp.Integer(0)) for j in range(method.points)]
    for m, found in enumerate(geometric_defects(method.steady(ratio=R), R, 5)):
        want = sum(sp.sympify(w) * u**m for w, u in zip(weights, nodes, strict=True)) - sp.Rational(1, m + 1)
        assert sp.cancel(found - want) == 0


def test_a_velocity_is_followed_to_its_fixed_point():
    """Variable-step GHVB integrates u^m, m < 3, on geometric grids of any ratio and for any damping."""
    beta = sp.Symbol("beta", positive=True)
    defects = geometric_defects(nd.GHVB(3, beta).steady(ratio=R), R, 4)
    assert defects[:3] == [0, 0, 0]
    at_one = sp.cancel(defects[3].subs(R, 1) / 6)
    assert sp.cancel(at_one + nd.order.error_constant(nd.GHVB(3, beta))) == 0


def test_one_step_of_eulers_method():
    """1 + z - e^z, relative to e^z."""
    series = Transients([Timed(nd.AdamsBashforth(1).steady(), (None,), Fraction(1))], 5)
    z = sp.Symbol("z")
    want = sp.series((1 + z) * sp.exp(-z) - 1, z, 0, 5).removeO()
    missed, memory, time = series.follow(range(1), Fraction(0), series.nothing())
    assert (memory, time) == ([], 1)
    assert [series.field.to_sympy(x) for x in missed[0]] == [want.coeff(z, k) for k in range(5)]


def test_a_memory_of_samples_is_refused():
    leapfrog = nd.Tableau(A=[[0]], U=[[1, 0]], B=[[2], [0]], V=[[0, 1], [1, 0]])
    with pytest.raises(ValueError, match="stores samples"):
        Transients([Timed(leapfrog, (None,), Fraction(1))], 4)
