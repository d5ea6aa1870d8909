r"""The spectral response of a scheme: what it makes of Gaussian data, direction by direction.

On data N(mu, s^2) every evaluation is affine in the stage value (`numdiff.properties.spectral.scalar`). With
L = diag(g_1, ..., g_s) the slopes at a tableau's stages, one tableau multiplies the r external values by

    T(s) = V + B L (I - A L)^-1 U

and adds a multiple of mu, biases, and noise through Q = Nb + B L (I - A L)^-1 Na. Hence

    x_N = gain x_0 + mean mu + offset + noise,    C_{n+1} = T C_n T^t + Q Q^t                                     (1)

with C the covariance of the external values, of which the noise variance of x_n is the first entry. Nothing here is
specific to a method: the tableau meets these arrays in the executor's own `stages`, fed with the linear prediction, for
all s at once, and T is what it does to unit vectors.

The exact flow has the gain sqrt(S_N/S_0) from end to end. As a function of s, the quotient of the two is the
scheme's *spectral response*: below 1 it loses variance in a direction of that scale, above 1 it makes too much of it.

Mean. The mu-part is run from the exact mean: `drift` is where a scheme takes alpha_0 mu, for mu = 1. A method that
preserves constants takes it to alpha_N exactly.

Source of the recursion for general linear methods: Butcher, Acta Numerica 15 (2006), section 3.3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from numdiff.executor import combiner, stages
from numdiff.level import Level
from numdiff.methods.scheme import Scheme
from numdiff.properties.spectral.scalar import (
    Array,
    check_real,
    check_scheme,
    in_floats,
    prediction_at,
    spread,
    to_number,
)
from numdiff.tableau import Tableau

Field = Callable[[Array, int], Array]


@dataclass(frozen=True, eq=False)
class Response:
    """What a scheme makes of data N(mu, s^2), one entry per s; N counts the samples that the scheme passes.

    Parameters
    ----------
    s
        Standard deviations of the data, of any shape.
    levels
        The levels of the samples, N + 1 of them.
    gains
        dx_n/dx_0 for n = 0 ... N, shape ``(N + 1, *s.shape)``.
    drifts
        Where the scheme takes the mean: x_n for x_0 = alpha_0 mu, divided by mu; same shape. Exact: alpha_n.
    offsets
        What biases add to x_n; same shape, 0 without biases.
    variances
        Variance that the scheme's own noise gives x_n; same shape, 0 for a deterministic scheme.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> scheme = nd.DDIM().discretize(schedule, nd.grids.uniform_log_snr(schedule, 10))
    >>> found = nd.spectral.response(scheme, [0.01, 0.1, 1.0])
    >>> found.gains.shape, found.steps.shape
    ((11, 3), (10, 3))
    >>> bool(np.allclose(found.steps.prod(axis=0), found.gain))
    True
    >>> bool((found.ratio < 1).all())                              # too little variance at every scale
    True
    """

    s: Array
    levels: tuple[Level, ...]
    gains: Array
    drifts: Array
    offsets: Array
    variances: Array

    @property
    def gain(self) -> Array:
        """End-to-end gain dx_N/dx_0, of the shape of s; its sign counts."""
        return self.gains[-1]

    @cached_property
    def scales(self) -> Array:
        """sqrt(S_n), the exact standard deviation of x_n, shape ``(N + 1, *s.shape)``."""
        return np.stack([spread(level, self.s) for level in self.levels])

    @property
    def exact(self) -> Array:
        """The flow's gain sqrt(S_N/S_0), of the shape of s."""
        return self.scales[-1] / self.scales[0]

    @property
    def ratio(self) -> Array:
        """The normalised response gain/exact: 1 for a perfect scheme; nan where both are 0 (a point mass, reached)."""
        return _quotient(self.gain, self.exact)

    @property
    def steps(self) -> Array:
        """Gains of the single steps, gains[n + 1]/gains[n], shape ``(N, *s.shape)``.

        They multiply to `gain`. For a multistep method they depend on the history, so a step from gain 0 to another one
        has the gain inf or -inf, and one from 0 to 0 the gain nan.
        """
        return _quotient(self.gains[1:], self.gains[:-1])

    @property
    def exact_steps(self) -> Array:
        """The flow's gains sqrt(S_{n+1}/S_n) of the single steps, shape ``(N, *s.shape)``; nan where both are 0."""
        return _quotient(self.scales[1:], self.scales[:-1])

    @property
    def mean(self) -> Array:
        """dx_N/dmu at a fixed x_0, of the shape of s: x_N = gain x_0 + mean mu + offset + noise."""
        return self.drift - self.gain * self.levels[0].alpha

    @property
    def drift(self) -> Array:
        """Where the scheme takes the exact mean alpha_0 mu, divided by mu; of the shape of s."""
        return self.drifts[-1]

    @property
    def offset(self) -> Array:
        """What biases add to x_N, of the shape of s."""
        return self.offsets[-1]

    @property
    def noise_variance(self) -> Array:
        """Variance that the scheme's own noise gives x_N, of the shape of s."""
        return self.variances[-1]


