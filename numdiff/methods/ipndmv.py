"""iPNDM_v as published, beside the variable-step Adams method that it is meant to be (`LMS`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from numdiff.elementary import Number
from numdiff.formulations import NOISE_RATIO, Formulation
from numdiff.methods.checks import check_order
from numdiff.methods.multistep import AdamsType, Point

__all__ = ["IPNDMV"]


@dataclass(frozen=True)
class IPNDMV(AdamsType):
    r"""iPNDM_v as published: Newton's form of variable-step Adams in sigma/alpha, with slips from three points on.

    ::

        x_t = T_{s->t}(x_s, e_n + g_1 (e_n - e_{n-1}) + g_2 [e_n - (1 + q) e_{n-1} + q e_{n-2}] + g_3 N_3)
        g_1 = 1/(2 a_1),    g_2 = [1 - 1/(3 (1 + a_1)) (1 + a_1)/(a_1 (a_1 + a_2))]/2,    q = a_1/a_2

    where T is DDIM's step, e_{n-j} are the noise predictions, newest first, a_j = h_{n-j}/h_n for steps h in
    sigma/alpha, and g_3 N_3 is the term that a fourth point adds, with the slips told of below.

    With a_j = h_{n-j}/h_n and N_m the m-th divided difference times a_1 (a_1 + a_2) ... (m factors), exact weights are
    f_n + g_1 N_1 + g_2 N_2 + g_3 N_3, with

    ::

        g_2 = (1 - 1/(3 (1 + a_1)))/2 (1 + a_1)/(a_1 (a_1 + a_2))

    where the published code has the last factor inside the bracket, beside 1/(3 (1 + a_1)). Its g_3 has a plus sign for
    a minus, and the oldest weight in N_3 the ratio a_1/a_2 for a_2/a_3. So three points have order 2 on other than
    equal steps (3 on these), and four points have order 3 on equal steps; on other than geometric grids their weights
    do not even add up to 1. `LMS` is the corrected form.

    Parameters
    ----------
    points
        k, from 1 to 4: the number of evaluations combined; 4 as published.

    Raises
    ------
    ValueError, TypeError
        For a number of points out of range.

    Notes
    -----
    Order min(k, 3); 1 stage; N evaluations for N steps. From k = 3 on that holds with exact starts on grids uniform in
    sigma/alpha only. As published; `LMS` is repaired.

    References
    ----------
    Zhang and Chen, Fast sampling of diffusion models with exponential integrator, arXiv:2204.13902, appendix H. Code:
    diff-sampler and ComfyUI, sample_ipndm_v.

    Examples
    --------
    Two points are variable-step Adams on any grid, three on equal steps only:

    >>> import numdiff as nd
    >>> for points, ratios in ((2, [2]), (3, [1, 1]), (3, [2, 2])):
    ...     published, exact = (m.coefficients(ratios=ratios) for m in (nd.IPNDMV(points), nd.LMS(points)))
    ...     print(points, ratios, published == exact)
    2 [2] True
    3 [1, 1] True
    3 [2, 2] False

    >>> nd.order.certified(nd.IPNDMV(4)), nd.order.certified(nd.LMS(4))
    (3, 4)
    """

    points: int = 4

    reference: ClassVar[str] = "Zhang and Chen, DEIS, 2023, appendix H; sample_ipndm_v"

    def __post_init__(self) -> None:
        """Check the parameter."""
        object.__setattr__(self, "points", check_order(self.points, 4, name="points"))

    @property
    def order(self) -> int:  # type: ignore[override]
        """As proved on equal steps, k, but 3 for four points."""
        return min(self.points, 3)

    @property
    def formulation(self) -> Formulation:  # type: ignore[override]
        """noise/ratio."""
        return NOISE_RATIO

    @property
    def name(self) -> str:
        """iPNDM_v and the points."""
        return f"iPNDM_v{self.points} published"

    def weights_at(self, state: Any, point: Point) -> list[Number]:
        """Return the published weights of the step, newest first."""
        k, total = point.order, point.span.moments[0]
        gaps = [point.nodes[j] - point.nodes[j + 1] for j in range(k - 1)]
        one = gaps[0] / gaps[0] if gaps else 1
        weights = [one, *[0 * one] * (k - 1)]
        for m in range(1, k):
            g, row = _published_term(gaps[:m], one)
            weights = [w + g * x for w, x in zip(weights, (*row, *[0 * one] * (k - 1 - m)), strict=True)]
        return [total * w for w in weights]


def _published_term(gaps: Sequence[Number], one: Number) -> tuple[Number, tuple[Number, ...]]:
    """Return g_m and the weights of N_m as published, for m gaps a_1, ..., a_m."""
    a, *older = gaps
    if not older:
        return one / (2 * a), (one, -one)
    b, *older = older
    third, near = one / (3 * (1 + a)), a / b
    if not older:
        return (1 - third * (1 + a) / (a * (a + b))) / 2, (one, -(1 + near), near)
    (c,) = older
    far = a * (a + b) / (b * (b + c))
    g = (1 - third) / 2 + (1 - one / (2 * (1 + a))) / (6 * (1 + a + b))
    scale = (1 + a) * (1 + a + b) / (a * (a + b) * (a + b + c))
    return g * scale, (one, -(1 + near + far), near + far * (1 + b / c), -far * near)
