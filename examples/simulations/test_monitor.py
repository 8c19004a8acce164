"""`monitor.py` checks until the site is up, and returns the number of checks.

cd examples && python -m pytest simulations
"""

import monitor
import pytest

from perdure.testing import World, simulated


class Site:
    """A site that is down for some checks, in place of the network, which a world does not have."""

    def __init__(self, down: int) -> None:
        self.down = down
        self.looks = 0

    def is_up(self, url: str) -> bool:
        self.looks += 1
        return self.looks > self.down


class Answer:
    status = 200

    def __enter__(self) -> "Answer":
        return self

    def __exit__(self, *error: object) -> None: ...


@simulated(monitor.app, seeds=25, sweep=1)
async def test_it_looks_until_the_site_is_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    down = world.pick(1, 4)
    site = world.outside(Site(down))

    def urlopen(url: str, timeout: float) -> Answer:
        if not site.is_up(url):
            raise ConnectionRefusedError(url)
        return Answer()

    monkeypatch.setattr(monitor.urllib.request, "urlopen", urlopen)
    watch = {"url": "https://example.com", "every_s": 3600}
    handle = await world.client.start(monitor.watch_site, input=watch, instance_id="m", if_exists="return")
    said = await handle.result()
    assert said.startswith("https://example.com is up, after ")
    # A check whose answer was lost is repeated, and a check that begins again after a crash is not counted twice.
    assert site.looks > down
