"""A daemon traces only if it is told to, serves without the libraries, and does not wait for a collector at its end."""

import logging
import subprocess
import sys
import threading

import anyio
import pytest

from perdure import Engine
from perdure.actors.store.memory import MemoryStore
from perdure.api.tracing import TracingConfig
from perdure.daemon.telemetry import tracing
from perdure.daemon.telemetry.tracing import traced


async def begin(config: TracingConfig | None) -> Engine:
    engine = Engine(data=MemoryStore())
    async with traced(config, engine):
        return engine


def test_an_engine_is_traced_if_there_is_a_configuration() -> None:
    assert anyio.run(begin, None).facade.tracing is None
    assert anyio.run(begin, TracingConfig()).facade.tracing is not None


def test_without_the_libraries_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tracing, "installed", lambda: False)
    assert anyio.run(begin, TracingConfig()).facade.tracing is None
    assert "pip install 'perdure[otel]'" in caplog.text


def test_the_end_waits_for_a_collector_only_for_a_moment(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from perdure.telemetry.exporting import Exporting  # noqa: PLC0415

    answered = threading.Event()
    monkeypatch.setattr(tracing, "CLOSE_S", 0.05)
    monkeypatch.setattr(Exporting, "close", lambda self: answered.wait())
    with caplog.at_level(logging.WARNING):
        anyio.run(begin, TracingConfig())
    answered.set()
    assert "the last spans were not sent within 0.05 s" in caplog.text


def test_a_daemon_without_tracing_imports_nothing_of_it() -> None:
    program = "import perdure.daemon.daemon, sys; assert not [name for name in sys.modules if 'opentelemetry' in name]"
    subprocess.run([sys.executable, "-c", program], check=True)
