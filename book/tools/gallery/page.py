"""One page of the gallery in MyST Markdown."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from book.computed.gallery_work_precision import SCALE, measure
from book.tools.gallery import figures, words
from book.tools.gallery.drawing import figure
from book.tools.gallery.facts import Facts
from book.tools.gallery.markup import equal, span, typed
from book.tools.results import origin, stored
from book.tools.show import Table
from numdiff.cli import documentation
from numdiff.cli.methods import constructed
from numdiff.formulations import NOISE_RATIO
from numdiff.methods import FAMILIES, Method
from numdiff.methods.registry import catalogue

RESULT = "gallery_work_precision"
STEPS = 10
"""Steps whose evaluations are listed."""

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

ERROR, STABILITY = 'see <a href="#order-and-error">below</a>', 'see <a href="#stability">below</a>'


def page(name: str, facts: Facts) -> str:
    """Return the page of a family."""
    family = FAMILIES[name]
    method = family.member()
    parts = [
        f"# {name}",
        f"**{words.markdown(family.summary[0].upper() + family.summary[1:])}.** {_aliases(family.aliases)}",
        _glance(name, method, facts),
        "## Formula",
        _formula(name, method, facts),
        "## Coefficients",
        _coefficients(method, facts),
        "## Order and error",
        _order(method, facts),
        "## Stability",
        _stability(name, method, facts),
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
        _run(name, method),
        "## References",
        _references(name, method),
    ]
    return "\n\n".join(parts) + "\n"


def raw(html: str) -> str:
    """Return HTML for a page of Markdown."""
    return f"```{{raw}} html\n{html}\n```"


def _aliases(names: tuple[str, ...]) -> str:
    return f"Also {', '.join(f'`{one}`' for one in names)}." if names else ""


# --- what it is -------------------------------------------------------------------------------------------------------


def _glance(name: str, method: Method, facts: Facts) -> str:
    """Return the claims and the main numbers."""
    weak = "none: it adds no noise" if method.weak_order is None else str(method.weak_order)
    rows = [
        ["shown here", f"`{call(name)}`: {words.literal(method.name)}"],
        ["formulation", _formulation(method)],
        ["order", _ordered(method, facts)],
        ["weak order", weak],
        ["evaluations", f"{method.stages} a step, {method.nfe(STEPS)} for {STEPS} steps"],
        ["error constant", exact(facts["constant"], 'see <a href="#order-and-error">below</a>')],
        ["real interval", interval(facts, "real", r"(-x^*, 0), \; x^*", 'see <a href="#stability">below</a>')],
        [
            "imaginary interval",
            interval(
                facts, "imaginary", r"(-\mathrm{i}y^*, \mathrm{i}y^*), \; y^*", 'see <a href="#stability">below</a>'
            ),
        ],
    ]
    claims = documentation.of(name, method).claims
    return words.table(["quantity", name], rows) + (f"\n\nWhat it claims: {words.markdown(claims)}" if claims else "")


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
        return f"${equal(sign, _cell(found['latex']))}$" + (f"; {at}" if at else "")
    return f"${sign} =$ {at}; no formula in $h$ is proved" if at else exact(found, instead)


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
    own = f"```text\n{said.formula}\n```\n\n{words.markdown(said.symbols)}"
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
    parts.append(raw(facts["coefficients"]))
    if facts["beta"]:
        parts += ["With the damping as a symbol:", raw(facts["beta"])]
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


def _stability(name: str, method: Method, facts: Facts) -> str:
    found = facts["region"]
    if found["value"] is None:
        text = f"There is no stability region in one variable: {words.markdown(found['why'])}."
        return text + ("" if found["why"] in facts["diffusion"] else f"\n\n{raw(facts['diffusion'])}")
    length = "" if found["h"] is None else f" at steps of length h = {found['h']:g} in log-SNR"
    empty = " The set has no interior: it is the interval on the imaginary axis." if found["share"] < 1e-3 else ""
    equation = typed("`X' = c X + z X`")
    caption = (
        f"Shaded: all {span('z')} for which steps on {equation} stay bounded{length}. The thick lines are the "
        f"stability intervals on the axes.{empty}"
    )
    link = f'<a href="../../explore/stability.html#method={name}">See it in the stability explorer</a>'
    values = "\n\n".join(_end(facts, what, letter) for what, letter in (("real", "x"), ("imaginary", "y")))
    notes = _defined([facts["real"], facts["imaginary"]])
    parts = [values, notes, raw(figure(found["value"], caption)), f"{link}.", raw(facts["diffusion"])]
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
    rows = [[f"`{one.name}`", one.library, f"`{described(one)}`", words.markdown(one.note)] for one in found]
    return words.table(["name", "where", "what it builds", "what differs"], rows)


def described(alias: catalogue.Alias) -> str:
    """Return the call that builds what a name stands for."""
    return call(alias.family, alias.options)


def _options(name: str) -> str:
    rows = [[f"`{o}`", f"`{default}`", words.markdown(meaning)] for o, default, meaning in words.options(name)]
    return words.table(["option", "default", "meaning"], rows) if rows else "The family has no options."


def call(name: str, options: dict[str, Any] | None = None) -> str:
    """Return the call that makes a member, the example unless options are given."""
    given = FAMILIES[name].example if options is None else options
    return f"nd.method({', '.join([repr(name), *(f'{key}={literal(value)}' for key, value in given.items())])})"


def literal(value: Any) -> str:
    """Return a value as Python: fractions as decimals where they are finite ones."""
    if isinstance(value, Fraction):
        return repr(float(value)) if Fraction(repr(float(value))) == value else f"Fraction({value})"
    return repr(value) if isinstance(value, (str, int, float, tuple)) or value is None else constructed(value)


def code(name: str, method: Method) -> str:
    """Return a program that draws samples with a family's member."""
    flow = getattr(method.formulation, "prediction", "") == "velocity" and not method.stochastic
    schedule, prediction = ("Flow", "velocity") if flow else ("VPLinear", "noise")
    grid = "uniform_t(schedule, steps=10, t_end=0.01)" if flow else "uniform_log_snr(schedule, steps=10)"
    two = measure(method) == "guided"
    more = ", noise=nd.noise.Seeded(7)" if method.stochastic else ', fields={"condition": push}' if two else ""
    condition = "push = mixture.condition(schedule, component=0, scale=4.0)\n" if two else ""
    return (
        "import numpy as np\nimport numdiff as nd\n\n"
        f"method = {call(name)}\nschedule = nd.schedules.{schedule}()\n"
        f"scheme = method.discretize(schedule, nd.grids.{grid})\n\n"
        "centres = [[-1.0, 0.0], [1.0, 0.5]]\n"
        "mixture = nd.problems.GaussianMixture([0.4, 0.6], centres, [0.04, 0.09])\n"
        f'model = mixture.model(schedule, prediction="{prediction}")\n{condition}'
        "x_T = np.random.default_rng(0).standard_normal((1000, 2))\n"
        f'x0 = nd.sample(scheme, model, x_T, prediction="{prediction}"{more})\n'
    )


def _run(name: str, method: Method) -> str:
    shell = f"numdiff methods {name}\nnumdiff derive {name}"
    shell += "".join(f" --{key} {value}" for key, value in FAMILIES[name].example.items() if key in ("order", "beta"))
    return f"```python\n{code(name, method)}```\n\nFrom the shell:\n\n```text\n{shell}\n```"


def _references(name: str, method: Method) -> str:
    said, keys = words.references(name, method)
    return f"{words.markdown(said)}\n\n{{cite:p}}`{','.join(keys)}`"
