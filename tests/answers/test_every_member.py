"""Every member of the registry, asked everything: it answers, or a ValueError names it and says why it does not."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import numdiff as nd
from numdiff.answers import TOPICS, Answer, ask
from numdiff.answers.summary import derive
from numdiff.methods.single_step import SingleStep
from numdiff.methods.splitting import Splitting
from numdiff.sde import Tau, stochastic
from numdiff.symbolic.polynomials import to_sympy

PLAIN = nd.methods()
EVERY = nd.methods(every=True)
OTHERS = {name: method for name, method in EVERY.items() if name not in PLAIN}
SLOW = ("intervals", "diffusion-interval", "startup", "any-grid", "run-order", "stiff-order", "design")
"""Topics that take a second or so, for one member of each kind."""

KINDS = {type(method): method for method in OTHERS.values() if method.points < 3}
KINDS |= {(type(method), "noise"): method for method in OTHERS.values() if method.stochastic and method.points < 3}
CONSTANT = [m for m in EVERY.values() if m.stochastic and getattr(getattr(m.formulation, "level", 0), "constant", None)]


def answered(method, topic, **setting):
    """Return whether there is an answer; a refusal must name the method and say more than its name."""
    try:
        return isinstance(ask(method, topic, **setting), Answer)
    except ValueError as error:
        reason = str(error)
    assert str(method) in reason
    assert len(reason) > len(str(method)) + 20
    return False


@pytest.mark.parametrize("topic", [topic for topic in TOPICS if topic not in SLOW])
def test_every_member_answers_or_says_why_not(topic):
    assert {answered(method, topic) for method in OTHERS.values()} >= {True}


@pytest.mark.slow
@pytest.mark.parametrize("topic", SLOW)
def test_every_kind_of_member_answers_or_says_why_not(topic):
    for method in KINDS.values():
        answered(
            method, topic, **({"h": Fraction(1, 2)} if topic in ("intervals", "startup") and method.kernel else {})
        )


@pytest.mark.parametrize("name", ["DPM-Solver-2S(1) data/log-snr", "SEEDS-2 noise/log-snr tau=1", "BDIA(4/5)"])
def test_a_summary_of_what_is_no_multistep_method_has_the_weights_of_its_step(name):
    found, tableau = derive(EVERY[name]), EVERY[name].steady()
    assert [sp.simplify(a - to_sympy(b)) for a, b in zip(found.weights, tableau.B[0], strict=True)] == [0] * len(
        tableau.B[0]
    )


# --- methods with noise -----------------------------------------------------------------------------------------------


def test_the_drift_of_every_stochastic_method_has_the_order_it_claims_without_noise():
    found = {method.name: (nd.order.certified(method), method.order) for method in CONSTANT}
    assert len(found) > 15
    assert all(proved == claimed for proved, claimed in found.values()), found


def test_the_drift_is_that_of_the_method_on_another_evaluation():
    """On the formulation without noise the same rule has the same order, error constant and order on any grid."""
    for formulation in (nd.NOISE_RATIO, nd.DATA_LOG_SNR):
        for k in (1, 2, 3):
            plain, noisy = (nd.AdamsBashforth(k, f) for f in (formulation, stochastic(formulation, 1)))
            for question in (nd.order.certified, nd.order.error_constant):
                assert question(plain) == question(noisy)
            grids = nd.order.any_grid(plain), nd.order.any_grid(noisy)
            assert grids[0].order == grids[1].order == k
            assert (
                sp.simplify(grids[0].residual.coeff(sp.Symbol("D"), 0) - grids[1].residual.coeff(sp.Symbol("D"), 0))
                == 0
            )


@pytest.mark.parametrize("topic", ["coefficients", "derivation", "intervals", "diffusion-interval"])
def test_an_answer_says_that_it_leaves_the_noise_out(topic):
    said = [note for note in ask(nd.AdamsBashforth(1, stochastic(tau=1)), topic).notes if "adds noise" in note]
    assert len(said) == 1
    assert not [note for note in ask(nd.AdamsBashforth(1, "data/log-snr"), topic).notes if "adds noise" in note]


def test_a_derivation_of_a_drift_leaves_nothing_in_its_checks():
    for method in (
        nd.AdamsBashforth(2, stochastic("noise/log-snr", 1)),
        nd.AdamsBashforth(3, stochastic(tau=Fraction(1, 2))),
    ):
        assert ask(method, "derivation").notes[0] == "2 of 2 checks leave 0."


def test_the_spectral_answer_counts_the_noise():
    method = nd.AdamsBashforth(1, stochastic(tau=1))
    shown = {line.label: line.value for line in ask(method, "spectral", steps=400).lines}
    exact = {line.label: line.value for line in ask(nd.AdamsBashforth(1, "data/log-snr"), "spectral", steps=400).lines}
    assert abs(float(shown["s = 1: deviation"]) - 1) < 0.02  # its gain is far below 1: noise took the place of x_T
    assert "s = 1: deviation" not in exact
    assert abs(float(shown["deviation/exact - 1 there"])) < 0.1


def test_noise_is_refused_where_the_flow_is_meant():
    window = nd.method("sa-solver", tau=Tau(1, 0.2, 0.8))
    with pytest.raises(ValueError, match="adds noise, and a start is about the flow"):
        ask(window, "startup")
    with pytest.raises(ValueError, match="use a constant tau"):
        ask(window, "intervals")
    with pytest.raises(ValueError, match="weak_order = 1"):
        nd.order.of_run(nd.method("ddpm"))
    with pytest.raises(ValueError, match="no constant tau"):
        nd.order.certified(nd.method("dpm2-ancestral"))


# --- methods with several fields --------------------------------------------------------------------------------------

ONE_FIELD = [
    nd.stability.polynomial,
    nd.stability.real_interval,
    nd.stability.imaginary_interval,
    nd.stability.boundary_locus,
    nd.stability.zero_stability,
    nd.stability.largest_safe_ratio,
    nd.stability.sector_angle,
    nd.stability.relative_interval,
    nd.stability.diffusion_interval,
    nd.stability.internal,
    nd.stability.startup,
    lambda method: nd.stability.region(method, np.array([-0.1])),
    lambda method: nd.stability.roots(method, np.array([-0.1])),
    lambda method: nd.stability.order_star(method, np.array([-0.1])),
]


@pytest.mark.parametrize("method", [m for m in EVERY.values() if isinstance(m, Splitting)], ids=str)
def test_functions_of_one_field_refuse_two(method):
    for question in ONE_FIELD:
        with pytest.raises(ValueError, match=r"evaluates the fields .*split_polynomial"):
            question(method)
    with pytest.raises(ValueError, match="partitioned has the conditions for two"):
        nd.order.certified(method)
    with pytest.raises(ValueError, match="an ODE has one right-hand side, fun"):
        nd.solve_ivp(method, lambda t, y: -y, np.linspace(0, 1, 9), 1.0)


# --- exponential Runge-Kutta methods ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["DPM-Solver-3S noise/log-snr", "RES-3S data/log-snr", "Krogstad4 data/log-snr"])
def test_the_array_that_is_shown_makes_the_steady_step(name):
    method, h = EVERY[name], sp.Symbol("h", positive=True)
    shown, tableau = {line.label: line.value for line in ask(method, "coefficients").lines}, method.steady()
    for j in range(tableau.stages):
        assert sp.simplify(sp.expand_func(h * shown[f"b_{j}"] - tableau.B[0][j])) == 0
        for i in range(j + 1, tableau.stages):
            assert sp.simplify(sp.expand_func(h * shown[f"a_{i}{j}"] - tableau.A[i][j])) == 0


@pytest.mark.parametrize(
    "name", ["DPM-Solver-3S data/log-snr", "Krogstad4 data/log-snr", "DPM-Solver-3S half data/log-snr"]
)
def test_intervals_with_stages_within_a_step_are_those_of_its_rational_coefficients(name):
    """A stage at a third of a step has e^{-h/3}: the proof in powers of it and the polynomial in numbers agree."""
    method = EVERY[name]
    rounded = float(nd.stability.real_interval(method.steady(0.5)))
    assert abs(float(nd.stability.real_interval(method, h=0.5)) - rounded) < 1e-12 * rounded
    assert abs(float(nd.stability.diffusion_interval(method, h=0.5)[0]) + rounded) < 1e-12 * rounded


def test_a_formula_in_the_step_length_holds_for_stages_at_half_steps():
    method, h = SingleStep(2, rule="half"), sp.Symbol("h", positive=True)
    assert sp.simplify(nd.stability.real_interval(method) - 1 / (1 - sp.exp(-h / 2))) == 0


# --- other doors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_order_star_of_a_drift_shows_its_order(k):
    method, z = nd.AdamsBashforth(k, stochastic("noise/ratio", 1)), np.array([0.02, 0.01])
    large, small = np.abs(nd.stability.order_star(method, z).principal)
    assert abs(np.log2(large / small) - k - 1) < 0.1


@pytest.mark.parametrize("method", [m for m in OTHERS.values() if isinstance(m, SingleStep)], ids=str)
@pytest.mark.parametrize("steps", [8, 9])
def test_a_scheme_with_steps_over_several_intervals_is_written_and_read(method, steps):
    schedule = nd.schedules.VPLinear()
    scheme = method.discretize(schedule, nd.grids.uniform_log_snr(schedule, steps))
    text = nd.export.to_json(scheme)
    assert nd.export.to_json(nd.export.from_json(text)) == text
    with pytest.raises(ValueError, match="must have targets that are levels of grid, in order, the last one included"):
        nd.export.from_json(text.replace(f'"target": {steps}', '"target": 1'))


def test_transfer_matrices_leave_the_noise_out():
    schedule = nd.schedules.VPLinear()
    scheme = nd.method("sde-dpmpp", order=1).discretize(schedule, nd.grids.uniform_log_snr(schedule, 6))
    product = np.eye(scheme.registers)
    for matrix in nd.spectral.transfer(scheme, 0.5):
        product = matrix @ product
    np.testing.assert_allclose(product[0, 0], nd.spectral.response(scheme, 0.5).gain, rtol=1e-12)


def test_a_step_without_memory_is_not_sensitive_to_ratios():
    assert nd.order.grid_sensitivity(EVERY["DPM-Solver-3S noise/log-snr"]) == 0
    with pytest.raises(ValueError, match="adds noise"):
        nd.order.grid_sensitivity(nd.method("ddpm"))
