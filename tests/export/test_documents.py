"""A scheme as JSON is the scheme: every bit comes back, every mistake has a name, and nothing is evaluated."""

import contextlib
import copy
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
    assert (document["steady"], document["note"]) == (None, "no constant-step form")


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


# --- what cannot be read ----------------------------------------------------------------------------------------------

TEXT = export.to_json(lay_out(nd.HeavyBall(nd.AdamsBashforth(2), beta=Fraction(4, 5)), 3))


def edited(*path, value):
    """Return the document with one value replaced, or removed if it is `...`."""
    document = json.loads(TEXT)
    place = document
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(document)


WRONG = [
    (("format",), "numdiff method", "format must be one of 'numdiff scheme'"),
    (("version",), 2, "version must be one of 1, got 2"),
    (("version",), ..., "key 'version' is missing"),
    (("surprise",), 1, "key 'surprise' is unknown"),
    (("method",), None, "method must be an object with a key 'class'"),
    (("method", "class"), "HeavyBal", "method.class 'HeavyBal' is unknown; did you mean 'HeavyBall'"),
    (("method", "class"), "os.system", "method.class 'os.system' is unknown; known: "),
    (("method", "class"), "Butcher", "key 'A' of method is missing"),
    (("method", "class"), "VPLinear", "method.class 'VPLinear' is unknown"),
    (("method", "beta"), ..., "key 'beta' of method is missing"),
    (("method", "beta"), {"rational": "0"}, "method: beta must lie in (0, 2], got 0"),
    (("method", "beta"), {"rational": "1/0"}, "method.beta.rational divides by zero"),
    (("method", "beta"), {"rational": "__import__('os')"}, 'method.beta.rational must be a rational number "p/q"'),
    (("method", "beta"), {"rational": "9" * (DIGITS + 1)}, f"at most {DIGITS} digits"),
    (("method", "beta"), {"rational": "\N{ARABIC-INDIC DIGIT FOUR}"}, "must be a rational number"),
    (("method", "beta"), {"symbol": "x+1"}, "method.beta.symbol must be a symbol's name"),
    (("method", "beta"), {"expression": "1"}, "method.beta is an expression, which is for reading only"),
    (("method", "beta"), {"number": "1"}, "method.beta must have one of the keys class, rational"),
    (
        ("method", "beta"),
        {"root": {"coefficients": ["-1", "2", "1"], "index": 2}},
        "beta.root has 2 real roots, so none",
    ),
    (("method", "beta"), {"root": {"coefficients": ["-1", "0", "1"], "index": 0}}, "beta.root must be irreducible"),
    (
        ("method", "beta"),
        {"root": {"coefficients": ["1", "1"], "index": 0}},
        "beta.root must have a degree from 2 to 12",
    ),
    (("method", "beta"), {"root": {"coefficients": ["1"] * 99, "index": 0}}, "must have a degree from 2 to 12"),
    (("method", "beta"), {"root": {"coefficients": ["9" * 99, "0", "1"], "index": 0}}, "of at most 40 digits"),
    (("method", "beta"), {"root": {"coefficients": ["1/2", "0", "1"], "index": 0}}, "coefficients must be integers"),
    (("method", "beta"), {"rational": "1", "float": "1"}, "key 'float' of method.beta is unknown"),
    (("method", "beta"), 10**30, "method.beta must be an integer from"),
    (("method", "base", "formulation"), {"formulation": "noise"}, "must be one of 'noise/ratio'"),
    (("method", "base", "order"), 9, "method.base: order must be between 1 and 8, got 9"),
    (("method", "base"), {"class": "Butcher", "A": [], "b": [], "order": 1}, "method: base must be a multistep method"),
    (("method",), json.loads(export.method_to_json(nd.Heun()))["method"]["butcher"], "method must be a method"),
    (("schedule", "class"), "GHVB", "schedule.class 'GHVB' is unknown"),
    (("schedule", "T"), {"float": "-1"}, "schedule: T must be positive"),
    (("prediction",), "v", "prediction must be one of 'noise', 'data', 'velocity'"),
    (("exact_starts",), 3, "exact_starts must be an integer from 0 to 2, got 3"),
    (("exact_starts",), True, "exact_starts must be an integer"),
    (("options", "start"), "middle", "options.start must be one of"),
    (("options", "orders"), [1], "options.orders must have one entry per step (3)"),
    (("options", "orders"), "123", "options.orders must be an array"),
    (
        ("levels", 1, "time"),
        "1/3",
        'levels[1].time is no float; the nearest one is "6004799503160661/18014398509481984"',
    ),
    (("levels", 1, "alpha"), "nan", "levels[1].alpha must be a rational number"),
    (("levels", 1, "sigma"), ..., "key 'sigma' of levels[1] is missing"),
    (("grid",), [0], "grid must have at least two levels"),
    (("grid", 0), 17, "grid[0] must be an integer from 0 to 3, got 17"),
    (("grid", 0), -1, "grid[0] must be an integer from 0 to 3, got -1"),
    (("tableaus",), [], "tableaus must be one or more"),
    (("tableaus", 1, "B", 0, 0), "one", 'tableaus[1].B[0][0] must be a rational number "p/q"'),
    (("tableaus", 1, "B", 0, 0), 1, "tableaus[1].B[0][0] must be a string, got 1"),
    (("tableaus", 1, "B", 0, 0), "inf", "tableaus[1].B[0][0] must be a rational number"),
    (("tableaus", 1, "B", 0, 0), "9" * 400, "tableaus[1].B[0][0] is larger than any float"),
    (("tableaus", 1, "B", 0), [], "tableaus[1]: B must have shape (3, 1)"),
    (("tableaus", 1, "A", 0, 0), "1", "tableaus[1]: A must be strictly lower triangular"),
    (("tableaus", 1, "levels"), [], "tableaus[1].levels must have one entry per stage (1)"),
    (("tableaus", 1, "tags"), ["", ""], "tableaus[1]: tags must have 1 entries, got 2"),
    (("tableaus", 1, "target"), "x", "tableaus[1].target must be an integer"),
]


