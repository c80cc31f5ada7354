"""Audience files: whatever stands in one, it is told; and what has no fault reads as we would write it."""

import gzip
import json
from pathlib import Path

from bridge.audience.audience_file import check as check_file
from bridge.audience.audience_file import read
from bridge.audience.file_summary import summarise
from bridge.audience.file_text import BadGzip
from bridge.cli.file import _object, _page
from tests.fuzz.mutator import mutated
from tests.fuzz.target import Target

NAME = "Agency_Partner_202611010000.log.gz"
HEAD = f"""\
Version: 3
FileIdentifier: {NAME}
DateCreated: 1793491200
UserNamespace: mm
SegmentNamespace: ep
Mobile: 0
HashSegments: 0

"""
USERS = [f"{number:08x}-9a67-4600-f044-a5d7e0c5f6d7" for number in range(5)]
PARTNER = HEAD.replace(": mm", ": xy\nUserTableId: 17").replace("Segments: 0", "Segments: 1")
TEXTS = (
    HEAD + "".join(f"{user} 1:0 2:-1 3:1793491200\n" for user in USERS) + f"{USERS[-1][:-1]}8 -1 9:0\n",
    PARTNER + "a h1:0 h2:-1\nb/2 -1 a:0 b:17\n",
)


def make(rng):
    text = rng.choice(TEXTS).encode()
    kind = rng.randrange(4)
    packed = gzip.compress(mutated(rng, text) if kind else text, 1, mtime=0)
    return [packed if kind else mutated(rng, packed)]


def check(inputs):
    for content in inputs:
        chunks = [content[at : at + 97] for at in range(0, len(content), 97)]
        faults = list(check_file(chunks, NAME))
        for fault in faults:
            assert fault.line >= 0
            assert "\n" not in fault.reason
            assert not any(user in fault.reason for user in USERS)
        try:
            summary = summarise(chunks, user=None, first_rows=10)
        except BadGzip:
            assert faults
            continue
        "\n".join(_page(summary)).encode()
        json.dumps(_object(Path(NAME), summary))
        assert faults or _written(chunks) == gzip.decompress(content)


def _written(chunks):
    """What was read, as it is to be written."""
    header, rows = read(chunks)
    lines = [
        " ".join([row.user, *["-1"][: row.remove_all], *(f"{code}:{at}" for code, at in row.segments)])
        for row in rows
    ]
    return header.render() + "".join(f"{line}\n" for line in lines).encode()


TARGETS = [Target(name="audience files", make=make, check=check)]
