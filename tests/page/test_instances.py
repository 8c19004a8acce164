"""The list of instances: filters in the address, keys, changes as they happen, actions on many."""

import shlex
import subprocess
import sys

import httpx
import pytest

from ..support.processes.daemon import Daemon
from .browsing import Visitor
from .stores import LAMP, asked, start, until_is

pytestmark = pytest.mark.slow


def ids(visitor: Visitor) -> list[str]:
    """The ids that the list shows."""
    found: list[str] = visitor.page.locator("tbody .c-id a").all_inner_texts()
    return found


def only(visitor: Visitor, *expected: str) -> None:
    """Wait until the list shows these, in this order."""
    shown = "[...document.querySelectorAll('tbody .c-id a')].map(link => link.textContent).join()"
    visitor.until(f"expected => {shown} === expected", ",".join(expected))


def test_filters_stand_in_the_address_and_back_brings_them_back(visitor: Visitor) -> None:
    # Given a list that is narrowed by status, then turned around, and by what the id begins with,
    page = visitor.page
    visitor.open("instances")
    visitor.click("Status")
    visitor.page.locator(".box").get_by_label("Failed").check()
    only(visitor, "payout-2")
    assert page.url.endswith("/ui/instances?status=FAILED")
    visitor.press("Escape")
    visitor.click("Status is", within=".chips")
    visitor.until("() => document.querySelectorAll('tbody .c-id a').length > 5")
    assert "payout-2" not in ids(visitor)
    visitor.fill("Id begins with", "payout")
    only(visitor, "payout-patient", "payout-3", "payout-1")
    address = page.url
    # when an instance is opened, and one goes back, then the list is as it was,
    visitor.click("payout-3", role="link")
    visitor.see("Timeline")
    page.go_back()
    only(visitor, "payout-patient", "payout-3", "payout-1")
    assert page.url == address
    # and another step back takes the last filter away, and a reload shows the same.
    page.go_back()
    visitor.until("() => document.querySelectorAll('tbody .c-id a').length > 5")
    page.go_forward()
    page.reload()
    only(visitor, "payout-patient", "payout-3", "payout-1")
    visitor.click("Remove the filter Id")
    visitor.click("Remove the filter Status")
    visitor.until("() => !document.querySelector('.chips')")


def test_workflow_tag_and_time_filter_too(visitor: Visitor) -> None:
    visitor.open("instances?name=Checkout&tag.customer=bob&since=1h")
    only(visitor, "order-6", "order-4", "order-2")
    for chip in ("Workflow", "customer", "Started"):
        visitor.see(chip, within=".chips")
    visitor.open("instances")
    visitor.click("Tag")
    visitor.fill("Key", "customer", within=".box")
    visitor.fill("Value", "ada", within=".box")
    visitor.click("Add")
    only(visitor, "order-5", "order-3", "order-1")


def test_children_are_shown_by_a_tick_and_by_the_count_of_their_parent(visitor: Visitor) -> None:
    visitor.open("instances?name=RegionReport")
    visitor.see("No instance matches.")
    visitor.page.get_by_label("Children").check()
    visitor.see("report-1:0004")
    visitor.open("instances?name=NightlyReport")
    visitor.page.locator(".kids").first.click()
    visitor.see("Parent", within=".chips")
    visitor.see("report-1:0001")


def test_counts_are_links(visitor: Visitor) -> None:
    visitor.open("instances")
    visitor.page.locator(".counts a", has_text="Suspended").click()
    only(visitor, "order-5")
    visitor.open("")
    visitor.page.locator(".tile", has_text="Failed").click()
    only(visitor, "payout-2")


