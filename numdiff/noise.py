r"""Noise for stochastic samplers: from a generator, from a seed per sample, or from one Brownian path.

A source of noise is a function of (index, column), the number of the tableau and of its noise, that returns a standard
normal array like the sample. `Seeded` and `BrownianPath` are bound to the sample and the scheme by `numdiff.sample`.
Their numbers are a function of the seed, the sample's number in the data set and what is asked for, and of nothing
else: Philox, a generator that turns a counter into random words, is started at the place that belongs to the sample. A
batch may so be split in any way, and the steps be taken in any order, on any device.

**The path.** W is a Brownian motion with W(0) = 0, of both signs of its clock T. Its values are drawn down a tree: at
T = 256^k (upwards by independent increments, downwards by bridges to 0), and between two of those by halving the
interval of log T. With m the middle of a < b, whatever the map in which it is the middle,

::

    W(m) = W(a) + (m-a)/(b-a) (W(b) - W(a)) + sqrt((m-a)(b-m)/(b-a)) n,

so the law of the values at all nodes of the tree is exact, and since the tree is one in log T they are accurate
relative to sqrt(T) over any number of decades. The tree ends at intervals of relative length 8e-11, inside which W is
a straight line.

Sources: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (2011); Li et al., Scalable gradients for stochastic
differential equations (2020), section 4.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from numdiff.elementary import kind
from numdiff.tableau import to_float

__all__ = ["BrownianPath", "Seeded", "from_generator"]

Array = Any
Source = Callable[[int, int], Array]
Stream = tuple[int, int, int, int]

BITS = 8
"""Two anchors of the tree are a factor 2^BITS of the clock apart."""

DEPTH = 36
"""How often the interval between two anchors is halved."""

SHORTEST = 1e-8
"""How short an increment may be, relative to the clock: a hundred of the intervals at which the tree ends."""

TOGETHER = 2**15
"""How many numbers are made at a time, at least one array."""

_SEEDED, _PATH, _INITIAL = 0, 1, 2  # the streams of one seed


def from_generator(x: Array, generator: Any = None) -> Source:
    """Return a source of noise like `x`, from a ``numpy.random.Generator`` or ``torch.Generator`` or a fresh one.

    A torch generator may live on another device than the sample: the noise is drawn there and moved. The noise of a
    complex sample is complex, of independent parts and variance 1 in all, here and from the other sources.

    Parameters
    ----------
    x
        What the noise is to be like: a NumPy array or torch tensor, of any shape.
    generator
        A generator of the same library, or None for a fresh one.

    Returns
    -------
    callable
        ``draw(index, column)``, which returns standard normal numbers of the shape, dtype and device of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> from numdiff.noise import from_generator
    >>> draw = from_generator(np.zeros((2, 3), np.float32), np.random.default_rng(0))
    >>> draw(0, 0).shape, draw(1, 0).dtype.name
    ((2, 3), 'float32')
    """

    def draw(index: int, column: int) -> Array:
        if kind(x) == "torch":
            torch = sys.modules["torch"]
            device = x.device if generator is None else generator.device
            return torch.randn(x.shape, generator=generator, dtype=x.dtype, device=device).to(x.device)
        rng = generator if generator is not None else np.random.default_rng()
        return _like(rng.standard_normal(_real_shape(x)), x)

    return draw


def _normals(seed: int, streams: Sequence[Stream], first: int, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Yield for each stream standard normal doubles whose row i depends on `seed`, the stream and ``first + i`` only.

    Box and Muller's transform takes a fixed number of words, so that each sample owns a fixed part of the counter.
    Small arrays are made several at a time, and each time in the same memory: an array holds until the next one.
    """
    count, size, blocks = _blocks(shape)
    together = max(1, TOGETHER // max(1, count * blocks * 4))
    philox = np.random.Philox(key=0)
    generator, state = np.random.Generator(philox), philox.state
    memory = np.empty((2, min(together, len(streams)), count, 2, 2 * blocks))
    for begin in range(0, len(streams), together):
        chunk = streams[begin : begin + together]
        uniform, normal = memory[:, : len(chunk)]
        for row, (word, *rest) in zip(uniform, chunk, strict=True):
            state["state"]["key"] = np.array([seed, word], dtype=np.uint64)
            state["state"]["counter"] = np.array([first * blocks, *rest], dtype=np.uint64)
            philox.state = state
            generator.random(out=row)
        radius, angle = uniform[:, :, 0], uniform[:, :, 1]
        np.subtract(1, radius, out=radius)  # exact: a double below 1 from the generator is a multiple of 2^-53
        np.sqrt(np.multiply(np.log(radius, out=radius), -2, out=radius), out=radius)
        cosine, sine = normal[:, :, 0], normal[:, :, 1]
        tangent = np.tan(np.multiply(angle, np.pi, out=angle), out=angle)  # of half the angle: one function, not two
        np.multiply(tangent, tangent, out=cosine)
        radius /= np.add(cosine, 1, out=sine)
        np.multiply(np.subtract(1, cosine, out=cosine), radius, out=cosine)
        np.multiply(np.multiply(tangent, 2, out=sine), radius, out=sine)
        yield from normal.reshape(len(chunk), count, 4 * blocks)[:, :, :size].reshape(len(chunk), *shape)


def _blocks(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return how many samples a shape has, how many numbers each, and the fours of words that these take."""
    count, size = (shape[0], math.prod(shape[1:])) if shape else (1, 1)
    return count, size, -(-size // 4)  # four words of 64 bits each, four normal numbers


def _is_complex(x: Array) -> bool:
    return x.is_complex() if kind(x) == "torch" else x.dtype.kind == "c"


def _real_shape(x: Array) -> tuple[int, ...]:
    """Return the shape of the doubles that make noise like `x`: two for a complex number."""
    shape = tuple(x.shape)
    return (*(shape or (1,)), 2) if _is_complex(x) else shape


def _like(values: np.ndarray, x: Array) -> Array:
    """Return doubles on the host, of the shape `_real_shape`, as noise of the shape, dtype and device of `x`."""
    if _is_complex(x):  # the variance of both parts is 1 together
        values = np.reshape(math.sqrt(0.5) * (values[..., 0] + 1j * values[..., 1]), tuple(x.shape))
    if kind(x) == "torch":
        host = sys.modules["torch"].from_numpy(np.ascontiguousarray(values))  # which has no arrays without axes
        return host.reshape(x.shape).to(device=x.device, dtype=x.dtype)
    return values.astype(x.dtype)


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an int, got {value!r}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, got {value!r}") from None
    if not 0 <= number < 2**63:
        raise ValueError(f"{name} must lie between 0 and 2^63 - 1, got {value}")
    return number


@dataclass(frozen=True)
class _Source:
    """What the two sources share: a seed, and the number of the batch's first sample."""

    seed: int
    first: int = 0

    def __post_init__(self) -> None:
        """Check the parameters."""
        for name in ("seed", "first"):
            object.__setattr__(self, name, _whole(name, getattr(self, name)))

    def _fits(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a batch, or raise if its last samples lie beyond the counter of the generator."""
        count, size, blocks = _blocks(shape)
        if (self.first + count) * blocks > 2**64:
            raise ValueError(
                f"first must be at most {max(0, 2**64 // blocks - count)} for {count} samples of {size} numbers each, "
                f"got {self.first}; count samples from 0 and use another seed for another set"
            )
        return shape


@dataclass(frozen=True)
class Seeded(_Source):
    """Independent noise for each sample of a batch: ``nd.sample(..., noise=Seeded(0))``.

    A sample's noise is the same in whatever batch it stands, on whatever device: it is drawn in float64 on the host
    and cast.

    Parameters
    ----------
    seed
        From 0 to 2^63 - 1.
    first
        Number of the batch's first sample (axis 0) in the whole set: 64 for the second batch of 64.

    Raises
    ------
    ValueError, TypeError
        For a seed or number that is not an int in range.

    Examples
    --------
    A batch may be split without changing a number:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> whole = nd.noise.Seeded(0).initial(np.empty((4, 2)))
    >>> second = nd.noise.Seeded(0, first=2).initial(np.empty((2, 2)))
    >>> bool((whole[2:] == second).all())
    True
    """

    def bind(self, x: Array, scheme: Any) -> Source:
        """Return the source for a run of `scheme` from the sample `x`, shape (n, ...)."""
        shape = self._fits(_real_shape(x))

        def draw(index: int, column: int) -> Array:
            return _like(next(_normals(self.seed, [(_SEEDED, index, column, 0)], self.first, shape)), x)

        return draw

    def initial(self, like: Array) -> Array:
        """Return standard normal samples to start from, x_T, of the shape (n, ...), dtype and device of `like`.

        They are a stream of their own, independent of the noise that a method adds.
        """
        shape = self._fits(_real_shape(like))
        return _like(next(_normals(self.seed, [(_INITIAL, 0, 0, 0)], self.first, shape)), like)


@dataclass(frozen=True)
class BrownianPath(_Source):
    """One Brownian path for each sample, from which the runs of stochastic schemes on any grids take their noise.

    The noise of a column whose clock runs from T_s to T_t is (W(T_t) - W(T_s)) / sqrt(T_t - T_s). Schemes on coarse
    and fine grids then discretize the same realisation of the reverse diffusion, so their samples can be compared one
    by one.

    Parameters
    ----------
    seed, first
        As in `Seeded`.

    Raises
    ------
    ValueError, TypeError
        For a seed or number that is not an int in range.

    Examples
    --------
    Runs of 50 and of 100 steps follow the same path, so their samples are much closer to each other than to those of
    another path:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> def run(steps, path):
    ...     schedule = nd.schedules.VPLinear()
    ...     scheme = nd.SDEDPMSolverPP(2).discretize(schedule, nd.grids.uniform_log_snr(schedule, steps))
    ...     return nd.sample(scheme, lambda x, t: np.tanh(x), np.ones(1), prediction="data", noise=path).item()

    >>> path, other = nd.noise.BrownianPath(0), nd.noise.BrownianPath(1)
    >>> fine = run(100, path)
    >>> print(f"{abs(run(50, path) - fine):.0e} {abs(run(50, other) - fine):.0e}")
    2e-04 6e-02
    """

    def bind(self, x: Array, scheme: Any) -> Source:
        """Return the source for a run of `scheme` from the sample `x`, shape (n, ...).

        Raises
        ------
        ValueError
            If a noise of the scheme has no clock, or if two clocks overlap: their noises would not be independent.
        """
        clocks = _clocks(scheme)
        shape, ends = self._fits(_real_shape(x)), dict[float, np.ndarray]()

        def draw(index: int, column: int) -> Array:
            start, end = clocks[index, column]
            known = {t: ends[t] if t in ends else self.value(t, shape) for t in (start, end)}
            ends.clear()
            ends.update(known)  # the next step starts where this one ends
            return _like((known[end] - known[start]) / math.sqrt(end - start), x)

        return draw

    def value(self, clock: float, shape: tuple[int, ...]) -> np.ndarray:
        """Return W(clock) in float64 for samples ``first``, ``first + 1``, ...

        Parameters
        ----------
        clock
            T, finite, of either sign.
        shape
            Shape of the batch, (n, ...).

        Raises
        ------
        ValueError
            If the clock is not finite, or the samples are numbered too high.
        """
        if not math.isfinite(clock):
            raise ValueError(
                f"a Brownian path has no value at clock {clock}; end the grid where alpha and sigma are > 0"
            )
        if clock == 0 or 0 in self._fits(shape):
            return np.zeros(shape)
        place = math.log2(abs(clock)) / BITS
        anchor = math.floor(place)
        fraction = place - anchor
        chain = [0, *range(-1, anchor - 1, -1), *range(1, anchor + 2)]  # up from W(1), or down
        nodes = [2**depth + math.floor(fraction * 2**depth) for depth in range(DEPTH)]
        side = int(clock < 0)
        streams = [(_PATH, k + 2**32, 0, side) for k in chain] + [(_PATH, anchor + 2**32, i, side) for i in nodes]
        units = iter(np.eye(len(streams)))  # W is linear in the normal numbers: find their factors first
        factors = _descend(*_anchors(anchor, units), place, units)
        total = np.zeros(shape or 1)
        for factor, normal in zip(factors, _normals(self.seed, streams, self.first, total.shape), strict=True):
            total += np.multiply(factor, normal, out=normal)
        return total.reshape(shape)


def _anchors(anchor: int, normals: Iterator[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return W at 256^anchor and at the anchor above it, starting from W(1)."""
    base = 2.0**BITS
    low = high = next(normals)
    for k in range(0, anchor, -1):
        high, low = low, low / base + math.sqrt(base ** (k - 1) * (1 - 1 / base)) * next(normals)
    for k in range(anchor + 1):
        low, high = high, high + math.sqrt(base**k * (base - 1)) * next(normals)
    return low, high


def _descend(low: np.ndarray, high: np.ndarray, place: float, normals: Iterator[np.ndarray]) -> np.ndarray:
    """Return W at ``log T = place`` from its values at the anchors around it."""
    left, width = float(math.floor(place)), 1.0
    fraction = place - left
    for _ in range(DEPTH):
        width /= 2
        e = math.expm1(BITS * math.log(2) * width)  # m = a (1+e), b = m (1+e)
        a = 2.0 ** (BITS * left)
        middle = low + (high - low) / (2 + e) + math.sqrt(a * e * (1 + e) / (2 + e)) * next(normals)
        fraction *= 2
        if fraction >= 1:
            low, left, fraction = middle, left + width, fraction - 1
        else:
            high = middle
    return low + fraction * (high - low)


def _clocks(scheme: Any) -> dict[tuple[int, int], tuple[float, float]]:
    """Return the clock of every noise of a scheme in floats, checked."""
    found: dict[tuple[int, int], tuple[float, float]] = {}
    for index, tableau in enumerate(scheme):
        for column, clock in enumerate(tableau.clocks):
            if clock is None:
                raise ValueError(
                    f"noise {column} of tableau {index} of {scheme.method} belongs to no Brownian path (it has no "
                    "clock); use noise=Seeded(seed) or generator="
                )
            start, end = (float(to_float(t)) for t in clock)
            if not end - start > SHORTEST * max(abs(start), abs(end)) or math.isinf(end - start):
                raise ValueError(
                    f"the clock of noise {column} of tableau {index} of {scheme.method} must rise, by {SHORTEST:g} of "
                    f"itself and in the range of floats, got {start} to {end}; use longer steps, less noise or "
                    "noise=Seeded(seed)"
                )
            found[index, column] = (start, end)
    for before, after in pairwise(sorted(found.values())):
        if after[0] < before[1] - 1e-9 * (before[1] - before[0]):
            raise ValueError(
                f"the clocks {before} and {after} of {scheme.method} overlap, so their noises are no independent "
                "increments of one path; use a constant tau, noise=Seeded(seed) or generator="
            )
    return found
