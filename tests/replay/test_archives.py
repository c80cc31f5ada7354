"""Archived files through the real collector into a real spool, and what becomes of damaged ones."""

import base64
import gzip
import io
import json
import os
import random
import threading
import tracemalloc
import uuid
from contextlib import suppress
from functools import partial

import fastavro
import polars as pl
import pytest

from bridge.audience.rows import archive_rank
from bridge.clock import SystemClock
from bridge.config import Stream
from bridge.deliver.set_aside import SetAside
from bridge.errors import BridgeError, UsageError
from bridge.ingest.collector import Collector, CollectorParts
from bridge.ingest.dead_letters import FolderDeadLetters
from bridge.ingest.decode import decoder_for
from bridge.ingest.observer import SilentObserver
from bridge.ingest.partition import Partition
from bridge.ingest.positions import ARCHIVES, taken_by
from bridge.ingest.topics import Topics
from bridge.replay.archive_parquet import SLICE
from bridge.replay.archive_source import UNKNOWN_END, ArchiveParts, ArchiveSource
from bridge.replay.archives import Kind, recognise
from bridge.spool.spool import Spool
from tests.parts import events as made
from tests.parts.audiences import DISPLAY, HASHED, frame

TIME = 1_790_000_000_000
REPLAY = "replay-1"
ALL = 10**9
SMALL = 40_000
"""Of a window: batches stay small."""
MAPPED = {"user_id": "uid", "segments": "audiences", "segment_id": "id", "event_time": "at"}


def stream(**more):
    return Stream(**{"name": "acme", "topics": ("acme",), "format": "json", "segment_namespace": "ep"} | more)


def some(count, start=0, *, hashed=False):
    """Events, each of a user of its own, with two segments, one of them left."""
    return [
        {
            "user_id": str(uuid.UUID(int=number + 1)),
            "mobile": False,
            "client": None,
            "user_namespace": None,
            "segment_namespace": None,
            "remove_all": False,
            "segments": [
                {"segment_id": "s7" if hashed else 7, "timestamp": 0},
                {"segment_id": f"s{number + 10}" if hashed else number + 10, "timestamp": -1},
            ],
            "event_time": TIME + number,
        }
        for number in range(start, start + count)
    ]


def rows_of(events):
    """What the spool holds of them: offset, segment, timestamp, event time."""
    return sorted(
        (offset, str(element["segment_id"]), element["timestamp"], event["event_time"])
        for offset, event in enumerate(events)
        for element in event["segments"]
    )


def avro(events, schema=None, codec="deflate", **more):
    file = io.BytesIO()
    if schema is None:
        schema = made.schema(hashed=isinstance(events[0]["segments"][0]["segment_id"], str))
    fastavro.writer(file, schema, events, codec=codec, **more)
    return file.getvalue()


def parquet(events, **more):
    file = io.BytesIO()
    pl.DataFrame(events, infer_schema_length=None).write_parquet(file, **more)
    return file.getvalue()


def json_lines(events):
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


FORMATS = {"avro": partial(avro, sync_interval=500), "parquet": parquet, "jsonl": json_lines}
PACKED = {"plain": bytes, "gzip": gzip.compress}


@pytest.fixture(params=FORMATS)
def written(request):
    """Writes events in one of the formats."""
    return FORMATS[request.param]


@pytest.fixture(params=PACKED)
def packed(request):
    """Packs a file, or leaves it as it is."""
    return PACKED[request.param]


def file(folder, content, name="archive"):
    """A file whose name says nothing."""
    path = folder / name
    path.write_bytes(content)
    return path


class Notes(SilentObserver):
    """Remembers refusals, and stops the collector after so many events."""

    def __init__(self, stop, most):
        self.refusals = []
        self._stop = stop
        self._left = most

    def consumed(self, stream, events):  # noqa: ARG002  # the port's
        self._left -= events
        if self._left <= 0:
            self._stop.set()

    def refused(self, stream, reason, events):  # noqa: ARG002  # the port's
        self.refusals += [str(reason)] * events


