"""The judge itself: what it lets pass, what it refuses, and how it folds."""

import gzip
from pathlib import Path

import pytest

from tests.parts.oracle import Audience, FaultError, fold, last_write_wins, read, same

NAME = "ExamplePartner_201407302300.log.gz"
HEADER = (
    f"Version: 3\nFileIdentifier: {NAME}\nDateCreated: 1406761200\nUserNamespace: mm\n"
    "SegmentNamespace: ep\nMobile: 0\nHashSegments: 0\n\n"
)
ADDED, REMOVED, ONE, REPLACED, EMPTIED = (
    "2c3753c5-9a67-4600-f044-a5d7e0c5f6d7",
    "3d3353c3-9a67-4651-a443-a6d7e1c4fde8",
    "4e2754c5-5562-4601-1742-a9d7e2c3fef9",
    "4a5124c5-aab1-3222-1154-a2d7f2a33ef9",
    "7a513b12-ab1b-3fe2-bc54-a5d7f2a33911",
)
# The seed's rows; sorted by user, the fourth comes before the third.
ROWS = (
    f"{ADDED} 10001:0 10003:0 10005:1406850980\n{REMOVED} 10002:-1\n"
    f"{REPLACED} -1 10002:0\n{ONE} 10002:0\n{EMPTIED} -1 9999999:0\n"
)
EXAMPLE = Audience(
    client=None, user_namespace="mm", user_table_id=None, segment_namespace="ep", mobile=False, hashed=False
)
FULL = " ".join([ADDED, *(f"{segment}:0" for segment in range(100_001, 100_885))])  # 7,992 characters


def written(folder: Path, rows: str = ROWS, header: str = HEADER, name: str = NAME) -> Path:
    path = folder / name
    path.write_bytes(_gzip((header + rows).encode()))
    return path


def _gzip(text: bytes) -> bytes:
    return gzip.compress(text, mtime=0)


def event(
    user: str, at: int, *elements: tuple[int, int], offset: int = 0, **more: object
) -> dict[str, object]:
    segments = [{"segment_id": segment, "timestamp": timestamp} for segment, timestamp in elements]
    place = {"topic": "t", "partition": 0, "offset": offset}
    return {"user_id": user, "segments": segments, "event_time": at} | place | more


def test_the_seeds_example_folds_to_what_its_explanation_says(tmp_path: Path) -> None:
    """Rows 1, 3 and 4 of the explanation add, 2 and 5 leave nothing."""
    assert fold([written(tmp_path)]) == {
        EXAMPLE: {
            ADDED: {"10001": (0,), "10003": (0,), "10005": (1406850980,)},
            REPLACED: {"10002": (0,)},
            ONE: {"10002": (0,)},
        }
    }


def test_a_later_file_removes_what_an_earlier_one_added(tmp_path: Path) -> None:
    """-1 on a segment removes it, a leading -1 everything, and files count in the order given."""
    first = read(written(tmp_path))
    second = read(written(tmp_path, f"{ADDED} 10001:-1 10004:5\n{REPLACED} -1 10007:0\n{ONE} -1 9999999:0\n"))
    assert fold([first, second])[EXAMPLE] == {
        ADDED: {"10003": (0,), "10004": (5,), "10005": (1406850980,)},
        REPLACED: {"10007": (0,)},
    }
    assert fold([second, first])[EXAMPLE][REPLACED] == {"10002": (0,)}


def test_name_and_header_tell_the_audience(tmp_path: Path) -> None:
    """A client stands in the name; table id, mobile and hash in the header."""
    name = "Agency_Partner_Acme_201407302300.log.gz"
    header = (
        f"Version: 3\nFileIdentifier: {name}\nDateCreated: 1406761200\nUserNamespace: xx\nUserTableId: 77\n"
        "SegmentNamespace: ep\nMobile: 0\nHashSegments: 1\n\n"
    )
    path = written(tmp_path, "B/1 a-b:0\na/1 10001:-1 x:0\n", header, name)
    assert read(path).audience == Audience(
        client="Acme",
        user_namespace="xx",
        user_table_id="77",
        segment_namespace="ep",
        mobile=False,
        hashed=True,
    )


