"""Files of dead letters: read back, counted, and written anew; and what becomes of damaged ones."""

import errno
import gzip
import json
import stat
import tracemalloc
import zlib

import pytest
import yaml

from bridge.cli import main
from bridge.ingest.dead_letters import DeadLetter, FolderDeadLetters
from bridge.ingest.events import Reason
from bridge.replay import letters
from bridge.replay.letter_portions import MOST_BYTES, MOST_LETTERS, look_through, portions
from bridge.replay.letter_survey import survey
from bridge.replay.letters import LettersDamaged, drop_letters, letter_files, read_letters
from bridge.spool.disk import Disk, SpoolFailed, SpoolFull
from tests.parts.spools import FailingDisk

NOW = 1_800_000_000_005
GOOD = {
    "reason": "unknown_client",
    "detail": "the stream has no such client",
    "stream": "acme",
    "topic": "acme.segments",
    "partition": 3,
    "offset": 7,
    "timestamp": -1,
    "key": None,
    "value": "AP8K",
    "read_at": "2027-01-15T08:00:00.005Z",
}


def letter(offset, reason="unknown_client", **more):
    fields = {"detail": f"the {offset}th", "stream": "acme", "topic": "acme.segments", "partition": 3}
    places = {"offset": offset, "timestamp": NOW - 9, "key": b"\xffkey", "value": b"\x00\xff\nvalue"}
    return DeadLetter(**fields | places | {"reason": reason, "read_at": NOW + offset} | more)


MANY = [letter(7), letter(8, key=None, value=b""), letter(9, "undecodable", value=None), letter(10)]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tmp").mkdir()
    return Folder(tmp_path)


class Folder:
    """A folder of dead letters as ingest writes it."""

    def __init__(self, directory):
        self.directory = directory / "dead"
        self.temporary = directory / "tmp"
        self.letters = FolderDeadLetters(self.directory, self.temporary)

    def write(self, number, letters):
        self.letters.write(number, letters)
        return self.directory / f"{number:012d}.jsonl.gz"

    def write_lines(self, number, *lines):
        path = self.directory / f"{number:012d}.jsonl.gz"
        path.write_bytes(gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0))
        return path

    def drop(self, path, *lines, disk=None):
        drop_letters(path, set(lines), self.temporary, disk or Disk())


def lines_of(path):
    return gzip.decompress(path.read_bytes()).splitlines(keepends=True)


def content(directory):
    return {path.name: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_what_ingest_wrote_is_read_back(folder):
    """Every field of every letter, any bytes, and which line each stands in."""
    path = folder.write(42, MANY)
    assert list(read_letters(path)) == list(enumerate(MANY, start=1))


def test_files_are_read_the_oldest_first_and_nothing_else(folder):
    """In the order of their runs; what lies there besides is not touched."""
    paths = [folder.write(number, MANY) for number in (41, 5, 1_234_567)]
    (folder.directory / "notes.txt").write_text("mine")
    assert letter_files(folder.directory) == sorted(paths)
    assert letter_files(folder.directory / "none") == []


def test_a_file_that_went_holds_nothing(folder):
    """A bridge that starts removes orphans: that is no damage."""
    assert list(read_letters(folder.directory / "000000000001.jsonl.gz")) == []


def good(**more):
    return json.dumps(GOOD | more).encode()


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"", "Input data was truncated"),
        (b"[1]", "Expected `object`, got `array`"),
        (b'{"reason": "x"}', "Object missing required field `detail`"),
        (good(value="?"), "Invalid base64 encoded string - at `$.value`"),
        (good(offset=-1), "Expected `int` >= 0 - at `$.offset`"),
        (good(partition=2**31), "Expected `int` <= 2147483647 - at `$.partition`"),
        (good(topic=""), "Expected `str` of length >= 1 - at `$.topic`"),
        (good(read_at="2027-01-15T08:00:00"), "Expected `datetime` with a timezone component"),
        (good(read_at="9999-12-31T23:59:59-14:00"), "Expected a time of the years 1970 to 9999"),
        (good(read_at="0001-01-01T00:00:00+14:00"), "Expected a time of the years 1970 to 9999"),
        (good().replace(b"acme", b"\xff"), "no such JSON"),
        (good() + good(), "JSON is malformed"),
    ],
)
def test_a_line_that_is_no_letter_is_told_with_its_place(folder, line, what):
    """The lines before it are read; then one line says file, line and what is wrong, without any value."""
    path = folder.write_lines(1, good(), good(offset=8), line, good(offset=9))
    letters = read_letters(path)
    assert [next(letters)[1].offset, next(letters)[1].offset] == [7, 8]
    with pytest.raises(LettersDamaged) as caught:
        next(letters)
    told = str(caught.value)
    assert told.startswith(f"{path}:3: no dead letter ({what}")
    assert told.endswith(": mend the file, or move it away")
    assert "\n" not in told


