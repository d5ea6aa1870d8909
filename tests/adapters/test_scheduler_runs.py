"""Runs that begin in the middle, are edited on the way, are narrow, or must not wait for a device."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import numdiff as nd
from tests.scheduler_loops import SD, NumdiffScheduler, X, network, peer, run, same

pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")


class NoWaiting(TorchDispatchMode):
    """Refuse everything that would make the host wait for a device: reading a value, copies to the host."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        waits = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "_to_copy", "copy_", "masked_select")
        assert func.overloadpacket.__name__ not in waits, f"{func} waits for the device"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("method", ["dpmpp_2m", "unipc", "heun", "ghvb", "sde-dpmpp", "pndm", "bdia"])
def test_no_step_waits_for_the_device(method):
    options = {"order": 2} | ({"beta": 0.8} if method == "ghvb" else {})
    options = {} if method in ("heun", "pndm", "bdia", "dpmpp_2m") else options
    scheduler = NumdiffScheduler(method=method, **options, check_finite="never", timestep_spacing="trailing", **SD)
    for begin in (0, 2 * 2):
        scheduler.set_timesteps(8)
        scheduler.set_begin_index(begin)
        listed, x, chance = list(scheduler.timesteps)[begin:], X, torch.Generator().manual_seed(0)
        outputs = [network(x, t) for t in listed]
        for output, t in zip(outputs, listed, strict=True):
            with NoWaiting():
                x = scheduler.step(output, t, scheduler.scale_model_input(x, t), chance, return_dict=False)[0]
                noised = scheduler.add_noise(X, x, t)
        assert noised.isfinite().all()


@pytest.mark.parametrize("method", ["ab", "heun", "midpoint"])
@pytest.mark.parametrize("how", ["view", "begin index", "value"])
def test_the_three_ways_to_say_where_a_run_begins(method, how):
    scheduler = NumdiffScheduler(method=method, timestep_spacing="trailing", **({"order": 2} if method == "ab" else {}))
    scheduler.set_timesteps(8)
    begin = 3 * scheduler.order
    rest = scheduler.timesteps[begin:]
    expected = run(scheduler, timesteps=rest)
    scheduler.set_timesteps(8)
    if how == "begin index":
        scheduler.set_begin_index(begin)
        assert scheduler.begin_index == begin
    foreign = rest.clone() if how != "value" else [t.item() for t in rest]
    same(run(scheduler, timesteps=rest if how == "view" else foreign), expected, 1e-7)


UNEVEN = {
    "ab": {"order": 4, "start": "runge-kutta"},
    "ghvb": {"order": 3, "beta": 0.8, "start": "runge-kutta"},
    "fpndm": {},
    "pndm": {},
}


@pytest.mark.parametrize("method", UNEVEN)
def test_a_step_number_times_the_order_is_where_that_step_begins(method):
    """Image to image takes timesteps[n * order:], also behind a start with more evaluations than the other steps."""
    scheduler = NumdiffScheduler(method=method, **UNEVEN[method], **SD)
    scheduler.set_timesteps(10)
    for n in range(11):
        rest = scheduler.timesteps[n * scheduler.order :]
        assert not len(rest) or float(rest[0]) == scheduler.scheme.levels[n].model_time
        assert len(rest) <= 10 - n or n < 4
    name = "pndm" if method == "fpndm" else method
    plain = {"warmup": "lower"} if name == "pndm" else UNEVEN[method] | {"start": "lower"}
    other = NumdiffScheduler(method=name, **plain, **SD)
    other.set_timesteps(10)
    expected = run(other, timesteps=other.timesteps[5:])
    assert torch.equal(run(scheduler, timesteps=scheduler.timesteps[5 * scheduler.order :]), expected)


