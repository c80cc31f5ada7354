"""Small inputs that would be large in memory, in a process that may not take much.

Run as `python -m tests.fuzz.bombs`; a line for each tells the most bytes taken until it had gone off.
"""

import gzip
import resource
import tempfile
import zlib
from pathlib import Path

from bridge.audience.audience_file import check
from bridge.audience.file_summary import summarise
from bridge.audience.roster import Roster
from bridge.config import Stream
from bridge.ingest.decode import decoder_for
from bridge.ingest.intake import Intake
from bridge.replay.letter_judge import LetterMessage, piece_of
from bridge.replay.letter_survey import survey
from tests.fuzz.audience_files import HEAD, NAME, USERS
from tests.fuzz.events import OneSchema, message
from tests.fuzz.mutator import HUGE
from tests.ingest import judge
from tests.ingest.test_decode_avro import PLAIN, TIME, USER, field, record
from tests.parts import events as made

MEMORY = 3_000_000_000
"""Bytes of address space."""

LARGEST = 1_000_000
"""`max_event_bytes` by default."""

EVENT = made.make(made.Load(events=1, remove_alls=0), 1)[0] | {"client": None, "segments": []}
"""A good event, but for its segments."""

BODY = judge.encode(PLAIN, EVENT)
HEAD_SIZE = len(BODY) - 7
"""Where the count of segments stands."""


def take_in(values, form="avro-confluent", schema=PLAIN):
    """As ingest does; what became of each."""
    stream = Stream(name="s", topics=("t",), format=form, segment_namespace="ep")
    letters = [message(value, at) for at, value in enumerate(values)]
    intake = Intake(stream, decoder_for(stream, OneSchema(schema)), Roster())
    assert isinstance(LetterMessage(letters[0]).value(), bytes)
    taken = intake.read(piece_of(letters, 1_800_000_000_000), 1)
    return sum(len(frame) for frame in taken.frames), [str(letter.reason) for letter in taken.refused]


def with_segments(count, segments):
    return b"\0\0\0\0\7" + BODY[:HEAD_SIZE] + count + segments + b"\0" + BODY[-6:]


def avro_number(value):
    out, rest = bytearray(), value << 1
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])


def the_most_segments():
    """Events as large as they may be, each of as many segments as fit."""
    elements = [avro_number(number) + b"\0" for number in range(1, 240_000)]
    value = with_segments(avro_number(len(elements)), b"".join(elements))
    assert LARGEST * 0.9 < len(value) <= LARGEST
    rows, refused = take_in([value] * 5)
    assert (rows, refused) == (5 * len(elements), [])


def the_most_segments_in_json():
    """The same in JSON, one by one as there is a bad one too."""
    elements = [{"segment_id": number, "timestamp": 0} for number in range(1, 28_000)]
    value = made.json_text(EVENT | {"segments": elements})
    assert LARGEST * 0.9 < len(value) <= LARGEST
    rows, refused = take_in([value] * 10 + [b"{"], "json")
    assert (rows, refused) == (10 * len(elements), ["undecodable"])


def counts_of_2_62():
    """A hundred events that claim to hold more than there is, as a count or a length."""
    values = [with_segments(huge, b"\2\0" * 9) for huge in HUGE]
    values += [b"\0\0\0\0\7" + huge + BODY[1:] for huge in HUGE]
    good = with_segments(b"\2", b"\2\0")
    rows, refused = take_in((values + [good] * 4) * 17)
    assert rows == 4 * 17
    assert refused == ["undecodable"] * len(values) * 17


def a_megabyte_of_empty_lists():
    """A field that is not ours, whose items take a byte each."""
    inner = {"type": "array", "items": {"type": "array", "items": "long"}}
    schema = record(USER, TIME, field("x", inner))
    body = judge.encode(record(USER, TIME), {"user_id": "u", "event_time": 5})
    value = b"\0\0\0\0\7" + body + avro_number(900_000) + bytes(900_001)
    assert take_in([value], schema=schema) == (0, ["invalid_user_id"])


def nulls_of_a_terabyte():
    """Many events with a null in the place of a field of so many bytes."""
    large = {"type": "fixed", "name": "Large", "size": 10**12}
    schema = record(USER, TIME, field("x", ["null", large]))
    value = judge.framed(schema, {"user_id": "u", "event_time": 5, "x": None})
    assert take_in([value] * 1_000, schema=schema) == (0, ["invalid_user_id"] * 1_000)


def items_of_many_nulls():
    """A hundred thousand items of a byte and 5,000 nulls each."""
    nulls = [field(f"n{at}", "null") for at in range(5_000)]
    schema = record(
        USER, TIME, field("x", {"type": "array", "items": record(field("b", "boolean"), *nulls, name="I")})
    )
    body = judge.encode(record(USER, TIME), {"user_id": "u", "event_time": 5})
    value = b"\0\0\0\0\7" + body + avro_number(100_000) + bytes(100_001)
    assert take_in([value], schema=schema) == (0, ["unknown_schema"])


def nested_json():
    """A megabyte of brackets, and of objects in objects."""
    values = [
        b"[" * LARGEST,
        b'{"a":' * (LARGEST // 5),
        b'{"user_id":"u","event_time":5,"x":' + b"[" * 900_000,
    ]
    assert take_in(values, "json") == (0, ["undecodable"] * 3)


def packed_line(byte, megabytes, before=b""):
    """So many megabytes of one byte in gzip, in one member."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    pieces = [packer.compress(before), *(packer.compress(byte * 1_000_000) for _ in range(megabytes))]
    return b"".join([*pieces, packer.flush()])


def letters_of_one_line():
    """A file of dead letters whose only line never ends."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "000000000001.jsonl.gz"
        member = packed_line(b"a", 50)
        path.write_bytes(member * 20)
        damages = []
        assert survey(Path(directory), damages.append).letters == 0
        assert ":1: no dead letter (a line of" in str(damages[0])


def an_audience_file_of_one_line():
    """A line of 150 megabytes, checked and shown."""
    packed = packed_line(b"a", 150, HEAD.encode())
    assert sum(1 for _ in check([packed], NAME)) > 0
    assert summarise([packed], user=None, first_rows=10).lines == 1


def an_audience_file_of_one_user():
    """One user on thousands of the longest lines, all of whose rows are asked for."""
    line = f"{USERS[0]} {'1:0 ' * 1_980}\n".encode()
    packed = gzip.compress(HEAD.encode() + line * 2_000, 1)
    summary = summarise([packed], user=USERS[0], first_rows=10)
    assert len(summary.rows) + summary.further_rows == 2_000


BOMBS = (
    the_most_segments,
    the_most_segments_in_json,
    counts_of_2_62,
    a_megabyte_of_empty_lists,
    nulls_of_a_terabyte,
    items_of_many_nulls,
    nested_json,
    letters_of_one_line,
    an_audience_file_of_one_line,
    an_audience_file_of_one_user,
)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for bomb in BOMBS:
        bomb()
        print(bomb.__name__, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
