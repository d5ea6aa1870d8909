"""Figures of work-precision diagrams: what is drawn, and that the interactive one needs no network."""

import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest

import numdiff as nd
from numdiff import plotting
from numdiff.plotting.work_precision import INSIDE, style_of_many
from numdiff.work_precision import COSTS, ERRORS


@pytest.fixture(scope="module")
def found():
    methods = {"DDIM": nd.DDIM(), "2M": nd.DPMSolverPP(2), "SDE": nd.SDEDPMSolverPP(2)}
    return nd.work_precision.diagram(
        methods,
        nd.problems.mixtures()["two-modes"],
        steps=(5, 10),
        grids=("log-snr", "karras"),
        errors=("rms", "energy"),
        points=12,
        repeats=2,
        name="two modes",
    )


def drawn(ax):
    return {container.get_label(): container.lines[0].get_xydata() for container in ax.containers}


def test_a_curve_has_the_best_errors_against_the_cost(found):
    ax = plotting.work_precision(found)
    lines = drawn(ax)
    assert list(lines) == ["DDIM", "2M"]  # noise follows no flow
    for label, points in lines.items():
        expected = [min(r.error("rms") for r in found.records if r.label == label and r.nfe == n) for n in (5, 10)]
        np.testing.assert_array_equal(points, np.column_stack([(5, 10), expected]))
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert (ax.get_xlabel(), ax.get_ylabel()) == (COSTS["nfe"], ERRORS["rms"])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["5", "10"]


def test_bars_are_two_standard_errors(found):
    ax = plotting.work_precision(found, grids="each")
    bars = next(c for c in ax.containers if c.get_label() == "DDIM, karras").lines[2][0].get_segments()
    own = [r for r in found.records if (r.label, r.grid) == ("DDIM", "karras")]
    for segment, r in zip(bars, own, strict=True):
        value, error = r.errors["rms"]
        np.testing.assert_allclose(segment[:, 1], [value - 2 * error, value + 2 * error])


def test_the_noise_of_samples_is_drawn_with_their_distances(found):
    ax = plotting.work_precision(found, error="energy", tags=("stochastic",))
    assert list(drawn(ax)) == ["SDE"]
    floor = next(line for line in ax.get_lines() if line.get_label() == "two exact samples")
    height, deviation = found.floors["energy"]
    assert set(floor.get_ydata()) == {height}
    (band,) = ax.patches
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx(
        (height - 2 * deviation, height + 2 * deviation)
    )
    assert ax.get_legend().get_texts()[-1].get_text() == "two exact samples"


def test_the_title_names_the_problem_and_says_where_the_best_of_several_grids_is_drawn(found):
    assert plotting.work_precision(found).get_title() == "two modes, best of 2 grids"
    assert plotting.work_precision(found, grids="each").get_title() == "two modes"
    assert "two modes, best of 2 grids, by" in found.table()
    one = replace(found, records=tuple(r for r in found.records if r.grid == "karras"))
    assert plotting.work_precision(one).get_title() == "two modes"


def look(container):
    line = container.lines[0]
    return line.get_color(), line.get_linestyle(), line.get_marker(), line.get_fillstyle()


def test_a_sampler_looks_the_same_for_every_error_and_whatever_the_tags(found):
    """The first of these samplers has no error against the flow, so that it is not drawn for the first error."""
    turned = replace(found, records=tuple(sorted(found.records, key=lambda r: r.label, reverse=True)))
    for grids in ("best", "each"):
        axes = [
            plotting.work_precision(turned, error=error, tags=tags, grids=grids)
            for error in ("rms", "energy")
            for tags in ((), ("multistep",))
        ]
        looks = {}
        for ax in axes:
            for container in ax.containers:
                assert looks.setdefault(container.get_label(), look(container)) == look(container)
        assert len(set(looks.values())) == len(looks) == (3 if grids == "best" else 6)


def test_a_single_cost_has_an_axis_around_it(found):
    one = replace(found, records=tuple(r for r in found.records if r.steps == 5), numbers=(5,))
    low, high = plotting.work_precision(one).get_xlim()
    assert low < 5 < high < 10
    axis = plotting.interactive.work_precision(one).layout.xaxis
    low, high = 10 ** np.array(axis.range)
    assert low < 5 < high < 10


def test_many_curves_have_their_own_styles_and_a_legend_beside_the_axes():
    methods = {str(k): method for k, method in enumerate([nd.DDIM()] * (INSIDE + 4))}
    many = nd.work_precision.diagram(methods, nd.problems.paths.toys(), steps=(4, 8), repeats=0)
    ax = plotting.work_precision(many, slopes=(1,))
    ax.figure.canvas.draw()
    assert ax.get_legend().get_window_extent().x0 >= ax.get_window_extent().x1 - 1
    assert len({tuple(map(str, style_of_many(k).values())) for k in range(64)}) == 64
    assert len({look(container) for container in ax.containers}) == INSIDE + 4
    traces = plotting.interactive.work_precision(many).data
    assert len({(trace.line.color, trace.marker.symbol) for trace in traces}) == INSIDE + 4
    x, y = next(line for line in ax.get_lines() if line.get_color() == "0.6").get_data()
    assert np.log(y[1] / y[0]) / np.log(x[1] / x[0]) == pytest.approx(-1)


def test_given_axes_are_used_and_nothing_to_draw_is_no_error(found):
    ax = plotting.new_axes()
    assert plotting.work_precision(found, ax, tags=("stochastic",)) is ax
    assert not ax.containers


