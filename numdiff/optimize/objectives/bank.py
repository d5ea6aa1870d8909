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


def quantile(tail: Array, mean: Array, width: Array) -> Array:
    """Return the x > 0 with P(X > x) = exp(tail) for X = +-mean with equal weights, widened by `width`."""
    low, high = np.zeros_like(mean), mean + width * _upper(tail)
    x = high.copy()
    for _ in range(200):
        f, slope = _log_tail(x, mean, width)
        f -= tail
        low, high = np.where(f > 0, x, low), np.where(f > 0, high, x)
        step = f / slope
        new = x - step
        new = np.where((new > low) & (new < high), new, 0.5 * (low + high))
        done = np.abs(new - x) <= 4e-16 * np.abs(new)
        x = new
        if done.all():
            break
    return x


def _upper(tail: Array) -> Array:
    return np.sqrt(np.maximum(-2 * tail, 0.0)) + 1e-3


def _log_tail(x: Array, mean: Array, width: Array) -> tuple[Array, Array]:
    u, v = (x - mean) / width, (x + mean) / width
    f = np.logaddexp(log_ndtr(-u), log_ndtr(-v)) - np.log(2)
    density = (np.exp(-u * u / 2 - f) + np.exp(-v * v / 2 - f)) / (2 * np.sqrt(2 * np.pi) * width)
    return f, -density


class BankProblem:
    def __init__(self, trace: Trace, mu: Array, s: Array, z: Array, scale: Array, eps: float = 0.0) -> None:
        self.window: Window = trace.window
        field = Mixtures(mu, s, trace.scheme.prediction)
        program = Program(trace.scheme, ENTRIES[trace.scheme.prediction])
        self.compiled = trace.compile(program.numbers)
        self.runs = Runs(program, field)
        tail = log_ndtr(-z)
        (a0, s0), (a1, s1) = ((float(e.alpha), float(e.sigma)) for e in trace.ends)
        self.first = quantile(tail, a0 * mu, np.hypot(a0 * s, s0))[None]
        self.last = quantile(tail, a1 * mu, np.hypot(a1 * s, s1))
        self.weight = 1 / scale
        self.eps = eps

    def errors(self, z):
        c, jac = self.compiled(z)
        x, g = self.runs(c, self.first)
        return (x - self.last) * self.weight, (g.T @ jac) * self.weight[:, None]
