"""Each view opens, shows the daemon's data, is readable in light and dark, and usable on a phone."""

from typing import Any

import pytest

from ..support.processes.daemon import Daemon
from .accessible import serious
from .browsing import Visitor, told

pytestmark = pytest.mark.slow

OPEN_S_MAX = 20.0  # a machine under load; the time itself is printed

# Path -> what is to be seen there.
VIEWS = {
    "": ["Needs attention", "failed in the last hour", "By workflow", "Starts and ends"],
    "instances": ["order-1", "Checkout", "event approval"],
    "instances/payout-2": ["failed on attempt 3", "CardDeclined", "Timeline"],
    "instances/order-3?tab=events": ["execution started", "task scheduled"],
    "instances/report-1?tab=tree": ["report-1:0001", "RegionReport"],
    "instances/order-1?tab=raw": ["first_execution_id"],
    "workflows": ["NightlyReport", "last hour"],
    "activities": ["charge", "p99"],
    "workers": ["No remote worker is connected."],
    "hosts": ["local", "Actors in memory"],
    "store": ["Write-ahead log", "Configuration", "durability"],
    "audit": ["the warehouse is closed", "terminate"],
    "operations": ["There have been no operations."],
    "start": ["Choose one"],
    "start/Checkout": ["quantity", "What a customer wants."],
    "nowhere": ["There is no such view"],
}


@pytest.mark.parametrize("path", VIEWS)
def test_each_view_says_what_the_daemon_knows(visitor: Visitor, path: str) -> None:
    took_s = visitor.open(path)
    for text in VIEWS[path]:
        visitor.see(text)
    told({f"opens {path or 'overview'} [s]": took_s})
    assert took_s < OPEN_S_MAX


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_hinders_anyone(browser: Any, shop: Daemon, scheme: str) -> None:
    # Given each view, in the colours of the system,
    found = {}
    with Visitor(browser, shop.url, scheme=scheme) as visitor:
        for path in VIEWS:
            visitor.open(path)
            # when axe looks at it, then it finds nothing serious.
            found[path] = serious(visitor.page)
        visitor.open("instances/order-3")
        visitor.click("Terminate")
        found["a dialog"] = serious(visitor.page)
    assert {path: each for path, each in found.items() if each} == {}


def test_axe_finds_what_is_serious(visitor: Visitor) -> None:
    visitor.open("hosts")
    visitor.page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert any("button-name" in each for each in serious(visitor.page))


@pytest.mark.parametrize("path", ["", "instances", "instances/payout-2", "hosts", "store", "audit", "start/Checkout"])
def test_a_phone_shows_it_without_scrolling_sideways(browser: Any, shop: Daemon, path: str) -> None:
    with Visitor(browser, shop.url, width=360, height=740) as visitor:
        visitor.open(path)
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 360
        assert visitor.page.evaluate("document.querySelector('main').scrollWidth") <= 360
        visitor.click("Menu")
        visitor.click("Workflows", role="link")
        visitor.see("last hour")


def test_colours_follow_the_system_and_the_switch_and_are_kept(browser: Any, shop: Daemon) -> None:
    with Visitor(browser, shop.url, scheme="dark") as visitor:
        visitor.open()
        background = "() => getComputedStyle(document.body).backgroundColor"
        dark = visitor.page.evaluate(background)
        visitor.click("Colours: system")
        visitor.until("dark => getComputedStyle(document.body).backgroundColor !== dark", dark)
        visitor.open("hosts")
        assert visitor.page.evaluate(background) != dark
        visitor.click("Colours: light")
        assert visitor.page.evaluate(background) == dark


def test_absolute_times_stand_behind_relative_ones(visitor: Visitor) -> None:
    visitor.open("instances/order-1")
    title = visitor.page.locator(".facts time").first.get_attribute("title")
    assert title is not None
    assert title.endswith(" UTC")


def test_a_workflow_is_started_by_a_form_of_its_inputs_schema(visitor: Visitor) -> None:
    visitor.open("start/Checkout")
    visitor.fill("item", "chair")
    visitor.fill("quantity", "3")
    visitor.fill("price", "12.5")
    visitor.page.get_by_text("express").click()
    visitor.fill("Id", "order-form")
    visitor.fill("Tags", "customer=zoe")
    visitor.page.get_by_text("Copy as command").click()
    visitor.see("perdure start Checkout --id order-form")
    visitor.click("Start", exact=True)
    visitor.page.wait_for_url("**/ui/instances/order-form")
    visitor.see("event approval")
    visitor.see("customer: zoe")
    visitor.page.locator("details.part summary").first.click()
    visitor.see('"express": true')


def test_an_input_that_the_workflow_cannot_have_is_refused_in_a_sentence(visitor: Visitor) -> None:
    visitor.open("start/Renewal")
    visitor.fill("Value", "3")
    visitor.fill("Id", "order-1")
    visitor.click("Start", exact=True)
    visitor.see("order-1", within=".problem")
