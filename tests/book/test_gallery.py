"""The gallery: every family has a page, and what the pages say is what the library says by another way."""

import ast
import re
from fractions import Fraction
from html import unescape
from math import prod

import numpy as np
import pytest

import numdiff as nd
from book.computed.gallery_work_precision import measure
from book.tools import playground, playground_methods
from book.tools.gallery import (
    calls,
    facts,
    figures,
    formula,
    general,
    links,
    overview,
    page,
    regions,
    two_fields,
    words,
    write,
)
from book.tools.results import stored
from numdiff import cli
from numdiff.cli import documentation
from numdiff.methods import FAMILIES
from numdiff.methods.registry import catalogue
from numdiff.symbolic.steady import exact_method

SCHEDULE = nd.schedules.VPLinear()


@pytest.fixture(scope="module")
def heun():
    return page.page("heun", facts.facts("heun"))


def test_a_page_holds_every_section_and_what_the_library_says(heun):
    headings = re.findall(r"^## (.*)$", heun, re.MULTILINE)
    assert headings == [
        *("Formula", "Coefficients", "Order and error", "Stability", "Spectral response", "Work and precision"),
        *("Published and repaired", "Names elsewhere", "Options", "Run it", "References"),
    ]
    assert heun.startswith("# heun\n")
    assert f"x^* = {nd.stability.real_interval(nd.Heun())}$" in heun
    assert f"y^* = {nd.stability.imaginary_interval(nd.Heun())}$" in heun
    assert rf"\hline  & \frac{{1}}{{{int(1 / nd.Heun().coefficients().b[0])}}}" in heun
    assert heun.count('role="img" aria-label="') == heun.count("<svg") == heun.count("<figcaption>") == 3
    assert "{cite:p}`heun1900neue,karras2022elucidating,vonplaten2022diffusers`" in heun


def test_what_is_not_defined_is_said():
    found = page.page("euler-churn", facts.facts("euler-churn"))
    assert found.count("has no steady step: its noise depends on the number of steps") >= 3
    assert "There is no stability region in one variable" in found
    assert "None" not in re.sub(r"`[^`]*`|```.*?```", "", found, flags=re.DOTALL)
    assert "numdiff derive" not in found


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_cites_works_of_the_bibliography_and_explains_its_options(name):
    _, known = words.bibliography()
    _, keys = words.references(name, FAMILIES[name].member())
    assert keys
    assert set(keys) <= known
    listed = words.options(name)
    assert [option for option, _, _ in listed] == list(FAMILIES[name].options)
    assert all(default and len(meaning) > 5 and "As in" not in meaning[:6] for _, default, meaning in listed)


def test_calls_on_the_pages_build_what_they_say():
    for name, family in FAMILIES.items():
        built = eval(calls.call(name), {"nd": nd})
        assert exact_method(built) == exact_method(family.member()), name
        ast.parse(calls.code(name, family.member()))


@pytest.mark.parametrize("alias", catalogue.ALIASES[::4], ids=str)
def test_names_elsewhere_resolve_to_what_the_table_builds(alias):
    if any(not isinstance(value, (str, int, Fraction)) for value in alias.options.values()):
        assert alias.family in calls.described(alias)
        return
    assert exact_method(nd.method(str(alias))) == exact_method(eval(calls.described(alias), {"nd": nd}))


def test_every_name_and_every_family_has_a_row_and_a_card():
    rows = [overview._alias(alias) for alias in catalogue.ALIASES]
    assert {re.search(r"methods/([\w-]+)\.html", row[0])[1] for row in rows} <= set(FAMILIES)
    for shown in ("dpm++", "adams-bashforth", "euler_ancestral"):
        assert any(shown in overview.named(name, family.member()).lower() for name, family in FAMILIES.items())
    empty = {"thumbnail": "", "region": {"value": None}, "constant": {"number": None}}
    table = overview.compare(dict.fromkeys(FAMILIES, empty))
    cards = overview.cards(dict.fromkeys(FAMILIES, empty))
    for name in FAMILIES:
        assert f'href="methods/{name}.html"' in table
        assert cards.count(f'href="methods/{name}.html"') == 1


def test_errors_of_different_kinds_have_columns_of_their_own():
    dash, found = "\N{EN DASH}", {"region": {"value": None}, "constant": {"number": None}}
    for name, family in FAMILIES.items():
        errors = overview._row(name, found)[5:8]
        assert errors.count(dash) >= 2, name
        position = list(page.MEASURES).index(measure(family.member()))
        assert set(errors[:position] + errors[position + 1 :]) == {dash}


