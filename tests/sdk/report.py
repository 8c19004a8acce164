"""How a scenario program tells what it saw: a line of JSON for each method it used.

The rule: a method is passed, failed or not run, and never left out: a
scenario that breaks fails its own method and none after it. Imports nothing,
because it is loaded next to every SDK there is.
"""

import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager


class Report:
    """What one program saw of one SDK.

    Args:
        sdk: Its name and version, as the table shows it.
    """

    def __init__(self, sdk: str) -> None:
        self.sdk = sdk
        self.failed = 0

    @contextmanager
    def method(self, name: str) -> Iterator[None]:
        """Run what tests a method; whatever is raised is its failure, and the program goes on."""
        try:
            yield
        except Exception as error:
            self.failed += 1
            print(traceback.format_exc(), file=sys.stderr)
            self._tell(name, "FAILED", f"{type(error).__name__}: {error}")
        else:
            self._tell(name, "passed", "")

    def not_run(self, name: str, why: str) -> None:
        self._tell(name, "NOT RUN", why)

    def _tell(self, name: str, result: str, detail: str) -> None:
        row = {"sdk": self.sdk, "method": name, "result": result, "detail": detail}
        print(json.dumps({"row": row}), flush=True)
