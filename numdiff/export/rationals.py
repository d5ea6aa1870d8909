"""Numbers as text "p/q", exactly, and back.

A float is the rational number that it is, n/2^k, so that the text gives back the same bits; the sign of a zero is kept
("-0"), and an infinite time is "inf". Text is matched against a grammar and never evaluated, and digits are limited: a
float64 needs at most 309 of them above the line and 325 below it.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

DIGITS = 400
"""Most digits of a numerator or a denominator."""

_RATIONAL = re.compile(rf"-?[0-9]{{1,{DIGITS}}}(/[0-9]{{1,{DIGITS}}})?")
_INFINITE = {"inf": math.inf, "-inf": -math.inf}


def from_float(x: float) -> str:
    """Return the float as an exact rational, or as "inf" or "-inf".

    Raises
    ------
    ValueError
        For nan.
    """
    if math.isinf(x):
        return "inf" if x > 0 else "-inf"
    if math.isnan(x):
        raise ValueError("is nan, which no scheme can use")
    if x == 0:
        return "-0" if math.copysign(1.0, x) < 0 else "0"
    return from_fraction(Fraction(x))


def from_fraction(x: Fraction) -> str:
    """Return the fraction as "p/q", or "p" where it is whole.

    Raises
    ------
    ValueError
        If it has more digits than `DIGITS`.
    """
    if max(abs(x.numerator), x.denominator) >= 10**DIGITS:
        raise ValueError(f"has more than {DIGITS} digits; use a float")
    return str(x)


def to_fraction(text: str) -> Fraction:
    """Return the rational that the text writes.

    Raises
    ------
    ValueError
        If it writes none.
    """
    if not _RATIONAL.fullmatch(text):
        raise ValueError(f'must be a rational number "p/q" of at most {DIGITS} digits each')
    try:
        return Fraction(text)
    except ZeroDivisionError:
        raise ValueError("divides by zero") from None


def to_float(text: str, *, finite: bool = True) -> float:
    """Return the float that the text writes, bit for bit.

    Raises
    ------
    ValueError
        If it writes no number, one that is not a float, or an infinite one where `finite` forbids it.
    """
    if text in _INFINITE and not finite:
        return _INFINITE[text]
    exact = to_fraction(text)
    if exact == 0:
        return -0.0 if text.startswith("-") else 0.0
    try:
        nearest = float(exact)
    except OverflowError:
        raise ValueError("is larger than any float") from None
    if exact != nearest:
        raise ValueError(f'is no float; the nearest one is "{from_float(nearest)}"')
    return nearest
