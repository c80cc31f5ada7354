import copy
import gc
import itertools
import json
import random
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.config import Stream
from bridge.errors import UsageError
from bridge.ingest import avro_layout
from bridge.ingest.avro_columns import FEW
from bridge.ingest.avro_schema import event_schema
from bridge.ingest.decode import decoder_for
from bridge.ingest.events import Reason, events_schema
from tests.ingest import judge
from tests.parts import events as made

PLAIN = made.schema()
HASHED = made.schema(hashed=True)


def field(name, type_):
    return {"name": name, "type": type_}


def record(*fields, name="E"):
    return {"type": "record", "name": name, "fields": list(fields)}


USER, TIME = field("user_id", "string"), field("event_time", "long")


def stream(format_="avro-confluent", **settings_):
    return Stream(name="s", topics=("t",), format=format_, segment_namespace="ep", **settings_)


def decoder(schemas, **settings_):
    return decoder_for(stream(**settings_), judge.Text(schemas))


def some(count, seed=0, **load):
    return made.make(made.Load(events=count, clients=(None, "Acme"), **load), seed)


def reasons(decoded):
    return {refusal.index: refusal.reason for refusal in decoded.refused}


def pin(tmp_path, schema):
    path = tmp_path / "pinned.avsc"
    path.write_text(json.dumps(schema))
    return path


def assert_judged(schema, values, decoded, names=None):
    """Accepted are those that the judge accepts, with its values; refused, all others, as undecodable."""
    expected = judge.accepted(schema, values, names=names)
    assert judge.rows(decoded) == expected
    assert reasons(decoded) == {at: Reason.UNDECODABLE for at in range(len(values)) if at not in expected}
    assert decoded.events["index"].is_sorted()


@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize("count", [1, FEW, FEW + 1, 1_000])
def test_every_avro_format_gives_the_same_columns(tmp_path, hashed, count):
    """Events come out as they went in, whichever way they are framed, few or many."""
    schema = HASHED if hashed else PLAIN
    events = some(count, hashed=hashed, user_namespace="xy")
    path = pin(tmp_path, schema)
    encoders = {
        ("avro-confluent", None): made.avro_confluent(schema, 7),
        ("avro-confluent", path): made.avro_confluent(schema, 2**32 - 1),
        ("avro-single-object", path): made.avro_single_object(schema),
        ("avro", path): made.avro(schema),
    }
    for (format_, pinned), encode in encoders.items():
        settings_ = stream(format_, schema=pinned, hash_segments=hashed)
        decoded = decoder_for(settings_, judge.Text({7: schema})).decode([encode(event) for event in events])
        assert decoded.refused == ()
        assert decoded.events.schema == events_schema(hashed=hashed)
        assert list(judge.rows(decoded).values()) == [
            judge.FIELDS | {name: event[name] for name in judge.FIELDS if name in event} for event in events
        ]


def test_nothing_gives_nothing():
    """An empty list of values is no fault, and has the columns."""
    decoded = decoder({7: PLAIN}).decode([])
    assert (decoded.refused, decoded.events.schema, len(decoded.events)) == (
        (),
        events_schema(hashed=False),
        0,
    )