@pytest.mark.failure(34)
def test_a_line_without_end_is_told_before_it_fills_the_memory(folder, monkeypatch):
    """A line of as many bytes as no letter has is damage with its place; one byte less is a line."""
    monkeypatch.setattr(letters, "LONGEST_LINE", 500)
    longest = good().ljust(498)
    path = folder.write_lines(1, longest, longest + b" ", good())
    found = read_letters(path)
    next(found)
    with pytest.raises(LettersDamaged, match=r":2: no dead letter \(a line of 500 bytes and more\): mend"):
        next(found)


def test_a_file_that_was_cut_is_told_at_every_byte(folder):
    """Wherever it was cut, not one cut file passes for a whole one."""
    path = folder.write(1, MANY)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(LettersDamaged, match=r"jsonl\.gz:\d: (truncated|damaged): "):
            list(read_letters(path))


@pytest.mark.parametrize(
    "other",
    [b"no gzip at all", b"\x1f\x8b\x08 nor this", gzip.compress(b"")[:-1] + b"x"],
    ids=["text", "no gzip header", "a wrong size"],
)
def test_a_file_that_is_no_gzip_is_told(folder, other):
    """Other bytes, and a checksum that does not hold."""
    path = folder.directory / "000000000001.jsonl.gz"
    path.write_bytes(other)
    with pytest.raises(LettersDamaged, match=r"jsonl\.gz:1: "):
        list(read_letters(path))


def test_a_folder_in_the_place_of_a_file_is_told(folder):
    """What cannot be read is told like what is damaged."""
    (folder.directory / "000000000001.jsonl.gz").mkdir()
    (path,) = letter_files(folder.directory)
    with pytest.raises(LettersDamaged, match=r":1: cannot be read \(Is a directory\)"):
        list(read_letters(path))


def test_the_lines_that_stay_stay_byte_for_byte(folder):
    """However they are written: spaces, unknown fields, another order."""
    odd = [
        good(),
        b'  {"more": [1, 2],' + good(offset=8)[1:],
        json.dumps(GOOD, indent=None, sort_keys=True).encode(),
    ]
    path = folder.write_lines(1, *odd, good(offset=9))
    before = lines_of(path)
    folder.drop(path, 1, 4)
    assert lines_of(path) == before[1:3]
    assert list(folder.temporary.iterdir()) == []


def test_a_file_written_anew_is_as_ingest_writes_it(folder):
    """One gzip member without name or time, for its owner alone."""
    path = folder.write(1, MANY)
    folder.drop(path, 2)
    packed = path.read_bytes()
    assert packed[:8] == b"\x1f\x8b\x08\x00" + bytes(4)
    reader = zlib.decompressobj(31)
    reader.decompress(packed)
    assert (reader.eof, reader.unused_data) == (True, b"")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.offset for _, one in read_letters(path)] == [7, 9, 10]


def test_without_any_line_the_file_is_gone(folder):
    """No empty file is left, and the name is gone durably; once more does no harm."""
    path, other = folder.write(1, MANY), folder.write(2, MANY)
    folder.drop(path, 1, 2, 3, 4)
    folder.drop(path, 1)
    assert letter_files(folder.directory) == [other]


@pytest.mark.parametrize(
    ("operation", "number", "error"),
    [
        ("open", errno.ENOSPC, SpoolFull),
        ("write", errno.ENOSPC, SpoolFull),
        ("fsync", errno.EIO, SpoolFailed),
        ("rename", errno.ENOSPC, SpoolFull),
    ],
)
def test_a_failing_disk_leaves_the_file_as_it_was(folder, operation, number, error):
    """What cannot be written anew stays, and nothing half-written lies about."""
    path = folder.write(1, MANY)
    before = content(folder.directory.parent)
    with pytest.raises(error):
        folder.drop(path, 1, disk=FailingDisk(1, number, operation))
    assert content(folder.directory.parent) == before


