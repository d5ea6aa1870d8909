"""The page of `numdiff.testing` runs as printed; hypothesis is optional and its settings are ours."""

import ast
import importlib
import inspect
import re
import sys
import textwrap

import pytest

import numdiff as nd
from numdiff import testing
from numdiff.testing import integrals, orders, samples, subjects


def test_the_page_runs_as_printed():
    blocks = re.findall(r"code-block:: python\n\n(.*?)\n(?=\S)", testing.__doc__, re.DOTALL)
    assert len(blocks) == 1
    scope: dict = {"__name__": "page"}
    exec(compile(textwrap.dedent(blocks[0]), "numdiff.testing", "exec"), scope)
    tests = [value for name, value in scope.items() if name.startswith("test_")]
    assert len(tests) == 4
    for test in tests:
        test()


def test_everything_named_is_there():
    assert nd.testing is testing
    for name in testing.__all__:
        assert getattr(testing, name) is not None
        assert name in dir(testing)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        testing.nonsense  # noqa: B018


def test_assertions_do_without_hypothesis_and_strategies_say_what_is_missing(monkeypatch):
    for module in (integrals, orders, samples, subjects, testing):
        heads = [node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.ImportFrom)]
        assert not any("hypothesis" in node.module or "strategies" in node.module for node in heads)
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.delitem(sys.modules, "numdiff.testing._hypothesis")
    with pytest.raises(ModuleNotFoundError, match=r"need hypothesis; pip install 'numdiff\[testing\]'"):
        importlib.import_module("numdiff.testing._hypothesis")


def test_profiles():
    try:
        assert not testing.profile("explore", max_examples=7).derandomize
        assert testing.profile("thorough").max_examples == 1000
    finally:
        ours = testing.profile("ci")
    assert ours.derandomize
    assert (ours.deadline, ours.max_examples) == (None, 40)
