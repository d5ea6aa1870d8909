"""Saved results: used again only if nothing that decides them has changed, and never half written."""

import json
import signal
from pathlib import Path

import pytest

from numdiff import _files
from numdiff.study import store

RECORD = {"key": "k", "seconds": 1.0, "result": {"x": [1, 2.5, None], "name": "β"}}


@pytest.fixture
def folder(tmp_path):
    return store.Folder.open(tmp_path / "deep" / "out")


def test_a_record_comes_back_as_it_was_saved(folder):
    saved = folder.save("stage", RECORD)
    assert folder.load("stage", "k") == (saved, "")
    assert saved["result"] == RECORD["result"]
    assert folder.load("other", "k") == (None, "")


def test_another_key_means_computing_again(folder):
    folder.save("stage", RECORD)
    assert folder.load("stage", "other") == (None, "settings, versions or code have changed")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: "null",
        lambda text: text.replace("2.5", "2.6"),
        lambda text: text.replace('"sha256"', '"sha"'),
    ],
)
def test_a_damaged_record_is_noticed(folder, spoil):
    folder.save("stage", RECORD)
    path = folder.path / "data" / "stage.json"
    path.write_text(spoil(path.read_text()))
    assert folder.load("stage", "k") == (None, "its saved result is damaged")
    folder.save("stage", RECORD)
    assert folder.load("stage", "k")[0] is not None


def test_a_result_with_nan_is_refused_rather_than_written_as_no_json(folder):
    with pytest.raises(ValueError, match="JSON"):
        folder.save("stage", {**RECORD, "result": {"x": float("nan")}})
    assert not list((folder.path / "data").iterdir())


def test_the_key_depends_on_everything_that_decides_a_result(monkeypatch):
    keys = [
        store.key("a", {"n": 1}, 0),
        store.key("b", {"n": 1}, 0),
        store.key("a", {"n": 2}, 0),
        store.key("a", {"n": 1}, 1),
    ]
    monkeypatch.setattr(store, "versions", lambda: {"numpy": "0"})
    keys.append(store.key("a", {"n": 1}, 0))
    monkeypatch.undo()
    monkeypatch.setattr(store, "source", lambda: "other code")
    keys.append(store.key("a", {"n": 1}, 0))
    assert len(set(keys)) == len(keys)
    monkeypatch.undo()
    assert store.key("a", {"n": 1}, 0) == keys[0]


def test_formatting_is_no_part_of_the_code_that_decides():
    assert store.source() != store.source(())
    assert store.source(()) == store.source(("no such part",))
    files = {p.stem for p in Path(store.__file__).parent.glob("*.py")}
    assert set(store._FORMATTING) < files  # a renamed module would count as deciding, or hide one that does


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(store.StoreError, match="there is a file where a folder should be; choose another --out"):
            store.Folder.open(place)


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    """A read-only folder, as seen by anybody but root, who may write everywhere."""

    def refuse(**options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(store.tempfile, "TemporaryFile", refuse)
    with pytest.raises(store.StoreError, match="Permission denied; choose another --out"):
        store.Folder.open(tmp_path)


def test_a_folder_where_a_file_should_be(folder):
    (folder.path / "report.html").mkdir()
    with pytest.raises(store.StoreError, match="there is a folder where a file should be"):
        folder.write("report.html", "text")


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_an_interrupt_leaves_the_old_file_and_no_other(folder, monkeypatch, moment):
    path = folder.write("table.md", "old")

    def interrupt(*arguments):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(_files.os, moment, interrupt)
    with pytest.raises(KeyboardInterrupt):
        folder.write("table.md", "new")
    assert path.read_text() == "old"
    assert [p for p in folder.path.iterdir() if p.is_file()] == [path]


def test_records_are_plain_json_for_others(folder):
    folder.save("stage", RECORD)
    assert json.loads((folder.path / "data" / "stage.json").read_text())["result"] == RECORD["result"]
