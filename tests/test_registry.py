"""Everything registered keeps its claims: names, sizes, consistency, and how it is found."""

import dataclasses
import importlib
import inspect
import pickle
import pkgutil
import sys
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import numdiff as nd
from numdiff.methods import FAMILIES, exponential_runge_kutta
from numdiff.methods.multistep import Multistep
from numdiff.methods.published import classical

METHODS = nd.methods()
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
every_family = pytest.mark.parametrize("name", FAMILIES)
VP = nd.schedules.VPLinear()


def test_names_tell_members_apart():
    assert len({*METHODS.values()}) == len(METHODS)
    assert all(str(method) == method.name == name for name, method in METHODS.items())


@every_method
def test_a_method_is_a_frozen_value(method):
    assert pickle.loads(pickle.dumps(method)) == method
    assert dataclasses.replace(method) == method
    with pytest.raises(dataclasses.FrozenInstanceError):
        method.formulation = None
    assert method.reference
    assert method.order >= 1


@every_method
def test_the_steady_step_and_the_run_have_the_same_registers_and_cost(method):
    steady = method.steady()
    scheme = method.discretize(VP, np.linspace(0.9, 0.1, 8))
    assert {t.registers for t in scheme} == {steady.registers} == {scheme.registers}
    first, last = scheme.tableaus[0], scheme.tableaus[-1]
    opens = first.target is None  # a predictor-corrector evaluates before its first step and not after its last
    assert {t.stages for t in scheme.tableaus[opens : len(scheme) - opens]} == {steady.stages}
    assert (scheme.steps, len(scheme), scheme.nfe) == (7, 7 + opens, method.nfe(7))
    assert (first.stages, last.stages) == ((1, 0) if opens else (steady.stages, steady.stages))
    if isinstance(method, Multistep):
        assert steady.registers == method.registers
    assert steady.levels == (None,) * steady.stages
    assert [t.target for t in scheme][opens:] == list(scheme.levels[1:])
    assert all(type(x) is float for t in scheme for m in (t.A, t.U, t.B, t.V) for row in m for x in row)


@every_method
def test_the_steady_step_is_consistent_and_exact(method):
    """With f = 1 throughout X follows dX/ds = c X + 1: it stays at the fixed point -1/c, or moves by h if c = 0."""
    h, c = sp.Rational(1, 3), method.kernel
    tableau = method.steady(h)
    X = -sp.Rational(1, c) if c else sp.Integer(5)
    new = nd.step(tableau, [X, *[sp.Integer(1)] * (tableau.registers - 1)], lambda Y, level: sp.Integer(1))
    expanded = [sp.expand_func(sp.sympify(x)) for x in new]
    assert sp.simplify(expanded[0] - (X if c else X + h)) == 0
    assert [sp.simplify(x) for x in expanded[1:]] == [1] * (tableau.registers - 1)
    entries = [x for name in "AUBV" for row in getattr(tableau, name) for x in row]
    assert not any(isinstance(x, float) or sp.sympify(x).has(sp.Float) for x in entries)


@every_method
def test_too_few_steps_are_refused(method):
    method.discretize(VP, np.linspace(0.9, 0.1, method.points + 1))
    if method.points > 1:
        with pytest.raises(
            ValueError, match=f"combines {method.points} evaluations and needs at least {method.points} steps"
        ):
            method.discretize(VP, np.linspace(0.9, 0.1, method.points))


# --- finding methods by name ------------------------------------------------------------------------------------------


@every_family
def test_every_family_builds_from_its_options(name):
    family = FAMILIES[name]
    given = {"order": 2, "beta": Fraction(4, 5)}
    method = nd.method(name, **{option: value for option, value in given.items() if option in family.options})
    assert isinstance(method, nd.Method)
    assert family.summary
    accepted = inspect.signature(family.build).parameters
    assert set(family.options) <= set(accepted) or any(p.kind is p.VAR_KEYWORD for p in accepted.values())