def collect(folder, *paths, starts=None, most=ALL, max_bytes=256_000_000, **settings):
    """What the collector leaves in a spool of this folder, having read the files to their ends."""
    stop = threading.Event()
    notes, clock, own = Notes(stop, most), SystemClock(), stream(**settings)
    found = [recognise(path) for path in paths]
    own = own.model_copy(update={"topics": tuple(archive.label for archive in found)})
    spool = Spool.open(folder / "spool", clock=clock)
    parts = ArchiveParts(
        archives=found,
        stream=own,
        replay=REPLAY,
        starts=starts or {},
        temporary_directory=spool.temporary_directory,
        sleep=lambda seconds: clock.wait(stop, round(seconds * 1000)),
    )
    collector = Collector(
        CollectorParts(
            connect=partial(ArchiveSource, parts),
            topics=Topics([own]),
            decoders={own.name: decoder_for(own, None)},
            spool=spool,
            dead_letters=FolderDeadLetters(folder / "spool" / "dead-letters", spool.temporary_directory),
            clock=clock,
            observer=notes,
            max_age=60_000,
            max_bytes=max_bytes,
            full_streams=frozenset,
            until_end=True,
        )
    )
    try:
        collector.run(stop)
    finally:
        assert not list(spool.temporary_directory.iterdir())
    assert collector.finished.is_set() or most < ALL
    return spool, notes


def rows(spool):
    """All rows in the spool, in order of their offsets."""
    found = pl.concat(
        run.read(audience).with_columns(pl.col("segment").cast(pl.String))
        for run in spool.runs()
        for audience in run.audiences
    )
    return sorted(found.select("offset", "segment", "timestamp", "event_time").rows())


class Listener:
    """The owner of a source that is polled by hand."""

    def __init__(self):
        self.starts = None
        self.ends = {}

    def started(self, starts):
        self.starts = starts

    def ended(self, partition, offset):
        self.ends[partition] = offset


def source(folder, *paths, owner=None, starts=None, sleep=None, **settings):
    """A source without a collector."""
    parts = ArchiveParts(
        archives=[recognise(path) for path in paths],
        stream=stream(**settings),
        replay=REPLAY,
        starts=starts or {},
        temporary_directory=folder,
        sleep=sleep or (lambda _: None),
    )
    return ArchiveSource(parts, owner or Listener())


def given(folder, *paths, **more):
    """All that a source gives: offset and value."""
    owner = Listener()
    found = []
    read = source(folder, *paths, owner=owner, **more)
    try:
        ends = read.open()
        while owner.ends != ends:
            found += [(message.offset(), message.value()) for message in read.poll(1000, 250)]
    finally:
        read.close()
    return found


def values(folder, *paths, **more):
    """The same as events, without what is null."""
    return [(offset, without_nulls(json.loads(value))) for offset, value in given(folder, *paths, **more)]


def told(events):
    """What `values` gives of these events."""
    return list(enumerate(map(without_nulls, events)))


def without_nulls(event):
    """A field that is null is as good as missing."""
    return {name: value for name, value in event.items() if value is not None}


def assert_line(error, *words):
    """An error is one line that holds the words."""
    text = str(error.value)
    assert "\n" not in text
    for word in words:
        assert str(word) in text, text


@pytest.mark.parametrize("hashed", [False, True])
def test_every_format_gives_the_same_rows(tmp_path, written, packed, hashed):
    """Whatever archived events are written in, they come to the spool as they were, with their places."""
    events = some(300, hashed=hashed)
    spool, notes = collect(tmp_path, file(tmp_path, packed(written(events))), hash_segments=hashed)
    assert rows(spool) == rows_of(events)
    assert notes.refusals == []


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz"])
def test_codecs(tmp_path, codec):
    """Avro is read with every codec that needs no library of its own."""
    events = some(300)
    assert values(tmp_path, file(tmp_path, avro(events, codec=codec))) == told(events)


