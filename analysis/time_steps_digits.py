"""Optimized time steps on a trained network: error and Frechet distance on handwritten digits against evaluations.

    python -m analysis.time_steps_digits --out results/analysis

The denoiser of 8x8 digits that ships with the package, conditional on the class, without guidance, from the same noises
for every entry. Errors are distances from the exact solution of the model's own flow (DPM-Solver++ 3 with many steps,
checked against half as many and against Adams-Bashforth 4 on noise). Frechet distances are between features of a
classifier: on the samples and on the training scans, where that of the reference stands beside it, for a solver cannot
be blamed for what the model does, nor praised for less; and on the samples and on the exact ones from the same noises,
which is 0 for an exact solver. Plus-minus is the bootstrap's standard deviation over the noises: of the ratio to
log-SNR for errors, of the difference from the reference for the Frechet distance to the scans.

As in `time_steps_quality`, a baseline may keep the full order to the end or lower it there, whichever gives it the
smaller root mean square error here; the optimized steps are given no such choice.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

import numdiff as nd
from numdiff import plotting
from numdiff.study import published_timesteps, steps
from numdiff.study.mixtures import CLEAN, SCHEDULE
from numdiff.study.script import main

METHODS: dict[str, nd.Method] = {
    "DPM-Solver++ 3 exact": nd.DPMSolverPP(3),
    "UniPC3": nd.UniPC(3),
    "GHVB3(0.8)": nd.GHVB(3, Fraction(4, 5)),
    "GHVB2(0.8) data": nd.GHVB(2, Fraction(4, 5), nd.DATA_LOG_SNR),
    "HB(DPM-Solver++ 2, 0.8)": nd.HeavyBall(nd.DPMSolverPP(2), Fraction(4, 5)),
}
NFES = (5, 6, 8, 10, 15, 20)
SEED = 90_210
"""Of the noises; none of it is used in training steps."""
WHAT = ("rms", "median", "Frechet", "Frechet to exact")


@cache
def published(p: int, n: int) -> np.ndarray:
    """Return where the published procedure of the paper stops from log-SNR, converged or not."""
    first = published_timesteps.start("unif", n, CLEAN)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy's, that a finite difference was zero: the procedure is run as published
        log_snr = published_timesteps.optimize(first, p=p).log_snr
    return np.array([SCHEDULE.T, *(float(SCHEDULE.time(value)) for value in log_snr[1:-1]), CLEAN])


def data_free(objective: str, orders: str | None = None, damping: bool = False) -> steps.Steps:
    """Return the rule that lays methods out on the steps that minimize an objective, the order list and damping too."""

    @cache
    def rule(method: nd.Method, n: int) -> Any:
        names = ("beta",) if damping and isinstance(method, (nd.GHVB, nd.HeavyBall)) else ()
        options: dict[str, Any] = {"objective": objective, "t_end": CLEAN, "orders": orders, "optimize": names}
        return nd.optimize.timesteps(method, SCHEDULE, n, time_limit=20.0, **options).scheme()

    return rule


BASELINES: dict[str, steps.Steps] = {
    **steps.SIMPLE,
    "paper, p = 2": lambda method, n: published(2, n),
    "paper, p = 1": lambda method, n: published(1, n),
}
OURS: dict[str, steps.Steps] = {
    "mixture-bank": data_free("mixture-bank"),
    "mixture-bank, lowered": data_free("mixture-bank", "lowered"),
    "mixture-bank, orders and beta": data_free("mixture-bank", "search", True),
}
NAMES = [*BASELINES, *OURS]


class Bench:
    """The network, the judge, the noises and where the exact flow takes them."""

    def __init__(self, samples: int, reference: int) -> None:
        from numdiff import models
        from numdiff.study import sampling

        self.denoiser, self.judge = models.digits(), models.digits_classifier()
        if self.denoiser.schedule != SCHEDULE:
            raise ValueError(f"the grids are those of {SCHEDULE}, but the network has {self.denoiser.schedule}")
        labels = sampling.labels(range(self.denoiser.null), samples)
        self.model, self.noise = self.denoiser.conditioned(labels), sampling.noise(self.denoiser, samples, SEED)
        fine, coarse = (self._fine(nd.DPMSolverPP(3), n) for n in (reference, reference // 2))
        other = self._fine(nd.AdamsBashforth(4, nd.NOISE_RATIO), reference)
        self.truth = fine
        self.error = max(float(np.sqrt(np.mean(self.errors(x) ** 2))) for x in (coarse, other))

    def _fine(self, method: nd.Method, n: int) -> np.ndarray:
        grid = steps.SIMPLE["log-SNR"](method, n)
        return self.images(method.discretize(SCHEDULE, grid, start="runge-kutta"))

    def images(self, scheme: Any) -> np.ndarray:
        """Return the samples of a scheme, shape (n, 64)."""
        import torch

        with torch.inference_mode():
            return np.asarray(nd.sample(scheme, self.model, self.noise, prediction=self.model.prediction).double())

    def errors(self, images: np.ndarray) -> np.ndarray:
        """Return the root mean square over the pixels of the distance from the exact images, shape (n,)."""
        return np.sqrt(np.mean((images - self.truth) ** 2, axis=-1))

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return the judge's features of images, shape (n, width)."""
        import torch

        with torch.no_grad():
            return np.asarray(self.judge.features(torch.from_numpy(images).to(self.denoiser.dtype)).double())

    def frechet(self, features: np.ndarray, counts: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
        """Return the Frechet distances of features, each row taken as often as a row of `counts` says.

        They are to the training scans, or to `other` features whose rows are taken as often.
        """
        from numdiff.models import metrics

        def statistics(rows: np.ndarray | None, count: np.ndarray) -> Any:
            if rows is None:
                return self.judge.mean.numpy(), self.judge.covariance.numpy()
            return metrics.feature_statistics(np.repeat(rows, count.astype(int), axis=0))

        return np.array(
            [metrics.frechet_distance(*statistics(features, count), *statistics(other, count)) for count in counts]
        )


def compute(fast: bool) -> dict[str, Any]:
    """Return the three measures and their uncertainty by method, grid and budget."""
    import torch  # noqa: F401  (must be imported to be limited)

    from numdiff.study.threads import limited

    with limited(1):
        bench = Bench(60 if fast else 1000, 60 if fast else 400)
        nfes = (5, 8) if fast else NFES
        methods = dict(list(METHODS.items())[: 1 if fast else None])
        points = len(bench.noise)
        every = np.concatenate([np.ones((1, points)), steps.resamples(points, 10 if fast else 100, 0)])
        floor = bench.frechet(bench.features(bench.truth), every)
        rows = [
            {"method": name, "nfe": nfe, "grids": _row(bench, method, nfe, every, floor)}
            for name, method in methods.items()
            for nfe in nfes
        ]
    reference = {"error": bench.error, "Frechet": floor[0], "samples": points}
    return {"nfes": nfes, "methods": list(methods), "grids": NAMES, "reference": reference, "rows": rows}


def _row(bench: Bench, method: nd.Method, nfe: int, counts: np.ndarray, floor: np.ndarray) -> dict[str, Any]:
    """Return value and deviation of the measures for every grid, at one budget of one method."""
    found = {}
    for name in NAMES:
        rules = [BASELINES[name], steps.lowered(BASELINES[name])] if name in BASELINES else [OURS[name]]
        images = [bench.images(steps.scheme_of(rule, method, nfe)) for rule in rules]
        errors = [bench.errors(x) for x in images]
        best = int(np.argmin([np.mean(e**2) for e in errors]))
        measured = steps.resampled_rms(errors[best], counts), steps.resampled_medians(errors[best], counts)
        features = bench.features(images[best])
        distances = bench.frechet(features, counts), bench.frechet(features, counts, bench.features(bench.truth))
        found[name] = [*measured, *distances], bool(best)
    base = found["log-SNR"][0]
    return {name: {"lowered": low, **_summary(values, base, floor)} for name, (values, low) in found.items()}


def _summary(values: Sequence[np.ndarray], base: Sequence[np.ndarray], floor: np.ndarray) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for k, what in enumerate(WHAT[:2]):
        gain = base[k] / values[k]
        result[what] = {"value": values[k][0], "gain": gain[0], "deviation": gain[1:].std()}
    for what, value, least in ((WHAT[2], values[2], floor), (WHAT[3], values[3], np.zeros_like(floor))):
        excess = value - least
        result[what] = {"value": value[0], "excess": excess[0], "deviation": excess[1:].std()}
    return result


def draw(numbers: dict[str, Any]) -> Any:
    """Return the figure and the tables."""
    methods, floor = numbers["methods"], numbers["reference"]["Frechet"]
    axes = plotting.figure(4, len(methods), 3.2 * len(methods), 11.5, sharex=True, sharey="row")
    for column, method in enumerate(methods):
        rows = [row for row in numbers["rows"] if row["method"] == method]
        nfes = [row["nfe"] for row in rows]
        for k, what in enumerate(WHAT):
            ax = axes[k, column]
            shown = [g for g in numbers["grids"] if g != "paper, p = 1"]  # the table has it; there are eight colours
            lines = {g: (nfes, [row["grids"][g][what]["value"] for row in rows]) for g in shown}
            label = {"Frechet": "Frechet to scans"}.get(what, what) + (" error" if k < 2 else "")
            plotting.curves(lines, ax, xlabel="evaluations", ylabel=label, logx=True, logy=True)
            ax.set_xticks(nfes, [str(n) for n in nfes])
            ax.set_xticks([], minor=True)
        axes[2, column].axhline(floor, color="0.6", linewidth=0.8)
        axes[0, column].set_title(method, fontsize="medium")
    return plotting.share(axes, columns=5), _text(numbers)


def _text(numbers: dict[str, Any]) -> str:
    reference, parts = numbers["reference"], []
    parts.append(
        f"{reference['samples']} samples; error of the reference {reference['error']:.1g}; its Frechet distance "
        f"{reference['Frechet']:.3g}, which an exact solver has too.\n"
    )
    parts += [f"## {method}\n\n{_tables(numbers, method)}" for method in numbers["methods"]]
    return "\n".join(parts)


def _tables(numbers: dict[str, Any], method: str) -> str:
    rows = [row["grids"] for row in numbers["rows"] if row["method"] == method]
    text = ""
    for what, heading in (
        ("rms", "Root mean square error (gain over log-SNR)"),
        ("median", "Median error (gain over log-SNR)"),
        ("Frechet", "Frechet distance to the training scans (excess over the reference)"),
        ("Frechet to exact", "Frechet distance to the exact samples"),
    ):
        lines = [["steps", *map(str, numbers["nfes"])], ["---"] * (1 + len(numbers["nfes"]))]
        lines += [[name, *(_entry(row[name][what]) for row in rows)] for name in numbers["grids"]]
        text += f"{heading}:\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n\n"
    return text


def _entry(found: dict[str, float]) -> str:
    if "gain" in found:
        return f"{found['value']:.2g} ({found['gain']:.2f} ± {found['deviation']:.2f})"
    excess = "" if found["excess"] == found["value"] else f"{found['excess']:+.2g} "
    return f"{found['value']:.3g} ({excess}± {found['deviation']:.1g})"


if __name__ == "__main__":
    main("time_steps_digits", __doc__, compute, draw)
