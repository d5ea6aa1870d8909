r"""ComfyUI: numdiff's samplers and sigma lists as nodes, and in the menu of its KSampler.

ComfyUI loads custom nodes from folders in ``custom_nodes``, each a package with a dictionary ``NODE_CLASS_MAPPINGS``.
A folder ``custom_nodes/numdiff_nodes`` with this ``__init__.py`` is all that is needed:

.. code-block:: python

    from numdiff.adapters import comfyui

    NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS = comfyui.nodes(), comfyui.display_names()
    comfyui.register()        # if the samplers shall also stand in the menu of KSampler

The node `NumdiffSampler` has the widgets method, order and beta and returns a SAMPLER; `NumdiffSigmas` takes a MODEL
and returns SIGMAS, both for SamplerCustom. A model's ``model_sampling`` tells the schedule: its table of sigmas, or for
flow models its shift.

This is written for ComfyUI's interfaces as they are published (``comfy/samplers.py``: ``KSAMPLER`` and ``KSampler``;
``comfy/model_sampling.py``: ``sigmas`` and ``CONST``), and tested here with stand-ins for these few, since ComfyUI is
no package that one can install. It is imported when a node runs, not before:

    >>> from numdiff.adapters import comfyui
    >>> sorted(comfyui.nodes())
    ['NumdiffSampler', 'NumdiffSigmas']
"""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np
import torch

from numdiff.adapters import kdiffusion, sigma_lists
from numdiff.methods.registry import FAMILIES, find
from numdiff.schedules import Discrete, Flow, Schedule

__all__ = ["NumdiffSampler", "NumdiffSigmas", "display_names", "nodes", "register", "schedule_of"]

OPTIMIZED = 100
"""Most steps that the node optimizes, which takes seconds; a thousand take far longer and gain nothing."""

NONE = 0
"""The value of a widget that stands for the method's own."""


def nodes() -> dict[str, type]:
    """Return NODE_CLASS_MAPPINGS: the nodes' classes by name.

    Returns
    -------
    dict
        Classes by the names that workflows keep.

    Examples
    --------
    >>> from numdiff.adapters import comfyui
    >>> sorted(comfyui.nodes()) == sorted(comfyui.display_names())
    True
    >>> comfyui.nodes()["NumdiffSigmas"].RETURN_TYPES
    ('SIGMAS',)
    """
    return {"NumdiffSampler": NumdiffSampler, "NumdiffSigmas": NumdiffSigmas}


def display_names() -> dict[str, str]:
    """Return NODE_DISPLAY_NAME_MAPPINGS: what the nodes are called in ComfyUI's menus.

    Returns
    -------
    dict
        Text by the names of `nodes`.

    Examples
    --------
    >>> from numdiff.adapters import comfyui
    >>> comfyui.display_names()["NumdiffSampler"]
    'numdiff sampler'
    """
    return {"NumdiffSampler": "numdiff sampler", "NumdiffSigmas": "numdiff sigmas"}


def register(names: Any = kdiffusion.MENU) -> tuple[str, ...]:
    """Add samplers to ComfyUI's, so that they stand in the menus of KSampler and KSamplerSelect.

    Parameters
    ----------
    names
        As `kdiffusion.sampler` takes them.

    Returns
    -------
    tuple of str
        The names in the menu.

    Raises
    ------
    ModuleNotFoundError
        Outside ComfyUI.
    ValueError
        As `kdiffusion.register`.

    Examples
    --------
    >>> from numdiff.adapters import comfyui
    >>> try:
    ...     comfyui.register(("ghvb2", "ab3"))
    ... except ModuleNotFoundError as error:
    ...     print(str(error).split(": ")[1].split(",")[0])
    this runs inside ComfyUI
    """
    samplers = _comfy("comfy.samplers")
    menus = [samplers.KSampler.SAMPLERS, samplers.KSAMPLER_NAMES, samplers.SAMPLER_NAMES]
    return kdiffusion.register(_comfy("comfy.k_diffusion.sampling"), names, menus=menus)


class NumdiffSampler:
    """A node that makes a SAMPLER of a method.

    Examples
    --------
    >>> from numdiff.adapters import comfyui
    >>> widgets = comfyui.NumdiffSampler.INPUT_TYPES()["required"]
    >>> sorted(widgets), "ghvb" in widgets["method"][0]
    (['beta', 'method', 'order'], True)
    >>> try:
    ...     comfyui.NumdiffSampler().make("ddim", 3, 0.0)
    ... except ValueError as error:
    ...     print(error)
    method ddim has no order; set order to 0
    """

    RETURN_TYPES = ("SAMPLER",)
    FUNCTION = "make"
    CATEGORY = "sampling/custom_sampling/samplers"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """Return the widgets."""
        own = "0: the method's own"
        return {
            "required": {
                "method": (list(kdiffusion.names()), {"default": "ghvb"}),
                "order": ("INT", {"default": NONE, "min": NONE, "max": 8, "tooltip": own}),
                "beta": ("FLOAT", {"default": 0.0, "min": 0.0, "max": 2.0, "step": 0.05, "tooltip": own}),
            }
        }

    def make(self, method: str, order: int, beta: float) -> tuple[Any]:
        """Return the SAMPLER.

        Raises
        ------
        ValueError
            For an order or a damping that the method does not have.
        """
        options: dict[str, Any] = {key: value for key, value in (("order", order), ("beta", beta)) if value != NONE}
        known = FAMILIES[find(method).family].options
        for key in options:
            if key not in known:
                raise ValueError(f"method {method} has no {key}; set {key} to 0")
        return (_comfy("comfy.samplers").KSAMPLER(kdiffusion.sampler(method, **options)),)


