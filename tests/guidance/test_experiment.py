"""The experiment on digits: equal evaluations, as counted where they are spent, and a figure of what was measured."""

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("kind", "scale"), [("free", 1.0), ("free", 7.0), ("through", 4.0), ("beside", 4.0)])
def test_every_solver_stays_in_its_budget_and_fills_it(kind, scale):
    from experiments.guidance.config import SOLVERS
    from experiments.guidance.measure import compute, cost

    found = compute(kind, scale, samples=4, seed=0, budgets=[24], reference_steps=8, grid="log-snr")
    assert len(found["runs"]) == len(SOLVERS) - (kind != "free")
    for run in found["runs"]:
        spent = run["calls"]["network"] + run["calls"]["backward"]
        assert spent <= 24
        assert spent > 24 - cost(SOLVERS[run["solver"]], kind, scale)


def test_the_figure_and_the_tables_are_made_of_the_kept_results(tmp_path, monkeypatch):
    import sys

    from experiments.guidance import plot

    monkeypatch.setattr(sys, "argv", ["plot", "--out", str(tmp_path)])
    plot.main()
    text = (tmp_path / "tables.md").read_text()
    assert text == plot.KEPT.with_suffix(".md").read_text()
    assert "**free, 24 evaluations**" in text
    assert "CFG++ 0.6, DDIM" in text
    assert (tmp_path / "guidance.png").stat().st_size > 50_000
