"""The seed's own example, out of events."""

import gzip
import random

import pytest

from tests.parts import events as made
from tests.parts.bridging import Bridge, configuration, delivered, stream

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]

EXAMPLE = """\
Version: 3
FileIdentifier: ExamplePartner_201407302300.log.gz
DateCreated: 1406761200
UserNamespace: mm
SegmentNamespace: ep
Mobile: 0
HashSegments: 0
2c3753c5-9a67-4600-f044-a5d7e0c5f6d7 10001:0 10003:0 10005:1406850980
3d3353c3-9a67-4651-a443-a6d7e1c4fde8 10002:-1
4e2754c5-5562-4601-1742-a9d7e2c3fef9 10002:0
4a5124c5-aab1-3222-1154-a2d7f2a33ef9 -1 10002:0
7a513b12-ab1b-3fe2-bc54-a5d7f2a33911 -1 9999999:0
"""
"""As it stands in the seed (s2s_data_import, Example File), whose text has lost the blank line."""

HEADER_LINES = 7


def events():
    """What the seed says of its rows (Example File Explanation), an event each, the first one in three."""
    first, removed, added, only, nobody = (line.split()[0] for line in EXAMPLE.splitlines()[HEADER_LINES:])
    said = [
        (first, False, [(10003, 0), (10001, 1)]),
        (first, False, [(10005, 1_406_850_980)]),
        (first.upper(), False, [(10001, 0)]),
        (removed, False, [(10002, -1)]),
        (added, False, [(10002, 0)]),
        (only, True, [(10002, 0)]),
        (nobody, True, []),
    ]
    return [
        {
            "user_id": user,
            "remove_all": remove_all,
            "segments": [{"segment_id": segment, "timestamp": timestamp} for segment, timestamp in elements],
            "event_time": 1_406_761_200_000 + number,
        }
        for number, (user, remove_all, elements) in enumerate(said)
    ]


def test_the_seeds_example_byte_for_byte(kafka, sshd, tmp_path):
    """Its five rows come out in sorted order; its header too, but for FileIdentifier and DateCreated."""
    kafka.create_topic("seed.example", 1)
    values = [made.json_text(event) for event in events()]
    random.Random(4).shuffle(values)
    kafka.produce("seed.example", [(0, None, value) for value in values])
    config = configuration(kafka, sshd, tmp_path, [stream("seed.example")])
    Bridge(tmp_path, config).drain()
    (path,) = delivered(sshd)
    head, body = gzip.decompress(path.read_bytes()).decode("ascii").split("\n\n")
    lines = EXAMPLE.splitlines(keepends=True)
    assert body == "".join(sorted(lines[HEADER_LINES:]))
    mine, example = head.splitlines(), EXAMPLE.splitlines()[:HEADER_LINES]
    assert mine[:1] + mine[3:] == example[:1] + example[3:]
    assert mine[1] == f"FileIdentifier: {path.name}"
    assert mine[2].partition(" ")[0] == example[2].partition(" ")[0]
