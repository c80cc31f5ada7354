"""docs/audience-segments.md shows what the command says."""

from pathlib import Path

from tests.parts.vendor import Vendor
from tests.platform.document import DOCUMENT, made_anew


def test_the_document_is_real(vendor: Vendor, tmp_path: Path):
    """Every command of the document, run against a sandbox, says what stands there."""
    text = DOCUMENT.read_text()
    assert made_anew(text, vendor, tmp_path) == text