class NumdiffSigmas:
    """A node that makes SIGMAS for a model.

    Examples
    --------
    >>> import types
    >>> import torch
    >>> from numdiff.adapters import comfyui
    >>> table = types.SimpleNamespace(sigmas=torch.linspace(0.03, 14.6, 1000))
    >>> model = types.SimpleNamespace(get_model_object=lambda name: table)  # a stand-in for ComfyUI's MODEL
    >>> (sigmas,) = comfyui.NumdiffSigmas().make(model, "karras", 4, 1.0)
    >>> [f"{sigma:.2f}" for sigma in sigmas]
    ['14.60', '3.18', '0.45', '0.03', '0.00']
    """

    RETURN_TYPES = ("SIGMAS",)
    FUNCTION = "make"
    CATEGORY = "sampling/custom_sampling/schedulers"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """Return the widgets."""
        return {
            "required": {
                "model": ("MODEL",),
                "grid": (list(sigma_lists.RULES), {"default": "optimized"}),
                "steps": ("INT", {"default": 10, "min": 2, "max": 1000}),
                "denoise": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0, "step": 0.01}),
            }
        }

    def make(self, model: Any, grid: str, steps: int, denoise: float) -> tuple[torch.Tensor]:
        """Return the last `steps` steps of a run that is longer by 1/denoise; none where denoise is 0.

        "optimized" is made for these steps alone, from the share `denoise` of the model's time down.

        Raises
        ------
        ValueError
            For a model whose schedule is not known, and more optimized steps than `OPTIMIZED`.
        """
        if denoise <= 0:
            return (torch.empty(0),)
        schedule = schedule_of(model.get_model_object("model_sampling"))
        if grid == "optimized":
            if steps > OPTIMIZED:
                raise ValueError(
                    f'grid "optimized" is for few steps, {OPTIMIZED} at most, got steps = {steps}; use "karras"'
                )
            return (kdiffusion.sigmas(schedule, steps, grid, t_start=denoise * schedule.T if denoise < 1 else None),)
        # grids in the log-SNR cannot begin where it is infinite; ComfyUI makes the noise fit the first sigma
        infinite = schedule.is_flow and grid in ("karras", "exponential", "polyexponential")
        start = 1 - 1e-3 if infinite else None
        made = kdiffusion.sigmas(schedule, max(steps, int(steps / denoise)), grid, t_start=start)
        return (made[-(steps + 1) :],)


def schedule_of(model_sampling: Any) -> Schedule:
    """Return the noise schedule of ComfyUI's ``model_sampling``: a table of sigmas, or a flow with its shift.

    Parameters
    ----------
    model_sampling
        What ``model.get_model_object("model_sampling")`` returns; its ``sigmas`` rise.

    Returns
    -------
    Schedule
        `numdiff.schedules.Discrete`, or `numdiff.schedules.Flow` for a class named CONST.

    Raises
    ------
    ValueError
        If it has no such table, or a flow's is no shift of straight lines.

    Examples
    --------
    >>> import types
    >>> import torch
    >>> from numdiff.adapters import comfyui
    >>> schedule = comfyui.schedule_of(types.SimpleNamespace(sigmas=torch.linspace(0.03, 14.6, 1000)))
    >>> schedule.N, f"{float(schedule.level(schedule.T).rho):.1f}"
    (1000, '14.6')
    """
    table = getattr(model_sampling, "sigmas", None)
    if table is None:
        raise ValueError(
            f"{type(model_sampling).__name__} has no table of sigmas; give SamplerCustom the sigmas of another node"
        )
    values = np.asarray(torch.as_tensor(table).detach().cpu().double())
    if not any(base.__name__ == "CONST" for base in type(model_sampling).__mro__):
        return Discrete(alphas_cumprod=1 / (1 + values**2), name="comfyui")
    t = np.arange(1, len(values) + 1) / len(values)
    middle = len(values) // 2 - 1
    shift = values[middle] * (1 - t[middle]) / (t[middle] * (1 - values[middle]))
    expected = shift * t / (1 + (shift - 1) * t)
    if not np.allclose(values, expected, rtol=1e-4, atol=1e-6):
        raise ValueError(
            f"{type(model_sampling).__name__} has sigmas that are no shift of straight lines; give SamplerCustom the "
            "sigmas of another node"
        )
    return Flow(shift=1.0 if math.isclose(shift, 1, rel_tol=1e-4) else float(shift))


def _comfy(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{name} cannot be imported: this runs inside ComfyUI, as a folder in custom_nodes (see "
            "numdiff.adapters.comfyui)"
        ) from error
