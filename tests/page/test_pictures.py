"""Pictures of each view, light and dark, for the documentation:

    make pictures

Without the variable PICTURES they are taken and thrown away: what is tested is that each can be taken, and is small.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from ..support.paths import ROOT
from ..support.processes.daemon import Daemon
from .browsing import Visitor, told
from .conftest import SHOP
from .stores import asked

pytestmark = pytest.mark.slow

BYTES_MAX = 60 * 1024
QUALITY = 72
SIZE = (1280, 800)

# The folders of the machine that takes the pictures do not stand in them.
ELSEWHERE = """folder => {
  const texts = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(folder, '/srv/shop');
}"""

# Name of the picture -> the view, and what is to be seen in it.
PICTURES = {
    "overview": ("", "By workflow"),
    "instances": ("instances", "event approval"),
    "failure": ("instances/payout-2", "CardDeclined"),
    "instance": ("instances/order-1", "ship"),
    "events": ("instances/payout-2?tab=events", "task failed"),
    "tree": ("instances/report-1?tab=tree", "report-1:0001"),
    "workflows": ("workflows", "NightlyReport"),
    "activities": ("activities", "charge"),
    "workers": ("workers", "No remote worker"),
    "hosts": ("hosts", "local"),
    "store": ("store", "Configuration"),
    "audit": ("audit", "the warehouse is closed"),
    "operations": ("operations", "There have been no operations"),
    "start": ("start/Checkout", "What a customer wants."),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_view_has_a_picture(browser: Any, shop: Daemon, tmp_path: Path, scheme: str) -> None:
    image = pytest.importorskip("PIL.Image")
    named = os.environ.get("PICTURES")
    folder = ROOT / named if named else tmp_path
    folder.mkdir(exist_ok=True)
    sizes = {}
    with Visitor(browser, shop.url, scheme=scheme, width=SIZE[0], height=SIZE[1]) as visitor:
        for name, (path, text) in PICTURES.items():
            visitor.open(path)
            visitor.see(text)
            for place in (SHOP, Path(asked(shop, "system")["configuration"]["data"])):
                visitor.page.evaluate(ELSEWHERE, str(place.parent))
            taken, packed = tmp_path / f"{name}.png", folder / f"{name}-{scheme}.webp"
            visitor.picture(taken)
            with image.open(taken) as picture:
                picture.save(packed, quality=QUALITY, method=6)
            sizes[f"{packed.name} [bytes]"] = packed.stat().st_size
    told(sizes)
    assert max(sizes.values()) < BYTES_MAX


def test_the_documentation_has_each_picture_in_light_and_dark() -> None:
    there = {path.name for path in (ROOT / "docs/pictures").glob("*.webp")}
    assert there == {f"{name}-{scheme}.webp" for name in PICTURES for scheme in ("light", "dark")}
