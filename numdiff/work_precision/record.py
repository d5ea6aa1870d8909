"""What a work-precision diagram holds, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import exp, inf, isfinite, isnan, log, nan, sqrt
from typing import Any

from numdiff._names import suggest
from numdiff.work_precision import doors
from numdiff.work_precision.errors import Value

ERRORS = {
    "rms": "root mean square error at the end",
    "median": "median error at the end",
    "max": "largest error at the end",
    "trajectory": "root mean square error over the nodes",
    "W2": "Wasserstein-2 distance",
    "KL": "KL(generated | true), nats",
    "energy": "energy distance",
}
"""Errors by name, and what axes call them."""

COSTS = {
    "nfe": "model evaluations",
    "steps": "steps",
    "seconds": "seconds of a run",
    "overhead": "seconds of a run, without the model's",
}
"""Costs by name, and what axes call them."""


@dataclass(frozen=True)
class Record:
    """One run of one sampler.

    Parameters
    ----------
    label, tags
        The sampler's.
    grid
        Label of the grid.
    steps, nfe
        Grid steps, and model evaluations as counted.
    seconds, overhead, spread
        Median time of a run over the repetitions, with the model's time and without it, and the range of the former;
        None where they were not taken. Laying a numdiff method out is not in them; what others lay out in a run is.
    errors
        Value and standard error by the name of the error; None where no standard error can be given.

    Examples
    --------
    >>> import numdiff as nd
    >>> found = nd.work_precision.diagram({"DDIM": nd.DDIM()}, nd.problems.paths.toys(), nfe=(10,), repeats=0)
    >>> record = found.records[0]
    >>> record.label, record.grid, record.steps, record.nfe
    ('DDIM', 'log-snr', 10, 10)
    >>> record.error("rms") == record.errors["rms"][0], record.seconds
    (True, None)
    """

    label: str
    tags: tuple[str, ...]
    grid: str
    steps: int
    nfe: int
    seconds: float | None
    overhead: float | None
    spread: float | None
    errors: dict[str, Value] = field(default_factory=dict)

    def error(self, name: str) -> float:
        """Return the value of an error, nan where this sampler has none of that name."""
        return self.errors[name][0] if name in self.errors else nan

    def cost(self, name: str) -> float:
        """Return one of `COSTS`, nan where it was not taken."""
        value = getattr(self, name)
        return nan if value is None else float(value)


@dataclass(frozen=True)
class LeftOut:
    """Something that could not be measured, and why: a run of so many steps (or evaluations), 0 for all of them.

    Parameters
    ----------
    label, grid
        Sampler and grid.
    number
        Of steps or evaluations, as they were asked for; 0 for all.
    reason
        Why.

    Examples
    --------
    >>> import numdiff as nd
    >>> found = nd.work_precision.diagram({"Heun": nd.Heun()}, nd.problems.paths.toys(), nfe=(1, 10), repeats=0)
    >>> found.left_out[0].number, found.left_out[0].reason
    (1, 'no number of steps takes at most 1 evaluations')
    """

    label: str
    grid: str
    number: int
    reason: str


@dataclass(frozen=True)
class Series:
    """A curve of a diagram: records of one sampler in the order of their cost, and its name for the legend.

    Parameters
    ----------
    name
        For the legend.
    records
        In the order of their cost.

    Examples
    --------
    >>> import numdiff as nd
    >>> samplers = {"DDIM": nd.DDIM(), "Heun": nd.Heun()}
    >>> found = nd.work_precision.diagram(samplers, nd.problems.paths.toys(), nfe=(10, 20), repeats=0)
    >>> [(series.name, [record.steps for record in series.records]) for series in found.series()]
    [('DDIM', [10, 20]), ('Heun', [5, 10])]
    """

    name: str
    records: tuple[Record, ...]


@dataclass(frozen=True)
class Diagram:
    """Errors of samplers against what they cost.

    Parameters
    ----------
    problem
        What was followed.
    errors
        Names of the errors, the main one first; see `ERRORS`.
    by, numbers
        "nfe" or "steps", and which of them were asked for.
    against
        The cost that plots show unless told otherwise; see `COSTS`.
    records
        The runs.
    floors
        Of errors between samples: what two independent exact samples have, with its standard error.
    left_out
        What could not be measured.
    settings
        Points, sets, seed, span, versions: all that a reader needs to repeat it.

    Examples
    --------
    >>> import numdiff as nd
    >>> samplers = {"DDIM": nd.DDIM(), "AB2": nd.AdamsBashforth(2)}
    >>> found = nd.work_precision.diagram(samplers, nd.problems.paths.toys(), nfe=(10, 40), repeats=0)
    >>> found.labels, found.grids, found.numbers
    (('DDIM', 'AB2'), ('log-snr',), (10, 40))
    >>> [record.label for record in found.best(40)]
    ['AB2', 'DDIM']
    >>> found.filter(labels=["AB2"]).table().count("AB2")
    1
    """

    problem: str
    errors: tuple[str, ...]
    by: str
    numbers: tuple[int, ...]
    against: str
    records: tuple[Record, ...]
    floors: dict[str, Value] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the samplers, in their order."""
        return tuple(dict.fromkeys(record.label for record in self.records))

    @property
    def tags(self) -> tuple[str, ...]:
        """All tags, sorted."""
        return tuple(sorted({tag for record in self.records for tag in record.tags}))

    @property
    def grids(self) -> tuple[str, ...]:
        """Labels of the grids, in their order."""
        return tuple(dict.fromkeys(record.grid for record in self.records))

    @property
    def heading(self) -> str:
        """The problem, and that errors are those of the best of several grids where they are."""
        several = len(self.grids)
        return f"{self.problem}, best of {several} grids" if several > 1 else self.problem

    def filter(
        self, *, tags: Iterable[str] = (), without: Iterable[str] = (), labels: Iterable[str] | None = None
    ) -> Diagram:
        """Return the diagram of the samplers that have all of `tags`, none of `without`, and one of `labels`.

        Raises
        ------
        ValueError
            For a tag or a label that no sampler has, with the nearest.
        """
        wanted, unwanted = _words("tags", tags, self.tags), _words("without", without, self.tags)
        chosen = set(self.labels) if labels is None else _words("labels", labels, self.labels)
        kept = tuple(
            r for r in self.records if wanted <= set(r.tags) and not unwanted & set(r.tags) and r.label in chosen
        )
        left = {r.label for r in kept}
        return replace(self, records=kept, left_out=tuple(one for one in self.left_out if one.label in left))

    def best(self, nfe: int, error: str | None = None) -> tuple[Record, ...]:
        """Return the samplers ranked at a budget: each with the most evaluations that fit, on its best grid.

        Raises
        ------
        ValueError
            For an error that was not measured.
        """
        name, nfe = self.checked(error), doors.whole("nfe", nfe, 1)
        found = (_smallest(self._fitting(label, nfe), name) for label in self.labels)
        return tuple(sorted((r for r in found if r), key=lambda r: r.error(name)))

    def series(
        self, error: str | None = None, against: str | None = None, *, grids: str = "best"
    ) -> tuple[Series, ...]:
        """Return the curves of a plot, whose points have a positive finite error.

        Parameters
        ----------
        error, against
            Names of `ERRORS` and `COSTS`; the diagram's own by default.
        grids
            "best": one curve a sampler, each point on the grid that is best there; "each": one for every grid.

        Raises
        ------
        ValueError
            For unknown names.
        """
        name, cost = self.checked(error), checked_cost(against or self.against)
        if grids not in ("best", "each"):
            suggest(grids, ("best", "each"), "grids")
        several = grids == "each" and len({r.grid for r in self.records}) > 1
        groups: dict[str, dict[Any, list[Record]]] = {}
        for r in self.records:
            if 0 < r.error(name) < inf and r.cost(cost) > 0:
                key = f"{r.label}, {r.grid}" if several else r.label
                groups.setdefault(key, {}).setdefault(r.steps, []).append(r)
        return tuple(
            Series(key, tuple(sorted((_least(rs, name) for rs in by.values()), key=lambda r: r.cost(cost))))
            for key, by in groups.items()
        )

    def table(self, error: str | None = None) -> str:
        """Return a Markdown table: a row a sampler on its best grid, a column for each number asked for."""
        name = self.checked(error)
        lines = [["sampler", *map(str, self.numbers)], ["---"] * (1 + len(self.numbers))]
        for label in self.labels:
            cells = (_smallest(self._at(label, number), name) for number in self.numbers)
            lines.append([label, *(_written(r.errors[name]) if r else "" for r in cells)])
        if name in self.floors:
            lines.append(["*two exact samples*", *[_written(self.floors[name])] * len(self.numbers)])
        head = f"{ERRORS[name][0].upper()}{ERRORS[name][1:]} on {self.heading}, by {COSTS[self.by]}:"
        return head + "\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"

    def document(self) -> str:
        """Return the diagram as JSON; `numdiff.work_precision.read` reads it back, equal to this."""
        from numdiff.work_precision.documents import to_json

        return to_json(self)

    def checked(self, error: str | None) -> str:
        """Return the name of an error that was measured, the main one for None.

        Raises
        ------
        ValueError
            For another.
        """
        name = self.errors[0] if error is None else error
        if name not in self.errors:
            suggest(name, self.errors, "error")
        return name

    def _at(self, label: str, number: int) -> Sequence[Record]:
        if self.by == "nfe":
            return self._fitting(label, number)
        return [r for r in self.records if r.label == label and r.steps == number]

    def _fitting(self, label: str, nfe: int) -> Sequence[Record]:
        """Return a sampler's records, on all grids, with the most evaluations that are at most `nfe`."""
        own = [r for r in self.records if r.label == label and r.nfe <= nfe]
        return [r for r in own if r.nfe == max(r.nfe for r in own)]


