"""Every deterministic method that has a name has the order it claims: certified, and observed on every kind of grid.

A grid is laid out in the variable in which the method interpolates: equal steps, steps that alternate 1 : 2, and random
steps of ratios between 1/2 and 2. A finer grid repeats the pattern more often, so that it never becomes smooth. Data
are a mixture of Gaussians, starts are the exact flow (unless they are what is tested), sigma/alpha goes from 2 to 1.

`ELSEWHERE` lists the methods whose claim is for equal steps, and `STEPS` those of which an error term of higher order
fades late. All others must have their claim on all three kinds of grid, and not more than that.
"""

import functools
import math

import numpy as np
import pytest

import numdiff as nd
from numdiff.methods.bdia import BDIA
from numdiff.methods.deis import TimeAdams
from numdiff.methods.exponential_runge_kutta import ExponentialRungeKutta
from numdiff.methods.pndm import IPNDMV, PseudoNumerical
from numdiff.methods.splitting import MultistepSplitting, Strang
from numdiff.properties.order.partitioned import additive_residuals, principal_defect
from tests import zoo

METHODS = {name: method for name, method in zoo.everything().items() if not method.stochastic}
TOLERANCE = 0.3  # of an observed order; the next order is at 1
VP = nd.schedules.VPLinear()
MIXTURE = nd.problems.GaussianMixture(
    [0.5, 0.3, 0.2],
    [[-1.0, -0.5], [1.0, 1.0], [1.2, -1.0]],
    [[[0.5, 0.3], [0.3, 0.4]], [[0.3, -0.1], [-0.1, 0.3]], [[0.2, 0.0], [0.0, 0.9]]],
)
MODEL = MIXTURE.model(VP)
START, END = (float(VP.time(-math.log(rho))) for rho in (2.0, 1.0))
X = MIXTURE.sample_level(8, VP.level(START), 1)
CONDITION = MIXTURE.condition(VP, 1, 2.5, "noise")


def random_pattern(rng, count):
    """Return steps that change by factors between 1/2 and 2, around the end too."""
    change = rng.uniform(-1.0, 1.0, count)
    return tuple(2 ** np.cumsum(change - change.mean()))


PATTERNS = {"equal": (1.0,), "alternating": (1.0, 2.0), "random": random_pattern(np.random.default_rng(4), 6)}

ELSEWHERE = {
    # On a pattern of steps, weights for equal steps miss u by a multiple of h in every step, which does not cancel.
    "AB4 noise/ratio uniform": (4, 1, 1),
    "PNDM2": (2, 1, 1),
    "PNDM4": (4, 1, 1),
    "F-PNDM4": (4, 1, 1),
    "FA2(4/5, momentum=1/5, error=4/5) noise/ratio uniform": (2, 1, 1),
    # Also, v_0 = f_0 is not the velocity of equal steps: it leaves an error h^2 f' on any grid. Order 3 is certified
    # for the steady step.
    "GHVB3(4/5) noise/ratio uniform": (2, 1, 1),
    # Of order 1. On f = u and steps h_1, h_2 the velocity is ahead by e_1 = 5 h_2/4 - e_2/2, e_2 = 5 h_1/4 - e_1/2, and
    # the pair of steps off by h_1 (h_1/2 - e_1) + h_2 (h_2/2 - e_2): 0 for h_2 = 2 h_1, where e_1 = 5 h_1/2, e_2 = 0.
    "HB(AB2 noise/ratio uniform, 3/2)": (1, 2, 1),
    # Four points as published: weights that do not add up to 1 but on geometric grids.
    "iPNDM_v4 published": (3, 0, 0),
    # The leapfrog owes its order to equal steps.
    "BDIA(1)": (2, 1, 1),
    # Alternating steps resonate with the root -gamma: h^2/(1 - gamma) beside C h, C = (1 - gamma)/(2 + 2 gamma). At
    # gamma = 24/25 the second one leads from thousands of steps on; at 4/5, which is here too, from hundreds.
    "BDIA(24/25)": (1, math.nan, 1),
    # On these numbers of intervals the list of orders ends with 1, an error O(h^2) in one step; without it order 3.
    "SingleStep3 data/log-snr": (2, 2, 2),
    "SingleStep3 noise/log-snr dpmsolver": (2, 2, 2),
}

