"""What a guided run costs, counted where it is spent."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields


@dataclass
class Calls:
    """Evaluations so far, per sample of the batch.

    Parameters
    ----------
    network
        Evaluations of the network: condition and null together are two, in one call or in two.
    batches
        Calls of the network's function: condition and null together are one if they are batched.
    classifier
        Gradients of the classifier.
    backward
        Backward passes through the network.

    Notes
    -----
    Nothing is counted while `torch.compile` traces, nor in the replay of a CUDA graph.
    """

    network: int = 0
    batches: int = 0
    classifier: int = 0
    backward: int = 0

    def add(self, **more: int) -> None:
        """Add to the counts by their names."""
        torch = sys.modules.get("torch")
        if torch is not None and torch.compiler.is_compiling():
            return
        for name, value in more.items():
            setattr(self, name, getattr(self, name) + value)

    def reset(self) -> None:
        """Set all counts to zero."""
        for field in fields(self):
            setattr(self, field.name, 0)
