"""Miller's criterion on polynomials that are multiplied out from chosen roots, so that the truth is known."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numdiff.symbolic.rootcondition import is_schur, satisfies_root_condition

Q = Fraction
INSIDE = [(Q(0), Q(0)), (Q(1, 2), Q(1, 3)), (Q(-9, 10), Q(0)), (Q(99, 100), Q(1, 10)), (Q(0), Q(-3, 4))]
ON = [(Q(1), Q(0)), (Q(-1), Q(0)), (Q(3, 5), Q(4, 5)), (Q(-5, 13), Q(12, 13)), (Q(0), Q(-1))]
OUTSIDE = [(Q(2), Q(0)), (Q(3, 5), Q(41, 50)), (Q(-101, 100), Q(0)), (Q(1, 10), Q(-1))]


def product(roots):
    p = [(Q(1), Q(0))]
    for a, b in roots:
        shifted = [(Q(0), Q(0)), *p]
        scaled = [(a * x - b * y, a * y + b * x) for x, y in p] + [(Q(0), Q(0))]
        p = [(s[0] - m[0], s[1] - m[1]) for s, m in zip(shifted, scaled, strict=True)]
    return p


roots = st.tuples(
    st.lists(st.sampled_from(INSIDE), max_size=4),
    st.lists(st.sampled_from(ON), max_size=4),
    st.lists(st.sampled_from(OUTSIDE), max_size=1),
)


@given(roots)
def test_root_condition(parts):
    inside, on, outside = parts
    p = product([*inside, *on, *outside])
    assert satisfies_root_condition(p) == (not outside and len(set(on)) == len(on))
    assert is_schur(p) == (not outside and not on)


@given(roots, st.sampled_from([(Q(2), Q(0)), (Q(1, 7), Q(-3)), (Q(0), Q(1))]))
def test_a_factor_does_not_matter(parts, factor):
    p = product([r for part in parts for r in part])
    a, b = factor
    assert satisfies_root_condition([(a * x - b * y, a * y + b * x) for x, y in p]) == satisfies_root_condition(p)


@pytest.mark.parametrize("pair", [(Q(2), Q(1, 2)), (Q(-3), Q(-1, 3))])
def test_reciprocal_pairs_look_like_roots_on_the_circle(pair):
    # self-inversive without a root on the circle: only the derivative tells
    p = product([(r, Q(0)) for r in pair])
    assert abs(p[0][0]) == abs(p[-1][0])
    assert not satisfies_root_condition(p)
