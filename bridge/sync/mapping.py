"""A mapping as it is stored: the record, its key, and its bytes (schemas/user_sync.avsc).

One partner id may have several MM UUIDs, one a browser, and they come one at a time to endpoints that know
nothing of each other: so the MM UUID is a part of the key, or compaction would keep the last browser alone
(docs/decisions/0045). An opt-out is of the partner id, and has the key without an MM UUID.
"""

import io
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from bridge import published

_CANONICAL = to_parsing_canonical_form(json.loads(published.schema_text("user_sync.avsc")))
_SCHEMA = fastavro.parse_schema(json.loads(_CANONICAL))
"""Without logical types: times are whole numbers here."""

PREFIX = b"\xc3\x01" + bytes.fromhex(fingerprint(_CANONICAL, "CRC-64-AVRO"))
"""What every value begins with: Avro's single-object encoding, of this schema."""

_ID = r"[\x21-\x7E]{1,256}"
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_PARTNER_ID = re.compile(_ID)
_MM_UUID = re.compile(_UUID)
_KEY = re.compile(f"({_ID}) ({_ID})(?: ({_UUID}))?".encode())
ZEROS = "00000000-0000-0000-0000-000000000000"
"""The MM UUID of nobody."""

Key: TypeAlias = tuple[str, str, str | None]
"""Namespace, partner id, MM UUID; without one of an opt-out."""


class Consent(StrEnum):
    """What decided that a mapping may be kept."""

    NO_SIGNAL = "no_signal"
    """Nothing was said of consent, and none is demanded."""
    OUTSIDE_GDPR = "outside_gdpr"
    """gdpr=0."""
    US_PRIVACY = "us_privacy"
    """us_privacy: the user was told, and has not opted out."""
    TC_STRING = "tc_string"
    """gdpr_consent."""
    WITHDRAWN = "withdrawn"
    """Of an opt-out: there is none."""


class NotAMapping(Exception):  # noqa: N818  # it is an answer
    """The text says what is wrong, and holds no id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UserSync:
    """A mapping, or an opt-out."""

    namespace: str
    """Whose id `partner_id` is: a user namespace."""
    partner_id: str
    """The partner's own id: 1 to 256 bytes of 0x21-0x7E."""
    mm_uuid: str | None
    """The platform's id: 8-4-4-4-12 hex in lower case, not all zeros; None: an opt-out."""
    data_centre: str = ""
    """The platform's data centre for the user, such as ewr; empty: not told."""
    synced_at: int
    """When the browser came, epoch ms."""
    consent: Consent
    """What decided that this may be kept."""


def is_partner_id(text: str) -> bool:
    """Whether it can be a partner's own id (contract.md, invalid_user_id)."""
    return _PARTNER_ID.fullmatch(text) is not None


def is_mm_uuid(text: str) -> bool:
    """Whether it is an MM UUID as it is kept: in lower case, not all zeros."""
    return _MM_UUID.fullmatch(text) is not None and text != ZEROS


def key_of(sync: UserSync) -> bytes:
    """The key: its parts with a space between them, which none of them can hold."""
    parts = (sync.namespace, sync.partner_id, sync.mm_uuid)
    return " ".join(part for part in parts if part is not None).encode()


def read_key(key: bytes) -> Key:
    """The parts of a key, of which a tombstone has nothing else.

    Raises:
        NotAMapping: It is no such key.
    """
    match = _KEY.fullmatch(key)
    if match is None or match[3] == ZEROS.encode():
        raise NotAMapping("the key is no namespace, partner id and MM UUID with a space between them")
    namespace, partner_id, mm_uuid = match.groups()
    return namespace.decode(), partner_id.decode(), mm_uuid.decode() if mm_uuid else None


def encode(sync: UserSync) -> bytes:
    """The value: single-object encoding."""
    body = io.BytesIO()
    body.write(PREFIX)
    fastavro.schemaless_writer(
        body,
        _SCHEMA,
        {
            "namespace": sync.namespace,
            "partner_id": sync.partner_id,
            "mm_uuid": sync.mm_uuid,
            "data_centre": sync.data_centre,
            "synced_at": sync.synced_at,
            "consent": sync.consent.value,
        },
    )
    return body.getvalue()


def decode(value: bytes) -> UserSync:
    """The record of a value.

    Raises:
        NotAMapping: It is none.
    """
    if not value.startswith(PREFIX):
        raise NotAMapping("the value does not begin with C3 01 and the fingerprint of user_sync.avsc")
    body = io.BytesIO(value)
    body.seek(len(PREFIX))
    try:
        record = fastavro.schemaless_reader(body, _SCHEMA, None)
    except (EOFError, IndexError, ValueError, OverflowError, MemoryError, TypeError, KeyError) as error:
        raise NotAMapping(f"the value is no such record ({type(error).__name__})") from None
    if body.tell() != len(value):
        raise NotAMapping(f"{len(value) - body.tell()} bytes are left over after the record")
    assert isinstance(record, dict)
    return _checked(record)


def _checked(record: dict[str, Any]) -> UserSync:
    """Bytes that can be read may still hold what no endpoint of ours writes."""
    sync = UserSync(**record | {"consent": Consent(record["consent"])})
    opted_out = sync.consent is Consent.WITHDRAWN
    if not is_partner_id(sync.namespace) or not is_partner_id(sync.partner_id):
        raise NotAMapping("the namespace or the partner id is not 1 to 256 bytes of 0x21-0x7E")
    if opted_out != (sync.mm_uuid is None):
        raise NotAMapping("an opt-out has an MM UUID, or a mapping has none")
    if sync.mm_uuid is not None and not is_mm_uuid(sync.mm_uuid):
        raise NotAMapping("the MM UUID is not 8-4-4-4-12 hex in lower case, or is all zeros")
    return sync
