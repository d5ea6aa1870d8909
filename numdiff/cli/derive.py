"""``numdiff derive``: everything that follows from a method's definition, exactly; also a run of it, as data or code.

Without a topic it is the summary of `numdiff.answers.summary`; with topics, their answers. With ``--scheme`` or
``--python`` the method is laid out on a grid, and what is printed is that one run (`numdiff.export`).
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from numdiff._files import write_atomically
from numdiff.answers import TOPICS, Answer, ask
from numdiff.cli.messages import in_options
from numdiff.cli.selection import chosen, grid
from numdiff.cli.values import Symbol, UnansweredError, UsageError, symbolic

ENDINGS = {"json": ".json", "scheme": ".json", "python": ".py", "markdown": ".md", "latex": ".tex", "text": ".txt"}
"""Forms of the output, and the endings of files that hold them."""

SYMBOLS = ("beta", "momentum", "error", "real_interval")
"""Options for which a symbol may stand."""

RUN = ("schedule", "grid", "steps", "start", "final")
"""Options that lay a method out on a grid."""


def run(options: argparse.Namespace) -> None:
    """Derive what is asked for and print it, or write it into a file."""
    form = next((name for name in ENDINGS if getattr(options, name, False)), "text")
    _check(options, form)
    method = chosen(options)
    if form in ("python", "scheme"):
        text = _laid_out(method, options, form)
    elif options.topic:
        _answer(method, options, form)
        return
    else:
        text = _summary(method, options, form)
    _give(text, options)


def _check(options: argparse.Namespace, form: str) -> None:
    """Refuse options that would play no part."""
    lays_out = form in ("python", "scheme")
    for name in RUN:
        if getattr(options, name) is not None and not (lays_out or options.topic):
            raise UsageError(f"--{name} is about a run; add --python, --scheme or a --topic, or leave it out")
    for name in ("step", "ratio", "topic"):
        if lays_out and getattr(options, name) is not None:
            raise UsageError(f"--{name} is about formulas; --{form} prints a run on a grid, so leave one of them out")
    _check_topics(options)
    if options.prediction is not None and form != "python":
        raise UsageError("--prediction says what the model of a page predicts; add --python, or leave it out")
    for name in SYMBOLS:
        if lays_out and isinstance(value := getattr(options, name), Symbol):
            option = name.replace("_", "-")
            raise UsageError(f"--{form} needs a number for --{option}, not the symbol {value}")
    if options.out is not None and options.out.suffix.lower() != ENDINGS[form]:
        raise UsageError(f"{str(options.out)!r} must end in {ENDINGS[form]}, as it will hold {form}")


def _check_topics(options: argparse.Namespace) -> None:
    """Refuse options that none of the topics reads."""
    topics = options.topic or ()
    if not topics or "all" in topics:  # all of them read everything
        return
    for name in ("step", "ratio", *RUN):
        field = "h" if name == "step" else name
        if getattr(options, name) is not None and not any(field in TOPICS[topic].reads for topic in topics):
            readers = [topic for topic, entry in TOPICS.items() if field in entry.reads]
            what = f"plays no part in topic {', '.join(dict.fromkeys(topics))}"
            raise UsageError(f"--{name} {what}, but in {', '.join(readers)}; leave it out")


def _give(text: str, options: argparse.Namespace) -> None:
    text = text.rstrip("\n") + "\n"
    if options.out is None:
        print(text, end="")
    else:
        write_atomically(options.out, text.encode())
        print(f"wrote {options.out}")


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)


# --- a run ------------------------------------------------------------------------------------------------------------


def _schedule(options: argparse.Namespace) -> Any:
    from numdiff import schedules

    return None if options.schedule is None else schedules.get(options.schedule)


def _grid_name(options: argparse.Namespace, schedule: Any) -> str:
    """Return the grid's name; a flow begins at an infinite log-SNR, so that its default is uniform in t."""
    return grid(options, "uniform-t" if schedule is not None and schedule.is_flow else "log-snr")


