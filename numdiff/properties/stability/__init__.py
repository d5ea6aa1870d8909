"""Linear stability of a method: what its steps do to X' = c X + d X."""

from numdiff.properties.stability.linear import (
    boundary_locus,
    imaginary_interval,
    polynomial,
    real_interval,
    region,
)

__all__ = ["boundary_locus", "imaginary_interval", "polynomial", "real_interval", "region"]
