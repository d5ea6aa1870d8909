"""Diagrams: orders, evaluations, errors along the way, third parties, and what is refused or left out."""

import time
import warnings
from dataclasses import replace

import numpy as np
import pytest

import numdiff as nd
from numdiff.certification.measure import Layout
from numdiff.certification.own import of_method
from numdiff.certification.subject import Setting, Subject
from numdiff.problems.paths import Path, toys
from numdiff.properties.order.regression import observed
from numdiff.work_precision import diagram
from numdiff.work_precision.problem import FLOW
from numdiff.work_precision.samplers import made

SCHEDULE = nd.schedules.VPLinear()
RING = nd.problems.mixtures()["ring"]
DETERMINISTIC = {label: method for label, method in nd.methods().items() if not method.stochastic}


def test_the_slope_is_the_order():
    methods = {"DDIM": nd.DDIM(), "AB3": (nd.AdamsBashforth(3), {"start": "runge-kutta"}), "RK4": nd.RK4()}
    steps = (24, 32, 48, 64, 96, 128)
    found = diagram(methods, toys(), steps=steps)
    for label, order in (("DDIM", 1), ("AB3", 3), ("RK4", 4)):
        by = {r.steps: r.error("rms") for r in found.records if r.label == label}
        assert observed(by.__getitem__, steps).slope == pytest.approx(order, abs=0.3), label


def test_evaluations_are_counted_and_are_those_of_the_scheme():
    found = diagram(DETERMINISTIC, toys(), steps=(12,), repeats=0)
    counted = {r.label: r.nfe for r in found.records}
    times = [SCHEDULE.time(lam) for lam in np.linspace(-1, 3, 13)]
    for label, method in DETERMINISTIC.items():
        if label in counted:
            assert counted[label] == method.discretize(SCHEDULE, times).nfe, label
        else:
            assert any(row.label == label and "fields" in row.reason for row in found.left_out), label
    assert len(counted) > 0.8 * len(DETERMINISTIC)


@pytest.mark.parametrize("start", ["lower", "runge-kutta"])
def test_a_budget_is_used_as_far_as_it_goes(start):
    options = {"scale": "edm", "start": start}
    methods = {"AB3": (nd.AdamsBashforth(3), options), "Heun": (nd.Heun(), options), "own": of_method(nd.Heun())}
    found = diagram(methods, toys(), nfe=(2, 4, 7, 12), repeats=0)
    more = {n: diagram(methods, toys(), steps=(n,), repeats=0) for n in range(1, 14)}
    for label in methods:
        cost = {n: next((r.nfe for r in d.records if r.label == label), None) for n, d in more.items()}
        for budget in found.numbers:
            fitting = [
                n for n, nfe in cost.items() if nfe is not None and nfe <= budget and n >= (3 if label == "AB3" else 1)
            ]
            steps = {r.steps for r in found.records if r.label == label and r.nfe <= budget}
            assert max(steps, default=0) == max(fitting, default=0), (label, budget)


def by_hand(method, steps, points, seed=0, span=(-5.0, 4.5)):
    """The samples at all nodes by the driver, and by the reference flow."""
    levels = [SCHEDULE.level(SCHEDULE.time(lam)) for lam in np.linspace(*span, steps + 1)]
    x = RING.sample_level(points, levels[0], seed)
    path = nd.sample(method.discretize(SCHEDULE, levels), RING.model(SCHEDULE), x, trajectory=True)
    exact = [RING.flow(None, x, levels[0], level).x for level in levels[1:]]
    return [(y - z) / level.alpha for y, z, level in zip(path[1:], exact, levels[1:], strict=True)]


@pytest.mark.parametrize("method", [nd.DPMSolverPP(2), nd.Heun(), nd.UniPC(2)], ids=str)
def test_errors_at_the_end_and_on_the_way_are_those_of_the_driver(method):
    found = diagram({"a": method}, RING, steps=(6,), errors=("rms", "median", "max", "trajectory"), points=5)
    apart = by_hand(method, 6, 5)
    e = np.sqrt(np.mean(apart[-1] ** 2, axis=1))
    expected = {"rms": np.sqrt(np.mean(e**2)), "median": np.median(e), "max": e.max()}
    expected["trajectory"] = np.sqrt(np.mean(np.square(apart)))
    (record,) = found.records
    # two routes of predictions from one model, and reference solutions good to 1e-11
    assert {k: v for k, (v, _) in record.errors.items()} == pytest.approx(expected, rel=1e-8)


