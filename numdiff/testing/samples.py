"""What every sampler should do besides converge: keep types, repeat itself, treat each point alone, and be consistent.

A prediction that is constant along the whole run, x_0 = c everywhere, is followed exactly by any consistent sampler, on
any grid and from the first step: x stays on alpha c + sigma eps. A sampler that misses it has weights that do not add
up to the step, and no order at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numdiff.certification.measure import Layout, final
from numdiff.certification.subject import Setting, Subject
from numdiff.methods.base import Method
from numdiff.problems.paths import Path, toys
from numdiff.testing.subjects import subject_of

TORCH = ("bfloat16", "float16", "float32", "float64")
"""Types of tensors that samplers meet in practice."""

ROUNDING = 1e-11
"""Relative rounding of a run: weights of up to ten times a step's, steps of ten operations, as sums of ten steps."""


def assert_dtype_kept(
    sample: Callable[[Any], Any] | Method,
    shape: tuple[int, ...] = (2, 3),
    *,
    dtypes: Sequence[Any] | None = None,
    device: str = "cpu",
    seed: int = 0,
) -> None:
    """Assert that what comes out is what went in: library, dtype, shape, device; and that the input is left alone.

    Parameters
    ----------
    sample
        ``sample(x)`` returns the sample that a run from x ends in; or a method, which is laid out on eight steps.
    shape
        Of x.
    dtypes
        Types of NumPy and of torch. By default float32 and float64 of both, and torch's bfloat16 and float16, as far as
        torch is there.
    device
        Where tensors are.
    seed
        Of x.

    Raises
    ------
    AssertionError
        If anything changes; the message says for which dtype.
    """
    if isinstance(sample, Method):
        sample = _run_of(sample)
    values = np.random.default_rng(seed).standard_normal(shape)
    for dtype in _dtypes() if dtypes is None else dtypes:
        x = _array(values, dtype, device)
        before = x.clone() if hasattr(x, "clone") else x.copy()
        found = sample(x)
        where = f"for x of {type(x).__module__} {x.dtype}, shape {shape}, seed {seed}"
        if type(found) is not type(x):
            raise AssertionError(f"sample returned {type(found).__name__} {where}")
        for name in ("dtype", "shape", "device"):
            want, got = getattr(x, name, None), getattr(found, name, None)
            if want != got:
                raise AssertionError(f"sample returned {name} {got} {where}; keep the sample's {name}, {want}")
        if not bool((x == before).all()):
            raise AssertionError(f"sample wrote to its input {where}; copy it first")


def _dtypes() -> list[Any]:
    try:
        import torch
    except ModuleNotFoundError:
        return [np.float32, np.float64]
    return [np.float32, np.float64, *(getattr(torch, name) for name in TORCH)]


def _array(values: np.ndarray, dtype: Any, device: str) -> Any:
    if type(dtype).__module__ == "torch":
        import torch

        return torch.tensor(values, dtype=dtype, device=device)
    return np.array(values, dtype=dtype)


def _run_of(method: Method) -> Callable[[Any], Any]:
    import numdiff

    velocity = getattr(method.formulation, "prediction", "") == "velocity"
    schedule = numdiff.schedules.Flow() if velocity else numdiff.schedules.VPLinear()
    scheme = method.discretize(schedule, np.linspace(0.9, 0.1, 9))
    tags = {tag for tableau in scheme for tag in tableau.tags if tag}
    fields = {tag: lambda x, t: 0 * x for tag in tags} or None

    def sample(x: Any) -> Any:
        generator = _generator(x) if method.stochastic else None
        return numdiff.sample(scheme, lambda x, t: x / 2, x, prediction="data", fields=fields, generator=generator)

    return sample


