"""What answers say about a method that adds noise: which part of it they are about."""

from __future__ import annotations

from typing import Any

DRIFT = (
    "The method adds noise, which is left out here: this is about its drift, `X' = c X + (1 + tau^2) f` with f what "
    "the model predicts and tau the level of the noise."
)
"""What coefficients are those of."""

MEAN = (
    "The method adds noise: this is about the mean of the samples, which obeys the step without it, `X' = c X + (1 + "
    "tau^2) z X`. Noise is added, never multiplied, so that the variance stays bounded where all roots lie inside the "
    "unit circle."
)
"""What the stability of a linear recursion with added noise is about."""


def drift(method: Any) -> tuple[str, ...]:
    """Return the sentence for an answer about coefficients; nothing for a method without noise."""
    return (DRIFT, f"The order with the noise is that of expectations: {method.weak_order}.") if _noisy(method) else ()


def mean(method: Any) -> tuple[str, ...]:
    """Return the sentence for an answer about stability; nothing for a method without noise."""
    return (MEAN,) if _noisy(method) else ()


def _noisy(method: Any) -> bool:
    return getattr(method, "stochastic", False)
