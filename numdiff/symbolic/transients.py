r"""What a run's steps miss on x' = lambda x, as power series: starting errors, ending errors and the steady defect.

With z = lambda h (h = 1 here) let the sample be put back to e^{tz} after every tableau of a program, while the memory
goes its own way. Tableau n then misses the solution by a series d_n(z), numerical minus exact, and as long as the
memory holds evaluations (which count as h f, so that an error of the sample enters it multiplied by z) the error of the
whole run is to leading order

    x_N - e^{tz} = e^{tz} sum_n d_n(z) e^{-t_{n+1} z}.

Once the program repeats itself with a period P, its memory tends to the periodic solution y of (e^{Pz} - M) y =
forcing, M the memory's part of a period, and d_n to a series d = O(z^{p+1}). Below that order the start leaves a finite
sum and the geometric series of what the memory still remembers,

    sum_{n<n_0} d_n e^{-t_{n+1}z}  +  row (I - e^{-Pz} M)^{-1} (e^{-t_{n_0}z} y_{n_0} - y).

With l and r the left and right eigenvectors of the principal root zeta of the steady tableau, l r = 1 and r_0 = 1, the
computed solution is K(z) zeta^n and parasitic terms with K = l y_{n_0} zeta^{-n_0}, and the above is the leading term
of K - 1: for z -> 0 the vector l is (1, row (I - M)^{-1}).

Source: Hairer, Norsett, Wanner, Solving ODEs I, III.4.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
import sympy as sp
from sympy.polys.matrices import DomainMatrix

from numdiff.symbolic.polynomials import over_field, to_sympy
from numdiff.tableau import Tableau

__all__ = ["Steady", "Timed", "Transients", "geometric_defects"]

Series = list[Any]

CLOSE = 1e-6
"""Distance from the unit circle below which an eigenvalue counts as on it; a multiple 0 is found to 1e-2 or better."""


@dataclass(frozen=True)
class Timed:
    """A tableau with the times of its stages and the time it arrives at, None where it completes no step.

    Parameters
    ----------
    tableau
        Steady, with exact entries.
    times
        Of its stages, in units of the step.
    arrival
        Where it arrives; None where it completes no step.

    Examples
    --------
    >>> import numdiff as nd
    >>> from numdiff.symbolic.transients import Timed
    >>> euler = Timed(nd.AdamsBashforth(1).steady(), times=(0,), arrival=1)
    >>> euler.tableau.stages, euler.arrival
    (1, 1)
    """

    tableau: Tableau
    times: tuple[Any, ...]
    arrival: Any


@dataclass(frozen=True)
class Steady:
    """The periodic part of a program: the memory at the start of a period, and what a whole period misses.

    Parameters
    ----------
    memory
        Power series in z, one for each register but the sample.
    defect
        The power series of what the steps of a period miss together.

    Examples
    --------
    What every step of Adams-Bashforth 2 misses, from the power 3 on:

    >>> import numdiff as nd
    >>> from numdiff.symbolic.transients import Timed, Transients
    >>> series = Transients([Timed(nd.AdamsBashforth(2).steady(), (0,), 1)], 4)
    >>> [str(series.field.to_sympy(x)) for x in series.periodic(range(1), 0).defect]
    ['0', '0', '0', '-5/12']
    """

    memory: list[Series]
    defect: Series


class Transients:
    """Power series in z, with `count` terms, of the steps of a program.

    Parameters
    ----------
    program
        Tableaus with exact entries and times, in units of the step.
    count
        Terms kept.
    given
        Times at which a driver supplies the exact sample.

    Attributes
    ----------
    field
        SymPy domain of the coefficients.

    Raises
    ------
    ValueError
        If the memory stores samples.

    Examples
    --------
    A step of Euler's method misses 1 + z - e^z, here over e^z:

    >>> import numdiff as nd
    >>> from numdiff.symbolic.transients import Timed, Transients
    >>> series = Transients([Timed(nd.AdamsBashforth(1).steady(), (0,), 1)], 4)
    >>> missed, _, _ = series.follow(range(1), 0, series.nothing())
    >>> [series.field.to_sympy(x) for x in missed[0]]
    [0, 0, -1/2, 1/3]
    """

    def __init__(self, program: Sequence[Timed], count: int, given: Sequence[Any] = ()) -> None:
        """Bring all coefficients into one field."""
        self._count, self._given = count, frozenset(given)
        fields = [over_field(entry.tableau) for entry in program]
        self.field = functools.reduce(lambda a, b: a.unify(b), (field for field, _ in fields))
        self._matrices = [
            {name: matrix.convert_to(self.field).to_list() for name, matrix in matrices.items()}
            for _, matrices in fields
        ]
        self._program = list(program)
        self.registers = program[0].tableau.registers
        if any(row[0] for matrices in self._matrices for row in matrices["V"][1:]):
            raise ValueError("the memory stores samples, but leading errors are worked out for a memory of evaluations")

    def exponential(self, t: Any) -> Series:
        """Return e^{tz}."""
        t, term = self.field.from_sympy(to_sympy(t)), self.field.one
        result = []
        for k in range(self._count):
            result.append(term)
            term = term * t / self.field(k + 1)
        return result

    def step(self, n: int, sample: Series, memory: Sequence[Series]) -> tuple[Series, list[Series]]:
        """Return the sample and the memory after tableau `n`."""
        M, entry = self._matrices[n], self._program[n]
        y: list[Series] = [sample, *memory]
        F: list[Series] = []
        for i in range(entry.tableau.stages):
            Y = self._sum([*zip(M["U"][i], y, strict=True), *zip(M["A"][i], F, strict=False)])
            if entry.times[i] in self._given and any(sample):
                Y = self.exponential(entry.times[i])
            F.append([self.field.zero, *Y[:-1]])
        new = [
            self._sum([*zip(v, y, strict=True), *zip(b, F, strict=True)]) for v, b in zip(M["V"], M["B"], strict=True)
        ]
        return new[0], new[1:]

    def follow(self, tableaus: range, time: Any, memory: list[Series]) -> tuple[list[Series], list[Series], Any]:
        """Return d_n e^{-t_{n+1} z} of each tableau from `time` on, the memory after them, and the time then."""
        found = []
        for n in tableaus:
            sample, memory = self.step(n, self.exponential(time), memory)
            time = self.end(range(n, n + 1), time)
            exact = self.exponential(time)
            missed = [x - y for x, y in zip(sample, exact, strict=True)]
            found.append(self.zero if time in self._given else self.times(missed, self.exponential(-time)))
        return found, memory, time

    @property
    def zero(self) -> Series:
        """The series 0."""
        return [self.field.zero] * self._count

    def nothing(self) -> list[Series]:
        """Return an empty memory."""
        return [self.zero for _ in range(self.registers - 1)]

    def periodic(self, tableaus: range, start: Any) -> Steady:
        """Return the periodic memory at time `start`, times e^{-start z}, and the sum of d_n over a period."""
        _, forced, end = self.follow(tableaus, start, self.nothing())
        rhs = [self.times(x, self.exponential(-end)) for x in forced]
        scaled = self._scaled(self._memory_map(tableaus), self.exponential(start - end))
        memory = self._resolve(scaled, rhs) if rhs else []
        grown = [self.times(x, self.exponential(start)) for x in memory]
        missed, _, _ = self.follow(tableaus, start, grown)
        return Steady(memory, [sum(x, self.field.zero) for x in zip(*missed, strict=True)])

    def remembered(self, tableaus: range, start: Any, memory: list[Series]) -> Series:
        """Return what a deviation of the memory at `start`, times e^{-start z}, adds in all periods from there on."""
        if not memory:
            return self.zero
        missed, time = self.zero, start
        scaled = self._scaled(self._memory_map(tableaus), self.exponential(start - self.end(tableaus, start)))
        total = self._resolve(scaled, memory)
        for n in tableaus:
            sample, total = self.step(n, self.zero, total)
            time = self.end(range(n, n + 1), time)
            part = self.times(sample, self.exponential(start - time))
            missed = [x + y for x, y in zip(missed, part, strict=True)]
        return missed

    def fades(self, tableaus: range) -> bool:
        """Tell whether the memory forgets its start over the tableaus; taken for granted with symbols in them."""
        rows = [[x[0] for x in row] for row in zip(*self._memory_map(tableaus), strict=True)]
        values = [[self.field.to_sympy(x) for x in row] for row in rows]
        if not rows or any(x.free_symbols for row in values for x in row):
            return True
        return bool(np.abs(np.linalg.eigvals(np.array(values, dtype=float))).max() < 1 - CLOSE)

    def end(self, tableaus: range, time: Any) -> Any:
        """Return the time after some tableaus that start at `time`."""
        return next((a for n in reversed(tableaus) if (a := self._program[n].arrival) is not None), time)

    def _memory_map(self, tableaus: range) -> list[list[Series]]:
        """Return the matrix of series, by columns, that takes the memory over the tableaus with no sample."""
        columns = []
        for j in range(self.registers - 1):
            memory = self.nothing()
            memory[j] = self.exponential(0)
            for n in tableaus:
                _, memory = self.step(n, self.zero, memory)
            columns.append(memory)
        return columns

    def _scaled(self, columns: list[list[Series]], factor: Series) -> list[list[Series]]:
        return [[self.times(x, factor) for x in column] for column in columns]

    def _resolve(self, columns: list[list[Series]], rhs: list[Series]) -> list[Series]:
        """Return (I - W)^{-1} rhs for the matrix of series W, given by columns."""
        n, field = len(rhs), self.field
        constant = [[field(int(i == j)) - columns[j][i][0] for j in range(n)] for i in range(n)]
        matrix = DomainMatrix(constant, (n, n), field)
        if not matrix.det():
            raise ValueError("the memory never forgets its start: it has the eigenvalue 1")
        inverse = matrix.inv().to_list()
        terms: list[list[Any]] = []
        for k in range(self._count):
            known = [rhs[i][k] for i in range(n)]
            for lag in range(1, k + 1):
                for i in range(n):
                    known[i] += sum((columns[j][i][lag] * terms[k - lag][j] for j in range(n)), field.zero)
            terms.append([sum((a * b for a, b in zip(row, known, strict=True)), field.zero) for row in inverse])
        return [[term[i] for term in terms] for i in range(n)]

    def times(self, a: Series, b: Series) -> Series:
        """Return a product."""
        result = [self.field.zero] * self._count
        for i, x in enumerate(a):
            if x:
                for j in range(self._count - i):
                    result[i + j] += x * b[j]
        return result

    def _sum(self, terms: Sequence[tuple[Any, Series]]) -> Series:
        total = [self.field.zero] * self._count
        for c, series in terms:
            if c:
                total = [x + c * y for x, y in zip(total, series, strict=True)]
        return total


def geometric_defects(tableau: Tableau, ratio: Any, count: int) -> list[Any]:
    """Return what one step of a geometric grid misses on f = u^m, numerical minus exact, for m < `count`.

    Parameters
    ----------
    tableau
        The steady step of length 1 on a grid whose steps grow by `ratio`; kernel exponent 0.
    ratio
        A symbol or an exact number.
    count
        How many powers.

    Returns
    -------
    list of Expr
        Rational functions of the ratio and of the parameters. The steady memory mu_m of u^m about the present node, in
        units of the present step, solves ratio^m mu_m = sum_l binom(m, l) (-1)^{m-l} (what the step makes of mu_l).

    Examples
    --------
    >>> import sympy as sp
    >>> import numdiff as nd
    >>> from numdiff.symbolic.transients import geometric_defects
    >>> r = sp.Symbol("r", positive=True)
    >>> geometric_defects(nd.AdamsBashforth(2).steady(ratio=r), r, 3)
    [0, 0, (-2*r - 3)/(6*r)]
    """
    field, matrices = over_field(tableau)
    if isinstance(ratio, sp.Symbol):
        field = field.unify(sp.ZZ.frac_field(ratio))
    A, U, B, V = (matrices[name].convert_to(field).to_list() for name in "AUBV")
    r, rate = tableau.registers, field.from_sympy(to_sympy(ratio))
    nodes: list[Any] = []
    after: list[list[Any]] = []
    missed = []
    for m in range(count):
        ones = [field.one] * tableau.stages
        g = [c**m if c else field.zero for c in nodes] if m else ones
        rhs = [_dot(row, g, field) for row in B[1:]]
        for low, older in enumerate(after):
            factor = field((-1) ** (m - low) * comb(m, low))
            rhs = [x + factor * y for x, y in zip(rhs, older, strict=True)]
        power = rate**m if m else field.one
        matrix = [[power * field(int(i == j)) - V[i][j] for j in range(1, r)] for i in range(1, r)]
        inverse = DomainMatrix(matrix, (r - 1, r - 1), field).inv().to_list() if r > 1 else []
        mu = [_dot(row, rhs, field) for row in inverse]
        nodes = nodes or [_dot(u[1:], mu, field) + _dot(a, ones, field) for u, a in zip(U, A, strict=True)]
        after.append([_dot(v[1:], mu, field) + _dot(b, g, field) for v, b in zip(V[1:], B[1:], strict=True)])
        missed.append(_dot(V[0][1:], mu, field) + _dot(B[0], g, field) - field.one / field(m + 1))
    return [field.to_sympy(x) for x in missed]


def _dot(a: Sequence[Any], b: Sequence[Any], field: Any) -> Any:
    return sum((x * y for x, y in zip(a, b, strict=True) if x and y), field.zero)
