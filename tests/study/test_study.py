"""The whole study, small: every file is there, the report stands alone, and what it says is what was computed."""

import base64
import dataclasses
import json
import re
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser

import numpy as np
import pytest

from numdiff.study import FAST, FULL, digits, draw, orders, regions, run
from numdiff.study.progress import Progress
from numdiff.study.settings import SYMBOL, DigitsSettings, OrderSettings, RegionSettings, SchemeSettings, Settings, Spec
from numdiff.study.threads import limited

pytestmark = pytest.mark.slow  # each needs a whole study
PLMS2 = Spec("PLMS2", "plms", 2)
TINY = Settings(
    name="tiny",
    seed=3,
    guidance=(1.0, 3.0),
    schemes=SchemeSettings(adams=(1, 2), heavy_ball=(1,), ghvb=(2,), nesterov=(), betas=(SYMBOL, "4/5")),
    regions=RegionSettings(orders=(1, 2), betas=("1", "1/2"), points=41),
    orders=dataclasses.replace(
        FAST.orders,
        steps=(10, 20, 40),
        points=4,
        ode_methods=(Spec("AB1", "ab", 1), Spec("AB3", "ab", 3), Spec("Heun", "heun")),
    ),
    digits=DigitsSettings(
        samples=20,
        nfe=(3, 4),
        grids=("uniform-t", "log-snr"),
        methods=(Spec("DDIM", "ddim"), PLMS2, Spec("HB(PLMS2)", "hb", beta="4/5", base=PLMS2), Spec("Heun", "heun")),
        reference_steps=60,
    ),
)
QUIET = Progress(quiet=True)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    out = tmp_path_factory.mktemp("study")
    return run(out, TINY, progress=QUIET).parent


def result(study, name):
    return json.loads((study / "data" / f"{name}.json").read_text())["result"]


def names(study):
    return {p.relative_to(study).as_posix(): p.stat().st_mtime_ns for p in study.rglob("*") if p.is_file()}


def test_every_promised_file_is_there(study):
    found = set(names(study))
    assert {
        f"tables/{name}.{form}" for name in ("schemes", "orders", "digits") for form in ("md", "tex", "json")
    } <= found
    curves = ("stability_hb", "stability_ghvb", "orders", "digits_rmse", "digits_median")
    assert {f"figures/{name}.{form}" for name in curves for form in ("pdf", "png", "svg")} <= found
    assert {f"figures/digits_{grid}_{nfe}.png" for grid in TINY.digits.grids for nfe in TINY.digits.nfe} <= found
    stages = {"schemes", "regions", "orders", "digits-guidance-1", "digits-guidance-3"}
    assert {f"data/{name}.json" for name in stages} <= found
    manifest = json.loads((study / "study.json").read_text())
    assert set(manifest["files"]) | {"study.json"} == found
    assert not [name for name in found if "/." in name]  # no temporary files


def test_numbers_come_with_seed_versions_and_settings(study):
    for path in [*(study / "data").iterdir(), *(study / "tables").glob("*.json"), study / "study.json"]:
        record = json.loads(path.read_text())
        assert record["seed"] == 3, path
        assert {"python", "numdiff", "numpy", "torch"} <= set(record["versions"]), path
        assert record["settings"], path


class Links(HTMLParser):
    """Collects addresses, and checks that every element is closed in order."""

    VOID = frozenset({"meta", "img", "br", "link", "mspace"})

    def __init__(self):
        super().__init__()
        self.addresses, self.open, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.addresses += [v for k, v in attrs if k in ("src", "href", "srcset", "action", "data")]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "img":
            assert dict(attrs)["alt"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)


@pytest.fixture(scope="module")
def page(study):
    parser = Links()
    source = (study / "report.html").read_text()
    parser.feed(re.sub(r"(<mspace[^>]*)/>", r"\1>", source))
    assert parser.open == []
    return source, parser.addresses, " ".join(" ".join(parser.text).split())


