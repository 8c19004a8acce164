"""The tutorial for users of Dapr works, with Dapr's Python SDK: `make test-sdks` runs it."""

from pathlib import Path

import pytest

from ..support.docs.blocks import blocks
from ..support.docs.reader import Reader
from ..support.paths import ROOT
from .test_walks import Walk, until, walk_block

SDK = ROOT / ".venv-dapr-1.19/bin/python"
PAGE = "docs/tutorials/from-dapr.md"

pytestmark = pytest.mark.skipif(not SDK.exists(), reason="make test-sdks makes the environment with the SDK")


@pytest.mark.slow
def test_the_tutorial_for_users_of_dapr_works(tmp_path: Path) -> None:
    begun = 0
    waiting = {"perdure show order-1": until("perdure show order-1", "approval")}
    with Reader(tmp_path, sdk=SDK) as reader:
        for block in blocks(PAGE):
            begun += "perdure daprd" in block.text
            if begun == 2 and "perdure daprd" in block.text:  # as the text before it says
                reader.kill()
            walk_block(block, Walk(goes_on=True, runs=("python app.py",)), waiting, reader)
    assert begun == 2
