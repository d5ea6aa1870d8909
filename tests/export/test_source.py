"""A page of source is the scheme: it needs nothing but Python and computes what the executor computes."""

import ast
import dataclasses
import json
import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

import numdiff as nd
from numdiff import export
from numdiff.parameterizations import EDM, names

METHODS = nd.methods()
VP = nd.schedules.VPLinear()
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())


def lay_out(method, steps=8, schedule=VP, *, final_zero=False, **options):
    grid = nd.grids.uniform_log_snr(schedule, steps, final_zero=final_zero)
    return method.discretize(schedule, grid, **options)


def load(page):
    space = {}
    exec(compile(page, "<page>", "exec"), space)
    return space["sample"]


def model(x, t):
    """A prediction that is neither linear nor autonomous; works on arrays, tensors and floats."""
    return 0.3 * x / (1.0 + x * x) + 0.1 * t


def close(found, expected):
    """Both sum the same products of size up to the result's, in another order: some hundred roundings at most."""
    scale = max(float(abs(expected).max()), 1.0)
    epsilon = float(np.finfo(str(expected.dtype).removeprefix("torch.")).eps)
    assert float(abs(found - expected).max()) <= 500 * epsilon * scale


@every_method
def test_a_page_computes_what_the_executor_computes(method):
    for start in ("lower", "runge-kutta"):
        for final_zero in (False, True):
            agrees_with_the_executor(method, start, final_zero)


def agrees_with_the_executor(method, start, final_zero):
    scheme = lay_out(method, start=start, final_zero=final_zero, final="denoise" if final_zero else None)
    x = np.linspace(-1.5, 2.0, 7)
    for prediction in (scheme.prediction, "v"):
        found = load(export.to_python(scheme, prediction=prediction))(model, x)
        close(found, nd.sample(scheme, model, x, prediction=prediction))
        assert found.dtype == x.dtype


@every_method
def test_a_page_asks_for_what_the_executor_asks_for(method):
    """The same evaluations in the same order, each at the same time."""
    scheme, asked = lay_out(method), []

    def spy(x, t):
        asked.append((float(x[0]), t))
        return model(x, t)

    x = np.ones(1)
    nd.sample(scheme, spy, x, prediction=scheme.prediction)
    expected, asked = asked, []
    load(export.to_python(scheme))(spy, x)
    assert [t for _, t in asked] == [t for _, t in expected]
    np.testing.assert_allclose([x for x, _ in asked], [x for x, _ in expected], rtol=1e-13)


@pytest.mark.parametrize("prediction", [*names(), EDM(sigma_data=1.5)], ids=str)
def test_a_page_is_written_for_what_the_model_predicts(prediction):
    scheme = lay_out(nd.DPMSolverPP(2), 6)
    page = export.to_python(scheme, prediction=prediction)
    x = np.linspace(-1.5, 2.0, 7)
    close(load(page)(model, x), nd.sample(scheme, model, x, prediction=prediction))
    assert ("sigma_data = 1.5" in page) == isinstance(prediction, EDM) * (prediction == EDM(sigma_data=1.5))


@every_method
def test_tensors_keep_their_dtype(method):
    torch = pytest.importorskip("torch")
    scheme = lay_out(method, 6)
    sample = load(export.to_python(scheme))
    for dtype in (torch.float32, torch.float64):
        x = torch.linspace(-1.5, 2.0, 7, dtype=dtype)
        found = sample(model, x)
        assert found.dtype == dtype
        close(found, nd.sample(scheme, model, x, prediction=scheme.prediction))


@every_method
def test_a_page_imports_nothing_and_calls_nothing_but_the_model(method):
    page = export.to_python(lay_out(method, 20, start="runge-kutta"), prediction="v")
    nodes = list(ast.walk(ast.parse(page)))
    assert not [n for n in nodes if isinstance(n, (ast.Import, ast.ImportFrom, ast.Attribute))]
    assert {n.func.id for n in nodes if isinstance(n, ast.Call)} == {"model"}
    assert max(map(len, page.splitlines())) <= 120


