r"""Many samples by many processes: the same set whatever their number, in files that a killed process leaves sound.

**One process**::

    python -m numdiff.sample_distributed ghvb3 --beta 0.8 --model digits --steps 10 --samples 50000 --out samples

**One machine**, a process for each GPU (or two on the CPU, ``--device cpu``)::

    torchrun --nproc-per-node=8 -m numdiff.sample_distributed dpmpp2 --model glyphs --samples 50000 --out samples

**Several machines** that share the folder; the same command on each::

    torchrun --nnodes=4 --nproc-per-node=8 --rdzv-backend=c10d --rdzv-endpoint=first-host:29500 --rdzv-id=samples \
        -m numdiff.sample_distributed dpmpp2 --pipeline stabilityai/sd-turbo --prompts prompts.txt --out /shared/samples

torchrun takes ``--n`` for an option of its own, so the number of samples is ``--samples`` there. With
``--max-restarts=3`` torchrun starts all ranks again when one has died; ``--nnodes=1:4`` lets machines come and go.

**What is the same.** Sample i is a function of the settings, the seed and i. On processors of one kind the files are
the same bit for bit, whatever the number of ranks, however often the job was interrupted; so they are on GPUs of one
model as far as their kernels are deterministic (this was not measured here: no GPU was at hand). Another ``--batch``,
another number of ``--threads`` and another device give the same samples to rounding, since sums are then made in
another order; that is why a folder refuses to go on with them. See `units`.

**What is lost.** A batch is one file, moved into place when it's whole. Whoever is killed loses the batch in its hands
and nothing else; run the same command again, with as many ranks as are there now. Batches are dealt by a counter, so a
slow rank holds nobody up. See `ranks` and `shards`.

**Reading them**::

    from numdiff.distributed import Samples, merge
    samples = Samples("samples")          # complete, or an error that says what is missing
    samples[3], samples[:64], samples.labels, samples.array()
    for arrays in samples.batches(): ...  # one file at a time
    merge("samples", "all.safetensors")   # one file

From Python, `work` does what the command does, with any `Source`.
"""

from __future__ import annotations

from numdiff.distributed.ranks import LostRankError, Ranks, Several, connected
from numdiff.distributed.samples import Samples, merge
from numdiff.distributed.sources import Denoiser, Pipeline, Source
from numdiff.distributed.units import Batch, batches
from numdiff.distributed.work import BatchError, Plan, StoppedError, Tally, work

__all__ = [
    "Batch",
    "BatchError",
    "Denoiser",
    "LostRankError",
    "Pipeline",
    "Plan",
    "Ranks",
    "Samples",
    "Several",
    "Source",
    "StoppedError",
    "Tally",
    "batches",
    "connected",
    "merge",
    "work",
]
