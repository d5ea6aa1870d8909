"""The certificate, on problems whose stationary points and multipliers are known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from numdiff.optimize.problem import Parts
from numdiff.optimize.search import certify
from numdiff.optimize.window import Window

WIDE = Window(-np.inf, np.inf, 4, np.zeros(4))


class Kinks:
    """c^T z + sum |z - at|, over nodes a gap apart: at its kinks w = -c, if |c| <= 1."""

    def __init__(self, slope, at, window=WIDE):
        self.slope, self.at, self.window = np.asarray(slope, dtype=float), np.asarray(at, dtype=float), window

    def evaluate(self, z):
        return Parts(gradient=self.slope, value=self.slope @ z, absolute=z - self.at, absolute_jacobian=np.eye(len(z)))


class Squares:
    """|z - at|^2, scaled; with gaps the minimizer is a projection."""

    def __init__(self, at, window, factor=1.0):
        self.at, self.window, self.factor = np.asarray(at, dtype=float), window, factor

    def evaluate(self, z):
        root = np.sqrt(self.factor)
        return Parts(np.zeros(len(z)), residuals=root * (z - self.at), residual_jacobian=root * np.eye(len(z)))


def test_kinks_give_their_multipliers():
    certificate = certify(Kinks([0.3, -0.2, 0.9], [-1, 0, 2]), [-1, 0, 2])
    assert certificate.certified
    assert certificate.optimality < 1e-15
    np.testing.assert_allclose(certificate.kink_multipliers, [-0.3, 0.2, -0.9], atol=1e-14)
    assert list(certificate.kinks) == [0, 1, 2]


def test_a_kink_need_not_be_met_to_rounding():
    problem = Kinks([0.3, -0.2, 0.9], [-1, 0, 2])
    for sign in (1, -1):
        assert certify(problem, np.array([-1, 0, 2]) + sign * 1e-10).certified
        assert not certify(problem, np.array([-1, 0, 2]) + sign * 1e-6).certified
        assert certify(problem, np.array([-1, 0, 2]) + sign * 1e-6, tolerance=1e-5).certified


def test_a_slope_too_steep_for_its_kink_is_rejected():
    # F = 1.2 z + |z| falls to the left: w would have to be -1.2.
    certificate = certify(Kinks([0.3, 1.2, 0.9], [-1, 0, 2]), [-1, 0, 2])
    assert not certificate.certified
    assert certificate.stationarity > 1e-3
    assert certificate.kink_multipliers[1] == pytest.approx(-1)


def test_gap_multipliers_of_a_projection():
    # Nearest to (0, 0, 3) with gaps of 1: (-1/2, 1/2, 3); 2 (z - at) = (-1, 1, 0) = M^T mu, mu = 1 on the first gap.
    window = Window(-np.inf, np.inf, 4, np.ones(4))
    certificate = certify(Squares([0, 0, 3], window), [-0.5, 0.5, 3])
    assert certificate.certified
    np.testing.assert_allclose(certificate.multipliers, [1, 0], atol=1e-14)
    assert list(certificate.active) == [0]


def test_wrong_sign_of_a_multiplier_is_rejected():
    # At (0, 1, 4) the first gap is met, but the target (0, 2.5, 4) draws it open: mu = -3 would be needed.
    window = Window(-np.inf, np.inf, 4, np.ones(4))
    certificate = certify(Squares([0, 2.5, 4], window), [0, 1, 4])
    assert not certificate.certified
    assert certificate.stationarity > 0.1
    assert certificate.multipliers.max() < 1e-12


def test_infeasible_point_is_rejected():
    window = Window(-np.inf, np.inf, 4, np.ones(4))
    certificate = certify(Squares([0, 0.5, 3], window), [0, 0.5, 3])
    assert certificate.stationarity < 1e-15
    assert not certificate.certified
    assert certificate.feasibility == pytest.approx(0.25)


def test_interior_point_that_is_not_stationary_is_rejected():
    assert not certify(Squares([0, 1, 3], WIDE), [0.1, 1, 3]).certified
    assert certify(Squares([0, 1, 3], WIDE), [0, 1, 3]).certified


@pytest.mark.parametrize("factor", [1e-12, 1e12])
@pytest.mark.parametrize("unit", [1e-3, 1e3])
def test_scale_free(factor, unit):
    window = Window(0, 10 * unit, 4, np.full(4, unit))
    plain = Window(0, 10, 4, np.ones(4))
    point = np.array([1.5, 4.3, 6.0])
    scaled = certify(Squares([1, 5, 5.5] * np.array(unit), window, factor), unit * point)
    reference = certify(Squares([1, 5, 5.5], plain), point)
    assert scaled.optimality == pytest.approx(reference.optimality, rel=1e-9)
    assert reference.optimality > 1e-3


def test_parameters_at_their_box():
    # F = (z - 1)^2 - p on p <= 2: mu = 1 on p's upper bound, and p = 0.5, at its lower bound, is rejected.
    window = Window(-np.inf, np.inf, 2, np.zeros(2), ("p",), (0.5,), (2.0,))

    class Slope:
        def __init__(self):
            self.window = window

        def evaluate(self, z):
            return Parts(np.array([2 * (z[0] - 1), -1.0]), value=(z[0] - 1) ** 2 - z[1])

    good = certify(Slope(), [1, 2])
    assert good.certified
    np.testing.assert_allclose(good.multipliers, [0, 1], atol=1e-14)
    assert not certify(Slope(), [1, 0.5]).certified


def test_no_value_no_certificate():
    class Nothing(Squares):
        def evaluate(self, z):
            if z[0] < 0:
                raise ValueError("negative")
            return Parts(np.full(3, np.nan), value=1.0)

    problem = Nothing([0, 1, 2], WIDE)
    for point in ([-1, 0, 1], [1, 2, 3]):
        certificate = certify(problem, point)
        assert not certificate.certified
        assert certificate.optimality == np.inf


def test_terms_that_are_identically_zero_do_no_harm():
    class Padded(Kinks):
        def evaluate(self, z):
            parts = super().evaluate(z)
            absolute, rows = np.append(parts.absolute, 0.0), np.vstack([parts.absolute_jacobian, np.zeros(3)])
            return Parts(parts.gradient, parts.value, absolute=absolute, absolute_jacobian=rows)

    assert certify(Padded([0.3, -0.2, 0.9], [-1, 0, 2]), [-1, 0, 2]).certified
