"""numdiff's own methods, and schemes however they came about, as subjects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import numdiff
from numdiff.certification.subject import SCALES, Array, Field, Setting, Subject
from numdiff.drivers import program
from numdiff.executor import Machine
from numdiff.executor_native import fitted
from numdiff.level import Level
from numdiff.methods.base import Method
from numdiff.methods.scheme import Scheme
from numdiff.parameterizations import get

Change = Callable[[Scheme], Scheme]

CONDITION = 0.4
"""The part of the noise that a splitting method is told by its second field; the first one has the rest."""


def of_method(
    method: Method | str, *, scale: str = "vp", start: str = "lower", change: Change | None = None, **options: Any
) -> Subject:
    """Return a registered method as a subject.

    Parameters
    ----------
    method
        A method, or the name of a registered one.
    scale
        "vp", "edm", "flow", or "time" for plain equations.
    start
        "lower" or "runge-kutta".
    change
        What to do to every scheme before it runs, for tests of the diagnosis.
    options
        Of the method, where a name is given.

    Returns
    -------
    Subject

    Raises
    ------
    ValueError, TypeError
        For unknown names and options.

    Examples
    --------
    >>> from numdiff.certification import of_method
    >>> subject = of_method("ghvb", order=3, beta=0.8)
    >>> subject.name, subject.order, subject.prediction
    ('numdiff:GHVB3(0.8)', 3, 'noise')
    """
    found = numdiff.method(method, **options) if isinstance(method, str) else method
    schedule = None if scale == "time" else SCALES[scale]

    def run(field: Field, x: Array, levels: Sequence[Level], setting: Setting) -> Array:
        grid = [level.time for level in levels] if schedule is None else list(levels)
        scheme = found.discretize(schedule, grid, start=start)
        return _run(scheme if change is None else change(scheme), field, x, setting)

    return Subject(
        name=f"numdiff:{found.name}",
        run=run,
        order=(found.weak_order or None) if found.stochastic else found.order,  # 0 claims no convergence
        prediction=found._formulation(schedule).prediction,
        scale=scale,
        stochastic=found.stochastic,
        version=f"numdiff {numdiff.__version__}",
    )


def _run(scheme: Scheme, field: Field, x: Array, setting: Setting) -> Array:
    """Run a scheme by the machine itself, whose questions carry their levels."""
    noise = setting.noise or np.random.default_rng(0).standard_normal
    entries = fitted(program(scheme, get(scheme.prediction)), x)
    machine = Machine(entries, x, noise=lambda index, column: noise(x.shape))
    whole = 1.0 if all(tag == "" for tableau in scheme for tag in tableau.tags) else 1 - CONDITION
    while (question := machine.ask()) is not None:
        share = CONDITION if question.tag else whole
        machine.tell(share * field(question.x, question.level))
    return np.asarray(machine.sample)
