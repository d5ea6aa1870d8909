"""Order of a method: proved from its tableau, and observed in runs."""

from numdiff.properties.order.consistency import certified, error_constant, is_multistep, is_zero_stable
from numdiff.properties.order.regression import OrderEstimate, observed

__all__ = ["OrderEstimate", "certified", "error_constant", "is_multistep", "is_zero_stable", "observed"]