def test_a_removal_that_fails_is_told(folder):
    """The name may come back after a power cut: nothing goes on as if it were gone."""
    path = folder.write(1, MANY)
    with pytest.raises(SpoolFailed):
        folder.drop(path, 1, 2, 3, 4, disk=FailingDisk(1, errno.EIO, "fsync_folder"))


def test_a_damaged_file_is_not_written_anew(folder):
    """What was behind the damage would be lost with it."""
    path = folder.write_lines(1, good(), good(offset=8), good(offset=9))
    path.write_bytes(path.read_bytes()[:-9])
    before = content(folder.directory.parent)
    with pytest.raises(LettersDamaged):
        folder.drop(path, 1)
    assert content(folder.directory.parent) == before


def test_portions_hold_every_letter_once_and_tell_when_a_file_ends(folder):
    """Small files share a portion, a large one has several; a file ends with its last letter or after it."""
    sizes = [3, 2 * MOST_LETTERS, MOST_LETTERS - 3, 1]
    paths = [
        folder.write(number, [letter(offset, value=b"v") for offset in range(size)])
        for number, size in enumerate(sizes, start=1)
    ]
    found = look_through(folder.directory, None)
    assert (found.files, found.letters, found.damaged) == (tuple(paths), sum(sizes), ())
    read, ended = [], []
    for portion in portions(found.files, None):
        assert len(portion.places) <= MOST_LETTERS
        read += [(place.path, place.line) for place in portion.places]
        ended += portion.ended
        left = {path for path, _ in read} - set(ended)
        assert len(left) <= 1
        assert all(read.count((path, 1)) == 1 for path in ended)
    assert read == [
        (path, line) for path, size in zip(paths, sizes, strict=True) for line in range(1, size + 1)
    ]
    assert ended == paths


def test_letters_of_another_reason_are_not_asked_for(folder):
    """Neither counted nor given; a file of others alone is not named."""
    first = folder.write(1, MANY)
    folder.write(2, [letter(1)])
    found = look_through(folder.directory, "undecodable")
    assert (found.files, found.letters) == ((first,), 1)
    (portion,) = portions(found.files, "undecodable")
    assert [(place.line, place.letter) for place in portion.places] == [(3, MANY[2])]


def test_of_a_damaged_file_nothing_is_taken(folder):
    """Not even what stands before the damage: it would be taken again at each call."""
    folder.write_lines(1, good(), b"{}")
    whole = folder.write(2, MANY)
    found = look_through(folder.directory, None)
    assert (found.files, found.letters) == ((whole,), 4)
    assert [str(damage).split(":")[1] for damage in found.damaged] == ["2"]