def test_a_page_runs_where_no_package_is_installed(tmp_path):
    """Python alone, without numdiff and NumPy on its path: a sample may be a plain float."""
    pages = {name: export.to_python(lay_out(method, 6)) for name, method in METHODS.items()}
    (tmp_path / "pages.json").write_text(json.dumps(pages))
    code = (
        "import json, sys\n"
        f"pages = json.load(open({str(tmp_path / 'pages.json')!r}))\n"
        "model = lambda x, t: 0.3 * x / (1.0 + x * x) + 0.1 * t\n"
        "for name, page in pages.items():\n"
        "    space = {}\n"
        "    exec(page, space)\n"
        "    pages[name] = space['sample'](model, 0.7)\n"
        "print(json.dumps([pages, [m for m in sys.modules if m in ('numpy', 'numdiff', 'torch')]]))\n"
    )
    command = [sys.executable, "-I", "-S", "-c", code]
    found, loaded = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert loaded == []
    for name, method in METHODS.items():
        scheme = lay_out(method, 6)
        close(np.array([found[name]]), nd.sample(scheme, model, np.array([0.7]), prediction=scheme.prediction))


@pytest.mark.parametrize("name", ["AB3", "GHVB3(4/5)", "RK4"])
def test_a_plain_equation_is_integrated(name):
    method, times = METHODS[name], [Fraction(0), Fraction(1, 3), 0.5, 0.8, 1, 1.1]
    y0 = np.linspace(0.1, 1.0, 4)
    page = export.to_python(method.discretize(None, times))
    close(load(page)(model, y0), nd.solve_ivp(method, lambda t, y: model(y, t), times, y0))
    assert "plain ODE" in page


@pytest.mark.parametrize("name", ["ve", "edm", "flow", "stable-diffusion"])
def test_every_kind_of_schedule(name):
    schedule = nd.schedules.get(name)
    scheme = nd.Heun().discretize(schedule, np.linspace(schedule.T, 0.2 * schedule.T, 6))
    x = np.linspace(-1.5, 2.0, 7)
    close(load(export.to_python(scheme))(model, x), nd.sample(scheme, model, x, prediction=scheme.prediction))


# --- noise and biases -------------------------------------------------------------------------------------------------


def noisy(columns, biases, steps=4):
    """Return Heun's scheme with noise in its stages and outputs, and with biases."""
    scheme = lay_out(nd.Heun(), steps)
    Na = [[0.25 + k if i else 0.0 for k in range(columns)] for i in range(2)]
    changes = {"Na": Na, "Nb": [[-0.5 * (k + 1) for k in range(columns)]]} if columns else {}
    changes |= {"a": (0.0, 0.75), "b": (-0.125,)} if biases else {}
    return dataclasses.replace(scheme, tableaus=tuple(t.replace(**changes) for t in scheme))


@pytest.mark.parametrize("columns", [0, 1, 2])
@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("steps", [1, 4])
def test_noise_columns_and_biases(columns, biases, steps):
    scheme = noisy(columns, biases, steps)
    x = np.linspace(-1.5, 2.0, 7)
    drawn = []

    def noise(index, column):
        drawn.append((index, column))
        return np.random.default_rng([index, column]).standard_normal(x.shape)

    expected = nd.sample(scheme, model, x, noise=noise, prediction=scheme.prediction)
    order, drawn = drawn, []
    sample = load(export.to_python(scheme))
    close(sample(model, x, noise), expected)
    assert drawn == order
    if columns:
        with pytest.raises(ValueError, match="pass noise="):
            sample(model, x)


def test_a_stage_that_is_its_bias_alone_has_the_sample_s_shape():
    scheme = lay_out(nd.DDIM(), 2)
    tableaus = tuple(t.replace(U=((0.0,),), a=(0.5,)) for t in scheme)
    scheme = dataclasses.replace(scheme, tableaus=tableaus)
    x = np.linspace(-1.5, 2.0, 7)
    close(load(export.to_python(scheme))(model, x), nd.sample(scheme, model, x, prediction=scheme.prediction))


def test_a_tableau_without_evaluation_is_a_line_of_its_own():
    scheme = lay_out(nd.DDIM(), 2)
    last = nd.Tableau(A=(), U=(), B=((),), V=((0.75,),), target=scheme.tableaus[-1].target)
    scheme = dataclasses.replace(scheme, tableaus=(*scheme.tableaus, last))
    page = export.to_python(scheme)
    assert "    # step 3\n    x = 0.75 * x\n    return x\n" in page


