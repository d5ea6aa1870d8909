"""A study goes on where it was left: after an interrupt, after a failure, after nothing."""

import io
import json
import signal
import subprocess
import sys
import time

import pytest

from numdiff.study import FAST, Settings, Stage, StageError, run
from numdiff.study.progress import Progress


class Parts:
    """Three stages that count how often they run; the second one does what it is told."""

    def __init__(self, second=lambda progress: None):
        self.ran = []
        self.second = second

    def stages(self, settings=1):
        def stage(name):
            def compute(seed, progress):
                self.ran.append(name)
                if name == "b":
                    self.second(progress)
                progress.advance()
                return {"name": name, "seed": seed}

            return Stage(name, f"stage {name}", {"setting": settings}, lambda: 1, compute)

        return [stage(name) for name in "abc"]


def go(out, parts, **options):
    """Run the stages and return what was said."""
    stream = io.StringIO()
    run(out, options.pop("settings", FAST), parts=parts, progress=Progress(stream), **options)
    return stream.getvalue()


def test_what_is_done_is_kept_and_said(tmp_path):
    parts = Parts()
    first = go(tmp_path, parts.stages())
    assert parts.ran == ["a", "b", "c"]
    assert first.count("done in") == 3
    again = go(tmp_path, parts.stages())
    assert parts.ran == ["a", "b", "c"]
    assert [line.split(":")[1].startswith(" kept from an earlier run") for line in again.splitlines()] == [True] * 3


def test_force_settings_and_seed_compute_again(tmp_path):
    parts = Parts()
    go(tmp_path, parts.stages())
    go(tmp_path, parts.stages(), force=True)
    assert len(parts.ran) == 6
    assert "have changed; computing it again" in go(tmp_path, parts.stages(settings=2))
    assert len(parts.ran) == 9
    go(tmp_path, parts.stages(settings=2), settings=Settings(seed=1))
    assert len(parts.ran) == 12
    assert json.loads((tmp_path / "data" / "a.json").read_text())["seed"] == 1


def test_a_damaged_result_is_computed_again_and_nothing_else(tmp_path):
    parts = Parts()
    go(tmp_path, parts.stages())
    (tmp_path / "data" / "b.json").write_bytes(b"\x00half")
    said = go(tmp_path, parts.stages())
    assert parts.ran == ["a", "b", "c", "b"]
    assert "stage b: its saved result is damaged; computing it again" in said


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (ZeroDivisionError("by zero"), StageError, "stage b: ZeroDivisionError: by zero"),
        (FileNotFoundError("no weights"), FileNotFoundError, "no weights"),
        (KeyboardInterrupt("now"), KeyboardInterrupt, "now"),
    ],
)
def test_a_failure_loses_its_own_stage_only(tmp_path, error, raised, message):
    def fail(progress):
        raise error

    parts = Parts(fail)
    with pytest.raises(raised, match=message):
        go(tmp_path, parts.stages())
    assert sorted(p.name for p in (tmp_path / "data").iterdir()) == ["a.json"]
    parts.second = lambda progress: None
    go(tmp_path, parts.stages())
    assert parts.ran == ["a", "b", "b", "c"]


SCRIPT = """
import sys, time
from numdiff import cli
from numdiff.study import FAST, Stage, run

def compute(name):
    def inner(seed, progress):
        if name == "b" and "wait" in sys.argv:
            print("waiting", flush=True)
            time.sleep(60)
        return {"name": name}
    return inner

stages = [Stage(name, name, {}, lambda: 1, compute(name)) for name in "abc"]
cli.parser._runner = lambda name: lambda options: run(options.out, FAST, parts=stages)
sys.exit(cli.main(["study", "--out", sys.argv[1]]))
"""


def test_an_interrupted_process_is_resumed(tmp_path):
    """SIGINT to the process itself, in the middle of the second of three stages."""
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, "wait"], **pipes) as process:
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "numdiff: interrupted"
    assert "Traceback" not in err
    assert sorted(p.name for p in (tmp_path / "data").iterdir()) == ["a.json"]
    before = (tmp_path / "data" / "a.json").stat().st_mtime_ns
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [line.split(":")[0] for line in found.stderr.splitlines() if "kept" in line] == ["a"]
    assert sorted(p.name for p in (tmp_path / "data").iterdir()) == ["a.json", "b.json", "c.json"]
    assert (tmp_path / "data" / "a.json").stat().st_mtime_ns == before


def test_plain_lines_are_few_and_bars_are_for_terminals(monkeypatch):
    clock = iter(range(0, 1000))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    plain = io.StringIO()
    progress = Progress(plain)
    with progress.stage("work", 30):
        for k in range(30):
            progress.advance(f"unit {k}")
    lines = plain.getvalue().splitlines()
    assert lines[0] == "work ..."
    assert lines[-1].startswith("work: done in")
    assert 3 <= len(lines) < 12  # a tick of the clock a unit: a line at most every five of them

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.undo()
    terminal = Terminal()
    progress = Progress(terminal)
    with progress.stage("work", 3):
        progress.advance("first")
        progress.say("a remark")
    assert "work:" in terminal.getvalue()
    assert "\r" in terminal.getvalue()
    assert "a remark" in terminal.getvalue()
