"""Certificates on disk and on paper: nothing is lost, nothing damaged is read, nothing that others wrote formats."""

import json
import math
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numdiff.certification import documents
from numdiff.certification.certificate import VERDICTS, Certificate, Experiment
from numdiff.certification.pages import WIDTH, order
from numdiff.properties.order.regression import OrderEstimate, observed

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
NAMES = st.text(max_size=20)
WINDOWS = st.none() | st.tuples(st.integers(1, 99), st.integers(100, 999))
ESTIMATES = st.builds(
    OrderEstimate,
    slope=NUMBERS,
    interval=st.tuples(NUMBERS, NUMBERS),
    window=WINDOWS,
    floor=NUMBERS,
    cause=NAMES,
    steps=st.lists(st.integers(1, 1000), max_size=4).map(tuple),
    errors=st.lists(NUMBERS, max_size=4).map(tuple),
)
EXPERIMENTS = st.builds(Experiment, name=NAMES, what=NAMES, estimate=st.none() | ESTIMATES, failure=NAMES)
CERTIFICATES = st.builds(
    Certificate,
    subject=NAMES,
    claim=st.none() | st.integers(1, 9),
    kind=st.sampled_from(["flow", "weak"]),
    path=NAMES,
    experiments=st.lists(EXPERIMENTS, max_size=3).map(tuple),
    verdict=st.sampled_from(sorted(VERDICTS)),
    cause=st.text(max_size=300),
    versions=st.dictionaries(NAMES, NAMES, max_size=3),
    notes=st.lists(NAMES, max_size=2).map(tuple),
    seconds=st.floats(min_value=0, allow_nan=False),
)


def estimate(order=2, cause="", last=384):
    """What `observed` makes of errors of that order with a second term."""
    return replace(observed(lambda n: n**-order * (1 + 1 / n), (24, 48, 96, last)), cause=cause)


def certificate(**changes):
    experiments = (
        Experiment("exact start", "uniform steps, exact start", estimate(3)),
        Experiment("as shipped", "uniform steps, its own start", estimate(2, "still drifting")),
        Experiment("alternating", "alternating steps", failure="raised at N = 24: ValueError: no"),
    )
    usual = {
        "cause": "its start has order 1",
        "versions": {"numdiff": "1.0", "numpy": "2.0"},
        "notes": ("no clipping",),
    }
    return replace(Certificate("lab:mine", 3, "flow", "toys", experiments, "conditional", ""), **usual | changes)


# --- JSON -------------------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(st.lists(CERTIFICATES, max_size=2), st.dictionaries(NAMES, st.integers() | NAMES, max_size=2))
def test_what_is_written_is_read(certificates, conditions):
    """repr tells every float from every other, -0.0 from 0.0 too, and finds NaN equal to itself."""
    text = documents.dumps(certificates, conditions)
    found = documents.opened(text)
    assert repr(found) == repr((conditions, certificates))
    for one in certificates:
        plain = json.loads(json.dumps(documents.document(one), allow_nan=False))
        assert repr(documents.certificate(plain)) == repr(one)


def test_numbers_are_numbers_and_what_is_none_is_null():
    nothing = OrderEstimate(math.nan, (math.nan, math.inf), None, 0.1, "", (1, 2), (math.inf, 1e-300))
    made = documents.document(certificate(experiments=(Experiment("a", "b", nothing),)))
    found = made["experiments"][0]["estimate"]
    assert found["slope"] is None
    assert found["interval"] == [None, {"float": "inf"}]
    assert found["window"] is None
    assert found["errors"] == [{"float": "inf"}, 1e-300]
    assert (made["format"], made["version"]) == (documents.FORMAT, documents.VERSION)


