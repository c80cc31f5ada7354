import base64
import errno
import gzip
import json
import stat
import uuid
import zlib

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from bridge.errors import BridgeError
from bridge.ingest.dead_letters import TOPIC_PRODUCER, DeadLetter, FolderDeadLetters, TopicDeadLetters
from bridge.spool.disk import Disk, SpoolFailed, SpoolFull


def letter(offset, *, key=b"\xffkey", value=b"\x00\xff\nvalue"):
    return DeadLetter(
        reason="invalid_user_id",
        detail='the user id is not "8-4-4-4-12" hex',
        stream="acme-display",
        topic="acme.segments",
        partition=3,
        offset=offset,
        timestamp=1_700_000_000_123,
        key=key,
        value=value,
        read_at=1_800_000_000_005,
    )


LETTERS = [letter(7), letter(8, key=None), letter(9, value=None), letter(10, key=b"", value=b"")]


def read_lines(path):
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


class FolderCase:
    """A folder, read back as a person would."""

    def __init__(self, directory):
        (directory / "tmp").mkdir()
        self.directory = directory / "dead"
        self.letters = FolderDeadLetters(self.directory, directory / "tmp")

    def kept(self):
        """Reason, topic, partition, offset, key and value of all letters, in order."""
        lines = [line for path in sorted(self.directory.iterdir()) for line in read_lines(path)]
        return [
            (
                line["reason"],
                line["topic"],
                line["partition"],
                line["offset"],
                *(None if line[name] is None else base64.b64decode(line[name]) for name in ("key", "value")),
            )
            for line in lines
        ]


class TopicCase:
    """A topic of the broker in the process, read back with a consumer."""

    def __init__(self, broker):
        self.topic = f"dead-{uuid.uuid4().hex}"
        self.broker = broker
        self.letters = TopicDeadLetters(Producer(TOPIC_PRODUCER | {"bootstrap.servers": broker}), self.topic)

    def kept(self):
        """Reason, topic, partition, offset, key and value of all letters, by offset."""
        messages = []
        consumer = Consumer({"bootstrap.servers": self.broker, "group.id": "test"})
        partitions = consumer.list_topics(self.topic, timeout=10).topics[self.topic].partitions
        for partition in partitions:
            place = TopicPartition(self.topic, partition, 0)
            consumer.assign([place])
            _, end = consumer.get_watermark_offsets(place, timeout=10)
            messages += consumer.consume(num_messages=end, timeout=10) if end else []
        consumer.close()
        return sorted(map(self._told, messages), key=lambda told: told[3])

    @staticmethod
    def _told(message):
        assert message.error() is None
        headers = dict(message.headers())
        assert list(headers) == ["reason", "topic", "partition", "offset"]
        return (
            headers["reason"].decode(),
            headers["topic"].decode(),
            int(headers["partition"]),
            int(headers["offset"]),
            message.key(),
            message.value(),
        )


@pytest.fixture(scope="module")
def broker():
    producer = Producer({"test.mock.num.brokers": 1, "topic.metadata.refresh.interval.ms": -1})
    (address,) = producer.list_topics(timeout=10).brokers.values()
    yield f"{address.host}:{address.port}"
    producer.flush(1)


@pytest.fixture(params=["folder", "topic"])
def case(request, tmp_path):
    if request.param == "folder":
        return FolderCase(tmp_path)
    return TopicCase(request.getfixturevalue("broker"))


def expected(letters):
    return [(each.reason, each.topic, each.partition, each.offset, each.key, each.value) for each in letters]


def test_written_letters_are_kept_with_their_bytes(case):
    """Any bytes come back, a missing key or value is told from an empty one, a second write adds."""
    case.letters.write(1, LETTERS)
    case.letters.write(2, [letter(99)])
    assert case.kept() == expected([*LETTERS, letter(99)])


def test_no_letters_leave_nothing(case):
    """A run without refused events makes no file and no message."""
    case.letters.write(1, [])
    case.letters.write(2, [letter(1)])
    assert case.kept() == expected([letter(1)])


def test_many_letters_are_all_kept(case):
    """More letters than fit any buffer at once arrive."""
    letters = [letter(offset, value=bytes(1000)) for offset in range(3000)]
    case.letters.write(1, letters)
    assert case.kept() == expected(letters)


@pytest.fixture
def folder(tmp_path):
    return FolderCase(tmp_path)


def test_a_line_has_the_contracts_fields(folder):
    """Names, their order and their forms are those that contract.md gives."""
    folder.letters.write(42, [letter(7, key=None)])
    path = folder.directory / "000000000042.jsonl.gz"
    (line,) = read_lines(path)
    assert list(line.items()) == [
        ("reason", "invalid_user_id"),
        ("detail", 'the user id is not "8-4-4-4-12" hex'),
        ("stream", "acme-display"),
        ("topic", "acme.segments"),
        ("partition", 3),
        ("offset", 7),
        ("timestamp", 1_700_000_000_123),
        ("key", None),
        ("value", base64.b64encode(b"\x00\xff\nvalue").decode()),
        ("read_at", "2027-01-15T08:00:00.005Z"),
    ]


