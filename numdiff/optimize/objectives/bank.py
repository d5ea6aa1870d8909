from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from numdiff.optimize.compiled import Trace
from numdiff.optimize.objectives.fields import ENTRIES, Mixtures, Runs
from numdiff.optimize.problem import Parts
from numdiff.optimize.propagate import Program
from numdiff.optimize.window import Window

Array = NDArray[np.float64]


def quantile(z: Array, mean: Array, width: Array, tilt: Array) -> Array:
    """Return the x with P(X > x) = P(Z > z) for a standard normal Z and the mixture X."""
    sign = np.where(z < 0, -1.0, 1.0)
    z, tilt = z * sign, tilt * sign
    tail, share = log_ndtr(-z), (-np.logaddexp(0, -2 * tilt), -np.logaddexp(0, 2 * tilt))
    low, high = width * z - mean, width * z + mean
    x = low + (high - low) * np.exp(share[0])
    for _ in range(100):
        f, slope = _log_tail(x, mean, width, share)
        f -= tail
        low, high = np.where(f > 0, x, low), np.where(f > 0, high, x)
        new = x - f / slope
        new = np.where((new > low) & (new < high), new, 0.5 * (low + high))
        change, x = np.abs(new - x), new
        if np.all(change <= 4e-16 * (mean + width)):
            break
    return x * sign


def _log_tail(x: Array, mean: Array, width: Array, share: tuple[Array, Array]) -> tuple[Array, Array]:
    u, v = (x - mean) / width, (x + mean) / width
    f = np.logaddexp(share[0] + log_ndtr(-u), share[1] + log_ndtr(-v))
    density = np.exp(share[0] - u * u / 2 - f) + np.exp(share[1] - v * v / 2 - f)
    return f, -density / (np.sqrt(2 * np.pi) * width)


class BankProblem:
    def __init__(self, trace: Trace, mu: Array, s: Array, z: Array, scale: Array, tilt: Array | float = 0.0) -> None:
        self.window: Window = trace.window
        tilt = np.broadcast_to(tilt, mu.shape)
        field = Mixtures(mu, s, trace.scheme.prediction, tilt)
        program = Program(trace.scheme, ENTRIES[trace.scheme.prediction])
        self.compiled = trace.compile(program.numbers)
        self.runs = Runs(program, field)
        (a0, s0), (a1, s1) = ((float(e.alpha), float(e.sigma)) for e in trace.ends)
        self.first = quantile(z, a0 * mu, np.hypot(a0 * s, s0), tilt)[None]
        self.last = quantile(z, a1 * mu, np.hypot(a1 * s, s1), tilt)
        self.weight = 1 / scale

    def errors(self, z):
        c, jac = self.compiled(z)
        x, g = self.runs(c, self.first)
        return (x - self.last) * self.weight, (g.T @ jac) * self.weight[:, None]
