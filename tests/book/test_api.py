"""Every public object has a docstring that stands on a page of its own; the examples themselves run by `make doctest`."""

from __future__ import annotations

import importlib
import inspect
import re

import pytest

from book.tools import api

pytestmark = pytest.mark.slow  # it imports every optional package


@pytest.fixture(scope="module")
def public():
    return api.public()


@pytest.mark.parametrize("page", api.PAGES, ids=lambda page: page.title)
def test_documented(page, public):
    """Classes and functions say in a sentence what they are, name their parameters, and show an example."""
    missing = []
    for name, value in public[page].items():
        if not api.shown_by_identity(value):
            continue
        text = inspect.getdoc(value) or ""
        if not re.match(r"[^\n]+[.:?]", text):
            missing.append(f"{name}: no summary")
        if ">>>" not in text.partition("Examples\n--------\n")[2]:
            missing.append(f"{name}: no example")
        if inspect.isroutine(value) and inspect.signature(value).parameters and "Parameters\n----------\n" not in text:
            missing.append(f"{name}: no parameters")
    assert not missing, missing


def test_every_public_module_has_a_page():
    """What ``import numdiff as nd`` offers by a dot is on a page, or its parts are."""
    import numdiff as nd

    shown = {page.module for page in api.PAGES}
    parts = {"adapters", "symbolic"}  # packages of modules: the first has a page for each, the second is inner
    for name in set(nd._LAZY) - parts:
        assert importlib.import_module(nd._LAZY[name]).__name__ in shown, name


def test_members_of_classes_have_sentences(public):
    """Public methods and properties of public classes say what they are."""
    missing = []
    for objects in public.values():
        for name, value in objects.items():
            if inspect.isclass(value):
                missing += [
                    f"{name}.{key}"
                    for key, member in vars(value).items()
                    if not key.startswith("_") and (inspect.isroutine(member) or isinstance(member, property))
                    if not inspect.getdoc(member)
                ]
    assert not missing, missing
