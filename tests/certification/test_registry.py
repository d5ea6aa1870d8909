"""Every registered method is put to the test like anybody's: a fast subset here, all of it on all grids when slow.

The claims of the registry are for exact starts, and for equal steps in a method's own variable where its weights are
for those; so "certified" and "conditional" keep a claim, and the other verdicts break it.
"""

import pytest

import numdiff as nd
from numdiff.adapters.subjects import names, resolve
from numdiff.certification import certify, certify_all
from numdiff.certification.experiments import meets

KEPT = ("certified", "conditional")
STEPS = (32, 48, 64, 96, 128, 192)
FAST = ("AB3 data/log-snr", "HB(AB2, 4/5)", "GHVB3(4/5)", "PEC2 data/log-snr")
FAST += ("AB2 noise/log-snr tau=1", "Ancestral(AB1, eta=1)")


@pytest.mark.parametrize("name", FAST)
def test_a_member_of_each_family_keeps_its_claim(name):
    found = certify(resolve(f"numdiff:{name}"), steps=STEPS)
    assert found.verdict in KEPT, found.cause
    if found.verdict == "conditional":  # and says under which condition
        assert "start alone" in found.cause or "equal steps" in found.cause


@pytest.mark.slow
def test_a_claim_that_is_one_too_high_is_not_kept():
    for name in ("Heun", "HB(AB2, 4/5)"):
        claim = nd.methods(every=True)[name].order + 1
        assert certify(resolve(f"numdiff:{name}"), claim, steps=STEPS).verdict not in KEPT


@pytest.mark.slow
def test_the_whole_registry_keeps_its_claims(tmp_path):
    """On alternating steps; ``make certify`` has more of them, and ``--grids alternating,random,refined`` all grids."""
    specs = [f"numdiff:{name}" for name in names("numdiff")]
    found = certify_all(specs, resolve, steps=STEPS, out=tmp_path)
    assert {one.subject: one.cause for one in found if one.claim and one.verdict not in KEPT} == {}
    assert len(found) == len(specs) > 100
    one_step = [one for one in found if one.subject.split(":")[1] in ("RK4", "Heun", "Kutta3", "SSPRK3")]
    assert one_step
    assert all(meets(each, one.claim) for one in one_step for each in one.experiments)
    for file in ("certificates.json", "certificates.md"):
        assert (tmp_path / file).stat().st_size > 10_000
