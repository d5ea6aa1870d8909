r"""Schedules, mixtures, equations and paths, drawn; simplest first.

Hypothesis prefers what comes first in a choice and what is near 0 or a small whole number, and so the choices here are
ordered: the variance-preserving schedule with its usual numbers before all others; one component at 0 of variance 1 in
one dimension before mixtures.

**Conditioning.** A covariance is L diag(v) L^T with 1/10 <= v <= 1 and a unit lower triangle L of entries up to 1/2, so
that its condition number is moderate in the dimensions that tests are made in; the weights of components differ by a
factor of at most 4. A sampler that fails on such a mixture fails for its own reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numdiff import schedules as known
from numdiff._names import suggest
from numdiff.problems import paths as flows
from numdiff.problems.mixture import GaussianMixture
from numdiff.problems.ode import ODE
from numdiff.problems.ode import odes as named
from numdiff.problems.paths import Path
from numdiff.schedules import Discrete, Schedule
from numdiff.testing._hypothesis import SearchStrategy, note, st
from numdiff.testing.time_strategies import real, whole

Draw = Callable[[SearchStrategy[Any]], Any]

PARAMETERS: dict[str, dict[str, SearchStrategy[Any]]] = {
    "vp-linear": {"beta_min": st.floats(0.05, 1), "beta_max": st.floats(2, 25)},
    "sub-vp": {"beta_min": st.floats(0.05, 1), "beta_max": st.floats(2, 25)},
    "cosine": {"s": st.floats(0.001, 0.05)},
    "ve": {"sigma_min": st.floats(0.005, 0.1), "sigma_max": st.floats(5, 100)},
    "edm": {"T": st.floats(5, 200)},
    "flow": {"shift": st.floats(0.2, 5)},
}
"""Parameters drawn for each schedule given by a formula, about their usual values."""

TABLES = ("ddpm-linear", "stable-diffusion")
"""Tables that are drawn as they are."""


def schedules(*, tables: bool = True, names: Sequence[str] | None = None) -> SearchStrategy[Schedule]:
    """Return a strategy of noise schedules: every registered one, then those with drawn parameters.

    Parameters
    ----------
    tables
        Whether to draw tables, which have no derivatives; short ones of any size and a last entry of alpha = 0 too.
    names
        Registered names; all by default.

    Returns
    -------
    SearchStrategy
        Of noise schedules.

    Raises
    ------
    ValueError
        For an unknown name, or none left.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> from numdiff.testing import schedules
    >>> @settings(max_examples=20, database=None, deadline=None)
    ... @given(schedules(tables=False))
    ... def test_noise_grows(schedule):
    ...     assert schedule.sigma(0.2 * schedule.T) < schedule.sigma(0.8 * schedule.T)
    >>> test_noise_grows()
    """
    for name in names or ():
        if name not in known.names():
            suggest(name, known.names(), "schedule")
    chosen = [name for name in known.names() if names is None or name in names]
    usual = [known.get(name) for name in chosen if name in PARAMETERS or (tables and name in TABLES)]
    drawn = [st.builds(type(known.get(name)), **PARAMETERS[name]) for name in chosen if name in PARAMETERS]
    drawn += [_tables()] if tables and "discrete" in chosen else []
    if not drawn and not usual:
        raise ValueError(f"names={tuple(names or ())} leaves no schedule with tables={tables}")
    return st.one_of(*([st.sampled_from(usual)] if usual else []), *drawn)


@st.composite
def _tables(draw: Draw) -> Discrete:
    """Draw a short table of rising betas."""
    betas = np.linspace(draw(st.floats(1e-3, 0.01)), draw(st.floats(0.05, 0.3)), draw(st.integers(10, 60)))
    if draw(st.booleans()):
        betas[-1] = 1
    return Discrete(betas=betas)


def mixtures(
    max_dimension: int = 3, max_components: int = 3, *, spread: float = 2.0
) -> SearchStrategy[GaussianMixture]:
    """Return a strategy of well-conditioned mixtures of Gaussians; the simplest is of variance 1 at 0 in one dimension.

    The numbers of the mixture on which a test fails are printed with it, as a call that makes it again.

    Parameters
    ----------
    max_dimension, max_components
        Largest sizes.
    spread
        Largest coordinate of a mean.

    Returns
    -------
    SearchStrategy
        Of `numdiff.problems.GaussianMixture`.

    Raises
    ------
    ValueError, TypeError
        For sizes that are no whole numbers of at least 1, or a spread that is not positive and finite.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> import numpy as np
    >>> import numdiff as nd
    >>> from numdiff.testing import levels, mixtures
    >>> @settings(max_examples=10, database=None, deadline=None)
    ... @given(mixtures(), levels(nd.schedules.VPLinear(), smallest=1e-3))
    ... def test_data_and_noise_add_up(mixture, level):
    ...     x = mixture.sample_level(5, level, 0)
    ...     again = level.alpha * mixture.denoise(x, level) + level.sigma * mixture.noise(x, level)
    ...     assert np.allclose(again, x, rtol=0, atol=1e-10)
    >>> test_data_and_noise_add_up()
    """
    for name, value in (("max_dimension", max_dimension), ("max_components", max_components)):
        whole(name, value)
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    real("spread", spread)
    if not 0 < spread < np.inf:
        raise ValueError(f"spread must be positive and finite, got {spread}; 2, say")
    return _mixtures(max_dimension, max_components, spread)


@st.composite
def _mixtures(draw: Draw, max_dimension: int, max_components: int, spread: float) -> GaussianMixture:
    """Draw the numbers of a mixture, and note them: the mixture itself tells its sizes only."""
    d, K = draw(st.integers(1, max_dimension)), draw(st.integers(1, max_components))
    shares = draw(st.lists(st.integers(1, 4), min_size=K, max_size=K))
    axes = draw(st.integers(1, 3))  # of the array of covariances: numbers, diagonals, or matrices
    count = K * (d + (1, d, d * (d + 1) // 2)[axes - 1])
    values = np.array(draw(st.lists(st.floats(-1, 1), min_size=count, max_size=count)))
    means, rest = spread * values[: K * d].reshape(K, d), values[K * d :].reshape(K, -1)
    make = {1: lambda: 10.0 ** -abs(rest[:, 0]), 2: lambda: 10.0 ** -abs(rest), 3: lambda: _full(rest, d)}[axes]
    numbers = {"weights": np.array(shares) / sum(shares), "means": means, "covariances": make()}
    written = ", ".join(f"{name}={value.tolist()!r}" for name, value in numbers.items())
    note(f"mixture drawn: numdiff.problems.GaussianMixture({written})")
    return GaussianMixture(**{name: value.tolist() for name, value in numbers.items()})


_any_mixture = mixtures  # under a name that no argument hides


def _full(values: np.ndarray, d: int) -> np.ndarray:
    """Return L diag(v) L^T for each row of d(d+1)/2 numbers in [-1, 1]; the identity where they are 0."""
    L = np.tile(np.eye(d), (len(values), 1, 1))
    below = np.tril_indices(d, -1)
    L[:, below[0], below[1]] = values[:, d:] / 2
    C = (L * 10.0 ** -abs(values[:, None, :d])) @ L.transpose(0, 2, 1)
    return (C + C.transpose(0, 2, 1)) / 2


def odes(*, stiff: bool = False) -> SearchStrategy[ODE]:
    """Return a strategy of the toy equations with closed solutions, scalar ones first; stiff ones where asked for.

    Parameters
    ----------
    stiff
        Whether to draw the stiff ones too.

    Returns
    -------
    SearchStrategy
        Of `numdiff.problems.ODE`.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> import numpy as np
    >>> import numdiff as nd
    >>> from numdiff.testing import odes
    >>> @settings(max_examples=10, database=None, deadline=None)
    ... @given(odes())
    ... def test_a_step_of_euler(ode):
    ...     y = nd.solve_ivp(nd.AdamsBashforth(1), ode.fun, ode.t_span, ode.y0)
    ...     assert np.allclose(y, ode.y0 + (ode.t_span[1] - ode.t_span[0]) * ode.fun(ode.t_span[0], ode.y0))
    >>> test_a_step_of_euler()
    """
    return st.sampled_from([ode for ode in named().values() if stiff or "stiff" not in ode.tags])


def paths(
    *, span: tuple[float, float] = (-1.0, 3.0), resting: bool | None = None, mixtures: bool = False
) -> SearchStrategy[Path]:
    """Return a strategy of paths with known solutions for samplers to follow; the simplest are the toys together.

    Parameters
    ----------
    span
        First and last log-SNR.
    resting
        Whether they rest over the first and the last steps, so that a sampler's start is exact; None for either.
    mixtures
        Whether to draw flows of mixtures too, whose reference takes a second.

    Returns
    -------
    SearchStrategy
        Of `numdiff.problems.Path`.

    Raises
    ------
    ValueError
        For a span that is not two rising log-SNRs.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> import numpy as np
    >>> import numdiff as nd
    >>> from numdiff.testing import paths
    >>> @settings(max_examples=10, database=None, deadline=None)
    ... @given(paths(resting=True))
    ... def test_a_path_rests_at_its_ends(path):
    ...     first, last = path.span
    ...     assert np.array_equal(path.exact(first), path.exact(first + 0.1 * (last - first)))
    >>> test_a_path_rests_at_its_ends()
    """
    plain = [flows.toys(span), *(flows.of_ode(ode, span) for ode in named().values() if "stiff" not in ode.tags)]
    chosen = st.sampled_from(plain)
    if mixtures:
        chosen |= _any_mixture(2, 2).map(lambda mixture: flows.of_mixture("mixture", mixture, span, points=4))
    rests = st.booleans() if resting is None else st.just(resting)
    return st.builds(lambda path, rest: path.resting(start=rest, end=rest), chosen, rests)