def test_the_file_is_one_gzip_member_without_name_or_time(folder):
    """Its header tells nothing of us, nothing follows the member, and only its owner may read it."""
    folder.letters.write(1, LETTERS)
    (path,) = folder.directory.iterdir()
    content = path.read_bytes()
    assert content[:4] == b"\x1f\x8b\x08\x00"  # magic, deflate, no flags: no name, comment or extra field
    assert content[4:8] == bytes(4)
    reader = zlib.decompressobj(31)
    reader.decompress(content)
    assert reader.eof
    assert reader.unused_data == b""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.directory.stat().st_mode) == 0o700


def test_writing_a_number_again_replaces_its_file(folder):
    """A seal that is tried again does not double its letters."""
    folder.letters.write(1, LETTERS)
    folder.letters.write(1, [letter(5)])
    assert folder.kept() == expected([letter(5)])


def test_orphans_are_removed_and_nothing_else(folder):
    """Files above the highest published run go; those up to it, and foreign files, stay."""
    for number in (3, 41, 42, 43, 1_234_567_890_123):
        folder.letters.write(number, [letter(number)])
    foreign = folder.directory / "notes-000000000099.jsonl.gz"
    foreign.write_bytes(b"")
    assert folder.letters.remove_above(42) == (43, 1_234_567_890_123)
    assert sorted(path.name for path in folder.directory.iterdir()) == [
        "000000000003.jsonl.gz",
        "000000000041.jsonl.gz",
        "000000000042.jsonl.gz",
        foreign.name,
    ]
    assert folder.letters.remove_above(42) == ()


class FaultyDisk(Disk):
    """Fails one operation, and notes the order of all."""

    def __init__(self, failing, number):
        self.failing = failing
        self.number = number
        self.done = []

    def _do(self, operation):
        if operation == self.failing:
            raise OSError(self.number, "made up")
        self.done.append(operation)

    def write(self, descriptor, data):
        self._do("write")
        return super().write(descriptor, data)

    def fsync(self, descriptor):
        self._do("fsync")
        super().fsync(descriptor)

    def rename(self, source, target):
        self._do("rename")
        super().rename(source, target)

    def fsync_folder(self, folder):
        self._do("fsync_folder")
        super().fsync_folder(folder)


@pytest.mark.parametrize(
    ("failing", "number", "error"),
    [
        ("write", errno.ENOSPC, SpoolFull),
        ("write", errno.EIO, SpoolFailed),
        ("fsync", errno.EIO, SpoolFailed),
        ("rename", errno.ENOSPC, SpoolFull),
    ],
)
def test_a_failing_disk_leaves_no_file(tmp_path, failing, number, error):
    """What is not durable is neither published nor left half-written."""
    (tmp_path / "tmp").mkdir()
    letters = FolderDeadLetters(tmp_path / "dead", tmp_path / "tmp", FaultyDisk(failing, number))
    with pytest.raises(error):
        letters.write(1, LETTERS)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_file_is_synced_before_it_gets_its_name_and_the_name_after(tmp_path):
    """The order is write, fsync, rename, fsync of the folder."""
    (tmp_path / "tmp").mkdir()
    disk = FaultyDisk("none", 0)
    FolderDeadLetters(tmp_path / "dead", tmp_path / "tmp", disk).write(1, LETTERS)
    assert list(dict.fromkeys(disk.done)) == ["write", "fsync", "rename", "fsync_folder"]


def test_a_folder_on_another_file_system_is_refused(tmp_path):
    """Where a rename cannot be one step, the start stops and names both folders."""
    elsewhere = "/proc/self"
    with pytest.raises(BridgeError, match=r"file system") as caught:
        FolderDeadLetters(tmp_path / "dead", type(tmp_path)(elsewhere))
    assert str(tmp_path / "dead") in str(caught.value)
    assert elsewhere in str(caught.value)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    """A path through a file is an error of one line with the path in it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(BridgeError) as caught:
        FolderDeadLetters(tmp_path / "file" / "dead", tmp_path)
    assert str(tmp_path / "file" / "dead") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_letters_that_no_broker_acknowledges_are_an_error():
    """Where the broker is not there, the write raises and names the topic: the offset must not advance."""
    producer = Producer(TOPIC_PRODUCER | {"bootstrap.servers": "127.0.0.1:1", "delivery.timeout.ms": 300})
    with pytest.raises(BridgeError, match=r"topic refused: not all of 4"):
        TopicDeadLetters(producer, "refused").write(1, LETTERS)


def test_a_letter_that_is_too_large_for_the_producer_is_an_error(broker):
    """Nothing is dropped for its size: the operator is told what to change."""
    producer = Producer(TOPIC_PRODUCER | {"bootstrap.servers": broker, "message.max.bytes": 2000})
    with pytest.raises(BridgeError, match=r"max\.message\.bytes"):
        TopicDeadLetters(producer, "refused").write(1, [letter(1, value=bytes(3000))])


def test_a_full_queue_is_waited_for(broker):
    """More letters than the producer's queue holds are all acknowledged."""
    case = TopicCase(broker)
    producer = Producer(
        TOPIC_PRODUCER | {"bootstrap.servers": broker, "queue.buffering.max.messages": 10, "linger.ms": 1}
    )
    letters = [letter(offset) for offset in range(100)]
    TopicDeadLetters(producer, case.topic).write(1, letters)
    assert case.kept() == expected(letters)
