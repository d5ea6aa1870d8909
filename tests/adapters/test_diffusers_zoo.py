"""NumdiffScheduler with every family: noise from a generator, stages within steps, and what a pipeline cannot run."""

import warnings

import pytest
import torch

import numdiff as nd
from numdiff.methods import FAMILIES
from numdiff.methods.splitting import Splitting

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations of diffusers' own dependencies, at its import only
    import diffusers

    from numdiff.adapters.diffusers import NumdiffScheduler

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")
PROBLEM = nd.problems.GaussianMixture([0.4, 0.6], [[-1.0, 0.5], [1.0, -0.3]], [0.1, 0.2])
X = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
SPLIT = [name for name, family in FAMILIES.items() if isinstance(family.member(), Splitting)]
FLOW = ("flow-euler", "flow-ab", "flow-heun", "flow-midpoint", "sit")


def chance(seed=4):
    return torch.Generator().manual_seed(seed)


def model(schedule):
    exact = PROBLEM.model(schedule, "noise")
    return lambda x, t: torch.from_numpy(exact(x.numpy(), float(t)))


def loop(scheduler, schedule, generator, x=X):
    f = model(schedule)
    for t in scheduler.timesteps:
        x = scheduler.step(f(scheduler.scale_model_input(x, t), t), t, x, generator=generator).prev_sample
    return x


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in (*SPLIT, *FLOW)])
def test_the_loop_of_a_pipeline_is_that_of_sample(name):
    family = FAMILIES[name]
    scheduler = NumdiffScheduler(method=name, method_options=family.example, timestep_spacing="trailing")
    scheduler.set_timesteps(6)
    scheme = family.member().discretize(scheduler.schedule, scheduler.scheme.levels)
    assert len(scheduler.timesteps) == scheme.nfe
    found = loop(scheduler, scheduler.schedule, chance())
    expected = nd.sample(scheme, model(scheduler.schedule), X, generator=chance())
    # times between entries of the table reach the model as float32, 1e-7 of them; the mixture's slopes are below 1e2
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(found, loop(scheduler, scheduler.schedule, chance()))
    assert family.member().stochastic != torch.equal(found, loop(scheduler, scheduler.schedule, chance(5)))


@pytest.mark.parametrize("name", SPLIT)
def test_splitting_is_refused(name):
    with pytest.raises(ValueError, match="evaluates the condition apart from the model, and a pipeline passes one"):
        NumdiffScheduler(method=name, method_options=FAMILIES[name].example)


@pytest.mark.parametrize("name", FLOW)
def test_methods_on_velocities_need_a_flow(name):
    with pytest.raises(ValueError, match="formulation velocity/time needs d alpha/dt"):
        NumdiffScheduler(method=name, method_options=FAMILIES[name].example).set_timesteps(6)


def test_a_list_of_generators_has_one_for_each_sample():
    scheduler = NumdiffScheduler(method="ddpm", timestep_spacing="trailing")
    scheduler.set_timesteps(4)
    both = loop(scheduler, scheduler.schedule, [chance(7), chance(8)], X[:2])
    alone = loop(scheduler, scheduler.schedule, [chance(8)], X[1:2])
    torch.testing.assert_close(both[1:], alone, rtol=1e-12, atol=1e-12)


def test_ancestral_sampling_is_that_of_diffusers_with_its_noise():
    """DDIM with eta = 1 draws its noise with the same calls of the same generator."""
    peer = diffusers.DDIMScheduler(clip_sample=False, timestep_spacing="trailing")
    ours = NumdiffScheduler.from_config(peer.config, method="ddim", method_options={"eta": 1})
    for scheduler in (peer, ours):
        scheduler.set_timesteps(8)
    assert ours.timesteps.tolist() == peer.timesteps.tolist()
    f, x, generator = model(ours.schedule), X, chance()
    for t in peer.timesteps:
        x = peer.step(f(x, t), t, x, eta=1.0, generator=generator).prev_sample
    # the peer's table is a float32 running product, 1e-6 of abar, and 2e-4 of sigma^2 at its first entry
    torch.testing.assert_close(loop(ours, ours.schedule, chance()), x, rtol=1e-3, atol=1e-3)