def test_evaluations_are_counted_by_grid_intervals():
    """A third-order step of the single-step method spans three intervals: a grid of 9 takes 9 evaluations."""
    assert page.evaluations(nd.method("single-step")) == "3 a step of three grid intervals"
    assert nd.method("single-step").nfe(9) == 9
    assert page.evaluations(nd.method("rk4")) == "4 a step"


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.member().kernel])
def test_the_equation_in_a_caption_is_what_short_steps_follow(name):
    """The principal eigenvalue of a step of length h is 1 + h (c + factor z) + O(h^2)."""
    method, h, z = FAMILIES[name].member(), 1e-5, -0.7 + 0.4j
    tableau = regions.steady(method, h).to_float()
    c, factor = regions.drift(method)
    A, U, B, V = (np.array(getattr(tableau, n), float) for n in "AUBV")
    A, U, B, V = A.reshape(len(A), -1), U.reshape(len(A), -1), B.reshape(len(V), -1), V.reshape(len(V), -1)
    values = np.linalg.eigvals(V + z * B @ np.linalg.inv(np.eye(len(A)) - z * A) @ U)
    principal = values[np.argmin(abs(values - 1))]
    assert (principal - 1) / h == pytest.approx(complex(c + factor * z), abs=1e-3)


def test_formulas_of_docstrings_are_typeset_to_the_last_symbol():
    for name, family in FAMILIES.items():
        code = general.align(documentation.of(name, family.member()).formula)
        assert code.count("{") == code.count("}"), name
        named = set(re.findall(r"\\(?:mathrm|text)\{ ?([^}]*?) ?\}", code))
        words_of = {word.strip(':"') for text in named for word in text.split()}
        known = {*general.WORDS.split(), "up", "down", "mid", "noise", "DDIM", "fixed-small", "fixed-large"}
        assert words_of <= known, (name, words_of - known)
        assert not re.search(r"(?<![\\a-z])(?:alpha|beta|sigma|lambda|sum|int)(?![a-z])|\\sim|hat\{\}", code), name
    assert general.tex("sqrt(1 - (a + b)) z") == r"\sqrt{1 - (a + b)} z"


def test_links_to_the_playground_stand_for_the_member_shown():
    known = {offer.key: offer for offer in playground_methods.offers()}
    chosen = [*list(FAMILIES)[::5], "fpndm", "strang", "flow-heun", "rk4"]
    for name in dict.fromkeys(chosen):
        run = links.playground(name, FAMILIES[name].member())
        assert run is not None, name
        first, second = (part.split("--")[1:] for part in run[0].removeprefix("view__").split("__")[:2])
        assert exact_method(known[first[0]].method()) == exact_method(FAMILIES[name].member())
        assert FAMILIES[name].member().nfe(int(first[2])) == run[1]
        assert abs(int(second[2]) - run[1]) <= 2
        schedule = "flow" if "schedule--flow" in run[0] else "vp-linear"
        assert playground.scheme(known[first[0]], schedule, first[1], int(first[2])).nfe == run[1]


@pytest.mark.parametrize("name", ["ab", "plms", "lms", "ghvb", "hb", "filtered-adams", "bdia"])
def test_a_typeset_step_is_consistent(name):
    """On f = 1 everything but X stays put, v = 1, and X grows by h a step, 2 h over two."""
    line = formula.align(FAMILIES[name].member()).split(r" \\ ")[0].partition("&= ")[2]
    text = re.sub(r"\\frac\{([^}]*)\}\{([^}]*)\}", r"((\1)/(\2))", line).replace(r"\left", "").replace(r"\right", "")
    text = re.sub(r"X_\{[^}]*\}", "0", re.sub(r"[fv]_\{[^}]*\}", "1", text))
    text = re.sub(r"(\d+) h", r"\1*h", text)
    text = re.sub(r"(?<=[\d)h]) (?=[\d(h])", "*", text)
    assert eval(text, {"h": 1.0}) == pytest.approx(2 if name == "bdia" else 1)


@pytest.mark.parametrize("name", ["hb", "pec", "bdia", "ssprk43", "dpmpp"])
def test_regions_by_eigenvalues_agree_with_the_root_condition(name):
    method = FAMILIES[name].member()
    h = regions.STEP if method.kernel else None
    tableau = (regions.steady(method, h) if h else regions.one_field(method)).to_float()
    rng = np.random.default_rng(0)
    z = rng.uniform(-4, 1, 300) + 1j * rng.uniform(-2, 2, 300)
    assert ((regions.growth(tableau, z) <= regions.BOUND) == nd.stability.region(method, z, h=h)).all()


def test_the_spectral_figure_of_ddim_is_the_product_of_its_steps():
    found = dict(figures.spectral(nd.DDIM())[10])
    s = min(found, key=lambda x: abs(x - 1.0))
    levels = [SCHEDULE.level(t) for t in nd.grids.uniform_log_snr(SCHEDULE, 10)]
    variance = [level.alpha**2 * s**2 + level.sigma**2 for level in levels]
    steps = zip(levels, levels[1:], variance, strict=False)
    gain = prod(b.alpha / a.alpha + (b.sigma - a.sigma * b.alpha / a.alpha) * a.sigma / v for a, b, v in steps)
    assert found[s] == pytest.approx(gain / (variance[-1] / variance[0]) ** 0.5, rel=1e-10)


