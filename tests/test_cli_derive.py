"""``numdiff derive``: the summary, topics, and one run as data or as code."""

import argparse
import dataclasses
import inspect
import json
import re
import sys
import types
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import numdiff as nd
from numdiff import answers, export
from numdiff.answers import Answer, Line, Topic
from numdiff.cli import parser, selection
from numdiff.methods import FAMILIES
from tests.commands import answer, run

BETA = sp.Symbol("beta")


# --- the summary ------------------------------------------------------------------------------------------------------


def read(found):
    """Return an expression of numdiff's own output, in which beta and zeta are symbols and not SymPy's functions."""
    return sp.sympify(found["exact"], locals={name: sp.Symbol(name) for name in ("beta", "zeta", "z", "r")})


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_derive_is_the_same_for_the_symbol_and_its_values(k, capsys):
    """GHVB_k at beta = 4/5 is GHVB_k(beta) with 4/5 put in: coefficients, constant, interval, polynomial."""
    general = json.loads(answer(capsys, "derive", f"ghvb{k}", "--beta", "beta", "--json"))
    special = json.loads(answer(capsys, "derive", "ghvb", "--order", k, "--beta", "0.8", "--json"))
    assert general["order"] == special["order"] == special["claimed_order"] == k
    pairs = [(general[key], special[key]) for key in ("error_constant", "real_interval", "polynomial")]
    for symbolic, number in pairs + list(zip(general["weights"], special["weights"], strict=True)):
        assert sp.expand(read(symbolic).subs("beta", sp.Rational(4, 5)) - read(number)) == 0
    assert [Fraction(w["exact"]) for w in special["weights"]] == list(nd.GHVB(k, Fraction(4, 5)).coefficients())


def test_derive_with_a_step_ratio_gives_variable_step_adams(capsys):
    """AB2 with step ratio r has the weights 1 + r/2 and -r/2 (Hairer, Norsett, Wanner, III.5)."""
    found = json.loads(answer(capsys, "derive", "ab2", "--ratio", "r", "--json"))
    r = sp.Symbol("r")
    assert [sp.expand(read(w) - e) for w, e in zip(found["weights"], (1 + r / 2, -r / 2), strict=True)] == [0, 0]
    assert found["real_interval"] is None
    assert any("equal steps" in note for note in found["notes"])


def test_derive_of_an_exponential_method_takes_a_step(capsys):
    """DPM-Solver++ 2M's weights on a step h sum to 1 - e^-h, so that a constant prediction is exact."""
    found = json.loads(answer(capsys, "derive", "dpmpp2", "--rule", "half", "--step", "0.5", "--json"))
    assert sum(w["float"] for w in found["weights"]) == pytest.approx(1 - np.exp(-0.5), rel=1e-15)
    assert found["real_interval"]["float"] == pytest.approx(
        float(nd.stability.real_interval(nd.DPMSolverPP(2, rule="half"), h=0.5))
    )


def test_derive_in_every_form_says_the_same(capsys):
    arguments = ["derive", "hb", "--base", "plms4", "--beta", "1/2"]
    text, markdown, latex = (answer(capsys, *arguments, *form) for form in ([], ["--markdown"], ["--latex"]))
    assert "HB(AB4 noise/ratio uniform, 1/2)" in text
    assert re.search(r"real interval x\* +9/10 = 0.9 +\(-x\*, 0\)", text)
    assert r"| real interval $x^{*}$ | $\frac{9}{10} = 0.9$ | $(-x^{*}, 0)$ |" in markdown
    assert r"\text{real interval $x^{*}$:} \quad & \frac{9}{10} = 0.9 \\" in latex
    assert latex.count(r"\begin") == latex.count(r"\end") == 1


def test_every_option_of_every_family_is_an_option_of_the_command():
    options = {option for family in FAMILIES.values() for option in family.options}
    assert options >= set(selection.FLAGS)
    help_text = subparser("derive").format_help()
    assert all(f"--{option.replace('_', '-')} " in help_text for option in selection.FLAGS)
    for option in options - set(selection.FLAGS):
        assert parser.parse(["derive", "ddim", "--set", f"{option}=1/2"]).set == [(option, Fraction(1, 2))]


