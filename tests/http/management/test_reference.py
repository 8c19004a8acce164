"""The reference page of the management API is up to date."""

from perdure.http.management.app import ENDPOINTS
from perdure.http.management.endpoint import PREFIX
from perdure.http.management.reference import reference

from ...support.paths import ROOT

PAGE = ROOT / "docs" / "reference" / "api.md"


def test_the_page_is_what_the_command_makes() -> None:
    hint = "python -m perdure.http.management.reference > docs/reference/api.md"
    assert PAGE.read_text() == reference(), hint


def test_each_route_is_in_it() -> None:
    page = PAGE.read_text()
    for endpoint in ENDPOINTS:
        assert f"### `{endpoint.method} {PREFIX}{endpoint.path}`" in page


def test_its_lines_are_short() -> None:
    assert [line for line in PAGE.read_text().splitlines() if len(line) > 100 and " " in line.strip("* ")[:90]] == []