def test_the_report_stands_alone(page):
    source, addresses, _ = page
    assert addresses
    assert all(address.startswith("data:image/") for address in addresses)
    style = re.search("<style>(.*?)</style>", source, re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style
    assert "<script" not in source
    for address in addresses:
        head, data = address.split(",", 1)
        content = base64.b64decode(data, validate=True)
        assert content.startswith(b"\x89PNG" if "png" in head else b"<?xml")
        assert b'href="http' not in content


def test_the_report_says_what_was_computed(study, page):
    _, _, text = page
    schemes = result(study, "schemes")["schemes"]
    assert f"{len(schemes)} schemes were derived" in text
    cases = result(study, "orders")["cases"]
    near = sum(c["slope"] is not None and abs(c["slope"] - c["expected"]) <= 0.3 for c in cases)
    assert f"Of {len(cases)} observed orders, {near} lie within 0.3" in text
    runs = [r for r in result(study, "digits-guidance-3")["runs"] if r["nfe"] == 4 and not r["diverged"]]
    best = min(runs, key=lambda r: r["rmse"])
    assert f"With guidance 3, 4 evaluations: {best['method']} on the {best['grid']} grid comes closest" in text
    assert "Reduced settings" not in text
    assert "Seed 3;" in text


def test_the_platform_is_described_by_versions_and_cpu_count_only(study, page):
    import platform

    for word in {platform.node(), platform.release(), str(study)} - {""}:
        for text in (page[2], (study / "study.json").read_text()):
            assert not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)


def test_a_second_run_changes_nothing(study):
    before = names(study)
    run(study, TINY, progress=QUIET)
    assert names(study) == before


def test_missing_and_edited_files_are_made_again(study):
    computed = {name: time for name, time in names(study).items() if name.startswith("data/")}
    spoilt = {name: (study / name).read_bytes() for name in ("figures/orders.svg", "report.html", "tables/digits.md")}
    (study / "figures" / "orders.svg").unlink()
    (study / "report.html").unlink()
    (study / "tables" / "digits.md").write_text("mine")
    run(study, TINY, progress=QUIET)
    # the same results give the same bytes: no dates, no random identifiers
    assert {name: (study / name).read_bytes() for name in spoilt} == spoilt
    (study / "study.json").write_text("{")
    run(study, TINY, progress=QUIET)
    assert json.loads((study / "study.json").read_text())["seed"] == 3
    assert {name: time for name, time in names(study).items() if name.startswith("data/")} == computed


def test_the_same_seed_gives_the_same_numbers(study, tmp_path):
    again = digits.compute(TINY.digits, TINY.seed, QUIET, 3.0)
    saved = result(study, "digits-guidance-3")
    for a, b in zip(again["runs"], saved["runs"], strict=True):
        assert {k: v for k, v in a.items() if k != "seconds"} == {k: v for k, v in b.items() if k != "seconds"}
    assert again["pictures"] == saved["pictures"]
    other = digits.compute(TINY.digits, TINY.seed + 1, QUIET, 3.0)
    assert other["runs"][0]["rmse"] != again["runs"][0]["rmse"]


