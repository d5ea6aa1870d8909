"""Memory of a run: tensors of the sample's size that are alive beside x_T, against diffusers' schedulers.

A dispatch mode sees every tensor that torch makes and keeps a weak reference to it, so that the count is exact and the
same on every machine. "While the model runs" is what a run adds to the model's own memory, which is where memory runs
out: for numdiff the sample and the history. "Peak" includes the temporaries of a step and the model's output.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import numdiff as nd
from benchmarks.harness import Report, main
from benchmarks.peers import PAIRS, SHAPES, Model, Pair, scheduler, scheme, walk

EXTRA = (nd.AdamsBashforth(4), nd.DPMSolverPP(3), nd.GHVB(4, 0.8))
"""Methods of higher order, whose history is longer; the peers of the table have none of these orders by default."""

SHAPE = SHAPES["1x4x64x64"]


class Ledger(TorchDispatchMode):
    """Knows how many bytes of tensors made under it are alive."""

    def __init__(self) -> None:
        super().__init__()
        self._made: list[weakref.ref[Tensor]] = []
        self.peak = 0

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        """Run the operation and note what it made."""
        result = function(*arguments, **(keywords or {}))
        if isinstance(result, Tensor):
            self._made.append(weakref.ref(result))
            self.peak = max(self.peak, self.alive())
        return result

    def alive(self) -> int:
        """Return the bytes alive, each storage once."""
        storages = {}
        for made in self._made:
            if (x := made()) is not None:
                storages[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        self._made = [made for made in self._made if made() is not None]
        return sum(storages.values())


def footprint(run: Callable[[Model, Tensor], Any]) -> tuple[float, float]:
    """Return the tensors alive beside x_T while the model runs and at the peak, in sizes of x."""
    x, held = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)), [0]

    def model(x: Tensor, t: Any) -> Tensor:
        held.append(ledger.alive())
        return x.tanh()

    with torch.no_grad(), Ledger() as ledger:
        run(model, x)
    return max(held) / x.nbytes, ledger.peak / x.nbytes


def ours(laid_out: nd.Scheme) -> tuple[float, float]:
    """Return the footprint of `sample`."""
    return footprint(lambda model, x: nd.sample(laid_out, model, x))


def theirs(pair: Pair) -> tuple[float, float]:
    """Return the footprint of a scheduler in a pipeline's loop."""
    peer = scheduler(pair)
    return footprint(lambda model, x: walk(peer, model, x))


def cells(held: float, peak: float) -> list[str]:
    """Return a footprint as two cells."""
    return [f"{held:.1f}", f"{peak:.1f}"]


def run(rounds: int) -> list[Report]:
    """Count for every pair; counting needs no repeats."""
    rows, data = [], {}
    for pair in PAIRS:
        mine, other = ours(scheme(pair)), theirs(pair)
        peer = pair.peer.removesuffix("Scheduler") + ("" if pair.agree is not None else " *")
        rows.append([pair.method.name, *cells(*mine), peer, *cells(*other)])
        data[pair.peer] = {"numdiff": mine, "diffusers": other}
    for method in EXTRA:
        mine = ours(scheme(Pair(method, PAIRS[0].peer, "zero", (1, 1))))
        rows.append([method.name, *cells(*mine), "", "", ""])
        data[method.name] = {"numdiff": mine}
    note = (
        "Tensors of the sample's size that are alive beside x_T, while the model runs and at the peak of a step. "
        "* is not the same method."
    )
    columns = ("numdiff", "held", "peak", "diffusers", "held", "peak")
    return [Report("Memory of a run", note, columns, rows, data)]


if __name__ == "__main__":
    main(run, 1, ("torch", "diffusers"), __doc__)
