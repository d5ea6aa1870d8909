"""Settings of hypothesis for numerical tests.

An example of a convergence test takes tenths of a second and more on its first call, when tables are filled, so there
is no deadline, and slow data are no health problem. In CI the examples are the same in every run: a failure there
repeats anywhere.
"""

from __future__ import annotations

from typing import Any

from numdiff._names import suggest
from numdiff.testing._hypothesis import HealthCheck, settings

_SHARED: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
PROFILES: dict[str, dict[str, Any]] = {
    "ci": {"derandomize": True, "max_examples": 40},
    "explore": {"max_examples": 40, "print_blob": True},
    "thorough": {"max_examples": 1000, "print_blob": True},
}
"""What each profile adds: "ci" repeats itself; the others draw anew in every run and print how to repeat a failure."""


def profile(name: str = "ci", **changes: Any) -> settings:
    """Make a profile hypothesis's own for this process: one line for a conftest.py.

    Parameters
    ----------
    name
        One of `PROFILES`.
    changes
        Other settings of hypothesis, ``max_examples`` say.

    Returns
    -------
    hypothesis.settings

    Raises
    ------
    ValueError
        For an unknown name.

    Examples
    --------
    In a conftest.py it is one line; here the profile that was in force is taken back:

    >>> import hypothesis
    >>> from numdiff.testing import profile
    >>> before = hypothesis.settings.get_current_profile_name()
    >>> found = profile("ci", max_examples=25)
    >>> found.max_examples, found.deadline
    (25, None)
    >>> hypothesis.settings.load_profile(before)
    """
    chosen = PROFILES[name] if name in PROFILES else suggest(name, PROFILES, "profile")
    registered = f"numdiff-{name}"
    settings.register_profile(registered, settings.get_profile("default"), **{**_SHARED, **chosen, **changes})
    settings.load_profile(registered)
    return settings.get_profile(registered)
