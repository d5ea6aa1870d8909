"""The text of the report. What is always true is written here; what this run found is asked of `findings`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numdiff.study import findings, summaries
from numdiff.study.page import Page
from numdiff.study.settings import SYMBOL, Settings

Row = Mapping[str, Any]

TITLE = "Samplers with momentum, derived, validated and run"


def compose(
    root: Path, settings: Settings, records: Mapping[str, Row], digits: Mapping[float, Row], provenance: Row
) -> str:
    """Return the report as HTML; `root` holds the figures."""
    page = Page(f"numdiff study: {TITLE}", root)
    results = {name: record["result"] for name, record in records.items()}
    _head(page, settings, provenance)
    _abstract(page, settings, results, digits)
    _schemes(page, results["schemes"]["schemes"])
    _regions(page, results["regions"])
    _orders(page, settings, results["orders"])
    _setting(page, settings, digits)
    _errors(page, settings, digits)
    _momentum(page, settings, digits)
    _verdicts(page, settings, digits)
    _limits(page, settings, digits)
    _provenance(page, provenance)
    return page.document()


def _head(page: Page, settings: Settings, provenance: Row) -> None:
    page.raw(f"<h1>{TITLE}</h1>")
    seconds = sum(provenance["seconds"].values())
    reduced = " Reduced settings: fewer cases and samples than the full study." if settings.name == "fast" else ""
    page.raw(
        f'<p class="meta">numdiff {provenance["versions"]["numdiff"]}, {settings.name} study, seed {settings.seed}; '
        f"{seconds:.0f} s of computing.{reduced}</p>"
    )


def _abstract(page: Page, settings: Settings, results: Mapping[str, Any], digits: Mapping[float, Row]) -> None:
    page.raw('<div class="abstract"><h2>Abstract</h2>')
    opening = (
        "Fixed-step samplers of diffusion models are explicit general linear methods, and one definition of each serves to derive it, to prove its order and "
        "stability, and to run it."
    )
    middle = settings.digits.nfe[len(settings.digits.nfe) // 2]
    page.paragraph([opening, *findings.schemes(results["schemes"]["schemes"]), findings.orders(results["orders"])[0]])
    page.paragraph(
        [
            f"A trained, class-conditional model of handwritten digits is sampled by {len(settings.digits.methods)} methods from the same "
            f"{settings.digits.samples} noises, and compared with the exact solution of its own differential equation.",
            *findings.bests(digits, middle),
            *findings.momentum(digits, settings.digits),
        ]
    )
    page.raw("</div>")


def _schemes(page: Page, rows: list[Row]) -> None:
    page.section("Derived schemes")
    page.paragraph(
        "A step among equal ones is x + h Σ w f over past evaluations f, for GHVB over past velocities. Heavy ball (HB) and Nesterov momentum (NT) of damping β "
        "average what Adams-Bashforth (AB) adds up, v ← (1 − β) v + β p; generalized heavy ball (GHVB) averages the evaluations before they are extrapolated. "
        "From the coefficients alone follow the stability polynomial, the order (proved by exact order conditions and the root condition), the error constant C of "
        "a local error C h^(p+1) x^(p+1), and the largest intervals (−x, 0) and (−iy, iy) on which the root condition holds, by exact isolation of the points where a "
        "root can cross the unit circle."
    )
    symbolic = [row for row in rows if row["beta"] in (None, SYMBOL)]
    note = "root k (P d) stands for the k-th real zero of a polynomial of degree d in x, whose coefficients are in data/schemes.json."
    page.table(summaries.schemes(symbolic, "Schemes and their theory, exact, with β as a symbol in (0, 2)."), note)
    page.paragraph([*findings.schemes(rows), *findings.gains(rows)])
    page.table(
        summaries.dampings(
            rows,
            "The momentum families at numerical dampings: error constants and lengths of the real stability interval.",
        )
    )


def _regions(page: Page, result: Row) -> None:
    page.section("Stability regions")
    page.paragraph(
        "On x' = λx a run stays bounded where all roots of the stability polynomial at z = hλ lie in the unit disc, those on the circle being simple. On equal steps "
        "PLMS is Adams-Bashforth."
    )
    for family in dict.fromkeys(panel["family"] for panel in result["panels"]):
        panels = [panel for panel in result["panels"] if panel["family"] == family]
        title = panels[0]["title"]
        caption = f"Stability regions of {title}, k = 1 to {len(panels)}, for several dampings; panels have their own scales, and regions may go on beyond them."
        page.figure(
            f"figures/stability_{family}.svg", f"{caption} Numbers: data/regions.json.", f"Stability regions of {title}"
        )


def _orders(page: Page, settings: Settings, result: Row) -> None:
    part = settings.orders
    page.section("Observed orders")
    page.paragraph(
        f"Every method runs with {', '.join(map(str, part.steps))} steps on equations with closed solutions ({', '.join(part.odes)}) and on the probability flow of a "
        f"Gaussian mixture ({', '.join(part.mixtures)}), whose exact noise prediction and reference flow are known. The slope of log error against log step is fitted "
        "where it is steady; the interval is the 95 % confidence interval of the fit. Starts: with lower orders, by Runge-Kutta steps, or exact. Grids: uniform in time or log-SNR, or with "
        "alternating steps h, 2h. Theory expects the claimed order from a start of that order; at most 2 from a lower-order start; and from weights made for equal steps at most 2 "
        "on a smooth grid and 1 on alternating steps."
    )
    page.paragraph(findings.orders(result))
    caption = (
        "Error against steps after a Runge-Kutta start: weights made for equal steps (published) and for the actual ones. Thin lines have slopes 1, 2 and 3. "
        "Numbers: data/orders.json."
    )
    page.figure("figures/orders.svg", caption, "Error against number of steps for several methods, problems and grids")
    page.paragraph(findings.ceiling(result))
    note = "Headings name grid and start. One-step methods need no start and stand in the first column of their grid. * marks slopes away from theory."
    page.table(
        summaries.orders(
            result["cases"], "Observed orders beside the claimed (and proved) ones, with 95 % confidence."
        ),
        note,
    )


def _setting(page: Page, settings: Settings, digits: Mapping[float, Row]) -> None:
    part, first = settings.digits, next(iter(digits.values()))
    page.section("A trained model: the comparison")
    page.paragraph(
        f"The model is a class-conditional denoiser of 8×8 digits with {first['parameters'] / 1e6:.1f} million parameters, trained on real scans. "
        f"{part.samples} samples, spread evenly over the ten classes, start from the same noises for every method. Methods get "
        f"{', '.join(map(str, part.nfe))} model evaluations; one with s evaluations a step makes ⌊NFE/s⌋ steps and is marked † where that leaves some unused (Heun spends "
        "an even number). Grids are "
        f"{', '.join(part.grids)}, all ending at the same small noise level, so that no method needs a special last step. Classifier-free guidance of strength w uses the null "
        "class, and counts as one evaluation; w = 1 is the plain conditional model. "
        "The error of a sample is the root mean square over pixels (grey values from −1 to 1) of its distance to the reference solution from the same noise; the RMSE is over all samples and "
        "dominated by the few that end elsewhere, so the median stands beside it."
    )
    page.paragraph(findings.reference(digits))


def _errors(page: Page, settings: Settings, digits: Mapping[float, Row]) -> None:
    part = settings.digits
    page.section("Distance to the exact solution")
    for key, what in (("rmse", "RMSE"), ("median", "Median error per sample")):
        caption = f"{what} against model evaluations for every grid and strength of guidance. Values above 3 are not shown. Numbers: data/digits-*.json."
        page.figure(f"figures/digits_{key}.svg", caption, f"{what} against evaluations")
    caption = "Which method comes closest to the reference; ± is one standard error."
    page.table(findings.winners(digits, part, caption))
    for guidance, result in digits.items():
        caption = f"Errors with guidance {guidance:g} on the {part.grids[0]} grid; the smallest of each column is bold."
        page.table(summaries.errors(result["runs"], part.grids[0], part.nfe, caption), "All grids: tables/digits.md.")
    for nfe in part.nfe:
        caption = f"The same noises sampled by every method with {nfe} evaluations on the {part.grids[0]} grid; the reference is on top. The other grids are in figures/."
        page.figure(f"figures/digits_{part.grids[0]}_{nfe}.png", caption, f"Digits drawn with {nfe} evaluations")


def _momentum(page: Page, settings: Settings, digits: Mapping[float, Row]) -> None:
    part, pairs = settings.digits, summaries.bases(settings.digits)
    page.section("What momentum does")
    page.paragraph(
        "Momentum damps: it gives up accuracy for a larger stability region. It should cost something where a method is stable anyway, and help where strong guidance or large steps "
        "make its base overshoot. The runs say:"
    )
    page.paragraph([*findings.momentum(digits, part), *findings.extremes(digits, part)])
    for grid in part.grids:
        caption = f"RMSE with momentum over the RMSE of the base, {grid} grid; below 1 (bold) momentum helps."
        page.table(summaries.momentum(pairs, digits, grid, part.nfe, caption))


def _verdicts(page: Page, settings: Settings, digits: Mapping[float, Row]) -> None:
    part = settings.digits
    page.section("Agreement, Fréchet distance, overshoot, time")
    page.paragraph(
        "A separately trained classifier says how many samples show the requested digit, and its features give a Fréchet distance to the training scans. Overshoot is the root mean square of "
        "what lies beyond the range of grey values of the data. The reference's own values are the measure: they belong to the model."
    )
    page.paragraph(findings.agreement(digits))
    for guidance, result in digits.items():
        caption = f"Verdicts with guidance {guidance:g} on the {part.grids[0]} grid."
        page.table(summaries.judged(result["runs"], part.grids[0], part.nfe, result["reference"], caption))
    result = next(iter(digits.values()))
    caption = f"Wall-clock time of one run for all {part.samples} samples, guidance {next(iter(digits)):g}, {result['threads']} thread(s), measured once."
    page.table(summaries.times(result["runs"], part.grids[0], part.nfe, caption))


def _limits(page: Page, settings: Settings, digits: Mapping[float, Row]) -> None:
    part = settings.digits
    strongest = max(digits)
    reference = digits[strongest]["reference"]
    page.section("Limitations")
    page.items(
        [
            "One small model of one data set. Which sampler is best depends on the model, the schedule, the grid and the guidance, as the tables show even here.",
            "Distance to the exact solution ranks solvers; it is not the quality of images. A solver that errs can please the classifier more than the reference does.",
            f"The Fréchet distance of {part.samples} samples is biased upwards; compare only entries of these tables with one another.",
            f"Guidance {strongest:g} takes the reference itself {findings.significant(reference['overshoot'], 2)} (root mean square) beyond the grey values of the data: not every artefact is the "
            "solver's.",
            f"Grids: {', '.join(part.grids)}, each without tuning. Dampings: as named. Starts of the digits runs: lower order, as samplers do in practice.",
            "Observed orders are slopes over a finite range of steps; certified orders hold in the limit, on exact starting values.",
            "Stability regions and intervals refer to equal steps and a scalar linear equation.",
            "Times are of one run on a machine that may have been doing other things.",
        ]
    )


def _provenance(page: Page, provenance: Row) -> None:
    page.section("Provenance")
    versions = ", ".join(f"{name} {version}" for name, version in provenance["versions"].items())
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in provenance["seconds"].items())
    page.paragraph(
        f"Seed {provenance['seed']}; {versions}; {provenance['cpu_count']} CPUs. Durations: {seconds}. The numbers behind every figure and table, with seed, versions and settings, are in the files "
        "data/*.json and tables/*.json beside this report; study.json lists all files with their SHA-256. The same seed, versions and settings give the same numbers, up to the rounding of "
        "other processors, except for times."
    )
    page.details("All settings", json.dumps(provenance["settings"], indent=1))
