"""The code in README and CONTRIBUTING runs as printed."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_code_blocks_run(name):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)
    assert blocks
    scope: dict = {"__name__": "document"}
    for block in blocks:
        exec(compile(block, name, "exec"), scope)


def test_contributed_method_has_the_claimed_analysis():
    """The worked example of CONTRIBUTING states order 1, error constant 1/4 and real interval 4/3."""
    import numdiff as nd

    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    scope: dict = {"__name__": "document"}
    exec(blocks[0], scope)
    method = scope["AveragedAdams"]()
    assert nd.order.certified(method) == 1
    assert nd.order.error_constant(method) * 4 == 1
    assert nd.stability.real_interval(method) * 3 == 4
