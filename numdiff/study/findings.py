"""What the results say, in sentences: every number and every comparison is taken from the results.

"Best" means the smallest RMSE to the reference among the runs at hand. A method is called indistinguishable from the
best where its RMSE lies within two standard errors of the difference, computed as if the two errors were independent;
they share their noises, so this errs on the side of a tie.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from numdiff.study.settings import SYMBOL, DigitsSettings
from numdiff.study.summaries import as_expected, bases, best, joined, pick, rmse_ratio
from numdiff.study.tables import Table, significant

Row = Mapping[str, Any]
Digits = Mapping[float, Row]


def plural(count: int, noun: str) -> str:
    """Return "1 case" or "2 cases"."""
    return f"{count} {noun}" + ("" if count == 1 else "s")


def strength(guidance: float) -> str:
    """Return how a sentence about one strength of guidance begins."""
    return "Without guidance" if guidance == 1 else f"With guidance {guidance:g}"


# --- schemes ----------------------------------------------------------------------------------------------------------


def schemes(rows: list[Row]) -> list[str]:
    """Say how many schemes there are, whether proofs and claims agree, and how many intervals have a formula."""
    wrong = [row for row in rows if row["order"] != row["claimed_order"]]
    agree = "for every one of them" if not wrong else f"for {len(rows) - len(wrong)} of them"
    text = f"{plural(len(rows), 'scheme')} were derived; {agree} the certified order is the one that the method claims."
    if wrong:
        text += (
            " The others: "
            + joined(f"{r['name']} (claims {r['claimed_order']}, proved {r['order']})" for r in wrong)
            + "."
        )
    symbolic = [row for row in rows if row["beta"] == SYMBOL]
    closed = [row for row in symbolic if row["real_interval"] and "root" not in row["real_interval"]["text"]]
    return [
        text,
        f"With the damping β left as a symbol, {len(closed)} of {len(symbolic)} real stability intervals have a "
        "closed form.",
    ]


def gains(rows: list[Row]) -> list[str]:
    """Say how the smallest numerical damping changes real intervals and error constants against the plain methods."""
    plain = {row["k"]: row for row in rows if row["family"] == "Adams-Bashforth"}
    found = []
    for family in dict.fromkeys(row["family"] for row in rows if row["beta"] not in (None, SYMBOL)):
        mine = [
            row for row in rows if row["family"] == family and row["beta"] not in (None, SYMBOL) and row["k"] in plain
        ]
        longer = [_ratio(row, plain[row["k"]], "real_interval") for row in mine]
        if longer:
            found.append(f"{_span(longer)} times ({family})")
    if not found:
        return []
    text = "At the dampings of the next table the real interval is"
    return [f"{text} {joined(found)} that of Adams-Bashforth of the same k."]


def _ratio(row: Row, other: Row, key: str) -> float:
    return float(row[key]["float"] / other[key]["float"])


def _span(values: Iterable[float]) -> str:
    """Return "1.2 to 9.5"."""
    values = list(values)
    low, high = significant(min(values), 2), significant(max(values), 2)
    return low if low == high else f"{low} to {high}"


# --- orders -----------------------------------------------------------------------------------------------------------


def orders(result: Row) -> list[str]:
    """Say how many slopes agree with theory, and which do not."""
    cases, tolerance = result["cases"], result["tolerance"]
    away = [c for c in cases if not as_expected(c, tolerance)]
    text = f"Of {len(cases)} observed orders, {len(cases) - len(away)} lie within {tolerance:g} of what theory expects."
    above = [c for c in away if c["slope"] is not None and c["slope"] > c["expected"]]
    below = [c for c in away if c["slope"] is not None and c["slope"] < c["expected"]]
    none = [c for c in away if c["slope"] is None]
    sentences = [text]
    for found, what in (
        (above, "above it, as may happen where the leading error is small and the next term still rules"),
        (below, "below it"),
        (none, "without a slope"),
    ):
        if found:
            sentences.append(
                f"{plural(len(found), 'case')} {'lies' if len(found) == 1 else 'lie'} {what} ({_cases(found)})."
            )
    return sentences


def _cases(cases: list[Row]) -> str:
    """Return methods and problems, each once."""
    methods: dict[str, dict[str, None]] = {}
    for c in cases:
        methods.setdefault(c["method"], {})[c["problem"]] = None
    return "; ".join(f"{method} on {joined(problems)}" for method, problems in methods.items())


def ceiling(result: Row) -> list[str]:
    """Compare published weights with weights for the actual steps, on the same grids and with a same-order start."""
    pairs = (("PLMS3 (published)", "AB3"), ("GHVB3(4/5) (published)", "GHVB3(4/5)"))
    cases = [c for c in result["cases"] if c["start"] == "runge-kutta" and c["slope"] is not None]
    sentences = []
    for problem, grid in dict.fromkeys((c["problem"], c["grid"]) for c in cases):
        here = {c["method"]: c["slope"] for c in cases if (c["problem"], c["grid"]) == (problem, grid)}
        known = [(old, new) for old, new in pairs if old in here and new in here]
        if known and grid != "uniform":
            what = joined(f"{old} {here[old]:.2f} against {here[new]:.2f} for {new}" for old, new in known)
            sentences.append(f"On {problem} with {grid} steps: {what}.")
    return sentences


# --- digits -----------------------------------------------------------------------------------------------------------


def reference(digits: Digits) -> list[str]:
    """Say how accurate the reference is, against the smallest error that is measured with it."""
    sentences = []
    for guidance, result in digits.items():
        ref, smallest = result["reference"], best(result["runs"])
        text = (
            f"{strength(guidance)} the reference ({ref['method']}, {ref['steps']} steps) differs by "
            f"{significant(ref['to_half_resolution'], 2)} from itself at half the steps and by "
            f"{significant(ref['to_other_method'], 2)} from {ref.get('other_method', 'the other method')}"
        )
        if smallest:
            times = smallest["rmse"] / ref["error"]
            text += (
                f"; the smallest error measured with it is {significant(smallest['rmse'], 2)}, {times:.0f} times that"
            )
        sentences.append(text + ".")
    return sentences


def winner(runs: list[Row]) -> tuple[Row | None, list[str]]:
    """Return the best run, and the methods (other than its own) that cannot be told from it."""
    first = best(runs)
    if first is None:
        return None, []
    ties = [r for r in runs if not r["diverged"] and r is not first and _tied(r, first)]
    return first, [r["method"] for r in ties]


def _tied(run: Row, first: Row) -> bool:
    return run["rmse"] - first["rmse"] <= 2 * math.hypot(run["rmse_se"], first["rmse_se"])


def winners(digits: Digits, settings: DigitsSettings, caption: str) -> Table:
    """Return which method is best at every number of evaluations, on the first grid and over all grids."""
    rows = []
    for guidance, result in digits.items():
        for nfe in settings.nfe:
            every = pick(result["runs"], nfe=nfe)
            here, ties = winner(pick(every, grid=settings.grids[0]))
            over = best(every)
            shown = ["diverged", "", ""] if here is None else [here["method"], _rmse(here), joined(ties)]
            shown += ["diverged", ""] if over is None else [f"{over['method']}, {over['grid']}", _rmse(over)]
            rows.append([f"{guidance:g}", str(nfe), *shown])
    head = ("guidance", "NFE", "best", "RMSE", "not to be told from it", "best", "RMSE")
    groups = (("", 2), (f"on the {settings.grids[0]} grid", 3), ("over all grids", 2))
    return Table(caption, head, rows, "rrlrwwr", groups)


def _rmse(run: Row) -> str:
    """Return the RMSE and its standard error to the same number of decimals."""
    decimals = max(0, -math.floor(math.log10(run["rmse_se"]))) if run["rmse_se"] > 0 else 4
    return f"{run['rmse']:.{decimals}f} ± {run['rmse_se']:.{decimals}f}"


def bests(digits: Digits, nfe: int) -> list[str]:
    """Say which method and grid come closest at one number of evaluations, and where DDIM stands on that grid."""
    sentences = []
    for guidance, result in digits.items():
        every = pick(result["runs"], nfe=nfe)
        first = best(every)
        if first is None:
            continue
        text = (
            f"{strength(guidance)}, {nfe} evaluations: {first['method']} on the {first['grid']} grid comes closest, "
            f"RMSE {significant(first['rmse'], 2)}"
        )
        ddim = [r for r in pick(every, method="DDIM", grid=first["grid"]) if not r["diverged"] and r is not first]
        sentences.append(text + "".join(f" (DDIM on that grid: {significant(r['rmse'], 2)})" for r in ddim) + ".")
    return sentences


def momentum(digits: Digits, settings: DigitsSettings) -> list[str]:
    """Count where momentum brings its base, and its base's overshoot, closer to the reference.

    The reference overshoots too, which is the model's doing: less overshoot than that is an error and no merit.
    """
    pairs, sentences = bases(settings), []
    for guidance, result in digits.items():
        found = [
            (pick(result["runs"], method=m, grid=g, nfe=n)[0], pick(result["runs"], method=b, grid=g, nfe=n)[0])
            for m, b in pairs.items()
            for g in settings.grids
            for n in settings.nfe
        ]
        both = [(a, b) for a, b in found if not a["diverged"] and not b["diverged"]]
        if not both:
            continue
        closer = sum(a["rmse"] < b["rmse"] for a, b in both)
        own = result["reference"]["overshoot"]
        calmer = sum(abs(a["overshoot"] - own) < abs(b["overshoot"] - own) for a, b in both)
        ratio = math.exp(sum(math.log(a["rmse"] / b["rmse"]) for a, b in both) / len(both))
        sentences.append(
            f"{strength(guidance)} momentum lowers the RMSE of its base in {closer} of {len(both)} comparisons and "
            f"brings the overshoot closer to the reference's in {calmer}; the geometric mean of the RMSE "
            f"ratios is {ratio:.2f}."
        )
    return sentences


def extremes(digits: Digits, settings: DigitsSettings) -> list[str]:
    """Say where momentum helps its base most, and where it harms it most."""
    pairs = bases(settings)
    found = [
        (ratio, m, b, g, n, w)
        for w, result in digits.items()
        for m, b in pairs.items()
        for g in settings.grids
        for n in settings.nfe
        if (ratio := rmse_ratio(result["runs"], m, b, g, n)) is not None
    ]
    if not found:
        return []

    def tell(case: tuple[float, str, str, str, int, float]) -> str:
        ratio, m, b, g, n, w = case
        factor, where = significant(ratio, 2), f"{n} evaluations on the {g} grid {strength(w).lower()}"
        return f"{m} has {factor} times the error of {b} at {where}"

    return [f"It helps most where {tell(min(found))}, and harms most where {tell(max(found))}."]


def agreement(digits: Digits) -> list[str]:
    """Say what the classifier thinks of the reference, and how many runs lose more than a hundredth of that."""
    sentences = []
    for guidance, result in digits.items():
        ref, runs = result["reference"], result["runs"]
        fine = [r for r in runs if not r["diverged"]]
        low = [r for r in fine if r["agreement"] < ref["agreement"] - 0.01]
        text = (
            f"{strength(guidance)} the classifier agrees with {100 * ref['agreement']:.1f} % of the reference samples "
            f"(Fréchet distance {significant(ref['frechet'])}, overshoot {significant(ref['overshoot'], 2)})"
        )
        sentences.append(
            f"{text}; {len(low)} of {len(runs)} runs lose more than one per cent of it" + _diverged(runs) + "."
        )
    return sentences


def _diverged(runs: list[Row]) -> str:
    count = sum(r["diverged"] for r in runs)
    return f", and {count} diverged" if count else ""
