"""Samplers are found by the names that libraries give them, with the options that these stand for."""

import importlib
import warnings

import pytest

import numdiff as nd
from numdiff.methods import FAMILIES, find
from numdiff.methods.registry import catalogue, families
from numdiff.methods.registry.names import ABSENT, OUTSIDE
from tests import zoo

ALIASES = catalogue.ALIASES
every_alias = pytest.mark.parametrize("alias", ALIASES, ids=str)
REFUSED = [name.strip() for names in (*OUTSIDE, *ABSENT) for name in names.split("|")]


@every_alias
def test_a_name_with_its_library_builds_what_it_stands_for(alias):
    family, options = FAMILIES[alias.family], {**zoo.missing(alias), **alias.options}
    assert set(options) <= set(family.options)
    method = nd.method(str(alias), **zoo.missing(alias))
    assert method == family.build(**options)
    assert nd.method(str(alias).upper(), **zoo.missing(alias)) == method


@every_alias
def test_a_name_alone_is_found_or_asks_which(alias):
    """A family's own name is the family's; one that two libraries share names both."""
    same = {(other.family, other.settings) for other in ALIASES if other.name.lower() == alias.name.lower()}
    if alias.name.lower() in families():
        assert find(alias.name).options == {}
    elif len(same) > 1:
        with pytest.raises(ValueError, match="is the name of different samplers, choose one"):
            find(alias.name)
    else:
        found = find(alias.name)
        assert (found.family, found.options) == (alias.family, alias.options)


def test_spelling_does_not_matter():
    expected = nd.DPMSolverPP(2, rule="half")
    for name in ("dpmpp_2m", "DPM++ 2M", "dpm++2m", "dpmpp-2m", "DPMPP 2M", "sample_dpmpp_2m", "DPM-Solver++(2M)"):
        assert nd.method(name) == expected, name
    assert nd.method("DPMSolverMultistepScheduler") == nd.method("dpmsolvermultistepscheduler") == expected
    assert nd.method("k-diffusion:dpmpp_2m") == nd.method("K-Diffusion: DPMPP_2M") == expected


def test_options_override_what_a_name_stands_for():
    assert nd.method("uni_pc_bh2") == nd.UniPC(3, rule="bh2")
    assert nd.method("uni_pc_bh2", order=2) == nd.UniPC(2, rule="bh2")
    with pytest.raises(ValueError, match="unknown option of uni_pc_bh2 'ordr'; did you mean 'order'"):
        nd.method("uni_pc_bh2", ordr=2)


WORDS = {"Karras": "karras", "Exponential": "uniform_log_snr", "SGM Uniform": "uniform_t", "Turbo": "uniform_t"}
WORDS |= dict.fromkeys(("KL Optimal", "linear_quadratic", "Align Your Steps", "Beta"), "from_sigmas")


@pytest.mark.parametrize("word", WORDS)
def test_a_word_for_the_grid_is_told_apart(word):
    for name in (f"DPM++ 2M {word}", f"dpmpp_2m_{word.lower().replace(' ', '_')}"):
        found = find(name)
        assert (found.family, found.options, found.grid) == (
            "dpmpp",
            {"order": 2, "rule": "half"},
            f"nd.grids.{WORDS[word]}",
        )
        assert nd.method(name) == nd.method("dpmpp_2m")
    assert callable(getattr(nd.grids, WORDS[word]))


def test_a_name_without_a_word_for_the_grid_asks_for_none():
    assert find("DPM++ 2M").grid is find("DPM++ 2M Automatic").grid is None
    assert find("GHVB karras").grid == find("ghvb3 karras").grid == "nd.grids.karras"
    with pytest.raises(ValueError, match="unknown method 'Karras'"):
        nd.method("Karras")


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_linear_method_says_why(name):
    with pytest.raises(ValueError, match=r" (is not a fixed-step linear method|has no family here): .{20}"):
        nd.method(name.upper())


def test_no_name_is_both_a_method_and_none():
    known = {catalogue.key(name) for name in (*families(), *(alias.name for alias in ALIASES))}
    assert not known & {catalogue.key(name) for name in REFUSED}


def test_an_unknown_name_suggests_the_nearest_of_all():
    with pytest.raises(ValueError, match="unknown method 'dpmpp_2mm'; did you mean 'dpmpp_2m'"):
        nd.method("dpmpp_2mm")
    with pytest.raises(ValueError, match="did you mean 'UniPCMultistepScheduler'"):
        nd.method("UniPCMultistepSheduler")
    with pytest.raises(ValueError, match="unknown method 'diffusers:dpmpp_2m'"):
        nd.method("diffusers:dpmpp_2m")


def test_every_scheduler_of_diffusers_is_known():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schedulers = importlib.import_module("diffusers.schedulers")
    there = {name for name in dir(schedulers) if name.endswith("Scheduler")}
    built = {alias.name for alias in ALIASES if alias.library == "diffusers"}
    assert built <= there
    assert there - built <= set(REFUSED)


@pytest.mark.parametrize("alias", {a.name: a for a in ALIASES if a.library == "k-diffusion"}.values(), ids=str)
def test_samplers_of_k_diffusion_have_its_own_prefix_too(alias):
    assert find(f"k-diffusion:sample_{alias.name}").options == alias.options


# --- claims -----------------------------------------------------------------------------------------------------------

