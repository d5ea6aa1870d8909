"""The command line: what it prints is what the library says, and a mistake is one line that names it."""

import argparse
import json
import os
import re
import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import numdiff as nd
from numdiff._files import write_atomically
from numdiff.cli import messages, parser, values
from tests.commands import answer, run

HEAVY = {"torch", "sympy", "mpmath", "scipy", "matplotlib", "sklearn", "tqdm", "safetensors"}


# --- the door ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [["--help"], ["derive", "--help"], ["study", "--help"], ["--version"], ["derive"]]
)
def test_parsing_loads_nothing_heavy(arguments):
    code = f"import sys; from numdiff.cli import main; main({arguments!r}); print('LOADED', *sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = {name.split(".")[0] for name in found.split("LOADED")[1].split()}
    assert "numpy" in loaded
    assert not loaded & HEAVY


def test_help_answers_at_once():
    """CPU seconds, the best of several: the wall clock of a busy machine says nothing about the program."""
    best = float("inf")
    for _ in range(8):
        before = os.times()
        subprocess.run([sys.executable, "-m", "numdiff", "--help"], capture_output=True, check=True)
        after = os.times()
        best = min(best, after.children_user + after.children_system - before.children_user - before.children_system)
        if best < 0.5:
            return
    pytest.fail(f"numdiff --help takes {best:.2f} s of CPU; it must stay below 0.5 s")


def test_module_and_entry_point_are_the_same_program():
    for command in ([sys.executable, "-m", "numdiff"], [os.path.join(os.path.dirname(sys.executable), "numdiff")]):
        found = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert found.stdout == f"numdiff {nd.__version__}\n"


def test_every_option_of_every_command_is_documented():
    (commands,) = (a for a in parser.build()._actions if isinstance(a, argparse._SubParsersAction))
    assert set(commands.choices) == set(parser.COMMANDS)
    for name, command in commands.choices.items():
        for action in command._actions:
            assert action.help, f"{name}: {action.option_strings or action.dest}"
        assert command.format_help()  # a stray % in a help text would raise


MISTAKES = {
    "": "no command given",
    "deriv ab": "did you mean 'derive'",
    "derive": "required: METHOD",
    "derive ghbv --order 2": "did you mean 'ghvb'",
    "derive ab --order 0": "--order: '0' is not an integer of at least 1",
    "derive ab --order 9": "order must be between 1 and 8, got 9",
    "derive ab2 --order 3": "ab2 has order 2, but --order says 3",
    "derive ab2 --beta 0.8": "unknown option of ab 'beta'",
    "derive ghvb2 --beta 0": "beta must lie in (0, 2], got 0",
    "derive ghvb2 --beta 2.5": "beta must lie in (0, 2], got 5/2",
    "derive ghvb2 --beta gamma": "'gamma' is neither a number (0.8, 4/5) nor the symbol 'beta'",
    "derive ghvb2 --beta 1/0": "divides by zero",
    "derive ab2 --formulation noise/rato": "did you mean 'noise/ratio'",
    "derive dpmpp --order 3 --rule half": "use it with --order 2",
    "derive dpmpp --ratio 2": "use --ratio 1",
    "derive ab2 --ratio 0": "ratio must be positive and finite",
    "derive heun --ratio -1": "got -1; give a number such as",
    "derive hb3 --base ab2": "write hb --base ab2",
    "derive heun --base ddim": "only hb and nt are built around one",
    "derive hb3 --base plms": "write hb --base plms3",
    "derive ab2 --markdown --json": "not allowed with",
    "stability filtered-adams2 --beta beta --momentum gamma": "give numbers for the other symbols, and --step 0.1",
    "stability ab3 --step 0.1": "AB3 does not depend on the step length (its kernel exponent is 0); drop --step",
    "derive ab2 --ratio 1e400": "'1e400' is too large; exponents go from -99 to 99",
    "derive ghvb2 --beta 1e-400": "'1e-400' is too small; exponents go from -99 to 99",
    "stability dpmpp --step 0." + "0" * 40: "has too many digits; at most 30 are read",
    "stability ab2 --out region.gif": "must end in .png or .pdf or .svg",
    "stability ab2 --out /no/such/folder/region.png": "does not exist",
    "stability ghvb2 --beta beta --out region.png": "needs a number for --beta",
    "stability ab2 --window=1,0,0,1": "left < right",
    "order ab2 --problem ricatti": "did you mean 'riccati'",
    "order ab2 --steps 10,20": "three or more",
    "order ab2 --steps 40,20,10": "increasing",
    "order ab2 --grid log-snr": "grid log-snr needs a diffusion",
    "order ab8 --steps 5,10,20": "needs at least 8 steps, got 5",
    "order ab2 --start rungekutta": "did you mean 'runge-kutta'",
    "sample ddim": "required: --out",
    "sample plms4 --steps 3 --out digits.png": "needs at least 4 steps, got 3",
    "sample ddim --labels 9-0 --out digits.png": "runs backwards; write 0-9",
    "sample ddim --labels 0-12 --out digits.png": "no class of this model; use --labels 0-9, or --guidance 0",
    "sample ddim --guidance -1 --out digits.png": "'-1' is not from 0 (without a class) to 100",
    "sample ddim --model no-such-model --out digits.png": "there is no model 'no-such-model'",
    "sample ddim --guidance nan --out digits.png": "'nan' is not a number",
    "sample dpmpp --order 2 --steps 4 --grid quadratc --out digits.png": "did you mean 'quadratic'",
    "study --seed -1": "-1",
    "study --seed 9223372036854775808": "from 0 to 9223372036854775807",
    "methods nonsense": "unknown method 'nonsense'",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_mistakes_are_one_line_and_exit_code_2(line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *line.split())
    assert (code, out) == (2, "")
    assert err.startswith("numdiff: error: ")
    assert err.count("\n") == 1
    assert MISTAKES[line] in err
    assert not list(tmp_path.iterdir())


def test_debug_shows_the_traceback_and_keeps_the_code(capsys):
    for arguments in (["--debug", "derive", "ghbv"], ["derive", "ghbv", "--debug"]):
        code, _, err = run(capsys, *arguments)
        assert code == 2
        assert "Traceback" in err
        assert err.splitlines()[-1].startswith("numdiff: error: unknown method")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (
            RuntimeError("broken\npipe dream"),
            1,
            "numdiff: internal error: RuntimeError: broken pipe dream (--debug shows",
        ),
        (KeyboardInterrupt(), 130, "numdiff: interrupted"),
        (PermissionError(13, "Permission denied", "there"), 2, "numdiff: error: there: Permission denied"),
        (ModuleNotFoundError("needs torch"), 2, "numdiff: error: needs torch"),
    ],
)
def test_what_goes_wrong_decides_the_exit_code(error, code, text, capsys, monkeypatch):
    def fail(options):
        raise error

    monkeypatch.setattr("numdiff.cli.methods.run", fail)
    found, out, err = run(capsys, "methods")
    assert (found, out) == (code, "")
    assert err.startswith(text)
    assert err.count("\n") == 1


