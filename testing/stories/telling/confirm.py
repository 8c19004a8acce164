"""Confirming a failure in a process of its own, whose texts have other hashes.

The rule: the engine does not depend on the hash seed. The user's code may, and then the report says so.
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path

from ...simulation.choices import Schedule
from ...simulation.search.attempt import Attempt, signature
from ..trial.session import SimulationSession
from .kept import write_schedules

PATIENCE_S = 120.0
PARALLEL = ("PYTEST_XDIST", "PYTEST_CURRENT_TEST")
TWICE = "it has failed twice in the same steps"
NOT_AGAIN = "it was not run again, because its duration depends on the machine."


def write_outcome(file: Path, attempt: Attempt) -> None:
    """Write the outcome of a schedule for the process that has requested it."""
    error = attempt.error
    file.write_text(
        json.dumps({"digest": attempt.digest, "signature": signature(error) if error is not None else None})
    )


def confirm(session: SimulationSession, schedule: Schedule, attempt: Attempt) -> str:
    """Run a failure again in a process of its own, with PYTHONHASHSEED=0; return the outcome."""
    assert attempt.error is not None
    if not session.again or session.node is None:
        return f"{TWICE}."
    with tempfile.TemporaryDirectory(prefix="perdure-confirm-") as folder:
        file, outcome = Path(folder) / "schedule.json", Path(folder) / "outcome.json"
        write_schedules(file, session.node, [schedule], "to be confirmed")
        command = [*session.again, f"--perdure-schedule={file}", f"--perdure-outcome={outcome}"]
        # The variables that make this process a part of a parallel run are not handed on.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(PARALLEL)}
        try:
            subprocess.run(  # noqa: S603  this Python, this test
                command,
                check=False,
                capture_output=True,
                cwd=session.root,
                env=inherited | {"PYTHONHASHSEED": "0"},
                timeout=PATIENCE_S,
            )
            said = json.loads(outcome.read_text())
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            return f"{TWICE}; it could not be run in a process of its own ({type(error).__name__})."
    if said["signature"] is None:
        return (
            f"{TWICE}, and NOT in another process, with PYTHONHASHSEED=0: there the same choices are green. Code "
            "depends on the order of a set of texts, or on an address. In a workflow that is a bug: it stalls after a "
            "restart."
        )
    if said["signature"] != signature(attempt.error):
        return f"{TWICE}; in another process, with PYTHONHASHSEED=0, it failed in another way: {said['signature']}."
    same = "in the same steps" if said["digest"] == attempt.digest else "though not in the same steps"
    return f"{TWICE}, and in another process, with PYTHONHASHSEED=0, {same}."
