"""The management API of a running daemon: lists, descriptions, histories, and actions.

One daemon serves all tests but those that stop it; each has ids of its own.
"""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..support.processes.daemon import Daemon

APP = """
import asyncio
from datetime import timedelta
import perdure

app = perdure.App("shop")

@app.activity
async def charge(ctx: perdure.ActivityContext, amount: int) -> str:
    if amount < 0:
        raise ValueError("a negative amount")
    if amount > 1000:
        await asyncio.sleep(3600)
    return f"charged {amount}"

@app.workflow
async def pay(ctx: perdure.WorkflowContext, amount: int) -> str:
    return await ctx.call_activity(charge, input=amount)

@app.workflow
async def order(ctx: perdure.WorkflowContext, note: str) -> str:
    ctx.set_custom_status(note * 200)
    return await ctx.wait_for_external_event("Approval", timeout=timedelta(days=1))

@app.workflow
async def parent(ctx: perdure.WorkflowContext, count: int) -> None:
    tasks = [ctx.call_child_workflow(order, input="c", instance_id=f"{ctx.instance_id}/{n}") for n in range(count)]
    await perdure.when_all(tasks)
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.py").write_text(APP)
    with Daemon(folder / "shop.py", folder / "p.db") as daemon:
        yield daemon


@pytest.fixture
def api(daemon: Daemon) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{daemon.url}/api/v1", timeout=20) as client:
        yield client


def start(api: httpx.Client, name: str, instance_id: str, value: Any = None, **query: str) -> dict[str, Any]:
    response = api.post(f"/workflows/{name}/instances", params={"id": instance_id, **query}, content=json.dumps(value))
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


def get(api: httpx.Client, path: str, expected: int = 200, /, **query: str) -> Any:
    response = api.get(path, params=query)
    assert response.status_code == expected, response.text
    return response.json()


# Lists and descriptions.


def test_an_instance_is_started_found_and_described(api: httpx.Client) -> None:
    # When an instance is started with tags,
    response = api.post("/workflows/order/instances?id=d1&tag.team=a&tag.x.y=", content='"n"')
    # then the answer is its item, and gives its address;
    assert response.status_code == 201
    item = response.json()
    assert response.headers["location"] == "/api/v1/instances/d1"
    assert (item["id"], item["name"], item["tags"], item["app_id"]) == ("d1", "order", {"team": "a", "x.y": ""}, "shop")
    # the list has it under each filter that fits it,
    for query in ({"tag.team": "a"}, {"id_prefix": "d1", "status": "running"}, {"name": "order", "tag.x.y": ""}):
        assert "d1" in [each["id"] for each in get(api, "/instances", **query)["items"]]
    for query in ({"tag.team": "b"}, {"id_prefix": "d1", "status": "!running"}, {"id_prefix": "d1", "root": "false"}):
        assert get(api, "/instances", **query)["items"] == []
    # with the beginning of its custom status, and its waits if they are asked for;
    (found,) = get(api, "/instances", id_prefix="d1", **{"with": "waiting_for"})["items"]
    assert found["custom_status"] == "n" * 128
    assert [(each["kind"], each["name"]) for each in found["waiting_for"]] == [("event", "Approval")]
    # and its description has all its fields.
    described = api.get("/instances/d1")
    assert described.headers["etag"] == f'"{described.json()["first_execution_id"]}"' == response.headers["etag"]
    assert described.headers["cache-control"] == "no-store"
    assert described.json()["history"]["turns"] == 1
    assert described.json()["input_bytes"] == 3
    assert described.json()["stall"] is described.json()["failure"] is None


def test_an_id_may_be_any_text(api: httpx.Client) -> None:
    for instance_id in ("a/b c?", "größe", "%41", "..", "wait", "count", "x" * 100, "a:b|c"):
        path = "/instances/" + "".join(f"%{byte:02X}" for byte in instance_id.encode())
        begun = api.post("/workflows/order/instances", params={"id": instance_id}, content='"x"')
        assert get(api, begun.headers["location"].removeprefix("/api/v1"))["id"] == instance_id
        assert get(api, path)["id"] == instance_id
        assert api.post(f"{path}/purge", json={"force": True}).status_code == 200
        get(api, path, 404)


def test_a_list_comes_in_pages_and_as_a_stream(api: httpx.Client) -> None:
    ids = [f"page-{number}" for number in range(7)]
    for instance_id in ids:
        start(api, "order", instance_id, "x")
    # Given seven instances, when they are read in pages of three, in each order, then each comes once.
    for order, expected in (("created", ids), ("-created", ids[::-1]), ("id", ids)):
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = get(api, "/instances", id_prefix="page-", limit="3", order=order, cursor=cursor)
            found += [item["id"] for item in page["items"]]
            cursor = page["cursor"]
        assert found == expected
    # As a stream they come all at once.
    query = {"id_prefix": "page-", "order": "id", "limit": "2"}
    response = api.get("/instances", params=query, headers={"accept": "application/x-ndjson"})
    assert response.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line)["id"] for line in response.text.splitlines()] == ids
    # And they are counted.
    assert get(api, "/count", id_prefix="page-", by="status,name") == {
        "counts": [{"count": 7, "status": "RUNNING", "name": "order"}],
        "more": False,
    }


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/instances?state=running", "'state'"),
        ("/instances?status=done", "'status'"),
        ("/instances?order=name", "'order'"),
        ("/instances?limit=501", "'limit'"),
        ("/instances?limit=51&with=children", "'limit'"),
        ("/instances?with=everything", "'with'"),
        ("/instances?cursor=nonsense", "'cursor'"),
        ("/instances?created_after=yesterday", "'created_after'"),
        ("/count?by=color", "'by'"),
        ("/count?app_id=other", "'app_id'"),
        ("/events?stuck_for=1h", "'stuck_for'"),
    ],
)
def test_what_is_not_understood_is_named(api: httpx.Client, path: str, named: str) -> None:
    response = api.get(path)
    assert (response.status_code, response.json()["errorCode"]) == (400, "ERR_FILTER_INVALID")
    assert named in response.json()["message"]


def test_a_family_is_shown_as_a_tree_and_counted_with_its_parent(api: httpx.Client) -> None:
    start(api, "parent", "family", 2)
    eventually(lambda: get(api, "/instances/family")["children"] == {"RUNNING": 2})
    child = get(api, "/instances/family%2F0")
    assert (child["parent"], child["root"]) == ("family", "family")
    tree = get(api, "/instances/family/tree")
    assert [each["id"] for each in tree["children"]] == ["family/0", "family/1"]
    assert get(api, "/instances/family/tree", depth="0")["children"] == []
    assert {item["id"] for item in get(api, "/instances", parent="family")["items"]} == {"family/0", "family/1"}


def test_why_an_instance_failed_is_described(api: httpx.Client) -> None:
    start(api, "pay", "failed-1", -1)
    failed = get(api, "/instances/failed-1/wait")
    assert failed["status"] == "FAILED"
    assert "a negative amount" in failed["failure"]["message"]
    assert failed["ended"] is not None


# Histories.


def test_a_history_comes_in_pages_from_either_end_and_payloads_by_their_keys(api: httpx.Client) -> None:
    start(api, "pay", "paid-1", 7)
    assert get(api, "/instances/paid-1/wait")["status"] == "COMPLETED"
    whole = get(api, "/instances/paid-1/history")
    kinds = [
        next(k for k in item if k not in ("key", "eventId", "timestamp", "router", "payloadBytes"))
        for item in whole["items"]
    ]
    assert kinds[:3] == ["workflowStarted", "executionStarted", "taskScheduled"]
    assert kinds[-1] == "executionCompleted"
    # Pages have the same events, from either end.
    for order, expected in (("oldest", whole["items"]), ("newest", whole["items"][::-1])):
        items: list[Any] = []
        after = ""
        while after is not None:
            page = get(api, "/instances/paid-1/history", order=order, limit="2", after=after)
            items += page["items"]
            after = page["cursor"]
        assert items == expected
    # A payload is left out, or fetched by its key.
    bare = get(api, "/instances/paid-1/history", payloads="none")["items"]
    assert "input" not in bare[1]["executionStarted"]
    assert bare[1]["payloadBytes"] == 1
    response = api.get(f"/instances/paid-1/history/{bare[1]['key']}/input")
    assert response.text == "7"
    assert response.headers["content-security-policy"].startswith("sandbox")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert api.get(f"/instances/paid-1/history/{bare[-1]['key']}/result").json() == "charged 7"
    assert api.get(f"/instances/paid-1/history/{bare[0]['key']}/input").status_code == 404
    assert api.get("/instances/paid-1/history/nonsense/input").status_code == 400


# Actions.


def test_an_instance_is_suspended_resumed_ended_and_purged(api: httpx.Client) -> None:
    start(api, "order", "acted", "x")
    assert api.post("/instances/acted/suspend", json={"reason": "look"}).status_code == 200
    described = get(api, "/instances/acted")
    assert described["status"] == "SUSPENDED"
    assert "resume" in [each["kind"] for each in described["waiting_for"]]
    assert api.post("/instances/acted/resume").status_code == 200
    # With the tag of another run an action changes nothing.
    assert api.post("/instances/acted/terminate", headers={"if-match": '"other"'}).status_code == 412
    etag = api.get("/instances/acted").headers["etag"]
    response = api.post("/instances/acted/terminate", headers={"if-match": etag}, json={"output": {"a": 1}})
    assert response.status_code == 202
    assert get(api, "/instances/acted/wait")["status"] == "TERMINATED"
    assert api.post("/instances/acted/events/Approval").status_code == 409
    assert api.post("/instances/acted/purge").json() == {"id": "acted", "affected": 1}
    assert api.post("/instances/acted/purge").status_code == 404


def test_an_instance_gets_what_it_waits_for(api: httpx.Client) -> None:
    # Given an instance whose activity hangs,
    start(api, "pay", "hangs", 5000)
    path = "/instances/hangs"
    eventually(lambda: get(api, path)["waiting_for"][0]["state"] == "running")
    (waiting,) = get(api, path)["waiting_for"]
    assert (waiting["kind"], waiting["name"]) == ("activity", "charge")
    event_id = waiting["event_id"]
    # an answer that it does not wait for is refused, and so is an invalid body,
    assert api.post(f"{path}/repair", json={"action": "complete", "event_id": 99}).status_code == 409
    assert api.post(f"{path}/repair", json={"action": "fire", "event_id": event_id}).status_code == 409
    assert api.post(f"{path}/repair", json={"action": "release"}).status_code == 409
    for body in ({}, {"action": "mend"}, {"action": "complete"}, {"action": "fail", "event_id": event_id}):
        response = api.post(f"{path}/repair", json=body)
        assert (response.status_code, response.json()["errorCode"]) == (422, "ERR_BODY_INVALID")
    # and with an answer it goes on.
    answer = {"action": "complete", "event_id": event_id, "result": "charged by hand", "reason": "it was paid"}
    assert api.post(f"{path}/repair", json=answer).status_code == 200
    assert get(api, f"{path}/wait")["status"] == "COMPLETED"
    key = get(api, f"{path}/history", order="newest", limit="1")["items"][0]["key"]
    assert api.get(f"{path}/history/{key}/result").json() == "charged by hand"
    # A failure is an answer too.
    start(api, "pay", "hangs-too", 5000)
    failure = {"type": "Declined", "message": "by hand"}
    answer = {"action": "fail", "event_id": event_id, "failure": failure}
    assert api.post("/instances/hangs-too/repair", json=answer).status_code == 200
    assert get(api, "/instances/hangs-too/wait")["status"] == "FAILED"


def test_what_has_ended_is_run_again_as_a_new_instance(api: httpx.Client) -> None:
    # Given an instance that runs, it cannot be run again;
    start(api, "order", "again-0", "x")
    assert api.post("/instances/again-0/rerun").status_code == 409
    # given one that has ended, a dry run says what would be kept,
    start(api, "pay", "again-1", 7, **{"tag.team": "a"})
    get(api, "/instances/again-1/wait")
    preview = api.post("/instances/again-1/rerun", json={"dry_run": True})
    assert preview.status_code == 200
    assert [(each["kind"], each["name"]) for each in preview.json()["repeated"]] == [("activity", "charge")]
    (step,) = preview.json()["repeated"]
    # and a rerun makes a new one, with the same input and tags, or with another input,
    again = api.post("/instances/again-1/rerun", json={"id": "again-2", "reason": "once more"})
    assert (again.status_code, again.json()["tags"]) == (201, {"team": "a"})
    assert again.headers["location"] == "/api/v1/instances/again-2"
    other = api.post("/instances/again-1/rerun", json={"input": 8, "from_event": step["event_id"]}).json()["id"]
    for instance_id, result in (("again-2", "charged 7"), (other, "charged 8")):
        assert get(api, f"/instances/{instance_id}/wait")["status"] == "COMPLETED"
        key = get(api, f"/instances/{instance_id}/history", order="newest", limit="1")["items"][0]["key"]
        assert api.get(f"/instances/{instance_id}/history/{key}/result").json() == result
    # once for each id, and of an event that is there.
    assert api.post("/instances/again-1/rerun", json={"id": "again-2"}).status_code == 409
    assert api.post("/instances/again-1/rerun", json={"from_event": 99}).status_code == 404
    (row,) = get(api, "/audit", id="again-2")["items"]
    assert (row["action"], row["source"], row["reason"]) == ("rerun", "again-1", "once more")


def test_an_instance_is_written_out_and_read_in_again(api: httpx.Client) -> None:
    # Given an instance that has ended, written out,
    start(api, "pay", "kept", 7, **{"tag.team": "a"})
    get(api, "/instances/kept/wait")
    exported = api.get("/instances/kept/export")
    assert exported.headers["content-type"] == "application/x-ndjson"
    assert json.loads(exported.text.splitlines()[0])["id"] == "kept"
    # when it is read in under another id, then it is the same, and written out again it is equal.
    assert api.post("/import", content=exported.content).status_code == 409
    response = api.post("/import?id=kept-2", content=exported.content)
    assert (response.status_code, response.json()["status"], response.json()["tags"]) == (
        201,
        "COMPLETED",
        {"team": "a"},
    )
    again = api.get("/instances/kept-2/export")
    assert again.text.splitlines()[1:] == exported.text.splitlines()[1:]
    # An incomplete file, and one of an instance that has not ended, is refused.
    assert api.post("/import?id=kept-3", content=exported.content[:-10]).status_code == 400
    assert api.post("/import?id=kept-3").status_code == 400
    start(api, "order", "runs", "x")
    assert api.post("/import?id=kept-3", content=api.get("/instances/runs/export").content).status_code == 422
    assert api.get("/instances/nobody/export").status_code == 404


def test_what_is_asked_twice_is_done_once(api: httpx.Client) -> None:
    # A start with a key begins one instance,
    key = {"idempotency-key": "once"}
    first = api.post("/workflows/order/instances", content='"x"', headers=key)
    second = api.post("/workflows/order/instances", content='"x"', headers=key)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert api.post("/workflows/order/instances", content='"y"', headers=key).status_code == 422
    # an event with a key is taken once, and later ones are accepted.
    path = f"/instances/{first.json()['id']}"
    assert api.post(f"{path}/events/Approval", content='"yes"', headers={"idempotency-key": "e"}).status_code == 202
    assert get(api, f"{path}/wait")["status"] == "COMPLETED"
    assert api.post(f"{path}/events/Approval", content='"no"', headers={"idempotency-key": "e"}).status_code == 202
    assert api.post(f"{path}/events/Approval", content='"no"', headers={"idempotency-key": "f"}).status_code == 409


def test_an_id_that_is_taken_is_refused_returned_or_begun_anew(api: httpx.Client) -> None:
    start(api, "order", "taken", "x")
    path = "/workflows/order/instances?id=taken"
    assert api.post(path).status_code == 409
    assert api.post(f"{path}&if_exists=return").status_code == 200
    assert api.post("/workflows/pay/instances?id=taken&if_exists=return").status_code == 409
    assert api.post(f"{path}&if_exists=restart").status_code == 409
    before = get(api, "/instances/taken")["first_execution_id"]
    assert api.post(f"{path}&if_exists=restart&force=true", content='"x"').status_code == 201
    assert get(api, "/instances/taken")["first_execution_id"] != before


def test_a_start_for_another_app_is_refused(api: httpx.Client) -> None:
    own = start(api, "order", "own")["app_id"]
    assert start(api, "order", "named", app_id=own)["app_id"] == own
    response = api.post("/workflows/order/instances?id=elsewhere&app_id=elsewhere")
    assert f"no host has that app; this one has '{own}'" in response.json()["message"]
    get(api, "/instances/elsewhere", 404)


def test_an_unregistered_workflow_is_answered_with_the_nearest_names(api: httpx.Client) -> None:
    response = api.post("/workflows/ordr/instances")
    assert response.status_code == 422
    assert "'order'" in response.json()["message"]


# Waits and streams.


def test_a_wait_ends_with_its_time_or_with_the_status(api: httpx.Client) -> None:
    start(api, "order", "waited", "x")
    assert api.get("/instances/waited/wait?timeout=0.05").status_code == 204
    assert get(api, "/instances/waited/wait", until="running")["status"] == "RUNNING"
    threading.Timer(0.2, lambda: api.post("/instances/waited/suspend")).start()
    assert get(api, "/instances/waited/wait", until="completed,suspended")["status"] == "SUSPENDED"
    get(api, "/instances/nobody/wait", 404)


class Events:
    """Reads a stream of events in a thread of its own."""

    def __init__(self, url: str, **headers: str) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []  # name, id, data
        self.ended = threading.Event()
        self._client = httpx.Client(timeout=20)
        self._socket: socket.socket
        self._thread = threading.Thread(target=self._read, args=(url, headers), daemon=True)
        self._thread.start()
        eventually(lambda: bool(self.events))

    def _read(self, url: str, headers: dict[str, str]) -> None:
        fields: dict[str, str] = {}
        with self._client.stream("GET", url, headers=headers) as response:
            self._socket = response.extensions["network_stream"].get_extra_info("socket")
            assert response.headers["content-type"].startswith("text/event-stream")
            try:
                for line in response.iter_lines():
                    if line:
                        name, _, value = line.partition(": ")
                        fields[name] = value
                    elif "data" in fields:
                        self.events.append((fields["event"], fields["id"], json.loads(fields["data"])))
                        fields = {}
            except httpx.HTTPError:
                pass
        self.ended.set()

    def told(self) -> list[tuple[str, Any]]:
        return [(name, data.get("status") if name != "gone" else data["id"]) for name, _, data in self.events[1:]]

    def close(self) -> None:
        with contextlib.suppress(OSError):  # the daemon has closed it
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=5)
        self._client.close()


def eventually(holds: Any, *, within_s: float = 10) -> None:
    until_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until_s, "it did not come to that"
        time.sleep(0.01)


def test_changes_are_told_as_they_come_and_after_a_break(api: httpx.Client, daemon: Daemon) -> None:
    # Given a reader of the changes of running instances,
    url = f"{daemon.url}/api/v1/events?id_prefix=told-&status=running,suspended"
    reader = Events(url)
    # when an instance begins, changes and ends, and another has another name,
    start(api, "order", "told-1", "x")
    start(api, "order", "other-1", "x")
    api.post("/instances/told-1/suspend")
    api.post("/instances/told-1/terminate")
    # then it reads the changes of the one instance until that is no longer in its list;
    expected = [("change", "RUNNING"), ("change", "SUSPENDED"), ("leave", "TERMINATED")]
    eventually(lambda: len(reader.events) > len(expected))
    assert reader.told() == expected
    position = reader.events[2][1]
    reader.close()
    # a reader that comes back goes on after the last event that it has read.
    again = Events(url, **{"last-event-id": position})
    eventually(lambda: len(again.events) > 1)
    assert again.told() == expected[2:]
    again.close()
    # A reader that was away for too long, or comes from another daemon, gets an event that says so.
    lost = Events(url, **{"last-event-id": "local:other:3"})
    eventually(lambda: len(lost.events) > 1)
    assert [name for name, _, _ in lost.events] == ["ready", "reset"]
    lost.close()


def test_one_instance_is_followed_to_its_end(api: httpx.Client, daemon: Daemon) -> None:
    start(api, "order", "followed", "x")
    reader = Events(f"{daemon.url}/api/v1/instances/followed/events")
    start(api, "order", "not-followed", "x")
    api.post("/instances/followed/terminate")
    api.post("/instances/followed/purge")
    eventually(lambda: len(reader.events) > 2)
    assert reader.told() == [("change", "TERMINATED"), ("gone", "followed")]
    reader.close()
    get(api, "/instances/nobody/events", 404)


def test_streams_and_waits_end_at_once_when_the_daemon_stops(tmp_path: Path) -> None:
    # Given a daemon with a reader of events and a caller that waits,
    (tmp_path / "shop.py").write_text(APP)
    with Daemon(tmp_path / "shop.py", tmp_path / "p.db", "--stop-grace", "10") as daemon:
        reader = Events(f"{daemon.url}/api/v1/events")
        waiter = HTTPConnection(daemon.url.removeprefix("http://"), timeout=30)
        with httpx.Client(base_url=f"{daemon.url}/api/v1") as api:
            start(api, "order", "waited", "x")
            waiter.request("GET", "/api/v1/instances/waited/wait?timeout=60")
            # A later request has been answered, so the wait has arrived.
            get(api, "/count")
        # when it is stopped, then both end long before the grace is over.
        began_s = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - began_s < 5
        assert reader.ended.wait(timeout=5)
        reader.close()
        answer = waiter.getresponse()
        assert (answer.status, json.load(answer)["errorCode"]) == (503, "ERR_HOST_STOPPING")
        waiter.close()


# The daemon.


def test_the_daemon_says_what_it_is_and_what_it_has(api: httpx.Client) -> None:
    system = get(api, "/system")
    assert system["apps"] == ["shop"]
    assert (system["app_id"], system["hosts"], system["ready"], system["workers"]) == ("shop", 1, True, 0)
    assert system["store"]["bytes"] > 0
    assert system["configuration"]["durability"] == "full"
    (host,) = get(api, "/hosts")["items"]
    assert (host["name"], host["ready"]) == ("local", True)
    assert get(api, "/workers")["items"] == []
    assert [each["name"] for each in get(api, "/workflows")["items"]] == ["order", "parent", "pay"]
    assert [each["name"] for each in get(api, "/activities")["items"]] == ["charge"]
    start(api, "pay", "failed-2", -1)
    get(api, "/instances/failed-2/wait")
    attention = get(api, "/attention")
    assert set(attention) == {"stalled", "set_aside", "failed", "waiting", "timers_overdue", "workers_gone"}
    assert attention["failed"]["count"] >= 1
    assert attention["failed"]["items"][0]["status"] == "FAILED"
    assert attention["stalled"] == {"count": 0, "more": False, "items": []}
    series = get(api, "/series", names="started,workers", window="60", step="20")
    assert series["step"] == 20
    assert {name: len(values) for name, values in series["values"].items()} == {"started": 3, "workers": 3}


def test_who_did_what_is_in_the_audit(api: httpx.Client) -> None:
    start(api, "order", "audited", "x")
    api.post("/instances/audited/suspend", json={"reason": "look"})
    api.post("/instances/audited/purge", json={"force": True})
    rows = get(api, "/audit", id="audited")["items"]
    assert [(row["action"], row["actor"], row["door"], row["reason"]) for row in rows] == [
        ("purge", "anonymous", "api", None),
        ("suspend", "anonymous", "api", "look"),
    ]
    assert [row["action"] for row in get(api, "/audit", id="audited", limit="1")["items"]] == ["purge"]
    assert get(api, "/audit", id="audited", before="2020-01-01T00:00:00Z")["items"] == []


@pytest.mark.slow
def test_any_host_of_several_answers_for_all(tmp_path: Path) -> None:
    # Given a daemon of two hosts, and a reader of events at one of them,
    (tmp_path / "shop.py").write_text(APP)
    with Daemon(tmp_path / "shop.py", tmp_path / "p.db", "--processes", "2") as daemon:
        reader = Events(f"{daemon.url}/api/v1/events?status=running")
        ids = [f"order-{number}" for number in range(8)]
        hosts = set()
        for instance_id in ids:
            # Each connection goes to the host that the kernel chooses.
            with httpx.Client(base_url=f"{daemon.url}/api/v1", timeout=20) as api:
                start(api, "order", instance_id, "x")
                found: list[str] = []
                cursor: str | None = ""
                while cursor is not None:
                    page = get(api, "/instances", order="created", limit="3", cursor=cursor)
                    found += [item["id"] for item in page["items"]]
                    cursor = page["cursor"]
                assert found == ids[: len(found)]
                assert found[-1] == instance_id
                assert get(api, "/count")["counts"] == [{"count": len(found)}]
                assert get(api, f"/instances/{instance_id}/wait", until="running")["id"] == instance_id
                hosts |= {host["pid"] for host in get(api, "/hosts")["items"]}
        # then each change was told once, and there are two hosts with a part each.
        eventually(lambda: len(reader.events) > len(ids))
        assert sorted(data["id"] for _, _, data in reader.events[1:]) == ids
        position = reader.events[4][1]
        reader.close()
        assert len(hosts) == 2
        # A reader that comes back to either goes on after the last event that it has read.
        for _ in range(3):
            again = Events(f"{daemon.url}/api/v1/events?status=running", **{"last-event-id": position})
            eventually(lambda again=again: len(again.events) > len(ids) - 4)
            assert [name for name, _, _ in again.events] == ["ready", *["change"] * (len(ids) - 4)]
            again.close()
        assert daemon.stop() == 0


# Tokens and logins.


def test_a_browser_logs_in_and_may_change_something_from_a_page_of_this_daemon_only(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APP)
    tokens = {"PERDURE_API_TOKEN": "s3cret"}
    with Daemon(tmp_path / "shop.py", tmp_path / "p.db", env=tokens) as daemon, httpx.Client() as browser:
        url = f"{daemon.url}/api/v1"
        # Without a login the pages are served, and no data.
        assert browser.get(f"{daemon.url}/docs").status_code == 200
        assert "version" not in browser.get(f"{daemon.url}/").text
        assert browser.get(f"{url}/instances").status_code == 401
        assert browser.post(f"{url}/session", json={"token": "wrong"}).status_code == 401
        # With a login the browser reads,
        login = browser.post(f"{url}/session", json={"token": "s3cret"})
        assert login.status_code == 204
        cookie = login.headers["set-cookie"]
        assert "HttpOnly; SameSite=Strict" in cookie
        assert "Path=/api/v1;" in cookie
        assert "s3cret" not in cookie
        assert browser.get(f"{url}/instances").status_code == 200
        # writes from a page of this very address only,
        path = f"{url}/workflows/order/instances"
        assert browser.post(path, content='"x"').status_code == 403
        for headers in ({"sec-fetch-site": "same-site"}, {"origin": "http://127.0.0.1:1"}, {"origin": "null"}):
            assert browser.post(path, content='"x"', headers=headers).status_code == 403
        for headers in ({"sec-fetch-site": "same-origin"}, {"origin": daemon.url}):
            assert browser.post(path, content='"x"', headers=headers).status_code == 201
        # and opens none of Dapr's routes.
        assert browser.get(f"{daemon.url}/v1.0/metadata").status_code == 401
        assert browser.post(f"{daemon.url}/v1.0/shutdown", headers={"sec-fetch-site": "same-origin"}).status_code == 401
        # A logout ends it.
        assert browser.delete(f"{url}/session", headers={"sec-fetch-site": "same-origin"}).status_code == 204
        assert browser.get(f"{url}/instances").status_code == 401
        # A caller that goes on guessing has to wait.
        statuses = [browser.post(f"{url}/session", json={"token": f"guess {n}"}).status_code for n in range(8)]
        assert statuses[-1] == 429
        assert int(browser.post(f"{url}/session", json={"token": "s3cret"}).headers["retry-after"]) >= 1


def test_the_description_and_its_page_are_served(api: httpx.Client, daemon: Daemon) -> None:
    document = get(api, "/openapi.json")
    assert document["openapi"] == "3.1.0"
    assert "/api/v1/instances/{id}" in document["paths"]
    assert "/v1.0/healthz" in get(api, "/openapi.json", of="dapr")["paths"]
    assert httpx.get(f"{daemon.url}/docs").status_code == 200
    for path in ("docs.js", "page.css"):
        assert httpx.get(f"{daemon.url}/docs/{path}").status_code == 200


def test_daprs_routes_answer_as_ever(daemon: Daemon) -> None:
    for method, path in (("GET", "/v1.0/nowhere"), ("DELETE", "/v1.0/healthz"), ("GET", "/nowhere")):
        response = httpx.request(method, f"{daemon.url}{path}")
        assert (response.status_code, response.json()["errorCode"]) == (404, "ERR_DIRECT_INVOKE")
