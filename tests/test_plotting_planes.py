"""Curves, order stars, parameter planes and figures with several axes."""

import matplotlib as mpl
import numpy as np
import pytest

from numdiff import plotting

X, Y = np.linspace(-2, 2, 41), np.linspace(-1.5, 1.5, 31)
STAR = np.real((X + 1j * Y[:, np.newaxis]) ** 3)


def test_figure_makes_axes_outside_pyplot():
    axes = plotting.figure(2, 3, 6, 4, sharey=True)
    assert axes.shape == (2, 3)
    assert {ax.figure for ax in axes.flat} == {axes[0, 0].figure}
    assert axes[0, 0].figure.get_size_inches().tolist() == [6, 4]
    assert plotting.figure()[0, 0].figure is not axes[0, 0].figure


def test_save_takes_a_figure_or_axes(tmp_path):
    ax = plotting.curves({"a": ([0, 1], [1, 2])}, xlabel="x", ylabel="y")
    (one,) = plotting.save(ax, tmp_path / "axes", ["svg"])
    (two,) = plotting.save(ax.figure, tmp_path / "figure", ["svg"])
    assert one.read_bytes() == two.read_bytes()


def test_curves_differ_in_colour_line_and_marker():
    lines = {f"c{k}": ([1, 2, 3], [k, k + 1, k]) for k in range(6)}
    ax = plotting.curves(lines, xlabel="step length", ylabel="gain", markers=True)
    drawn = ax.get_lines()
    for what in ("get_color", "get_linestyle", "get_marker"):
        assert len({str(getattr(line, what)()) for line in drawn}) >= 4
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step length", "gain")
    assert [t.get_text() for t in ax.get_legend().get_texts()] == list(lines)
    assert all(line.get_marker() == "None" for line in plotting.curves(lines, xlabel="", ylabel="").get_lines())


def test_curves_leave_gaps_where_there_is_nothing_to_show():
    ax = plotting.curves({"_hidden": ([0, 1, 2, 3], [1, 0, np.nan, 4])}, xlabel="", ylabel="", logx=True, logy=True)
    (line,) = ax.get_lines()
    assert np.isnan(line.get_ydata()).tolist() == [True, True, True, False]
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert ax.get_legend() is None


def test_order_star_is_grey_where_the_method_grows():
    ax = plotting.order_star(X, Y, STAR, label="three sectors")
    filled, outline = ax.collections
    greys = [mpl.colors.to_rgb(c)[0] for c in filled.get_facecolor()]
    assert greys[0] - greys[1] > 0.2  # white and grey stay apart in print
    vertices = np.concatenate([p.vertices for p in outline.get_paths()])
    value = np.real((vertices[:, 0] + 1j * vertices[:, 1]) ** 3)
    assert np.abs(value).max() < 0.1  # linear interpolation in cells of width 0.1, second derivatives below 15
    assert ax.get_title() == "three sectors"
    assert ax.get_xlabel() == r"$\mathrm{Re}\,z$"


@pytest.mark.parametrize("values", [np.full_like(STAR, -np.inf), np.ones_like(STAR)])
def test_order_stars_of_one_colour_draw(values):
    plotting.order_star(X, Y, values).figure.canvas.draw()


def test_plane_regions():
    inside = X + 0 * Y[:, np.newaxis] < 0
    ax = plotting.plane_regions(
        X, Y, {"left": inside, "all": inside | True}, xlabel="$ch$", ylabel="$dh$", line=(X, -X), line_label="exact"
    )
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$ch$", "$dh$")
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["left", "all", "exact"]
    ax.figure.canvas.draw()
    assert ax.get_xlim() == (-2, 2)
    assert ax.get_ylim() == (-1.5, 1.5)  # the line does not widen the plane
    assert plotting.plane_regions(X, Y, {"": inside}, xlabel="a", ylabel="b").get_legend() is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plotting.order_star(X, Y, STAR.T), r"values must have shape \(31, 41\)"),
        (lambda: plotting.plane_regions(X, Y, {"a": STAR.T > 0}, xlabel="", ylabel=""), "region 'a' must have shape"),
        (lambda: plotting.curves({"a": ([1, 2], [1])}, xlabel="", ylabel=""), "x and y of 'a'"),
        (lambda: plotting.figure(0, 2), "rows must be an int"),
        (lambda: plotting.figure(1, 1.5), "columns must be an int"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
