"""The assertions pass where a theorem says so, and fail on purpose with a message that helps."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff import testing
from numdiff.certification.measure import SamplerError
from numdiff.certification.own import of_method
from numdiff.problems.paths import toys
from numdiff.testing.integrals import _moment
from numdiff.weights import adams

VP = nd.schedules.VPLinear()
GRID = np.array([0.95, 0.83, 0.62, 0.55, 0.41, 0.3, 0.17])
FEW = {"steps": (96, 144, 192), "path": toys((-1.0, 2.0)), "start": "runge-kutta"}


def failure(assertion, *args, **options):
    with pytest.raises(AssertionError) as caught:
        assertion(*args, **options)
    return str(caught.value)


# --- orders -----------------------------------------------------------------------------------------------------------


def test_the_order_of_a_method_its_subject_and_its_name():
    assert abs(testing.assert_order(nd.AdamsBashforth(2), 2).slope - 2) < 0.1  # the default: from 24 to 384 steps
    for sampler in (of_method(nd.AdamsBashforth(2)), "numdiff:ab2"):
        testing.assert_order(sampler, 2, steps=(48, 96, 192), path=FEW["path"])
    testing.assert_order(nd.FlowAB(2), 2, steps=(96, 144, 192))  # on a flow scale, where velocities rest with the path


def test_another_order_is_reported_with_the_table_the_seed_and_what_next():
    text = failure(testing.assert_order, nd.DPMSolverPP(3, rule="3m"), 3, layout="random", seed=5, **FEW)
    assert "order 3 (tolerance 0.3) expected, order 2.0" in text or "expected, order 1.9" in text
    assert "again: assert_order(sampler, 3, path=path, layout='random', seed=5, steps=(96, 144, 192), start=" in text
    assert "path: toys" in text
    assert "next, for the cause: numdiff.certification.certify(numdiff.testing.subject_of(sampler, start=" in text
    errors = [line.split() for line in text.splitlines() if line.strip()[:3].strip().isdigit()]
    assert [int(row[0]) for row in errors] == [96, 144, 192]
    assert float(errors[0][1]) > float(errors[1][1]) > float(errors[2][1])
    assert float(errors[2][2]) == pytest.approx(
        np.log(float(errors[1][1]) / float(errors[2][1])) / np.log(192 / 144), abs=0.02
    )


def test_a_spec_in_words_names_the_command():
    text = failure(testing.assert_order, "numdiff:ab1", 2, steps=(24, 48, 96))
    assert "numdiff certify numdiff:ab1 --order 2 --steps 24,48,96" in text


def test_a_higher_order_counts_where_it_is_allowed_to():
    assert "order 1 (tolerance 0.3) expected, order 1.9" in failure(
        testing.assert_order, nd.AdamsBashforth(2), 1, **FEW
    )
    testing.assert_order(nd.AdamsBashforth(2), 1, at_least=True, **FEW)
    with pytest.raises(AssertionError, match="order 3 or more"):
        testing.assert_order(nd.AdamsBashforth(2), 3, at_least=True, **FEW)


def test_errors_that_somebody_else_made():
    assert testing.assert_order(lambda n: 3.0 / n**4, 4).slope == pytest.approx(4)
    assert "order 2.00 observed" in failure(testing.assert_order, lambda n: 1 / n**2, 3)
    assert "show no order" in failure(testing.assert_order, lambda n: 0.0, 3)
    testing.assert_order(lambda n: 0.0, 3, at_least=True)  # an exact method has every order
    rough = lambda n: (9 if n in (32, 64, 128, 256) else 1) / n**2  # noqa: E731
    assert "expected, " in failure(testing.assert_order, rough, 2)
    with pytest.raises(ValueError, match="are a sampler's"):
        testing.assert_order(lambda n: 1 / n, 1, layout="random")


def test_a_function_that_samples_is_told_how():
    def euler(model, x, ts):
        for s, t in pairwise(ts):
            x = x + (t - s) * model(x, s)
        return x

    testing.assert_order(euler, 1, steps=(96, 144, 192), prediction="noise", scale="edm", time="sigma", tolerance=0.4)


def test_what_is_no_sampler_and_what_raises():
    with pytest.raises(TypeError, match="a sampler is a Subject, a method, a name or a function, not 3"):
        testing.assert_order(3, 1)
    with pytest.raises(TypeError, match="is a subject already and takes no options, got start"):
        testing.assert_order(of_method("ab2"), 2, start="lower")
    with pytest.raises(ValueError, match="tolerance must be positive"):
        testing.assert_order(nd.DDIM(), 1, tolerance=0)
    with pytest.raises(SamplerError, match=r"raised at N = 4.*needs at least 5 steps"):
        testing.assert_order(nd.AdamsBashforth(5), 5, steps=(4, 8, 16))


# --- weights ----------------------------------------------------------------------------------------------------------


def test_rational_weights_have_to_be_exact():
    w, nodes = nd.AdamsBashforth(3).coefficients(), [0, -1, -2]
    testing.assert_weights_integrate(w, nodes, 1)
    testing.assert_weights_integrate([1], [0], 1, degree=0)
    text = failure(testing.assert_weights_integrate, [w[0] + Fraction(1, 10**30), *w[1:]], nodes, 1)
    assert "do not integrate u^0" in text
    assert "where rounding explains 0.00e+00" in text
    assert "u^3" in failure(testing.assert_weights_integrate, w, nodes, 1, degree=3)


@pytest.mark.parametrize("c", [-1, 0, 1])
@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_float_weights_may_round_and_no_more(k, c):
    nodes, h = np.array([0, -0.3, -0.5, -0.9, -1.1])[:k], 0.4
    w = np.array(adams(nodes.tolist(), h, c))
    testing.assert_weights_integrate(w, nodes, h, c)
    for j in range(k):
        wrong = w.copy()
        wrong[j] *= 1 + 1e-9
        assert "where rounding explains" in failure(testing.assert_weights_integrate, wrong, nodes, h, c)


def test_the_moments_are_integrals():
    """Against Simpson's rule on 2000 intervals, of error (h/2000)^4/180 times a fourth derivative below 400."""
    for c in (-1, 0, 2):
        for h in (0.7, -1.3):
            u = np.linspace(0, h, 2001)
            simpson = np.array([1, *[4, 2] * 999, 4, 1]) * h / 6000
            for m in range(4):
                assert _moment(h, c, m) == pytest.approx(simpson @ (np.exp(c * (h - u)) * u**m), abs=1e-11)


