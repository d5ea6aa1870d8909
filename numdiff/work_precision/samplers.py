"""Samplers of a diagram: numdiff's methods and anyone's subjects, with their tags, behind one call.

A sampler is laid out on levels once (`Sampler.prepared`) and then run as often as is wanted. A numdiff method shows the
samples at all the nodes it completes; of any other sampler only the inputs of its model questions can be seen, and
where it asks at a node several times the last one counts. A corrector that changes a sample without evaluating there
again stays unseen in those.

Tags say how a sampler works, read off its structure and never off its name:

    numdiff, or third-party and the package      where it comes from
    one-step, multistep                          whether it combines past evaluations
    one-stage, two-stage, ...                    model evaluations of a step
    adams, momentum, runge-kutta, ...            the family's module in `numdiff.methods`
    noise, data, velocity; log-snr, rho, ...     what is integrated, in which variable
    order 3, stochastic
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import numdiff
from numdiff.certification.own import of_method
from numdiff.certification.subject import SCALES, Array, Field, Setting, Subject
from numdiff.drivers import program
from numdiff.executor import Machine
from numdiff.executor_native import fitted
from numdiff.level import Level
from numdiff.methods.base import STARTS, Method
from numdiff.methods.checks import choice
from numdiff.methods.scheme import Scheme
from numdiff.parameterizations import get
from numdiff.work_precision import doors

Nodes = list[tuple[Level, Array]]
Runner = Callable[[Field, Array, Setting], tuple[Array, Nodes]]

RAISED = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What a sampler may raise without ending the diagram; it is reported there."""

WORDS = {1: "one", 2: "two", 3: "three", 4: "four"}


class Watched:
    """A field that counts its calls, adds up their time and remembers the questions."""

    def __init__(self, inner: Field) -> None:
        self.inner, self.calls, self.seconds = inner, 0, 0.0
        self.asked: Nodes = []

    def __call__(self, x: Array, level: Level) -> Array:
        """Return the inner field's answer."""
        self.calls += 1
        self.asked.append((level, x))
        begin = time.perf_counter()
        answer = self.inner(x, level)
        self.seconds += time.perf_counter() - begin
        return answer


@dataclass(frozen=True, eq=False)
class Sampler:
    """A labelled sampler of a diagram.

    Parameters
    ----------
    label
        What legends and tables call it.
    subject
        How it is run.
    tags
        How it works, sorted, without repetition.
    method, start
        The numdiff method behind it, if there is one, and how it starts; see `Method.discretize`.
    """

    label: str
    subject: Subject
    tags: tuple[str, ...] = ()
    method: Method | None = field(default=None, repr=False)
    start: str = "lower"

    def prepared(self, levels: Sequence[Level]) -> Runner:
        """Return ``run(field, x, setting) -> (x at the last level, samples at nodes)`` for runs over `levels`.

        Raises
        ------
        ValueError
            If a numdiff method cannot be laid out there, or evaluates other fields beside the model.
        """
        if self.method is None:
            return lambda field, x, setting: (np.asarray(self.subject.run(field, x, levels, setting), float), [])
        scheme = self._laid_out(levels)
        if split := sorted({tag for tableau in scheme for tag in tableau.tags if tag}):
            raise ValueError(f"{self.method} evaluates the fields {split} apart from the model, and paths have one")
        return lambda field, x, setting: _run(scheme, field, x, setting)

    def steps_within(self, nfe: int, levels: Callable[[int], Sequence[Level]]) -> int:
        """Return the most steps whose run takes at most `nfe` evaluations, 0 if there are none.

        A numdiff method makes at least as many steps as it combines evaluations, so that it is not another method.
        """
        fewest = 1 if self.method is None else max(self.method.points, 1)
        return next((n for n in range(nfe, fewest - 1, -1) if self._count(n, levels) <= nfe), 0)

    def _count(self, steps: int, levels: Callable[[int], Sequence[Level]]) -> float:
        """Return the evaluations of a run, infinite where there can be none."""
        if self.method is not None and self.start == "lower":
            return self.method.nfe(steps)
        try:
            if self.method is not None:
                return self._laid_out(levels(steps)).nfe
            field = Watched(lambda x, level: np.zeros_like(x))
            with np.errstate(all="ignore"):
                self.subject.run(field, np.zeros((1, 1)), levels(steps), Setting(noise=np.zeros))
        except RAISED:  # what fits no number of steps is reported by the caller
            return float("inf")
        return field.calls

    def _laid_out(self, levels: Sequence[Level]) -> Scheme:
        assert self.method is not None
        if self.subject.scale == "time":
            return self.method.discretize(None, [level.time for level in levels], start=self.start)
        return self.method.discretize(SCALES[self.subject.scale], list(levels), start=self.start)


