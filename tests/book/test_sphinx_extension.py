"""What the book's Sphinx extension changes in signatures and docstrings."""

from __future__ import annotations

import pytest

import numdiff as nd

pytestmark = pytest.mark.book  # Sphinx is installed with the book


@pytest.fixture
def numdiff_api():
    from book.tools import numdiff_api

    return numdiff_api


def test_signatures_hide_long_values(numdiff_api):
    """A long default is shown by its name or its ends; short ones and unnamed objects stay."""
    assert numdiff_api.short(nd.DATA_LOG_SNR) == "nd.DATA_LOG_SNR"
    assert numdiff_api.short(nd.optimize.Gaussian().scales) == "(0.03, ..., 3.0)"
    assert numdiff_api.short((1, 2)) is None
    assert numdiff_api.short("x" * 100) is None


def test_names_of_parameters_are_no_links(numdiff_api):
    """In a text on a parameter ``method`` the word is not nd.method."""
    lines = ["`method` and `numdiff.method`, ``method`` and :py:func:`method`"]
    numdiff_api.mark_parameters(None, "function", "f", lambda method: method, None, lines)
    assert lines == ["``method`` and `numdiff.method`, ``method`` and :py:func:`method`"]
