"""A mixture behind the interface of a network: callables of the sample and the model's own time.

A network is called as model(x, t) with t what its schedule feeds it (a step number, sigma, ...). The callables here
take the same t, recover the schedule's time and from it the level, and return the exact conditional mean there. They
are written against the mixture's methods only, so they serve any problem that has `predict` and `component_score`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from numdiff.level import Level
from numdiff.parameterizations import Prediction, get
from numdiff.problems._arrays import Array, is_torch
from numdiff.schedules.base import check_schedule


def level_of_model_time(schedule: Any, t: Any) -> Level:
    """Return the level at which a network of `schedule` is given `t`: a number, or an array of equal numbers."""
    return schedule.level(schedule.from_model_time(_single(t)))


def _single(t: Any) -> Any:
    """Return one time as a float, or as a 0-d tensor where it carries a gradient."""
    if is_torch(t):
        flat = t.reshape(-1)
        equal = flat.numel() > 0 and bool((flat == flat[0]).all())
        first = flat[0] if equal and t.requires_grad else None
    else:
        flat, first = np.asarray(t, dtype=np.float64).reshape(-1), None
        equal = flat.size > 0 and bool(np.all(flat == flat[0]))
    if not equal:
        raise ValueError(
            f"t must be one time for the whole batch, but it has different entries: {t}; call once per time"
        )
    return float(flat[0]) if first is None else first


@dataclass(frozen=True, eq=False)
class ExactModel:
    """The perfectly trained network: model(x, t) is E[m | x] for the prediction m.

    Parameters
    ----------
    problem
        A mixture.
    schedule
        Noise schedule; x is distributed as alpha x_0 + sigma eps.
    prediction
        What is predicted, a name or a `Prediction`.

    Raises
    ------
    TypeError
        If `schedule` is no noise schedule.
    ValueError
        If the prediction is unknown, or is "velocity" under a schedule without derivatives.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> mixture = nd.problems.GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [0.04, 0.04])
    >>> schedule = nd.schedules.VPLinear()
    >>> model = nd.problems.ExactModel(mixture, schedule, prediction="data")   # as mixture.model(schedule, "data")
    >>> x = np.array([[-0.1], [0.0], [0.1]])
    >>> model(x, schedule.model_time(0.5)).round(3).ravel().tolist()           # it tells the modes apart
    [-0.032, 0.0, 0.032]
    """

    problem: Any
    schedule: Any
    prediction: str | Prediction = "noise"

    def __post_init__(self) -> None:
        """Refuse what is no schedule, unknown predictions and velocities of a table."""
        check_schedule(self.schedule)
        if get(self.prediction).name == "velocity" and not self.schedule.has_derivatives:
            raise ValueError(
                f"prediction 'velocity' needs a schedule with derivatives, and {self.schedule!r} is a table; use "
                "'noise', 'data', 'v' or 'flow'"
            )

    def __call__(self, x: Array, t: Any) -> Array:
        """Return the prediction at `x`, shape (..., d), and the model's own time `t`."""
        return self.problem.predict(x, level_of_model_time(self.schedule, t), self.prediction)


@dataclass(frozen=True, eq=False)
class Guidance:
    """The gradient of the exact classifier: g(x, t) = grad_x log p(component | x), t the model's own time.

    Parameters
    ----------
    problem
        A mixture.
    schedule
        Noise schedule; x is distributed as alpha x_0 + sigma eps.
    component
        Indices of the components that make up the class.

    Examples
    --------
    It points towards the component that is asked for, and vanishes where the classifier is certain:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> mixture = nd.problems.GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [0.04, 0.04])
    >>> schedule = nd.schedules.VPLinear()
    >>> g = mixture.guidance(schedule, component=1)                            # a Guidance
    >>> pull = g(np.array([[-1.0], [0.0], [1.0]]), schedule.model_time(0.1))
    >>> bool(pull[0, 0] > pull[1, 0] > 1), bool(pull[2, 0] < 1e-3)
    (True, True)
    """

    problem: Any
    schedule: Any
    component: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse what is no schedule."""
        check_schedule(self.schedule)

    def __call__(self, x: Array, t: Any) -> Array:
        """Return the gradient at `x`, shape (..., d), and the model's own time `t`."""
        return self.problem.component_score(x, level_of_model_time(self.schedule, t), self.component)


@dataclass(frozen=True, eq=False)
class Condition:
    """What guidance adds to a prediction m: g(x, t) = scale (E[m | x, component] - E[m | x]), t the model's own time.

    In noise prediction that is -scale sigma grad_x log p(component | x): classifier guidance and classifier-free
    guidance are the same field where both are exact.
    """

    problem: Any
    given: Any
    schedule: Any
    scale: float
    prediction: str | Prediction = "noise"

    def __post_init__(self) -> None:
        """Refuse what is no schedule, and unknown predictions."""
        check_schedule(self.schedule)
        get(self.prediction)

    def __call__(self, x: Array, t: Any) -> Array:
        """Return the difference at `x`, shape (..., d), and the model's own time `t`."""
        level = level_of_model_time(self.schedule, t)
        guided, plain = (problem.predict(x, level, self.prediction) for problem in (self.given, self.problem))
        return self.scale * (guided - plain)
