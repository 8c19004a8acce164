"""The state routes give Dapr's answers, with the same bytes wherever programs read them."""

import json
from typing import Any

import pytest

from ...support.doors.fake_facade import ask, make_app
from ...support.doors.state_doors import StateHttp, over_http

S = "/v1.0/state/statestore"
PREFIX = "possible etag mismatch. error from state store"
INFO = "type.googleapis.com/google.rpc.ErrorInfo"


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_value_is_kept_as_it_stands_in_the_body(method: str) -> None:
    async def story(http: StateHttp) -> None:
        body = '[{"key": "k", "value": {"b":  1.50, "a": "<&>ä"}}, {"KEY": "n", "vae": 1}]'
        saved = await http.ask(method, S, body)
        assert (saved.status_code, saved.content) == (204, b"")
        got = await http.ask("GET", f"{S}/k")
        assert (got.status_code, got.text) == (200, '{"b":  1.50, "a": "<&>ä"}')
        assert got.headers["etag"] == "1"
        assert got.headers["content-type"] == "application/json"
        assert (await http.ask("GET", f"{S}/n")).text == "null", "a save without a value saves null, as Dapr"
        missing = await http.ask("GET", f"{S}/other")
        assert (missing.status_code, missing.content) == (204, b"")

    over_http(story)


def test_a_key_may_be_any_text_in_the_path() -> None:
    async def story(http: StateHttp) -> None:
        key = "a/b c|?ä%"
        await http.ask("POST", S, json.dumps([{"key": key, "value": 1}]))
        target = f"{S}/a%2Fb%20c%7C%3F%C3%A4%25"
        assert (await http.ask("GET", target)).text == "1"
        assert (await http.ask("DELETE", target)).status_code == 204
        assert (await http.ask("GET", target)).status_code == 204

    over_http(story)


@pytest.mark.parametrize(
    "body",
    [
        "", "{}", "foobar", "[{}]", '[{"key": "key1", "value": "value1"},]', '[{"key": "key1", "etag": 123}]',
        '[{"ey": "key0", "value": "value1"}]', '[{"key": "ke||y1", "value": "value1"}]', '[{"key": null}]',
        '[{"key": "a", "metadata": {"ttlInSeconds": 5}}]', b"\xff", "[" * 5000,
    ],
)  # fmt: skip
def test_a_body_that_is_no_list_of_values_is_refused(body: str | bytes) -> None:
    async def story(http: StateHttp) -> None:
        refused = await http.ask("POST", S, body)
        assert refused.status_code == 400
        assert refused.json()["errorCode"] == "ERR_MALFORMED_REQUEST"

    over_http(story)


@pytest.mark.parametrize("body", ["[]", "null"])
def test_nothing_to_save_is_saved(body: str) -> None:
    async def story(http: StateHttp) -> None:
        assert (await http.ask("POST", S, body)).status_code == 204

    over_http(story)


def test_an_empty_body_has_gos_word() -> None:
    async def story(http: StateHttp) -> None:
        missing = (await http.ask("POST", S, "[{}]")).json()
        assert missing == {"errorCode": "ERR_MALFORMED_REQUEST", "message": '"key" is a required field'}

    over_http(story)


def test_a_wrong_etag_is_a_conflict() -> None:
    async def story(http: StateHttp) -> None:
        await http.ask("POST", S, '[{"key": "k", "value": 1}]')
        refused = await http.ask("POST", S, '[{"key": "k", "value": 2, "etag": "7"}]')
        why = f"{PREFIX}: state etag not match for key=orders||k: current=1, expect=7"
        text = f"failed saving state in state store statestore: {why}"
        assert (refused.status_code, refused.json()) == (409, {"errorCode": "ERR_STATE_SAVE", "message": text})
        refused = await http.ask("DELETE", f"{S}/k", if_match="7")
        text = f"failed deleting state with key k: {why}"
        assert (refused.status_code, refused.json()) == (409, {"errorCode": "ERR_STATE_DELETE", "message": text})
        first = await http.ask("POST", S, '[{"key": "k", "options": {"concurrency": "first-write"}}]')
        assert first.status_code == 409
        assert first.json()["message"].endswith(f"{PREFIX}: item already exists and no etag was passed")
        assert (await http.ask("DELETE", f"{S}/k?concurrency=first-write")).status_code == 409
        assert (await http.ask("DELETE", f"{S}/k", if_match="1")).status_code == 204

    over_http(story)


