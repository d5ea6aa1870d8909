"""The tables of the Certify pages, and what they say in sentences, from the stored certificates."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from book.tools import pages
from book.tools.results import stored
from book.tools.show import Raw, Table
from numdiff.certification.certificate import VERDICTS
from numdiff.certification.experiments import TOLERANCE
from numdiff.certification.pages import READING

COLUMNS = ["sampler", "claim", "verdict", "exact start", "as shipped", "alternating", "diagnosis"]

KINDS = {
    "the start": ("the start alone costs",),
    "the last steps": ("its last steps alone cost", "the last steps of its own time table cost"),
    "weights made for equal steps": ("its weights are for equal steps", "its weak order is met on equal steps"),
    "the sampler's own time table or its rounding": ("its own time table alone costs", "times rounded to its table"),
    "single precision": ("its own (single) precision alone",),
    "several circumstances together": ("several together do",),
    "an order as shipped that is not clear at these numbers of steps": ("is not clear at these numbers",),
}
"""Reasons for which a claim is met where all is clean only, and the words by which a diagnosis says each."""

MANY = 9
"""Names that are listed; of more, the count is given and how to find them in the table."""

LIST = '<ul style="overflow-wrap: anywhere">'
"""Long names break rather than widen a phone's page."""

SEEN = re.compile(r"(-?[\d.]+) ± ([\d.]+)")


def command(row: dict[str, Any]) -> str:
    """Return what certifies a row again."""
    return f"numdiff certify {shlex.quote(row['sampler'])}"


def name(row: dict[str, Any]) -> str:
    """Return a sampler's name in its package."""
    return str(row["sampler"].partition(":")[2])


def code(text: str) -> str:
    """Return a name as HTML."""
    return f"<code>{escape(text)}</code>"


def cells(row: dict[str, Any]) -> list[Any]:
    """Return a row as the page shows it; below the name stands the command that repeats it."""
    claim = "none" if row["claim"] is None else str(row["claim"])
    kind = f"numdiff-verdict numdiff-{row['verdict'].replace(' ', '-')}"
    verdict = Raw(f'<span class="{kind}">{row["verdict"]}</span>')
    repeat = f'<span class="numdiff-command">{escape(command(row))}</span>'
    claim += " (weak)" if row["kind"] == "weak" else ""
    return [Raw(f"{code(name(row))}{repeat}"), claim, verdict, *row["orders"], row["cause"]]


def having(rows: Sequence[dict[str, Any]], verdict: str) -> list[dict[str, Any]]:
    """Return the rows of a verdict."""
    return [row for row in rows if row["verdict"] == verdict]


# --- what a table says ------------------------------------------------------------------------------------------------


def kinds(row: dict[str, Any]) -> list[str]:
    """Return the reasons of `KINDS` that a diagnosis gives."""
    return [kind for kind, words in KINDS.items() if any(word in row["cause"] for word in words)]


def seen(row: dict[str, Any]) -> list[tuple[float, float]]:
    """Return the observed orders that have a number, each with half the width of its interval."""
    found = [SEEN.match(text) for text in row["orders"]]
    return [(float(one[1]), float(one[2])) for one in found if one]


def higher(row: dict[str, Any]) -> bool:
    """Tell whether the cleanest experiment shows at least one order more than is claimed."""
    return bool(row["claim"] and seen(row) and seen(row)[0][0] >= row["claim"] + 1 - TOLERANCE)


def with_orders(row: dict[str, Any]) -> str:
    """Return a name with the order of the cleanest experiment."""
    first = next((text for text in row["orders"] if text), "")
    return f"{code(name(row))} ({first})"


def _listed(kind: str, rows: Sequence[dict[str, Any]]) -> str:
    """Return a reason and those that it is given for, or where to look for them if they are many."""
    if len(rows) > MANY:
        return f"{kind} ({len(rows)}): filter the table by “{escape(KINDS[kind][0])}”"
    return f"{kind} ({len(rows)}): {', '.join(code(name(row)) for row in rows)}"


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """Return what the rows of a package say, as a list: who meets the claim, who falls short, and what costs it."""
    measured = [row for row in rows if row["verdict"] != "no order"]
    said = [f"{len(having(rows, 'certified'))} of the {len(measured)} that can be measured are certified."]
    said += _refuted(having(rows, "refuted"))
    said += _conditional(having(rows, "conditional"))
    for verdict, text in (
        ("undecided", "<strong>Undecided</strong>"),
        ("observed", "Nothing is claimed, and this is seen"),
    ):
        if found := having(rows, verdict):
            said.append(f"{text}: {', '.join(map(with_orders, found))}.")
    if more := [row for row in having(rows, "certified") if higher(row)]:
        said.append(f"More than is claimed is seen of {', '.join(map(with_orders, more))}.")
    return f"{LIST}{''.join(f'<li>{one}</li>' for one in said)}</ul>"


