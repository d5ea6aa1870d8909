"""One step is the linear algebra of its tableau, and the machine runs programs of them."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import numdiff as nd
from numdiff import Level, Machine, Tableau
from numdiff.drivers import program
from numdiff.executor import Native, native, step
from numdiff.parameterizations import convert
from numdiff.tableau import one_stage

METHODS = nd.methods()
SCHEDULE = nd.schedules.VPLinear()
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
seeds = st.integers(0, 2**32 - 1)


def matrix(rows):
    return sp.Matrix(rows).applyfunc(sp.sympify)


def transfer(tableau, z):
    """V + z B (I - z A)^-1 U."""
    A, U, B, V = (matrix(getattr(tableau, name)) for name in "AUBV")
    return V + z * B * (sp.eye(A.rows) - z * A).inv() * U


def rationals(rng, *shape):
    """Nested lists of fractions in [-3, 3], a third of them zero."""
    if shape:
        return [rationals(rng, *shape[1:]) for _ in range(shape[0])]
    return Fraction(int(rng.integers(-9, 10)) * int(rng.random() < 2 / 3), 3)


def random_tableau(rng, s, r, q=0):
    A, U = rationals(rng, s, s), rationals(rng, s, r)
    A = [[x if j < i else 0 for j, x in enumerate(row)] for i, row in enumerate(A)]
    U = [[Fraction(1, 2), *row[1:]] for row in U]  # a stage must read something
    more = {"Na": rationals(rng, s, q), "Nb": rationals(rng, r, q), "a": rationals(rng, s), "b": rationals(rng, r)}
    return Tableau(A=A, U=U, B=rationals(rng, r, s), V=rationals(rng, r, r), **(more if q else {}))


# --- a step against its matrix ----------------------------------------------------------------------------------------


@every_method
def test_the_steady_step_is_its_transfer_matrix_exactly(method):
    # Exponential weights hold phi at h = 1/2, which stays opaque: equal as polynomials in it.
    tableau = method.steady(sp.Rational(1, 2)) if method.kernel else method.steady()
    z = sp.Rational(-3, 7)
    y = [sp.Rational(n + 2, 2 * n + 3) for n in range(tableau.registers)]
    stepped = step(tableau, y, lambda Y, level: z * Y)
    assert all(sp.expand(d) == 0 for d in matrix([stepped]).T - transfer(tableau, z) * matrix([y]).T)


@settings(max_examples=25)
@given(seeds, st.integers(1, 4), st.integers(1, 4))
def test_any_step_is_its_transfer_matrix_exactly(seed, s, r):
    rng = np.random.default_rng(seed)
    tableau, z, y = random_tableau(rng, s, r), rationals(rng), rationals(rng, r)
    stepped = step(tableau, y, lambda Y, level: z * Y)
    expected = transfer(tableau, sp.sympify(z)) * matrix([y]).T
    assert [sp.sympify(x or 0) for x in stepped] == list(expected)  # a row of zeros stays unset


@every_method
def test_a_run_is_the_product_of_the_transfer_matrices(method):
    grid = np.array([0.9, 0.8, 0.62, 0.55, 0.4, 0.25, 0.2, 0.1])
    scheme = method.discretize(SCHEDULE, grid)
    z, x = -0.7, np.array([1.3, -0.4])
    state = np.zeros((scheme.registers, 2))
    state[0] = x
    for tableau in scheme:
        A, U, B, V = (np.array(getattr(tableau, name), dtype=float).reshape(shape) for name, shape in shapes(tableau))
        state = V @ state + z * B @ np.linalg.solve(np.eye(len(A)) - z * A, U @ state)
    run = nd.sample(scheme, lambda Y, t: z * Y, x, prediction=scheme.prediction)
    # Sums of at most 10 terms of size below 10 |x|, eight times over.
    np.testing.assert_allclose(run, state[0], rtol=0, atol=1e-13 * max(1, np.abs(state).max()))


def shapes(tableau):
    s, r = tableau.stages, tableau.registers
    return (("A", (s, s)), ("U", (s, r)), ("B", (r, s)), ("V", (r, r)))


@settings(max_examples=25)
@given(seeds, st.integers(1, 3), st.integers(1, 3))
def test_noise_columns_and_biases_enter_stages_and_outputs(seed, s, r):
    rng = np.random.default_rng(seed)
    tableau, z, y, noise = random_tableau(rng, s, r, q=2), rationals(rng), rationals(rng, r), rationals(rng, 2)
    Y, F = [], []
    for i in range(s):
        Y.append(
            sum(u * v for u, v in zip(tableau.U[i], y, strict=True))
            + sum(a * f for a, f in zip(tableau.A[i], F, strict=False))
            + tableau.a[i]
            + sum(a * n for a, n in zip(tableau.Na[i], noise, strict=True))
        )
        F.append(z * Y[-1])
    expected = [
        sum(v * x for v, x in zip(tableau.V[i], y, strict=True))
        + sum(b * f for b, f in zip(tableau.B[i], F, strict=True))
        + tableau.b[i]
        + sum(b * n for b, n in zip(tableau.Nb[i], noise, strict=True))
        for i in range(r)
    ]
    stepped = step(tableau, y, lambda Y, level: z * Y, noise)
    assert [x or 0 for x in stepped] == expected
    arrays = [np.array([float(v)]) for v in y], [np.array([float(v)]) for v in noise]
    for make in (lambda v: v, torch.from_numpy):
        state, noises = ([make(v) for v in part] for part in arrays)
        floats = step(tableau.to_float(), state, lambda Y, level: float(z) * Y, noises)
        found = [0.0 if v is None else float(v[0]) for v in floats]
        # At most 4 levels of sums of 9 terms below 3^2 each: 1e4 units of rounding at the very most.
        np.testing.assert_allclose(found, [float(v) for v in expected], rtol=0, atol=1e-12 * 4.0 ** (2 * s))


def test_a_stage_that_reads_nothing_is_refused_and_one_that_reads_its_bias_is_not():
    nothing = Tableau(A=[[0]], U=[[0]], B=[[1]], V=[[1]])
    with pytest.raises(ValueError, match="stage 0 of the tableau reads nothing"):
        step(nothing, [1.0], lambda Y, level: Y)
    (new,) = step(nothing.replace(a=(3,)), [np.array([1.0])], lambda Y, level: 2 * Y)
    assert new == [1.0 + 2 * 3]
    unset, alone = step(nothing.replace(a=(3,), B=[[0]], V=[[0]]), [1.0], lambda Y, level: Y), None
    assert unset == [alone]
    (alone,) = step(nothing.replace(a=(3,), b=(5,), B=[[0]], V=[[0]]), [np.array([1.0])], lambda Y, level: Y)
    assert alone.tolist() == [5.0]


def test_a_state_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="the tableau has 1 registers, but the state has 2"):
        step(nd.RK4().steady(), [1, 2], lambda Y, level: Y)


@pytest.mark.parametrize("make", [np.array, torch.tensor], ids=["numpy", "torch"])
def test_coefficients_may_be_arrays(make):
    gain, bias = make([0.5, 2.0]), make([10.0, 0.0])
    tableau = Tableau(A=[[0]], U=[[gain]], B=[[gain]], V=[[1]], a=[bias], b=[0]).to_float()
    x = make([3.0, 4.0])
    (new,) = step(tableau, [x], lambda Y, level: Y * Y)
    Y = gain * x + bias
    assert new.tolist() == (x + gain * Y * Y).tolist()
    (scaled,) = step(Tableau(A=(), U=(), B=((),), V=((gain,),)).to_float(), [x], None)
    assert scaled.tolist() == (gain * x).tolist()


# --- programs with several evaluations a step, and with none ----------------------------------------------------------


def pec(times):
    """Predict with AB2, evaluate, correct with the trapezoidal rule (PEC), as a program: N steps, N evaluations.

    Registers x, f_n, f_{n-1}. It opens with one evaluation and closes with none; the corrector re-uses the evaluation
    at the predicted point.
    """
    levels = [Level.of_time(t) for t in times]
    unit = [[1, 0, 0], [0, 0, 0], [0, 1, 0]]
    yield Tableau(A=[[0]], U=[[1, 0, 0]], B=[[0], [1], [0]], V=unit, levels=levels[:1])
    for n in range(len(times) - 1):
        h = times[n + 1] - times[n]
        r = h / (times[n] - times[n - 1]) if n else 0
        predictor = [1, h * (1 + r / 2), -h * r / 2]
        if n + 2 == len(times):
            yield Tableau(A=(), U=(), B=[[], [], []], V=[predictor, *unit[1:]], target=levels[-1])
            return
        yield Tableau(
            A=[[0]],
            U=[predictor],
            B=[[h / 2], [1], [0]],
            V=[[1, h / 2, 0], *unit[1:]],
            levels=levels[n + 1 : n + 2],
            target=levels[n + 1],
        )


def pec_by_hand(f, times, x):
    path, fs = [x], [f(times[0], x)]
    for n in range(len(times) - 1):
        h = times[n + 1] - times[n]
        r = h / (times[n] - times[n - 1]) if n else 0
        predicted = x + h * ((1 + r / 2) * fs[-1] - (r / 2 * fs[-2] if n else 0))
        if n + 2 == len(times):
            return [*path, predicted]
        new = f(times[n + 1], predicted)
        x = x + h / 2 * (fs[-1] + new)
        fs.append(new)
        path.append(x)
    return path


def drive(machine, model):
    passed = list(machine.passed)
    while (question := machine.ask()) is not None:
        machine.tell(model(question.level.model_time, question.x))
        passed += machine.passed
    return passed


@pytest.mark.parametrize("make", [np.array, torch.from_numpy], ids=["numpy", "torch"])
def test_a_predictor_corrector_program_runs_on_the_machine(make):
    times = [0.0, 0.1, 0.25, 0.3, 0.5, 0.58]
    tableaus = list(pec(times))
    assert sum(t.stages for t in tableaus) == len(times) - 1
    assert [t.stages for t in tableaus] == [1, 1, 1, 1, 1, 0]

    def f(t, y):
        return y * y - t * y

    machine = Machine([Native(t.to_float(), (None,) * t.stages) for t in tableaus], make(np.array([0.7, -1.1])))
    passed = drive(machine, f)
    by_hand = pec_by_hand(f, times, np.array([0.7, -1.1]))
    assert [index for index, _ in passed] == list(range(6))  # the one without evaluations is passed along
    for (_, x), y in zip(passed, by_hand, strict=True):
        np.testing.assert_allclose(np.asarray(x), y, rtol=1e-14)  # the same dozen operations in another order
    assert machine.finished == 6
    with pytest.raises(RuntimeError, match="the run is over"):
        machine.tell(machine.sample)


def test_a_program_may_open_without_evaluations():
    double = Tableau(A=(), U=(), B=((),), V=((2,),))
    machine = Machine([Native(double.to_float(), ())] * 3, np.array([1.0]))
    assert machine.ask() is None
    assert [x.item() for _, x in machine.passed] == [2.0, 4.0, 8.0]


@pytest.mark.parametrize("source", ["data", "v", "score", "edm", "flow"])
def test_a_program_is_rewritten_for_another_prediction(source):
    """PEC in the noise/ratio formulation, told another prediction of the same field."""
    levels = [SCHEDULE.level(t) for t in (0.9, 0.7, 0.6, 0.35, 0.2)]
    rho = [level.rho for level in levels]

    def scaled(tableau, n):
        """From y = x/alpha to x: the sample register and the stage change their scale."""
        here, there = levels[max(n - 1, 0)].alpha, levels[n].alpha
        return tableau.replace(
            levels=tuple(levels[n] for _ in tableau.levels),
            U=[[u[0] * there / here, *(there * x for x in u[1:])] for u in tableau.U],
            B=[[there * x for x in tableau.B[0]], *tableau.B[1:]],
            V=[[tableau.V[0][0] * there / here, *(there * x for x in tableau.V[0][1:])], *tableau.V[1:]],
        )

    tableaus = [scaled(tableau, n) for n, tableau in enumerate(pec(rho))]
    x = np.array([0.3, -1.4])

    def eps(x, t):
        return np.tanh(x) * (1 - t)

    def model(t, x):
        level = SCHEDULE.level(t)
        return convert(eps(x, t), x, level, source="noise", target=source)

    plain = Machine([Native(t.to_float(), (None,) * t.stages) for t in tableaus], x)
    drive(plain, lambda t, x: eps(x, t))
    told = [Native(entry.tableau.to_float(), entry.held) for entry in native(tableaus, source, "noise")]
    machine = Machine(told, x)
    drive(machine, model)
    # Converting there and back divides by alpha and sigma, both above 0.01 here: two digits of rounding.
    np.testing.assert_allclose(machine.sample, plain.sample, rtol=1e-13)


def test_tagged_fields_are_asked_by_name_and_converted_as_differences():
    """A splitting step: a difference of predictions (tagged) and the model, each with its own stage."""
    level = SCHEDULE.level(0.5)
    tableau = Tableau(
        A=[[0, 0], [0.5, 0]], U=[[1], [1]], B=[[0.25, 0.125]], V=[[1]], levels=[level, level], tags=["linear", ""]
    )
    (entry,) = native([tableau], "data", "noise")
    assert [row and [i for i, _ in row] for row in entry.held] == [
        None,
        [0, 1],
    ]  # only the model's answer takes its sample
    machine = Machine([Native(entry.tableau.to_float(), entry.held)], np.array([2.0]))
    tags = []
    while (question := machine.ask()) is not None:
        tags.append(question.tag)
        machine.tell(question.x * 3.0 if question.tag else question.x * 0.5)
    assert tags == ["linear", ""]
    guidance = -level.alpha / level.sigma * 6.0
    Y = 2.0 + 0.5 * guidance
    eps = (Y - level.alpha * 0.5 * Y) / level.sigma
    np.testing.assert_allclose(machine.sample, 2.0 + 0.25 * guidance + 0.125 * eps, rtol=1e-14)  # a dozen operations


def test_a_registers_factor_is_never_applied_to_an_array():
    """Noise from x_0 is q (m + (p/q) x): the stored value needs one pass, whatever its weight."""
    scheme = nd.AdamsBashforth(3).discretize(SCHEDULE, np.linspace(0.9, 0.1, 6))
    for entry in program(scheme, nd.parameterizations.get("data"))[:-1]:
        (held,) = entry.held
        assert held[0] == (0, 1.0)  # m itself
        assert len(held) == 2
        assert all(len(row) == 1 and row[0][1] == 1.0 for row in entry.tableau.plan.outputs[1:] if row)


# --- edited samples ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["noise", "data"])
@pytest.mark.parametrize("method", [nd.AdamsBashforth(2), nd.DPMSolverPP(2), nd.GHVB(2, 0.8)], ids=str)
def test_an_edited_sample_takes_the_place_of_the_samples_register(method, source):
    scheme = method.discretize(SCHEDULE, [0.9, 0.7, 0.5, 0.4])
    target, step_, edit = scheme.prediction, 1, np.array([0.5, -0.25])

    def model(x, level):
        return convert(np.tanh(x) + level.time, x, level, source="noise", target=source)

    def run(entries):
        machine = Machine(entries, np.array([1.0, 2.0]))
        while (question := machine.ask()) is not None:
            Y = question.x + edit if question.index == step_ else None
            machine.tell(model(question.x if Y is None else Y, question.level), Y)
        return machine.sample

    # By hand: registers in plain numbers, the edit made between two steps.
    y = [np.array([1.0, 2.0]), *[np.zeros(2)] * (scheme.registers - 1)]
    for n, tableau in enumerate(scheme):
        if n == step_:
            y[0] = y[0] + edit
        field = lambda x, level: convert(np.tanh(x) + level.time, x, level, source="noise", target=target)  # noqa: E731
        y = step(tableau, [np.zeros(2) if v is None else v for v in y], field)
    np.testing.assert_allclose(run(program(scheme, nd.parameterizations.get(source))), y[0], rtol=1e-13)


def test_an_edited_stage_adds_its_change_to_the_sample():
    """In the middle of a step the stage is u x + ...; the sample moves so that the stage becomes what was edited."""
    tableau = Tableau(A=[[0, 0], [0.5, 0]], U=[[1], [0.25]], B=[[1, 2]], V=[[1]], levels=[Level.of_time(0.0)] * 2)
    machine = Machine([Native(tableau.to_float(), (None, None))], np.array([4.0]))
    machine.tell(np.array([8.0]))
    assert machine.ask().x == [5.0]
    machine.tell(np.array([1.0]), np.array([6.0]))  # moved by 1, so the sample by 1/0.25
    assert machine.sample == [(4.0 + 4.0) + 8.0 + 2 * 1.0]


# --- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [nd.AdamsBashforth(4), nd.PLMS(4), nd.DPMSolverPP(3), nd.GHVB(1, 1)], ids=str)
@pytest.mark.parametrize("make", [np.full, torch.full], ids=["numpy", "torch"])
def test_the_history_holds_the_very_arrays_that_the_model_returned(method, make):
    scheme = method.discretize(SCHEDULE, np.linspace(0.9, 0.1, 7))
    machine, told = Machine(program(scheme, nd.parameterizations.get(scheme.prediction)), make((2,), 1.0)), []
    while machine.ask() is not None:
        told.append(make((2,), float(len(told))))
        machine.tell(told[-1])
        for j in range(1, min(len(told), scheme.registers)):
            assert machine._registers[j] is told[-j]


def test_a_machine_without_noise_says_so_when_a_tableau_wants_some():
    noisy = Tableau(A=[[0]], U=[[1]], B=[[1]], V=[[1]], Nb=[[1]], levels=[Level.of_time(0.0)])
    with pytest.raises(ValueError, match="this scheme adds noise: pass noise= or generator="):
        Machine([Native(noisy, (None,))], np.array([1.0]))
    machine = Machine([Native(noisy.to_float(), (None,))] * 2, np.array([1.0]), noise=lambda n, k: np.array([10.0**n]))
    drive(machine, lambda t, x: 0 * x)
    assert machine.sample == [1.0 + 1.0 + 10.0]


def test_one_stage_tableaus_run_on_bare_numbers():
    tableau = one_stage([Fraction(1, 2), 1], [1, 0])
    assert step(tableau, [Fraction(3)], lambda Y, level: Y * Y) == [Fraction(15, 2)]
    x = sp.Symbol("x")
    assert step(tableau, [x], lambda Y, level: Y**2) == [x + x**2 / 2]
