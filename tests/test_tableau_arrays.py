"""Coefficients and biases that are arrays: a step with a coefficient for each element, as DPM-Solver-v3 has."""

import dataclasses

import numpy as np
import pytest
import torch

import numdiff as nd
from numdiff.drivers import program
from numdiff.executor import Machine
from numdiff.executor_native import fitted

VP = nd.schedules.VPLinear()
LEVELS = [VP.level(t) for t in (0.9, 0.6, 0.4, 0.2)]
SHAPE = (2, 3)  # of one sample; a batch has an axis before them


def model(x, t):
    """A nonlinear field, elementwise, NumPy or torch."""
    return t * x / (1 + x * x) + 0.25 * t


def draw(rng):
    return rng.uniform(0.5, 1.5, SHAPE)


def coefficients(seed=0):
    """For each step xi, two weights for the predictor, three for the corrector and a bias, all per element."""
    rng = np.random.default_rng(seed)
    return [
        {name: draw(rng) - 0.7 * (name == "bias") for name in ("xi", "p0", "p1", "c", "c0", "c1", "bias")}
        for _ in LEVELS[1:]
    ]


def scheme_of(steps):
    """Predict, evaluate, correct; the registers are the sample and the two newest evaluations."""
    opening = nd.Tableau(
        A=[[0]], U=[[1, 0, 0]], B=[[0], [1], [0]], V=[[1, 0, 0], [0, 0, 0], [0, 0, 0]], levels=LEVELS[:1]
    )
    tableaus = [opening]
    for n, k in enumerate(steps):
        old, last = (k["p1"], k["c1"]) if n else (0, 0)
        tableaus.append(
            nd.Tableau(
                A=[[0]],
                U=[[k["xi"], k["p0"], old]],
                B=[[k["c"]], [1], [0]],
                V=[[k["xi"], k["c0"], last], [0, 0, 0], [0, 1, 0]],
                a=(k["bias"],),
                b=(k["bias"], 0, 0),
                levels=[LEVELS[n + 1]],
                target=LEVELS[n + 1],
            )
        )
    made = nd.DDIM("data/log-snr").discretize(VP, LEVELS)
    return dataclasses.replace(made, tableaus=tuple(t.to_float() for t in tableaus), prediction="noise")


def directly(steps, x, prediction):
    """The same run as plain formulas, each answer turned into noise where it is given."""

    def noise(Y, level):
        m = model(Y, level.model_time)
        return (Y - level.alpha * m) / level.sigma if prediction == "data" else m

    f = [noise(x, LEVELS[0])]
    for n, k in enumerate(steps):
        older = f[1] if n else 0 * x
        Y = k["xi"] * x + k["p0"] * f[0] + k["p1"] * older + k["bias"]
        F = noise(Y, LEVELS[n + 1])
        x = k["xi"] * x + k["c0"] * f[0] + k["c1"] * older + k["c"] * F + k["bias"]
        f = [F, f[0]]
    return x


def start(dtype=np.float64):
    return np.random.default_rng(5).standard_normal((4, *SHAPE)).astype(dtype)


def to_torch(steps, **options):
    return [{name: torch.tensor(c, **options) for name, c in k.items()} for k in steps]


@pytest.mark.parametrize("prediction", ["noise", "data"])
@pytest.mark.parametrize("library", ["numpy", "torch", "arrays on tensors"])
def test_a_run_with_arrays_is_the_direct_formula(prediction, library):
    steps, x = coefficients(), start()
    expected = directly(steps, x, prediction)
    scheme = scheme_of(to_torch(steps) if library == "torch" else steps)
    y = x if library == "numpy" else torch.tensor(x)
    found = nd.sample(scheme, model, y, prediction=prediction)
    assert type(found) is type(y)
    np.testing.assert_allclose(
        np.asarray(found), expected, rtol=1e-12, atol=1e-12
    )  # 60 operations on numbers below 100
    again = nd.sample(scheme, model, y, prediction=prediction)  # from the cache
    assert (again == found).all()
    assert (y == (x if library == "numpy" else torch.tensor(x))).all()


