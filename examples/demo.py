"""The story of `make demo`: an order that outlives its daemon, twice.

It starts `perdure run examples/order_processing.py`, sends HTTP requests like any client, kills it with SIGKILL at the
worst moments, and checks each answer. It ends with exit code 0 only if all checks pass.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).with_name("order_processing.py")
ORDER = {"Name": "Paperclips", "TotalCost": 99.95, "Quantity": 4}
PATIENCE_S = 30.0  # for each wait; on an idle machine none takes longer than two seconds


def main() -> None:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="perdure-demo-") as folder:
        shop = Shop(Path(folder))
        try:
            tell(shop)
        except Unexpected as error:
            print(f"\nThis is not how it should go: {error}\n\nThe daemon said:")
            print("\n".join(f"  {line}" for line in shop.said))
            sys.exit(1)
        finally:
            shop.kill()
    print(f"\nAll of it went as told, in {time.monotonic() - began:.0f} seconds.")


def tell(shop: "Shop") -> None:
    chapter("1. Start the daemon, with a workflow in it")
    shop.start()

    chapter("2. Start an order")
    shop.call("POST", "OrderProcessingWorkflow/start?instanceID=order-1", ORDER, status=202)
    explain("202: the order is on disk. Whatever happens to the daemon now, it will be processed.")
    shop.hear("reserve", "begun")
    shop.wait_for("RUNNING", "waiting for approval")
    explain("The goods are reserved. The order waits for a person, for three days if it has to.")

    chapter("3. kill -9, while the order waits")
    shop.kill()
    shop.start()
    shop.wait_for("RUNNING", "waiting for approval")
    expect(not shop.heard("begun"), "nothing should have run again")
    explain("It still waits. Nothing ran again: the reservation stands in the order's history.")

    chapter("4. Approve it")
    shop.call("POST", "order-1/raiseEvent/approval", {"approved": True}, status=202)
    first_key = shop.hear("charge", "begun").rpartition(" ")[2]
    explain("The bank is being asked for the money, right now ...")

    chapter("5. kill -9, in the middle of the payment")
    shop.kill()
    expect(not shop.booked("charge"), "the bank should not have answered yet")
    explain("Did the bank get the request? Nobody can know. So the daemon asks again, under the same key:")
    shop.start()
    second_key = shop.hear("charge", "begun").rpartition(" ")[2]
    expect(first_key == second_key, f"the key should be {first_key} again, not {second_key}")
    expect(not shop.heard("reserve"), "the reservation should not run again")
    explain("Only the payment ran again. A bank that knows the key takes the money once.")

    chapter("6. The order is done")
    state = shop.wait_for("COMPLETED", "done")
    output = json.loads(state["properties"]["dapr.workflow.output"])
    expect(output["processed"] is True, "the order should be processed")
    deeds = {deed: shop.booked(deed) for deed in ("reserve", "charge", "ship", "release")}
    print(f"  output: {json.dumps(output)}")
    print(f"  in the books of warehouse, bank and carrier: {json.dumps(deeds)}")
    expect(deeds == {"reserve": 1, "charge": 1, "ship": 1, "release": 0}, "each deed should be booked once")

    chapter("7. Stop the daemon politely")
    shop.stop()
    explain("Exit code 0: no new work was taken, what was running was finished, and all of it is on disk.")


class Unexpected(Exception):
    """A check of the demo has failed."""


class Shop:
    """The daemon that runs the example, restarted on the same data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()  # the daemon's log; None at its end
        self.said: list[str] = []  # since this start of the daemon
        self.url = ""

    def start(self) -> None:
        """Start the daemon, and wait for the line with its address."""
        command = ["run", str(EXAMPLE), "--http-port", "0", "--grpc-port", "0", "--data", str(self.folder / "demo.db")]
        print(f"$ perdure {' '.join(command)}".replace(f"{Path.cwd()}/", ""))
        self.said = []
        self.lines = queue.SimpleQueue()
        self.process = subprocess.Popen(  # noqa: S603  our own command
            [sys.executable, "-m", "perdure", *command],
            cwd=self.folder,
            env=os.environ | {"ORDER_BOOKS": str(self.folder / "books")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=listen, args=(self.process.stdout, self.lines), daemon=True).start()
        self.url = self.hear("Perdure ready:").split("http=", 1)[1].split()[0]
        print(f"  (process {self.process.pid})")

    def kill(self) -> None:
        """Kill the daemon by its process id, with the signal that no process can catch."""
        if self.process is None:
            return
        if self.process.poll() is None:
            print(f"$ kill -9 {self.process.pid}")
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def stop(self) -> None:
        """Stop the daemon in order, and check its exit code."""
        assert self.process is not None
        print(f"$ kill {self.process.pid}")
        os.kill(self.process.pid, signal.SIGTERM)
        code = self.process.wait(PATIENCE_S)
        self.process = None
        expect(code == 0, f"the exit code should be 0, not {code}")

    def call(self, method: str, path: str, body: Any = None, *, status: int, quiet: bool = False) -> Any:
        """Send a request, print it with its answer, and return the value of the answer."""
        url = f"{self.url}/v1.0/workflows/dapr/{path}"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(url, data, method=method)  # noqa: S310  our own daemon
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
                got, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            got, text = error.code, error.read().decode()
        if not quiet:
            print(f"> {method} /v1.0/workflows/dapr/{path}" + (f"  {json.dumps(body)}" if body is not None else ""))
            print(f"< {got} {text}")
        expect(got == status, f"{method} {path} should answer {status}, not {got} {text}")
        return json.loads(text)

    def wait_for(self, status: str, custom_status: str) -> Any:
        """Poll the order until it has this state, and print the last answer."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            state = self.call("GET", "order-1", status=200, quiet=True)
            custom = state.get("properties", {}).get("dapr.workflow.custom_status")
            if (state["runtimeStatus"], custom) == (status, custom_status):
                return self.call("GET", "order-1", status=200)
            expect(time.monotonic() < deadline, f"the order should be {status}, {custom_status!r}; it is {state}")
            time.sleep(0.05)

    def hear(self, *words: str) -> str:
        """Wait until the daemon logs a line with all these words."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise Unexpected(f"the daemon should have said {' '.join(words)!r}")
            self.said.append(line)
            if all(word in line for word in words):
                print(f"  {line}")
                return line

    def heard(self, word: str) -> bool:
        """Whether the daemon has logged a line with this word since this start."""
        while not self.lines.empty():
            self.said.append(self.lines.get() or "")
        return any(word in line for line in self.said)

    def booked(self, deed: str) -> int:
        """How often a deed is recorded in the books."""
        return len(list((self.folder / "books").glob(f"{deed}-*")))


def listen(stream: Any, lines: "queue.SimpleQueue[str | None]") -> None:
    for line in stream:
        lines.put(line.rstrip())
    lines.put(None)


def expect(truth: bool, otherwise: str) -> None:
    if not truth:
        raise Unexpected(otherwise)


def chapter(title: str) -> None:
    print(f"\n{title}", flush=True)


def explain(text: str) -> None:
    print(f"  {text}")


if __name__ == "__main__":
    main()
