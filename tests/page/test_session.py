"""A login where there are tokens; and a daemon that fails, and comes back."""

from pathlib import Path
from typing import Any

import pytest

from ..support.processes.daemon import Daemon
from .browsing import Visitor
from .conftest import SHOP
from .stores import LAMP

pytestmark = pytest.mark.slow


def test_a_login_opens_the_page_and_ends(browser: Any, tmp_path: Path) -> None:
    # Given a daemon that asks for a token,
    token = {"PERDURE_API_TOKEN": "open sesame"}
    with Daemon(SHOP, tmp_path / "perdure.db", env=token) as daemon, Visitor(browser, daemon.url) as visitor:
        page = visitor.page
        # when the page is opened, then it asks for it, and shows nothing before.
        page.goto(f"{daemon.url}/ui/instances?status=failed")
        visitor.see("This daemon asks for an API token.")
        assert page.locator("nav.side").count() == 0
        visitor.fill("Token", "open barley")
        visitor.click("Log in")
        visitor.see("does not know the API token")
        visitor.fill("Token", "open sesame")
        visitor.click("Log in")
        # And then it shows the view that was asked for, also after a reload, and changes come in.
        visitor.see("No instance matches.")
        page.reload()
        visitor.see("No instance matches.")
        visitor.until("() => document.querySelector('.liveness.on')")
        # The token is kept nowhere that a script can read.
        assert "sesame" not in page.evaluate("JSON.stringify(localStorage) + document.cookie")
        visitor.click("Log out")
        visitor.see("This daemon asks for an API token.")
        page.reload()
        visitor.see("This daemon asks for an API token.")


def test_the_page_says_that_the_daemon_is_away_and_goes_on_when_it_is_back(browser: Any, tmp_path: Path) -> None:
    # Given a page of a daemon,
    data = tmp_path / "perdure.db"
    with Daemon(SHOP, data) as daemon, Visitor(browser, daemon.url) as visitor:
        daemon.start("Checkout", "order-1", LAMP)
        visitor.open("instances")
        visitor.see("order-1")
        # when the daemon is killed, then the page says so, and shows what it knew.
        port = daemon.url.rpartition(":")[2]
        daemon.kill()
        visitor.see("The daemon does not answer.")
        visitor.see("order-1")
        # And when it is back, then the page goes on by itself.
        with Daemon(SHOP, data, "--http-port", port) as again:  # the last one counts
            assert again.url == daemon.url
            visitor.page.get_by_text("The daemon does not answer.").wait_for(state="detached")
            again.start("Checkout", "order-2", LAMP)
            visitor.see("order-2")
