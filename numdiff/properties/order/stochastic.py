r"""Strong and weak order of samplers that add noise, from runs on common noise, with statistical errors.

A run with N steps on the Brownian path omega of a seed ends in X_N(omega).

**Strong.** The error is (E |X_N - X|^2)^(1/2), each path against itself: its exact solution, or the run with `refine`
times as many steps on the same path. The second is C h^p (1 - refine^(-p)) and more, with one factor for all N, so the
slope is that of the error, and no fine run has to be much finer than all others.

**Weak.** The error is |E f(X_N) - E f(X)|, of several functionals f their root mean square. Against a known expectation
the statistical error is std(f)/sqrt(M) for M paths, whatever N. The mean of f(X_N) - f(X_{refine N}) on common noise
has the same order and a variance that falls with the strong error: that is the control variate used where no
expectation is given. Antithetic pairs, the mean over a path and its mirror image, take away what is odd in the noise;
their mean counts as one path.

The square of a mean of M numbers is too large by its variance, which is subtracted. The standard error of the error
then follows from that of the mean to first order. Errors of different N share their noise; their correlation is
positive and left out, so the interval of the slope is rather too wide than too narrow.

Source: Kloeden, Platen, Numerical Solution of Stochastic Differential Equations, 9.3, 9.4, 9.7, 16.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff.properties.order.regression import OrderEstimate, _array, _checked, _listed, observed

Array = NDArray[np.float64]

SEEDS = 16
"""Seeds by default."""

REFINE = 4
"""How many times finer the run is that takes the place of the solution."""

MOST = 512
"""Functionals at most: the covariance of their means is kept."""


def strong(
    run: Callable[[int, int], Any],
    steps: Sequence[int],
    *,
    seeds: int | Iterable[int] = SEEDS,
    reference: Callable[[int], Any] | None = None,
    refine: int = REFINE,
    confidence: float = 0.95,
) -> OrderEstimate:
    """Run a stochastic method on fixed Brownian paths and fit its strong order.

    Parameters
    ----------
    run
        ``run(n, seed)`` returns the samples at the end of n steps, shape (paths, ...) with independent paths along axis
        0, or one number. Its noise, and its initial samples, must be a function of the seed: the increments of one path
        for all n, ``noise=numdiff.noise.BrownianPath(seed)`` of `numdiff.sample`, say.
    steps
        Different whole numbers, at least three.
    seeds
        How many seeds, 0, 1, ..., or the seeds.
    reference
        ``reference(seed)`` returns the solutions on the same paths, of the same shape. None compares a run with the one
        of `refine` times as many steps.
    refine
        Factor of the number of steps, at least 2.
    confidence
        Coverage of the interval.

    Returns
    -------
    OrderEstimate
        With the statistical standard errors in `uncertainty`.

    Raises
    ------
    ValueError, TypeError
        For steps, seeds or `refine` out of range, samples whose shapes differ, fewer than two paths in all, and a run
        that is no function of its seed.

    Examples
    --------
    Euler-Maruyama on X' = -X + W', whose noise is additive, has strong order 1. The increments of one path for every
    number of steps are sums of finer ones:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> def run(n, seed):
    ...     fine = np.random.default_rng(seed).standard_normal((64, 50)) / 8
    ...     x = np.ones(50)
    ...     for dw in fine.reshape(n, 64 // n, 50).sum(axis=1):
    ...         x = x - x / n + dw
    ...     return x
    >>> found = nd.order.strong(run, [4, 8, 16], seeds=4)
    >>> bool(0.8 < found.slope < 1.3), len(found.uncertainty)
    (True, 3)
    """

    def squares(coarse: Array, fine: Array) -> Array:
        if coarse.shape != fine.shape:
            raise ValueError(f"run returned shape {coarse.shape}, and what it is compared with has shape {fine.shape}")
        return np.asarray(np.mean((np.abs(coarse - fine) ** 2).reshape(len(coarse), -1), axis=1, keepdims=True))

    def estimate(moments: _Moments) -> tuple[float, float]:
        error = float(np.sqrt(moments.mean[0]))
        return error, float(np.sqrt(moments.covariance[0, 0])) / (2 * error) if error else 0.0

    ends, known = _converted(run), None if reference is None else _converted(reference, "reference")
    return _observe(ends, steps, seeds, known, refine, squares, estimate, confidence)


def weak(
    run: Callable[..., Any],
    steps: Sequence[int],
    *,
    functional: Callable[[Array], Any] | None = None,
    expectation: Any = None,
    seeds: int | Iterable[int] = SEEDS,
    antithetic: bool = False,
    refine: int = REFINE,
    confidence: float = 0.95,
) -> OrderEstimate:
    """Run a stochastic method on common noise and fit the order of its expectations.

    Parameters
    ----------
    run
        As for `strong`; with `antithetic` ``run(n, seed, sign)``, where sign = -1 turns all noise round, that of the
        initial samples too.
    steps
        Different whole numbers, at least three.
    functional
        f(x) of the samples, shape (paths, ...); returns shape (paths,) or (paths, k), real or complex. None takes
        every coordinate and the square of its absolute value.
    expectation
        E f, a number or shape (k,), if it is known; None compares a run with the one of `refine` times as many steps.
    seeds
        How many seeds, 0, 1, ..., or the seeds.
    antithetic
        Whether to average over mirrored noise.
    refine
        Factor of the number of steps, at least 2.
    confidence
        Coverage of the interval.

    Returns
    -------
    OrderEstimate
        With the statistical standard errors in `uncertainty`; without a slope where these are as large as the errors.

    Raises
    ------
    ValueError, TypeError
        As for `strong`, and for functionals or expectations of another shape.

    Examples
    --------
    E X^2 of Euler-Maruyama on X' = -X + W' from X(0) = 1, where it is known, has weak order 1. Mirrored noise leaves
    less scatter:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> def run(n, seed, sign):
    ...     rng, x = np.random.default_rng(seed), np.ones(20000)
    ...     for _ in range(n):
    ...         x = x - x / n + sign * rng.standard_normal(20000) / n ** 0.5
    ...     return x
    >>> second = np.exp(-2) + (1 - np.exp(-2)) / 2
    >>> found = nd.order.weak(run, [2, 3, 4], functional=lambda x: x ** 2, expectation=second, seeds=8, antithetic=True)
    >>> bool(found.interval[0] < 1.4 and found.slope > 0.6)
    True
    """
    target = None if expectation is None else np.atleast_1d(_array(expectation, "expectation"))
    converted, signs = _converted(run), ((1,), (-1,)) if antithetic else ((),)

    def values(n: int, seed: int) -> Array:
        return np.asarray(np.mean([_functional(functional, converted(n, seed, *sign)) for sign in signs], axis=0))

    def gaps(coarse: Array, fine: Array) -> Array:
        if coarse.shape[1] != fine.shape[-1]:
            raise ValueError(f"expectation has shape {fine.shape}, but the functional has {coarse.shape[1]} values")
        return _parts(coarse - fine)

    known = None if target is None else (lambda seed: target)
    return _observe(values, steps, seeds, known, refine, gaps, _size_of_mean, confidence)


def _parts(values: NDArray[Any]) -> Array:
    """Return complex vectors as real ones, whose mean square is that of the absolute values."""
    if not np.iscomplexobj(values):
        return values
    return np.asarray(np.concatenate([values.real, values.imag], axis=1) * np.sqrt(2))


class _Moments:
    """Mean of vectors and the covariance of the mean, summed up batch by batch."""

    def __init__(self) -> None:
        self.count, self.mean, self._scatter = 0, np.zeros(1), np.zeros((1, 1))

    def add(self, values: Array) -> None:
        """Add vectors, shape (paths, k)."""
        count, mean = len(values), values.mean(axis=0)
        around = values - mean
        total, shift = self.count + count, mean - self.mean
        scatter = around.T @ around + self.count * count / total * np.multiply.outer(shift, shift)
        self.mean, self._scatter, self.count = self.mean + shift * count / total, self._scatter + scatter, total

    @property
    def covariance(self) -> Array:
        """Covariance of the mean, shape (k, k)."""
        return np.asarray(self._scatter / (self.count - 1) / self.count)


def _size_of_mean(moments: _Moments) -> tuple[float, float]:
    """Return the root mean square of the expectations and its standard error, the noise's own square taken away."""
    mean, covariance, k = moments.mean, moments.covariance, len(moments.mean)
    noise = float(np.trace(covariance)) / k
    square = float(np.mean(mean**2)) - noise
    if not square > 0:  # nothing but noise, or not finite
        return float(np.sqrt(np.mean(mean**2))), noise**0.5
    error = square**0.5
    return error, float(np.sqrt(mean @ covariance @ mean)) / (k * error)


def _observe(
    run: Callable[[int, int], Array],
    steps: Sequence[int],
    seeds: int | Iterable[int],
    reference: Callable[[int], Array] | None,
    refine: int,
    compare: Callable[[Array, Array], Array],
    estimate: Callable[[_Moments], tuple[float, float]],
    confidence: float,
) -> OrderEstimate:
    """Run every number of steps on every seed, seed by seed, and fit."""
    chosen, numbers = _seeds(seeds), _checked(_listed(steps, "steps", "whole numbers, such as (8, 16, 32)"))
    if isinstance(refine, bool) or not isinstance(refine, (int, np.integer)) or refine < 2:
        raise ValueError(f"refine must be a whole number of at least 2, got {refine!r}")
    _check_repeatable(run, numbers[0], chosen[0])
    moments, size = {n: _Moments() for n in numbers}, _Moments()
    every = sorted({*numbers, *(n * int(refine) for n in numbers if reference is None)})
    for seed in chosen:
        ends = {n: run(n, seed) for n in every}
        truth = None if reference is None else reference(seed)
        with np.errstate(over="ignore", invalid="ignore"):
            for n in numbers:
                moments[n].add(compare(ends[n], ends[n * refine] if truth is None else truth))
            size.add(np.full((1, 1), np.mean(np.abs(ends[every[-1]]) ** 2)))
    if moments[numbers[0]].count < 2:
        raise ValueError("one path has no statistical error; give more seeds, or let run return several paths")
    found = {n: _finite(estimate(one)) for n, one in moments.items()}
    scale = float(np.sqrt(size.mean[0]))
    return observed(found.__getitem__, steps, confidence=confidence, size=scale if np.isfinite(scale) else 1.0)


def _finite(pair: tuple[float, float]) -> tuple[float, float]:
    """Return an error with its standard error; one that is not finite needs none."""
    return pair if np.isfinite(pair).all() else (np.nan, 0.0)


def _seeds(seeds: int | Iterable[int]) -> list[int]:
    if isinstance(seeds, bool):
        raise TypeError(f"seeds must be a number of seeds or the seeds, got {seeds!r}")
    what = "whole numbers, or how many there are"
    chosen = list(range(seeds)) if isinstance(seeds, (int, np.integer)) else _listed(seeds, "seeds", what)
    for seed in chosen:
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise TypeError(f"seeds must be whole numbers, got {seed!r}; 0, 1, 2, say")
    if not chosen or len(set(chosen)) < len(chosen):
        raise ValueError(f"seeds must be at least one, each once, got {seeds!r}")
    return chosen


def _converted(run: Callable[..., Any], name: str = "run") -> Callable[..., Array]:
    """Return the function with its samples as an array, the paths along axis 0."""
    if not callable(run):
        raise TypeError(f"{name} must be a function that returns samples, got {run!r}")

    def converted(*arguments: int) -> Array:
        return np.atleast_1d(_array(run(*arguments), f"what {name}({', '.join(map(str, arguments))}) returns"))

    return converted


def _functional(functional: Callable[[Array], Any] | None, x: Array) -> Array:
    """Return the functionals of samples, shape (paths, k)."""
    if functional is None:
        flat = x.reshape(len(x), -1)
        found = np.concatenate([flat, np.abs(flat) ** 2], axis=1)
    else:
        found = _array(functional(x), "what functional returns")
        if found.ndim not in (1, 2) or len(found) != len(x):
            raise ValueError(
                f"functional must return shape ({len(x)},) or ({len(x)}, k), a row for each path, got {found.shape}"
            )
        found = found.reshape(len(x), -1)
    if found.shape[1] > MOST:
        raise ValueError(f"{found.shape[1]} functionals are too many, at most {MOST}; give functional= for a few")
    return found


def _check_repeatable(run: Callable[[int, int], Array], steps: int, seed: int) -> None:
    one, other = run(steps, seed), run(steps, seed)
    if one.shape != other.shape or not np.array_equal(one, other, equal_nan=True):
        raise ValueError(
            f"run({steps}, {seed}) returned other samples when called again; all its noise must come from the seed, "
            "numdiff.noise.BrownianPath(seed), say"
        )
