r"""Time steps for another number of steps: half log-SNR piecewise linear against i/N.

A table lambda_0 < ... < lambda_N, lambda = log(alpha/sigma), is read as a function of u = i/N on [0, 1], linear between
its nodes, and taken at u = j/M. log(sigma/alpha) = -lambda, so this is linear interpolation of log sigma against i/N,
the rule published with AYS ("Align your steps", Sabour et al. 2024, arXiv:2404.14507). Linear pieces that rise give
nodes that rise, and a multiple of N keeps every node.

Infinite ends, where there is nothing linear to say in lambda:

- ``infinite="split"``: within the step to an infinite end, s = sigma/(alpha + sigma) = 1/(1 + e^lambda) is linear in u
  instead; it goes to 1 at alpha = 0 and to 0 at sigma = 0, and is the time of a flow model. For optimized steps, whose
  last finite node comes nearer to the end as N grows.
- ``infinite="keep"``: the step to an infinite end stays one step and the finite nodes are interpolated among
  themselves. For tables that end at a fixed level and then at 0: AYS, EDM.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from numdiff.methods.checks import choice
from numdiff.optimize.nodes import nodes
from numdiff.optimize.result import TimeSteps

Array = NDArray[np.float64]


@overload
def interpolate(log_snr: TimeSteps, steps: int, *, infinite: str = ...) -> TimeSteps: ...


@overload
def interpolate(log_snr: Any, steps: int, *, infinite: str = ...) -> Array: ...


def interpolate(log_snr: Any, steps: int, *, infinite: str = "split") -> Any:
    """Return the half log-SNRs of another number of steps.

    Parameters
    ----------
    log_snr
        N + 1 >= 3 half log-SNRs, rising strictly, infinite at the ends only; or a `TimeSteps`.
    steps
        The new number of steps M, at least 2.
    infinite
        What becomes of a step to an infinite end. "split": within it sigma/(alpha + sigma), the time of a flow model,
        is linear. "keep": it stays one step, and the finite nodes are interpolated among themselves, for tables that
        end at a fixed level and then at 0 (AYS, EDM).

    Returns
    -------
    ndarray or TimeSteps
        Shape (M + 1,), rising strictly, with the same ends. Of a `TimeSteps`, one with these nodes that is not
        certified and knows no objective; its orders, which belong to N, are the method's own again.

    Raises
    ------
    TypeError, ValueError
        For a table that does not rise, fewer than two steps, or too few to keep the infinite ends; of a `TimeSteps`
        also where its method cannot be laid out on so few.

    Examples
    --------
    >>> import numdiff as nd
    >>> nd.optimize.interpolate([-4.0, 0.0, 6.0], 4).tolist()
    [-4.0, -2.0, 0.0, 3.0, 6.0]
    >>> nd.optimize.interpolate([-4.0, 0.0, float("inf")], 4, infinite="keep").tolist()
    [-4.0, -2.666666666666667, -1.3333333333333335, 0.0, inf]
    >>> more = nd.optimize.interpolate(nd.optimize.preset("vp-linear", 20), 40)
    >>> more.steps, more.status
    (40, 'interpolated')
    """
    if isinstance(log_snr, TimeSteps):
        return _result(log_snr, interpolate(log_snr.log_snr, steps, infinite=infinite))
    table = nodes(log_snr)
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)):
        raise TypeError(f"steps must be a whole number, at least 2, got {steps!r}")
    if steps < 2:
        raise ValueError(f"steps must be at least 2, got {steps}: with one step there is nothing to place")
    if choice("infinite", infinite, ("split", "keep")) == "keep":
        return _kept(table, int(steps))
    return _split(table, int(steps))


def _result(result: TimeSteps, table: Array) -> TimeSteps:
    unknown = {"objective": math.nan, "initial_objective": math.nan, "optimality": math.nan, "certified": False}
    nothing = {"orders": None, "gap": None, "certificate": None, "errors": None, "evaluate": None, "trace": np.zeros(0)}
    message = f"interpolated from {result.steps} steps"
    found = replace(result, log_snr=table, status="interpolated", message=message, **unknown, **nothing)  # type: ignore[arg-type]  # by name
    try:
        found.scheme()
    except ValueError as error:
        raise ValueError(f"steps = {len(table) - 1} does not suit the method of the result: {error}") from error
    return found


def _kept(table: Array, steps: int) -> Array:
    finite = np.isfinite(table)
    apart = int(len(table) - finite.sum())
    if finite.sum() < 2 or steps <= apart:
        raise ValueError(
            f"infinite='keep' leaves {steps - apart} steps for the {int(finite.sum())} finite nodes, and at least one "
            "step between two nodes is needed; take more steps or infinite='split'"
        )
    inner = _linear(table[finite], steps - apart)
    return np.concatenate([table[:1][~finite[:1]], inner, table[-1:][~finite[-1:]]])


def _linear(table: Array, steps: int) -> Array:
    """Return a finite table at u = j/steps; a node of it wherever j/steps is one of its own."""
    place = np.arange(steps + 1) * (len(table) - 1)
    left, rest = np.minimum(place // steps, len(table) - 2), place % steps
    share = np.where(place == steps * (len(table) - 1), 1.0, rest / steps)
    return np.where(share == 1.0, table[left + 1], table[left] + share * (table[left + 1] - table[left]))


def _split(table: Array, steps: int) -> Array:
    """Return a table at u = j/steps, linear in s = 1/(1 + e^lambda) within the steps to infinite ends."""
    finite = np.where(np.isinf(table), 0.0, table)  # a stand-in: the pieces beside it are overwritten
    found = _linear(finite, steps)
    position = np.arange(steps + 1) * (len(table) - 1) / steps
    if table[0] == -math.inf:
        rest = position[position < 1]
        found[: len(rest)] = _towards_noise(float(table[1]), rest)
    if table[-1] == math.inf:  # the same with signal and noise exchanged
        rest = (len(table) - 1 - position)[position > len(table) - 2]
        found[steps + 1 - len(rest) :] = -_towards_noise(-float(table[-2]), rest)
    return found


def _towards_noise(near: float, rest: Array) -> Array:
    """Return lambda where s = 1 - rest (1 - s_near): at `near` for rest = 1, -inf for 0.

    lambda = log((1 - s)/s); neither 1 - s = rest (1 - s_near) nor s = (1 - rest) + rest s_near cancels.
    """
    with np.errstate(divide="ignore"):
        return np.log(rest / (1 + math.exp(-near))) - np.log((1 - rest) + rest / (1 + math.exp(near)))
