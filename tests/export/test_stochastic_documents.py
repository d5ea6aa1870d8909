"""Methods with noise, exponential arrays and fields come back from JSON, with the Brownian times of their noises."""

import json

import numpy as np
import pytest

import numdiff as nd
from numdiff import export
from tests import zoo

METHODS = zoo.everything()
VP = nd.schedules.VPLinear()


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_registered_method_comes_back(method):
    assert export.method_from_json(export.method_to_json(method)) == method


def lay_out(method):
    return method.discretize(VP, nd.grids.uniform_t(VP, 6, t_start=0.9))


@pytest.mark.parametrize(
    "method",
    [
        nd.DDIM(eta=0.5),
        nd.DDPM("fixed-large"),
        nd.SDEDPMSolverPP(2, tau=0.7),
        nd.SASolver(3, 4, tau=nd.Tau(1, 0.2, None, "time", "start")),
        nd.AdamsBashforth(2, nd.stochastic("noise/ratio", 0.3)),
        nd.DPMSolverPPSDE(path="rho"),
        nd.SEEDS(3),
        nd.EulerAncestral(),
        nd.EDMStochastic(),
        nd.SiT("heun", "sigma"),
        nd.LTSP(2),
        nd.PNDM(3, combine="v"),
    ],
    ids=str,
)
def test_a_scheme_comes_back_with_its_noise(method):
    scheme = lay_out(method)
    loaded = export.from_json(export.to_json(scheme))
    assert loaded.method == method
    assert [t.clocks for t in loaded] == [t.clocks for t in scheme]
    tags = {tag for tableau in scheme for tag in tableau.tags if tag}
    fields = dict.fromkeys(tags, lambda x, t: 0.1 * x) or None
    x = np.array([1.2, -0.4])
    found, expected = (
        nd.sample(s, lambda x, t: x * t, x, generator=np.random.default_rng(3), fields=fields) for s in (loaded, scheme)
    )
    np.testing.assert_array_equal(found, expected)


def test_documents_without_clocks_are_read():
    document = json.loads(export.to_json(lay_out(nd.EulerAncestral())))
    for tableau in document["tableaus"]:
        tableau.pop("clocks", None)
    assert {t.clocks for t in export.from_json(json.dumps(document))} == {(None,)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base": "data/rho"}, "method.formulation.stochastic.base"),
        ({"level": {"class": "Butcher", "A": [], "b": [], "order": 1}}, "level must be a Tau or an Eta"),
        ({"base": "velocity/time"}, "has no stochastic form here"),
        ({"more": 1}, "key 'more' of method.formulation.stochastic is unknown"),
    ],
)
def test_mistakes_in_a_noise_level_have_a_place(change, message):
    document = json.loads(export.method_to_json(nd.SDEDPMSolverPP(2)))
    document["method"]["formulation"]["stochastic"].update(change)
    with pytest.raises(ValueError, match=message):
        export.method_from_json(json.dumps(document))


def test_a_clock_has_two_times():
    document = json.loads(export.to_json(lay_out(nd.EulerAncestral())))
    document["tableaus"][0]["clocks"] = [["1"]]
    with pytest.raises(ValueError, match=r"tableaus\[0\].clocks\[0\] must be null or two times"):
        export.from_json(json.dumps(document))
