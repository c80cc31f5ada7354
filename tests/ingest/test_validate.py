import re
import sys
import uuid
from dataclasses import dataclass

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audience import rows
from bridge.audience.audience import Audience
from bridge.audience.roster import Roster
from bridge.config import Stream
from bridge.ingest.events import Reason, events_schema
from bridge.ingest.validate import Validator
from bridge.segments.codes import Codes
from bridge.segments.seen import Seen
from bridge.segments.watch import Watch

NOW = 1_800_000_000_000
HOUR = 3_600_000
USER = "2c3753c5-9a67-4600-f044-a5d7e0c5f6d7"
ZERO = "00000000-0000-0000-0000-000000000000"
SHAPE = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")

GLOBAL = Stream(name="a", topics=("t",), format="json", segment_namespace="ep")
PRIVATE = Stream(
    name="b",
    topics=("t",),
    format="json",
    account={"display": "cookies", "mobile": "devices"},
    client="Acme",
    clients=("Bolt",),
    user_namespace="xy",
    user_table_id="17",
    user_namespaces={"mm": None, "zz": "18"},
    segment_namespace="ep",
    segment_namespaces=("fq",),
    placeholder_segment=77,
    max_future="10s",
)
HASHED = Stream(
    name="c",
    topics=("t",),
    format="json",
    client="Acme",
    inventory="mobile",
    segment_namespace="ep",
    hash_segments=True,
    placeholder_segment=77,
)
IDENTIFIED = Stream(
    name="d",
    topics=("t",),
    format="json",
    inventory="display",
    user_namespaces={"zz": "18"},
    identify={"from": "acme"},
    segment_namespace="ep",
)
STREAMS = [GLOBAL, PRIVATE, HASHED, IDENTIFIED, GLOBAL.model_copy(update={"inventory": "display"})]


def event(**fields):
    plain = {
        "user_id": USER,
        "mobile": False,
        "client": None,
        "user_namespace": None,
        "segment_namespace": None,
        "remove_all": False,
        "segments": [(10, 0)],
        "event_time": NOW,
    }
    return plain | fields


def frame(stream, events, indices=None):
    listed = [
        fields
        | {
            "index": index,
            "segments": fields["segments"]
            and [{"segment_id": segment, "timestamp": at} for segment, at in fields["segments"]],
        }
        for index, fields in zip(indices or range(len(events)), events, strict=True)
    ]
    return pl.DataFrame(listed, schema=events_schema(hashed=stream.hash_segments))


@dataclass
class Told:
    """What became of events: `shards` are the rows by audience."""

    shards: dict
    refused: tuple


def told(stream, events, watch=None):
    roster = Roster()
    result = Validator(stream, roster, watch).sort_out(events, NOW)
    shards = {}
    for some in result.frames:
        shards |= roster.split([some])
    return Told(shards, result.refused)


def sort_out(stream, *events):
    return told(stream, frame(stream, events))


def reasons(stream, *events):
    return [refusal.reason for refusal in sort_out(stream, *events).refused]


def only_shard(result):
    assert not result.refused
    ((audience, shard),) = result.shards.items()
    return audience, shard


def listed(audience, shard):
    """Rows as (index, user, segment, timestamp, event time), the user as a text."""
    return [
        (
            row["index"],
            str(uuid.UUID(int=row["hi"] << 64 | row["lo"])) if audience.uuids else row["user"],
            row["segment"],
            row["timestamp"],
            row["event_time"],
        )
        for row in shard.iter_rows(named=True)
    ]


