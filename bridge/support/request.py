"""What is asked for by mail: subject, body, attachment, and what is to be remembered of it."""

import hashlib
import re
from dataclasses import dataclass
from typing import Protocol

from bridge.support.mapping import PixelMapping

MOST_ATTACHED = 15_000_000
"""Bytes; a third more in a mail, of which many servers take 25 MB at most."""

_PERCENT = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,2}))?")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._()+-]{0,99}")
_HUNDRED = 100_00
"""Hundredths of a percent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """One thing that is asked for, as the memory compares it."""

    kind: str
    """Of the request: pixel_mapping, taxonomy, revenue_share."""
    about: str
    """What it concerns: of this, the newest ask counts."""
    what: str
    """What it is to become."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attachment:
    """A file that goes with a request, byte for byte."""

    name: str
    """Its file name, plain ASCII."""
    content: bytes
    """Of text/csv."""

    def __post_init__(self) -> None:
        """Raises ValueError where it cannot be attached."""
        if _FILE_NAME.fullmatch(self.name) is None:
            raise ValueError("has a name that mail may change; rename it to letters, digits and hyphens")
        if not self.content:
            raise ValueError("is empty; name a taxonomy's CSV")
        if len(self.content) > MOST_ATTACHED:
            raise ValueError(f"is larger than {MOST_ATTACHED:,} bytes, too large for a mail; ask support how")

    @property
    def sha256(self) -> str:
        """Hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


class Request(Protocol):
    """What can be rendered as a message."""

    @property
    def subject(self) -> str:
        """One line of ASCII."""
        ...

    @property
    def body(self) -> str:
        """Lines of ASCII that end with LF."""
        ...

    @property
    def attachment(self) -> Attachment | None:
        """The file that goes with it."""
        ...

    @property
    def asks(self) -> tuple[Ask, ...]:
        """What is to be remembered."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class PixelMappingRequest:
    """To the automated process, which acts where subject and body are exactly so (seed)."""

    mappings: tuple[PixelMapping, ...]
    """At least one."""

    @property
    def subject(self) -> str:
        """The seed's."""
        return "Data Provider Pixel Mapping Request"

    @property
    def body(self) -> str:
        """The seed's first line, and one a mapping, without lines between (docs/decisions/0038)."""
        return "".join(
            f"{line}\n" for line in ("Please map the following", *(one.line for one in self.mappings))
        )

    @property
    def attachment(self) -> None:
        """None."""
        return

    @property
    def asks(self) -> tuple[Ask, ...]:
        """An external data segment has one source: the one that was asked last."""
        return tuple(Ask(kind="pixel_mapping", about=one.target, what=one.source) for one in self.mappings)


@dataclass(frozen=True, kw_only=True, slots=True)
class TaxonomyRequest:
    """A taxonomy's CSV for support (seed: Providing a Taxonomy via CSV)."""

    vendor_id: int
    """From the partnerships team."""
    taxonomy_id: int | None
    """Of the taxonomy that is updated; None: a new one."""
    attachment: Attachment
    """The CSV."""

    @property
    def subject(self) -> str:
        """What it is about, with its ids."""
        if self.taxonomy_id is None:
            return f"New taxonomy of vendor {self.vendor_id}"
        return f"Update of taxonomy {self.taxonomy_id} of vendor {self.vendor_id}"

    @property
    def body(self) -> str:
        """What the seed's steps 3 and 4 ask for."""
        if self.taxonomy_id is None:
            first, ids = "Please create the taxonomy of the attached CSV file.", ""
        else:
            first = "Please update the taxonomy to what the attached CSV file holds."
            ids = f"Taxonomy ID: {self.taxonomy_id}\n"
        return f"{first}\n\nVendor ID: {self.vendor_id}\n{ids}CSV file: {self.attachment.name}\n"

    @property
    def asks(self) -> tuple[Ask, ...]:
        """A taxonomy becomes the file that was handed in last; a new one is each file once."""
        digest = self.attachment.sha256
        if self.taxonomy_id is None:
            return (Ask(kind="taxonomy", about=f"vendor {self.vendor_id}, sha256 {digest}", what="new"),)
        return (Ask(kind="taxonomy", about=f"taxonomy {self.taxonomy_id}", what=f"sha256 {digest}"),)


@dataclass(frozen=True, kw_only=True, slots=True)
class RevenueShareRequest:
    """A revenue share for one taxonomy in place of the vendor's (seed: Revenue Share at Taxonomy Level)."""

    taxonomy_id: int
    """The Taxonomy_ID."""
    percent: str
    """As `percent` gives it."""
    attachment: None = None
    """None."""

    @property
    def subject(self) -> str:
        """What it is about."""
        return f"Revenue share of taxonomy {self.taxonomy_id}"

    @property
    def body(self) -> str:
        """The two things that the seed asks for, under its names."""
        return (
            "Please set a revenue share for this taxonomy.\n\n"
            f"Taxonomy_ID: {self.taxonomy_id}\n"
            f"Desired taxonomy-level revenue share: {self.percent}%\n"
        )

    @property
    def asks(self) -> tuple[Ask, ...]:
        """A taxonomy has the share that was asked last."""
        return (Ask(kind="revenue_share", about=f"taxonomy {self.taxonomy_id}", what=f"{self.percent}%"),)


def percent(text: str) -> str:
    """A percentage from 0 to 100 with at most two decimals, in its shortest form: `12.50` is `12.5`.

    Raises:
        ValueError: It is none; without the text.
    """
    match = _PERCENT.fullmatch(text)
    hundredths = _HUNDRED + 1 if match is None else int(match[1] + (match[2] or "").ljust(2, "0"))
    if hundredths > _HUNDRED:
        raise ValueError("is no percentage; write 0 to 100 with at most two decimals, as in 12.5")
    whole, decimals = divmod(hundredths, 100)
    return f"{whole}.{decimals:02}".rstrip("0").rstrip(".") if decimals else str(whole)
