"""Exact runs on Gaussian data: a linear model makes every step a number, and every noise column another.

Data x_0 ~ N(0, 1) in one dimension, at alpha = 1: y_rho ~ N(0, 1 + rho^2), and for the reverse diffusion (tau = 1) the
pair (y_rho, y_rho') is that of the forward process.
"""

import numpy as np

import numdiff as nd
from numdiff.executor import step

EDM = nd.schedules.EDM(T=200.0)


def field(prediction):
    """Return the exact prediction at a level, for data of variance 1."""

    def predict(Y, level):
        data = level.alpha / (level.alpha**2 + level.sigma**2) * Y
        return data if prediction == "data" else (Y - level.alpha * data) / level.sigma

    return predict


def affine(scheme):
    """Return (mean factor, variance of the noise) of the whole run of a scheme with one register."""
    mean, variance = 1.0, 0.0
    predict = field(scheme.prediction)
    for tableau in scheme:
        zero = [0.0] * tableau.noises
        (factor,) = step(tableau, [1.0], predict, zero)
        noise = [step(tableau, [0.0], predict, list(row))[0] for row in np.eye(tableau.noises)]
        mean, variance = factor * mean, factor**2 * variance + float(np.sum(np.square(noise)))
    return mean, variance


def errors(method, steps, first=4.0, last=0.25):
    """Return the errors of variance of the law, and of mean and variance given the first sample, at eta = tau = 1."""
    u = np.linspace(0.0, 1.0, steps + 1)
    u = u + 0.1 * np.sin(2 * np.pi * u)
    scheme = method.discretize(EDM, (first * (last / first) ** u).tolist())
    mean, variance = affine(scheme)
    before, after = 1 + first**2, 1 + last**2
    law = mean**2 * before + variance - after
    return np.abs([law, mean - after / before, variance - after * (1 - after / before)])


def slopes(method, steps=(16, 32, 64, 128)):
    """Return the observed orders of the three errors."""
    found = np.array([errors(method, n) for n in steps])
    with np.errstate(divide="ignore", invalid="ignore"):  # an error may be exactly 0
        return np.log2(found[-2] / found[-1])
