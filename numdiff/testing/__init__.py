r"""Property-based tests of samplers for your test suite: strategies that draw problems, assertions that judge samplers.

A convergence test that always runs the same method on the same grid sees the errors that its author thought of. Here
hypothesis draws grids, step ratios, schedules, mixtures and methods, and when one of them breaks a property it looks
for the simplest that does: fewest steps, equal steps, order 1, one component at 0. In your conftest.py::

    import numdiff.testing

    numdiff.testing.profile("ci")  # no deadline, and the same examples in every run

A page of tests for a sampler of your own:

.. code-block:: python

    import numpy as np
    from hypothesis import given

    import numdiff as nd
    from numdiff.testing import assert_batch_independent, assert_consistent, assert_deterministic, assert_dtype_kept
    from numdiff.testing import assert_order, assert_weights_integrate, grids, layouts


    def ab2_weights(h, before):
        return [h + h * h / (2 * before), -h * h / (2 * before)]


    def sample(model, x, ts):
        '''Adams-Bashforth of order 2 on the noise, from sigma to sigma, alpha = 1.'''
        last = None
        for s, t in zip(ts[:-1], ts[1:]):
            eps, h = model(x, s), float(t - s)
            if last is None:
                x = x + h * eps
            else:
                w = ab2_weights(h, float(s - last[1]))
                x = x + w[0] * eps + w[1] * last[0]
            last = eps, s
        return x


    HOW = {"prediction": "noise", "scale": "edm", "time": "sigma"}  # what its model says and where it lives


    def test_the_order_on_any_pattern_of_steps():
        for pattern in ("uniform", "alternating", "random"):
            assert_order(sample, 2, layout=pattern, seed=1, steps=(96, 144, 192), **HOW)


    @given(grids(min_steps=2, max_steps=6, max_ratio=4))
    def test_the_weights_integrate(times):
        s, h = times[-2], times[-1] - times[-2]
        assert_weights_integrate(ab2_weights(h, s - times[-3]), [0.0, times[-3] - s], h)


    @given(layouts())
    def test_the_steps_add_up(layout):
        assert_consistent(sample, layout=layout, **HOW)


    def test_what_every_sampler_should_keep():
        sigmas = np.geomspace(10.0, 0.1, 9)
        assert_dtype_kept(lambda x: sample(lambda x, s: x / 2, x, sigmas), shape=(2, 3))
        assert_deterministic(sample, **HOW)
        assert_batch_independent(sample, **HOW)

When an assertion of order fails it shows the table of errors, the seed and the circumstances, and what to do next:
``numdiff certify`` experiments with the sampler until it can say in a sentence what is wrong.

**Strategies** need hypothesis, ``pip install 'numdiff[testing]'``:

- `grids`, `steps`, `step_ratios`, `levels`, `layouts`: times with bounded step ratios, levels of a schedule, patterns;
- `schedules`, `mixtures`, `odes`, `paths`: problems, those with parameters drawn about their usual values;
- `methods`: members of every family of the registry.

**Assertions** do without: `assert_order`, `assert_weights_integrate`, `assert_consistent`, `assert_dtype_kept`,
`assert_deterministic`, `assert_batch_independent`. A sampler is a `Subject`, a method of numdiff, a name such as
"diffusers:UniPCMultistepScheduler", or a function as in the page above; see `numdiff.testing.subjects`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from numdiff.testing.integrals import assert_weights_integrate
from numdiff.testing.orders import STEPS as _STEPS
from numdiff.testing.orders import assert_order
from numdiff.testing.samples import (
    assert_batch_independent,
    assert_consistent,
    assert_deterministic,
    assert_dtype_kept,
)
from numdiff.testing.subjects import subject_of

if TYPE_CHECKING:
    from numdiff.testing.method_strategies import methods
    from numdiff.testing.profiles import profile
    from numdiff.testing.strategies import mixtures, odes, paths, schedules
    from numdiff.testing.time_strategies import grids, layouts, levels, step_ratios, steps

#: Numbers of steps of `assert_order`, unless told otherwise: a fraction of a second for a method of numdiff.
STEPS = _STEPS

_WITH_HYPOTHESIS = {
    "profiles": ("profile",),
    "time_strategies": ("grids", "layouts", "levels", "step_ratios", "steps"),
    "strategies": ("mixtures", "odes", "paths", "schedules"),
    "method_strategies": ("methods",),
}


def __getattr__(name: str) -> Any:
    """Import hypothesis, and what is made of it, on first use."""
    for module, names in _WITH_HYPOTHESIS.items():
        if name in names:
            return getattr(importlib.import_module(f"numdiff.testing.{module}"), name)
    raise AttributeError(f"module 'numdiff.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List what needs hypothesis too."""
    return sorted({*globals(), *__all__})


__all__ = [
    "STEPS",
    "assert_batch_independent",
    "assert_consistent",
    "assert_deterministic",
    "assert_dtype_kept",
    "assert_order",
    "assert_weights_integrate",
    "grids",
    "layouts",
    "levels",
    "methods",
    "mixtures",
    "odes",
    "paths",
    "profile",
    "schedules",
    "step_ratios",
    "steps",
    "subject_of",
]
