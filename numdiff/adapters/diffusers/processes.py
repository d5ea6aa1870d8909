"""Which process a configuration describes, with its network's prediction."""

from __future__ import annotations

from typing import Any

from numdiff._names import suggest
from numdiff.adapters.diffusers import spacing
from numdiff.adapters.diffusers.edm import Karras
from numdiff.adapters.diffusers.flow import FlowMatching
from numdiff.adapters.diffusers.grids import NAMES, Process
from numdiff.adapters.diffusers.table import Table
from numdiff.methods.checks import choice
from numdiff.parameterizations import get

PREDICTIONS = {"epsilon": "noise", "sample": "data", "v_prediction": "v", "flow_prediction": "flow"}
"""What diffusers calls a prediction, and what it is called here."""

PROCESSES = (None, "table", "flow", "edm")


VARIANCES = ("fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned", "learned_range")
"""What configurations say of the noise that a network was trained with; two of them widen its output."""

CHOICES = {
    "start": ("lower", "runge-kutta"),
    "timestep_spacing": spacing.SPACINGS,
    "timestep_rounding": (None, *spacing.ROUNDINGS),
    "variance_type": (None, *VARIANCES),
    "accumulate": (None, "float32", "float64"),
}
"""What entries of a configuration may be."""


def check_names(settings: Any) -> None:
    """Raise ValueError for an entry that names what does not exist, with the nearest that does."""
    if settings.prediction_type not in PREDICTIONS:
        suggest(settings.prediction_type, PREDICTIONS, "prediction_type")
    for name, known in CHOICES.items():
        choice(name, getattr(settings, name), known)
    if settings.timesteps is not None and settings.timesteps not in NAMES:
        suggest(settings.timesteps, NAMES, "timesteps")


def make(settings: Any) -> Process:
    """Return the process of a scheduler's configuration.

    Raises
    ------
    ValueError
        For an unknown one, and for a prediction that contradicts it.
    """
    name = choice("process", settings.process, PROCESSES)
    flows = settings.prediction_type == "flow_prediction" or settings.use_flow_sigmas
    if name is None:
        name = "flow" if flows else "table" if settings.sigma_data is None else "edm"
    if name == "edm":
        if settings.sigma_data is None:
            raise ValueError(
                "process='edm' needs sigma_data, the standard deviation of the data; Karras et al. use 0.5"
            )
        return Karras(settings, settings.prediction_type)
    if name == "table" and settings.prediction_type == "flow_prediction":
        raise ValueError(
            "prediction_type 'flow_prediction' is what networks of flow matching predict, and process='table' is a "
            "table of noise levels; use process='flow' or another prediction_type"
        )
    if name == "table" and settings.use_flow_sigmas:
        raise ValueError("use_flow_sigmas=True contradicts process='table'; use process='flow' or None")
    if settings.sigma_data is not None:
        raise ValueError(
            f"sigma_data = {settings.sigma_data} belongs to networks with Karras's preconditioning, and the process is "
            f"{name!r}; leave it out, or set process='edm'"
        )
    prediction = get(PREDICTIONS[settings.prediction_type])
    return FlowMatching(settings, prediction) if name == "flow" else Table(settings, prediction)
