"""Everything registered keeps its claims: names, sizes, consistency, and how it is found."""

import dataclasses
import inspect
import pickle
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import numdiff as nd
from numdiff.methods import FAMILIES
from numdiff.methods.multistep import Multistep

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
    with pytest.raises(ValueError, match="unknown method 3; known: ab"):
        nd.method(3)
