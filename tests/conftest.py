"""What all tests share: the switches and fresh engines."""

import faulthandler
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import hypothesis
import pytest

from perdure import Settings
from perdure.testing.virtual_time import run_virtually

from .support.coverage.floors import floors, layers
from .support.coverage.own import OwnTests
from .support.examples import examples
from .support.paths import ROOT
from .support.postgres import PostgresServer, PostgresServers
from .support.processes.template import close_template
from .support.rewriting import rewrite_share

# httpx loads the certificates of the world for each client, which takes longer than to start a thread or a hundred
# requests. Tests talk to this machine alone, without TLS: there are none in this folder.
os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = str(ROOT / "tests")

# Of a property that says no number. How long an example takes is up to the tests beside it.
hypothesis.settings.register_profile(
    "perdure",
    max_examples=examples(100),
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("perdure")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--always-replay",
        action="store_true",
        help="evict every instance after each turn, so that each turn starts from the store",
    )
    parser.addoption(
        "--compiled",
        action="store_true",
        help="fail unless the installed package is the compiled build, as it is for `make test-compiled`",
    )
    parser.addoption(
        "--coverage",
        metavar="FOLDER",
        type=Path,
        help="measure which branches of a module its own test file runs, and write it into this folder",
    )


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> Settings:
    """Settings for an engine under test; those of production, but for a short grace and the switch above."""
    return Settings(always_replay=request.config.getoption("--always-replay"), stop_grace_s=1.0)


@pytest.fixture(scope="session")
def postgres_servers() -> Iterator[PostgresServers]:
    """Makes PostgreSQL servers that nobody else has."""
    servers = PostgresServers()
    yield servers
    servers.close()


@pytest.fixture(scope="session")
def postgres_server(postgres_servers: PostgresServers) -> Iterator[Callable[[int], PostgresServer]]:
    """Gives the PostgreSQL server of a release, which is started when it is asked for first."""
    servers: dict[int, PostgresServer] = {}

    def server_of(release: int) -> PostgresServer:
        if release not in servers:
            servers[release] = postgres_servers.new(release)
            servers[release].start()
        return servers[release]

    try:
        yield server_of
    finally:
        for server in servers.values():
            server.close()


@pytest.fixture
def own_server(postgres_servers: PostgresServers) -> Iterator[PostgresServer]:
    """A PostgreSQL server of the newest release here, which a test may stop."""
    server = postgres_servers.new()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """pytest's own, without what is said in a collection of garbage: it may come upon tasks that other tests left."""
    collecting = False

    def watch(phase: str, info: dict[str, int]) -> None:
        nonlocal collecting
        collecting = phase == "start"

    def of_this_test(record: logging.LogRecord) -> bool:
        return not collecting

    gc.callbacks.append(watch)
    caplog.handler.addFilter(of_this_test)
    yield caplog
    caplog.handler.removeFilter(of_this_test)
    gc.callbacks.remove(watch)


@pytest.fixture(params=["asyncio", "trio"])
def virtual_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Literal["asyncio", "trio"]:
    """Run the virtual-time stories of a test on asyncio, and on trio: hosts and engines are to work on both."""
    backend: Literal["asyncio", "trio"] = request.param
    monkeypatch.setattr(request.module, "run_virtually", partial(run_virtually, backend=backend))
    return backend


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Collect the tests without Python's garbage collector, and have it never look at them: all of them stay."""
    gc.disable()
    try:
        rewrite_share(session.config.args, session.config)
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_sessionfinish() -> None:
    close_template()


class _End:
    """Ends the process when the report is written, because a thread that a test left behind would hold up its end."""

    exit_code = 0

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self.exit_code = int(exitstatus)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        left = [each for each in threading.enumerate() if each is not threading.main_thread() and not each.daemon]
        if left:
            print(f"threads that tests have left behind: {', '.join(map(str, left))}", file=sys.stderr)
            faulthandler.dump_traceback(all_threads=True, file=2)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(self.exit_code)


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in a shell.s background; children inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if (folder := config.getoption("--coverage")) is not None:
        config.pluginmanager.register(OwnTests(layers(floors()), folder))
    if not hasattr(config, "workerinput"):  # a worker of pytest-xdist ends when its controller says so
        config.pluginmanager.register(_End())
