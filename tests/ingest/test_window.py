import polars as pl

from bridge.audience import rows
from bridge.audience.audience import Audience
from bridge.audience.roster import Roster
from bridge.ingest.dead_letters import DeadLetter
from bridge.ingest.partition import Span
from bridge.ingest.window import Window, WindowContents
from tests.parts.audiences import DISPLAY

PARTNER = Audience(
    account="a",
    client="Acme",
    user_namespace="xy",
    user_table_id="17",
    segment_namespace="ep",
    mobile=False,
    hashed=False,
)


ROSTER = Roster()


def of(audience, frame):
    return frame.with_columns(pl.lit(ROSTER.number(audience), pl.UInt32).alias("audience"))


def cookies(*offsets):
    plain = {"hi": 1, "lo": 2, "segment": 3, "timestamp": 0, "event_time": 5, "source": 6, "partition": 7}
    frame = pl.DataFrame([plain | {"offset": offset} for offset in offsets], schema=rows.schema(DISPLAY))
    return of(DISPLAY, frame)


def partners(*users):
    plain = {"segment": 3, "timestamp": 0, "event_time": 5, "source": 6, "partition": 7, "offset": 8}
    frame = pl.DataFrame([{"user": user, **plain} for user in users], schema=rows.schema(PARTNER))
    return of(PARTNER, frame)


def letter(offset, *, key=None, value=b"", read_at=100):
    return DeadLetter(
        reason="undecodable",
        detail="cut short",
        stream="s",
        topic="t",
        partition=0,
        offset=offset,
        timestamp=1,
        key=key,
        value=value,
        read_at=read_at,
    )


def test_a_new_window_is_empty():
    """Nothing added: nothing to seal, no bytes, no age."""
    window = Window(ROSTER)
    assert window.empty
    assert (window.bytes, window.memberships, window.oldest_read_at) == (0, 0, None)
    contents = window.drain()
    assert contents == WindowContents(
        frames=(), roster=ROSTER, oldest_read_at={}, positions={}, dead_letters=()
    )


def test_rows_come_out_by_audience_in_the_order_they_came_in():
    """Frames of an audience are put one after the other; the oldest reading of each audience is kept."""
    window = Window(ROSTER)
    window.add(cookies(3, 1), read_at=50)
    window.add(partners("u"), read_at=60)
    window.add(cookies(2), read_at=40)
    assert window.memberships == 4
    assert window.oldest_read_at == 40
    contents = window.drain()
    assert contents.shards()[DISPLAY]["offset"].to_list() == [3, 1, 2]
    assert contents.shards()[DISPLAY].schema == rows.schema(DISPLAY)
    assert contents.shards()[PARTNER]["user"].to_list() == ["u"]
    assert contents.oldest_read_at == {DISPLAY: 40, PARTNER: 60}


def test_a_frame_without_rows_leaves_the_window_empty():
    """No audience and no age comes of no rows."""
    window = Window(ROSTER)
    window.add(cookies(), read_at=50)
    assert window.empty
    assert window.oldest_read_at is None


def test_a_position_alone_is_something_to_seal_and_grows_old():
    """Where only tombstones were read, their offsets are committed in time all the same."""
    window = Window(ROSTER)
    window.add_position("t", 0, Span(0, 10), read_at=0)
    window.add_position("t", 0, Span(0, 12), read_at=9)
    assert not window.empty
    assert window.oldest_read_at == 0


def test_spans_of_a_partition_become_one():
    """From the first offset that was read to behind the last, in whatever order; partitions are apart."""
    window = Window(ROSTER)
    spans = [("t", 0, 4, 10), ("t", 1, 3, 5), ("u", 0, 6, 7), ("t", 0, 10, 12), ("t", 0, 2, 4)]
    for topic, partition, first, after in spans:
        window.add_position(topic, partition, Span(first, after), read_at=1)
    assert window.drain().positions == {("t", 0): (2, 12), ("t", 1): (3, 5), ("u", 0): (6, 7)}


def test_dead_letters_alone_are_something_to_seal():
    """They come out in order, and their reading gives the window its age."""
    window = Window(ROSTER)
    letters = [letter(1, read_at=70), letter(2, read_at=60)]
    window.add_dead_letters(letters)
    assert not window.empty
    assert (window.memberships, window.oldest_read_at) == (0, 60)
    assert window.drain().dead_letters == tuple(letters)


def test_a_column_of_one_value_counts_with_all_its_rows():
    """What a frame keeps as one value and a length takes its whole size once it is sealed."""
    window = Window(ROSTER)
    window.add(cookies(*range(1000)).with_columns(pl.lit(6, pl.UInt64).alias("source")), read_at=1)
    assert window.bytes == 1000 * 60


def test_memory_is_that_of_the_rows_and_the_dead_letters_bytes():
    """Numbers count by their width, texts by their length, dead letters by key and value."""
    window = Window(ROSTER)
    window.add(cookies(*range(1000)), read_at=1)
    assert window.bytes == 1000 * (4 + 8 + 8 + 4 + 8 + 8 + 8 + 4 + 8)
    before = window.bytes
    window.add(partners(*("u" * 200 for _ in range(1000))), read_at=1)
    assert window.bytes - before >= 1000 * (200 + 44)
    before = window.bytes
    window.add_dead_letters([letter(1, key=b"k" * 500, value=b"v" * 7000), letter(2, value=None)])
    assert window.bytes - before >= 7500


def test_a_drained_window_is_empty_and_leaves_its_contents_alone():
    """What is added after a drain belongs to the next window only."""
    window = Window(ROSTER)
    window.add(cookies(1), read_at=1)
    window.add_position("t", 0, Span(0, 2), read_at=1)
    window.add_dead_letters([letter(1)])
    contents = window.drain()
    assert window.empty
    assert (window.bytes, window.memberships, window.oldest_read_at) == (0, 0, None)
    window.add(cookies(9), read_at=80)
    window.add_position("t", 0, Span(0, 10), read_at=80)
    assert contents.shards()[DISPLAY]["offset"].to_list() == [1]
    assert contents.oldest_read_at == {DISPLAY: 1}
    assert contents.positions == {("t", 0): (0, 2)}
    assert window.drain().positions == {("t", 0): (0, 10)}