def _run(scheme: Scheme, field: Field, x: Array, setting: Setting) -> tuple[Array, Nodes]:
    """Run a scheme, and collect the samples where a tableau completes a grid step."""
    noise = setting.noise or np.random.default_rng(0).standard_normal
    entries = fitted(program(scheme, get(scheme.prediction)), x)
    machine, nodes = Machine(entries, x, noise=lambda index, column: noise(x.shape)), []  # type: Machine, Nodes
    while True:
        reached = ((scheme.tableaus[index].target, sample) for index, sample in machine.passed)
        nodes += [(level, sample) for level, sample in reached if level is not None]
        if (question := machine.ask()) is None:
            return np.asarray(machine.sample), nodes
        machine.tell(field(question.x, question.level))


def made(label: str, value: Any, tags: Iterable[str] = ()) -> Sampler:
    """Return what the caller gave under a label as a sampler.

    Parameters
    ----------
    label
        Its label.
    value
        A numdiff method; its name; the name of a third party's sampler, "package:Name"; a `Subject`; or a pair of one
        of these and a mapping of options: ``scale`` and ``start`` of a method, and what its name takes.
    tags
        The caller's own, beside those that are read off the sampler.

    Raises
    ------
    TypeError
        For anything else, with the label.
    ValueError
        For unknown names and options.
    """
    if isinstance(tags, str):
        raise TypeError(f"tags of {label!r} must be a sequence of words, got {tags!r}; write ({tags!r},)")
    tags = doors.words(f"tags of {label!r}", tags, '("ours", "cheap")')
    value, options = value if isinstance(value, tuple) and len(value) == 2 else (value, {})
    if not isinstance(options, Mapping):
        raise TypeError(f"the options of {label!r} must be a mapping such as {{'start': 'runge-kutta'}}: {options!r}")
    if isinstance(value, str) and ":" in value and not value.startswith("numdiff:"):
        value, options = _resolved(value, options), {}
    if isinstance(value, Subject):
        if options:
            raise ValueError(f"{label!r} is a subject, which takes no options; got {sorted(options)}")
        return Sampler(label, value, _sorted([*_of_subject(value), *tags]))
    return _own(label, value, dict(options), tags)


def _own(label: str, value: Any, options: dict[str, Any], tags: Iterable[str]) -> Sampler:
    scale, start = doors.scale(options.pop("scale", "vp")), options.pop("start", "lower")
    choice("start", start, STARTS)
    if isinstance(value, str):
        value = numdiff.method(value.removeprefix("numdiff:"), **options)
    elif not isinstance(value, Method):
        raise TypeError(
            f"{label!r} must be a method such as nd.DDIM(), a name such as 'ghvb3' or 'diffusers:DDIMScheduler', a "
            f"Subject, or a pair of one of these and options; got {value!r}"
        )
    elif options:
        raise ValueError(f"{label!r} is a method already; it takes the options scale and start, not {sorted(options)}")
    subject = of_method(value, scale=scale, start=start)
    return Sampler(label, subject, _sorted([*_of_method(value, scale), *tags]), value, start)


def _resolved(spec: str, options: Mapping[str, Any]) -> Subject:
    from numdiff.adapters.subjects import resolve

    return resolve(spec, **options)


def _of_method(method: Method, scale: str) -> list[str]:
    """Return the tags of a numdiff method; see the module's text."""
    formulation = method._formulation(None if scale == "time" else SCALES[scale])
    stages = method.stages
    return [
        "numdiff",
        "multistep" if method.points > 1 else "one-step",
        f"{WORDS.get(stages, stages)}-stage",
        type(method).__module__.rpartition(".")[2].replace("_", "-"),
        formulation.prediction,
        formulation.variable,
        f"order {method.order}",
        *(["stochastic"] if method.stochastic else []),
    ]


def _of_subject(subject: Subject) -> list[str]:
    package = subject.name.partition(":")[0]
    own = [package] if package == "numdiff" else ["third-party", *([package] if ":" in subject.name else [])]
    claim = [] if subject.order is None else [f"order {subject.order}"]
    return [*own, *claim, subject.prediction, *(["stochastic"] if subject.stochastic else [])]


def _sorted(tags: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(tags)))
