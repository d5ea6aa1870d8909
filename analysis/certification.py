"""Certificates of samplers, ours and other people's: errors against steps, and a table with verdicts and causes.

    python -m analysis.certification --out results/analysis

The figure has six of them: errors with exact starting values, as shipped, and on alternating steps, with the slope of
the claim. The table has all, with what a maintainer could act on where a claim is not met. Samplers of packages that
are not installed are left out, and named.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from numdiff import plotting
from numdiff.adapters.subjects import resolve
from numdiff.certification import Certificate, certify
from numdiff.certification.documents import certificate, document
from numdiff.certification.pages import markdown
from numdiff.plotting.certificates import certificate_plot
from numdiff.study.script import main

DRAWN = {
    "numdiff:ab3": 3,
    "numdiff:plms4": 4,
    "numdiff:ghvb3(beta=0.8)": 3,
    "diffusers:DPMSolverMultistepScheduler(solver_order=3)": 3,
    "diffusers:UniPCMultistepScheduler(solver_order=3)": 3,
    "k-diffusion:sample_dpmpp_2m": 2,
}
"""Samplers and what is claimed for them."""

LISTED = {
    "numdiff:ddim": 1,
    "numdiff:ab4": 4,
    "numdiff:unipc3": 3,
    "numdiff:heun": 2,
    "numdiff:rk4": 4,
    "diffusers:DEISMultistepScheduler(solver_order=3)": 3,
    "diffusers:EulerDiscreteScheduler": 1,
    "azula:zABSampler(order=3)": 3,
}
"""The rest of the table."""

MAIN = ("exact start", "as shipped", "alternating")
STEPS = (24, 32, 48, 64, 96, 128, 192)


def certified(spec: str, claim: int, fast: bool) -> Certificate | str:
    """Return a certificate, or the package that is missing."""
    try:
        subject = resolve(spec)
    except ImportError:
        return spec.split(":")[0]
    # The time that it took is the one thing that differs from run to run.
    return replace(certify(subject, claim, steps=STEPS[::2] if fast else STEPS), seconds=0.0)


def compute(fast: bool) -> dict[str, Any]:
    """Return the certificates, those of the figure first."""
    chosen = DRAWN if fast else DRAWN | LISTED
    found = [certified(spec, claim, fast) for spec, claim in chosen.items()]
    missing = sorted({one for one in found if isinstance(one, str)})
    return {"certificates": [document(one) for one in found if not isinstance(one, str)], "missing": missing}


def draw(numbers: dict[str, Any]) -> Any:
    """Return the figure and the table."""
    found = [certificate(one) for one in numbers["certificates"]]
    axes = plotting.figure(2, 3, 13.0, 8.0)
    for ax, one in zip(axes.flat, found, strict=False):
        made = {experiment.name for experiment in one.experiments}
        certificate_plot(one, ax, names=[name for name in MAIN if name in made])
    text = markdown(found)
    if numbers["missing"]:
        text += f"\nNot installed: {', '.join(numbers['missing'])}.\n"
    return axes[0][0].figure, text


if __name__ == "__main__":
    main("certification", __doc__, compute, draw)
