r"""Gaussian mixtures as diffusion problems whose denoiser, score, marginals and classifier are known exactly.

Data x_0 ~ sum_k w_k N(mu_k, C_k), C_k = Q_k diag(v_k) Q_k^T. At a level x = alpha x_0 + sigma eps, so that with

    s_k = alpha^2 v_k + sigma^2,      z_k = Q_k^T (x - alpha mu_k)                     (entries per eigen-direction)
    log p_k(x) = -1/2 sum (z_k^2/s_k + log 2 pi s_k),      log p(x) = log sum_k w_k p_k(x)
    r_k = w_k p_k(x) / p(x)                                                            (responsibilities)

the pair (x_0, eps) is Gaussian given x and k, with E[x_0 | x, k] = mu_k + Q_k (alpha v_k/s_k) z_k and
E[eps | x, k] = Q_k (sigma/s_k) z_k. Every prediction m = a x_0 + b eps has therefore the conditional mean

    E[m | x] = sum_k r_k { a mu_k + Q_k g_k z_k },      g_k = (a alpha v_k + b sigma)/s_k                         (1)

which divides by neither alpha nor sigma. The score is (1) with a = 0, g_k = -1/s_k, which is Tweedie's formula
grad log p = -E[eps | x]/sigma (Efron 2011, doi:10.1198/jasa.2011.tm11181) in a form that holds at sigma = 0. The
gradient that classifier guidance uses is grad log p(c | x) = sum_k (r_k|c - r_k) grad log p_k, with r_k|c the
responsibilities within class c.

Precision: float64 inside, the sample's dtype outside. r_k is a softmax of logarithms, finite as long as |x|^2/sigma^2
is. Singular covariances, point masses (C = 0) among them, are exact at every sigma > 0; at sigma = 0 the conditional
mean is defined on the support only, and evaluating it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from numdiff.level import Level
from numdiff.parameterizations import Prediction, get
from numdiff.problems import _arrays
from numdiff.problems._arrays import Array
from numdiff.problems.covariance import spectrum
from numdiff.problems.draws import draw
from numdiff.problems.exact_model import Condition, ExactModel, Guidance
from numdiff.problems.flow import Reference, as_level, gaussian_flow, mixture_flow

_BLOCK = 2**18
"""Numbers per block of z_k: 2 MB, about a core's cache; measured to be the fastest."""


class _Parameters(NamedTuple):
    """The mixture's constants in the library and on the device of a sample."""

    log_weights: Array
    means: Array
    rotated_means: Array
    variances: Array
    rotation: Array | None