SHAPES = {
    "the product's": PLAIN,
    "hashed": HASHED,
    "nullable, null last": {
        "type": "record",
        "name": "E",
        "fields": [
            {"name": "client", "type": ["string", "null"]},
            {"name": "mobile", "type": ["boolean", "null"]},
            {"name": "user_id", "type": ["string", "null"]},
            {"name": "remove_all", "type": ["null", "boolean"]},
            {"name": "event_time", "type": ["long", "null"]},
            {
                "name": "segments",
                "type": [
                    "null",
                    {
                        "type": "array",
                        "items": {
                            "type": "record",
                            "name": "S",
                            "fields": [
                                {"name": "timestamp", "type": "int"},
                                {"name": "note", "type": "string"},
                                {"name": "segment_id", "type": "int"},
                            ],
                        },
                    },
                ],
            },
        ],
    },
    "looked at from behind": {
        "type": "record",
        "name": "E",
        "namespace": "a.b",
        "fields": [
            {"name": "mobile", "type": "boolean", "default": False},
            PLAIN["fields"][6],
            {"name": "user_id", "type": {"type": "string", "avro.java.string": "String"}},
            {"name": "flag", "type": "boolean"},
            {"name": "remove_all", "type": "boolean"},
            {"name": "event_time", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            {"name": "client", "type": ["null", "string"], "default": None},
            {"name": "level", "type": {"type": "enum", "name": "Level", "symbols": ["A", "B", "C"]}},
            {"name": "weight", "type": "float"},
            {"name": "raw", "type": ["null", "bytes"]},
        ],
    },
    "with other fields": {
        "type": "record",
        "name": "E",
        "fields": [
            {"name": "id", "type": {"type": "fixed", "name": "Id", "size": 3}},
            {
                "name": "origin",
                "type": {
                    "type": "record",
                    "name": "Origin",
                    "fields": [
                        {"name": "host", "type": "string"},
                        {"name": "id", "type": ["null", "Id"]},
                        {"name": "rate", "type": "double"},
                    ],
                },
            },
            *PLAIN["fields"],
            {"name": "tags", "type": {"type": "map", "values": "string"}},
            {"name": "counts", "type": {"type": "array", "items": {"type": "array", "items": "int"}}},
        ],
    },
    "a choice of types": {
        "type": "record",
        "name": "E",
        "fields": [*PLAIN["fields"], {"name": "extra", "type": ["null", "string", "long"]}],
    },
    "unions in arrays": {
        "type": "record",
        "name": "E",
        "fields": [
            *PLAIN["fields"],
            {"name": "extra", "type": {"type": "array", "items": ["null", "string"]}},
        ],
    },
}
COLUMNAR = {name: name not in {"a choice of types", "unions in arrays"} for name in SHAPES}
EXTRAS = {
    "note": "n",
    "flag": True,
    "level": "B",
    "weight": 1.5,
    "raw": b"\x80",
    "id": b"abc",
    "origin": {"host": "h", "id": b"xyz", "rate": 0.5},
    "tags": {"a": "b", "c": ""},
    "counts": [[1, -70], [], [3]],
}


def body_of(schema, event, rng):
    """A record of the schema's fields, with something in the fields that are not ours."""
    record = {}
    for field in schema["fields"]:
        name = field["name"]
        if name == "extra":
            record[name] = [None, "x"] if isinstance(field["type"], dict) else rng.choice([None, "x", 5])
        elif name in EXTRAS:
            record[name] = EXTRAS[name] if name != "raw" else rng.choice([None, b"\x80"])
        elif name == "segments":
            record[name] = [element | {"note": "n"} for element in event[name]]
        elif name == "event_time" and "timestamp-micros" in str(field["type"]):
            record[name] = event[name] * 1_000 + rng.randrange(1_000)
        elif name in event:
            record[name] = event[name]
    return record


def values_of(schema, count, seed):
    rng = random.Random(seed)
    events = some(count, seed, hashed=schema is HASHED)
    return [judge.framed(schema, body_of(schema, event, rng)) for event in events]


@pytest.mark.parametrize("shape", SHAPES)
def test_which_schemas_are_columnar(shape):
    """Optional fields, other fields and other orders of fields keep the fast way."""
    schema = event_schema(json.dumps(SHAPES[shape]), {}, hashed=shape == "hashed")
    try:
        avro_layout.layout(schema)
        columnar = True
    except avro_layout.NotColumnar:
        columnar = False
    assert columnar == COLUMNAR[shape]


@pytest.mark.parametrize("shape", SHAPES)
def test_clean_values_of_any_schema(shape, monkeypatch):
    """Clean values come out as the judge reads them; where the schema is columnar, none is read singly."""
    schema = SHAPES[shape]
    values = values_of(schema, 300, 1)
    reader = decoder({7: schema}, hash_segments=shape == "hashed")
    if COLUMNAR[shape]:
        monkeypatch.setattr("fastavro.schemaless_reader", None)
    decoded = reader.decode(values)
    monkeypatch.undo()
    assert decoded.refused == ()
    assert_judged(schema, values, decoded)


damage = st.tuples(
    st.integers(0, 299),
    st.sampled_from(["change", "flip", "cut", "add", "insert", "drop", "small"]),
    st.integers(5, 200),
    st.integers(0, 255),
)


def damaged(value, kind, at, byte):
    """The value with one fault behind its framing."""
    at = 5 + (at - 5) % max(1, len(value) - 5)
    before, here, after = value[:at], value[at : at + 1], value[at + 1 :]
    return {
        "change": before + bytes([byte]) + after,
        "small": before + bytes([byte % 8]) + after,
        "flip": before + bytes([part ^ 1 << byte % 8 for part in here]) + after,
        "cut": before,
        "add": value + bytes([byte]),
        "insert": before + bytes([byte]) + here + after,
        "drop": before + after,
    }[kind]


@pytest.mark.failure(33)
@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=40)
@given(faults=st.lists(damage, min_size=1, max_size=6))
def test_good_events_survive_around_damaged_ones(shape, faults):
    """Whatever happens to some bodies, exactly those are refused that hold no event, and no other changes."""
    schema = SHAPES[shape]
    values = values_of(schema, 300, 2)
    for at, kind, place, byte in faults:
        values[at] = damaged(values[at], kind, place, byte)
    decoded = decoder({7: schema}, hash_segments=shape == "hashed").decode(values)
    assert_judged(schema, values, decoded)


