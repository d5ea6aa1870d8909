"""SciPy's and torchdiffeq's integrators at given steps, against their tables and this package's methods."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.integrate
import torch
from torchdiffeq import odeint

from numdiff.adapters.subjects import NotASamplerError, names, resolve
from numdiff.certification.measure import Layout, final, measure
from numdiff.certification.subject import Setting
from numdiff.level import Level
from numdiff.problems.paths import toys

PATH = toys((0.0, 1.0))


def grid(subject, steps=12):
    return Layout("random", seed=4).levels(subject, PATH.span, steps)


def end(spec, **options):
    subject = resolve(spec, **options)
    return final(subject, PATH, grid(subject), Setting())


@pytest.mark.parametrize("name", ["RK23", "RK45"])
def test_a_step_of_scipy_is_one_step_of_its_table(name):
    kind = getattr(scipy.integrate, name)
    times = [level.time for level in grid(resolve(f"scipy:{name}"))]
    y = PATH.exact(times[0])
    for t, t_next in pairwise(times):
        h, slopes = t_next - t, []
        for c, row in zip(kind.C, kind.A, strict=True):
            slopes.append(PATH.slope(t + c * h, y + h * sum(a * k for a, k in zip(row, slopes, strict=False))))
        y = y + h * sum(b * k for b, k in zip(kind.B, slopes, strict=True))
    np.testing.assert_allclose(end(f"scipy:{name}"), y, rtol=1e-13)


@pytest.mark.parametrize(("theirs", "ours"), [("RK45", "dopri5"), ("RK23", "bosh3")])
def test_adaptive_methods_of_two_libraries_agree_at_given_steps(theirs, ours):
    np.testing.assert_allclose(end(f"scipy:{theirs}"), end(f"torchdiffeq:{ours}"), rtol=1e-12)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("euler", "AB1"), ("midpoint", "midpoint"), ("heun2", "heun"), ("heun3", "heun3"), ("rk4", "kutta38")],
)
def test_fixed_grid_methods_are_methods_of_this_package(theirs, ours):
    expected = end(f"numdiff:{ours}", scale="time")
    np.testing.assert_allclose(end(f"torchdiffeq:{theirs}"), expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("spec", "order", "steps"),
    [
        ("scipy:RK23", 3, (12, 16, 24, 32)),
        ("scipy:RK45", 5, (32, 40, 48, 56)),
        ("scipy:DOP853", 8, (10, 12, 14, 16)),
        ("torchdiffeq:dopri8", 8, (10, 12, 14, 16)),
        ("torchdiffeq:fehlberg2", 2, (24, 32, 48, 64)),
        ("torchdiffeq:adaptive_heun", 2, (24, 32, 48, 64)),
    ],
)
def test_observed_orders_are_the_documented_ones(spec, order, steps):
    subject = resolve(spec)
    assert subject.order == order
    assert abs(measure(subject, PATH, steps).slope - order) < 0.5


def test_adams_methods_have_a_history_of_less_than_their_largest_order_and_need_equal_steps():
    """`max_order` counts the corrector's points; the explicit method alone is of one order less."""
    smooth, rough = Layout(), Layout("alternating")
    steps = (48, 64, 96, 128)
    explicit, implicit = (resolve(f"torchdiffeq:{name}_adams", max_order="4") for name in ("explicit", "implicit"))
    assert explicit.order == implicit.order == 4
    slopes = [measure(s, PATH, steps, layout=lay).slope for s in (explicit, implicit) for lay in (smooth, rough)]
    assert slopes == pytest.approx([3, 1, 4, 1], abs=0.35)


def test_implicit_steps_are_solved_unless_a_tolerance_is_given():
    tight, loose = (
        resolve("torchdiffeq:implicit_adams"),
        resolve("torchdiffeq:implicit_adams", rtol="1e-3", max_iters=4),
    )
    assert tight.notes == ("implicit steps are solved to 1e-14, in at most 100 iterations",)
    times = torch.linspace(0, 1, 25, dtype=torch.float64)
    y0 = torch.from_numpy(PATH.exact(0.0))
    f = lambda t, y: torch.from_numpy(PATH.slope(float(t), y.numpy()))  # noqa: E731
    direct = odeint(f, y0, times, method="implicit_adams", rtol=1e-3)[-1]
    levels = [Level.of_time(t) for t in times.tolist()]
    np.testing.assert_array_equal(final(loose, PATH, levels, Setting()), direct)
    assert np.abs(final(tight, PATH, levels, Setting()) - direct.numpy()).max() > 0


@pytest.mark.parametrize(
    ("spec", "stages"),
    [
        ("scipy:RK45", (0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1)),
        ("torchdiffeq:dopri5", (0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1)),
        ("torchdiffeq:bosh3", (0, 1 / 2, 3 / 4, 1)),
        ("torchdiffeq:rk4", (0, 1 / 3, 2 / 3, 1)),
    ],
)
def test_each_interval_is_one_step_whatever_the_interval_before(spec, stages):
    asked, nodes = [], np.array([0.0, 1e-3, 0.5, 0.6, 1.0])
    levels = [Level.of_time(t) for t in nodes.tolist()]
    resolve(spec).run(lambda y, level: asked.append(level.time) or 50 * y, np.ones((2, 1)), levels, Setting())
    expected = np.unique(np.round(nodes[:-1, None] + np.diff(nodes)[:, None] * np.array(stages), 12))
    np.testing.assert_array_equal(np.unique(np.round(asked, 12)), expected)


def test_as_shipped_torchdiffeq_computes_in_float32():
    for name in ("rk4", "dopri5"):
        subject = resolve(f"torchdiffeq:{name}")
        found = final(subject, PATH, grid(subject), Setting(precision="shipped"))
        np.testing.assert_array_equal(found, found.astype(np.float32))
        np.testing.assert_allclose(found, end(f"torchdiffeq:{name}"), rtol=1e-5)


@pytest.mark.parametrize("spec", ["scipy:Radau", "scipy:BDF", "scipy:LSODA", "torchdiffeq:scipy_solver"])
def test_what_has_no_order_at_given_steps_is_refused_with_the_reason(spec):
    with pytest.raises(NotASamplerError, match=r"no order at given steps: it|certify scipy:RK45 instead"):
        resolve(spec)


def test_every_name_is_a_subject_or_refused():
    for package in ("scipy", "torchdiffeq"):
        for name in names(package):
            try:
                subject = resolve(f"{package}:{name}")
            except NotASamplerError:
                continue
            assert (subject.name, subject.scale, subject.prediction) == (f"{package}:{name}", "time", "velocity")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("scipy:RK46", "unknown solver of SciPy 'RK46'; did you mean 'RK45'"),
        ("torchdiffeq:rk5", "unknown method of torchdiffeq 'rk5'; did you mean 'rk4'"),
        ("torchdiffeq:rk4(max_ordr=3)", "does not take these options.*max_ordr"),
        ("torchdiffeq:rk4(step_size=0.1)", "step_size cannot be set: the steps of torchdiffeq:rk4 are given to it"),
        ("torchdiffeq:explicit_adams(max_order=13)", "does not take these options: max_order must be at most 12"),
    ],
)
def test_wrong_names_and_options(spec, message):
    with pytest.raises(ValueError, match=message):
        resolve(spec)


def test_scipy_takes_no_options():
    with pytest.raises(TypeError, match="takes no options here, got rtol"):
        resolve("scipy:RK45", rtol=1e-3)
