"""From the configuration of any diffusers scheduler to ours: which entries mean what, and which are no process for us.

A configuration that went from scheduler to scheduler holds entries of all of them, but each reads its own only, and
means its own by them: "linspace" has N entries in DDIM and N + 1 less one in DPM-Solver; ``clip_sample`` counts in DDIM
and not in UniPC. So the entries are read as the scheduler named in ``_class_name`` would: those that its ``__init__``
takes, with its defaults; what it does not take is ours by default. The rest is kept beside, as diffusers does, so that
the configuration can be handed on.

What belongs to the other's *method* (``solver_order``, ``algorithm_type``, ``skip_prk_steps``, ...) does not carry
over: the method is ours. ``lower_order_final`` and ``euler_at_final`` do: they say how the last steps are made; so does
how PNDMScheduler combines v predictions, for the methods that know it (``combine="v"``), and what DDIMScheduler does
with noise where it clips (``clip_keeps_noise``).

What a class does without an entry that says so is written down here: DPMSolverSinglestepScheduler and UnCLIPScheduler
have "linspace" built in, those of CogVideoX never clip.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from numdiff._names import suggest
from numdiff.methods.registry import FAMILIES, find

CONVENTION_OF = {
    **dict.fromkeys(("DDIM", "DDPM", "PNDM", "DDIMParallel", "DDPMParallel", "CogVideoXDDIM", "CogVideoXDPM"), "ddim"),
    "UnCLIP": "ddim",
    **dict.fromkeys(
        (
            "EulerDiscrete",
            "EulerAncestralDiscrete",
            "HeunDiscrete",
            "LMSDiscrete",
            "KDPM2Discrete",
            "KDPM2AncestralDiscrete",
            "DPMSolverSDE",
        ),
        "euler",
    ),
    **dict.fromkeys(("DPMSolverMultistep", "DPMSolverSinglestep", "DEISMultistep", "SASolver"), "dpmsolver"),
    "UniPCMultistep": "unipc",
    **dict.fromkeys(("FlowMatchEulerDiscrete", "FlowMatchHeunDiscrete", "FlowMatchLCM"), "ddim"),
    **dict.fromkeys(("EDMEuler", "EDMDPMSolverMultistep", "CosineDPMSolverMultistep"), "ddim"),
}
"""The convention of a scheduler, by its class less "Scheduler"."""

LINSPACE = ("DPMSolverSinglestep", "UnCLIP")
"""Classes that have "linspace" spacing built in."""

KEEPING = ("DDIM", "DDIMParallel")
"""Classes that clip x_0 and go on with the noise that was predicted."""

NEVER_CLIPPING = ("CogVideoXDDIM", "CogVideoXDPM")
"""Classes that take ``clip_sample`` and do not read it."""

SHIFTS = ("shift", "use_dynamic_shifting", "shift_terminal", "invert_sigmas")
"""Entries that only flows read."""

FLOWS = ("FlowMatchEulerDiscrete", "FlowMatchHeunDiscrete", "FlowMatchLCM")
PRECONDITIONED = ("EDMEuler", "EDMDPMSolverMultistep", "CosineDPMSolverMultistep")

REFUSED = {
    **dict.fromkeys(("DDIMInverse", "DPMSolverMultistepInverse"), "runs from data to noise; use nd.invert"),
    **dict.fromkeys(("LCM", "TCD", "CMStochasticIterative"), "is for networks distilled to a few steps of their own"),
    "IPNDM": "has a schedule of its own, sigma = sin^2, on which its networks are trained; use nd.sample",
    **dict.fromkeys(("ScoreSdeVe", "ScoreSdeVp", "KarrasVe", "DDPMWuerstchen"), "is no table; use nd.sample"),
}
"""Schedulers whose configurations describe nothing that a run here could follow, and why."""


def translated(config: Mapping[str, Any], own: set[str]) -> dict[str, Any]:
    """Return a configuration of ours for that of another scheduler.

    Parameters
    ----------
    config
        The configuration. Its class is the one in ``_class_name`` (files have it), or the one that `classes_of` tells
        (configurations of schedulers made in this process do not have it); ours, or without a class, it is taken as it
        is.
    own
        The entries that our scheduler takes.

    Raises
    ------
    TypeError
        If it is no mapping.
    ValueError
        For a scheduler that no run here can follow, and for entries that ask for what it cannot do.
    """
    if not isinstance(config, Mapping):
        raise TypeError(f"config must be a scheduler's configuration, a dict, got {config!r}; see from_pretrained")
    given = {key: value for key, value in config.items() if key != "_use_default_values"}
    name = config.get("_class_name")
    names = [name] if name else classes_of(given)
    name = str(names[0]) if names else ""
    if not name.endswith("Scheduler") or name == "NumdiffScheduler":
        return given
    short = name.removesuffix("Scheduler")
    if short in REFUSED:
        raise ValueError(f"{' or '.join(names)} {REFUSED[short]}")
    if short not in CONVENTION_OF and "method_options" in given:  # a class made of ours
        return given
    if short not in CONVENTION_OF:
        raise ValueError(
            f"{name} is no scheduler whose configuration has a meaning here; known are those of "
            f"{', '.join(CONVENTION_OF)}. If its networks were trained on a table of noise levels or on flow matching, "
            "describe that to NumdiffScheduler(...) itself"
        )
    takes = _parameters(name)
    kept = {key: value for key, value in given.items() if key not in own or takes is None or key in takes}
    for key, default in (takes or {}).items():
        if key in own and default is not inspect.Parameter.empty:
            kept.setdefault(key, default)
    if kept.get("interpolation_type", "linear") != "linear" and "interpolation_type" in (takes or {}):
        raise ValueError(
            f"interpolation_type={kept['interpolation_type']!r} tells the network the times of other noise levels than "
            "its sample has; set it to 'linear', and use_exponential_sigmas=True for levels uniform in log sigma"
        )
    meaning = _meaning(short, {**(takes or {}), **given}, kept)
    unread = () if meaning["process"] == "flow" else SHIFTS
    return {**{key: value for key, value in kept.items() if key not in unread}, **meaning}


def classes_of(config: Mapping[str, Any]) -> list[str]:
    """Return the classes that may have made a configuration: they write their own entries first, and all of them.

    Several take the same entries and mean the same by them. Schedulers of diffusers that mean nothing here are only
    looked at where no other fits.
    """
    keys = [key for key in config if not key.startswith("_")]
    if "method_options" in keys:
        return ["NumdiffScheduler"]
    for known in ([f"{short}Scheduler" for short in (*CONVENTION_OF, *REFUSED)], _others()):
        found: dict[int, list[str]] = {}
        for name in known:
            takes = _parameters(name)
            if takes and set(keys[: len(takes)]) == set(takes):
                found.setdefault(len(takes), []).append(name)
        if found:
            return found[max(found)]
    return []


def _others() -> list[str]:
    import diffusers

    known = {f"{short}Scheduler" for short in (*CONVENTION_OF, *REFUSED)}
    return [name for name in dir(diffusers) if name.endswith("Scheduler") and name not in known]


@cache
def _parameters(name: str) -> dict[str, Any] | None:
    """Return the entries that a scheduler of diffusers takes with their defaults, or None for one that is not there."""
    import diffusers

    found = getattr(diffusers, name, None)
    if found is None:
        return None
    listed = inspect.signature(found.__init__).parameters.values()
    return {p.name: p.default for p in listed if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"}


def _meaning(short: str, values: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the class itself means, in entries of ours."""
    convention = CONVENTION_OF.get(short, "ddim")
    found: dict[str, Any] = {"convention": convention, "process": _process(short, values)}
    if short in LINSPACE:
        found["timestep_spacing"] = "linspace"
    if short in KEEPING:
        found["clip_keeps_noise"] = True
    if short in NEVER_CLIPPING:
        found["clip_sample"] = False
    if values.get("stochastic_sampling"):
        raise ValueError(
            "stochastic_sampling=True adds noise at every step, which is part of a method here: set it to False and "
            "use a method such as 'sit'"
        )
    if found["process"] == "flow":
        found["shift"] = values.get("shift", values.get("flow_shift", 1.0))
        if short in FLOWS:
            found["prediction_type"] = "flow_prediction"
        return found
    if found["process"] == "edm":
        continuous = short not in PRECONDITIONED
        found |= {"sigma_data": 1.0, "sigma_schedule": _sigma_schedule(values)} if continuous else {}
        if continuous and values.get("timestep_spacing") != "leading":
            found["init_noise"] = "level"
        found["c_noise"] = "arctan" if short.startswith("Cosine") else "log"
        return found
    if convention == "euler":
        found["init_noise"] = "level"
    if "set_alpha_to_one" not in kept and short not in ("DDPM", "DDPMParallel"):
        found["final_sigmas_type"] = kept.get("final_sigmas_type") or (
            "sigma_min" if short == "DEISMultistep" else "zero"
        )
    return found


