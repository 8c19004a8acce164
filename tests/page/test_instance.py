"""One instance: its failure, the events that it waits for, its steps, and the actions on it."""

from urllib.parse import quote

import pytest

from ..support.processes.daemon import Daemon
from .browsing import Visitor
from .stores import LAMP, SOFA, asked, start, until_is

pytestmark = pytest.mark.slow


def test_the_activity_that_failed_stands_on_top(visitor: Visitor) -> None:
    visitor.open("instances/payout-2")
    why = visitor.page.locator(".why.bad")
    assert "Activity charge failed on attempt 3" in why.locator("h2").inner_text()
    assert "CardDeclined: the bank declined 900.0: insufficient funds" in why.inner_text()
    assert "raise CardDeclined" in why.locator("pre").first.inner_text()
    # The step it names is shown, with each attempt.
    visitor.click("show the step")
    visitor.see("Rerun from here")
    assert visitor.page.locator(".attempts li").count() == 3
    assert "step=" in visitor.page.url


def test_the_timeline_has_queued_running_pauses_and_points(visitor: Visitor) -> None:
    visitor.open("instances/payout-2")
    visitor.see("charge", within=".timeline")
    counts = {
        kind: visitor.page.locator(f".timeline .{kind}").count() for kind in ("b-failed", "b-pause", "b-done", "dot")
    }
    assert counts == {"b-failed": 3, "b-pause": 2, "b-done": 1, "dot": 2}
    visitor.open("instances/renewal-1")
    visitor.see("timer")
    assert visitor.page.locator(".timeline .b-timer").count() == 1


def test_an_open_bar_grows_with_the_clock(visitor: Visitor) -> None:
    visitor.open("instances/export-1")
    visitor.see("sleep", within=".timeline")
    before = visitor.page.locator(".timeline .grows").first.inner_text()
    visitor.until("before => document.querySelector('.timeline .grows').textContent !== before", before)


def test_a_run_that_waits_is_sent_its_event(visitor: Visitor, shop: Daemon) -> None:
    # Given an order that waits for its approval,
    start(shop, "Checkout", "approved-1", LAMP)
    until_is(shop, "approved-1", "waiting for approval", of="custom_status")
    visitor.open("instances/approved-1")
    visitor.see("gives up", within=".why.waiting")
    # when the event is sent from the page, then it goes on without a reload.
    visitor.click("send it")
    visitor.fill("Payload", '{"by": "the page"}', within="dialog")
    visitor.click("Send the event", within="dialog")
    visitor.page.locator(".facts").get_by_text("Completed").wait_for()
    visitor.page.locator("details.part summary", has_text="Result").click()
    visitor.see('"by": "the page"')


def test_what_cannot_be_taken_back_wants_the_id_typed(visitor: Visitor, shop: Daemon) -> None:
    # Given an order,
    start(shop, "Checkout", "typed-1", LAMP)
    visitor.open("instances/typed-1")
    # when it is suspended and resumed with a reason, then that takes one click,
    for action, status in (("Suspend", "Suspended"), ("Resume", "Running")):
        visitor.click(action)
        visitor.fill("Reason", f"we {action.lower()}", within="dialog")
        visitor.click(action, within="dialog footer")
        visitor.page.locator(".facts").get_by_text(status).wait_for()
    # but its termination wants the id.
    visitor.click("Terminate")
    button = visitor.page.locator("dialog footer").get_by_role("button", name="Terminate")
    for text in ("", "typed", "typed-12"):
        visitor.fill("Type the id", text, within="dialog")
        assert button.is_disabled()
    visitor.page.locator("dialog").get_by_text("Copy as command").click()
    visitor.see("perdure terminate typed-1", within="dialog")
    visitor.see("dapr workflow terminate typed-1", within="dialog")
    visitor.fill("Type the id", "typed-1", within="dialog")
    visitor.fill("Reason", "the customer has called", within="dialog")
    button.click()
    visitor.page.locator(".facts").get_by_text("Terminated").wait_for()
    reasons = [row["reason"] for row in asked(shop, "audit", id="typed-1")["items"]]
    assert reasons == ["the customer has called", "we resume", "we suspend"]
    # Purged, it is gone, and the page is back at the list.
    visitor.click("Purge")
    visitor.fill("Type the id", "typed-1", within="dialog")
    visitor.click("Purge", within="dialog footer")
    visitor.page.wait_for_url("**/ui/instances")


