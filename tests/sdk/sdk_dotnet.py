"""Dapr's .NET SDK, as it is published: a program of its own, whose lines become rows.

Takes the program and its arguments. It says `ok NAME (... ms)` or
`FAIL NAME: why` for each of its scenarios, and at the end how many passed and
failed; Dapr.Workflow 1.19.0 is its worker and its client, and with `--guide` Dapr.Client 1.12.0
makes the calls of Dapr's guide, and with `--state` those of the state API.
"""

import re
import subprocess
import sys

from report import Report  # type: ignore[import-not-found]  # beside this file, which is no package

OK = re.compile(r"^ok (\S+)")
FAIL = re.compile(r"^FAIL (\S+?): (.*)")
END = re.compile(r"^(\d+) passed, (\d+) failed")

WITHIN_S = 240.0


def run(report: Report, command: list[str], *, prefix: str = "") -> None:
    """Run the program, and report each scenario; and that it has said as many as it counted."""
    done = subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=WITHIN_S
    )
    said = 0
    counted = None
    for line in done.stdout.splitlines():
        if passed := OK.match(line):
            said += 1
            with report.method(prefix + passed[1]):
                pass
        elif failed := FAIL.match(line):
            said += 1
            with report.method(prefix + failed[1]):
                raise AssertionError(failed[2])
        elif end := END.match(line):
            counted = int(end[1]) + int(end[2])
    with report.method(f"{prefix}all of {counted} scenarios have run"):
        assert counted, f"it ended with {done.returncode}: {done.stdout[-2000:]}"
        assert said == counted, f"it has told of {said} scenarios"


def main() -> int:
    client = "--guide" in sys.argv or "--state" in sys.argv
    report = Report("Dapr.Client 1.12 (.NET)" if client else "Dapr.Workflow 1.19 (.NET)")
    with report.method("the program runs"):
        run(report, sys.argv[1:])
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
