"""Arguments that every sampler, or none, would pass with are refused at the call, by name."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import Phase, given, settings

import numdiff as nd
from numdiff import testing
from numdiff.certification.measure import Layout
from numdiff.problems import GaussianMixture
from numdiff.testing import samples


def good(n):
    return n**-2.0


def euler(model, x, ts):
    for n, (s, t) in enumerate(pairwise(ts)):
        x = x + (t - s) * model(x, s) * euler.factors.get(n + 1, 1.0)
    return x


euler.factors = {}
HOW = {"prediction": "noise", "scale": "edm", "time": "sigma"}

DOORS = {
    "order nan": (lambda: testing.assert_order(good, float("nan")), ValueError, "order must be positive and finite"),
    "order text": (lambda: testing.assert_order(good, "2"), TypeError, "order must be a number such as 2, got '2'"),
    "infinite": (lambda: testing.assert_order(good, 2, tolerance=np.inf), ValueError, "tolerance must be .* finite"),
    "wide": (lambda: testing.assert_order(good, 2, tolerance=1.5), ValueError, "tolerance must be at most 1"),
    "tolerance": (lambda: testing.assert_order(good, 2, tolerance="a"), TypeError, "tolerance must be a number"),
    "run(n)": (lambda: testing.assert_order(good, 2, predction="noise"), ValueError, r"options \(predction\)"),
    "option": (
        lambda: testing.assert_order(euler, 1, predction="noise"),
        ValueError,
        "unknown option of euler 'predction'; did you mean 'prediction'",
    ),
    "method": (lambda: testing.assert_order(nd.DDIM(), 1, strat="lower"), ValueError, "did you mean 'start'"),
    "layout": (
        lambda: testing.assert_order(euler, 1, layout="alternate", **HOW),
        ValueError,
        "unknown layout 'alternate'; did you mean 'alternating'",
    ),
    "no layout": (lambda: testing.assert_consistent(euler, layout=3, **HOW), TypeError, "layout must be the name"),
    "Layout": (
        lambda: testing.assert_deterministic(euler, layout=Layout(variable="rhho"), **HOW),
        ValueError,
        "unknown variable of the layout 'rhho'; did you mean 'rho'",
    ),
    "no steps": (lambda: testing.assert_consistent(euler, steps=(), **HOW), ValueError, "steps must hold numbers"),
    "no dtypes": (lambda: testing.assert_dtype_kept(lambda x: None, dtypes=[]), ValueError, "shape and dtypes"),
    "h": (lambda: testing.assert_weights_integrate([5.0], [0.0], np.inf), ValueError, "h must be finite, got inf"),
    "node": (lambda: testing.assert_weights_integrate([5.0], [np.nan], 1.0), ValueError, "every node must be finite"),
    "c": (lambda: testing.assert_weights_integrate([5.0], [0.0], 1.0, np.inf), ValueError, "c must be finite"),
    "overflow": (lambda: testing.assert_weights_integrate([5.0], [0.0], 1.0, 1e3), ValueError, "overflows"),
    "degree": (
        lambda: testing.assert_weights_integrate([5.0], [0.0], 1.0, degree=-1),
        ValueError,
        "degree must be at least 0, got -1",
    ),
    "degree of a method": (
        lambda: testing.assert_weights_integrate(nd.AdamsBashforth(2), np.arange(4.0), degree=-1),
        ValueError,
        "degree must be at least 0",
    ),
    "patterns": (lambda: testing.layouts(patterns=[]), ValueError, r"patterns must hold at least one of .* got \[\]"),
    "a pattern": (lambda: testing.layouts(patterns="random"), TypeError, r"write \('random',\)"),
    "min_steps": (lambda: testing.grids(min_steps=1.5), TypeError, "min_steps must be a whole number, got 1.5"),
    "max_ratio": (lambda: testing.step_ratios(max_ratio="2"), TypeError, "max_ratio must be a number, got '2'"),
    "dimension": (lambda: testing.mixtures(max_dimension=0), ValueError, "max_dimension must be at least 1, got 0"),
    "components": (lambda: testing.mixtures(max_components=1.5), TypeError, "max_components must be a whole number"),
    "spread": (lambda: testing.mixtures(spread=np.inf), ValueError, "spread must be positive and finite"),
}


@pytest.mark.parametrize("case", DOORS)
def test_what_makes_no_sense_is_refused_at_the_call(case):
    call, kind, message = DOORS[case]
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("at_least", [True, False])
def test_errors_that_follow_no_power_have_no_order(at_least):
    """Their size is that of order 1, and a slope of 2 or more is chance."""
    for q in range(1, 200, 3):
        rough = lambda n, q=q: n**-1.0 * (1.2 + np.sin(n * q))  # noqa: E731
        with pytest.raises(AssertionError, match=r"order 2.* expected"):
            testing.assert_order(rough, 2, at_least=at_least)


def test_at_least_takes_what_is_clearly_more():
    for error in (lambda n: n**-4.0, lambda n: n**-2.0 + 9 * n**-4.0, lambda n: np.exp(-n / 8)):
        testing.assert_order(error, 2, at_least=True)


@pytest.mark.parametrize(
    ("factors", "said"),
    [
        ({1: 0.9}, "do not add up to the step in step 1 of 8, and do in all others"),
        ({8: 0.9}, "in step 8 of 8,"),
        ({2: 0.9, 5: 1.1}, "in steps 2, 5 of 8,"),
        (dict.fromkeys(range(1, 18), 0.9), "do not add up to the step, in any of the steps"),
    ],
)
@pytest.mark.parametrize("how", [HOW, {"scale": "time"}], ids=["sigma", "plain"])
def test_the_steps_that_do_not_add_up_are_named(factors, said, how, monkeypatch):
    monkeypatch.setattr(euler, "factors", {})
    testing.assert_consistent(euler, **how)
    monkeypatch.setattr(euler, "factors", factors)
    with pytest.raises(AssertionError, match=said) as caught:
        testing.assert_consistent(euler, layout=Layout("random", seed=5), **how)
    assert str(caught.value).count("seed") == 1


def test_the_steps_of_a_sampler_with_stages():
    """Heun's predictor is right where its corrector is wrong, and both are asked at the end of the step."""

    def heun(model, x, ts):
        for n, (s, t) in enumerate(pairwise(ts)):
            slope = model(x, s)
            x = x + (t - s) * (slope + model(x + (t - s) * slope, t)) / (2 if n != 2 else 2.2)
        return x

    with pytest.raises(AssertionError, match="in step 3 of 8,"):
        testing.assert_consistent(heun, **HOW)


