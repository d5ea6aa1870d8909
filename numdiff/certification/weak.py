r"""The weak order of a sampler with noise, without sampling error: its exact law on Gaussian data.

For data N(0, s^2) the perfect prediction is linear, so what a sampler returns is affine in its first sample and in each
of its random draws z_1, ..., z_K, all standard normal. With y = x/alpha,

    y_N = c + g y_0 + sum_k b_k z_k,        var y_N = g^2 (s^2 + rho_0^2) + sum_k b_k^2,                             (1)

and g, b_k, c are read off one run in which every draw has a point of its own: point k sees z_k = 1 and nothing else.
The K + 4 points need K + 4 times the memory of a sample for each draw, never K^2. The columns are standard deviations
s side by side, so that no error is 0 by the choice of one.

**The law.** The reverse diffusion carries the marginal N(0, s^2 + rho^2) to itself **whatever its noise level**, and so
do steps beyond the target and back. The error is that of var y_N, relative to the true one, and of the mean c; its
order is that of expectations under the marginal law, for every noise level and without knowing it.

**Given the first sample** there is a right answer for a known noise level tau only: with V = s^2 + rho^2 the diffusion
multiplies y by (V_N/V_0)^((1 + tau^2)/2), and the rest of the variance is noise. With `tau` these errors are counted
in; a sampler may be more exact in its law than that.

A last point has all draws and the first sample at random, and must be where (1) says: else the response is not linear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from numdiff.certification.identify import NotLinearError
from numdiff.certification.measure import Layout, final
from numdiff.certification.subject import Array, Setting, Subject
from numdiff.level import Level
from numdiff.problems.paths import Path
from numdiff.properties.order.regression import ROUNDINGS, OrderEstimate, observed

DEVIATIONS = (0.3, 0.5, 0.8, 1.3)
"""Standard deviations of the data, one a column."""

TOLERANCE = {"float64": 1e-8, "shipped": 1e-3}
"""Largest deviation from (1), relative to the sum of its terms: rounding of some hundred steps in either precision."""


class NoNoiseError(ValueError):
    """A sampler that makes no random draws, or draws them where `Setting.noise` cannot replace them."""


@dataclass(frozen=True, eq=False)
class Law:
    """What a sampler makes of its first sample and its noise, in y = x/alpha.

    Parameters
    ----------
    gain
        g, shape (columns,).
    shift
        c, shape (columns,).
    noise
        sum of b_k^2, shape (columns,).
    draws
        K.
    """

    gain: Array
    shift: Array
    noise: Array
    draws: int


def measure_weak(
    subject: Subject,
    steps: Sequence[int],
    *,
    layout: Layout | None = None,
    setting: Setting | None = None,
    span: tuple[float, float] = (-1.0, 3.0),
    tau: float | None = None,
) -> OrderEstimate:
    """Return the order in which the law of a sampler approaches that of the data, on Gaussian data, exactly.

    Parameters
    ----------
    subject
        The sampler.
    steps
        Numbers of steps, at least three.
    layout
        Where the levels lie; equal steps in log-SNR by default. Ignored where ``setting.grid`` is "own".
    setting
        Circumstances of the runs; its noise is replaced.
    span
        First and last log-SNR of the grids.
    tau
        Noise level of the diffusion whose law given the first sample is to be met too; None for the marginal law alone.

    Returns
    -------
    OrderEstimate

    Raises
    ------
    NoNoiseError
        If the sampler makes no draws, or does not take them from the setting.
    NotLinearError
        If its response is not affine.
    SamplerError
        If it raises at some N.
    ValueError
        For an integrator of plain equations, and a noise level that is negative.
    """
    layout, setting = layout or Layout(), setting or Setting()
    if subject.scale == "time":
        raise ValueError(f"{subject.name} integrates plain equations, which have no noise; measure its order instead")
    if tau is not None and not tau >= 0:
        raise ValueError(f"tau must be a noise level >= 0, got {tau}")

    def run(n: int) -> float:
        own = setting.grid == "own" and subject.grid is not None
        levels = subject.grid(n) if own else layout.levels(subject, span, n)  # type: ignore[misc]
        found = _errors(law(subject, levels, setting), levels, tau)
        return float(np.sqrt(np.mean(found**2))) if np.all(np.isfinite(found)) else float("nan")

    return observed(run, steps, floor=10 * ROUNDINGS * float(np.finfo(float).eps))  # relative errors; sums over K draws


def _errors(found: Law, levels: Sequence[Level], tau: float | None) -> Array:
    """Return the errors of the law relative to the true one, shape (errors, columns)."""
    squares = np.square(DEVIATIONS)
    before, after = (squares + float(level.rho) ** 2 for level in (levels[0], levels[-1]))
    with np.errstate(over="ignore", invalid="ignore"):
        rows = [(found.gain**2 * before + found.noise - after) / after, found.shift / np.sqrt(after)]
        if tau is not None:
            gain = (after / before) ** ((1 + tau**2) / 2)
            rows += [(found.gain - gain) * np.sqrt(before / after), (found.noise - after + gain**2 * before) / after]
    return np.array(rows)


def law(subject: Subject, levels: Sequence[Level], setting: Setting | None = None) -> Law:
    """Return gain, shift and noise of a run over given levels.

    Parameters
    ----------
    subject
        The sampler.
    levels
        Where it goes.
    setting
        Circumstances of the run; its noise is replaced.

    Raises
    ------
    NoNoiseError, NotLinearError, SamplerError
        As for `measure_weak`.
    """
    setting = setting or Setting()
    count = _count(subject, levels, setting)
    draws = _Draws(_inputs(count))
    end = draws.run(subject, levels, setting)
    if draws.made != count:
        raise NotLinearError(
            f"{subject.name} made {count} random draws in one run and {draws.made} in another over the same levels: "
            "its noise depends on its sample"
        )
    shift, answers = end[0], end[1:-1] - end[0]
    found = Law(answers[0], shift, np.sum(answers[1:] ** 2, axis=0), count)
    if np.all(np.isfinite(end)):
        _check_affine(subject, end[-1] - shift, answers, draws.inputs[-1], setting)
    return found


def _inputs(count: int) -> Array:
    """Return first samples (column 0) and draws of all points: none, each of them alone, all at random."""
    random = np.random.default_rng(1).standard_normal((1, 1 + count))
    return np.vstack([np.zeros((1, 1 + count)), np.eye(1 + count), random])


def _check_affine(subject: Subject, seen: Array, answers: Array, inputs: Array, setting: Setting) -> None:
    deviation = np.abs(seen - inputs @ answers) / (np.abs(inputs) @ np.abs(answers) + np.finfo(float).tiny)
    if not deviation.max() < TOLERANCE[setting.precision]:
        raise NotLinearError(
            f"{subject.name} is not affine in its sample and its noise: on random ones it deviates by "
            f"{deviation.max():.1e} from the sum of its responses; it clips, adapts its steps, or draws noise that it "
            "does not take from the setting"
        )


def _path(levels: Sequence[Level], first: Array) -> Path:
    """Return the flow of Gaussian data, a column for each deviation, from the first samples y, shape (points, 1)."""
    squares = np.square(DEVIATIONS)
    start = np.repeat(first, len(DEVIATIONS), axis=1)

    def slope(lam: float, y: Array) -> Array:
        rho2 = np.exp(-2 * lam)
        return -rho2 / (squares + rho2) * y

    ends = float(levels[0].log_snr), float(levels[-1].log_snr)
    return Path("Gaussian data of several variances", slope, lambda lam: start, ends, 0.0)


class _Draws:
    """A source of draws that gives each its column of the inputs, the same for all coordinates of a point."""

    def __init__(self, inputs: Array) -> None:
        self.inputs, self.made, self.strange = inputs, 0, ""

    def __call__(self, shape: tuple[int, ...]) -> Array:
        """Return the next draw; zeros, and a note, where it is not of the sample's size."""
        self.made += 1
        points = len(self.inputs)
        if int(np.prod(shape)) != points * len(DEVIATIONS):
            self.strange = self.strange or (
                f"random draw {self.made} has shape {tuple(shape)}, but the sample has {points} points of "
                f"{len(DEVIATIONS)} coordinates: this noise is not of the sample's shape, and its law not read off so"
            )
            return np.zeros(shape)
        column = self.inputs[:, self.made] if self.made < self.inputs.shape[1] else np.zeros(points)
        return np.repeat(column[:, None], len(DEVIATIONS), axis=1).reshape(shape)

    def run(self, subject: Subject, levels: Sequence[Level], setting: Setting) -> Array:
        """Return where a subject arrives with these draws, y of shape (points, columns)."""
        end = final(subject, _path(levels, self.inputs[:, :1]), levels, replace(setting, noise=self))
        if self.strange:
            raise NotLinearError(f"{subject.name}: {self.strange}")
        return end


def _count(subject: Subject, levels: Sequence[Level], setting: Setting) -> int:
    """Return how many draws a run makes.

    Raises
    ------
    NoNoiseError
        If there are none.
    """
    draws = _Draws(np.ones((1, 1)))
    one = draws.run(subject, levels, setting)
    if draws.made:
        return draws.made
    if np.array_equal(one, draws.run(subject, levels, setting), equal_nan=True):
        raise NoNoiseError(
            f"{subject.name} draws no noise from the setting and repeats itself: it is deterministic with these "
            "options, so that its order is to be measured, or it seeds a generator of its own"
        )
    raise NoNoiseError(
        f"{subject.name} ignores the noise of the setting and draws from a generator of its own, so its law cannot be "
        "read off; its adapter must replace its draws by setting.noise"
    )
