"""What the assertions take for a sampler, brought to one form: a `Subject`."""

from __future__ import annotations

import inspect
from typing import Any

from numdiff.certification.own import of_method
from numdiff.certification.subject import Subject
from numdiff.formulations import VELOCITY_TIME
from numdiff.methods.base import Method


def subject_of(sampler: Any, **options: Any) -> Subject:
    """Return a sampler as a subject of certification.

    Parameters
    ----------
    sampler
        A `Subject`; a method of numdiff; a name, "diffusers:UniPCMultistepScheduler" say, and "numdiff:ghvb3" for a
        registered method; a function ``sample(model, x, sigmas)``, ``sample(model, x, ts)`` or ``step(model, x, t,
        t_next)``, see `numdiff.adapters.subjects.callables`.
    options
        Of what is made of it: ``start="runge-kutta"`` or ``scale="edm"`` of a method; the sampler's own, where a name
        is given; ``prediction=``, ``scale=``, ``time=`` and the like of a function.

    Raises
    ------
    TypeError
        For what is no sampler, and for options of a ready subject.
    ValueError
        For unknown names and options.
    """
    if isinstance(sampler, Subject):
        if options:
            raise TypeError(f"{sampler.name} is a subject already and takes no options, got {', '.join(options)}")
        return sampler
    if isinstance(sampler, Method):
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
