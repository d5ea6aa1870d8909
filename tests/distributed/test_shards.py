"""Batches, their files, and what a folder refuses: no process is started here, no network asked."""

import errno
import json

import numpy as np
import pytest

from numdiff.distributed import Batch, Samples, batches, manifest, merge, shards
from numdiff.distributed.shards import FORMATS

SHAPES = {"safetensors": (2, 3), "png": (5, 4)}


def arrays(batch, shape, offset=0.0):
    """Samples whose every number says which it is."""
    size = int(np.prod(shape))
    values = np.sin(np.arange(batch.first * size, (batch.first + batch.count) * size) + offset)
    indices = np.array(batch.indices)
    return {"samples": values.astype(np.float32).reshape(-1, *shape), "indices": indices, "labels": indices % 3}


def made(folder, kind, n=10, size=4, shape=None, **settings):
    """Write a whole set and return its batches and shards."""
    wanted = manifest.document({"n": n, "batch": size, "format": kind, **settings}, ["command"])
    manifest.opened(folder, wanted)
    parts, held = batches(n, size), FORMATS[kind](folder, manifest.key(wanted))
    for batch in parts:
        held.write(batch, arrays(batch, shape or SHAPES[kind]))
    return parts, held


# --- batches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "size"), [(1, 1), (10, 3), (9, 3), (2, 100), (1000, 7)])
def test_batches_are_a_partition(n, size):
    parts = batches(n, size)
    assert [i for batch in parts for i in batch.indices] == list(range(n))
    assert [batch.number for batch in parts] == list(range(len(parts)))
    assert {batch.count for batch in parts[:-1]} <= {size}


