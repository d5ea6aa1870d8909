r"""Functions ``sample_*(model, x, sigmas, ...)``, as k-diffusion has them and ComfyUI and many others after it.

They work at alpha = 1, x = x_0 + sigma eps, where ``model(x, sigma)`` answers with the denoised sample, one sigma for
each point, and carry x from ``sigmas[0]`` to ``sigmas[-1]``, which is 0 by convention and need not be. They compute in
the type of x and of the sigmas, so float64 needs no patch.

Noise comes from an argument `noise_sampler`, or from torch itself, which is replaced for the run. Where the default is
a Brownian tree the noise of overlapping intervals belongs together, and a path of Brownian motion is laid through what
the setting draws:

    W(sigma_b) - W(sigma_a) = sqrt(|sigma_b - sigma_a|) z,      between known values a Brownian bridge.

k-diffusion's package imports what only its training needs; its sampling module is loaded alone, under another name,
unless the package is imported already.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import math
import sys
import warnings
from bisect import bisect
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

import numpy as np

from numdiff._names import suggest
from numdiff.adapters.subjects import patched
from numdiff.adapters.subjects.callables import Arrays, Told, labelled
from numdiff.adapters.subjects.signatures import calling, sample_of
from numdiff.certification.subject import Array, Field, NotASamplerError, Setting, Subject
from numdiff.level import Level

ORDERS = {
    "sample_euler": 1,
    "sample_euler_ancestral": 1,
    "sample_heun": 2,
    "sample_dpm_2": 2,
    "sample_dpm_2_ancestral": 2,
    "sample_lms": 4,
    "sample_dpmpp_2s_ancestral": 2,
    "sample_dpmpp_2m": 2,
    "sample_dpmpp_2m_sde": 2,
}
"""What the docstrings of k-diffusion's samplers say, or the papers of the methods that these name.

Nothing is claimed for the others. The 3 of `sample_dpmpp_3m_sde` stands for no order that anybody states: the paper has
stochastic methods up to 2M, and what draws one noise a step has no weak order above 2.
"""

OWN_RANGE = (14.6146, 0.0292)
"""Largest and smallest sigma of its grids of their own: Stable Diffusion's, the model they are mostly used with."""

TOLD = "model(x, sigma) denoises tensors, sigma of shape (points,), and sigmas is a tensor of shape (steps + 1,)"
"""How it is called, for a function that expects something else."""

_TREE, _CLOSE = "BrownianTreeNoiseSampler", 64 * float(np.finfo(float).eps)


def names() -> tuple[str, ...]:
    """Return the names of k-diffusion's functions `sample_*`, those too that are refused.

    Raises
    ------
    ImportError
        If its sampling module cannot be loaded.
    """
    return tuple(sorted(key for key, value in vars(k_diffusion()).items() if key[:7] == "sample_" and callable(value)))


def subject(name: str, *, order: int | None = None, **options: Any) -> Subject:
    """Return a sampler of k-diffusion.

    Parameters
    ----------
    name
        Of the function, "sample_dpmpp_2m".
    order
        What is claimed, and the function's own `order` if it has one; by default see `ORDERS`.
    options
        Its own keyword arguments, ``eta=0.0``.

    Raises
    ------
    ValueError
        For an unknown name.
    TypeError
        For options that it does not have.
    NotASamplerError
        If it takes no sigmas.
    """
    if name not in names():
        suggest(name, names(), "sampler of k-diffusion")
    return of_sampler(
        getattr(k_diffusion(), name),
        name=f"k-diffusion:{name}",
        order=order,
        claim=ORDERS.get(name),
        grid=_karras,
        version=_version("k-diffusion"),
        **options,
    )


def of_sampler(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    order: int | None = None,
    claim: int | None = None,
    grid: Callable[[int], Sequence[float]] | None = None,
    version: str = "",
    **options: Any,
) -> Subject:
    """Return a function ``sample_*(model, x, sigmas, ...)`` as a subject.

    Parameters
    ----------
    function
        The sampler; `extra_args`, `callback`, `disable` and `noise_sampler` are passed if it has them.
    name
        What reports call it; by default the function's name. Options are added in brackets.
    order
        What is claimed; passed to the function too if it has an argument of that name.
    claim
        What is claimed by default.
    grid
        ``grid(steps)`` returns the sigmas that it visits by itself.
    version
        Package and version.
    options
        Keyword arguments of the function.

    Returns
    -------
    Subject

    Raises
    ------
    NotASamplerError
        If it is called in another way, with the reason.
    TypeError
        For options that it does not have.
    """
    parameters = inspect.signature(function).parameters
    called = name or str(getattr(function, "__name__", function))
    _check(called, parameters, options)
    if order is not None and "order" in parameters:
        options = {"order": order} | options
    told = Told(prediction="data", scale="edm", time="sigma", library="torch", single=True)
    run = partial(_run, function, options, told)

    def levels(steps: int) -> tuple[Level, ...]:
        return tuple(Level(time=s, alpha=1.0, sigma=s, model_time=s) for s in grid(steps))  # type: ignore[misc]

    return Subject(
        name=labelled(called, options),
        run=run,
        order=order if order is not None else options.get("order", claim),
        prediction="data",
        scale="edm",
        grid=levels if grid else None,
        single=True,
        stochastic=_stochastic(run),
        version=version,
    )