REFUSED = [
    (GLOBAL, {"user_id": USER[:-1]}, Reason.INVALID_USER_ID),
    (GLOBAL, {"user_id": ""}, Reason.INVALID_USER_ID),
    (GLOBAL, {"user_id": None}, Reason.INVALID_USER_ID),
    (GLOBAL, {"user_id": USER.replace("-", "")}, Reason.INVALID_USER_ID),
    (GLOBAL, {"user_id": "g" + USER[1:]}, Reason.INVALID_USER_ID),
    (GLOBAL, {"user_id": ZERO}, Reason.INVALID_USER_ID),
    (GLOBAL, {"user_id": USER[1:], "mobile": True}, Reason.INVALID_USER_ID),
    (PRIVATE, {"user_id": "a b"}, Reason.INVALID_USER_ID),
    (PRIVATE, {"user_id": "a" * 257}, Reason.INVALID_USER_ID),
    (PRIVATE, {"user_id": ""}, Reason.INVALID_USER_ID),
    (PRIVATE, {"user_id": None}, Reason.INVALID_USER_ID),
    (PRIVATE, {"user_id": "a\n"}, Reason.INVALID_USER_ID),
    (PRIVATE, {"user_id": "é"}, Reason.INVALID_USER_ID),
    (PRIVATE, {"user_id": "a\x7f"}, Reason.INVALID_USER_ID),
    (PRIVATE, {"user_id": "anybody", "mobile": True}, Reason.INVALID_USER_ID),
    (PRIVATE, {"user_id": "anybody", "user_namespace": "mm"}, Reason.INVALID_USER_ID),
    (PRIVATE, {"user_id": ZERO, "user_namespace": "mm"}, Reason.INVALID_USER_ID),
    (GLOBAL, {"user_id": ZERO, "mobile": True}, Reason.ZERO_DEVICE_ID),
    (PRIVATE, {"user_id": ZERO, "mobile": True}, Reason.ZERO_DEVICE_ID),
    (HASHED, {"user_id": ZERO, "segments": [("x", 0)]}, Reason.ZERO_DEVICE_ID),
    (GLOBAL, {"client": "Acme"}, Reason.UNKNOWN_CLIENT),
    (GLOBAL, {"client": ""}, Reason.UNKNOWN_CLIENT),
    (PRIVATE, {"client": "acme"}, Reason.UNKNOWN_CLIENT),
    (PRIVATE, {"client": ""}, Reason.UNKNOWN_CLIENT),
    (GLOBAL, {"user_namespace": "xy"}, Reason.UNKNOWN_NAMESPACE),
    (GLOBAL, {"user_namespace": ""}, Reason.UNKNOWN_NAMESPACE),
    (GLOBAL, {"segment_namespace": "mm"}, Reason.UNKNOWN_NAMESPACE),
    (GLOBAL, {"segment_namespace": ""}, Reason.UNKNOWN_NAMESPACE),
    (GLOBAL, {"segments": []}, Reason.NO_SEGMENTS),
    (GLOBAL, {"segments": None}, Reason.NO_SEGMENTS),
    (GLOBAL, {"segments": [(0, 0)]}, Reason.INVALID_SEGMENT_ID),
    (GLOBAL, {"segments": [(-1, 0)]}, Reason.INVALID_SEGMENT_ID),
    (GLOBAL, {"segments": [(2**31, 0)]}, Reason.INVALID_SEGMENT_ID),
    (GLOBAL, {"segments": [(2**32 + 5, 0)]}, Reason.INVALID_SEGMENT_ID),
    (GLOBAL, {"segments": [(None, 0)]}, Reason.INVALID_SEGMENT_ID),
    (GLOBAL, {"segments": [(9_999_999, 0)]}, Reason.INVALID_SEGMENT_ID),
    (PRIVATE, {"segments": [(10, 0), (77, -1)]}, Reason.INVALID_SEGMENT_ID),
    (GLOBAL, {"segments": [(10, 0), (0, 0), (11, 0)], "remove_all": True}, Reason.INVALID_SEGMENT_ID),
    (HASHED, {"segments": [("", 0)]}, Reason.INVALID_SEGMENT_ID),
    (HASHED, {"segments": [("a:b", 0)]}, Reason.INVALID_SEGMENT_ID),
    (HASHED, {"segments": [("a b", 0)]}, Reason.INVALID_SEGMENT_ID),
    (HASHED, {"segments": [("é", 0)]}, Reason.INVALID_SEGMENT_ID),
    (HASHED, {"segments": [("a" * 257, 0)]}, Reason.INVALID_SEGMENT_ID),
    (HASHED, {"segments": [("a\n", 0)]}, Reason.INVALID_SEGMENT_ID),
    (HASHED, {"segments": [(None, 0)]}, Reason.INVALID_SEGMENT_ID),
    (HASHED, {"segments": [("77", 0)]}, Reason.INVALID_SEGMENT_ID),
    (GLOBAL, {"segments": [(10, -2)]}, Reason.INVALID_TIMESTAMP),
    (GLOBAL, {"segments": [(10, 4_133_980_800)]}, Reason.INVALID_TIMESTAMP),
    (GLOBAL, {"segments": [(10, NOW)]}, Reason.INVALID_TIMESTAMP),
    (GLOBAL, {"segments": [(10, None)]}, Reason.INVALID_TIMESTAMP),
    (GLOBAL, {"segments": [(10, 0), (11, -5)]}, Reason.INVALID_TIMESTAMP),
    (GLOBAL, {"event_time": 0}, Reason.INVALID_EVENT_TIME),
    (GLOBAL, {"event_time": -1}, Reason.INVALID_EVENT_TIME),
    (GLOBAL, {"event_time": None}, Reason.INVALID_EVENT_TIME),
    (GLOBAL, {"event_time": NOW + HOUR + 1}, Reason.INVALID_EVENT_TIME),
    (PRIVATE, {"event_time": NOW + 10_001}, Reason.INVALID_EVENT_TIME),
]


