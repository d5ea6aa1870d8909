"""Anybody's sampler as a subject of certification: `resolve` finds it by its name.

=================================  =====================================================================
``numdiff:unipc3``                 a method of this package: a family, with its order, or a sampler's name
``diffusers:UniPC...Scheduler``    a scheduler of diffusers
``k-diffusion:sample_dpmpp_2m``    a sampler of k-diffusion
``azula:zABSampler``               a sampler of azula
``scipy:RK45``                     a solver of SciPy, one step per interval
``torchdiffeq:rk4``                a method of torchdiffeq, one step per interval
``package.module:name``            whatever can be imported, also from the current directory: a function
                                   ``sample_*(model, x, sigmas)``, a sampler as `of_step` and `of_function`
                                   take it, a method of this package, or a ready `Subject`
=================================  =====================================================================

Options follow as arguments, or in brackets behind the name, ``azula:zABSampler(order=3)``, which is how a subject with
options is named. The samplers' packages are imported when one of theirs is asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from numdiff._names import nearest, suggest
from numdiff.adapters.subjects.callables import of_function, of_object, of_step
from numdiff.certification.own import of_method
from numdiff.certification.subject import NotASamplerError, Subject
from numdiff.methods import FAMILIES, methods
from numdiff.methods.registry import find


@dataclass(frozen=True)
class _Package:
    """Where the subjects of a package come from: a module beside this one, its functions, and what must be installed.

    The functions are ``subject(name, *, order=None, **options)`` and ``names()``.
    """

    module: str
    needs: tuple[str, ...]
    install: str
    subject: str = "subject"
    names: str = "names"


_PACKAGES = {
    "diffusers": _Package("diffusers", ("diffusers", "torch"), "pip install 'numdiff[diffusers]'"),
    "k-diffusion": _Package(
        "sigmas", ("k_diffusion", "torch"), "pip install k-diffusion (with --no-deps if only its samplers are wanted)"
    ),
    "azula": _Package("azula", ("azula", "torch"), "pip install azula"),
    "scipy": _Package("integrators", ("scipy",), "pip install scipy", "of_scipy", "scipy_names"),
    "torchdiffeq": _Package(
        "integrators", ("torchdiffeq", "torch"), "pip install torchdiffeq", "of_torchdiffeq", "torchdiffeq_names"
    ),
}


def packages() -> tuple[str, ...]:
    """Return the packages whose samplers have names here, installed or not.

    Returns
    -------
    tuple of str
        As they stand before the colon of a name.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.adapters.subjects.packages()
    ('numdiff', 'diffusers', 'k-diffusion', 'azula', 'scipy', 'torchdiffeq')
    """
    return ("numdiff", *_PACKAGES)


def names(package: str) -> tuple[str, ...]:
    """Return the names of a package's samplers, those too that are refused with a reason.

    Parameters
    ----------
    package
        One of `packages`.

    Returns
    -------
    tuple of str
        Without the package; `resolve` takes "package:name".

    Raises
    ------
    ValueError
        For an unknown package, with the nearest known one.
    ModuleNotFoundError
        If the package is not installed, with what to install.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.adapters.subjects.names("scipy")
    ('RK23', 'RK45', 'DOP853', 'Radau', 'BDF', 'LSODA')
    >>> "DDIMScheduler" in nd.adapters.subjects.names("diffusers")
    True
    """
    if package == "numdiff":
        return tuple(methods(every=True))
    module, entry = _loaded(package)
    return tuple(getattr(module, entry.names)())


def resolve(spec: str, *, order: int | None = None, **options: Any) -> Subject:
    """Return the sampler of that name as a subject.

    Parameters
    ----------
    spec
        "package:Name", options in brackets if any; the packages are in `numdiff.adapters.subjects`.
    order
        The order claimed for it; by default what its documentation says, if it says something. A sampler with an
        option of that name is built with it too; "azula:zABSampler(order=3)" sets the option and leaves the claim.
    options
        Its own configuration. Texts that read as numbers, true, false or none become that, as a command line gives
        them.

    Returns
    -------
    Subject
        For `numdiff.certification.certify` and `numdiff.work_precision.diagram`.

    Raises
    ------
    ValueError
        For an unknown package, name or option, with the nearest known one.
    NotASamplerError
        For what has no order to observe, with the reason.
    ModuleNotFoundError
        If the package is not installed, with what to install.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.adapters.subjects.resolve("numdiff:dpmpp", order=2).prediction
    'data'
    >>> nd.adapters.subjects.resolve("scipy:RK45").order
    5
    """
    package, name, bracketed = _parted(spec)
    options = {key: _value(value) for key, value in (bracketed | options).items()}
    order = _value(order)
    built = options.pop("order", order)
    if package == "numdiff":
        found = _own(name, built, options)
    elif package in _PACKAGES:
        module, entry = _loaded(package)
        found = getattr(module, entry.subject)(name, order=built, **options)
    else:
        found = of_object(_imported(package, name), f"{package}:{name}", order=built, **options)
    return found if order is None else replace(found, order=order)


def _parted(spec: str) -> tuple[str, str, dict[str, Any]]:
    """Return (package, name, options) of a spec."""
    if not isinstance(spec, str):
        raise TypeError(f"spec must be a text such as 'numdiff:unipc3', got {spec!r}")
    package, colon, name = (part.strip() for part in spec.partition(":"))
    if not (colon and package and name):
        known = f"; did you mean 'numdiff:{spec}'?" if nearest(spec, FAMILIES) == spec else ""
        raise ValueError(f"spec must read 'package:Name' with a package of {', '.join(packages())}, or "
                         f"'module:function', got {spec!r}{known}")  # fmt: skip
    match = re.fullmatch(r"(.*?)\s*\(((?:\s*\w+\s*=[^=,()]*,?)+)\)", name)
    if match is None:
        return package, name, {}
    pairs = (part.partition("=") for part in match[2].split(",") if part.strip())
    return package, match[1], {key.strip(): value.strip() for key, _, value in pairs}


def _value(text: Any) -> Any:
    """Return what a text stands for: a truth value, None, a number, or itself."""
    if not isinstance(text, str):
        return text
    if text.lower() in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _own(name: str, order: int | None, options: dict[str, Any]) -> Subject:
    """Return a method of ours; an order claimed for a family of several orders is the one that it is built with."""
    if not options and name in (members := methods(every=True)):
        return of_method(members[name])
    found = find(name)
    if order is not None and "order" in FAMILIES[found.family].options and "order" not in found.options:
        options = {"order": order} | options
    return of_method(name, **options)


def _loaded(package: str) -> tuple[Any, _Package]:
    """Return the module of a package's subjects and the package's entry."""
    if package not in _PACKAGES:
        suggest(package, packages(), "package")
    entry = _PACKAGES[package]
    missing = [name for name in entry.needs if importlib.util.find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(f"samplers of {package} need {' and '.join(missing)}; {entry.install}")
    return importlib.import_module(f"numdiff.adapters.subjects.{entry.module}"), entry


def _imported(path: str, name: str) -> Any:
    """Return an attribute of a module, which may lie in the current directory."""
    if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", path):
        _unknown_package(path, None)
    with _current_directory():
        try:
            module = importlib.import_module(path)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{path}.".startswith(f"{error.name}."):
                raise  # the module is there, and imports one that is not
            _unknown_package(path, error)
        except Exception as error:  # whatever somebody's module raises
            raise ValueError(f"module {path} cannot be imported: {type(error).__name__}: {error}") from error
    if not hasattr(module, name):
        suggest(name, [key for key in vars(module) if not key.startswith("_")], f"name in {path}")
    return getattr(module, name)


def _unknown_package(path: str, error: Exception | None) -> None:
    best = nearest(path, packages())
    hint = f"did you mean {best!r}? " if best else ""
    raise ValueError(
        f"unknown package {path!r}; {hint}known: {', '.join(packages())}, or a module that can be imported from here"
    ) from error


@contextmanager
def _current_directory() -> Iterator[None]:
    """Let modules of the current directory be imported, as `python -m` does."""
    before = list(sys.path)
    sys.path.insert(0, "")
    try:
        yield
    finally:
        sys.path[:] = before


__all__ = ["NotASamplerError", "Subject", "names", "of_function", "of_step", "packages", "resolve"]
