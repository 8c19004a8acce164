"""A signal that asks for the end works from the first line on, also if the app changes signals while it is imported."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from perdure.daemon.process.early_signals import EarlySignals, StopAsked, received_early

from ...support.processes.lines import PATIENCE_S, Lines, ended

IMPORTING = "import sys, time\nprint('importing', file=sys.stderr, flush=True)\n"
APP = "import perdure\napp = perdure.App('shop')\n"
APPS = {
    "sleeps": IMPORTING + "time.sleep(60)\n" + APP,
    "swallows": IMPORTING + "try:\n    time.sleep(60)\nexcept BaseException:\n    pass\n" + APP,
    "swallows-and-ignores": (
        IMPORTING
        + "import signal\ntry:\n    time.sleep(60)\n"
        + "except BaseException:\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        + APP
    ),
}


def start(folder: Path, app: str, *flags: str) -> tuple[subprocess.Popen[str], Lines]:
    (folder / "shop.py").write_text(app)
    command = [sys.executable, "-m", "perdure", "run", "shop.py", "--http-port", "0", "--grpc-port", "0", *flags]
    # As a program does that blocks signals while it starts others.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
    try:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert process.stderr is not None
    return process, Lines(process.stderr)


# The other signal goes the same way.
OTHERS = [pytest.param(APPS[name], signal.SIGINT, id=f"{name}-2", marks=pytest.mark.slow) for name in APPS]


@pytest.mark.parametrize(
    ("app", "told"), [*(pytest.param(app, signal.SIGTERM, id=f"{name}-15") for name, app in APPS.items()), *OTHERS]
)
def test_a_signal_while_the_app_is_imported_stops_the_daemon(tmp_path: Path, app: str, told: signal.Signals) -> None:
    process, err = start(tmp_path, app)
    err.hear("importing")
    process.send_signal(told)
    assert ended(process, err) == 0
    said = "\n".join(err.said)
    assert told.name in said
    assert "Traceback" not in said


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    # The line is printed inside of the `try`, or the signal might come before the `try`.
    caught = (
        "import sys, time\ntry:\n    print('importing', file=sys.stderr, flush=True)\n    time.sleep(60)\n"
        "except BaseException:\n    print('caught', file=sys.stderr, flush=True)\n    time.sleep(60)\n"
    )
    process, err = start(tmp_path, caught + APP)
    err.hear("importing")
    process.send_signal(signal.SIGTERM)
    err.hear("caught")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 1


def test_an_app_that_took_the_signals_has_them_taken_back(tmp_path: Path) -> None:
    ignores = (
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    )
    process, err = start(tmp_path, ignores + APP)
    err.hear("serving")
    process.send_signal(signal.SIGTERM)
    assert ended(process, err) == 0


def test_a_signal_between_the_import_and_the_daemon_is_remembered() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with EarlySignals() as early:
        assert received_early(signal.getsignal(signal.SIGTERM)) is None
        early.hold()
        os.kill(os.getpid(), signal.SIGTERM)
        assert received_early(signal.getsignal(signal.SIGTERM)) == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
    assert received_early(before) is None


def test_a_signal_that_an_app_has_swallowed_is_told_again() -> None:
    with EarlySignals() as early:
        with pytest.raises(StopAsked, match="SIGTERM"):
            os.kill(os.getpid(), signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with pytest.raises(StopAsked, match="SIGTERM"):
            early.hold()
