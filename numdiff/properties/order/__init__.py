"""Order of a method: proved from its tableau, and observed in runs."""

from numdiff.properties.order.consistency import certified, error_constant, is_multistep, is_zero_stable
from numdiff.properties.order.expansion import (
    Condition,
    LeadingError,
    ModifiedEquation,
    conditions,
    leading_error,
    modified_equation,
)
from numdiff.properties.order.grids import GridOrder, any_grid
from numdiff.properties.order.regression import OrderEstimate, observed
from numdiff.properties.order.run_steps import Cause, LeadingTerms
from numdiff.properties.order.runs import RunOrder, grid_sensitivity, of_run
from numdiff.properties.order.stiff_order import StiffCondition, StiffOrder, stiff
from numdiff.properties.order.stochastic import strong, weak

__all__ = [
    "Cause",
    "Condition",
    "GridOrder",
    "LeadingError",
    "LeadingTerms",
    "ModifiedEquation",
    "OrderEstimate",
    "RunOrder",
    "StiffCondition",
    "StiffOrder",
    "any_grid",
    "certified",
    "conditions",
    "error_constant",
    "grid_sensitivity",
    "is_multistep",
    "is_zero_stable",
    "leading_error",
    "modified_equation",
    "observed",
    "of_run",
    "stiff",
    "strong",
    "weak",
]
