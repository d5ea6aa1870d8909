"""Combinations are sums to the rounding of what they sum in, whichever way they are formed."""

import warnings

import numpy as np
import pytest
import torch

from numdiff.runtime import fused

COEFFICIENTS = (1.0, -0.75, 2.5e-3, 1.25)
HALF = [torch.float16, torch.bfloat16]


def tensors(k, dtype, memory_format=torch.contiguous_format, shape=(2, 3, 5, 7)):
    generator = torch.Generator().manual_seed(k)
    made = [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for _ in range(k)]
    return [x.to(memory_format=memory_format) for x in made]


def exact(xs, coefficients, bias=0.0):
    return sum(c * x.double() for c, x in zip(coefficients, xs, strict=True)) + bias


def agrees(found, xs, coefficients, bias, dtype, operations):
    """One rounding of each operation, relative to the sum of the terms' sizes."""
    size = sum(abs(c) * x.double().abs() for c, x in zip(coefficients, xs, strict=True)) + abs(bias)
    error = (found.double() - exact(xs, coefficients, bias)).abs()
    tiny = torch.finfo(dtype).tiny
    return bool((error <= operations * torch.finfo(dtype).eps * size + tiny).all())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALF], ids=str)
@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("first", [1.0, 0.3])
@pytest.mark.parametrize("bias", [0.0, 0.5])
def test_plain_sums(k, first, bias, dtype):
    coefficients = (first, *COEFFICIENTS[1:k])
    xs = tensors(k, dtype)
    fresh = fused.plain(xs, coefficients, dtype=dtype, bias=bias)
    assert agrees(fresh, xs, coefficients, bias, dtype, 2 * k + 1)
    own = xs[0].clone()
    written = fused.plain([own, *xs[1:]], coefficients, dtype=dtype, bias=bias, out=own)
    assert written is own
    assert torch.equal(written, fresh)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    once = fused.plain(xs, coefficients, dtype=dtype, bias=bias, wide=wide)
    assert agrees(once, xs, coefficients, bias, dtype, 1 + 2**-4)  # one rounding of a sum that is almost exact
    if dtype in HALF:
        memory = {"out": torch.empty_like(xs[0]), "scratch": torch.empty_like(xs[0], dtype=wide)}
        assert torch.equal(fused.plain(xs, coefficients, dtype=dtype, bias=bias, wide=wide, **memory), once)
        kept = fused.plain(xs, coefficients, dtype=wide, bias=bias, wide=wide)
        assert kept.dtype == wide
        assert agrees(kept, xs, coefficients, bias, wide, 2 * k + 1)


def test_wide_and_low_tensors_are_summed_together():
    (sample,), (history,) = tensors(1, torch.float32), tensors(1, torch.bfloat16)
    for xs in ([sample, history], [history, sample]):
        found = fused.plain(xs, (0.5, 0.25), dtype=torch.float32, wide=torch.float32)
        assert agrees(found, xs, (0.5, 0.25), 0.0, torch.float32, 4)


def test_the_way_is_chosen_by_device_and_size():
    small = torch.zeros(4)
    large = torch.zeros(1).expand(fused.LARGE)
    with torch.no_grad():
        assert fused.chosen(None, small) is fused.plain
        assert fused.chosen(None, large) is fused.plain  # nobody waits for a compiler unasked
    assert fused.chosen("compiled", small) is fused.compiled
    with pytest.raises(ValueError, match='combine="compiled" is for samples on the CPU, got one on meta'):
        fused.chosen("compiled", small.to("meta"))


def test_a_compiler_that_fails_is_told_of_once_and_not_tried_again(monkeypatch):
    tried = []

    def broken(function, **options):
        def run(*arguments):
            tried.append(arguments)
            raise OSError("no such compiler")

        return run

    monkeypatch.setattr(torch, "compile", broken)
    monkeypatch.setattr(fused, "_variants", {})
    monkeypatch.setattr(fused, "_failures", [])
    xs = tensors(3, torch.float32)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for k in (2, 3):
            found = fused.compiled(xs[:k], COEFFICIENTS[:k], dtype=torch.float32, out=torch.empty_like(xs[0]))
            assert torch.equal(found, fused.plain(xs[:k], COEFFICIENTS[:k], dtype=torch.float32))
    assert "torch.compile failed (OSError: no such compiler); leave combine out" in str(told[0].message)
    assert len(told) == len(tried) == 1


@pytest.mark.slow
def test_every_variant_is_a_function_of_its_own(monkeypatch):
    compile = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, **options: compile(function, backend="eager", **options))
    monkeypatch.setattr(fused, "_variants", {})
    with torch._dynamo.config.patch(recompile_limit=1):  # a second variant of one function would be refused
        variants = [(torch.no_grad, 1, torch.float32), (torch.no_grad, 2, torch.float32)]
        for mode, k, dtype in (*variants, (torch.no_grad, 2, torch.float64), (torch.inference_mode, 2, torch.float32)):
            with mode():
                xs = tensors(k, dtype)
                found = fused.compiled(xs, COEFFICIENTS[:k], dtype=dtype)
                assert fused.compiled(xs, COEFFICIENTS[:k], dtype=dtype, out=xs[0]) is xs[0]
            assert torch.equal(xs[0], found)
    assert len(fused._variants) == 8
    assert not fused._failures


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # inductor's own imports
@pytest.mark.slow  # each number of terms and dtype is compiled
def test_compiled_sums_in_one_pass_in_float32_at_the_least():
    for dtype, k in ((torch.float32, 3), (torch.bfloat16, 2)):
        for layout in (torch.contiguous_format, torch.channels_last):
            xs = tensors(k, dtype, layout)
            found = fused.compiled(xs, COEFFICIENTS[:k], dtype=dtype, bias=0.5)
            assert agrees(found, xs, COEFFICIENTS[:k], 0.5, dtype, 2 * k + 1 if dtype == torch.float32 else 1 + 2**-4)
            assert found.stride() == xs[0].stride()
            own = xs[0].clone()
            assert fused.compiled([own, *xs[1:]], COEFFICIENTS[:k], dtype=dtype, bias=0.5, out=own) is own
            assert torch.equal(own, found)
    strided = tensors(3, torch.float32, shape=(4, 6))
    views = [strided[0][:, ::2], strided[1][:, 1::2], strided[2][:, :3]]
    found = fused.compiled(views, COEFFICIENTS[:3], dtype=torch.float32)
    assert agrees(found, views, COEFFICIENTS[:3], 0.0, torch.float32, 7)


if torch.cuda.is_available() and fused.compilers()[1]:

    @pytest.mark.parametrize("dtype", [torch.float32, *HALF], ids=str)
    @pytest.mark.parametrize("k", [1, 2, 5, 8])
    def test_triton_sums_in_one_pass(k, dtype):
        xs = [x.cuda() for x in tensors(k, dtype, torch.channels_last)]
        coefficients = tuple(np.linspace(-1, 1, k) + 0.1)
        with torch.no_grad():
            found = fused.triton(xs, coefficients, dtype=dtype, bias=0.5)
        assert agrees(found, xs, coefficients, 0.5, dtype, 2 * k + 1 if dtype == torch.float32 else 1 + 2**-4)
        assert found.stride() == xs[0].stride()
