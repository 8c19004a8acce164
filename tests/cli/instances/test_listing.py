"""`perdure ls` and `perdure count`."""

import pytest

from .conftest import Run


@pytest.fixture
def three(run: Run, new_id: str) -> list[str]:
    """Three instances that wait, the oldest first."""
    ids = [f"{new_id}-{n}" for n in range(3)]
    for instance_id in ids:
        assert run("start", "waits", "--id", instance_id, "--tag", f"t={new_id}").code == 0
    return ids


def test_a_list_is_a_table_ids_or_json(run: Run, new_id: str, three: list[str]) -> None:
    header, *rows = run("ls", "--id-prefix", new_id).lines
    assert header.split() == ["ID", "NAME", "STATUS", "AGE", "CHANGED"]
    assert [row.split()[:3] for row in rows] == [[each, "waits", "RUNNING"] for each in reversed(three)]
    assert run("ls", "--id-prefix", new_id, "-o", "ids", "--order", "created").lines == three
    items = run("ls", "--tag", f"t={new_id}", "-o", "json").json
    assert [item["id"] for item in items] == three[::-1]
    assert items[0]["tags"] == {"t": new_id}


def test_a_wide_list_says_what_each_waits_for(run: Run, new_id: str, three: list[str]) -> None:
    said = run("ls", "--id-prefix", new_id, "-o", "wide")
    assert said.out.count("event approval") == 3


def test_a_list_stops_at_its_limit_and_says_so(run: Run, new_id: str, three: list[str]) -> None:
    said = run("ls", "--id-prefix", new_id, "-o", "ids", "--limit", "2")
    assert len(said.lines) == 2
    assert "There are more" in said.err
    assert len(run("ls", "--id-prefix", new_id, "-o", "ids", "--limit", "0").lines) == 3
    assert run("ls", "--id-prefix", f"{new_id}-none", "-o", "ids").out == ""


def test_filters_are_those_of_the_api(run: Run, new_id: str, three: list[str]) -> None:
    run("suspend", three[0])
    assert run("ls", "--id-prefix", new_id, "--status", "suspended", "-o", "ids").lines == three[:1]
    assert run("ls", "--id-prefix", new_id, "--status", "!suspended", "-o", "ids").lines == three[:0:-1]
    assert run("ls", "--id-prefix", new_id, "--created-before", "1h", "-o", "ids").lines == []
    said = run("ls", "--status", "sleeping")
    assert said.code == 2
    assert "'sleeping' is no status" in said.err


def test_counts_are_by_what_was_asked_for(run: Run, new_id: str, three: list[str]) -> None:
    run("suspend", three[0])
    said = run("count", "--id-prefix", new_id)
    assert [line.split() for line in said.lines] == [["STATUS", "COUNT"], ["RUNNING", "2"], ["SUSPENDED", "1"]]
    counted = run("count", "--id-prefix", new_id, "--by", "", "-o", "json").json
    assert counted == {"counts": [{"count": 3}], "more": False}


def test_a_count_has_no_ids(run: Run) -> None:
    said = run("count", "-o", "ids")
    assert said.code == 2
    assert "A count has no ids" in said.err
