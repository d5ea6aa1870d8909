"""``numdiff sample``: samples of a pipeline of diffusers, of a model that ships with numdiff, or of a record."""

from __future__ import annotations

import argparse

from numdiff.cli.values import UsageError


def run(options: argparse.Namespace) -> None:
    """Draw the samples in the form that the options ask for."""
    if options.method is not None and options.method_flag is not None:
        raise UsageError(f"the method is given twice, {options.method} and --method {options.method_flag}; drop one")
    options.method = options.method or options.method_flag
    if options.repeat is not None:
        from numdiff.cli.sample_repeat import run as form
    elif options.method is None:
        raise UsageError("METHOD is required, such as ghvb3 (numdiff methods lists them); write it, or --method ghvb3")
    elif options.pipeline is not None:
        from numdiff.cli.sample_pipeline import run as form
    else:
        from numdiff.cli.sample_model import run as form
    form(options)
