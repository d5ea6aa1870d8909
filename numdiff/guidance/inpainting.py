r"""Inpainting: some pixels are known, the others are drawn to fit them.

With a mask M that is 1 where pixels are known, two ways:

- **In the model**, `wrap`: the predicted clean image is M known + (1 - M) x_0. The known pixels then follow the line
  x = alpha known + sigma eps from their own initial noise, on which every consistent solver is exact.
- **Between the steps**, `edit`: before each evaluation the sample's known pixels become alpha known + sigma noise. With
  noise of one array that is a line again, the same at every level; with a generator it is drawn anew each time, which
  is RePaint without its resampling (Lugmayr et al. 2022, arXiv:2201.09865, eq. 8).

The first changes what the model says about the known pixels, the second what it sees there; the unknown ones notice
either by the model's next evaluation only. `edit` moves the sample under a multistep method's history, `wrap` does not.

Mind the masks of others: here, as for RePaint, 1 is known; inpainting pipelines of diffusers take 1 to be repainted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numdiff.drivers_checks import check_generator
from numdiff.elementary import kind
from numdiff.guidance.arrays import Array, namespace
from numdiff.guidance.clean import OnData
from numdiff.level import Level
from numdiff.methods.scheme import Scheme
from numdiff.noise import from_generator
from numdiff.parameterizations import Prediction
from numdiff.schedules import Schedule


class Inpainting:
    """Known pixels of the images to be drawn.

    Parameters
    ----------
    known
        Clean images, whose shape is or broadcasts to that of the samples; what stands at unknown pixels is not used,
        but must be finite.
    mask
        1 or True where a pixel is known, 0 or False where not, or a share between them; broadcasts to the samples.
    schedule
        Of the model, or the scheme that runs; for `wrap`.
    noise
        For `edit`: the noise of the known pixels, an array like the samples, such as x_T/sigma_T, which keeps them on
        the line they start from; or a generator, for new noise at every evaluation.

    Raises
    ------
    TypeError, ValueError
        For arrays of two libraries, a mask outside [0, 1], or known pixels that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> schedule = nd.schedules.VPLinear()
    >>> scheme = nd.DDIM().discretize(schedule, nd.grids.uniform_log_snr(schedule, 10))
    >>> painting = nd.guidance.Inpainting(np.array([[0.3, 0.0]]), np.array([[1, 0]]), schedule)
    >>> model = painting.wrap(lambda x, t: np.zeros_like(x), "data")
    >>> x = nd.sample(scheme, model, np.ones((1, 2)), prediction="data")
    >>> painting.paste(x)[0, 0].tolist(), bool(abs(x[0, 0] - 0.3) < 0.02)
    (0.3, True)
    """

    def __init__(
        self, known: Array, mask: Array, schedule: Schedule | Scheme | None = None, *, noise: Any = None
    ) -> None:
        xp = namespace(known)
        floating = known.dtype.kind == "f" if xp is np else known.is_floating_point()
        if not floating:
            raise TypeError(f"known must be floating, in the range of the samples, got {known.dtype}; convert it")
        if not (noise is None or hasattr(noise, "shape") or type(noise).__name__ == "Generator"):
            raise TypeError(f"noise must be an array like the samples, such as x_T, or a generator, got {noise!r}")
        if namespace(mask) is not xp:
            raise TypeError(f"mask must be an array of the library of known, {xp.__name__}, got {type(mask).__name__}")
        mask = mask.astype(known.dtype) if xp is np else mask.to(known)
        if not bool(((mask >= 0) & (mask <= 1)).all()):
            raise ValueError("mask must lie between 0 (unknown) and 1 (known)")
        if not bool(xp.isfinite(known).all()):
            raise ValueError("known must be finite, at unknown pixels too; put 0 there")
        self.known, self.mask, self.schedule, self._noise = known, mask, schedule, noise

    def wrap(self, model: Callable[[Array, Any], Array], prediction: str | Prediction | None = None) -> OnData:
        """Return a model whose predicted clean image has the known pixels; guidance and thresholding go inside.

        Raises
        ------
        ValueError
            Without a schedule.
        """
        if self.schedule is None:
            raise ValueError("wrap needs the schedule of the model: Inpainting(known, mask, schedule)")
        return OnData(model, self.paste, self.schedule, prediction)

    def edit(self, x: Array, level: Level) -> Array:
        """Return the sample with its known pixels at `level`: ``nd.sample(..., edit=inpainting.edit)``.

        The last sample is behind the last evaluation; `paste` the known pixels into it.

        Raises
        ------
        ValueError
            Without noise, or for noise of another shape than the samples'.
        """
        self._check(x)
        return self._between(level.alpha * self.known + level.sigma * self._draw(x), x)

    def paste(self, x: Array) -> Array:
        """Return clean images with the known pixels in them, exactly where the mask is 1."""
        self._check(x)
        return self._between(self.known, x)

    def _check(self, x: Array) -> None:
        for name, value in (("known", self.known), ("mask", self.mask)):
            if _broadcast(value.shape, x.shape) != tuple(x.shape):
                raise ValueError(
                    f"{name} has shape {tuple(value.shape)}, which does not broadcast to the samples', {tuple(x.shape)}"
                )

    def _between(self, known: Array, x: Array) -> Array:
        return self.mask * known + (1 - self.mask) * x

    def _draw(self, x: Array) -> Array:
        noise = self._noise
        if noise is None:
            raise ValueError("edit needs noise for the known pixels: Inpainting(..., noise=x_T) or a generator")
        if not hasattr(noise, "shape"):
            check_generator(noise, x)
            return from_generator(x, noise)(0, 0)
        if tuple(noise.shape) != tuple(x.shape) or kind(noise) != kind(x):
            raise ValueError(
                f"noise must be an array like the samples, of shape {tuple(x.shape)}, got {tuple(noise.shape)}"
            )
        return noise


def _broadcast(ours: Any, theirs: Any) -> tuple[int, ...] | None:
    """Return the shape that two have together, or None."""
    try:
        return np.broadcast_shapes(tuple(ours), tuple(theirs))
    except ValueError:
        return None
