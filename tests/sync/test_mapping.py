"""The topic's format: keys and values, there and back."""

import string

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import published
from bridge.ingest import avro_types
from bridge.sync.mapping import (
    PREFIX,
    Consent,
    NotAMapping,
    UserSync,
    decode,
    encode,
    key_of,
    read_key,
)

MM_UUID = "5f11538c-fcb6-4600-88e0-6e51bff72bbc"
ids = st.text([chr(code) for code in range(0x21, 0x7F)], min_size=1, max_size=256)
uuids = st.uuids().map(str).filter(lambda text: text.strip("0-"))


@st.composite
def syncs(draw):
    mm_uuid = draw(st.none() | uuids)
    granted = [consent for consent in Consent if consent is not Consent.WITHDRAWN]
    return UserSync(
        namespace=draw(ids),
        partner_id=draw(ids),
        mm_uuid=mm_uuid,
        data_centre=draw(st.text(string.ascii_lowercase, max_size=3)),
        synced_at=draw(st.integers(1, 2**53)),
        consent=Consent.WITHDRAWN if mm_uuid is None else draw(st.sampled_from(granted)),
    )


def sync(**changes):
    fields = {"namespace": "acme", "partner_id": "p1", "mm_uuid": MM_UUID, "data_centre": "ewr"}
    return UserSync(**fields | {"synced_at": 1_790_000_000_000, "consent": Consent.NO_SIGNAL} | changes)


@given(syncs())
def test_a_mapping_comes_back_from_its_bytes(given_sync):
    """What was encoded is decoded, and the key tells whose it is."""
    assert decode(encode(given_sync)) == given_sync
    assert read_key(key_of(given_sync)) == (given_sync.namespace, given_sync.partner_id, given_sync.mm_uuid)


@given(syncs(), syncs())
def test_two_mappings_have_one_key_only_if_they_are_of_the_same_ids(one, other):
    """Compaction keeps each browser of a partner id, and one opt-out of it."""
    same = (one.namespace, one.partner_id, one.mm_uuid) == (other.namespace, other.partner_id, other.mm_uuid)
    assert (key_of(one) == key_of(other)) == same


def test_the_key_is_what_the_topic_promises():
    """Others read the topic: the key's text is fixed."""
    assert key_of(sync()) == f"acme p1 {MM_UUID}".encode()
    assert key_of(sync(mm_uuid=None, consent=Consent.WITHDRAWN)) == b"acme p1"


def test_the_prefix_is_that_of_the_published_schema():
    """Whoever pins schemas/user_sync.avsc as avro-single-object can read the topic."""
    schema = avro_types.read(published.schema_text("user_sync.avsc"))
    assert b"\xc3\x01" + schema.fingerprint == PREFIX


def test_the_schemas_consent_is_ours():
    """Each word of the code is one of the schema's, in its order."""
    schema = fastavro.schema.load_schema("schemas/user_sync.avsc")
    symbols = next(field for field in schema["fields"] if field["name"] == "consent")["type"]["symbols"]
    assert symbols == [consent.value for consent in Consent]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"", "does not begin"),
        (b"\xc3\x01" + bytes(8), "does not begin"),
        (PREFIX, "no such record"),
        (encode(sync())[:-1], "no such record"),
        (encode(sync()) + b"\0", "1 bytes are left over"),
        (encode(sync(partner_id="with space")), "partner id is not"),
        (encode(sync(mm_uuid=None)), "a mapping has none"),
        (encode(sync(consent=Consent.WITHDRAWN)), "an opt-out has"),
        (encode(sync(mm_uuid=MM_UUID.upper())), "lower case"),
        (encode(sync(mm_uuid="00000000-0000-0000-0000-000000000000")), "all zeros"),
    ],
)
def test_a_value_that_is_no_mapping_says_why(value, why):
    """The topic may hold anything; what is wrong is told, and no id."""
    with pytest.raises(NotAMapping, match=why) as caught:
        decode(value)
    assert "p1" not in str(caught.value)


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"acme",
        b"acme ",
        b" p1",
        b"acme p1 ",
        b"acme p1 x",
        b"acme p1 " + MM_UUID.upper().encode(),
        b"\xff p1",
    ],
)
def test_a_key_that_is_none_is_told(key):
    """A tombstone of a foreign key is no mapping's."""
    with pytest.raises(NotAMapping):
        read_key(key)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_mapping_or_told(noise):
    """Foreign bytes raise one thing alone."""
    for value in (noise, PREFIX + noise):
        try:
            found = decode(value)
        except NotAMapping:
            continue
        assert encode(found) == value or decode(encode(found)) == found
