r"""Exponential Butcher arrays: explicit Runge-Kutta methods for X' = c X + f, exact data.

With z = c h and nodes c_i, stages and the new sample are

::

    X_i = e^{c_i z} X + h sum_{j<i} a_ij(z) F_j,        X_+ = e^z X + h sum_i b_i(z) F_i,

where every a_ij and b_i is a sum of terms q phi_k(c_l z): a number, an order, a node (or 1, the end of the step). Only
columns j >= 2 are data. The first follows from exactness for constant f, on which all methods here insist::

    a_i1 = c_i phi_1(c_i z) - sum_{1<j<i} a_ij,        b_1 = phi_1(z) - sum_{i>1} b_i.

**Three stages.** Order 3 asks for sum_i b_i c_i^2 = 1/3 and sum_i b_i sum_j a_ij c_j = 1/6 at z = 0, on top of order 2.
With a_32 = gamma c_2 phi_2(c_2 z) + (c_3^2/c_2) phi_2(c_3 z) both hold if b_2/b_3 = gamma at z = 0 and

::

    2 (gamma c_2 + c_3) = 3 (gamma c_2^2 + c_3^2),    that is    gamma = c_3 (3 c_3 - 2)/(c_2 (2 - 3 c_2)).

Only c_3 = 2/3 gives gamma = 0, DPM-Solver's a_32: on other nodes that method has order 2. c_2 = 2/3 has no method of
order 3 unless c_3 = 2/3.

Sources: Hochbruck and Ostermann, SIAM J. Numer. Anal. 43 (2005), section 5; Cox and Matthews, J. Comput. Phys. 176
(2002); Krogstad, J. Comput. Phys. 203 (2005); Strehmel and Weiner (1992); Lu et al., DPM-Solver (2022), appendix B.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import factorial
from typing import Any

from numdiff.elementary import Number, kind
from numdiff.phi import phis
from numdiff.weights import lagrange

__all__ = [
    "END",
    "ETD2RK",
    "ETD3RK",
    "ETD4RK",
    "EULER",
    "HOCHBRUCK_OSTERMANN4",
    "KROGSTAD4",
    "STREHMEL_WEINER4",
    "ExponentialButcher",
    "hochbruck_ostermann3",
    "interpolating",
    "three_stage",
    "two_stage",
]

Q = Fraction
END = -1
"""The node 1, where the step ends."""

Term = tuple[Number, int, int]
Entry = tuple[Term, ...]

RULES = ("exact", "dpmsolver", "half")


@dataclass(frozen=True)
class ExponentialButcher:
    """An explicit exponential Runge-Kutta method.

    Parameters
    ----------
    c
        The s nodes, the first one 0, the others in (0, 1]; numbers or SymPy symbols.
    A
        For stage i = 2, ..., s the entries a_i2, ..., a_i,i-1; an entry is a tuple of terms (q, k, l), each standing
        for q phi_k(c_l z), l counting from 0 and `END` meaning 1.
    b
        The entries b_2, ..., b_s.
    order
        Its order for h -> 0.

    Raises
    ------
    ValueError
        For shapes that disagree or nodes out of range.

    Examples
    --------
    >>> import numdiff as nd
    >>> table = nd.DPMSolverSingle(2).coefficients()
    >>> print(*table.c)
    0 1/2
    >>> a, b = table.weights(-0.5)  # z = c h of a step of length 0.5 on data
    >>> [round(w, 6) for w in b], round(sum(b), 6)  # they add up to phi_1(z)
    ([-0.065307, 0.852245], 0.786939)
    """

    c: tuple[Number, ...]
    A: tuple[tuple[Entry, ...], ...]
    b: tuple[Entry, ...]
    order: int

    def __post_init__(self) -> None:
        """Check the shapes and the nodes."""
        s = len(self.c)
        if [len(row) for row in self.A] != list(range(s - 1)) or len(self.b) != s - 1:
            raise ValueError(f"{s} nodes need rows of A of lengths 0 to {s - 2} and {s - 1} entries of b")
        for i, node in enumerate(self.c):
            if getattr(node, "is_number", True) and not (0 < node <= 1 if i else node == 0):
                raise ValueError(f"the first node must be 0 and the others in (0, 1], got c[{i}] = {node}")

    @property
    def stages(self) -> int:
        """Number of evaluations."""
        return len(self.c)

    @property
    def symbols(self) -> set[Any]:
        """The SymPy symbols in it; a run needs numbers."""
        numbers = [*self.c, *(q for q, _, _ in self._terms)]
        return set().union(*(getattr(x, "free_symbols", set()) for x in numbers))

    @property
    def _terms(self) -> list[Term]:
        return [term for row in (*self.A, self.b) for entry in row for term in entry]

    @cached_property
    def in_floats(self) -> ExponentialButcher:
        """The array in floats, for runs."""
        if not any(kind(x) in ("exact", "sympy") for x in (*self.c, *(q for q, _, _ in self._terms))):
            return self
        row = lambda entries: tuple(tuple((_plain(q), k, node) for q, k, node in entry) for entry in entries)  # noqa: E731
        return ExponentialButcher(tuple(map(_plain, self.c)), tuple(map(row, self.A)), row(self.b), self.order)

    @cached_property
    def _same(self) -> dict[int, int]:
        """The first node equal to each, whose phis it shares."""
        first: dict[Number, int] = {}
        return {i: first.setdefault(x, i) for i, x in ((END, 1), *enumerate(self.c))}

    @cached_property
    def _needed(self) -> tuple[tuple[int, int], ...]:
        """How many phis are needed at which node."""
        counts = dict.fromkeys((self._same[i] for i in (*range(1, self.stages), END)), 2)
        for _, k, node in self._terms:
            counts[self._same[node]] = max(counts[self._same[node]], k + 1)
        return tuple(counts.items())

    def weights(self, z: Number) -> tuple[list[list[Number]], list[Number]]:
        """Return a_ij(z), rows of lengths 0, ..., s - 1, and b_i(z)."""
        nodes, same = (*self.c, 1), self._same
        known = {node: phis(count, nodes[node] * z) for node, count in self._needed}
        rows: list[list[Number]] = [[]]
        for node, entries in (*enumerate(self.A, 1), (END, self.b)):
            row = [sum([q * known[same[at]][k] for q, k, at in entry]) for entry in entries]
            rows.append([nodes[node] * known[same[node]][1] - sum(row), *row])
        return rows[:-1], rows[-1]


def _plain(x: Number) -> Number:
    return x if kind(x) in ("torch", "traced") else float(x)


def interpolating(nodes: Sequence[Number]) -> tuple[Entry, ...]:
    """Return b_j = int_0^1 e^{(1-u)z} l_j(u) du, j >= 2, for the Lagrange basis l_j on the nodes.

    Parameters
    ----------
    nodes
        The s nodes, the first one 0.

    Returns
    -------
    tuple
        The entries b_2, ..., b_s, each a tuple of terms (q, k, l) as in `ExponentialButcher`.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from numdiff.methods.exponential_butcher import interpolating
    >>> interpolating((0, Fraction(1, 2)))  # b_2 = 2 phi_2(z), where z belongs to the end of the step
    (((Fraction(2, 1), 2, -1),),)
    """
    zero = 0 * nodes[-1]
    rows = lagrange([zero, *nodes[1:]])
    return tuple(tuple((factorial(m) * q, m + 1, END) for m, q in enumerate(row) if m) for row in rows[1:])


EULER = ExponentialButcher((0,), (), (), 1)


def two_stage(c2: Number, rule: str = "exact") -> ExponentialButcher:
    """Return the method of order 2 with second node `c2`: b_2 = phi_2/c_2, or phi_1/(2 c_2) for ``rule="half"``.

    Parameters
    ----------
    c2
        The second node, in (0, 1], or a symbol.
    rule
        "exact" or "half".

    Returns
    -------
    ExponentialButcher
        The array.

    Examples
    --------
    >>> from fractions import Fraction
    >>> import numdiff as nd
    >>> from numdiff.methods.exponential_butcher import two_stage
    >>> two_stage(Fraction(1, 2)) == nd.RES(2).coefficients()
    True
    """
    b2 = (1 / c2, 2, END) if rule == "exact" else (1 / (2 * c2), 1, END)
    return ExponentialButcher((0, c2), ((),), ((b2,),), 2)


def three_stage(c2: Number, c3: Number, rule: str = "exact") -> ExponentialButcher:
    """Return a method with three stages, as DPM-Solver-3.

    Parameters
    ----------
    c2, c3
        Nodes.
    rule
        "exact": order 3 on any nodes; b exact on quadratics, and gamma in a_32. Where c_3 = 2/3 it is the published
        "taylor". "dpmsolver": the published default, a_32 = (c_3^2/c_2) phi_2(c_3 z) and b = (phi_1 - phi_2/c_3, 0,
        phi_2/c_3), order 3 for c_3 = 2/3 only. "half": diffusers' "midpoint", which has a_32 = c_3^2/(2 c_2)
        phi_1(c_3 z) instead. "taylor": b exact on quadratics without gamma, order 3 for c_3 = 2/3 only.

    Returns
    -------
    ExponentialButcher
        The array.

    Raises
    ------
    ValueError
        For equal nodes, or for rule "exact" c_2 = 2/3 where c_3 is another.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from numdiff.methods.exponential_butcher import three_stage
    >>> [three_stage(Fraction(1, 2), Fraction(3, 4), rule).order for rule in ("exact", "dpmsolver")]
    [3, 2]
    """
    whole = (c3 * c3 / c2, 2, 2)
    third: Entry = (whole,)
    b: tuple[Entry, ...] = ((), ((1 / c3, 2, END),))
    if rule == "half":
        third = ((c3 * c3 / (2 * c2), 1, 2),)
    if rule in ("exact", "taylor"):
        _check_distinct(c2, c3)
        b = interpolating((0, c2, c3))
    if rule == "exact" and 3 * c3 - 2 != 0:
        third = ((_gamma(c2, c3) * c2, 2, 1), whole)
    order = 3 if rule == "exact" or 3 * c3 - 2 == 0 else 2
    return ExponentialButcher((0, c2, c3), ((), (third,)), b, order)


def hochbruck_ostermann3(c2: Number, c3: Number, rule: str = "exact") -> ExponentialButcher:
    """Return the method (5.8) of Hochbruck and Ostermann, b = (., gamma phi_2, phi_2)/(gamma c_2 + c_3).

    ``rule="published"`` has 3 c_3^3 for 3 c_3^2 in gamma, as widespread code for RES does: order 2 unless c_3 = 1.

    Parameters
    ----------
    c2, c3
        Nodes in (0, 1], or symbols.
    rule
        "exact" or "published".

    Returns
    -------
    ExponentialButcher
        The array.

    Raises
    ------
    ValueError
        For equal nodes, or c_2 = 2/3 where c_3 is another.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from numdiff.methods.exponential_butcher import hochbruck_ostermann3
    >>> [hochbruck_ostermann3(Fraction(1, 2), Fraction(3, 4), rule).order for rule in ("exact", "published")]
    [3, 2]
    """
    if rule == "published":
        gamma = (3 * c3**3 - 2 * c3) / (c2 * _gap(c2, c3))
    else:
        gamma = 0 if 3 * c3 - 2 == 0 else _gamma(c2, c3)
    order = 3 if rule == "exact" or c3 == 1 else 2
    if gamma != 0:
        _check_distinct(c2, c3)  # else gamma c_2 + c_3 = 3 c_3 (c_3 - c_2)/(2 - 3 c_2) vanishes at order 3
    scale = 1 / (gamma * c2 + c3)
    third: Entry = ((c3 * c3 / c2, 2, 2),)
    if gamma == 0:
        return ExponentialButcher((0, c2, c3), ((), (third,)), ((), ((scale, 2, END),)), order)
    b = (((gamma * scale, 2, END),), ((scale, 2, END),))
    return ExponentialButcher((0, c2, c3), ((), (((gamma * c2, 2, 1), *third),)), b, order)


def _gamma(c2: Number, c3: Number) -> Number:
    """Return the gamma of order 3."""
    return c3 * (3 * c3 - 2) / (c2 * _gap(c2, c3))


def _check_distinct(c2: Number, c3: Number) -> None:
    if c2 - c3 == 0:  # a Fraction and a SymPy float do not compare
        raise ValueError(f"the nodes of a three-stage method must differ from each other, got 0, {c2}, {c3}")


def _gap(c2: Number, c3: Number) -> Number:
    """Return 2 - 3 c_2, or raise where it is too small to divide by."""
    gap = 2 - 3 * c2
    if getattr(gap, "is_number", True) and abs(gap) < SINGULAR:
        raise ValueError(
            f"no three-stage method with nodes 0, {c2}, {c3} has order 3: the second node must differ from 2/3 unless "
            'the third one is 2/3; choose other nodes, or the published rule="dpmsolver" of order 2'
        )
    return gap


SINGULAR = 1e-2
"""The smallest |2 - 3 c_2| by which gamma divides."""

_half, _one = Q(1, 2), Q(1)


def _sum(*terms: tuple[Any, int, int]) -> Entry:
    return tuple((Q(q), k, node) for q, k, node in terms)


_NODES = (0, _half, _half, _one)
_LAST = _sum((-1, 2, END), (4, 3, END))
_MIDDLE = _sum((2, 2, END), (-4, 3, END))
_TWICE = _sum((4, 2, END), (-8, 3, END))
_A52 = _sum((_half, 2, 1), (-1, 3, END), (Q(1, 4), 2, END), (-_half, 3, 1))

ETD2RK = two_stage(_one)
ETD3RK = ExponentialButcher((0, _half, _one), ((), (_sum((2, 1, END)),)), (_TWICE, _LAST), 3)
ETD4RK = ExponentialButcher(_NODES, ((), (_sum((_half, 1, 1)),), ((), _sum((1, 1, 1)))), (_MIDDLE, _MIDDLE, _LAST), 4)
KROGSTAD4 = ExponentialButcher(_NODES, ((), (_sum((1, 2, 1)),), ((), _sum((2, 2, END)))), (_MIDDLE, _MIDDLE, _LAST), 4)
STREHMEL_WEINER4 = ExponentialButcher(
    _NODES, ((), (_sum((_half, 2, 1)),), (_sum((-2, 2, END)), _sum((4, 2, END)))), ((), _TWICE, _LAST), 4
)
HOCHBRUCK_OSTERMANN4 = ExponentialButcher(
    (*_NODES, _half),
    (
        (),
        (_sum((1, 2, 1)),),
        (_sum((1, 2, END)), _sum((1, 2, END))),
        (_A52, _A52, _sum((Q(1, 4), 2, 1)) + _sum(*((-q, k, node) for q, k, node in _A52))),
    ),
    ((), (), _LAST, _TWICE),
    4,
)
