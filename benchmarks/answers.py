"""Time of one answer about a method: from a cold command line, and again in the same process.

Cold is ``numdiff derive METHOD --topic TOPIC`` from the shell, Python's start and SymPy's import included; beside it,
in the same turn, what nodepy takes from the shell to find the order of RK4 from its order conditions (nodepy has no
counterpart of most topics). Warm is the same question asked a second time. The aims are 2 s and 0.1 s up to order 4.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from time import perf_counter

import numdiff as nd
from benchmarks.harness import Report, interleaved, main, ratio, spread, times
from numdiff.answers import TOPICS
from numdiff.cli.parser import parse
from numdiff.cli.selection import chosen

METHODS = ("ghvb4 --beta beta", "hb --base ab4 --beta 0.8", "unipc3", "rk4")
PEER = "from nodepy import runge_kutta_method as rk; print(rk.loadRKM('RK44').order())"
COLD, WARM = 2.0, 0.1
STEP = "0.1"
"""Step length of an exponential method, where a topic has a use for it."""


def shell(*arguments: str) -> float:
    """Return the seconds that a command takes in a process of its own."""
    start = perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return perf_counter() - start


def question(command: str, topic: str) -> list[str]:
    """Return the arguments of a question."""
    arguments = ["derive", *command.split(), "--topic", topic]
    exponential = chosen(parse(arguments)).kernel != 0
    return [*arguments, "--step", STEP] if exponential and "h" in TOPICS[topic].reads else arguments


def warm(arguments: list[str], topic: str) -> float | None:
    """Return the seconds of a second answer, or None if there is none."""
    options = parse(arguments)
    method, setting = chosen(options), {} if options.step is None else {"h": options.step}
    try:
        nd.answers.ask(method, topic, **setting)
    except ValueError:
        return None
    start = perf_counter()
    nd.answers.ask(method, topic, **setting)
    return perf_counter() - start


def run(rounds: int) -> list[Report]:
    """Measure every topic that has an answer for a method."""
    rows, data = [], {}
    for command in METHODS:
        for topic in TOPICS:
            arguments = question(command, topic)
            again = warm(arguments, topic)
            if again is None:
                continue
            ours = partial(shell, "-m", "numdiff", *arguments)
            seconds = interleaved({"numdiff": ours, "nodepy": partial(shell, "-c", PEER)}, rounds, warm_up=0)
            gain = times(ratio(seconds["nodepy"], seconds["numdiff"]))
            columns = (spread(seconds[side], 1) for side in ("numdiff", "nodepy"))
            rows.append([command, topic, *columns, gain, f"{again * 1e3:.1f}"])
            data[f"{command} {topic}"] = {**seconds, "warm": again}
    note = f"Seconds cold (aim {COLD:g}), milliseconds warm (aim {WARM * 1e3:g}); nodepy: cold, the order of RK4."
    columns = ("method", "topic", "numdiff, s", "nodepy, s", "nodepy/numdiff", "warm, ms")
    return [Report("Answers", note, columns, rows, data)]


if __name__ == "__main__":
    main(run, 3, ("sympy", "nodepy"), __doc__)
