"""``numdiff certify``: what it prints is what the library says, of anybody's sampler."""

import json
import math
import re
import sys

import pytest

from numdiff import certification
from numdiff.adapters import subjects
from numdiff.certification import documents
from numdiff.certification.certificate import Certificate, Experiment
from numdiff.certification.table import path_named
from numdiff.cli import certify as command
from numdiff.cli import certify_options
from numdiff.properties.order.regression import observed
from tests.commands import answer, run

FEW = ["--steps", "16,24,32,48,64"]
STEPS = (16, 24, 32, 48, 64)

MINE = """
def sample_euler(model, x, sigmas):
    for sigma, after in zip(sigmas[:-1], sigmas[1:]):
        x = x + (x - model(x, sigma * x.new_ones([x.shape[0]]))) / sigma * (after - sigma)
    return x
"""


def fake(subject, order=None, **asked):
    """A certificate of the claim that the subject brings along, confirmed up to order 2, and of what was asked."""
    claim = subject.order if order is None else order
    estimate = observed(lambda n: n**-2.0, asked["steps"] or (10, 20, 40))
    made = (Experiment("exact start", "", estimate), Experiment("as shipped", "", estimate))
    verdict = "observed" if claim is None else "conditional" if claim <= 2 else "refuted"
    asked["path"] = asked["path"].name
    return Certificate(subject.name, claim, "flow", "toys", made, verdict, json.dumps(asked, sort_keys=True))


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("numdiff.certification.certifier.certify", fake)


@pytest.fixture
def three(monkeypatch, quick):
    """A package of three samplers."""
    monkeypatch.setattr(subjects, "names", lambda package: ("ab1", "ab2", "ab3"))


# --- one sampler ------------------------------------------------------------------------------------------------------


def plain(certificate):
    """A certificate without the time that it took, which is never the same."""
    return {name: value for name, value in documents.document(certificate).items() if name != "seconds"}


def test_it_says_what_the_library_says(capsys):
    found = json.loads(answer(capsys, "certify", "numdiff:ab2", *FEW, "--path", "logistic", "--json"))
    alone = certification.certify(subjects.resolve("numdiff:ab2"), path=path_named("logistic"), steps=STEPS)
    assert documents.certificate(found)["exact start"].slope == pytest.approx(2, abs=0.3)
    assert {name: value for name, value in found.items() if name != "seconds"} == plain(alone)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The current folder holds a module with a sampler."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lab_euler.py").write_text(MINE)
    monkeypatch.setitem(sys.modules, "lab_euler", None)  # and nothing is left of it after the test
    monkeypatch.delitem(sys.modules, "lab_euler")
    return "lab_euler:sample_euler"


def test_strict_makes_an_exit_code_of_a_claim_that_does_not_hold(capsys, quick):
    code, out, err = run(capsys, "certify", "numdiff:ab3", "--strict")
    assert (code, err) == (3, "numdiff: 1 of 1 claims do not hold: numdiff:AB3 (refuted)\n")
    assert out.startswith("numdiff:AB3: order 3 claimed; refuted\n")
    for arguments in (["numdiff:ab3"], ["numdiff:ab2", "--strict"]):
        assert run(capsys, "certify", *arguments)[0] == 0


@pytest.mark.slow
def test_a_sampler_of_one_s_own_is_put_to_the_test(capsys, own):
    """Euler's method has order 1, whatever its author says."""
    code, out, _ = run(capsys, "certify", own, "--order", "2", "--strict", *FEW)
    assert code == 3
    assert out.startswith(f"{own}: order 2 claimed; refuted\n")
    assert run(capsys, "certify", own, "--order", "1", "--strict", *FEW)[0] == 0


def test_every_option_reaches_the_library(capsys, quick):
    options = ["--path", "riccati", "--grids", "random,refined", "--seed", 7, *FEW, "--set", "rule=half"]
    found = json.loads(answer(capsys, "certify", "numdiff:dpmpp", *options, "--json"))
    assert json.loads(found["cause"]) == {
        "path": "riccati",
        "patterns": ["random", "refined"],
        "seed": 7,
        "steps": list(STEPS),
    }
    assert found["subject"] == subjects.resolve("numdiff:dpmpp", rule="half").name
    ordered = json.loads(answer(capsys, "certify", "numdiff:dpmpp", "--order", 3, "--json"))
    assert (ordered["claim"], ordered["subject"]) == (3, subjects.resolve("numdiff:dpmpp", order=3).name)


