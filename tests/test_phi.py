"""phi_k in floats against its closed form at 120 digits and against theorems; every other number type against those."""

import math
import subprocess
import sys
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numdiff.phi import HIGHEST, phi, phis

EPS = sys.float_info.epsilon
BOUND_ULP = 8  # promised for k <= 8; each of at most k steps of the recurrence adds about an ulp, partly averaging out
TINY = (5e-324, 1e-310, 2.2250738585072014e-308, 1e-200, 1e-20, 1e-16, 1e-8, 1e-4, 0.01)


def reference(count, z, digits=120):
    """Evaluate the closed form phi_k = (e^z - sum_{j<k} z^j/j!)/z^k, with the digits it cancels put on top."""
    if z == 0:
        return [1 / mpmath.factorial(k) for k in range(count)]
    lost = max(0, -count * math.log10(abs(z))) + count * max(0, math.log10(abs(z))) + abs(z)
    with mpmath.workdps(digits + int(lost)):
        x = mpmath.mpf(z)
        rest, power, values = mpmath.exp(x), mpmath.mpf(1), []
        for k in range(count):
            values.append(rest / power)
            rest -= x**k / mpmath.factorial(k)
            power *= x
    return values


def ulps(value, exact):
    return float(abs(mpmath.mpf(value) - exact) / math.ulp(float(exact)))


def seams():
    """Return the arguments where an order changes direction, and both neighbours of each."""
    turns = [-1.0, 1.0, 2.0, *(-float(k) for k in range(HIGHEST + 2)), *(2.0 * k for k in range(HIGHEST + 2))]
    points = {math.nextafter(z, side) for z in turns for side in (-math.inf, z, math.inf)}
    return sorted(points | {sign * z for z in TINY for sign in (1, -1)} | {-700.0, 700.0})


# --- accuracy ---


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("z", [-30.0, -0.7, 0.0, 3.0])
def test_reference_is_the_integral_of_the_definition(k, z):
    with mpmath.workdps(30):
        integral = mpmath.quad(lambda u: mpmath.exp((1 - u) * z) * u ** (k - 1) / mpmath.factorial(k - 1), [0, 0.5, 1])
        assert abs(integral / reference(k + 1, z)[k] - 1) < mpmath.mpf(10) ** -25  # the quadrature's own error


@pytest.mark.parametrize("z", seams())
def test_accuracy_at_the_seams(z):
    for k, (value, exact) in enumerate(zip(phis(HIGHEST + 1, z), reference(HIGHEST + 1, z), strict=True)):
        assert ulps(value, exact) <= BOUND_ULP, (k, z)


@given(st.one_of(st.floats(-700, 700), st.floats(-30, 30), st.floats(-2, 2), st.floats(-1e-300, 1e-300)))
def test_accuracy_everywhere(z):
    for k, (value, exact) in enumerate(zip(phis(HIGHEST + 1, z), reference(HIGHEST + 1, z), strict=True)):
        assert ulps(value, exact) <= BOUND_ULP, (k, z)


def test_accuracy_on_a_grid():
    grid = np.concatenate([np.linspace(-700, 700, 301), np.linspace(-31, 31, 500)])
    for z, *values in zip(grid, *phis(9, grid), strict=True):
        exact = reference(9, float(z))
        assert max(ulps(value, e) for value, e in zip(values, exact, strict=True)) <= BOUND_ULP, z


@pytest.mark.parametrize("z", [700.5, 709.0, 710.0, 715.0, 730.0, 750.0])
def test_finite_as_long_as_the_value_is(z):
    for value, exact in zip(phis(HIGHEST + 1, z), reference(HIGHEST + 1, z), strict=True):
        if exact < sys.float_info.max:
            assert ulps(value, exact) <= BOUND_ULP + 2  # e^z is a product of two exponentials here
        else:
            assert value == math.inf


# --- theorems ---


@given(st.floats(-300, 300))
def test_doubling(z):
    """2^k phi_k(2z) = e^z phi_k(z) + sum_{1<=j<=k} phi_j(z)/(k-j)!: one step of length 2 is two steps of length 1."""
    once, twice = phis(9, z), phis(9, 2 * z)
    for k in range(1, 9):
        parts = [once[0] * once[k], *(once[j] / math.factorial(k - j) for j in range(1, k + 1))]
        # positive terms do not amplify; both factors and the left side are off by BOUND_ULP ulp, at most EPS each
        assert math.isclose(2**k * twice[k], math.fsum(parts), rel_tol=(3 * BOUND_ULP + 2) * EPS)


