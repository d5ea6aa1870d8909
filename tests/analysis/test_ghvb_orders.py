"""The table of GHVB's orders: what limits each form, and which numbers want a footnote."""

import pytest

from analysis.ghvb_orders import VARIANTS, causes, remarked

FORMS = {variant.what: variant for variant in VARIANTS}


@pytest.mark.parametrize(
    ("what", "order", "words"),
    [
        ("published", 2, "steps, start, velocity"),
        ("published, exact start", 2, "steps, velocity"),
        ("published, exact start and velocity", 2, "steps"),
        ("published, equal steps in rho, exact start", 2, "velocity"),
        ("published, equal steps in rho, exact start and velocity", 3, "its own order"),
        ("variable-step", 2, "start"),
        ("variable-step, Runge-Kutta start", 3, "its own order"),
    ],
)
def test_each_cause_alone_keeps_order_2(what, order, words):
    assert FORMS[what].proved(3) == (order, words)
    assert FORMS[what].proved(2) == (2, "its own order")


def test_only_numbers_that_want_a_word_have_a_footnote():
    assert (remarked(2.43, 2), remarked(3.16, 2), remarked(None, 4)) == ("2.43", "3.16 (a)", "- (b)")
    row = {"name": "GHVB 2.5", "variant": "published", "proved": 2, "limited by": "steps"}
    plain, far, floor = (
        causes({"steps": (40, 80), "rows": [row | {"orders": [q]}]}).partition("\n(")[2] for q in (2.1, 3.0, None)
    )
    assert plain == ""
    assert far.startswith("a) the errors")
    assert floor.startswith("b) the error is below")
