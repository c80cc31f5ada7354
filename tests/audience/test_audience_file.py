"""The checker knows every rule of the format, and the reader forgives."""

import gzip
import random
import tracemalloc

import pytest

from bridge.audience.audience import Audience
from bridge.audience.audience_file import check, read
from bridge.audience.file_text import BadGzip, split, unpack
from bridge.audience.header import Header
from bridge.audience.lines import render
from bridge.audience.merge import latest
from tests.parts.audiences import DISPLAY, frame
from tests.parts.audiences import HASHED as HASHED_AUDIENCE

NAME = "ExamplePartner_201407302300.log.gz"
HEADER = """\
Version: 3
FileIdentifier: ExamplePartner_201407302300.log.gz
DateCreated: 1406761200
UserNamespace: mm
SegmentNamespace: ep
Mobile: 0
HashSegments: 0
"""
# The seed's example, with the blank line that its text has lost, its users sorted.
ROWS = """\
2c3753c5-9a67-4600-f044-a5d7e0c5f6d7 10001:0 10003:0 10005:1406850980
3d3353c3-9a67-4651-a443-a6d7e1c4fde8 10002:-1
4a5124c5-aab1-3222-1154-a2d7f2a33ef9 -1 10002:0
4e2754c5-5562-4601-1742-a9d7e2c3fef9 10002:0
7a513b12-ab1b-3fe2-bc54-a5d7f2a33911 -1 9999999:0
"""
EXAMPLE = HEADER + "\n" + ROWS
U = "2c3753c5-9a67-4600-f044-a5d7e0c5f6d7"
V = "3d3353c3-9a67-4651-a443-a6d7e1c4fde8"
PARTNER = HEADER.replace("mm\n", "xp\nUserTableId: 42\n")
HASHED = HEADER.replace("HashSegments: 0", "HashSegments: 1")


def faults(text: str | bytes, name: str = NAME) -> list[tuple[int, str]]:
    data = gzip.compress(text if isinstance(text, bytes) else text.encode("latin-1"))
    return [(fault.line, fault.reason) for fault in check([data], name)]


def long_line(user: str, length: int, start: int = 1_000_000) -> str:
    """A row of exactly `length` characters with its end."""
    line = user
    while len(line) + 1 < length - 20:
        line += f" {start}:0"
        start += 1
    line += f" {start}:"
    return line + "1" + "0" * (length - len(line) - 2) + "\n"


def test_example():
    """The seed's example has no fault, in whatever pieces it comes."""
    assert faults(EXAMPLE) == []
    data = gzip.compress(EXAMPLE.encode())
    assert list(check((data[at : at + 1] for at in range(len(data))), NAME)) == []


GOOD = [
    PARTNER + f"\n{U} 1:0\na 1:0\nb 1:0\n",
    HASHED + f"\n{U} -1 a:0 b-c:4133980799\n",
    HEADER.replace("Mobile: 0", "Mobile: 1") + f"\n{U} 2147483647:-1\n",
    HEADER + "\n" + long_line(U, 7_999),
    HEADER + "\n" + long_line(U, 7_990) + f"{U} 2000000:0\n{V} 1:0\n",
]


@pytest.mark.parametrize("text", GOOD)
def test_good(text: str):
    """Partners' ids, hashed codes, device ids, the longest line and a user split over two have no fault."""
    assert faults(text) == []


def changed(old: str, new: str) -> str:
    assert old in EXAMPLE
    return EXAMPLE.replace(old, new)


def rows(*lines: str, header: str = HEADER) -> str:
    return header + "\n" + "".join(line + "\n" for line in lines)


