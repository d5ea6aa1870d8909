"""Scikit-learn's handwritten digits: 1797 real scans of 8x8 pixels with 17 grey values (UCI optdigits, test part).

Grey values 0..16 become -1..1. Every fifth scan of each class, in the file's order, is held out (364); neither
network is trained on those. The rule needs no random numbers, so that no library version can change the split.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor

HELD_OUT = 5
GREY_STEP = 1 / 8
DESCRIPTION = "scikit-learn load_digits, every fifth scan of each class held out"


class Split(NamedTuple):
    """Images of shape (n, 64), float32 in [-1, 1], and their classes."""

    x: Tensor
    labels: Tensor


def digits() -> tuple[Split, Split]:
    """Return the training scans and the held-out ones."""
    x, labels = load_digits(return_X_y=True)
    rank = np.empty(len(labels), dtype=int)  # position of each scan among those of its class
    for digit in range(10):
        rank[labels == digit] = np.arange(np.count_nonzero(labels == digit))
    images, classes = torch.tensor(x / 8 - 1, dtype=torch.float32), torch.tensor(labels)
    held_out = torch.from_numpy(rank % HELD_OUT == 0)
    return Split(images[~held_out], classes[~held_out]), Split(images[held_out], classes[held_out])