def _laid_out(method: Any, options: argparse.Namespace, form: str) -> str:
    from numdiff import export, schedules
    from numdiff.grids import named

    schedule = _schedule(options) or schedules.VPLinear()
    times = named(_grid_name(options, schedule), schedule, options.steps or 10)
    scheme = method.discretize(schedule, times, start=options.start or "lower", final=options.final)
    return export.to_python(scheme, prediction=options.prediction) if form == "python" else export.to_json(scheme)


# --- topics -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Refused:
    """A topic that does not apply to the method, and why."""

    topic: str
    reason: str


def _answer(method: Any, options: argparse.Namespace, form: str) -> None:
    """Give the answers to the topics; where all of them are asked, those that do not apply say why.

    Raises
    ------
    UnansweredError
        Where topics asked by name have no answer, after the answers that there are.
    """
    every = "all" in options.topic
    asked = {name: _asked(method, name, options) for name in (TOPICS if every else options.topic)}
    refused = [answer for answer in asked.values() if isinstance(answer, _Refused) and not every]
    found = {name: answer for name, answer in asked.items() if answer not in refused}
    if found and form == "json":
        _give(_json({"name": method.name, "reference": method.reference, "answers": _data(found)}), options)
    elif found:
        _give("\n\n".join(_show(answer, form).rstrip("\n") for answer in found.values()), options)
    if refused:
        raise UnansweredError(UsageError(f"topic {one.topic}: {one.reason}") for one in refused)


def _asked(method: Any, topic: str, options: argparse.Namespace) -> Answer | _Refused:
    schedule = _schedule(options)
    given: dict[str, Any] = {"h": options.step, "ratio": symbolic(options.ratio), "start": options.start}
    given |= {"final": options.final, "schedule": schedule, "steps": options.steps}
    given |= {"grid": _grid_name(options, schedule)}
    try:
        answer = ask(method, topic, **{name: value for name, value in given.items() if value is not None})
    except (TypeError, ValueError) as error:  # a symbol for a number, or the reverse: here a mistake of the user too
        return _Refused(topic, in_options(" ".join(str(error).split())))
    lines = [line if line.value is not None else replace(line, note=in_options(line.note)) for line in answer.lines]
    return replace(answer, lines=tuple(lines), notes=tuple(map(in_options, answer.notes)))


def _data(found: dict[str, Answer | _Refused]) -> list[dict[str, Any]]:
    from numdiff.answers.render import to_data

    return [
        {"topic": topic, "reason": answer.reason}
        if isinstance(answer, _Refused)
        else {"topic": topic} | to_data(answer)
        for topic, answer in found.items()
    ]


def _show(answer: Answer | _Refused, form: str) -> str:
    """Return an answer in a form; a refusal is an answer without lines."""
    from numdiff.answers import render

    if isinstance(answer, _Refused):
        answer = Answer(answer.topic, (), (f"does not apply: {answer.reason}",))
    if form == "text":
        return render.to_text(answer, width=shutil.get_terminal_size((render.WIDTH, 24)).columns)
    forms: dict[str, Callable[[Answer], str]] = {"markdown": render.to_markdown, "latex": render.to_latex}
    return forms[form](answer)


# --- the summary ------------------------------------------------------------------------------------------------------


def _summary(method: Any, options: argparse.Namespace, form: str) -> str:
    from numdiff.answers import summary

    ratio = 1 if options.ratio is None else symbolic(options.ratio)
    found = summary.derive(method, h=options.step, ratio=ratio)
    if form == "json":
        return _json(summary.record(found))
    answer = summary.answer(found)
    return _show(replace(answer, notes=tuple(map(in_options, answer.notes))), form).rstrip("\n")


def shown(name: str, value: dict[str, Any] | None) -> str:
    """Return an expression with what it stands for, and its decimal value where it has one."""
    if value is None:
        return "-"
    ends = {"real interval": "(-x*, 0), x* ", "imaginary interval": "(-i y*, i y*), y* "}.get(name, "")
    equals = "= " if ends else ""
    if value["float"] is None:
        return f"{ends}{equals}{value['text']}"
    if value["text"] != value["exact"]:  # a decimal stands for something longer, or for what has no exact form
        return f"{ends}≈ {value['text']}"
    decimal = f"{value['float']:.6g}"
    return f"{ends}{equals}{value['text']}" + (f" = {decimal}" if decimal != value["text"] else "")