def good_for(stream):
    return event(segments=[("x", 0)]) if stream.hash_segments else event()


@pytest.mark.parametrize(("stream", "fields", "reason"), REFUSED)
def test_a_bad_event_is_refused_and_its_neighbours_are_not(stream, fields, reason):
    """Between two good events a bad one is refused with its reason, whole, and without its user's id."""
    good = good_for(stream)
    bad = good | fields
    result = sort_out(stream, good, bad, good)
    (refusal,) = result.refused
    assert (refusal.index, refusal.reason) == (1, reason)
    assert len(refusal.detail) > 10
    if bad["user_id"]:
        assert bad["user_id"] not in refusal.detail
    (shard,) = result.shards.values()
    assert shard["index"].to_list() == [0, 2]


@pytest.mark.parametrize(
    ("stream", "fields"),
    [
        (GLOBAL, {"user_id": USER.upper()}),
        (GLOBAL, {"user_id": ZERO[:-1] + "1"}),
        (PRIVATE, {"user_id": "!"}),
        (PRIVATE, {"user_id": "~" * 256}),
        (PRIVATE, {"user_id": ZERO}),
        (PRIVATE, {"user_id": "a:b"}),
        (PRIVATE, {"client": "Acme", "user_namespace": "xy", "segment_namespace": "ep"}),
        (PRIVATE, {"client": "Bolt", "user_namespace": "zz", "segment_namespace": "fq"}),
        (GLOBAL, {"segments": [], "remove_all": True}),
        (GLOBAL, {"segments": None, "remove_all": True}),
        (GLOBAL, {"segments": [(1, -1)]}),
        (GLOBAL, {"segments": [(2_147_483_647, 1)]}),
        (GLOBAL, {"segments": [(77, 4_133_980_799)]}),
        (HASHED, {"segments": [("!", 0)]}),
        (HASHED, {"segments": [("~" * 256, 0)]}),
        (HASHED, {"segments": [("9999999", 0)]}),
        (GLOBAL, {"event_time": 1}),
        (GLOBAL, {"event_time": NOW + HOUR}),
        (PRIVATE, {"event_time": NOW + 10_000}),
        (GLOBAL, {"mobile": None}),
    ],
)
def test_what_is_just_within_the_rules_is_accepted(stream, fields):
    """Each boundary's last good value makes an event that is not refused."""
    assert reasons(stream, good_for(stream) | fields) == []


def test_the_first_rule_of_the_table_gives_the_reason():
    """An event with every fault is refused for the first; each one mended shows the next."""
    strict = GLOBAL.model_copy(update={"unknown_segments": "refuse"})
    watch = Watch(Seen.nothing(1, hashed=False).knowing(Codes(["1"], hashed=False), 1))
    fields = event(
        user_id="nobody", client="?", segment_namespace="?", segments=[(0, 0), (2, -2)], event_time=0
    )
    seen = []
    for mended in (
        {},
        {"user_id": ZERO, "mobile": True},
        {"user_id": USER},
        {"client": None},
        {"segment_namespace": None, "segments": []},
        {"segments": [(2, -2), (0, 0)]},
        {"segments": [(2, -2)]},
        {"segments": [(2, 0)]},
        {"event_time": NOW},
    ):
        fields |= mended
        seen += [refusal.reason for refusal in told(strict, frame(strict, [fields]), watch).refused]
    order = list(Reason)
    assert seen == order[order.index(Reason.INVALID_USER_ID) :]