def test_options_that_are_none_are_refused() -> None:
    async def story(http: StateHttp) -> None:
        refused = await http.ask("POST", S, '[{"key": "k", "options": {"concurrency": "x"}}]')
        text = "failed saving state in state store statestore: unrecognized concurrency model 'x'"
        assert (refused.status_code, refused.json()) == (500, {"errorCode": "ERR_STATE_SAVE", "message": text})
        assert (await http.ask("DELETE", f"{S}/k?consistency=x")).status_code == 500
        refused = await http.ask("POST", S, '[{"key": "k", "metadata": {"ttlInSeconds": "soon"}}]')
        assert refused.json()["message"].endswith('strconv.Atoi: parsing "soon": invalid syntax')
        assert (await http.ask("GET", f"{S}/k")).status_code == 204

    over_http(story)


def test_a_time_to_live_is_told_and_may_stand_in_the_query() -> None:
    async def story(http: StateHttp) -> None:
        await http.ask("POST", f"{S}?metadata.ttlInSeconds=100", '[{"key": "k", "metadata": {"ttlInSeconds": "-1"}}]')
        got = await http.ask("GET", f"{S}/k")
        assert got.headers["metadata.ttlExpireTime"].endswith("Z")
        await http.ask("POST", S, '[{"key": "k", "metadata": {"ttlInSeconds": "-1"}}]')
        assert "metadata.ttlExpireTime" not in (await http.ask("GET", f"{S}/k")).headers

    over_http(story)


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_values_of_several_keys_come_in_their_order(method: str) -> None:
    async def story(http: StateHttp) -> None:
        await http.ask("POST", S, '[{"key": "a", "value": {"x":  1}}, {"key": "b", "value": "t"}]')
        got = await http.ask(method, f"{S}/bulk", '{"keys": ["b", "none", "a"], "parallelism": 3}')
        assert got.text == (
            '[{"key":"b","data":"t","etag":"2"},{"key":"none"},{"key":"a","data":{"x":  1},"etag":"1"}]'
        )
        assert (await http.ask(method, f"{S}/bulk", "{}")).text == "[]"
        assert (await http.ask(method, f"{S}/bulk", '{"keys": 1}')).status_code == 400
        assert (
            (await http.ask(method, f"{S}/bulk", "")).json()["message"].startswith("failed deserializing HTTP body: ")
        )

    over_http(story)


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_transaction_is_whole_or_not_at_all(method: str) -> None:
    async def story(http: StateHttp) -> None:
        def of(*operations: tuple[str, dict[str, Any]]) -> str:
            return json.dumps({"operations": [{"operation": name, "request": asked} for name, asked in operations]})

        target = f"{S}/transaction"
        done = await http.ask(
            method, target, of(("upsert", {"key": "a", "value": 1}), ("upsert", {"key": "b", "value": 1}))
        )
        assert (done.status_code, done.content) == (204, b"")
        refused = await http.ask(
            method, target, of(("delete", {"key": "a"}), ("upsert", {"key": "b", "value": 2, "etag": "9"}))
        )
        text = (
            f"error while executing state transaction: {PREFIX}: state etag not match for key=orders||b: "
            "current=2, expect=9"
        )
        assert (refused.status_code, refused.json()) == (500, {"errorCode": "ERR_STATE_TRANSACTION", "message": text})
        assert (await http.ask("GET", f"{S}/a")).text == "1"
        await http.ask(method, target, of(("delete", {"key": "a", "etag": "1"})))
        assert (await http.ask("GET", f"{S}/a")).status_code == 204
        unknown = await http.ask(method, target, of(("upsert", {"key": "c", "value": 1}), ("merge", {"key": "a"})))
        assert (unknown.status_code, unknown.json()) == (
            400,
            {"errorCode": "ERR_NOT_SUPPORTED_STATE_OPERATION", "message": "operation type merge not supported"},
        )
        assert (await http.ask("GET", f"{S}/c")).status_code == 204
        assert (await http.ask(method, target, "{}")).status_code == 204
        assert (await http.ask(method, target, "[]")).status_code == 400

    over_http(story)


