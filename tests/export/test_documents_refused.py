"""What is no document of numdiff's is refused by the name of what is wrong, and nothing in it is evaluated."""

import contextlib
import copy
import json
from fractions import Fraction

import pytest

import numdiff as nd
from numdiff import export
from numdiff.export.rationals import DIGITS

VP = nd.schedules.VPLinear()


def lay_out(method, steps):
    return method.discretize(VP, nd.grids.uniform_log_snr(VP, steps))


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
    (("version",), True, "version must be one of 1, got True"),
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
    (("prediction",), "score", "prediction must be one of 'noise', 'data', 'velocity', 'v'"),
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
    (("levels", 1, "alpha"), "inf", "levels[1].alpha must be finite and not negative, got 'inf'"),
    (("levels", 1, "alpha"), "-1", "levels[1].alpha must be finite and not negative"),
    (("levels", 1, "sigma"), "-1", "levels[1].sigma must be finite and not negative, got '-1'"),
    (("levels", 1, "sigma"), {"rational": "9" * DIGITS}, "levels[1].sigma is larger than any float"),
    (("levels", 1, "sigma"), None, "levels[1].sigma must be a number, got None"),
    (("levels", 1, "model_time"), None, "levels[1].model_time must be a number, got None"),
    (("levels", 1, "model_time"), [], "levels[1].model_time must be a number, got []"),
    (("levels", 1, "time"), True, "levels[1].time must be a number, got True"),
    (("levels", 1, "time"), {"symbol": "x"}, "levels[1].time must be a number, got {'symbol': 'x'}"),
    (("levels", 1, "d_alpha"), {"formulation": "data/log-snr"}, "levels[1].d_alpha must be a number"),
    (("levels", 1, "time"), "0", "grid: times must be strictly monotone, but t[1] = "),
    (("levels", 1, "alpha"), "1/1048576", "grid: log-SNRs must be strictly monotone, but log_snr[1] = "),
    (("grid",), [0, 1, 1, 3], "grid: log-SNRs must be strictly monotone, but log_snr[1] = "),
    (("grid",), [0, 1, 2], "tableaus must have as many entries with a target as grid has steps (2), got 3"),
    (("grid",), [0, 3], "tableaus must have as many entries with a target as grid has steps (1), got 3"),
    (("tableaus", 1, "target"), None, "as many entries with a target as grid has steps (3), got 2"),
    (("tableaus", 1, "target"), 3, "tableaus[1].target must be the level of grid where it ends, got 3"),
    (("exact_starts",), 1, "exact_starts must be 0, as start is 'lower', got 1"),
    (("options", "start"), "exact", "exact_starts must be 1, as start is 'exact', got 0"),
    (("options", "orders"), [1, 3, 2], "options.orders[1] must be an int from 1 to 2, got 3"),
    (("prediction",), "data", "prediction must be that of the method, 'noise', got 'data'"),
    (("method", "beta"), {"symbol": "beta"}, "method contains the symbol beta, but the tableaus"),
    (("method", "base", "order"), 4, "grid: HB(AB4, 4/5) combines 4 evaluations and needs at least 4"),
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
        ('{"version": ' + "9" * 100_000 + "}", "has 100000 digits, more than 400$"),
        (export.method_to_json(nd.DDIM()), "format must be one of 'numdiff scheme', got 'numdiff method'"),
    ],
)
def test_what_is_no_document_is_refused(text, message):
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        export.from_json(text)


def test_a_key_twice_is_found_among_many():
    """In time proportional to their number: 10^5 of them compared with one another would take minutes."""
    text = "{" + ",".join(f'"a{i}":0' for i in range(100_000)) + ',"a99999":0}'
    with pytest.raises(ValueError, match="key 'a99999' occurs twice"):
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


STRANGE = [..., None, True, 3, -1, "x", "1/2", "inf", "-inf", [], [[]], {}, {"class": "GHVB"}, {"symbol": "x"}]
STRANGE += [{"rational": "9" * DIGITS}, {"root": {"coefficients": ["-2", "0", "1"], "index": 1}}, {"float": "inf"}]


@pytest.mark.parametrize("value", STRANGE, ids=lambda value: repr(value)[:30])
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
