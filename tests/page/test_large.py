"""100 000 instances, a history of 50 000 events, a payload of 5 MB: each opens at once, and costs what can be seen.

How long it takes is printed. What is asserted is counted: elements, answers, bytes, seconds of the processor.
"""

import gzip
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from perdure.http.page.page import STATIC

from ..support.processes.daemon import Daemon
from .browsing import Visitor, told
from .conftest import SHOP
from .stores import BYTES, asked

pytestmark = pytest.mark.slow

ELEMENTS_MAX = 3000  # of a view, however much there is
TABS = 10
IDLE_S = 20.0
CPU_SHARE_MAX = 0.02
ALL_MS = 400_000  # 100 answers, on a machine under load
HIDE = """value => {
  Object.defineProperty(document, 'hidden', {value, configurable: true});
  document.dispatchEvent(new Event('visibilitychange'));
}"""


@pytest.fixture(scope="module")
def crowded(many: Path) -> Iterator[Daemon]:
    with Daemon(SHOP, many) as daemon:
        yield daemon


@pytest.fixture
def looking(browser: Any, crowded: Daemon) -> Iterator[Visitor]:
    with Visitor(browser, crowded.url) as visitor:
        yield visitor


def elements(visitor: Visitor) -> int:
    count: int = visitor.page.evaluate("document.querySelectorAll('*').length")
    return count


def scroll(visitor: Visitor, selector: str, pixels: int) -> None:
    visitor.page.evaluate(
        "([selector, pixels]) => document.querySelector(selector).scrollBy(0, pixels)", [selector, pixels]
    )


def test_a_hundred_thousand_instances_are_listed_counted_and_scrolled(looking: Visitor) -> None:
    # Given the list of 100 000,
    took_s = looking.open("instances")
    looking.see("100\u2009000", within=".bar")
    # when one scrolls down by some thousand rows, then there are as many elements as can be seen,
    answers: list[int] = []
    looking.page.on(
        "response", lambda answer: answers.append(len(answer.body())) if "/instances?" in answer.url else None
    )
    seen = set()
    for _ in range(30):
        scroll(looking, ".scroll", 4000)
        looking.page.wait_for_timeout(50)
        seen.update(looking.page.locator("tbody .c-id a").all_inner_texts())
    assert len(seen) > 300
    assert elements(looking) < ELEMENTS_MAX
    # and each answer is a page of rows, without a payload.
    assert answers
    assert max(answers) < 64 * 1024
    told({"list of 100 000 opens [s]": took_s, "rows seen": len(seen), "elements": elements(looking)})


def test_a_filter_of_a_hundred_thousand_answers_at_once(looking: Visitor) -> None:
    took_s = looking.open("instances?id_prefix=touch-0999")
    looking.see("98", within=".bar")
    assert looking.page.locator("tbody .c-id a").first.inner_text() == "touch-099997"
    told({"filter of 100 000 opens [s]": took_s, "overview opens [s]": looking.open("")})


def test_a_history_of_fifty_thousand_events_is_read_from_its_end(looking: Visitor, crowded: Daemon) -> None:
    # Given an instance with more than 50 000 events,
    count = asked(crowded, "instances/long-history")["history"]["events"]
    assert count > 50_000
    asks: list[str] = []
    looking.page.on("request", lambda request: asks.append(request.url) if "/history?" in request.url else None)
    # when it is opened, then the newest are there after a few questions, and few elements,
    timeline_s = looking.open("instances/long-history")
    looking.see("2\u2009000 of")
    looking.see("ended", within=".timeline")
    assert len(asks) <= 5
    assert elements(looking) < ELEMENTS_MAX
    events_s = looking.open("instances/long-history?tab=events")
    looking.see("execution completed")
    for _ in range(20):
        scroll(looking, ".events", 8000)
        looking.page.wait_for_timeout(50)
    assert elements(looking) < ELEMENTS_MAX
    # and all of it can be read, to its first event.
    began = time.perf_counter()
    looking.click("read all")
    looking.page.get_by_text("read all").wait_for(state="detached")
    looking.page.get_by_text("reading…").wait_for(state="detached", timeout=ALL_MS)
    all_s = time.perf_counter() - began
    looking.page.evaluate("document.querySelector('.events').scrollTo(0, 1e9)")
    looking.see("execution started")
    assert elements(looking) < ELEMENTS_MAX
    told(
        {
            "events": count,
            "timeline of 50 000 events opens [s]": timeline_s,
            "table of 50 000 events opens [s]": events_s,
            "all of them read [s]": all_s,
        }
    )


