"""Rooted trees with vertices of two kinds, f and L; see `bicoloured`."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import combinations_with_replacement
from typing import Any

Tree = tuple[bool, tuple[Any, ...]]
"""Whether the root is L, and the sorted tuple of the branches."""


@cache
def trees(order: int) -> tuple[Tree, ...]:
    """Return every bicoloured tree with `order` vertices.

    Parameters
    ----------
    order
        Number of vertices.

    Returns
    -------
    tuple
        Trees as pairs: whether the root is L, and the tuple of the branches.

    Raises
    ------
    ValueError
        For an order below 1.

    Examples
    --------
    >>> from numdiff.symbolic import bicoloured
    >>> [len(bicoloured.trees(order)) for order in (1, 2, 3, 4)]
    [2, 4, 11, 34]
    """
    if order < 1:
        raise ValueError(f"order must be at least 1, got {order}; a tree has a root")
    linear = [(True, (t,)) for t in trees(order - 1)] if order > 1 else [(True, ())]
    return (*((False, forest) for forest in _forests(order - 1, order - 1)), *linear)


@cache
def _forests(size: int, largest: int) -> tuple[tuple[Tree, ...], ...]:
    """Return every sorted tuple of trees with `size` vertices in all and none above `largest`."""
    if size == 0:
        return ((),)
    found = []
    for first in range(1, min(size, largest) + 1):  # the largest tree, and how many there are of its size
        for count in range(1, size // first + 1):
            for chosen in combinations_with_replacement(trees(first), count):
                found += [tuple(sorted((*chosen, *rest))) for rest in _forests(size - count * first, first - 1)]
    return tuple(found)


@cache
def order_of(tree: Tree) -> int:
    """Return the number of vertices.

    Parameters
    ----------
    tree
        A bicoloured tree: whether its root is L, and the tuple of its branches.

    Returns
    -------
    int

    Examples
    --------
    >>> from numdiff.symbolic import bicoloured
    >>> f = (False, ())
    >>> bicoloured.order_of((True, (f,)))           # L f
    2
    """
    return 1 + sum(map(order_of, tree[1]))


@cache
def density(tree: Tree) -> int:
    """Return ``gamma(t) = |t| prod gamma(branches)``.

    Parameters
    ----------
    tree
        A bicoloured tree: whether its root is L, and the tuple of its branches.

    Returns
    -------
    int

    Examples
    --------
    >>> from numdiff.symbolic import bicoloured
    >>> f = (False, ())
    >>> bicoloured.density((False, (f, f))), bicoloured.density((True, ((True, (f,)),)))     # f''(f, f) and L L f
    (3, 6)
    """
    result = order_of(tree)
    for branch in tree[1]:
        result *= density(branch)
    return result


@cache
def cuts(tree: Tree) -> tuple[tuple[Tree, int, int], ...]:
    """Return (s, n, d) over the subtrees s with the root: n ways to cut down to s, each with prod E(cut off) = 1/d.

    An L-vertex that loses its branch then stands for L X, as an L-leaf does.

    Parameters
    ----------
    tree
        A bicoloured tree: whether its root is L, and the tuple of its branches.

    Returns
    -------
    tuple
        Triples (s, n, d).

    Examples
    --------
    >>> from numdiff.symbolic import bicoloured
    >>> f = (False, ())
    >>> len(bicoloured.cuts((False, (f, f))))           # three subtrees of f''(f, f): with 0, 1 and 2 branches
    3
    """
    found: Counter[tuple[tuple[Tree, ...], int]] = Counter({((), 1): 1})
    for branch in tree[1]:
        grown: Counter[tuple[tuple[Tree, ...], int]] = Counter()
        for (kept, d), n in found.items():
            grown[kept, d * density(branch)] += n
            for sub, m, e in cuts(branch):
                grown[tuple(sorted((*kept, sub))), d * e] += n * m
        found = grown
    return tuple(((tree[0], kept), n, d) for (kept, d), n in found.items())
