"""The state routes are described, each with the codes that it answers."""

from perdure.http.dapr.openapi import error_responses
from perdure.http.dapr.state_openapi import state_paths

PATHS = state_paths(error_responses, ["cart"])


def test_each_route_is_described_under_both_methods() -> None:
    assert {path: [*methods] for path, methods in PATHS.items()} == {
        "/v1.0/state/{store}/{key}": ["get", "delete"],
        "/v1.0/state/{store}": ["post", "put"],
        "/v1.0/state/{store}/bulk": ["post", "put"],
        "/v1.0/state/{store}/transaction": ["post", "put"],
        "/v1.0-alpha1/state/{store}/query": ["post", "put"],
    }


def test_the_stores_that_there_are_are_named() -> None:
    parameters = PATHS["/v1.0/state/{store}"]["post"]["parameters"]
    assert parameters[0]["schema"] == {"enum": ["cart"]}


def test_a_conflict_is_an_answer_of_saves_and_deletions_alone() -> None:
    conflicting = {
        operation["operationId"]
        for methods in PATHS.values()
        for operation in methods.values()
        if "409" in operation["responses"]
    }
    assert conflicting == {"saveState", "saveStatePut", "deleteState"}
