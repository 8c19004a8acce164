"""A real `perdure run` with both of its ports, for programs that are no tests: the drivers of the SDKs."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

READY = "Perdure ready: "


class Host:
    """A daemon in a process of its own.

    Args:
        data: The store's file; the log goes beside it.
        app: A file with native code, or None.
        ports: HTTP's and gRPC's; 0 for any. One that is started again keeps its ports, so that workers find it.
        options: More of the command line.
        database: The address of a database in place of the file.
    """

    def __init__(
        self,
        data: Path,
        *,
        app: Path | None = None,
        ports: tuple[int, int] = (0, 0),
        options: tuple[str, ...] = (),
        database: str | None = None,
    ) -> None:
        http, rpc = ports
        command = [sys.executable, "-m", "perdure", "run"]
        if app is not None:
            # What the file does not have is for workers, also before the first of them has connected.
            command += [str(app), "--wait-for-workers"]
        command += ["--http-port", str(http), "--grpc-port", str(rpc), "--data", database or str(data), *options]
        self.log = data.with_suffix(".log")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=data.parent, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith(READY):
            self.process.wait()
            raise RuntimeError(
                f"the daemon is not ready: {line!r}; {self.log} ends with {self.log.read_text()[-2000:]}"
            )
        said = dict(part.split("=", 1) for part in line.removeprefix(READY).split())
        self.url = said["http"]
        self.http_port = urlsplit(self.url).port or 0
        self.rpc_port = int(said["grpc"].rpartition(":")[2])

    @property
    def ports(self) -> tuple[int, int]:
        return self.http_port, self.rpc_port

    def env(self) -> dict[str, str]:
        """What `dapr run` would set for an app."""
        return {
            **os.environ,
            "DAPR_HTTP_PORT": str(self.http_port),
            "DAPR_GRPC_PORT": str(self.rpc_port),
            "PYTHONUNBUFFERED": "1",
        }

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """End it as an operator would; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.process.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
