"""METHOD on the command line, and ``numdiff methods``: a name stands for what the registry finds."""

import json
import re

import pytest

import numdiff as nd
from numdiff.cli import parser, selection
from numdiff.methods import FAMILIES, find
from numdiff.methods.registry import catalogue
from tests.commands import answer, run

NAMES = [(name, key) for key, family in FAMILIES.items() for name in (key, *family.aliases)]


def test_families_and_aliases_are_found_in_any_case_and_with_an_order():
    for name, key in NAMES:
        assert find(name.upper()).family == key
        assert selection.split(name.upper()) == (name.upper(), None)
        if "order" in FAMILIES[key].options and not catalogue.aliases(f"{name}3"):
            assert selection.split(f"{name}3") == selection.split(f"{name}-3") == (key, 3)
            assert find(f"{name.upper()} 3").options == {"order": 3}
    assert selection.split("heun3") == ("heun3", None)  # a family without an order
    assert selection.split("GHVB3 Karras") == ("ghvb Karras", 3)
    assert selection.split("dpm3") == ("dpm-solver", 3)


def test_methods_lists_every_family_and_finds_by_alias(capsys):
    listed = json.loads(answer(capsys, "methods", "--json"))
    assert {name for entry in listed for name in (entry["family"], *entry["aliases"])} == {name for name, _ in NAMES}
    text = answer(capsys, "methods")
    for name, key in NAMES:
        (entry,) = json.loads(answer(capsys, "methods", name.upper(), "--json"))
        assert entry["family"] == key
        assert name in text


def test_a_sampler_of_a_library_is_shown_in_full(capsys):
    text = answer(capsys, "methods", "DPM++ 2M Karras")
    for line in (
        r"family +dpmpp\n",
        r"stands for +nd\.method\('dpmpp', order=2, rule='half'\)\n",
        r"builds +AdamsBashforth\(order=2, formulation='data/log-snr', weights='variable', rule='half'\)\n",
        r"order +2 with exact starts\n",
        r"evaluations +1 a step, 10 for 10 steps\n",
        r"grid +nd\.grids\.karras\n",
        r"k-diffusion +dpmpp_2m \(order=2, rule=half\)\n",
        r"\nx_t = \(sigma_t/sigma_s\) x_s \+ alpha_t sum",
        r"claims +Order k; 1 stage; N evaluations for N steps\.",
        r"references +Lu, Zhou, Bao, Chen, Li, Zhu, DPM-Solver\+\+, arXiv:2211\.01095\.",
    ):
        assert re.search(line, text), line
    (entry,) = json.loads(answer(capsys, "methods", "ddpm", "--json"))
    assert (entry["order"], entry["weak_order"], entry["stochastic"], entry["nfe"]["evaluations"]) == (1, 1, True, 10)
    assert "DDPMScheduler" in entry["names"]["diffusers"]


def test_methods_lists_the_names_of_libraries(capsys):
    listed = json.loads(answer(capsys, "methods", "--aliases", "--json"))
    assert {(entry["library"], entry["name"]) for entry in listed} == {(a.library, a.name) for a in catalogue.ALIASES}
    assert all(entry["family"] in FAMILIES for entry in listed)
    text = answer(capsys, "methods", "unipc", "--aliases")
    assert re.search(r"uni_pc_bh2 +ComfyUI +unipc\(order=3, rule='bh2'\)\n", text)
    assert "dpmpp_2m" not in text


@pytest.mark.parametrize(
    "name",
    ["DPM2", "dpm_2", "dpm-2", "DPM-Solver-3", "UniPC-3", "unipc3", "UniP-2", "LTSP4", "stsp4", "seeds3", "plms-4"],
)
def test_the_command_line_and_the_library_find_the_same_by_a_name(name):
    """DPM2 is a single-step method in menus, and DPM-Solver of order 2 a multistep one: a sampler's name goes first."""
    assert selection.chosen(parser.parse(["derive", name])) == nd.method(name)


def test_a_name_with_an_order_says_what_the_family_s_own_is(capsys):
    assert "the family's own of that order is dpm-solver(order=2)" in answer(capsys, "methods", "dpm2")
    assert "the family's own" not in answer(capsys, "methods", "ghvb3")


@pytest.mark.parametrize("name", ["dpm_adaptive", "heunpp2", "Restart"])
def test_what_has_no_family_says_why_in_every_command(capsys, name):
    for command in ("methods", "derive", "stability"):
        code, _, err = run(capsys, command, name)
        assert (code, err.count("\n")) == (2, 1)
        assert re.match(rf"numdiff: error: {name} (is not a fixed-step linear method|has no family here): ", err)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("dpmpp 3m", "as published, of order 2; order 3 with rule exact is repaired"),
        ("DPM2", "as published"),
        ("DPM-Solver-3", "as published, of order 3 as c3 = 2/3"),
        ("ltsp4", "as published, with weights of equal steps; weights variable are repaired"),
    ],
)
def test_a_name_says_whether_it_is_the_published_form(capsys, name, status):
    (entry,) = json.loads(answer(capsys, "methods", name, "--json"))
    assert entry["published"] == status
    assert re.search(rf"published +{status}\n", answer(capsys, "methods", name))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("derive dpmpp --rule taylor", "rule must be one of 'exact', 'half', 'bh1', '3m', '3m-heun', got 'taylor'"),
        ("derive sde-dpmpp --rule Sign --order 2", "--rule sign is a misprint of order 3"),
        ("derive dpmpp_2m --order 3", "--rule half comes with the name 'dpmpp_2m'"),
        ("derive etd --set tableau=RK9", "tableau must be one of 'ETD2RK'"),
    ],
)
def test_a_family_checks_its_own_options(capsys, line, said):
    code, _, err = run(capsys, *line.split())
    assert (code, err.count("\n")) == (2, 1)
    assert said in err


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("res --order 3 --rule published", {"order": 3, "rule": "published"}),
        ("dpm-solver-single --rule taylor", {"rule": "taylor"}),
        ("ancestral --rule flow", {"rule": "flow"}),
        ("etd --set tableau=ETD4RK", {"tableau": "ETD4RK"}),
        ("rho-rk --set tableau=4rk", {"tableau": "4rk"}),
        ("unipc --set uncorrected=none", {"uncorrected": ()}),
        ("sa --set uncorrected=0", {"uncorrected": (0,)}),
    ],
)
def test_options_reach_every_member(line, options):
    found = selection.chosen(parser.parse(["derive", *line.split()]))
    assert found == nd.method(line.split()[0], **options) != nd.method(line.split()[0])
