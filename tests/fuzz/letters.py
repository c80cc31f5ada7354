"""Files of dead letters: read as they were written up to the damage, which is told with its place."""

import contextlib
import gzip
import io
import json
import tempfile
from pathlib import Path

from bridge.audience.roster import Roster
from bridge.cli.dead_letters import _print_table
from bridge.config import Stream
from bridge.ingest.decode import decoder_for
from bridge.ingest.events import Reason
from bridge.ingest.intake import Intake
from bridge.replay.letter_judge import piece_of
from bridge.replay.letter_portions import look_through, portions
from bridge.replay.letter_survey import survey
from bridge.replay.letters import LettersDamaged, drop_letters, read_letters
from bridge.spool.disk import Disk
from tests.fuzz.mutator import mutated
from tests.fuzz.target import Target

GOOD = {
    "reason": "unknown_client",
    "detail": "the stream has no such client",
    "stream": "acme",
    "topic": "acme.segments",
    "partition": 3,
    "offset": 7,
    "timestamp": -1,
    "key": None,
    "value": "eyJ1c2VyX2lkIjoidSIsImV2ZW50X3RpbWUiOjV9",
    "read_at": "2027-01-15T08:00:00.005Z",
}
NAME = "000000000007.jsonl.gz"
VALUES = (
    "",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999-14:00",
    "1969-12-31T23:59:59Z",
    "\x1b[2J",
    "[/bold]",
    "\u2028",
    None,
    -1,
    0,
    2**31 - 1,
    2**63 - 1,
    -(2**63),
    1e9,
    True,
    [],
    {},
)
"""What is set in the place of a field's value."""


def make(rng):
    letters = [GOOD | {"offset": offset} for offset in range(rng.choice((1, 3, 30)))]
    kind = rng.randrange(3)
    if kind == 0:
        one = rng.choice(letters)
        one[rng.choice(list(one))] = rng.choice(VALUES)
    text = b"".join(json.dumps(letter).encode() + b"\n" for letter in letters)
    if kind == 1:
        text = mutated(rng, text)
    packed = gzip.compress(text, 1, mtime=0)
    return [mutated(rng, packed) if kind == 2 else packed]


def check(inputs):
    for content in inputs:
        with tempfile.TemporaryDirectory() as directory:
            folder = Path(directory) / "dead"
            folder.mkdir()
            (folder / NAME).write_bytes(content)
            _check(folder / NAME, content)


def _check(path, content):
    """All that is done with such a file either does it, or says FILE:LINE and leaves the file as it is."""
    letters, told = [], []
    try:
        for line, letter in read_letters(path):
            assert line == len(letters) + 1
            letters.append(letter)
    except LettersDamaged as damage:
        told.append(str(damage))
        assert told[0].startswith(f"{path}:{len(letters) + 1}: ")
        assert "\n" not in told[0]
    found = survey(path.parent, lambda damage: told.append(str(damage)))
    assert found.letters == len(letters)
    assert len(told) in (0, 2)
    json.dumps(found.to_json())
    with contextlib.redirect_stdout(io.StringIO()):
        _print_table(found)
    looked = look_through(path.parent, None)
    assert (len(looked.damaged), looked.letters) == ((1, 0) if told else (0, len(letters)))
    for portion in portions(looked.files, None):
        _judge([place.letter for place in portion.places])
    with contextlib.suppress(LettersDamaged):
        drop_letters(path, {1}, path.parent.parent, Disk())
        assert not told or "no dead letter" in told[0]
    if told and "no dead letter" not in told[0]:
        assert path.read_bytes() == content


def _judge(letters):
    """As redriving does: each letter is a row or stays with a reason."""
    for topic in {letter.topic for letter in letters}:
        some = [letter for letter in letters if letter.topic == topic]
        stream = Stream(name="s", topics=("t",), format="json", segment_namespace="ep")
        taken = Intake(stream, decoder_for(stream, None), Roster()).read(piece_of(some, 1_800_000_000_000), 1)
        rows = sum(len(frame) for frame in taken.frames)
        assert rows + len(taken.refused) + taken.tombstones == len(some)
        assert {letter.reason for letter in taken.refused} <= set(Reason)


TARGETS = [Target(name="letters", make=make, check=check)]
