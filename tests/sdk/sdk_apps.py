"""Two apps of a real SDK call each other: on one daemon, and on two sidecars with one database.

Takes the kind (`daemon`: one `perdure run` with both apps; `daprd`: a `perdure daprd` for each, on one PostgreSQL
database) and the Python of the SDK. What is done is in `sdk_apps_worker.py`.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from host import READY  # type: ignore[import-not-found]  # beside this file, which is no package

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))
from tests.support.postgres import PostgresServer, installed  # noqa: E402  the tests are no package

APPS = ("shop", "bank")
PERDURE = (sys.executable, "-m", "perdure")


def begin(command: list[str], folder: Path, stack: ExitStack) -> Mapping[str, str]:
    """Start a daemon; return what its ready line says."""
    with (folder / "daemons.log").open("ab") as log:
        process = subprocess.Popen(
            [*PERDURE, *command], stdout=subprocess.PIPE, stderr=log, cwd=folder, text=True, env=os.environ
        )
    stack.callback(process.wait, timeout=30)
    stack.callback(process.terminate)
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith(READY):
        raise RuntimeError(f"no ready line: {line!r}; {(folder / 'daemons.log').read_text()[-2000:]}")
    return dict(part.split("=", 1) for part in line.removeprefix(READY).split())


def one_daemon(folder: Path, stack: ExitStack) -> list[str]:
    apps = [word for app_id in APPS for word in ("--app-id", app_id)]
    said = begin(["run", *apps, "--http-port", "0", "--grpc-port", "0", "--data", "perdure.db"], folder, stack)
    return [said["grpc"], said["grpc.bank"]]


def two_sidecars(folder: Path, stack: ExitStack) -> list[str]:
    server = PostgresServer(installed()[max(installed())])
    stack.callback(server.close)
    server.start()
    os.environ["PERDURE_DATA"] = server.url(schema="apps")
    free = ("--dapr-http-port", "0", "--dapr-grpc-port", "0", "--metrics-port", "0")
    return [begin(["daprd", "--app-id", app_id, *free], folder, stack)["grpc"] for app_id in APPS]


KINDS: dict[str, Callable[[Path, ExitStack], list[str]]] = {"daemon": one_daemon, "daprd": two_sidecars}


def main() -> int:
    kind, python = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        ports = [each.rpartition(":")[2] for each in KINDS[kind](Path(folder), stack)]
        command = [python, str(HERE / "sdk_apps_worker.py")]
        name = f"Python 1.19, two apps ({kind})"
        bank = subprocess.Popen([*command, "bank", *ports, name], stdout=subprocess.PIPE, text=True)
        stack.callback(bank.wait)
        stack.callback(bank.kill)
        assert bank.stdout is not None
        assert bank.stdout.readline() == "ready\n"
        return subprocess.run([*command, "shop", *ports, name], timeout=240, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
