"""The page of a daemon with several hosts: two on a PostgreSQL server, two processes with files.

Any host shows and steers what any other owns, and a page stays usable while hosts are killed and come back.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..support.postgres import PostgresServer, PostgresServers, installed
from ..support.processes.daemon import Daemon
from .browsing import Visitor, told
from .conftest import SHOP
from .stores import LAMP, asked, start, until_is

pytestmark = pytest.mark.slow

PATIENCE_S = 60.0
SHARDS = 1024

without_postgres = pytest.mark.skipif(not installed(), reason="there is no PostgreSQL here")


class Hosts:
    """Two hosts on one database. Which of them owns an instance is a matter of its id."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self._data, self._folder, self._started = server.url(), folder, 0
        self.here, self.there = self.another(), self.another()
        self.until(2)

    def another(self, *options: str) -> Daemon:
        """Start a host."""
        self._started += 1
        return Daemon(SHOP, self._folder / f"host-{self._started}.db", "--data", self._data, *options)

    def until(self, count: int) -> None:
        """Wait until this number of hosts has all shards, as the first one sees it."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            seen = asked(self.here, "hosts")
            shares = [each["shards"] for each in seen["items"] if each["state"] == "serving"]
            if len(shares) == count == len(seen["items"]) and all(shares) and sum(shares) == SHARDS:
                return
            assert time.monotonic() < deadline, seen
            time.sleep(0.1)

    def close(self) -> None:
        for daemon in (self.here, self.there):
            daemon.__exit__(None, None, None)


@pytest.fixture(scope="module")
def hosts(postgres_servers: PostgresServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    server = postgres_servers.new()
    try:
        server.start()
        hosts = Hosts(server, tmp_path_factory.mktemp("hosts"))
        try:
            yield hosts
        finally:
            hosts.close()
    finally:
        server.close()


def shown(visitor: Visitor, count: int, status: str | None = None) -> None:
    """Wait until the list shows this number of instances, of a status if one is given."""
    within = f".filter(row => row.textContent.includes('{status}'))" if status else ""
    rows = f"[...document.querySelectorAll('tbody tr:not(.gap)')].filter(row => row.querySelector('.c-id a')){within}"
    visitor.until(f"count => {rows}.length === count", count)


def watching(visitor: Visitor, path: str) -> None:
    """Open a view, and wait until changes come in."""
    visitor.open(path)
    visitor.until("() => document.querySelector('.liveness.on')")


@without_postgres
def test_a_page_of_one_host_shows_changes_at_the_other_and_acts_on_what_that_one_owns(
    browser: Any, hosts: Hosts
) -> None:
    # Given a page of each of two hosts,
    with Visitor(browser, hosts.here.url) as here, Visitor(browser, hosts.there.url) as there:
        for visitor in (here, there):
            watching(visitor, "instances?id_prefix=spread-")
        # when instances are started at one of them, then both pages show all.
        for number in range(12):
            start(hosts.there, "Checkout", f"spread-{number:02}", LAMP)
        for visitor in (here, there):
            shown(visitor, 12, "approval")
        # When all are terminated on the other page, then the first one shows that, and has the reason.
        here.page.keyboard.press("Shift+X")
        here.click("Terminate", within=".bar")
        here.fill("Reason", "the other shop has closed", within="dialog")
        here.fill("Type the number", "12", within="dialog")
        here.click("Terminate 12", within="dialog footer")
        here.see("12 of 12 terminated", within="dialog")
        shown(there, 12, "Terminated")
        there.open("audit?id=spread-07")
        there.see("the other shop has closed")


@without_postgres
def test_an_action_on_all_that_match_reaches_all_hosts_and_is_seen_on_each(browser: Any, hosts: Hosts) -> None:
    # Given instances of both hosts,
    for number in range(40):
        start(hosts.here if number % 2 else hosts.there, "Renewal", f"many-{number:02}", 30)
    with Visitor(browser, hosts.here.url) as here, Visitor(browser, hosts.there.url) as there:
        watching(there, "instances?id_prefix=many-")
        here.open("instances?id_prefix=many-")
        # when all that match are suspended,
        here.page.get_by_label("Act on all that match").select_option("suspend")
        here.see("instances match", within="dialog")
        here.fill("Reason", "stocktaking", within="dialog")
        here.click("Suspend 40 instances")
        here.see("40 of 40 suspended", within="dialog")
        # then the other host's page shows them, and the operation.
        visible = "[...document.querySelectorAll('tbody tr')].filter(row => row.querySelector('.c-id a'))"
        there.until(f"() => {visible}.length > 8 && {visible}.every(row => row.textContent.includes('Suspended'))")
        there.open("operations")
        there.see("stocktaking")
        there.click("suspend", role="link")
        there.see("40 of 40 suspended")


@without_postgres
def test_an_instance_is_steered_from_the_page_of_a_host_that_does_not_own_it(browser: Any, hosts: Hosts) -> None:
    with Visitor(browser, hosts.here.url) as here, Visitor(browser, hosts.there.url) as there:
        for number, visitor in enumerate((here, there, here, there)):
            start(hosts.here, "Checkout", f"steered-{number}", LAMP)
            until_is(hosts.there, f"steered-{number}", "waiting for approval", of="custom_status")
            visitor.open(f"instances/steered-{number}")
            visitor.click("send it")
            visitor.fill("Payload", '{"by": "the page"}', within="dialog")
            visitor.click("Send the event", within="dialog")
            visitor.page.locator(".facts").get_by_text("Completed").wait_for()
            visitor.see("ship", within=".timeline")


@without_postgres
def test_the_views_of_a_host_tell_of_all(browser: Any, hosts: Hosts) -> None:
    with Visitor(browser, hosts.here.url) as visitor:
        for path, texts in {
            "hosts": ["serving", "Beat", "of 1\u2009024"],
            "store": ["postgresql", "Configuration"],
            "workflows": ["Checkout", "last hour"],
            "activities": ["reserve", "p99"],
            "": ["2 hosts", "By workflow", "Starts and ends"],
        }.items():
            took_s = visitor.open(path)
            for text in texts:
                visitor.see(text)
            told({f"of two hosts: opens {path or 'overview'} [s]": took_s})


@without_postgres
def test_a_page_shows_that_another_host_dies_goes_on_meanwhile_and_shows_it_again(browser: Any, hosts: Hosts) -> None:
    # Given a page of one of two hosts, and instances that wait,
    for number in range(8):
        start(hosts.here, "Checkout", f"orphan-{number}", LAMP)
        until_is(hosts.here, f"orphan-{number}", "waiting for approval", of="custom_status")
    with Visitor(browser, hosts.here.url) as visitor:
        lamps = "document.querySelectorAll('.host .lamp.on').length"
        visitor.open("hosts")
        visitor.until(f"() => {lamps} === 2")
        # when the other host is killed, then the page shows one that has all shards,
        hosts.there.kill()
        hosts.until(1)
        visitor.until("() => document.querySelectorAll('.host').length === 1")
        visitor.see("1\u2009024 of 1\u2009024")
        # and what that host owned can be seen and steered.
        watching(visitor, "instances?id_prefix=orphan-")
        shown(visitor, 8, "approval")
        for number in range(8):
            url = f"{hosts.here.url}/api/v1/instances/orphan-{number}/events/approval"
            httpx.post(url, json={"by": "eve"}).raise_for_status()
        shown(visitor, 8, "Completed")
        # When a host is started again, then the page shows it.
        visitor.open("hosts")
        hosts.there = hosts.another()
        visitor.until(f"() => {lamps} === 2")
        hosts.until(2)


@without_postgres
def test_a_page_whose_host_is_killed_says_so_and_goes_on_with_the_next_at_its_address(
    browser: Any, hosts: Hosts
) -> None:
    # Given a list and an instance on pages of a host, in two tabs,
    start(hosts.there, "Checkout", "moved-1", LAMP)
    until_is(hosts.there, "moved-1", "waiting for approval", of="custom_status")
    with Visitor(browser, hosts.there.url) as visitor:
        watching(visitor, "instances?id_prefix=moved-")
        shown(visitor, 1)
        listed, visitor.page = visitor.page, visitor.another()
        visitor.open("instances/moved-1")
        # when their host is killed, and its work goes on elsewhere,
        port = hosts.there.url.rpartition(":")[2]
        hosts.there.kill()
        visitor.see("The daemon does not answer.")
        hosts.until(1)
        url = f"{hosts.here.url}/api/v1/instances/moved-1/events/approval"
        httpx.post(url, json={"by": "eve"}).raise_for_status()
        until_is(hosts.here, "moved-1", "COMPLETED")
        # then both tabs show what has happened once there is a host at that address again.
        hosts.there = hosts.another("--http-port", port)
        visitor.page.get_by_text("The daemon does not answer.").wait_for(state="detached")
        visitor.page.locator(".facts").get_by_text("Completed").wait_for()
        listed.bring_to_front()
        listed.locator("tbody tr", has_text="moved-1").get_by_text("Completed").wait_for()
        listed.wait_for_selector(".liveness.on")
        start(hosts.here, "Touch", "moved-2", 2)
        listed.locator("tbody tr", has_text="moved-2").wait_for()


def test_a_page_of_several_processes_goes_on_when_one_of_them_is_killed(browser: Any, tmp_path: Path) -> None:
    # Given a page of a daemon of two processes, and instances of both,
    with (
        Daemon(SHOP, tmp_path / "perdure.db", "--processes", "2") as daemon,
        Visitor(browser, daemon.url) as visitor,
    ):
        watching(visitor, "instances?id_prefix=part-")
        for number in range(10):
            start(daemon, "Checkout", f"part-{number}", LAMP)
        shown(visitor, 10, "approval")
        # when each process is killed in turn, and the daemon replaces it,
        for victim in daemon.hosts():
            victim.kill()
            victim.wait(PATIENCE_S)
            until_served(daemon, 2)
        # then the page shows all of them and what happens to them, without a reload,
        visitor.page.wait_for_selector(".liveness.on")
        for number in range(10):
            url = f"{daemon.url}/api/v1/instances/part-{number}/events/approval"
            httpx.post(url, json={"by": "eve"}).raise_for_status()
        shown(visitor, 10, "Completed")
        assert visitor.page.get_by_text("The daemon does not answer.").count() == 0
        # acts on all, and shows both processes.
        visitor.page.get_by_label("Act on all that match").select_option("purge")
        visitor.fill("Type the number", "10", within="dialog")
        visitor.click("Purge 10 instances")
        visitor.see("10 of 10 purged", within="dialog")
        visitor.open("hosts")
        visitor.until("() => document.querySelectorAll('.host .lamp.on').length === 2")


def until_served(daemon: Daemon, count: int) -> None:
    """Wait until this number of processes is ready."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            if sum(each["ready"] for each in asked(daemon, "hosts")["items"]) == count:
                return
        except httpx.HTTPError:
            pass  # the connection went to the one that is away
        assert time.monotonic() < deadline
        time.sleep(0.1)
