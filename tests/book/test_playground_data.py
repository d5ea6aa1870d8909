"""The playground's data: noise that other implementations agree on, programs that come back as they went in."""

import re
import struct
from base64 import b64decode

import numpy as np
import pytest

from book.tools import playground
from book.tools.playground_methods import offers, summary_of, titles
from book.tools.playground_noise import normals, philox
from book.tools.playground_programs import Archive, numbers_of, runs
from numdiff.methods import FAMILIES

ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES,) * 4, (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_words(counter, key, words):
    """The known answers that come with Random123, of the authors of Philox."""
    assert philox(counter, key).tolist() == list(words)


def test_noise_is_standard_normal_and_its_streams_are_not_correlated():
    n = 20_000
    streams = np.stack([normals(3, n), normals(3, n, 0), normals(3, n, 0, 1), normals(3, n, 1), normals(4, n)])
    x = streams.transpose(0, 2, 1).reshape(10, n)
    assert np.abs(x.mean(1)).max() < 5 / np.sqrt(n)
    assert np.abs(x @ x.T / n - np.eye(10)).max() < 5 * np.sqrt(2 / n)
    assert np.array_equal(normals(3, 7), normals(3, 50)[:7])  # a particle's noise does not depend on how many there are


def test_every_family_is_on_offer_under_keys_fit_for_links():
    keys = [offer.key for offer in offers()]
    assert {offer.family for offer in offers()} == set(FAMILIES)
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch(r"[a-z0-9_-]+", key) and "--" not in key and "__" not in key for key in keys)


def test_titles_tell_the_families_apart_and_fit_a_menu():
    found = titles()
    assert set(found) == set(FAMILIES)
    assert len(set(found.values())) == len(found)
    for title in found.values():
        assert title.count("(") == title.count(")")
        assert len(title) <= 45
        assert title[0].isupper() or title[1].isupper()


def test_only_members_with_noise_say_that_they_add_it():
    for offer in offers():
        if not offer.method().stochastic:
            assert "with noise" not in summary_of(offer)


def _offer(key):
    return next(offer for offer in offers() if offer.key == key)


@pytest.mark.parametrize(
    ("key", "schedule", "grid", "own"),
    [
        ("ghvb_3_4-5", "vp-linear", "karras", 2),
        ("strang", "flow", "log-snr", 2),
        ("flow-heun", "vp-linear", "optimized", 4),
    ],
)
def test_stored_programs_are_the_schemes(key, schedule, grid, own):
    scheme = playground.scheme(_offer(key), schedule, grid, 6)
    nodes = [] if grid == "optimized" else [numbers_of(level) for level in scheme.levels]
    archive = Archive()
    archive.add(scheme, nodes)  # so that the numbers of the next do not begin at 0
    entry = archive.add(scheme, nodes)
    document = archive.document()
    assert document["width"] == own
    raw = b64decode(document["numbers"])
    numbers = iter(struct.unpack(f"<{len(raw) // 8}d", raw)[entry["n"] :])
    patterns = [p for p, count in zip(entry["p"][::2], entry["p"][1::2], strict=True) for _ in range(count)]
    for tableau, number in zip(scheme, patterns, strict=True):
        pattern = document["patterns"][number]
        for stored, row in zip(
            (*pattern["s"], *pattern["o"]), (*tableau.plan.stages, *tableau.plan.outputs), strict=True
        ):
            assert [(k, next(numbers)) if k >= 0 else (-1 - k, 1.0) for k in stored] == list(row)
        assert pattern["t"] == [int(tag == "condition") for tag in tableau.tags]
    places = entry.get("l") or [n for i, t in enumerate(scheme) for n in (*(i for _ in t.levels), i + 1)]
    levels = [level for tableau in scheme for level in (*tableau.levels, tableau.target)]
    found = [None if k is None else nodes[k] if k >= 0 else archive.levels[-1 - k] for k in places]
    assert found == [None if level is None else numbers_of(level) for level in levels]


def test_runs_count_what_follows_one_another():
    assert runs([4, 4, 4, 0, 4]) == [4, 3, 0, 1, 4, 1]


def test_what_cannot_be_laid_out_says_why():
    with pytest.raises(ValueError, match="needs at least 4 steps"):
        playground.scheme(_offer("ab_4"), "vp-linear", "log-snr", 3)
    with pytest.raises(ValueError, match="VP schedule only"):
        playground.scheme(_offer("ab_2"), "flow", "optimized", 5)
    with pytest.raises(ValueError, match="adds noise"):
        playground.scheme(_offer("sde-dpmpp_2"), "vp-linear", "optimized", 5)


def test_stored_steps_fall_and_are_better_than_where_the_search_began():
    schedule = playground.SCHEDULES["vp-linear"]
    ends = schedule.log_snr(schedule.T), schedule.log_snr(schedule.t_end)
    for entries in playground.stored("playground_steps")["steps"].values():
        for steps, entry in entries.items():
            points = [ends[0], *map(float, entry["log_snr"].split()), ends[1]]
            assert len(points) == int(steps) + 1
            assert np.all(np.diff(points) > 0)
            before, after = entry["objective"]
            assert after <= before


def test_steps_of_presets_are_used_where_they_ship():
    scheme = playground.scheme(_offer("unipc_3"), "vp-linear", "optimized", 10)
    shipped = playground.nd.optimize.preset("vp-linear", 10, "unipc-3").scheme()
    assert [level.time for level in scheme.levels] == [level.time for level in shipped.levels]
