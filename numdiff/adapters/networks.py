r"""Networks as models: any ``nn.Module`` that predicts something, called as `numdiff.sample` calls a model.

A driver calls ``model(x, t)`` with the schedule's model time t, one Python float, and expects a tensor like x. Networks
want a time for each sample, in their own variable and under their own names, conditions beside it, and return tuples,
objects or more channels than they were given. `module` says once how a network is called, and `edm` knows the
networks of Karras et al.:

    >>> import torch
    >>> import numdiff as nd
    >>> from numdiff.adapters import networks
    >>> class Net(torch.nn.Module):
    ...     def forward(self, x, t, *, y):
    ...         return (x * t[:, None] / 1000 + y,)
    >>> schedule = nd.schedules.Discrete.stable_diffusion()
    >>> model = networks.module(Net(), schedule=schedule, prediction="v", condition={"y": torch.zeros(4, 2)})
    >>> scheme = nd.GHVB(2, 0.8).discretize(schedule, nd.grids.uniform_t(schedule, 6))
    >>> nd.sample(scheme, model, torch.ones(4, 2)).shape       # in the prediction that the model names
    torch.Size([4, 2])

The variables that a network may be given as its time (``time=``), at a level with alpha and sigma:

============== ==================================== =========================================================
name           value                                for example
============== ==================================== =========================================================
"model"        the schedule's model time            step numbers of a table; 1000 t' with time_scale = 1000
"continuous"   the schedule's t                     score networks on [0, 1]
"sigma"        sigma/alpha                          EDM's D
"log-snr"      log(alpha/sigma), half log-SNR       networks conditioned on the log-SNR
"c-noise"      log(sigma/alpha)/4                   EDM's raw F
============== ==================================== =========================================================

or any function of the `Level`. Times are made by a fill on the device, from a float that the host knows: nothing waits.
They are float32 (float64 for a float64 network), whatever the type of the sample: bfloat16 has no 981.

**Learned variances.** Networks that predict a variance too return 2 C channels for C: the prediction, then the
variance. ``learned_variance=True`` keeps the first C.

Sources: Karras et al., arXiv:2206.00364, table 1; NVlabs/edm, ``training/networks.py`` and ``generate.py``; Nichol and
Dhariwal, arXiv:2102.09672, section 3.1, for learned variances.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from numdiff import grids, parameterizations, schedules
from numdiff._names import suggest
from numdiff.adapters import network
from numdiff.adapters.network import Network as Network
from numdiff.adapters.network import Output
from numdiff.level import Level
from numdiff.schedules import Schedule

__all__ = ["TIMES", "Network", "edm", "module", "sigmas"]

#: What a network may be given as its time, by name, as functions of the level.
TIMES = network.TIMES


def module(
    net: Callable[..., Any],
    *,
    schedule: Schedule | str,
    prediction: str | parameterizations.Prediction,
    time: str | Callable[[Level], Any] = "model",
    condition: Mapping[str, Any] | None = None,
    call: Mapping[str, str] | None = None,
    output: Output = None,
    learned_variance: bool = False,
    dtype: torch.dtype | None = None,
    time_dtype: torch.dtype | None = None,
    gradients: bool = False,
) -> Network:
    """Return a network as a model for `numdiff.sample`.

    Parameters
    ----------
    net
        An ``nn.Module``, which is put into evaluation mode, or any function of tensors.
    schedule
        What it was trained on, or its name.
    prediction
        What it predicts: "noise", "data", "v", "flow", ..., see `numdiff.parameterizations`.
    time
        What it is given as its time: a name of `TIMES`, or a function of the `Level`.
    condition
        Further keyword arguments, the same in each call: labels, embeddings, masks.
    call
        Names of the sample and the time among the keyword arguments, for networks that want names:
        ``{"hidden_states": "x", "timestep": "t"}``. None calls ``net(x, t, **condition)``.
    output
        Where the prediction is in the answer: a key or attribute, an index, or a function of the answer. None takes a
        tensor itself, an attribute or key "sample", and the first of a tuple or list.
    learned_variance
        Whether the answer has the channels of a variance behind those of the prediction.
    dtype
        The type to run the network in, ``torch.bfloat16``; the answer comes back in the sample's. None casts nothing.
    time_dtype
        Of the times: ``torch.long`` for networks that index with them. By default float32, or float64.
    gradients
        Whether gradients are recorded, to differentiate a run.

    Returns
    -------
    Network
        A model, ``model(x, t)``, with ``schedule`` and ``prediction``.

    Raises
    ------
    ValueError
        For unknown names, with the nearest known; for a `call` that does not name both.
    TypeError
        For a network that is not callable.

    Examples
    --------
    >>> import torch
    >>> from numdiff.adapters import networks
    >>> net = lambda sample, timestep, y: (sample + timestep[:, None] + y, "more")
    >>> call = {"sample": "x", "timestep": "t"}
    >>> model = networks.module(net, schedule="edm", prediction="data", time="sigma", call=call, condition={"y": 0.5})
    >>> model(torch.ones(2, 1), 3.0).tolist()
    [[4.5], [4.5]]
    """
    if not callable(net):
        raise TypeError(f"net must be an nn.Module or a function of tensors, got {net!r}")
    if isinstance(time, str) and time not in TIMES:
        suggest(time, TIMES, "time")
    if not isinstance(time, str) and not callable(time):
        raise TypeError(f"time must be a name or a function of the level, got {time!r}")
    if not (condition is None or isinstance(condition, Mapping)):
        raise TypeError(f'condition must be a dictionary of keyword arguments, {{"y": labels}}, got {condition!r}')
    for what, kind in (("dtype", dtype), ("time_dtype", time_dtype)):
        if not (kind is None or isinstance(kind, torch.dtype)):
            raise TypeError(f"{what} must be a type of torch's, such as torch.long, got {kind!r}")
    if call is not None and sorted(call.values()) != ["t", "x"]:
        raise ValueError(f'call must name one argument for "x" and one for "t", got {dict(call)}')
    if call is not None and set(call) & set(condition or {}):
        raise ValueError(f"call and condition both give {', '.join(sorted(set(call) & set(condition or {})))}")
    return Network(
        net,
        schedules.get(schedule),
        parameterizations.get(prediction),
        time=time,
        condition=condition,
        call=call,
        output=output,
        learned_variance=learned_variance,
        dtype=dtype,
        time_dtype=time_dtype,
        gradients=gradients,
    )


def edm(
    net: Callable[..., Any],
    *,
    class_labels: Any = None,
    sigma_data: float | None = None,
    raw: bool = False,
    gradients: bool = False,
    **condition: Any,
) -> Network:
    r"""Return a network of Karras et al. as a model: ``net(x, sigma, class_labels)`` at alpha = 1.

    Parameters
    ----------
    net
        The preconditioned denoiser D(x; sigma), as NVIDIA's EDM and EDM2 save it; or with ``raw=True`` the network F
        inside, which is given x/sqrt(sigma^2 + sigma_data^2) and log(sigma)/4. It casts its input by itself, and the
        answer comes back in the type of the sample, float64 included.
    class_labels
        None, one whole number for all samples, whole numbers of shape (n,), or the vectors of shape (n, label_dim)
        that the network takes.
    sigma_data
        Of the preconditioning; by default the network's attribute, or 0.5. Used where ``raw``.
    raw
        Whether `net` is F.
    gradients
        As in `module`.
    **condition
        Passed on: ``augment_labels``, ``force_fp32``.

    Returns
    -------
    Network
        Its schedule is `numdiff.schedules.EDM` from max(0.002, net.sigma_min) to min(80, net.sigma_max); `sigmas`
        gives Karras' levels as the network rounds them.

    Raises
    ------
    ValueError
        For labels that the network does not have, or of another number than its label_dim.
    TypeError
        For labels that are truth values.

    Examples
    --------
    >>> import torch
    >>> import numdiff as nd
    >>> from numdiff.adapters import networks
    >>> denoiser = lambda x, sigma, labels=None: x / (1 + sigma[:, None] ** 2)  # of standard normal data
    >>> model = networks.edm(denoiser)
    >>> scheme = nd.DPMSolverPP(2).discretize(model.schedule, networks.sigmas(model, 40))
    >>> x = nd.sample(scheme, model, torch.full((1, 1), 80.0))
    >>> print(f"{float(x):.3f}")  # the exact flow ends at 1
    1.012
    """
    if not callable(net):
        raise TypeError(f"net must be a network, called net(x, sigma, class_labels), got {net!r}")
    low = max(0.002, float(getattr(net, "sigma_min", 0.0)))
    high = min(80.0, float(getattr(net, "sigma_max", math.inf)))
    width = float(getattr(net, "sigma_data", 0.5) if sigma_data is None else sigma_data)
    F = parameterizations.EDM(width)
    return Network(
        net,
        schedules.EDM(T=high, t_end=low),
        F if raw else parameterizations.get("data"),
        time="c-noise" if raw else "sigma",
        condition=_labels(net, class_labels) | condition,
        gradients=gradients,
        casts=True,
        scale=(lambda level: 1 / math.hypot(float(level.sigma), width)) if raw else None,
    )


def sigmas(model: Network, steps: int, *, rho: float = 7.0) -> list[float]:
    """Return the noise levels of a network made by `edm`: Karras' grid as the network rounds it, then 0.

    Parameters
    ----------
    model
        What `edm` returned.
    steps
        Number of steps, the one to 0 included.
    rho
        Exponent of the grid.

    Returns
    -------
    list of float
        ``steps + 1`` falling sigmas, to lay a method out on: they are the schedule's times.

    Examples
    --------
    >>> from numdiff.adapters import networks
    >>> model = networks.edm(lambda x, sigma, labels: x)
    >>> [f"{sigma:.3f}" for sigma in networks.sigmas(model, 4)]
    ['80.000', '9.723', '0.470', '0.002', '0.000']
    """
    if not isinstance(model, Network):
        raise TypeError(f"model must be what networks.edm returned, got {type(model).__name__}; networks.edm(net)")
    times = torch.from_numpy(grids.karras(model.schedule, steps, rho=rho, final_zero=True)[:-1])
    rounded = getattr(model.net, "round_sigma", None)
    found = times if rounded is None else rounded(times).double().cpu().clamp(max=model.schedule.T)
    return [*map(float, found), 0.0]


def _labels(net: Any, labels: Any) -> dict[str, Any]:
    """Return the argument class_labels as a network of NVIDIA's takes it, checked."""
    if labels is None:
        return {}
    classes = getattr(net, "label_dim", None)
    given = torch.as_tensor(labels)
    if given.dtype == torch.bool or not given.numel():
        what = "truth values" if given.numel() else "empty"
        raise TypeError(f"class_labels are {what}; give whole numbers of shape (n,), or vectors of shape (n, classes)")
    if given.ndim == 0 and not given.is_floating_point():
        given = given[None]
    if classes == 0:
        raise ValueError("class_labels are given, but the network has none (its label_dim is 0); leave them out")
    if given.ndim == 1 and not given.is_floating_point():
        if classes is None:
            raise ValueError(
                "class_labels are numbers and the network has no label_dim; pass vectors, shape (n, classes)"
            )
        if int(given.min()) < 0 or int(given.max()) >= classes:
            raise ValueError(f"class_labels must lie between 0 and {classes - 1}, got {given.tolist()}")
        given = torch.nn.functional.one_hot(given.long(), classes).float()
    if classes is not None and (given.ndim != 2 or given.shape[1] != classes):
        raise ValueError(
            f"class_labels must have shape (n, {classes}), as the network's label_dim, got {tuple(given.shape)}"
        )
    return {"class_labels": given}
