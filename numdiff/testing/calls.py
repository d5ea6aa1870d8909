"""A call of `assert_order`, written so that it can be pasted: to fail again, and to look for the cause.

Numbers, names and options are written out. What has no text of its own, a path, a function that draws noise, is called
what its argument is called, and the sampler by its name if it is a function, else ``sampler``: the names that it most
likely has where the assertion stands.
"""

from __future__ import annotations

import ast
import inspect
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numdiff.certification.measure import Layout
from numdiff.certification.subject import Setting, Subject
from numdiff.methods.base import Method
from numdiff.problems.paths import Path

DEFAULTS = {"norm": "rms", "tolerance": 0.3, "at_least": False}
"""Of `assert_order`; what has its default is not written."""

STEPS = (24, 32, 48, 64, 96, 128, 192, 256, 384)
"""Numbers of steps of a measurement: 0.3 seconds for a method of numdiff."""


@dataclass(frozen=True)
class Call:
    """The arguments of `assert_order`, as they were given; the layout as it was understood."""

    sampler: Any
    order: Any
    path: Path | None
    steps: tuple[int, ...]
    layout: Layout
    setting: Setting | None
    norm: str
    tolerance: Any
    at_least: bool
    options: Mapping[str, Any]

    def again(self) -> list[str]:
        """Return the line that makes the same runs, and what it cannot write out."""
        parts = [self._name(), str(self.order)]
        if self.path is not None:
            parts.append("path=path")
        parts += [*self._laid(), f"steps={self.steps}"]
        if self.setting is not None:
            parts.append(f"setting={self._setting()}")
        given = {name: getattr(self, name) for name in DEFAULTS}
        parts += [f"{name}={value!r}" for name, value in given.items() if value != DEFAULTS[name]]
        parts += _keywords(self.options)
        kept = [name for name in ("path", "setting") if f"{name}={name}" in parts]
        where = [f"with the {' and the '.join(kept)} that it was given"] if kept else []
        return [f"again: assert_order({', '.join(parts)})", *where]

    def remedy(self, alone: bool) -> str:
        """Return what looks for the cause.

        Parameters
        ----------
        alone
            Whether there is no sampler, only its errors.
        """
        if alone:
            return "give assert_order the sampler itself, and numdiff certify can look for the cause"
        python = f"numdiff.certification.certify({self._subject()}{self._asked()})"
        spec = self._spec()
        if spec is None or self.path is not None or not all(map(_plain, self.options.values())):
            return python
        return self._command(spec) if isinstance(self.sampler, str) else f"{python}, or {self._command(spec)}"

    def _name(self) -> str:
        """Return what the sampler is called where the assertion stands."""
        if isinstance(self.sampler, str):
            return repr(self.sampler)
        name = getattr(self.sampler, "__name__", "")
        named = inspect.isfunction(self.sampler) or inspect.isclass(self.sampler)
        return name if named and name.isidentifier() else "sampler"

    def _laid(self) -> list[str]:
        if self.layout == Layout():
            return []
        if self.layout.variable != "log-snr":
            return [f"layout=numdiff.certification.{self.layout!r}"]
        seed = [f"seed={self.layout.seed}"] if self.layout.seed else []
        return [f"layout={self.layout.pattern!r}", *seed]

    def _setting(self) -> str:
        plain = self.setting is not None and self.setting.noise is None
        return f"numdiff.certification.{self.setting!r}" if plain else "setting"

    def _subject(self) -> str:
        """Return the expression that certify takes: it makes no subjects but of methods."""
        if isinstance(self.sampler, Subject):
            return self._name()
        return f"numdiff.testing.subject_of({', '.join([self._name(), *_keywords(self.options)])})"

    def _claim(self) -> int | None:
        """Return the order as a claim, which is a whole number."""
        return int(self.order) if self.order == int(self.order) else None

    def _rough(self) -> str | None:
        """Return the grid of a certificate that the layout is; None for equal steps and what it has not."""
        if self.layout.variable == "log-snr":
            return None if self.layout.pattern == "uniform" else self.layout.pattern
        return self.layout.variable if self.layout.pattern == "uniform" and self.layout.variable != "time" else None

    def _asked(self) -> str:
        """Return the further arguments of certify."""
        found = [] if self._claim() is None else [str(self._claim())]
        found += ["path=path"] if self.path is not None else []
        found += [f"steps={self.steps}"] if self.steps != STEPS else []
        if self._rough() is not None:
            found += [f"patterns=({self._rough()!r},)", *([f"seed={self.layout.seed}"] if self.layout.seed else [])]
        return "".join(f", {part}" for part in found)

    def _spec(self) -> str | None:
        """Return the name under which the command line finds the sampler, if it does."""
        if isinstance(self.sampler, str):
            return self.sampler
        module, name = (getattr(self.sampler, key, "") for key in ("__module__", "__qualname__"))
        if isinstance(self.sampler, (Subject, Method)) or module in ("", "__main__") or not name.isidentifier():
            return None
        return f"{module}:{name}"

    def _command(self, spec: str) -> str:
        """Return the command line; paths are left to it."""
        words = ["numdiff", "certify", spec]
        words += [] if self._claim() is None else ["--order", str(self._claim())]
        for name, value in self.options.items():
            words += ["--set", f"{name}={value}"]
        words += ["--steps", ",".join(map(str, self.steps))] if self.steps != STEPS else []
        if (rough := self._rough()) is not None:
            words += ["--grids", rough, *(["--seed", str(self.layout.seed)] if self.layout.seed else [])]
        return shlex.join(words)


def _keywords(options: Mapping[str, Any]) -> list[str]:
    """Return options as keyword arguments, by their names where their values have no text."""
    return [f"{name}={value!r}" if _plain(value) else f"{name}={name}" for name, value in options.items()]


def _plain(value: Any) -> bool:
    """Tell whether a value is a literal, so that its text is the value again."""
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (SyntaxError, ValueError):
        return False
