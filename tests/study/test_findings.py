"""The sentences of the report follow the numbers, whatever they are."""

import numpy as np
import pytest

from numdiff.study import findings, summaries
from numdiff.study.settings import DigitsSettings, Spec
from numdiff.study.tables import Table

PLMS = Spec("PLMS4", "plms", 4)
SETTINGS = DigitsSettings(
    grids=("uniform-t", "log-snr"),
    nfe=(5, 10),
    methods=(
        Spec("DDIM", "ddim"),
        PLMS,
        Spec("HB(PLMS4)", "hb", beta="4/5", base=PLMS),
        Spec("GHVB4", "ghvb", 4, "4/5", weights="uniform"),
        Spec("GHVB3", "ghvb", 3, "4/5", weights="uniform"),
    ),
)
REFERENCE = {"method": "AB3", "steps": 100, "to_half_resolution": 2e-5, "to_other_method": 1e-5, "error": 2e-5}
REFERENCE |= {"agreement": 1.0, "frechet": 2.0, "overshoot": 0.1}


def digits(seed, diverged=()):
    """Results with random errors for two strengths of guidance."""
    rng = np.random.default_rng(seed)
    results = {}
    for guidance in (1.0, 4.0):
        runs = []
        for grid in SETTINGS.grids:
            for nfe in SETTINGS.nfe:
                for spec in SETTINGS.methods:
                    line = {"method": spec.label, "grid": grid, "nfe": nfe, "evaluations": nfe, "diverged": False}
                    if (spec.label, grid) in diverged:
                        runs.append({**line, "diverged": True})
                        continue
                    rmse, overshoot, agreement = rng.uniform(0.01, 1, 3)
                    line |= {"rmse": rmse, "rmse_se": rmse / 100, "median": rmse / 2, "worst": 2 * rmse, "seconds": 0.1}
                    runs.append({**line, "overshoot": overshoot, "agreement": agreement, "frechet": 3.0})
        results[guidance] = {"guidance": guidance, "runs": runs, "reference": REFERENCE, "threads": 1}
    return results


@pytest.mark.parametrize("seed", range(5))
def test_the_best_is_the_smallest_of_those_that_stayed_finite(seed):
    results = digits(seed, diverged={("DDIM", "log-snr")})
    for guidance, sentence in zip(results, findings.bests(results, 10), strict=True):
        finite = [r for r in results[guidance]["runs"] if r["nfe"] == 10 and not r["diverged"]]
        first = min(finite, key=lambda r: r["rmse"])
        assert f"{first['method']} on the {first['grid']} grid comes closest" in sentence
        assert findings.significant(first["rmse"], 2) in sentence


def test_a_tie_is_called_one():
    results = digits(0)
    runs = summaries.pick(results[1.0]["runs"], grid="uniform-t", nfe=5)
    for run, rmse in zip(runs, (0.5, 0.10, 0.102, 0.2, 0.3), strict=True):
        run |= {"rmse": rmse, "rmse_se": 0.001}
    first, ties = findings.winner(runs)  # 0.002 is less than twice 0.001 sqrt(2)
    assert (first["method"], ties) == ("PLMS4", ["HB(PLMS4)"])
    runs[2]["rmse"] = 0.104
    assert findings.winner(runs)[1] == []


def test_momentum_is_counted_against_its_own_base():
    assert summaries.bases(SETTINGS) == {"HB(PLMS4)": "PLMS4", "GHVB4": "PLMS4"}  # GHVB3's base, PLMS3, did not run
    results = digits(1, diverged={("GHVB4", "log-snr")})
    for run in results[1.0]["runs"]:
        if not run["diverged"]:
            run["rmse"] = {"PLMS4": 0.2, "HB(PLMS4)": 0.1, "GHVB4": 0.4}.get(run["method"], 1.0)
            # the reference's is 0.1: HB meets it; GHVB4's is smaller than its base's, and further away from it
            run["overshoot"] = {"PLMS4": 0.15, "GHVB4": 0.01}.get(run["method"], 0.1)
    sentence = findings.momentum(results, SETTINGS)[0]
    # 4 pairs of HB, half the error each; 2 of GHVB4 on the grid where it stayed finite, twice the error
    assert "in 4 of 6 comparisons and brings the overshoot closer to the reference's in 4" in sentence
    assert f"ratios is {2 ** (-2 / 6):.2f}" in sentence
    assert summaries.rmse_ratio(results[1.0]["runs"], "GHVB4", "PLMS4", "log-snr", 5) is None
    assert (
        "helps most where HB(PLMS4) has 0.50 times the error of PLMS4"
        in findings.extremes({1.0: results[1.0]}, SETTINGS)[0]
    )


def test_tables_stand_even_where_everything_diverged():
    everything = {(spec.label, grid) for spec in SETTINGS.methods for grid in SETTINGS.grids}
    results = digits(0, diverged=everything)
    assert findings.bests(results, 5) == []
    assert findings.momentum(results, SETTINGS) == []
    assert findings.extremes(results, SETTINGS) == []
    assert ", and 20 diverged." in findings.agreement(results)[0]
    tables = [
        findings.winners(results, SETTINGS, "t"),
        summaries.errors(results[1.0]["runs"], "log-snr", SETTINGS.nfe, "t"),
        summaries.judged(results[1.0]["runs"], "log-snr", SETTINGS.nfe, REFERENCE, "t"),
        summaries.momentum(summaries.bases(SETTINGS), results, "log-snr", SETTINGS.nfe, "t"),
        summaries.times(results[1.0]["runs"], "log-snr", SETTINGS.nfe, "t"),
    ]
    assert all(isinstance(table, Table) for table in tables)
    assert "diverged" in tables[1].markdown()
    assert findings.reference(results)[0].endswith("from the other method.")


def case(method, slope, expected, problem="p", grid="alternating"):
    spread = {} if slope is None else {"low": slope - 0.1, "high": slope + 0.1}
    base = {"problem": problem, "grid": grid, "start": "runge-kutta", "method": method, "claimed": 3, "certified": 3}
    return {**base, "expected": expected, "slope": slope, **spread}


def test_slopes_away_from_theory_are_named():
    cases = [case("A", 2.9, 3), case("B", 2.6, 3), case("C", 3.5, 3), case("D", None, 3)]
    sentences = findings.orders({"cases": cases, "tolerance": 0.3})
    assert sentences[0] == "Of 4 observed orders, 1 lie within 0.3 of what theory expects."
    assert "above it" in sentences[1]
    assert "(C on p)" in sentences[1]
    assert "below it (B on p)" in sentences[2]
    assert "without a slope (D on p)" in sentences[3]
    table = summaries.orders(cases, "t").markdown()
    assert "2.90 ± 0.10 |" in table
    assert "2.60 ± 0.10* |" in table
    assert "no slope" in table


def test_claims_that_are_not_proved_are_named():
    row = {"name": "AB2", "order": 2, "claimed_order": 2, "beta": None, "family": "Adams-Bashforth", "k": 2}
    assert "for every one of them" in findings.schemes([row])[0]
    wrong = findings.schemes([row, {**row, "name": "3M", "claimed_order": 3}])[0]
    assert "for 1 of them" in wrong
    assert "3M (claims 3, proved 2)" in wrong
