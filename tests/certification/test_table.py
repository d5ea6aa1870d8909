"""The table: rows in order whatever the processes do, kept as they come, and none that fails."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from numdiff.certification import documents, records
from numdiff.certification.certificate import Certificate
from numdiff.certification.subject import NotASamplerError, Subject
from numdiff.certification.table import certify_all, path_named

NAMES = [f"lab:sampler_{k}" for k in range(5)]


def resolve(spec):
    """A subject that cannot run: what certifies here looks at its name only."""
    if spec == "lab:guide":
        raise NotASamplerError("it changes the condition,\nand takes no step")
    return Subject(spec, run=print, order=3, stochastic=spec == NAMES[4])


class Counter:
    """What certifies, and progress: both count."""

    def __init__(self, fail=(), stop=None):
        self.fail, self.stop, self.made, self.said = fail, stop, [], []

    def certify(self, subject, **asked):
        self.made.append(subject.name)
        if subject.name == self.stop:
            raise KeyboardInterrupt
        if subject.name in self.fail:
            raise ZeroDivisionError("by\nzero")
        return Certificate(subject.name, 2, "flow", asked["path"].name, (), "certified", repr(sorted(asked)))

    def advance(self, text):
        self.said.append(text)


def run(names, counter, **options):
    return certify_all(names, resolve, certify=counter.certify, progress=counter, **{"jobs": 1} | options)


# --- rows -------------------------------------------------------------------------------------------------------------


def test_rows_come_in_the_order_of_the_names(tmp_path):
    counter = Counter()
    rows = run(NAMES[::-1], counter, out=tmp_path)
    assert [row.subject for row in rows] == NAMES[::-1] == counter.said
    assert documents.read(tmp_path / "certificates.json") == rows
    assert (tmp_path / "certificates.md").read_text() == documents.markdown(rows)
    assert len(list((tmp_path / "samplers").iterdir())) == len(NAMES)
    assert rows[0].path == path_named("toys").name
    assert rows[0].cause == "['path', 'patterns', 'seed', 'steps']"


@pytest.mark.slow
def test_processes_return_the_same_rows_in_the_same_order():
    def certify(subject, **asked):
        time.sleep(0.3 if subject.name == NAMES[0] else 0)  # the first comes last
        threads = [os.environ.get(f"{name}_NUM_THREADS") for name in ("OMP", "OPENBLAS", "MKL")]
        return Certificate(subject.name, os.getpid(), "flow", "", (), "certified", repr(threads))

    rows = certify_all(NAMES, lambda spec: Subject(spec, run=print), certify=certify, jobs=2)
    assert [row.subject for row in rows] == NAMES
    assert os.getpid() not in {row.claim for row in rows}
    assert {row.cause for row in rows} == {"['1', '1', '1']"}


def test_a_row_without_an_order_says_why_and_the_others_go_on():
    counter = Counter(fail=[NAMES[1], NAMES[4]])
    rows = run([NAMES[0], "lab:guide", NAMES[1], NAMES[4], NAMES[2]], counter)
    assert [row.verdict for row in rows] == ["certified", *["no order"] * 3, "certified"]
    assert [(row.claim, row.kind) for row in rows[1:4]] == [(None, "flow"), (3, "flow"), (3, "weak")]
    assert rows[1].cause == "not a sampler: it changes the condition, and takes no step"
    assert rows[2].cause == "ZeroDivisionError: by zero"
    assert [row.subject for row in rows[1:3]] == ["lab:guide", NAMES[1]]


def test_the_certificate_is_that_of_certify():
    """Nothing is lost between a subject and its row."""
    from numdiff.certification import certify, of_method

    asked = {"steps": (16, 24, 32, 48), "patterns": ("refined",), "seed": 3}
    (row,) = certify_all(["heun"], of_method, jobs=1, path="logistic", **asked)
    alone = certify(of_method("heun"), path=path_named("logistic"), **asked)
    assert row.experiments == alone.experiments
    assert (row.verdict, row.cause, row.path) == (alone.verdict, alone.cause, alone.path)


# --- going on ---------------------------------------------------------------------------------------------------------


def test_what_is_kept_is_not_made_again(tmp_path):
    first, again = Counter(), Counter()
    rows = run(NAMES[:3], first, out=tmp_path)
    assert run(NAMES, again, out=tmp_path)[:3] == rows
    assert again.made == NAMES[3:]
    assert sorted(again.said) == NAMES
    anew = Counter()
    run(NAMES, anew, out=tmp_path, resume=False)
    assert anew.made == NAMES


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"steps": (8, 16, 32)}, {"patterns": ("random",)}, {"path": "riccati"}]
)
def test_other_conditions_are_another_certificate(change, tmp_path):
    run(NAMES[:2], Counter(), out=tmp_path)
    again = Counter()
    run(NAMES[:2], again, out=tmp_path, **change)
    assert again.made == NAMES[:2]


def test_other_versions_and_other_formats_are_made_anew(tmp_path, monkeypatch):
    run(NAMES[:1], Counter(), out=tmp_path)
    for where, name, value in (
        (records, "_versions", lambda package: {"numpy": "0.1"}),
        (records, "_numdiff", lambda: "another"),
        (documents, "VERSION", 2),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(where, name, value)
            again = Counter()
            run(NAMES[:1], again, out=tmp_path)
            assert again.made == NAMES[:1], name
        run(NAMES[:1], Counter(), out=tmp_path)
    same = Counter()
    run(NAMES[:1], same, out=tmp_path)
    assert same.made == []


def test_a_sampler_that_is_being_written_is_certified_anew(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("bench.py").write_text("x = 1\n")
    for text, made in (("x = 1\n", ["bench:mine"]), ("x = 1\n", []), ("x = 2\n", ["bench:mine"])):
        Path("bench.py").write_text(text)
        counter = Counter()
        run(["bench:mine"], counter, out=tmp_path / "out")
        assert counter.made == made


def test_a_damaged_row_is_made_anew(tmp_path):
    run(NAMES[:3], Counter(), out=tmp_path)
    cut, edited, _ = sorted((tmp_path / "samplers").iterdir())
    cut.write_text(cut.read_text()[:-20])
    edited.write_text(edited.read_text().replace('"claim": 2', '"claim": 3'))
    again = Counter()
    rows = run(NAMES[:3], again, out=tmp_path)
    assert again.made == NAMES[:2]
    assert {row.claim for row in rows} == {2}


def test_a_surprise_is_tried_again_and_a_known_reason_is_not(tmp_path):
    names = ["lab:guide", NAMES[0], NAMES[1]]
    run(names, Counter(fail=[NAMES[1]]), out=tmp_path)
    again = Counter()
    rows = run(names, again, out=tmp_path)
    assert again.made == [NAMES[1]]
    assert [row.verdict for row in rows] == ["no order", "certified", "certified"]


def test_an_interrupt_keeps_what_is_there_and_says_how_to_go_on(tmp_path):
    with pytest.raises(KeyboardInterrupt, match=r"2 of 5 samplers are done and kept in .*, and the same command goes"):
        run(NAMES, Counter(stop=NAMES[2]), out=tmp_path)
    again = Counter()
    run(NAMES, again, out=tmp_path)
    assert again.made == NAMES[2:]
    with pytest.raises(KeyboardInterrupt, match="2 of 5 samplers are done and lost; a folder"):
        run(NAMES, Counter(stop=NAMES[2]))


SLEEPER = """
import sys, time
from numdiff.certification.certificate import Certificate
from numdiff.certification.subject import Subject
from numdiff.certification.table import certify_all

