"""The command line: ``numdiff derive | stability | order | certify | timesteps | sample | methods | study``.

What a command *does* lives in the library; a command parses, calls and prints. Parsing imports NumPy and the registry
of methods only, so that ``numdiff --help`` answers at once; a command imports what it needs when it runs.

Exit codes:

    0    done
    1    internal failure: a bug, or an environment that is broken
    2    a mistake of the user: an unknown name, a value out of range, a file that cannot be read or written
    3    a claim does not hold, and ``certify --strict`` was asked to say so
    130  interrupted

A mistake is answered by one line on standard error, ``numdiff: error: ...``, that names the argument, the value and the
remedy, and by one such line for each topic without an answer; ``--debug`` shows where it was raised. Results go to
standard output, progress to standard error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from numdiff.cli.messages import in_options
from numdiff.cli.parser import build, parse
from numdiff.cli.values import RefutedError, UnansweredError, UsageError

OK, INTERNAL, MISTAKE, REFUTED, INTERRUPTED = 0, 1, 2, 3, 130

__all__ = ["INTERNAL", "INTERRUPTED", "MISTAKE", "OK", "REFUTED", "UsageError", "build", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    argv
        The arguments without the program's name; ``sys.argv[1:]`` if not given.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    debug = "--debug" in arguments
    try:
        options = parse(arguments)
        options.command(options)
        sys.stdout.flush()
    except SystemExit as leave:  # --help and --version
        return int(leave.code or 0)
    except KeyboardInterrupt as interrupt:
        return _complain(f"interrupted; {interrupt}" if str(interrupt) else "interrupted", INTERRUPTED, debug)
    except BrokenPipeError:
        return _closed_pipe()
    except RefutedError as refuted:
        sys.stdout.flush()
        return _complain(str(refuted), REFUTED, debug)
    except UnansweredError as refused:
        return max(_complain(f"error: {_line(one)}", MISTAKE, debug) for one in refused.each)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        return _complain(f"error: {_line(error)}", MISTAKE, debug)
    except Exception as error:
        text = f"internal error: {type(error).__name__}: {_line(error)} (--debug shows the traceback)"
        return _complain(text, INTERNAL, debug)
    return OK


def _line(error: BaseException) -> str:
    """Return the message as one line."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return in_options(" ".join(str(error).split())) or type(error).__name__


def _complain(text: str, code: int, debug: bool) -> int:
    if debug and code not in (REFUTED, INTERRUPTED):
        import traceback

        traceback.print_exc()
    print(f"numdiff: {text}", file=sys.stderr)
    return code


def _closed_pipe() -> int:
    """Leave quietly when the reader (``head``) has gone; what Python still flushes at exit goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return OK