def _process(short: str, values: Mapping[str, Any]) -> str:
    if short in FLOWS or values.get("use_flow_sigmas"):
        return "flow"
    continuous = values.get("timestep_type") == "continuous" and values.get("prediction_type") == "v_prediction"
    return "edm" if short in PRECONDITIONED or continuous else "table"


def _sigma_schedule(values: Mapping[str, Any]) -> str:
    """Return the rule of an Euler scheduler whose network is told log(sigma)/4 (Stable Video Diffusion)."""
    if values.get("use_karras_sigmas"):
        return "karras"
    if values.get("use_exponential_sigmas"):
        return "exponential"
    raise ValueError(
        "timestep_type='continuous' takes its sigmas from a table that its network was not trained on; set "
        "use_karras_sigmas=True or use_exponential_sigmas=True"
    )


def with_options(config: dict[str, Any], changes: dict[str, Any], own: set[str]) -> dict[str, Any]:
    """Return changes of a configuration with options of the method, given flat, moved into ``method_options``.

    Options of the configuration's own method stay, unless another method is given.
    """
    changes = dict(changes)
    ours = config.get("_class_name") == "NumdiffScheduler" or "method" in config
    method = changes.get("method", config.get("method", "dpmpp"))
    known = options_of(method)
    flat = {key: changes.pop(key) for key in list(changes) if key in known and key not in own}
    same = ours and changes.get("method", config.get("method")) == config.get("method")
    before = (config.get("method_options") or {}) if same else {}
    given = changes.pop("method_options", None)
    if flat or given is not None or not same:
        changes["method_options"] = {**(before if given is None else {}), **(given or {}), **flat} or None
    if "combine" in known and not ours and _combines_v(config, changes.get("prediction_type")):
        changes["method_options"] = {"combine": "v", **(changes.get("method_options") or {})}
    return changes


