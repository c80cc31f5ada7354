"""The header of an audience file (seed s2s_data_import, Audience File; contract.md, Audience files)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from bridge.audience.audience import MM

VERSION = 3
"""The version of the S2S system for new integrations."""

FIELDS = (
    "Version",
    "FileIdentifier",
    "DateCreated",
    "UserNamespace",
    "UserTableId",
    "SegmentNamespace",
    "Mobile",
    "HashSegments",
)
"""Every field, in the order in which they are written."""

OPTIONAL = "UserTableId"
"""Stands only where the user namespace is not mm."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """What stands above the rows."""

    version: int = VERSION
    """Of the S2S system."""
    file_identifier: str
    """The remote name of the file."""
    date_created: int
    """Epoch seconds, UTC."""
    user_namespace: str
    """mm, or a partner's."""
    user_table_id: str = ""
    """Empty with the namespace mm."""
    segment_namespace: str
    """Usually the partner's."""
    mobile: bool
    """User ids are device ids."""
    hash_segments: bool
    """Segment codes are texts."""

    @property
    def uuids(self) -> bool:
        """User ids are UUIDs (contract.md, invalid_user_id)."""
        return self.mobile or self.user_namespace == MM

    def fields(self) -> dict[str, str]:
        """The fields that are written, in order."""
        values = (
            str(self.version),
            self.file_identifier,
            str(self.date_created),
            self.user_namespace,
            self.user_table_id,
            self.segment_namespace,
            str(int(self.mobile)),
            str(int(self.hash_segments)),
        )
        return {name: text for name, text in zip(FIELDS, values, strict=True) if text or name != OPTIONAL}

    def render(self) -> bytes:
        """The header's lines and the blank line behind them; ValueError where a value is not ASCII."""
        lines = [f"{name}: {text}\n" for name, text in self.fields().items()]
        return "".join([*lines, "\n"]).encode("ascii")

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> Self:
        """The header of these fields; what is missing or no number becomes empty, 0 or False."""
        return cls(
            version=_number(fields.get("Version", "")),
            file_identifier=fields.get("FileIdentifier", ""),
            date_created=_number(fields.get("DateCreated", "")),
            user_namespace=fields.get("UserNamespace", ""),
            user_table_id=fields.get(OPTIONAL, ""),
            segment_namespace=fields.get("SegmentNamespace", ""),
            mobile=fields.get("Mobile") == "1",
            hash_segments=fields.get("HashSegments") == "1",
        )

    @classmethod
    def parse(cls, lines: Iterable[str]) -> Self:
        """The header of these lines, read tolerantly: any order, any spaces, up to the first blank line."""
        fields: dict[str, str] = {}
        for line in lines:
            if not line.strip():
                break
            name, _, text = line.partition(":")
            fields[name.strip()] = text.strip()
        return cls.of(fields)


_DIGITS = 19
"""Of a number, at most; Python refuses to read thousands of them."""


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else 0