def response(scheme: Scheme, s: ArrayLike) -> Response:
    """Return the spectral response of a scheme.

    Parameters
    ----------
    scheme
        What ``method.discretize(schedule, grid)`` returns, in either direction. Predictions are exact at the (alpha,
        sigma) of its levels.
    s
        Standard deviations of the data, not negative, of any shape.

    Returns
    -------
    Response
        Gains, means and noise variances after every step. Runs that overflow end in inf or nan.

    Raises
    ------
    TypeError
        If `scheme` is no scheme, or `s` holds symbols.
    ValueError
        For a scheme of a plain ODE or with several fields; for s negative or not finite; for s = 0 at an evaluation,
        or at the first level, with sigma = 0.

    Examples
    --------
    At the scale 0.1 ten steps of DDIM lose a fifth of the standard deviation, and DPM-Solver++ 2M makes too much of it
    by a twentieth:

    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> grid = nd.grids.uniform_log_snr(schedule, 10)
    >>> for method in (nd.DDIM(), nd.DPMSolverPP(2)):
    ...     print(f"{nd.spectral.response(method.discretize(schedule, grid), 0.1).ratio:.2f}")
    0.79
    1.05
    """
    check_scheme(scheme)
    given = check_real(s, "s")
    flat = given.reshape(-1)
    first = in_floats(scheme.levels[0])
    prediction_at(first, "data", flat)  # refuses an x_0 without variance
    with np.errstate(over="ignore", invalid="ignore"):
        nodes, path = _affine(scheme, flat, first)
        variances = _noise(scheme, flat)
    shape = (len(nodes), *given.shape)
    gains, drifts, offsets = (path[:, i].reshape(shape) for i in range(3))
    return Response(given, tuple(nodes), gains, drifts, offsets, variances.reshape(shape))


def transfer(scheme: Scheme, s: ArrayLike) -> tuple[Array, ...]:
    """Return the transfer matrices T_n(s) of a scheme's tableaus, each of shape ``(*s.shape, r, r)``.

    Their product, last one first, takes (x_0, 0, ...) to the final external values. With exact starts the driver
    replaces samples, which no matrix shows.

    Parameters
    ----------
    scheme, s
        As in `response`.

    Returns
    -------
    tuple of ndarray
        One matrix a tableau, float64; r is the number of the scheme's external values.

    Raises
    ------
    TypeError, ValueError
        As `response`.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> scheme = nd.DPMSolverPP(2).discretize(schedule, nd.grids.uniform_log_snr(schedule, 5))
    >>> matrices = nd.spectral.transfer(scheme, [0.1, 1.0])
    >>> len(matrices), matrices[0].shape
    (5, (2, 2, 2))
    >>> whole = np.linalg.multi_dot([T[0] for T in reversed(matrices)])   # the product at s = 0.1
    >>> bool(np.isclose(whole[0, 0], nd.spectral.response(scheme, 0.1).gain))
    True
    """
    check_scheme(scheme)
    given = check_real(s, "s")
    found = []
    for tableau in map(_plain, scheme.tableaus):
        units = [np.repeat(row[:, None], given.size, axis=1) for row in np.eye(tableau.registers)]
        field = _linear(tableau, scheme.prediction, given.reshape(-1))
        rows = _run(tableau.same_shape(a=(), b=(), Na=(), Nb=(), noises=0), units, field)
        found.append(np.stack(rows).transpose(2, 0, 1).reshape(*given.shape, len(rows), len(rows)))
    return tuple(found)


