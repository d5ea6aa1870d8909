"""Schemes with one mistake in them, the same on every step: what the diagnosis must catch and name."""

from dataclasses import replace

import numpy as np


def _each(scheme, change):
    return replace(scheme, tableaus=tuple(map(change, scheme.tableaus)))


def scaled(entries, factor):
    """Multiply the entries (matrix, row, column) of all tableaus that have them."""

    def changed(tableau):
        new = {name: [list(row) for row in getattr(tableau, name)] for name, _, _ in entries}
        for name, row, column in entries:
            if row < len(new[name]) and column < len(new[name][row]):
                new[name][row][column] *= factor
        return tableau.replace(**{name: tuple(map(tuple, rows)) for name, rows in new.items()})

    return lambda scheme: _each(scheme, changed)


def shifted(stage, nodes):
    """Ask a stage at the level of a node further on, or further back; the grid's ends stay ends."""

    def change(scheme):
        times = np.array([level.time for level in scheme.levels])

        def moved(level):
            near = int(np.argmin(np.abs(times - level.time))) + nodes
            return scheme.levels[min(max(near, 0), len(times) - 1)]

        def changed(tableau):
            levels = [moved(one) if i == stage else one for i, one in enumerate(tableau.levels)]
            return tableau.replace(levels=tuple(levels))

        return _each(scheme, changed)

    return change


def single(scheme):
    """Round all coefficients to float32."""
    return _each(scheme, lambda tableau: tableau.map(lambda x: float(np.float32(x))))
