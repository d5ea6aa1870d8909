r"""Every registered method as a function ``sample_*(model, x, sigmas, ...)``, for code made for k-diffusion's samplers.

k-diffusion's samplers, and those of ComfyUI, AUTOMATIC1111's menus and many others after it, are functions::

    sample(model, x, sigmas, extra_args=None, callback=None, disable=None) -> x

where ``model(x, sigma, **extra_args)`` answers with the denoised sample, one sigma for each sample of the batch, and x
is at the scale alpha = 1, x = x_0 + sigma eps: the schedule is EDM's, whose time is sigma. ``sigmas`` fall from noise
to data and end with 0 or not. `sampler` makes such a function of a method:

    >>> import torch
    >>> from numdiff.adapters import kdiffusion
    >>> sample = kdiffusion.sampler("ghvb", order=3, beta=0.8)
    >>> sigmas = kdiffusion.sigmas("edm", 8, "karras")
    >>> denoiser = lambda x, sigma: x / (1 + sigma[:, None] ** 2)      # of standard normal data
    >>> x = torch.randn(4, 2, generator=torch.Generator().manual_seed(0)) * sigmas[0]
    >>> sample(denoiser, x, sigmas, disable=True).shape
    torch.Size([4, 2])
    >>> kdiffusion.sample_ghvb3(denoiser, x, sigmas, disable=True, beta=0.9).shape     # by name, options in the call
    torch.Size([4, 2])

A method that is one of k-diffusion's gives the same samples to rounding where it is given the same noise, which it asks
for in the same order. For a step with two noises (``dpmpp_sde``) that takes a noise sampler on one Brownian path, such
as k-diffusion's ``BrownianTreeNoiseSampler``: k-diffusion asks for the whole step, here the two parts of it are asked.

**Flow models.** ComfyUI runs SD3 and Flux through the same functions with x = (1 - sigma) x_0 + sigma eps. That is
another schedule, on which other weights are exact. ``scale="flow"`` says so; where the model is ComfyUI's, its
``model_sampling`` tells, and nothing need be said.

**Noise** comes from ``noise_sampler(sigma, sigma_next)`` where one is given. A step with several noises asks for the
increments between its inner levels. Otherwise it is torch's, seeded by ``extra_args["seed"]`` where ComfyUI passes
one. Methods with churn draw in every step, used or not, as k-diffusion's do.

**The callback** is given k-diffusion's dictionary at the first evaluation that belongs to grid step i: x is what the
model was given there, sigma_hat its level and denoised its answer. A step over several grid intervals is reported once.

Sources: Crowson, k-diffusion, ``k_diffusion/sampling.py``; ComfyUI, ``comfy/k_diffusion/sampling.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch

from numdiff import schedules
from numdiff.adapters.kdiffusion_options import built, identifier
from numdiff.adapters.kdiffusion_runs import Bar, noise_of
from numdiff.adapters.sigma_lists import sigmas as sigmas
from numdiff.drivers import sample as run
from numdiff.grids.checks import decreasing, numbers
from numdiff.methods.base import Method
from numdiff.methods.checks import choice
from numdiff.methods.registry import FAMILIES
from numdiff.methods.scheme import Scheme
from numdiff.methods.splitting import Splitting

__all__ = ["MENU", "names", "register", "sampler", "sigmas"]

Tensor = torch.Tensor
Sampler = Callable[..., Tensor]

SCALES = (None, "edm", "flow")
MENU = (
    *("ghvb2", "ghvb3", "ghvb4", "hb2", "hb3", "nt2", "ab2", "ab3", "ab4"),
    *("dpmpp2", "dpmpp3", "unip3", "pec3", "single_step3", "sde_dpmpp3", "kutta3", "rk4"),
)
"""Names that `register` adds unless others are given: what k-diffusion lacks, or has in another form.

