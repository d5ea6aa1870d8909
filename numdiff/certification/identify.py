r"""Identification: all coefficients of a sampler, read off its responses.

A fixed-step sampler is linear in where it starts and in what it is told. If x_0 is its sample and F_j the answer to its
j-th question, then the sample X_i with which it asks its i-th question, and the one x_N that it returns, are

    X_i = z_i x_0 + sum_{j<i} L_ij F_j,        x_N = z x_0 + sum_j l_j F_j.                                       (1)

Coordinates of a sample do not mix, so one run of 1 + M of them, M the number of questions, gives every coefficient:
x_0 = e_0, and the answer to question j is e_{1+j} whatever is asked. A second run on random numbers must return what
(1) says; if it does not, the sampler clips, adapts its steps, adds something, or draws noise.

**Other predictions.** An answer g = p X + q f, with numbers p, q of the level, turns (1) into the same statement on f:

    (I - L P) X = z x_0 + L Q f,        P = diag(p), Q = diag(q),

a triangular system, so a sampler can be looked at in the formulation in which it is simple, whatever it asks for.

**Implied levels.** Of a single data point every prediction is known: the noise is a constant E and the data a constant
D, and any consistent sampler is exact, from the first step on: X_i = alpha D + sigma E. So (1) tells at which alpha and
sigma the sample of a question lies, and with it whether the question is asked at the level where the sample is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from numdiff.certification.measure import SamplerError
from numdiff.certification.subject import Array, Setting, Subject
from numdiff.level import Level
from numdiff.parameterizations import coefficients, get

TOLERANCE = {"float64": 1e-9, "shipped": 1e-3}
"""Largest deviation from (1), relative to the largest sample: rounding of some hundred steps in either precision."""

FAILURES = (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RuntimeError, AssertionError)


class NotLinearError(ValueError):
    """A sampler's response is not linear in its sample and in what it is told, so it has no coefficients to read.

    Examples
    --------
    >>> import numpy as np
    >>> from numdiff.certification import NotLinearError, Subject, explain
    >>> clipped = Subject("mine:clipped", lambda field, x, levels, setting: np.clip(field(x, levels[0]), -1, 1))
    >>> try:
    ...     explain(clipped, 1)
    ... except NotLinearError as error:
    ...     print(str(error).partition(": on")[0])
    mine:clipped is not linear in what it is told
    """


@dataclass(frozen=True, eq=False)
class Identified:
    """The coefficients of a sampler on one grid.

    Parameters
    ----------
    grid
        The N + 1 levels of the run.
    asked
        The levels of its M questions.
    inputs
        Coefficients of the sample of each question on x_0 and the answers, shape (M, 1 + M), strictly lower triangular
        but for the first column.
    final
        Those of the sample returned, shape (1 + M,).
    prediction
        What the answers are: a prediction's name.
    deviation
        Relative deviation from linearity in a run on random numbers.
    """

    grid: tuple[Level, ...]
    asked: tuple[Level, ...]
    inputs: Array
    final: Array
    prediction: str
    deviation: float = 0.0

    @property
    def questions(self) -> int:
        """Number M of questions."""
        return len(self.asked)

    @property
    def rows(self) -> Array:
        """The inputs with the sample returned as the last row, shape (M + 1, 1 + M)."""
        return np.vstack([self.inputs, self.final])

    def in_terms_of(self, p: Array, q: Array, prediction: str) -> Identified:
        """Return the same sampler told f, where the present answers are p X + q f.

        Parameters
        ----------
        p, q
            One number per question, shape (M,).
        prediction
            What f is called.
        """
        from scipy.linalg import solve_triangular

        lower = self.inputs[:, 1:]
        right = np.hstack([self.inputs[:, :1], lower * q])
        inputs = solve_triangular(np.eye(len(p)) - lower * p, right, lower=True, unit_diagonal=True)
        weights = self.final[1:]
        final = np.concatenate([self.final[:1], weights * q]) + (weights * p) @ inputs
        return replace(self, inputs=inputs, final=final, prediction=prediction)

    def converted(self, prediction: str) -> Identified:
        """Return the same sampler told another prediction.

        Raises
        ------
        ValueError
            If a level of a question forbids it: noise at alpha = 0, data at sigma = 0.
        """
        if prediction == self.prediction:
            return self
        pairs = [coefficients(level, prediction, self.prediction) for level in self.asked]
        p, q = np.array(pairs, dtype=float).reshape(-1, 2).T
        return self.in_terms_of(p, q, prediction)

    def implied(self) -> tuple[Array, Array]:
        """Return the alphas and sigmas at which the samples of the questions lie, and the last one, shapes (M + 1,)."""
        first = self.grid[0]
        parts = np.array([get(self.prediction).components(level) for level in self.asked], dtype=float).reshape(-1, 2)
        on_data, on_noise = np.vstack([[float(first.alpha), float(first.sigma)], parts]).T
        return self.rows @ on_data, self.rows @ on_noise


def identify(subject: Subject, levels: Sequence[Level], setting: Setting | None = None) -> Identified:
    """Read the coefficients of a sampler off its responses to unit vectors.

    Parameters
    ----------
    subject
        The sampler.
    levels
        The grid of the run.
    setting
        Its circumstances; random draws are replaced by zeros.

    Returns
    -------
    Identified

    Raises
    ------
    NotLinearError
        If the response is not that of fixed coefficients: the message says by how much, or what changed between runs.
    SamplerError
        If the sampler raises.
    """
    setting = replace(setting or Setting(), noise=np.zeros)
    grid = tuple(levels)
    count = len(_ask(subject, np.zeros((1, 2)), lambda i: np.zeros((1, 2)), grid, setting)[0])
    unit = np.eye(1 + count)
    asked, inputs, final = _ask(subject, unit[:1], _nth(unit), grid, setting)
    given = np.random.default_rng(1).standard_normal((1 + count, 3))
    again, seen, last = _ask(subject, given[:1], _nth(given), grid, setting)
    if not len(inputs) == len(seen) == count or asked != again:
        raise NotLinearError(
            f"{subject.name} asked {count}, {len(inputs)} and {len(seen)} questions in three runs over the same "
            "levels, or asked them elsewhere: its steps depend on what it is told"
        )
    rows = np.vstack([inputs.reshape(count, 1 + count), final])
    deviation = _deviation(np.vstack([seen.reshape(count, 3), last]), rows @ given)
    if not deviation < TOLERANCE[setting.precision]:
        raise NotLinearError(
            f"{subject.name} is not linear in what it is told: on random answers it deviates by {deviation:.1e} of the "
            "largest sample from the sum of its responses to single ones; it clips, adapts, draws noise, or adds a bias"
        )
    return Identified(grid, asked, rows[:-1], rows[-1], subject.prediction, deviation)


def _nth(rows: Array) -> Callable[[int], Array]:
    """Return answers that are the rows after the first, then zeros."""
    return lambda i: rows[i + 1 : i + 2] if i + 1 < len(rows) else np.zeros_like(rows[:1])


def _deviation(seen: Array, told: Array) -> float:
    """Return the largest difference, relative to the largest sample; nan where something is not finite."""
    return float(np.max(np.abs(seen - told)) / max(1.0, float(np.max(np.abs(told)))))


def _ask(
    subject: Subject, x: Array, answer: Callable[[int], Array], grid: tuple[Level, ...], setting: Setting
) -> tuple[tuple[Level, ...], Array, Array]:
    """Run a subject on prepared answers; return the levels and the samples of its questions, and what it returned."""
    asked: list[Level] = []
    seen: list[Array] = []

    def field(sample: Array, level: Level) -> Array:
        seen.append(np.array(sample, dtype=float).reshape(x.shape))
        asked.append(level)
        return answer(len(asked) - 1).copy()

    try:
        with np.errstate(all="ignore"):
            final = np.asarray(subject.run(field, x.copy(), grid, setting), dtype=float)
    except FAILURES as error:
        raise SamplerError(len(grid) - 1, error) from error
    if final.shape != x.shape:
        raise ValueError(f"{subject.name} returned shape {final.shape} for a sample of shape {x.shape}")
    return tuple(asked), np.array(seen).reshape(len(seen), -1), final
