"""Settings shared by every test: hypothesis runs derandomized, so a failure in CI repeats anywhere."""

import gc

import matplotlib as mpl

from numdiff import testing

mpl.use("Agg")
testing.profile("ci")


def pytest_collection_finish():
    """Leave what collection made (modules, parameters) out of garbage collections: it lives until the end anyway."""
    gc.collect()
    gc.freeze()
