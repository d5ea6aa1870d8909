"""Time steps, optimized."""
