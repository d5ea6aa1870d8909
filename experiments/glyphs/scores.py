"""What samples are worth, with the bootstrap's uncertainty, alone and against a baseline from the same noises.

All samplers see the same noises, so that one resampling of the noises resamples all of them: the standard deviation of
a difference over the resamplings is that of the difference, and not the two samplers' own, which are larger.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numdiff.models import Classifier, metrics

Cell = dict[str, np.ndarray]
"""One sampler at one number of evaluations: ``features`` (n, d), ``agrees`` (n,), squared ``errors`` (m,), m <= n."""


def resampled(n: int, times: int, seed: int = 0) -> np.ndarray:
    """Return `times` resamplings of n indices, shape (times, n); the first is the samples as they are."""
    drawn = np.random.default_rng(seed).integers(0, n, size=(times, n))
    return np.concatenate([np.arange(n)[None], drawn])


def replicates(cell: Cell, judge: Classifier, times: int) -> dict[str, np.ndarray]:
    """Return Frechet distance, error and agreement of the samples, and of `times` resamplings, shape (times + 1,)."""
    features, errors = cell["features"].astype(np.float64), cell["errors"]
    reference = (judge.mean.cpu().numpy(), judge.covariance.cpu().numpy())
    rows, few = resampled(len(features), times), resampled(len(errors), times)
    return {
        "frechet": np.array(
            [metrics.frechet_distance(*metrics.feature_statistics(features[r]), *reference) for r in rows]
        ),
        "error": np.sqrt(errors[few].mean(axis=1)),
        "agreement": cell["agrees"][rows].mean(axis=1),
    }


def summary(cell: dict[str, np.ndarray], baseline: dict[str, np.ndarray] | None) -> dict[str, Any]:
    """Return every score with its standard error, and how it stands to the baseline's.

    For the error that is the ratio to the baseline's, whose standard error is relative; for the others the difference.
    ``better`` and ``worse`` list the scores of which two standard errors say so.
    """
    found: dict[str, Any] = {name: _with_error(values) for name, values in cell.items()}
    if baseline is None:
        return found
    against = {
        "frechet": _with_error(cell["frechet"] - baseline["frechet"]),
        "agreement": _with_error(cell["agreement"] - baseline["agreement"]),
        "error": _with_error(np.log(cell["error"] / baseline["error"])),
    }
    sign = {"frechet": -1, "error": -1, "agreement": 1}
    gains = {name: sign[name] * value for name, (value, _) in against.items()}
    verdict = {
        "better": [name for name, gain in gains.items() if gain > 2 * against[name][1]],
        "worse": [name for name, gain in gains.items() if gain < -2 * against[name][1]],
    }
    return found | {"against_baseline": against | verdict}


def _with_error(replicates: np.ndarray) -> list[float]:
    """Return the value of the samples and the standard deviation over the resamplings, to five digits."""
    return [float(f"{value:.5g}") for value in (replicates[0], replicates[1:].std(ddof=1))]