def test_details_show_the_first_faulty_number_of_their_event():
    """A refusal tells the segment, timestamp or time that is wrong, of the right event."""
    result = sort_out(
        GLOBAL,
        event(segments=[(1, 0), (-5, 0), (-6, 0)]),
        event(),
        event(segments=[(1, 0), (2, -7), (3, -8)]),
        event(event_time=-9),
        event(segments=[(-11, 0)]),
    )
    assert [refusal.index for refusal in result.refused] == [0, 2, 3, 4]
    for refusal, number in zip(result.refused, ("-5", "-7", "-9", "-11"), strict=True):
        assert re.search(rf"(?<!\S){number}(?!\S)", refusal.detail)


def test_an_events_index_is_kept():
    """Refusals and rows carry the events' own indices, which may have gaps."""
    events = [event(), event(event_time=0), event(segments=[(1, 0), (2, 0)])]
    result = told(GLOBAL, frame(GLOBAL, events, [3, 8, 9]))
    assert [refusal.index for refusal in result.refused] == [8]
    (shard,) = result.shards.values()
    assert shard["index"].to_list() == [3, 9, 9]


def test_nothing_is_made_of_nothing():
    """An empty batch, and one of refused events alone, have no shards."""
    assert sort_out(GLOBAL).shards == {}
    assert sort_out(GLOBAL).refused == ()
    assert sort_out(GLOBAL, event(user_id="x"), event(segments=[])).shards == {}


def test_rows_are_in_the_order_of_events_and_elements_with_remove_all_first():
    """A remove_all is one row before its event's segments; the rest keeps its order."""
    audience, shard = only_shard(
        sort_out(
            GLOBAL,
            event(segments=[(9, 0), (2, -1)]),
            event(segments=[(5, 7)], remove_all=True, event_time=NOW - 1),
            event(segments=[], remove_all=True),
            event(segments=[(3, 0)]),
        )
    )
    assert listed(audience, shard) == [
        (0, USER, 9, 0, NOW),
        (0, USER, 2, -1, NOW),
        (1, USER, 0, -1, NOW - 1),
        (1, USER, 5, 7, NOW - 1),
        (2, USER, 0, -1, NOW),
        (3, USER, 3, 0, NOW),
    ]


@pytest.mark.parametrize(("stream", "one", "two"), [(GLOBAL, 1, 2), (HASHED, "one", "two")])
def test_a_later_element_overrides_an_earlier_one_of_the_same_segment(stream, one, two):
    """Of a segment's elements in an event the last stays; other events' are not touched."""
    audience, shard = only_shard(
        sort_out(
            stream,
            event(segments=[(one, 0), (two, 5), (one, -1)]),
            event(segments=[(one, 6)]),
            event(segments=[(two, 7), (two, 8)], remove_all=True),
        )
    )
    everything = rows.everything(audience)
    assert [row[0:1] + row[2:4] for row in listed(audience, shard)] == [
        (0, two, 5),
        (0, one, -1),
        (1, one, 6),
        (2, everything, -1),
        (2, two, 8),
    ]


def test_events_go_to_the_audiences_that_they_name():
    """Client, namespaces, mobile and their account and table id come from the event, else from the stream."""
    result = sort_out(
        PRIVATE,
        event(),
        event(mobile=True),
        event(client="Bolt", user_namespace="zz", segment_namespace="fq"),
        event(client="Acme", user_namespace="mm"),
        event(user_namespace="xy", segment_namespace="ep"),
    )
    acme = {
        "client": "Acme",
        "segment_namespace": "ep",
        "mobile": False,
        "account": "cookies",
        "hashed": False,
    }
    partner = acme | {"user_namespace": "xy", "user_table_id": "17"}
    bolt = {"client": "Bolt", "user_namespace": "zz", "user_table_id": "18", "segment_namespace": "fq"}
    assert {audience: shard["index"].to_list() for audience, shard in result.shards.items()} == {
        Audience(**partner): [0, 4],
        Audience(**partner | {"mobile": True, "account": "devices"}): [1],
        Audience(**acme | bolt): [2],
        Audience(**acme | {"user_namespace": "mm", "user_table_id": ""}): [3],
    }
    assert set(result.shards) <= set(PRIVATE.audiences())