All of them run on flow models from sigma = 1 too, which methods of noise prediction ("deis3", "plms4") cannot.
"""


def sampler(method: str | Method, *, scale: str | None = None, start: str = "lower", **options: Any) -> Sampler:
    """Return a method as a function that is called like k-diffusion's ``sample_*``.

    Parameters
    ----------
    method
        A name as `numdiff.method` takes it ("ghvb", "ghvb3", "unipc", "k-diffusion:dpmpp_2m"), or a method.
    scale
        "edm": x = x_0 + sigma eps. "flow": x = (1 - sigma) x_0 + sigma eps. None: "flow" where the model is ComfyUI's
        and of that kind, else "edm".
    start
        How a multistep method starts: "lower" or "runge-kutta", see `Method.discretize`.
    **options
        The family's options, or k-diffusion's names for them: ``eta``, ``s_noise``, and for any one-step method
        without noise ``s_churn``, ``s_tmin``, ``s_tmax``; ``s_noise`` multiplies the noise of any method that adds
        some. What an option needs and nobody gives is the family's example: beta = 0.8.

    Returns
    -------
    function
        ``sample(model, x, sigmas, extra_args=None, callback=None, disable=None, noise_sampler=None, **options)``. It
        runs without gradients and returns the sample at the last sigma, shape, dtype and device of `x`; options given
        there override those given here.

    Raises
    ------
    ValueError
        For an unknown name or option, with the nearest known; for methods that evaluate a condition apart.
    TypeError
        For options beside a method, which is built already.

    Examples
    --------
    >>> import torch
    >>> from numdiff.adapters import kdiffusion
    >>> sample = kdiffusion.sampler("dpmpp", order=2)
    >>> denoiser = lambda x, sigma: x / (1 + sigma[:, None] ** 2)  # of standard normal data
    >>> for steps in (10, 20, 40):
    ...     sigmas = kdiffusion.sigmas("edm", steps)
    ...     x = sample(denoiser, sigmas[:1, None], sigmas, disable=True)
    ...     print(f"{float(x):.3f}")  # the exact flow ends at 1
    1.340
    1.064
    1.012
    """
    choice("scale", scale, SCALES)
    choice("start", start, ("lower", "runge-kutta"))
    make = partial(built, method)
    named = make(options)

    @torch.no_grad()
    def sample(
        model: Callable[..., Tensor],
        x: Tensor,
        sigmas: Tensor,
        extra_args: dict[str, Any] | None = None,
        callback: Callable[[dict[str, Any]], None] | None = None,
        disable: bool | None = None,
        noise_sampler: Callable[..., Tensor] | None = None,
        **extra: Any,
    ) -> Tensor:
        chosen = make({**options, **extra}) if extra else named
        values = _checked(sigmas)
        _check_call(model, x, extra_args, callback, noise_sampler)
        if len(values) < 2:
            return x  # no step to make, as in k-diffusion
        given = _Given(model, x, sigmas, values, extra_args or {}, callback, noise_sampler)
        return _sample(chosen, scale, start, given, disable)

    sample.__name__ = sample.__qualname__ = "sample_" + identifier(method if isinstance(method, str) else method.name)
    sample.__doc__ = f"Sample by {named[0]}; see `numdiff.adapters.kdiffusion.sampler`."
    return sample


def names() -> tuple[str, ...]:
    """Return the names of the families that `sampler` takes, as they stand behind ``sample_``.

    Also attributes of this module are those with an order behind them (``sample_ghvb3``), and k-diffusion's own names
    (``sample_dpmpp_2m``).

    Returns
    -------
    tuple of str
        Sorted as the families are.

    Examples
    --------
    >>> from numdiff.adapters import kdiffusion
    >>> {"ghvb", "dpmpp", "unipc"} <= set(kdiffusion.names())
    True
    """
    return tuple(identifier(key) for key, family in FAMILIES.items() if not isinstance(family.member(), Splitting))


def register(
    module: Any, names: Sequence[str] = MENU, *, menus: Sequence[list[str]] = (), prefix: str = ""
) -> tuple[str, ...]:
    """Add samplers to a module like ``k_diffusion.sampling``, and their names to menus.

    Parameters
    ----------
    module
        What gets the functions, ``sample_<prefix><name>``.
    names
        As `sampler` takes them, without ``sample_``.
    menus
        Lists of names to extend in place, such as ``comfy.samplers.KSampler.SAMPLERS``; what they hold is kept.
    prefix
        Put before each name, to tell them from others.

    Returns
    -------
    tuple of str
        The names as added.

    Raises
    ------
    ValueError
        For an unknown name, and for one that the module has already, unless this function put it there.

    Examples
    --------
    >>> import types
    >>> from numdiff.adapters import kdiffusion
    >>> sampling, menu = types.ModuleType("sampling"), ["euler"]
    >>> kdiffusion.register(sampling, ("ghvb2", "ab3"), menus=[menu], prefix="nd_")
    ('nd_ghvb2', 'nd_ab3')
    >>> menu, callable(sampling.sample_nd_ghvb2)
    (['euler', 'nd_ghvb2', 'nd_ab3'], True)
    """
    made = {prefix + identifier(name): sampler(name) for name in names}
    for name in made:
        there = getattr(module, f"sample_{name}", None)
        if there is not None and not getattr(there, "from_numdiff", False):
            raise ValueError(
                f"{module.__name__} has a sample_{name} already; pass prefix= to call this one something else"
            )
    for name, function in made.items():
        function.from_numdiff = True  # type: ignore[attr-defined]
        setattr(module, f"sample_{name}", function)
        for menu in menus:
            if name not in menu:
                menu.append(name)
    return tuple(made)


def __getattr__(name: str) -> Sampler:
    """Return ``sample_<name>``: a family with its order behind it, or a name of k-diffusion's."""
    short = name.removeprefix("sample_")
    if short == name:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for candidate in (f"k-diffusion:{short}", short):
        try:
            globals()[name] = found = sampler(candidate)
            return found
        except ValueError as error:
            reason = error
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}: {reason}") from reason