def test_other_options_are_set_by_name(capsys):
    found = json.loads(
        answer(capsys, "derive", "pec", "--order", 2, "--set", "corrector=2", "--set", "mode=PECE", "--json")
    )
    assert found["name"] == nd.PredictorCorrector(2, corrector=2, mode="PECE").name
    assert run(capsys, "derive", "pec2", "--set", "order=3")[2].startswith("numdiff: error: pec2 has order 2")


def subparser(name):
    (commands,) = (a for a in parser.build()._actions if isinstance(a, argparse._SubParsersAction))
    return commands.choices[name]


def test_numbers_of_a_family_may_be_symbols(capsys):
    """With a given error constant C the derived constant is C; stretched-adams has the interval that it is given."""
    found = json.loads(
        answer(capsys, "derive", "filtered-adams", "--order", 1, "--beta", "0.5", "--error", "C", "--json")
    )
    assert found["error_constant"]["exact"] == "C"
    found = json.loads(answer(capsys, "derive", "stretched-adams", "--real-interval", "2.5", "--json"))
    assert (found["order"], found["real_interval"]["exact"]) == (2, "5/2")


# --- one run ----------------------------------------------------------------------------------------------------------


def test_python_prints_the_page_of_the_run(capsys):
    options = ["--schedule", "cosine", "--grid", "karras", "--steps", 6, "--start", "runge-kutta", "--prediction", "v"]
    page = answer(capsys, "derive", "ghvb3", "--beta", "0.8", "--python", *options)
    schedule = nd.schedules.Cosine()
    scheme = nd.GHVB(3, Fraction(4, 5)).discretize(schedule, nd.grids.karras(schedule, 6), start="runge-kutta")
    assert page == export.to_python(scheme, prediction="v")


def test_scheme_prints_json_that_loads(capsys):
    loaded = export.from_json(answer(capsys, "derive", "dpmpp2", "--rule", "half", "--scheme", "--final", "denoise"))
    schedule = nd.schedules.VPLinear()
    scheme = nd.DPMSolverPP(2, rule="half").discretize(
        schedule, nd.grids.uniform_log_snr(schedule, 10), final="denoise"
    )
    assert (loaded.method, loaded.schedule, loaded.options) == (scheme.method, schedule, scheme.options)
    x = np.linspace(-1.5, 2.0, 7)
    np.testing.assert_array_equal(nd.sample(loaded, np.multiply, x), nd.sample(scheme, np.multiply, x))


@pytest.mark.parametrize("schedule", [name for name in nd.schedules.names() if name != "discrete"])
def test_every_schedule_has_a_page(schedule, capsys):
    page = answer(capsys, "derive", "ab2", "--python", "--schedule", schedule)
    assert "10 steps" in page
    compile(page, "<page>", "exec")


def test_a_file_takes_what_would_be_printed(capsys, tmp_path):
    for form, name in {"--python": "a.py", "--scheme": "a.json", "--markdown": "a.md", "--latex": "a.tex"}.items():
        printed = answer(capsys, "derive", "ab2", form)
        assert answer(capsys, "derive", "ab2", form, "--out", tmp_path / name) == f"wrote {tmp_path / name}\n"
        assert (tmp_path / name).read_text() == printed


