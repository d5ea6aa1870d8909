"""``numdiff study``: the whole study, or what is missing of it."""

from __future__ import annotations

import argparse
from dataclasses import replace

from numdiff.study import FAST, FULL
from numdiff.study import run as study


def run(options: argparse.Namespace) -> None:
    """Run the study and print where its report is."""
    settings = replace(FAST if options.fast else FULL, seed=options.seed)
    try:
        print(study(options.out, settings, force=options.force, threads=options.threads))
    except KeyboardInterrupt:
        raise KeyboardInterrupt("what was done is kept, and the same command goes on from there") from None