def renamed(event):
    """The event as a topic with `fields` of MAPPED has it, and what else it has."""
    segments = [
        {"id": part["segment_id"], "timestamp": part["timestamp"], "weight": 0.5}
        for part in event["segments"]
    ]
    return {
        "uid": event["user_id"],
        "audiences": segments,
        "at": event["event_time"],
        "user_id": "an id of something else",
        "raw": "\x00 and so on",
    }


RENAMED = {
    "type": "record",
    "name": "E",
    "fields": [
        {"name": "uid", "type": ["null", "string"]},
        {
            "name": "audiences",
            "type": {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "Audience",
                    "fields": [
                        {"name": "id", "type": "int"},
                        {"name": "timestamp", "type": "long"},
                        {"name": "weight", "type": "float"},
                    ],
                },
            },
        },
        {"name": "at", "type": "long"},
        {"name": "user_id", "type": "string"},
        {"name": "raw", "type": "string"},
    ],
}


MAPPED_FORMATS = FORMATS | {"avro": partial(avro, schema=RENAMED)}


@pytest.mark.parametrize("name", FORMATS)
def test_mapped_fields(tmp_path, name):
    """The stream's `fields` hold for archives too; what else stands in them is left alone."""
    events = some(50)
    content = MAPPED_FORMATS[name](list(map(renamed, events)))
    spool, notes = collect(tmp_path, file(tmp_path, content), fields=MAPPED)
    assert rows(spool) == rows_of(events)
    assert notes.refusals == []


@pytest.mark.parametrize("name", ["avro", "parquet"])
def test_our_names_where_the_streams_are_not(tmp_path, name):
    """An archive without the stream's names is read by our own: so are the events that we set aside."""
    events = some(50)
    spool, _ = collect(tmp_path, file(tmp_path, FORMATS[name](events)), fields=MAPPED)
    assert rows(spool) == rows_of(events)


@pytest.mark.parametrize(
    ("logical", "per_millisecond"),
    [("timestamp-millis", 1), ("timestamp-micros", 1_000), ("local-timestamp-micros", 1_000), (None, 1)],
)
def test_event_times_of_avro(tmp_path, logical, per_millisecond):
    """Event times are milliseconds, whatever unit the file's logical type has."""
    events = some(20)
    schema = made.schema()
    schema["fields"][-1]["type"] = {"type": "long", "logicalType": logical} if logical else "long"
    written = [event | {"event_time": event["event_time"] * per_millisecond} for event in events]
    assert values(tmp_path, file(tmp_path, avro(written, schema))) == told(events)


@pytest.mark.parametrize("dtype", [pl.Datetime("ms"), pl.Datetime("us", "Asia/Tokyo"), pl.Datetime("ns")])
def test_event_times_of_parquet(tmp_path, dtype):
    """Timestamps of any unit and time zone are milliseconds of UTC; a text by its number is a text."""
    events = some(20)
    content = io.BytesIO()
    since = pl.from_epoch("event_time", time_unit="ms").dt.replace_time_zone("UTC")
    zone = (
        since.dt.convert_time_zone(dtype.time_zone) if dtype.time_zone else since.dt.replace_time_zone(None)
    )
    pl.DataFrame(events).with_columns(zone.cast(dtype), pl.col("user_id").cast(pl.Categorical)).write_parquet(
        content
    )
    found = values(tmp_path, file(tmp_path, content.getvalue()))
    assert [event["event_time"] for _, event in found] == [event["event_time"] for event in events]
    assert [event["user_id"] for _, event in found] == [event["user_id"] for event in events]


def test_parquet_is_read_in_slices(tmp_path):
    """Events of several slices and row groups come in the file's order, none twice."""
    events = some(2 * SLICE + 100)
    content = parquet(events, row_group_size=SLICE - 3_000)
    assert values(tmp_path, file(tmp_path, content)) == told(events)