@pytest.mark.parametrize("prediction", ["noise", "data"])
@pytest.mark.parametrize("library", ["numpy", "torch", "arrays on tensors"])
def test_float32_stays_float32(prediction, library):
    steps, x = coefficients(), start(np.float32)
    scheme = scheme_of(to_torch(steps) if library == "torch" else steps)
    y, seen = (x if library == "numpy" else torch.tensor(x)), set()

    def watched(Y, t):
        seen.add(Y.dtype)
        return model(Y, t)

    path = nd.sample(scheme, watched, y, prediction=prediction, trajectory=True)
    assert {*seen, *(z.dtype for z in path)} == {y.dtype}
    expected = directly(steps, x.astype(float), prediction)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(np.asarray(path[-1]), expected, rtol=0, atol=1e-5 * scale)  # 6e-8 times 60, amplified


def test_the_machine_runs_arrays_with_the_callers_own_loop():
    steps, x = coefficients(1), start()
    machine = Machine(fitted(program(scheme_of(steps), nd.parameterizations.get("data")), x), x)
    while (question := machine.ask()) is not None:
        machine.tell(model(question.x, question.level.model_time))
    np.testing.assert_allclose(machine.sample, directly(steps, x, "data"), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("prediction", ["noise", "data"])
def test_gradients_flow_to_every_array(prediction, dtype):
    steps, x = coefficients(2), torch.tensor(start(), dtype=dtype)
    leaves = to_torch(steps, requires_grad=True)
    names = [(n, name) for n, k in enumerate(leaves) for name in k if n or name not in ("p1", "c1")]
    parameters = [leaves[n][name] for n, name in names]
    weights = torch.linspace(-1, 1, x.numel(), dtype=dtype).reshape(x.shape)
    scheme = scheme_of(leaves)
    found = torch.autograd.grad((nd.sample(scheme, model, x, prediction=prediction) * weights).sum(), parameters)
    expected = torch.autograd.grad((directly(leaves, x.double(), prediction) * weights).sum(), parameters)
    for (n, name), one, other in zip(names, found, expected, strict=True):
        assert one.dtype == torch.float64
        assert (other != 0).any()
        tolerance = (1e-11 if dtype == torch.float64 else 1e-4) * float(other.abs().max())
        assert float((one - other).abs().max()) < tolerance, (n, name)
    again = torch.autograd.grad((nd.sample(scheme, model, x, prediction=prediction) * weights).sum(), parameters)
    assert all(torch.equal(one, other) for one, other in zip(found, again, strict=True))  # a second graph


def test_a_one_stage_step_with_arrays_is_folded_rightly():
    """DDIM with a factor for each element: the conversion is folded into the sample's row."""
    k, x = coefficients(3)[0], start()
    for unit in (1, k["c"]):
        tableau = nd.Tableau(
            A=[[0]], U=[[unit]], B=[[k["p0"]]], V=[[k["xi"]]], b=(k["bias"],), levels=LEVELS[:1], target=LEVELS[1]
        )
        made = nd.DDIM().discretize(VP, LEVELS[:2])
        found = nd.sample(dataclasses.replace(made, tableaus=(tableau.to_float(),)), model, x, prediction="data")
        Y, level = unit * x, LEVELS[0]
        eps = (Y - level.alpha * model(Y, level.model_time)) / level.sigma
        np.testing.assert_allclose(found, k["xi"] * x + k["p0"] * eps + k["bias"], rtol=1e-13, atol=1e-13)


def test_tensor_coefficients_on_an_array_say_so():
    with pytest.raises(TypeError, match="the sample must be a tensor too"):
        nd.sample(scheme_of(to_torch(coefficients())), model, start())
