"""The stored certificates, and what the Certify pages make of them."""

import re
import warnings
from collections import Counter
from html import unescape

import pytest

from book.tools import certificates
from book.tools.results import stored
from numdiff.adapters.subjects import resolve
from numdiff.certification import NotASamplerError
from numdiff.certification.certificate import VERDICTS
from numdiff.certification.experiments import TOLERANCE

FOUND = stored("certificates")
ROWS = [row for one in FOUND.values() for row in one["rows"]]
ROUNDED = 0.005


def text(html):
    return unescape(re.sub(r"<[^>]+>", " ", html))


def test_stored_verdicts_follow_from_stored_orders_by_the_rule_on_the_page():
    for row in ROWS:
        if row["verdict"] == "observed" or row["verdict"] == "no order":
            assert row["claim"] is None or not certificates.seen(row)
            continue
        low = [order < row["claim"] - TOLERANCE - ROUNDED for order, _ in certificates.seen(row)]
        if row["verdict"] == "certified":
            assert not any(low), row["sampler"]
        elif row["verdict"] == "refuted":
            assert low[0], row["sampler"]
        elif row["verdict"] == "conditional" and not low[0]:
            unclear = "irregular" in row["orders"]
            assert any(low) or unclear or "own start and end" in row["cause"], row["sampler"]


def test_every_conditional_row_is_listed_under_a_reason_that_its_diagnosis_gives():
    for row in certificates.having(ROWS, "conditional"):
        assert certificates.kinds(row), row
        for kind in certificates.kinds(row):
            assert any(words in row["cause"] for words in certificates.KINDS[kind])


@pytest.mark.parametrize("package", FOUND)
def test_a_page_names_every_sampler_and_the_sentences_name_every_one_that_falls_short(package):
    rows = FOUND[package]["rows"]
    page, said = text(certificates.html(package, FOUND[package])), text(certificates.summary(rows))
    for row in rows:
        assert certificates.name(row) in page
        assert row["cause"] in page
        if row["verdict"] in ("refuted", "undecided", "observed"):
            assert certificates.name(row) in said
    counted = Counter(row["verdict"] for row in rows)
    measured = len(rows) - counted["no order"]
    assert f"{counted['certified']} of the {measured} that can be measured are certified" in said
    overview = text(certificates.overview({package: FOUND[package]})).split()
    assert [int(word) for word in overview[-len(VERDICTS) :]] == [counted[verdict] for verdict in VERDICTS]


def test_cases_of_the_rule_are_what_they_are_said_to_be():
    for row in certificates.narrow(ROWS):
        assert row["verdict"] == "certified"
        assert min(order + half for order, half in certificates.seen(row)) < row["claim"]
    for row in certificates.wide(ROWS):
        assert row["verdict"] == "conditional"
        assert any(order + half >= row["claim"] > order + TOLERANCE for order, half in certificates.seen(row))
    assert "Of no certified samplers" in text(certificates.rule([]))


@pytest.mark.slow
def test_stored_claims_are_those_of_the_installed_samplers():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations of the packages' own dependencies, at their import only
        for row in ROWS:
            try:
                subject = resolve(row["sampler"])
            except (NotASamplerError, ValueError):
                assert row["claim"] is None or row["sampler"].startswith("numdiff:")
                continue
            assert (subject.name, subject.order) == (row["sampler"], row["claim"])