def test_a_store_that_is_not_there_is_told_with_details_whatever_the_body() -> None:
    async def story(http: StateHttp) -> None:
        refused = await http.ask("POST", "/v1.0/state/nope", "")
        assert refused.status_code == 400
        assert refused.text == (
            '{"errorCode":"ERR_STATE_STORE_NOT_FOUND","message":"state store nope is not found","details":'
            f'[{{"@type":"{INFO}","domain":"dapr.io","metadata":{{"appID":"orders"}},"reason":"DAPR_STATE_NOT_FOUND"}}]}}'
        )
        for method, target in (
            ("GET", "nope/k"), ("DELETE", "nope/k"), ("POST", "nope/bulk"), ("PUT", "nope/transaction"),
        ):  # fmt: skip
            assert (await http.ask(method, f"/v1.0/state/{target}")).json()["errorCode"] == "ERR_STATE_STORE_NOT_FOUND"

    over_http(story)


def test_where_there_is_no_store_that_is_what_is_told() -> None:
    response = ask(make_app(), "POST", "/v1.0/state/mystore", content="")
    assert response.status_code == 500
    body = response.json()
    assert body["errorCode"] == "ERR_STATE_STORE_NOT_CONFIGURED"
    assert body["message"] == "state store mystore is not configured"
    assert [detail["reason"] for detail in body["details"]] == ["DAPR_STATE_NOT_CONFIGURED"]


def test_a_key_that_cannot_be_is_told_with_details() -> None:
    async def story(http: StateHttp) -> None:
        refused = await http.ask("POST", S, '[{"key": "ke||y1", "value": "value1"}]')
        text = "api error: code = InvalidArgument desc = input key/keyPrefix 'ke||y1' can't contain '||'"
        assert refused.json() == {
            "errorCode": "ERR_MALFORMED_REQUEST",
            "message": text,
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.BadRequest",
                    "field_violations": [{"field": "ke||y1", "description": text}],
                },
                {
                    "@type": "type.googleapis.com/google.rpc.ResourceInfo",
                    "description": "",
                    "owner": "",
                    "resource_name": "statestore",
                    "resource_type": "state",
                },
                {"@type": INFO, "domain": "dapr.io", "metadata": None, "reason": "DAPR_STATE_ILLEGAL_KEY"},
            ],
        }
        too_long = await http.ask("GET", f"{S}/{'k' * 2049}")
        assert (too_long.status_code, too_long.json()["errorCode"]) == (400, "ERR_MALFORMED_REQUEST")

    over_http(story)


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_no_store_can_be_queried(method: str) -> None:
    async def story(http: StateHttp) -> None:
        refused = await http.ask(method, "/v1.0-alpha1/state/statestore/query", '{"filter": {}}')
        assert refused.status_code == 500
        body = refused.json()
        assert body["errorCode"] == "ERR_STATE_STORE_NOT_SUPPORTED"
        assert body["message"] == "state store does not support querying"
        assert [detail.get("reason") for detail in body["details"]] == [None, "DAPR_STATE_QUERYING_NOT_SUPPORTED"]

    over_http(story)


def test_a_store_that_does_not_work_is_told_and_a_body_has_a_limit() -> None:
    async def story(http: StateHttp) -> None:
        http.store.fail_next_commit()
        failed = await http.ask("POST", S, '[{"key": "k", "value": 1}]')
        assert (failed.status_code, failed.json()["errorCode"]) == (503, "ERR_STORE_FAILED")
        assert failed.headers["retry-after"] == "1"
        large = await http.ask("POST", S, json.dumps([{"key": "k", "value": "x" * 10_000}]))
        assert (large.status_code, large.json()["errorCode"]) == (413, "ERR_BODY_READ")
        assert (await http.ask("GET", f"{S}/k")).status_code == 204

    over_http(story)


def test_state_stores_are_components_of_the_metadata() -> None:
    async def story(http: StateHttp) -> None:
        components = (await http.ask("GET", "/v1.0/metadata")).json()["components"]
        assert [component["name"] for component in components] == ["cart", "orders"]
        assert components[0]["capabilities"] == ["ETAG", "TRANSACTIONAL", "TTL"]

    over_http(story, stores=["cart", "orders"])
