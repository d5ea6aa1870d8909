r"""Linear systems y' = A y with the solution exp(A (t - t0)) y0.

They show stability, not order: with A = X diag(lambda) X^-1 a method of step h acts on each eigen-direction as on the
test equation y' = lambda y, so a run grows without bound exactly when some h lambda leaves its stability region.

:func:`momentum_toy` is the example of Wizadwongsa et al. (ICLR 2024): eigenvalues -1 and -9, 26 steps on [0, 3], so
h lambda = -9 * 3/26 = -1.038. The second-order Adams-Bashforth method is stable on (-1, 0) and just diverges; Euler
(-2, 0), heavy ball of damping beta on that method (-(2-beta)/beta, 0) and second-order GHVB (-(2-beta), 0) do not for
beta = 0.8 and 0.9.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from numdiff.elementary import kind
from numdiff.problems.ode import State, check_span, check_state


@dataclass(frozen=True, eq=False)
class LinearSystem:
    """The system y' = matrix y; it has the attributes of :class:`~numdiff.problems.ode.ODE`.

    Parameters
    ----------
    matrix
        Real matrix A, shape (n, n).
    y0
        State at t_span[0], shape (n,).
    t_span
        First and last time.
    name, description, tags
        For tables and plots.

    Raises
    ------
    ValueError
        If the matrix is not square and finite, or y0 does not fit it.

    Examples
    --------
    Explicit Euler on the eigenvalue -10 is stable up to the step 2/10, that is from 10 steps on [0, 2]:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> system = nd.problems.LinearSystem([[-10.0, 0.0], [0.0, -1.0]], [1.0, 1.0], (0.0, 2.0))
    >>> for steps in (9, 10, 11):
    ...     times = np.linspace(*system.t_span, steps + 1)
    ...     end = nd.solve_ivp(nd.AdamsBashforth(1), system.fun, times, system.y0)
    ...     print(steps, f"{abs(end[0]):.3f}")
    9 6.086
    10 1.000
    11 0.110
    >>> system.exact(2.0).round(6).tolist()
    [0.0, 0.135335]
    """

    matrix: np.ndarray
    y0: np.ndarray
    t_span: tuple[float, float]
    name: str = "linear"
    description: str = "y' = A y"
    tags: tuple[str, ...] = ("system",)

    def __post_init__(self) -> None:
        """Check the matrix and the state."""
        matrix = np.array(self.matrix, dtype=np.float64)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.all(np.isfinite(matrix)):
            raise ValueError(f"matrix must be a finite square matrix, not one of shape {matrix.shape}: {self.matrix!r}")
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "t_span", check_span(self.t_span))
        object.__setattr__(self, "y0", check_state(self.y0))
        if len(self.y0) != len(matrix):
            raise ValueError(f"y0 has {len(self.y0)} components, but the matrix is {matrix.shape}; make them agree")

    @property
    def dimension(self) -> int:
        """Number of components n."""
        return len(self.y0)

    def fun(self, t: Any, y: State) -> State:
        """Return matrix @ y for y of shape (n,) or (n, m), in the precision of y."""
        if kind(y) == "torch":
            return sys.modules["torch"].as_tensor(self.matrix, dtype=y.dtype, device=y.device) @ y
        y = np.asarray(y)
        return (_exact(self.matrix) if y.dtype == object else self.matrix.astype(y.dtype, copy=False)) @ y

    def exact(self, t: Any) -> State:
        """Return exp(A (t - t0)) y0: shape (n,) for a number t, (n, m) for an array of m times.

        Floats, arrays and tensors use SciPy's and torch's scaling and squaring, accurate to about 1e-15 for the toy and
        1e-13 where the exponential grows to 1e5; SymPy times give the exact solution, mpmath its working precision.
        """
        which, lapse = kind(t), t - self.t_span[0]
        if which == "torch":
            torch = sys.modules["torch"]
            matrix, y0 = torch.as_tensor(self.matrix).to(t), torch.as_tensor(self.y0).to(t)
            return torch.movedim(torch.matrix_exp(lapse[..., None, None] * matrix) @ y0, -1, 0)
        if which in ("sympy", "mpmath"):
            return self._exact_number(which, t)
        from scipy.linalg import expm

        return np.moveaxis(expm(np.asarray(lapse, dtype=np.float64)[..., None, None] * self.matrix) @ self.y0, -1, 0)

    def _exact_number(self, which: str, t: Any) -> State:
        if which == "sympy":
            import sympy

            lapse = t - sympy.Rational(self.t_span[0])
            flow = (sympy.Matrix(_exact(self.matrix).tolist()) * lapse).exp() * sympy.Matrix(_exact(self.y0).tolist())
            return np.array(list(flow), dtype=object)
        import mpmath

        flow = mpmath.expm(mpmath.matrix(self.matrix.tolist()) * (t - self.t_span[0])) * mpmath.matrix(self.y0.tolist())
        return np.array(list(flow), dtype=object)


def _exact(array: np.ndarray) -> np.ndarray:
    """Return float entries as exact integers and fractions, so that object arithmetic rounds nothing."""
    exact = (Fraction(float(entry)) for entry in array.flat)
    return np.array([f.numerator if f.denominator == 1 else f for f in exact], dtype=object).reshape(array.shape)


def momentum_toy() -> LinearSystem:
    """Return x' = [[0, 1], [-9, -10]] x, x(0) = (-1, 0) on [0, 3] (Wizadwongsa et al., ICLR 2024; 26 steps there).

    Returns
    -------
    LinearSystem
        Of two components, with the eigenvalues -1 and -9.

    References
    ----------
    Wizadwongsa et al., "Diffusion Sampling with Momentum for Mitigating Divergence Artifacts", ICLR 2024.

    Examples
    --------
    With 26 steps Adams-Bashforth of order 2 just diverges, and momentum brings it back:

    >>> import numpy as np
    >>> import numdiff as nd
    >>> toy = nd.problems.momentum_toy()
    >>> times = np.linspace(*toy.t_span, 27)
    >>> for method in (nd.AdamsBashforth(2), nd.GHVB(2, 0.8)):
    ...     error = nd.solve_ivp(method, toy.fun, times, toy.y0) - toy.exact(toy.t_span[1])
    ...     print(f"{np.abs(error).max():.3f}")
    1.429
    0.001
    """
    return LinearSystem(
        matrix=np.array([[0.0, 1.0], [-9.0, -10.0]]),
        y0=np.array([-1.0, 0.0]),
        t_span=(0.0, 3.0),
        name="momentum-toy",
        description="x' = [[0, 1], [-9, -10]] x: eigenvalues -1 and -9",
        tags=("system", "stiff"),
    )