@pytest.mark.parametrize("method", UNEVEN)
def test_no_run_begins_where_a_start_would_be_needed_again(method):
    scheduler = NumdiffScheduler(method=method, **UNEVEN[method], **SD)
    scheduler.set_timesteps(10)
    refused = [k for k in range(1, len(scheduler.timesteps)) if scheduler._plan.from_evaluation(k) is None]
    assert refused
    for k in refused:
        scheduler.set_timesteps(10)
        with pytest.raises(ValueError, match=r'no run of .* evaluations, more at its start .*="lower"') as said:
            scheduler.set_begin_index(k)
        with pytest.raises(ValueError, match="no run of") as again:
            scheduler.step(X, scheduler.timesteps[k], X)
        assert str(again.value) == str(said.value)


@pytest.mark.parametrize("method", ["flow-heun", "rk4"])
@pytest.mark.parametrize("steps", [5, 12])
def test_steps_counted_by_a_pipeline_that_passes_sigmas(method, steps):
    """Flux takes len(timesteps) for its number of steps, which are evaluations: N (1 - strength) steps go before."""
    scheduler = NumdiffScheduler(method=method, prediction_type="flow_prediction", shift=3.0)
    scheduler.set_timesteps(sigmas=np.linspace(1, 1 / steps, steps))
    counted = len(scheduler.timesteps)
    for n in range(steps):
        begin = int(counted * n / steps) * scheduler.order
        assert float(scheduler.timesteps[begin]) == np.float32(scheduler.scheme.levels[n].model_time)
        scheduler.set_begin_index(begin)
    assert counted * scheduler.order == counted


