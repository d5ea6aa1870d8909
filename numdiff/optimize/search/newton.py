r"""Sequential minimization of convex models: the fast path for kinks, sums of squares and smooth parts alike.

At a feasible z the kinks are kept as they are and everything inside them is expanded (Fletcher's S l_1 QP, here with
linear constraints, so that iterates stay feasible and F is its own merit function):

    m(d) = value + g^T d + d^T H d / 2 + sum_i |a_i + A_i d|,      matrix @ (z + d) >= bounds,

with H the Hessian of the Lagrangian value + r^T r + sum w_i a_i at the multipliers of the model before (see
`curvature`), its eigenvalues raised to at least a damping (`quadratic`). Once the same kinks and constraints were
active twice running, the step is Newton's on what they leave free, and only the eigenvalues there are raised
(`active`). A sum of squares uses H or its part 2 J^T J alone, whichever foretold the last step better (Dennis, Gay and
Welsch 1981). A step is taken where F falls by a tenth of what m promised, and the damping is then lowered; it is raised
where F did worse. A term at its kink grows by its own curvature, |a_i(z + d)| ~ |d|^2, which can reject every full step
(Maratos); so a rejected step is tried once more with the terms replaced by a(z + d) - A d. When the decrease promised
is below rounding, F cannot judge steps, and they are taken while they shrink, with the curvature measured afresh.

References: Fletcher, Practical Methods of Optimization, 2nd ed., Section 14.4; Lewis and Wright, Math. Program. 158
(2016) 501-546; Dennis, Gay and Welsch, ACM Trans. Math. Softw. 7 (1981) 348-368.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numdiff.optimize.problem import Parts
from numdiff.optimize.search.active import step_on
from numdiff.optimize.search.curvature import Curvature, gauss_newton
from numdiff.optimize.search.quadratic import Step, minimize_model
from numdiff.optimize.search.record import Recorder

Array = NDArray[np.float64]

_ITERATIONS = 300
_FIRST, _LEAST = 1e-3, 1e-6  # damping over the largest eigenvalue, at the start and at least
_RAISE, _LOWER = (4.0, 30.0), 2.0  # factors of the damping: at least and at most after a failure, and after success
_SETTLED = 1e-8  # length of a step, in typical lengths, that ends the search
_ROUNDING = 1e-13
_FRESH = 20  # steps at least between two measurements of the curvature, which may cost as much as they did
_DOUBTS, _LOCAL = 3, 1e-2  # or after so many steps, shorter than this, that did not do what was foretold
_SHORT = 1e-6  # steps shorter than this, in typical lengths, say more about rounding than about curvature


@dataclass(eq=False)
class _State:
    """Where the search is: iterate, its parts, the multipliers and the damping."""

    z: Array
    parts: Parts
    dual: Array
    damping: float = -1.0
    last: float = np.inf
    creeps: int = 0
    floor: float = 0.0
    top: float = 0.0
    active: bytes = b""
    steady: bool = False
    full: bool = True
    doubts: int = 0

    @property
    def weights(self) -> Array:
        return self.dual[: len(self.parts.absolute)]

    @property
    def held(self) -> bytes:
        """Which terms the multipliers take to be at their kinks, and which constraints to be met."""
        count = len(self.parts.absolute)
        return np.concatenate([np.abs(self.dual[:count]) < 1, self.dual[count:] > 0]).tobytes()


def newton(recorder: Recorder, z: Array, parts: Parts, tolerance: float) -> tuple[Array, Parts]:
    """Follow the models from the feasible `z`, whose parts are known, until the steps vanish.

    Returns
    -------
    (z, parts) of the last accepted iterate. It is for the certificate to say whether it is stationary.
    """
    state = _State(z, parts, np.concatenate([np.sign(parts.absolute), np.zeros(len(recorder.rows))]))
    curvature = _begin(recorder, state)
    if len(recorder.trace) > 1:  # a search that goes on near a minimum takes Newton's own steps
        state.damping = 0.0
    # A linear program has no curvature of its own; the damping is then relative to that of F over a typical length.
    size = recorder.scale(parts)
    state.floor = 1e-3 * size / float(recorder.unit.max()) ** 2
    squares = parts.residuals.size > 0
    for _ in range(_ITERATIONS):
        model = _Model(recorder, state, curvature)
        step = model.step(state.parts.absolute)
        if _settled(recorder, state, step, tolerance):
            break
        creeps = state.creeps
        if not _advance(recorder, state, model, curvature, step):
            break
        aged = not squares and (curvature.age >= max(curvature.cost, _FRESH) or state.doubts > _DOUBTS)
        if aged or (curvature.age and state.creeps > creeps):
            state.full, state.doubts = curvature.probe(recorder, state.z, state.parts), 0
            if state.creeps == 1:  # the length of a step by old curvature, damped, is no measure of Newton's own
                state.last, state.damping = np.inf, 0.0
    return state.z, state.parts


def _begin(recorder: Recorder, state: _State) -> Curvature:
    """Measure the curvature, or where that is impossible or there is only a sum of squares, begin without."""
    parts = state.parts
    curvature = Curvature(parts)
    squares = not (parts.absolute.size or np.any(parts.gradient))
    if squares and len(recorder.trace) <= 1:  # a search that goes on from where another ended measures it
        return curvature
    if not curvature.probe(recorder, state.z, parts):
        slope = parts.smooth_gradient
        if parts.absolute.size:
            slope = slope + state.weights @ parts.absolute_jacobian
        curvature.smooth = np.diag(np.abs(slope).max() / recorder.unit)
    return curvature


class _Model:
    """The model at the present point: Newton's on what is active where that is known, else the convex one."""

    def __init__(self, recorder: Recorder, state: _State, curvature: Curvature) -> None:
        self.state = state
        self.rest = curvature.total(state.weights)
        self.squares: Any = gauss_newton(state.parts)
        self.hessian = np.asarray(self.rest + self.squares if state.full else self.squares)
        self.jacobian = state.parts.absolute_jacobian if state.parts.absolute.size else np.zeros((0, len(state.z)))
        self.constraints = recorder.matrix @ state.z - recorder.window.bounds, recorder.matrix
        self.gradient = state.parts.smooth_gradient

    @cached_property
    def spectrum(self) -> tuple[Array, Array]:
        """Eigenvalues of the Hessian, raised to the damping, and its eigenvectors."""
        state = self.state
        values, vectors = np.linalg.eigh(self.hessian)
        state.top = max(float(np.abs(values).max()), state.floor)
        least = _LEAST if state.parts.absolute.size else 1e-3 * _LEAST
        state.damping = _FIRST * state.top if state.damping < 0 else max(state.damping, least * state.top)
        return np.maximum(values, state.damping), vectors

    def rest_helps(self, move: Array, change: float) -> bool:
        """Whether the curvature beyond 2 J^T J brings the model nearer to what F did over a move."""
        left = change - self.gradient @ move - 0.5 * move @ self.squares @ move
        return bool(abs(left - 0.5 * move @ self.rest @ move) <= abs(left))

    def step(self, terms: Array) -> Step:
        """Minimize the model, the terms replaced by these."""
        state = self.state
        found = self._on_active(terms, state.dual) if state.steady else None
        if found is not None:
            return found
        found = minimize_model(self.gradient, self.spectrum, (terms, self.jacobian), self.constraints, state.dual)
        if found.decrease > 1e-12 * abs(state.parts.objective):
            return found
        # What the dual leaves of kinks and constraints, to its rounding, can be more than is to be gained.
        return self._on_active(terms, np.concatenate([found.kinks, found.constraints])) or found

    def _on_active(self, terms: Array, multipliers: Array) -> Step | None:
        # Valleys of a sum of squares are flat, and 2 J^T J says exactly how flat.
        floor = 1e-9 * _LEAST if self.state.parts.residuals.size else 1e-3 * _LEAST
        least = max(self.state.damping, floor * self.state.top, 1e-300)
        return step_on(self.gradient, self.hessian, (terms, self.jacobian), self.constraints, multipliers, least)


