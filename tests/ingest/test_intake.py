"""From messages to rows, on messages of librdkafka's own broker."""

import sys

import pytest
from confluent_kafka import Consumer, TopicPartition

from bridge.audience.roster import Roster
from bridge.ingest.decode import decoder_for
from bridge.ingest.intake import Intake, pieces
from bridge.ingest.partition import Partition, Span
from bridge.ingest.window import Window
from tests.parts import events as made
from tests.parts.collecting import NOW, MockBroker, stream

ROSTER = Roster()


@pytest.fixture(scope="module")
def messages():
    """40,000 messages of two topics, every tenth of the second one a tombstone."""
    broker = MockBroker()
    load = made.Load(events=20_000, users=5_000, start=NOW - made.DAY, remove_alls=0.0)
    encode = made.avro(made.schema())
    values = [encode(event) for event in made.make(load, seed=1)]
    broker.produce("clean", [(number % 4, b"k", value) for number, value in enumerate(values)])
    broker.produce(
        "holes", [(number % 4, b"k", value if number % 10 else None) for number, value in enumerate(values)]
    )
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "g", "log_level": 0})
    consumer.assign([TopicPartition(topic, number, 0) for topic in ("clean", "holes") for number in range(4)])
    found = []
    while len(found) < 40_000:
        found += consumer.consume(40_000, 1)
    consumer.close()
    return found


@pytest.fixture(scope="module")
def intake(tmp_path_factory):
    path = tmp_path_factory.mktemp("schema") / "writer.avsc"
    path.write_text((made.SCHEMAS / "segment_membership.avsc").read_text())
    acme = stream(topics=("clean", "holes"), format="avro", schema=path)
    return Intake(acme, decoder_for(acme, None), ROSTER)


def of_topic(messages, topic):
    return [message for message in messages if message.topic() == topic]


def test_batches_come_apart_by_topic(messages):
    """Each message is in the piece of its topic, in its order; next offsets are behind the last of each."""
    clean, holes = pieces(messages, NOW)
    assert (clean.topic, holes.topic) == ("clean", "holes")
    for piece in (clean, holes):
        assert list(piece.messages) == of_topic(messages, piece.topic)
        assert piece.spans == {Partition(piece.topic, number): Span(0, 5_000) for number in range(4)}


@pytest.mark.parametrize("most", [1, 500, 10**9])
def test_portions_are_the_piece_in_order(messages, most):
    """Each message stands in one portion, which has so many bytes, or one message; tombstones take none."""
    (piece,) = pieces(of_topic(messages, "holes")[:300], NOW)
    portions = piece.portions(most)
    for column in ("messages", "values", "partitions", "offsets"):
        assert [one for part in portions for one in getattr(part, column)] == list(getattr(piece, column))
    for part in portions:
        assert sum(map(len, filter(None, part.values))) <= most or len(part.messages) == 1
    assert {part.read_at for part in portions} == {NOW}
    assert (len(portions) == 1) == (most == 10**9)


def test_rows_have_their_events_place(messages, intake):
    """Each row carries the partition and offset of its own event, tombstones between or not."""
    for topic, tombstones in (("clean", 0), ("holes", 2_000)):
        (piece,) = pieces(of_topic(messages, topic), NOW)
        found = intake.read(piece, 7)
        assert (found.tombstones, found.refused) == (tombstones, [])
        there = {
            (message.partition(), message.offset())
            for message in piece.messages
            if message.value() is not None
        }
        rows = [frame.select("partition", "offset").rows() for frame in found.frames]
        assert {place for some in rows for place in some} == there
        assert {source for frame in found.frames for source in frame["source"]} == {7}


def test_offsets_with_gaps(messages):
    """Where messages are missing between, as in a compacted topic, each has its own offset all the same."""
    some = [
        message for number, message in enumerate(of_topic(messages, "clean")) if number % 7 and number > 90
    ]
    (piece,) = pieces(some, NOW)
    assert piece.offsets.tolist() == [message.offset() for message in some]
    (whole,) = pieces(of_topic(messages, "clean"), NOW)
    assert whole.offsets.tolist() == [message.offset() for message in of_topic(messages, "clean")]


def test_partitions_taken_away(messages):
    """Without a partition's messages the others stay as they were."""
    piece, other = pieces(messages, NOW)
    gone = frozenset({Partition("clean", 1), Partition("clean", 3)})
    assert piece.without(gone).spans == {Partition("clean", number): Span(0, 5_000) for number in (0, 2)}
    assert other.without(gone).spans == other.spans


def calls(work):
    """How many functions written in Python are called."""
    count = 0

    def profile(_frame, event, _argument):
        nonlocal count
        count += event == "call"

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def test_no_python_call_for_an_event(messages, intake):
    """From 10,000 to 20,000 clean events the number of Python calls does not grow."""

    def take(batch):
        window = Window(ROSTER)
        for piece in pieces(batch, NOW):
            found = intake.read(piece, 7)
            assert not found.refused
            for frame in found.frames:
                window.add(frame, read_at=NOW)
            for at, span in piece.spans.items():
                window.add_position(*at, span, read_at=NOW)

    # By offset, so that either batch is of all four partitions: they do cost calls.
    clean = sorted(of_topic(messages, "clean"), key=lambda message: message.offset())
    take(clean[:1_000])
    few, many = (calls(lambda size=size: take(clean[:size])) for size in (10_000, 20_000))
    assert many == few