def zero_snr(**more):
    config = {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction", "timestep_spacing": "trailing"}
    return peer("DDIM", clip_sample=False, **config, **more, **SD)


def test_from_noise_alone_ddim_is_that_of_diffusers():
    """At alpha = 0 its noise formulation does not exist, but it is the same in that of the data."""
    theirs = zero_snr()
    same(run(NumdiffScheduler.from_config(theirs.config, method="ddim")), run(theirs))


@pytest.mark.parametrize(
    ("method", "options"), [("ghvb", {"order": 3, "beta": 0.8}), ("ab", {"order": 2}), ("rk4", {})]
)
def test_from_noise_alone_the_remedy_works(method, options):
    config = zero_snr().config
    with pytest.raises(ValueError, match=r"cannot start at alpha = 0.*; use formulation='data/") as said:
        NumdiffScheduler.from_config(config, method=method, **options).set_timesteps(8)
    formulation = str(said.value).partition("formulation='")[2].partition("'")[0]
    assert run(NumdiffScheduler.from_config(config, method=method, formulation=formulation, **options)).isfinite().all()
    with pytest.raises(ValueError, match=r"cannot start at alpha = 0.*; use method='dpmpp' or 'unipc'"):
        NumdiffScheduler.from_config(config, method="plms").set_timesteps(8)
    assert run(NumdiffScheduler.from_config(config, method="dpmpp")).isfinite().all()


@pytest.mark.parametrize(
    ("name", "method", "add"),
    [
        ("DPMSolverMultistep", "dpmpp_2m", "add_noise"),
        ("UniPCMultistep", "unipc", "add_noise"),
        ("FlowMatchEulerDiscrete", "ddim", "scale_noise"),
    ],
)
def test_a_run_from_the_middle_is_that_of_diffusers(name, method, add):
    """Image to image: noise is added at the level where the run begins."""
    theirs = peer(name, **({} if "Flow" in name else SD))
    options = {"order": 2, "rule": "bh2"} if method == "unipc" else {}
    ours = NumdiffScheduler.from_config(theirs.config, method=method, **options)
    noise, results = torch.randn(X.shape, generator=torch.Generator().manual_seed(2)), []
    for scheduler in (theirs, ours):
        scheduler.set_timesteps(10)
        scheduler.set_begin_index(6)
        rest = scheduler.timesteps[6:]
        at, call = rest[:1].repeat(2), getattr(scheduler, add)
        x = call(X, at, noise) if add == "scale_noise" else call(X, noise, at)
        for t in rest:
            x = scheduler.step(network(x, t), t, x, return_dict=False)[0]
        results.append(x)
    same(results[1], results[0])


def test_noise_is_added_per_sample_and_velocities_are_targets():
    theirs, ours = peer("DDPM"), NumdiffScheduler()
    x, noise = (torch.randn(4, 1, 3, 3, generator=torch.Generator().manual_seed(k)) for k in (0, 1))
    t = torch.tensor([10, 200, 500, 999])
    for what in ("add_noise", "get_velocity"):
        # float32 tables: sigma^2 at entry 10 is 2e-3, known to 1e-4 of itself there
        torch.testing.assert_close(
            getattr(ours, what)(x, noise, t), getattr(theirs, what)(x, noise, t), rtol=1e-4, atol=1e-4
        )
    for one in (torch.tensor(500), torch.tensor([500]), [500]):
        torch.testing.assert_close(ours.add_noise(x, noise, one), ours.add_noise(x, noise, t * 0 + 500))
    euler = NumdiffScheduler.from_config(peer("EulerDiscrete", **SD).config, method="ddim")
    euler.set_timesteps(7)  # 832.5 and its like: between entries
    level = euler.scheme.levels[1]
    expected = level.alpha * x + level.sigma * noise
    torch.testing.assert_close(euler.add_noise(x, noise, euler.timesteps[1:2]), expected)


def test_an_edited_sample_is_what_the_next_step_starts_from():
    """Inpainting: what the pipeline put in place of the sample is continued, as in a scheme that was told so."""
    scheduler = NumdiffScheduler(method="ab", order=2, **SD)
    scheduler.set_timesteps(6)
    x = X
    for n, t in enumerate(scheduler.timesteps):
        x = torch.where(X > 0, x, torch.full_like(x, 0.1 * n))
        x = scheduler.step(network(x, t), t, x).prev_sample
    machine = nd.executor.Machine(tuple(nd.drivers.program(scheduler.scheme, "noise")), X)
    n = 0
    while (question := machine.ask()) is not None:
        edited = torch.where(X > 0, question.x, torch.full_like(X, 0.1 * n))
        machine.tell(network(edited, question.level.model_time), edited)
        n += 1
    same(x, machine.sample, 1e-6)


@pytest.mark.parametrize(
    ("name", "method", "config"),
    [("DDIM", "ddim", {"clip_sample": False}), ("DPMSolverMultistep", "dpmpp_2m", {}), ("DEISMultistep", "deis", {})],
)
def test_an_edit_is_carried_on_as_in_diffusers(name, method, config):
    theirs, results = peer(name, **SD, **config), []
    options = {"order": 2, "variant": "log-rho"} if method == "deis" else {}
    for scheduler in (theirs, NumdiffScheduler.from_config(theirs.config, method=method, **options)):
        scheduler.set_timesteps(5)
        x = X
        for n, t in enumerate(scheduler.timesteps):
            x = scheduler.step(network(x, t), t, x + 0.5 if n == 3 else x, return_dict=False)[0]
        results.append(x)
    same(results[1], results[0])


# --- precision --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_wide_state_under_a_narrow_sample(dtype):
    """The output's rounding stays: eps of the dtype each step. What goes is the rounding of the state."""

    def rounded(x, t):
        return network(x.float(), t).to(x.dtype)

    def through(x, t):
        return network(x.to(dtype).float(), t).to(dtype).to(x.dtype)

    config = {"method": "dpmpp_2m", "timestep_spacing": "trailing", **SD}
    exact = run(NumdiffScheduler(**config), 20, X.double(), model=through)
    narrow = run(NumdiffScheduler(**config), 20, X.to(dtype), model=rounded)
    wide = run(NumdiffScheduler(accumulate="float32", **config), 20, X.to(dtype), model=rounded)
    assert narrow.dtype == wide.dtype == dtype
    error = [float((found.double() - exact).abs().max()) for found in (narrow, wide)]
    start = float((X.to(dtype).double() - X.double()).abs().max())
    assert error[1] < error[0]
    assert error[1] < 3 * torch.finfo(dtype).eps * float(exact.abs().max()) + start


def test_narrow_outputs_are_widened_and_wide_ones_refused():
    scheduler = NumdiffScheduler(**SD)
    scheduler.set_timesteps(4)
    t = scheduler.timesteps[0]
    assert scheduler.step(X.bfloat16(), t, X).prev_sample.dtype == torch.float32
    scheduler.set_timesteps(4)
    with pytest.raises(ValueError, match=r"model_output has dtype torch.float32 .*the sample has torch.bfloat16"):
        scheduler.step(X, scheduler.timesteps[0], X.bfloat16())


def test_a_learned_variance_is_dropped():
    scheduler = NumdiffScheduler(method="ddim", variance_type="learned_range", **SD)
    out = torch.cat([X, torch.full_like(X, 7.0)], dim=1)
    plain = run(NumdiffScheduler(method="ddim", **SD), 4, model=lambda x, t: X)
    assert torch.equal(run(scheduler, 4, model=lambda x, t: out), plain)


def test_outputs_are_copied_where_the_network_uses_its_buffer_again():
    buffer = torch.empty_like(X)
    again = lambda x, t: buffer.copy_(network(x, t))  # noqa: E731
    config = {"method": "ab", "order": 3, **SD}
    expected = run(NumdiffScheduler(**config))
    assert torch.equal(run(NumdiffScheduler(copies=True, **config), model=again), expected)
    assert not torch.equal(run(NumdiffScheduler(**config), model=again), expected)


# --- levels by name ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["uniform-t", "log-snr", "uniform-log-snr", "quadratic", "karras", "exponential"])
def test_grids_by_name(name):
    for config in (SD, {"prediction_type": "flow_prediction"}, {"sigma_data": 0.5}):
        scheduler = NumdiffScheduler(method="ddim", timesteps=name, **config)
        scheduler.set_timesteps(6)
        assert scheduler.num_inference_steps == 6
        assert scheduler.scheme.levels[-1].sigma == 0
        assert run(scheduler, 6).isfinite().all()


@pytest.mark.parametrize("name", ["uniform-t", "log-snr", "quadratic"])
def test_grids_by_name_are_those_of_the_package(name):
    scheduler = NumdiffScheduler(method="ddim", timesteps=name, **SD)
    scheduler.set_timesteps(6)
    times = nd.grids.NAMED[name](scheduler.schedule, 6, final_zero=True)
    assert [level.time for level in scheduler.scheme.levels] == times.tolist()


def test_optimized_steps_are_those_of_the_search():
    config = {"timesteps": "optimized", **SD}
    scheduler = NumdiffScheduler(method="dpmpp_2m", **config)
    scheduler.set_timesteps(10)
    expected = nd.optimize.preset("stable-diffusion", 10, "dpmpp_2m")
    np.testing.assert_allclose([x.log_snr for x in scheduler.scheme.levels], expected.log_snr, rtol=1e-9)
    assert dict(scheduler.scheme.options)["orders"] == expected.orders


@pytest.mark.slow
def test_steps_are_searched_where_none_ship():
    other = NumdiffScheduler.from_config(
        peer("PNDM", **SD).config, method="ghvb", order=3, beta=0.8, timesteps="optimized"
    )
    other.set_timesteps(6)
    found = nd.optimize.timesteps(other.method, other.schedule, 6, final_zero=other.config.set_alpha_to_one)
    np.testing.assert_allclose([x.log_snr for x in other.scheme.levels], found.log_snr, atol=1e-6)
    for process in ({"prediction_type": "flow_prediction"}, {"sigma_data": 0.5}):
        third = NumdiffScheduler(method="heun", timesteps="optimized", **process)
        assert run(third, 5).isfinite().all()