def test_an_action_on_another_run_of_the_id_is_refused(visitor: Visitor, shop: Daemon) -> None:
    start(shop, "Touch", "again-1", 1)
    until_is(shop, "again-1", "COMPLETED")
    visitor.open("instances/again-1")
    visitor.page.route(
        "**/again-1/purge", lambda route: route.continue_(headers={**route.request.headers, "if-match": '"another"'})
    )
    visitor.click("Purge")
    visitor.fill("Type the id", "again-1", within="dialog")
    visitor.click("Purge", within="dialog footer")
    visitor.page.locator("dialog .problem").wait_for()
    assert asked(shop, "instances/again-1")["status"] == "COMPLETED"


def test_a_rerun_from_an_event_shows_what_is_kept_first(visitor: Visitor, shop: Daemon) -> None:
    # Given a payout that failed in its second activity,
    visitor.open("instances/payout-2")
    visitor.click("charge")
    visitor.click("Rerun from here")
    # when it is to be run again from there, then the first one is kept, and the rest is done again,
    kept = visitor.page.locator("dialog section[aria-label=Kept]")
    repeated = visitor.page.locator("dialog section[aria-label='Done again']")
    kept.get_by_text("reserve").wait_for()
    assert "charge" in repeated.inner_text()
    assert "reserve" not in repeated.inner_text()
    visitor.page.get_by_label("Another input for that event").check()
    visitor.fill("Input", '{"item": "sofa", "quantity": 1, "price": 9', within="dialog")
    visitor.see("not JSON yet", within="dialog")
    visitor.fill("Input", '{"item": "sofa", "quantity": 1, "price": 9}', within="dialog")
    visitor.fill("Id of the new instance", "payout-2b", within="dialog")
    visitor.fill("Reason", "the price was wrong", within="dialog")
    visitor.click("Rerun", exact=True, within="dialog footer")
    # and the new one is shown, and succeeds.
    visitor.page.wait_for_url("**/ui/instances/payout-2b")
    visitor.page.locator(".facts").get_by_text("Completed").wait_for()
    assert asked(shop, "instances/payout-2")["status"] == "FAILED"


def test_an_activity_that_waits_for_its_next_attempt_begins_it_now(visitor: Visitor, shop: Daemon) -> None:
    start(shop, "PatientPayout", "patient-1", SOFA)
    visitor.open("instances/patient-1")
    visitor.see("tried again", within=".why.waiting")
    visitor.click("answer it")
    visitor.fill("Reason", "the bank is back", within="dialog")
    visitor.click("Retry it now", within="dialog footer")
    visitor.see("attempt 3", within=".why.waiting")
    assert asked(shop, "audit", id="patient-1")["items"][0]["reason"] == "the bank is back"


def test_an_activity_that_hangs_is_completed_by_a_person(visitor: Visitor, shop: Daemon) -> None:
    start(shop, "Hang", "hangs-1", 3600)
    visitor.open("instances/hangs-1")
    visitor.click("answer it")
    visitor.page.locator("dialog select").select_option("complete")
    visitor.fill("Result", "null", within="dialog")
    visitor.click("Complete it with a result", within="dialog footer")
    visitor.page.locator(".facts").get_by_text("Completed").wait_for()
    assert asked(shop, "audit", id="hangs-1")["items"][0]["action"] == "repair"


def test_an_id_may_be_any_text(visitor: Visitor, shop: Daemon) -> None:
    for instance_id in ("a/b c", "<img src=x onerror=alert(1)>", "50%", "größe?#x", "a+b"):
        start(shop, "Touch", instance_id, 1)
        visitor.open(f"instances?id_prefix={quote(instance_id, safe='')}")
        visitor.page.locator("tbody .c-id a").first.click()
        visitor.page.locator(".facts").get_by_text("Completed").wait_for()
        assert visitor.page.locator("h1").inner_text().strip() == instance_id


def test_what_is_not_there_is_said_in_a_sentence(visitor: Visitor) -> None:
    visitor.open("instances/nobody")
    visitor.see("unable to find workflow with the provided instance ID: nobody")
