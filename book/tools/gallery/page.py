"""One page of the gallery in MyST Markdown."""

from __future__ import annotations

from html import escape
from typing import Any

from book.computed.gallery_work_precision import SCALE, measure
from book.tools.gallery import calls, figures, general, links, words
from book.tools.gallery.drawing import figure
from book.tools.gallery.facts import Facts
from book.tools.gallery.markup import equal, span, typed
from book.tools.gallery.regions import drift
from book.tools.results import origin, stored
from book.tools.show import Table
from numdiff.cli import documentation
from numdiff.formulations import NOISE_RATIO
from numdiff.methods import FAMILIES, Method, SingleStep
from numdiff.methods.registry import catalogue

RESULT = "gallery_work_precision"
STEPS = 10
"""Intervals of the grid whose evaluations are listed."""

NUMBERS = {2: "two", 3: "three", 4: "four"}

MEASURES = {
    "flow": ("error of the flow", "root mean square error of x/alpha"),
    "law": ("energy distance", "energy distance"),
    "guided": ("error of the guided flow", "root mean square error of x"),
}
"""What a work-precision figure shows, for a table and for an axis."""

SCALED = {"noise": (r"x/\alpha", r"-x/\sigma"), "data": (r"x/\sigma", r"x/\alpha"), "velocity": ("x", "x")}
"""X = x/kappa by prediction, without and with an exponential."""

PREDICTED = {"noise": r"\varepsilon", "data": "x_0", "velocity": r"\mathrm{d}x/\mathrm{d}t"}
VARIABLES = {"rho": r"\sigma/\alpha", "log-snr": r"\log(\alpha/\sigma)", "inverse-rho": r"\alpha/\sigma", "time": "t"}
PHI = r"$\varphi_k(z) = \int_0^1 e^{(1-r)z} r^{k-1}/(k-1)!\,\mathrm{d}r$."

APART = r", \; "
"""Between an interval and its end, where a line may break."""

MEAN = r"$X' = cX + (1 + \tau^2) zX$, $\tau$ the level of the noise"
ERROR, STABILITY = 'see <a href="#order-and-error">below</a>', 'see <a href="#stability">below</a>'
"""Where a value that has no room in the first table is."""


def page(name: str, facts: Facts) -> str:
    """Return the page of a family."""
    family = FAMILIES[name]
    method = family.member()
    parts = [
        f"# {name}",
        f"**{words.markdown(words.capital(family.summary))}.** {_aliases(family.aliases)}",
        _top(name, method, facts),
        "## Formula",
        _formula(name, method, facts),
        "## Coefficients",
        _coefficients(method, facts),
        "## Order and error",
        _order(method, facts),
        "## Stability",
        _stability(method, facts),
        "## Spectral response",
        _spectral(facts),
        "## Work and precision",
        _work(name, method),
        "## Published and repaired",
        _published(name),
        "## Names elsewhere",
        _names(name),
        "## Options",
        _options(name),
        "## Run it",
        _run(name, method, facts),
        "## References",
        _references(name, method),
    ]
    return "\n\n".join(parts) + "\n"


def raw(html: str) -> str:
    """Return HTML for a page of Markdown."""
    return f"```{{raw}} html\n{html}\n```"


def _aliases(names: tuple[str, ...]) -> str:
    return f"Also {', '.join(f'`{one}`' for one in names)}." if names else ""


def folded(title: str, html: str) -> str:
    """Return HTML that is shown after a click on its title."""
    return raw(f'<details class="nd-more"><summary>{title}</summary>{html}</details>')


# --- what it is -------------------------------------------------------------------------------------------------------


def _top(name: str, method: Method, facts: Facts) -> str:
    """Return the claims and the main numbers, the region beside them, and where to see more."""
    region = [raw(figure(facts["region"]["value"], _shaded(method, facts)))] if facts["region"]["value"] else []
    side = "\n\n".join([_glance(name, method, facts), *region])
    claims = documentation.of(name, method).claims
    said = f"What it claims: {words.markdown(claims)}" if claims else ""
    return "\n\n".join(filter(None, [f"````{{div}} nd-top\n{side}\n````", _elsewhere(name, method, facts), said]))


