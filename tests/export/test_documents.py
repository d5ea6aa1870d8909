"""A scheme as JSON is the scheme: every bit comes back, every mistake has a name, and nothing is evaluated."""

import dataclasses
import json
import math
import struct
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import numdiff as nd
from numdiff import export
from numdiff.export import algebraic
from numdiff.export.rationals import DIGITS, from_float, from_fraction, to_float, to_fraction
from numdiff.methods.adams import AdamsBashforth
from numdiff.methods.multistep import Multistep
from numdiff.symbolic.polynomials import ZETA
from numdiff.symbolic.steady import steady

METHODS = nd.methods()
VP = nd.schedules.VPLinear()
BETA = sp.Symbol("beta")
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())


def lay_out(method, steps=8, schedule=VP, **options):
    return method.discretize(schedule, nd.grids.uniform_log_snr(schedule, steps), **options)


def bits(value):
    """Return nested tuples with every float as its eight bytes."""
    if isinstance(value, float):
        return struct.pack("d", value)
    if isinstance(value, (tuple, list)):
        return tuple(map(bits, value))
    if dataclasses.is_dataclass(value):
        return tuple(bits(getattr(value, f.name)) for f in dataclasses.fields(value))
    return value


def assert_same(loaded, scheme):
    assert (loaded.method, loaded.schedule) == (scheme.method, scheme.schedule)
    assert (loaded.prediction, loaded.exact_starts, loaded.options) == (
        scheme.prediction,
        scheme.exact_starts,
        scheme.options,
    )
    assert bits(loaded.levels) == bits(scheme.levels)
    assert bits(loaded.tableaus) == bits(scheme.tableaus)


# --- round trips ------------------------------------------------------------------------------------------------------


@every_method
@pytest.mark.parametrize("start", ["lower", "runge-kutta", "exact"])
def test_a_scheme_comes_back_bit_for_bit(method, start):
    scheme = lay_out(method, start=start, final="limit")
    loaded = export.from_json(export.to_json(scheme))
    assert_same(loaded, scheme)
    assert loaded.method.name == method.name
    assert loaded.method.steady().V == method.steady().V
    if not scheme.exact_starts:
        x = np.linspace(-1.5, 2.0, 5)
        model = lambda x, t: np.sin(x) + t  # noqa: E731
        for run in (nd.sample, nd.invert)[: 1 if start == "exact" else 2]:
            np.testing.assert_array_equal(run(loaded, model, x), run(scheme, model, x))


SCHEDULES = {name: nd.schedules.get(name) for name in nd.schedules.names() if name != "discrete"}
SCHEDULES["integers"] = nd.schedules.VPLinear(beta_min=1, beta_max=10)
SCHEDULES["shifted flow"] = nd.schedules.Flow(shift=3.0)
SCHEDULES["own table"] = nd.schedules.Discrete(betas=[0.1, 0.3, 0.7, 1.0], name="mine")


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_every_schedule_comes_back(schedule):
    times = np.linspace(schedule.T, 0.3 * schedule.T, 5)
    method = nd.AdamsBashforth(2) if schedule.is_flow else nd.DPMSolverPP(2)
    assert_same(export.from_json(export.to_json(scheme := method.discretize(schedule, times))), scheme)


@pytest.mark.parametrize("name", ["vp-linear", "ve", "edm", "flow"])
def test_infinite_and_clean_ends_come_back(name):
    """At sigma = 0 a level has an infinite derivative or no time at all."""
    schedule = nd.schedules.get(name)
    grid = nd.grids.uniform_t(schedule, 6, t_start=0.8 * schedule.T, final_zero=True)
    scheme = nd.GHVB(3, 0.8).discretize(schedule, grid, final="denoise", orders=(1, 2, 3, 3, 2, 1))
    assert_same(export.from_json(export.to_json(scheme)), scheme)


def test_plain_equations_and_exact_times_come_back():
    scheme = nd.RK4().discretize(None, [Fraction(0), Fraction(1, 3), Fraction(1)])
    loaded = export.from_json(export.to_json(scheme))
    assert_same(loaded, scheme)
    assert [type(level.time) for level in loaded.levels] == [Fraction] * 3


