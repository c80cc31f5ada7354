"""What one audience file may hold."""

from dataclasses import asdict, dataclass, replace
from typing import Self

MM = "mm"
"""The user namespace of the platform's own ids."""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Audience:
    """What one file may hold: its header's values, and whose it is (seed s2s_data_import, Audience File)."""

    account: str
    """Name of the account, as in the configuration."""
    client: str
    """The private client, in the file's name; empty: global."""
    user_namespace: str
    """`UserNamespace`: mm, or a partner's."""
    user_table_id: str
    """`UserTableId`; empty with the namespace mm."""
    segment_namespace: str
    """`SegmentNamespace`."""
    mobile: bool
    """`Mobile`: device ids instead of cookies."""
    hashed: bool
    """`HashSegments`: segment codes are texts."""
    unresolved: bool = False
    """Its users have a partner's ids, which the identity table translates into MM UUIDs: it is collected, and
    never in a file itself (docs/decisions/0052)."""

    @property
    def uuids(self) -> bool:
        """User ids are UUIDs, kept as two UInt64 columns; otherwise texts (contract.md, invalid_user_id)."""
        return self.mobile or self.user_namespace == MM

    @property
    def label(self) -> str:
        """The audience within its account, for people and metrics: `Acme/mm/ep/display`."""
        user = f"{self.user_namespace}:{self.user_table_id}" if self.user_table_id else self.user_namespace
        kind = "mobile" if self.mobile else "display"
        parts = [self.client or "(global)", user, self.segment_namespace, kind]
        marks = ["hashed"] * self.hashed + ["unresolved"] * self.unresolved
        return "/".join([*parts, *marks])

    @property
    def resolved(self) -> "Audience":
        """The audience that the memberships of an unresolved one go to, once their users are known."""
        return replace(self, user_namespace=MM, user_table_id="", unresolved=False)

    @property
    def key(self) -> str:
        """Unique text of the audience: the ledger's key. No part may hold a slash or colon."""
        return f"{self.account}/{self.label}"

    def to_json(self) -> dict[str, str | bool]:
        """All fields by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, str | bool]) -> Self:
        """Inverse of `to_json`."""
        return cls(**fields)  # type: ignore[arg-type]  # the footer's checksum vouches for the types
