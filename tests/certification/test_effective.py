"""The order of coefficients, and the formulation they belong to, found without knowing the method."""

import numpy as np
import pytest

import numdiff as nd
from numdiff.certification.effective import STEPS, explain
from numdiff.certification.frames import views
from numdiff.certification.identify import identify
from numdiff.certification.measure import Layout
from numdiff.certification.own import of_method
from numdiff.certification.subject import Subject
from numdiff.weights import adams
from tests import zoo

SPLIT = ("LTSP", "STSP", "Strang")  # two fields at once: no subject
FORMULATIONS = (nd.NOISE_RATIO, nd.NOISE_LOG_SNR, nd.DATA_LOG_SNR, nd.DATA_RATIO, nd.VELOCITY_TIME)


@pytest.mark.parametrize("pattern", ["alternating", pytest.param("uniform", marks=pytest.mark.slow)])
@pytest.mark.parametrize("formulation", FORMULATIONS, ids=str)
def test_the_formulation_is_found(formulation, pattern):
    seen = explain(of_method(nd.AdamsBashforth(3, formulation=formulation)), 3, layout=Layout(pattern))
    assert (seen.formulation, seen.order, seen.sentence) == (str(formulation), 3, "")


@pytest.mark.parametrize("formulation", FORMULATIONS, ids=str)
def test_a_row_is_formula_star(formulation):
    subject = of_method(nd.AdamsBashforth(3, formulation=formulation))
    found = identify(subject, Layout("random").levels(subject, (-1.0, 3.0), 16))
    (view,) = [one for one in views(found, "vp") if one.formulation == formulation]
    row = view.row(8, 9)
    weights = adams([row.nodes[j] * row.h for j in (8, 7, 6)], row.h, formulation.c)
    np.testing.assert_allclose(row.weights[8:5:-1] * row.total, weights, rtol=1e-9)
    assert np.max(np.abs(np.delete(row.weights, [6, 7, 8]))) < 1e-10


@pytest.mark.parametrize("scale", ["edm", "flow"])
@pytest.mark.parametrize(
    "name", ["AB3", *(pytest.param(n, marks=pytest.mark.slow) for n in ("RK4", "PEC3 data/log-snr"))]
)
def test_every_scale_will_do(name, scale):
    method = nd.methods(every=True)[name]
    seen = explain(of_method(method, scale=scale), method.order)
    assert (seen.order, seen.sentence) == (method.order, "")


@pytest.mark.parametrize("name", ["RK4", "GHVB3(4/5)"])
def test_plain_equations_have_one_formulation(name):
    method = nd.methods(every=True)[name]
    seen = explain(of_method(method, scale="time"), method.order)
    assert (seen.order, seen.sentence) == (method.order, "")


@pytest.mark.parametrize("name", ["GHVB3(4/5) noise/ratio uniform", "PNDM4"])
def test_weights_of_equal_steps_are_named_with_their_variable(name):
    method = nd.methods(every=True)[name]
    seen = explain(of_method(method), method.order, layout=Layout("alternating", "rho"))
    assert seen.order < method.order
    assert "those of equal steps in rho" in seen.sentence


def test_a_rule_that_is_right_in_the_limit_only_is_no_fault():
    seen = explain(of_method(nd.DPMSolverPP(2, rule="half")), 2)
    assert (seen.order, seen.sentence) == (2, "")


@pytest.mark.parametrize(("method", "claim"), [("AB2", 3), ("Heun", 3), ("AB1", 2)])
def test_a_claim_too_high_is_seen(method, claim):
    seen = explain(of_method(method), claim)
    assert seen.order == claim - 1
    assert seen.sentence


def test_coupled_conditions_are_seen_where_every_row_is_right():
    """Stages at 0, 1/2, 1 with row sums c and the weights of Simpson's rule, but sum b_i a_ij c_j = 0: order 2."""
    kutta = nd.methods(every=True)["Kutta3"]

    def change(scheme):
        def changed(tableau):
            A = [list(row) for row in tableau.A]
            A[2][0], A[2][1] = A[2][0] + A[2][1], 0.0
            return tableau.replace(A=tuple(map(tuple, A)))

        return type(scheme)(**{**scheme.__dict__, "tableaus": tuple(map(changed, scheme.tableaus))})

    seen = explain(of_method(kutta, change=change), 3)
    assert seen.order == 2
    assert "stages do not fit together" in seen.sentence
    assert "-0.1667 h^2 instead of 0" in seen.sentence  # 2/3 (-1/8) + 1/6 (-1/2)


@pytest.mark.parametrize("claim", [0, -1, 2.0, True])
def test_a_claim_is_a_positive_whole_number(claim):
    with pytest.raises(ValueError, match="claim must be a whole number"):
        explain(of_method("AB2"), claim)


def test_a_sampler_that_takes_no_levels_is_refused():
    subject = Subject("test:own", lambda *_: None, given=False, grid=lambda n: ())
    with pytest.raises(ValueError, match="takes no levels"):
        explain(subject, 2)


def test_the_grids_fit_the_patterns():
    assert STEPS[1] == 2 * STEPS[0]
    assert all(n % 24 == 0 for n in STEPS)


@pytest.mark.slow
def test_every_deterministic_method_is_clean_where_it_is_right():
    wrong = []
    for name, method in zoo.everything().items():
        if method.stochastic or name.startswith(SPLIT):
            continue
        layouts = [Layout(variable=variable) for variable in ("log-snr", "rho")]
        seen = [explain(of_method(method), method.order, layout=layout) for layout in layouts]
        if all(one.order < method.order or one.sentence for one in seen):
            wrong.append((name, method.order, [(one.order, one.sentence) for one in seen]))
    assert not wrong


@pytest.mark.parametrize(
    ("method", "claim"),
    [
        (nd.DDIM(), 2),
        (nd.AdamsBashforth(2), 3),
        (nd.Heun(), 3),
        (nd.RK4(), 5),
        (nd.DPMSolverPP(2), 3),
        (nd.UniPC(2), 4),
    ],
    ids=str,
)
def test_a_right_formula_with_too_high_a_claim_is_not_accused_of_a_fault(method, claim):
    """k answers have k free weights; explicit Runge-Kutta methods of up to four stages have at most that order."""
    found = explain(of_method(method), claim)
    assert found.order == claim - 1
    assert f"no higher order than {claim - 1} can be had, and has it" in found.sentence
    assert not any(word in found.sentence for word in ("factor", "sign", "lost"))


@pytest.mark.parametrize("method", [nd.HeavyBall(nd.AdamsBashforth(2), 0.8), nd.GHVB(2, 0.8)], ids=str)
def test_what_is_no_formula_of_the_claimed_order_is_not_mended_by_a_factor(method):
    found = explain(of_method(method), method.order + 1)
    assert found.order == method.order
    assert "no single coefficient explains it" in found.sentence
