"""The stand-in platform as a vendor's client has it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.vendor import Vendor


@pytest.fixture
def vendor(tmp_path: Path) -> Iterator[Vendor]:
    """In a new directory; its sandbox does not run yet."""
    one = Vendor(tmp_path)
    yield one
    one.http.close()
