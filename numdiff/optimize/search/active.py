r"""Newton's step once the active kinks and constraints are known: the model on what they leave free.

With the terms K at their kinks, the constraints C met and the others on the side sigma_i they are on, the step solves

    minimize  (g + sum_{i not in K} sigma_i A_i)^T d + d^T H d / 2     subject to   R d = -t,
    R = (A_K; M_C),   t = (a_K; s_C).

With R^T = Y T from a QR factorization, [Y Z] orthonormal, d = Y d_y + Z d_z where T^T d_y = -t, and d_z is Newton's
step for the reduced Hessian Z^T H Z. That is the only curvature that counts, and H itself may be indefinite: at a
minimizer with active kinks it usually is. `quadratic` needs a positive definite H and overstates the reduced curvature
where it has to raise negative eigenvalues; steps are then too short at best. The multipliers follow from

    R^T (w_K, -mu_C) = -(g + sum_{i not in K} sigma_i A_i + H d).

The step is one only if it keeps what was assumed: |w| <= 1, mu >= 0, no other constraint broken, no other sign changed.
Reference: Nocedal and Wright, Numerical Optimization, 2nd ed., Section 16.2 (null-space method).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from numdiff.optimize.search.quadratic import Step

Array = NDArray[np.float64]

_DEPENDENT = 1e-9  # rows whose angle to the others is smaller are not taken for independent
_ROOM = 1e-12  # a multiplier or slack this little out of bounds, relative to the largest, is rounding


def step_on(
    gradient: Array,
    hessian: Array,
    terms: tuple[Array, Array],
    constraints: tuple[Array, Array],
    guess: Array,
    damping: float,
) -> Step | None:
    """Return the step of the module's head, or None where the kinks and constraints are not those active after it.

    Parameters
    ----------
    gradient, hessian
        g (n,) and H (n, n), symmetric.
    terms
        a and A, shapes (q,) and (q, n).
    constraints
        s and M, shapes (m,) and (m, n).
    guess
        Multipliers (w, mu), shape (q + m,), of the step before: |w| < 1 says which terms are in K, w = +-1 the side of
        the others, mu > 0 which constraints are in C.
    damping
        Positive; eigenvalues of the reduced Hessian are raised to it.
    """
    (kinks, jacobian), (slack, matrix) = terms, constraints
    bent, met = np.abs(guess[: len(kinks)]) < 1, guess[len(kinks) :] > 0
    held = np.concatenate([jacobian[bent], matrix[met]])
    count, size = held.shape
    if count > size:
        return None
    signs = np.where(bent, 0.0, guess[: len(kinks)])
    pull = gradient + signs @ jacobian
    basis, triangle = np.linalg.qr(held.T, "complete") if count else (np.eye(size), np.zeros((0, 0)))
    triangle = triangle[:count]
    if np.any(np.abs(triangle.diagonal()) <= _DEPENDENT * np.sqrt((held * held).sum(axis=1))):
        return None
    across, along = basis[:, :count], basis[:, count:]
    move = np.zeros(size)
    if count:
        move = across @ lapack.dtrtrs(triangle, -np.concatenate([kinks[bent], slack[met]]), trans=1)[0]
    move = move + _free(hessian, pull + hessian @ move, along, damping)
    weights, forces = signs.copy(), np.zeros(len(slack))
    if count:
        found = lapack.dtrtrs(triangle, -(across.T @ (pull + hessian @ move)))[0]
        weights[bent], forces[met] = found[: bent.sum()], -found[bent.sum() :]
    after = kinks + jacobian @ move
    room = slack + matrix @ move
    if not _holds(weights, forces, signs * after, room, matrix, move):
        return None
    after[bent] = 0.0
    decrease = float(np.abs(kinks).sum() - np.abs(after).sum() - gradient @ move - 0.5 * move @ hessian @ move)
    residual = gradient + weights @ jacobian - forces @ matrix
    return Step(move, weights, np.maximum(forces, 0), decrease, residual)


def _free(hessian: Array, slope: Array, along: Array, damping: float) -> Array:
    """Return Newton's step along the free directions, the eigenvalues of the reduced Hessian raised to the damping."""
    if not along.shape[1]:
        return np.zeros(len(slope))
    values, vectors = np.linalg.eigh(along.T @ hessian @ along)
    turned = along @ vectors
    return np.asarray(-turned @ ((slope @ turned) / np.maximum(values, damping)))


def _holds(weights: Array, forces: Array, sides: Array, room: Array, matrix: Array, move: Array) -> bool:
    """Whether multipliers are in their bounds, and signs and constraints kept."""
    largest = 1 + float(np.abs(forces).max(initial=0.0))
    return bool(
        np.abs(weights).max(initial=0.0) <= 1 + _ROOM
        and forces.min(initial=0.0) >= -_ROOM * largest
        and sides.min(initial=0.0) >= 0
        and room.min(initial=0.0) >= -_ROOM * (1 + float(np.abs(move).max()))
    )
