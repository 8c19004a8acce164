"""A mapped file that is truncated while it is in use is mended, or the process ends with a sentence."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux is mended")

# The record is written while threads truncate it again and again.
WRITES = """
import os, sys, threading
from perdure.actors.address import Address
from perdure.actors.hosting.flight_record import FlightRecord
from perdure.daemon.process.mapped_files import mending

record = FlightRecord(sys.argv[1], actor_type="wf", slots=500)
record.open()
size = os.path.getsize(sys.argv[1])
cuts = 0

def cut():
    for _ in range(200):
        os.truncate(sys.argv[1], size // 3 if cuts % 2 else 0)

with mending(record.mend):
    threads = [threading.Thread(target=cut) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        slots = [record.begin(Address("wf", f"wf-{number}"), "a:1") for number in range(500)]
        record.turn_begins(Address("wf", "x"))
        for slot in slots:
            record.end(slot)
        record.turns_over()
    record.begin(Address("wf", "last"), "a:1")
    assert os.path.getsize(sys.argv[1]) == size
os._exit(7)  # not in order
"""

# A file that does not belong to the daemon.
READS = """
import mmap, os, sys
from perdure.daemon.process.mapped_files import mending

with open(sys.argv[1], "w+b") as file:
    file.write(bytes(100_000))
    file.flush()
    mapped = mmap.mmap(file.fileno(), 100_000)
    os.truncate(sys.argv[1], 0)
    def mend():
        {mend}
    with mending(mend):
        print(mapped[50_000])
"""


def ran(source: str, path: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", source, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_flight_record_outlives_being_cut_short_while_it_is_written(tmp_path: Path) -> None:
    ended = ran(WRITES, tmp_path / "p.db.flight")
    assert (ended.returncode, ended.stderr) == (7, "")

    # And the next process finds the work that was under way at the end.
    source = """
import sys
from perdure.actors.hosting.flight_record import FlightRecord
record = FlightRecord(sys.argv[1], actor_type="wf", slots=500)
record.open()
print([suspect.name for suspect in record.suspects])
"""
    assert ran(source, tmp_path / "p.db.flight").stdout == "[b'last']\n"


@pytest.mark.parametrize("mend", ["return False", "raise OSError('No space left on device')"])
def test_a_file_that_cannot_be_mended_ends_the_process_with_a_sentence(tmp_path: Path, mend: str) -> None:
    ended = ran(READS.format(mend=mend), tmp_path / "x")
    assert ended.returncode == -signal.SIGBUS
    assert ended.stderr.startswith("Error: a file that this process has mapped into memory was cut short")
    assert ended.stderr.count("\n") == 1