# --- a run ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Given:
    """What a sampler was called with, checked; `values` are the sigmas as floats."""

    model: Callable[..., Tensor]
    x: Tensor
    sigmas: Any
    values: list[float]
    extra_args: Mapping[str, Any]
    callback: Callable[[dict[str, Any]], None] | None
    noise_sampler: Callable[..., Tensor] | None


def _sample(chosen: tuple[Method, float], scale: str | None, start: str, given: _Given, disable: bool | None) -> Tensor:
    """Run a method over sigmas; waits for a device are the copy of these to the host, and a check at the end."""
    method, factor = chosen
    x, values, callback = given.x, given.values, given.callback
    flow = (scale or _scale_of(given.model)) == "flow"
    scheme = _laid_out(method, tuple(values), flow, start)
    begins = iter(_beginnings(scheme))
    listed = None if callback is None else torch.as_tensor(given.sigmas, device=x.device)

    def denoised(z: Tensor, sigma: float) -> Tensor:
        answer = given.model(z, z.new_full((z.shape[0],), sigma), **given.extra_args)
        i = next(begins)
        if callback is not None and listed is not None and i is not None:
            at = listed[i] if sigma == values[i] else listed.new_full((), sigma)
            callback({"x": z, "i": i, "sigma": listed[i], "sigma_hat": at, "denoised": answer})
        return answer

    noise = None
    if method.stochastic:
        draw = noise_of(scheme, values, x, given.noise_sampler, given.extra_args.get("seed"))
        noise = draw if factor == 1 else (lambda index, column: draw(index, column) * factor)
    with Bar(scheme.steps, disable) as reached:
        return run(scheme, denoised, x, prediction="data", noise=noise, callback=lambda n, *_: reached(n))


