"""The document describes every route, and every answer that the tests of the routes know."""

import json
import re
from typing import Any

import pytest

from perdure.api.words import FAILURES, TRY_AGAIN
from perdure.http.dapr.openapi import document

from ...support.doors.fake_facade import FakeFacade, ask, make_app, state

PUBLIC = document(version="0.1.0", secured=False)
SECURED = document(version="0.1.0", secured=True)


def operations(described: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (path, method.upper()): operation
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }


def test_every_route_is_described_and_nothing_else() -> None:
    routes = {(route.path, method) for route in make_app().routes for method in route.methods}  # type: ignore[attr-defined]
    assert set(operations(PUBLIC)) == routes


def test_it_is_served_as_built() -> None:
    response = ask(make_app(), "GET", "/openapi.json")
    assert response.headers["content-type"] == "application/json"
    assert response.json() == json.loads(json.dumps(PUBLIC))
    assert ask(make_app(api_tokens=("t",)), "GET", "/openapi.json", headers={"dapr-api-token": "t"}).json() == SECURED


def test_every_piece_of_a_path_is_a_parameter() -> None:
    for (path, _), operation in operations(PUBLIC).items():
        described = {item["name"] for item in operation.get("parameters", []) if item["in"] == "path"}
        assert described == set(re.findall(r"{(\w+)}", path)), path


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for operation in operations(PUBLIC).values()]
    assert len(ids) == len(set(ids)) == 39


def test_every_reference_leads_somewhere() -> None:
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(SECURED)):
        found: Any = SECURED
        for step in reference.split("/"):
            found = found[step]
    linked = set(re.findall(r'"links"', json.dumps(SECURED)))
    assert linked
    ids = {operation["operationId"] for operation in operations(SECURED).values()}
    for operation in operations(SECURED).values():
        for response in operation["responses"].values():
            assert {link["operationId"] for link in response.get("links", {}).values()} <= ids


def codes(operation: dict[str, Any]) -> set[str]:
    """Collect the error codes that an operation names."""
    return {
        code
        for response in operation["responses"].values()
        for part in response.get("content", {}).get("application/json", {}).get("schema", {}).get("allOf", [])
        for code in part.get("properties", {}).get("errorCode", {}).get("enum", [])
    }


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("suffix", ["", "Beta1", "Alpha1"])
def test_every_operation_names_its_errors(name: str, suffix: str) -> None:
    operation_id = {"raise_event": "raiseEvent"}.get(name, name) + suffix
    found = next(item for item in operations(PUBLIC).values() if item["operationId"] == operation_id)
    named = codes(found)
    assert {FAILURES[name].code, "ERR_WORKFLOW_APP_ID_INVALID", "ERR_MALFORMED_REQUEST"} <= named
    assert {row.code for row in TRY_AGAIN.values()} <= named
    assert ("ERR_BODY_READ" in named) == (name != "get")
    assert ("ERR_INSTANCE_ID_NOT_FOUND" in named) == (name in ("get", "terminate", "purge"))
    assert ("ERR_INSTANCE_ID_INVALID" in named) == ("ERR_INSTANCE_ID_TOO_LONG" in named) == (name == "start")
    assert found["responses"]["429"]["headers"]["Retry-After"]["required"] is True


def test_a_bug_is_no_part_of_the_api() -> None:
    assert "ERR_INTERNAL" not in json.dumps(PUBLIC)


def test_a_token_is_asked_for_where_one_is_needed() -> None:
    assert "security" not in PUBLIC
    assert SECURED["security"] == [{"daprApiToken": []}]
    for (path, _), operation in operations(SECURED).items():
        probe = path.startswith(("/v1.0/healthz", "/healthz/"))
        assert (operation.get("security") == []) == probe, path
        assert ("401" in operation["responses"]) == (not probe), path


def test_what_a_get_answers_is_described_to_the_letter() -> None:
    shown = ask(make_app(FakeFacade(state())), "GET", "/v1.0/workflows/dapr/order-1").json()
    described = PUBLIC["components"]["schemas"]["WorkflowState"]
    assert set(described["required"]) <= set(shown) <= set(described["properties"])
    assert set(shown["properties"]) <= set(described["properties"]["properties"]["properties"])
