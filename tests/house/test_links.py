"""The links between pages lead to a page that is there, and to a heading that it has."""

import re
from pathlib import Path

import pytest

from ..support.paths import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def anchors(page: str) -> set[str]:
    """The names by which GitHub reaches the headings of a page."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(FENCED.sub("", page))
    }


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_link_leads_somewhere(path: Path) -> None:
    lost = []
    for link in LINK.findall(FENCED.sub("", path.read_text())):
        if re.match(r"[a-z]+:", link):
            continue  # elsewhere
        name, _, anchor = link.partition("#")
        to = path.parent / name if name else path
        if not to.exists() or (anchor and to.suffix == ".md" and anchor not in anchors(to.read_text())):
            lost.append(link)
    assert lost == []


def test_each_page_is_reached_from_the_readme() -> None:
    reached, ahead = set(), [ROOT / "README.md"]
    while ahead:
        path = ahead.pop()
        if path not in reached:
            reached.add(path)
            links = LINK.findall(FENCED.sub("", path.read_text())) if path.name != "CHANGELOG.md" else []
            ahead += [to for link in links if (to := (path.parent / link.partition("#")[0]).resolve()) in PAGES]
    assert [str(path.relative_to(ROOT)) for path in PAGES if path not in reached] == []


def test_headings_are_reached_by_their_words() -> None:
    page = "# A `b` -- and *C*: d?\n```sh\n# no heading\n```\n## 4. Repair\n"
    assert anchors(page) == {"a-b----and-c-d", "4-repair"}