def test_a_partners_ids_are_told_from_those_that_are_sent_as_they_are():
    """Of no namespace they are the partner's, as where it is named; mm and others stay as they are."""
    result = sort_out(
        IDENTIFIED,
        event(user_id="P1"),
        event(user_id="P2", user_namespace="acme"),
        event(user_namespace="mm"),
        event(user_id="Q1", user_namespace="zz"),
    )
    assert result.refused == ()
    own = {"account": "default", "client": "", "segment_namespace": "ep", "mobile": False, "hashed": False}
    assert {audience: shard["index"].to_list() for audience, shard in result.shards.items()} == {
        Audience(**own, user_namespace="acme", user_table_id="", unresolved=True): [0, 1],
        Audience(**own, user_namespace="mm", user_table_id=""): [2],
        Audience(**own, user_namespace="zz", user_table_id="18"): [3],
    }
    sources = [audience for audience in result.shards if audience.unresolved]
    assert {audience.resolved for audience in sources} <= set(IDENTIFIED.audiences())


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"user_id": "P 1"}, Reason.INVALID_USER_ID),
        ({"user_id": ""}, Reason.INVALID_USER_ID),
        ({"user_id": "P" * 257}, Reason.INVALID_USER_ID),
        ({"user_id": "P1", "user_namespace": "mm"}, Reason.INVALID_USER_ID),
        ({"user_id": ZERO, "user_namespace": "mm"}, Reason.INVALID_USER_ID),
        ({"user_id": "P1", "user_namespace": "other"}, Reason.UNKNOWN_NAMESPACE),
    ],
)
def test_ids_are_judged_by_their_own_namespace(fields, reason):
    """A partner's as texts, which a UUID is too, and even zeros; those of mm as MM UUIDs."""
    assert reasons(IDENTIFIED, event(**fields)) == [reason]
    (audience,) = sort_out(IDENTIFIED, event(user_id=ZERO), event(user_id="P" * 256)).shards
    assert audience.unresolved


@pytest.mark.parametrize(("inventory", "mobile"), [("display", False), ("mobile", True)])
def test_the_streams_inventory_is_stronger_than_the_event(inventory, mobile):
    """Where the stream says what its ids are, the event's mobile is not looked at."""
    stream = GLOBAL.model_copy(update={"inventory": inventory})
    audience, shard = only_shard(sort_out(stream, event(mobile=True), event(mobile=False)))
    assert audience.mobile is mobile
    assert len(shard) == 2


def judge(stream, fields):  # noqa: C901, PLR0911, PLR0912  # the contract's table, a line each
    """The contract's rules, an event at a time: a reason, or the audience and the rows."""
    mobile = fields["mobile"] if stream.inventory == "event" else stream.inventory == "mobile"
    partner = None if stream.identify is None else stream.identify.from_
    named = fields["user_namespace"]
    namespace = named if named is not None else partner or stream.user_namespace
    client = stream.client if fields["client"] is None else fields["client"]
    segment_namespace = fields["segment_namespace"]
    if segment_namespace is None:
        segment_namespace = stream.segment_namespace
    user = fields["user_id"]
    if mobile or namespace == "mm":
        if not SHAPE.fullmatch(user):
            return Reason.INVALID_USER_ID
        user = user.lower()
        if user == ZERO:
            return Reason.ZERO_DEVICE_ID if mobile else Reason.INVALID_USER_ID
    elif not 1 <= len(user) <= 256 or any(not 0x21 <= ord(character) <= 0x7E for character in user):
        return Reason.INVALID_USER_ID
    if fields["client"] is not None and client not in {stream.client, *stream.clients}:
        return Reason.UNKNOWN_CLIENT
    tables = {stream.user_namespace: stream.user_table_id or ""} | stream.user_namespaces
    tables |= {partner: ""} if partner else {}
    if namespace not in tables or segment_namespace not in {
        stream.segment_namespace,
        *stream.segment_namespaces,
    }:
        return Reason.UNKNOWN_NAMESPACE
    if not fields["segments"] and not fields["remove_all"]:
        return Reason.NO_SEGMENTS
    for segment, _ in fields["segments"]:
        if stream.hash_segments:
            if not re.fullmatch(r"[!-9;-~]{1,256}", segment) or segment == str(stream.placeholder_segment):
                return Reason.INVALID_SEGMENT_ID
        elif not 1 <= segment <= 2_147_483_647 or segment == stream.placeholder_segment:
            return Reason.INVALID_SEGMENT_ID
    if any(not -1 <= at < 4_133_980_800 for _, at in fields["segments"]):
        return Reason.INVALID_TIMESTAMP
    if not 0 < fields["event_time"] <= NOW + stream.max_future:
        return Reason.INVALID_EVENT_TIME
    audience = Audience(
        account=stream.account_for(mobile=mobile),
        client=client or "",
        user_namespace=namespace,
        user_table_id=tables[namespace],
        segment_namespace=segment_namespace,
        mobile=mobile,
        hashed=stream.hash_segments,
        unresolved=namespace == partner,
    )
    last = {}
    for segment, at in fields["segments"]:
        last.pop(segment, None)
        last[segment] = at
    written = [(rows.everything(audience), -1)] if fields["remove_all"] else []
    return audience, [(user, *row, fields["event_time"]) for row in [*written, *last.items()]]