def main():
    def certify(subject, **asked):
        time.sleep(0 if subject.name < "b" else 60)
        return Certificate(subject.name, 1, "flow", "", (), "certified", "")

    class Progress:
        def advance(self, text):
            print(text, flush=True)

    try:
        certify_all(["a:1", "a:2", "b:1", "b:2", "b:3"], lambda spec: Subject(spec, run=print), certify=certify,
                    jobs=2, out=sys.argv[1], progress=Progress())
    except KeyboardInterrupt as stopped:
        print("STOPPED", stopped, flush=True)

if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
def test_ctrl_c_stops_all_processes_at_once_and_keeps_the_rows(tmp_path):
    """The signal goes to the whole group, as a terminal sends it; rows take a minute, and nobody waits for them."""
    script = tmp_path / "sleeper.py"
    script.write_text(textwrap.dedent(SLEEPER))
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert {process.stdout.readline().strip() for _ in range(2)} == {"a:1", "a:2"}
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=45)  # a row takes 60 s
    assert f"STOPPED 2 of 5 samplers are done and kept in {tmp_path / 'out'}" in out
    assert process.returncode == 0
    assert not err or err.startswith("Process LokyProcess")  # a worker caught at the wrong moment says so itself
    kept = [documents.read(path)[0].subject for path in (tmp_path / "out" / "samplers").iterdir()]
    assert sorted(kept) == ["a:1", "a:2"]


