"""The gallery."""

from pathlib import Path


def write(book: Path) -> None:
    """Write nothing yet."""