def _affine(scheme: Scheme, s: Array, first: Level) -> tuple[list[Level], Array]:
    """Return the levels passed, and gain, drift and offset at each: shape (N + 1, 3, len(s))."""
    units = np.eye(3)[:, :, None]
    start = np.zeros((3, s.size))
    start[0], start[1] = 1.0, first.alpha
    scale = spread(first, s)

    def exact(level: Level) -> Array:
        return np.stack([spread(level, s) / scale, np.full_like(s, level.alpha), np.zeros_like(s)])

    y: list[Array] = [start] + [np.zeros_like(start)] * (scheme.registers - 1)
    nodes, path, asked = [first], [start], 0
    for tableau in map(_plain, scheme.tableaus):
        levels = [in_floats(level) for level in tableau.levels if level is not None]
        known = [(level, *prediction_at(level, scheme.prediction, s)) for level in levels]

        def field(Y: Array, i: int, known: Any = known) -> Array:
            level, a, g = known[i]
            return g * (Y - level.alpha * units[1]) + a * units[1]

        edits = {i: exact(level) for i, level in enumerate(levels) if 1 <= asked + i <= scheme.exact_starts}
        path[-1] = next((x for i, x in edits.items() if levels[i] == nodes[-1]), path[-1])
        y = _run(_with_biases(tableau, units[2]), y, field, edits=edits)
        asked += tableau.stages
        if tableau.target is not None:
            nodes.append(in_floats(tableau.target))
            path.append(y[0])
    return nodes, np.stack(path)


def _noise(scheme: Scheme, s: Array) -> Array:
    """Return the variance that noise gives every sample, shape (N + 1, len(s)), by the recursion (1)."""
    r, passed = scheme.registers, [np.zeros(s.size)]
    noisy = any(tableau.noises for tableau in scheme.tableaus)
    if noisy and scheme.exact_starts:
        raise ValueError('a scheme with noise has no exact starts; lay it out with start="lower"')
    C = [np.zeros((r, s.size))] * r
    for tableau in scheme.tableaus:
        if noisy:
            C = _covariance(_plain(tableau), scheme.prediction, s, C)
        if tableau.target is not None:
            passed.append(C[0][0])
    return np.stack(passed)


def _covariance(tableau: Tableau, prediction: str, s: Array, C: list[Array]) -> list[Array]:
    """Return the rows, each (r, len(s)), of T C T^t + Q Q^t."""
    bare, field = tableau.same_shape(a=(), b=()), _linear(tableau, prediction, s)
    zero = [np.zeros((tableau.noises, s.size))] * tableau.registers
    silent = bare.same_shape(Na=(), Nb=(), noises=0)
    half = np.stack(_run(silent, C, field))
    after = np.stack(_run(silent, list(half.transpose(1, 0, 2)), field))
    if tableau.noises:
        units = np.repeat(np.eye(tableau.noises)[:, :, None], s.size, axis=2)
        Q = np.stack(_run(bare, zero, field, noise=list(units)))
        after += np.einsum("iqn,jqn->ijn", Q, Q)
    return list(after)


def _linear(tableau: Tableau, prediction: str, s: Array) -> Field:
    """Return the field F_i = g_i Y_i of a tableau."""
    slopes = [prediction_at(in_floats(level), prediction, s)[1] for level in tableau.levels if level is not None]
    return lambda Y, i: slopes[i] * Y


def _run(
    tableau: Tableau,
    y: list[Array],
    field: Field,
    noise: Sequence[Array] = (),
    edits: dict[int, Array] | None = None,
) -> list[Array]:
    """Make one step of the executor; `edits` replace what a stage would evaluate, as a driver does."""
    run, answer = stages(tableau, y, noise, combiner(y[0])), None
    try:
        while True:
            Y, i = run.send(answer)  # type: ignore[arg-type]  # the first send starts the generator
            edited = (edits or {}).get(i)
            answer = field(Y if edited is None else edited, i), edited
    except StopIteration as stop:
        unset = np.zeros_like(y[0])
        return [unset if x is None else x for x in stop.value]


def _plain(tableau: Tableau) -> Tableau:
    """Return the tableau in Python floats, without gradients; itself where it is that already."""
    rows = (*tableau.plan.stages, *tableau.plan.outputs)
    return tableau if all(type(c) is float for row in rows for _, c in row) else tableau.map(to_number)


def _with_biases(tableau: Tableau, unit: Array) -> Tableau:
    """Return the tableau with its biases, which must be numbers, put into the column `unit`."""
    if not (tableau.a or tableau.b):
        return tableau.same_shape(Na=(), Nb=(), noises=0) if tableau.noises else tableau
    a, b = (tuple(to_number(x) * unit for x in biases) for biases in (tableau.a, tableau.b))
    return tableau.same_shape(a=a, b=b, Na=(), Nb=(), noises=0)


def _quotient(a: Array, b: Array) -> Array:
    """Return a/b, inf or nan where b = 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return a / b
