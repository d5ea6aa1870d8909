"""Figures of time steps: what is drawn where."""

import numpy as np
import pytest

import numdiff as nd
from numdiff import plotting
from numdiff.optimize import TimeSteps

LAM = np.array([-5.0, -2.0, 0.0, 3.0, np.inf])


def test_sigmas_are_drawn_against_their_share_of_the_steps():
    ax = plotting.sigma_per_step({"a": np.exp(-LAM), "b": [3.0, 1.0, 0.5]})
    a, b = ax.get_lines()
    assert ax.get_yscale() == "log"
    assert a.get_xdata()[:4].tolist() == [0, 0.25, 0.5, 0.75]
    assert np.isnan(a.get_ydata()[-1])  # sigma = 0 has no place on the axis
    assert b.get_xdata().tolist() == [0, 0.5, 1]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["a", "b"]


def test_density_has_the_area_of_the_steps_it_shows():
    ax = plotting.step_density({"finite": LAM[:4], "to the clean end": LAM})
    areas = [np.trapezoid(*line.get_data()[::-1]) for line in ax.get_lines()]
    assert areas == pytest.approx([1.0, 3 / 4])
    x, y = ax.get_lines()[0].get_data()
    assert y[(x == -2.0)].max() == pytest.approx(1 / 3 / 2)  # of the two steps that meet there, lengths 3 and 2


def test_error_per_mode_drops_signs():
    ax = plotting.error_per_mode({"a": ([0.1, 1, 3], [-1e-3, 0.0, 2e-4])})
    (line,) = ax.get_lines()
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    np.testing.assert_array_equal(line.get_ydata(), [1e-3, np.nan, 2e-4])


def test_bands_surround_the_errors():
    ax = plotting.error_bands({"a": ([5, 10], [1e-2, 1e-3], [5e-3, 8e-4], [2e-2, 2e-3])}, slopes=(2,))
    (band,) = ax.collections
    low, high = band.get_paths()[0].vertices.min(axis=0), band.get_paths()[0].vertices.max(axis=0)
    assert low.tolist() == [5, 8e-4]
    assert high.tolist() == [10, 2e-2]
    assert ax.get_xlabel() == "model evaluations"
    assert len(ax.get_lines()) == 2  # the errors and a slope


def test_traces_count_iterations():
    ax = plotting.objective_trace({"a": [10.0, 1.0, 0.1], "b": [5.0, 0.2]}, ylabel="F")
    assert ax.get_lines()[0].get_xdata().tolist() == [0, 1, 2]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "1", "2"]
    assert ax.get_ylabel() == "F"
    assert plotting.objective_trace({"a": [1.0, -1.0]}, logy=False).get_yscale() == "linear"


def test_points_of_objective_against_error_are_not_joined():
    ax = plotting.objective_against_error({"good": ([1e-3, 1e-2, 0.1], [2e-3, 3e-2, 0.2]), "bad": ([1, 2], [2.0, -1])})
    good, bad = ax.get_lines()
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert good.get_linestyle() == "None"
    assert good.get_marker() not in ("", "None", None)
    assert good.get_xydata().tolist() == [[1e-3, 2e-3], [1e-2, 3e-2], [0.1, 0.2]]
    assert np.isnan(bad.get_ydata()[1])  # no place on a logarithmic axis
    plain = plotting.objective_against_error({"a": ([1.0], [1.0])}, logx=False, logy=False)
    assert (plain.get_xscale(), plain.get_yscale()) == ("linear", "linear")


def test_results_are_read_off():
    result = TimeSteps(nd.UniPC(3), nd.schedules.Flow(), "paper", LAM, 1.0, 8.0, "", "", True, 0.0, trace=[8.0, 1.0])
    (line,) = plotting.sigma_per_step({"a": result}).get_lines()
    np.testing.assert_array_equal(line.get_ydata(), [*np.exp(-LAM[:-1]), np.nan])
    (line,) = plotting.step_density({"a": result}).get_lines()
    (expected,) = plotting.step_density({"a": LAM}).get_lines()
    np.testing.assert_array_equal(line.get_xydata(), expected.get_xydata())
    (line,) = plotting.objective_trace({"a": result}).get_lines()
    assert line.get_ydata().tolist() == [8.0, 1.0]


def test_given_axes_are_used_and_everything_draws():
    axes = plotting.figure(1, 5, 15, 3)[0]
    assert plotting.sigma_per_step({"a": [2.0, 1.0]}, axes[0]) is axes[0]
    assert plotting.step_density({"a": [0.0, 1.0]}, axes[1]) is axes[1]
    assert plotting.error_per_mode({"a": ([1.0], [1.0])}, axes[2]) is axes[2]
    assert plotting.error_bands({"a": ([1, 2], [1, 2], [0, 1], [2, 3])}, axes[3]) is axes[3]
    assert plotting.objective_trace({"a": np.ones(20)}, axes[4]) is axes[4]
    axes[0].figure.canvas.draw()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plotting.sigma_per_step({"a": [1.0]}), "'a' must be one-dimensional with at least two nodes"),
        (lambda: plotting.step_density({"a": [0.0, 0.0]}), "'a' must rise strictly"),
        (lambda: plotting.error_per_mode({"a": ([1, 2], [1.0])}), "one length"),
        (lambda: plotting.objective_against_error({"a": ([1, 2], [1.0])}), "one length"),
        (lambda: plotting.error_bands({"a": ([1, 2], [1, 2], [0], [2, 3])}), "four sequences of 'a'"),
        (lambda: plotting.error_bands({"a": ([1, 2], [1, 2], [0, 3], [2, 3])}), "must hold its error"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
