"""The restatement of the published procedure is the published one: its integrals, its values, its starts."""

import mpmath as mp
import numpy as np
import pytest

from numdiff.study import published_timesteps as published

ENDS = published.log_snr(np.array([1.0, 1e-3]))


def lagrange(nodes, k, x):
    return mp.fprod((x - node) / (nodes[k] - node) for j, node in enumerate(nodes) if j != k)


@pytest.mark.parametrize("steps", [2, 3, 4, 9])
def test_the_weights_are_the_integrals_they_claim_to_be(steps):
    rng = np.random.default_rng(steps)
    lam = [mp.mpf(float(x)) for x in np.sort(rng.uniform(*ENDS, steps + 1))]
    with mp.workdps(40):
        for step in range(steps):
            nodes = [lam[step - k] for k in range(published.order(step, steps))]
            for k, weight in enumerate(published.weights(lam, step, mp.exp)):
                integral = mp.quad(lambda x, k=k, n=nodes: mp.exp(x) * lagrange(n, k, x), lam[step : step + 2])
                assert abs(weight - integral) < mp.mpf("1e-30") * abs(integral)


def test_the_orders_rise_and_fall():
    assert [published.order(step, 7) for step in range(7)] == [1, 2, 3, 3, 3, 2, 1]
    assert [published.order(step, 2) for step in range(2)] == [1, 1]


@pytest.mark.parametrize(("steps", "value"), [(10, 15.907), (8, 32.555)])
def test_the_objective_has_its_known_values(steps, value):  # computed from the authors' published code
    assert published.objective(published.start("unif", steps, 1e-3)) == pytest.approx(value, abs=5e-4)


def test_the_objective_of_ever_more_steps_is_a_quadrature():
    """With weights that add up, F tends to the integral of e^l sigma^p / alpha dl = that of sigma^(p-1) dl."""
    with mp.workdps(20):
        low, high = map(mp.mpf, ENDS)
        limit = mp.quad(lambda x: 1 / mp.sqrt(1 + mp.exp(2 * x)), mp.linspace(low, high, 9))
    values = [published.objective(published.start("unif", steps, 1e-3)) for steps in (400, 800, 1600)]
    gaps = [value - float(limit) for value in values]
    assert float(limit) == pytest.approx(5.7077, abs=5e-5)
    assert gaps[2] == pytest.approx(0, abs=1e-3)
    assert gaps[1] / gaps[2] == pytest.approx(2, abs=0.1)  # order 1: the two ends' first-order steps


@pytest.mark.parametrize("name", published.STARTS)
def test_the_starts_rise_between_the_same_ends_and_time_inverts_them(name):
    lam = published.start(name, 12, 1e-3)
    assert lam[[0, -1]] == pytest.approx(ENDS, rel=1e-12)
    assert (np.diff(lam) > 0).all()
    assert published.log_snr(published.time_of(lam)) == pytest.approx(lam, rel=1e-10)


def test_an_unknown_start_is_named():
    with pytest.raises(ValueError, match=r"start must be one of unif, .*'cosine'"):
        published.start("cosine", 5, 1e-3)


def test_the_procedure_lowers_the_objective_inside_its_constraints():
    first, gap = published.start("unif", 5, 1e-3), 0.5
    outcome = published.optimize(first, gap=gap)
    assert outcome.objective < outcome.initial_objective
    assert np.diff(outcome.log_snr).min() > gap - 1e-6
    assert outcome.objective == pytest.approx(published.objective(outcome.log_snr), rel=1e-12)
    times, lam = published.get_ts_lambdas(5, 1e-3, "quad_origin")
    assert lam == pytest.approx(published.start("quad", 5, 1e-3))
    assert times == pytest.approx(np.linspace(1, 1e-3**0.5, 6) ** 2, rel=1e-10)
