"""A tableau checks its shapes, drops its zeros and turns into Python floats."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
import torch

from numdiff import Level, Tableau
from numdiff.tableau import one_stage

EULER = {"A": ((0,),), "U": ((1,),), "B": ((1,),), "V": ((1,),)}


def test_a_tableau_is_plain_data():
    tableau = Tableau(A=[[0, 0], [1, 0]], U=np.ones((2, 1)), B=[[1, 2]], V=[[1]])
    assert (tableau.stages, tableau.registers, tableau.noises) == (2, 1, 0)
    assert tableau.A == ((0, 0), (1, 0))
    assert tableau.U == ((1.0,), (1.0,))
    assert tableau.levels == (None, None)
    assert tableau.tags == ("", "")
    assert len({tableau, tableau.replace(target=Level.of_time(1.0))}) == 2  # hashed by identity
    assert repr(tableau) == f"Tableau(A={tableau.A!r}, U={tableau.U!r}, B={tableau.B!r}, V={tableau.V!r})"
    assert Tableau(A=(), U=(), B=((),), V=((1,),)).stages == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"A": ((0, 0),)}, r"A must have shape \(1, 1\)"),
        ({"U": ((1, 0),)}, r"U must have shape \(1, 1\)"),
        ({"B": ((1,), (0,))}, r"B must have shape \(1, 1\)"),
        ({"V": ((1, 0), (0, 1))}, r"U must have shape \(1, 2\)"),
        ({"Na": ((1, 1),), "Nb": ((1,),)}, r"Nb must have shape \(1, 2\)"),
        ({"A": ((1,),)}, "A must be strictly lower triangular"),
        ({"A": ((sp.Symbol("a"),),)}, "A must be strictly lower triangular"),
        ({"levels": (None, None)}, "levels must have 1 entries, got 2"),
        ({"tags": ("a", "b")}, "tags must have 1 entries, got 2"),
        ({"a": (1, 2)}, "a must have 1 entries, got 2"),
        ({"b": (1, 2)}, "b must have 1 entries, got 2"),
    ],
)
def test_a_tableau_refuses_wrong_shapes(change, message):
    with pytest.raises(ValueError, match=message):
        Tableau(**{**EULER, **change})


@pytest.mark.parametrize("zero", [0, 0.0, Fraction(0), sp.Integer(0), np.float64(0), np.int64(0), np.zeros(3)])
def test_the_plan_drops_zeros_of_every_kind(zero):
    tableau = Tableau(A=[[zero]], U=[[1, zero]], B=[[2], [zero]], V=[[1, zero], [zero, zero]])
    assert tableau.plan.stages == (((0, 1),),)
    assert tableau.plan.outputs == (((0, 1), (2, 2)), ())


def test_the_plan_keeps_what_carries_a_gradient_and_counts_noises_last():
    zero = torch.zeros((), dtype=torch.float64, requires_grad=True)
    tableau = Tableau(**{**EULER, "V": ((zero,),), "Na": ((0, 3),), "Nb": ((4, 0),)})
    assert tableau.noises == 2
    assert tableau.plan.stages == (((0, 1), (3, 3)),)  # y_0, F_0, n_0, n_1
    assert tableau.plan.outputs == (((0, zero), (1, 1), (2, 4)),)


def test_to_float_gives_python_floats_and_leaves_gradients_and_arrays():
    weight = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    mask = np.array([0.0, 1.0])
    numbers = [3, Fraction(1, 3), sp.Rational(1, 7), np.float32(0.25), np.float64(2.0), torch.tensor(4.0)]
    r = len(numbers)
    tableau = Tableau(
        A=[[0]],
        U=[[1] + [0] * (r - 1)],
        B=[[x] for x in numbers],
        V=[[weight, mask] + [0] * (r - 2)] + [[0] * r] * (r - 1),
        b=[Fraction(1, 2), mask, *[0] * (r - 2)],
    ).to_float()
    flat = [row[0] for row in tableau.B]
    assert flat == [3.0, 1 / 3, 1 / 7, 0.25, 2.0, 4.0]
    assert all(type(x) is float for x in [*flat, *tableau.V[1], tableau.A[0][0], tableau.b[0]])
    assert tableau.V[0][0] is weight
    assert tableau.V[0][1] is mask
    assert tableau.b[1] is mask


def test_one_stage_is_an_evaluation_at_the_sample_and_a_shift_register():
    level, target = Level.of_time(0.0), Level.of_time(1.0)
    tableau = one_stage([10, 11, 12, 13], [20, 21, 22, 23], level=level, target=target)
    assert tableau.U == ((1, 0, 0),)
    assert tableau.V == ((11, 12, 13), (21, 22, 23), (0, 1, 0))
    assert tableau.B == ((10,), (20,), (0,))
    assert (tableau.levels, tableau.target) == ((level,), target)
    single = one_stage([10, 11], [1, 0])
    assert (single.V, single.B) == (((11,),), ((10,),))