def test_the_path_of_another_sampler_is_read_off_its_questions():
    method = nd.AdamsBashforth(2)
    found = diagram({"seen": method, "asked": of_method(method)}, toys(), steps=(9,), errors="trajectory")
    seen, asked = found.records
    assert asked.error("trajectory") == pytest.approx(seen.error("trajectory"), rel=1e-12)


def test_a_third_partys_sampler_of_the_same_formula_has_the_same_errors():
    found = diagram(
        {"ours": nd.DPMSolverPP(2, rule="half"), "theirs": "k-diffusion:sample_dpmpp_2m"},
        RING,
        nfe=(10,),
        errors=("rms", "trajectory", "energy"),
        points=16,
    )
    ours, theirs = found.records
    assert (ours.nfe, theirs.nfe) == (10, 10)
    for name in found.errors:
        assert theirs.error(name) == pytest.approx(ours.error(name), rel=1e-8)
    assert {"third-party", "k-diffusion"} <= set(theirs.tags)


def test_tags_are_read_off_the_structure():
    methods = {"a": nd.UniPC(3), "b": nd.Heun(nd.VELOCITY_TIME), "c": nd.SDEDPMSolverPP(2)}
    found = {label: made(label, method).tags for label, method in methods.items()}
    assert {"numdiff", "multistep", "one-stage", "predictor-corrector", "data", "log-snr", "order 4"} == set(found["a"])
    assert {"one-step", "two-stage", "runge-kutta", "velocity", "time", "order 2"} <= set(found["b"])
    assert "stochastic" in found["c"]
    mine = diagram({"a": nd.DDIM()}, toys(), steps=(4,), tags={"a": ("baseline",)})
    assert "baseline" in mine.records[0].tags


def test_times_have_the_models_in_them_or_not():
    path = toys()
    slow = replace(path, slope=lambda lam, y: time.sleep(2e-3) or path.slope(lam, y))
    found = diagram({"a": nd.DDIM()}, slow, steps=(5,), against="seconds", repeats=3)
    (record,) = found.records
    assert record.seconds - record.overhead >= 0.5 * 5 * 2e-3  # a sleep is never shorter; medians of three runs
    assert record.spread >= 0
    assert record.overhead > 0


def test_without_times_equal_calls_give_equal_diagrams():
    def make():
        methods = {"a": nd.DDIM(), "b": nd.SDEDPMSolverPP(2)}
        return diagram(methods, RING, steps=(5, 9), errors=("rms", "energy"), points=20, repeats=0)

    assert make() == make()
    assert all(r.seconds is None and r.spread is None for r in make().records)


def test_grids_differ_and_own_ones_are_the_subjects():
    layouts = {"rough": Layout("alternating"), "time": "time"}
    found = diagram({"a": nd.DDIM()}, toys(), steps=(8,), grids=layouts)
    assert [r.grid for r in found.records] == ["rough", "time"]
    assert found.records[0].error("rms") != found.records[1].error("rms")
    whole = of_method(nd.DDIM())
    levels = Layout().levels
    own = replace(whole, grid=lambda n: levels(whole, (-1.0, 2.0), n), given=False)
    found = diagram({"own": own, "none": whole}, toys(), steps=(8,), grids=("own", "log-snr"))
    (record,) = (r for r in found.records if r.label == "own")
    same = diagram({"a": nd.DDIM()}, toys((-1.0, 3.0)), steps=(8,), grids={"x": Layout()})
    assert record.grid == "own"
    assert record.error("rms") != same.records[0].error("rms")
    reasons = {(row.label, row.grid): row.reason for row in found.left_out}
    assert "no levels" in reasons["own", "log-snr"]
    assert "no grid of its own" in reasons["none", "own"]


def test_plain_equations_take_integrators():
    found = diagram({"AB2": ("AB2", {"scale": "time"}), "RK4": (nd.RK4(), {"scale": "time"})}, toys(), steps=(40,))
    assert found.best(1000)[0].label == "RK4"
    assert found.best(1000)[0].error("rms") < 1e-3


def test_a_subject_is_told_its_circumstances_and_each_set_has_its_own_noise():
    told = []

    def run(field, x, levels, setting):
        told.append((setting.grid, None if setting.noise is None else setting.noise((3,)).tolist()))
        return field(x, levels[0])

    subject = Subject("mine:told", run, stochastic=True)
    subject = replace(subject, grid=lambda n: Layout().levels(subject, (-1.0, 2.0), n))
    for grid in ("log-snr", "own"):
        told.clear()
        diagram({"a": subject}, RING, steps=(3,), grids=grid, errors="energy", points=4, sets=3, repeats=0)
        assert {which for which, _ in told} == {"given" if grid == "log-snr" else "own"}
        draws = [tuple(noise) for _, noise in told]
        assert len(draws) == 4
        assert len(set(draws)) == 3  # the run that is timed starts with the first set's


