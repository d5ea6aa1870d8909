"""Heavy ball and Nesterov momentum: transformations of any base method's tableau.

Read the base's sample row as x+ = xi x + W p, where W is the total weight of the evaluations and p their normalised
mix. Then with one more register v, damping beta in (0, 2] and v+ = (1-beta) v + beta p (v+ = p in the first step),

::

    heavy ball    x+ = xi x + W v+
    Nesterov      x+ = xi x + W [(1-beta) v+ + beta p]

beta = 1 is the base. The division by W is what makes both preserve a constant prediction exactly in every formulation.

Source: Wizadwongsa et al., Diffusion Sampling with Momentum, ICLR 2024, sections 4.1 and appendix. Whatever the base,
heavy ball has order 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from numdiff.elementary import Number, is_zero, product
from numdiff.methods.base import Transformed
from numdiff.methods.checks import check_beta, show
from numdiff.methods.layout import Layout
from numdiff.methods.multistep import Multistep, Point
from numdiff.tableau import Tableau

__all__ = ["HeavyBall", "Momentum", "Nesterov"]


def with_velocity(base: Tableau, beta: Number, sample: tuple[Number, Number], first: bool) -> Tableau:
    """Return `base` with a velocity as its last register.

    `sample` holds the factors of W v and of W p in the new sample row.
    """
    keep, blend = (0, 1) if first else (1 - beta, beta)
    on_v, on_p = (0, 1) if first else sample
    (xi, *memory), evaluations = base.V[0], base.B[0]
    W = sum(memory) + sum(evaluations)
    row = (xi, *(product(on_p, x) for x in memory), product(on_v, W))
    velocity = (0, *(0 if is_zero(x) else blend * x / W for x in memory), keep)
    return base.replace(
        U=[(*u, 0) for u in base.U],
        V=[row, *((*v, 0) for v in base.V[1:]), velocity],
        B=[[on_p * x for x in evaluations], *base.B[1:], [blend * x / W for x in evaluations]],
    )


@dataclass(frozen=True)
class Momentum(Transformed, Multistep):
    """What ``HeavyBall`` and ``Nesterov`` share; use one of those.

    Parameters
    ----------
    base
        The multistep method whose mix of evaluations is averaged.
    beta
        Damping in (0, 2]; 1 is the base.

    Raises
    ------
    ValueError, TypeError
        For a beta out of range, or a base that is not a multistep method.

    Examples
    --------
    >>> import numdiff as nd
    >>> for cls in (nd.HeavyBall, nd.Nesterov):
    ...     print(cls.short, cls(nd.PLMS(2), beta=1).order, cls(nd.PLMS(2), beta=0.8).order)
    HB 2 1
    NT 2 1
    """

    base: Multistep
    beta: Any

    short: ClassVar[str] = ""
    reference: ClassVar[str] = "Wizadwongsa et al., Diffusion Sampling with Momentum, ICLR 2024"

    def __post_init__(self) -> None:
        """Check the parameters."""
        if not isinstance(self.base, Multistep):
            raise TypeError(
                f"base must be a multistep method such as AdamsBashforth(2), got {self.base}; a predictor-corrector "
                'such as UniPC has a beta of its own: UniPC(3, beta=0.8), with momentum="nesterov" for Nesterov\'s'
            )
        object.__setattr__(self, "beta", check_beta(self.beta))

    @property
    def order(self) -> int:  # type: ignore[override]
        """1 whatever the base, except at beta = 1, where the method is its base."""
        return self.base.order if self.beta == 1 else 1

    @property
    def registers(self) -> int:
        """The base's and the velocity."""
        return self.base.registers + 1

    @property
    def name(self) -> str:
        """HB or NT, the base and beta."""
        return f"{self.short}({self.base.name}, {show(self.beta)})"

    def point_of(self, layout: Layout, n: int) -> Point:
        """Return where the base stands at step `n`, which may have nodes and moments of its own."""
        return self.base.point_of(layout, n)

    def factors(self) -> tuple[Number, Number]:
        """Return the factors of W v and of W p in the new sample."""
        raise NotImplementedError

    def steady_state(self, ratio: Number) -> Any:
        """Return the base's state; see `Multistep`."""
        return (self.base.steady_state(ratio),)

    def state_at(self, ratios: Sequence[Number]) -> Any:
        """Return the base's state; see `Multistep`."""
        return (self.base.state_at(ratios),)

    def weights_at(self, state: Any, point: Point) -> list[Number]:
        """Return the base's weights: momentum acts on their mix."""
        return self.base.weights_at(state[0], point)

    def advance(self, state: Any, point: Point) -> tuple[Tableau, Any]:
        """Return the base's tableau with the velocity added; see `Multistep`."""
        tableau, inner = self.base.advance(state[0] if state else None, point)
        sample = self.factors() if point.momentum else (0, 1)
        return with_velocity(tableau, self.beta, sample, first=state is None), (inner,)