def _combines_v(config: Mapping[str, Any], prediction: str | None) -> bool:
    """Whether it is PNDMScheduler's for a network that predicts v, whose raw outputs that combines."""
    made = [config["_class_name"]] if config.get("_class_name") else classes_of(config)
    return made == ["PNDMScheduler"] and (prediction or config.get("prediction_type")) == "v_prediction"


def entries(scheduler: type) -> set[str]:
    """Return the entries of a scheduler class's configuration."""
    listed = inspect.signature(scheduler.__init__).parameters.values()  # type: ignore[misc]
    return {p.name for p in listed if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"}


def options_of(method: str) -> tuple[str, ...]:
    """Return the options of the family that a name stands for."""
    return FAMILIES[find(method).family].options


def refuse_unknown(method: str, options: Mapping[str, Any], own: set[str]) -> None:
    """Raise for options that neither the scheduler nor the method has."""
    known = options_of(method)
    for key in options:
        if key not in known and key not in own:
            suggest(key, {*own, *known}, f"option of NumdiffScheduler with method {method!r}")


def check_json(config: Mapping[str, Any]) -> None:
    """Raise TypeError for an option that a JSON file cannot hold."""
    for key, value in (config.get("method_options") or {}).items():
        try:
            json.dumps(value)
        except TypeError:
            raise TypeError(
                f"the method's option {key} = {value!r} cannot be written to JSON; give it as a number or a name, or "
                f"pass it as from_pretrained(..., {key}=...) each time"
            ) from None
