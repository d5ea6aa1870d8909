"""What a gallery page says about a method, derived from its tableau: text, LaTeX and pictures as plain data.

Deriving everything takes half a minute, so it is kept in ``book/_build/cache`` under a hash of the source that it
depends on: numdiff's, and this package's.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import sympy as sp

import numdiff as nd
from book.computed.gallery_work_precision import measure
from book.tools.gallery import figures, formula, regions, two_fields
from book.tools.gallery.markup import answer_html, span, typed
from book.tools.pages import BOOK, write
from numdiff.answers import ask
from numdiff.answers.render import show
from numdiff.answers.summary import derive
from numdiff.methods import FAMILIES
from numdiff.methods.exponential_runge_kutta import ExponentialRungeKutta
from numdiff.methods.runge_kutta import RungeKutta
from numdiff.methods.single_step import SingleStep
from numdiff.symbolic import latex

BETA = sp.Symbol("beta", positive=True)
DAMPED = ("hb", "nt", "ghvb", "filtered-adams")
"""Families whose damping may be a symbol."""

WRITERS = ("__init__", "calls", "general", "links", "overview", "page", "words")
"""Modules of this package that only write down what is derived here."""

ANY_GRID = "any grid"
"""How the labels of coefficients on any grid begin."""

DOLLARS = re.compile(r"\$(.+?)\$")
UNPROVED = "no one formula for the interval could be proved"
"""What the diffusion interval says where it has numbers only."""

SLOPES = {
    "low": r"smallest $\kappa$",
    "high": r"largest $\kappa$",
    "low, of x_0": r"smallest $\kappa$ of $x_0$",
    "high, of x_0": r"largest $\kappa$ of $x_0$",
    "low, of eps": r"smallest $\kappa$ of $\varepsilon$",
    "high, of eps": r"largest $\kappa$ of $\varepsilon$",
    "of kappa in eps = kappa x/sigma": r"in $\varepsilon = \kappa x/\sigma$",
    "of kappa in x_0 = kappa x/alpha": r"in $x_0 = \kappa x/\alpha$",
    "1 - kappa, for eps = kappa x/sigma": r"$1 - \kappa$, for $\varepsilon = \kappa x/\sigma$",
    "1 - kappa, for x_0 = kappa x/alpha": r"$1 - \kappa$, for $x_0 = \kappa x/\alpha$",
    "kappa = 0 is neutral": r"$\kappa = 0$ is neutral",
    "kappa = 1 is neutral": r"$\kappa = 1$ is neutral",
}
"""Cells of the table of the diffusion interval, which are plain text, and how they are typeset."""

SEVERAL = "evaluates two fields, the model and the condition, and this is defined for methods of one"

Facts = dict[str, Any]


def all_facts() -> dict[str, Facts]:
    """Return the facts of every family of the registry, from the cache where nothing has changed."""
    path = BOOK / "_build" / "cache" / f"gallery-{fingerprint()}.json"
    if path.exists():
        return json.loads(path.read_text())
    found = {name: facts(name) for name in FAMILIES}
    for old in path.parent.glob("gallery-*.json"):
        old.unlink(missing_ok=True)
    write(path, json.dumps(found))
    return found


def fingerprint() -> str:
    """Return a hash of the source that facts are derived by, and of the names of the families."""
    digest = hashlib.sha256(" ".join(FAMILIES).encode())
    own = [path for path in Path(__file__).parent.glob("*.py") if path.stem not in WRITERS]
    for path in sorted([*Path(nd.__file__).parent.rglob("*.py"), *own]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def facts(name: str) -> Facts:
    """Return everything about a family's member that is derived."""
    method = FAMILIES[name].member()
    found: Facts = {
        **_coefficients(method),
        "leading": _leading(method),
        "diffusion": two_fields.stability_html(method) if splits(method) else diffusion(name, method),
        "beta": _answer(_damped(name), "coefficients") if name in DAMPED else "",
        "formula": _told(lambda: formula.align(method)),
        "array": formula.butcher(method) if isinstance(method, RungeKutta | ExponentialRungeKutta | SingleStep) else "",
        **_theory(method),
        **_for_every_beta(name),
        **_region(method),
    }
    spectral = _told(lambda: figures.spectral_plot(figures.spectral(method)).svg(_spectral_alt(method), f"{name}-s"))
    return {**found, "spectral": spectral}


def _told(question: Callable[[], Any]) -> dict[str, Any]:
    """Return the value of a question, or the reason why there is none."""
    try:
        return {"value": question(), "why": ""}
    except ValueError as error:
        return {"value": None, "why": sentence(str(error))}


def sentence(text: str) -> str:
    """Return a reason without what only concerns somebody who programs."""
    text = re.split(r"; (?:use|give|choose|narrow|drop|see) ", text)[0]
    text = re.sub(r"evaluates the fields \['', 'condition'\].*", SEVERAL, text)
    return re.sub(r"the scheme evaluates several fields.*", f"it {SEVERAL}", text).rstrip(".")


def value(x: Any, why: str = "", number: float | None = None) -> dict[str, Any]:
    """Return an exact value as LaTeX and number, or why there is none."""
    if x is None:
        return {"latex": "", "number": number, "why": sentence(why)}
    exact = sp.sympify(x)
    known = float(exact) if number is None and exact.is_number else number
    return {"latex": show(x, latex.names([x])).latex, "number": known, "why": "", **_definitions([x])}


