"""The formulas in docstrings, written out once more as code: a first step of the method is what its formula says."""

from math import exp, log, sqrt

import numpy as np
import pytest

import numdiff as nd

SCHEDULE = nd.schedules.VPLinear()
GRID = [0.8, 0.55, 0.3]
S, T, R = nd.grids.levels(SCHEDULE, GRID)
X = np.array([0.3, -1.2])
Z = [np.array([0.5, -0.4]), np.array([-1.1, 0.2]), np.array([0.3, 0.9])]
H = float(T.log_snr - S.log_snr)


def e(x, level):
    return 0.7 * np.tanh(x) + 0.3 * np.sin(2 * level.rho)


def data(x, level):
    return (x - level.sigma * e(x, level)) / level.alpha


def at(rho):
    """Return the level of the schedule with this sigma/alpha."""
    return SCHEDULE.level(SCHEDULE.time(-log(rho)))


def inner(r):
    return at(S.rho ** (1 - r) * T.rho**r)


def ddim(x, a, b):
    return b.alpha / a.alpha * x + (b.sigma - a.sigma * b.alpha / a.alpha) * e(x, a)


def ddim_with_eta():
    n = 0.6 * T.sigma * sqrt(1 - exp(-2 * H))
    return T.alpha * data(X, S) + sqrt(T.sigma**2 - n**2) * e(X, S) + n * Z[0]


def ddpm(large):
    n = (S.sigma if large else T.sigma) * sqrt(1 - exp(-2 * H))
    return T.sigma / S.sigma * exp(-H) * X + T.alpha * (1 - exp(-2 * H)) * data(X, S) + n * Z[0]


def ups_and_downs(eta):
    up = eta * T.rho * sqrt((S.rho**2 - T.rho**2) / S.rho**2)
    return up, sqrt(T.rho**2 - up**2)


def euler_ancestral():
    up, down = ups_and_downs(0.7)
    return T.alpha * (X / S.alpha + (down - S.rho) * e(X, S) + up * Z[0])


def dpm2_ancestral():
    up, down = ups_and_downs(0.7)
    mid = at(sqrt(S.rho * down))
    y = X / S.alpha + (mid.rho - S.rho) * e(X, S)
    return T.alpha * (X / S.alpha + (down - S.rho) * e(mid.alpha * y, mid) + up * Z[0])


def dpmpp_2s_ancestral():
    up, down = ups_and_downs(0.7)
    q, mid = down / S.rho, at(sqrt(S.rho * down))
    y = sqrt(q) * X / S.alpha + (1 - sqrt(q)) * data(X, S)
    return T.alpha * (q * X / S.alpha + (1 - q) * data(mid.alpha * y, mid) + up * Z[0])


def dpm2():
    m = inner(0.5)
    x = m.alpha / S.alpha * X - m.sigma * (exp(H / 2) - 1) * e(X, S)
    return T.alpha / S.alpha * X - T.sigma * (exp(H) - 1) * e(x, m)


def res2():
    m, first = inner(0.5), data(X, S)
    x = m.sigma / S.sigma * X + m.alpha * (1 - exp(-H / 2)) * first
    phi_1, phi_2 = (1 - exp(-H)) / H, (exp(-H) - 1 + H) / H**2
    return T.sigma / S.sigma * X + T.alpha * H * (phi_1 * first + phi_2 * (data(x, m) - first) * 2)


def seeds2():
    m = inner(0.5)
    n = m.sigma * sqrt(exp(H) - 1)
    x = m.alpha / S.alpha * X - 2 * m.sigma * (exp(H / 2) - 1) * e(X, S) + n * Z[0]
    rest = T.alpha * sqrt(m.rho**2 - T.rho**2) * Z[1]
    return T.alpha / S.alpha * X - 2 * T.sigma * (exp(H) - 1) * e(x, m) + T.alpha / m.alpha * n * Z[0] + rest


def heun(a, b, x):
    d = b.rho - a.rho
    y = x / a.alpha + d * e(x, a)
    return b.alpha * (x / a.alpha + d / 2 * (e(x, a) + e(b.alpha * y, b)))


def euler_with_churn():
    rho = (1 + 0.2) * S.rho
    up = at(rho)
    y = X / S.alpha + sqrt(rho**2 - S.rho**2) * Z[0]
    return T.alpha * (y + (T.rho - rho) * e(up.alpha * y, up))


def edm_stochastic():
    rho = (1 + 0.2) * S.rho
    up = at(rho)
    return heun(up, T, up.alpha * (X / S.alpha + 1.1 * sqrt(rho**2 - S.rho**2) * Z[0]))


def pndm():
    return T.alpha / S.alpha * X + (T.sigma - S.sigma * T.alpha / S.alpha) * (e(X, S) + e(ddim(X, S, T), T)) / 2


