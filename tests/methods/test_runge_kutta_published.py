"""Published Runge-Kutta arrays: entry for entry those of nodepy, of the order they claim; their SSP coefficients."""

import itertools
from fractions import Fraction

import pytest
from nodepy import runge_kutta_method

import numdiff as nd
from numdiff.methods.published import classical
from numdiff.methods.runge_kutta import KNOWN, RungeKutta
from tests.methods.test_observed_orders import END, START, TOLERANCE, mixture_error, slope

PEERS = {
    "Heun": "SSP22",
    "Midpoint": "Mid22",
    "Heun3": "Heun33",
    "SSPRK3": "SSP33",
    "SSPRK43": "SSP43",
    "RK4": "RK44",
}
FAMILIES = {
    "Ralston3": classical.Ralston3,
    "Heun3": classical.Heun3,
    "VanDerHouwen3": classical.VanDerHouwen3,
    "SSPRK3": classical.SSPRK3,
    "SSPRK43": classical.SSPRK43,
    "Kutta38": classical.Kutta38,
}


@pytest.fixture(scope="module")
def loaded():
    return runge_kutta_method.loadRKM()


@pytest.mark.parametrize("label", PEERS)
def test_arrays_are_nodepys(label, loaded):
    ours, peer = KNOWN[label], loaded[PEERS[label]]
    exact = lambda x: Fraction(int(x.p), int(x.q)) if hasattr(x, "p") else Fraction(x)  # noqa: E731
    expected = tuple(tuple(map(exact, row)) for row in (*peer.A, peer.b))
    assert (*ours.A, ours.b) == expected


@pytest.mark.parametrize("label", KNOWN)
def test_every_array_has_the_order_it_claims_and_no_more(label):
    assert nd.order.certified(RungeKutta(KNOWN[label], label)) == KNOWN[label].order


@pytest.mark.parametrize("label", FAMILIES)
def test_aliases_are_the_familys_own_objects(label):
    method = FAMILIES[label](nd.NOISE_RATIO)
    assert method == RungeKutta(KNOWN[label], label, nd.NOISE_RATIO)
    assert method.nfe(7) == 7 * len(KNOWN[label].b)


def radius(butcher):
    """Return the SSP coefficient: the largest r at which the shift by r keeps the array nonnegative, by bisection.

    With K the array over b, K (I + r K)^-1 >= 0 and r K (I + r K)^-1 e <= e (Gottlieb, Ketcheson, Shu 2011, 3.2); the
    inverse is the finite Neumann series, K being nilpotent.
    """
    K = [[*row, Fraction(0)] for row in (*butcher.A, butcher.b)]
    size = range(len(K))

    def monotone(r):
        power, total = K, K
        for _ in size:
            power = [[-r * sum(power[i][k] * K[k][j] for k in size) for j in size] for i in size]
            total = [[x + y for x, y in zip(a, b, strict=True)] for a, b in zip(total, power, strict=True)]
        return all(x >= 0 for row in total for x in row) and all(r * sum(row) <= 1 for row in total)

    low, high = Fraction(0), Fraction(8)
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if monotone(middle) else (low, middle)
    return low, high


@pytest.mark.parametrize(("label", "coefficient"), [("Heun", 1), ("SSPRK3", 1), ("SSPRK43", 2), ("RK4", 0)])
def test_ssp_coefficients(label, coefficient):
    low, high = radius(KNOWN[label])
    assert low <= coefficient <= high


def test_rho_rk_takes_the_names_of_deis():
    methods = {name: classical.RhoRK(name) for name in classical.RHO_RK}
    assert {name: method.order for name, method in methods.items()} == {name: int(name[0]) for name in methods}
    assert methods["2heun"] == nd.Heun(nd.NOISE_RATIO) == classical.SSPRK2(nd.NOISE_RATIO)
    assert all(a.butcher != b.butcher for a, b in itertools.combinations(methods.values(), 2))
    with pytest.raises(ValueError, match="name must be one of '1euler', '2heun'"):
        classical.RhoRK("5rk")


@pytest.mark.parametrize("label", FAMILIES)
def test_orders_are_kept_on_a_diffusion(label):
    method = FAMILIES[label]()
    assert slope(mixture_error(method), [1.0, 2.0, 1.3], 24, START, END) > method.order - TOLERANCE
