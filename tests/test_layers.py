"""Modules import only earlier ones, and `import numdiff` costs NumPy alone."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import numdiff

ROOT = Path(numdiff.__file__).parent
ORDER = [
    "_names",
    "_files",
    "provenance",
    "elementary",
    "level",
    "phi",
    "weights",
    "tableau",
    "schedules",
    "parameterizations",
]
ORDER += [
    "formulations",
    "sde",
    "grids",
    "methods",
    "executor",
    "noise",
    "drivers",
    "runtime",
    "guidance",
    "problems",
    "symbolic",
    "properties",
]
ORDER += [
    "design",
    "export",
    "certification",
    "optimize",
    "models",
    "adapters",
    "testing",
    "work_precision",
    "plotting",
]
ORDER += ["answers", "study", "distributed", "cli", "sample_distributed", "__main__"]
NARROW = {  # some may see less than what lies before them
    "executor": {"_names", "elementary", "level", "tableau", "parameterizations"},
    "problems": {"_names", "elementary", "level", "schedules", "parameterizations"},
}
LAZY = {("phi", "symbolic")}  # inside a function: phi of a SymPy number is the symbol's business


def layer(dotted):
    """The layer of a module: its first name below numdiff, executor_* and drivers_* counting as one layer each."""
    name = dotted.split(".")[1]
    return name.split("_")[0] if name.startswith(("executor_", "drivers_")) else name


def imports(path):
    """Yield (imported module, whether inside a function) for every import of numdiff in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {id(node) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for node in ast.walk(f)}
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"numdiff.{alias.name}" for alias in node.names] if node.module == "numdiff" else [node.module]
        yield from ((name, id(node) in inside) for name in names if name.startswith("numdiff."))


def own(path):
    """Return the layer of a file."""
    return layer("numdiff." + ".".join(path.relative_to(ROOT).with_suffix("").parts))


FILES = [path for path in sorted(ROOT.rglob("*.py")) if path.name != "__init__.py" or path.parent != ROOT]


@pytest.mark.parametrize("here", sorted({own(path) for path in FILES}))
def test_each_module_imports_only_earlier_ones(here):
    assert here in ORDER, f"give {here} its place in ORDER"
    allowed = NARROW.get(here, set(ORDER[: ORDER.index(here)])) | {here}
    wrong = [
        f"{path.relative_to(ROOT)} must not import {name}"
        for path in FILES
        if own(path) == here
        for name, lazily in imports(path)
        if not (layer(name) in allowed or (lazily and (here, layer(name)) in LAZY))
    ]
    assert not wrong


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_the_package_imports_numpy_and_nothing_else_that_is_heavy():
    loaded = run("import numdiff, sys; print(*sys.modules)").split()
    packages = {name.split(".")[0] for name in loaded}
    assert "numpy" in packages
    assert not packages & {
        "sympy",
        "mpmath",
        "scipy",
        "torch",
        "matplotlib",
        "sklearn",
        "diffusers",
        "tqdm",
        "safetensors",
    }


def test_a_plain_run_stays_that_light():
    code = """
import numpy as np, sys, numdiff as nd
for method in nd.methods().values():
    for start in ("lower", "runge-kutta"):
        scheme = method.discretize(nd.schedules.VPLinear(), np.linspace(0.9, 0.0, 9), start=start)
        nd.sample(scheme, lambda x, t: x * t, np.ones(2), prediction="v")
    nd.solve_ivp(method, lambda t, y: -y, [0, 1, 2, 3, 4, 5, 6], 1.0)
print(*{name.split(".")[0] for name in sys.modules} & {"sympy", "scipy", "torch", "mpmath"})
"""
    assert run(code).split() == []


def test_the_public_names_exist():
    for name in numdiff.__all__:
        assert hasattr(numdiff, name), name
    with pytest.raises(AttributeError, match="module 'numdiff' has no attribute 'nonsense'"):
        numdiff.nonsense  # noqa: B018
