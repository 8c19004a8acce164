"""A visitor with a browser: opens views, reads them, and gets every error of the page."""

import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

OPTIONS = ["--no-sandbox", "--disable-dev-shm-usage"]  # the tests may run as root, in a container
PATIENCE_MS = 15_000.0  # a slow machine under load

# What a browser writes on its console when the network or the daemon does as the test wants.
EXPECTED = re.compile(r"net::ERR_|status of (401|403|404|409|412|429|503)")


@contextmanager
def browser_or_skip() -> Iterator[Any]:
    """A headless Chromium of the system; without it, or without Playwright, the test is skipped."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="there is no Playwright; `make test-ui` has it")
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium (Debian: apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        yield browser
        browser.close()


class Visitor:
    """A browser's window.

    Args:
        url: Of the daemon.
        width, height: In pixels.
        scheme: The colours of the system, light or dark.
    """

    def __init__(self, browser: Any, url: str, *, width: int = 1280, height: int = 800, scheme: str = "light") -> None:
        self.url = url
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
        )
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.wrong: list[str] = []
        self.page = self.another()

    def another(self) -> Any:
        """Open another tab."""
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("console", self._said)
        return page

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning") and not EXPECTED.search(message.text):
            self.wrong.append(f"{message.type}: {message.text}")

    def open(self, path: str = "") -> float:
        """Open a view; return how many seconds passed until it showed what the daemon has said.

        Args:
            path: Behind `/ui/`.
        """
        began = time.perf_counter()
        self.page.goto(f"{self.url}/ui/{path}", wait_until="commit")
        self.page.wait_for_selector("main h1")
        self.page.wait_for_function("() => !document.querySelector('[aria-busy=true]:not(.more)')")
        return time.perf_counter() - began

    def see(self, text: str, *, within: str = "body") -> None:
        """Wait until a text can be seen."""
        self.page.locator(within).get_by_text(text).filter(visible=True).first.wait_for()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def click(self, name: str, *, role: str = "button", exact: bool = False, within: str = "body") -> None:
        """Click what has a name."""
        self.page.locator(within).get_by_role(role, name=name, exact=exact).first.click()

    def fill(self, label: str, text: str, *, within: str = "body") -> None:
        """Fill a field in."""
        fields = self.page.locator("input:not([type=checkbox]), textarea")
        self.page.locator(within).get_by_label(label).and_(fields).first.fill(text)

    def until(self, condition: str, argument: Any = None) -> Any:
        """Wait until JavaScript says so."""
        return self.page.wait_for_function(condition, arg=argument)

    def picture(self, path: Path, **more: Any) -> None:
        self.page.screenshot(path=str(path), **more)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.context.close()
        if exc is None:
            assert self.wrong == []


def told(figures: Mapping[str, object]) -> None:
    """Print the measurements, one a line."""
    for name, value in figures.items():
        shown = f"{value:.2f}" if isinstance(value, float) else value
        print(f"  {name}: {shown}")
