"""What axe finds in a view."""

from functools import cache
from importlib.resources import files
from typing import Any

WORST = ("serious", "critical")
# What is laid on top of axe's list: rules that say nothing about the page itself.
OPTIONS = {"resultTypes": ["violations"]}


@cache
def axe() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text()


def serious(page: Any) -> list[str]:
    """Name the serious problems of the open view, each with an element."""
    page.evaluate(axe())
    found = page.evaluate("options => axe.run(document, options)", OPTIONS)
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:160]} ({each['nodes'][0].get('failureSummary', '')[:300]})"
        for each in found["violations"]
        if each["impact"] in WORST
    ]