@pytest.mark.parametrize("shape", [name for name in SHAPES if COLUMNAR[name]])
def test_every_byte_of_an_event_is_judged_alike(shape):
    """Each byte of an event changed to telling values gives what the judge says."""
    schema = SHAPES[shape]
    values = values_of(schema, 130, 3)
    longest = max(values, key=len)
    reader = decoder({7: schema}, hash_segments=shape == "hashed")
    for at, byte in itertools.product(range(5, min(len(longest), 130)), (0, 2, 3, 4, 0xFF)):
        tried = [*values[:70], longest[:at] + bytes([byte]) + longest[at + 1 :], *values[70:]]
        assert_judged(schema, tried, reader.decode(tried))


@pytest.mark.failure(33)
@settings(max_examples=30)
@given(st.lists(st.binary(max_size=80), min_size=FEW + 1, max_size=120))
@example([b""] * 100)
def test_garbage_is_refused(bodies):
    """Of bodies of random bytes nothing is accepted that the judge refuses."""
    values = [b"\0\0\0\0\7" + body for body in bodies]
    assert_judged(PLAIN, values, decoder({7: PLAIN}).decode(values))


@pytest.mark.failure(33)
def test_a_crafted_body_cannot_swallow_its_neighbour():
    """A text whose length reaches into the next event makes its own event fail, and only that one."""
    values = values_of(PLAIN, 200, 4)
    body = values[50][5:]
    swallowing = len(body) + len(values[51]) + 8  # the guard between them included
    crafted = bytearray(values[50])
    number = swallowing << 1
    crafted[5:6] = bytes([number & 0x7F | 0x80, number >> 7])
    values[50] = bytes(crafted)
    decoded = decoder({7: PLAIN}).decode(values)
    assert reasons(decoded) == {50: Reason.UNDECODABLE}
    assert_judged(PLAIN, values, decoded)


@pytest.mark.failure(33)
def test_as_many_records_as_values_are_not_enough():
    """A body that swallows the next event, and one that holds two: the count is right, both are refused."""
    schema = record(field("note", "bytes"), USER, TIME)
    values = [
        judge.framed(schema, {"note": b"", "user_id": f"u{at}", "event_time": at}) for at in range(3 * FEW)
    ]
    guard_framing_and_note = 8 + 5 + 1
    values[20] = values[20][:5] + bytes([guard_framing_and_note << 1])
    values[90] += bytes(8) + values[90]
    decoded = decoder({7: schema}).decode(values)
    assert reasons(decoded) == dict.fromkeys((20, 90), Reason.UNDECODABLE)
    assert_judged(schema, values, decoded)


@pytest.mark.failure(34)
@pytest.mark.parametrize("bad", [0, 99, 199])
def test_an_array_bomb_is_one_refused_event(bad):
    """A count of 2^62 elements, or of a block of negative size, takes no memory and no time."""
    values = values_of(PLAIN, 200, 5)
    huge = b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f"
    body = judge.encode(PLAIN, some(1)[0] | {"segments": [], "client": None})
    values[bad] = b"\0\0\0\0\7" + body[:-7] + huge + body[-6:]
    decoded = decoder({7: PLAIN}).decode(values)
    assert reasons(decoded) == {bad: Reason.UNDECODABLE}