def test_a_list_is_copied_as_a_command(visitor: Visitor) -> None:
    visitor.open("instances?status=!failed&tag.customer=bob&name=Checkout")
    only(visitor, "order-6", "order-4", "order-2")
    visitor.click("Copy as command")
    visitor.click("Copy as perdure")
    copied = visitor.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("perdure ls --status '!failed' --tag customer=bob --name Checkout --root --server http")
    # And the terminal has the same.
    command = [sys.executable, "-m", *shlex.split(copied), "-o", "ids"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["order-6", "order-4", "order-2"]


def test_a_view_is_saved_under_a_name(visitor: Visitor) -> None:
    visitor.open("instances?status=failed&name=Payout")
    visitor.click("Views")
    visitor.fill("Name of this view", "what failed")
    visitor.click("Save")
    visitor.open("instances")
    visitor.click("Views")
    visitor.click("what failed", exact=True)
    only(visitor, "payout-2")


def test_keys_do_everything(visitor: Visitor) -> None:
    # Given the overview, without a mouse,
    page = visitor.page
    visitor.open()
    visitor.press("g", "i")
    page.wait_for_url("**/ui/instances")
    visitor.see("order-1")
    # when one searches, moves, selects and opens,
    visitor.press("/")
    visitor.until("() => document.activeElement.id === 'search'")
    page.keyboard.type("payout-")
    only(visitor, "payout-patient", "payout-3", "payout-2", "payout-1")
    visitor.press("Escape", "j", "j", "x")
    visitor.see("1 instance selected")
    visitor.press("k", "x")
    visitor.see("2 instances selected")
    visitor.press("Escape")
    visitor.press("j", "j", "Enter")
    # then the instance is there, whose parts and steps have keys, and `u` leads back.
    page.wait_for_url("**/ui/instances/payout-2")
    visitor.see("Timeline")
    visitor.press("2")
    visitor.see("workflow started")
    visitor.press("1")
    visitor.see("charge", within=".timeline")
    visitor.press("j", "j", "j")
    visitor.see("Rerun from here")
    visitor.press("u")
    only(visitor, "payout-patient", "payout-3", "payout-2", "payout-1")
    visitor.press("?")
    visitor.see("next, previous step", within="dialog")
    visitor.press("Escape")
    visitor.until("() => !document.querySelector('dialog')")
    # And the focus can be seen where it is.
    visitor.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_changes_appear_without_a_reload(visitor: Visitor, shop: Daemon) -> None:
    # Given a list, and an order in it that waits for its approval,
    visitor.open("instances?id_prefix=live-")
    visitor.until("() => document.querySelector('.liveness.on')")
    start(shop, "Checkout", "live-1", LAMP)
    only(visitor, "live-1")
    visitor.see("event approval")
    # when the approval comes, then the list shows the end, and an instance that is purged is gone.
    httpx.post(f"{shop.url}/api/v1/instances/live-1/events/approval", json={"by": "eve"}).raise_for_status()
    visitor.page.locator("tr", has_text="live-1").get_by_text("Completed").wait_for()
    httpx.post(f"{shop.url}/api/v1/instances/live-1/purge", json={}).raise_for_status()
    visitor.see("No instance matches.")


def test_two_tabs_share_one_stream(visitor: Visitor, shop: Daemon) -> None:
    # Given more tabs than a browser has connections to a host,
    tabs = [visitor.page, *(visitor.another() for _ in range(7))]
    for tab in tabs:
        tab.goto(f"{shop.url}/ui/instances?id_prefix=tabs-")
        tab.wait_for_selector(".liveness.on")
    # when an instance is started, then all of them show it.
    start(shop, "Touch", "tabs-1", 1)
    for tab in tabs:
        tab.bring_to_front()
        tab.get_by_text("tabs-1", exact=True).first.wait_for()


def test_an_action_on_the_selected_asks_for_a_reason_and_their_number(visitor: Visitor, shop: Daemon) -> None:
    # Given three orders, two of which are selected,
    for number in range(3):
        start(shop, "Checkout", f"several-{number}", LAMP)
    visitor.open("instances?id_prefix=several-")
    only(visitor, "several-2", "several-1", "several-0")
    for number in (0, 2):
        visitor.page.get_by_label(f"Select several-{number}").check()
    # when they are terminated, then nothing happens before their number is typed,
    visitor.click("Terminate", within=".bar")
    visitor.fill("Reason", "the shop has closed", within="dialog")
    button = visitor.page.locator("dialog").get_by_role("button", name="Terminate 2")
    assert button.is_disabled()
    visitor.fill("Type the number", "2", within="dialog")
    button.click()
    # and then it is done to these, with the reason.
    visitor.see("2 of 2 terminated", within="dialog")
    visitor.click("Close", within="dialog footer")
    assert asked(shop, "instances/several-1")["status"] == "RUNNING"
    for number in (0, 2):
        until_is(shop, f"several-{number}", "TERMINATED")
        assert asked(shop, "audit", id=f"several-{number}")["items"][0]["reason"] == "the shop has closed"


def test_an_action_on_all_that_match_shows_their_number_first_and_then_its_progress(
    visitor: Visitor, shop: Daemon
) -> None:
    # Given sixty instances,
    for number in range(60):
        start(shop, "Renewal", f"bulk-{number:02}", 30)
    visitor.open("instances?id_prefix=bulk-")
    visitor.see("60", within=".bar")
    # when all that match are suspended, then the page says how many these are, and some of them,
    visitor.page.get_by_label("Act on all that match").select_option("suspend")
    visitor.see("instances match", within="dialog")
    visitor.see("and 55 more", within="dialog")
    visitor.fill("Reason", "a holiday", within="dialog")
    visitor.click("Suspend 60 instances")
    # and how far it has come, there and in the list of operations.
    visitor.see("60 of 60 suspended", within="dialog")
    visitor.click("Show the operation", role="link")
    visitor.see("a holiday")
    visitor.see("60 of 60 suspended")
    assert asked(shop, "count", id_prefix="bulk-", status="suspended")["counts"][0]["count"] == 60
    # What cannot be taken back wants the number typed.
    visitor.open("instances?id_prefix=bulk-")
    visitor.page.get_by_label("Act on all that match").select_option("terminate")
    button = visitor.page.locator("dialog").get_by_role("button", name="Terminate 60 instances")
    button.wait_for()
    assert button.is_disabled()
    visitor.fill("Type the number", "60", within="dialog")
    button.click()
    visitor.see("60 of 60 terminated", within="dialog")