class GaussianMixture:
    """A mixture of K Gaussians in d dimensions, diffused exactly by any schedule.

    Parameters
    ----------
    weights
        Positive, summing to 1, shape (K,).
    means
        Shape (K, d); in one dimension (K, 1).
    covariances
        (K, d, d) full, (K, d) diagonal or (K,) isotropic variances; the number of axes decides. Positive semidefinite;
        zero makes a point mass.

    Raises
    ------
    ValueError
        If the weights are not positive or do not sum to 1, the shapes disagree, an entry is not finite, or a covariance
        is not symmetric positive semidefinite.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> mixture = nd.problems.GaussianMixture([0.4, 0.6], [[-1.0, 0.0], [1.0, 0.5]], [0.04, 0.09])
    >>> mixture, mixture.mean.round(3).tolist()
    (GaussianMixture(components=2, dimension=2), [0.2, 0.3])

    A sampler of second order against the exact flow from the same noise:

    >>> schedule, x = nd.schedules.VPLinear(), np.random.default_rng(0).standard_normal((100, 2))
    >>> model, truth = mixture.model(schedule), mixture.flow(schedule, x, 1.0, 1e-3).x
    >>> for steps in (10, 20, 40):
    ...     scheme = nd.DPMSolverPP(2).discretize(schedule, nd.grids.uniform_log_snr(schedule, steps))
    ...     x0 = nd.sample(scheme, model, x, prediction="noise")
    ...     print(steps, f"{np.sqrt(np.mean((x0 - truth) ** 2)):.3f}")
    10 0.099
    20 0.024
    40 0.005
    """

    def __init__(self, weights: Any, means: Any, covariances: Any) -> None:
        self.means = _checked_means(means)
        K, d = self.means.shape
        self.weights = _checked_weights(weights, K)
        self.spectrum = spectrum(covariances, K, d)
        self._constants: dict[str, _Parameters] = {}
        for array in (self.weights, self.means):
            array.setflags(write=False)

    def __repr__(self) -> str:
        """Return the sizes, not the numbers."""
        K, d = self.means.shape
        return f"{type(self).__name__}(components={K}, dimension={d})"

    @property
    def components(self) -> int:
        """Number of components K."""
        return len(self.weights)

    @property
    def dimension(self) -> int:
        """Number of dimensions d."""
        return int(self.means.shape[1])

    @property
    def covariances(self) -> np.ndarray:
        """Covariances of the components as matrices, shape (K, d, d)."""
        return self.spectrum.matrices()

    @property
    def mean(self) -> np.ndarray:
        """Mean of the whole mixture, shape (d,)."""
        return self.weights @ self.means

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of the whole mixture, shape (d, d)."""
        apart = self.means - self.mean
        return np.einsum("k,kij->ij", self.weights, self.covariances) + (self.weights[:, None] * apart).T @ apart

    # --- the law of x at a level -----------------------------------------------------------------------------------

    def log_density(self, x: Array, level: Level) -> Array:
        """Return log p(x) at `level` for x of shape (..., d), shape (...)."""
        return self._blockwise(x, level, lambda p, z, s: _arrays.logsumexp(_logits(p, z, s)))

    def responsibilities(self, x: Array, level: Level) -> Array:
        """Return p(component | x) at `level` for x of shape (..., d), shape (..., K)."""
        return self._blockwise(x, level, lambda p, z, s: _arrays.softmax(_logits(p, z, s)))

    def score(self, x: Array, level: Level) -> Array:
        """Return grad log p(x) at `level`, shape of x; defined at sigma = 0 too for nonsingular covariances."""
        return self._mean(x, level, 0.0, lambda v, s: -1 / s)

    def marginal(self, level: Level) -> GaussianMixture:
        """Return the mixture that x follows at `level`: means alpha mu_k, covariances alpha^2 C_k + sigma^2 I."""
        alpha, sigma = float(level.alpha), float(level.sigma)
        return GaussianMixture(self.weights, alpha * self.means, self.spectrum.noised(alpha, sigma))

    def sample(self, n: int, rng: Any) -> Array:
        """Draw `n` data points, shape (n, d), float64.

        Parameters
        ----------
        n
            Number of points.
        rng
            A seed or ``numpy.random.Generator`` for a NumPy array; a ``torch.Generator`` for a tensor on its device.
        """
        return draw(self.weights, self.means, self.spectrum, n, rng)

    def sample_level(self, n: int, level: Level, rng: Any) -> Array:
        """Draw `n` noisy points x = alpha x_0 + sigma eps at `level`, as `sample` does."""
        return self.marginal(level).sample(n, rng)

    # --- conditional means -----------------------------------------------------------------------------------------

    def denoise(self, x: Array, level: Level) -> Array:
        """Return E[x_0 | x] at `level`, shape of x (..., d)."""
        return self.predict(x, level, "data")

    def noise(self, x: Array, level: Level) -> Array:
        """Return E[eps | x] at `level`, shape of x (..., d)."""
        return self.predict(x, level, "noise")

    def predict(self, x: Array, level: Level, prediction: str | Prediction = "noise") -> Array:
        """Return the exact value of a network output at `level`, formula (1).

        Parameters
        ----------
        x
            Samples, shape (..., d), NumPy or torch; gradients flow through.
        level
            Noise level, with scalar alpha and sigma.
        prediction
            "noise", "data", "v", "velocity", "flow", "score", "edm", or a `Prediction` such as ``EDM(sigma_data=1.0)``.

        Raises
        ------
        ValueError
            If x does not have d columns, the prediction is unknown or undefined at the level, or sigma = 0 and a
            covariance is singular.
        """
        wanted = get(prediction)
        if wanted.name == "score":
            return self.score(x, level)
        a, b = wanted.components(level)
        return self._mean(x, level, a, lambda v, s: (a * level.alpha * v + b * level.sigma) / s)

    def model(self, schedule: Any, prediction: str | Prediction = "noise") -> ExactModel:
        """Return the perfectly trained network, model(x, t) with t the model's own time under `schedule`."""
        return ExactModel(self, schedule, prediction)

    def translated(self, shift: Any) -> GaussianMixture:
        """Return the law of x_0 + shift, `shift` of shape (d,)."""
        return GaussianMixture(self.weights, self.means + shift, self.spectrum)

    # --- parts of the mixture, for guidance ------------------------------------------------------------------------

    def conditional(self, component: int | Sequence[int]) -> GaussianMixture:
        """Return the law given the component, or given a class of several (weights renormalised)."""
        chosen = self._chosen(component)
        weights = self.weights[chosen] / self.weights[chosen].sum()
        return GaussianMixture(weights, self.means[chosen], self.spectrum.select(chosen))

    def component_score(self, x: Array, level: Level, component: int | Sequence[int]) -> Array:
        """Return grad_x log p(component | x) at `level`, the gradient of an exact classifier; shape of x.

        The part of a component scores that it shares with the others cancels before it is summed, so that the result is
        zero where the classifier is certain and not the rounding of two large scores.
        """
        chosen = self._chosen(component)
        inside = np.isin(np.arange(self.components), chosen)

        def gradient(p: _Parameters, z: Array, s: Array) -> Array:
            logits = _logits(p, z, s)
            apart = _arrays.softmax(logits) * _arrays.constant(~inside, z)
            within = _arrays.softmax(logits + _arrays.constant(np.where(inside, 0.0, -np.inf), z))
            return _assemble(p, within * apart.sum(-1)[..., None] - apart, z, 0.0, -1 / s)

        return self._blockwise(x, level, gradient)

    def guidance(self, schedule: Any, component: int | Sequence[int]) -> Guidance:
        """Return g(x, t) = grad_x log p(component | x) with t the model's own time under `schedule`."""
        return Guidance(self, schedule, tuple(self._chosen(component)))

    def condition(
        self,
        schedule: Any,
        component: int | Sequence[int],
        scale: float = 1.0,
        prediction: str | Prediction = "noise",
    ) -> Condition:
        """Return the field that guidance adds to `model`: scale (E[m | x, component] - E[m | x]), a difference.

        It is the "condition" of a splitting method, and model + condition is the guided network; with scale = 1 that is
        the model of `conditional(component)`. In noise prediction g = -scale sigma grad_x log p(component | x).

        Parameters
        ----------
        schedule
            Gives the model's own time its level.
        component
            The component, or a class of several.
        scale
            The guidance scale s; any sign.
        prediction
            What `model` predicts.
        """
        return Condition(self, self.conditional(component), schedule, scale, prediction)

    # --- the reference solution ------------------------------------------------------------------------------------

    def flow(self, schedule: Any, x: Array, t_start: Any, t_end: Any, rtol: float = 1e-12) -> Reference:
        """Carry `x` along the probability-flow ODE from one level to another, in either direction.

        Parameters
        ----------
        schedule
            The schedule of the two times; None if both are `Level`.
        x
            Points at t_start, shape (..., d). No gradient flows through the integration of a mixture.
        t_start, t_end
            Schedule times, or levels. The flow depends on the two levels only, not on the schedule between them.
        rtol
            Relative tolerance of the integrator, 1e-13 to 1e-6; see ``numdiff.problems.flow``. A single Gaussian
            has a closed form and ignores it.

        Returns
        -------
        Reference
            ``x`` at t_end in the library, device and dtype of the argument; ``error``, the estimated error of every
            point relative to the scale of the marginal at t_end; ``evaluations``.

        Raises
        ------
        ValueError
            If x is not finite, or an end has sigma = 0 and a covariance is singular, where the flow has no unique
            value.
        RuntimeError
            If the integrator gives up.
        """
        wide, narrow = _arrays.widen(x, self.dimension)
        if not bool(_arrays.namespace(wide).isfinite(wide).all()):
            raise ValueError("x must be finite, but some entry is infinite or NaN; drop that point")
        start, end = as_level(schedule, t_start, "t_start"), as_level(schedule, t_end, "t_end")
        solve = gaussian_flow if self.components == 1 else mixture_flow
        found = solve(self, wide, start, end, rtol)
        return found._replace(x=narrow(found.x))

    # --- the formulas ----------------------------------------------------------------------------------------------

    def _chosen(self, component: int | Sequence[int]) -> list[int]:
        chosen = [int(c) for c in np.atleast_1d(np.asarray(component))]
        if not chosen or len(set(chosen)) < len(chosen) or not all(0 <= c < self.components for c in chosen):
            raise ValueError(f"component must be distinct indices from 0 to {self.components - 1}, not {component!r}")
        return chosen

    def _parameters(self, x: Array) -> _Parameters:
        device = str(x.device) if _arrays.is_torch(x) else "numpy"
        if device not in self._constants:
            basis, means = self.spectrum.basis, self.means
            rotated = means if basis is None else np.einsum("kij,ki->kj", basis, means)
            flat = None if basis is None else basis.transpose(1, 0, 2).reshape(self.dimension, -1)
            arrays = (np.log(self.weights), means, rotated, self.spectrum.variances, flat)
            self._constants[device] = _Parameters(*(None if a is None else _arrays.constant(a, x) for a in arrays))
        return self._constants[device]

    def _blockwise(self, x: Array, level: Level, f: Callable[[_Parameters, Array, Array], Array]) -> Array:
        """Return f(constants, z, s) with z_k (n, K, d) and s_k (K, d), a block of points at a time to stay in cache."""
        x, narrow = _arrays.widen(x, self.dimension)
        alpha, sigma = _scalar(level.alpha, "alpha"), _scalar(level.sigma, "sigma")
        if sigma == 0 and self.spectrum.singular:
            raise ValueError(
                "at sigma = 0 a singular covariance leaves x no density and no conditional mean off its support; "
                "evaluate at sigma > 0, or give every component a positive variance"
            )
        p, points = self._parameters(x), x.reshape(-1, self.dimension)
        s = alpha * alpha * p.variances + sigma * sigma
        rows = max(1, _BLOCK // self.means.size)
        starts = range(0, max(1, len(points)), rows)
        parts = [f(p, _centred(p, points[i : i + rows], alpha), s) for i in starts]
        whole = parts[0] if len(parts) == 1 else _arrays.concatenate(parts)
        return narrow(whole.reshape((*x.shape[:-1], *whole.shape[1:])))

    def _mean(self, x: Array, level: Level, a: Any, gain: Callable[[Array, Array], Array]) -> Array:
        def mean(p: _Parameters, z: Array, s: Array) -> Array:
            return _assemble(p, _arrays.softmax(_logits(p, z, s)), z, a, gain(p.variances, s))

        return self._blockwise(x, level, mean)


def _checked_means(means: Any) -> np.ndarray:
    array = np.array(means, dtype=np.float64)
    if array.ndim != 2 or 0 in array.shape:
        remedy = "; for one-dimensional data use means[:, None]" if array.ndim == 1 else ""
        raise ValueError(f"means must have shape (K, d), not {array.shape}{remedy}")
    if not np.all(np.isfinite(array)):
        raise ValueError(f"means must be finite, but row {int(np.argwhere(~np.isfinite(array))[0, 0])} is not")
    return array


def _checked_weights(weights: Any, K: int) -> np.ndarray:
    array = np.array(weights, dtype=np.float64)
    if array.shape != (K,):
        raise ValueError(
            f"weights have shape {array.shape}, but there are {K} means; give one weight per mean, shape ({K},)"
        )
    if not np.all(array > 0):
        k = int(np.argmin(array > 0))
        raise ValueError(f"weights must be positive, but weights[{k}] = {array[k]}; drop components of weight 0")
    # 1e-6 admits weights typed to seven digits or kept in float32; they are then normalised to rounding.
    if not abs(array.sum() - 1) < 1e-6:
        raise ValueError(f"weights must sum to 1, but they sum to {array.sum():.9g}; pass weights / weights.sum()")
    return array / array.sum()


def _scalar(value: Any, name: str) -> Any:
    """Return one number as a float, or as a 0-d tensor where it is a tensor."""
    if _arrays.is_torch(value) and value.numel() == 1:
        return value.reshape(())
    if np.size(value) != 1:
        raise ValueError(
            f"level.{name} must be one number, not an array of shape {np.shape(value)}; call once per level"
        )
    return float(value)


def _centred(p: _Parameters, x: Array, alpha: Any) -> Array:
    """Return z_k = Q_k^T (x - alpha mu_k), shape (n, K, d)."""
    if p.rotation is None:
        return x[:, None, :] - alpha * p.means
    return (x @ p.rotation).reshape(len(x), *p.means.shape) - alpha * p.rotated_means


def _logits(p: _Parameters, z: Array, s: Array) -> Array:
    """Return log w_k + log N(z_k; 0, diag s_k), shape (n, K)."""
    log_volume = _arrays.namespace(s).log(2 * np.pi * s).sum(-1)
    return p.log_weights - ((z * z / s).sum(-1) + log_volume) / 2


def _assemble(p: _Parameters, r: Array, z: Array, a: Any, gain: Array) -> Array:
    """Return sum_k r_k (a mu_k + Q_k g_k z_k), shape (n, d)."""
    terms = r[..., None] * (gain * z)
    total = terms.sum(-2) if p.rotation is None else terms.reshape(len(z), -1) @ p.rotation.T
    return total if isinstance(a, (int, float)) and a == 0 else total + a * (r @ p.means)
