"""Diagrams as values: filters, rankings, means, tables, curves and documents."""

import json
from math import inf

import pytest

import numdiff as nd
from numdiff.work_precision import Diagram, LeftOut, Record, average, read


def record(label, grid, steps, nfe, rms, se=None, tags=()):
    return Record(label, tuple(tags), grid, steps, nfe, 0.1 * nfe, 0.05 * nfe, None, {"rms": (rms, se)})


RECORDS = (
    record("a", "x", 5, 5, 0.5, 0.01, ("multistep", "noise")),
    record("a", "y", 5, 5, 0.4, 0.02, ("multistep", "noise")),
    record("a", "x", 10, 10, 0.1, 0.01, ("multistep", "noise")),
    record("b", "x", 2, 4, 0.3, None, ("one-step", "noise")),
    record("b", "x", 5, 10, inf, None, ("one-step", "noise")),
    Record("c", ("stochastic",), "x", 5, 5, None, None, None, {"energy": (0.2, 0.1)}),
)
WHOLE = Diagram(
    "toy",
    ("rms", "energy"),
    "nfe",
    (5, 10),
    "nfe",
    RECORDS,
    {"energy": (0.15, 0.01)},
    (LeftOut("c", "", 0, "rms: noise"),),
    {"points": 3, "span": [-1.0, 3.0]},
)


def test_filters():
    assert WHOLE.labels == ("a", "b", "c")
    assert WHOLE.tags == ("multistep", "noise", "one-step", "stochastic")
    assert WHOLE.filter(tags=("noise",)).labels == ("a", "b")
    assert WHOLE.filter(tags="noise", without="one-step").labels == ("a",)
    assert WHOLE.filter(labels=("c",)).left_out == WHOLE.left_out
    assert WHOLE.filter(labels=("a",)).left_out == ()


def test_a_budget_is_filled_and_then_the_best_grid_taken():
    assert [(r.label, r.grid, r.nfe) for r in WHOLE.best(9)] == [("b", "x", 4), ("a", "y", 5)]
    assert [(r.label, r.nfe) for r in WHOLE.best(10)] == [("a", 10), ("b", 10)]  # 4 evaluations of b were better
    assert [r.label for r in WHOLE.best(5, "energy")] == ["c"]
    assert WHOLE.best(3) == ()


def test_curves():
    a, b = WHOLE.series("rms")
    assert [(r.grid, r.nfe) for r in a.records] == [("y", 5), ("x", 10)]
    assert [r.nfe for r in b.records] == [4]  # an infinite error has no place in a plot
    assert [s.name for s in WHOLE.series("rms", grids="each")] == ["a, x", "a, y", "b, x"]
    assert WHOLE.series("energy", "seconds") == ()  # it was not timed


def test_the_table():
    lines = WHOLE.table().splitlines()
    assert lines[0] == "Root mean square error at the end on toy, best of 2 grids, by model evaluations:"
    assert lines[2:] == [
        "| sampler | 5 | 10 |",
        "| --- | --- | --- |",
        "| a | 0.4 ± 0.02 | 0.1 ± 0.01 |",
        "| b | 0.3 | inf |",
        "| c |  |  |",
    ]
    assert "| *two exact samples* | 0.15 ± 0.01 | 0.15 ± 0.01 |" in WHOLE.table("energy")


def test_means_are_geometric_over_what_all_have():
    other = Diagram("two", WHOLE.errors, "nfe", (5, 10), "nfe", (record("a", "y", 5, 5, 0.1, 0.02),))
    (mean,) = average([WHOLE, other], "both").records
    value, error = mean.errors["rms"]
    assert value == pytest.approx(0.2)
    # logarithms: half the root of 0.05^2 + 0.2^2
    assert error == pytest.approx(0.2 * 0.5 * (0.05**2 + 0.2**2) ** 0.5)
    assert average([WHOLE, WHOLE], "same").records[4].errors["rms"] == (inf, None)


def test_a_document_reads_back_equal():
    assert read(WHOLE.document()) == WHOLE
    methods = {"a": nd.DDIM(), "b": nd.SDEDPMSolverPP(2)}
    problem = nd.problems.mixtures()["two-modes"]
    made = nd.work_precision.diagram(methods, problem, steps=(3, 6), errors=("rms", "energy"), points=6, repeats=2)
    assert read(made.document()) == made


def damaged(**changes):
    return json.dumps(json.loads(WHOLE.document()) | changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("{}", "'format' is missing"),
        (damaged(version=2), "version"),
        (damaged(by="time"), "by"),
        (damaged(against="money"), "against"),
        (damaged(errors=["rsm"]), "errors must be some of"),
        (damaged(records=[{"label": "a"}]), "not those of a diagram"),
        (damaged(records=3), "not those of a diagram"),
        (damaged(extra=1), "extra"),
    ],
)
def test_damaged_documents_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        read(text)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: WHOLE.filter(tags=("noisy",)), "did you mean 'noise'"),
        (lambda: WHOLE.filter(without=("noisy",)), "unknown tag"),
        (lambda: WHOLE.filter(labels=("d",)), "unknown label"),
        (lambda: WHOLE.best(5, "W2"), "unknown error 'W2'"),
        (lambda: WHOLE.series("rms", "nef"), "did you mean 'nfe'"),
        (lambda: WHOLE.series(grids="all"), "unknown grids"),
        (lambda: average([], "x"), "at least one"),
        (lambda: average([WHOLE, Diagram("t", ("rms",), "nfe", (5,), "nfe", ())], "x"), "same errors"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_bad_input_is_refused_in_the_callers_terms():
    for call, message in (
        (lambda: WHOLE.filter(tags=3), "tags must be a name or a sequence of names"),
        (lambda: WHOLE.filter(labels=(3,)), "labels must be a name or a sequence of names"),
        (lambda: average(3, "both"), "diagrams must be a list of"),
        (lambda: average([3], "both"), "diagrams must be a list of"),
    ):
        with pytest.raises(TypeError, match=message):
            call()
    with pytest.raises(ValueError, match="nfe must be a whole number of at least 1, got 'a'"):
        WHOLE.best("a")