def test_the_interactive_figure_has_every_point_and_says_what_it_is(found):
    figure = plotting.interactive.work_precision(found)
    traces = {(trace.name, trace.customdata[0][1]): trace for trace in figure.data}
    assert set(traces) == {(label, grid) for label in found.labels for grid in ("log-snr", "karras")}
    own = [r for r in found.records if (r.label, r.grid) == ("2M", "karras")]
    trace = traces["2M", "karras"]
    assert list(trace.x) == [r.nfe for r in own]
    assert list(trace.y) == [r.error("rms") for r in own]
    assert list(trace.error_y.array) == [2 * r.errors["rms"][1] for r in own]
    assert trace.customdata[0][0] == ", ".join(own[0].tags)
    assert f"{own[0].errors['rms'][0]:.3g} ± " in trace.text[0]
    assert list(traces["SDE", "karras"].y) == [None, None]
    assert (figure.layout.xaxis.type, figure.layout.yaxis.type) == ("log", "log")


def test_its_menus_choose_the_error_and_the_cost(found):
    errors, costs = plotting.interactive.work_precision(found, error="energy", against="seconds").layout.updatemenus
    assert [button.label for button in errors.buttons] == ["rms", "energy"]
    assert (errors.buttons[errors.active].label, costs.buttons[costs.active].label) == ("energy", "against seconds")
    data, layout = errors.buttons[1].args
    groups = list(dict.fromkeys((r.label, r.grid) for r in found.records))
    expected = [[r.error("energy") for r in found.records if (r.label, r.grid) == group] for group in groups]
    assert [list(y) for y in data["y"]] == expected
    assert layout["shapes"][0]["y0"] == found.floors["energy"][0]
    assert not errors.buttons[0].args[1]["shapes"]
    steps = next(button for button in costs.buttons if button.label == "against steps")
    assert [list(x) for x in steps.args[0]["x"]] == [[5, 10]] * 6


def test_only_samplers_with_such_an_error_are_in_its_legend_each_once(found):
    figure = plotting.interactive.work_precision(found)
    named = [trace.name for trace in figure.data if trace.visible and trace.showlegend]
    assert named == ["DDIM", "2M"]
    button = figure.layout.updatemenus[0].buttons[1].args[0]
    shown = [trace.name for trace, ok, row in zip(figure.data, button["visible"], button["showlegend"], strict=True)
             if ok and row]  # fmt: skip
    assert shown == ["DDIM", "2M", "SDE"]
    dashes = {trace.customdata[0][1]: trace.line.dash for trace in figure.data}
    assert all(f"{dash}: {grid}" in figure.layout.title.text for grid, dash in dashes.items())


def test_axes_are_labelled_by_what_was_measured_in_whole_numbers(found):
    """Digits between powers of ten, "2 5", could be read as evaluations; a format makes them full numbers."""
    figure = plotting.interactive.work_precision(found)
    assert list(figure.layout.xaxis.tickvals) == [5, 10]
    assert figure.layout.xaxis.tickformat == figure.layout.yaxis.tickformat == "~g"
    seconds = next(b for b in figure.layout.updatemenus[1].buttons if b.label == "against seconds").args[1]
    assert (seconds["xaxis.tickmode"], seconds["xaxis.tickvals"]) == ("auto", None)


def test_the_page_holds_the_data_and_needs_no_network(found, tmp_path):
    path = plotting.interactive.write_html(plotting.interactive.work_precision(found), tmp_path / "page.html")
    page = path.read_text(encoding="utf-8")
    tags = re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", page[:2000] + page[-40000:])
    assert tags
    assert not any("src" in tag or "href" in tag for tag in tags)
    assert len(page) > 1e6  # the library itself
    assert "height:95vh" in page
    assert '"responsive": true' in page
    assert all(json.dumps(name) in page for name in ("DDIM", "karras"))
    assert "two modes" in page
    assert repr(found.records[0].error("rms")) in page
    assert list(tmp_path.iterdir()) == [path]


def test_pages_repeat_byte_for_byte(found, tmp_path):
    pages = [
        plotting.interactive.write_html(plotting.interactive.work_precision(found), tmp_path / name).read_bytes()
        for name in ("a.html", "b.html")
    ]
    assert pages[0] == pages[1]


def test_without_plotly_the_message_names_the_extra(found, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(ImportError, match=r"numdiff\[interactive\]"):
        plotting.interactive.work_precision(found)


@pytest.mark.parametrize("draw", [plotting.work_precision, plotting.interactive.work_precision])
def test_bad_input(found, draw):
    for wrong in ({"error": "W2"}, {"against": "money"}, {"tags": ("slow",)}):
        with pytest.raises(ValueError, match="unknown"):
            draw(found, **wrong)
    with pytest.raises(TypeError, match="diagram must be a numdiff"):
        draw(3)


def test_slopes_that_are_no_numbers_are_refused(found):
    for wrong in (3, ("a",)):
        with pytest.raises(TypeError, match="slopes must be a sequence of orders"):
            plotting.work_precision(found, slopes=wrong)
        with pytest.raises(TypeError, match="slopes must be a sequence of orders"):
            plotting.order_plot({}, slopes=wrong)


def test_a_page_that_cannot_be_written_says_where(found, tmp_path):
    with pytest.raises(OSError, match="cannot be written"):
        plotting.interactive.write_html(plotting.interactive.work_precision(found), tmp_path)
