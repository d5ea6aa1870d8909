"""Figures: what is drawn, in what, and that nothing global changes."""

import sys

import matplotlib as mpl
import numpy as np
import pytest

from numdiff import plotting

X, Y = np.linspace(-2, 1, 30), np.linspace(-1, 1, 20)
INSIDE = (X + 1) ** 2 + Y[:, np.newaxis] ** 2 < 0.5
ERRORS = {"a": ([10, 20, 40], [1e-2, 2.5e-3, 6e-4]), "b": ([10, 20, 40], [np.nan, 0.0, 1e-5])}


def test_region_is_filled_and_outlined():
    ax = plotting.stability_region(X, Y, INSIDE, label="disc")
    assert ax.get_xlabel() == r"$\mathrm{Re}\,z$"
    assert ax.get_ylabel() == r"$\mathrm{Im}\,z$"
    assert len(ax.collections) == 2
    outline = np.concatenate([p.vertices for p in ax.collections[1].get_paths()])
    # the boundary lies within one cell, 0.1, of the circle
    assert np.abs(np.hypot(outline[:, 0] + 1, outline[:, 1]) - np.sqrt(0.5)).max() < 0.1
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["disc"]


def test_regions_differ_in_more_than_colour():
    ax = plotting.stability_regions(X, Y, {str(k): INSIDE for k in range(4)})
    lines = ax.get_legend().get_lines()
    assert len({line.get_color() for line in lines}) == 4
    assert len({line.get_linestyle() for line in lines}) == 4


def test_empty_and_full_regions_draw():
    for inside in (np.zeros_like(INSIDE), np.ones_like(INSIDE)):
        plotting.stability_region(X, Y, inside).figure.canvas.draw()


def test_order_plot_leaves_out_what_a_logarithm_cannot_show():
    ax = plotting.order_plot(ERRORS, slopes=(2,))
    a, b, slope = ax.get_lines()
    assert a.get_xdata().tolist() == [10, 20, 40]
    assert b.get_ydata().tolist() == [1e-5]
    assert ax.get_xscale() == ax.get_yscale() == "log"
    x, y = slope.get_data()
    assert np.log(y[1] / y[0]) / np.log(x[1] / x[0]) == pytest.approx(-2)
    assert (x[0], y[0]) == (10, 1e-2)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["10", "20", "40"]


def test_error_against_nfe():
    assert plotting.error_against_nfe(ERRORS).get_xlabel() == "model evaluations"
    assert plotting.error_against_nfe(ERRORS, xlabel="seconds").get_xlabel() == "seconds"


def test_locus_has_one_line_per_branch():
    ax = plotting.boundary_locus(np.exp(1j * np.linspace(0, 6, (50)))[np.newaxis] * np.ones((2, 1)), label="two")
    assert len([line for line in ax.get_lines() if len(line.get_xdata()) == 50]) == 2


def test_image_grid_shows_every_pixel():
    images = np.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4)
    ax = plotting.image_grid(images, rows=["r", "s"], columns=list("abc"))
    shown = ax.images[0].get_array().filled(np.nan)
    assert shown.shape == (2 * 5, 3 * 5)
    np.testing.assert_array_equal(shown[5:9, 10:14], images[1, 2])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["r", "s"]


def test_given_axes_and_styles_are_used():
    ax = plotting.new_axes()
    assert plotting.stability_region(X, Y, INSIDE, ax, color="red") is ax
    assert mpl.colors.to_hex(ax.collections[1].get_edgecolor()[0]) == "#ff0000"


def test_files_repeat_byte_for_byte(tmp_path):
    ax = plotting.order_plot(ERRORS)
    first = [path.read_bytes() for path in plotting.save(ax, tmp_path / "a")]
    second = [path.read_bytes() for path in plotting.save(ax, tmp_path / "b")]
    assert [len(x) > 0 for x in first] == [True] * 3
    assert first == second


def test_pyplot_stays_out_of_it():
    before = mpl.rcParams.copy()
    plotting.save(plotting.stability_region(X, Y, INSIDE), "unused", formats=())
    assert mpl.rcParams == before
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plotting.stability_region(X, Y, INSIDE.T), r"shape \(20, 30\)"),
        (lambda: plotting.stability_region(X[:1], Y, INSIDE), "x must be one-dimensional"),
        (lambda: plotting.order_plot({"a": ([1, 2], [1.0])}), "one length"),
        (lambda: plotting.image_grid(np.zeros((3, 8, 8))), "images must have shape"),
        (lambda: plotting.image_grid(np.zeros((2, 3, 8, 8)), rows=["a"]), "2 labels or none"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
