"""What the pages of "Use" show and do not run is held to the programs: commands parse, files exist, code runs.

The fast tests read the pages and ask the real parsers. The slow ones run the Python blocks that the pages only show,
in the order of the page, on tiny pipelines; blocks that begin with a comment such as "# cuda" need what is not here.
"""

from __future__ import annotations

import re
import shlex
import sys
import types
import warnings
from pathlib import Path

import pytest

from book.computed import _choose as choose
from book.computed import _reproduce as reproduce

ROOT = Path(__file__).parents[2]
PAGES = {path.stem: path for path in sorted((ROOT / "book" / "use").glob("*.md"))}
ELSEWHERE = ("# cuda", "# comfyui", "# cluster")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page].read_text(), re.DOTALL | re.MULTILINE)


def commands() -> list[list[str]]:
    """Return all shell commands of the pages as words."""
    lines = [
        line for page in PAGES for block in blocks(page, "bash") for line in block.replace("\\\n", " ").splitlines()
    ]
    return [shlex.split(line, comments=True) for line in lines]


def module_exists(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__main__.py").exists()


def test_there_is_something_to_check():
    assert len(PAGES) == 11
    assert len(commands()) > 30


def test_commands_of_numdiff_parse():
    from numdiff.cli import parser

    for words in commands():
        if words[0] == "numdiff":
            assert parser.parse(words[1:]).name == words[1]


def test_a_wrong_command_does_not():
    from numdiff.cli import parser

    with pytest.raises(ValueError, match="--stepz"):
        parser.parse(["timesteps", "unipc3", "--stepz", "8"])


def test_commands_of_modules_parse():
    from numdiff import sample_distributed

    for words in commands():
        if words[0] not in ("python", "torchrun"):
            assert words[0] in ("numdiff", "pip"), words
            continue
        name, rest = words[words.index("-m") + 1], words[words.index("-m") + 2 :]
        assert module_exists(name), name
        if name == "numdiff.sample_distributed":
            sample_distributed.build().parse_args(rest)


def test_targets_of_make_exist():
    known = {command.removeprefix("make ") for command, _ in reproduce.targets()}
    named = {word for path in PAGES.values() for word in re.findall(r"`make ([a-z-]+)`", path.read_text())}
    assert named
    assert named <= known


def test_every_figure_has_a_command_whose_file_exists():
    for heading, rows in reproduce.tables():
        assert rows, heading
        for name, sentence, command in rows:
            assert sentence, name
            assert module_exists(re.search(r"-m (\S+)", command).group(1)), command


def test_reproduce_leaves_no_script_out():
    listed = {name for name, _, _ in reproduce.analysis()}
    assert listed == {path.stem for path in (ROOT / "analysis").glob("*.py")}
    runnable = [p for p in (ROOT / "experiments").glob("*/*.py") if '__name__ == "__main__"' in p.read_text()]
    assert {name for name, _, _ in reproduce.experiments()} == {f"{p.parent.name}/{p.stem}" for p in runnable}


@pytest.mark.parametrize("advice", [*choose.ADVICE, *choose.FLOW_ADVICE], ids=lambda a: f"{a.case} {a.budgets[0]}")
def test_advice_is_among_the_best_measured(advice):
    """No advice has more than `TOLERATED` times the least error of its case; each beats DDIM (Euler) on any grid."""
    for budget, error, least, _ in advice.row():
        assert error <= choose.TOLERATED * least, budget
        assert error < choose.least(advice.errors(), budget, ["DDIM", "Euler (flow-euler)"])[0], budget


def test_every_budget_has_advice():
    for case in ("no guidance", "guidance 4", "guidance 8"):
        covered = [n for advice in choose.ADVICE if advice.case == case for n in advice.budgets]
        assert covered == choose.stored("choose_deterministic")["budgets"]


def test_settings_are_those_of_the_advised_samplers():
    """What a row tells diffusers builds the method that was measured under its label."""
    import numdiff as nd
    from book.computed import choose_deterministic, choose_flow

    def numbers(method, schedule):
        program = method.discretize(schedule, nd.grids.uniform_t(schedule, 6, t_start=0.9))
        return [float(w) for t in program for matrix in (t.A, t.U, t.B, t.V) for row in matrix for w in row]

    for advice in (*choose.ADVICE, *choose.FLOW_ADVICE):
        options = eval(f"dict({advice.settings})")
        placed = options.pop("timesteps", None)
        known = choose_deterministic.zoo() if advice.case else choose_flow.zoo()
        schedule = nd.schedules.VPLinear() if advice.case else nd.schedules.Flow()
        built = numbers(nd.method(options.pop("method"), **options), schedule)
        assert built == pytest.approx(numbers(known[advice.sampler], schedule), rel=1e-12)
        assert placed == {"optimized": "optimized", "log-SNR": "log-snr"}.get(advice.grid)


def test_sentences_of_choose_hold():
    """What the page says in words of the stored numbers; a new computation that changes one of them must change it."""
    exact, noisy = (choose.stored(f"choose_{name}")["errors"] for name in ("deterministic", "stochastic"))
    assert all(choose.least(exact[case], 20)[1:] == ("UniPC3", "optimized") for case in exact)
    placed = exact["guidance 8"]["UniPC3"]["optimized"]
    assert placed["30"][0] > placed["20"][0]
    for scores in choose.experiment("glyphs")["scores"].values():
        assert min(scores, key=lambda name: scores[name]["20"]["error"][0]) == "UniPC 3, optimized"
    plain = ("DDIM", "UniPC3", "DPM-Solver++ 2M")
    with_noise = set(noisy) - set(plain)
    floor = choose.stored("choose_stochastic")["floor"]
    for n in (8, 10):
        assert choose.least(noisy, n, plain)[0] < choose.least(noisy, n, with_noise)[0]
    for name in ("SDE-DPM-Solver++ 2", "SA-Solver 3, tau = 1", "SA-Solver 3, tau = 1/2"):
        value, _, grid = choose.least(noisy, 30, [name])
        assert abs(value - floor) < 2 * noisy[name][grid]["30"][1]


# --- the blocks that pages only show ----------------------------------------------------------------------------------


def run(page: str, **scope) -> dict:
    """Execute the Python blocks of a page one after the other in one scope, and return it."""
    module = types.ModuleType(f"page_{page.replace('-', '_')}")
    module.__dict__.update(scope)
    shown = [block for block in blocks(page, "python") if not block.startswith(ELSEWHERE)]
    assert shown
    for block in shown:
        exec(compile(block, str(PAGES[page]), "exec"), module.__dict__)
    return module.__dict__


@pytest.fixture
def quiet():
    """Diffusers' dependencies warn when they are imported and when pipelines are loaded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.slow
def test_diffusers_page(tmp_path, quiet):
    from tests import pipelines

    folder, flow = (str(pipelines.saved(name, tmp_path / name)) for name in ("sd", "sd3"))
    scope = run("diffusers", FOLDER=folder, FLOW_FOLDER=flow, OUT=str(tmp_path / "out"))
    assert type(scope["again"].scheduler).__name__ == "NumdiffScheduler"
    assert scope["again"].scheduler.config.method_options == {"beta": 0.8, "order": 3}
    assert scope["night"].size == scope["image"].size


@pytest.mark.slow
def test_optimize_page(tmp_path, quiet):
    import numdiff as nd

    scope = run("optimize-steps", nd=nd, OUT=str(tmp_path))
    assert len(scope["mine"].times) == 5
    assert len(scope["scheduler"].sigmas) == 5


@pytest.mark.slow
def test_certify_page():
    run("certify-yours")


@pytest.mark.slow
@pytest.mark.parametrize(("page", "function"), [("certify-yours", "my3m"), ("quickstart", "mine")])
def test_commands_for_functions_of_ones_own(tmp_path, monkeypatch, capsys, page, function):
    """The function of the page in a file, and the page's own command for it."""
    from numdiff import cli

    cells = blocks(page, r"\{code-cell\} ipython3")
    source = next(cell for cell in cells if f"def {function}(" in cell)
    (tmp_path / "my_module.py").write_text("import numpy as np\n" + source.split("\nsubject =")[0])
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_module", raising=False)
    words = next(w for w in commands() if w[:3] == ["numdiff", "certify", f"my_module:{function}"])
    assert cli.main([*words[1:], "--steps", "24,48,96,192"]) == 0
    assert capsys.readouterr().out


@pytest.mark.slow
def test_own_loop_page():
    """The block on compiling, with a backend that needs no compiler."""
    import torch

    import numdiff as nd

    digits = nd.models.digits()
    network = nd.guidance.ClassifierFree(digits, torch.arange(10), torch.tensor(digits.null), scale=3.0, prediction="v")
    scheme = nd.GHVB(2, 0.8).discretize(digits.schedule, [1.0, 0.6, 0.2, 0.001])
    sampler = nd.runtime.Sampler(scheme, network, prediction="v")
    compiled = sampler.compiled
    sampler.compiled = lambda: compiled(backend="eager")
    with torch.no_grad():
        assert run("own-loop", sampler=sampler, torch=torch)["images"].shape == (10, 64)


@pytest.mark.slow
def test_many_gpus_page(tmp_path):
    from numdiff import sample_distributed

    samples = tmp_path / "samples"
    words = ["ghvb3", "--beta", "0.8", "--model", "digits", "--steps", "4", "--samples", "6", "--out", str(samples)]
    assert sample_distributed.main([*words, "--quiet"]) == 0
    scope = run("many-gpus", SAMPLES=str(samples), OUT=str(tmp_path))
    assert len(scope["samples"]) == 6
    assert len(scope["records"]) == 4


@pytest.mark.slow
def test_kdiffusion_page(monkeypatch):
    """`register` on the real module, without the package around it, which needs more than its samplers do."""
    from numdiff.adapters import kdiffusion
    from numdiff.adapters.subjects.sigmas import k_diffusion

    sampling, package = types.ModuleType("k_diffusion.sampling"), types.ModuleType("k_diffusion")
    sampling.__dict__.update({k: v for k, v in vars(k_diffusion()).items() if k.startswith("sample_")})
    package.sampling = sampling
    monkeypatch.setitem(sys.modules, "k_diffusion", package)
    monkeypatch.setitem(sys.modules, "k_diffusion.sampling", sampling)
    run("kdiffusion", kdiffusion=kdiffusion)
    assert all(hasattr(sampling, f"sample_{name}") for name in kdiffusion.MENU)
