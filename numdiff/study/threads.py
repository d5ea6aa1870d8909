"""How many threads the numerical libraries use.

Matrices here are small: one thread computes them as fast as two, and much faster where anything else runs on the
machine, since threads that wait for each other spin. So a study runs on one thread unless told otherwise, which also
makes its times comparable.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any


@contextmanager
def limited(count: int) -> Iterator[None]:
    """Use `count` threads in BLAS (if threadpoolctl is installed) and torch (if it is imported) in the block."""
    with ExitStack() as stack:
        _limit_blas(stack, count)
        torch = sys.modules.get("torch")
        if torch is not None:
            stack.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(count)
        yield


def _limit_blas(stack: ExitStack, count: int) -> None:
    try:
        from threadpoolctl import threadpool_limits
    except ModuleNotFoundError:
        return
    import scipy.linalg  # noqa: F401  (brings a BLAS of its own, which must be loaded to be limited)

    limits: Any = threadpool_limits(limits=count, user_api="blas")
    stack.enter_context(limits)
