"""The registry under numdiff's own property-based tests: any member on any rough grid."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff.methods.pndm import IPNDMV, PseudoNumerical
from numdiff.problems.paths import toys
from numdiff.testing import (
    assert_consistent,
    assert_dtype_kept,
    assert_order,
    assert_weights_integrate,
    grids,
    layouts,
    methods,
)

VP = nd.schedules.VPLinear()
PATH = toys((-1.0, 2.0))
MIDDLE = {"span": (0.9, 0.1), "max_steps": 9, "max_ratio": 4}


def holds_anywhere(method):
    """Weights of equal steps lose their order on others, which is what their documentation says."""
    return "uniform" not in method.name and not isinstance(method, (PseudoNumerical, IPNDMV))


any_member = given(methods(min_beta=0.5).filter(holds_anywhere), layouts(variables=("log-snr", "karras")))


def has_its_order(method, layout):
    # at these steps slopes are within 0.3 of their limit; a wrong weight costs 1. Some members exceed their claim
    options = {"steps": (96, 128, 192), "start": "runge-kutta", "tolerance": 0.4, "at_least": True}
    assert_order(method, method.order, path=PATH, layout=layout, **options)


@settings(max_examples=8)
@any_member
def test_any_member_has_its_order_on_any_pattern(method, layout):
    has_its_order(method, layout)


@pytest.mark.slow
@settings(max_examples=200)
@any_member
def test_hundreds_of_members_have_their_order_on_any_pattern(method, layout):
    has_its_order(method, layout)


adams = st.builds(nd.AdamsBashforth, st.integers(1, 5), st.sampled_from([None, *nd.formulations.FORMULATIONS.values()]))
filtered = methods(families=["ghvb", "filtered-adams"], max_order=5).filter(holds_anywhere)
plus_plus = st.builds(nd.DPMSolverPP, st.integers(1, 3))


@given(st.one_of(adams, filtered, plus_plus), grids(VP, min_steps=6, **MIDDLE))
def test_the_weights_of_any_member_integrate_on_any_grid(method, grid):
    assert_weights_integrate(method, grid, VP)


@settings(max_examples=15)
@given(methods(deterministic=None, splitting=True, max_order=5))
def test_any_member_keeps_types(method):
    assert_dtype_kept(method, shape=(3,))


def adds_up(method):
    """Four points of iPNDM_v as published have weights that add up to the step on geometric grids only."""
    return not (isinstance(method, nd.IPNDMV) and "published" in method.name)


@given(methods().filter(adds_up), layouts(), st.sampled_from([8, 11]))
def test_any_member_follows_a_constant_prediction(method, layout, steps):
    assert_consistent(method, layout=layout, steps=(steps,))