def test_a_reader_that_leaves_is_no_error():
    command = f"{sys.executable} -m numdiff methods --json | head -1"
    found = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert (found.returncode, found.stdout, found.stderr) == (0, "[\n", "")


def test_a_method_keeps_its_name_in_messages(capsys):
    options = ["--beta", "beta", "--momentum", "gamma", "--topic", "relative,spectral,stiff-order"]
    _, _, err = run(capsys, "derive", "filtered-adams2", *options)
    assert "FA2(beta, momentum=gamma) contains the symbol" in err
    assert "--momentum" not in err


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("FA2(beta, momentum=gamma) needs h=0.1", "FA2(beta, momentum=gamma) needs --step 0.1"),
        ("NT(HB(FA2(1, momentum=1/2), 0.8), 0.3): beta=2", "NT(HB(FA2(1, momentum=1/2), 0.8), 0.3): --beta 2"),
        ('weights (use weights="uniform")', "weights (use --weights uniform)"),
        ("give a number for h", "give --step 0.1"),
        ("give a number for h, such as h=0.5", "give --step 0.5"),
        ("h = 1/10 was given; drop h", "h = 1/10 was given; drop --step"),
    ],
)
def test_remedies_are_options(said, meant):
    assert messages.in_options(said) == meant


# --- values -----------------------------------------------------------------------------------------------------------

HOSTILE = [
    "__import__('os').mkdir('x')",
    "beta.__class__",
    "1e99999999",
    "9" * 40,
    "1_000",
    "0x10",
    "inf",
    "nan",
    "",
    " ",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("option", ["--beta", "--ratio", "--step"])
def test_nothing_is_evaluated(option, text, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, "derive", "ghvb2", f"{option}={text}")
    assert code == 2
    assert f"argument {option}" in err
    assert not list(tmp_path.iterdir())


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**9), st.integers(0, 9))
def test_numbers_are_read_exactly(numerator, denominator, digits):
    assert values.number(f"{numerator}/{denominator}") == Fraction(numerator, denominator)
    decimal = f"{numerator / 10**digits:.{digits}f}"
    assert values.number(decimal) == Fraction(decimal)


