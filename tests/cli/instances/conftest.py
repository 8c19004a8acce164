"""One daemon for all tests of the commands on instances: each test has its own ids."""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from click.testing import CliRunner

from perdure.cli.instances.connection import Where
from perdure.cli.main import main

from ...support.cli.fake_client import FakeClient
from ...support.processes.daemon import Daemon
from ...support.processes.shop import TOKEN, shop


class Said(NamedTuple):
    """The output of a command, and its end."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Run = Callable[..., Said]


@pytest.fixture(scope="package")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with shop(tmp_path_factory.mktemp("commands")) as daemon:
        yield daemon


@pytest.fixture
def run(daemon: Daemon) -> Run:
    """Run `perdure` against the daemon."""

    environment = {"PERDURE_SERVER": daemon.url, "PERDURE_API_TOKEN": TOKEN}

    def run(*arguments: str, given: str | None = None) -> Said:
        result = CliRunner().invoke(main, arguments, input=given, env=environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def new_id() -> str:
    """An id that no other test has."""
    return f"i-{uuid4()}"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeClient]:
    """Have the commands use a client with given answers."""

    def fake(**answers: Any) -> FakeClient:
        client = FakeClient(**answers)
        monkeypatch.setattr(Where, "client", lambda self: client)
        return client

    return fake