def _definitions(values: list[Any]) -> dict[str, Any]:
    return {"definitions": [(show(equation).latex, words) for equation, words in latex.definitions(values)]}


def _theory(method: Any) -> Facts:
    """Return order, error constant and intervals."""
    try:
        found = derive(method)
    except ValueError as error:
        missing = value(None, str(error))
        return {"order": missing, "constant": missing, "real": missing, "imaginary": missing}
    notes = dict(note.partition(": ")[::2] for note in found.notes)
    lines = {"constant": "error constant", "real": "real interval", "imaginary": "imaginary interval"}
    values = (found.error_constant, found.real, found.imaginary)
    return {
        "order": value(found.order, number=found.order) | {"certified": found.certified},
        **{key: value(x, notes.get(what, "")) for (key, what), x in zip(lines.items(), values, strict=True)},
    }


def _damped(name: str) -> Any:
    return FAMILIES[name].build(**{**FAMILIES[name].example, "beta": BETA})


def _for_every_beta(name: str) -> Facts:
    """Return the intervals and the error constant with the damping as a symbol."""
    if name not in DAMPED:
        return {}
    method = _damped(name)
    questions = {
        "error constant": nd.order.error_constant,
        "real interval": nd.stability.real_interval,
        "imaginary interval": nd.stability.imaginary_interval,
    }
    return {"for every beta": {what: value(**_asked(question, method)) for what, question in questions.items()}}


def _asked(question: Callable[[Any], Any], method: Any) -> dict[str, Any]:
    told = _told(lambda: question(method))
    return {"x": told["value"], "why": told["why"]}


def _region(method: Any) -> Facts:
    """Return the stability region as a figure and as a thumbnail, with its intervals."""
    try:
        found = regions.region(method)
    except ValueError as error:
        return {"region": {"value": None, "why": sentence(str(error))}, "thumbnail": ""}
    alt = (
        f"Stability region of {method.name}: real interval to {-found.real:.3g}, imaginary interval to "
        f"{found.imaginary:.3g} on either side"
    )
    plot = regions.plot(found).svg(alt, "region")
    numbers = {"share": found.share, "real": found.real, "imaginary": found.imaginary, "h": found.h}
    return {"region": {"value": plot, "why": "", **numbers}, "thumbnail": regions.thumbnail(found)}


def _spectral_alt(method: Any) -> str:
    runs = ", ".join(map(str, figures.RUNS))
    return f"Standard deviation that {method.name} gives Gaussian data over the exact one, for runs of {runs} steps"


def splits(method: Any) -> bool:
    """Tell whether a method evaluates the condition apart from the model."""
    return measure(method) == "guided"


def _coefficients(method: Any) -> Facts:
    """Return the coefficients, those for any grid apart."""
    try:
        found = ask(method, "coefficients")
    except ValueError as error:
        return {"coefficients": f"<p>{typed(sentence(str(error)))}.</p>", "any grid": "", "tabulated": False}
    parts = {ANY_GRID: [], "": []}  # type: ignore[var-annotated]
    for line in found.lines:
        parts[ANY_GRID if line.label.startswith(ANY_GRID) else ""].append(line)
    main = replace(found, lines=tuple(parts[""]))
    apart = replace(found, title=f"{found.title} on any grid", lines=tuple(parts[ANY_GRID]), notes=())
    return {
        "coefficients": answer_html(main),
        "any grid": answer_html(apart) if apart.lines else "",
        "tabulated": True,
    }


def diffusion(name: str, method: Any) -> str:
    """Return the interval on the diffusion test problem, or what gives it as numbers where no formula is proved."""
    try:
        found = answer_html(ask(method, "diffusion-interval"))
    except ValueError as error:
        if UNPROVED not in str(error):
            return f"<p>{typed(sentence(str(error)))}.</p>"
        return (
            f"<p>On the diffusion test problem (levels equally spaced by {span('h')} in log-SNR) no single formula for "
            f"the interval holds for every {span('h < 1')}; <code>{command(name)} --topic diffusion-interval --step "
            f"{_numbered(method):g}</code> gives numbers.</p>"
        )
    for plain, said in SLOPES.items():
        found = found.replace(f"<td>{typed(plain)}</td>", f"<td>{re.sub(DOLLARS, lambda one: span(one[1]), said)}</td>")
    return found


def _numbered(method: Any) -> float:
    """Return a step length for which the diffusion interval has numbers: filters cannot follow long steps."""
    for h in (regions.STEP, 0.2, 0.1):
        try:
            nd.stability.diffusion_interval(method, h=h)
        except ValueError:
            continue
        return h
    raise ValueError(f"{method} has no diffusion interval at h = {h}")


def command(name: str) -> str:
    """Return the command that derives what a family's page says."""
    given = FAMILIES[name].example.items()
    return f"numdiff derive {name}" + "".join(f" --{key} {x}" for key, x in given if key in ("order", "beta"))


def _leading(method: Any) -> str:
    if splits(method):
        return two_fields.order_html(method)
    return _answer(method, "stiff-order" if method.kernel else "leading-error")


def _answer(method: Any, topic: str) -> str:
    """Return an answer as HTML, or the reason why there is none as a sentence."""
    try:
        return answer_html(ask(method, topic))
    except ValueError as error:
        return f"<p>{typed(sentence(str(error)))}.</p>"
