"""The ingest thread on librdkafka's own broker, with a real spool and real dead letters."""

import base64
import errno
import gzip
import json

import pytest

from bridge.errors import BridgeError
from bridge.ingest.decode import decoder_for
from bridge.ingest.partition import Partition
from bridge.ingest.registry import RegistryUnreachable
from bridge.ingest.resume import Mark
from bridge.spool.disk import SpoolFailed
from tests.parts import events as made
from tests.parts.collecting import (
    NOW,
    Collecting,
    MockBroker,
    NamedIds,
    Setting,
    collect,
    commits,
    events,
    places,
    places_of,
    rows,
    stream,
    value,
)
from tests.parts.spools import FailingDisk
from tests.parts.waiting import until


@pytest.fixture
def broker():
    return MockBroker()


@pytest.fixture
def setting(broker, tmp_path):
    return Setting(bootstrap=broker.bootstrap, directory=tmp_path / "spool", ids=NamedIds())


def test_all_to_the_end(broker, setting):
    """Until the end: each event is in a run with its place, and its offset is committed under our mark."""
    broker.produce("acme", events(1000))
    done = collect(setting)
    assert places(done.spool) == places_of(1000)
    assert done.collector.finished.is_set()
    newest = done.spool.runs()[-1]
    assert {(p.topic, p.partition, p.next_offset) for p in newest.footer.positions} == {
        ("acme", number, 250) for number in range(4)
    }
    for offset, metadata in commits(broker.bootstrap, "bridge", "acme").values():
        assert offset == 250
        assert Mark.parse(metadata) == Mark(spool=done.spool.id, run=newest.number, topic="id-of-acme")


@pytest.mark.failure(33)
def test_refused_events_and_tombstones(broker, setting):
    """Bad events go to the dead letters as they were, tombstones nowhere; the good ones between arrive."""
    bad = [b"no json", value(1, segment=0), value(2, event_time=NOW + 7_200_000)]
    broker.produce("acme", [(0, b"k", value(10)), (0, b"bad", bad[0]), (0, b"k", None)])
    broker.produce("acme", [(0, None, bad[1]), (0, b"k", value(11)), (0, b"k", bad[2])])
    done = collect(setting)
    assert places(done.spool) == [(0, 0), (0, 4)]
    (file,) = (setting.directory / "dead-letters").iterdir()
    assert file.name == f"{done.spool.runs()[-1].number:012d}.jsonl.gz"
    letters = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    told = {
        letter["offset"]: (letter["reason"], base64.b64decode(letter["value"]), letter["key"])
        for letter in letters
    }
    assert told == {
        1: ("undecodable", bad[0], base64.b64encode(b"bad").decode()),
        3: ("invalid_segment_id", bad[1], None),
        5: ("invalid_event_time", bad[2], base64.b64encode(b"k").decode()),
    }
    assert done.notes.tombstone_events == 1
    assert sum(done.notes.refusals.values()) == 3
    assert commits(broker.bootstrap, "bridge", "acme")["acme", 0][0] == 6


def test_only_refused_events(broker, setting):
    """A window of refused events and tombstones alone is sealed too, and committed."""
    broker.produce("acme", [(0, None, b"x"), (1, None, None)])
    done = collect(setting)
    assert len(done.spool.runs()) == 1
    assert {at.number: offset for at, (offset, _) in commits(broker.bootstrap, "bridge", "acme").items()} == {
        0: 1,
        1: 1,
    }


@pytest.mark.failure(34, 36)
def test_events_of_very_many_segments(broker, setting, tmp_path):
    """A batch whose rows are far more than a window is read as there is room: memory keeps its bound."""
    schema = made.schema()
    (tmp_path / "writer.avsc").write_text(json.dumps(schema))
    segments = [{"segment_id": number, "timestamp": 0} for number in range(1, 6_001)]
    encode, size, rows_of_one = made.avro(schema), 1_000_000, 400_000
    plain = {"remove_all": False, "segments": segments, "event_time": NOW}
    users = [f"{number:08x}-9a67-4600-f044-a5d7e0c5f6d7" for number in range(40)]
    broker.produce("acme", [(at % 4, None, encode(plain | {"user_id": u})) for at, u in enumerate(users)])
    setting.streams = (stream(format="avro", schema=tmp_path / "writer.avsc"),)
    setting.max_age, setting.max_bytes = 3_600_000, size
    done = collect(setting)
    found = rows(done.spool)
    assert len(found) == 40 * len(segments)
    assert len(found.unique(("partition", "offset", "segment"))) == len(found)
    assert size / 2 < done.notes.largest_window < size + rows_of_one
    assert {offset for offset, _ in commits(broker.bootstrap, "bridge", "acme").values()} == {10}


def test_age_seals(broker, setting):
    """Without new events the window is sealed and committed when it is old enough."""
    with Collecting(setting) as collecting:
        broker.produce("acme", events(40))
        until(lambda: len(commits(broker.bootstrap, "bridge", "acme")) == 4, "the commit")
        assert places(collecting.spool) == places_of(40)


def test_size_seals(broker, setting):
    """A full window is sealed before it is old; it does not grow far beyond its bound."""
    broker.produce("acme", events(4000))
    setting.max_age, setting.max_bytes = 3_600_000, 40_000
    done = collect(setting)
    assert len(done.spool.runs()) > 3
    assert places(done.spool) == places_of(4000)


