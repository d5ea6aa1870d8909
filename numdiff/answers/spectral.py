"""What a method makes of Gaussian data on a schedule: gains, W2, KL and moments, direction by direction."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from numdiff import grids, schedules
from numdiff.answers.answer import Answer, Line, Setting
from numdiff.properties.spectral import Errors, Response, errors, exact, response

SCALES = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Standard deviations shown; trained models see data of unit size, with directions far below it."""

SWEEP = np.logspace(-3, 3, 601)
"""Standard deviations among which the worst is looked for."""

NOISE = "The method adds noise: deviations, W2, KL and moments include it, and the gain is what is left of x_0."

FEW = 3
"""Evaluations up to which the gain is shown as a function of s."""


def spectral(method: Any, setting: Setting) -> Answer:
    """Return the spectral response of `method` on the setting's schedule (VP linear by default), grid and steps."""
    schedule = schedules.get(setting.schedule or "vp-linear")
    times = grids.named(setting.grid, schedule, setting.steps)
    scheme = method.discretize(schedule, times, start=setting.start, final=setting.final)
    found, distance = response(scheme, SCALES), errors(scheme, SCALES)
    lines = [line for i in range(len(SCALES)) for line in _lines(i, found, distance)]
    if scheme.nfe <= FEW:
        lines.insert(0, Line("gain as a function of s", sp.N(exact(scheme), 6), "coefficients rounded to six digits"))
    return Answer(
        f"{method}: Gaussian data on {schedule.name}, {scheme.steps} steps of grid {setting.grid}, {scheme.nfe} NFE",
        (*lines, *_worst(scheme)),
        (
            "Data N(0, s^2) makes the scheme a linear recursion; gain = dx_N/dx_0, and the exact flow's is "
            "sqrt(S_N/S_0) with S = alpha^2 s^2 + sigma^2.",
            "W2, KL (generated to true, in nats) and the errors of the moments compare x_N with the true law at the "
            f"last level (sigma = {found.levels[-1].sigma:.3g}), from an exact start.",
            *((NOISE,) if method.stochastic else ()),
        ),
    )


def _lines(i: int, found: Response, distance: Errors) -> tuple[Line, ...]:
    s = f"s = {SCALES[i]:g}"
    # relative to the true moments 1 and 3 of the normal law in units of its deviation
    size = found.scales[-1][i]
    second, fourth = distance.moments[0, i] / size**2, distance.moments[2, i] / (3 * size**4)
    noisy = found.noise_variance.any()
    first = Line(f"{s}: gain", _decimal(found.gain[i]), f"exact {found.exact[i]:.6g}")
    if noisy:
        first = Line(f"{s}: deviation", _decimal(_deviation(found)[i]), f"the gain is {found.gain[i]:.6g}")
    return (
        first,
        Line(f"{s}: W2", _decimal(distance.w2[i]), f"the true deviation is {size:.3g}"),
        Line(f"{s}: KL", _decimal(distance.kl[i])),
        Line(f"{s}: relative error of E x^2", _decimal(second), f"of E x^4: {fourth:.3g}"),
    )


def _worst(scheme: Any) -> tuple[Line, ...]:
    """Return the largest deviation of the normalised gain."""
    found = response(scheme, SWEEP)
    noisy = found.noise_variance.any()
    ratio, what = (_deviation(found) / found.scales[-1], "deviation") if noisy else (found.ratio, "gain")
    excess = np.nan_to_num(ratio - 1, nan=np.inf)
    i = int(np.argmax(np.abs(excess)))
    return (
        Line("worst s", _decimal(SWEEP[i]), f"where |{what}/exact - 1| is largest, 0.001 <= s <= 1000"),
        Line(f"{what}/exact - 1 there", _decimal(excess[i]), "below 0 variance is lost, above 0 too much is made"),
    )


def _deviation(found: Response) -> Any:
    """Return the standard deviation of x_N from an exact start, the scheme's own noise included."""
    return np.hypot(found.gain * found.scales[0], np.sqrt(found.noise_variance))


def _decimal(x: Any) -> sp.Float:
    return sp.Float(float(x), 10) if np.isfinite(x) else sp.oo
