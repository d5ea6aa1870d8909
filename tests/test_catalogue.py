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


def test_a_word_for_the_grid_is_told_apart():
    for word, maker in (("Karras", "karras"), ("Exponential", "uniform_log_snr"), ("SGM Uniform", "uniform_t")):
        found = find(f"DPM++ 2M {word}")
        assert (found.family, found.grid) == ("dpmpp", f"nd.grids.{maker}")
        assert callable(getattr(nd.grids, maker))
    assert find("DPM++ 2M").grid is None
    assert find("GHVB karras").grid == "nd.grids.karras"
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
    with pytest.raises(ValueError, match="unknown method 'dpmpp_2n'; did you mean 'dpmpp_2m'"):
        nd.method("dpmpp_2n")
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
