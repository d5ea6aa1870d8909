"""Subjects by name: packages, import paths, options in brackets and as text, and wrong names."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

import numdiff as nd
from numdiff.adapters import subjects
from numdiff.adapters.subjects import NotASamplerError, Subject, names, packages, resolve
from numdiff.certification.measure import Layout, final
from numdiff.certification.subject import Setting
from numdiff.problems.paths import toys

PATH = toys()
REFUSED = ("sample_dpm_fast", "sample_dpm_adaptive", "Radau", "BDF", "LSODA", "scipy_solver")


def end(subject, steps=8):
    return final(subject, PATH, Layout("random").levels(subject, PATH.span, steps), Setting())


@pytest.mark.parametrize("package", ["k-diffusion", "azula", "scipy", "torchdiffeq"])
def test_every_name_is_a_subject_of_that_name_or_refused_with_a_reason(package):
    found = names(package)
    assert len(found) >= 6
    for name in found:
        if name in REFUSED:
            with pytest.raises(NotASamplerError, match=f"{name} .{{30,}}"):
                resolve(f"{package}:{name}")
            continue
        subject = resolve(f"{package}:{name}")
        assert subject.name == f"{package}:{name}"
        assert subject.version.startswith(f"{package} ")
        assert subject.version[-1].isdigit()


def test_packages_and_the_names_of_ours():
    assert packages()[0] == "numdiff"
    assert set(packages()) >= {"diffusers", "k-diffusion", "azula", "scipy", "torchdiffeq"}
    for name, method in nd.methods(every=True).items():
        assert name in names("numdiff")
        assert resolve(f"numdiff:{name}").order == ((method.weak_order or None) if method.stochastic else method.order)


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("azula:zABSampler", {"order": 3}),
        ("k-diffusion:sample_lms", {"order": 3}),
        ("k-diffusion:sample_dpmpp_2m_sde", {"eta": 0.0, "solver_type": "heun"}),
        ("torchdiffeq:explicit_adams", {"max_order": 5}),
    ],
)
def test_options_are_texts_or_numbers_and_a_name_with_options_can_be_resolved(spec, options):
    one, two = resolve(spec, **options), resolve(spec, **{key: str(value) for key, value in options.items()})
    three = resolve(one.name)
    assert one.name == two.name == three.name
    assert one.order == two.order == three.order
    np.testing.assert_array_equal(end(one), end(two))
    np.testing.assert_array_equal(end(one), end(three))
    assert not np.allclose(end(one), end(resolve(spec)), rtol=0, atol=1e-9)  # noise may blow one of the toys up


def test_an_order_in_brackets_is_the_samplers_and_the_other_one_is_the_claim():
    subject = resolve("azula:zABSampler(order=3)", order=5)
    assert (subject.name, subject.order) == ("azula:zABSampler(order=3)", 5)
    np.testing.assert_array_equal(end(subject), end(resolve("azula:zABSampler", order=3)))
    ours = resolve("numdiff:dpmpp(order=2)", order=3)
    assert ours.order == 3
    np.testing.assert_array_equal(end(ours), end(resolve("numdiff:dpmpp", order=2)))
    assert resolve("numdiff:ab3", order=2).order == 2
    assert resolve("numdiff:ghvb3", beta="0.8").order == 3


def test_options_of_ours_are_the_methods_and_the_subjects():
    subject = resolve("numdiff:heun", scale="time")
    assert (subject.scale, subject.prediction) == ("time", "velocity")


MODULE = """
import torch
from numdiff.adapters.subjects import of_step
from numdiff.methods import method

def sample_mine(model, x, sigmas, extra_args=None, factor=1.0):
    for s, r in zip(sigmas[:-1], sigmas[1:]):
        x = x + factor * (r - s) * (x - model(x, s * x.new_ones(len(x)))) / s
    return x

def make_step(model, factor=1.0):
    return lambda x, t, t_next: x + factor * (t_next - t) * model(x, t)

def run(model, x, ts):
    for t, t_next in zip(ts[:-1], ts[1:]):
        x = x + (t_next - t) * model(x, t)
    return x

ours = method("ddim")
ready = of_step(make_step, order=1, scale="edm", time="sigma")
number = 3
_hidden = 4
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "my_samplers.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "incomplete.py").write_text("import a_package_that_is_not_there\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    yield "my_samplers"
    sys.modules.pop("my_samplers", None)


