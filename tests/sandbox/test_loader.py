"""The loader applies audience files by the seed's rules, and the independent reader agrees."""

import gzip
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.audience.header import Header
from bridge.audience.lines import render
from bridge.audience.merge import latest
from bridge.audience.names import file_name
from bridge.sandbox.loader import load
from bridge.sandbox.platform import Platform
from bridge.sandbox.rules import Rules
from bridge.sandbox.verdict import Status, Verdict
from tests.parts import oracle
from tests.parts.audiences import DISPLAY, HASHED, frame

NAME = "Agency_Partner_202611010000.log.gz"
NOW = 1_793_491_200
RULES = Rules(account="a")
ANN, BOB = "2c3753c5-9a67-4600-f044-a5d7e0c5f6d7", "3d3353c3-9a67-4651-a443-a6d7e1c4fde8"

SEED = """\
Version: 3
FileIdentifier: ExamplePartner_X_201407302300.log.gz
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


def text(*rows: str, name: str = NAME, end: str = "\n", **fields: str) -> bytes:
    """An audience file before gzip; `fields` replace the header's, an empty one leaves it out."""
    header = {
        "Version": "3",
        "FileIdentifier": name,
        "DateCreated": "1793491200",
        "UserNamespace": "mm",
        "SegmentNamespace": "ep",
        "Mobile": "0",
        "HashSegments": "0",
    } | fields
    lines = [f"{field}: {value}" for field, value in header.items() if value]
    return (end.join([*lines, "", *rows]) + end).encode()


class Site:
    """A platform, and the verdicts on what it was given."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.rules = rules
        self.platform = Platform(rules.placeholder)

    def load(self, content: bytes, name: str = NAME, now: int = NOW) -> Verdict:
        packed = gzip.compress(content, 1)
        return load(self.platform, lambda: [packed], name, now=now, rules=self.rules)

    def rows(self, *rows: str, name: str = NAME, **fields: str) -> Verdict:
        return self.load(text(*rows, name=name, **fields), name)

    def state(self) -> dict[str, dict[str, dict[str, int]]]:
        """By the label of the audience and the user."""
        return {
            one.label: {user: self.platform.memberships(one, user) for user in self.platform.users(one)}
            for one in self.platform.audiences()
            if self.platform.users(one)
        }


def test_the_seeds_example_file():
    """Its five lines do what the seed's explanation says: append, remove, add, replace, remove from all."""
    site = Site()
    old = "7a513b12-ab1b-3fe2-bc54-a5d7f2a33911", "4a5124c5-aab1-3222-1154-a2d7f2a33ef9", BOB
    site.rows(*(f"{user} 10002:5 10009:5" for user in old))
    name = "ExamplePartner_X_201407302300.log.gz"
    verdict = site.load(SEED.encode(), name)
    assert (verdict.status, verdict.lines_accepted, verdict.lines_refused) == (Status.LOADED, 5, 0)
    assert site.state() == {
        "(global)/mm/ep/display": {
            ANN: {"10001": NOW, "10003": NOW, "10005": 1406850980},
            BOB: {"10009": 5},
            "4e2754c5-5562-4601-1742-a9d7e2c3fef9": {"10002": NOW},
            "4a5124c5-aab1-3222-1154-a2d7f2a33ef9": {"10002": NOW},
        }
    }
    assert (verdict.adds, verdict.removals, verdict.remove_alls) == (5, 1, 2)


def test_a_leading_removal_reaches_its_own_audience_alone():
    """Client, namespaces, table, mobile and hashed codes each make an audience of their own."""
    site = Site()
    client = "Agency_Partner_Acme_202611010000.log.gz"
    others = (
        {"name": client},
        {"Mobile": "1"},
        {"HashSegments": "1"},
        {"SegmentNamespace": "zz"},
        {"UserNamespace": "xx", "UserTableId": "7", "SegmentNamespace": ""},
    )
    site.rows(f"{ANN} 1:5")
    for fields in others[:-1]:
        assert site.rows(f"{ANN} 1:5", **fields).status is Status.LOADED
    foreign = text(f"{ANN} 1:5").replace(b"mm\n", b"xx\nUserTableId: 7\n")
    assert site.load(foreign).status is Status.LOADED
    assert len(site.state()) == 6
    site.rows(f"{ANN} -1 9999999:0")
    assert len(site.state()) == 5
    assert "(global)/mm/ep/display" not in site.state()


ADDS = st.tuples(st.integers(1, 4), st.integers(0, 6), st.sampled_from([-1, 0, 5, 1_406_850_980]))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from([DISPLAY, HASHED]), st.lists(ADDS, min_size=1, max_size=12)), max_size=5
    ),
    st.booleans(),
)
def test_what_the_bridge_writes_is_read_as_the_independent_reader_does(tmp_path: Path, deliveries, wide):
    """Files of the bridge's own writer, long users among them: one fold for both, nothing is refused."""
    site = Site()
    paths = []
    for number, (audience, writes) in enumerate(deliveries):
        name = file_name("Agency", "Partner", "", (NOW + 60 * number) * 1000)
        if wide:
            writes.extend((1, segment, 0) for segment in range(10, 800))
        rows = latest(audience, frame(audience, [(*write, 1, 1, 1, at) for at, write in enumerate(writes)]))
        header = Header(
            file_identifier=name,
            date_created=NOW,
            user_namespace=audience.user_namespace,
            user_table_id=audience.user_table_id,
            segment_namespace=audience.segment_namespace,
            mobile=audience.mobile,
            hash_segments=audience.hashed,
        )
        content = header.render() + render(audience, rows, "9999999").text
        paths.append(tmp_path / name)
        paths[-1].write_bytes(gzip.compress(content))
        verdict = site.load(content, name)
        assert (verdict.status, verdict.faults, verdict.warnings) == (Status.LOADED, (), ())
    want: dict = defaultdict(dict)
    for audience, users in oracle.fold(paths).items():
        for user, segments in users.items():
            known = {code: stamp or NOW for code, (stamp,) in segments.items()}
            want[audience.hashed][user] = known
    got = {
        one.hashed: site.state()[one.label] for one in site.platform.audiences() if site.platform.users(one)
    }
    assert got == want


