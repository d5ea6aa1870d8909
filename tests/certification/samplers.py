"""Samplers of a few lines, written against nothing but the formula of a step, right and wrong ones."""

from itertools import pairwise

import numpy as np

from numdiff.certification.subject import Subject, level_of, position


def euler(field, x, levels, setting):
    """DDIM: the noise prediction kept over each step."""
    for here, there in pairwise(levels):
        noise = field(x, here)
        x = there.alpha * (x / here.alpha + (there.rho - here.rho) * noise)
    return x


def heun(field, x, levels, setting):
    """The trapezoidal rule in rho."""
    for here, there in pairwise(levels):
        first = field(x, here)
        guess = there.alpha * (x / here.alpha + (there.rho - here.rho) * first)
        mean = (first + field(guess, there)) / 2
        x = there.alpha * (x / here.alpha + (there.rho - here.rho) * mean)
    return x


def kutta(keep=lambda x: x):
    """The classical Runge-Kutta method of order 4 in rho; `keep` is what becomes of each sample."""

    def run(field, x, levels, setting):
        for here, there in pairwise(levels):
            middle = level_of("vp", -np.log((here.rho + there.rho) / 2))
            h, y, k = there.rho - here.rho, x / here.alpha, 0.0
            total = 0.0
            for level, part, weight in ((here, 0, 1), (middle, 0.5, 2), (middle, 0.5, 2), (there, 1, 1)):
                k = field(level.alpha * (y + part * h * k), level)
                total = total + weight * k / 6
            x = keep(there.alpha * (y + h * total))
        return x

    return run


def early(field, x, levels, setting):
    """Heun's method whose second question is asked at the first level again."""
    for here, there in pairwise(levels):
        first = field(x, here)
        guess = there.alpha * (x / here.alpha + (there.rho - here.rho) * first)
        mean = (first + field(guess, here)) / 2
        x = there.alpha * (x / here.alpha + (there.rho - here.rho) * mean)
    return x


def evened(field, x, levels, setting):
    """Heun's method with the mean step in rho, whatever the grid."""
    h = (levels[-1].rho - levels[0].rho) / (len(levels) - 1)
    for here, there in pairwise(levels):
        first = field(x, here)
        guess = there.alpha * (x / here.alpha + h * first)
        x = there.alpha * (x / here.alpha + h * (first + field(guess, there)) / 2)
    return x


def biased(field, x, levels, setting):
    return heun(field, x, levels, setting) + 1e-3


def mixed(field, x, levels, setting):
    """Follows the first point's prediction with all points."""
    return euler(lambda y, level: np.repeat(field(y, level)[:1], len(y), axis=0), x, levels, setting)


def raising(field, x, levels, setting):
    if len(levels) > 60:
        raise IndexError("list index out of range")
    return euler(field, x, levels, setting)


def failing_above(limit):
    def run(field, x, levels, setting):
        found = euler(field, x, levels, setting)
        return found * np.nan if len(levels) - 1 > limit else found

    return run


def failing_below(limit):
    def run(field, x, levels, setting):
        found = heun(field, x, levels, setting)
        return found * np.nan if len(levels) - 1 < limit else found

    return run


def noisy(field, x, levels, setting):
    return euler(field, x, levels, setting) + 1e-3 * np.random.default_rng().standard_normal(x.shape)


def remembering():
    """A sampler whose first step uses what the last run left."""
    left = [0.0]

    def run(field, x, levels, setting):
        found = euler(field, x + 1e-6 * left[0], levels, setting)
        left[0] = float(np.sum(found))
        return found

    return run


def deaf(field, x, levels, setting):
    """Takes equal steps in log-SNR, whatever it is given."""
    first, last = (position("vp", level) for level in (levels[0], levels[-1]))
    own = [level_of("vp", lam) for lam in np.linspace(first, last, len(levels))]
    return euler(field, x, own, setting)


def stubborn(field, x, levels, setting):
    """Always makes the same ten steps."""
    first, last = (position("vp", level) for level in (levels[0], levels[-1]))
    return euler(field, x, [level_of("vp", lam) for lam in np.linspace(first, last, 11)], setting)


def subject(run, order=None, **options):
    return Subject(name=f"tests:{getattr(run, '__name__', 'sampler')}", run=run, order=order, **options)