MISTAKES = {
    "ghvb2 --beta beta --python": "--python needs a number for --beta, not the symbol beta",
    "filtered-adams2 --beta 1 --error C --scheme": "--scheme needs a number for --error, not the symbol C",
    "ab2 --real-interval 3": "unknown option of ab 'real_interval'",
    "ab2 --steps 3": "--steps is about a run; add --python, --scheme or a --topic",
    "ab2 --final denoise --json": "--final is about a run",
    "ab2 --ratio 2 --python": "--ratio is about formulas; --python prints a run",
    "ab2 --topic all --scheme": "--topic is about formulas",
    "ab2 --prediction v": "--prediction says what the model of a page predicts; add --python",
    "ab2 --python --json": "not allowed with",
    "ab2 --python --out page.json": "'page.json' must end in .py, as it will hold python",
    "ab2 --scheme --out page.txt": "must end in .json, as it will hold scheme",
    "ab2 --out page.csv": "must end in .txt or .md",
    "ab2 --schedule discrete --python": "unknown schedule 'discrete'",
    "ab2 --schedule cosin --python": "did you mean 'cosine'",
    "ab2 --start exact --python": "unknown start 'exact'",
    "ab8 --steps 3 --python": "needs at least 8 steps, got 3",
    "ab2 --grid log-snr --schedule flow --python": "log-SNR is infinite at t = 1.0",
    "ab2 --topic intrvals": "unknown topic 'intrvals'; did you mean 'intervals'?",
    "ab2 --topic angle,": "unknown topic ''",
    "ab3 --topic conditions --step 0.1 --ratio 2": "--step plays no part in topic conditions, but in coefficients",
    "ab3 --topic conditions,angle --ratio 2": "--ratio plays no part in topic conditions, angle, but in coefficients",
    "ghvb3 --topic intervals --schedule cosine": "--schedule plays no part in topic intervals, but in spectral;",
    "ab2 --topic spectral --step 0.1": "--step plays no part in topic spectral",
    "dpmpp2 --topic relative": "give a number, --step 0.1, for its relative stability",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_mistakes_are_one_line_and_exit_code_2(line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "derive", *line.split())
    assert (code, out) == (2, "")
    assert err.startswith("numdiff: error: ")
    assert err.count("\n") == 1
    assert MISTAKES[line] in err
    assert not list(tmp_path.iterdir())


# --- topics -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", [*answers.TOPICS])
@pytest.mark.parametrize(
    "method", [["ghvb3", "--beta", "0.8"], ["dpmpp2", "--rule", "half"], ["rk4"]], ids=lambda m: m[0]
)
def test_every_topic_answers_or_says_why_not(topic, method, capsys):
    code, out, err = run(capsys, "derive", *method, "--topic", topic)
    if code:
        assert (code, out) == (2, "")
        assert err.startswith(f"numdiff: error: topic {topic}: ")
    else:
        assert out.count("\n") > 1
        assert max(map(len, out.splitlines())) <= 200  # only what has no spaces runs over


@pytest.fixture
def topics(monkeypatch):
    """Replace what two topics ask, and forget the others; return the settings that they were asked with."""
    seen, fields = [], tuple(item.name for item in dataclasses.fields(answers.Setting))
    module = types.ModuleType("numdiff.answers.made_up")

    def weight(method, setting):
        seen.append(setting)
        return Answer(f"{method.name}: weight", (Line("weight 0", (2 - BETA) / BETA, "the newest"),), ("A note.",))

    def refuse(method, setting):
        raise ValueError(f"{method.name} has\nno such thing")

    module.weight, module.refuse = weight, refuse
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for name in list(answers.TOPICS):
        monkeypatch.delitem(answers.TOPICS, name)
    monkeypatch.setitem(answers.TOPICS, "weight", Topic("made_up", "weight", "a weight", fields))
    monkeypatch.setitem(answers.TOPICS, "refuse", Topic("made_up", "refuse", "nothing"))
    return seen


def test_a_topic_is_answered_in_every_form(topics, capsys):
    arguments = ["derive", "ab2", "--topic", "weight"]
    assert answer(capsys, *arguments) == "AB2: weight\n  weight 0  (2 - beta)/beta  the newest\nA note.\n"
    assert "| weight 0 | $\\frac{2 - \\beta}{\\beta}$ | the newest |\n" in answer(capsys, *arguments, "--markdown")
    assert "weight 0 & $\\frac{2 - \\beta}{\\beta}$ & the newest \\\\\n" in answer(capsys, *arguments, "--latex")
    found = json.loads(answer(capsys, *arguments, "--json"))
    assert (found["name"], found["answers"][0]["topic"]) == ("AB2", "weight")
    (line,) = found["answers"][0]["lines"]
    assert (line["label"], line["value"]["exact"], line["note"]) == ("weight 0", "(2 - beta)/beta", "the newest")


def test_a_topic_is_asked_with_the_setting_of_the_command(topics, capsys):
    answer(capsys, "derive", "ab2", "--topic", "weight")
    options = ["--ratio", "r", "--start", "runge-kutta", "--steps", 7, "--schedule", "flow", "--final", "limit"]
    answer(capsys, "derive", "ab2", "--topic", "weight", *options)
    answer(capsys, "derive", "dpmpp2", "--topic", "weight", "--step", "1/3", "--grid", "karras")
    assert topics == [
        answers.Setting(),
        answers.Setting(None, sp.Symbol("r"), "runge-kutta", "limit", nd.schedules.Flow(), "uniform-t", 7),
        answers.Setting(h=Fraction(1, 3), grid="karras"),
    ]


def test_topics_that_do_not_apply_say_why(topics, capsys):
    code, out, err = run(capsys, "derive", "ab2", "--topic", "refuse,weight")
    assert (code, err) == (2, "numdiff: error: topic refuse: AB2 has no such thing\n")
    assert out == answer(capsys, "derive", "ab2", "--topic", "weight")
    code, out, err = run(capsys, "derive", "ab2", "--topic", "refuse,weight", "--json")
    assert (code, [entry["topic"] for entry in json.loads(out)["answers"]]) == (2, ["weight"])
    assert run(capsys, "derive", "ab2", "--topic", "refuse", "--json")[:2] == (2, "")
    text = answer(capsys, "derive", "ab2", "--topic", "all")
    assert text.endswith("A note.\n\nrefuse\ndoes not apply: AB2 has no such thing\n")
    found = json.loads(answer(capsys, "derive", "ab2", "--topic", "all", "--json"))["answers"]
    assert found[1] == {"topic": "refuse", "reason": "AB2 has no such thing"}
    for form in ("--markdown", "--latex"):
        assert "does not apply: AB2 has no such thing" in answer(capsys, "derive", "ab2", "--topic", "all", form)


def test_every_refusal_has_its_line(capsys):
    code, out, err = run(capsys, "derive", "dpmpp2", "--topic", "conditions,zero-stability,relative")
    assert code == 2
    assert out.startswith("Zero-stability of ")
    assert [line.split(":")[2].strip() for line in err.splitlines()] == ["topic conditions", "topic relative"]


@pytest.mark.parametrize("entry", answers.TOPICS.values(), ids=answers.TOPICS)
def test_a_topic_names_the_settings_that_it_reads(entry):
    assert set(re.findall(r"\bsetting\.(\w+)", inspect.getsource(entry.load()))) == set(entry.reads)


def test_an_option_that_one_of_the_topics_reads_is_taken(capsys):
    answer(capsys, "derive", "ab2", "--topic", "conditions,run-order", "--start", "runge-kutta")


def test_topics_may_be_repeated_and_keep_their_order(topics, capsys):
    found = answer(capsys, "derive", "ab2", "--topic", "weight", "--topic", "weight", "--json")
    assert [entry["topic"] for entry in json.loads(found)["answers"]] == ["weight"]


def test_unknown_topics_and_settings_are_named(topics):
    with pytest.raises(ValueError, match="unknown topic 'wieght'; did you mean 'weight'"):
        answers.ask(nd.AdamsBashforth(2), "wieght")
    with pytest.raises(ValueError, match="unknown setting 'ration'; did you mean 'ratio'"):
        answers.ask(nd.AdamsBashforth(2), "weight", ration=2)
    assert answers.ask(nd.AdamsBashforth(2), "weight", ratio=2).title == "AB2: weight"
