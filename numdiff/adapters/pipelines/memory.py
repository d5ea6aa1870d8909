"""Memory: when it has run out, and the ways of a pipeline to need less of it.

torch says "out of memory" in three ways: by an exception of its own (accelerators), by a RuntimeError of the CPU's
allocator, and by Python's MemoryError. `is_out_of_memory` knows them; everything else is somebody else's error.
"""

from __future__ import annotations

import gc
from typing import Any

_SAID = ("can't allocate memory", "not enough memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


class OutOfMemoryError(MemoryError):
    """A batch of samples does not fit.

    Examples
    --------
    >>> from numdiff.adapters.pipelines.memory import OutOfMemoryError, is_out_of_memory
    >>> issubclass(OutOfMemoryError, MemoryError), is_out_of_memory(RuntimeError("CUDA out of memory"))
    (True, True)
    """


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception says that memory has run out."""
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _SAID)


def release() -> None:
    """Give back what a failed batch has left: cycles that hold tensors, and the accelerator's cache."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def slice_parts(pipe: Any) -> list[str]:
    """Let a pipeline compute its attention in slices and decode one image after the other; return what it can do.

    Parameters
    ----------
    pipe
        A pipeline of diffusers.
    """
    done = []
    if getattr(pipe, "vae", None) is not None and hasattr(pipe.vae, "enable_slicing"):
        pipe.vae.enable_slicing()
        done.append("decoding")
    if any(hasattr(part, "set_attention_slice") for part in pipe.components.values()):
        pipe.enable_attention_slicing()
        done.append("attention")
    return done


def offload(pipe: Any, device: Any) -> None:
    """Keep a pipeline's parts on the CPU and move each to the accelerator while it computes.

    Parameters
    ----------
    pipe
        A pipeline of diffusers, whose parts are on the CPU.
    device
        The accelerator.

    Raises
    ------
    ValueError
        If the device is the CPU.
    """
    if getattr(device, "type", device) == "cpu":
        raise ValueError("offload moves parts between the CPU and an accelerator, and device is the CPU; drop offload")
    pipe.enable_model_cpu_offload(device=device)
