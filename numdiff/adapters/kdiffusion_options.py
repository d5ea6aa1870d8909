"""A method from a name and options, in the family's words or in k-diffusion's.

k-diffusion has ``s_churn``, ``s_tmin``, ``s_tmax`` and ``s_noise`` for its one-step samplers, which are `Churn` around
any one-step method here; ``eta`` of its multistep SDE solvers is tau^2 here, and their ``solver_type`` a rule. Their
``s_noise`` multiplies the noise that they are given: another law than the diffusion's, for good.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from inspect import signature
from typing import Any

from numdiff._names import suggest
from numdiff.methods.base import Method
from numdiff.methods.checks import check_number
from numdiff.methods.churn import Churn
from numdiff.methods.registry import FAMILIES, find
from numdiff.methods.registry import method as build
from numdiff.methods.splitting import Splitting

_CHURN = {"s_churn": "S_churn", "s_tmin": "S_min", "s_tmax": "S_max", "s_noise": "S_noise"}


def identifier(name: str) -> str:
    """Return a method's name as it stands behind ``sample_``."""
    return re.sub(r"\W+", "_", name.split(":")[-1].lower().replace("++", "pp")).strip("_")


def built(method: str | Method, options: dict[str, Any]) -> tuple[Method, float]:
    """Return the method of a name, or one that is built, with options in k-diffusion's words or the family's.

    The number multiplies the noise that the method is given: ``s_noise`` where the method has no factor of its own.
    """
    if isinstance(method, Method):
        left = sorted(set(options) - set(_CHURN))
        if left:
            raise TypeError(
                f"{method} is built already and takes no options, got {', '.join(left)}; build it with them, or give "
                "the name of its family"
            )
        churn = options
        made = _churned(method, options)
    else:
        found = find(method)
        family = FAMILIES[found.family]
        churn, own = _translated(found.family, family.options, options)
        parameters = signature(family.build).parameters.values()
        needed = [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
        own |= {key: family.example[key] for key in needed if key not in {*own, *found.options}}
        made = _churned(build(method, **own), churn)
    if isinstance(made, Splitting):
        raise ValueError(
            f"{made} evaluates the condition apart from the model, which k-diffusion's models do not offer; use a "
            "method without splitting, or nd.sample with fields="
        )
    factor = check_number("s_noise", churn.get("s_noise", 1), 0)
    return made, 1.0 if made is not method and isinstance(made, Churn) else float(factor)


def _translated(family: str, known: Sequence[str], options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what makes churn of a method, and the family's own options, from k-diffusion's names or the family's."""
    own, churn = dict(options), {key: options[key] for key in _CHURN if key in options}
    for key in churn:
        del own[key]
    if "S_churn" in known:
        return {}, own | {_CHURN[key]: value for key, value in churn.items()}
    if "noise_factor" in known and "s_noise" in churn:
        own["noise_factor"] = churn.pop("s_noise")
    if family == "sde-dpmpp" and "eta" in own:
        eta = check_number("eta", own.pop("eta"), 0)  # it multiplies the log-SNR step of the noise
        own["tau"] = math.sqrt(eta)
    if family == "sde-dpmpp" and "solver_type" in own:
        rules = {"midpoint": "half", "heun": "exact"}
        name = own.pop("solver_type")
        own["rule"] = rules[name] if name in rules else suggest(name, rules, "solver_type")
    return churn, own


def _churned(method: Method, options: dict[str, Any]) -> Method:
    """Return a method with churn, if any is asked for; without noise there is nothing that s_noise would scale."""
    if not options.get("s_churn", 0):
        return method
    return Churn(method, **{_CHURN[key]: value for key, value in options.items()})