def _generator(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        return np.random.default_rng(0)
    import torch

    return torch.Generator(device=x.device).manual_seed(0)


def assert_consistent(
    sampler: Any,
    *,
    steps: Sequence[int] = (8, 17),
    layout: Layout | str = "alternating",
    seed: int = 0,
    **options: Any,
) -> None:
    """Assert that a constant data prediction is reproduced exactly, whatever the grid: order 1 at least.

    Parameters
    ----------
    sampler
        What `subject_of` takes; one that works on velocities has to be on a flow scale, where these are constant too.
    steps
        Numbers of steps; those that the sampler refuses count as failures.
    layout, seed, options
        As in `assert_order`.

    Raises
    ------
    AssertionError
        If the sample leaves alpha c + sigma eps.
    """
    subject, path = subject_of(sampler, **options), _constant(seed)
    truth, size = path.exact(path.span[1]), float(np.abs(path.exact(path.span[0])).max())
    for n in steps:
        off = float(np.abs(_final(subject, path, n, layout, seed) - truth).max())
        if not off <= ROUNDING * size:
            raise AssertionError(
                f"{subject.name}: a constant prediction is missed by {off:.2e} in {n} steps, where rounding explains "
                f"{ROUNDING * size:.1e} (layout {layout!r}, seed {seed}); the weights of a step do not add up, and "
                "there is no order"
            )


def _constant(seed: int, span: tuple[float, float] = (-1.0, 3.0)) -> Path:
    """Return the path x_0 = c, eps constant: dy/dlambda = c - y, y = c + (y_0 - c) e^{-(lambda - lambda_0)}."""
    c, y = np.random.default_rng(seed).standard_normal((2, 3, 2))

    def exact(lam: float) -> np.ndarray:
        return np.asarray(c + (y - c) * np.exp(span[0] - lam))

    return Path("constant", lambda lam, at: c - at, exact, span, 0.0)


def assert_deterministic(
    sampler: Any, *, steps: int = 12, layout: Layout | str = "random", seed: int = 0, **options: Any
) -> None:
    """Assert that two runs from one sample agree to the last bit.

    Parameters
    ----------
    sampler
        What `subject_of` takes.
    steps
        Number of steps.
    layout, seed, options
        As in `assert_order`.

    Raises
    ------
    AssertionError
        If they differ: a hidden state, or a random number that no seed reaches.
    """
    subject = subject_of(sampler, **options)
    first, second = (_final(subject, toys(), steps, layout, seed) for _ in range(2))
    if not np.array_equal(first, second):
        raise AssertionError(
            f"{subject.name}: two runs of {steps} steps from one sample differ by {np.abs(first - second).max():.2e} "
            f"(layout {layout!r}, seed {seed}); look for a state that outlives a run, or pass the noise in"
        )


def assert_batch_independent(
    sampler: Any, *, steps: int = 12, layout: Layout | str = "random", seed: int = 0, **options: Any
) -> None:
    """Assert that a point is carried as it would be alone, up to rounding.

    Parameters
    ----------
    sampler
        What `subject_of` takes.
    steps
        Number of steps.
    layout, seed, options
        As in `assert_order`.

    Raises
    ------
    AssertionError
        If points depend on their neighbours: a norm or a threshold over the whole batch.
    """
    subject, path = subject_of(sampler, **options), toys()
    both = _final(subject, _twice(path, 1.0), steps, layout, seed)
    other = _final(subject, _twice(path, 1.5), steps, layout, seed)
    off, size = float(np.abs(both[0] - other[0]).max()), float(np.abs(both).max())
    if not off <= ROUNDING * size:
        raise AssertionError(
            f"{subject.name}: a point moves by {off:.2e} when another of its batch does "
            f"(layout {layout!r}, seed {seed}); look for a norm or a threshold over the whole batch"
        )


def _twice(path: Path, factor: float) -> Path:
    """Return the path with a second point beside it, on the path times a factor: y' = factor F(y/factor)."""
    scale = np.array([[1.0], [factor]])

    def slope(lam: float, y: np.ndarray) -> np.ndarray:
        return np.concatenate([s * path.slope(lam, part[None] / s) for s, part in zip((1.0, factor), y, strict=True)])

    return Path(path.name, slope, lambda lam: scale * path.exact(lam), path.span, path.error)


def _final(subject: Subject, path: Path, steps: int, layout: Layout | str, seed: int) -> np.ndarray:
    chosen = layout if isinstance(layout, Layout) else Layout(layout, seed=seed)
    return final(subject, path, chosen.levels(subject, path.span, steps), Setting())
