"""Figures of certificates: what was measured, what was fitted, what was claimed."""

import math

import numpy as np
import pytest

from numdiff import plotting
from numdiff.certification.certificate import Certificate, Experiment
from numdiff.certification.pages import order
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
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        "exact start: 3.00 ± 0.00",
        "as shipped: 2.00 ± 0.00",
    ]
    assert drawn["exact start: 3.00 ± 0.00"].get_xdata().tolist() == list(STEPS)
    assert drawn["_exact start: 3.00 ± 0.00, window"].get_xdata().tolist() == [48, 96, 192, 384]
    assert drawn["_as shipped: 2.00 ± 0.00, window"].get_ydata().tolist() == [24.0**-2, 48.0**-2, 96.0**-2]
    assert [t.get_text() for t in ax.get_xticklabels()] == [str(n) for n in STEPS]
    for name in ("exact start: 3.00 ± 0.00", "as shipped: 2.00 ± 0.00"):
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
    assert drawn["broken: 2.00 ± 0.00"].get_xdata().tolist() == [192, 384]
    assert drawn["_broken: 2.00 ± 0.00, window"].get_xdata().tolist() == [192, 384]
    assert drawn["exact: no order"].get_xdata().tolist() == []
    assert not any("raised" in name for name in drawn)


def test_a_certificate_without_experiments_has_a_figure():
    plotting.certificate_plot(certificate()).figure.canvas.draw()


def test_experiments_are_chosen_by_name_and_drawn_where_asked():
    made, ax = certificate(experiment("a", 2, (24, 96)), experiment("b", 1, (24, 96))), plotting.new_axes()
    assert plotting.certificate_plot(made, ax, names=["b"], color="red") is ax
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["b: 1.00 ± 0.00"]
    assert {line.get_color() for name, line in lines(ax).items() if "b" in name} == {"red"}
    with pytest.raises(KeyError, match="no experiment 'c'; there are a, b"):
        plotting.certificate_plot(made, names=["c"])


def test_the_legend_says_what_tables_say():
    """A slope with its interval; "irregular" where errors follow no power, though a number could be had."""
    jumps = np.random.default_rng(0).uniform(0.2, 5, len(STEPS))
    wild = observed({n: n**-2 * j for n, j in zip(STEPS, jumps, strict=True)}.__getitem__, STEPS)
    clear = observed(lambda n: n**-2 * (1 + 1 / n), STEPS)
    assert wild.irregular
    made = certificate(Experiment("as shipped", "", wild), Experiment("clear", "", clear))
    texts = [t.get_text() for t in plotting.certificate_plot(made).get_legend().get_texts()]
    assert texts == [f"as shipped: {order(wild)}", f"clear: {order(clear)}"]
    assert " ± " in texts[1]
    assert "irregular" in texts[0]


def test_eight_experiments_at_most_the_main_ones_and_those_that_fall_short_most():
    main = [experiment(name, 3, (24, 384)) for name in ("exact start", "as shipped", "alternating")]
    others = [experiment(f"cause {k}", slope, (24, 384)) for k, slope in enumerate((2.5, 0.5, 2.0, 1.0, 1.5, 3.0, 2.8))]
    made = certificate(*main, *others)
    drawn = [t.get_text().split(":")[0] for t in plotting.certificate_plot(made).get_legend().get_texts()]
    assert drawn == ["exact start", "as shipped", "alternating", "cause 1", "cause 3", "cause 4", "cause 2", "cause 0"]
    every = plotting.certificate_plot(made, names=[one.name for one in made.experiments])
    own = [line for line in every.get_lines() if line.get_label().endswith("± 0.00")]
    assert len({(line.get_color(), line.get_linestyle(), line.get_marker()) for line in own}) == len(own) == 10


def test_a_long_legend_covers_no_curve():
    made = certificate(*(experiment(f"cause {k}", 1 + k / 4, (24, 384)) for k in range(8)))
    ax = plotting.certificate_plot(made)
    ax.figure.canvas.draw()
    assert ax.get_legend().get_window_extent().y1 <= ax.get_window_extent().y0


def test_what_is_no_certificate_is_refused():
    with pytest.raises(TypeError, match="certificate must be a Certificate, as certify"):
        plotting.certificate_plot(3)