def _shaded(method: Method, facts: Facts) -> str:
    """Return the caption of the stability region: the equation is the method's own."""
    found = facts["region"]
    c, factor = drift(method)
    linear = {0: "", 1: "X + ", -1: "-X + "}.get(c, f"{c} X + ")
    equation = f"X' = {linear}{'' if factor == 1 else factor} z X"
    who, stay = ("the mean of the steps", "stays") if method.stochastic else ("steps", "stay")
    length = "1" if found["h"] is None else f"{span('h = {:g}'.format(found['h']))} in log-SNR"
    empty = " The set has no interior: it is the interval on the imaginary axis." if found["share"] < 1e-3 else ""
    return (
        f"Stability region. Shaded: all {span('z')} for which {who} of length {length} on "
        f"{span(equation)} {stay} bounded. Thick lines: the stability intervals on the axes.{empty}"
    )


def _elsewhere(name: str, method: Method, facts: Facts) -> str:
    """Return the links to the explorer and to the playground, with the member that is shown here."""
    found = []
    if facts["region"]["value"]:
        fragment = escape(links.explorer(name, method, exponential=facts["region"]["h"] is not None))
        found.append(f'<a href="../../explore/stability.html#{fragment}">See it in the stability explorer</a>')
    run = links.playground(name, method)
    if run is not None:
        fragment, nfe = run
        address = f"../../explore/playground.html#{fragment}"
        found.append(f'<a href="{address}">Run it in the playground</a> beside DDIM, with {nfe} evaluations')
    return raw(f"<p>{'. '.join(found)}.</p>") if found else ""


def _glance(name: str, method: Method, facts: Facts) -> str:
    """Return the claims and the main numbers."""
    weak = "none: it adds no noise" if method.weak_order is None else str(method.weak_order)
    rows = [
        ["shown here", f"`{calls.call(name)}`: {words.literal(method.name)}"],
        ["formulation", _formulation(method)],
        ["order", _ordered(method, facts)],
        ["weak order", weak],
        ["evaluations", f"{evaluations(method)}; {method.nfe(STEPS)} for a grid of {STEPS} intervals"],
        ["error constant", exact(facts["constant"], ERROR)],
        ["real interval", interval(facts, "real", r"(-x^*, 0), \; x^*", STABILITY)],
        ["imaginary interval", interval(facts, "imaginary", r"(-\mathrm{i}y^*, \mathrm{i}y^*), \; y^*", STABILITY)],
    ]
    return words.table(["quantity", name], rows)


def evaluations(method: Method) -> str:
    """Return how many evaluations a step takes, and where steps span several grid intervals how many of these."""
    several = isinstance(method, SingleStep) and method.stages > 1
    return f"{method.stages} a step" + (f" of {NUMBERS[method.stages]} grid intervals" if several else "")


def _ordered(method: Method, facts: Facts) -> str:
    known = facts["order"]["number"]
    if known is None:
        return f"{method.order} claimed"
    verb = "proved" if facts["order"]["certified"] else "that of consistency; zero-stability is not decided"
    claim = "" if known == method.order else f"; {method.order} claimed"
    return f"{known:g} ({verb}, with exact starts on equal steps{claim})"


def exact(found: dict[str, Any], instead: str = "") -> str:
    """Return an exact value as Markdown, or why there is none, which `instead` may point to."""
    if found["latex"]:
        return f"${_cell(found['latex'])}$"
    return f"none; {instead}" if instead else f"none: {words.markdown(found['why'])}"


def interval(facts: Facts, what: str, sign: str, instead: str = "") -> str:
    """Return an interval's end in closed form, and as a number where the step length is in it."""
    found, region = facts[what], facts["region"]
    number = region[what] if region["value"] else None
    at = "" if number is None or region["h"] is None else f"${number:.4g}$ at $h = {region['h']:g}$"
    if found["latex"]:
        return f"${equal(sign, _cell(found['latex']))}$".replace(APART, "$, $") + (f"; {at}" if at else "")
    if not at:
        return exact(found, instead)
    return f"${sign} =$ {at}; no formula in $h$ is proved".replace(APART, "$, $")


