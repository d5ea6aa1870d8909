"""Settings shared by every test: hypothesis runs derandomized, so a failure in CI repeats anywhere."""

import matplotlib as mpl

from numdiff import testing

mpl.use("Agg")
testing.profile("ci")