FAULTS = [
    # the header
    (changed("Version: 3", "Version: 2"), 1, "Version is 3"),
    (changed("Version: 3\n", ""), 6, "no Version"),
    (changed("FileIdentifier: Ex", "FileIdentifier: x"), 2, "not the file's name"),
    (changed("DateCreated: 1406761200", "DateCreated: today"), 3, "DateCreated is a Unix timestamp"),
    (changed("DateCreated: 1406761200\n", ""), 6, "no DateCreated"),
    (changed("UserNamespace: mm\n", ""), 6, "no UserNamespace"),
    (changed("SegmentNamespace: ep\n", ""), 6, "no SegmentNamespace"),
    (changed("Mobile: 0", "Mobile: no"), 6, "Mobile is 0 or 1"),
    (changed("Mobile: 0\n", ""), 6, "no Mobile"),
    (changed("HashSegments: 0", "HashSegments: 2"), 7, "HashSegments is 0 or 1"),
    (changed("HashSegments: 0\n", ""), 6, "no HashSegments"),
    (changed("Mobile: 0\n", "Mobile: 0\nMobile: 0\n"), 7, "Mobile stands twice"),
    (changed("Mobile: 0\n", "Mobile: 0\nDevice: 0\n"), 7, "unknown header field"),
    (changed("Mobile: 0\n", "Mobile:0\n"), 6, "reads `Field: value`"),
    (changed("Mobile: 0\nHash", "Hash").replace("ments: 0\n", "ments: 0\nMobile: 0\n"), 7, "out of order"),
    (changed("mm\n", "mm\nUserTableId: 42\n"), 5, "only with a UserNamespace other than mm"),
    (rows("a 1:0", header=PARTNER.replace("UserTableId: 42\n", "")), 7, "no UserTableId"),
    (changed("\n\n", "\n"), 8, "no blank line"),
    (HEADER, 7, "no blank line"),
    (HEADER, 7, "no rows"),
    (HEADER + "\n", 1, "no rows"),
    ("", 1, "no Version"),
    # lines
    (changed("mm\n", "mm\r\n"), 4, "ends with CR"),
    (changed("10002:-1\n", "10002:-1\r\n"), 10, "ends with CR"),
    (EXAMPLE[:-1], 13, "no LF"),
    (HEADER + "\n" + long_line(U, 8_000), 9, "8000 characters"),
    (HEADER + "\n" + U + " 1:0" * 50_000 + "\n", 9, "characters with its end"),
    (rows(f"{U} 1:0", "", f"{V} 1:0"), 10, "an empty row"),
    (rows(f"{U} 1:0", "  ", f"{V} 1:0"), 10, "an empty row"),
    (rows("\xe9 1:0", header=PARTNER), 10, "not ASCII"),
    # users
    (rows(f"{U.upper()} 1:0"), 9, "not in lower case"),
    (rows(f"{U} 1:0", "partners-own-id 1:0"), 10, "not a UUID"),
    (rows(f"{U[:-1]} 1:0"), 9, "not a UUID"),
    (rows(f"{U.replace('-', '')} 1:0"), 9, "not a UUID"),
    (rows("00000000-0000-0000-0000-000000000000 1:0"), 9, "all zeros"),
    (rows("a" * 257 + " 1:0", header=PARTNER), 10, "not 1 to 256"),
    (rows("a\tb 1:0", header=PARTNER), 10, "not 1 to 256"),
    (rows(f"{V} 1:0", f"{U} 1:0"), 10, "users are not sorted"),
    (rows("b 1:0", "a 1:0", header=PARTNER), 11, "users are not sorted"),
    (rows(f"{U} 1:0", f"{U} 2:0", f"{V} 1:0"), 10, "stands on 2 lines"),
    (rows(f"{U} 1:0", f"{U} 2:0"), 10, "stands on 2 lines"),
    (HEADER + "\n" + long_line(U, 7_990) + f"{U} 2000000:0\n{U} 2000001:0\n", 11, "stands on 3 lines"),
    (rows(U), 9, "no segment"),
    # remove-all
    (rows(f"{U} -1"), 9, "nothing follows -1"),
    (rows(f"{U} 1:0 -1"), 9, "only right behind"),
    (rows(f"{U} -1 -1 1:0"), 9, "only right behind"),
    (rows(f"{U} -1 1:-1"), 9, "a removal behind -1"),
    (HEADER + "\n" + long_line(U, 7_990) + f"{U} -1 2000000:0\n", 10, "only on the user's first line"),
    (HEADER + "\n" + long_line(f"{U} -1", 7_990) + f"{U} 2000000:-1\n", 10, "a removal behind -1"),
    # statements
    (rows(f"{U} 1:0 1:5"), 9, "stands twice in this user"),
    (HEADER + "\n" + long_line(U, 7_990, 2_000_000) + f"{U} 1:0\n", 10, "segments are not sorted"),
    (rows(f"{U} 10:0 9:0"), 9, "segments are not sorted"),
    (rows(f"{U} b:0 a:0", header=HASHED), 9, "segments are not sorted"),
    (rows(f"{U} 0:0"), 9, "not a number from 1"),
    (rows(f"{U} -5:0"), 9, "not a number from 1"),
    (rows(f"{U} 01:0"), 9, "not a number from 1"),
    (rows(f"{U} 2147483648:0"), 9, "not a number from 1"),
    (rows(f"{U} abc:0"), 9, "not a number from 1"),
    (rows(f"{U} a:b:0", header=HASHED), 9, "without a colon"),
    (rows(f"{U} {'a' * 257}:0", header=HASHED), 9, "not 1 to 256"),
    (rows(f"{U} 1"), 9, "no timestamp"),
    (rows(f"{U} 1:"), 9, "the timestamp is not"),
    (rows(f"{U} 1:-2"), 9, "the timestamp is not"),
    (rows(f"{U} 1:1.5"), 9, "the timestamp is not"),
    (rows(f"{U} 1:00"), 9, "the timestamp is not"),
    (rows(f"{U} 1:1406850980000"), 9, "past the year 2100"),
    (rows(f"{U} 1:4133980800"), 9, "past the year 2100"),
    (rows(f"{U}  1:0"), 9, "one space"),
    (rows(f"{U} 1:0 "), 9, "one space"),
    (rows(f"{U}\t1:0"), 9, "not a UUID"),
]


