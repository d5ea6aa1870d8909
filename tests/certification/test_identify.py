"""Coefficients read off a black box are those that it was made with."""

from itertools import pairwise

import numpy as np
import pytest

import numdiff as nd
from numdiff.certification.identify import NotLinearError, identify
from numdiff.certification.measure import Layout, SamplerError, final
from numdiff.certification.own import of_method
from numdiff.certification.placement import place
from numdiff.certification.subject import Setting, Subject
from numdiff.problems import paths

SPAN = (-1.0, 3.0)
MIXED = ("AB4", "HB(AB2, 4/5)", "GHVB3(4/5) data/log-snr", "PEC3 data/log-snr", "PECE3-3", "RK4", "PNDM4", "BDIA(1)")


def levels(subject, steps=12, pattern="alternating"):
    return Layout(pattern).levels(subject, SPAN, steps)


def method(name):
    return of_method(nd.methods(every=True)[name])


@pytest.mark.parametrize("scale", ["vp", "edm", "flow"])
def test_the_coefficients_of_ddim_are_known(scale):
    subject = of_method(nd.AdamsBashforth(1, formulation=nd.NOISE_RATIO), scale=scale)
    grid = levels(subject)
    found = identify(subject, grid)
    rho = np.array([level.rho for level in grid], dtype=float)
    alpha = np.array([level.alpha for level in grid], dtype=float)
    steps = np.tril(np.ones((13, 12)), -1) * np.diff(rho)
    expected = alpha[:, None] * np.hstack([np.full((13, 1), 1 / alpha[0]), steps])
    np.testing.assert_allclose(found.rows, expected, atol=1e-13)
    assert found.asked == grid[:-1]


@pytest.mark.parametrize("prediction", ["noise", "data", "v"])
@pytest.mark.parametrize("name", MIXED)
def test_a_run_on_a_nonlinear_path_is_reproduced_in_every_prediction(name, prediction):
    subject, path = method(name), paths.toys(SPAN)
    grid = levels(subject)
    found = identify(subject, grid).converted(prediction)
    known = [path.state(grid[0])]
    for level, row in zip(found.asked, found.inputs, strict=True):
        x = sum(c * y for c, y in zip(row, known, strict=False))
        known.append(path.predict(x, level, prediction))
    last = sum(c * y for c, y in zip(found.final, known, strict=True)) / grid[-1].alpha
    np.testing.assert_allclose(last, final(subject, path, grid, Setting()), rtol=1e-11)


@pytest.mark.parametrize("name", MIXED)
def test_samples_lie_where_they_are_asked_about(name):
    subject = method(name)
    where = place(subject, identify(subject, levels(subject)))
    assert where.deviation < 1e-11
    assert where.sentence() == ""
    assert where.between() == ""


def test_converting_there_and_back_changes_nothing():
    found = identify(method("RK4"), levels(method("RK4")))
    np.testing.assert_allclose(found.converted("data").converted("noise").rows, found.rows, atol=1e-12)


def stepping(step):
    """A sampler in the noise/ratio formulation that does `step(x, eps, d_rho)` on x/alpha."""

    def run(field, x, grid, setting):
        for now, then in pairwise(grid):
            eps = field(x, now)
            x = then.alpha * step(x / now.alpha, eps, then.rho - now.rho)
        return x

    return Subject("test:sampler", run)


DRAWS = np.random.default_rng(7)
CROOKED = {
    "clips": lambda y, eps, d: np.clip(y + d * eps, -0.5, 0.5),
    "adds a bias": lambda y, eps, d: y + d * eps + 1e-3,
    "draws noise": lambda y, eps, d: y + d * eps + 1e-3 * DRAWS.standard_normal(y.shape),
    "is nonlinear": lambda y, eps, d: y + d * eps * (1 + 1e-3 * eps),
}


@pytest.mark.parametrize("what", CROOKED)
def test_what_has_no_coefficients_is_refused(what):
    subject = stepping(CROOKED[what])
    with pytest.raises(NotLinearError, match="test:sampler is not linear"):
        identify(subject, levels(subject))


def test_the_same_sampler_without_its_crookedness_is_not_refused():
    subject = stepping(lambda y, eps, d: y + d * eps)
    assert identify(subject, levels(subject)).deviation < 1e-12


def test_a_sampler_whose_steps_depend_on_what_it_is_told_is_refused():
    def run(field, x, grid, setting):
        told = field(x, grid[0])
        return x + (field(x, grid[1]) if np.any(told) else 0.0)

    with pytest.raises(NotLinearError, match="depend on what it is told"):
        identify(Subject("test:adaptive", run), levels(Subject("test:adaptive", run)))


def test_a_sampler_that_raises_is_reported_with_its_steps():
    def run(field, x, grid, setting):
        raise KeyError("no table")

    subject = Subject("test:broken", run)
    with pytest.raises(SamplerError, match="N = 12"):
        identify(subject, levels(subject))


def test_a_wrong_shape_is_reported():
    subject = Subject("test:shape", lambda field, x, grid, setting: field(x, grid[0])[0])
    with pytest.raises(ValueError, match="returned shape"):
        identify(subject, levels(subject))