def test_noise_and_biases_and_odd_levels_come_back():
    scheme = noisy()
    loaded = export.from_json(export.to_json(scheme))
    assert_same(loaded, scheme)
    assert type(loaded.tableaus[0].levels[0].model_time) is int


def noisy():
    """A hand-made scheme with a noise column, biases, a tag, a tableau without evaluation and an integer model time."""
    scheme = lay_out(nd.DDIM(), 3)
    first, second, third = scheme.tableaus
    level = dataclasses.replace(first.levels[0], model_time=999)
    first = first.replace(Na=((0.25,),), Nb=((-0.5,),), a=(0.125,), b=(-0.0,), levels=(level,))
    second = second.replace(tags=("other",))
    third = nd.Tableau(A=(), U=(), B=((),), V=((0.9,),), Nb=((0.1, 5e-324),), target=third.target)
    return dataclasses.replace(scheme, tableaus=(first, second, third))


@dataclasses.dataclass(frozen=True)
class Mine(AdamsBashforth):
    """A method that a user has defined."""

    shift: Fraction = Fraction(1, 3)
    flags: tuple = (True, None, "4/5")


def test_a_method_of_one_s_own_comes_back():
    method = Mine(2, shift=Fraction(-7, 3))
    loaded = export.from_json(export.to_json(lay_out(method)))
    assert type(loaded.method) is Mine
    assert loaded.method == method
    assert issubclass(Mine, Multistep)


@given(st.floats(allow_nan=False))
def test_floats_are_the_rationals_that_they_are(x):
    text = from_float(x)
    assert bits(to_float(text, finite=False)) == bits(x)
    if math.isfinite(x):
        assert to_fraction(text) == Fraction(x)


@given(st.fractions())
def test_fractions_are_themselves(x):
    assert to_fraction(from_fraction(x)) == x


# --- methods ----------------------------------------------------------------------------------------------------------

SYMBOLIC = [
    nd.GHVB(3, BETA),
    nd.GHVB(2, BETA, "data/log-snr"),
    nd.HeavyBall(nd.PLMS(2), beta=BETA),
    nd.Nesterov(nd.HeavyBall(nd.AdamsBashforth(2), beta=0.3), beta=sp.Rational(4, 5)),
]


@pytest.mark.parametrize("method", [*METHODS.values(), *SYMBOLIC], ids=str)
def test_a_method_comes_back_and_its_steady_tableau_can_be_read(method):
    text = export.method_to_json(method)
    assert export.method_from_json(text) == method
    document = json.loads(text)
    tableau = steady(method)
    entries = [
        (w, x)
        for n in "AUBV"
        for rows in zip(document["steady"][n], getattr(tableau, n), strict=True)
        for w, x in zip(*rows, strict=True)
    ]
    for written, entry in entries:
        entry = sp.sympify(entry)
        assert written == (str(entry) if entry.is_Rational else {"expression": str(entry)})


ROOTS = [
    sp.sqrt(2) - 1,
    (3 - sp.sqrt(5)) / 2,
    sp.CRootOf(ZETA**3 - 3 * ZETA + 1, 1),
    sp.CRootOf(ZETA**5 - 9 * ZETA + 1, 2),
]


@pytest.mark.parametrize("beta", ROOTS, ids=str)
def test_algebraic_parameters_come_back(beta):
    method = nd.GHVB(2, beta)
    scheme = lay_out(method, 4)
    assert_same(export.from_json(export.to_json(scheme)), scheme)
    assert export.method_from_json(export.method_to_json(method)) == method
    coefficients, index = algebraic.describe(beta)
    assert sp.expand(sum(c * sp.N(beta, 40) ** k for k, c in enumerate(coefficients))) == pytest.approx(0, abs=1e-35)
    assert algebraic.root(coefficients, index) == beta


EXPRESSIONS = [4 / (1 + BETA**2), sp.pi / 4, sp.Symbol("beta", positive=True), sp.Symbol("be ta")]