@pytest.mark.parametrize(("text", "line", "reason"), FAULTS)
def test_fault(text: str, line: int, reason: str):
    """Each rule that is broken is told with its line, and without any user id."""
    found = faults(text)
    assert any(at == line and reason in told for at, told in found), found
    assert not any(U in told or V in told for _, told in found)


@pytest.mark.parametrize("audience", [DISPLAY, HASHED_AUDIENCE])
def test_our_own_lines(audience: Audience):
    """What we write has no fault, with remove-alls and users far above a line among it."""
    source = random.Random(11)
    written = [
        (user, segment, source.choice([0, -1, 1406850980]), 1, 1, 0, 0)
        for user in range(1, 13)
        for segment in sorted({0, *source.sample(range(1, 90_000), source.choice([2, 600, 5000]))})
        if segment or user % 3 == 0
    ]
    text = render(audience, latest(audience, frame(audience, written)), "9999999").text
    assert max(map(len, text.splitlines())) > 7_000
    header = Header(
        file_identifier=NAME,
        date_created=1,
        user_namespace=audience.user_namespace,
        user_table_id=audience.user_table_id,
        segment_namespace=audience.segment_namespace,
        mobile=audience.mobile,
        hash_segments=audience.hashed,
    )
    assert faults(header.render() + text) == []


def test_seed_as_printed():
    """Users in the order in which the seed prints them are not sorted, which is our own rule."""
    lines = ROWS.splitlines()
    lines[2], lines[3] = lines[3], lines[2]
    assert [line for line, _ in faults(rows(*lines))] == [12]


def test_one_fault_each():
    """A broken rule does not make others seem broken."""
    single = {
        "Version is 3",
        "ends with CR",
        "no LF",
        "twice in this user",
        "not in lower case",
        "no timestamp",
    }
    alone = [(text, line) for text, line, reason in FAULTS if any(one in reason for one in single)]
    for text, line in alone:
        assert [at for at, _ in faults(text)] == [line]