STEPS = {
    "AB4 noise/ratio uniform": 48,
    "PNDM4": 48,
    "F-PNDM4": 48,
    "iPNDM_v4 published": 48,
    # The filter has the memory 1/beta steps, and the error in the first velocity is small.
    "GHVB3(4/5) noise/ratio uniform": 192,
    "GHVB5(4/5)": 96,
    "FA2(4/5, momentum=1/5, error=4/5) noise/ratio uniform": 192,
    # The error of the last step, of the predictor alone, is one power smaller and no smaller in size.
    "PECE3-3": 96,
    "PECE4-4": 288,
    # As above: the leapfrog's own error beside C h.
    "BDIA(24/25)": 768,
    "BDIA(4/5)": 384,
    "BDIA(1)": 192,
}


def variable(method):
    """Return (time -> s, s -> time) of the variable in which a method interpolates."""
    name = "time" if isinstance(method, TimeAdams) else method._formulation(VP).variable
    return {
        "rho": (VP.rho, lambda s: VP.time(-math.log(s))),
        "inverse-rho": (lambda t: 1 / VP.rho(t), lambda s: VP.time(math.log(s))),
        "log-snr": (VP.log_snr, VP.time),
        "time": (float, float),
        "angle": (lambda t: math.atan(VP.rho(t)), lambda s: VP.time(-math.log(math.tan(s)))),
    }[name]