def _settled(recorder: Recorder, state: _State, step: Step, tolerance: float) -> bool:
    """Whether the step, the residual it is to remove and the decrease it promises are below what is asked."""
    if np.abs(step.move / recorder.unit).max() > _SETTLED:
        return False
    size = recorder.scale(state.parts)
    return bool(
        step.decrease <= 1e-2 * tolerance * size
        and np.abs(step.residual * recorder.unit).max() <= 0.1 * tolerance * size
    )


def _inside(recorder: Recorder, z: Array, move: Array) -> Array:
    """Shorten a move that leaves the window by more than rounding."""
    before, change = recorder.slack(z), recorder.matrix @ move / recorder.rows
    if np.min(before + change, initial=0.0) >= -1e-11:
        return move
    falling = change < 0
    fraction = np.min(np.maximum(before[falling], 0) / -change[falling], initial=1.0)
    return np.asarray(move * fraction)


def _advance(recorder: Recorder, state: _State, model: _Model, curvature: Curvature, step: Step) -> bool:
    """Try a step, correct it once, take it or raise the damping; False when rounding ends the search."""
    value, noise = state.parts.objective, _noise(recorder, state.parts)
    move = _inside(recorder, state.z, step.move)
    trial = recorder.evaluate(state.z + move)
    if trial is not None and np.abs(move / recorder.unit).max() > _SHORT:
        curvature.update(state.parts, trial, move)
    if trial is not None and trial.residuals.size:
        state.full = model.rest_helps(move, trial.objective - value)
    if step.decrease <= noise:
        return _creep(recorder, state, step, move, trial, noise)
    gain = value - trial.objective if trial is not None else -np.inf
    excess = 2 * (step.decrease - gain) / max(float(move @ move), 1e-300)
    if gain < 0.1 * step.decrease and trial is not None and trial.absolute.size:
        bent = model.step(trial.absolute - state.parts.absolute_jacobian @ move)
        second = _inside(recorder, state.z, bent.move)
        corrected = recorder.evaluate(state.z + second)
        if corrected is not None and value - corrected.objective >= 0.1 * step.decrease:
            move, trial, gain = second, corrected, value - corrected.objective
    _remember(state, step)
    if trial is None or gain < 0.1 * step.decrease:
        state.steady = False
        state.damping = max(_RAISE[0] * state.damping, min(0.5 * excess, _RAISE[1] * state.damping))
        return bool(state.damping < 1e12 * state.top)
    if abs(gain - step.decrease) > 0.2 * step.decrease and np.abs(move / recorder.unit).max() < _LOCAL:
        state.doubts += 1  # so short a step should have done what a quadratic foretold
    if gain > 0.7 * step.decrease:
        state.damping /= _LOWER
    _take(recorder, state, move, trial)
    return True


