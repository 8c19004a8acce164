"""Several apps: the page shows one at a time, each view of each has an address, and links lead from one to another."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from ..support.processes.daemon import Daemon
from .browsing import Visitor

pytestmark = pytest.mark.slow

SHOP = """
import perdure

app = perdure.App("shop")

@app.workflow(name="Order")
async def order(ctx: perdure.WorkflowContext) -> str:
    await ctx.call_activity("reserve", app_id="bank")
    return await ctx.call_child_workflow("Transfer", instance_id="transfer-1", app_id="bank")
"""

BANK = """
import perdure

app = perdure.App("bank")

@app.activity
async def reserve(ctx: perdure.ActivityContext) -> None: ...

@app.workflow(name="Transfer")
async def transfer(ctx: perdure.WorkflowContext) -> str:
    return await ctx.wait_for_external_event("signature")
"""


def test_each_app_has_its_instances_and_a_child_in_another_is_a_link_away(browser: Any, tmp_path: Path) -> None:
    # Given a daemon of two apps, one of which waits for a child in the other,
    for name, text in (("shop.py", SHOP), ("bank.py", BANK)):
        (tmp_path / name).write_text(text)
    with (
        Daemon(tmp_path / "shop.py", tmp_path / "perdure.db", str(tmp_path / "bank.py")) as daemon,
        Visitor(browser, daemon.url) as visitor,
    ):
        daemon.start("Order", "order-1").raise_for_status()
        page = visitor.page
        visitor.open("instances/order-1")
        visitor.see("of bank", within=".why.waiting")
        # when one follows it, then the child is there, in the page of its app, with the way back,
        visitor.click("transfer-1", role="link", within=".why.waiting")
        page.wait_for_url("**/ui/instances/transfer-1?app=bank")
        visitor.see("event signature")
        visitor.until("() => document.querySelector('.liveness.on')")
        visitor.click("Tree", role="link")
        visitor.see("transfer-1", within=".tree")
        visitor.page.locator(".crumbs").get_by_role("link", name="order-1").click()
        page.wait_for_url("**/ui/instances/order-1?app=shop")
        visitor.click("Tree", role="link")
        visitor.see("Transfer of bank", within=".tree")
        page.go_back()
        page.go_back()
        page.wait_for_url("**/ui/instances/transfer-1?app=bank**")
        # what is done there is done to the app's instance, and seen as it happens,
        page.goto(f"{daemon.url}/ui/instances/transfer-1?app=bank")
        visitor.click("send it")
        visitor.page.locator("dialog").get_by_text("Copy as command").click()
        visitor.see("--app bank", within="dialog")
        visitor.fill("Payload", '"signed"', within="dialog")
        visitor.click("Send the event", within="dialog")
        visitor.page.locator(".facts").get_by_text("Completed").wait_for()
        # and each list has its own, also those that one chooses.
        visitor.open("instances?children=1")
        visitor.see("order-1", within="tbody")
        assert page.locator("tbody").get_by_text("transfer-1").count() == 0
        page.get_by_label("App").select_option("bank")
        page.wait_for_url("**/ui/instances?app=bank")
        page.get_by_label("Children").check()
        visitor.see("transfer-1", within="tbody")
        assert page.locator("tbody").get_by_text("order-1").count() == 0
        # Changes come in of the app that is looked at.
        visitor.until("() => document.querySelector('.liveness.on')")
        where = f"{daemon.url}/api/v1/workflows/Transfer/instances?id=transfer-2&app_id=bank"
        httpx.post(where).raise_for_status()
        visitor.see("transfer-2", within="tbody")
        visitor.click("Overview", role="link", exact=True)
        page.wait_for_url("**/ui/?app=bank")
        visitor.see("Transfer", within="[aria-label='By workflow']")
        page.get_by_label("App").select_option("shop")
        page.wait_for_url("**/ui/")
        visitor.see("Order", within="[aria-label='By workflow']")
