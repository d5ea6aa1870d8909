"""What the docstrings of the methods say: a formula, references of their own, and claims that the methods keep."""

import json
import re

import pytest

import numdiff as nd
from numdiff import cli
from numdiff.cli import documentation
from numdiff.methods import FAMILIES, Method, methods
from numdiff.methods.exponential_runge_kutta import ExponentialRungeKutta
from numdiff.methods.predictor_corrector import PredictorCorrector

STEPS = 11
FAMILIES_WITH_ORDERS = [name for name, family in FAMILIES.items() if "order" in family.options]

ONE_PAPER = ({"ralston", "ralston3"}, {"kutta3", "kutta38"}, {"ltsp", "stsp"})

KINDS = {
    "order": (r"[Oo]rder (?P<order>.+)", lambda method: method.order),
    "weak order": (r"weak order (?P<weak>.+)", lambda method: method.weak_order),
    "stages": (r"(?P<stages>.+?) stages?", lambda method: method.stages),
    "evaluations": (r"(?P<nfe>.+) evaluations for N (steps|grid intervals)\b.*", lambda method: method.nfe(STEPS)),
}


def claims(text):
    """Return {kind: formula} from a first sentence such as "Order k; 1 stage; N + 1 evaluations for N steps."."""
    found = {}
    for piece in re.split(r"\.(?:\s|$)", text)[0].split("; "):
        for kind, (pattern, _) in KINDS.items():
            match = re.fullmatch(pattern, piece)
            if match:
                found[kind] = next(value for value in match.groups() if value)
                break
        else:
            raise AssertionError(f"not a claim: {piece!r}")
    return found


def value(formula, method, k):
    """Return the value of a claim's formula, in which a product is written with a space: "3 (k - 1)", "2 N"."""
    written = re.sub(r"(?<![a-z,+-])([0-9A-Zks]) (?=[A-Zk(])", r"\1*", formula)
    names = {"N": STEPS, "k": k, "p": k, "min": min}
    if isinstance(method, PredictorCorrector):
        q = method.memory if method.predictor is None else method.predictor.order
        names |= {"p": method.memory, "c": method.corrected_points, "q": q}
    if isinstance(method, ExponentialRungeKutta):
        names |= {"p": method.table.order, "s": len(method.table.c)}
    return eval(written, {"__builtins__": {}}, names)


def held(name, method, k, text):
    found = claims(text)
    assert {"order", "stages", "evaluations"} <= set(found), text
    assert ("weak order" in found) == method.stochastic, text
    for kind, formula in found.items():
        assert value(formula, method, k) == KINDS[kind][1](method), (name, method.name, kind, formula)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_shows_its_formula_claims_and_references(name):
    method = FAMILIES[name].member()
    found = documentation.of(name, method)
    assert "=" in found.formula
    assert found.symbols
    assert all(len(line) <= 116 for line in found.formula.splitlines())
    k = FAMILIES[name].example.get("order", getattr(method, "points", method.order))
    k = method.memory if isinstance(method, PredictorCorrector) else method.order if k == 1 else k
    held(name, method, k, found.claims)


@pytest.mark.parametrize("name", FAMILIES_WITH_ORDERS)
@pytest.mark.parametrize("order", [2, 3])
def test_claims_hold_for_other_orders(name, order):
    found = documentation.of(name, FAMILIES[name].member())
    if re.match(r"Order \d", found.claims) and name not in ("hb", "nt", "ltsp", "stsp"):
        assert name == "hochbruck-ostermann"  # its docstring speaks of order 4, and of the others in words
        return
    held(name, FAMILIES[name].build(**{**FAMILIES[name].example, "order": order}), order, found.claims)


def test_families_that_differ_show_different_formulas():
    seen = {}
    for name, family in FAMILIES.items():
        formula = documentation.of(name, family.member()).formula
        assert formula not in seen, (name, seen.get(formula))
        seen[formula] = name


@pytest.mark.parametrize("name", FAMILIES)
def test_references_are_the_familys_own(name):
    """They name a work by its year or number, or the code where the method is from, and are one family's."""
    method = FAMILIES[name].member()
    found = documentation.of(name, method).references
    assert re.search(r"arXiv:\d{4}\.\d{5}|\((1|2)\d{3}\)|, I+\.\d|k-diffusion, sample_|numdiff's own", found)
    others = {n for n, f in FAMILIES.items() if n != name and documentation.of(n, f.member()).references == found}
    assert any({name, *others} <= paper for paper in ONE_PAPER) or not others


@pytest.mark.parametrize(
    ("name", "author"),
    [
        ("ddim", "Song"),
        ("ddpm", "Ho, Jain, Abbeel"),
        ("plms", "Liu"),
        ("dpmpp", "2211.01095"),
        ("dpm-solver", "2206.00927"),
        ("sa-solver", "Xue"),
        ("seeds", "Gonzalez"),
        ("res", "Zhang, Song, Chen"),
        ("etd", "Cox and Matthews"),
        ("etd", "Krogstad"),
        ("flow-euler", "Lipman"),
        ("kutta3", "Kutta"),
    ],
)
def test_a_paper_is_named_where_its_method_is(name, author):
    assert author in documentation.of(name, FAMILIES[name].member()).references


STOCHASTIC = [name for name, family in FAMILIES.items() if family.member().stochastic]


@pytest.mark.parametrize("name", STOCHASTIC)
def test_the_formula_of_a_method_with_noise_shows_its_noise(name):
    assert re.search(r"\bz(_\d)?\b|n_[ti]", documentation.of(name, FAMILIES[name].member()).formula)


@pytest.mark.parametrize("name", ["ipndm", "ComfyUI:ipndm", "dpm_2", "k-diffusion:dpm_2"])
def test_a_name_with_a_function_of_its_own_shows_that(name):
    found = documentation.of("plms" if "ipndm" in name else "dpm-solver-single", nd.PLMS(), name)
    family = documentation.of("plms" if "ipndm" in name else "dpm-solver-single", nd.PLMS())
    assert found.formula != family.formula
    assert found.references != family.references


@pytest.mark.parametrize("kind", sorted({type(m) for m in methods(every=True).values()}, key=lambda k: k.__name__))
def test_a_class_of_methods_documents_itself(kind):
    assert issubclass(kind, Method)
    found = documentation.read(kind)
    assert found.formula
    assert found.symbols
    assert found.claims
    assert found.references


def test_what_a_docstring_lacks_is_empty():
    assert documentation.read(int) == documentation.Documentation("", "", "", "")


def test_the_command_line_shows_them(capsys):
    assert cli.main(["methods", "--json"]) == 0
    for entry in json.loads(capsys.readouterr().out):
        found = documentation.of(entry["family"], FAMILIES[entry["family"]].member())
        assert documentation.Documentation(*(entry[key] for key in vars(found))) == found
    assert cli.main(["methods", "ddpm"]) == 0
    shown = capsys.readouterr().out
    found = documentation.of("ddpm", nd.method("ddpm"))
    assert found.formula in shown
    assert all(" ".join(text.split()) in " ".join(shown.split()) for text in (found.claims, found.symbols))
