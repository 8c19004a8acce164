"""A real daemon in its own process, for tests that start it, send it requests and kill it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil

from .template import Copy, begin

READY_S = 30.0  # a slow machine under load
PAUSE_S_MAX = 0.2  # between two looks at an instance


class Daemon:
    """`perdure run APP` on free ports.

    Args:
        app: A file with an app, or None.
        data: The store's file.
        options: More of the command line.
        stderr: A descriptor in the place of a file beside the store.
        inside: A command that runs the daemon's: in other namespaces, with another clock.
        python: That has Perdure.
        fresh: Whether Python itself has to start, as for users; else the daemon may be a copy of a process that has
            imported it (`template.py`).
    """

    def __init__(
        self,
        app: Path | None,
        data: Path,
        *options: str,
        env: dict[str, str] | None = None,
        stderr: int | None = None,
        inside: tuple[str, ...] = (),
        python: str = sys.executable,
        fresh: bool = False,
    ) -> None:
        arguments = ["run"] if app is None else ["run", str(app)]
        arguments += ["--http-port", "0", "--grpc-port", "0", "--data", str(data), *options]
        self._log = data.with_suffix(".log").open("ab")
        self._http = httpx.Client()
        variables = {**os.environ, **(env or {})}
        errors = self._log.fileno() if stderr is None else stderr
        began = time.perf_counter()
        self.process: Copy | subprocess.Popen[bytes]
        if inside or python != sys.executable:
            command = [*inside, python, "-m", "perdure", *arguments]
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, cwd=data.parent, env=variables
            )
        else:
            self.process = begin(arguments, folder=data.parent, env=variables, stderr=errors, fresh=fresh)
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        self.ready_s = time.perf_counter() - began
        if not line.startswith("Perdure ready: "):
            self.close()
            raise AssertionError(f"not ready: {line!r}; {data.with_suffix('.log').read_text()[-2000:]}")
        addresses = dict(part.split("=", 1) for part in line.removeprefix("Perdure ready: ").split())
        self.url = addresses["http"]
        self.grpc = addresses["grpc"].partition("://")[2] or addresses["grpc"]
        self._http.base_url = f"{self.url}/v1.0/workflows/dapr/"

    def kill(self) -> None:
        """End it as a power cut would: SIGKILL."""
        self.process.send_signal(signal.SIGKILL)
        self.close()

    def hosts(self) -> list[psutil.Process]:
        """The processes of its hosts, with `--processes` above 1."""
        return [child for child in psutil.Process(self.process.pid).children() if _is_host(child)]

    def stop(self) -> int:
        """End it as an operator would: SIGTERM; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        self.close()
        return self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None and not self.process.returncode:
            try:
                self.process.wait(timeout=READY_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.close()

    # Talking to it.

    def start(self, workflow: str, instance_id: str, given: Any = None) -> httpx.Response:
        content = "" if given is None else json.dumps(given)
        return self._http.post(f"{workflow}/start", params={"instanceID": instance_id}, content=content)

    def get(self, instance_id: str) -> dict[str, Any]:
        body: dict[str, Any] = self._http.get(instance_id).json()
        return body

    def post(self, instance_id: str, action: str, given: Any = None) -> httpx.Response:
        content = "" if given is None else json.dumps(given)
        return self._http.post(f"{instance_id}/{action}", content=content)

    def wait_for(self, instance_id: str, status: str, *, within_s: float = 30.0) -> dict[str, Any]:
        """Ask until the instance has the status, at growing intervals, because each answer costs work."""
        pause_s, deadline = 0.01, time.monotonic() + within_s
        while (state := self.get(instance_id)).get("runtimeStatus") != status:
            assert time.monotonic() < deadline, state
            time.sleep(pause_s)
            pause_s = min(1.5 * pause_s, PAUSE_S_MAX)
        return state


def _is_host(process: psutil.Process) -> bool:
    """Whether a child of a supervisor is a host, and alive; Python keeps a process beside them."""
    with contextlib.suppress(psutil.NoSuchProcess):  # a zombie too
        return "spawn_main" in " ".join(process.cmdline())
    return False