def test_left_over_bytes_are_undecodable():
    """An event with anything behind it is refused, and says how much."""
    values = values_of(PLAIN, 200, 6)
    values[3] += b"\0\0"
    (refusal,) = decoder({7: PLAIN}).decode(values).refused
    assert (refusal.index, refusal.detail) == (3, "2 bytes are left over after the record")


def test_details_hold_nothing_of_the_value():
    """What a refusal says does not repeat bytes of the event."""
    user = "secret-user"
    good = judge.framed(PLAIN, some(1)[0] | {"user_id": user})
    values = [good[:-1], good + b"x", b"x" + good, good.replace(b"secret", b"secre\xff"), good * 2]
    decoded = decoder({7: PLAIN}).decode(values)
    assert len(decoded.refused) == len(values)
    assert not any("secre" in refusal.detail for refusal in decoded.refused)


def test_two_schemas_take_turns():
    """Values of two schema ids in turns, with different fields, come out in their order."""
    later = copy.deepcopy(PLAIN)
    later["fields"].insert(3, {"name": "origin", "type": "string", "default": ""})
    events = some(500)
    values = [
        judge.framed(later, event | {"origin": "x"}, 9) if at % 2 else judge.framed(PLAIN, event, 7)
        for at, event in enumerate(events)
    ]
    decoded = decoder({7: PLAIN, 9: later}).decode(values)
    assert decoded.refused == ()
    assert judge.rows(decoded) == judge.accepted(PLAIN, [judge.framed(PLAIN, event) for event in events])


@pytest.mark.failure(33)
def test_bad_framing_and_unknown_schemas(tmp_path):
    """A wrong or short beginning is bad framing; an id or fingerprint that nobody knows, no schema."""
    values = values_of(PLAIN, 200, 7)
    values[10] = b"\1" + values[10][1:]
    values[11] = b""
    values[12] = b"\0\0\0\0"
    good = set(range(200)) - {10, 11, 12}
    decoded = decoder({7: PLAIN}).decode(values)
    assert reasons(decoded) == dict.fromkeys((10, 11, 12), Reason.BAD_FRAMING)
    assert set(decoded.events["index"]) == good

    single = [made.avro_single_object(PLAIN)(event) for event in some(200)]
    single[10] = b"\xc3\2" + single[10][2:]
    single[11] = single[11][:9]
    single[12] = single[12][:2] + bytes(8) + single[12][10:]
    single[13] = single[13][:10]
    pinned = decoder_for(stream("avro-single-object", schema=pin(tmp_path, PLAIN)), None)
    assert reasons(pinned.decode(single)) == {
        10: Reason.BAD_FRAMING,
        11: Reason.BAD_FRAMING,
        12: Reason.UNKNOWN_SCHEMA,
        13: Reason.UNDECODABLE,
    }


def test_a_pinned_schema_takes_any_id(tmp_path):
    """With a pinned schema the id is not looked up, but the framing has to be there."""
    events = some(100)
    values = [judge.framed(PLAIN, event, at) for at, event in enumerate(events)]
    values[5] = b"\1" + values[5][1:]
    decoded = decoder_for(stream(schema=pin(tmp_path, PLAIN)), None).decode(values)
    assert reasons(decoded) == {5: Reason.BAD_FRAMING}
    assert len(decoded.events) == 99


def test_too_large():
    """A value above max_event_bytes is refused; one of just as many bytes is not."""
    values = values_of(PLAIN, 200, 8)
    limit = max(map(len, values))
    values[7] += b"x"
    values[8] = values[8] + bytes(limit + 1 - len(values[8]))
    values[7] += bytes(max(0, limit + 1 - len(values[7])))
    decoded = decoder({7: PLAIN}, max_event_bytes=limit).decode(values)
    assert reasons(decoded) == {7: Reason.TOO_LARGE, 8: Reason.TOO_LARGE}
    assert len(decoded.events) == 198
    everything = decoder({7: PLAIN}, max_event_bytes=1).decode(values)
    assert set(reasons(everything).values()) == {Reason.TOO_LARGE}


