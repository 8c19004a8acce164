"""The page of exports tells of each key of a line, and its files are what it says."""

import json
import re

from perdure.runtime.history.event import TimerFired
from perdure.runtime.history.row import Row
from perdure.runtime.operations.steering.exported import turn_lines

from ..support.paths import ROOT


def test_the_page_of_exports_names_every_key_of_a_line() -> None:
    page = (ROOT / "docs/exports.md").read_text()
    everything = Row(1, None, [TimerFired(1, 1)], 1, ("go",))
    (line,) = turn_lines(0, everything)
    in_the_table = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert in_the_table == json.loads(line).keys() - {"turn", "event", "held"}
    assert '`"held":true`' in page