@dataclass(frozen=True)
class HeavyBall(Momentum):
    """Polyak's heavy ball on a base method: x+ = xi x + W v+.

    ::

        v_{n+1} = (1-beta) v_n + beta p_n,    v_1 = p_0,    x_{n+1} = xi x_n + W v_{n+1}

    where the base's step is x_{n+1} = xi x_n + W p_n: xi its linear factor, W the total weight of the evaluations and
    p_n their mix, divided by W.

    Parameters
    ----------
    base
        The multistep method whose mix of evaluations is averaged.
    beta
        Damping in (0, 2]; 1 is the base, 2/3 on AB2 with equal steps is Euler.

    Raises
    ------
    ValueError, TypeError
        For a beta out of range, or a base that is not a multistep method.

    Notes
    -----
    Order 1; 1 stage; N evaluations for N steps. That is so whatever the base, unless beta = 1, which is the base.

    References
    ----------
    Wizadwongsa, Chinchuthakun, Khungurn, Raj, Suwajanakorn, Diffusion sampling with momentum, ICLR 2024,
    arXiv:2307.11118; Polyak, USSR Comput. Math. Math. Phys. 4 (1964).

    Examples
    --------
    >>> import numdiff as nd
    >>> base = nd.AdamsBashforth(2)
    >>> method = nd.HeavyBall(base, beta=0.8)
    >>> nd.stability.real_interval(base), nd.stability.real_interval(method)
    (1, 3/2)
    >>> nd.order.certified(base), nd.order.certified(method)
    (2, 1)
    """

    short: ClassVar[str] = "HB"

    def factors(self) -> tuple[Number, Number]:
        """Return the factors of W v and of W p in the new sample."""
        return 1 - self.beta, self.beta


@dataclass(frozen=True)
class Nesterov(Momentum):
    """Nesterov momentum on a base method: x+ = xi x + W [(1-beta) v+ + beta p].

    ::

        v_{n+1} = (1-beta) v_n + beta p_n,    v_1 = p_0,    x_{n+1} = xi x_n + W [(1-beta) v_{n+1} + beta p_n]

    where the base's step is x_{n+1} = xi x_n + W p_n: xi its linear factor, W the total weight of the evaluations and
    p_n their mix, divided by W.

    Parameters
    ----------
    base
        The multistep method whose mix of evaluations is averaged.
    beta
        Damping in (0, 2]; 1 is the base.

    Raises
    ------
    ValueError, TypeError
        For a beta out of range, or a base that is not a multistep method.

    Notes
    -----
    Order 1; 1 stage; N evaluations for N steps. That is so whatever the base, unless beta = 1, which is the base.

    References
    ----------
    Wizadwongsa, Chinchuthakun, Khungurn, Raj, Suwajanakorn, Diffusion sampling with momentum, ICLR 2024,
    arXiv:2307.11118; Nesterov, Soviet Math. Dokl. 27 (1983).

    Examples
    --------
    Order, error constant and real stability interval of a base, the heavy ball and Nesterov's momentum on it:

    >>> import numdiff as nd
    >>> base = nd.AdamsBashforth(2)
    >>> for m in (base, nd.HeavyBall(base, beta=0.8), nd.Nesterov(base, beta=0.8)):
    ...     print(m, nd.order.certified(m), nd.order.error_constant(m), nd.stability.real_interval(m))
    AB2 2 5/12 1
    HB(AB2, 0.8) 1 1/4 3/2
    NT(AB2, 0.8) 1 1/20 15/14
    """

    short: ClassVar[str] = "NT"

    def factors(self) -> tuple[Number, Number]:
        """Return the factors of W v and of W p in the new sample."""
        return (1 - self.beta) ** 2, self.beta * (2 - self.beta)