def _end(facts: Facts, what: str, letter: str) -> str:
    """Return an interval's end as a formula of its own, with the number where the step length is in it."""
    found, region = facts[what], facts["region"]
    named = f"{what.capitalize()} interval"
    if not found["latex"]:
        return f"{named}: {interval(facts, what, f'{letter}^*')}."
    at = "" if region["h"] is None else f" ${region[what]:.4g}$ at $h = {region['h']:g}$,"
    return f"{named}:{at}\n\n$$\n{equal(f'{letter}^*', found['latex'])}\n$$"


def _cell(code: str) -> str:
    return code.replace("|", r"\vert ")


def _formulation(method: Method) -> str:
    found = method.formulation
    if found is None:
        return "noise/ratio on noise schedules, velocity/time on flows and plain ODEs, unless another is given"
    return f"{found.name}"


def _formula(name: str, method: Method, facts: Facts) -> str:
    said = documentation.of(name, method)
    own = f"$$\n{general.align(said.formula)}\n$$\n\n{words.symbols(said.symbols)}"
    found = facts["formula"]
    if found["value"] is None:
        return f"{own}\n\nThere is no one step to typeset: {words.markdown(found['why'])}."
    form = method.formulation or NOISE_RATIO
    X, f = SCALED[form.prediction][form.c != 0], PREDICTED[form.prediction]
    notes = ["$h$ is the length of the step in $s$."]
    notes += ["A tilde marks what is predicted."] if "tilde" in found["value"] else []
    notes += ["Index $n, i$ is stage $i$ of step $n$."] if "," in found["value"] else []
    notes += ["$g$ is the condition's field."] if " g_" in found["value"] else []
    notes += ["The noise of the step is left out: this is its mean."] if method.stochastic else []
    notes += [PHI] if "varphi" in found["value"] else []
    return (
        f"One step among equal ones, read off the tableau that runs, for $X = {X}$ and $f = {f}$ in the variable "
        f"$s = {VARIABLES[form.variable]}$:\n\n$$\n\\begin{{aligned}} {found['value']} \\end{{aligned}}\n$$\n\n"
        f"{' '.join(notes)}\n\nThe general form:\n\n{own}"
    )


def _coefficients(method: Method, facts: Facts) -> str:
    parts = [f"$$\n{facts['array']}\n$$"] if facts["array"] else []
    parts.append(folded("The same as a list", facts["coefficients"]) if facts["array"] else raw(facts["coefficients"]))
    if facts["any grid"]:
        parts.append(folded("On any grid", facts["any grid"]))
    if facts["beta"]:
        parts.append(folded("With the damping as a symbol", facts["beta"]))
    return "\n\n".join(parts)


def _order(method: Method, facts: Facts) -> str:
    parts = [f"Order: {_ordered(method, facts)}."]
    if facts["order"]["why"]:
        parts.append(f"A proof is missing: {words.markdown(facts['order']['why'])}.")
    if facts["constant"]["why"] != facts["order"]["why"] or facts["constant"]["latex"]:
        parts.append(f"Error constant: {exact(facts['constant'])}.")
    if method.weak_order is not None:
        parts.append(f"Weak order, that of expectations given the first sample: {method.weak_order} claimed.")
    if not facts["order"]["why"] or facts["order"]["why"] not in facts["leading"]:
        parts.append(raw(facts["leading"]))
    if "for every beta" in facts:
        parts.append(_every_beta(facts["for every beta"]))
    return "\n\n".join(parts)


def _every_beta(found: dict[str, Any]) -> str:
    rows = [[what, exact(value)] for what, value in found.items()]
    return f"{words.table(['for every beta', 'value'], rows)}\n\n{_defined(list(found.values()))}".rstrip()


def _defined(found: list[dict[str, Any]]) -> str:
    """Return what the names in some values stand for."""
    pairs = [pair for value in found for pair in value.get("definitions", [])]
    return "\n\n".join(f"$$\n{code}\n$$\n\n{words.markdown(text)}." for code, text in pairs)


# --- figures ----------------------------------------------------------------------------------------------------------


def _stability(method: Method, facts: Facts) -> str:
    found = facts["region"]
    if found["value"] is None:
        text = f"There is no stability region in one variable: {words.markdown(found['why'])}."
        return text + ("" if found["why"] in facts["diffusion"] else f"\n\n{raw(facts['diffusion'])}")
    values = "\n\n".join(_end(facts, what, letter) for what, letter in (("real", "x"), ("imaginary", "y")))
    notes = _defined([facts["real"], facts["imaginary"]])
    mean = f"These are intervals of the mean, which obeys {MEAN}." if method.stochastic else ""
    parts = [mean, values, notes, "The region is drawn at the top of this page.", raw(facts["diffusion"])]
    return "\n\n".join(filter(None, parts))