def test_fields_of_other_names():
    """`fields` maps our names to the topic's, of elements too."""
    names = {
        "user_id": "uid",
        "segments": "codes",
        "event_time": "client",
        "segment_id": "code",
        "timestamp": "at",
    }
    schema = copy.deepcopy(PLAIN)
    schema["fields"] = [field for field in schema["fields"] if field["name"] != "client"]
    for field in schema["fields"]:
        field["name"] = names.get(field["name"], field["name"])
        if field["name"] == "codes":
            for part in field["type"]["items"]["fields"]:
                part["name"] = names[part["name"]]
    values = []
    for event in some(200):
        record = {names.get(ours, ours): value for ours, value in event.items() if ours != "client"}
        record["codes"] = [{names[key]: part for key, part in code.items()} for code in record["codes"]]
        values.append(judge.framed(schema, record))
    decoded = decoder({7: schema}, fields=names).decode(values)
    assert decoded.refused == ()
    assert judge.rows(decoded) == {
        at: row | {"client": None} for at, row in judge.accepted(schema, values, names=names).items()
    }


def test_optional_fields_may_be_missing():
    """With user_id, segments and event_time alone, all others have their defaults."""
    schema = copy.deepcopy(PLAIN)
    schema["fields"] = [schema["fields"][at] for at in (0, 6, 7)]
    schema["fields"][2]["type"] = "long"
    for count in (10, 200):
        values = values_of(schema, count, 9)
        decoded = decoder({7: schema}).decode(values)
        assert decoded.refused == ()
        assert decoded.events.schema == events_schema(hashed=False)
        assert_judged(schema, values, decoded)


def test_null_where_a_value_is_needed():
    """A user_id or event_time that is null makes its event undecodable; a null flag is false."""
    schema = SHAPES["nullable, null last"]
    for count in (30, 300):
        values = values_of(schema, count, 10)
        event = some(1)[0]
        blank = dict.fromkeys(("mobile", "remove_all", "client", "segments"))
        element = {"segment_id": 5, "timestamp": 0, "note": ""}
        for at, change in enumerate(
            [{"user_id": None}, {"event_time": None}, blank, {"segments": [element]}]
        ):
            record = body_of(schema, event, random.Random(0)) | change
            values[at * 7] = judge.framed(schema, record)
        decoded = decoder({7: schema}).decode(values)
        assert_judged(schema, values, decoded)
        assert reasons(decoded) == {0: Reason.UNDECODABLE, 7: Reason.UNDECODABLE}
        assert judge.rows(decoded)[14]["segments"] == []


def test_calls_do_not_grow_with_events(calls):
    """Twice the events take not one Python call more."""
    reader = decoder({7: PLAIN})
    values = values_of(PLAIN, 20_000, 11)
    reader.decode(values)
    first = calls(lambda: reader.decode(values[:10_000]))
    assert calls(lambda: reader.decode(values)) == first
    assert first < 2_000


@pytest.fixture
def calls():
    """Counts the Python functions that are entered while something is done."""

    def count(action):
        entered = 0

        def watch(_frame, what, _argument):
            nonlocal entered
            entered += what == "call"

        gc.disable()  # Hypothesis is called back at each collection
        sys.setprofile(watch)
        try:
            action()
        finally:
            sys.setprofile(None)
            gc.enable()
        return entered

    return count


def wide(depth):
    """A schema whose names unfold to 3^depth types."""
    inner = record(USER, TIME, name="R0")
    for level in range(1, depth):
        parts = [field("a", inner), field("b", f"R{level - 1}"), field("c", f"R{level - 1}")]
        inner = record(*parts, name=f"R{level}")
    return inner


def hollow(nulls):
    """A record of one byte that holds so many values."""
    return record(field("b", "boolean"), *[field(f"n{at}", "null") for at in range(nulls)], name="Hollow")