def test_methods_step_by_step():
    for method in (nd.AdamsBashforth(4), nd.DPMSolverPP(3), nd.GHVB(3, 0.5, nd.DATA_LOG_SNR), nd.RK4()):
        testing.assert_weights_integrate(method, GRID, VP)
    testing.assert_weights_integrate(nd.AdamsBashforth(3), np.cumsum([0.0, 1, 2, 1, 3, 1]))
    testing.assert_weights_integrate(nd.UniPC(3), GRID, VP, degree=2)
    assert "degree 1" in failure(testing.assert_weights_integrate, nd.PLMS(2), GRID, VP)
    text = failure(testing.assert_weights_integrate, nd.DPMSolverPP(3, rule="3m-heun"), GRID, VP, degree=2)
    assert "degree 2" in text
    assert "in step 3 of 6, grid [0.95, 0.83" in text  # the first step that combines three evaluations


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (([1.0], [0, 1], 1.0), "as many different nodes"),
        (([1.0, 2.0], [0, 0], 1.0), "as many different nodes"),
        (([1.0], [0], 0), "h must be the length"),
        (([1.0], [0]), "h must be the length"),
        ((nd.DDIM(eta=1), GRID, VP), "adds noise"),
        ((nd.DDIM(nd.DATA_LOG_SNR), [0.5, 0.2, 0.0], VP), "where log-snr is infinite"),
    ],
)
def test_weights_that_make_no_sense(args, message):
    with pytest.raises(ValueError, match=message):
        testing.assert_weights_integrate(*args)


# --- samples ----------------------------------------------------------------------------------------------------------


def test_types_are_kept():
    for method in (nd.GHVB(2, 0.8), nd.FlowHeun(), nd.SASolver(2), nd.Strang()):
        testing.assert_dtype_kept(method)
    testing.assert_dtype_kept(lambda x: x * 2, shape=(4,), dtypes=[np.float32, torch.bfloat16])


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (
            lambda x: x if isinstance(x, np.ndarray) else x.float(),
            "returned dtype torch.float32 for x of torch torch.bfloat16",
        ),
        (lambda x: x[:1], r"returned shape \(1, 3\).*keep the sample's shape, \(2, 3\)"),
        (lambda x: np.asarray(x, dtype=np.float64), r"returned dtype float64 for x of numpy float32.*seed 0"),
        (lambda x: x if isinstance(x, np.ndarray) else x.double().numpy(), "returned ndarray"),
        (lambda x: x.__imul__(2), "wrote to its input"),
    ],
    ids=["upcast", "shape", "float64", "library", "in place"],
)
def test_types_that_change_are_named(sample, message):
    with pytest.raises(AssertionError, match=message):
        testing.assert_dtype_kept(sample)


def one_step(step):
    """A function that samples, made of a step (model, x, t, t_next) in sigma."""

    def sample(model, x, ts):
        for s, t in pairwise(ts):
            x = step(model, x, s, t)
        return x

    return sample


HOW = {"prediction": "noise", "scale": "edm", "time": "sigma"}


def test_euler_is_consistent_repeats_itself_and_treats_points_alone():
    euler = one_step(lambda model, x, s, t: x + (t - s) * model(x, s))
    testing.assert_consistent(euler, **HOW)
    testing.assert_deterministic(euler, **HOW)
    testing.assert_batch_independent(euler, **HOW)


def test_steps_that_do_not_add_up_are_inconsistent():
    short = one_step(lambda model, x, s, t: x + 0.999 * (t - s) * model(x, s))
    assert "do not add up" in failure(testing.assert_consistent, short, layout="random", seed=3, **HOW)
    assert "seed 3" in failure(testing.assert_consistent, short, layout="random", seed=3, **HOW)


def test_a_hidden_state_is_found():
    seen = []

    def remembers(model, x, s, t):
        seen.append(x)
        return x + (t - s) * model(x, s) + (1e-9 if len(seen) > 20 else 0)

    assert "differ by" in failure(testing.assert_deterministic, one_step(remembers), seed=7, **HOW)


def test_a_norm_over_the_batch_is_found():
    clipped = one_step(lambda model, x, s, t: x + (t - s) * model(x, s) / max(1, np.abs(x).max()))
    assert "another of its batch" in failure(testing.assert_batch_independent, clipped, **HOW)