def _spectral(facts: Facts) -> str:
    found = facts["spectral"]
    if found["value"] is None:
        return f"There is no response to Gaussian data here: {words.markdown(found['why'])}."
    caption = (
        "What runs on the VP-linear schedule, steps uniform in log-SNR, make of data "
        f"{typed('N(0, s^2)')}: the standard deviation at the end over the exact one, exactly computed from an exact "
        "start, the sampler's own noise included. 1 is right; below it variance is lost. The curves are cut at 3."
    )
    return raw(figure(found["value"], caption))


def _work(name: str, method: Method) -> str:
    kind, result = measure(method), stored(RESULT)
    curves = result["curves"][kind]
    if name not in curves:
        return "No run at 5 to 50 evaluations gave a finite error on these problems."
    short, label = MEASURES[kind]
    plot = figures.work_precision_plot(name, curves, label)
    rows = figures.best(curves[name])
    table = Table([[n, error, grid] for n, error, grid in rows], ["evaluations", short, "grid"], f"Errors of {name}")
    alt = f"{short} of {method.name} against model evaluations, beside DDIM: {rows[0][1]:.2g} at {rows[0][0]}"
    alt += f", {rows[-1][1]:.2g} at {rows[-1][0]}"
    picture = figure(plot.svg(alt, f"{name}-w"), _explained(kind, result))
    return f"{raw(picture + table._repr_html_())}\n\n{origin(RESULT)}."


def _explained(kind: str, result: dict[str, Any]) -> str:
    """Say what the errors are."""
    names = ", ".join(result["problems"])
    mean = f"Geometric mean over four exact mixtures ({names})"
    best = f"of the best of the grids {', '.join(result['grids'])} for each number of evaluations."
    if kind == "law":
        return (
            f"{mean} {best} The sampler adds noise, so what is compared is laws: the energy distance between sets of "
            f"384 samples, {result['floor']:.2g} for two sets of exact samples, below which differences say nothing."
        )
    if kind == "guided":
        return (
            f"{mean} {best} The method splits guidance off, so it follows the exactly guided flow at scale {SCALE:g}; "
            "an evaluation of the model and one of the condition count alike, and DDIM evaluates their sum."
        )
    return f"{mean} {best} The truth is the exact flow, the model is exact: this is what the numerics do."


# --- names, options, code ---------------------------------------------------------------------------------------------


def _published(name: str) -> str:
    family = FAMILIES[name]
    shown = family.status(family.example)
    parts = [f"The member shown here: {words.markdown(shown)}."]
    if family.published and family.published != shown:
        parts.append(f"The family: {words.markdown(family.published)}.")
    variants = [(_setting(options) or "other options", words.markdown(text)) for options, text in family.variants]
    return "\n\n".join([*parts, "\n".join(f"- with {setting}: {text}" for setting, text in variants)]).rstrip()


def _setting(options: dict[str, Any]) -> str:
    return ", ".join(f"`{key}={catalogue.shown(key, value)}`" for key, value in options.items())


def _names(name: str) -> str:
    found = catalogue.of_family(name)
    if not found:
        return "No library in the catalogue has a sampler of this family under a name of its own."
    rows = [[f"`{one.name}`", one.library, f"`{calls.described(one)}`", words.markdown(one.note)] for one in found]
    return words.table(["name", "where", "what it builds", "what differs"], rows)


def _options(name: str) -> str:
    rows = [[f"`{o}`", f"`{default}`", words.markdown(meaning)] for o, default, meaning in words.options(name)]
    return words.table(["option", "default", "meaning"], rows) if rows else "The family has no options."


def _run(name: str, method: Method, facts: Facts) -> str:
    commands = "\n".join(calls.shell(name, facts))
    return f"```python\n{calls.code(name, method)}```\n\nFrom the shell:\n\n```text\n{commands}\n```"


def _references(name: str, method: Method) -> str:
    said, keys = words.references(name, method)
    return f"{words.markdown(said)}\n\n{{cite:p}}`{','.join(keys)}`"
