"""The blocking client: the methods of the other one, each of which waits; for scripts, threads, forked processes."""

import inspect
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import perdure
from perdure import Handle, InstanceNotFound, Status, WorkflowFailed
from perdure.client.blocking import BlockingClient
from perdure.client.blocking_instances import BlockingHandle
from perdure.client.blocking_state import BlockingState
from perdure.client.errors import ServerUnreachable
from perdure.client.remote_client import RemoteClient
from perdure.runtime.state.client import StateClient

from ..support.paths import ROOT
from ..support.processes.daemon import Daemon
from ..support.processes.shop import TOKEN
from ..support.processes.shop_app import Receipt, order, waits


@pytest.fixture
def client(daemon: Daemon) -> Iterator[BlockingClient]:
    with perdure.connect_sync(daemon.url, token=TOKEN) as client:
        yield client


def test_a_script_starts_waits_and_reads(client: BlockingClient, new_id: str) -> None:
    handle = client.start(order, input=1.5, instance_id=new_id)
    assert handle == new_id
    assert handle.result(timeout=30) == Receipt(1.5)
    assert client.run(order, input=2) == Receipt(2.0)
    state = handle.state()
    assert state is not None
    assert state.status is Status.COMPLETED
    assert client.handle(new_id, order).result() == Receipt(1.5)
    assert [item.id for item in client.list(id_prefix=new_id).items] == [new_id]
    assert [item.id for item in client.instances(id_prefix=new_id)] == [new_id]
    assert client.count(id_prefix=new_id).counts[0].count == 1
    assert client.history(new_id).items
    assert handle.purge() == 1
    with pytest.raises(WorkflowFailed, match="too much"):
        client.run(order, input=500)


def test_an_instance_is_steered(client: BlockingClient, new_id: str) -> None:
    handle = client.start(waits, instance_id=new_id)
    handle.suspend(reason="lunch")
    handle.wait(until=lambda status: status is Status.SUSPENDED)
    handle.resume()
    handle.raise_event("approval", [1])
    assert handle.result() == [1]
    assert client.call(lambda client: client.payloads(new_id)) == client.payloads(new_id) == (None, "[1]")
    for change in client.events(id_prefix=new_id):
        assert change.kind == "ready"
        break
    with client.events(id_prefix=new_id) as changes:
        assert next(changes).kind == "ready"
    assert list(changes) == []


def test_errors_are_those_of_the_other_client(client: BlockingClient) -> None:
    with pytest.raises(InstanceNotFound):
        client.wait("nobody")
    with perdure.connect_sync("http://127.0.0.1:1") as nowhere, pytest.raises(ServerUnreachable):
        nowhere.list()


def test_threads_share_a_client(client: BlockingClient) -> None:
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda n: client.run(order, input=n).total, range(24))) == [float(n) for n in range(24)]


def test_a_client_that_was_closed_can_be_used_again(client: BlockingClient) -> None:
    client.close()
    client.close()
    assert client.run(order, input=1) == Receipt(1.0)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_process_and_a_program_that_closes_nothing(daemon: Daemon, new_id: str) -> None:
    program = f"""
import os, perdure
client = perdure.connect_sync({daemon.url!r}, token={TOKEN!r})
print(client.run("order", input=1, instance_id={new_id!r}), flush=True)
if os.fork() == 0:
    print(client.get({new_id!r}).output, flush=True)
else:
    os.wait()
"""
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    assert ran.stdout.split("\n") == ["{'total': 1.0}", "{'total': 1.0}", ""]
    assert ran.stderr == ""


def test_a_handle_is_an_id(client: BlockingClient) -> None:
    handle = client.handle("i")
    assert (handle, handle.id, repr(handle)) == ("i", "i", "BlockingHandle('i')")
    assert type(pickle.loads(pickle.dumps(handle))) is str  # noqa: S301  our own


def test_the_page_names_every_method() -> None:
    page = (ROOT / "docs/python-client.md").read_text()
    assert [name for name in methods(RemoteClient) if f"`{name}(" not in page and name != "resume"] == []


def methods(kind: type[Any]) -> dict[str, Callable[..., Any]]:
    return {name: value for name, value in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}


def test_it_has_the_methods_of_the_other_client() -> None:
    assert set(methods(RemoteClient)) == set(methods(BlockingClient)) - {"call", "close"}
    assert set(methods(Handle)) == set(methods(BlockingHandle))
    assert set(methods(StateClient)) == set(methods(BlockingState))


@pytest.mark.parametrize(
    ("twin", "original"), [(BlockingClient, RemoteClient), (BlockingHandle, Handle), (BlockingState, StateClient)]
)
def test_their_parameters_are_the_same(twin: type[Any], original: type[Any]) -> None:
    for name in set(methods(twin)) & set(methods(original)):
        assert parameters(methods(twin)[name]) == parameters(methods(original)[name]), name


def parameters(function: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    return {name: (each.kind, each.default) for name, each in inspect.signature(function).parameters.items()}
