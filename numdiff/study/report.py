"""Tables, figures and the report of a study, from its results.

Everything is written again only if the results, the code that formats them, or a file is not what it was; the manifest
``study.json`` says which files there are, with the settings, versions and durations, and is written last.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from numdiff.study import paper, store, summaries
from numdiff.study.progress import Progress
from numdiff.study.settings import Settings
from numdiff.study.tables import Table

MANIFEST = "study.json"
REPORT = "report.html"

Records = Mapping[str, Mapping[str, Any]]


def write(
    folder: store.Folder, settings: Settings, records: Records, progress: Progress, *, force: bool = False
) -> Path:
    """Write tables, figures and the report into the folder, unless they are there already; return the report's path."""
    fingerprint = store.digest(
        {"results": {name: r["sha256"] for name, r in records.items()}, "code": store.source(())}
    )
    if not force and _is_current(folder, fingerprint):
        progress.say("tables, figures, report: up to date")
        return folder.path / REPORT
    results = {name: record["result"] for name, record in records.items()}
    digits = {w: results[f"digits-guidance-{w:g}"] for w in settings.guidance}
    with progress.stage("tables, figures, report", 3):
        files = write_tables(folder, settings, results, digits, _provenance(settings, records))
        progress.advance("tables")
        files += write_figures(folder, settings, results, digits)
        progress.advance("figures")
        text = paper.compose(folder.path, settings, records, digits, _provenance(settings, records))
        report = folder.write(REPORT, text)
        progress.advance("report")
    files += [REPORT, *(f"data/{name}.json" for name in records)]
    manifest = {
        "fingerprint": fingerprint,
        **_provenance(settings, records),
        "files": {name: _sha256(folder.path / name) for name in sorted(files)},
    }
    folder.write(MANIFEST, json.dumps(manifest, indent=1, allow_nan=False) + "\n")
    return report


def _provenance(settings: Settings, records: Records) -> dict[str, Any]:
    """Return what a reader needs to repeat the study."""
    return {
        "name": settings.name,
        "seed": settings.seed,
        "versions": store.versions(),
        "cpu_count": os.cpu_count(),
        "seconds": {name: record["seconds"] for name, record in records.items()},
        "settings": asdict(settings),
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _is_current(folder: store.Folder, fingerprint: str) -> bool:
    """Tell whether the manifest matches and every file is there, unchanged."""
    try:
        manifest = json.loads((folder.path / MANIFEST).read_bytes())
        files = manifest["files"].items()
        return manifest["fingerprint"] == fingerprint and all(_sha256(folder.path / n) == digest for n, digest in files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


# --- tables -----------------------------------------------------------------------------------------------------------


def write_tables(
    folder: store.Folder, settings: Settings, results: Mapping[str, Any], digits: Any, provenance: Mapping[str, Any]
) -> list[str]:
    """Write every table in Markdown, LaTeX and JSON; return the names of the files."""
    schemes = results["schemes"]
    files = _write(
        folder, "schemes", schemes["markdown"], schemes["latex"], {"schemes": schemes["schemes"]}, provenance
    )
    orders = summaries.orders(results["orders"]["cases"], ORDERS)
    files += _write(
        folder, "orders", orders.markdown(), orders.latex(), {"cases": results["orders"]["cases"]}, provenance
    )
    tables = digits_tables(settings, digits)
    rows = [{"guidance": w, **run} for w, result in digits.items() for run in result["runs"]]
    markdown, latex = ("\n".join(getattr(table, form)() for table in tables) for form in ("markdown", "latex"))
    return files + _write(folder, "digits", markdown, latex, {"runs": rows}, provenance)


ORDERS = "Observed orders with 95 % confidence; * marks slopes away from what theory expects."


def _write(
    folder: store.Folder, name: str, markdown: str, latex: str, data: Mapping[str, Any], provenance: Mapping[str, Any]
) -> list[str]:
    contents = {
        "md": markdown,
        "tex": latex,
        "json": json.dumps({**provenance, **data}, indent=1, allow_nan=False) + "\n",
    }
    for suffix, content in contents.items():
        folder.write(f"tables/{name}.{suffix}", content)
    return [f"tables/{name}.{suffix}" for suffix in contents]


def digits_tables(settings: Settings, digits: Any) -> list[Table]:
    """Return the tables of errors and verdicts for every guidance and grid."""
    part, found = settings.digits, []
    for guidance, result in digits.items():
        for grid in part.grids:
            where = f"guidance {guidance:g}, {grid} grid"
            found.append(summaries.errors(result["runs"], grid, part.nfe, f"RMSE and median error, {where}."))
            found.append(summaries.judged(result["runs"], grid, part.nfe, result["reference"], f"Verdicts, {where}."))
    return found


# --- figures ----------------------------------------------------------------------------------------------------------


def write_figures(folder: store.Folder, settings: Settings, results: Mapping[str, Any], digits: Any) -> list[str]:
    """Draw and write every figure; return the names of the files."""
    from numdiff.study import draw

    part, files = settings.digits, []
    for family in dict.fromkeys(panel["family"] for panel in results["regions"]["panels"]):
        files += draw.save(folder, f"stability_{family}", draw.stability(results["regions"], family))
    files += draw.save(folder, "orders", draw.orders(results["orders"]))
    for key in ("rmse", "median"):
        files += draw.save(folder, f"digits_{key}", draw.errors(digits, part, key))
    for grid in part.grids:
        for nfe in part.nfe:
            files += draw.save(folder, f"digits_{grid}_{nfe}", draw.mosaic(digits, part, grid, nfe), ("png",))
    return files