def test_what_fails_is_left_out_with_its_reason():
    def run(field, x, levels, setting):
        if len(levels) > 6:
            raise RuntimeError("too long")
        return x if len(levels) > 5 else x[:1, :1]

    methods = {"bad": Subject("mine:bad", run), "RK4": nd.RK4(), "SDE": nd.SDEDPMSolverPP(2), "DDIM": nd.DDIM()}
    found = diagram(methods, toys(), steps=(4, 8))
    reasons = [(row.label, row.number, row.reason) for row in found.left_out]
    assert ("bad", 8, "RuntimeError: too long") in reasons
    assert any(label == "bad" and n == 4 and "returned shape (1, 1)" in why for label, n, why in reasons)
    assert ("SDE", 0, "rms: it draws noise, and so follows no flow") in reasons
    assert {r.label for r in found.records if r.errors} == {"RK4", "DDIM"}
    short = diagram({"RK4": nd.RK4()}, toys(), nfe=(3,))
    assert short.records == ()
    assert "at most 3 evaluations" in short.left_out[0].reason


def test_an_error_whose_truth_is_not_known_costs_that_error_only():
    def exact(lam):
        if 0.1 < lam < 1.9:
            raise ValueError("known at the ends only")
        return np.exp(-2 * np.array([[lam]]))

    found = diagram(ONE, Path("decay", lambda lam, y: -2 * y, exact, (0.0, 2.0), 1e-16), steps=(6,), errors=FLOW)
    assert set(found.records[0].errors) == {"rms", "median", "max"}
    assert [row.reason for row in found.left_out] == ["trajectory: known at the ends only"]


def test_a_run_that_is_not_finite_has_an_infinite_error():
    nothing = Subject("mine:nan", lambda field, x, levels, setting: x * np.nan)
    (record,) = diagram({"nan": nothing}, RING, steps=(4,), errors=("rms", "energy"), points=8).records
    assert record.errors == {"rms": (np.inf, None), "energy": (np.inf, None)}