METHODS = zoo.everything()
VP, TABLE, FLOW = nd.schedules.VPLinear(), nd.schedules.Discrete.stable_diffusion(), nd.schedules.Flow()


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_claims_are_true_of_a_run(method):
    steps = max(method.points, 3) + 4
    # Windows in integer times need a table, the flow rule a flow.
    schedule = TABLE if "model_time" in method.name else FLOW if method.name.endswith("flow)") else VP
    for n in (steps, steps + 1, steps + 2):
        scheme = method.discretize(schedule, nd.grids.uniform_t(schedule, n, t_start=0.9 * schedule.T))
        assert scheme.nfe == method.nfe(n) >= 1
    assert method.order >= 1
    assert method.stages >= 1
    assert method.reference
    assert type(method).__doc__
    noisy = any(tableau.noises for tableau in scheme)
    assert method.stochastic == noisy
    assert (method.weak_order is not None) == noisy
    if noisy:
        assert 0 <= method.weak_order <= 3  # 0: inconsistent as published


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_an_example_among_all_methods(name):
    family = FAMILIES[name]
    method = family.member()
    assert isinstance(method, nd.Method)
    assert set(family.example) <= set(family.options)
    assert any(type(other) is type(method) for other in nd.methods(every=True).values())


# --- what names mean --------------------------------------------------------------------------------------------------

MEANT = {
    "AUTOMATIC1111:PLMS": nd.PNDM(warmup="heun"),
    "DPMSolverMultistep": nd.DPMSolverPP(2, rule="half"),
    "UniPCMultistep": nd.UniPC(2, rule="bh2"),
    "EulerAncestralDiscrete": nd.EulerAncestral(),
    "res_2m": nd.DPMSolverPP(2),
    "res_3m": nd.DPMSolverPP(3),
    "dpmpp_3m": nd.DPMSolverPP(3, rule="3m"),
    "DPM++ 3M": nd.DPMSolverPP(3, rule="3m"),
    "dpmpp_2s": nd.DPMSolverSingle(2, rule="dpmsolver"),
    "ETDRK4": nd.method("etd", tableau="ETD4RK"),
    "ETDRK3": nd.method("etd", tableau="ETD3RK"),
    "ETD2RK": nd.method("etd", tableau="ETD2RK"),
    "Krogstad": nd.method("etd", tableau="Krogstad4"),
    "Strehmel-Weiner": nd.method("etd", tableau="StrehmelWeiner4"),
    "rhoRK-DEIS": nd.RhoRK("3kutta"),
    "\N{GREEK SMALL LETTER RHO}2Heun": nd.RhoRK("2heun"),
    "tAB3": nd.DEIS(4, "time"),
    "tAB1": nd.DEIS(2, "time"),
    "rhoAB3": nd.DEIS(4, "rho"),
    "Euler-Maruyama": nd.SiT(),
    "k_euler_a": nd.EulerAncestral(),
    "k_dpm_2_a": nd.DPM2Ancestral(),
    "K_DPMPP_2M": nd.DPMSolverPP(2, rule="half"),
    "k_lms": nd.LMS(),
    "comfy:deis": nd.DEIS(3, "time"),
    "a1111:PLMS": nd.PNDM(),
    "diffusers.DEISMultistepScheduler": nd.DEIS(2, "log-rho"),
    "k_diffusion.sampling.sample_lms": nd.LMS(),
    "DPM-Solver-2": nd.DPM2(),
    "LTSP4": nd.LTSP(4, weights="uniform"),
}


@pytest.mark.parametrize("name", MEANT)
def test_a_name_means_what_it_means_there(name):
    assert nd.method(name) == MEANT[name]


def test_the_class_of_diffusers_changes_its_rule_with_its_order():
    for name in ("DPMSolverMultistepScheduler", "diffusers:DPMSolverMultistep"):
        assert nd.method(name, order=3) == nd.DPMSolverPP(3, rule="3m")
        assert nd.method(name, order=1) == nd.DPMSolverPP(1)
        assert nd.method(name, order=3, rule="3m-heun") == nd.DPMSolverPP(3, rule="3m-heun")


def test_an_option_that_contradicts_the_name_says_what_comes_with_it():
    with pytest.raises(
        ValueError, match=r"order=3. rule=.half. comes with the name .dpmpp_2m.: give another rule, or begin"
    ):
        nd.method("dpmpp_2m", order=3)
    assert nd.method("dpmpp_2m", order=3, rule="exact") == nd.DPMSolverPP(3)
    with pytest.raises(ValueError, match=r"order must be between 1 and 8, got 99; it counts evaluations$"):
        nd.method("dpmpp_2m", order=99)  # wrong whatever the name stands for


def test_a_family_s_name_tells_who_else_has_it():
    assert "\"ComfyUI:deis\" is deis(order=3, variant='time')" in find("deis").note
    assert '"ComfyUI:uni_pc" and "AUTOMATIC1111:UniPC" is unipc(order=3, rule=\'bh1\')' in find("UniPC").note
    assert "ComfyUI:sa_solver" in find("SA-Solver").note
    assert '"AUTOMATIC1111:PLMS" is pndm' in find("plms").note
    assert find("lms").note == find("ddim").note == ""  # the same method there
    assert "tau=tau" not in "".join(alias.described for alias in ALIASES)


@pytest.mark.parametrize(
    "name", ["DEISMultistepScheduler", "UniPCMultistepScheduler", "DPMSolverMultistepScheduler", "ComfyUI:sa_solver"]
)
def test_a_sampler_that_lowers_its_orders_at_the_end_says_so(name):
    assert "discretize(orders=...)" in find(name).note


def test_a_reason_says_once_that_there_is_no_family():
    for name in REFUSED:
        assert catalogue.outside(name).count("family") <= 1
    for name in ("DPM-Solver-v3", "EDICT", "BELM", "k_dpm_ad", "ConsistencyDecoder"):
        assert catalogue.outside(name)
