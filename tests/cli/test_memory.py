"""What a long run sets for its whole process."""

import subprocess
import sys

from bridge.cli.memory import COLLECT_AFTER

SCRIPT = """
import gc
import threading
from bridge.cli import memory

memory.fit()
kept = []
threads = [threading.Thread(target=lambda: kept.append(bytearray(50_000))) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(gc.get_threshold()[0], gc.isenabled(), len(kept))
"""


def test_cycles_are_still_collected_only_later():
    """In a process of its own: the threshold is raised, collecting stays on, and threads get their memory."""
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout.split() == [str(COLLECT_AFTER), "True", "8"]