@given(st.floats(-1e300, 1e300))
def test_positive_and_below_its_value_at_zero_on_the_left(z):
    for k, value in enumerate(phis(HIGHEST + 1, z)):
        assert value > 0 or (k == 0 and z < -700)  # e^z may underflow, no other phi_k does
        assert z > 0 or value <= 1 / math.factorial(k)


@given(st.floats(allow_nan=False), st.integers(0, HIGHEST))
def test_one_order_is_the_entry_of_the_pass_over_all(z, k):
    assert phi(k, z) == phis(HIGHEST + 1, z)[k]


# --- floats, rationals and their limits ---


@pytest.mark.parametrize("zero", [0.0, -0.0, 5e-324, -5e-324])
def test_value_at_zero(zero):
    assert phis(9, zero) == [1 / math.factorial(k) for k in range(9)]


@pytest.mark.parametrize("wrap", [float, np.float64, np.float32, lambda z: np.array([z, z])])
def test_limits(wrap):
    assert np.array_equal(phis(4, wrap(-math.inf)), np.zeros_like(phis(4, wrap(1.0))))
    assert np.all(np.isposinf(phis(4, wrap(math.inf))))
    assert np.all(np.isnan(phis(4, wrap(math.nan))))


def test_rationals_are_exact_at_zero_and_floats_elsewhere():
    for zero in (0, Fraction(0), False):
        assert phis(15, zero) == [Fraction(1, math.factorial(k)) for k in range(15)]
        assert all(type(value) is Fraction for value in phis(3, zero))
    assert phi(3, Fraction(1, 4)) == phi(3, 0.25)
    assert type(phi(3, 2)) is float
    assert type(phi(3, 0.5)) is float
    assert phis(0, 1.0) == []


# --- arrays ---


@pytest.mark.parametrize("shape", [(), (1,), (97,), (0,), (5, 4, 3)])
def test_arrays_equal_scalars_bit_for_bit(shape):
    rng = np.random.default_rng(0)
    z = np.asarray(rng.choice([1.0, 10.0, 800.0], shape) * rng.uniform(-1, 1, shape))
    for k, values in enumerate(phis(HIGHEST + 1, z)):
        expected = np.array([phi(k, float(x)) for x in z.ravel()]).reshape(shape)
        assert values.shape == shape
        assert values.dtype == np.float64
        assert np.array_equal(values, expected)
        assert np.array_equal(phi(k, z.T[..., ::-1] if z.ndim else z), expected.T[..., ::-1] if z.ndim else expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_narrow_floats_are_computed_in_double_and_rounded_once(dtype):
    z = np.linspace(-20, 20, 41).astype(dtype)
    with np.errstate(over="ignore"):
        assert all(v.dtype == dtype for v in phis(4, z))
        assert np.array_equal(phi(3, z), phi(3, z.astype(float)).astype(dtype))
        assert type(phi(3, z[3])) is dtype


def test_integer_arrays_give_doubles():
    assert np.array_equal(phi(2, np.arange(-3, 4)), phi(2, np.arange(-3.0, 4.0)))


# --- bad input ---


@pytest.mark.parametrize("k", [0.5, 2.0, "2", None])
def test_fractional_order_is_refused(k):
    with pytest.raises(TypeError, match="k must be an integer"):
        phi(k, 1.0)


@pytest.mark.parametrize("z", [0, 1.0, np.ones(2)])
def test_orders_out_of_range_are_refused(z):
    with pytest.raises(ValueError, match="k must be at least 0, got -1"):
        phi(-1, z)
    with pytest.raises(ValueError, match="count must be at least 0"):
        phis(-1, z)
    with pytest.raises(ValueError, match=rf"k must be at most {HIGHEST} in floating point, got {HIGHEST + 1}"):
        phi(HIGHEST + 1, 1.0)


@pytest.mark.parametrize("z", [np.array([1j]), np.array([Fraction(1)], dtype=object), np.array(["1"])])
def test_arrays_of_other_numbers_are_refused(z):
    with pytest.raises(TypeError, match="z must be real"):
        phi(1, z)


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="long double is double on this platform")
def test_extended_precision_is_refused_rather_than_rounded():
    with pytest.raises(TypeError, match="double precision at most"):
        phi(1, np.ones(2, dtype=np.longdouble))


def test_numbers_of_no_known_kind_are_refused():
    with pytest.raises(TypeError, match="unsupported number type"):
        phi(1, "z")


# --- mpmath ---


