"""The spectral answer shows what the library computes."""

from time import perf_counter

import numpy as np
import pytest
import sympy as sp

import numdiff as nd
from numdiff.answers import Setting
from numdiff.answers.spectral import SCALES, spectral


def by_label(answer):
    return {line.label: line for line in answer.lines}


@pytest.mark.parametrize("name", nd.methods())
def test_every_method_has_an_answer(name):
    start = perf_counter()
    answer = spectral(nd.methods()[name], Setting())
    assert perf_counter() - start < 2
    lines = by_label(answer)
    assert len(lines) == len(answer.lines) == 4 * len(SCALES) + 2
    assert all(isinstance(line.value, sp.Basic) and line.value.is_number for line in answer.lines)


def test_numbers_are_the_library_s():
    schedule = nd.schedules.Cosine()
    setting = Setting(schedule="cosine", grid="quadratic", steps=7, start="runge-kutta")
    lines = by_label(spectral(nd.DPMSolverPP(2), setting))
    scheme = nd.DPMSolverPP(2).discretize(schedule, nd.grids.power(schedule, 7), start="runge-kutta")
    found, distance = nd.spectral.response(scheme, SCALES), nd.spectral.errors(scheme, SCALES)
    for i, s in enumerate(SCALES):
        assert float(lines[f"s = {s:g}: gain"].value) == pytest.approx(found.gain[i], rel=1e-9)
        assert float(lines[f"s = {s:g}: W2"].value) == pytest.approx(distance.w2[i], rel=1e-9)
        assert float(lines[f"s = {s:g}: KL"].value) == pytest.approx(distance.kl[i], rel=1e-9)
        relative = (found.gain[i] / found.exact[i]) ** 2 - 1
        assert float(lines[f"s = {s:g}: relative error of E x^2"].value) == pytest.approx(relative, rel=1e-9)
    worst = float(lines["worst s"].value)
    deviation = nd.spectral.response(scheme, [worst, *np.logspace(-3, 3, 50)]).ratio - 1
    assert np.argmax(np.abs(deviation)) == 0
    assert float(lines["gain/exact - 1 there"].value) == pytest.approx(deviation[0], rel=1e-6)


def test_few_evaluations_show_the_function():
    line = by_label(spectral(nd.DDIM(), Setting(steps=2)))["gain as a function of s"]
    (s,) = line.value.free_symbols
    schedule = nd.schedules.VPLinear()
    scheme = nd.DDIM().discretize(schedule, nd.grids.uniform_log_snr(schedule, 2))
    assert float(line.value.subs(s, 0.7)) == pytest.approx(float(nd.spectral.response(scheme, 0.7).gain), rel=1e-4)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (Setting(grid="log-snrs"), "did you mean 'log-snr'"),
        (Setting(schedule="vp-liner"), "did you mean 'vp-linear'"),
        (Setting(steps=1), "needs at least 2 steps"),
    ],
)
def test_bad_input(setting, message):
    with pytest.raises(ValueError, match=message):
        spectral(nd.AdamsBashforth(2), setting)