def test_text_and_markdown_are_those_of_the_documents(capsys, quick):
    asked = {"path": path_named("toys"), "patterns": ("alternating",), "seed": 0, "steps": STEPS}
    made = fake(subjects.resolve("numdiff:ab2"), **asked)
    assert answer(capsys, "certify", "numdiff:ab2", *FEW) == f"{documents.text(made)}\n"
    assert answer(capsys, "certify", "numdiff:ab2", *FEW, "--markdown") == documents.markdown([made])


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_the_errors_are_drawn(ending, magic, capsys, quick, tmp_path):
    target = tmp_path / f"order.{ending}"
    out = answer(capsys, "certify", "numdiff:ab2", "--plot", target)
    assert out.endswith(f"\nwrote {target}\n")
    assert target.read_bytes().startswith(magic)
    json.loads(answer(capsys, "certify", "numdiff:ab2", "--plot", target, "--json"))  # and nothing but JSON
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_numbers_are_exact_for_numdiff_and_floats_for_others():
    from fractions import Fraction

    options = certify_arguments("numdiff:hb", "--set", "beta=4/5", "--set", "weights=uniform")
    assert command._settings(options) == {"beta": Fraction(4, 5), "weights": "uniform"}
    options = certify_arguments("lab:it", "--set", "beta=4/5", "--set", "n=3", "--set", "table=none")
    assert command._settings(options) == {"beta": 0.8, "n": 3, "table": None}
    assert type(command._settings(options)["beta"]) is float


def certify_arguments(*arguments):
    from numdiff.cli.parser import build

    return build().parse_args(["certify", *arguments])


# --- many -------------------------------------------------------------------------------------------------------------


def test_a_table_of_a_package_goes_to_standard_output_and_progress_to_standard_error(capsys, three, tmp_path):
    arguments = ["certify", "--all", "numdiff", "--jobs", 1, "--out", tmp_path / "out", *FEW]
    code, out, err = run(capsys, *arguments)
    rows = documents.read(tmp_path / "out" / "certificates.json")
    assert code == 0
    assert [row.subject for row in rows] == [f"numdiff:AB{k}" for k in (1, 2, 3)]
    assert out == f"{documents.overview(rows)}\n"
    assert err.startswith("certifying numdiff ...\n")
    assert "certifying numdiff: done in" in err
    assert run(capsys, *arguments, "--markdown")[1] == (tmp_path / "out" / "certificates.md").read_text()
    assert documents.loads(run(capsys, *arguments, "--json")[1]) == rows


def test_the_table_goes_on_where_it_was_unless_forced(capsys, three, tmp_path, monkeypatch):
    arguments = ["certify", "--all", "numdiff", "--jobs", 1, "--out", tmp_path]
    run(capsys, *arguments)
    made = []
    monkeypatch.setattr(
        "numdiff.certification.certifier.certify", lambda s, **asked: made.append(s) or fake(s, **asked)
    )
    run(capsys, *arguments)
    assert not made
    run(capsys, *arguments, "--force")
    assert [subject.name for subject in made] == ["numdiff:AB1", "numdiff:AB2", "numdiff:AB3"]


def test_an_interrupt_says_how_to_go_on(capsys, three, tmp_path, monkeypatch):
    def stop(subject, **asked):
        if subject.order == 2:
            raise KeyboardInterrupt
        return fake(subject, **asked)

    monkeypatch.setattr("numdiff.certification.certifier.certify", stop)
    code, out, err = run(capsys, "certify", "--all", "numdiff", "--jobs", 1, "--out", tmp_path)
    assert (code, out) == (130, "")
    said = f"1 of 3 samplers are done and kept in {tmp_path}, and the same command goes on from there"
    assert err.splitlines()[-1] == f"numdiff: interrupted; {said}"


def test_strict_counts_the_claims_that_do_not_hold(capsys, three):
    code, out, err = run(capsys, "certify", "--all", "numdiff", "--jobs", 1, "--strict")
    assert code == 3
    assert out  # the table all the same
    assert err.splitlines()[-1] == "numdiff: 1 of 3 claims do not hold: numdiff:AB3 (refuted)"
    assert run(capsys, "certify", "--all", "numdiff", "--jobs", 1)[0] == 0


def test_a_package_is_listed_in_names_that_certify_takes(capsys):
    listed = answer(capsys, "certify", "--list", "scipy").split()
    assert listed == [f"scipy:{name}" for name in subjects.names("scipy")]
    assert subjects.resolve(listed[0]).name == listed[0]


def test_the_packages_are_those_that_have_adapters():
    assert sorted(certify_options.PACKAGES) == sorted(subjects.packages())


# --- the door ---------------------------------------------------------------------------------------------------------

