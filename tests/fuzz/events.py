"""Events of all formats: the good are accepted as they are, whatever lies between them."""

import functools
import json
import tempfile
from pathlib import Path

from bridge.audience.roster import Roster
from bridge.config import Stream
from bridge.ingest.dead_letters import DeadLetter
from bridge.ingest.decode import decoder_for
from bridge.ingest.events import Reason
from bridge.ingest.intake import Intake, Piece
from bridge.ingest.registry import UnknownSchema
from bridge.replay.letter_judge import LetterMessage
from tests.fuzz import by_the_book
from tests.fuzz.by_the_book import BROKEN, ODD
from tests.fuzz.mutator import mutated
from tests.fuzz.target import Target
from tests.ingest import judge
from tests.ingest.test_decode_avro import SHAPES, values_of
from tests.parts import events as made

LARGEST = 4_000
"""`max_event_bytes` here."""

NEIGHBOURS = (20, 130)
"""Good events around: so many are read one by one, or as columns."""

NOW = 1_800_000_000_000

FRAMINGS = {"avro-confluent": b"\0\0\0\0\7", "avro": b"", "avro-single-object": None, "json": b""}
"""What stands before a body; None: what its encoder sets there."""


class OneSchema:
    """A registry that knows the id 7 alone."""

    def __init__(self, schema):
        self._text = json.dumps(schema)

    def text(self, schema_id):
        if schema_id != 7:
            raise UnknownSchema("not in the registry")
        return self._text


class Format:
    """One stream's decoder, its good values, and its book."""

    def __init__(self, form, shape):
        self.form = form
        self.schema = SHAPES[shape]
        bodies = [value[5:] for value in values_of(self.schema, max(NEIGHBOURS), 5)]
        self.head = FRAMINGS[form]
        if form == "json":
            bodies = list(map(made.json_text, made.make(made.Load(events=max(NEIGHBOURS)), 5)))
        if form == "avro-single-object":
            self.head = made.avro_single_object(self.schema)(made.make(made.Load(events=1), 5)[0])[:10]
        self.good = [self.head + body for body in bodies]
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "pinned.avsc"
            path.write_text(json.dumps(self.schema))
            pinned = path if form in {"avro", "avro-single-object"} else None
            self.stream = Stream(
                name="s",
                topics=("t",),
                format=form,
                segment_namespace="ep",
                schema=pinned,
                max_event_bytes=LARGEST,
            )
            self.decoder = decoder_for(self.stream, OneSchema(self.schema))
        self.rows = [self.book(value) for value in self.good]

    def book(self, value):
        """The event's row; else ODD, or the reasons that it may be refused for."""
        if len(value) > LARGEST:
            return {Reason.TOO_LARGE}
        if not value.startswith(self.head):
            return {Reason.BAD_FRAMING, Reason.UNKNOWN_SCHEMA}
        body = value[len(self.head) :]
        row = by_the_book.json_text(body) if self.form == "json" else by_the_book.avro(self.schema, body)
        return {Reason.UNDECODABLE} if row is BROKEN else row

    def check(self, tried):
        """Each value is what the book says; it lies between good ones, few and many."""
        wanted = list(map(self.book, tried))
        for neighbours in NEIGHBOURS:
            values, rows = self.good[:neighbours], self.rows[:neighbours]
            step = neighbours // len(tried)
            for number, (value, row) in enumerate(zip(tried, wanted, strict=True)):
                values.insert(number * (step + 1), value)
                rows.insert(number * (step + 1), row)
            self._look(values, rows)
            self._take_in(values)

    def _look(self, values, wanted):
        """The decoder's answers are the book's."""
        decoded = self.decoder.decode(values)
        found = judge.rows(decoded)
        reasons = {refusal.index: refusal.reason for refusal in decoded.refused}
        assert sorted([*found, *reasons]) == list(range(len(values)))
        assert decoded.events["index"].is_sorted()
        for at, row in enumerate(wanted):
            match row:
                case set():
                    assert reasons.get(at) in row, (at, values[at].hex(), found.get(at))
                case dict():
                    assert found.get(at) == row, (at, values[at].hex(), reasons.get(at))
                case _:
                    assert row == ODD
                    assert reasons.get(at, Reason.UNDECODABLE) == Reason.UNDECODABLE

    def _take_in(self, values):
        """Each offset is in the rows or in the dead letters; rules about events refuse, and do not fail."""
        messages = [LetterMessage(message(value, at)) for at, value in enumerate(values)]
        piece = Piece.of("t", messages, NOW)
        intake = Intake(self.stream, self.decoder, Roster())
        taken = intake.read(piece, 1)
        offsets = [letter.offset for letter in taken.refused]
        rows = {offset for frame in taken.frames for offset in frame["offset"].to_list()}
        assert sorted([*offsets, *rows]) == list(range(len(values)))
        assert {str(letter.reason) for letter in taken.refused} <= set(Reason)
        assert [letter.value for letter in taken.refused] == [values[at] for at in offsets]
        for letter in taken.refused:
            assert "\n" not in letter.detail


def message(value, offset):
    return DeadLetter(
        reason="",
        detail="",
        stream="",
        topic="t",
        partition=0,
        offset=offset,
        timestamp=-1,
        key=None,
        value=value,
        read_at=NOW,
    )


@functools.cache
def the_format(form, shape):
    return Format(form, shape)


def _target(form, shape):
    def make(rng):
        one = the_format(form, shape)
        return [_bad(rng, one) for _ in range(rng.choice((1, 2, 5)))]

    return Target(
        name=f"{form}, {shape}", make=make, check=lambda inputs: the_format(form, shape).check(inputs)
    )


def _bad(rng, one):
    value = rng.choice(one.good)
    if rng.randrange(20) == 0:
        return mutated(rng, value)
    return value[: len(one.head)] + mutated(rng, value[len(one.head) :])


TARGETS = [
    _target("json", "the product's"),
    _target("avro", "the product's"),
    _target("avro-single-object", "the product's"),
    *(_target("avro-confluent", shape) for shape in SHAPES if shape != "hashed"),
]