def test_large_letters_are_taken_a_few_at_a_time(folder):
    """Memory holds one portion, whatever a file holds."""
    value = bytes(1_000_000)
    for number in range(1, 5):
        folder.write(number, [letter(offset, value=value) for offset in range(20)])
    files = letter_files(folder.directory)
    tracemalloc.start()
    counts = [len(portion.places) for portion in portions(files, None)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert counts == [16, 16, 16, 16, 16, 0]
    assert peak < 3 * MOST_BYTES


def test_the_survey_groups_by_reason_and_stream(folder):
    """The most first, with first and last reading, topics, and what is wrong with the newest."""
    folder.write(1, [letter(5), letter(3), letter(4, stream="other"), letter(1, "undecodable")])
    folder.write(2, [letter(9, topic="acme.more"), letter(8)])
    found = survey(folder.directory, pytest.fail)
    assert [(group.reason, group.stream, group.count) for group in found.groups] == [
        ("unknown_client", "acme", 4),
        ("undecodable", "acme", 1),
        ("unknown_client", "other", 1),
    ]
    first = found.groups[0]
    assert (first.first_read_at, first.last_read_at) == (NOW + 3, NOW + 9)
    assert (first.topics, first.detail) == ({"acme.segments", "acme.more"}, "the 9th")
    assert found.files == 2
    assert found.bytes == sum(path.stat().st_size for path in letter_files(folder.directory))


class TestList:
    """`s2s-bridge dead-letters list`; no Kafka is asked."""

    @pytest.fixture
    def config(self, tmp_path):
        path = tmp_path / "bridge.yaml"
        (tmp_path / "password").write_text("x")
        sftp = {"host": "h", "username": "u", "password_file": "password", "host_key": "ssh-ed25519 AAAA"}
        return Config(
            path,
            {
                "kafka": {"bootstrap_servers": "127.0.0.1:1"},
                "spool": {"directory": str(tmp_path / "spool")},
                "accounts": [{"name": "default", "agency": "A", "partner": "P", "sftp": sftp}],
                "streams": [{"name": "acme", "topics": ["a"], "format": "json", "segment_namespace": "ep"}],
                "dead_letters": {"directory": str(tmp_path / "dead")},
            },
        )

    def test_for_people(self, folder, config, capsys):
        """A line a group, the most first, and a total; text of a detail is no markup."""
        folder.write(1, [letter(5), letter(6, detail="[bold]x[/bold]"), letter(1, "undecodable")])
        assert config.call("list") == 0
        head, *lines = capsys.readouterr().out.splitlines()
        columns = ["reason", "stream", "letters", "oldest", "newest", "what is wrong with the newest"]
        assert head.split() == " ".join(columns).split()
        assert [" ".join(line.split()) for line in lines[:2]] == [
            "unknown_client acme 2 2027-01-15 08:00:00Z 2027-01-15 08:00:00Z [bold]x[/bold]",
            "undecodable acme 1 2027-01-15 08:00:00Z 2027-01-15 08:00:00Z the 1th",
        ]
        assert lines[2].startswith("3 dead letters in 1 file, ")
        assert not config.spool.exists()

    def test_json(self, folder, config, capsys):
        """One object of the fields that are promised."""
        path = folder.write(1, [letter(5), letter(995)])
        assert config.call("list", "--json") == 0
        assert json.loads(capsys.readouterr().out) == {
            "dead_letters": [
                {
                    "reason": "unknown_client",
                    "stream": "acme",
                    "count": 2,
                    "first_read_at": "2027-01-15T08:00:00Z",
                    "last_read_at": "2027-01-15T08:00:01Z",
                    "topics": ["acme.segments"],
                    "detail": "the 995th",
                }
            ],
            "files": 1,
            "bytes": path.stat().st_size,
        }

    @pytest.mark.parametrize("made", [True, False])
    def test_nothing(self, tmp_path, config, capsys, made):
        """A missing folder and an empty one are no fault, and none is made."""
        if made:
            (tmp_path / "dead").mkdir()
        assert config.call("list") == 0
        assert capsys.readouterr() == (f"no dead letters in {tmp_path / 'dead'}\n", "")
        assert config.call("list", "--json") == 0
        assert json.loads(capsys.readouterr().out) == {"dead_letters": [], "files": 0, "bytes": 0}
        assert (tmp_path / "dead").exists() == made

    def test_damaged_files_are_told_and_the_others_go_on(self, folder, config, capsys):
        """A line each on stderr, the letters that can be read on stdout, and exit 1."""
        cut = folder.write(1, MANY)
        cut.write_bytes(cut.read_bytes()[:-3])
        odd = folder.write_lines(2, good(), good(), b"{}")
        folder.write(3, [letter(1)])
        assert config.call("list") == 1
        told = capsys.readouterr()
        first, second = told.err.splitlines()
        assert first.startswith(f"{cut}:5: truncated: its gzip ends too soon")
        assert second.startswith(f"{odd}:3: no dead letter (")
        assert "7 dead letters in 3 files" in told.out

    @pytest.mark.parametrize("verb", ["list", "redrive"])
    def test_letters_in_a_topic_are_for_kafkas_tools(self, config, capsys, verb):
        """Wrong usage, in one line that names the topic."""
        config.fields["dead_letters"] = {"topic": "refused"}
        assert config.call(verb) == 2
        out, err = capsys.readouterr()
        assert (out, len(err.splitlines())) == ("", 1)
        assert "dead_letters.topic refused: dead letters are in this topic: read it with Kafka's" in err

    def test_an_unknown_reason_is_wrong_usage(self, config, capsys):
        """The line names those there are."""
        assert config.call("redrive", "--reason", "unknown-client") == 2
        err = capsys.readouterr().err
        assert "--reason unknown-client: there is no such reason; there are bad_framing, " in err
        assert all(reason in err for reason in Reason)


class Config:
    """A configuration file, and the command with it."""

    def __init__(self, path, fields):
        self.path, self.fields = path, fields
        self.spool = path.parent / "spool"

    def call(self, verb, *arguments):
        self.path.write_text(yaml.safe_dump(self.fields))
        return main(["dead-letters", verb, "--config", str(self.path), *arguments])
