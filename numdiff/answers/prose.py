r"""Sentences with mathematics in them, for text, Markdown and LaTeX.

What stands between backticks is mathematics as a line of text writes it: "`mu_m = h int_0^1 e^{ch(1-u)} u^m du`".
`plain` takes the marks away, `typeset` puts the fragment between dollar signs as LaTeX. Outside of them single symbols
are recognized where they cannot be words: with an index or a power, as mu_{m+1} or h^4, with a star, as x*, or a Greek
letter with its arguments, as rho(zeta).

In a fragment words of one or two letters are products of symbols, Greek names and int, sum, max are what they say,
longer words are text, and phi is always written as \varphi.
"""

from __future__ import annotations

import re
from collections.abc import Callable

GREEK = (
    *("alpha", "beta", "gamma", "delta", "zeta", "eta", "theta", "kappa", "lambda", "mu"),
    *("nu", "xi", "pi", "rho", "sigma", "tau", "phi", "psi", "omega"),
)

_FUNCTIONS = {"int": r"\int", "sum": r"\sum", "max": r"\max", "min": r"\min", "exp": r"\exp", "infinity": r"\infty"}
_COMMANDS = _FUNCTIONS | {name: rf"\{name}" for name in GREEK} | {"phi": r"\varphi"}
_SIGNS = {"...": r"\ldots", "->": r"\to", "<=": r"\le", ">=": r"\ge", "!=": r"\ne", "|": r"\vert", "\\": r"\backslash"}
_SIGNS |= {"~": r"\sim", "≈": r"\approx", "*": r"\cdot"}
_SIGNS |= {c: "\\" + c for c in "{}%#&$"}

_SCRIPT = re.compile(r"[_^](?:\{[^{}]*\}|\([^()]*\)|[A-Za-z0-9]+|\*)")
_TOKEN = re.compile(r"root\d+|[A-Za-z]+|\.\.\.|->|[<>!]=|\s+|.", re.DOTALL)

_NAMES = "|".join(name for name in GREEK if name != "pi")
_INDEX = r"[_^](?:[A-Za-z0-9]+|\{[A-Za-z0-9_^+*/(), -]*\}|\([A-Za-z0-9+-]*\))"
_ARGUMENT = rf"(?:{_NAMES}|[a-z])"
_SYMBOL = re.compile(
    rf"(?<![\w\\])(?:(?:{_NAMES}|[A-Za-z])(?:{_INDEX})+(?![\w{{])"
    rf"|(?:{_NAMES}|pi)\({_ARGUMENT}(?:, {_ARGUMENT})*\)|[a-z]\*(?![\w*]))"
)


def plain(body: str) -> str:
    """Return a sentence without the marks around its mathematics."""
    return re.sub(r"`([^`\n]+)`", r"\1", body)


def typeset(body: str, escaped: Callable[[str], str]) -> str:
    """Return a sentence with its mathematics between dollar signs, and what is between them `escaped`."""
    parts = re.split(r"`([^`\n]+)`", body)
    return "".join(f"${formula(part)}$" if i % 2 else _symbols(part, escaped) for i, part in enumerate(parts))


def _symbols(body: str, escaped: Callable[[str], str]) -> str:
    parts, end = [], 0
    for found in _SYMBOL.finditer(body):
        parts += [escaped(body[end : found.start()]), f"${formula(found[0])}$"]
        end = found.end()
    return "".join([*parts, escaped(body[end:])])


def formula(body: str) -> str:
    """Return mathematics that a line of text writes, as LaTeX without dollar signs."""
    parts, at = [], 0
    while at < len(body):
        token = _TOKEN.match(body, at)
        assert token is not None
        at = token.end()
        if re.match(r"\*(?![\w(])", body[at:]) and token[0].isalpha():
            scripts, at = ["^*"], at + 1
        else:
            scripts = []
        while script := _SCRIPT.match(body, at):
            scripts.append(script[0])
            at = script.end()
        parts.append(_atom(token[0]) + _scripts(scripts))
        if parts[-1].startswith("\\") and parts[-1][-1].isalpha() and body[at : at + 1].isalnum():
            parts.append(" ")
    return "".join(parts)


def _atom(token: str) -> str:
    if token in _COMMANDS:
        return _COMMANDS[token]
    if token.isalpha() and token.isascii() and len(token) > 2:
        return rf"\text{{{token}}}"
    if token.startswith("root") and token[4:].isdigit():
        return rf"\operatorname{{root}}_{{{token[4:]}}}"
    return _SIGNS.get(token) or token.replace("_", r"\_").replace("^", r"\hat{}")


def _scripts(scripts: list[str]) -> str:
    """Return indices, then powers."""
    bodies = [(script[0], script[1:].strip("{}")) for script in sorted(scripts, reverse=True)]
    return "".join(f"{kind}{{{'*' if body == '*' else formula(body)}}}" for kind, body in bodies)
