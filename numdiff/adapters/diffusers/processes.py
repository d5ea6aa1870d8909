"""Which process a configuration describes, with its network's prediction."""

from __future__ import annotations

from typing import Any

from numdiff.adapters.diffusers.edm import Karras
from numdiff.adapters.diffusers.flow import FlowMatching
from numdiff.adapters.diffusers.grids import Process
from numdiff.adapters.diffusers.table import Table
from numdiff.methods.checks import choice
from numdiff.parameterizations import get

PREDICTIONS = {"epsilon": "noise", "sample": "data", "v_prediction": "v", "flow_prediction": "flow"}
"""What diffusers calls a prediction, and what it is called here."""

PROCESSES = (None, "table", "flow", "edm")


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
    prediction = get(PREDICTIONS[settings.prediction_type])
    return FlowMatching(settings, prediction) if name == "flow" else Table(settings, prediction)