@pytest.mark.parametrize(("n", "size", "name"), [(0, 3, "n"), (-1, 3, "n"), (3, 0, "batch")])
def test_empty_batches_are_refused(n, size, name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1"):
        batches(n, size)


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_written_is_read(kind, tmp_path):
    parts, held = made(tmp_path, kind)
    for batch in parts:
        expected, found = arrays(batch, SHAPES[kind]), held.read(batch)
        assert held.holds(batch)
        for name in ("indices", "labels"):
            np.testing.assert_array_equal(found[name], expected[name])
        if kind == "png":
            assert found["samples"].dtype == np.uint8
            # half a grey level of 2/255 is the most that rounding to 8 bits may change, and a little of float32
            np.testing.assert_allclose(found["samples"] / 127.5 - 1, expected["samples"], atol=1 / 255 + 1e-6)
        else:
            np.testing.assert_array_equal(found["samples"], expected["samples"])


@pytest.mark.parametrize("kind", FORMATS)
def test_equal_samples_are_equal_files(kind, tmp_path):
    for name in "ab":
        made(tmp_path / name, kind)
    files = {path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file()}
    assert len(files) > 3
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_every_byte_of_a_file_counts(tmp_path):
    """One bit changed anywhere, or one byte less, and the batch is not there; headers' spaces aside."""
    (batch,), held = made(tmp_path, "safetensors", n=2, size=2)
    whole = held.path(batch).read_bytes()
    rng = np.random.default_rng(0)
    padding = len(whole[8:].split(b"}}")[0])  # spaces behind the header align it and mean nothing
    for place in rng.choice(len(whole), 40, replace=False):
        broken = bytearray(whole)
        broken[place] ^= 1 << int(rng.integers(8))
        held.path(batch).write_bytes(broken)
        assert not held.holds(batch) or place >= padding, place
    for length in (0, 3, len(whole) // 2, len(whole) - 1):
        held.path(batch).write_bytes(whole[:length])
        assert not held.holds(batch)
    held.path(batch).write_bytes(whole)
    assert held.holds(batch)


def test_an_image_that_is_missing_or_changed_unmakes_its_batch(tmp_path):
    (first, second, third), held = made(tmp_path, "png")
    (tmp_path / shards.image_name(1)).unlink()
    with pytest.raises(FileNotFoundError, match=r"000001.png is missing; run the same command again, which makes it"):
        Samples(tmp_path)[0]
    image = tmp_path / shards.image_name(5)
    image.write_bytes(image.read_bytes()[:-1])
    held.path(third).write_text(held.path(third).read_text().replace(" 2,", " 1,"))  # a label
    assert [held.holds(batch) for batch in (first, second, third)] == [False] * 3


@pytest.mark.parametrize("kind", FORMATS)
def test_a_shard_of_another_set_or_another_place_does_not_count(kind, tmp_path):
    parts, held = made(tmp_path / "a", kind)
    _, other = made(tmp_path / "b", kind, seed=1)
    held.path(parts[0]).write_bytes(other.path(parts[0]).read_bytes())
    held.path(parts[1]).write_bytes(held.path(parts[2]).read_bytes())
    assert [held.holds(batch) for batch in parts] == [False, False, True]
    with pytest.raises(ValueError, match=r"shard-000000\S+ belongs to another set; run the same command again"):
        Samples(tmp_path / "a").array()


@pytest.mark.parametrize("kind", FORMATS)
def test_a_copy_of_another_batch_is_not_read_as_this_one(kind, tmp_path):
    parts, held = made(tmp_path / "set", kind)
    held.path(parts[1]).write_bytes(held.path(parts[0]).read_bytes())
    message = (
        r"shard-000001\S+ should hold batch 1 \(samples 4 to 7\) and holds samples 0 to 3: .*; run the same command"
    )
    with pytest.raises(ValueError, match=message):
        Samples(tmp_path / "set")[4:8]
    with pytest.raises(ValueError, match=message):
        merge(tmp_path / "set", tmp_path / "all.safetensors")
    assert not (tmp_path / "all.safetensors").exists()
    np.testing.assert_array_equal(Samples(tmp_path / "set")[0:4], held.read(parts[0])["samples"])


def test_temporary_files_of_killed_ranks_are_removed_and_nothing_else(tmp_path):
    _, held = made(tmp_path, "safetensors")
    before = {path.name for path in tmp_path.iterdir()}
    (tmp_path / ".shard-000001.safetensors.abc").write_bytes(b"half")
    (tmp_path / ".mine").write_bytes(b"")
    held.clean()
    assert {path.name for path in tmp_path.iterdir()} == before | {".mine"}


@pytest.mark.parametrize(
    ("shape", "expected"), [((4, 5), (3, 4, 5)), ((1, 4, 5), (3, 4, 5)), ((3, 4, 5), (3, 4, 5, 3))]
)
def test_floats_become_images(shape, expected):
    values = np.linspace(-2, 2, 3 * int(np.prod(shape)), dtype=np.float32).reshape(3, *shape)
    found = shards.pixels(values)
    assert found.shape == expected
    assert (found.min(), found.max(), found.dtype) == (0, 255, np.uint8)
    if shape[0] == 3:
        np.testing.assert_array_equal(found[..., 1], shards.pixels(values[:, 1]))


def test_what_is_no_image_is_no_png():
    with pytest.raises(ValueError, match=r"shape \(64,\) are no images; use --format safetensors"):
        shards.pixels(np.zeros((2, 64)))


def test_a_full_disk_leaves_no_part_of_a_batch(tmp_path, monkeypatch):
    (batch,), held = made(tmp_path, "png", n=2, size=2)
    held.path(batch).unlink()

    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match=r"cannot be written \(No space left on device\)"):
        held.write(batch, arrays(batch, SHAPES["png"]))
    assert not held.holds(batch)


# --- the folder -------------------------------------------------------------------------------------------------------


def wanted(**settings):
    return manifest.document({"n": 10, "batch": 4, "steps": 10, **settings}, ["command"])


def test_a_folder_belongs_to_one_set(tmp_path):
    manifest.opened(tmp_path / "new" / "set", wanted())
    assert manifest.opened(tmp_path / "new" / "set", wanted()) == wanted()
    with pytest.raises(manifest.FolderError, match=r"holds other samples: n is 10 there and 11 here.*another --out"):
        manifest.opened(tmp_path / "new" / "set", wanted(n=11))
    with pytest.raises(manifest.FolderError, match="steps is 10 there and null here"):
        manifest.opened(tmp_path / "new" / "set", manifest.document({"n": 10, "batch": 4}, []))


def test_other_versions_are_refused(tmp_path, monkeypatch):
    manifest.opened(tmp_path, wanted())
    monkeypatch.setattr(manifest.provenance, "versions", lambda: {"numpy": "0.1"})
    with pytest.raises(manifest.FolderError, match=r"was begun with numpy .*, and this is 0.1.*install numpy"):
        manifest.opened(tmp_path, wanted())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"format": "numdiff samples", "settings": 3}'])
