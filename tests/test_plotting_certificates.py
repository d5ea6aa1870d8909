"""Figures of certificates: what was measured, what was fitted, what was claimed."""

import math

import numpy as np
import pytest

from numdiff import plotting
from numdiff.certification.certificate import Certificate, Experiment
from numdiff.properties.order.regression import OrderEstimate, observed

STEPS = (24, 48, 96, 192, 384)


def experiment(name, slope, window, errors=None, floor=1e-15):
    found = tuple(float(n) ** -slope for n in STEPS) if errors is None else errors
    return Experiment(name, "", OrderEstimate(slope, (slope, slope), window, floor, "", STEPS, found))


def certificate(*experiments, claim=3):
    return Certificate("lab:mine", claim, "flow", "toys", experiments, "refuted", "")


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def test_every_experiment_is_drawn_with_its_window_marked():
    ax = plotting.certificate_plot(
        certificate(experiment("exact start", 3, (48, 384)), experiment("as shipped", 2, (24, 96)))
    )
    drawn = lines(ax)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["exact start: 3.00", "as shipped: 2.00"]
    assert drawn["exact start: 3.00"].get_xdata().tolist() == list(STEPS)
    assert drawn["_exact start: 3.00, window"].get_xdata().tolist() == [48, 96, 192, 384]
    assert drawn["_as shipped: 2.00, window"].get_ydata().tolist() == [24.0**-2, 48.0**-2, 96.0**-2]
    assert [t.get_text() for t in ax.get_xticklabels()] == [str(n) for n in STEPS]
    for name in ("exact start: 3.00", "as shipped: 2.00"):
        whole, window = drawn[name], drawn[f"_{name}, window"]
        assert whole.get_color() == window.get_color()
        assert whole.get_markerfacecolor() == "white"
        assert window.get_linewidth() > whole.get_linewidth()


def test_a_line_has_the_slope_of_the_claim():
    (x, y) = next(
        line.get_data()
        for name, line in lines(plotting.certificate_plot(certificate(experiment("a", 2, (24, 96))))).items()
        if "a: 2" not in name
    )
    assert np.log(y[1] / y[0]) / np.log(x[1] / x[0]) == pytest.approx(-3)
    without = plotting.certificate_plot(certificate(experiment("a", 2, (24, 96)), claim=None))
    assert {name for name in lines(without) if "a: 2" not in name} == set()
    assert without.get_title(loc="left") == "lab:mine\nno claim, refuted"


def test_what_is_at_the_floor_lies_in_a_band():
    rounding = experiment("a", 3, (24, 96), errors=(1e-3, 1e-6, 1e-9, 1e-12, 1e-12), floor=1e-11)
    (band,) = plotting.certificate_plot(certificate(rounding)).patches
    assert band.get_y() + band.get_height() == pytest.approx(1e-11)
    assert not plotting.certificate_plot(certificate(experiment("a", 3, (24, 384)))).patches


def test_what_a_logarithm_cannot_show_is_left_out_and_what_has_no_order_says_so():
    broken = experiment("broken", 2, (24, 384), errors=(math.inf, math.nan, 0.0, 1e-3, 1e-4))
    exact = Experiment("exact", "", observed(lambda n: 0.0, STEPS))
    raised = Experiment("raised", "", failure="raised at N = 24")
    drawn = lines(plotting.certificate_plot(certificate(broken, exact, raised)))
    assert drawn["broken: 2.00"].get_xdata().tolist() == [192, 384]
    assert drawn["_broken: 2.00, window"].get_xdata().tolist() == [192, 384]
    assert drawn["exact: no order"].get_xdata().tolist() == []
    assert not any("raised" in name for name in drawn)


def test_a_certificate_without_experiments_has_a_figure():
    plotting.certificate_plot(certificate()).figure.canvas.draw()


def test_experiments_are_chosen_by_name_and_drawn_where_asked():
    made, ax = certificate(experiment("a", 2, (24, 96)), experiment("b", 1, (24, 96))), plotting.new_axes()
    assert plotting.certificate_plot(made, ax, names=["b"], color="red") is ax
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["b: 1.00"]
    assert {line.get_color() for name, line in lines(ax).items() if "b" in name} == {"red"}
    with pytest.raises(KeyError, match="no experiment 'c'; there are a, b"):
        plotting.certificate_plot(made, names=["c"])