def _check_call(model: Any, x: Any, extra_args: Any, callback: Any, noise_sampler: Any) -> None:
    """Refuse what a sampler cannot be called with."""
    if not callable(model):
        raise TypeError(f"model must be a denoiser, called as model(x, sigma, **extra_args), got {model!r}")
    if not isinstance(x, torch.Tensor) or not x.ndim:
        got = "one number" if isinstance(x, torch.Tensor) else type(x).__name__
        raise TypeError(f"x must be a torch tensor of shape (n, ...), one row for each sample, got {got}")
    if not (extra_args is None or isinstance(extra_args, Mapping)):
        raise TypeError(f"extra_args must be a dictionary of the model's further arguments, got {extra_args!r}")
    seed = (extra_args or {}).get("seed")
    if isinstance(seed, bool) or not (seed is None or hasattr(seed, "__index__")):
        raise TypeError(f"extra_args['seed'] must be a whole number, of torch's noise, got {seed!r}")
    for name, value in (("callback", callback), ("noise_sampler", noise_sampler)):
        if not (value is None or callable(value)):
            raise TypeError(f"{name} must be a function, got {value!r}")


def _checked(sigmas: Any) -> list[float]:
    """Return sigmas as floats: finite, falling, not negative."""
    if not hasattr(sigmas, "__len__") or isinstance(sigmas, (str, Mapping)) or getattr(sigmas, "ndim", 1) != 1:
        raise TypeError(
            f"sigmas must be a list or tensor of falling noise levels, shape (N + 1,), got {sigmas!r}; make one by "
            'kdiffusion.sigmas("edm", 10), also where k-diffusion takes sigma_min and sigma_max'
        )
    if not len(sigmas):
        return []
    values = numbers(sigmas, "sigmas")
    if not (values >= 0).all() or math.isinf(values[0]):
        raise ValueError(f"sigmas must be finite and not negative, got {values.tolist()}")
    decreasing(values, "sigmas")
    return list(values.tolist())


def _scale_of(model: Any) -> str:
    """Return the scale of a model: ComfyUI's say by a class named CONST that x lies on straight lines."""
    for _ in range(4):
        found = getattr(model, "model_sampling", None)
        if found is not None:
            return "flow" if any(base.__name__ == "CONST" for base in type(found).__mro__) else "edm"
        model = getattr(model, "inner_model", None)
    return "edm"


@lru_cache(maxsize=64)
def _laid_out(method: Method, sigmas: tuple[float, ...], flow: bool, start: str) -> Scheme:
    """Return the method on its levels, with lower orders where the steps are too few; kept for the next run."""
    schedule: Any = schedules.Flow()
    if not flow:  # churn goes beyond the first sigma by the square root of 2 at most
        schedule = schedules.EDM(T=2 * sigmas[0], t_end=1e-6 * sigmas[0])
    elif sigmas[0] > 1:
        raise ValueError(f'sigmas of scale "flow" lie in [0, 1], got {sigmas[0]} first; use scale="edm"')
    steps = len(sigmas) - 1
    orders = [steps] * steps if steps < method.points else None
    try:
        return method.discretize(schedule, list(sigmas), start=start if orders is None else "lower", orders=orders)
    except ValueError as error:
        if not (flow and "cannot start at alpha = 0" in str(error)):
            raise
        raise ValueError(
            f"{method} cannot start at sigma = 1 of a flow, where the sample is noise alone and determines no "
            'noise prediction; use "ab3", "ghvb3", "dpmpp3" or another of kdiffusion.MENU, or begin at sigma = 0.999'
        ) from error


def _beginnings(scheme: Scheme) -> list[int | None]:
    """Return for each evaluation the grid step that it begins, or None."""
    nodes = {id(level): n for n, level in enumerate(scheme.levels)}
    found: list[int | None] = []
    last = arrived = -1
    for tableau in scheme:
        for stage, level in enumerate(tableau.levels):
            step = nodes.get(id(level), arrived + 1)
            begins = stage == 0 and last < step < scheme.steps
            found.append(step if begins else None)
            last = step if begins else last
        if tableau.target is not None:
            arrived = nodes[id(tableau.target)] - 1
    return found
