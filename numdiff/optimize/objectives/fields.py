r"""Scalar problems side by side: mixtures of two normals with exact derivatives, and runs of a scheme over all of them.

Data are +mu and -mu with the odds e^(2b), widened to the standard deviation s. At a level x = alpha x_0 + sigma eps,
with v = alpha^2 s^2 + sigma^2 and th = tanh(w x + b), w = alpha mu/v, the exact predictions are

    E[x_0 | x] = (alpha s^2 x + sigma^2 mu th)/v,        E[eps | x] = sigma (x - alpha mu th)/v,
    E[p x_0 + q eps | x] = A x + B th,    A = (p alpha s^2 + q sigma)/v,    B = mu sigma (p sigma - q alpha)/v.      (1)

(p, q) is (1, 0) for data, (0, 1) for noise and (d alpha/dt, d sigma/dt) for the velocity dx/dt. Nothing cancels in (1)
as sigma or alpha tend to 0. mu = 0 is Gaussian data. Its derivatives, with v_a = 2 alpha s^2 and v_s = 2 sigma:

    dA/dalpha = (p s^2 - A v_a)/v           dA/dsigma = (q - A v_s)/v
    dB/dalpha = -(q mu sigma + B v_a)/v     dB/dsigma = (mu (2 p sigma - q alpha) - B v_s)/v
    dw/dalpha = (mu - w v_a)/v              dw/dsigma = -w v_s/v
    dA/dp = alpha s^2/v    dA/dq = sigma/v    dB/dp = mu sigma^2/v    dB/dq = -mu sigma alpha/v

**Runs.** A, B, w are known at all levels before a run begins, so that an evaluation costs five array operations and its
adjoint one; sums over neighbouring values are one product; and what the adjoints are worth to coefficients and levels
is worked out after the run, for all of them at once. The arithmetic is that of `numdiff.optimize.propagate`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from numdiff.optimize.compiled import Trace
from numdiff.optimize.ends import finite_ends
from numdiff.optimize.propagate import LEVEL, Program
from numdiff.optimize.window import Window

Array = NDArray[np.float64]

ENTRIES = {"data": LEVEL[:2], "noise": LEVEL[:2], "velocity": LEVEL[:4]}
"""The entries of a level that a prediction reads."""

MANY = 20
"""From so many variables on, the Jacobian of the coefficients is multiplied as the banded matrix that it is."""


CENTRE, REACH = 0.7, 3.0
"""c and w of `usual_steps`: where runs on their best steps make their shortest steps, and how fast these grow."""


class Tables(NamedTuple):
    """A, B and w of formula (1) at every stage, shape (stages, problems)."""

    A: Array
    B: Array
    w: Array


@dataclass(frozen=True, eq=False)
class Mixtures:
    """Mixtures of two normals, one for each problem.

    Parameters
    ----------
    mean
        mu >= 0, shape (problems,).
    width
        s >= 0, shape (problems,); positive where a level with sigma = 0 is evaluated.
    prediction
        "data", "noise" or "velocity": what the scheme combines.
    tilt
        b, shape (problems,), or 0.
    """

    mean: Array
    width: Array
    prediction: str
    tilt: Any = 0.0

    def tables(self, levels: Array) -> Tables:
        """Return A, B, w at `levels`, rows of `numdiff.optimize.propagate.LEVEL`."""
        alpha, sigma, p, q = self._columns(levels)
        v = (alpha * self.width) ** 2 + sigma**2
        A = (p * alpha * self.width**2 + q * sigma) / v
        return Tables(A, (sigma * (p * sigma - q * alpha)) * self.mean / v, alpha * self.mean / v)

    def slopes(self, levels: Array, tables: Tables, of: Tables) -> dict[str, Array]:
        """Return dl/d(entry) for the entries of `ENTRIES`, shape (stages, problems), from dl/d(A, B, w)."""
        alpha, sigma, p, q = self._columns(levels)
        mu, s2 = self.mean, self.width**2
        v = alpha**2 * s2 + sigma**2
        a, b, w = of.A / v, of.B / v, of.w / v
        shrink = 2 * (tables.A * a + tables.B * b + tables.w * w)
        found = {
            "alpha": a * (p * s2) - b * (q * sigma * mu) + w * mu - shrink * (alpha * s2),
            "sigma": a * q + b * (mu * (2 * p * sigma - q * alpha)) - shrink * sigma,
        }
        if self.prediction == "velocity":
            found["d_alpha"] = a * (alpha * s2) + b * (mu * sigma**2)
            found["d_sigma"] = a * sigma - b * (mu * sigma * alpha)
        return found

    def _columns(self, levels: Array) -> tuple[Array, Array, Any, Any]:
        alpha, sigma = levels[:, 0, None], levels[:, 1, None]
        if self.prediction == "velocity":
            return alpha, sigma, levels[:, 2, None], levels[:, 3, None]
        return alpha, sigma, float(self.prediction == "data"), float(self.prediction == "noise")

    def evaluate(self, Y: Any, level: Sequence[Any]) -> tuple[Any, Callable[[Any], tuple[Any, dict[str, Any]]]]:
        """Return the prediction at `Y` and its adjoint, as `numdiff.optimize.propagate.Field`."""
        levels = np.array([[np.nan if x is None else x for x in level]], dtype=float)
        tables = self.tables(levels)
        A, B, w = (x[0] for x in tables)
        th = np.tanh(w * Y + self.tilt)

        def adjoint(a: Any) -> tuple[Any, dict[str, Any]]:
            bend = a * B * (1 - th * th)
            of = Tables(*(x[None] for x in (a * Y, a * th, bend * Y)))
            slopes = self.slopes(levels, tables, of)
            return a * A + bend * w, {name: slope[0] for name, slope in slopes.items()}

        return A * Y + B * th, adjoint


class _Piece(NamedTuple):
    """Neighbouring values, and their terms."""

    values: slice
    terms: slice


class Runs:
    """A scheme's forward and adjoint run over many scalar problems.

    Parameters
    ----------
    program
        The run, read with the entries that the prediction needs.
    field
        The problems.
    """

    def __init__(self, program: Program, field: Mixtures) -> None:
        self.program, self.field = program, field
        self._pieces = {move.out: _pieces(program.values, move.first, move.last) for move in program.moves}
        evaluations = [move for move in program.moves if move.stage >= 0]
        self._samples = np.zeros(program.stages, dtype=np.intp)
        self._samples[[move.stage for move in evaluations]] = [move.sample for move in evaluations]
        self._varying = np.flatnonzero(program.slots >= 0)
        owners = np.concatenate([np.full(m.last - m.first, m.out) for m in program.moves]).astype(np.intp)
        self._owners = owners[self._varying]
        self._stages = {name: np.flatnonzero(program.level_slots[:, k] >= 0) for k, name in enumerate(LEVEL)}

    def __call__(self, c: Array, first: Array) -> tuple[Array, Array]:
        """Return the last samples, (problems,), and their derivatives with respect to c, (len(c), problems).

        Parameters
        ----------
        c
            Values of the program's numbers.
        first
            The first sample and the noises, shape (1 + noises, problems).
        """
        factors, levels = self.program.coefficients(c), self.program.stage_levels(c)
        tables = self.field.tables(levels)
        values, bends = self._forward(factors, tables, first)
        slopes = tables.B * (1 - bends**2)
        adjoints = self._backward(factors, tables.A + slopes * tables.w)
        return values[self.program.result], self._gradient(len(c), levels, tables, values, bends, slopes, adjoints)

    def _forward(self, factors: Array, tables: Tables, first: Array) -> tuple[Array, Array]:
        """Return all values, shape (size, problems), and tanh(w x) of all evaluations."""
        program = self.program
        values = np.zeros((program.size, first.shape[1]))
        values[program.start : program.start + 1 + program.noises] = first
        bends = np.zeros((program.stages, first.shape[1]))
        for move in program.moves:
            out = values[move.out]
            if move.stage < 0:
                pieces = self._pieces[move.out]
                np.dot(factors[pieces[0].terms], values[pieces[0].values], out=out)
                for piece in pieces[1:]:
                    out += factors[piece.terms] @ values[piece.values]
                continue
            sample, bend = values[move.sample], bends[move.stage]
            np.multiply(tables.w[move.stage], sample, out=bend)
            bend += self.field.tilt
            np.tanh(bend, out=bend)
            np.multiply(tables.A[move.stage], sample, out=out)
            out += tables.B[move.stage] * bend
        return values, bends

    def _backward(self, factors: Array, slopes: Array) -> Array:
        """Return dl/dv of all values for l = the last sample, shape (size, problems)."""
        program, columns = self.program, factors[:, None]
        adjoints = np.zeros((program.size, slopes.shape[1]))
        adjoints[program.result] = 1.0
        for move in reversed(program.moves):
            a = adjoints[move.out]
            if move.stage < 0:
                for piece in self._pieces[move.out]:
                    adjoints[piece.values] += columns[piece.terms] * a
            else:
                adjoints[move.sample] += slopes[move.stage] * a
        return adjoints

    def _gradient(
        self, size: int, levels: Array, tables: Tables, values: Array, bends: Array, slopes: Array, adjoints: Array
    ) -> Array:
        program = self.program
        gradient = np.zeros((size, values.shape[1]))
        gradient[program.slots[self._varying]] = adjoints[self._owners] * values[program.values[self._varying]]
        a, samples = adjoints[: program.stages], values[self._samples]
        of = Tables(a * samples, a * bends, a * slopes * samples)
        for name, slope in self.field.slopes(levels, tables, of).items():
            stages = self._stages[name]
            gradient[program.level_slots[stages, LEVEL.index(name)]] = slope[stages]
        return gradient


class EndPoints:
    """The last samples of a traced run over scalar problems, with exact derivatives in z.

    Parameters
    ----------
    trace
        The run in traced numbers.
    mean, width, tilt
        The problems, as in `Mixtures`.
    first
        The first sample and the noises, shape (1 + noises, problems).
    """

    def __init__(self, trace: Trace, mean: Array, width: Array, first: Array, tilt: Any = 0.0) -> None:
        prediction = trace.scheme.prediction
        program = Program(trace.scheme, ENTRIES[prediction])
        self._runs = Runs(program, Mixtures(mean, width, prediction, tilt))
        self._compiled, self._first = trace.compile(program.numbers), first
        rows, inputs = self._compiled.rows, self._compiled.inputs
        self._order = np.lexsort((rows, inputs))  # the Jacobian's transpose by rows, as SciPy keeps it
        self._starts = np.searchsorted(inputs[self._order], np.arange(self._compiled.variables + 1))

    def __call__(self, z: Array) -> tuple[Array, Array]:
        """Return the last samples, shape (problems,), and their Jacobian, shape (problems, n)."""
        c, jacobian = self._compiled(z)
        last, gradient = self._runs(c, self._first)
        if self._compiled.variables < MANY:
            return last, gradient.T @ jacobian
        rows, inputs = self._compiled.rows[self._order], self._compiled.inputs[self._order]
        banded = sparse.csr_array((jacobian[rows, inputs], rows, self._starts), shape=jacobian.shape[::-1])
        return last, (banded @ gradient).T


def usual_steps(window: Window) -> Array:
    """Return the interior log-SNRs of c + w tan(theta) with equal steps in theta, between finite ends.

    The steps are as dlambda ~ 1 + ((lambda - c)/w)^2, the shape of the minima of most objectives for most methods and
    numbers of steps: a search needs a third of the evaluations that it needs from a simple grid, and ends lower.
    """
    ends = finite_ends(window.low, min(window.high, window.ceiling))
    first, last = (math.atan((end - CENTRE) / REACH) for end in ends)
    return CENTRE + REACH * np.tan(np.linspace(first, last, window.steps + 1)[1:-1])


def _pieces(values: NDArray[np.intp], first: int, last: int) -> list[_Piece]:
    """Cut the terms first:last, sorted by value, where their values are not neighbours."""
    cuts = [first, *(k for k in range(first + 1, last) if values[k] != values[k - 1] + 1), last]
    return [_Piece(slice(values[i], values[i] + j - i), slice(i, j)) for i, j in pairwise(cuts) if i < j]