@given(st.text("0123456789+-./eE_ x", max_size=8))
def test_a_number_is_refused_or_read_as_fractions_reads_it(text):
    try:
        found = values.number(text)
    except argparse.ArgumentTypeError:
        return
    assert found == Fraction(text)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8))
def test_labels_are_read_in_their_order(numbers):
    assert values.labels(",".join(map(str, numbers))) == tuple(numbers)
    assert values.labels(f"0-{numbers[0]}") == tuple(range(numbers[0] + 1))


# --- commands ---------------------------------------------------------------------------------------------------------


def test_a_number_found_in_decimals_is_no_fraction(capsys):
    for command in ("derive", "stability"):
        arguments = [command, "dpmpp2", "--step", "0.1"]
        found = json.loads(answer(capsys, *arguments, "--json"))
        real = found["real_interval" if command == "derive" else "real"]
        assert real["exact"] is None
        text = " ".join(answer(capsys, *arguments).split())
        shown = "real interval x* ≈ {:.6g} (-x*, 0)" if command == "derive" else "real interval (-x*, 0), x* ≈ {:.6g} "
        assert shown.format(real["float"]) in text
        assert "z = d, where X' = c X + d X" in text


def test_one_interval_is_told_where_the_other_cannot_be_proved(capsys):
    out = answer(capsys, "stability", "dpmpp2")
    end = nd.stability.real_interval(nd.DPMSolverPP(2))
    assert str(end) in json.loads(answer(capsys, "stability", "dpmpp2", "--json"))["real"]["exact"]
    assert "imaginary interval  -\nno imaginary interval: " in out
    assert "--step 0.1" in out
    assert "narrow the domain" not in out
    assert "no imaginary" not in answer(capsys, "stability", "dpmpp2", "--step", "0.1")


def test_a_window_may_begin_with_a_minus(capsys):
    assert answer(capsys, "stability", "ab2", "--window", "-3,1,-2,2") == answer(capsys, "stability", "ab2")


def test_order_says_when_a_formulation_plays_no_part(capsys):
    few = ["--steps", "10,20,40"]
    assert "formulation data/log-snr plays no part, as riccati" in answer(capsys, "order", "dpmpp2", *few)
    assert "plays no part" not in answer(capsys, "order", "ab2", *few)


def test_a_file_that_cannot_be_written_is_named_as_the_user_did(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    _, _, err = run(capsys, "stability", "ab2", "--out", tmp_path / "file" / "r.png")
    assert "is a file, not a folder; choose another place" in err
    with pytest.raises(OSError, match="cannot be written") as caught:
        write_atomically(tmp_path / "none" / "r.png", b"")
    assert caught.value.filename == str(tmp_path / "none" / "r.png")


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_stability_draws_the_region_and_prints_the_library_s_intervals(ending, magic, capsys, tmp_path):
    target = tmp_path / f"region.{ending}"
    out = answer(capsys, "stability", "ghvb3", "--beta", "0.5", "--out", target, "--points", 50, "--json")
    found, method = json.loads(out), nd.GHVB(3, Fraction(1, 2))
    assert found["real"]["exact"] == str(nd.stability.real_interval(method)) == "18/23"
    assert found["imaginary"]["float"] == float(nd.stability.imaginary_interval(method))
    assert target.read_bytes().startswith(magic)
    assert [p.name for p in tmp_path.iterdir()] == [target.name]


def test_order_tells_published_weights_from_those_of_the_actual_steps(capsys):
    """On a log-SNR grid, with a same-order start, equal-step weights reach order 2 and the right ones order 3."""
    slopes = {}
    for method in ("plms3", "lms3"):
        arguments = ["order", method, "--problem", "correlated", "--grid", "log-snr", "--points", 8, "--json"]
        found = json.loads(answer(capsys, *arguments))
        assert found["claimed"] == 3
        assert len(found["errors"]) == len(found["steps"]) == 5
        slopes[method] = found["slope"]
    assert slopes["plms3"] == pytest.approx(2, abs=0.3)  # 0.3: less than half way to the next order
    assert slopes["lms3"] == pytest.approx(3, abs=0.3)
    assert re.search(r"observed order  (1\.9|2\.0)\d \+- .*\nclaimed order   2", answer(capsys, "order", "ab2"))


def test_study_refuses_a_file_for_a_folder(capsys, tmp_path):
    (tmp_path / "file").write_text("mine")
    for place in ("file", "file/below"):
        code, out, err = run(capsys, "study", "--fast", "--out", tmp_path / place)
        assert (code, out) == (2, "")
        assert "there is a file where a folder should be; choose another --out" in err
    assert (tmp_path / "file").read_text() == "mine"
