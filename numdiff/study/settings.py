"""What a study computes: every choice that decides a number, as frozen data.

A method is named by a `Spec`, text and integers only, so that settings can be written into the results and hashed; a
damping is a fraction such as "4/5". `FULL` is the study, `FAST` the same in seconds for continuous integration.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

SYMBOL = "beta"
"""The damping that stays a symbol."""


@dataclass(frozen=True)
class Spec:
    """A method by its family, as the command line names it.

    Parameters
    ----------
    label
        What tables and legends call it.
    family
        A name of `numdiff.methods.FAMILIES`.
    order, beta, formulation, weights, rule, variant
        Options of the family; None leaves the family's default.
    base
        The method under heavy-ball or Nesterov momentum; None for Adams-Bashforth of this order.

    Examples
    --------
    >>> from numdiff import study
    >>> print(study.Spec("GHVB3", "ghvb", 3, beta="4/5").method())
    GHVB3(4/5)
    >>> print(study.Spec("mine", "hb", beta="1/2", base=study.Spec("2M", "dpmpp", 2, rule="half")).method())
    HB(AB2 data/log-snr half, 1/2)
    """

    label: str
    family: str
    order: int | None = None
    beta: str | None = None
    formulation: str | None = None
    weights: str | None = None
    rule: str | None = None
    variant: str | None = None
    base: Spec | None = None

    def method(self) -> Any:
        """Return the method.

        Raises
        ------
        ValueError, TypeError
            For a family, an option or a value that does not exist.
        """
        names = ("order", "beta", "formulation", "weights", "rule", "variant")
        options = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if "beta" in options:
            options["beta"] = _number(options["beta"])
        return build(self.family, options, None if self.base is None else self.base.method())


def _number(text: str) -> Any:
    if text != SYMBOL:
        return Fraction(text)
    import sympy

    return sympy.Symbol(SYMBOL)


def build(family: str, options: dict[str, Any], base: Any = None) -> Any:
    """Return a method of a family, with momentum around `base` if one is given.

    Raises
    ------
    ValueError, TypeError
        For a family, an option or a value that does not exist, or a base where none is possible.
    """
    from numdiff.methods import FAMILIES, HeavyBall, Nesterov, method

    if base is None:
        return method(family, **options)
    wraps: dict[str, Any] = {"hb": HeavyBall, "nt": Nesterov}
    for name, wrap in wraps.items():
        if family.lower() in (name, *FAMILIES[name].aliases):
            left = sorted(set(options) - {"beta"})
            if left:
                raise ValueError(f"{left[0]} belongs to the base {base.name}, not to the momentum around it")
            return wrap(base, beta=options.get("beta", Fraction(4, 5)))
    raise ValueError(f"method {family!r} has no base; only hb and nt are built around one")


@dataclass(frozen=True)
class SchemeSettings:
    """Stage 1: which schemes are derived."""

    adams: tuple[int, ...] = (1, 2, 3, 4, 5)
    heavy_ball: tuple[int, ...] = (1, 2, 3, 4)
    ghvb: tuple[int, ...] = (1, 2, 3, 4, 5)
    nesterov: tuple[int, ...] = (1, 2)
    betas: tuple[str, ...] = (SYMBOL, "4/5", "1/2", "1/5")


@dataclass(frozen=True)
class RegionSettings:
    """Stage 2: stability regions of heavy ball on PLMS and of GHVB."""

    orders: tuple[int, ...] = (1, 2, 3, 4)
    betas: tuple[str, ...] = ("1", "4/5", "1/2", "1/5")
    points: int = 301


_AB3 = Spec("AB3", "ab", 3)
_PLMS3 = Spec("PLMS3 (published)", "plms", 3)
_GHVB3 = Spec("GHVB3(4/5)", "ghvb", 3, "4/5")
_GHVB3_PUBLISHED = Spec("GHVB3(4/5) (published)", "ghvb", 3, "4/5", weights="uniform")


@dataclass(frozen=True)
class OrderSettings:
    """Stage 3: observed orders.

    Parameters
    ----------
    odes, mixtures
        Names of the problems.
    steps
        Numbers of steps of the runs.
    points
        Samples per mixture.
    ode_methods, mixture_methods
        What runs on them.
    ode_cases, mixture_cases
        Pairs (start, grid).
    """

    odes: tuple[str, ...] = ("riccati", "chirp")
    mixtures: tuple[str, ...] = ("correlated",)
    steps: tuple[int, ...] = (30, 60, 120, 240, 480)
    points: int = 32
    ode_methods: tuple[Spec, ...] = (
        Spec("AB1", "ab", 1),
        Spec("AB2", "ab", 2),
        _AB3,
        _PLMS3,
        Spec("AB4", "ab", 4),
        Spec("HB(AB2, 4/5)", "hb", 2, "4/5"),
        Spec("NT(AB2, 4/5)", "nt", 2, "4/5"),
        Spec("GHVB2(4/5)", "ghvb", 2, "4/5"),
        _GHVB3,
        _GHVB3_PUBLISHED,
        Spec("GHVB4(4/5)", "ghvb", 4, "4/5"),
        Spec("Heun", "heun"),
        Spec("RK4", "rk4"),
    )
    ode_cases: tuple[tuple[str, str], ...] = (
        ("lower", "uniform"),
        ("runge-kutta", "uniform"),
        ("exact", "uniform"),
        ("runge-kutta", "alternating"),
    )
    mixture_methods: tuple[Spec, ...] = (
        Spec("DDIM", "ddim"),
        _AB3,
        _PLMS3,
        Spec("HB(AB2, 4/5)", "hb", 2, "4/5"),
        _GHVB3,
        _GHVB3_PUBLISHED,
        Spec("GHVB3(4/5) data", "ghvb", 3, "4/5", "data/log-snr"),
        Spec("DPM-Solver++ 2M (half)", "dpmpp", 2, rule="half"),
        Spec("DPM-Solver++ 3M (exact)", "dpmpp", 3),
        Spec("Heun", "heun"),
    )
    mixture_cases: tuple[tuple[str, str], ...] = (
        ("lower", "log-snr"),
        ("runge-kutta", "log-snr"),
        ("runge-kutta", "alternating"),
    )


_PLMS4 = Spec("PLMS4", "plms", 4)
_2M = Spec("DPM-Solver++ 2M", "dpmpp", 2, rule="half")


@dataclass(frozen=True)
class DigitsSettings:
    """Stage 4: the trained model.

    Parameters
    ----------
    model
        "digits", or the path of a saved denoiser.
    samples
        Number of samples, spread evenly over the classes.
    nfe
        Numbers of evaluations; a method of s evaluations a step makes ``nfe // s`` steps.
    grids
        Names of the time grids; the first one is shown in the text.
    methods
        What is compared.
    reference_steps
        Steps of the reference solution; its error is estimated from half as many steps and from another method.
    pictures
        Samples shown per method, one a class.
    """

    model: str = "digits"
    samples: int = 500
    nfe: tuple[int, ...] = (5, 8, 10, 20)
    grids: tuple[str, ...] = ("uniform-t", "log-snr", "quadratic")
    methods: tuple[Spec, ...] = (
        Spec("DDIM", "ddim"),
        _PLMS4,
        Spec("AB4 variable", "ab", 4),
        Spec("HB(PLMS4, 0.8)", "hb", beta="4/5", base=_PLMS4),
        Spec("NT(PLMS4, 0.8)", "nt", beta="4/5", base=_PLMS4),
        Spec("GHVB4(0.8) published", "ghvb", 4, "4/5", weights="uniform"),
        Spec("GHVB3(0.8) published", "ghvb", 3, "4/5", weights="uniform"),
        Spec("GHVB3(0.8) variable", "ghvb", 3, "4/5"),
        Spec("GHVB3(0.8) data", "ghvb", 3, "4/5", "data/log-snr"),
        Spec("DEIS-3 log-rho", "deis", 3, variant="log-rho"),
        _2M,
        Spec("HB(DPM-Solver++ 2M, 0.8)", "hb", beta="4/5", base=_2M),
        Spec("DPM-Solver++ 3M exact", "dpmpp", 3),
        Spec("Heun", "heun"),
    )
    reference_steps: int = 200
    pictures: int = 10


@dataclass(frozen=True)
class Settings:
    """A whole study.

    Parameters
    ----------
    name
        "full" or "fast"; for the report.
    seed
        Seed of every random number.
    guidance
        Strengths of classifier-free guidance; 1 is none.
    schemes, regions, orders, digits
        What the four stages compute.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from numdiff import study
    >>> quick = replace(study.FAST, name="mine", seed=3, guidance=(1.0,))
    >>> [stage.name for stage in study.stages(quick)]
    ['schemes', 'regions', 'orders', 'digits-guidance-1']
    """

    name: str = "full"
    seed: int = 0
    guidance: tuple[float, ...] = (1.0, 4.0)
    schemes: SchemeSettings = field(default_factory=SchemeSettings)
    regions: RegionSettings = field(default_factory=RegionSettings)
    orders: OrderSettings = field(default_factory=OrderSettings)
    digits: DigitsSettings = field(default_factory=DigitsSettings)


#: The study.
FULL = Settings()


def _fast() -> Settings:
    orders, digits = FULL.orders, FULL.digits
    return Settings(
        name="fast",
        schemes=replace(
            FULL.schemes, adams=(1, 2, 3, 4), heavy_ball=(1, 2), ghvb=(1, 2, 3), nesterov=(1,), betas=(SYMBOL, "4/5")
        ),
        regions=replace(FULL.regions, points=121),
        orders=replace(
            orders,
            odes=("riccati",),
            steps=(20, 40, 80, 160),
            points=8,
            ode_methods=tuple(s for s in orders.ode_methods if s.label in ("AB1", "AB2", "AB3", "GHVB3(4/5)", "Heun")),
            ode_cases=(("lower", "uniform"), ("runge-kutta", "alternating")),
            mixture_methods=(_AB3, _PLMS3, _GHVB3, _GHVB3_PUBLISHED),
            mixture_cases=(("runge-kutta", "log-snr"),),
        ),
        digits=replace(
            digits,
            samples=50,
            grids=("uniform-t",),
            reference_steps=40,
            methods=tuple(s for s in digits.methods if s.formulation is None and s.label != "AB4 variable"),
        ),
    )


#: The same in seconds, for continuous integration.
FAST = _fast()