def test_points_are_told_apart_whatever_their_number():
    """Two paths of two points: one that reaches over from point 0 to point 3 is found."""

    def reaching(model, x, ts):
        for s, t in pairwise(ts):
            x = x + (t - s) * (model(x, s) + 1e-3 * x[-1])
        return x

    path = nd.problems.paths.toys()
    both = nd.problems.paths.Path(
        "both",
        lambda lam, y: np.concatenate([path.slope(lam, part[None]) for part in y]),
        lambda lam: np.repeat(path.exact(lam)[:1], 2, axis=0),
        path.span,
        path.error,
    )
    twice = samples._twice(both, 1.5)
    np.testing.assert_array_equal(twice.exact(0.5)[2:], 1.5 * both.exact(0.5))
    np.testing.assert_allclose(twice.slope(0.5, twice.exact(0.5))[2:], 1.5 * both.slope(0.5, both.exact(0.5)))
    testing.assert_batch_independent(euler, **HOW)
    with pytest.raises(AssertionError, match="another of its batch"):
        testing.assert_batch_independent(reaching, **HOW)


def test_the_numbers_of_a_failing_mixture_are_printed(capsys):
    @settings(max_examples=5, database=None, derandomize=True, phases=[Phase.generate])
    @given(testing.mixtures(max_dimension=2))
    def fails(mixture):
        drawn.append(mixture)
        raise AssertionError("no")

    drawn = []
    with pytest.raises(AssertionError, match="no") as caught:
        fails()
    shown = "\n".join([*getattr(caught.value, "__notes__", []), capsys.readouterr().out])
    (call,) = re.findall(r"mixture drawn: (numdiff.*)", shown)
    again = eval(call, {"numdiff": nd})
    assert isinstance(again, GaussianMixture)
    for name in ("weights", "means", "covariances"):
        np.testing.assert_array_equal(getattr(again, name), getattr(drawn[-1], name))
