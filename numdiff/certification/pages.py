"""Certificates as pages: one for a terminal, many as a table for a terminal or in Markdown.

An observed order is written with half the width of its 95 % interval, rounded up, as in 2.01 ± 0.03. Errors that follow
no power are called irregular, without a number where it would tell no order from the next. No order is a dash. The
columns of a table are the experiments that every certificate has; those of `EXTRA` appear if a certificate has them.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterable, Sequence

from numdiff.certification.certificate import VERDICTS, Certificate, Experiment
from numdiff.properties.order.regression import OrderEstimate

WIDTH = 100
"""Columns of a text for a terminal."""

MAIN = ("exact start", "as shipped", "alternating")
"""Experiments that have a column in every table."""

EXTRA = ("random", "refined")
"""Experiments that have one where they were made."""

DASH = "-"
IRREGULAR = "irregular"

HALF = 0.5
"""Half a width of an interval from which on irregular errors tell no order from the next."""

READING = (
    "Observed orders with their 95 % intervals. Irregular: the errors follow no power of the step. A dash: there is no",
    "order to give. Empty: not measured.",
)
"""How to read a table."""


def order(estimate: OrderEstimate | None) -> str:
    """Return an observed order as in "2.01 ± 0.03", or why there is none."""
    if estimate is None or not estimate.defined:
        return DASH
    half = max(estimate.interval[1] - estimate.slope, estimate.slope - estimate.interval[0])
    if estimate.irregular and not half < HALF:
        return IRREGULAR
    # rounded up to hundredths, so that no uncertainty is written as smaller than it is
    width = f" ± {math.ceil(half * 100 - 1e-9) / 100:.2f}" if math.isfinite(half) else ""
    return f"{estimate.slope:.2f}{width}{f', {IRREGULAR}' if estimate.irregular else ''}"


def _cell(certificate: Certificate, name: str) -> str:
    return next((order(one.estimate) for one in certificate.experiments if one.name == name), "")


def _claim(certificate: Certificate) -> str:
    claim = DASH if certificate.claim is None else str(certificate.claim)
    return f"{claim} (weak)" if certificate.kind == "weak" else claim


def _columns(certificates: Sequence[Certificate]) -> tuple[str, ...]:
    made = {one.name for certificate in certificates for one in certificate.experiments}
    return (*MAIN, *(name for name in EXTRA if name in made))


def _rows(certificates: Sequence[Certificate]) -> list[list[str]]:
    """Return the cells of a table but for the causes, the head first."""
    names = _columns(certificates)
    rows = [["sampler", "claim", *names, "verdict"]]
    return rows + [
        [one.subject, _claim(one), *(_cell(one, name) for name in names), one.verdict] for one in certificates
    ]


def _legend(certificates: Sequence[Certificate]) -> list[str]:
    """Return the verdicts that occur."""
    found = {one.verdict for one in certificates}
    return [verdict for verdict in VERDICTS if verdict in found]


def _versions(certificates: Iterable[Certificate]) -> str:
    """Return all packages with all the versions that occur, as in "diffusers 0.35.1, numpy 2.1.0"."""
    pairs = {(name, number) for one in certificates for name, number in one.versions.items()}
    return ", ".join(f"{name} {number}" for name, number in sorted(pairs))


# --- Markdown ---------------------------------------------------------------------------------------------------------


def markdown(certificates: Sequence[Certificate]) -> str:
    r"""Return a table of certificates in Markdown, with the meaning of the verdicts and the versions.

    Text that others wrote, names and causes, is escaped, so that it neither ends a cell nor formats anything.

    Parameters
    ----------
    certificates
        Any number, of packages whose versions agree.

    Returns
    -------
    str

    Examples
    --------
    >>> from numdiff.certification import Certificate, markdown
    >>> page = markdown([Certificate("mine:euler", 1, "flow", "toys", (), "refuted", "it | raises")])
    >>> print(page.splitlines()[2])
    | `mine:euler` | 1 |  |  |  | refuted | it \| raises |
    """
    head, *rows = _rows(certificates)
    lines = [_line([*head, "cause"]), _line(["---"] * (len(head) + 1))]
    for one, (name, *cells) in zip(certificates, rows, strict=True):
        lines.append(_line([_code(name), *map(_escaped, cells), _escaped(one.cause)]))
    lines += ["", *READING, ""]
    lines += [f"- **{verdict}**: {VERDICTS[verdict]}" for verdict in _legend(certificates)]
    if versions := _versions(certificates):
        lines += ["", f"Versions: {_escaped(versions)}."]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """Return text on one line in which Markdown sees nothing; underscores within words are harmless."""
    plain = " ".join(text.split())
    return re.sub(r"([\\|*`<>\[\]]|(?<!\w)_|_(?!\w))", r"\\\1", plain)


def _code(text: str) -> str:
    """Return text as code; a bar must be escaped there too."""
    return f"`{' '.join(text.split()).replace('`', chr(39)).replace('|', chr(92) + '|')}`"


# --- terminals --------------------------------------------------------------------------------------------------------


def text(certificate: Certificate) -> str:
    """Return one certificate for a terminal: the verdict and its reason, then every experiment."""
    lines = [
        f"{certificate.subject}: {_headline(certificate)}",
        *_wrapped(VERDICTS[certificate.verdict], 2),
        *(["", *_wrapped(certificate.cause, 0)] if certificate.cause else []),
    ]
    if certificate.experiments:
        lines += ["", *_experiments(certificate.experiments)]
    lines += ["", *_wrapped(f"followed: {certificate.path}", 0, 2)]
    for note in certificate.notes:
        lines += _wrapped(f"note: {note}", 0, 2)
    if certificate.versions:
        lines += _wrapped(f"versions: {_versions([certificate])}", 0, 2)
    return "\n".join(lines)


def _headline(certificate: Certificate) -> str:
    kind = "weak order" if certificate.kind == "weak" else "order"
    if certificate.claim is None:
        return f"no {kind} claimed; {certificate.verdict}"
    return f"{kind} {certificate.claim} claimed; {certificate.verdict}"


def _experiments(experiments: Sequence[Experiment]) -> list[str]:
    """Return a line of numbers for each experiment, and below it what it was and what speaks against it."""
    rows = [("experiment", "order", "95 % interval", "window", "floor")]
    rows += [(one.name, order(one.estimate), *_numbers(one.estimate)) for one in experiments]
    head, *lines = aligned(rows)
    for line, one in zip(lines, experiments, strict=True):
        remark = one.failure or (one.estimate.cause if one.estimate else "")
        head += f"\n{line}"
        for said in (one.what, remark):
            head += "".join(f"\n{part}" for part in _wrapped(said, 4, 6))
    return head.split("\n")


def _numbers(estimate: OrderEstimate | None) -> tuple[str, str, str]:
    """Return the interval, the window and the floor of an estimate."""
    if estimate is None:
        return DASH, DASH, DASH
    low, high = estimate.interval
    interval = f"{low:.3f} to {high:.3f}" if math.isfinite(low) and math.isfinite(high) else DASH
    window = DASH if estimate.window is None else f"{estimate.window[0]} to {estimate.window[1]}"
    return interval, window, f"{estimate.floor:.1e}"


def overview(certificates: Sequence[Certificate]) -> str:
    r"""Return a table of certificates for a terminal, the cause of each below its line.

    Parameters
    ----------
    certificates
        Any number.

    Returns
    -------
    str

    Examples
    --------
    >>> from numdiff.certification import Certificate, overview
    >>> page = overview([Certificate("mine:euler", 1, "flow", "toys", (), "refuted", "it raises")])
    >>> print(page.partition("\n\n")[0])
    sampler     claim  exact start  as shipped  alternating  verdict
    mine:euler  1                                            refuted
        it raises
    """
    head, *lines = aligned(_rows(certificates))
    found = [head]
    for line, one in zip(lines, certificates, strict=True):
        found += [line, *_wrapped(one.cause, 4)]
    meanings = [part for name in _legend(certificates) for part in _wrapped(f"{name}: {VERDICTS[name]}", 0, 2)]
    found += ["", *meanings]
    if versions := _versions(certificates):
        found += _wrapped(f"versions: {versions}", 0, 2)
    return "\n".join(found)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of cells as lines, their columns aligned to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _wrapped(text: str, indent: int, later: int | None = None) -> list[str]:
    """Return text as lines of at most `WIDTH` columns; all but the first are indented by `later`."""
    return textwrap.wrap(
        " ".join(text.split()),
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent if later is None else later),
        break_on_hyphens=False,
    )