def test_the_order_of_splitting_is_that_of_its_two_eigenvalues():
    assert "order 2 there" in two_fields.order_html(FAMILIES["strang"].member())
    assert "order 1 there" in two_fields.order_html(FAMILIES["ltsp"].member())


@pytest.mark.slow
def test_a_condition_alone_is_stable_for_two_midpoint_steps():
    """Strang's method takes two half steps of the condition, each stable to -2."""
    assert "w^* = 4" in two_fields.stability_html(FAMILIES["strang"].member())


def test_the_stored_runs_cover_every_family():
    curves = stored(page.RESULT)["curves"]
    for name, family in FAMILIES.items():
        rows = figures.best(curves[measure(family.member())][name])
        assert [n for n, _, _ in rows] == sorted({n for n, _, _ in rows})
        assert all(0 < error < np.inf for _, error, _ in rows)
    assert all("ddim" in kind for kind in curves.values())


@pytest.mark.slow
def test_a_stored_error_is_what_a_run_gives():
    from numdiff.study.mixtures import lay_out, problems

    curves = stored(page.RESULT)["curves"]["flow"]
    scheme, errors = lay_out(nd.PLMS(4), "log-SNR", 10), []
    for problem in problems(64)["unguided"]:
        levels = [SCHEDULE.level(t) for t in (1.0, 1e-3)]
        start = problem.mixture.sample_level(64, levels[0], 0)
        found, truth = nd.sample(scheme, problem.model, start), problem.mixture.flow(SCHEDULE, start, 1.0, 1e-3).x
        errors.append(np.sqrt(np.mean((found - truth) ** 2)))
    stored_error = curves["plms"]["log-SNR"]["10"]
    assert np.exp(np.mean(np.log(errors))) == pytest.approx(stored_error, rel=0.35)  # other points, other ends


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_the_code_on_a_page_runs(name):
    space = {}
    exec(calls.code(name, FAMILIES[name].member()), space)
    assert space["x0"].shape == (1000, 2)
    assert np.isfinite(space["x0"]).all()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book")
    write(folder)
    return folder / "gallery" / "methods"


@pytest.mark.slow
def test_commands_on_the_pages_end_well(written, capsys):
    """Those of members whose summary derives are half a minute, so a few of them, and those that derive less."""
    cheap = {"ab", "ddim", "heun", "rk4", "stretched-adams", "etd"}
    bare = 0
    for name in FAMILIES:
        body = (written / f"{name}.md").read_text()
        commands = re.findall(r"^(numdiff .*)$", body, re.MULTILINE)
        commands += [unescape(one) for one in re.findall(r"<code>(numdiff derive .*?)</code>", body)]
        assert commands[0] == f"numdiff methods {name}"
        bare += not any(one.startswith("numdiff derive") for one in commands)
        for command in commands[1:]:
            if name in cheap or "--topic coefficients" in command:
                assert cli.main(command.split()[1:]) in (0, None), command
    capsys.readouterr()
    assert 0 < bare < 6  # those without a steady step have nothing to derive


@pytest.mark.slow
def test_writing_makes_a_page_a_family(written):
    folder = written
    assert {path.stem for path in folder.glob("*.md")} == set(FAMILIES)
    for path in folder.glob("*.md"):
        assert path.read_text().count("\n## ") == 11
        assert "<td>low" not in path.read_text()
        assert "could be proved for h" not in path.read_text()
        assert "nan" not in re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL).split()


@pytest.mark.book
def test_tables_sort_and_filter(page, site):
    page.goto(f"{site}/gallery/compare.html")
    table = page.locator("table.numdiff-tools").first
    heading = table.locator("th", has_text="real interval")
    cells = lambda: table.locator("tbody tr:not([hidden]) td:nth-child(11)").all_inner_texts()  # noqa: E731
    number = lambda text: float(text.replace("\u2212", "-"))  # noqa: E731
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    values = [number(text) for text in cells() if text != "\u2013"]
    assert values == sorted(values)
    assert cells()[-1] == "\u2013"
    heading.locator("button").press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert number(cells()[0]) == max(values)
    assert cells()[-1] == "\u2013"
    page.get_by_label("Rows with").first.fill("stochastic sa-")
    assert table.locator("tbody tr:not([hidden])").count() == 1
    status = page.locator(".numdiff-filter [aria-live]").first
    assert "1 of " in status.inner_text()
    for known, family in {"dpm++": "dpmpp", "adams-bashforth": "ab", "euler_ancestral": "ancestral"}.items():
        page.get_by_label("Rows with").first.fill(known)
        assert family in table.locator("tbody tr:not([hidden]) td:first-child").all_inner_texts()
    page.get_by_label("Rows with").first.fill("nothing like it")
    assert "No row matches; library names are in the table below" in status.inner_text()
