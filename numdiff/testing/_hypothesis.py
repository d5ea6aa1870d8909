"""The one place where hypothesis is imported, so that its absence is explained."""

from __future__ import annotations

try:
    from hypothesis import HealthCheck, note, settings
    from hypothesis import strategies as st
    from hypothesis.strategies import SearchStrategy
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "the strategies of numdiff.testing need hypothesis; pip install 'numdiff[testing]' (its assertions do without)"
    ) from error

__all__ = ["HealthCheck", "SearchStrategy", "note", "settings", "st"]
