"""Settings shared by every test: hypothesis runs derandomized, so a failure in CI repeats anywhere."""

import matplotlib as mpl
from hypothesis import HealthCheck, settings

mpl.use("Agg")
settings.register_profile(
    "numdiff", derandomize=True, deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("numdiff")