def test_evaluations_are_counted_and_heun_spends_an_even_number(study):
    for r in result(study, "digits-guidance-1")["runs"]:
        assert r["evaluations"] == (2 * (r["nfe"] // 2) if r["method"] == "Heun" else r["nfe"])
        assert r["steps"] == r["evaluations"] // (2 if r["method"] == "Heun" else 1)


def test_the_reference_is_closer_to_the_truth_than_any_run_is_to_it(study):
    """Otherwise the table would rank methods by the reference's error."""
    for guidance in (1, 3):
        found = result(study, f"digits-guidance-{guidance}")
        assert found["reference"]["error"] < min(r["rmse"] for r in found["runs"] if not r["diverged"])


def test_pictures_are_the_samples(study):
    found = result(study, "digits-guidance-1")
    shown = digits.pixels(found["pictures"]["reference"][0], found["shape"])
    with limited(1):
        bench = digits.Bench(TINY.digits, TINY.seed, 1.0)
        bench.reference(QUIET)
    exact = (bench.truth[0].clamp(-1, 1) + 1).numpy().reshape(shown.shape) * 127.5
    assert np.abs(shown - exact).max() <= 0.5 + 1e-3  # rounding to whole grey values; float32 samples


def test_a_run_that_runs_away_is_a_result(monkeypatch):
    """Numbers beyond floating point are reported as divergence, not as a crash."""
    settings = dataclasses.replace(TINY.digits, samples=10, reference_steps=6)
    with limited(1):
        bench = digits.Bench(settings, 0, 1.0)
        bench.reference(QUIET)
        honest = bench.denoiser.forward
        monkeypatch.setattr(bench.denoiser, "forward", lambda x, t, y: honest(x, t, y) * 1e38)
        line, picture = bench.row(settings.methods[0], "uniform-t", 3)
    assert line["diverged"]
    assert picture is None
    assert "rmse" not in line


@pytest.mark.parametrize("name", orders.GRIDS)
@pytest.mark.parametrize("steps", [1, 7, 40])
def test_grids_go_from_0_to_1_with_bounded_ratios(name, steps):
    part = orders.fractions(name, steps, 5)
    lengths = np.diff(part)
    assert (part[0], part[-1], len(part)) == (0, 1, steps + 1)
    assert lengths.min() > 0
    ratios = np.maximum(lengths[1:] / lengths[:-1], lengths[:-1] / lengths[1:])
    bound = 1 if name in ("uniform", "log-snr") else 2
    assert np.all(ratios <= bound * (1 + 1e-9))  # rounding of the cumulative sum
    np.testing.assert_array_equal(part, orders.fractions(name, steps, 5))


def test_unknown_grid_names_are_refused():
    with pytest.raises(ValueError, match="grid must be one of"):
        orders.fractions("zigzag", 4, 0)


def test_regions_are_saved_as_they_are():
    mask = np.random.default_rng(0).random((13, 13)) < 0.5
    np.testing.assert_array_equal(regions.unpack(regions.pack(mask), mask.shape), mask)


def test_saved_regions_hold_the_real_interval(study):
    """Along the negative real axis the mask ends where the exact interval does, to a grid cell."""
    found = result(study, "regions")
    n = found["points"]
    for panel in found["panels"]:
        x = np.linspace(*panel["extent"][:2], n)
        for region in panel["regions"]:
            axis = regions.unpack(region["mask"], (n, n))[n // 2]
            if region["real_interval"] < -x[0]:
                assert abs(x[axis].min() + region["real_interval"]) <= x[1] - x[0]


def test_full_settings_hold_what_was_promised():
    part = FULL.digits
    assert part.nfe == (5, 8, 10, 20)
    assert len(part.methods) >= 8
    assert len(FAST.digits.methods) >= 8
    assert set(FULL.regions.betas) == {"1", "4/5", "1/2", "1/5"}
    assert FULL.schemes.adams == (1, 2, 3, 4, 5)
    assert {1.0, 4.0} <= set(FULL.guidance)
    for settings in (FULL, FAST):
        for spec in (*settings.digits.methods, *settings.orders.ode_methods, *settings.orders.mixture_methods):
            assert spec.method().name
        assert {c[3] for c in orders.cases(settings.orders)} >= {"lower", "runge-kutta"}
    assert isinstance(FULL.orders, OrderSettings)
    assert set(draw.COMPARED) <= {spec.label for spec in FULL.orders.ode_methods + FULL.orders.mixture_methods}


def test_the_command_is_interrupted_and_resumed(tmp_path):
    """SIGINT in the middle of the real thing; the next run keeps what was done and finishes."""
    command = [sys.executable, "-m", "numdiff", "study", "--fast", "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not (tmp_path / "data" / "regions.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.splitlines()[-1].startswith("numdiff: interrupted; what was done is kept")
    assert "Traceback" not in err
    done = {p.name for p in (tmp_path / "data").iterdir()}
    assert {"schemes.json", "regions.json"} <= done
    assert not (tmp_path / "report.html").exists()
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stderr.count("kept from an earlier run") == len(done)
    assert found.stdout.strip() == str(tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size > 100_000