@pytest.mark.parametrize(("path", "value", "message"), WRONG, ids=[f"{w[0]}-{i}" for i, w in enumerate(WRONG)])
def test_a_wrong_document_is_refused_by_the_name_of_what_is_wrong(path, value, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (the message is compared below)
        export.from_json(edited(*path, value=value))
    assert message in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text is not JSON"),
        ("[1]", "the document must be an object"),
        ("null", "the document must be an object"),
        ('{"format": 1, "format": 2}', "key 'format' occurs twice"),
        ('{"version": 1.5}', "the number 1.5 is not exact"),
        ('{"version": NaN}', "the number NaN is not exact"),
        ("[" * 100_000, "nested too deeply"),
        ('{"version": ' + "9" * 5000 + "}", "digits"),
        (export.method_to_json(nd.DDIM()), "format must be one of 'numdiff scheme', got 'numdiff method'"),
    ],
)
def test_what_is_no_document_is_refused(text, message):
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        export.from_json(text)


def test_a_document_of_any_size_is_refused_before_it_is_read(monkeypatch):
    monkeypatch.setattr("numdiff.export.documents.SIZE", len(TEXT) - 1)
    with pytest.raises(ValueError, match=f"has {len(TEXT)} characters, more than {len(TEXT) - 1}"):
        export.from_json(TEXT)


def test_deeply_nested_bases_are_refused():
    method = json.loads(TEXT)["method"]
    for _ in range(320):
        method = {**method, "base": method}
    with pytest.raises(ValueError, match="nested too deeply"):
        export.from_json(edited("method", value=method))


def places(value, path=()):
    """Yield the path of everything in a document."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(item, (*path, key))


@pytest.mark.parametrize("value", [..., None, True, 3, -1, "x", "1/2", [], [[]], {}, {"class": "GHVB"}], ids=repr)
def test_every_mutation_is_refused_or_harmless(value):
    """Whatever is put in place of whatever, there is a ValueError or a scheme, and never another exception."""
    original = json.loads(TEXT)
    original["levels"], kept = original["levels"][:1], original["levels"]
    for path in places(original):
        document = copy.deepcopy({**original, "levels": kept})
        place = document
        for key in path[:-1]:
            place = place[key]
        if value is ...:
            del place[path[-1]]
        else:
            place[path[-1]] = value
        with contextlib.suppress(ValueError):
            assert isinstance(export.from_json(json.dumps(document)), nd.Scheme)
