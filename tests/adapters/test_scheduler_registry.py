"""Every family on every process: the pushed loop of the scheduler is the pulled one of `nd.sample`."""

import pytest
import torch

import numdiff as nd
from numdiff.methods import FAMILIES
from numdiff.methods.splitting import Splitting
from tests.scheduler_loops import SD, NumdiffScheduler, X, network, run, same

pytestmark = [pytest.mark.filterwarnings("ignore:__array:DeprecationWarning"), pytest.mark.slow]
PROCESSES = {
    "flow": {"prediction_type": "flow_prediction", "shift": 2.0, "sigma_max": 0.999},
    "edm": {"sigma_data": 0.5},
    "table": {"timesteps": "karras", **SD},
}
NAMES = [name for name, family in FAMILIES.items() if not isinstance(family.member(), Splitting)]
VELOCITIES = ("flow-euler", "flow-ab", "flow-heun", "flow-midpoint", "sit")
CHURN = ("edm-stochastic", "euler-churn")


@pytest.mark.parametrize("kind", PROCESSES)
@pytest.mark.parametrize("name", NAMES)
def test_the_loop_of_a_pipeline_is_that_of_sample(name, kind):
    scheduler = NumdiffScheduler(method=name, method_options=dict(FAMILIES[name].example), **PROCESSES[kind])
    if kind == "table" and name in (*VELOCITIES, *CHURN):
        with pytest.raises(ValueError, match=r"needs d alpha/dt|churns from"):
            scheduler.set_timesteps(7)
        return
    found = run(scheduler, 7)
    scheme, process = scheduler.scheme, scheduler._process

    def model(x, t):
        if kind == "edm":
            x = x * process.input_scale(scheme.schedule.level(float(scheme.schedule.from_model_time(t))))
        return network(x, t)

    chance, x = torch.Generator().manual_seed(5), X * scheduler.init_noise_sigma
    # times between entries reach the network as float32, 1e-7 of them
    same(found, nd.sample(scheme, model, x, prediction=process.prediction, generator=chance), 1e-5)


@pytest.mark.parametrize("name", ["lms", "deis", "pndm"])
def test_methods_on_noise_cannot_start_from_noise_alone(name):
    config = {"prediction_type": "flow_prediction", "method": name, **FAMILIES[name].example}
    with pytest.raises(ValueError, match="cannot start at alpha = 0"):
        NumdiffScheduler(**config).set_timesteps(7)
    scheduler = NumdiffScheduler(sigma_max=0.999, **config)
    scheduler.set_timesteps(7)
    assert scheduler.sigmas[0] == torch.tensor(0.999)