def dpmpp_sde():
    """On one path, of the reverse diffusion's clock e^{2 lambda}: z_2 = sqrt(theta) z_1 + sqrt(1 - theta) z_3."""
    m, first = inner(0.5), data(X, S)
    x = m.sigma / S.sigma * exp(-H / 2) * X + m.alpha * (1 - exp(-H)) * first + m.sigma * sqrt(1 - exp(-H)) * Z[0]
    theta = (m.rho**-2 - S.rho**-2) / (T.rho**-2 - S.rho**-2)
    W, n = T.alpha * (1 - exp(-2 * H)), T.sigma * sqrt(1 - exp(-2 * H))
    z = sqrt(theta) * Z[0] + sqrt(1 - theta) * Z[1]
    return T.sigma / S.sigma * exp(-H) * X + W * data(x, m) + n * z


def unipc1():
    first, mu = data(X, S), (1 - exp(-H), H - 1 + exp(-H))
    x = T.sigma / S.sigma * X + T.alpha * mu[0] * first
    return T.sigma / S.sigma * X + T.alpha * (mu[1] / H * data(x, T) + (mu[0] - mu[1] / H) * first)


def sa_solver1():
    first, mu = data(X, S), (1 - exp(-2 * H)) / 2
    slope = (H - mu) / 2 / H
    start = T.sigma / S.sigma * exp(-H) * X + T.sigma * sqrt(1 - exp(-2 * H)) * Z[0]
    x = start + 2 * T.alpha * mu * first
    return start + 2 * T.alpha * (slope * data(x, T) + (mu - slope) * first)


def fpndm():
    m = SCHEDULE.level((S.time + T.time) / 2)

    def moved(prediction, there):
        return there.alpha / S.alpha * X + (there.sigma - S.sigma * there.alpha / S.alpha) * prediction

    one = e(X, S)
    two = e(moved(one, m), m)
    three = e(moved(two, m), m)
    four = e(moved(three, T), T)
    return moved((one + 2 * two + 2 * three + four) / 6, T)


def sit():
    """With v = d alpha/dt D + d sigma/dt e and the score -e/sigma; norm 1 and "sigma": D(t) = sigma."""
    h = T.time - S.time
    v = SCHEDULE.d_alpha(S.time) * data(X, S) + SCHEDULE.d_sigma(S.time) * e(X, S)
    return X + h * (v + S.sigma * e(X, S) / S.sigma) + sqrt(2 * S.sigma * -h) * Z[0]


def g(x, level):
    return 0.4 * np.cos(x) * level.rho


def flow(field, y, a, b):
    """Return the midpoint step of dy/drho = field, between two values of sigma/alpha."""
    m = at((a + b) / 2)
    return y + (b - a) * field(m.alpha * (y + (b - a) / 2 * field(at(a).alpha * y, at(a))), m)


def strang():
    middle = (S.rho + T.rho) / 2
    y = flow(g, X / S.alpha, S.rho, middle)
    return T.alpha * flow(g, flow(e, y, S.rho, T.rho), middle, T.rho)


def ltsp():
    y, d = X / S.alpha, T.rho - S.rho
    y = y + d * e(X, S)
    return T.alpha * (y + d * g(S.alpha * y, S))


def stsp():
    y, d = X / S.alpha, T.rho - S.rho
    y = y + d / 2 * g(X, S)
    y = y + d * e(S.alpha * y, S)
    return T.alpha * (y + d / 2 * g(T.alpha * y, T))


