"""Running the command line within the process."""

from numdiff import cli


def run(capsys, *arguments):
    """Return (exit code, standard output, standard error)."""
    code = cli.main([str(a) for a in arguments])
    found = capsys.readouterr()
    return code, found.out, found.err


def answer(capsys, *arguments):
    code, out, err = run(capsys, *arguments)
    assert (code, err) == (0, ""), err
    return out