@pytest.mark.parametrize("beta", EXPRESSIONS, ids=str)
def test_expressions_are_for_reading_only(beta):
    text = export.method_to_json(nd.GHVB(2, beta))
    assert json.loads(text)["method"]["beta"] == {"expression": str(beta)}
    with pytest.raises(ValueError, match="is an expression, which is for reading only"):
        export.method_from_json(text)


# --- what cannot be written -------------------------------------------------------------------------------------------


def test_gradients_are_refused_with_the_remedy():
    torch = pytest.importorskip("torch")
    times = torch.linspace(1.0, 0.1, 5, dtype=torch.float64, requires_grad=True)
    with pytest.raises(ValueError, match=r"levels\[0\]\.time carries a gradient.*detach"):
        export.to_json(nd.DDIM().discretize(VP, times))
    beta = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    with pytest.raises(ValueError, match=r"tableaus\[1\]\..* carries a gradient.*detach"):
        export.to_json(lay_out(nd.GHVB(2, beta)))


def test_what_has_no_exact_form_is_refused_with_its_place():
    scheme = lay_out(nd.DDIM(), 2)
    first, second = scheme.tableaus
    for changed, message in {
        first.replace(a=(np.ones(3),)): r"tableaus\[0\]\.a\[0\] is an array of shape \(3,\)",
        first.replace(b=(math.inf,)): r"tableaus\[0\]\.b\[0\] is inf",
        first.replace(levels=(None,)): r"tableaus\[0\]\.levels\[0\] is None",
    }.items():
        with pytest.raises(ValueError, match=message):
            export.to_json(dataclasses.replace(scheme, tableaus=(changed, second)))
    for beta, message in {
        sp.pi / 4: r"method\.beta is the expression pi/4",
        sp.cbrt(2): r"method\.beta is 2\*\*\(1/3\), which comes back as the equal CRootOf",
        1 - Fraction(1, 10**DIGITS): f"method.beta has more than {DIGITS} digits",
    }.items():
        with pytest.raises(ValueError, match=message):
            export.to_json(lay_out(nd.GHVB(2, beta), 3))
    for call in (export.to_json, export.method_to_json, export.from_json, export.method_from_json):
        with pytest.raises(TypeError, match="must be"):
            call(3)


@dataclasses.dataclass(frozen=True)
class Loose(AdamsBashforth):
    """A method with a field that may be anything, and without a constant step."""

    anything: object = None

    def steady(self, h=None, *, ratio=1):
        raise ValueError("no constant-step form")


def test_a_method_without_a_steady_step_says_why():
    document = json.loads(export.method_to_json(Loose(2)))
    assert (document["steady"], document["note"]) == (None, "AB2: no constant-step form")


STRANGERS = {
    object(): "method.anything is a object, which has no exact form as text",
    VP: "method.anything is a VPLinear, which cannot be read back; known: AdamsBashforth",
    nd.Formulation("mine", "noise", "rho", 0): "method.anything is none of the formulations noise/ratio",
    float("nan"): "method.anything is nan",
    (1.0, float("nan")): r"method\.anything\[1\] is nan",
    sp.I * sp.sqrt(2): "method.anything is sqrt[(]2[)][*]I, which is not real",
}


@pytest.mark.parametrize(
    ("value", "message"), STRANGERS.items(), ids=[str(type(value).__name__) for value in STRANGERS]
)
def test_fields_that_cannot_come_back_are_refused(value, message):
    with pytest.raises(ValueError, match=message):
        export.to_json(lay_out(Loose(2, anything=value), 3))


def test_levels_hold_numbers_only():
    scheme = lay_out(nd.DDIM(), 2)
    for model_time, message in {"late": "is a str", float("nan"): "is nan"}.items():
        level = dataclasses.replace(scheme.levels[0], model_time=model_time)
        with pytest.raises(ValueError, match=rf"levels\[0\]\.model_time {message}"):
            export.to_json(dataclasses.replace(scheme, levels=(level, *scheme.levels[1:])))