def _check(called: str, parameters: Any, options: dict[str, Any]) -> None:
    """Refuse what is not called as (model, x, sigmas) or lacks an option."""
    own = ("extra_args", "callback", "disable", "noise_sampler")
    required = [p.name for p in parameters.values() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    if len(required) != 3 or list(parameters).index(required[2]) != 2:
        grids = "" if "sigmas" in required else ": it lays out its own steps between sigma_max and sigma_min"
        grids = grids if {"sigma_min", "sigma_max"} <= set(required) else ""
        raise NotASamplerError(f"{called} takes ({', '.join(required)}) and not (model, x, sigmas){grids}")
    known = [key for key in list(parameters)[3:] if key not in own]
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        for key in options:
            if key not in known:
                suggest(key, known, f"option of {called}") if known else _no_option(called, key)


def _no_option(called: str, key: str) -> None:
    raise ValueError(f"{called} has no options, got {key!r}")


def _run(
    function: Any,
    options: dict[str, Any],
    told: Told,
    field: Field,
    x: Array,
    levels: Sequence[Level],
    setting: Setting,
) -> Array:
    """Run the function over the sigmas of the levels."""
    arrays, dial, model = told.begin(field, levels, setting)
    inner = _inner(function)
    offered: dict[str, Any] = {"extra_args": {}, "callback": None, "disable": True}
    if setting.noise is not None:
        offered["noise_sampler"] = _sampler(inner, setting.noise, x.shape, arrays)
    parameters = inspect.signature(function).parameters
    passed = {key: value for key, value in offered.items() if key in parameters}
    called = getattr(inner, "__name__", type(function).__name__)
    with (
        patched.drawing(getattr(inner, "__globals__", {}), setting.noise),
        calling(f"{called}(model, x, sigmas)", TOLD),
    ):
        found = function(model, arrays.of(x), arrays.of(dial.values), **passed, **options)
    return arrays.back(sample_of(found, called, x.shape))


def _inner(function: Any) -> Any:
    """Return the plain function behind decorators, partial arguments, methods and objects that are called."""
    while isinstance(function, partial):
        function = function.func
    if not hasattr(function, "__globals__") and not hasattr(function, "__wrapped__"):
        function = getattr(function, "__func__", type(function).__call__)
    return inspect.unwrap(function)


def _sampler(function: Any, noise: Callable[..., Array], shape: tuple[int, ...], arrays: Arrays) -> Callable[..., Any]:
    """Return a `noise_sampler`: a Brownian path's where that is the function's default, else fresh noise each time."""
    if _TREE not in getattr(getattr(function, "__code__", None), "co_names", ()):
        return lambda *levels: arrays.of(noise(shape))
    path = _Brownian(lambda: noise(shape))
    return lambda sigma, sigma_next: arrays.of(path(float(sigma), float(sigma_next)))


class _Brownian:
    """Increments of one path of Brownian motion, of variance 1, each new point of it from one draw."""

    def __init__(self, draw: Callable[[], Array]) -> None:
        self._draw = draw
        self._points: list[float] = []  # rising
        self._values: list[Any] = []

    def __call__(self, start: float, stop: float) -> Any:
        """Return (W(stop) - W(start)) / sqrt(|stop - start|)."""
        if not self._points:
            self._points, self._values = [start], [0.0]
        return (self._at(stop) - self._at(start)) / math.sqrt(abs(stop - start))

    def _at(self, point: float) -> Any:
        index = bisect(self._points, point)
        for near in (index - 1, index):
            if 0 <= near < len(self._points) and abs(self._points[near] - point) <= _CLOSE * abs(point):
                return self._values[near]  # what went through a logarithm and back is the same sigma
        mean, variance = self._law(index, point)
        self._points.insert(index, point)
        self._values.insert(index, mean + math.sqrt(variance) * self._draw())
        return self._values[index]

    def _law(self, index: int, point: float) -> tuple[Any, float]:
        """Return mean and variance of W at a new point, given what is known on both sides of it."""
        if index in (0, len(self._points)):
            end = min(index, len(self._points) - 1)
            return self._values[end], abs(point - self._points[end])
        below, above = self._points[index - 1], self._points[index]
        part = (point - below) / (above - below)
        return (1 - part) * self._values[index - 1] + part * self._values[index], part * (above - point)


def _stochastic(run: Callable[..., Array]) -> bool:
    """Tell whether the noise is seen in the result of a short run; what fails here fails, and is said, later."""
    levels = [Level(time=s, alpha=1.0, sigma=s, model_time=s) for s in (4.0, 3.0, 2.0, 1.5, 1.0)]

    def result(size: float) -> Array:
        noise = lambda shape: np.full(shape, size)  # noqa: E731
        return run(lambda x, level: 0.5 * x, np.ones((1, 1)), levels, Setting(noise=noise))

    try:
        return not np.array_equal(result(0.0), result(1.0), equal_nan=True)
    except Exception:
        return False


def _karras(steps: int) -> list[float]:
    """Return k-diffusion's usual grid, which ends in 0."""
    return [float(s) for s in k_diffusion().get_sigmas_karras(steps, OWN_RANGE[1], OWN_RANGE[0])]


def _version(package: str) -> str:
    """Return package and version as installed."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return package


@cache
def k_diffusion() -> ModuleType:
    """Return k-diffusion's sampling module alone: its package imports augmentations, data sets and networks."""
    if "k_diffusion.sampling" in sys.modules:
        return sys.modules["k_diffusion.sampling"]
    found = importlib.util.find_spec("k_diffusion")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("k-diffusion is not installed; pip install --no-deps k-diffusion")
    alone = ModuleType("_numdiff_k_diffusion")
    alone.__path__ = list(found.submodule_search_locations)
    # torchvision is a name in a helper module that its samplers never use
    stubs = {name: ModuleType(name) for name in ("torchvision", "torchvision.transforms")}
    stubs["torchvision.transforms"].functional = None  # type: ignore[attr-defined]
    with patched.replaced(sys.modules, **stubs, _numdiff_k_diffusion=alone), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what its dependencies deprecate, at the import only
        return importlib.import_module("_numdiff_k_diffusion.sampling")
