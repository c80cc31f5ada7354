"""docs/failures.md says what is true."""

import re
import subprocess
import sys

from bridge.actions import declared
from bridge.deliver.remote import Reason as UploadReason
from bridge.ingest.events import Reason as RefusalReason
from tests.matrix import DOCUMENT, ROOT


def test_every_row_has_its_tests():
    """70 rows, each with the tests that are marked with its number, listed in the document."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.matrix", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_an_operator_sees_is_what_the_product_says():
    """Each metric that the document names is in the code, each action of the log declared."""
    code = "\n".join(path.read_text() for path in (ROOT / "bridge").rglob("*.py"))
    seen = "\n".join(re.findall(r"^Seen: (.*(?:\n.+)*?)\nDo:", DOCUMENT.read_text(), re.MULTILINE))
    metrics = re.findall(r"`s2s_bridge_(\w+?)(?:_total)?`", seen)
    actions = {name for name in re.findall(r"`([a-z_]+)`", seen) if not name.startswith("s2s_bridge")}
    assert len(metrics) > 10
    assert len(actions) > 30
    assert actions - declared().keys() - set(UploadReason) - set(RefusalReason) == set()
    assert [name for name in set(metrics) if f'"{name}"' not in code] == []
