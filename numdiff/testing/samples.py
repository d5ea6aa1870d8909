"""What every sampler should do besides converge: keep types, repeat itself, treat each point alone, and be consistent.

A prediction that is constant along the whole run, x_0 = c everywhere, is followed exactly by any consistent sampler, on
any grid and from the first step: x stays on alpha c + sigma eps. A step that leaves it has weights that do not add up
to it, and a sampler all of whose steps do so by a fixed part does not converge. Of a plain equation it is the slope
that is constant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from numdiff.certification.measure import Layout, final
from numdiff.certification.subject import Setting, Subject, position
from numdiff.level import Level
from numdiff.methods.base import Method
from numdiff.problems.paths import Path, toys
from numdiff.testing.subjects import in_words, laid_out, numbers_of_steps, subject_of

TORCH = ("bfloat16", "float16", "float32", "float64")
"""Types of tensors that samplers meet in practice."""

ROUNDING = 1e-11
"""Relative rounding of a run: weights of up to ten times a step's, steps of ten operations, as sums of ten steps."""

NEAR = 1e-9
"""Largest distance of a question's log-SNR from that of a level for which it is asked: what conversions round."""


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

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> from numdiff.testing import assert_dtype_kept
    >>> assert_dtype_kept(nd.GHVB(2, 0.8), dtypes=["float32", "float64"])
    >>> assert_dtype_kept(lambda x: x * np.float64(0.5), dtypes=["float32"])           # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: ...
    """
    if isinstance(sample, Method):
        sample = _run_of(sample)
    values, kinds = np.random.default_rng(seed).standard_normal(shape), _dtypes() if dtypes is None else list(dtypes)
    if not (values.size and kinds):
        raise ValueError(f"shape and dtypes must leave something to look at, got shape={shape} and dtypes={dtypes}")
    for dtype in kinds:
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
        Numbers of steps, at least one.
    layout, seed, options
        As in `assert_order`.

    Raises
    ------
    AssertionError
        If the sample leaves alpha c + sigma eps; the message says in which steps.
    TypeError, ValueError
        For arguments that do not make sense.
    numdiff.certification.measure.SamplerError
        If the sampler raises, also because it refuses so many steps.

    Examples
    --------
    Euler's method on the noise, from sigma to sigma, and the same with a wrong step:

    >>> from numdiff.testing import assert_consistent
    >>> def euler(model, x, ts):
    ...     for s, t in zip(ts[:-1], ts[1:]):
    ...         x = x + (t - s) * model(x, s)
    ...     return x
    >>> how = {"prediction": "noise", "scale": "edm", "time": "sigma"}
    >>> assert_consistent(euler, **how)
    >>> assert_consistent(lambda model, x, ts: 1.001 * euler(model, x, ts), **how)   # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: ...
    """
    subject, chosen = subject_of(sampler, **options), laid_out(layout, seed)
    path = _constant(subject.scale == "time", chosen.seed)
    truth, size = path.exact(path.span[1]), float(np.abs(path.exact(path.span[0])).max())
    for n in numbers_of_steps(steps):
        found, seen = _watched(subject, path, chosen.levels(subject, path.span, n))
        off = float(np.abs(found - truth).max())
        if not off <= ROUNDING * size:
            raise AssertionError(
                f"{subject.name}: a constant prediction is missed by {off:.2e} in {n} steps, where rounding explains "
                f"{ROUNDING * size:.1e} ({in_words(chosen)}); {_where(seen, ROUNDING * size, n)}"
            )


def _constant(plain: bool, seed: int, span: tuple[float, float] = (-1.0, 3.0)) -> Path:
    """Return the path x_0 = c, eps constant: dy/dlambda = c - y, y = c + (y_0 - c) e^{-(lambda - lambda_0)}.

    Of a plain equation the constant is its slope: dy/dt = c, y = y_0 + c (t - t_0).
    """
    c, y = np.random.default_rng(seed).standard_normal((2, 3, 2))
    if plain:
        return Path("constant", lambda t, at: c + 0 * at, lambda t: np.asarray(y + c * (t - span[0])), span, 0.0)

    def exact(lam: float) -> np.ndarray:
        return np.asarray(c + (y - c) * np.exp(span[0] - lam))

    return Path("constant", lambda lam, at: c - at, exact, span, 0.0)