MISTAKES = {
    "": "give one of SAMPLER, --all PACKAGE and --list PACKAGE",
    "numdiff:ab2 --all scipy": "give one of SAMPLER, --all PACKAGE and --list PACKAGE",
    "--all scipy --order 3": "--order belongs to one SAMPLER",
    "--all scipy --plot a.png": "--plot belongs to one SAMPLER",
    "--list scipy --set a=1": "--set belongs to one SAMPLER",
    "numdiff:ab2 --out a": "--out belongs to --all PACKAGE",
    "numdiff:ab2 --jobs 2": "--jobs belongs to --all PACKAGE",
    "numdiff:ab2 --force": "--force belongs to --all PACKAGE",
    "numdiff:ab2 --json --markdown": "not allowed with",
    "--all difusers": "did you mean 'diffusers'",
    "--all scipy --jobs 0": "--jobs: '0' is not an integer from 1",
    "numdiff:ab2 --order 0": "--order: '0' is not an integer from 1",
    "numdiff:ab2 --steps 8,16": "--steps: '8,16' must be three or more",
    "numdiff:ab2 --grids zigzag": "unknown grid 'zigzag'",
    "numdiff:ab2 --path ricatti": "unknown path 'ricatti'; did you mean 'riccati'",
    "numdiff:ab2 --set beta": "'beta' is not NAME=VALUE",
    "numdiff:hb --set beta=1 --set beta=2": "--set gives an option twice",
    "numdiff:dpmpp --set order=3": "--order 3 is the claim, numdiff:dpmpp(order=3) the sampler's own option",
    "numdiff:ab2 --set beta=1": "unknown option of ab2 'beta'",
    "numdiff:ghvb3": "method ghvb3 needs beta, for example --set beta=0.8",
    "numdiff:ghbv2": "did you mean 'ghvb'",
    "no_such_module:f": "unknown package 'no_such_module'",
    "ab2": "spec must read 'package:Name'",
    "numdiff:ab2 --plot a.gif": "must end in .png or .pdf or .svg",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_mistakes_are_one_line_and_exit_code_2(line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "certify", *line.split())
    assert (code, out) == (2, "")
    assert err.startswith("numdiff: error: ")
    assert err.count("\n") == 1
    assert MISTAKES[line] in err
    assert not list(tmp_path.iterdir())


LAB = """
def forgets(model, x, ts):
    pass
def step(x, t, t_next):
    return x
def euler(model, x, t, t_next):
    return x + (t_next - t) * model(x, t)
number = 3
"""
OWN = {
    "step": "step(x, t, t_next) has no argument for the model; write step(model, x, t, t_next)",
    "number": "must be a sampler that can be called, got 3",
    "euler --set tme=sigma": "unknown option of lab_mine:euler 'tme'; did you mean 'time'",
    "euler --set scale=time --set prediction=noise": "for a plain equation (--set scale=time), got 'noise'",
}


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """The current folder holds a module with samplers, some of which are none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "lab_mine.py").write_text(LAB)
    (tmp_path / "lab_broken.py").write_text("x = (")
    for name in ("lab_mine", "lab_broken"):
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize("line", OWN)
def test_mistakes_in_one_s_own_sampler_are_no_internal_errors(line, capsys, lab):
    code, out, err = run(capsys, "certify", *f"lab_mine:{line}".split())
    assert (code, out) == (2, "")
    assert OWN[line] in err


def test_a_module_that_cannot_be_imported_is_named(capsys, lab):
    code, _, err = run(capsys, "certify", "lab_broken:x")
    assert code == 2
    assert "module lab_broken cannot be imported: SyntaxError" in err


def test_a_sampler_that_returns_nothing_is_told_so(capsys, lab):
    found = json.loads(answer(capsys, "certify", "lab_mine:forgets", "--json"))
    assert found["verdict"] == "no order"
    assert "forgets returned None; end it with `return x`" in found["cause"]


def test_the_examples_of_the_help_can_be_resolved(capsys, lab, monkeypatch):
    """All of them but for the module, which is another's: also what the text names by the way."""
    seen = []
    certify = lambda subject, **asked: seen.append(subject) or fake(subject, **asked)  # noqa: E731
    monkeypatch.setattr("numdiff.certification.certifier.certify", certify)
    lines = [line.split()[1:] for line in certify_options.EPILOG.splitlines() if line.startswith("  numdiff certify ")]
    lines = [[word.replace("my_module:step_mine", "lab_mine:euler") for word in line] for line in lines]
    single = [line for line in lines if ":" in line[1] and "my_module" not in line[1]]
    text = certify_options.EPILOG.partition("It runs")[0]
    named = re.findall(r"(?:numdiff|diffusers|k-diffusion|azula):\w+(?:\(\w+=\w+\))?", text)
    assert len(single) >= 4
    assert len(named) == 4
    for line in [*single, *(["certify", name] for name in named)]:
        run(capsys, *line)
    assert len(seen) == len(single) + len(named)
    assert [(s.scale, s.order) for s in seen if s.name == "lab_mine:euler"] == [("edm", 2)]


def test_what_is_no_sampler_is_refused_with_the_reason(capsys, monkeypatch):
    def refuse(spec, **options):
        raise certification.NotASamplerError("it steps through no diffusion")

    monkeypatch.setattr(subjects, "resolve", refuse)
    assert run(capsys, "certify", "lab:x") == (2, "", "numdiff: error: it steps through no diffusion\n")


def test_what_is_drawn_may_have_no_order(capsys, monkeypatch, tmp_path):
    def exact(subject, **asked):
        nothing = Experiment("exact start", "", observed(lambda n: math.nan if n < 20 else 0.0, (10, 20, 40, 80)))
        return Certificate(subject.name, 2, "flow", "toys", (nothing,), "no order", "it is exact")

    monkeypatch.setattr("numdiff.certification.certifier.certify", exact)
    out = answer(capsys, "certify", "numdiff:ab2", "--plot", tmp_path / "a.png")
    assert out.startswith("numdiff:AB2: order 2 claimed; no order")
    code, _, err = run(capsys, "certify", "numdiff:ab2", "--strict")
    assert (code, err) == (3, "numdiff: 1 of 1 claims do not hold: numdiff:AB2 (no order)\n")