@pytest.mark.failure(34, 35)
@pytest.mark.parametrize(
    ("schema", "detail"),
    [
        ("long", "no record"),
        (["null", PLAIN], "no record"),
        ({"type": "record"}, "no Avro schema"),
        (record(field("user_id", "Elsewhere"), TIME), "no Avro schema"),
        (record(TIME, field("segments", PLAIN["fields"][6]["type"])), "no field user_id"),
        (record(USER), "no field event_time"),
        (record(USER, field("event_time", "string")), "event_time is no long or int"),
        (record(field("user_id", "bytes"), TIME), "user_id is no string"),
        (record(field("user_id", ["null", "string", "long"]), TIME), "user_id is no string"),
        (record(USER, TIME, field("mobile", "int")), "mobile is no boolean"),
        (record(USER, TIME, field("segments", "string")), "segments are no array of records"),
        (record(USER, TIME, field("segments", {"type": "array", "items": "long"})), "no array of records"),
        (
            record(USER, TIME, field("segments", {"type": "array", "items": record(TIME, name="S")})),
            "segments have no field segment_id",
        ),
        (record(*HASHED["fields"]), "segment_id is no long or int"),
        (record(USER, TIME, field("next", ["null", "E"])), "recursive"),
        (record(USER, TIME, field("next", {"type": "array", "items": "E"})), "recursive"),
        (record(USER, TIME, field("x", {"type": "array", "items": "null"})), "take no bytes"),
        (
            record(USER, TIME, field("x", {"type": "array", "items": record(field("n", "null"), name="N")})),
            "take no bytes",
        ),
        (record(USER, TIME, field("x", {"type": "array", "items": hollow(100)})), "hardly any bytes"),
        (
            record(USER, TIME, field("x", {"type": "map", "values": ["null", hollow(100)]})),
            "hardly any bytes",
        ),
        (wide(60), "unfolds to more than"),
    ],
)
def test_schemas_that_have_no_event(schema, detail):
    """Each value of an unusable schema is refused as unknown_schema with the reason; the others are read."""
    values = values_of(PLAIN, 100, 12)
    values[20:22] = [b"\0\0\0\0\x09abc", b"\0\0\0\0\x09"]
    decoded = decoder({7: PLAIN, 9: schema}).decode(values)
    assert reasons(decoded) == {20: Reason.UNKNOWN_SCHEMA, 21: Reason.UNKNOWN_SCHEMA}
    assert detail in decoded.refused[0].detail
    assert decoded.refused[0].detail.startswith("schema id 9: ")


@pytest.mark.failure(34)
def test_optional_fields_in_array_items_are_no_bomb():
    """Items of many optional fields and of records in records are what a schema usually has."""
    optional = [field(f"o{at}", ["null", "string"]) for at in range(100)]
    items = record(*optional, field("inner", record(field("most", hollow(5)), name="Inner")), name="Item")
    schema = record(USER, TIME, field("x", {"type": "array", "items": ["null", items]}))
    values = [judge.framed(schema, {"user_id": "u", "event_time": 5, "x": [None]})] * 3
    assert decoder({7: schema}).decode(values).refused == ()


@pytest.mark.failure(34)
def test_a_null_of_many_bytes_takes_none():
    """Events with nulls in the place of a terabyte are read; as a column each would take it."""
    large = {"type": "fixed", "name": "Large", "size": 10**12}
    schema = record(USER, TIME, field("x", ["null", large]))
    values = [judge.framed(schema, {"user_id": f"u{at}", "event_time": 5, "x": None}) for at in range(200)]
    assert_judged(schema, values, decoder({7: schema}).decode(values))


def test_hashed_segments_are_texts():
    """A stream of hashed segments takes no numbers for them."""
    values = values_of(PLAIN, 3, 13)
    decoded = decoder({7: PLAIN}, hash_segments=True).decode(values)
    assert set(reasons(decoded).values()) == {Reason.UNKNOWN_SCHEMA}


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '"long"', "nul"])
def test_a_pinned_file_that_is_no_schema(tmp_path, text):
    """A pinned schema that cannot be used is a fault of the configuration that names the file."""
    path = tmp_path / "pinned.avsc"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"pinned\.avsc"):
        decoder_for(stream(schema=path), None)
    with pytest.raises(UsageError, match="nowhere"):
        decoder_for(stream(schema=tmp_path / "nowhere"), None)