REJECTED = {
    "name": ("not-a-name.gz", text(f"{ANN} 1:0"), "does not read Agency_Partner"),
    "identifier": (NAME, text(f"{ANN} 1:0", FileIdentifier="b"), "line 2: FileIdentifier is not the file's"),
    "version": (NAME, text(f"{ANN} 1:0", Version="2"), "line 1: Version is 3"),
    "mobile": (NAME, text(f"{ANN} 1:0", Mobile="2"), "Mobile is 0 or 1"),
    "missing": (NAME, text(f"{ANN} 1:0", HashSegments=""), "the header has no HashSegments"),
    "blank": (NAME, text(f"{ANN} 1:0").replace(b"\n\n", b"\n"), "no blank line"),
    "namespace": (NAME, text(f"{ANN} 1:0", SegmentNamespace="zz"), "unknown SegmentNamespace zz"),
    "table": (NAME, text("u 1:0").replace(b"mm\n", b"xx\nUserTableId: 9\n"), "unknown UserTableId 9"),
    "no rows": (NAME, text(), "the file has no rows"),
    "all refused": (NAME, text("nobody 1:0"), "every line was refused"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_a_rejected_file_says_why_and_changes_nothing(case: str):
    """Name, header, namespaces and empty files; the platform holds what it held."""
    name, content, reason = REJECTED[case]
    site = Site(Rules(account="a", segment_namespaces=frozenset({"ep"}), table_ids=frozenset({"7"})))
    site.rows(f"{BOB} 7:5")
    before = site.state()
    verdict = site.load(content, name)
    assert verdict.status is Status.REJECTED
    assert reason in verdict.reason
    assert site.state() == before


@pytest.mark.parametrize("cut", [0, 5, -1, -200])
def test_a_damaged_file_is_rejected_whole(cut: int):
    """Cut anywhere, nothing of it counts, not even the rows before the damage."""
    site = Site()
    packed = gzip.compress(text(*(f"{ANN} {code}:0" for code in range(1, 3000))))[: cut or 0]
    verdict = load(site.platform, lambda: [packed], NAME, now=NOW, rules=RULES)
    assert verdict.status is Status.REJECTED
    assert "gzip" in verdict.reason
    assert site.state() == {}


LINES = {
    "nobody 1:0": "not a UUID",
    "00000000-0000-0000-0000-000000000000 1:0": "all zeros",
    f"{BOB}": "no segment",
    f"{BOB} -1": "nothing follows -1",
    f"{BOB} 1:0 -1": "only right behind the user id",
    f"{BOB} x:0": "not a number from 1",
    f"{BOB} 2147483648:0": "not a number from 1",
    f"{BOB} 1:1793491200000": "past the year 2100",
    f"{BOB} 1:-2": "not 0, -1 or epoch seconds",
    f"{BOB} 1:0\r": "ends with CR",
    f"{BOB} é:0": "not ASCII",
    f"{BOB} " + " ".join(f"{code}:0" for code in range(100_000, 101_000)): "fewer than 8000",
}


@pytest.mark.parametrize("line", LINES, ids=list(LINES.values()))
def test_a_bad_line_is_refused_alone(line: str):
    """Its number and reason are told, without the user's id; the lines around it count."""
    site = Site()
    verdict = site.rows(f"{ANN} 1:5", line, f"{ANN} 2:5")
    assert (verdict.status, verdict.lines_accepted, verdict.lines_refused) == (Status.LOADED, 2, 1)
    (fault,) = verdict.faults
    assert fault.line == 10
    assert LINES[line] in fault.reason
    assert BOB not in fault.reason
    assert site.state() == {"(global)/mm/ep/display": {ANN: {"1": 5, "2": 5}}}


def test_faults_are_counted_all_and_told_few():
    """Of 50 refused lines the first ten are told."""
    verdict = Site().rows(f"{ANN} 1:0", *["nobody 1:0"] * 50)
    assert verdict.lines_refused == 50
    assert [fault.line for fault in verdict.faults] == list(range(10, 20))


def test_what_is_tolerated():
    """Ids in upper case are the same user, a code without a timestamp is now, the last of two holds."""
    site = Site()
    verdict = site.rows(f"{ANN.upper()} 1 2:5 2:6 3:-1", f"{BOB} -1 4:-1 5:7")
    assert (verdict.lines_refused, verdict.without_timestamp) == (0, 1)
    assert "without a timestamp" in verdict.warnings[0]
    assert site.state() == {"(global)/mm/ep/display": {ANN: {"1": NOW, "2": 6}, BOB: {"5": 7}}}


def test_a_user_on_needless_lines_is_warned_of():
    """A user twice is inefficient, wherever the lines stand; a user too long for one line is not."""
    site = Site()
    long = [f"{code}:0" for code in range(10_000, 11_000)]
    halves = [f"{BOB} {' '.join(long[:600])}", f"{BOB} {' '.join(long[600:])}"]
    verdict = site.rows(f"{ANN} 1:0", *halves, f"{ANN} 2:0")
    assert (verdict.users, verdict.split_users, verdict.inefficiency) == (2, 1, 0.5)
    assert verdict.warnings == ("1 of 2 users stand on more lines than needed; combine them",)