def test_several_files(tmp_path):
    """Each file is a topic, called as the file is, known by its content; one given twice is read once."""
    first, second = file(tmp_path, avro(some(30)), "a"), file(tmp_path, json_lines(some(20, 30)), "b")
    spool, _ = collect(tmp_path, first, second, file(tmp_path, first.read_bytes(), "copy of a"))
    (run,) = spool.runs()
    assert len(run.footer.positions) == 2
    told = {position.topic_id: position for position in run.footer.positions}
    digests = {path: recognise(path).digest for path in (first, second)}
    assert set(told) == set(digests.values())
    assert {position.topic for position in told.values()} <= {
        str(first),
        str(second),
        f"{tmp_path}/copy of a",
    }
    assert [told[digests[path]].next_offset for path in (first, second)] == [30, 20]
    assert {(position.cluster_id, position.group) for position in told.values()} == {(ARCHIVES, REPLAY)}
    ranks = {row for each in run.audiences for row in run.read(each)["source"].to_list()}
    assert ranks == {archive_rank(digest) for digest in digests.values()}
    assert len(rows(spool)) == 100


def test_going_on(tmp_path, written, packed):
    """Stopped anywhere and started from what the runs hold, each event is taken once."""
    events = some(1000)
    path = file(tmp_path, packed(written(events)))
    spool, _ = collect(tmp_path, path, most=150, max_bytes=SMALL)
    assert 150 <= len(rows(spool)) // 2 < 1000
    for most in (300, ALL):
        taken = taken_by(spool.runs(), ARCHIVES, REPLAY)[recognise(path).digest, 0]
        spool, _ = collect(
            tmp_path, path, starts={Partition(str(path), 0): taken.next_offset}, most=most, max_bytes=SMALL
        )
    assert rows(spool) == rows_of(events)


def test_lines_as_they_are(tmp_path):
    """A bad line is refused with its bytes, blank ones are none; the last one needs no end."""
    good = json_lines(some(3)).splitlines()
    lines = [b"", good[0] + b"\r", b'{"user_id": "\xff', b"   ", good[1], b"[]", good[2]]
    spool, notes = collect(tmp_path, file(tmp_path, b"\n".join(lines)))
    assert {offset for offset, *_ in rows(spool)} == {0, 2, 4}
    assert notes.refusals == ["undecodable", "undecodable"]
    (letters,) = (tmp_path / "spool" / "dead-letters").iterdir()
    told = [json.loads(line) for line in gzip.decompress(letters.read_bytes()).splitlines()]
    assert [(letter["offset"], letter["topic"]) for letter in told] == [
        (1, f"{tmp_path}/archive"),
        (3, f"{tmp_path}/archive"),
    ]
    assert base64.b64decode(told[0]["value"]) == lines[2]


def test_nothing_in_it(tmp_path):
    """An archive without an event is whole: nothing is taken, and the end is reached."""
    empty = io.BytesIO()
    pl.DataFrame(some(1)).clear().write_parquet(empty)
    for content in (avro([], made.schema()), empty.getvalue()):
        assert values(tmp_path, file(tmp_path, content)) == []


def test_the_source_waits_where_nothing_is_to_come(tmp_path):
    """Paused by its stream's name it gives nothing; paused or at the end it waits instead of turning idly."""
    slept = []
    read = source(tmp_path, file(tmp_path, json_lines(some(250))), sleep=slept.append)
    read.open()
    assert read.lag() == {}
    read.pause(frozenset({"acme", "other"}))
    assert [read.poll(100, 250), read.poll(100, 250)] == [[], []]
    assert slept == [0.25, 0.25]
    read.pause(frozenset({"other"}))
    assert read.poll(100, 250) == []
    sizes = [len(read.poll(100, 250)) for _ in range(2)]
    (at,) = read.assigned
    assert (sizes, read.lag()) == ([100, 100], {at: 50})
    assert [len(read.poll(100, 250)) for _ in range(2)] == [50, 0]
    assert (slept, read.lag()) == ([0.25] * 3, {at: 0})
    read.close()


def test_the_owner_is_told(tmp_path):
    """It is told within the first poll where each archive starts, and its end after its last event."""
    owner = Listener()
    path = file(tmp_path, json_lines(some(10)))
    at = Partition(str(path), 0)
    read = source(tmp_path, path, owner=owner, starts={at: 4})
    assert read.open() == {at: UNKNOWN_END}
    assert owner.starts is None
    batches = [[message.offset() for message in read.poll(4, 250)] for _ in range(3)]
    assert owner.starts == {at: 4}
    assert batches == [[], [4, 5, 6, 7], [8, 9]]
    assert owner.ends == {at: UNKNOWN_END}
    read.close()