def mostly(*good, bad=()):
    """A good value nearly always, so that events with one fault or none are the most."""
    return st.one_of(*[st.sampled_from(good)] * 9, st.sampled_from(bad or good))


@st.composite
def batches(draw):
    stream = draw(st.sampled_from(STREAMS))
    segment = (
        mostly("one", "two", "10", "x" * 256, bad=("", "77", "a:b", "x" * 257, "é"))
        if stream.hash_segments
        else mostly(1, 2, 10, 2**31 - 1, bad=(0, 77, 9_999_999, 2**31, -(2**40), 2**32 + 1))
    )
    one = st.fixed_dictionaries(
        {
            "user_id": mostly(
                USER, USER.upper(), "1" * 8 + USER[8:], bad=(ZERO, "anybody", "", "é" * 18, "x" * 36, "a b")
            ),
            "mobile": st.booleans(),
            "client": mostly(None, stream.client, *stream.clients, bad=("Other", "")),
            "user_namespace": mostly(None, *stream.event_tables, bad=("??", "")),
            "segment_namespace": mostly(
                None, stream.segment_namespace, *stream.segment_namespaces, bad=("??", "")
            ),
            "remove_all": st.sampled_from([False, False, True]),
            "segments": st.lists(
                st.tuples(segment, mostly(-1, 0, 1, 4_133_980_799, bad=(-2, 4_133_980_800, NOW))), max_size=4
            ),
            "event_time": mostly(1, NOW, NOW + 10_000, bad=(0, NOW + 10_001, NOW + HOUR, NOW + HOUR + 1)),
        }
    )
    return stream, draw(st.lists(one, max_size=12))


@given(batches())
def test_columns_judge_as_one_event_at_a_time_does(batch):
    """Reasons, audiences, rows and their order are those of the table read event by event."""
    stream, events = batch
    result = sort_out(stream, *events)
    reasons, shards = {}, {}
    for index, fields in enumerate(events):
        judged = judge(stream, fields)
        if isinstance(judged, Reason):
            reasons[index] = judged
        else:
            audience, written = judged
            shards.setdefault(audience, []).extend((index, *row) for row in written)
    assert [(refusal.index, refusal.reason) for refusal in result.refused] == list(reasons.items())
    assert {audience: listed(audience, shard) for audience, shard in result.shards.items()} == shards
    for audience, shard in result.shards.items():
        place = {"source", "partition", "offset"}
        columns = {name: dtype for name, dtype in rows.schema(audience).items() if name not in place}
        assert shard.schema == pl.Schema({"index": pl.UInt32(), **columns})


def calls_for(stream, size, segments):
    events = pl.DataFrame(
        {
            "index": range(size),
            "user_id": [str(uuid.UUID(int=number + 1)) for number in range(size)],
            "mobile": [number % 2 == 0 for number in range(size)],
            "client": [None] * size,
            "user_namespace": [("mm", None)[number % 2] for number in range(size)],
            "segment_namespace": [None] * size,
            "remove_all": [number % 100 == 0 for number in range(size)],
            "segments": [
                [{"segment_id": segment, "timestamp": 0} for segment in segments[: 1 + number % 3]]
                for number in range(size)
            ],
            "event_time": [NOW] * size,
        },
        schema=events_schema(hashed=stream.hash_segments),
    )
    validator = Validator(stream, Roster())
    calls = 0

    def count(_frame, kind, _argument):
        nonlocal calls
        calls += kind in {"call", "c_call"}

    sys.setprofile(count)
    try:
        result = validator.sort_out(events, NOW)
    finally:
        sys.setprofile(None)
    assert not result.refused
    return calls


@pytest.mark.parametrize(("stream", "segments"), [(PRIVATE, [3, 1, 3]), (HASHED, ["b", "a", "b"])])
def test_no_call_is_made_for_an_accepted_event(stream, segments):
    """20,000 accepted events take as many calls as 10,000 do."""
    calls_for(stream, 10, segments)
    assert calls_for(stream, 10_000, segments) == calls_for(stream, 20_000, segments)