def average(diagrams: Sequence[Diagram], problem: str) -> Diagram:
    """Return the geometric means of the errors over several problems, of the runs that all of them have.

    Parameters
    ----------
    diagrams
        Of the same samplers, grids and numbers.
    problem
        What the mean is called.

    Returns
    -------
    Diagram
        Times are arithmetic means. An error has a standard error where all have one; floors are left out.

    Raises
    ------
    TypeError
        For anything but a sequence of diagrams.
    ValueError
        For no diagrams, or such as were asked for different errors or numbers.

    Examples
    --------
    >>> import numdiff as nd
    >>> paths = (nd.problems.paths.toys(), nd.problems.paths.toys())
    >>> samplers = {"DDIM": nd.DDIM()}
    >>> found = [nd.work_precision.diagram(samplers, path, nfe=(10,), repeats=0) for path in paths]
    >>> mean = nd.work_precision.average(found, "both")
    >>> abs(mean.records[0].error("rms") / found[0].records[0].error("rms") - 1) < 1e-12
    True
    """
    if not isinstance(diagrams, Sequence) or not all(isinstance(one, Diagram) for one in diagrams):
        raise TypeError(f"diagrams must be a list of numdiff.work_precision.Diagram, got {diagrams!r}")
    if not diagrams:
        raise ValueError("diagrams must be at least one")
    first = diagrams[0]
    asked = {(d.errors, d.by, d.numbers) for d in diagrams}
    if len(asked) > 1:
        raise ValueError(f"diagrams must have the same errors and numbers, got {sorted(asked)}")
    keyed = [{(r.label, r.grid, r.steps): r for r in d.records} for d in diagrams]
    common = [key for key in keyed[0] if all(key in records for records in keyed)]
    records = tuple(_mean([records[key] for records in keyed]) for key in common)
    left_out = tuple(dict.fromkeys(one for d in diagrams for one in d.left_out))
    settings = first.settings | {"geometric mean over": [d.problem for d in diagrams]}
    return replace(first, problem=problem, records=records, floors={}, left_out=left_out, settings=settings)