FORMULAS = {
    "DDIM": (nd.DDIM(), lambda: ddim(X, S, T)),
    "DDIM with noise": (nd.DDIM(eta=0.6), ddim_with_eta),
    "DDPM": (nd.DDPM(), lambda: ddpm(False)),
    "DDPM of large variance": (nd.DDPM("fixed-large"), lambda: ddpm(True)),
    "PNDM": (nd.PNDM(2), pndm),
    "F-PNDM": (nd.FPNDM(2), fpndm),
    "UniPC": (nd.UniPC(1), unipc1),
    "SA-Solver": (nd.SASolver(1, 2), sa_solver1),
    "SiT": (nd.SiT(diffusion="sigma"), sit),
    "LTSP": (nd.LTSP(2), ltsp),
    "STSP": (nd.STSP(2), stsp),
    "Strang": (nd.Strang(), strang),
    "Heun": (nd.Heun(), lambda: heun(S, T, X)),
    "DPM2": (nd.method("dpm_2"), dpm2),
    "RES": (nd.RES(2), res2),
    "SEEDS": (nd.SEEDS(2), seeds2),
    "Euler ancestral": (nd.EulerAncestral(0.7), euler_ancestral),
    "DPM2 ancestral": (nd.DPM2Ancestral(0.7), dpm2_ancestral),
    "DPM-Solver++ 2S ancestral": (nd.DPMSolverPP2SAncestral(0.7), dpmpp_2s_ancestral),
    "DPM-Solver++ SDE": (nd.DPMSolverPPSDE(), dpmpp_sde),
    "Euler with churn": (nd.EulerChurn(0.4), euler_with_churn),
    "EDM stochastic": (nd.EDMStochastic(0.4, 0.0, 50.0, 1.1), edm_stochastic),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_the_first_step_is_the_formula(name):
    method, formula = FORMULAS[name]

    def model(x, t):
        return e(x, SCHEDULE.level(SCHEDULE.from_model_time(t)))

    def condition(x, t):
        return g(x, SCHEDULE.level(SCHEDULE.from_model_time(t)))

    two = {"fields": {"condition": condition}} if name in ("LTSP", "STSP", "Strang") else {}
    scheme = method.discretize(SCHEDULE, GRID)
    _, found, _ = nd.sample(scheme, model, X, noise=lambda index, column: Z[column], trajectory=True, **two)
    np.testing.assert_allclose(found, formula(), rtol=1e-11)


# --- second steps, from the sample x after the first ------------------------------------------------------------------

NEXT = float(R.log_snr - T.log_snr)


def plms2(x):
    mixed = (3 * e(x, T) - e(X, S)) / 2
    return R.alpha / T.alpha * x + (R.sigma - T.sigma * R.alpha / T.alpha) * mixed


def lms2(x):
    d, back = R.rho - T.rho, S.rho - T.rho
    older = d**2 / 2 / back
    return R.alpha * (x / T.alpha + (d - older) * e(x, T) + older * e(X, S))


def dpmpp2(x, half=False):
    total = 1 - exp(-NEXT)
    older = -(NEXT / 2 * total if half else NEXT - total) / H
    return R.sigma / T.sigma * x + R.alpha * ((total - older) * data(x, T) + older * data(X, S))


def sde_dpmpp2(x):
    total = (1 - exp(-2 * NEXT)) / 2
    older = -(NEXT - total) / 2 / H
    mixed = (total - older) * data(x, T) + older * data(X, S)
    noise = R.sigma * sqrt(1 - exp(-2 * NEXT)) * Z[0]
    return R.sigma / T.sigma * exp(-NEXT) * x + 2 * R.alpha * mixed + noise


def sde_dpm2(x):
    total = exp(NEXT) - 1
    older = -(total - NEXT) / H
    mixed = (total - older) * e(x, T) + older * e(X, S)
    return R.alpha / T.alpha * x - 2 * R.sigma * mixed + R.sigma * sqrt(exp(2 * NEXT) - 1) * Z[0]


def bdia(x):
    return 0.9 * (X - ddim(x, T, S)) + ddim(x, T, R)


def ghvb2(x):
    """With v_2 = 0.2 v_1 + 0.8 f_1, v_1 = f_0: M_0 of u is 0.2 (S - T), that of v_1 is S - T."""
    d, back = R.rho - T.rho, S.rho - T.rho
    older = (d**2 / 2 - 0.2 * back * d) / (0.8 * back)
    velocity = 0.2 * e(X, S) + 0.8 * e(x, T)
    return R.alpha * (x / T.alpha + (d - older) * velocity + older * e(X, S))


def heavy_ball(x):
    return R.alpha * (x / T.alpha + (R.rho - T.rho) * (0.2 * e(X, S) + 0.8 * e(x, T)))


def nesterov(x):
    velocity = 0.2 * e(X, S) + 0.8 * e(x, T)
    return R.alpha * (x / T.alpha + (R.rho - T.rho) * (0.2 * velocity + 0.8 * e(x, T)))


SECOND = {
    "PLMS": (nd.PLMS(2), plms2),
    "LMS": (nd.LMS(2), lms2),
    "DEIS": (nd.DEIS(2), lms2),
    "iPNDM_v": (nd.IPNDMV(2), lms2),
    "DPM-Solver++": (nd.DPMSolverPP(2), dpmpp2),
    "DPM-Solver++ 2M": (nd.DPMSolverPP(2, rule="half"), lambda x: dpmpp2(x, half=True)),
    "SDE-DPM-Solver++": (nd.SDEDPMSolverPP(2), sde_dpmpp2),
    "SDE-DPM-Solver": (nd.SDEDPMSolver(2), sde_dpm2),
    "BDIA": (nd.BDIA(0.9), bdia),
    "GHVB": (nd.GHVB(2, 0.8), ghvb2),
    "heavy ball": (nd.HeavyBall(nd.DDIM(), 0.8), heavy_ball),
    "Nesterov": (nd.Nesterov(nd.DDIM(), 0.8), nesterov),
}


@pytest.mark.parametrize("name", SECOND)
def test_the_second_step_is_the_formula(name):
    method, formula = SECOND[name]

    def model(x, t):
        return e(x, SCHEDULE.level(SCHEDULE.from_model_time(t)))

    scheme = method.discretize(SCHEDULE, GRID)
    _, x, found = nd.sample(scheme, model, X, noise=lambda index, column: Z[column], trajectory=True)
    np.testing.assert_allclose(found, formula(x), rtol=1e-10)