def test_a_file_is_read_back_and_nothing_else_lies_beside_it(tmp_path):
    made = [certificate(), certificate(subject="lab:yours")]
    documents.write(tmp_path / "a.json", made)
    assert documents.read(tmp_path / "a.json") == made
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("cut", [0, 1, 200, -3])
def test_a_file_that_was_cut_is_refused_by_name(cut, tmp_path):
    text = documents.dumps([certificate()])
    (tmp_path / "cut.json").write_text(text[:cut])
    with pytest.raises(ValueError, match=r"cut\.json: the text is not JSON"):
        documents.read(tmp_path / "cut.json")


def test_an_edited_number_is_noticed():
    text = documents.dumps([certificate(claim=3)])
    edited = text.replace('"claim": 3', '"claim": 2')
    assert edited != text
    with pytest.raises(ValueError, match="checksum does not fit"):
        documents.loads(edited)


WRONG = {
    "version": ({"version": 2}, "version must be one of 1, got 2"),
    "format": ({"format": "numdiff scheme"}, "format must be one of 'numdiff certificates', got 'numdiff scheme'"),
    "verdict": ({"verdict": "perfect"}, "verdict must be one of 'certified'"),
    "claim": ({"claim": 2.5}, "claim must be of type int, got 2.5"),
    "truth": ({"claim": True}, "claim must be of type int, got True"),
    "seconds": ({"seconds": "3"}, "seconds must be a number"),
    "versions": ({"versions": {"numpy": 2}}, r"versions.numpy must be of type str, got 2"),
    "experiments": ({"experiments": {}}, "experiments must be an array"),
    "unknown": ({"colour": "red"}, "key 'colour' is unknown"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_document_that_is_none_is_refused_with_the_place(case):
    changes, message = WRONG[case]
    with pytest.raises(ValueError, match=re.escape(message)):
        documents.certificate(documents.document(certificate()) | changes)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("interval", [1.0], "experiments[0].estimate.interval must have 2 entries, got [1.0]"),
        ("window", [1.5, 2], "experiments[0].estimate.window[0] must be of type int, got 1.5"),
        ("errors", [{"float": "big"}], "experiments[0].estimate.errors[0] must be a number"),
    ],
)
def test_a_wrong_estimate_is_refused_with_the_place(place, value, message):
    made = documents.document(certificate())
    made["experiments"][0]["estimate"][place] = value
    with pytest.raises(ValueError, match=re.escape(message)):
        documents.certificate(made)


def test_a_missing_key_is_named():
    made = documents.document(certificate())
    del made["experiments"][1]["what"]
    with pytest.raises(ValueError, match=r"key 'what' of experiments\[1\] is missing"):
        documents.certificate(made)
    with pytest.raises(ValueError, match="key 'format' is missing; this is no document of numdiff certificates"):
        documents.certificate({})
    with pytest.raises(ValueError, match=r"the document must be an object, got \[\]"):
        documents.loads("[]")
    with pytest.raises(TypeError, match="text must be a JSON string, got bytes"):
        documents.loads(b"")


def test_a_field_of_another_type_is_not_written():
    with pytest.raises(TypeError, match=r"certificate\.claim must be int, got '3'"):
        documents.document(certificate(claim="3"))


# --- pages ------------------------------------------------------------------------------------------------------------


@given(st.floats(0.1, 9), st.floats(0, 3))
def test_an_uncertainty_is_never_written_as_smaller_than_it_is(slope, half):
    shown = order(OrderEstimate(slope, (slope - half, slope + half), (1, 2), 0.0, "", (1, 2, 3), (1.0, 1.0, 1.0)))
    value, width = map(float, shown.split(" ± "))
    assert abs(value - slope) <= 0.005 + 1e-9  # rounded to two decimals
    assert half - 1e-6 <= width <= half + 0.01 + 1e-6  # 1e-6: slope + half - slope is half up to rounding


def test_what_is_no_order_is_a_dash():
    exact = observed(lambda n: 0.0, (10, 20, 40))
    assert not exact.defined
    assert order(exact) == order(None) == "-"