def _mean(records: Sequence[Record]) -> Record:
    n = len(records)
    names = [name for name in records[0].errors if all(name in r.errors for r in records)]
    times = (sum(r.cost(what) for r in records) / n for what in ("seconds", "overhead"))
    seconds, overhead = (None if isnan(value) else value for value in times)
    errors = {name: _geometric([r.errors[name] for r in records]) for name in names}
    return replace(records[0], seconds=seconds, overhead=overhead, spread=None, errors=errors)


def _geometric(values: Sequence[Value]) -> Value:
    """Return the geometric mean, with the standard error that independent ones give it to first order."""
    if any(v == 0 for v, _ in values):
        return 0.0, None
    if not all(isfinite(v) for v, _ in values):
        return inf, None
    mean = exp(sum(log(v) for v, _ in values) / len(values))
    relative = [s / v for v, s in values if s is not None]
    return mean, mean * sqrt(sum(r * r for r in relative)) / len(values) if len(relative) == len(values) else None


def _smallest(records: Sequence[Record], error: str) -> Record | None:
    usable = [r for r in records if not isnan(r.error(error))]
    return _least(usable, error) if usable else None


def _least(records: Sequence[Record], error: str) -> Record:
    return min(records, key=lambda r: r.error(error))


def _written(value: Value) -> str:
    number, deviation = value
    return f"{number:.2g}" if deviation is None else f"{number:.2g} ± {deviation:.1g}"


def _words(name: str, given: Iterable[str], known: Iterable[str]) -> set[str]:
    found = set(doors.words(name, given, '("DDIM", "Heun")' if name == "labels" else '("multistep", "order 3")'))
    for word in sorted(found - set(known)):
        suggest(word, known, {"tags": "tag", "without": "tag", "labels": "label"}[name])
    return found


def checked_cost(name: str) -> str:
    """Return the name of one of `COSTS`, or raise a ValueError with the nearest."""
    if name not in COSTS:
        suggest(name, COSTS, "cost")
    return name