NO_ARCHIVES = {
    "empty": b"",
    "blank": b"\n \n",
    "text": b"user_id,event_time\n1,2\n",
    "array": b'[{"user_id": "a"}]',
    "document": b'{\n  "user_id": "a"\n}\n',
    "noise": random.Random(1).randbytes(4_000),
    "beginning of avro": b"Obj",
    "packed twice": gzip.compress(gzip.compress(json_lines(some(3)))),
}


@pytest.mark.parametrize("content", NO_ARCHIVES.values(), ids=NO_ARCHIVES)
def test_no_archive(tmp_path, content):
    """What is no archive is wrong usage, told in a line, in gzip or not."""
    for name, packed in (("plain", content), ("packed", gzip.compress(content))):
        with pytest.raises(UsageError) as error:
            recognise(file(tmp_path, packed, name))
        assert_line(error, tmp_path / name, "is no archive", "name Avro container files")


def test_what_cannot_be_read(tmp_path):
    """A missing file, a folder and a pipe, which could be read only once, are wrong usage, told in a line."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, word in ((tmp_path / "absent", "No such file"), (tmp_path, "regular"), (pipe, "regular")):
        with pytest.raises(UsageError) as error:
            recognise(path)
        assert_line(error, path, word)


def test_kinds_are_told_by_content(tmp_path):
    """The name says nothing: an Avro file called so is no JSON; size and digest are the file's own."""
    for name, kind in (("avro", Kind.AVRO), ("parquet", Kind.PARQUET), ("jsonl", Kind.JSON_LINES)):
        plain = FORMATS[name](some(3))
        found = recognise(file(tmp_path, plain, "events.json"))
        assert (found.kind, found.packed, found.size) == (kind, False, len(plain))
        again = recognise(file(tmp_path, gzip.compress(plain), "events.json"))
        assert (again.kind, again.packed) == (kind, True)
        assert again.digest != found.digest
        assert recognise(file(tmp_path, plain, "other")).digest == found.digest


# Cut, turned and changed files.


def whole_parts(name, content, count):
    """Where a file may be cut unseen, to the events before: between two blocks or lines."""
    if name == "jsonl":
        lines = content.splitlines(keepends=True)
        ends = {sum(map(len, lines[:number])): number for number in range(1, count + 1)}
        return ends | {end - 1: number for end, number in ends.items()}
    if name == "avro":
        blocks = list(fastavro.block_reader(io.BytesIO(content)))
        counts = [block.num_records for block in blocks]
        return {block.offset: sum(counts[:number]) for number, block in enumerate(blocks)}
    return {}


@pytest.mark.parametrize("name", FORMATS)
def test_cut_anywhere(tmp_path, name, packed):
    """A file cut at any byte is refused in a line, before an event is given; never is a part taken for all.

    Between two blocks or lines nothing tells that more came once: then all that is there is whole.
    """
    events = some(12)
    plain = FORMATS[name](events)
    content = packed(plain)
    unseen = whole_parts(name, plain, 12) if content == plain else {}
    for cut in range(1, len(content)):
        path = file(tmp_path, content[:cut])
        if cut in unseen:
            assert values(tmp_path, path) == told(events[: unseen[cut]])
            continue
        with pytest.raises(BridgeError) as error:
            values(tmp_path, path)
        assert_line(error, path)
    assert values(tmp_path, file(tmp_path, content)) == told(events)


def test_what_a_cut_file_says(tmp_path):
    """It is named, with the last whole record and what to do."""
    for name, content in {name: write(some(4_000)) for name, write in FORMATS.items()}.items():
        for way, packed in PACKED.items():
            path = file(tmp_path, packed(content)[:-20], f"{name}-{way}")
            with pytest.raises(
                BridgeError, match=r"truncated: .*behind record \d+; nothing was sent"
            ) as error:
                values(tmp_path, path)
            assert_line(error, path, "fetch the file again")