def test_a_line_through_errors_that_follow_no_power_is_no_order():
    wild = observed(lambda n: 10.0 ** -(n % 7), (10, 20, 40, 80, 160))
    assert wild.irregular
    assert order(wild) == "irregular"
    made = certificate(experiments=(Experiment("exact start", "", wild),))
    assert f"{wild.slope:.2f} ±" not in documents.text(made) + documents.markdown([made])
    close = replace(wild, slope=2.0, interval=(1.8, 2.2))
    assert order(close) == f"{order(replace(close, irregular=False))}, irregular" == "2.00 ± 0.20, irregular"


def cells(line):
    """The cells of a row as GitHub reads them: bars behind a backslash are text."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_breaks_out_of_its_cell(name, cause):
    page = documents.markdown([certificate(subject=name, cause=cause), certificate()])
    head, rule, first, second, empty, *_ = page.split("\n")
    assert len(cells(head)) == len(cells(rule)) == len(cells(first)) == len(cells(second)) == 7
    assert empty == ""
    assert cells(second)[:6] == ["`lab:mine`", "3", order(estimate(3)), order(estimate(2)), "-", "conditional"]


def test_text_of_others_formats_nothing():
    page = documents.markdown([certificate(cause="w_1 * w_2 is <b> `half` | \\[x] and _so_ on\nand on")])
    expected = r"w_1 \* w_2 is \<b\> \`half\` \| \\\[x\] and \_so\_ on and on"
    assert cells(page.split("\n")[2])[-1] == expected


def test_the_table_explains_its_verdicts_and_names_the_versions():
    made = [certificate(), certificate(verdict="refuted", versions={"numpy": "2.0", "diffusers": "0.40"})]
    page = documents.markdown(made)
    for verdict, meaning in VERDICTS.items():
        assert (f"- **{verdict}**: {meaning}" in page) == (verdict in ("conditional", "refuted"))
    assert "Versions: diffusers 0.40, numdiff 1.0, numpy 2.0." in page


def test_columns_of_other_patterns_come_with_their_experiments():
    more = certificate(experiments=(*certificate().experiments, Experiment("random", "", estimate(1))))
    head, _, first, second, *_ = documents.markdown([certificate(), more]).split("\n")
    experiments = ["exact start", "as shipped", "alternating", "random"]
    assert cells(head) == ["sampler", "claim", *experiments, "verdict", "cause"]
    assert (cells(first)[5], cells(second)[5]) == ("", order(estimate(1)))
    assert "random" not in documents.markdown([certificate()])


def test_an_empty_table_is_a_table():
    assert documents.markdown([]).startswith("| sampler | claim |")
    assert documents.overview([]).startswith("sampler  claim")


@pytest.mark.parametrize("show", [documents.text, lambda one: documents.overview([one])])
def test_a_terminal_gets_lines_that_fit_and_all_that_is_known(show):
    cause = "the weight of the second difference is half of what it should be, " * 4
    shown = show(certificate(cause=cause, claim=None, kind="weak"))
    assert max(map(len, shown.split("\n"))) <= WIDTH
    assert " ".join(cause.split()) in " ".join(shown.split())
    for part in ("lab:mine", "conditional", VERDICTS["conditional"], order(estimate(3)), "numpy 2.0"):
        assert part in " ".join(shown.split())


def test_one_certificate_shows_every_experiment_with_its_numbers():
    made = certificate()
    shown = documents.text(made)
    assert shown.startswith("lab:mine: order 3 claimed; conditional\n")
    for one in made.experiments:
        (line,) = (line for line in shown.split("\n") if line.startswith(f"{one.name} "))
        if one.estimate is not None:
            low, high = one.estimate.interval
            assert f"{low:.3f} to {high:.3f}" in line
            assert "24 to 384" in line
            assert f"{one.estimate.floor:.1e}" in line
        for said in (one.what, one.failure):
            assert said in shown
    assert "still drifting" in shown
    assert "note: no clipping" in shown
