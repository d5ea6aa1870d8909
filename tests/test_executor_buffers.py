"""Whose memory a run touches: it writes to nothing that anyone else may hold, and holds no more than its registers."""

import weakref

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import numdiff as nd
from numdiff.drivers import program

SCHEDULE = nd.schedules.VPLinear()
GRID = nd.grids.uniform_log_snr(SCHEDULE, steps=7)
METHODS = nd.methods().values()
CONVERTED = ["noise", "v"]  # as the tableaus want it (mostly), and through the affine conversion

KINDS = {
    "numpy": (lambda: np.random.default_rng(0).standard_normal((2, 5)), np.copy, np.array_equal),
    "torch": (lambda: torch.randn(2, 5, generator=torch.Generator().manual_seed(0)), torch.clone, torch.equal),
}


def field(x, t):
    """A nonlinear, non-autonomous model: a fresh array each time."""
    return 0.3 * x - 0.1 * x * x * abs(x) / (1 + t + x * x)


@pytest.fixture(params=KINDS)
def arrays(request):
    return KINDS[request.param]


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_nothing_that_anyone_holds_is_written_to(method, arrays):
    for prediction in CONVERTED:
        leaves_everything_as_it_was(method, prediction, arrays)


def leaves_everything_as_it_was(method, prediction, arrays):
    make, copy, same = arrays
    kept = []

    def keep(x):
        kept.append((x, copy(x)))
        return x

    def model(x, t):
        return keep(field(keep(x), t))

    reached = []

    def callback(step, level, x):
        reached.append(keep(x))

    scheme = method.discretize(SCHEDULE, GRID)
    path = nd.sample(scheme, model, keep(make()), prediction=prediction, callback=callback, trajectory=True)
    assert len(kept) == 1 + 2 * scheme.nfe + 7
    assert all(same(x, before) for x, before in kept)
    assert len(reached) == 7
    assert all(a is b for a, b in zip(path[1:], reached, strict=True))
    quiet = nd.sample(scheme, field, make(), prediction=prediction)  # nobody holds anything: the same numbers
    assert same(quiet, path[-1])


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_a_model_may_return_its_own_argument(method, arrays):
    make, copy, same = arrays
    scheme = method.discretize(SCHEDULE, GRID)
    for prediction in CONVERTED:
        aliased = nd.sample(scheme, lambda x, t: x, make(), prediction=prediction)
        assert same(aliased, nd.sample(scheme, lambda x, t: copy(x), make(), prediction=prediction)), prediction


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_a_model_may_reuse_its_output_buffer_where_the_driver_says_so(method, arrays):
    for prediction in CONVERTED:
        takes_one_buffer(method, prediction, arrays)


def takes_one_buffer(method, prediction, arrays):
    make, _, same = arrays
    scheme, buffer = method.discretize(SCHEDULE, GRID), make()

    def reusing(x, t):
        buffer[...] = field(x, t)
        return buffer

    run = nd.sample(scheme, reusing, make(), prediction=prediction, copies=True)
    assert same(run, nd.sample(scheme, field, make(), prediction=prediction))
    if scheme.registers > 2 and scheme.prediction == prediction:  # and it has to: a history of one buffer is no history
        assert not same(run, nd.sample(scheme, reusing, make(), prediction=prediction))


@pytest.mark.parametrize("prediction", CONVERTED)
def test_an_edited_sample_is_not_written_to(prediction, arrays):
    make, copy, same = arrays
    machine = nd.Machine(program(nd.GHVB(3, 0.8).discretize(SCHEDULE, GRID), prediction), make())
    edits = []
    while (question := machine.ask()) is not None:
        Y = copy(question.x) + 0.1
        edits.append((Y, copy(Y)))
        machine.tell(field(Y, question.level.model_time), Y)
    assert len(edits) == 7
    assert all(same(Y, before) for Y, before in edits)


class Ledger(TorchDispatchMode):
    """Counts the operations on tensors of the sample's size, and which of their results are still alive."""

    def __init__(self):
        super().__init__()
        self.operations, self._made = 0, []

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        if isinstance(result, torch.Tensor) and result.ndim:
            self.operations += 1
            self._made.append(weakref.ref(result))
        return result

    def alive(self):
        return len({x.data_ptr() for made in self._made if (x := made()) is not None})


def passes_and_held(method, prediction, run):
    """Return the operations of one late step and the arrays alive while the model runs at its end, x_T apart."""
    counts = []
    output = iter([KINDS["torch"][0]() for _ in range(8)])

    def model(x, t):
        counts.append((ledger.operations, ledger.alive()))
        return next(output) * 1.0  # made under the ledger, and by nobody held but by the run

    x = KINDS["torch"][0]()
    with Ledger() as ledger:
        run(method.discretize(SCHEDULE, GRID), model, x, prediction)
    (before, _), (after, held) = counts[-2:]
    return after - before - 1, held  # the model's own product is not the run's


def drive(scheme, model, x, prediction):
    machine = nd.Machine(program(scheme, prediction), x)
    while (question := machine.ask()) is not None:
        machine.tell(model(question.x, question.level.model_time))


@pytest.mark.parametrize(
    ("method", "prediction", "passes"),
    [
        (nd.DDIM(), "noise", 2),  # c x + d m: a product and a sum in place
        (nd.DDIM(), "data", 2),  # the conversion is folded into c and d
        (nd.AdamsBashforth(3), "noise", 4),
        (nd.AdamsBashforth(3, nd.VELOCITY_TIME), "velocity", 3),  # the sample's own coefficient is 1
        (nd.DPMSolverPP(2), "data", 3),
        (nd.DPMSolverPP(2), "noise", 4),  # and m + (p/q) x, which is kept
        (nd.GHVB(2, 0.8), "noise", 4),  # three terms, and f + ((1-beta)/beta) v in one pass
        (nd.HeavyBall(nd.AdamsBashforth(1), beta=0.8), "noise", 4),
        (nd.GHVB(3, 0.8), "v", 6),
    ],
    ids=str,
)
def test_a_step_makes_as_few_passes_and_holds_as_few_arrays_as_its_rows_need(method, prediction, passes):
    held = method.discretize(SCHEDULE, GRID).registers  # the sample, which the model is given, and the history
    assert passes_and_held(method, prediction, drive) == (passes, held)
    checked = passes_and_held(method, prediction, lambda s, m, x, p: nd.sample(s, m, x, prediction=p))
    assert checked[1] == held