def _refuted(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return one entry for every reason."""
    reasons: dict[tuple[int, str], list[str]] = {(row["claim"], row["cause"]): [] for row in rows}
    for row in rows:
        reasons[row["claim"], row["cause"]].append(code(name(row)))
    return [
        f"<strong>Refuted</strong>, with a claim of order {claim}: {', '.join(found)}. Why: {escape(cause)}."
        for (claim, cause), found in reasons.items()
    ]


def _conditional(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return one entry on those that meet their claim where all is clean, by what costs it elsewhere."""
    if not rows:
        return []
    found = {kind: [row for row in rows if kind in kinds(row)] for kind in KINDS}
    parts = [f"<li>{_listed(kind, some)}</li>" for kind, some in found.items() if some]
    each = "It meets its" if len(rows) == 1 else "They meet their"
    text = f"<strong>Conditional</strong> ({len(rows)}). {each} claim where all is clean. What costs it elsewhere:"
    return [f"{text}<ul>{''.join(parts)}</ul>"]


def overview(found: dict[str, Any]) -> str:
    """Return the counts of the verdicts by package."""
    rows = [[package, *(len(having(one["rows"], verdict)) for verdict in VERDICTS)] for package, one in found.items()]
    return Table(rows, ["package", *VERDICTS], "Samplers by verdict", tools=False)._repr_html_()


# --- the tables -------------------------------------------------------------------------------------------------------


def html(package: str, found: dict[str, Any]) -> str:
    """Return what there is on a package: sentences, the table, and who has no order, with the reason."""
    rows = [row for row in found["rows"] if row["verdict"] != "no order"]
    versions = ", ".join(f"{key} {number}" for key, number in found["versions"].items())
    head = f"<p>Certified on {found['date']} with {escape(versions)}.</p>"
    body = Table(map(cells, rows), COLUMNS, f"{len(rows)} samplers of {package}", tools=True)._repr_html_()
    return f'{head}{summary(found["rows"])}<div class="numdiff-certificates">{body}</div>{_without(found["rows"])}'


def _without(rows: Sequence[dict[str, Any]]) -> str:
    """Return those without an order, folded away."""
    found = having(rows, "no order")
    if not found:
        return ""
    items = "".join(f"<li>{code(name(row))}: {escape(row['cause'])}</li>" for row in found)
    return f"<details><summary>{len(found)} more without an order, and why</summary>{LIST}{items}</ul></details>"


def verdicts() -> str:
    """Return the meaning of the verdicts."""
    return Table(VERDICTS.items(), ["verdict", "meaning"], "Verdicts", tools=False)._repr_html_()


def narrow(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return certified rows one of whose intervals lies below the claim."""
    return [row for row in having(rows, "certified") if any(a + b < row["claim"] for a, b in seen(row))]


def wide(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return conditional rows one of whose orders is too low although its interval holds the claim."""
    return [row for row in having(rows, "conditional") if any(_wide(row["claim"], a, b) for a, b in seen(row))]


def _wide(claim: int, order: float, half: float) -> bool:
    return order < claim - TOLERANCE and order + half >= claim


RULE = {
    "certified": "the exact start, the sampler as shipped and the alternating steps all meet the claim, and on "
    "alternating steps its own start and last steps leave it less than half an order short",
    "conditional": "the exact start meets the claim, on equal steps in log-SNR or in another variable; something else "
    "does not",
    "refuted": "the exact start does not meet it, and the coefficients miss something that (*) asks, or the interval "
    "ends more than half an order below the claim. Also, whatever the orders are, where an error stays that does not "
    "vanish with the steps, or questions are asked at the wrong level",
    "undecided": "the exact start does not meet it, and none of that is so",
}
"""How `numdiff.certification.diagnose` comes to a verdict on a claim."""


def rule(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rule that makes verdicts of experiments, with cases in which the interval would say otherwise."""
    items = "".join(f"<li><strong>{verdict}</strong>: {text}.</li>" for verdict, text in RULE.items())
    return (
        "<p>An experiment <em>meets</em> a claim if the order it shows, the number before the ±, is at most "
        f"{TOLERANCE} below it and if the results are finite from some number of steps on. Where the errors are "
        "irregular, the interval must also begin at most half an order below the claim. From this the verdicts "
        "follow:</p>"
        f"<ul>{items}</ul><p>A stochastic sampler has no exact start; its law as shipped, on equal steps, stands in "
        "for that. So the order decides and not the interval, which says how well the errors follow a power. "
        f"{_cases(narrow(rows), wide(rows))}</p>"
    )


def _cases(low: Sequence[dict[str, Any]], high: Sequence[dict[str, Any]]) -> str:
    """Return where the interval would decide otherwise."""

    def shown(row: dict[str, Any], held: bool) -> str:
        odd = next(t for t in row["orders"] if (m := SEEN.match(t)) and _odd(row["claim"], m, held))
        return f"{code(row['sampler'])} (claim {row['claim']}, {odd})"

    text = f"Of {len(low) or 'no'} certified samplers an interval ends below the claim all the same"
    text += f", as that of {shown(min(low, key=_end), False)}" if low else ""
    text += f"; {len(high) or 'no'} conditional ones have an order too low with an interval that holds the claim"
    return text + (f", such as {shown(min(high, key=_half), True)}." if high else ".")


def _odd(claim: int, found: re.Match[str], held: bool) -> bool:
    order, half = float(found[1]), float(found[2])
    return _wide(claim, order, half) if held else order + half < claim


def _end(row: dict[str, Any]) -> float:
    return min(a + b - row["claim"] for a, b in seen(row))


def _half(row: dict[str, Any]) -> float:
    return min(b for a, b in seen(row) if _wide(row["claim"], a, b))


def reading() -> str:
    """Return how to read the cells of a table."""
    return f"<p>{escape(' '.join(READING))}</p>"


def write(book: Path) -> None:
    """Write a file of HTML for every table."""
    found = stored("certificates")
    files = {package: html(package, one) for package, one in found.items()}
    theirs = {package: one for package, one in found.items() if package != "numdiff"}
    files |= {"verdicts": verdicts(), "overview": overview(theirs), "reading": reading()}
    files |= {"rule": rule([row for one in found.values() for row in one["rows"]])}
    for key, text in files.items():
        pages.write(book / "certify" / f"_{key}.html", text)
