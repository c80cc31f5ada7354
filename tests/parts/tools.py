"""Programs that tests run: where they are, once tests/parts/install.sh was there."""

import os
import re
import shutil
from pathlib import Path

INSTALL = Path(__file__).with_name("install.sh")


def found(name: str) -> str | None:
    """The program's path; None: it is missing."""
    return shutil.which(name)


def found_helm() -> str | None:
    """Helm's path: the one that install.sh builds, or else any; None: it is missing."""
    version = re.search(r"^helm_version=(\S+)", INSTALL.read_text(), re.MULTILINE)
    assert version, INSTALL
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return found(str(cache / "s2s-bridge" / f"helm-{version[1]}")) or found("helm")