ONE = {"a": nd.DDIM()}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: diagram({}, toys()), TypeError, "samplers must be a mapping"),
        (lambda: diagram([nd.DDIM()], toys()), TypeError, "samplers must be a mapping"),
        (lambda: diagram({"a": 3}, toys()), TypeError, "'a' must be a method"),
        (lambda: diagram({"a": "DDIMM"}, toys()), ValueError, "did you mean"),
        (lambda: diagram({"a": (nd.DDIM(), {"eta": 1})}, toys()), ValueError, r"not \['eta'\]"),
        (lambda: diagram({"a": (nd.DDIM(), 3)}, toys()), TypeError, "options of 'a'"),
        (lambda: diagram({"a": (of_method("DDIM"), {"start": "x"})}, toys()), ValueError, "takes no options"),
        (lambda: diagram(ONE, nd.DDIM()), TypeError, "problem must be a path"),
        (lambda: diagram(ONE, toys(), errors=("W2",)), ValueError, "W2 compares laws"),
        (lambda: diagram(ONE, RING, errors=("KL",)), ValueError, "KL needs one Gaussian"),
        (lambda: diagram(ONE, toys(), errors="rsm"), ValueError, "did you mean 'rms'"),
        (lambda: diagram(ONE, toys(), errors=()), ValueError, "errors must be at least one"),
        (lambda: diagram(ONE, toys(), grids="karas"), ValueError, "did you mean 'karras'"),
        (lambda: diagram(ONE, toys(), grids=()), ValueError, "grids must be at least one"),
        (lambda: diagram(ONE, toys(), against="time"), ValueError, "unknown cost"),
        (lambda: diagram(ONE, toys(), nfe=(5,), steps=(5,)), ValueError, "not both"),
        (lambda: diagram(ONE, toys(), nfe=(0,)), ValueError, "nfe must be at least 1"),
        (lambda: diagram(ONE, toys(), steps=(2.5,)), TypeError, "steps must be whole numbers"),
        (lambda: diagram(ONE, toys(), steps=()), ValueError, "at least one number"),
        (lambda: diagram(ONE, toys(), points=8), ValueError, "a path has its own span and points"),
        (lambda: diagram(ONE, RING, points=0), ValueError, "points must be a whole number of at least 1, got 0"),
        (lambda: diagram(ONE, RING, sets=True), ValueError, "sets must be a whole number"),
        (lambda: diagram(ONE, RING, span=(-1.0, np.inf)), ValueError, "finite log-SNR"),
        (lambda: diagram(ONE, RING, span=(1.0, -1.0)), ValueError, "span must be two rising"),
        (lambda: diagram(ONE, toys(), repeats=-1), ValueError, "repeats must be a whole number"),
        (lambda: diagram(ONE, toys(), tags={"b": ("x",)}), ValueError, "unknown label 'b'"),
        (lambda: diagram(ONE, toys(), tags={"a": "fast"}), TypeError, r"write \('fast',\)"),
        (lambda: diagram(ONE, toys(), tags={"a": 3}), TypeError, "tags of 'a' must be a name or a sequence"),
        (lambda: diagram(ONE, toys(), tags=3), TypeError, "tags must be a mapping such as"),
        *((lambda s=s: diagram(ONE, RING, span=s), TypeError, "span must be two numbers") for s in (3, "ab", (1, "x"))),
        (lambda: diagram(ONE, RING, span=(1, 2, 3)), TypeError, r"such as \(-5, 4.5\); got \(1, 2, 3\)"),
        (lambda: diagram(ONE, toys(), errors=3), TypeError, "errors must be a name or a sequence of names"),
        (lambda: diagram(ONE, toys(), errors=[["rms"]]), TypeError, "errors must be a name or a sequence of names"),
        (lambda: diagram(ONE, toys(), grids=3), TypeError, "grids must be a name or a sequence of names"),
        (lambda: diagram(ONE, toys(), grids={"a": [3]}), ValueError, "unknown grid"),
        (lambda: diagram(ONE, RING, seed="a"), ValueError, "seed must be a whole number of at least 0, got 'a'"),
        (lambda: diagram(ONE, RING, seed=-1), ValueError, "seed must be a whole number of at least 0, got -1"),
        (lambda: diagram(ONE, RING, sets=None), ValueError, "sets must be a whole number"),
        (lambda: diagram(ONE, toys(), setting="float32"), TypeError, "setting must be a Setting"),
        (lambda: diagram(ONE, toys(), name=3), TypeError, "name must be a string, got 3"),
        (lambda: diagram({3: nd.DDIM()}, toys()), TypeError, "labels of samplers must be strings, got 3"),
        (lambda: diagram({"a": (nd.DDIM(), {"start": "x"})}, toys()), ValueError, "start must be one of 'lower'"),
        (lambda: diagram({"a": (nd.DDIM(), {"scale": "vq"})}, toys()), ValueError, "unknown scale 'vq'"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_path_of_ones_own():
    decay = Path("decay", lambda lam, y: -2 * y, lambda lam: np.exp(-2 * np.array([[lam]])), (0.0, 2.0), 1e-16)
    found = diagram(ONE, decay, steps=(10, 20))
    assert found.problem == "decay"
    first, second = (r.error("rms") for r in found.records)
    assert 0 < second < first


@pytest.mark.parametrize("precision", ["float64", "shipped"])
@pytest.mark.parametrize("spec", ["k-diffusion:sample_dpmpp_sde", "diffusers:HeunDiscreteScheduler"])
def test_third_parties_run_where_warnings_are_errors(spec, precision):
    """Own grids go to sigma = 0, and a tree of Brownian motion has bounds that single precision moves."""
    setting = Setting(precision=precision)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = diagram({"a": spec}, RING, nfe=(10,), grids=("own", "log-snr"), errors="W2", points=4, setting=setting)
    assert found.records
    assert not [row for row in found.left_out if "arning" in row.reason]


def test_a_path_may_have_several_points_whose_scatter_needs_some_to_be_told():
    """The error of all is the mean square of those of each; two points show no standard error."""
    rates = np.array([[-2.0, -1.0], [-0.5, 1.0]])
    apart = [
        Path("one", lambda lam, y, r=r: r * y, lambda lam, r=r: np.exp(r * lam)[None], (0.0, 2.0), 1e-16) for r in rates
    ]
    both = Path("two", lambda lam, y: rates * y, lambda lam: np.exp(rates * lam), (0.0, 2.0), 1e-16)
    asked = ("rms", "median", "max", "trajectory")
    (found,) = diagram(ONE, both, steps=(10,), errors=asked).records
    single = [diagram(ONE, path, steps=(10,), errors=asked).records[0] for path in apart]
    assert found.error("rms") == pytest.approx(np.sqrt(np.mean([r.error("rms") ** 2 for r in single])))
    assert found.error("max") == pytest.approx(max(r.error("max") for r in single))
    assert found.error("trajectory") == pytest.approx(np.sqrt(np.mean([r.error("trajectory") ** 2 for r in single])))
    assert all(deviation is None for _, deviation in found.errors.values())