@pytest.mark.parametrize("name", FORMATS)
def test_a_turned_bit(tmp_path, name, packed):
    """Whatever bit is turned, the file is refused in a line or read to its end; in gzip, as it was."""
    content = packed(FORMATS[name](some(12)))
    whole = given(tmp_path, file(tmp_path, content))
    rng = random.Random(7)
    step = len(content) // 10 if name == "parquet" else 3  # which costs a process each time
    for at in range(0, len(content), step):
        damaged = bytearray(content)
        damaged[at] ^= 1 << rng.randrange(8)
        with suppress(BridgeError):
            found = given(tmp_path, file(tmp_path, bytes(damaged)))
            assert packed is bytes or found == whole


def test_nothing_of_any_file_is_taken(tmp_path):
    """Where the last of several files is damaged, the whole ones before it are not taken either."""
    good, bad = file(tmp_path, avro(some(300)), "good"), file(tmp_path, json_lines(some(300))[:-9], "bad")
    with pytest.raises(BridgeError) as error:
        collect(tmp_path, good, bad)
    assert_line(error, bad, "truncated")
    assert Spool.open(tmp_path / "spool", clock=SystemClock()).runs() == ()


CONTENT = json_lines(some(2_000))
CHANGED = {
    "cut": CONTENT[:300_001],
    "fewer": CONTENT[: CONTENT.index(b"\n", 300_000) + 1],
    "more": CONTENT + json_lines(some(1)),
    "half a line more": CONTENT + b'{"user_id": "a"',
}


@pytest.mark.parametrize("changed", CHANGED.values(), ids=CHANGED)
def test_changed_while_it_is_read(tmp_path, changed):
    """A file that is cut or grows between its two readings ends the run: it is not taken for the whole."""
    path = file(tmp_path, CONTENT)
    read = source(tmp_path, path)
    while not read.poll(10, 250):
        pass
    path.write_bytes(changed)
    with pytest.raises(BridgeError) as error:
        all(read.poll(10, 250) for _ in range(2_000))
    assert_line(error, path, "changed while it was read")
    read.close()


def without(*names):
    """Schema of events without these fields."""
    schema = made.schema()
    return schema | {"fields": [part for part in schema["fields"] if part["name"] not in names]}


@pytest.mark.parametrize("name", ["avro", "parquet"])
@pytest.mark.parametrize("field", ["user_id", "event_time"])
def test_a_field_is_missing(tmp_path, name, field):
    """A file without the ids or times of events is wrong usage: a line names the file and the field."""
    events = [{key: value for key, value in event.items() if key != field} for event in some(5)]
    content = avro(events, without(field)) if name == "avro" else parquet(events)
    path = file(tmp_path, content)
    with pytest.raises(UsageError) as error:
        values(tmp_path, path)
    assert_line(error, path, f"it has no field {field}")
    with pytest.raises(UsageError) as error:
        values(tmp_path, path, fields={field: "theirs"})
    assert_line(error, path, "it has no field theirs")


def test_a_field_is_of_another_kind(tmp_path):
    """Fields that cannot be an event's are told once, instead of refusing each event."""
    numbers, texts = some(5), some(5, hashed=True)
    for content, hashed in (
        (avro(numbers), True),
        (avro(texts), False),
        (parquet(numbers), True),
        (parquet(texts), False),
        (parquet([event | {"event_time": "now"} for event in numbers]), False),
        (parquet([event | {"segments": [7]} for event in numbers]), False),
    ):
        path = file(tmp_path, content)
        with pytest.raises(UsageError) as error:
            values(tmp_path, path, hash_segments=hashed)
        assert_line(error, path, "holds no events of the stream")


