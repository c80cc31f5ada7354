"""Messages as the endpoint's encoder writes them, and all that is not: as columns they read as one by one."""

import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.sync.mapping import Consent, UserSync, encode, key_of
from bridge.sync.table import decoding
from bridge.sync.table.decoding import FUTURE, Skipped, take

NOW = 1_800_000_000_000
IDS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=256)
SYNCS = st.builds(
    lambda opted_out, uuid, consent, **more: UserSync(
        mm_uuid=None if opted_out else str(uuid),
        consent=Consent.WITHDRAWN if opted_out else consent,
        **more,
    ),
    opted_out=st.booleans(),
    uuid=st.uuids(),
    namespace=st.one_of(st.just("acme"), IDS),
    partner_id=IDS,
    data_centre=st.sampled_from(["", "ewr", "iad", "x" * 70]),
    synced_at=st.one_of(st.integers(1, NOW + FUTURE), st.integers(-(2**63), 2**63 - 1)),
    consent=st.sampled_from([Consent.NO_SIGNAL, Consent.TC_STRING, Consent.US_PRIVACY]),
)


class Message:
    """A message of the topic."""

    def __init__(self, key: bytes | None, value: bytes | None, timestamp: tuple[int, int] = (1, 5)) -> None:
        self._key, self._value, self._timestamp = key, value, timestamp

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def timestamp(self) -> tuple[int, int]:
        return self._timestamp


def message(sync: UserSync) -> Message:
    return Message(key_of(sync), encode(sync))


def one_by_one(messages: list[Message]) -> decoding.Taken:
    """What becomes of each message alone."""
    each = [take([one], NOW) for one in messages]
    skipped = {why: sum(one.skipped.get(why, 0) for one in each) for why in Skipped}
    return decoding.Taken(
        rows=pl.concat(one.rows for one in each),
        skipped={why: count for why, count in skipped.items() if count},
    )


def same(ours: decoding.Taken, theirs: decoding.Taken) -> bool:
    columns = ours.rows.columns
    return ours.skipped == theirs.skipped and ours.rows.sort(columns).equals(theirs.rows.sort(columns))


@given(syncs=st.lists(SYNCS, min_size=1, max_size=8), times=st.integers(10, 30))
@settings(max_examples=60)
def test_columns_read_what_the_endpoint_writes(syncs, times):
    """The endpoint's encoder and the table agree on every record that there can be, on few and on many."""
    messages = [message(sync) for sync in syncs]
    expected = one_by_one(messages)
    found = take(messages * times, NOW)
    assert (
        found.rows.unique().sort(found.rows.columns).equals(expected.rows.unique().sort(found.rows.columns))
    )
    assert found.rows.height == times * expected.rows.height
    assert found.skipped == {why: times * count for why, count in expected.skipped.items()}


@given(seed=st.integers(0, 2**32), faults=st.integers(1, 5))
@settings(max_examples=60)
def test_bad_bytes_hurt_no_other_message(seed, faults):
    """Flipped, cut, swapped, lengthened bytes among good ones: all comes to what each alone comes to."""
    luck = random.Random(seed)
    messages = [message(made(luck)) for _ in range(150)]
    for _ in range(faults):
        messages[luck.randrange(150)] = broken(luck, message(made(luck)))
    assert same(take(messages, NOW), one_by_one(messages))


def made(luck: random.Random) -> UserSync:
    opted_out = luck.random() < 0.2
    return UserSync(
        namespace="acme",
        partner_id=f"p{luck.getrandbits(luck.choice([8, 64, 700])):x}",
        mm_uuid=None if opted_out else f"00000000-0000-0000-0000-{luck.getrandbits(40) + 1:012x}",
        data_centre=luck.choice(["", "ewr"]),
        synced_at=luck.choice([1, 63, 64, NOW]),
        consent=Consent.WITHDRAWN if opted_out else Consent.NO_SIGNAL,
    )


def broken(luck: random.Random, good: Message) -> Message:
    key, value = good.key() or b"", good.value() or b""
    at = luck.randrange(10, len(value))
    other = message(made(luck)).value() or b""
    changed = luck.choice(
        [
            value[:at],
            value + value[at:],
            value + other,
            value[:at] + bytes([value[at] ^ 1 << luck.randrange(8)]) + value[at + 1 :],
            other,
            b"",
        ]
    )
    return Message(luck.choice([key, key, None]), changed)


@pytest.mark.parametrize(
    ("key", "timestamp", "why"),
    [
        (b"acme ann", (1, 5), None),
        (b"acme ann 00000000-0000-0000-0000-000000000001", (2, 5), None),
        (b"acme ann 00000000-0000-0000-0000-000000000000", (1, 5), Skipped.NOT_A_MAPPING),
        (b"acme", (1, 5), Skipped.NOT_A_MAPPING),
        (None, (1, 5), Skipped.NOT_A_MAPPING),
        (b"acme ann", (0, -1), Skipped.TIME),
        (b"acme ann", (1, NOW + FUTURE + 1), Skipped.TIME),
    ],
)
def test_a_tombstone_has_a_key_and_a_time(key, timestamp, why):
    """It forgets what its key said up to the time that Kafka has for it; without either it is skipped."""
    taken = take([Message(key, None, timestamp)], NOW)
    assert taken.skipped == ({why: 1} if why else {})
    assert taken.rows.select("forgotten", "synced_at").rows() == ([] if why else [(True, 5)])


def test_an_opt_out_is_taken_whatever_its_clock_says():
    """Of a time far ahead a mapping is refused, as nothing would end it; an opt-out counts, as of then."""
    ahead = {"namespace": "acme", "partner_id": "ann", "synced_at": NOW + 2 * FUTURE}
    browser = "00000000-0000-0000-0000-000000000001"
    opt_out = message(UserSync(mm_uuid=None, consent=Consent.WITHDRAWN, **ahead))
    mapping = message(UserSync(mm_uuid=browser, consent=Consent.NO_SIGNAL, **ahead))
    taken = take([opt_out, mapping], NOW)
    assert taken.skipped == {Skipped.TIME: 1}
    assert taken.rows.select("hi", "lo", "synced_at").rows() == [(0, 0, NOW + FUTURE)]


def test_the_fast_way_is_taken():
    """Clean messages are read as columns, not one by one: else a topic of 100 M takes an hour."""
    luck = random.Random(1)
    messages = [message(made(luck)) for _ in range(500)]
    rows = decoding.columns.read([one.key() for one in messages], [one.value() for one in messages])
    assert rows.height == 500