def test_families_have_aliases_and_no_case():
    assert nd.method("GHVB", order=3, beta=0.8) == nd.GHVB(3, 0.8)
    assert nd.method("heavy-ball", order=2, beta=0.5, weights="uniform") == nd.HeavyBall(
        nd.AdamsBashforth(2, weights="uniform"), beta=0.5
    )
    assert nd.method("dpm++", order=2, rule="half") == nd.DPMSolverPP(2, rule="half")
    assert nd.method("heun") == nd.Heun()
    names = [name for key, family in FAMILIES.items() for name in (key, *family.aliases)]
    assert len(set(names)) == len(names)


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(ValueError, match="unknown method 'ghbv'; did you mean 'ghvb'"):
        nd.method("ghbv")
    with pytest.raises(ValueError, match="unknown option of ab 'ordr'; did you mean 'order'"):
        nd.method("ab", ordr=2)
    with pytest.raises(ValueError, match="method flow-euler takes no options, got order"):
        nd.method("flow-euler", order=2)
    with pytest.raises(ValueError, match="method ab needs order, for example order=2"):
        nd.method("ab")
    with pytest.raises(ValueError, match=r"method ghvb needs beta, for example beta=0\.8"):
        nd.method("ghvb", order=2)
    with pytest.raises(ValueError, match="unknown method 'zzzz'; numdiff methods lists the families"):
        nd.method("zzzz")
    for blank in ("", "  "):
        with pytest.raises(ValueError, match="name is empty; give a family or a sampler's name"):
            nd.method(blank)
    with pytest.raises(TypeError, match=r"name must be the text of a name .* got 3"):
        nd.method(3)


def test_an_order_may_stand_behind_a_family():
    for name in ("plms3", "plms-3", "PLMS 3", "ipndm_3"):
        assert nd.method(name) == nd.PLMS(3)
    assert nd.method("ghvb3", beta=0.8) == nd.method("ghvb3", order=3, beta=0.8) == nd.GHVB(3, 0.8)
    with pytest.raises(ValueError, match="ghvb3 has order 3, but order=2 is given; give one of them"):
        nd.method("ghvb3", order=2, beta=0.8)
    with pytest.raises(ValueError, match="unknown method 'heun-4'"):  # a family without orders
        nd.method("heun-4")


def test_every_array_of_a_family_is_within_reach():
    for name in exponential_runge_kutta.KNOWN:
        assert nd.method("etd", tableau=name).label == name
    for name in classical.RHO_RK:
        assert nd.method("rho-rk", tableau=name) == nd.method(name) == nd.RhoRK(name)
    with pytest.raises(ValueError, match="tableau must be one of '1euler'"):
        nd.method("rho-rk", tableau="5rk")


def test_every_method_class_is_exported():
    """A class without abstract parts can be made by its users."""
    package = sys.modules[nd.Method.__module__.rpartition(".")[0]]
    modules = [
        importlib.import_module(info.name) for info in pkgutil.walk_packages(package.__path__, "numdiff.methods.")
    ]
    members = {thing for module in modules for thing in vars(module).values() if inspect.isclass(thing)}
    concrete = {c for c in members if issubclass(c, nd.Method) and not inspect.isabstract(c)}
    assert len(concrete) > 20
    assert not [c.__name__ for c in concrete if getattr(nd, c.__name__, None) is not c or c.__name__ not in nd.__all__]
    assert set(package.__all__) - set(nd.__all__) == {"FAMILIES", "find", "register"}


def test_a_family_says_which_of_its_members_are_as_published():
    status = {key: family.status(family.example) for key, family in FAMILIES.items()}
    assert status["ddim"] == status["heun"] == "as published"
    assert FAMILIES["dpmpp"].status({"order": 3}).startswith("repaired, of order 3")
    assert FAMILIES["dpmpp"].status({"order": 2, "rule": "half"}) == "as published"
    for key, family in FAMILIES.items():
        for settings, _ in family.variants:
            assert set(settings) <= set(family.options), key
            assert family.status(settings) in dict(map(reversed, family.variants)), key


@pytest.mark.parametrize(("rule", "c3", "order"), [("dpmsolver", None, 3), ("dpmsolver", 0.9, 2), ("exact", 0.9, 3)])
def test_a_status_that_tells_an_order_is_right_about_it(rule, c3, order):
    options = {"order": 3, "rule": rule, **({} if c3 is None else {"c3": c3})}
    status = FAMILIES["dpm-solver-single"].status(options)
    assert f"of order {order}" in status
    assert nd.method("dpm-solver-single", **options).order == order