GZIPS = [
    (b"", 0, "the file is empty"),
    (EXAMPLE.encode(), 0, "not gzip"),
    (gzip.compress(EXAMPLE.encode())[:-9], 13, "cut short"),
    (gzip.compress(EXAMPLE.encode())[:-1], 13, "cut short"),
    (gzip.compress(EXAMPLE.encode()) + gzip.compress(ROWS.encode()), 13, "behind the first gzip member"),
    (gzip.compress(EXAMPLE.encode()) + b"\0", 13, "behind the first gzip member"),
    (gzip.compress(EXAMPLE.encode())[:-8] + b"12345678", 13, "damaged"),
]


@pytest.mark.parametrize(("data", "line", "reason"), GZIPS)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_gzip_fault(data: bytes, line: int, reason: str, size: int):
    """What is not one whole gzip member is told, in whatever pieces it comes; the rows before are checked."""
    (fault,) = check((data[at : at + size] for at in range(0, len(data), size)), NAME)
    assert fault.line <= line
    assert reason in fault.reason


def test_random_bytes():
    """Whatever stands in a file, the checker tells faults and does not fail."""
    source = random.Random(7)
    parts = ["\n", " ", ":", "-1", "0", "9" * 30, U, V, "a", "\r", "\t", "\xff", "1:0", "Mobile: 1\n", "\0"]
    for _ in range(500):
        body = "".join(source.choices(parts, k=source.randrange(40)))
        assert faults(body)
        for head in (HEADER, PARTNER, HASHED):
            faults(head + "\n" + body)


@pytest.mark.parametrize("text", [b"a" * 50_000_000, b"\n" * 500_000, (b"a" * 100 + b":0 ") * 300_000])
def test_memory(text: bytes):
    """Neither a bomb of one line nor one of many takes memory of its size."""
    data = gzip.compress(HEADER.encode() + b"\n" + text, 1)
    tracemalloc.start()
    try:
        assert sum(1 for _ in check([data], NAME)) > 0
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_lines_in_any_pieces():
    """Lines do not depend on the pieces they come in; lengths count the LF."""
    text = b"a\n\nbcd\ne"
    whole = [(line.number, line.text, line.length, line.ended) for line in split([text])]
    assert whole == [(1, b"a", 2, True), (2, b"", 1, True), (3, b"bcd", 4, True), (4, b"e", 1, False)]
    bytewise = split(text[at : at + 1] for at in range(len(text)))
    assert [(line.number, line.text, line.length, line.ended) for line in bytewise] == whole


def test_unpack():
    """The text of one member, whatever pieces it comes in."""
    text = random.Random(3).randbytes(1_000_000)
    data = gzip.compress(text)
    assert b"".join(unpack(data[at : at + 999] for at in range(0, len(data), 999))) == text


def test_read():
    """Header and rows of the example."""
    header, found = read([gzip.compress(EXAMPLE.encode())])
    assert header == Header(
        file_identifier=NAME,
        date_created=1406761200,
        user_namespace="mm",
        segment_namespace="ep",
        mobile=False,
        hash_segments=False,
    )
    assert [tuple(row) for row in found] == [
        (U, False, [("10001", 0), ("10003", 0), ("10005", 1406850980)]),
        (V, False, [("10002", -1)]),
        ("4a5124c5-aab1-3222-1154-a2d7f2a33ef9", True, [("10002", 0)]),
        ("4e2754c5-5562-4601-1742-a9d7e2c3fef9", False, [("10002", 0)]),
        ("7a513b12-ab1b-3fe2-bc54-a5d7f2a33911", True, [("9999999", 0)]),
    ]


def test_read_forgives():
    """A segment without a timestamp, CR, a lost blank line and odd spaces are read (domain.md)."""
    _, found = read([gzip.compress(f"{HEADER}{U}  7 8:x 9:5\r\n\n{V} -1".encode())])
    assert [tuple(row) for row in found] == [
        (U, False, [("7", None), ("8", None), ("9", 5)]),
        (V, True, []),
    ]
    with pytest.raises(BadGzip):
        read([b"no gzip"])


def test_header_renders():
    """A header is read, and written byte for byte as it was; the table id only with a partner's namespace."""
    for text in (HEADER, PARTNER, HASHED):
        assert Header.parse(text.splitlines()).render() == (text + "\n").encode()
