"""The garbage collector, tuned in a separate process, because the tuning cannot be undone."""

import subprocess
import sys

SCRIPT = """
import gc
from perdure.daemon.process.garbage_collector import tune_garbage_collector
ring = []
ring.append(ring)
del ring
before = gc.get_threshold()
tune_garbage_collector()
assert gc.isenabled()
assert gc.get_threshold()[0] > before[0]
print(gc.get_freeze_count() > 1_000, gc.collect())
"""


def test_what_was_loaded_is_not_looked_at_again_and_the_rest_less_often() -> None:
    told = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True)
    assert told.stdout == "True 0\n"


IMPORTING = """
import gc
from perdure.daemon.process.garbage_collector import frozen_imports
looks = []
gc.callbacks.append(lambda phase, info: looks.append(phase))
with frozen_imports():
    import perdure.daemon.daemon
    during = len(looks)
assert gc.isenabled()
print(during, gc.get_freeze_count() > 10_000)
"""


def test_the_imports_of_a_start_are_not_looked_at_while_they_are_made_nor_later() -> None:
    told = subprocess.run([sys.executable, "-c", IMPORTING], check=True, capture_output=True, text=True)
    assert told.stdout == "0 True\n"
