r"""The formula of a docstring, which is plain text, as LaTeX: one equation a line.

Symbols are those of `numdiff.answers.prose.formula`; roots, accents and the few words between the symbols are added
here. Four spaces separate equations, or an equation from where it holds.
"""

from __future__ import annotations

import re

from numdiff.answers.prose import formula

WORDS = "for at order one step of the predictor from each by midpoint rule where gives"
"""Words that are words and no products of symbols."""

_PLAIN = re.compile(rf'("[^"]*"|`\w+`|(?:\b(?:{"|".join(WORDS.split())})\b:?\s*)+)')
_AFTER = (
    (r"(\\[a-z]+|[A-Za-z])\\sim(?![a-z])", r"\\tilde{\1}"),
    (r"(\\[a-z]+|[A-Za-z])\\hat\{\}", r"\\hat{\1}"),
    (r"\\text\{(log)\}", r"\\\1"),
    (r"\\text\{(chi)\}", r"\\\1"),
    (r"(?<![A-Za-z\\{])(up)(?![A-Za-z])", r"\\mathrm{\1}"),
    (r"\\text\{(\w+)\}", r"\\mathrm{\1}"),
    (r"(?<![\w}])(\d*[hd])/(\d+) (?=[fg])", r"\\tfrac{\1}{\2} "),
)
"""What `formula` makes of accents and names, and what they are here."""


def align(text: str) -> str:
    """Return a docstring's formula as an ``aligned`` environment."""
    lines: list[str] = []
    for piece in re.split(r"\n|\s{4,}|\s+(?=\((?:m <|where ))", text.strip()):
        made = tex(piece.strip())
        if lines and _condition(piece):
            lines[-1] += rf" \quad {made}"
        else:
            lines.append(made)
    body = r" \\ ".join(f"& {line.rstrip(',')}" for line in lines)
    return rf"\begin{{aligned}} {body} \end{{aligned}}"


def _condition(piece: str) -> bool:
    """Tell whether a piece says where the one before it holds, or goes on with it."""
    return " = " not in piece or bool(re.match(r"for |\[|[a-z] = \d, ", piece))


def tex(text: str) -> str:
    """Return one equation as LaTeX."""
    head, root, rest = text.partition("sqrt(")
    if not root:
        return _worded(text)
    end = _closing(rest)
    return rf"{_worded(head)}\sqrt{{{tex(rest[:end])}}}{tex(rest[end + 1 :])}"


def _closing(text: str) -> int:
    """Return where the parenthesis that is open before `text` closes."""
    depth = 1
    for at, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return at
    raise ValueError(f"a parenthesis in the formula {text!r} does not close")


def _worded(text: str) -> str:
    parts = _PLAIN.split(text.replace("drho", "d rho"))
    return "".join(_words(part) if i % 2 else _symbols(part) for i, part in enumerate(parts))


def _words(text: str) -> str:
    if text[0] == "`":
        return rf"\mathtt{{{text.strip('`')}}}"
    return rf"\text{{ {text.strip()} }}" if text[0] != '"' else rf"\quad \text{{{text}}}"


def _symbols(text: str) -> str:
    found = formula(text)
    for pattern, made in _AFTER:
        found = re.sub(pattern, made, found)
    return found
