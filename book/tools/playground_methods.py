"""Which methods the sampler playground offers: every family, with its main orders and options.

A member is a family of `numdiff.methods.FAMILIES` and options of it. What cannot be laid out on one of the schedules or
grids is left out there by `book.tools.playground`, which tries.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numdiff as nd
from numdiff.methods import FAMILIES, Method

__all__ = ["GROUPS", "STEPS", "Offer", "offers", "preset_of", "summary_of", "titles"]

STEPS = (3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 50)
"""Numbers of steps on offer."""

PRESETS = {
    "ddim": "ddim",
    "dpmpp_2_half": "dpmpp-2m",
    "dpmpp_3": "dpmpp-3m",
    "unipc_3": "unipc-3",
    "ghvb_2_4-5": "ghvb-2",
    "hb_2_data-log-snr": "hb-dpmpp-2",
    "heun": "heun",
}
"""Members whose optimized steps ship with numdiff: key here, name of the preset."""


def _orders(*orders: int, **options: Any) -> list[dict[str, Any]]:
    return [{"order": order, **options} for order in orders]


DATA = {"formulation": "data/log-snr"}

TITLES = {
    "stretched-adams": "Stretched Adams",
    "unip": "UniP, the predictor of UniPC",
    "unic": "UniC on Adams-Bashforth",
    "dpm-solver-single": "DPM-Solver(++), single-step",
    "single-step": "DPM-Solver(++), an interval an evaluation",
    "hochbruck-ostermann": "Stiff exponential Runge-Kutta",
    "stsp": "Strang splitting as published",
}
"""Titles of families whose summaries do not begin with one that is short."""

GROUPS: dict[str, dict[str, list[dict[str, Any]]]] = {
    "Multistep": {
        "ddim": [{}],
        "ab": [*_orders(2, 3, 4), *_orders(2, 3, **DATA), *_orders(3, formulation="velocity/time")],
        "plms": _orders(2, 4),
        "pndm": _orders(4),
        "fpndm": _orders(4),
        "ipndm-v": _orders(2, 4),
        "lms": _orders(2, 4),
        "deis": [*_orders(2, 3), *_orders(3, variant="log-rho"), *_orders(3, variant="time")],
        "dpm-solver": _orders(2, 3),
        "dpmpp": [*_orders(2, 3), *_orders(2, rule="half"), *_orders(3, rule="3m")],
        "flow-euler": [{}],
        "flow-ab": _orders(2, 3),
    },
    "Multistep with momentum": {
        "hb": [*_orders(1, 2), *_orders(2, **DATA)],
        "nt": [*_orders(1, 2), *_orders(2, **DATA)],
        "ghvb": [*_orders(1, 2, 3, 4, beta="4/5"), *_orders(2, beta="4/5", **DATA)],
        "filtered-adams": [*_orders(2, 3, beta="4/5")],
        "stretched-adams": [{}, {"real_interval": 6}],
    },
    "Predictor and corrector": {
        "pec": [*_orders(2, 3), *_orders(2, **DATA)],
        "adams-moulton": _orders(2, 4),
        "unipc": [*_orders(1, 2, 3), *_orders(2, 3, rule="bh2")],
        "unip": _orders(2, 3),
        "unic": _orders(2, 3),
    },
    "Runge-Kutta": {
        "heun": [{}, {"formulation": "data/ratio"}],
        "midpoint": [{}],
        "ralston": [{}],
        "kutta3": [{}],
        "ralston3": [{}],
        "heun3": [{}],
        "vdh3": [{}],
        "ssprk3": [{}],
        "ssprk43": [{}],
        "rk4": [{}, {"formulation": "velocity/time"}],
        "kutta38": [{}],
        "rho-rk": [{"tableau": name} for name in ("2heun", "3kutta", "4rk")],
        "flow-heun": [{}],
        "flow-midpoint": [{}],
    },
    "Exponential Runge-Kutta": {
        "dpm-solver-single": [*_orders(2, 3), *_orders(2, 3, formulation="noise/log-snr")],
        "single-step": [*_orders(2, 3), *_orders(3, formulation="noise/log-snr")],
        "res": _orders(2, 3),
        "hochbruck-ostermann": _orders(2, 3, 4),
        "etd": [{"tableau": "ETD4RK"}, {"tableau": "Krogstad4"}],
    },
    "With noise": {
        "ddim": [{"eta": 1}],
        "ddpm": [{"variance": name} for name in ("fixed-small", "fixed-large")],
        "ancestral": [{}],
        "dpm2-ancestral": [{}],
        "dpmpp-2s-ancestral": [{}],
        "dpmpp-sde": [{}],
        "sde-dpm-solver": _orders(1, 2),
        "sde-dpmpp": _orders(1, 2, 3),
        "sa-solver": _orders(2, 3),
        "seeds": _orders(1, 2),
        "edm-stochastic": [{}],
        "euler-churn": [{}],
        "sit": [{}],
    },
    "Splitting of the condition": {
        "ltsp": _orders(1, 2, 4),
        "stsp": _orders(1, 2, 4),
        "strang": [{}, {"outer": "model"}],
    },
    "Exactly invertible": {"bdia": [{}, {"gamma": 0.5}]},
}
"""Members by group and family."""


@dataclass(frozen=True)
class Offer:
    """A member on offer: its key in links and file names, its family, what makes it, and how it is listed."""

    key: str
    group: str
    family: str
    options: dict[str, Any]

    @property
    def label(self) -> str:
        """The options in words, or "default"."""
        parts = [_words(name, value) for name, value in self.options.items()]
        return ", ".join(parts) or "default"

    def method(self) -> Method:
        """Build the method."""
        exact = {k: Fraction(v) if k == "beta" else v for k, v in self.options.items()}
        return FAMILIES[self.family].build(**exact)


def _words(name: str, value: Any) -> str:
    return str(value) if name in ("formulation", "tableau") else f"{name.replace('_', ' ')} {value}"


def _key(family: str, options: dict[str, Any]) -> str:
    parts = [family, *(str(value) for value in options.values())]
    return "_".join(part.replace("/", "-").replace(".", "p") for part in parts).lower()  # fit for links and files


def offers() -> list[Offer]:
    """Return every member on offer, in the order of the lists."""
    return [
        Offer(_key(family, options), group, family, options)
        for group, families in GROUPS.items()
        for family, members in families.items()
        for options in members
    ]


def summary_of(offer: Offer) -> str:
    """Return what the family says of itself, without the noise that it can add where the member adds none."""
    summary = FAMILIES[offer.family].summary
    return _capital(summary if offer.method().stochastic else summary.removesuffix(", with noise"))


def titles() -> dict[str, str]:
    """Return short titles of the families: the heads of their summaries, with the key where two have the same."""
    heads = {key: TITLES.get(key) or _head(family.summary) for key, family in FAMILIES.items()}
    often = Counter(heads.values())
    return {key: head if often[head] == 1 else f"{head} ({key})" for key, head in heads.items()}


def _head(summary: str) -> str:
    head = re.split(r"[:,]| in ", re.sub(r" \([^)]*\)", "", summary))[0]
    return _capital(head)


def _capital(text: str) -> str:
    return text if text[1:2].isupper() else text[:1].upper() + text[1:]  # iPNDM_v keeps its small letter


def preset_of(offer: Offer, steps: int) -> nd.optimize.TimeSteps | None:
    """Return the optimized steps of a member that ship with numdiff, None where there are none."""
    if offer.key not in PRESETS:
        return None
    try:
        return nd.optimize.preset("vp-linear", steps, PRESETS[offer.key])
    except ValueError:  # no preset for this number of steps
        return None
