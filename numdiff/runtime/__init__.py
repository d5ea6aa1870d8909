"""Running at the hardware's limit: whole runs as one module, fused combinations, CUDA graphs, low precision.

::

    sampler = nd.runtime.Sampler(scheme, network, prediction="v", times="tensor")
    with torch.no_grad():
        x0 = sampler(x_T)                                            # numdiff.sample's result, to rounding
        fast = sampler.compiled()                                    # by torch.compile: one graph, model included
        graph = nd.runtime.captured(sampler, x_T)                    # a CUDA graph of the whole run
        x0 = graph(x_T)

`numdiff.sample` says what is wrong with a model or a grid; `Sampler` assumes that it works and leaves nothing between
two evaluations but the sums of the method. Gradients flow through a sampler, but not through buffers
of its own or graphs. Importing this package imports torch.
"""

from numdiff.runtime.graphs import Captured, captured
from numdiff.runtime.sampler import Sampler

__all__ = ["Captured", "Sampler", "captured"]