def test_stop_seals_and_commits(broker, setting):
    """Stopped, it seals what it has read and commits it, however young the window is."""
    setting.max_age = 3_600_000
    broker.produce("acme", events(40))
    with Collecting(setting) as collecting:
        until(lambda: collecting.notes.consumed_events.get("acme") == 40, "the events")
        collecting.stop()
    assert places(collecting.spool) == places_of(40)
    assert len(commits(broker.bootstrap, "bridge", "acme")) == 4


class DownFor:
    """A decoder whose registry does not answer for the first calls."""

    def __init__(self, decoder, calls):
        self.decoder = decoder
        self.left = calls

    def decode(self, values):
        if self.left > 0:
            self.left -= 1
            raise RegistryUnreachable("registry http://localhost:1: refused: start it")
        return self.decoder.decode(values)


@pytest.mark.failure(32)
def test_registry_down(broker, setting):
    """While a registry is down its stream waits uncommitted, the others go on; then nothing is missing."""
    both = (stream(), stream("other", ("other",), client="Other"))
    waiting = DownFor(decoder_for(both[0], None), 1_000_000)
    setting.streams, setting.decoders = both, {"acme": waiting}
    broker.produce("acme", events(400))
    broker.produce("other", events(40))
    with Collecting(setting) as collecting:
        until(lambda: len(commits(broker.bootstrap, "bridge", "other")) == 4, "the other stream's commit")
        beats = collecting.notes.beats
        until(lambda: collecting.notes.beats > beats + 3, "further polls")
        assert commits(broker.bootstrap, "bridge", "acme") == {}
        waiting.left = 0
        until(lambda: len(commits(broker.bootstrap, "bridge", "acme")) == 4, "the stream's commit")
        broker.produce("acme", events(40, start=400))
        until(lambda: len(rows(collecting.spool)) == 480, "later events")
    taken = rows(collecting.spool).group_by("source").len()["len"].sort().to_list()
    assert taken == [40, 440]


def test_full_streams_wait(broker, setting):
    """Streams that the spool has no room for are not read, others are; later they go on without a gap."""
    setting.streams = (stream(), stream("other", ("other",), client="Other"))
    setting.full = {"acme"}
    broker.produce("acme", events(400))
    broker.produce("other", events(40))
    with Collecting(setting) as collecting:
        until(lambda: len(commits(broker.bootstrap, "bridge", "other")) == 4, "the other stream's commit")
        assert "acme" not in collecting.notes.consumed_events
        setting.full.clear()
        until(lambda: len(rows(collecting.spool)) == 440, "the stream")
        setting.full.add("acme")
        seen = collecting.notes.beats
        until(lambda: collecting.notes.beats > seen + 2, "a pause")
        broker.produce("acme", events(40, start=400))
        broker.produce("other", events(40, start=40))
        until(lambda: collecting.notes.consumed_events["other"] == 80, "the other stream")
        assert collecting.notes.consumed_events["acme"] == 400
        setting.full.clear()
        until(lambda: len(rows(collecting.spool)) == 520, "all")
    assert collecting.notes.consumed_events == {"acme": 440, "other": 80}


@pytest.mark.failure(9)
def test_disk_full(broker, setting):
    """On a full disk the window is kept, nothing is committed, polling goes on; then it is sealed once."""
    setting.disk = FailingDisk(at=10**9, number=errno.ENOSPC, only="write")
    broker.produce("acme", events(40))
    with Collecting(setting) as collecting:
        setting.disk.left = 1
        until(lambda: setting.disk.failed_in, "the full disk")
        until(lambda: len(commits(broker.bootstrap, "bridge", "acme")) == 4, "the commit")
        assert places(collecting.spool) == places_of(40)
    assert collecting.error is None


@pytest.mark.failure(8)
def test_failed_disk_ends_the_run(broker, setting):
    """A failed fsync ends the run at once; nothing is committed."""
    setting.disk = FailingDisk(at=10**9, number=errno.EIO, only="fsync")
    broker.produce("acme", events(40))
    with Collecting(setting) as collecting:
        setting.disk.left = 1
        with pytest.raises(SpoolFailed):
            collecting.join()
    assert commits(broker.bootstrap, "bridge", "acme") == {}


def test_missing_topic_to_the_end(setting):
    """With --until-end a topic that does not exist is one clear line."""
    setting.streams = (stream(topics=("absent",)),)
    with pytest.raises(BridgeError, match=r"topic absent.*check the name or create it"):
        collect(setting)


def test_pattern(broker, setting):
    """A pattern takes all topics that match it, to their ends."""
    setting.streams = (stream(topics=("^acme-.*",)),)
    broker.produce("acme-a", events(40))
    broker.produce("acme-b", events(40))
    broker.produce("elsewhere", events(40))
    done = collect(setting)
    assert done.notes.consumed_events == {"acme": 80}


def test_lag_is_told(broker, setting):
    """At the end nothing is left to read, and that is told of each partition."""
    broker.produce("acme", events(40))
    with Collecting(setting) as collecting:
        until(lambda: len(commits(broker.bootstrap, "bridge", "acme")) == 4, "the commit")
        until(lambda: set(collecting.notes.lags) == {Partition("acme", n) for n in range(4)}, "the lag")
        until(lambda: not any(collecting.notes.lags.values()), "no lag")
        assert collecting.notes.is_assigned
    assert not collecting.notes.is_assigned
