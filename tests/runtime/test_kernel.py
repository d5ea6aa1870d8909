"""The Triton kernel's text, run by an imitation of Triton on the CPU: one program after the other, masks and all."""

import importlib
import sys
import types

import pytest
import torch

from numdiff.runtime import fused


class Pointer:
    """A place in a tensor's memory, or many."""

    def __init__(self, tensor, at=None):
        self.flat, self.at = tensor.as_strided((tensor.numel(),), (1,)), at
        self.dtype = types.SimpleNamespace(element_ty=tensor.dtype)

    def __add__(self, at):
        moved = Pointer(self.flat, at)
        moved.flat = self.flat
        return moved


class Jit:
    """Calls a kernel once for each program of its grid."""

    def __init__(self, function, current):
        self.function, self.current = function, current

    def __getitem__(self, grid):
        def launch(*arguments, **constants):
            given = [Pointer(x) if isinstance(x, torch.Tensor) else x for x in arguments]
            for self.current[0] in range(*grid):
                self.function(*given, **constants)

        return launch


def imitation():
    """Return stand-ins of triton and triton.language."""
    triton, language, current = types.ModuleType("triton"), types.ModuleType("triton.language"), [0]

    def load(pointer, mask):
        inside = torch.where(mask, pointer.at, 0)
        return torch.where(mask, pointer.flat[inside], float("nan"))  # what is outside must not matter

    def store(pointer, value, mask):
        assert value.dtype == pointer.flat.dtype
        pointer.flat[pointer.at[mask]] = value[mask]

    language.program_id = lambda axis: torch.tensor(current[0], dtype=torch.int32)
    language.arange, language.load, language.store = torch.arange, load, store
    language.int64, language.float32, language.constexpr = torch.int64, torch.float32, int
    triton.jit, triton.language = lambda function: Jit(function, current), language
    triton.cdiv = lambda a, b: -(-a // b)
    return triton, language


@pytest.fixture
def kernel(monkeypatch):
    triton, language = imitation()
    monkeypatch.setitem(sys.modules, "triton", triton)
    monkeypatch.setitem(sys.modules, "triton.language", language)
    monkeypatch.delitem(sys.modules, "numdiff.runtime.kernel", raising=False)
    yield importlib.import_module("numdiff.runtime.kernel")
    sys.modules.pop("numdiff.runtime.kernel", None)  # a real Triton shall compile it anew


@pytest.mark.parametrize("k", range(1, 9))
def test_the_kernel_is_the_sum_in_float32_rounded_once(kernel, k):
    generator = torch.Generator().manual_seed(k)
    for dtype in (torch.float32, torch.bfloat16):
        xs = [torch.randn(2, 3, 20, 13, generator=generator).to(dtype) for _ in range(k)]  # not whole blocks
        xs = [x.to(memory_format=torch.channels_last) for x in xs]
        coefficients = tuple(0.7 / (j + 1) * (-1) ** j for j in range(k))
        expected = fused.plain(xs, coefficients, dtype=dtype, wide=torch.float32, bias=0.25)
        with torch.no_grad():
            found = fused.triton(xs, coefficients, dtype=dtype, bias=0.25)
        assert found.stride() == xs[0].stride()
        # the bias comes first here: eight additions in float32, or one more rounding to bfloat16
        torch.testing.assert_close(found, expected, rtol=2 * torch.finfo(dtype).eps, atol=2e-6)
        own = xs[0].clone()
        assert fused.triton([own, *xs[1:]], coefficients, dtype=dtype, bias=0.25, out=own) is own
        assert torch.equal(own, found)


def test_what_the_kernel_cannot_take_is_left_to_torch(kernel, monkeypatch):
    monkeypatch.setattr(kernel, "launch", None)  # may not be called
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for xs in ([x[:, ::2], x[:, 1::2]], [x.double(), x.double()], [x] * 9):
            coefficients = (0.5,) * len(xs)
            found = fused.triton(xs, coefficients, dtype=xs[0].dtype)
            assert torch.equal(found, fused.plain(xs, coefficients, dtype=xs[0].dtype))
    weight = torch.ones(3, requires_grad=True)
    fused.triton([weight, weight], (0.5, 0.25), dtype=torch.float32).sum().backward()
    assert weight.grad.tolist() == [0.75] * 3
