"""Measure guidance on the shipped digits: ``python -m experiments.guidance.run [--out DIR] [--jobs N] [--fast]``.

Every kind of guidance at every scale is one unit, kept in OUT/parts as soon as it is done: the same command goes on
where an interrupted one stopped. Writes OUT/guidance.json, from which ``plot`` draws; that of the full run is kept as
experiments/results/guidance.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.guidance.config import FAST, FULL
from experiments.guidance.measure import compute
from numdiff import provenance
from numdiff._files import write_atomically
from numdiff.models.training import from_the_door
from numdiff.study import sweeps


class Progress:
    """Says on the standard error what is done."""

    def advance(self, text: str) -> None:
        """Print a line."""
        print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=Path, default=Path("results/guidance"), metavar="DIR", help="folder of the results"
    )
    parser.add_argument("--jobs", type=int, default=None, metavar="N", help="units at a time, by joblib; 1 by default")
    parser.add_argument("--fast", action="store_true", help="few samples and scales: seconds, to see that it runs")
    given = parser.parse_args()
    settings = FAST if given.fast else FULL
    parts = given.out / ("parts-fast" if given.fast else "parts")
    records = sweeps.run(compute, settings.units(), out=parts, jobs=given.jobs, progress=Progress())
    result: dict[str, Any] = {
        "experiment": "guidance",
        "settings": asdict(settings),
        "units": [
            {k: r["settings"][k] for k in ("kind", "scale", "grid")} | {"seconds": round(r["seconds"], 1)} | r["result"]
            for r in records
        ],
        "environment": records[0]["environment"] | provenance.environment(),
    }
    text = json.dumps(result, allow_nan=False, default=str)
    write_atomically(given.out / "guidance.json", (text + "\n").encode())
    print(given.out / "guidance.json")


if __name__ == "__main__":
    from_the_door(main)
