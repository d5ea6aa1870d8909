"""Floors that scatter and rise, told from zeros and lower orders; single errors that are zero or not finite."""

from math import nan

import numpy as np
import pytest

from numdiff.properties.order.regression import observed
from numdiff.properties.order.window import _departure

FINE = (24, 32, 48, 64, 96, 128, 192, 256, 384)
ROUNDED = dict(zip(FINE, (1.1e-4, 3.8e-5, 7.8e-6, 2.7e-6, 9.6e-7, 2e-7, 2e-7, 3e-7, 1e-7), strict=True))
DOUBLED = tuple(16 * 2**k for k in range(11))


@pytest.mark.parametrize(
    ("law", "steps", "order", "level"),
    [
        (ROUNDED.__getitem__, FINE, 4, 2e-7),
        (lambda n: 1e-6 if n == 384 else 3e-7 if n == 256 else 1.5e-6 * (192 / n) ** 4, FINE, 4, 6e-7),
        (lambda n: n**-3.0 + 1e-9 * (1 + 0.3 * np.sin(n * n)), DOUBLED[:9], 3, 1e-9),
        (lambda n: n**-4.0 + 1e-12 * n, DOUBLED, 4, 2e-9),
    ],
    ids=["scattering", "rising in the end", "in ups and downs", "rising"],
)
def test_floors_need_not_be_flat(law, steps, order, level):
    """What rounding leaves scatters and grows: the order is that of the stretch before it."""
    estimate = observed(law, steps)
    assert not estimate.irregular
    assert estimate.slope == pytest.approx(order, abs=0.25)
    assert "stop falling beyond" in estimate.cause
    assert 0.4 < estimate.plateau / level < 2.5


@pytest.mark.parametrize("steps", [FINE, DOUBLED[:9]])
@pytest.mark.parametrize("low", [0.5, 1, 2])
def test_a_lower_order_at_the_end_is_no_floor(low, steps):
    for factor in np.geomspace(1e-9, 1e-3, 12):
        estimate = observed(lambda n, c=factor: float(n) ** -4 + c * float(n) ** -low, steps)
        assert estimate.plateau is None, factor


@pytest.mark.parametrize("steps", [FINE, DOUBLED[:9]])
def test_a_zero_is_no_floor(steps):
    """e = h^2 |1 - (z h)^q|, z up to thrice the finest N: the power before the zero may seem to hold for a while."""
    for q in (1, 2, 3):
        for zero in np.geomspace(1.01 * steps[2], 3 * steps[-1], 60):
            errors = np.array([float(n) ** -2 * abs(1 - (zero / n) ** q) for n in steps])
            assert _departure(np.array(steps), errors) is None, (q, zero)


def test_one_zero_does_not_cost_the_finer_runs():
    estimate = observed(lambda n: 0.0 if n == 32 else float(n) ** -2, FINE)
    assert (estimate.slope, estimate.window) == (pytest.approx(2, abs=1e-9), (24, 384))
    assert "at N = 32 is zero" in estimate.cause
    assert observed(lambda n: 0.0 if n > 100 else float(n) ** -2, FINE).window == (24, 96)


def test_finite_errors_before_a_failure_are_spoken_of():
    estimate = observed(lambda n: nan if n == 384 else float(n) ** -2, FINE)
    assert not estimate.defined
    assert "finite errors at fewer steps than 384 do not count" in estimate.cause
    assert "only 0 usable errors above rounding level after N = 384" in estimate.cause