def test_tableaus_that_do_the_same_are_a_loop_without_a_table():
    scheme = lay_out(nd.DDIM(), 2)
    damp = nd.Tableau(A=(), U=(), B=((),), V=((0.75,),), target=scheme.levels[-1])
    hold = nd.Tableau(A=(), U=(), B=((),), V=((1.0,),))
    shake = nd.Tableau(A=(), U=(), B=((),), V=((1.0,),), Nb=((0.5,),))
    scheme = dataclasses.replace(scheme, tableaus=(*scheme.tableaus, damp, damp, shake, shake, hold, hold))
    page = export.to_python(scheme)
    assert (
        "    # steps 3 to 4\n    for _ in range(2, 4):\n        x = 0.75 * x\n"
        "    # steps 5 to 6\n    for i in range(4, 6):\n        n0 = noise(i, 0)\n        x = x + 0.5 * n0\n"
        "    # steps 7 to 8\n    return x\n"
    ) in page
    x = np.linspace(-1.5, 2.0, 7)
    noise = lambda index, column: np.full(7, index + 0.1)  # noqa: E731
    expected = nd.sample(scheme, model, x, noise=noise, prediction=scheme.prediction)
    close(load(page)(model, x, noise), expected)


# --- what a page looks like, and what has none ------------------------------------------------------------------------


def test_constants_are_folded_and_the_history_is_renamed():
    """On equal steps of a plain equation nothing changes from step to step, so there is no table but the times."""
    page = export.to_python(nd.AdamsBashforth(2).discretize(None, np.arange(6.0)))
    assert "    for t in STEPS_2_TO_5:\n        f = model(x, t)\n        x, y1 = x - 0.5 * y1 + 1.5 * f, f\n" in page
    assert "# t of each step\nSTEPS_2_TO_5 = (\n    1.0,\n    2.0,\n" in page


@pytest.mark.parametrize(
    "name", ['"""', "'''", "x\nimport os", "x\r__import__('os')", "\\", "\u2028x", "\u202ex", "# x"]
)
def test_names_cannot_break_out_of_the_comment(name):
    method = nd.RungeKutta(nd.Heun().butcher, name)
    schedule = nd.schedules.Discrete(betas=[0.1, 0.2, 0.3], name=name)
    page = export.to_python(method.discretize(schedule, [1.0, 0.5]))
    plain = export.to_python(nd.Heun().discretize(nd.schedules.Discrete(betas=[0.1, 0.2, 0.3]), [1.0, 0.5]))
    assert ast.dump(ast.parse(page)) == ast.dump(ast.parse(plain))
    assert all(c.isprintable() or c == "\n" for c in page)


def test_what_has_no_page_is_refused_with_the_remedy():
    scheme = lay_out(nd.DDIM(), 2)
    first, second = scheme.tableaus

    def changed(tableau):
        return dataclasses.replace(scheme, tableaus=(tableau, second))

    level = dataclasses.replace(first.levels[0], model_time="late")
    wrong = {
        'start="runge-kutta" or start="lower"': lay_out(nd.AdamsBashforth(2), 3, start="exact"),
        "field 'other'": changed(first.replace(tags=("other",))),
        "is an array of shape": changed(first.replace(a=(np.ones(2),))),
        "needs finite numbers": changed(first.replace(B=((math.inf,),))),
        "model time of tableau 0 must be a finite number, got 'late'": changed(first.replace(levels=(level,))),
        "got None": changed(first.replace(levels=(None,))),
    }
    for message, subject in wrong.items():
        with pytest.raises(ValueError, match=message):
            export.to_python(subject)
    with pytest.raises(ValueError, match="did you mean 'velocity'"):
        export.to_python(scheme, prediction="velocty")
    with pytest.raises(TypeError, match="scheme must be what"):
        export.to_python(nd.DDIM())


def test_gradients_are_refused_with_the_remedy():
    torch = pytest.importorskip("torch")
    times = torch.linspace(1.0, 0.1, 5, dtype=torch.float64, requires_grad=True)
    with pytest.raises(ValueError, match=r"carries a gradient.*detach"):
        export.to_python(nd.DDIM().discretize(VP, times))
