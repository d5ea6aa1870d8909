r"""The published bound on a run's accumulated denoiser errors, for any deterministic method.

Xue et al. (CVPR 2024) write a data-prediction multistep run as x_N/sigma_N = x_0/sigma_0 + sum_s sum_e J_se f_e,
assume that the denoiser's error at an evaluation is eps = sigma^p / alpha (on the variance-preserving schedule, so that
it is a function of the log-SNR alone; p = 2 in a latent and 1 in pixel space) and bound what the errors add up to,

    F = ||(eps J)_0||_2 + ||(eps J)_{S-1}||_2 + sum_{1 <= s < trunc} ||(eps J)_s||_2 + sum_e |c_e|,              (1)
    c_e = sum_{max(1, trunc) <= s <= S-2} eps_e J_se.

The first and the last step are charged by their own terms only; trunc is 3 for at most 7 evaluations, else 0.

**From tableaus.** Here J comes from the scheme's own coefficients. With a the scale of the prediction's formulation
(sigma for data, alpha for noise, 1 for others) and X = x/a, every register of a run is a number times the present
X_s plus a combination of the evaluations F_e. A step from level s to level s+1 ends at

    x_{s+1} = g X_s + sum_e w_e F_e,      J_se = w_e/a_{s+1},      g/a_{s+1} = 1,                                (2)

and then X_s = X_{s+1} - sum_e J_se F_e is put into the other registers. Where g differs (v-prediction),
(g/a_{s+1} - 1) X_s joins its J. For Adams methods in data/log-SNR, J is the integral int e^l ell_k(l) dl; for every
method the J_se of an evaluation add up to its weight in X_N. An error of the denoiser is one of F_e multiplied by
dF/dx_0 (1 for data, alpha/sigma for noise, ...), and a_N/sigma_N brings the end to the unit of x/sigma; `charges` has
both. As in the paper, it is the interpolated prediction whose error is taken to be independent of the sample, so that a
sampler written for data and for noise, such as DDIM, has two bounds.

**What a minimum is worth.** With positive weights, F is a quadrature of a function that does not depend on the grid: in
data/log-SNR it tends to int sigma^(p-1) dlambda, which is the least it can tend to whatever the signs. What an
optimizer lowers beyond that at a fixed number of steps is the quadrature error of a few long ones, and evaluations
whose weights from neighbouring steps cancel inside c_e. Steps of length zero make both best, and the sampler is the
worse for it; see `GAP`.

Reference: Xue et al., Accelerating Diffusion Sampling with Optimized Time Steps, arXiv:2402.17376.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from numdiff.elementary import Number, sqrt, vanishes
from numdiff.level import Level
from numdiff.methods.scheme import Scheme
from numdiff.optimize.compiled import Trace
from numdiff.optimize.problem import Array, Parts
from numdiff.parameterizations import coefficients
from numdiff.tableau import Tableau

GAP = 0.7
"""Default minimum gap, as a part of the mean step L/N.

The smaller the gap, the lower F and the worse the samples. Orders 1, 2, 3, ..., 3, 2, 1 in data/log-SNR, N = 10, three
Gaussian mixtures in 2, 8 and 16 dimensions, 512 noises each, error to the exact flow, geometric means over mixtures:

    gap / (L/N)    0.1      0.3      0.5      0.6      0.7      0.8      0.9      1 (uniform log-SNR)
    F              0.35     0.94     2.40     3.79     5.32     7.21     10.9     15.9
    RMSE           0.233    0.130    0.092    0.074    0.056    0.042    0.035    0.054
    median         0.075    0.030    0.025    0.029    0.024    0.022    0.027    0.043