@pytest.mark.parametrize("z", ["-300", "-1", "-1e-40", "0", "1e-400", "2.5", "200"])
def test_mpmath_in_the_working_precision(z):
    with mpmath.workdps(60):
        x = mpmath.mpf(z)
        for k, value in enumerate(phis(15, x)):
            with mpmath.workdps(60 + 15 * 400 + 300):  # digits the closed form cancels
                exact = mpmath.exp(x) - sum(x**j / mpmath.factorial(j) for j in range(k)) if x else 1 / mpmath.fac(k)
                error = abs(value * x**k / exact - 1) if x else abs(value / exact - 1)
            assert error < 4 * mpmath.eps  # a rounding or two


def test_mpmath_limits():
    assert [phi(k, mpmath.mpf("-inf")) for k in range(3)] == [0, 0, 0]
    assert [phi(k, mpmath.mpf("inf")) for k in range(3)] == [mpmath.inf] * 3
    assert mpmath.isnan(phi(2, mpmath.mpf("nan")))


# --- torch ---

POINTS = [-40.0, -3.0, -1.0, -1e-9, 0.0, 1e-300, 0.5, 2.0, 7.3, 20.0]


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("k", [0, 1, 2, 5, HIGHEST])
def test_torch_gradients(torch, k):
    z = torch.tensor(POINTS, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: phi(k, z), z, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(lambda z: phi(k, z), z)


def test_torch_gradients_of_a_whole_pass(torch):
    z = torch.tensor(POINTS, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: tuple(phis(5, z)), z)
    assert torch.autograd.gradgradcheck(lambda z: tuple(phis(3, z)), z)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("k", range(9))
def test_torch_derivatives_at_zero(torch, k, dtype):
    """The m-th derivative at 0 is m!/(k + m)!, from the series."""
    z = torch.zeros((), dtype=getattr(torch, dtype), requires_grad=True)
    value = phi(k, z)
    for m in range(4):
        exact = math.factorial(m) / math.factorial(k + m)
        # (2) is applied m times, each a difference of numbers up to 2k times its result; then one rounding to dtype
        tolerance = torch.finfo(z.dtype).eps + EPS * (2 * k + 1) ** m
        assert value.dtype == z.dtype
        assert math.isclose(value.item(), exact, rel_tol=tolerance)
        (value,) = torch.autograd.grad(value, z, create_graph=True)


@given(st.floats(-30, 30), st.integers(0, 8))
def test_torch_gradient_against_the_derivative_in_extended_precision(z, k):
    torch = pytest.importorskip("torch")
    x = torch.tensor(z, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(phi(k, x), x)
    with mpmath.workdps(60):
        exact = mpmath.hyp1f1(2, k + 2, z) / mpmath.factorial(k + 1)  # d/dz M(1, k+1, z) = M(2, k+2, z)/(k+1)
        bound = BOUND_ULP * EPS * (phi(k, z) + k * phi(k + 1, z)) + EPS * abs(exact)  # the two terms of the difference
        assert abs(slope.item() - exact) <= bound


def test_torch_values_are_those_of_numpy(torch):
    z = np.linspace(-20, 20, 81)
    for k in (0, 1, 4):
        assert np.array_equal(phi(k, torch.tensor(z)).numpy(), phi(k, z))
        single = torch.tensor(z, dtype=torch.float32)
        assert phi(k, single).dtype == torch.float32
        assert np.array_equal(phi(k, single).numpy(), phi(k, single.numpy()))
    assert torch.equal(phi(1, torch.tensor([0, 1])), phi(1, torch.tensor([0.0, 1.0])))
    assert torch.equal(phi(2, torch.tensor(0.5)), torch.tensor(phi(2, 0.5)))


def test_torch_limits(torch):
    z = torch.tensor([-math.inf, math.inf, math.nan], dtype=torch.float64)
    assert str(phi(2, z).tolist()) == "[0.0, inf, nan]"


def test_torch_function_transforms(torch):
    z = torch.linspace(-2, 2, 5, dtype=torch.float64)
    slopes = phi(2, z) - 2 * phi(3, z)
    assert torch.equal(torch.func.vmap(torch.func.grad(lambda x: phi(2, x)))(z), slopes)
    assert torch.equal(torch.func.jacrev(lambda x: phi(2, x))(z), torch.diag(slopes))


def test_torch_complex_is_refused(torch):
    with pytest.raises(TypeError, match="z must be real"):
        phi(1, torch.tensor([1j]))


# --- imports ---


def test_optional_libraries_stay_unloaded():
    program = (
        "import sys; from numdiff.phi import phi; phi(2, 0.5); print([m for m in sys.modules if m in sys.argv[1:]])"
    )
    command = [sys.executable, "-c", program, "torch", "sympy", "mpmath", "scipy"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"
