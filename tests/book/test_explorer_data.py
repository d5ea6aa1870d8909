"""The data of the stability explorer: what is written is the polynomial, exactly, and every method has its place."""

import json

import pytest
import sympy as sp

import numdiff as nd
from book.tools import explorer
from numdiff.methods.registry import FAMILIES
from numdiff.symbolic.phi import phi
from numdiff.symbolic.polynomials import stability_polynomial
from numdiff.symbolic.steady import H, one_field


def read(document, values):
    """Put SymPy values into a polynomial as it is written; return {(i, j): coefficient}."""
    known = {"beta": values.get("beta"), "h": values.get("h")}

    def of(symbol):
        if isinstance(symbol, str):
            return known[symbol]
        x = sp.Rational(*symbol[-1]) * known["h"]
        return sp.exp(x) if symbol[0] == "exp" else phi(symbol[1], x)

    generators = [of(symbol) for symbol in document["symbols"]]

    def total(monomials):
        return sp.Add(
            *(int(c) * sp.prod(g**e for g, e in zip(generators, powers, strict=True)) for c, *powers in monomials)
        )

    return {(i, j): total(above) / total(below) for i, j, above, below in document["terms"]}


@pytest.mark.parametrize(
    "method",
    [nd.GHVB(4, explorer.BETA), nd.HeavyBall(nd.AdamsBashforth(3), beta=explorer.BETA), nd.AdamsBashforth(5), nd.RK4()],
    ids=str,
)
def test_a_polynomial_survives_json_exactly(method, monkeypatch):
    monkeypatch.setattr(explorer, "_closed_forms", lambda pi: {})
    document = json.loads(json.dumps(explorer._polynomial(stability_polynomial(one_field(method)))))
    beta = sp.Rational(7, 13)
    found = read(document, {"beta": beta})
    expected = {power: c.subs(explorer.BETA, beta) for power, c in nd.stability.polynomial(method).as_dict().items()}
    assert found == expected


def test_kernels_are_written_as_exponentials_and_phi_functions(monkeypatch):
    monkeypatch.setattr(explorer, "_closed_forms", lambda pi: {})
    method = nd.DPMSolverPP(2)
    document = explorer._polynomial(stability_polynomial(one_field(method)))
    assert {symbol if isinstance(symbol, str) else symbol[0] for symbol in document["symbols"]} == {"h", "exp", "phi"}
    found, expected = read(document, {"h": H}), nd.stability.polynomial(method).as_dict()
    assert found.keys() == expected.keys()
    assert all(sp.cancel(found[power] - expected[power]) == 0 for power in found)


def test_integers_that_javascript_would_round_are_texts():
    assert explorer._integer(2**53 - 1) == 2**53 - 1
    assert explorer._integer(-(2**53)) == "-9007199254740992"
    assert int(explorer._integer(3**50)) == 3**50


def test_another_function_in_the_coefficients_is_refused():
    with pytest.raises(ValueError, match=r"sin\(h\)"):
        explorer._generator(sp.sin(H))


def test_every_family_without_noise_has_a_place():
    placed = [key for keys in explorer.GROUPS.values() for key in keys.split()]
    assert len(placed) == len(set(placed)), "a family stands in two groups"
    assert set(placed) <= set(FAMILIES)
    for key in set(FAMILIES) - set(placed):
        member = FAMILIES[key].member()
        assert member.stochastic or explorer.symbolic(FAMILIES[key], FAMILIES[key].example) is None, key


def test_members_have_beta_where_the_family_has_momentum(monkeypatch):
    monkeypatch.setattr(explorer, "ORDERS", range(1, 4))
    found = explorer.Catalogue()
    members = explorer._family("ghvb", "Momentum", FAMILIES["ghvb"], found)["members"]
    assert {member["order"] for member in members} == set(explorer.ORDERS)
    assert len({member["formulation"] for member in members}) == 5
    for number, pi in enumerate(found.numbers):
        first = next(member for member in members if member["polynomial"] == number)
        assert (explorer.BETA in pi.free_symbols_in_domain) == (first["beta"] is not None), first


@pytest.mark.parametrize("key", ["ab", "dpmpp", "rk4", "res"])
def test_the_default_is_the_member_of_the_gallery(key, monkeypatch):
    monkeypatch.setattr(explorer, "ORDERS", (2, 3))
    family, found = FAMILIES[key], explorer.Catalogue()
    described = explorer._family(key, "", family, found)
    member = described["members"][described["default"]]
    place = (member["order"], member["formulation"], member["variant"])
    tableaux = [one_field(method) for method in (family.build(**found.built[key, *place]), family.member())]
    assert explorer._entries(tableaux[0]) == explorer._entries(tableaux[1])
    assert member["proved"] == [nd.order.certified(family.member())]


def test_orders_are_those_of_a_generic_damping_and_of_none():
    found = explorer.Catalogue()
    assert found.order(nd.HeavyBall(nd.AdamsBashforth(3), beta=explorer.BETA)) == [1, 3]
    assert found.order(nd.GHVB(3, explorer.BETA)) == [3, 3]
    assert found.order(FAMILIES["dpm2-ancestral"].member()) == [None]


def test_options_that_spell_out_a_default_make_no_second_member(monkeypatch):
    monkeypatch.setattr(explorer, "ORDERS", range(1, 4))
    members = explorer._family("ab", "Adams", FAMILIES["ab"], explorer.Catalogue())["members"]
    places = [(member["order"], member["formulation"], member["variant"]) for member in members]
    assert len(places) == len(set(places))
    assert not any("exact" in variant for _, _, variant in places)


def test_the_file_calls_the_registering_function(tmp_path, monkeypatch):
    monkeypatch.setattr(explorer, "document", lambda: {"families": [], "polynomials": [], "published": []})
    explorer.write(tmp_path)
    text = (tmp_path / "explore" / "data" / "stability.js").read_text()
    start, end = "numdiffStability.register(", ");\n"
    assert text.startswith(start)
    assert text.endswith(end)
    assert json.loads(text[len(start) : -len(end)])["families"] == []


def test_a_closed_form_is_the_one_python_proves():
    method = nd.GHVB(3, explorer.BETA)
    forms = explorer._closed_forms(stability_polynomial(one_field(method)))
    assert forms["real"] == sp.latex(nd.stability.real_interval(method))
    assert "real" not in explorer._closed_forms(stability_polynomial(one_field(nd.DPMSolverPP(2))))
