"""The blocking client is the output of its generator."""

import ast

import pytest

from ..support.blocking_twin import TWINS, Twin, make
from ..support.paths import ROOT


@pytest.mark.parametrize("twin", TWINS, ids=lambda each: each.path)
def test_what_lies_there_is_what_the_command_makes(twin: Twin) -> None:
    hint = "python tests/support/blocking_twin.py"
    # Compared without its layout, which is ruff's.
    assert ast.dump(ast.parse((ROOT / twin.path).read_text())) == ast.dump(ast.parse(make(twin))), hint
