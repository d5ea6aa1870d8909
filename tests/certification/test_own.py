"""A method as a subject does what `nd.sample` and `nd.solve_ivp` do with it, to the last bit or nearly so."""

import dataclasses

import numpy as np
import pytest

import numdiff as nd
from numdiff.certification.own import of_method
from numdiff.certification.subject import SCALES, Setting, answered
from numdiff.problems import mixtures, odes, paths

MIXTURE = mixtures()["correlated"]
CUTS = np.array([0.0, 0.1, 0.25, 0.3, 0.5, 0.7, 0.8, 1.0])
METHODS = (
    nd.DDIM(),
    nd.AdamsBashforth(3, formulation="data/log-snr"),
    nd.GHVB(3, 0.8),
    nd.PredictorCorrector(2),
    nd.RK4(),
    nd.PLMS(4),
)


def carried(subject, mixture=MIXTURE, seed=0, setting=None):
    """Return where a subject takes five samples of a mixture, with the levels that it was given."""
    levels = [subject.level(-1 + 3 * part) for part in CUTS]
    x = mixture.sample_level(5, levels[0], seed)

    def field(x, level):
        return mixture.predict(x, level, subject.prediction)

    return subject.run(field, x, levels, setting or Setting()), levels, x


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("start", ["lower", "runge-kutta"])
def test_a_run_is_that_of_sample(scale, start):
    schedule = SCALES[scale]
    for method in METHODS:
        subject = of_method(method, scale=scale, start=start)
        found, levels, x = carried(subject)
        scheme = method.discretize(schedule, levels, start=start)
        model = MIXTURE.model(schedule, subject.prediction)
        expected = nd.sample(scheme, model, x, prediction=subject.prediction)
        # The model of `sample` finds its level again from the time; the subject's field is given it.
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * np.abs(x).max(), err_msg=str(method))


def test_a_run_in_time_is_that_of_solve_ivp():
    ode = odes()["riccati"]
    path = paths.of_ode(ode, ode.t_span)
    times = ode.t_span[0] + (ode.t_span[1] - ode.t_span[0]) * CUTS
    for method in METHODS:
        if getattr(method, "formulation", None) is not None and "data" in str(method.formulation):
            continue
        subject = of_method(method, scale="time")
        levels = [subject.level(t) for t in times]
        found = subject.run(answered(path, subject), path.exact(times[0]), levels, Setting())
        expected = nd.solve_ivp(method, ode.fun, times, ode.y0)
        np.testing.assert_allclose(found[0], expected, rtol=1e-12, atol=1e-13, err_msg=str(method))


def test_a_subject_carries_what_its_method_claims():
    for method in METHODS:
        subject = of_method(method)
        assert subject.name == f"numdiff:{method.name}"
        assert subject.order == method.order
        assert subject.version == f"numdiff {nd.__version__}"
        assert not subject.stochastic
    assert of_method("ab3", formulation="data/log-snr").prediction == "data"
    assert of_method("ab3").prediction == "noise"
    assert of_method("ab3", scale="time").prediction == "velocity"
    assert of_method("ghvb3", beta=0.8).name == of_method(nd.GHVB(3, 0.8)).name


def test_noise_is_what_the_setting_draws_and_repeats_itself_without():
    method = nd.AdamsBashforth(2, formulation=nd.stochastic("data/log-snr", tau=1))
    subject = of_method(method)
    assert subject.stochastic
    rng = np.random.default_rng(7)
    drawn = []

    def noise(shape):
        drawn.append(rng.standard_normal(shape))
        return drawn[-1]

    found, levels, x = carried(subject, setting=Setting(noise=noise))
    scheme = method.discretize(SCALES["vp"], levels)
    model = MIXTURE.model(SCALES["vp"], subject.prediction)
    expected = nd.sample(scheme, model, x, prediction=subject.prediction, noise=lambda index, column: drawn[index])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * np.abs(x).max())
    np.testing.assert_array_equal(carried(subject)[0], carried(subject)[0])
    assert np.abs(carried(subject)[0] - found).max() > 1e-3


def test_a_change_is_made_to_every_scheme():
    """A scheme without its last step stops one level earlier."""
    seen = []

    def change(scheme):
        seen.append(scheme)
        return dataclasses.replace(scheme)

    subject = of_method("ab2", change=change)
    np.testing.assert_array_equal(carried(subject)[0], carried(of_method("ab2"))[0])
    assert len(seen) == 1


def test_unknown_names_and_options_are_refused():
    with pytest.raises(ValueError, match="did you mean"):
        of_method("hbb3")
    with pytest.raises((TypeError, ValueError), match="formulatoin"):
        of_method("ab3", formulatoin="data/log-snr")