For N = 8, 15, 20 and for UniPC-3 the median is best at 0.6 to 0.8 and the RMSE at 0.7 to 0.9. Methods in noise/ratio
(AB3 and GHVB-3, N = 8 and 10) have their best median at 0.7 among 0.4, 0.7 and 0.9; for GHVB-3 that is better than
uniform log-SNR and not quite as good as the quadratic grid.
"""

Combination = dict[int, Any]
"""Coefficients of the evaluations F_e by e, and of the present X_s by -1."""


@dataclass(frozen=True)
class Paper:
    """The objective (1).

    Parameters
    ----------
    p
        Power of sigma in the assumed denoiser error sigma^p / alpha: 2 for latents, 1 for pixels, as published.
    trunc
        Steps before this one are charged by their own 2-norm and share nothing with others. None: 3 for at most 7
        evaluations, else 0, as published.

    Raises
    ------
    ValueError
        If p is not a positive integer or trunc a negative one.

    Examples
    --------
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> found = nd.optimize.timesteps(nd.DPMSolverPP(3), schedule, steps=5, objective=nd.optimize.Paper(p=1))
    >>> found.certified
    True
    >>> scheme = nd.DPMSolverPP(3).discretize(schedule, nd.grids.uniform_log_snr(schedule, 5))
    >>> nd.optimize.Paper(p=1).value(scheme) > found.objective
    True
    """

    p: int = 2
    trunc: int | None = None

    name = "paper"
    starts = ("log-snr", "quadratic")  # mostly with one end; where there are two, either may be the lower

    def __post_init__(self) -> None:
        """Check the parameters."""
        for name, value, least in (("p", self.p, 1), ("trunc", self.trunc, 0)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")

    def gap(self, length: float, steps: int) -> float:
        """Return the default minimum gap between log-SNRs that are `length` apart in all; see `GAP`."""
        return GAP * length / steps

    def problem(self, trace: Trace) -> PaperProblem:
        """Return F over the trace's window, with exact derivatives.

        Raises
        ------
        ValueError
            For a method that adds noise or evaluates other fields than the model, and for ends at alpha = 0 or
            sigma = 0; see `charges`.
        """
        return PaperProblem(trace, *self.terms(trace.scheme))

    def value(self, scheme: Scheme) -> float:
        """Return F of a plain scheme."""
        norms, shared = self.terms(scheme)
        return float(sum(np.linalg.norm(np.array(group, dtype=float)) for group in norms) + sum(map(abs, shared)))

    def terms(self, scheme: Scheme) -> tuple[list[list[Any]], list[Any]]:
        """Return the charges whose 2-norms count, step by step, and the c_e whose absolute values do."""
        steps = charges(scheme, self.p)
        trunc = self.trunc if self.trunc is not None else 3 if scheme.nfe <= 7 else 0
        last = len(steps) - 1
        own = sorted({0, last, *range(1, min(trunc, last))})
        shared: Combination = {}
        for step in range(max(1, trunc), last):
            _add(shared, 1, steps[step])
        return [list(steps[step].values()) for step in own], list(shared.values())


class PaperProblem:
    """The objective (1) over a window; see `numdiff.optimize.problem.Problem`.

    Parameters
    ----------
    trace
        The run in traced numbers.
    norms, shared
        What `Paper.terms` returns.
    """

    def __init__(self, trace: Trace, norms: Sequence[Sequence[Any]], shared: Sequence[Any]) -> None:
        self.window, self.trace = trace.window, trace
        self._compiled = trace.compile([*(x for group in norms for x in group), *shared])
        self._groups = np.repeat(np.eye(len(norms)), [len(group) for group in norms], axis=1)
        self._count = sum(map(len, norms))

    def evaluate(self, z: Array) -> Parts:
        """Return F at `z`: the norms as its smooth value, the c_e as its absolute terms."""
        return self._parts(*self._compiled(z))

    def evaluate_many(self, points: Array) -> list[Parts]:
        """Return the parts at several points, shape (k, n), at once."""
        return [self._parts(*found) for found in zip(*self._compiled.many(points), strict=True)]

    def _parts(self, values: Array, jacobian: Array) -> Parts:
        value, gradient = _norms(values[: self._count], jacobian[: self._count], self._groups)
        return Parts(
            gradient=gradient,
            value=value,
            absolute=values[self._count :],
            absolute_jacobian=jacobian[self._count :],
        )


def _norms(values: Array, jacobian: Array, groups: Array) -> tuple[float, Array]:
    """Return the sum of the 2-norms of groups, rows of 0 and 1, and its gradient, 0 for a group that is 0."""
    lengths = np.sqrt(groups @ (values * values))
    directions = values / (np.maximum(lengths, 1e-300) @ groups)
    return float(lengths.sum()), directions @ jacobian


def charges(scheme: Scheme, p: int) -> list[Combination]:
    """Return eps_e J_se for every step s in the unit of x_N/sigma_N, by evaluation e.

    Parameters
    ----------
    scheme
        A deterministic run; its coefficients may be traced. A tableau that reaches a level of the grid is a step.
    p
        Power of sigma in the assumed error.

    Raises
    ------
    ValueError
        For a scheme with noise or with fields beside the model, whose errors the bound does not know; for a first level
        with alpha = 0, where the assumed error sigma^p/alpha is infinite, and a last one with sigma = 0, where x/sigma
        is.
    """
    _check(scheme)
    errors = [_error(cast(Level, level), p, scheme.prediction) for tableau in scheme for level in tableau.levels]
    unit = _scale(scheme.levels[-1], scheme.prediction) / scheme.levels[-1].sigma
    return [{e: errors[e] * value * unit for e, value in step.items()} for step in increments(scheme)]


def _check(scheme: Scheme) -> None:
    first, last = scheme.levels[0], scheme.levels[-1]
    if any(tableau.noises for tableau in scheme):
        raise ValueError(f"objective 'paper' bounds runs without noise, and {scheme.method} adds some; use its flow")
    if any(tag for tableau in scheme for tag in tableau.tags):
        raise ValueError(
            f"objective 'paper' knows the model's error only, and {scheme.method} evaluates other fields too; optimize "
            "for the method that it splits"
        )
    if scheme.schedule is None:
        raise ValueError("objective 'paper' needs a noise schedule: a plain ODE has no denoiser")
    if vanishes(first.alpha):
        raise ValueError(
            "objective 'paper' assumes the error sigma^p/alpha, which is infinite at the first level, where alpha = 0; "
            "start at a smaller t_start, or use another objective"
        )
    if vanishes(last.sigma):
        raise ValueError(
            "objective 'paper' measures x/sigma, which is infinite at the last level, where sigma = 0; optimize up to "
            "a positive t_end and append the clean end to the result, or use another objective"
        )


def _error(level: Level, p: int, prediction: str) -> Number:
    """Return sigma^p/alpha at the same log-SNR and alpha^2 + sigma^2 = 1, times |dF/dx_0|."""
    rho = level.rho
    denoiser = rho**p / sqrt(1.0 + rho * rho) ** (p - 1)
    return denoiser * abs(coefficients(level, "data", prediction)[1])


def _scale(level: Level, prediction: str) -> Number:
    """Return a; X = x/a stays where a prediction of noise, data or velocity is 0."""
    return {"data": level.sigma, "noise": level.alpha}.get(prediction, 1.0)


def increments(scheme: Scheme) -> list[Combination]:
    """Return J of formula (2), one dictionary by evaluation for every step."""
    first = _scale(scheme.levels[0], scheme.prediction)
    registers: list[Combination] = [{-1: first}, *({} for _ in range(scheme.registers - 1))]
    steps: list[Combination] = []
    evaluations = 0
    for tableau in scheme:
        registers = _outputs(tableau, registers, evaluations)
        evaluations += tableau.stages
        if tableau.target is not None:
            scale = _scale(tableau.target, scheme.prediction)
            steps.append(_increment(registers[0], scale, steps))
            registers = [{-1: scale}, *(_rebased(register, steps[-1]) for register in registers[1:])]
    return steps


def _outputs(tableau: Tableau, registers: Sequence[Combination], first: int) -> list[Combination]:
    """Return the registers after a tableau whose evaluations are numbered from `first`."""
    values = [*registers, *({first + i: 1} for i in range(tableau.stages))]
    outputs: list[Combination] = [{} for _ in tableau.plan.outputs]
    for total, row in zip(outputs, tableau.plan.outputs, strict=True):
        for index, factor in row:
            _add(total, factor, values[index])
    return outputs


def _add(total: Combination, factor: Any, terms: Mapping[int, Any]) -> None:
    """Add factor times a combination to another."""
    for key, value in terms.items():
        total[key] = total[key] + factor * value if key in total else factor * value


def _increment(sample: Combination, scale: Any, done: Sequence[Combination]) -> Combination:
    """Return formula (2) for the newest step, `done` being the steps before it."""
    step = {e: weight / scale for e, weight in sample.items() if e >= 0}
    excess = sample[-1] / scale - 1
    if abs(float(excess)) > 1e-12:  # else rounding, which would tie every step to all before it
        for before in done:
            _add(step, excess, before)
    return step


def _rebased(register: Combination, step: Combination) -> Combination:
    """Return a register in terms of the new X instead of the one before the step."""
    if -1 in register:
        _add(register, -register[-1], step)
    return register