def spaced(pattern, steps, first, last):
    s = np.cumsum([0.0, *np.tile(pattern, max(1, steps // len(pattern)))])
    return first + (last - first) * s / s[-1]


def grid(method, pattern, steps):
    to, back = variable(method)
    inner = [float(back(s)) for s in spaced(pattern, steps, float(to(START)), float(to(END)))[1:-1]]
    return [START, *inner, END]


def steps_of(method):
    """Return a number of steps at which the leading term leads and rounding does not show."""
    return STEPS.get(method.name, {3: 24, 4: 24, 5: 48}.get(method.order, 32))


@functools.cache
def flow(time):
    return MIXTURE.flow(VP, X, START, time).x


@functools.cache
def guided_flow():
    """Return where both fields together lead, by a method of order 4 in 400 steps."""
    scheme = nd.RK4("velocity/time").discretize(VP, np.linspace(START, END, 401))
    return nd.sample(scheme, lambda x, t: MODEL(x, t) + CONDITION(x, t), X)


def error(method, times, **options):
    scheme = method.discretize(VP, times, **options)
    exact = (lambda level: flow(level.time)) if options.get("start") == "exact" else None
    if isinstance(method, MultistepSplitting | Strang):
        found, truth = nd.sample(scheme, MODEL, X, fields={"condition": CONDITION}), guided_flow()
    else:
        found, truth = nd.sample(scheme, MODEL, X, exact=exact), flow(float(times[-1]))
    return np.sqrt(np.mean((found - truth) ** 2))


def slope(method, pattern=(1.0,), steps=None, start="exact"):
    """Return the observed order; two fields have no exact start here, nor need one for order 2."""
    start = "lower" if isinstance(method, MultistepSplitting | Strang) else start
    steps = steps or steps_of(method)
    coarse, fine = (error(method, grid(method, pattern, n), start=start) for n in (steps, 2 * steps))
    return np.log2(coarse / fine)


def expected(method):
    """Return the orders on the patterns."""
    return ELSEWHERE.get(method.name, (method.order,) * len(PATTERNS))


# --- claims -----------------------------------------------------------------------------------------------------------


def no_steady_step(method):
    """Steps of tAB depend on the schedule; those of combined v are rotations: no tableau says more than the runs."""
    return isinstance(method, TimeAdams) or getattr(method, "combine", None) == "v"


@pytest.mark.parametrize("method", [m for m in METHODS.values() if not no_steady_step(m)], ids=str)
def test_the_claim_is_certified(method):
    if isinstance(method, MultistepSplitting):
        assert principal_defect(method, 2)[0] == method.order
    elif isinstance(method, Strang):
        assert not any(additive_residuals(method).values())
        assert method.order == 2
    else:
        assert nd.order.certified(method) == method.order


def has_a_proof(method):
    """Whether `nd.order.any_grid` knows the method's memory; those of `nd.methods()` are proved elsewhere."""
    own = isinstance(method, nd.PredictorCorrector) and method.predictor is None and method.momentum != "published"
    adams = isinstance(method, nd.AdamsBashforth | nd.GHVB | nd.FilteredAdams | IPNDMV) and "bh1" not in method.name
    pseudo = isinstance(method, PseudoNumerical) and method.combine == "noise"
    return method.name not in nd.methods() and (own or adams or pseudo)


@pytest.mark.parametrize("method", [m for m in METHODS.values() if has_a_proof(m)], ids=str)
def test_the_order_on_any_grid_is_proved(method):
    found = nd.order.any_grid(method)
    assert (found.equal_order, found.order) == (method.order, min(expected(method)))


@pytest.mark.parametrize("name", zoo.members_first(METHODS))
def test_the_order_is_seen_on_every_kind_of_grid(name):
    method = METHODS[name]
    for pattern, order in zip(PATTERNS.values(), expected(method), strict=True):
        if not math.isnan(order):
            assert slope(method, pattern) == pytest.approx(order, abs=TOLERANCE)


ODES = nd.problems.odes()
SLOW = ("BDIA(24/25)", "PECE4-4")  # to show their leading terms, as above; others of their families are here
VELOCITIES = [m for name, m in METHODS.items() if m.formulation in (None, nd.VELOCITY_TIME) and name not in SLOW]
VELOCITIES = [m for m in VELOCITIES if not isinstance(m, Strang | MultistepSplitting)]  # these have two fields


@pytest.mark.parametrize("method", VELOCITIES, ids=str)
def test_the_order_is_seen_on_a_plain_equation(method):
    """On rough grids; equal steps are what is certified."""
    problem, steps = ODES["reciprocal"], 192 if isinstance(method, BDIA) else 48

    def error(pattern, count):
        times = spaced(pattern, count, *problem.t_span)
        path = nd.solve_ivp(method, problem.fun, times, problem.y0, start="exact", exact=problem.exact, trajectory=True)
        return np.abs(np.array(path).T - problem.exact(times)).max()

    for pattern, order in list(zip(PATTERNS.values(), expected(method), strict=True))[1:]:
        found = np.log2(error(pattern, steps) / error(pattern, 2 * steps))
        assert order - TOLERANCE < found < order + 0.6  # more than the claim where errors of two powers cancel


# --- starts -----------------------------------------------------------------------------------------------------------


def one_step(method):
    """Whether there is nothing to start; momentum starts too, but has order 1 whatever its start."""
    return isinstance(method, nd.RungeKutta | ExponentialRungeKutta | Strang) or method.order == 1


def from_below(method):
    """Return the order after the default start: a fixed number of steps with local error h^{q+1} leaves h^{q+1}."""
    if one_step(method):
        return expected(method)[0]
    corrects = isinstance(method, nd.PredictorCorrector) and method.corrected_points > 1
    pseudo = isinstance(method, PseudoNumerical) and method.warm_steps > 0
    first = 2 if corrects or pseudo else 1  # the trapezoidal rule, Heun's (RK4 at a middle time is no better), Euler's
    return min(expected(method)[0], first + 1)


STARTED = [method for method in METHODS.values() if not one_step(method)]


@pytest.mark.slow
@pytest.mark.parametrize("method", STARTED, ids=str)
def test_the_default_start_costs_what_its_first_step_does(method):
    assert slope(method, steps=72, start="lower") == pytest.approx(from_below(method), abs=TOLERANCE)


@pytest.mark.parametrize("method", STARTED, ids=str)
def test_a_runge_kutta_start_costs_nothing(method):
    assert slope(method, start="runge-kutta") == pytest.approx(expected(method)[0], abs=TOLERANCE)


# --- the clean end ----------------------------------------------------------------------------------------------------
#
# sigma/alpha = rho = 2 (1 - n/N)^q: the last step is from 2 N^-q. Near rho = 0 the data prediction is D_0 + O(rho^2)
# and the noise prediction O(rho), so that
# - a last step of order 1 (the denoised estimate, or the last step of a one-step method) costs O(rho^2) = O(N^{-2q});
# - in log-SNR and 1/rho the n-th step from the end is q/n of the variable's scale however large N is: a step of order k
#   costs rho^2 n^{-k-1}, all together N^{-min(2q, k)}, with a factor log N where 2q = k (no such methods here);
# - in rho and, on this schedule, in time everything is smooth up to the end: order k with final="limit".


def to_clean(steps, power):
    """Return times with sigma/alpha = 2 (1 - n/N)^power, and 0 at the end."""
    rho = 2.0 * (1 - np.arange(1, steps) / steps) ** power
    return [START, *(float(VP.time(-math.log(r))) for r in rho), 0.0]


def slope_at_clean(method, power, final, steps=96):
    coarse, fine = (error(method, to_clean(n, power), start="exact", final=final) for n in (steps, 2 * steps))
    return np.log2(coarse / fine)


RATIO = [METHODS[name] for name in ("AB1", "AB2", "AB4", "AB3 velocity/time", "GHVB3(4/5)", "PEC3", "PNDM4", "BDIA(1)")]
LOG_SNR = [METHODS[f"AB3 {name}"] for name in ("noise/log-snr", "data/log-snr", "data/ratio")]
LOG_SNR += [METHODS[name] for name in ("tAB3", "PEC2 noise/log-snr bh1")]
ONE_STEP = [METHODS[name] for name in ("RK4", "RK4 velocity/time", "Kutta38", "Krogstad4 data/log-snr")]
ids = {"ids": str}


@pytest.mark.parametrize("method", RATIO + LOG_SNR + ONE_STEP, **ids)
def test_the_denoised_estimate_costs_the_square_of_the_last_sigma(method):
    assert slope_at_clean(method, 1, "denoise") == pytest.approx(min(method.order, 2), abs=TOLERANCE)


@pytest.mark.parametrize("method", RATIO, **ids)
def test_the_limit_keeps_the_order_where_predictions_are_smooth(method):
    """With equal steps in rho; on a smooth function of them, weights for equal steps have order 2."""
    assert slope_at_clean(method, 1, "limit") == pytest.approx(method.order, abs=TOLERANCE)
    smooth = 2 if method.name == "PNDM4" else method.order
    assert slope_at_clean(method, 2, "limit") == pytest.approx(smooth, abs=TOLERANCE)


@pytest.mark.parametrize("method", [METHODS["AB3 noise/log-snr"], *ONE_STEP], **ids)
def test_the_limit_costs_the_square_of_the_last_sigma_elsewhere(method):
    assert slope_at_clean(method, 1, "limit") == pytest.approx(2, abs=TOLERANCE)


@pytest.mark.parametrize("method", [*LOG_SNR, *ONE_STEP], **ids)
def test_a_last_sigma_that_falls_as_fast_as_the_error_keeps_the_order(method):
    assert slope_at_clean(method, 2, "denoise") == pytest.approx(method.order, abs=TOLERANCE)


@pytest.mark.parametrize("method", [METHODS["AB2"], METHODS["AB2 data/log-snr"], METHODS["RK4"]], **ids)
def test_a_fixed_last_sigma_leaves_an_error_that_no_number_of_steps_removes(method):
    errors = [error(method, [*grid(method, (1.0,), n), 0.0], start="exact", final="denoise") for n in (48, 96)]
    assert errors[0] == pytest.approx(errors[1], rel=0.05)
