"""Linear stability of a method: what its steps do to X' = c X + d X."""

from numdiff.properties.stability.angle import SectorAngle, sector_angle
from numdiff.properties.stability.branches import roots
from numdiff.properties.stability.kappa import diffusion_interval, diffusion_polynomial
from numdiff.properties.stability.linear import (
    boundary_locus,
    imaginary_interval,
    polynomial,
    real_interval,
    region,
)
from numdiff.properties.stability.relative import relative_interval, relative_region
from numdiff.properties.stability.split import split_interval, split_polynomial, split_region
from numdiff.properties.stability.stars import OrderStar, order_star
from numdiff.properties.stability.startup_steps import Growth, internal, startup, startup_growth
from numdiff.properties.stability.two_parameter import two_parameter_region
from numdiff.properties.stability.zero import SafeRatio, ZeroStability, largest_safe_ratio, zero_stability

__all__ = [
    "Growth",
    "OrderStar",
    "SafeRatio",
    "SectorAngle",
    "ZeroStability",
    "boundary_locus",
    "diffusion_interval",
    "diffusion_polynomial",
    "imaginary_interval",
    "internal",
    "largest_safe_ratio",
    "order_star",
    "polynomial",
    "real_interval",
    "region",
    "relative_interval",
    "relative_region",
    "roots",
    "sector_angle",
    "split_interval",
    "split_polynomial",
    "split_region",
    "startup",
    "startup_growth",
    "two_parameter_region",
    "zero_stability",
]
