"""Checks a site repeatedly, for weeks if necessary, until it is up.

    perdure run examples/monitor.py
    curl -X POST 'http://127.0.0.1:3500/v1.0/workflows/dapr/watch_site/start?instanceID=m1' \
         -d '{"url": "https://example.com", "every_s": 60}'
"""

import urllib.request
from dataclasses import dataclass, replace
from datetime import timedelta

import perdure

app = perdure.App("monitor")


@dataclass(frozen=True)
class Watch:
    """The watched site, and the number of checks."""

    url: str
    every_s: float
    checks: int = 0


@app.activity
def is_up(ctx: perdure.ActivityContext, url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  the caller gives the URL
            return bool(answer.status == 200)
    except OSError:
        return False


@app.workflow
async def watch_site(ctx: perdure.WorkflowContext, watch: Watch) -> str | None:
    watch = replace(watch, checks=watch.checks + 1)
    if await ctx.call_activity(is_up, input=watch.url):
        return f"{watch.url} is up, after {watch.checks} checks"
    ctx.set_custom_status(f"{watch.url} is down, after {watch.checks} checks")
    # Durable: no process has to run meanwhile; a sleeping instance is a row in the store.
    await ctx.create_timer(timedelta(seconds=watch.every_s))
    # A loop would make the history longer with each round. This begins the next round with a new history.
    ctx.continue_as_new(watch)
    return None
