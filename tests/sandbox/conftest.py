"""The sandbox as a client of its Audience Segments API has it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.segments import SegmentsSite


@pytest.fixture
def segments(tmp_path: Path) -> Iterator[SegmentsSite]:
    """In a new directory; it does not run yet."""
    one = SegmentsSite(tmp_path)
    yield one
    one.http.close()
