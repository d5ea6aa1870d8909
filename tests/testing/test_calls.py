"""The lines of a failure can be pasted: they fail again in the same way, and certify finds what they promise."""

import json
import re
import shlex
from itertools import pairwise

import numpy as np
import pytest

import numdiff
from numdiff import cli, testing
from numdiff.certification.measure import Layout
from numdiff.certification.own import of_method
from numdiff.certification.subject import Setting
from numdiff.problems.paths import toys

FEW = (32, 48, 64)
HOW = {"prediction": "noise", "scale": "edm", "time": "sigma"}


def euler(model, x, ts):
    for s, t in pairwise(ts):
        x = x + (t - s) * model(x, s)
    return x


def failed(assertion):
    with pytest.raises(AssertionError) as caught:
        assertion()
    return str(caught.value)


CALLS = {
    "errors": (lambda n: 1 / n, 2, {"tolerance": 0.2, "at_least": True, "steps": FEW}),
    "function": (euler, 3, {"layout": "random", "seed": 4, "tolerance": 0.5, "steps": FEW, **HOW}),
    "variable": (euler, 3, {"layout": Layout("alternating", "karras"), "at_least": True, "steps": FEW, **HOW}),
    "path": (euler, 3, {"path": toys((-1.0, 2.0)), "norm": "max", "steps": FEW, **HOW}),
    "setting": ("numdiff:ab1", 2, {"setting": Setting(precision="shipped"), "steps": FEW}),
    "noise": ("numdiff:ab1", 2, {"setting": Setting(noise=np.zeros), "steps": FEW}),
    "options": ("numdiff:ab2", 3, {"scale": "edm", "steps": FEW}),
    "method": (numdiff.AdamsBashforth(2), 3, {"start": "runge-kutta", "steps": FEW}),
    "subject": (of_method("ab1"), 2, {"steps": FEW}),
}


def scope(case):
    """The names where the assertion stands."""
    sampler, _, options = CALLS[case]
    return {"numdiff": numdiff, "np": np, "sampler": sampler, "euler": euler, **testing.__dict__, **options}


@pytest.mark.parametrize("case", CALLS)
def test_again_fails_again_in_the_same_words(case):
    sampler, order, options = CALLS[case]
    text = failed(lambda: testing.assert_order(sampler, order, **options))
    (again,) = re.findall(r"^again: (.*)$", text, re.MULTILINE)
    assert failed(lambda: eval(again, scope(case))) == text
    assert text.partition("next, ")[0].count("seed ") <= 1


@pytest.mark.parametrize("case", ["function", "options", "method", "subject"])
def test_next_looks_for_the_cause_of_the_same_thing(case, capsys, monkeypatch):
    seen = []
    monkeypatch.setattr(numdiff.certification, "certify", lambda *given, **asked: seen.append((given, asked)))
    sampler, order, options = CALLS[case]
    text = failed(lambda: testing.assert_order(sampler, order, **options))
    remedy = re.findall(r"^next, for the cause: (.*)$", text, re.MULTILINE)[0]
    for call in remedy.split(", or "):
        if call.startswith("numdiff certify"):
            cli.main(shlex.split(call)[1:])
        else:
            eval(call, scope(case))
    assert len(seen) == 1 + (case == "function")
    for (subject, *claim), asked in seen:
        assert (claim or [subject.order]) == [order]
        assert asked["steps"] == FEW
        wanted = testing.subject_of(sampler, **{key: options[key] for key in options if key in (*HOW, "start")})
        assert (subject.prediction, subject.scale) == (wanted.prediction, wanted.scale)
        if "seed" in options:
            assert (asked["patterns"], asked["seed"]) == (("random",), 4)


@pytest.mark.slow
def test_the_command_refutes_what_the_assertion_refuted(capsys):
    text = failed(lambda: testing.assert_order("numdiff:ab1", 2, steps=FEW))
    command = re.findall(r"^next, for the cause: numdiff (.*)$", text, re.MULTILINE)[0]
    assert cli.main([*shlex.split(command), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "refuted"
