r"""SciPy's general solvers on the smooth form of the problem.

With one variable u_i per absolute term, F has no corners left:

    minimize    value(z) + r(z)^T r(z) + sum u_i
    subject to  u_i - a_i(z) >= 0,  u_i + a_i(z) >= 0,  matrix @ z >= bounds.

`trust-constr` takes it with sparse exact Jacobians, the Hessian of the objective by BFGS and those of the constraints
too; `slsqp` takes it densely. Both are slower than `newton` and are there to fall back on and to compare with. SciPy
may ask for points outside the window or of no value: those get a very large one, and it shortens its step.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse

from numdiff.optimize.problem import Parts
from numdiff.optimize.search.project import project
from numdiff.optimize.search.record import Recorder

Array = NDArray[np.float64]


class Epigraph:
    """The smooth form around one recorder: functions of x = (z, u), sharing one evaluation per z."""

    def __init__(self, recorder: Recorder, z: Array, parts: Parts) -> None:
        self.recorder, self.size, self.count = recorder, len(z), len(parts.absolute)
        self.point, self.parts, self.valid = z.copy(), parts, True

    def at(self, x: Array) -> Parts:
        """Return the parts at x; those of the last good point where there are none, `valid` then being False."""
        z = x[: self.size]
        if not np.array_equal(z, self.point):
            parts = self.recorder.evaluate(z) if np.isfinite(z).all() else None
            self.point, self.valid = z.copy(), parts is not None
            self.parts = self.parts if parts is None else parts
        return self.parts

    def objective(self, x: Array) -> float:
        """Value of the smooth form, a large number where there is none."""
        parts = self.at(x)
        if not self.valid:
            return 1e10 * self.recorder.scale(parts)
        return float(parts.value + parts.residuals @ parts.residuals + x[self.size :].sum())

    def gradient(self, x: Array) -> Array:
        """Gradient of the smooth form."""
        return np.concatenate([self.at(x).smooth_gradient, np.ones(self.count)])

    def corners(self, x: Array) -> Array:
        """Return u - a and u + a."""
        a = self.at(x).absolute
        return np.concatenate([x[self.size :] - a, x[self.size :] + a])

    def corners_jacobian(self, x: Array) -> Any:
        """Jacobian of `corners`, sparse."""
        jacobian, one = sparse.csr_array(self.at(x).absolute_jacobian), sparse.eye_array(self.count)
        return sparse.block_array([[-jacobian, one], [jacobian, one]], format="csr")

    @property
    def window_rows(self) -> Any:
        """The window's rows, widened by zeros for u."""
        matrix = self.recorder.window.matrix
        return sparse.hstack([matrix, sparse.csr_array((matrix.shape[0], self.count))], format="csr")

    def finish(self, x: Array, z: Array, parts: Parts) -> tuple[Array, Parts]:
        """Bring SciPy's answer into the window; keep the point it began at where that is better."""
        new = project(self.recorder.window, x[: self.size])
        found = self.recorder.evaluate(new) if np.isfinite(new).all() else None
        if found is None or found.objective > parts.objective:
            return z, parts
        self.recorder.accept(new, found)
        return new, found


def trust_constr(
    recorder: Recorder, z: Array, parts: Parts, tolerance: float, *, iterations: int = 2000
) -> tuple[Array, Parts]:
    """Run SciPy's `trust-constr` on the smooth form from `z`; return the better of its answer and `z`."""
    form = Epigraph(recorder, z, parts)
    constraints: list[Any] = []
    if len(recorder.rows):
        constraints.append(optimize.LinearConstraint(form.window_rows, recorder.window.bounds, np.inf))
    if form.count:
        kinks = optimize.NonlinearConstraint(
            form.corners, 0.0, np.inf, jac=form.corners_jacobian, hess=optimize.BFGS(exception_strategy="damp_update")
        )
        constraints.append(kinks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = optimize.minimize(
            form.objective,
            np.concatenate([z, np.abs(parts.absolute)]),
            jac=form.gradient,
            hess=optimize.BFGS(exception_strategy="damp_update"),
            method="trust-constr",
            constraints=constraints,
            options={"maxiter": iterations, "gtol": 1e-5 * tolerance, "xtol": 1e-14, "barrier_tol": 1e-5 * tolerance},
        )
    return form.finish(answer.x, z, parts)


def slsqp(recorder: Recorder, z: Array, parts: Parts, tolerance: float) -> tuple[Array, Parts]:
    """Run SciPy's SLSQP on the smooth form from `z`; return the better of its answer and `z`."""
    form = Epigraph(recorder, z, parts)
    rows = form.window_rows.toarray()
    constraints: list[Any] = [
        {"type": "ineq", "fun": lambda x: rows @ x - recorder.window.bounds, "jac": lambda x: rows}
    ]
    if form.count:
        dense = {"type": "ineq", "fun": form.corners, "jac": lambda x: form.corners_jacobian(x).toarray()}
        constraints.append(dense)
    answer = optimize.minimize(
        form.objective,
        np.concatenate([z, np.abs(parts.absolute)]),
        jac=form.gradient,
        method="SLSQP",
        constraints=constraints,
        options={"maxiter": 500, "ftol": 1e-6 * tolerance},
    )
    return form.finish(answer.x, z, parts)