def _watched(subject: Subject, path: Path, levels: Sequence[Level]) -> tuple[np.ndarray, list[float | None]]:
    """Return where a run on a constant path ends, and how far each step changes what no step may change.

    That is eps = (y - c)/rho, and y - c t of a plain equation, here in units of y at the end of the step. It is seen
    where the model is asked for the last time at a level of the grid, where the step before is over; None stands for
    steps whose ends are not seen.
    """
    places = [position(subject.scale, level) for level in levels]
    seen: dict[int, np.ndarray] = {}

    def slope(lam: float, y: np.ndarray) -> np.ndarray:
        near = int(np.argmin(np.abs(np.array(places) - lam)))
        if abs(places[near] - lam) <= NEAR:
            seen[near] = y.copy()
        return path.slope(lam, y)

    end = final(subject, replace(path, slope=slope), levels, Setting())
    seen[len(places) - 1] = end
    scale = [1.0 if subject.scale == "time" else float(np.exp(lam - places[0])) for lam in places]
    off = {n: scale[n] * (y - path.exact(places[n])) for n, y in seen.items()}
    both = [(off.get(n), off.get(n + 1)) for n in range(len(levels) - 1)]
    return end, [None if a is None or b is None else float(np.abs(b - a).max() / s)
                 for (a, b), s in zip(both, scale[1:], strict=True)]  # fmt: skip


def _where(changes: list[float | None], allowed: float, steps: int) -> str:
    """Say in which steps the sample leaves the constant path."""
    if any(change is None for change in changes):
        return "the weights of a step do not add up to it; which step is not seen, as the model is asked elsewhere"
    wrong = [n for n, change in enumerate(changes, 1) if change is not None and not change <= allowed]
    if not wrong:
        return "no step alone is off by more than rounding explains, all together are"
    if len(wrong) == steps:
        return "the weights do not add up to the step, in any of the steps"
    listed = ", ".join(map(str, wrong[:8])) + (", ..." if len(wrong) > 8 else "")
    which = f"step{'s' if len(wrong) > 1 else ''} {listed} of {steps}"
    return f"the weights do not add up to the step in {which}, and do in all others"


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

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.testing import assert_deterministic
    >>> assert_deterministic(nd.GHVB(3, 0.8))
    """
    subject, chosen = subject_of(sampler, **options), laid_out(layout, seed)
    first, second = (_final(subject, toys(), steps, chosen) for _ in range(2))
    if not np.array_equal(first, second):
        raise AssertionError(
            f"{subject.name}: two runs of {steps} steps from one sample differ by {np.abs(first - second).max():.2e} "
            f"({in_words(chosen)}); look for a state that outlives a run, or pass the noise in"
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

    Examples
    --------
    A threshold over the whole batch lets points depend on their neighbours:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> from numdiff.testing import assert_batch_independent
    >>> assert_batch_independent(nd.GHVB(3, 0.8))
    >>> def thresholded(model, x, ts):
    ...     for s, t in zip(ts[:-1], ts[1:]):
    ...         x = x + (t - s) * model(x, s)
    ...         x = x / np.abs(x).max()
    ...     return x
    >>> assert_batch_independent(thresholded, prediction="noise", scale="edm", time="sigma")   # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    AssertionError: ...
    """
    subject, path, chosen = subject_of(sampler, **options), toys(), laid_out(layout, seed)
    points = len(path.exact(path.span[0]))
    both, other = (_final(subject, _twice(path, factor), steps, chosen) for factor in (1.0, 1.5))
    off, size = float(np.abs(both[:points] - other[:points]).max()), float(np.abs(both).max())
    if not off <= ROUNDING * size:
        raise AssertionError(
            f"{subject.name}: a point moves by {off:.2e} when another of its batch does "
            f"({in_words(chosen)}); look for a norm or a threshold over the whole batch"
        )


def _twice(path: Path, factor: float) -> Path:
    """Return the path with as many points again beside its own, on the path times a factor: y' = factor F(y/factor)."""

    def slope(lam: float, y: np.ndarray) -> np.ndarray:
        own, others = np.split(y, 2)
        return np.concatenate([path.slope(lam, own), factor * path.slope(lam, others / factor)])

    def exact(lam: float) -> np.ndarray:
        return np.concatenate([path.exact(lam), factor * path.exact(lam)])

    return Path(path.name, slope, exact, path.span, path.error)


def _final(subject: Subject, path: Path, steps: int, layout: Layout) -> np.ndarray:
    (count,) = numbers_of_steps([steps])
    return final(subject, path, layout.levels(subject, path.span, count), Setting())
