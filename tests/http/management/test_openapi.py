"""The description of the management API is made from its table of routes, and describes each name in it."""

import re
from typing import Any

import anyio
import pytest

from perdure.api.sidecar import Sidecar
from perdure.http.management.app import ManagementDoor, endpoints_of
from perdure.http.management.openapi import GROUPS, management_document
from perdure.runtime.engine import Engine

from ...support.doors.fake_facade import FakeControl

Json = dict[str, Any]


@pytest.fixture(scope="module")
def door() -> ManagementDoor:
    engine = Engine(None, data=":memory:")
    return ManagementDoor(
        management=engine.management,
        sidecar=Sidecar(FakeControl(), app_id="shop"),
        app_id="shop",
        body_bytes_max=1000,
        stopping=anyio.Event(),
        event_json=lambda instance_id, event: {},
    )


@pytest.fixture(scope="module")
def document(door: ManagementDoor) -> Json:
    return management_document(endpoints_of(door), version="1.0", secured=True)


def operations(document: Json) -> list[tuple[str, str, Json]]:
    return [(path, method, found) for path, methods in document["paths"].items() for method, found in methods.items()]


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    if isinstance(value, list):
        return set().union(*map(references, value))
    return set()


def test_each_reference_leads_somewhere_and_each_schema_is_used(document: Json) -> None:
    there = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document) == there


def test_each_operation_has_a_name_a_summary_and_a_group(document: Json) -> None:
    found = [operation for _, _, operation in operations(document)]
    assert len({operation["operationId"] for operation in found}) == len(found)
    assert all(operation["summary"] and operation["tags"][0] in GROUPS for operation in found)
    assert {tag["name"] for tag in document["tags"]} == {operation["tags"][0] for operation in found}


def test_each_piece_of_a_path_is_described(document: Json) -> None:
    for path, _, operation in operations(document):
        pieces = [each["name"] for each in operation.get("parameters", []) if each["in"] == "path"]
        assert pieces == re.findall(r"{(\w+)}", path)


def test_no_fixed_word_stands_where_an_id_can(document: Json) -> None:
    # An id may be any text, so a path with a fixed word in the place of an id would hide an instance.
    paths = [path.split("/") for path in document["paths"]]
    for path in paths:
        for other in paths:
            if len(path) == len(other) and path != other:
                pairs = list(zip(path, other, strict=True))
                hidden = all(a == b or a.startswith("{") for a, b in pairs)
                assert not hidden, (path, other)


def test_an_error_has_one_status_wherever_it_is_answered(document: Json) -> None:
    found: dict[str, set[str]] = {}
    for _, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                for code in answer["description"].split(", "):
                    found.setdefault(code, set()).add(status)
    several = {code: statuses for code, statuses in found.items() if len(statuses) > 1}
    assert several == {}
    assert "ERR_INTERNAL" not in found


def test_with_tokens_each_operation_but_the_login_may_answer_401(document: Json, door: ManagementDoor) -> None:
    assert [path for path, _, operation in operations(document) if "401" not in operation["responses"]] == []
    open_to_all = [
        operation["operationId"] for _, _, operation in operations(document) if operation.get("security") == []
    ]
    assert open_to_all == ["log_in"]
    free = management_document(endpoints_of(door), version="1.0", secured=False)
    assert "security" not in free
    assert [o["operationId"] for _, _, o in operations(free) if "401" in o["responses"]] == ["log_in"]


def test_filters_stand_at_each_list(document: Json) -> None:
    filtered = {
        operation["operationId"]
        for _, _, operation in operations(document)
        if "stuck_for" in [each["name"] for each in operation.get("parameters", [])]
    }
    assert filtered == {"list_instances", "count_instances", "follow_instances"}
