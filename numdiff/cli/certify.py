"""``numdiff certify``: the order of anybody's sampler, and why it falls short; or a table of many."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from numdiff.cli.layout import dump
from numdiff.cli.values import RefutedError, UsageError

HELD = ("certified", "conditional", "observed")
"""Verdicts that leave no claim open; a claim that was never made is not refuted either."""

_KEYWORD = re.compile(r"(\w\([^()]*\)|--set \w+=)|(?<![\w-])([a-z_]\w*)=\"?([\w./-]*\w)\"?")
"""Arguments of the library, but not within calls, where they are options of a name."""

_ONE = {"order": "--order", "set": "--set", "plot": "--plot"}
_MANY = {"jobs": "--jobs", "out": "--out", "force": "--force"}


def run(options: argparse.Namespace) -> None:
    """Certify one sampler or many, or list names."""
    _check(options)
    if options.list is not None:
        print("\n".join(_specs(options.list)))
        return
    certificates = _all(options) if options.all is not None else [_one(options)]
    if options.strict:
        _insist(certificates)


def _check(options: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    given = [name for name in ("sampler", "all", "list") if getattr(options, name) is not None]
    if len(given) != 1:
        raise UsageError("give one of SAMPLER, --all PACKAGE and --list PACKAGE (numdiff certify --help explains)")
    for others, wanted in ((_ONE, "sampler"), (_MANY, "all")):
        for name, option in others.items():
            if given[0] != wanted and getattr(options, name):
                raise UsageError(f"{option} belongs to {'one SAMPLER' if wanted == 'sampler' else '--all PACKAGE'}")


def _specs(package: str) -> list[str]:
    from numdiff.adapters import subjects

    return [f"{package}:{name}" for name in subjects.names(package)]


def _asked(options: argparse.Namespace) -> dict[str, Any]:
    return {"steps": options.steps, "patterns": options.grids, "seed": options.seed}


def _one(options: argparse.Namespace) -> Any:
    """Certify one sampler, and print or draw it."""
    from numdiff import certification
    from numdiff.certification import documents
    from numdiff.certification.table import path_named
    from numdiff.study.threads import limited

    path = path_named(options.path)
    subject = _resolved(options)
    with limited(1):
        found = certification.certify(subject, path=path, **_asked(options))
    if options.json:
        dump(documents.document(found))
    else:
        print((documents.markdown([found]) if options.markdown else documents.text(found)).rstrip("\n"))
    if options.plot is not None:
        _draw(found, options)
    return found


def _resolved(options: argparse.Namespace) -> Any:
    """Return the subject; the library's options=... are --set here, and what is no sampler is the user's mistake."""
    from numdiff.adapters import subjects

    try:
        return subjects.resolve(options.sampler, order=options.order, **_settings(options))
    except (TypeError, ValueError) as error:
        raise UsageError(_KEYWORD.sub(_as_setting, str(error))) from error


def _as_setting(found: re.Match[str]) -> str:
    if found[1]:
        return found[1]
    return f"--order {found[3]}" if found[2] == "order" else f"--set {found[2]}={found[3]}"


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options of the sampler; numbers are exact for numdiff and floats for everybody else."""
    found = dict(options.set)
    if len(found) < len(options.set):
        raise UsageError("--set gives an option twice")
    if "order" in found:
        raise UsageError(
            f"--set order is ambiguous: --order {found['order']} is the claim, {options.sampler}(order="
            f"{found['order']}) the sampler's own option"
        )
    if options.sampler.startswith("numdiff:"):
        return found
    return {name: float(value) if isinstance(value, Fraction) else value for name, value in found.items()}


def _draw(certificate: Any, options: argparse.Namespace) -> None:
    from numdiff import plotting
    from numdiff._files import write_atomically
    from numdiff.study import draw

    figure = draw.rendered(plotting.certificate_plot(certificate), options.plot.suffix[1:].lower())
    write_atomically(options.plot, figure)
    if not options.json:
        print(f"\nwrote {options.plot}")


def _all(options: argparse.Namespace) -> Sequence[Any]:
    """Certify every sampler of a package, and print the table."""
    from numdiff.adapters import subjects
    from numdiff.certification import documents
    from numdiff.certification.table import certify_all
    from numdiff.study.progress import Progress

    specs, progress = _specs(options.all), Progress()
    with progress.stage(f"certifying {options.all}", len(specs)):
        found = certify_all(
            specs,
            subjects.resolve,
            jobs=options.jobs,
            out=options.out,
            progress=progress,
            path=options.path,
            resume=not options.force,
            **_asked(options),
        )
    if options.json:
        print(documents.dumps(found).rstrip("\n"))
    else:
        print((documents.markdown(found) if options.markdown else documents.overview(found)).rstrip("\n"))
    return found


def _insist(certificates: Sequence[Any]) -> None:
    """Raise if a claim does not hold."""
    claimed = [one for one in certificates if one.claim is not None]
    open_ = [f"{one.subject} ({one.verdict})" for one in claimed if one.verdict not in HELD]
    if open_:
        raise RefutedError(f"{len(open_)} of {len(claimed)} claims do not hold: {', '.join(open_)}")
