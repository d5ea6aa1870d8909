"""What the assertions take for a sampler, brought to one form: a `Subject`."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from numbers import Integral
from typing import Any

from numdiff._names import suggest
from numdiff.certification.measure import VARIABLES, Layout
from numdiff.certification.own import of_method
from numdiff.certification.subject import Subject
from numdiff.formulations import VELOCITY_TIME
from numdiff.grids.patterns import PATTERNS
from numdiff.methods.base import Method

OF_METHODS = ("change", "scale", "start")
"""Options of the subject that a method becomes."""


def subject_of(sampler: Any, **options: Any) -> Subject:
    """Return a sampler as a subject of certification.

    Parameters
    ----------
    sampler
        A `Subject`; a method of numdiff; a name, "diffusers:UniPCMultistepScheduler" say, and "numdiff:ab2" for a
        registered method; a function ``sample(model, x, sigmas)``, ``sample(model, x, ts)`` or ``step(model, x, t,
        t_next)``, see `numdiff.adapters.subjects.callables`.
    options
        Of what is made of it: ``start="runge-kutta"`` or ``scale="edm"`` of a method; the sampler's own, where a name
        is given; ``prediction=``, ``scale=``, ``time=`` and the like of a function.

    Returns
    -------
    Subject

    Raises
    ------
    TypeError
        For what is no sampler, and for options of a ready subject.
    ValueError
        For unknown names and options.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.testing import subject_of
    >>> subject = subject_of(nd.DPMSolverPP(2))
    >>> subject.order, subject.prediction, subject.scale
    (2, 'data', 'vp')
    >>> def euler(model, x, ts):
    ...     for s, t in zip(ts[:-1], ts[1:]):
    ...         x = x + (t - s) * model(x, s)
    ...     return x
    >>> subject_of(euler, prediction="noise", scale="edm", time="sigma").scale
    'edm'
    """
    if isinstance(sampler, Subject):
        if options:
            raise TypeError(f"{sampler.name} is a subject already and takes no options, got {', '.join(options)}")
        return sampler
    if isinstance(sampler, Method):
        for name in options:
            if name not in OF_METHODS:
                suggest(name, OF_METHODS, f"option of {sampler.name}")
        scale = "flow" if sampler.formulation == VELOCITY_TIME else "vp"
        return of_method(sampler, **{"scale": scale, **options})
    if not (isinstance(sampler, str) or callable(sampler)):
        raise TypeError(f"a sampler is a Subject, a method, a name or a function, not {sampler!r:.80}")
    from numdiff.adapters.subjects import callables, resolve

    if isinstance(sampler, str):
        return resolve(sampler, **options)
    return callables.of_object(sampler, getattr(sampler, "__name__", type(sampler).__name__), **options)


def takes_only_steps(sampler: Any) -> bool:
    """Tell whether this is a function ``run(n)`` and not one that samples: one argument is all it needs.

    What makes a step of a model, ``make_step(model)``, has one argument too: `of_step` makes a subject of it.
    """
    if isinstance(sampler, (Subject, Method, str, type)) or not callable(sampler):
        return False
    parameters = inspect.signature(sampler).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in positional and p.default is p.empty for p in parameters) <= 1


def laid_out(layout: Layout | str, seed: int) -> Layout:
    """Return the layout of that name, or one as it is.

    Raises
    ------
    ValueError, TypeError
        For an unknown name, with the nearest known one, and for what is no layout.
    """
    if not isinstance(layout, (Layout, str)):
        raise TypeError(f'layout must be the name of a pattern, "alternating" say, or a Layout, got {layout!r:.80}')
    found = layout if isinstance(layout, Layout) else Layout(layout, seed=seed)
    if found.pattern not in PATTERNS:
        suggest(found.pattern, PATTERNS, "layout" if isinstance(layout, str) else "pattern of the layout")
    if found.variable not in (*VARIABLES, "time"):
        suggest(found.variable, (*VARIABLES, "time"), "variable of the layout")
    if isinstance(found.seed, bool) or not isinstance(found.seed, int) or found.seed < 0:
        raise ValueError(f"seed must be a whole number of at least 0, got {found.seed!r}")
    return found


def in_words(layout: Layout) -> str:
    """Return a layout as messages call it, its seed once."""
    variable = "" if layout.variable == "log-snr" else f" in {layout.variable}"
    return f"layout {layout.pattern!r}{variable}, seed {layout.seed}"


def numbers_of_steps(steps: Iterable[int]) -> tuple[int, ...]:
    """Return numbers of steps, at least one.

    Raises
    ------
    ValueError, TypeError
        If there is none, or one is no whole number of at least 1.
    """
    found = tuple(steps)
    for n in found:
        if isinstance(n, bool) or not isinstance(n, Integral):
            raise TypeError(f"steps must be whole numbers, got {n!r}")
    if not found or min(found) < 1:
        raise ValueError(f"steps must hold numbers of steps, at least 1 each, got {found}; (8, 17), say")
    return tuple(map(int, found))
