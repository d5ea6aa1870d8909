"""Distances between samples and their standard errors, against one-dimensional formulas and repeated draws."""

import sys

import numpy as np
import pytest
import scipy.stats

import numdiff as nd
from numdiff.certification.subject import Subject
from numdiff.work_precision import energy, errors, transport
from numdiff.work_precision.transport import over_sets

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((60, 1)), RNG.gamma(2.0, size=(60, 1))


def test_transport_on_the_line_joins_the_quantiles():
    expected = np.sqrt(np.mean((np.sort(X[:, 0]) - np.sort(Y[:, 0])) ** 2))
    assert transport(X, Y) == pytest.approx(expected, rel=1e-12)


def test_transport_of_a_translation_is_its_length():
    x = RNG.standard_normal((40, 3))
    assert transport(x, x + np.array([0.3, 0.4, 1.2])) == pytest.approx(1.3, rel=1e-12)


def test_energy_distance_is_that_of_scipy_on_the_line():
    assert energy(X, Y) == pytest.approx(scipy.stats.energy_distance(X[:, 0], Y[:, 0]), rel=1e-10)
    assert energy(X, X) == 0


def test_energy_distance_tells_laws_apart_that_agree_along_every_axis():
    x = RNG.standard_normal((400, 2))
    y = np.column_stack([x[:, 0], x[:, 0]])  # the same marginals but for sampling, and no second dimension
    assert energy(x, y) > 3 * energy(x, RNG.standard_normal((400, 2)))


def test_samples_that_are_not_finite_are_infinitely_far():
    bad = X.copy()
    bad[3] = np.nan
    assert transport(bad, Y) == energy(bad, Y) == np.inf


def test_without_pot_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(ImportError, match=r"numdiff\[transport\]"):
        nd.work_precision.diagram({"a": nd.DDIM()}, nd.problems.mixtures()["two-modes"], steps=(4,), errors="W2")


@pytest.mark.parametrize("statistic", [errors.rms, errors.median])
def test_standard_errors_are_the_scatter_of_repeated_samples(statistic):
    draws = np.random.default_rng(1).gamma(3.0, size=(400, 200))
    found = np.array([statistic(e) for e in draws])
    # 400 repetitions know their scatter to 4 %; one bootstrap of a median varies by some 30 %, their mean by 2 %
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(ddof=1), rel=0.15)


def test_where_there_is_one_point_or_no_finite_error_there_is_no_standard_error():
    assert (
        errors.rms(np.array([3.0])) == errors.median(np.array([3.0])) == errors.largest(np.array([3.0])) == (3.0, None)
    )
    assert errors.rms(np.array([1.0, np.inf])) == (np.inf, None)


def test_the_mean_over_sets():
    assert over_sets(lambda x, y: y - x, [(0.0, 1.0), (0.0, 3.0)]) == (2.0, 1.0)
    assert over_sets(lambda x, y: y - x, [(0.0, 1.0)]) == (1.0, None)


def test_the_exact_samples_are_not_those_that_were_started_from():
    """Over a span of no length doing nothing is exact, and what is measured is the noise of two samples."""
    still = Subject("mine:still", lambda field, x, levels, setting: x)
    ring = nd.problems.mixtures()["ring"]
    found = nd.work_precision.diagram({"a": still}, ring, steps=(1,), errors="energy", span=(1.0, 1.0 + 1e-9), sets=8)
    (value, own), (floor, noise) = found.records[0].errors["energy"], found.floors["energy"]
    assert abs(value - floor) < 4 * np.hypot(noise, own)
    assert value > 8 * own  # not 0 but for rounding


def test_an_exact_sampler_is_at_the_floor_and_a_bad_one_is_not():
    ring = nd.problems.mixtures()["ring"]
    found = nd.work_precision.diagram(
        {"good": nd.DPMSolverPP(2), "bad": nd.DDIM()},
        ring,
        steps=(3, 60),
        errors=("energy", "W2"),
        points=200,
    )
    by = {(r.label, r.steps): r.errors for r in found.records}
    for name in found.errors:
        floor, noise = found.floors[name]
        value, own = by["good", 60][name]
        # four standard errors of the difference of two means over four sets
        assert abs(value - floor) < 4 * np.hypot(noise, own)
        assert by["bad", 3][name][0] > floor + 4 * np.hypot(noise, by["bad", 3][name][1])
