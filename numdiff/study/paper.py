"""The text of the report. What is always true is written here; what this run found is asked of `findings`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numdiff.study import findings, summaries
from numdiff.study.page import Page
from numdiff.study.settings import SYMBOL, Settings
from numdiff.study.summaries import joined
from numdiff.study.tables import significant

Row = Mapping[str, Any]
Digits = Mapping[float, Row]

TITLE = "Samplers with momentum, derived, validated and run"
M = "\N{MINUS SIGN}"


def compose(root: Path, settings: Settings, records: Mapping[str, Row], digits: Digits, provenance: Row) -> str:
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
    seconds = sum(provenance["seconds"].values())
    reduced = " Reduced settings: fewer cases and samples than the full study." if settings.name == "fast" else ""
    page.raw(f"<h1>{TITLE}</h1>")
    page.raw(
        f'<p class="meta">numdiff {provenance["versions"]["numdiff"]}, {settings.name} study, seed {settings.seed}; '
        f"{seconds:.0f} s of computing.{reduced}</p>"
    )


def _abstract(page: Page, settings: Settings, results: Mapping[str, Any], digits: Digits) -> None:
    part = settings.digits
    page.raw('<div class="abstract"><h2>Abstract</h2>')
    opening = """Fixed-step samplers of diffusion models are explicit general linear methods, and one definition of each
        serves to derive it, to prove its order and stability, and to run it."""
    page.paragraph([opening, *findings.schemes(results["schemes"]["schemes"]), findings.orders(results["orders"])[0]])
    setting = f"""A trained, class-conditional model of handwritten digits is sampled by {len(part.methods)} methods
        from the same {part.samples} noises, and compared with a fine reference solution of its own differential
        equation."""
    middle = part.nfe[len(part.nfe) // 2]
    page.paragraph([setting, *findings.bests(digits, middle), *findings.momentum(digits, part)])
    page.raw("</div>")


def _schemes(page: Page, rows: list[Row]) -> None:
    page.section("Derived schemes")
    page.paragraph(
        f"""One step among equal ones is x + h Σ w f over past evaluations f, for GHVB over past velocities. Heavy ball
        (HB) and Nesterov momentum (NT) of damping β average what Adams-Bashforth (AB) adds up, v ← (1 {M} β) v + β p;
        generalized heavy ball (GHVB) averages the evaluations before they are extrapolated. From the coefficients
        alone follow the stability polynomial; the order, proved by exact order conditions and the root condition; the
        error constant C of the local error C hᵖ⁺¹ x⁽ᵖ⁺¹⁾; and the largest intervals ({M}x, 0) and ({M}iy, iy) on which
        the root condition holds, by exact isolation of the points where a root can cross the unit circle."""
    )
    symbolic = [row for row in rows if row["beta"] in (None, SYMBOL)]
    page.table(summaries.schemes(symbolic, "Weights, certified orders and error constants; β is a symbol in (0, 2)."))
    note = """Exact; root0(P_3) stands for the first real zero of a polynomial of degree 3 in x, or in y² on the
        imaginary axis, which is given in data/schemes.json."""
    page.table(summaries.intervals(symbolic, f"Stability intervals ({M}x, 0) and ({M}iy, iy)."), note)
    page.paragraph([*findings.schemes(rows), *findings.gains(rows)])
    if any(row["beta"] not in (None, SYMBOL) for row in rows):
        caption = "The momentum families at numerical dampings: error constants and lengths of the real interval."
        page.table(summaries.dampings(rows, caption))


def _regions(page: Page, result: Row) -> None:
    page.section("Stability regions")
    page.paragraph(
        """On x' = λx a run stays bounded where all roots of the stability polynomial at z = hλ lie in the unit disc,
        those on the circle being simple. On equal steps PLMS is Adams-Bashforth."""
    )
    for family in dict.fromkeys(panel["family"] for panel in result["panels"]):
        panels = [panel for panel in result["panels"] if panel["family"] == family]
        title = f"Stability regions of {panels[0]['title']}"
        caption = f"""{title}, k = 1 to {len(panels)}, for several dampings. Panels have their own scales, and regions
            may go on beyond them. Numbers: data/regions.json."""
        page.figure(f"figures/stability_{family}.svg", caption, title)


def _orders(page: Page, settings: Settings, result: Row) -> None:
    part = settings.orders
    page.section("Observed orders")
    page.paragraph(
        f"""Every method runs with {joined(map(str, part.steps))} steps on equations with closed solutions
        ({joined(part.odes)}) and on the probability flow of a Gaussian mixture ({joined(part.mixtures)}), whose exact
        noise prediction and reference flow are known. The slope of log error against log step is fitted where it is
        steady, with the 95 % confidence interval of the fit. Starts: with lower orders, by Runge-Kutta steps, or exact.
        Grids: uniform in time or log-SNR, or alternating steps h, 2h. Theory expects the claimed order after a start of
        that order; at most 2 after a lower-order start; and from weights made for equal steps (published) at most 2 on
        a smooth grid and 1 on alternating steps. Published GHVB is expected at 2 on equal steps too: its weights are
        those of a velocity that has been averaged forever, while a run begins with v₀ = f₀, which differs from that
        velocity by O(h). The difference decays by |1 {M} β| a step; what it adds up to in the first few steps
        is O(h²), and stays in the sample."""
    )
    page.paragraph(findings.orders(result))
    caption = """Error against steps after a Runge-Kutta start: weights made for equal steps (published) and for the
        actual ones. Thin lines have slopes 1, 2 and 3. Numbers: data/orders.json."""
    page.figure("figures/orders.svg", caption, "Error against steps for several methods, problems and grids")
    page.paragraph(findings.ceiling(result))
    note = """Headings name grid and start. One-step methods need no start. An asterisk marks slopes away from what
        theory expects."""
    for problem in dict.fromkeys(case["problem"] for case in result["cases"]):
        cases = [case for case in result["cases"] if case["problem"] == problem]
        caption = f"Observed orders on {problem} beside the claimed (and proved) ones."
        page.table(summaries.orders(cases, caption), note)


def joined_shape(shape: list[int]) -> str:
    """Return "8x8" with a multiplication sign."""
    return "\N{MULTIPLICATION SIGN}".join(map(str, shape))


def _setting(page: Page, settings: Settings, digits: Digits) -> None:
    part, first = settings.digits, next(iter(digits.values()))
    strengths = joined(f"{w:g}" for w in digits)
    page.section("A trained model: the comparison")
    page.paragraph(
        f"""The model is a class-conditional denoiser of {joined_shape(first["shape"])} digits with
        {first["parameters"] / 1e6:.1f} million parameters, trained on real scans. {part.samples} samples, spread evenly
        over the classes, start from the same noises for every method. Methods get {joined(map(str, part.nfe))} model
        evaluations (NFE) and start with lower orders; one with s evaluations a step makes ⌊NFE/s⌋ steps and is marked †
        where that leaves some unused, as Heun's two a step do of an odd number. The schedule is
        {_schedule(first["problem"])}. The grids ({joined(part.grids)}) end at that same small noise level, so that no
        method needs a special last step. Classifier-free guidance of strength w ({strengths}) mixes in the null class
        and counts as one evaluation; w = 1 is the plain conditional model."""
    )
    page.paragraph(
        f"""The error of a sample is the root mean square over pixels (grey values from {M}1 to 1) of its distance to a
        reference solution from the same noise. The RMSE is taken over all samples; the few that end elsewhere dominate
        it, so the median error stands beside it."""
    )
    page.paragraph(findings.reference(digits))


def _schedule(problem: Row) -> str:
    """Return the schedule with its two ends, in words and numbers."""
    return (
        f"{problem['schedule']}, from t = {problem['from']['time']:g} (log-SNR {problem['from']['log_snr']:.2f}) to "
        f"t = {problem['to']['time']:g} (log-SNR {problem['to']['log_snr']:.2f}, sigma = "
        f"{significant(problem['to']['sigma'], 3)})".replace("-SNR -", f"-SNR {M}")
    )


def _errors(page: Page, settings: Settings, digits: Digits) -> None:
    part = settings.digits
    page.section("Distance to the fine reference")
    for key, what in (("rmse", "RMSE"), ("median", "Median error per sample")):
        caption = f"""{what} against model evaluations, for every grid and strength of guidance. Values above 3 are not
            shown. Numbers: data/digits-*.json."""
        page.figure(f"figures/digits_{key}.svg", caption, f"{what} against evaluations")
    page.table(findings.winners(digits, part, "Which method comes closest to the reference; ± is one standard error."))
    first, *others = part.grids
    page.table(_error_table(settings, digits, next(iter(digits)), first))
    for guidance in list(digits)[1:]:
        page.table(_error_table(settings, digits, guidance, first))
    if others:
        tables = [_error_table(settings, digits, w, grid) for grid in others for w in digits]
        page.folded(f"The same on the {joined(others)} grids", tables)
    for nfe in part.nfe:
        caption = f"""The same noises sampled by every method with {nfe} evaluations on the {first} grid, the reference
            on top. Mosaics of the other grids are in figures/."""
        page.figure(f"figures/digits_{first}_{nfe}.png", caption, f"Digits drawn with {nfe} evaluations")


def _error_table(settings: Settings, digits: Digits, guidance: float, grid: str) -> Any:
    caption = f"Errors, guidance {guidance:g}, {grid} grid; the smallest of each column is bold."
    return summaries.errors(digits[guidance]["runs"], grid, settings.digits.nfe, caption)


def _momentum(page: Page, settings: Settings, digits: Digits) -> None:
    part, pairs = settings.digits, summaries.bases(settings.digits)
    page.section("What momentum does")
    page.paragraph(
        """Momentum damps: it gives up accuracy for a larger stability region. It should cost something where its base
        is stable anyway, and help where strong guidance or large steps make the base overshoot. The runs say:"""
    )
    page.paragraph([*findings.momentum(digits, part), *findings.extremes(digits, part)])
    for grid in part.grids:
        caption = f"RMSE with momentum over the RMSE of its base, {grid} grid; below 1 (bold) momentum helps."
        page.table(summaries.momentum(pairs, digits, grid, part.nfe, caption))


def _verdicts(page: Page, settings: Settings, digits: Digits) -> None:
    part = settings.digits
    page.section("Agreement, Fréchet distance, overshoot, time")
    page.paragraph(
        """A separately trained classifier says how many samples show the requested digit, and its features give a
        Fréchet distance (squared, like FID) to the training scans. Overshoot is the root mean square of what lies
        beyond the range of the data's grey values. The reference's own values are the measure: they belong to the
        model, not to a solver."""
    )
    page.paragraph(findings.agreement(digits))
    for guidance, result in digits.items():
        caption = f"Verdicts, guidance {guidance:g}, {part.grids[0]} grid."
        page.table(summaries.judged(result["runs"], part.grids[0], part.nfe, result["reference"], caption))
    guidance, result = next(iter(digits.items()))
    threads = findings.plural(result["threads"], "thread")
    caption = f"Wall-clock time of one run of all {part.samples} samples, guidance {guidance:g}, {threads}."
    page.table(summaries.times(result["runs"], part.grids[0], part.nfe, caption))


def _limits(page: Page, settings: Settings, digits: Digits) -> None:
    part, strongest = settings.digits, max(digits)
    overshoot = significant(digits[strongest]["reference"]["overshoot"], 2)
    page.section("Limitations")
    page.items(
        [
            """One small model of one data set. Which sampler is best depends on the model, the schedule, the grid and
            the guidance, as the tables show even here.""",
            """Distance to the reference ranks solvers; it is not the quality of images. A solver that errs can
            please the classifier more than the reference does.""",
            f"""The Fréchet distance of {part.samples} samples is biased upwards; compare only entries of these tables
            with one another.""",
            f"""Guidance {strongest:g} takes the reference itself {overshoot} (root mean square) beyond the grey values
            of the data: not every artefact is the solver's.""",
            """Grids and dampings were not tuned. Runs on digits start with lower orders, as samplers do in
            practice.""",
            """Observed orders are slopes over a finite range of steps; certified orders hold in the limit, after exact
            starting values.""",
            "Stability regions and intervals refer to equal steps and a scalar linear equation.",
            "Every time is of a single run, on a machine that may have been doing other things.",
        ]
    )


def _provenance(page: Page, provenance: Row) -> None:
    page.section("Provenance")
    versions = ", ".join(f"{name} {version}" for name, version in provenance["versions"].items())
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in provenance["seconds"].items())
    page.paragraph(
        f"""Seed {provenance["seed"]}; {versions}; {findings.plural(provenance["cpu_count"] or 1, "CPU")}. Durations:
        {seconds}. The numbers behind every figure and table, with seed, versions and settings, are in data/*.json and
        tables/*.json beside this report; study.json lists all files with their SHA-256. The same seed, versions and
        settings give the same numbers, up to the rounding of other processors, except for times."""
    )
    page.details("All settings", json.dumps(provenance["settings"], indent=1))