def test_a_user_may_go_on_in_a_further_line_only_when_the_line_is_full(tmp_path: Path) -> None:
    """A split that the next segment needs is read as one user; any other is a fault."""
    assert len(f"{FULL}\n") <= 7_999 < len(f"{FULL} 100885:0\n")
    split = read(written(tmp_path, f"{FULL}\n{ADDED} 100885:0\n"))
    assert len(fold([split])[EXAMPLE][ADDED]) == 885
    with pytest.raises(FaultError, match="a needless split"):
        read(written(tmp_path, f"{FULL.removesuffix(' 100884:0')}\n{ADDED} 100884:0\n"))
    with pytest.raises(FaultError, match="-1 on a further line"):
        read(written(tmp_path, f"{FULL}\n{ADDED} -1 100885:0\n"))
    with pytest.raises(FaultError, match="8002 characters"):
        read(written(tmp_path, f"{FULL} 100885:0\n"))


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (f"{ADDED} 10001:0", "does not end with LF"),
        (f"{ADDED} 10001:0\r\n", "not printable"),
        ("", "no rows"),
        (f"{ADDED}\n", "no segment"),
        (f"{ADDED} -1\n", "no segment"),
        (f"{ADDED}  10001:0\n", "not a segment"),
        (f"{ADDED} 10001\n", "not a timestamp"),
        (f"{ADDED} 10001:-2\n", "not a timestamp"),
        (f"{ADDED} 0:0\n", "not a segment"),
        (f"{ADDED} 2147483648:0\n", "not a segment"),
        (f"{ADDED} 10003:0 10001:0\n", "out of order"),
        (f"{ADDED} 10001:0 10001:-1\n", "out of order"),
        (f"{ADDED} 10001:0 -1\n", "not a segment"),
        (f"{ADDED} -1 10001:-1\n", "a removal after"),
        (f"{ADDED} 9999999:0\n", "a placeholder"),
        (f"{ADDED} -1 10001:0 9999999:0\n", "a placeholder"),
        (f"{ADDED.upper()} 10001:0\n", "not a user id"),
        ("00000000-0000-0000-0000-000000000000 10001:0\n", "nobody"),
        (f"{REMOVED} 10001:0\n{ADDED} 10001:0\n", "not sorted"),
        (f"{ADDED} 10001:0\n{REMOVED} 10001:0\n{ADDED} 10002:0\n", "not sorted"),
        (f"\n{ADDED} 10001:0\n", "not a user id"),
    ],
)
def test_a_row_that_breaks_a_rule_is_a_fault(tmp_path: Path, rows: str, reason: str) -> None:
    """Each rule of a row has a row that breaks it alone."""
    with pytest.raises(FaultError, match=reason):
        read(written(tmp_path, rows))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("Version: 3\n", "", "header fields"),
        ("Version: 3", "Version: 2", "Version"),
        ("Partner_2014", "Partner_2015", "FileIdentifier"),
        ("DateCreated: 1406761200", "DateCreated: today", "DateCreated"),
        ("UserNamespace: mm", "UserNamespace: xx", "header fields"),
        ("SegmentNamespace", "UserTableId: 7\nSegmentNamespace", "header fields"),
        ("Mobile: 0\nHashSegments: 0", "HashSegments: 0\nMobile: 0", "header fields"),
        ("Mobile: 0", "Mobile: 2", "a flag"),
        ("ep\n", "\n", "without a value"),
        ("0\n\n", "0\n", "header fields"),
    ],
)
def test_a_header_that_breaks_a_rule_is_a_fault(tmp_path: Path, old: str, new: str, reason: str) -> None:
    """Each rule of the header has a header that breaks it alone."""
    with pytest.raises(FaultError, match=reason):
        read(written(tmp_path, header=HEADER.replace(old, new)))


def test_a_gzip_member_stands_alone_whole_and_without_a_name(tmp_path: Path) -> None:
    """A name in gzip's header, a cut member, a second one and plain text are faults."""
    whole = _gzip((HEADER + ROWS).encode())
    with gzip.open(tmp_path / "named.gz", "wb") as file:
        file.write((HEADER + ROWS).encode())
    named = (tmp_path / "named.gz").read_bytes()
    for data, reason in [
        (named, "file name"),
        (whole[:-1], "cut short"),
        (whole + _gzip(b""), "something follows"),
        (b"Version: 3", "no gzip"),
    ]:
        (tmp_path / NAME).write_bytes(data)
        with pytest.raises(FaultError, match=reason):
            read(tmp_path / NAME)


def test_the_newest_event_wins_whatever_the_order_of_arrival() -> None:
    """Event time first, then topic, partition and offset, decide."""
    late = [event(ADDED, 2000, (1, 0), offset=0), event(ADDED, 1000, (1, -1), (2, 7), offset=1)]
    assert last_write_wins(late) == {EXAMPLE: {ADDED: {"1": (0, 2), "2": (7,)}}}
    tie = [event(ADDED, 1000, (1, 5), offset=1), event(ADDED, 1000, (1, -1), offset=0)]
    assert last_write_wins(tie) == {EXAMPLE: {ADDED: {"1": (5,)}}}


def test_within_an_event_everything_goes_first_and_the_last_element_of_a_segment_counts() -> None:
    """remove_all acts before the event's own segments; [7:-1, 7:9] adds 7."""
    events = [
        event(ADDED, 1000, (1, 5)),
        event(ADDED, 2000, (7, -1), (7, 9), (8, 9), (8, -1), remove_all=True, offset=1),
    ]
    assert last_write_wins(events) == {EXAMPLE: {ADDED: {"7": (9,)}}}


def test_a_remove_all_reaches_its_own_audience_alone() -> None:
    """Another client, namespace or kind of device keeps its segments; ids are the same in any case."""
    events = [
        event(ADDED, 1000, (1, 5), client="Acme"),
        event(ADDED, 1000, (1, 5), mobile=True, offset=1),
        event(ADDED, 1000, (1, 5), user_namespace="xx", offset=2),
        event(ADDED, 1000, (1, 5), offset=3),
        event(ADDED.upper(), 2000, remove_all=True, offset=4),
    ]
    state = last_write_wins(events, table_ids={"xx": "77"})
    assert {(key.client, key.mobile, key.user_table_id) for key in state} == {
        ("Acme", False, None),
        (None, True, None),
        (None, False, "77"),
    }


def test_now_may_be_sent_again_as_the_events_time(tmp_path: Path) -> None:
    """A 0 at 2,000 ms equals 0 and 2 in a file, nothing else; other times equal themselves."""
    want = last_write_wins([event(ADDED, 2000, (1, 0), (2, 9))])
    for rows, differences in [("1:0 2:9", 0), ("1:2 2:9", 0), ("1:3 2:9", 1), ("1:0 2:0", 1), ("1:0", 1)]:
        assert len(same(fold([written(tmp_path, f"{ADDED} {rows}\n")]), want)) == differences


def test_what_one_side_lacks_is_a_difference_and_the_list_stays_short(tmp_path: Path) -> None:
    """Missing and needless memberships are both told; of many, the first and how many more."""
    have = fold([written(tmp_path)])
    assert same(have, have) == []
    assert len(same(have, {})) == len(same({}, have)) == 5
    assert same({}, have, most=2)[2] == "and 3 more"
    assert "10005" in same({}, have)[2]