def _noise(recorder: Recorder, parts: Parts) -> float:
    """Return what rounding may change F by: of F itself, and of residuals that are small differences of large terms."""
    noise = _ROUNDING * abs(parts.objective)
    if parts.residuals.size:
        noise += 1e-2 * _ROUNDING * float(np.abs(parts.residuals) @ (np.abs(parts.residual_jacobian) @ recorder.unit))
    return noise


def _creep(recorder: Recorder, state: _State, step: Step, move: Array, trial: Parts | None, noise: float) -> bool:
    """Take a step whose effect on F is below rounding, while steps shrink."""
    length = float(np.abs(move / recorder.unit).max())
    if (
        trial is None
        or trial.objective > state.parts.objective + 100 * noise
        or length > state.last
        or state.creeps > 8
    ):
        return False
    _remember(state, step)
    state.last = length
    state.creeps += 1
    _take(recorder, state, move, trial)
    return True


def _remember(state: _State, step: Step) -> None:
    """Keep the multipliers; kinks and constraints that were active twice running are taken to stay so."""
    state.dual = np.concatenate([step.kinks, step.constraints])
    active = state.held
    state.steady, state.active = active == state.active, active


def _take(recorder: Recorder, state: _State, move: Array, trial: Parts) -> None:
    state.z, state.parts = state.z + move, trial
    recorder.accept(state.z, trial)