def test_a_damaged_manifest_is_refused(content, tmp_path):
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(manifest.FolderError, match=r"manifest.json is (damaged|no manifest).*choose another --out"):
        manifest.opened(tmp_path, wanted())


def test_a_folder_of_something_else_and_a_file(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(
        manifest.FolderError, match=r"holds 'thesis.tex' but no manifest.json; choose a new or an empty"
    ):
        manifest.opened(tmp_path, wanted())
    with pytest.raises(NotADirectoryError, match="choose another --out"):
        manifest.opened(tmp_path / "thesis.tex", wanted())


def test_two_jobs_do_not_share_a_folder(tmp_path):
    place = tmp_path / "new"
    with manifest.locked(place), pytest.raises(manifest.FolderError, match="another job is"), manifest.locked(place):
        pass
    with manifest.locked(tmp_path / "new"):  # free again
        pass


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_a_set_is_a_sequence(kind, tmp_path):
    parts, held = made(tmp_path, kind)
    whole = np.concatenate([held.read(batch)["samples"] for batch in parts])
    samples = Samples(tmp_path)
    assert samples.shape == whole.shape == (len(samples), *SHAPES[kind])
    np.testing.assert_array_equal(samples.array(), whole)
    np.testing.assert_array_equal(np.stack(list(samples)), whole)
    for index in (0, 3, 4, 9, -1, -10):
        np.testing.assert_array_equal(samples[index], whole[index])
    for index in (slice(2, 9), slice(None, None, -3), slice(4, 4), slice(8, 100)):
        np.testing.assert_array_equal(samples[index], whole[index])
    assert samples.labels.tolist() == [i % 3 for i in range(10)]
    for index in (10, -11):
        with pytest.raises(IndexError):
            samples[index]
    assert samples.damaged() == []


def test_a_set_with_holes_and_a_damaged_one(tmp_path):
    parts, held = made(tmp_path, "safetensors")
    samples = Samples(tmp_path)
    held.path(parts[2]).write_bytes(b"x" * 100)
    assert samples.damaged() == [parts[2]]
    with pytest.raises(ValueError, match=r"shard-000002.safetensors is damaged.*run the same command again"):
        samples.array()
    held.path(parts[2]).unlink()
    with pytest.raises(ValueError, match=r"1 of 3 batches are missing .* batch 2 \(samples 8 to 9\); run the command"):
        Samples(tmp_path)
    with pytest.raises(ValueError, match=r"holds no manifest.json"):
        Samples(tmp_path / "nowhere")


def test_a_set_as_one_file(tmp_path):
    from safetensors.numpy import load_file

    made(tmp_path / "set", "safetensors")
    found = load_file(merge(tmp_path / "set", tmp_path / "all.safetensors"))
    np.testing.assert_array_equal(found["samples"], Samples(tmp_path / "set").array())
    assert found["indices"].tolist() == list(range(10))
    assert set(found) == {"samples", "indices", "labels"}
    with pytest.raises(FileNotFoundError, match=r"is no folder; make it, or choose another place.*nowhere"):
        merge(tmp_path / "set", tmp_path / "nowhere" / "all.safetensors")


def test_the_manifest_is_plain_json(tmp_path):
    made(tmp_path, "safetensors")
    found = json.loads((tmp_path / "manifest.json").read_text())
    assert found["command"] == ["command"]
    assert found["versions"]["numpy"] == np.__version__
    assert str(Batch(2, 8, 2)) == "batch 2 (samples 8 to 9)"