def test_five_megabytes_are_fetched_by_a_click_and_shown_piece_by_piece(looking: Visitor) -> None:
    # Given an instance with a result of 5 MB that looks like markup,
    fetched: list[str] = []
    looking.page.on("request", lambda request: fetched.append(request.url) if request.url.endswith("/result") else None)
    took_s = looking.open("instances/large-payload")
    looking.page.locator("details.part summary", has_text="Result").click()
    looking.see("Show 5.0 MB")
    assert fetched == []
    # when it is asked for, then the first part is shown, as text, and more of it by clicks.
    began = time.perf_counter()
    looking.click("Show 5.0 MB")
    looking.see("<b>no markup</b>")
    shown_s = time.perf_counter() - began
    size = "() => document.querySelector('.payload pre').textContent.length"
    before = looking.page.evaluate(size)
    looking.click("Show more")
    looking.until(f"before => ({size})() > before", before)
    assert before < looking.page.evaluate(size) < BYTES
    told({"with 5 MB opens [s]": took_s, "5 MB shown after a click [s]": shown_s})


def test_ten_open_pages_cost_next_to_nothing(browser: Any, crowded: Daemon) -> None:
    # Given ten pages of the overview and the list,
    process = psutil.Process(crowded.process.pid)
    with Visitor(browser, crowded.url) as visitor:
        tabs = [visitor.page, *(visitor.another() for _ in range(TABS - 1))]
        for number, tab in enumerate(tabs):
            tab.goto(f"{crowded.url}/ui/{'instances' if number % 2 else ''}")
            tab.wait_for_selector("main h1")
        visitor.page.wait_for_timeout(2000)
        # when nothing happens, then they take the daemon a share of a processor that nobody notices.
        before, began = used(process), time.perf_counter()
        visitor.page.wait_for_timeout(IDLE_S * 1000)
        share = (used(process) - before) / (time.perf_counter() - began)
    told({"processor of the daemon with ten idle pages [%]": share * 100})
    assert share < CPU_SHARE_MAX


def used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def test_a_hidden_page_asks_nothing(browser: Any, crowded: Daemon) -> None:
    with Visitor(browser, crowded.url) as visitor:
        # Given a page that says it is hidden, as that of a tab in the back,
        visitor.open()
        visitor.page.evaluate(HIDE, True)
        visitor.page.wait_for_timeout(1500)
        asks: list[str] = []
        visitor.page.on("request", lambda request: asks.append(request.url))
        # when time goes by, then it asks nothing.
        visitor.page.wait_for_timeout(12_000)
        assert asks == []
        # And when it is looked at again, then it does.
        visitor.page.evaluate(HIDE, False)
        visitor.page.wait_for_timeout(2500)
        assert any("/count" in url for url in asks)


def test_the_first_view_sends_less_than_its_limit(looking: Visitor) -> None:
    weights: list[int] = []
    looking.page.on("response", lambda answer: weights.append(_sent(answer)) if "/ui/" in answer.url else None)
    took_s = looking.open()
    looking.page.wait_for_timeout(500)
    packed = sum(len(gzip.compress(path.read_bytes())) for path in STATIC.rglob("*.js"))
    told(
        {
            "first view [s]": took_s,
            "files": len(weights),
            "sent [KB]": sum(weights) / 1024,
            "modules [KB]": packed / 1024,
        }
    )
    assert sum(weights) < 120 * 1024
    # A second visit sends the shell alone, and not even that.
    weights.clear()
    looking.open("hosts")
    assert sum(weights) < 8 * 1024


def _sent(answer: Any) -> int:
    sizes = answer.request.sizes()
    return int(sizes["responseBodySize"])
