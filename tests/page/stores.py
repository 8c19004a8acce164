"""What the daemons of the tests have in their stores."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from ..support.processes.daemon import Daemon

PATIENCE_S = 30.0

LAMP = {"item": "lamp", "quantity": 2, "price": 20.0}
SOFA = {"item": "sofa", "quantity": 1, "price": 900.0}

INSTANCES = 100_000
STEPS = 25_000  # two events each, and those of the turns
BYTES = 5 * 1024 * 1024

FILL = """
import sys, logging, anyio
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1]).parent))
import shop
import perdure

async def main(path, instances, steps, size):
    logging.disable(logging.WARNING)
    settings = perdure.Settings(activations_max=2000)
    async with perdure.Engine(shop.app, data=path, settings=settings) as engine:
        await engine.client.start(shop.scan, input=size, instance_id="large-payload")
        await engine.client.start(shop.count, input=steps, instance_id="long-history")
        for first in range(0, instances - 2, 1000):
            async with anyio.create_task_group() as tasks:
                for number in range(first, min(first + 1000, instances - 2)):
                    async def start(number=number):
                        await engine.client.start(shop.touch_once, input=number, instance_id=f"touch-{number:06}")
                    tasks.start_soon(start)
        for each in ("large-payload", "long-history", f"touch-{instances - 3:06}"):
            await engine.client.wait(each)

anyio.run(main, sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
"""


def start(daemon: Daemon, workflow: str, instance_id: str, given: Any, **tags: str) -> None:
    """Start an instance with tags."""
    query = {"id": instance_id, **{f"tag.{key}": value for key, value in tags.items()}}
    httpx.post(f"{daemon.url}/api/v1/workflows/{workflow}/instances", params=query, json=given).raise_for_status()


def act(daemon: Daemon, action: str, instance_id: str, **body: Any) -> None:
    """Do something to an instance."""
    httpx.post(f"{daemon.url}/api/v1/instances/{instance_id}/{action}", json=body).raise_for_status()


def asked(daemon: Daemon, path: str, **query: str) -> Any:
    """Ask the API."""
    return httpx.get(f"{daemon.url}/api/v1/{path}", params=query).raise_for_status().json()


def until_is(daemon: Daemon, instance_id: str, wanted: str, *, of: str = "status") -> None:
    """Wait until an instance has a status, or another field."""
    deadline = time.monotonic() + PATIENCE_S
    while asked(daemon, f"instances/{instance_id}")[of] != wanted:
        assert time.monotonic() < deadline, instance_id
        time.sleep(0.05)


def seeded(daemon: Daemon) -> None:
    """Start what there is to be seen."""
    for number in range(1, 7):
        start(daemon, "Checkout", f"order-{number}", LAMP, customer="ada" if number % 2 else "bob", channel="web")
    for number in range(1, 4):
        start(daemon, "Payout", f"payout-{number}", SOFA if number == 2 else LAMP)
    start(daemon, "PatientPayout", "payout-patient", SOFA)
    start(daemon, "NightlyReport", "report-1", ["north", "south", "east", "west"])
    start(daemon, "Renewal", "renewal-1", 30)
    start(daemon, "Hang", "export-1", 3600)
    start(daemon, "Scan", "scan-1", 400)
    until_is(daemon, "payout-2", "FAILED")
    for number in (1, 2):
        until_is(daemon, f"order-{number}", "waiting for approval", of="custom_status")
        approval = f"{daemon.url}/api/v1/instances/order-{number}/events/approval"
        httpx.post(approval, json={"by": "eve"}).raise_for_status()
        until_is(daemon, f"order-{number}", "COMPLETED")
    act(daemon, "suspend", "order-5", reason="the warehouse is closed")
    act(daemon, "terminate", "order-6", reason="the customer has called")


def many_instances(path: Path) -> None:
    """Fill a store, in a process of its own."""
    shop = Path(__file__).with_name("shop.py")
    numbers = [str(each) for each in (INSTANCES, STEPS, BYTES)]
    subprocess.run([sys.executable, "-c", FILL, str(shop), str(path), *numbers], check=True, timeout=600)
