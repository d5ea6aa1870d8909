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

    Examples
    --------
    >>> import numpy as np
    >>> import numdiff as nd
    >>> network = lambda x, t, condition: x + condition[:, None]
    >>> guided = nd.guidance.ClassifierFree(network, 1.0, 0.0, scale=3.0)
    >>> guided(np.zeros((2, 1)), 0.5).tolist()
    [[3.0], [3.0]]
    >>> guided.calls
    Calls(network=2, batches=1, classifier=0, backward=0)
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
