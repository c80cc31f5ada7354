"""Texts of writer schemas, which come from a registry: used, or refused with a reason."""

import json

from bridge.config import Stream
from bridge.ingest.decode import decoder_for
from bridge.ingest.events import Reason
from tests.fuzz.mutator import mutated
from tests.fuzz.target import Target
from tests.ingest.test_decode_avro import PLAIN, SHAPES, values_of

VALUES = values_of(PLAIN, 70, 5)
"""Enough of them to be read as columns."""

PARTS = (
    '"null"',
    '"E"',
    '{"type":"fixed","name":"Big","size":1000000000000}',
    '{"type":"fixed","name":"None","size":0}',
    '{"type":"array","items":"null"}',
    '{"type":"array","items":"E"}',
    '{"type":"map","values":"null"}',
    '{"type":"record","name":"Empty","fields":[]}',
    '["null","boolean"]',
    '["null"]',
    "[]",
    '{"type":"enum","name":"One","symbols":[]}',
    '{"type":{"type":"long"}}',
    '{"type":"bytes","logicalType":"decimal","precision":4}',
    "7",
)
"""Types that are set in the place of others."""


class Given:
    """A registry whose schema 7 is this text."""

    def __init__(self, text):
        self._text = text

    def text(self, _schema_id):
        return self._text


def make(rng):
    text = json.dumps(rng.choice(list(SHAPES.values())), separators=(",", ":"))
    if rng.randrange(3):
        for _ in range(rng.choice((1, 2))):
            kind = rng.choice(('"string"', '"long"', '"boolean"', '"int"'))
            at = text.find(kind, rng.randrange(len(text)))
            text = text if at < 0 else text[:at] + rng.choice(PARTS) + text[at + len(kind) :]
        return [text.encode()]
    return [mutated(rng, text.encode())]


def check(inputs):
    """Every value is an event, or is refused for what it or its schema is."""
    for text in inputs:
        stream = Stream(name="s", topics=("t",), format="avro-confluent", segment_namespace="ep")
        decoded = decoder_for(stream, Given(text.decode(errors="replace"))).decode(VALUES)
        found = [*decoded.events["index"].to_list(), *(refusal.index for refusal in decoded.refused)]
        assert sorted(found) == list(range(len(VALUES)))
        assert {refusal.reason for refusal in decoded.refused} <= {
            Reason.UNKNOWN_SCHEMA,
            Reason.UNDECODABLE,
        }


TARGETS = [Target(name="schemas", make=make, check=check)]