def test_functions_of_the_current_directory_are_found_by_what_they_are(module):
    path = list(sys.path)
    edm = {"scale": "edm", "time": "sigma"}
    found = [
        resolve(f"{module}:sample_mine"),
        resolve(f"{module}:make_step", **edm),
        resolve(f"{module}:run", **edm),
        resolve(f"{module}:ready"),
        resolve(f"{module}:ours", scale="edm"),
    ]
    for subject in found:
        np.testing.assert_allclose(end(subject), end(resolve("numdiff:ddim", scale="edm")), rtol=0, atol=1e-12)
    assert [subject.name for subject in found[:3]] == [
        f"{module}:{name}" for name in ("sample_mine", "make_step", "run")
    ]
    assert found[3].order == 1
    assert resolve(f"{module}:ready", order=2).order == 2
    assert sys.path == path


def test_other_options_are_the_functions_own(module):
    for name, told in (("sample_mine", {}), ("make_step", {"scale": "edm", "time": "sigma"})):
        still = resolve(f"{module}:{name}", factor="0", order=2, **told)
        assert (still.name, still.order) == (f"{module}:{name}(factor=0)", 2)
        levels = Layout().levels(still, PATH.span, 4)
        np.testing.assert_array_equal(still.run(lambda x, level: x, np.ones((1, 2)), levels, Setting()), [[1.0, 1.0]])


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        (
            "my_samplers:sample_mina",
            ValueError,
            "unknown name in my_samplers 'sample_mina'; did you mean 'sample_mine'",
        ),
        ("my_samplers:number", TypeError, "my_samplers:number must be a sampler that can be called, got 3"),
        ("my_samplers:ready(factor=2)", TypeError, "is a subject already and takes no options, got factor"),
        (
            "my_sampler:run",
            ValueError,
            "unknown package 'my_sampler'; known: numdiff, .* or a module that can be imported",
        ),
        ("my_samplers.inner:run", ValueError, "unknown package 'my_samplers.inner'"),
        ("incomplete:run", ModuleNotFoundError, "a_package_that_is_not_there"),
    ],
)
def test_wrong_import_paths(module, spec, error, message):
    with pytest.raises(error, match=message):
        resolve(spec)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("difusers:DDIMScheduler", "unknown package 'difusers'; did you mean 'diffusers'"),
        ("k-diffuson:sample_heun", "unknown package 'k-diffuson'; did you mean 'k-diffusion'"),
        ("ddim", "spec must read 'package:Name' .* got 'ddim'; did you mean 'numdiff:ddim'"),
        ("azula:", "spec must read 'package:Name'"),
        ("", "spec must read 'package:Name'"),
        ("numdiff:ghbv3", "unknown"),
    ],
)
def test_wrong_specs(spec, message):
    with pytest.raises(ValueError, match=message):
        resolve(spec)


def test_wrong_types_and_packages():
    with pytest.raises(TypeError, match="spec must be a text such as 'numdiff:unipc3', got 3"):
        resolve(3)
    with pytest.raises(ValueError, match="unknown package 'scipi'; did you mean 'scipy'"):
        names("scipi")


@pytest.mark.parametrize(
    ("spec", "missing", "message"),
    [
        (
            "diffusers:DDIMScheduler",
            "diffusers",
            r"samplers of diffusers need diffusers; pip install 'numdiff\[diffusers\]'",
        ),
        ("k-diffusion:sample_heun", "k_diffusion", "samplers of k-diffusion need k_diffusion; pip install k-diffusion"),
        ("azula:EulerSampler", "azula", "samplers of azula need azula; pip install azula"),
        ("torchdiffeq:rk4", "torch", "samplers of torchdiffeq need torch; pip install torchdiffeq"),
    ],
)
def test_packages_that_are_not_installed(monkeypatch, spec, missing, message):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else real(name))
    for ask in (lambda: resolve(spec), lambda: names(spec.split(":")[0])):
        with pytest.raises(ModuleNotFoundError, match=message):
            ask()


def test_the_door_opens_without_the_samplers_packages():
    code = "import sys; from numdiff.adapters.subjects import resolve; resolve('numdiff:ab3'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "diffusers", "azula", "torchdiffeq", "k_diffusion"} & set(loaded)


def test_the_package_exports_what_it_says():
    for name in subjects.__all__:
        assert hasattr(subjects, name), name
    assert subjects.Subject is Subject
