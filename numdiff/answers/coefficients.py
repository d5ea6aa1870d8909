"""What the coefficients of a method are, where they come from, and what they tend to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sympy as sp

from numdiff.answers.answer import Answer, Line, Setting
from numdiff.answers.entries import array_answer, entries_answer
from numdiff.answers.noise import drift
from numdiff.methods import GHVB, FilteredAdams, PredictorCorrector, RungeKutta
from numdiff.methods.exponential_runge_kutta import ExponentialRungeKutta
from numdiff.methods.momentum import Momentum
from numdiff.methods.multistep import Multistep
from numdiff.methods.single_step import SingleStep
from numdiff.symbolic import closed_forms, derivations
from numdiff.symbolic import limits as of_methods

LONGEST = 5
"""Points up to which weights on any grid are shown; their length grows exponentially."""


def coefficients(method: Any, setting: Setting) -> Answer:
    """Return the weights on the grid of `setting` and on others, and the method with its velocity eliminated."""
    title = f"Coefficients of {method.name}"
    if isinstance(method, RungeKutta):
        return Answer(title, tuple(_array(method)), ("A one-step method: its array does not depend on step ratios.",))
    if isinstance(method, ExponentialRungeKutta | SingleStep):
        return array_answer(method, setting)
    if not isinstance(method, Multistep | PredictorCorrector):
        return entries_answer(method, setting)
    h, ratio = setting.h, setting.ratio
    asked = closed_forms.weights(method, h=h, ratios=(ratio,) * (method.points - 1))
    lines = [*_rows(asked, "equal steps" if ratio == 1 else f"steps of ratio {ratio}")]
    notes = []
    if method.points <= LONGEST:
        lines += _other_grids(method, h, ratio, asked)
    else:
        notes.append(f"Weights on any grid are shown up to {LONGEST} points; numdiff.symbolic.closed_forms has others.")
    if isinstance(method, GHVB | Momentum):
        lines += _recursion(method, h, ratio)
    symbols = sp.Tuple(*(line.value for line in lines)).free_symbols
    ratios = any(symbol.name.startswith("r_") for symbol in symbols)
    return Answer(title, tuple(lines), (*_conventions(method, ratios), *_settling(method), *notes, *drift(method)))


def _other_grids(method: Any, h: Any, ratio: Any, asked: Mapping[str, Sequence[Any]]) -> Iterator[Line]:
    geometric = closed_forms.remembers(method)
    if not geometric or ratio == 1:
        general = closed_forms.weights(method, h=h, ratios=closed_forms.free_ratios(method))
        yield from _rows(general, "steps of ratio r" if geometric else "any grid") if general != asked else ()
    if isinstance(method, GHVB) and method.weights == "variable" and method.order > 1:
        yield from _any_grid(closed_forms.general_weights(method, h=h))


def _array(method: RungeKutta) -> Iterator[Line]:
    array = method.coefficients()
    for i, row in enumerate(array.A):
        yield from (Line(f"a_{i}{j}", x) for j, x in enumerate(row[:i]))
    yield from (Line(f"b_{j}", x) for j, x in enumerate(array.b))
    yield from (Line(f"c_{i}", x) for i, x in enumerate(array.c))


def _rows(rows: Mapping[str, Sequence[Any]], grid: str) -> Iterator[Line]:
    for name, row in rows.items():
        yield from (Line(f"{name} {j}", x, grid) for j, x in enumerate(row))


def _any_grid(found: closed_forms.GeneralWeights) -> Iterator[Line]:
    yield Line("any grid: a", found.a, "on the oldest velocity; M^m are its moments about the oldest node")
    for name, row, note in (
        ("b", found.b, "on the newest evaluations, beside a"),
        ("w", found.on_velocities, "on the velocities"),
    ):
        yield from (Line(f"any grid: {name}_{j}", x, "" if j else note) for j, x in enumerate(row))
    for m, x in enumerate(found.update, 1):
        yield Line(f"any grid: next M^{m}", x, "" if m > 1 else "r_0 is the coming step over the present one")


def _recursion(method: Any, h: Any, ratio: Any) -> Iterator[Line]:
    try:
        form = closed_forms.two_step(method, h=h, ratios=(ratio,) * method.points)
    except ValueError:  # momentum on a base that has a velocity of its own
        return
    names = sp.symbols(f"f_n f_{{n-1:{len(form.weights)}}}") if len(form.weights) > 1 else (sp.Symbol("f_n"),)
    yield Line(
        "velocity eliminated: on D_{n-1}", form.gain, "`D_n = X_{n+1} - e^{c h_n} X_n` is this times D_{n-1}, and"
    )
    yield from (Line(f"velocity eliminated: on {f}", x) for f, x in zip(names, form.weights, strict=True))


def _conventions(method: Any, ratios: bool) -> Iterator[str]:
    yield "In `X = x/kappa`, `dX/ds = c X + f`." if not method.stochastic else "In `X = x/kappa`:"
    if ratios:
        yield "r_1 is this step over the last, r_2 the last over the one before, ..."
    if isinstance(method, GHVB):
        yield "`v_{n+1} = (1-beta) v_n + beta f_n` and `X_{n+1} = e^{ch} X_n + sum_i w_i v_{n+1-i}`; weight i is w_i."
    elif isinstance(method, FilteredAdams):
        yield (
            "`v_{n+1} = v_n + beta (f_n - v_n) + gamma (v_n - v_{n-1})`, gamma the momentum, and `X_{n+1} = e^{ch} X_n "
            "+ sum_i w_i v_{n+1-i}`; weight i is w_i."
        )
    elif isinstance(method, Momentum):
        bracket = "v_{n+1}" if method.short == "HB" else "((1-beta) v_{n+1} + beta p_n)"
        yield (
            "The weights are the base's, omega_j, with the sum W. `p_n = sum_j (omega_j/W) f_{n-j}`, "
            f"`v_{{n+1}} = (1-beta) v_n + beta p_n` and `X_{{n+1}} = e^{{ch}} X_n + W {bracket}`."
        )
    else:
        yield "`X_{n+1} = e^{ch} X_n + sum_j w_j f_{n-j}` with weight j as w_j."
    if method.kernel:
        yield "`phi_k(z) = int_0^1 e^{(1-t)z} t^{k-1}/(k-1)! dt`."
    else:
        yield "The step has length 1; on a step of length h the weights are h times these."


def _settling(method: Any) -> Iterator[str]:
    """Say on which geometric grids the weights of a velocity filter are tended to, and what happens on the others."""
    while isinstance(method, Momentum):
        method = method.base
    if not isinstance(method, GHVB | FilteredAdams) or method.weights != "variable" or method.points < 2:
        return
    last = method.points - 1
    power = "r" if last == 1 else f"r^{last}"
    if isinstance(method, GHVB):
        lower = "Euler" if last == 1 else f"Adams-Bashforth of order {last}"
        yield (
            f"The weights on steps of ratio r are those after many steps, where |1-beta| < {power}. Where |1-beta| >= "
            f"{power} the filter does not settle, and the method tends to {lower}, without damping."
        )
    else:
        yield (
            "The weights on steps of ratio r are those after many steps, where both zeros of `z^2 - (1-beta+gamma) z + "
            f"gamma` are smaller than {power}; elsewhere the filter does not settle."
        )


def derivation(method: Any, setting: Setting) -> Answer:
    """Return the derivation of the weights, step by step, with its checks."""
    if not isinstance(method, Multistep | PredictorCorrector | RungeKutta):
        raise ValueError(
            f"{method} has no derivation: those of multistep, predictor-corrector and Runge-Kutta methods can be "
            f"shown; see the topics coefficients{' and stiff-order' if method.kernel else ''}"
        )
    steps = derivations.derivation(method, h=setting.h, ratio=setting.ratio)
    lines = [line for n, step in enumerate(steps, 1) for line in _step(n, step)]
    checks = [step for step in steps if step.check]
    failed = [step.title.removeprefix("base: ").removeprefix("check: ") for step in checks if not step.holds]
    verdict = f"{len(checks) - len(failed)} of {len(checks)} checks leave 0."
    if failed:
        verdict += f" This published variant does not satisfy: {'; '.join(failed)}."
    return Answer(f"Derivation of {method.name}", tuple(lines), (verdict, *drift(method)))


def _step(n: int, step: derivations.Step) -> Iterable[Line]:
    first, *rest = step.equations
    return [Line(f"{n}. {step.title}", first, step.text), *(Line("", equation) for equation in rest)]


def limits(method: Any, setting: Setting) -> Answer:
    """Return the limits h -> 0, r -> 1, beta -> 1 and beta -> 0 of the weights, each compared with what it is."""
    if not isinstance(method, Multistep | PredictorCorrector | RungeKutta):
        raise ValueError(
            f"{method} has no limits: those of the weights of multistep and predictor-corrector methods are shown; see "
            "the topic coefficients"
        )
    if method.stochastic:
        raise ValueError(
            f"{method} adds noise: its weights tend to 1 + tau^2 times those without, and limits are compared with "
            "methods without; use the method without noise (tau = 0)"
        )
    lines = []
    for limit in of_methods.limits(method):
        note = f"{'equal to' if limit.verified else 'NOT equal to'} {limit.equals}"
        lines += [Line(f"{limit.name}: {limit.of}", limit.value[0], note), *(Line("", x) for x in limit.value[1:])]
    notes = ("Each limit is computed exactly and compared with weights that are derived on their own.",)
    return Answer(f"Limits of {method.name}", tuple(lines), notes)
