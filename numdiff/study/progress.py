"""How far a study is: bars on a terminal, plain lines anywhere else (and where tqdm is not installed).

Everything goes to standard error. Plain lines come at most every few seconds, so that a log stays short.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

EVERY = 5.0
"""Seconds between two plain lines of one stage."""


class Progress:
    """Reports on stages and on the units inside a stage.

    Parameters
    ----------
    stream
        Where to write; standard error if not given.
    quiet
        Say nothing at all.
    """

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.quiet = quiet
        self.bar: Any = None
        self.title, self.total, self.done, self.spoke = "", 0, 0, 0.0

    def say(self, text: str) -> None:
        """Write one line, above the bar if there is one."""
        if self.quiet:
            return
        if self.bar is not None:
            self.bar.write(text, file=self.stream)
        else:
            print(text, file=self.stream, flush=True)

    def advance(self, text: str = "") -> None:
        """Count one unit of the present stage as done; `text` says what it was."""
        self.done += 1
        if self.bar is not None:
            self.bar.set_postfix_str(text, refresh=False)
            self.bar.update()
        elif time.monotonic() - self.spoke > EVERY:
            self.spoke = time.monotonic()
            self.say(f"  {self.title}: {self.done}/{self.total} {text}".rstrip())

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[None]:
        """Show a stage of `total` units while the block runs, and say how long it took."""
        began = time.monotonic()
        self.title, self.total, self.done, self.spoke = title, total, 0, began
        self.bar = self._bar(title, total)
        if self.bar is None:
            self.say(f"{title} ...")
        try:
            yield
        finally:
            if self.bar is not None:
                self.bar.close()
                self.bar = None
        self.say(f"{title}: done in {time.monotonic() - began:.1f} s")

    def _bar(self, title: str, total: int) -> Any:
        if self.quiet or not self.stream.isatty():
            return None
        try:
            from tqdm import tqdm
        except ModuleNotFoundError:
            return None
        return tqdm(total=total, desc=title, file=self.stream, leave=False, dynamic_ncols=True, unit="")
