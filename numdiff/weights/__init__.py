r"""Interpolatory weights and the velocity filter, for any number type.

**Formula (*)**. A multistep method replaces f by the polynomial through its values at nodes u_j (the present node is
u = 0, history has u < 0 in the direction of travel) and integrates it against an exponential kernel over a step h::

    omega_j = int_0^h e^{c(h-u)} l_j(u) du = sum_m l_jm mu_m,        mu_m = int_0^h e^{c(h-u)} u^m du = m! h^{m+1}
    phi_{m+1}(c h)

with l_jm the coefficients of the Lagrange basis polynomial l_j. c = 0 is variable-step Adams, and equal steps give the
classical weights. Callers measure u in units of the step, so that no power of a small h is ever formed.

**The velocity filter** v+ = (1 - beta) v + beta f of the generalized heavy ball sees f only through an average.
Feeding it the monomials u^m gives moments M^m, which stay centred on a node: moving the centre by d is the binomial
shift M^m -> sum_j binom(m, j) (-d)^{m-j} M^j. Weights w_i on the k newest velocities that integrate every polynomial
of degree < k solve sum_i w_i M_i^m = mu_m. That system is not solved as it stands: where steps shrink, the velocities
share a distant past and differ by little. But they span what the k - 1 newest evaluations span with the oldest
velocity, of moments M, and on these the weights are b_j and a::

    P = prod_{j<k-1} (u - u_j),    a = mu[P]/M[P],    b_j = (mu - a M)[l_j],

where mu[P] = sum_m p_m mu_m. Since f_n = (v_{n+1} - (1-beta) v_n)/beta,

::

    w_0 = b_0/beta,    w_i = (b_i - (1-beta) b_{i-1})/beta,    w_{k-1} = a - (1-beta) b_{k-2}/beta.

For beta <= 1 the oldest velocity is an average over nodes at and before u_{k-1}, where P has one sign, so that M[P] is
not zero on any grid; about u_{k-1} all terms of M[P] and M[l_j] have one sign too, and nothing cancels. For beta > 1
M[P] may vanish.

On a grid of constant step ratio r (r = 1: equal steps), in units of the present step, the moments of the present node
have the fixed point

::

    M^0 = 1,    M^m = (1-beta) r^-m sum_{j<=m} binom(m, j) (-1)^{m-j} M^j.

**Momentum in the filter**, v+ = v + beta (f - v) + momentum (v - v_before), makes it a filter of second order, two
filters in a row when its poles are real. The same algebra holds with two old velocities beside the k - 2 newest
evaluations: their two weights are fixed by P = prod_{j<k-2} (u - u_j) and by (u - u_{k-1}) P.

Sources: Hairer, Norsett, Wanner, Solving ODEs I, III.5 (variable-step Adams); Hochbruck and Ostermann, Acta Numerica
2010 (exponential multistep methods); Wizadwongsa et al., ICLR 2024 (the heavy-ball family, equal steps). The
variable-step filter is numdiff's.
"""

from __future__ import annotations

from numdiff.weights import interpolation
from numdiff.weights.filters import SINGULAR as SINGULAR
from numdiff.weights.filters import filtered, filtered_twice, observe, recentre, rescale, steady_filter
from numdiff.weights.filters import on_newer as on_newer
from numdiff.weights.filters import on_oldest as on_oldest
from numdiff.weights.filters import on_velocities as on_velocities
from numdiff.weights.interpolation import INEXACT as INEXACT
from numdiff.weights.interpolation import Vector as Vector
from numdiff.weights.interpolation import adams, interpolatory, lagrange, moments
from numdiff.weights.interpolation import exact as exact
from numdiff.weights.interpolation import tidy as tidy
from numdiff.weights.interpolation import to_float as to_float

#: Highest order of a multistep method; (*) needs phi_1 ... phi_order.
MAX_ORDER = interpolation.MAX_ORDER

__all__ = [
    "MAX_ORDER",
    "adams",
    "filtered",
    "filtered_twice",
    "interpolatory",
    "lagrange",
    "moments",
    "observe",
    "recentre",
    "rescale",
    "steady_filter",
]
