r"""Exponential Runge-Kutta methods in log-SNR: DPM-Solver(++) single-step, RES, Hochbruck and Ostermann, SEEDS.

With X = x/kappa, dX/dlambda = c X + f and an exponential Butcher array (`numdiff.methods.exponential_butcher`), nodes
lambda_i = lambda_n + c_i h and z = c h,

::

    x_i = xi_i x_n + kappa_i h sum_{j<i} a_ij(z) F_j,    F_i = f(x_i, lambda_i),
    x_{n+1} = xi x_n + kappa h sum_i b_i(z) F_i

where xi_i and kappa_i belong to the level lambda_i. Nothing is remembered: a step makes s evaluations.

**SEEDS.** A stochastic formulation (`numdiff.sde`) changes c, xi and kappa and adds Gaussians: one column for every
interval between neighbouring nodes, of the noise nu of a step over it. Level q > p being the end of that interval, a
stage at lambda_i >= lambda_q carries xi_i/xi_q nu z: all stages lie on one path of the diffusion, as the exact
solution does. With noise prediction and tau = 1 these are SEEDS-1, -2, -3. sum b_i c_i = 1/2 is then what weak order 2
asks for, since the evaluation at c_i h sees the path's noise up to there.

**The ends.** A step with an infinitely distant end has nowhere to put its stages. The one that arrives at sigma = 0 is
of order 1 and returns the denoised estimate; so is the one that leaves alpha = 0, a data row's limit.

Sources: Hochbruck and Ostermann, SIAM J. Numer. Anal. 43 (2005); Lu et al., DPM-Solver and DPM-Solver++ (2022);
Zhang et al., RES (2023); Gonzalez et al., SEEDS (2023).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

from numdiff import formulations
from numdiff.elementary import Number, exp, kind, vanishes
from numdiff.formulations import DATA_LOG_SNR, NOISE_LOG_SNR, Formulation
from numdiff.level import Level
from numdiff.methods import exponential_butcher as arrays
from numdiff.methods.base import OneStep
from numdiff.methods.checks import check_label
from numdiff.methods.exponential_butcher import ExponentialButcher
from numdiff.methods.layout import Layout
from numdiff.methods.multistep import first_order
from numdiff.sde import StochasticFormulation, Tau, stochastic
from numdiff.tableau import Tableau

__all__ = ["KNOWN", "ExponentialRungeKutta"]

KNOWN = {
    "ETD2RK": arrays.ETD2RK,
    "ETD3RK": arrays.ETD3RK,
    "ETD4RK": arrays.ETD4RK,
    "Krogstad4": arrays.KROGSTAD4,
    "StrehmelWeiner4": arrays.STREHMEL_WEINER4,
    "HochbruckOstermann4": arrays.HOCHBRUCK_OSTERMANN4,
}
"""Published arrays without parameters."""


def check_formulation(formulation: Any) -> Formulation:
    """Return a log-SNR formulation, deterministic or stochastic, or raise."""
    found = formulations.get(formulation)
    base = found.base if isinstance(found, StochasticFormulation) else found
    if base not in (DATA_LOG_SNR, NOISE_LOG_SNR):
        raise ValueError(
            f"an exponential Runge-Kutta method needs a log-SNR formulation, got {found}; use data/log-snr, "
            "noise/log-snr, their stochastic forms, or a classical Runge-Kutta method"
        )
    if isinstance(found, StochasticFormulation) and found.level.large:
        raise ValueError(f"stages lie on the path of one diffusion, and {found} has none; use variance='small'")
    return found


@dataclass(frozen=True)
class ExponentialRungeKutta(OneStep):
    """An explicit exponential Runge-Kutta method in log-SNR, of an exact exponential Butcher array.

    ::

        x_i = xi_i x_n + kappa_i h sum_{j<i} a_ij(z) f(x_j, lambda_n + c_j h)
        x_{n+1} = xi x_n + kappa h sum_i b_i(z) f(x_i, lambda_n + c_i h)

    where h is the step in log-SNR, z = c h, f the prediction, xi, kappa and c its linear factor, scale and kernel
    exponent (data: sigma_t/sigma_s, alpha_t, -1; noise: alpha_t/alpha_s, -sigma_t, +1), those with an index at stage i,
    and a_ij, b_i are sums of phi_k, in the array `table`.

    Parameters
    ----------
    table
        The array.
    label
        Its name in tables.
    formulation
        data/log-snr or noise/log-snr, or a stochastic form of these, which makes it a SEEDS method.

    Raises
    ------
    TypeError
        For something that is no exponential Butcher array.
    ValueError
        For other formulations.

    Notes
    -----
    Order p; s stages; s N evaluations for N steps. These are those of the array; with noise the weak order is 2 at
    most. As published.

    References
    ----------
    ETD2RK to ETD4RK: Cox and Matthews, J. Comput. Phys. 176 (2002); Krogstad4: Krogstad, J. Comput. Phys. 203 (2005);
    StrehmelWeiner4: Strehmel and Weiner (1992); HochbruckOstermann4: Hochbruck and Ostermann, Explicit exponential
    Runge-Kutta methods, SIAM J. Numer. Anal. 43 (2005); with noise Gonzalez et al., SEEDS: exponential SDE solvers,
    arXiv:2305.14267.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.methods.exponential_runge_kutta import KNOWN
    >>> for name, table in KNOWN.items():
    ...     method = nd.ExponentialRungeKutta(table, name)
    ...     print(name, method.order, method.stages)
    ETD2RK 2 2
    ETD3RK 3 3
    ETD4RK 4 4
    Krogstad4 4 4
    StrehmelWeiner4 4 4
    HochbruckOstermann4 4 5
    """

    table: ExponentialButcher
    label: str = "ExpRK"
    formulation: Formulation | None = DATA_LOG_SNR

    reference: ClassVar[str] = "Hochbruck and Ostermann, SIAM J. Numer. Anal. 43, 2005; Lu et al., DPM-Solver, 2022"

    def __post_init__(self) -> None:
        """Check the array and the formulation."""
        if not isinstance(self.table, ExponentialButcher):
            raise TypeError(
                f"table must be an array of numdiff.methods.exponential_butcher such as ETD4RK, got {self.table!r}; "
                "nd.DPMSolverSingle(3), nd.RES(3) and others have theirs"
            )
        check_label(self.label)
        chosen = DATA_LOG_SNR if self.formulation is None else self.formulation
        object.__setattr__(self, "formulation", check_formulation(chosen))

    @property
    def order(self) -> int:  # type: ignore[override]
        """Order of the array for h -> 0; `numdiff.order.stiff` finds the stiff one."""
        return self.table.order

    @property
    def weak_order(self) -> int | None:
        """2 at most, since higher orders ask for more of the path than its value at the nodes."""
        return min(self.order, 2) if self.stochastic else None

    @property
    def stages(self) -> int:
        """Evaluations of one step."""
        return self.table.stages

    @property
    def name(self) -> str:
        """The label and the formulation."""
        return f"{self.label} {self.formulation}"

    def coefficients(self) -> ExponentialButcher:
        """Return the exact array."""
        return self.table

    def steady(self, h: Number | None = None, *, ratio: Number = 1) -> Tableau:
        """Return one of equal steps in X = x/kappa; see `Method.steady`."""
        h = self._steady_h(h, ratio)
        span = self.formulation.steady_span(h, 1)  # type: ignore[union-attr]
        squared = self.formulation.level.constant if self.stochastic else 0  # type: ignore[union-attr]
        z, scale = span.c * h, h * (1 + squared)
        table = self.table if kind(h) in ("exact", "sympy") else self.table.in_floats
        A, b = table.weights(z)
        s = table.stages
        rows = [[scale * x for x in row] + [0] * (s - len(row)) for row in A]
        U = [(exp(x * z) if i else 1,) for i, x in enumerate(table.c)]
        return Tableau(A=rows, U=U, B=[[scale * x for x in b]], V=[[span.xi]])

    def _program(self, layout: Layout) -> Iterator[Tableau]:
        variable = base_of(layout.formulation)
        for n, (here, there) in enumerate(zip(layout.levels, layout.levels[1:], strict=False)):
            if infinite(layout.formulation, here, there):
                yield first_order(layout.formulation, here, there)
            else:
                nodes = _nodes(self.table, here)
                placed = {x: layout.level_at(n, x, variable) for x in set(nodes)}
                yield exponential_step(self.table, layout.formulation, [placed[x] for x in nodes], there)


def _nodes(table: ExponentialButcher, level: Level) -> tuple[Number, ...]:
    return table.c if kind(level.time) in ("exact", "sympy") else table.in_floats.c


def base_of(formulation: Formulation) -> Formulation:
    """Return the formulation of the flow."""
    return formulation.base if isinstance(formulation, StochasticFormulation) else formulation


def infinite(formulation: Formulation, here: Level, there: Level) -> bool:
    """Tell whether the step between two levels is infinitely long in log-SNR, or cannot be scaled at its end."""
    ends = formulation.scales(there)
    return not (formulation.is_finite(here) and formulation.is_finite(there)) or any(map(vanishes, ends))


def _on_step(formulation: Formulation, here: Level, there: Level) -> tuple[Formulation, Number]:
    """Return the formulation with the noise level of this step, a constant, and 1 + tau^2."""
    if not isinstance(formulation, StochasticFormulation):
        return formulation, 1
    squared = formulation.level.squared(here, there)
    if vanishes(squared):
        return formulation.base, 1
    if formulation.level.constant is not None:
        return formulation, 1 + squared
    return stochastic(formulation.base, Tau(squared**0.5)), 1 + squared


def exponential_step(
    table: ExponentialButcher, formulation: Formulation, levels: Sequence[Level], there: Level
) -> Tableau:
    """Return the step of `table` from levels[0] to `there`, its stages at `levels`; both ends have a finite log-SNR."""
    here, base = levels[0], base_of(formulation)
    h = base.node(there) - base.node(here)
    fixed, factor = _on_step(formulation, here, there)
    c = -factor if fixed.prediction == "data" and factor != 1 else fixed.c
    table = table if kind(h) in ("exact", "sympy") else table.in_floats
    A, b = table.weights(c * h)
    s, points = len(A), (*levels, there)
    noise: dict[str, Any] = {}
    if fixed.stochastic:
        path = _on_one_path(fixed, (*table.c, 1), points)
        times = path.clocks
        if fixed is not formulation and fixed.prediction == "data":  # an eta's clock is its own; see `numdiff.sde`
            level: Any = formulation.level  # type: ignore[attr-defined]
            times = [tuple(level.clock(points[p], factor - 1) for p in interval) for interval in path.intervals]
        xi, noise = path.xi, {"Na": path.columns[:-1], "Nb": path.columns[-1:], "clocks": times}
    else:
        a = [fixed.scales(level)[0] for level in points]
        xi = [1, *(x / a[0] for x in a[1:])]
    scale = [fixed.kappa(level) * factor * h for level in points]
    return Tableau(
        A=[[w * x for x in row] + [0] * (s - len(row)) for w, row in zip(scale, A, strict=False)],
        U=[(x,) for x in xi[:-1]],
        B=[[scale[-1] * x for x in b]],
        V=[(xi[-1],)],
        levels=tuple(levels),
        target=there,
        **noise,
    )


class _Path(NamedTuple):
    """The linear part of a stochastic step: factors of the sample; noises seen by each point, over which intervals."""

    xi: list[Number]
    columns: list[list[Number]]
    intervals: list[tuple[int, int]]
    clocks: list[Any]


def _on_one_path(formulation: Formulation, nodes: Sequence[Number], points: Sequence[Level]) -> _Path:
    """Return one noise for every interval between neighbouring nodes, seen by all later points, damped as they are."""
    at = [float(x) for x in nodes]
    ordered = sorted({x: i for i, x in reversed([*enumerate(at)])}.items())
    rows: dict[float, tuple[Number, list[Number]]] = {at[0]: (1, [])}
    xi: Number = 1
    seen: list[Number] = []
    clocks = []
    for (_, p), (x, q) in pairwise(ordered):
        span = formulation.span(points[p], points[q], 0)
        xi, seen = xi * span.xi, [*(span.xi * noise for noise in seen), span.noise]
        rows[x] = (xi, seen)
        clocks.append(span.clock)
    width = len(seen)
    columns = [rows[x][1] + [0] * (width - len(rows[x][1])) for x in at]
    return _Path([rows[x][0] for x in at], columns, [(p, q) for (_, p), (_, q) in pairwise(ordered)], clocks)


# --- members ----------------------------------------------------------------------------------------------------------
