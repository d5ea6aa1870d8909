"""Every public object has a docstring that stands on a page of its own; the examples run by `make doctest`."""

from __future__ import annotations

import importlib
import importlib.util
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


def texts(public):
    """Yield the docstrings of the public objects and of their public members, with names."""
    for objects in public.values():
        for name, value in objects.items():
            members = vars(value).items() if inspect.isclass(value) else ()
            own = {key: part for key, part in members if inspect.isroutine(part) or isinstance(part, property)}
            shown = {name: value} if api.shown_by_identity(value) else {}
            for key, part in shown.items() | {(f"{name}.{k}", p) for k, p in own.items() if not k.startswith("_")}:
                yield key, inspect.getdoc(part) or ""


def test_texts_refer_to_pages(public):
    """No docstring sends readers to "the module", whose head they do not see: it names a module that has a page."""
    vague = re.compile(r"(see|of|in) the (top of the )?module\b|the module's (head|text|formula)")
    found = [name for name, text in texts(public) if vague.search(" ".join(text.split()))]
    assert not found, found
    shown = {page.module for page in api.PAGES} | {f"{m}.{part}" for m, parts in api.PARTS.items() for part in parts}
    named = {name for _, text in texts(public) for name in re.findall(r"`(numdiff(?:\.[a-z_]+)+)`", text)}
    modules = {name for name in named if is_module(name)}
    assert modules
    assert not modules - shown, modules - shown


def is_module(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