def container(schema, body, count, codec="null"):
    """An Avro container file of one block, made by hand."""
    meta = {"avro.schema": json.dumps(schema).encode(), "avro.codec": codec.encode()}
    head = io.BytesIO()
    header = {
        "type": "record",
        "name": "H",
        "fields": [
            {"name": "magic", "type": {"type": "fixed", "name": "M", "size": 4}},
            {"name": "meta", "type": {"type": "map", "values": "bytes"}},
            {"name": "sync", "type": {"type": "fixed", "name": "S", "size": 16}},
            {"name": "count", "type": "long"},
            {"name": "body", "type": "bytes"},
            {"name": "again", "type": "S"},
        ],
    }
    parts = {
        "magic": b"Obj\x01",
        "meta": meta,
        "sync": bytes(16),
        "count": count,
        "body": body,
        "again": bytes(16),
    }
    fastavro.schemaless_writer(head, header, parts)
    return head.getvalue()


USER, AT = {"name": "user_id", "type": "string"}, {"name": "event_time", "type": "long"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ([USER, AT, {"name": "next", "type": ["null", "E"]}], "recursive"),
        ([USER, AT, {"name": "bomb", "type": {"type": "array", "items": "null"}}], "may take no bytes"),
    ],
)
def test_schemas_that_are_traps(tmp_path, fields, words):
    """Schemas that crash or swell a reader are refused before a record is read."""
    schema = {"type": "record", "name": "E", "fields": fields}
    path = file(tmp_path, container(schema, b"\xff" * 50, 5))
    with pytest.raises(UsageError) as error:
        values(tmp_path, path)
    assert_line(error, path, words)


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (b"\x02a\x02", 2),
        (b"\x02a\x02", 0),
        (b"\x02a\x02", -1),
        (b"\x02\xff\x02", 1),
        (b"\x02a", 1),
        (b"", 2**40),
    ],
)
def test_blocks_that_are_not_what_they_say(tmp_path, body, count):
    """A block holds as many records as it says, and nothing else, whatever its numbers claim."""
    schema = {"type": "record", "name": "E", "fields": [USER, AT]}
    path = file(tmp_path, container(schema, body, count))
    with pytest.raises(BridgeError) as error:
        values(tmp_path, path)
    assert_line(error, path, "damaged", "behind record")


def test_a_codec_that_is_not_read(tmp_path):
    """A codec without a library here is told by its name, with what to do."""
    path = file(tmp_path, container(made.schema(), b"", 0, codec="snappy"))
    with pytest.raises(UsageError) as error:
        values(tmp_path, path)
    assert_line(error, path, "packed with 'snappy'", "deflate")


@pytest.mark.parametrize("write", [avro, json_lines])
def test_memory_does_not_grow_with_the_file(tmp_path, write):
    """A file that unpacks to 5 MB is read in 2."""
    path = file(tmp_path, gzip.compress(write(some(20_000))))
    read = source(tmp_path, path)
    tracemalloc.start()
    while read.lag() != dict.fromkeys(read.assigned, 0):
        read.poll(1_000, 250)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    read.close()
    assert peak < 2_000_000


# What was set aside.


@pytest.mark.parametrize("fields", [{}, MAPPED])
@pytest.mark.parametrize("audience", [DISPLAY, HASHED], ids=["uuids", "texts"])
def test_what_was_set_aside_is_an_archive(tmp_path, audience, fields):
    """Adds beyond the horizon, read again as an archive, are the same memberships of the same audience."""
    kept = frame(audience, [(user, 7 + user, user % 2, TIME + user, 1, 0, user) for user in range(1, 40)])
    own = {
        "user_namespace": audience.user_namespace,
        "user_table_id": audience.user_table_id or None,
        "hash_segments": audience.hashed,
        "account": audience.account,
        "fields": fields,
    }
    first = Spool.open(tmp_path / "first", clock=SystemClock())
    SetAside(first).keep(audience, 3, kept)
    (path,) = (first.directory / "beyond-horizon").iterdir()
    spool, notes = collect(tmp_path, path, **own)
    assert notes.refusals == []
    (run,) = spool.runs()
    assert list(run.audiences) == [audience]
    what = kept.columns[:-3]
    assert run.read(audience).select(what).equals(kept.select(what).sort(what))
