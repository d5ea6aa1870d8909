"""The Gaussian objective is the law of a run: the spectral recursion finds the same, by the executor."""

import mpmath as mp
import numpy as np
import pytest

import numdiff as nd
from numdiff.optimize.objectives.gaussian import Gaussian, _kl_root
from tests.optimize.test_propagate import FLOW, VP, somewhere, trace_of

RUNS = {
    "dpm++": (nd.DPMSolverPP(3), VP),
    "heavy ball": (nd.HeavyBall(nd.DPMSolverPP(2), 0.8), VP),
    "ghvb": (nd.GHVB(2, 0.8), VP),
    "unipc": (nd.UniPC(3), VP),
    "heun": (nd.Heun(), VP),
    "deis": (nd.DEIS(2), VP),
    "flow": (nd.AdamsBashforth(2, formulation=nd.VELOCITY_TIME), FLOW),
    "ancestral": (nd.Ancestral(nd.DDIM(), 0.7), VP),
}
SCALES = (0.05, 0.2, 0.7, 1.0, 2.5)
WEIGHTS = (1.0, 2.0, 0.0, 0.5, 3.0)


@pytest.fixture(params=list(RUNS))
def trace(request):
    return trace_of(*RUNS[request.param])


@pytest.mark.parametrize("criterion", ["w2", "kl"])
def test_the_objective_is_the_distance_of_the_laws(trace, criterion):
    z = somewhere(trace.window)
    problem = Gaussian(SCALES, WEIGHTS, criterion).problem(trace)
    laws = nd.spectral.errors(trace.scheme_at(z), SCALES)
    found = problem.errors(z)
    assert found["w2"] == pytest.approx(laws.w2, rel=1e-9, abs=1e-13)
    assert found["kl"] == pytest.approx(laws.kl, rel=1e-8, abs=1e-13)
    expected = float(np.array(WEIGHTS) @ (laws.w2**2 if criterion == "w2" else laws.kl))
    turned = nd.spectral.response(trace.scheme_at(z), SCALES).gain < 0
    if criterion == "kl" or not turned.any():
        assert problem.evaluate(z).objective == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("criterion", ["w2", "kl"])
def test_the_jacobian_is_the_derivative_of_the_residuals(trace, criterion):
    z, h = somewhere(trace.window), 0.01
    problem = Gaussian(SCALES, criterion=criterion).problem(trace)
    jacobian = problem.evaluate(z).residual_jacobian
    weights = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
    for k, e in enumerate(np.eye(trace.window.size) * h):
        moved = {j: [problem.evaluate(z + sign * j * e).residuals for sign in (1, -1)] for j in weights}
        slope = sum(w * (moved[j][0] - moved[j][1]) for j, w in weights.items()) / h
        assert jacobian[:, k] == pytest.approx(slope, rel=1e-6, abs=1e-8)


def test_noise_counts():
    """With eta = 0 an ancestral run is its base; with eta = 1 its variance is not the gain's alone."""
    z = somewhere(trace_of(nd.DDIM(), VP).window)
    noisy = trace_of(nd.Ancestral(nd.DDIM(), 1.0), VP)
    found = nd.spectral.response(noisy.scheme_at(z), SCALES)
    deviation = Gaussian(SCALES).problem(noisy).errors(z)["deviation"]
    assert deviation**2 == pytest.approx((found.gain * found.scales[0]) ** 2 + found.noise_variance, rel=1e-10)
    assert (found.noise_variance > 1e-3 * deviation**2).all()


def test_the_root_of_the_divergence():
    with mp.workdps(50):
        for u in (-0.999, -0.3, -0.0500001, -0.0499, -1e-9, 0.0, 1e-12, 0.03, 0.05, 0.0501, 4.0, 1e6):
            x = mp.mpf(u)
            value, slope = _kl_root(np.array([u]))

            def root(y):
                return mp.sign(y) * mp.sqrt((y - mp.log(1 + y)) / 2)

            exact = float(mp.diff(root, x, h=mp.mpf("1e-20"))) if u else 0.5
            assert value[0] == pytest.approx(float(root(x)), rel=1e-13, abs=1e-300)
            assert slope[0] == pytest.approx(exact, rel=1e-12)


def test_bad_parameters_are_named():
    for options, match in [
        ({"scales": ()}, "scales"), ({"scales": (1.0, -1.0)}, "scales"), ({"scales": 3.0}, "scales"),
        ({"scales": (1.0,), "weights": (1.0, 2.0)}, "weights"), ({"scales": (1.0,), "weights": (0.0,)}, "weights"),
        ({"scales": (1.0,), "weights": (-1.0,)}, "weights"), ({"criterion": "w1"}, "criterion"),
    ]:  # fmt: skip
        with pytest.raises((TypeError, ValueError), match=match):
            Gaussian(**options)
    assert hash(Gaussian(scales=np.array([0.1, 1.0]))) == hash(Gaussian(scales=(0.1, 1.0)))