# --- the door ---------------------------------------------------------------------------------------------------------

MISTAKES = {
    "one name": (("lab:x", {}), TypeError, "specs must be a sequence of names, got the string 'lab:x'"),
    "no name": (([3], {}), TypeError, "specs must be texts such as 'diffusers:DDIMScheduler', got 3"),
    "twice": ((["lab:x", "lab:y", "lab:x"], {}), ValueError, "specs holds 'lab:x' 2 times"),
    "jobs": (([], {"jobs": 0}), ValueError, "jobs must be a whole number of at least 1, got 0"),
    "steps": (([], {"steps": (8, 16)}), ValueError, "steps must hold at least 3 different numbers"),
    "path": (([], {"path": "ricatti"}), ValueError, "unknown path 'ricatti'; did you mean 'riccati'"),
    "pattern": (([], {"patterns": ("zigzag",)}), ValueError, "unknown pattern 'zigzag'"),
    "patterns": (([], {"patterns": "random"}), TypeError, "patterns must be a sequence of names"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_named_before_anything_runs(case, tmp_path):
    (names, options), kind, message = MISTAKES[case]
    counter = Counter()
    with pytest.raises(kind, match=message):
        run(names, counter, out=tmp_path / "out", **options)
    assert not counter.made
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OSError, match="is in the way of a folder") as caught:
        run(NAMES, Counter(), out=tmp_path / "out")
    assert caught.value.filename.startswith(str(tmp_path / "out"))


def test_paths_are_found_by_name():
    from numdiff.problems import odes

    for name in ("toys", *odes(), "two-modes"):
        assert path_named(name).name == name


def test_names_that_differ_have_files_that_differ(tmp_path):
    kept = records.Records.open(tmp_path)
    names = ["a:b(c=1)", "a:b(c=-1)", "a:B(c=1)", "a/b:c", "a.b:c", "é:x", "..:..", "a" * 300]
    paths = [kept.path(name) for name in names]
    assert len({path.name.lower() for path in paths}) == len(names)
    assert {path.parent for path in paths} == {tmp_path}
    for name, path in zip(names, paths, strict=True):
        kept.keep(name, Certificate(name, None, "flow", "", (), "observed", ""), {})
        assert json.loads(path.read_text())["certificates"][0]["subject"] == name


def test_conditions_are_plain_data():
    made = records.conditions("diffusers:DDIMScheduler", {"seed": 0})
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert {"python", "numdiff", "numpy", "diffusers"} <= set(made["versions"])
    assert records.conditions("torch:x", {})["source"][1] == ""  # installed: its version says it all
