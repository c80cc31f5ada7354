"""The demo as its user runs it, and the fold that judges it."""

import gzip
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bridge.cli.demo_report import report
from bridge.clock import DAY, HOUR
from bridge.demo import fold
from bridge.demo.accelerated import AcceleratedClock
from bridge.demo.avro import schema_text
from bridge.demo.events import REFUSED, Event, make
from bridge.demo.outcome import Outcome

ROOT = Path(__file__).parents[2]
START = 1_793_491_500_000
HEADER = "Version: 3\nFileIdentifier: {name}\nDateCreated: 1793491500\nUserNamespace: mm\n"
HEADER += "SegmentNamespace: ep\nMobile: {mobile}\nHashSegments: 0\n\n"
ANN, BOB = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"


def begin(*arguments: str, code: tuple[str, str] = ("-m", "bridge"), **environ: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *code, "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONWARNINGS": "default"} | environ,
    )


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=150)
    finally:
        process.kill()
    return process.returncode, out, err


def test_the_whole_way(tmp_path):
    """Files come of events within the quota, and say what the events say; all is where it was asked for."""
    place = tmp_path / "demo"
    code, out, err = finish(begin("--events", "2000", "--seed", "7", "--directory", str(place)))
    assert (code, err) == (0, "")
    assert re.search(r"folded files equal folded events: [0-9,]+ memberships of [0-9,]+ users", out)
    assert "All is as it should be." in out
    assert "the server counted at most 4 files in any hour; it takes 4" in out
    assert "no slot left" in out
    assert all(f"{reason} 1" in out for reason in REFUSED)
    files = sorted(path.name for path in (place / "server").iterdir())
    assert len(files) >= 6
    assert all(re.search(rf"^{re.escape(name)} ", out, re.MULTILINE) for name in files)
    log = [json.loads(line) for line in (place / "bridge.log").read_text().splitlines()]
    assert sum(line["action"] == "file_uploaded" for line in log) == len(files)
    status = subprocess.run(
        [sys.executable, "-m", "bridge", "status", "--json", "--config", str(place / "bridge.yaml")],
        capture_output=True,
        check=True,
        cwd=ROOT,
    )
    assert sorted(file["name"] for file in json.loads(status.stdout)["files"]) == files


def test_stopped_it_leaves_nothing_behind(tmp_path):
    """SIGINT ends it in order, without a verdict, and its temporary directory is gone."""
    process = begin(TMPDIR=str(tmp_path))
    for line in process.stdout:
        if "joins its consumer group" in line:
            break
    assert len(list(tmp_path.glob("s2s-bridge-demo-*"))) == 1
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert (code, err) == (130, "")
    assert "nothing to compare" in out
    assert list(tmp_path.glob("s2s-bridge-demo-*")) == []


def test_a_directory_in_use_is_refused(tmp_path):
    """What lies there already is not touched: one line, exit 2."""
    (tmp_path / "mine").write_text("mine")
    code, out, err = finish(begin("--directory", str(tmp_path)))
    assert (code, out) == (2, "")
    assert err == f"s2s-bridge: --directory {tmp_path} is not empty: name one that is empty or new\n"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_without_the_extra_it_says_what_to_install(tmp_path):
    """No asyncssh: one line that names the extra, exit 2, and no directory is made."""
    code = "import sys; sys.modules['asyncssh'] = None; import bridge.cli; sys.exit(bridge.cli.main())"
    status, out, err = finish(begin("--directory", str(tmp_path / "new"), code=("-c", code)))
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "pip install 's2s-bridge[demo]'" in err
    assert not (tmp_path / "new").exists()


def test_events_follow_from_the_seed():
    """The same seed gives the same events, another seed others; every reason is among them."""
    events = make(500, 3, start=START, span=HOUR)
    assert events == make(500, 3, start=START, span=HOUR)
    assert events != make(500, 4, start=START, span=HOUR)
    assert len(events) == 500
    assert {event.refused for event in events} == {"", *REFUSED}
    assert all(START <= event.sent_at <= START + HOUR for event in events)


def audience_file(
    directory: Path, stamp: int, rows: str, client: str = "", mobile: int = 0
) -> fold.AudienceText:
    series = f"Demo_EP_{client}" if client else "Demo_EP"
    path = directory / f"{series}_{stamp}.log.gz"
    path.write_bytes(gzip.compress((HEADER.format(name=path.name, mobile=mobile) + rows).encode()))
    return fold.read(path)


def event(
    user: str, at: int, *segments: tuple[int, int], remove_all: bool = False, client: str = ""
) -> Event:
    return Event(
        client=client,
        user_id=user,
        mobile=False,
        remove_all=remove_all,
        segments=segments,
        event_time=START + at,
        sent_at=START,
    )


EVENTS = [
    event(BOB.upper(), 5_000, (1003, 0)),
    event(ANN, 1_000, (1001, 0), (1002, 1_790_000_000)),
    event(BOB, 2_000, (1001, 0)),
    event(ANN, 3_000, (1001, -1)),
    event(BOB, 4_000, (1002, 0), remove_all=True),
    event(BOB, 6_000, (1001, 0), client="Acme"),
    event(BOB, 7_000, remove_all=True, client="Acme"),
]


def loaded(directory: Path, last: str) -> fold.Loaded:
    """Of files that say what EVENTS say, if the last row of the last global one does."""
    texts = [
        audience_file(directory, 202611010002, f"{ANN} 1001:-1\n{last}\n"),
        audience_file(directory, 202611010001, f"{ANN} 1001:0 1002:1790000000\n{BOB} 1001:0\n"),
        audience_file(directory, 202611010001, f"{BOB} 1001:0\n", "Acme"),
        audience_file(directory, 202611010002, f"{BOB} -1 9999999:0\n", "Acme"),
    ]
    return fold.of_files(directory / text.name for text in texts)


def test_equal_states_have_no_differences(tmp_path):
    """Files count in the order of their stamps; a 0 that is said again may stand as the time of its event."""
    right = fold.of_events(EVENTS)
    again = START // 1000 + 4
    assert right == {
        ("", False, ANN, 1002): (1_790_000_000,),
        ("", False, BOB, 1002): (0, again),
        ("", False, BOB, 1003): (0, again + 1),
    }
    for last in (f"{BOB} -1 1002:0 1003:0", f"{BOB} -1 1002:{again} 1003:0"):
        files = loaded(tmp_path, last)
        assert list(fold.differences(files.held, right)) == []
        assert files.faults == ()


@pytest.mark.parametrize(
    ("last", "differences"),
    [
        (f"{BOB} -1 1002:0", [f"global display {BOB} 1003: files nothing, events 0 or {START // 1000 + 5}"]),
        (f"{BOB} 1002:0 1003:0", [f"global display {BOB} 1001: files 0, events nothing"]),
        (f"{BOB} -1 1002:7 1003:0", [f"global display {BOB} 1002: files 7, events 0 or {START // 1000 + 4}"]),
    ],
)
def test_a_tampered_file_is_told(tmp_path, last, differences):
    """A membership too few, one too many, and a wrong timestamp are each one difference."""
    found = loaded(tmp_path, last).held
    assert list(fold.differences(found, fold.of_events(EVENTS))) == differences


def test_what_the_platform_does_not_take_is_told(tmp_path):
    """A refused line, a needless one and a rejected file are each a fault of the demo."""
    audience_file(tmp_path, 202611010001, f"{ANN} 1001:0\n{ANN} 1002:0\nnobody 1:0\n")
    audience_file(tmp_path, 202611010002, "", mobile=2)
    refused, warned, rejected = fold.of_files(tmp_path.iterdir()).faults
    assert refused.startswith("Demo_EP_202611010001.log.gz: line 11: the user id is not a UUID")
    assert "1 of 1 users stand on more lines than needed" in warned
    assert rejected == "Demo_EP_202611010002.log.gz: line 6: Mobile is 0 or 1"


def test_what_is_wrong_is_said(tmp_path):
    """A difference, a fault, a violation and a refusal too many each make the demo fail, and are printed."""
    good = Outcome(
        files=(),
        memberships=3,
        users=2,
        differences=(),
        faults=(),
        refused={"undecodable": 1},
        meant_refused={"undecodable": 1},
        busiest_hour=4,
        slots=4,
        violations=(),
    )
    assert good.good
    for wrong in (
        {"differences": ("one too many",)},
        {"faults": ("F:9: not sorted",)},
        {"violations": ("a fifth file",)},
        {"refused": {"undecodable": 2}},
    ):
        outcome, out = replace(good, **wrong), io.StringIO()
        report(Console(file=out, width=100), outcome, tmp_path)
        assert not outcome.good
        assert out.getvalue().count("✗") == 1
        assert "Something is wrong" in out.getvalue()
        assert all(text in out.getvalue() for text in next(iter(wrong.values())) if isinstance(text, str))


def test_a_file_knows_what_is_in_it(tmp_path):
    """Client of the name, inventory of the header; the placeholder is no membership."""
    text = audience_file(tmp_path, 202611010001, f"{ANN} -1 9999999:0\n{BOB} -1 1001:0 1002:5\n", "Acme", 1)
    assert (text.client, text.mobile, len(text.rows), text.memberships) == ("Acme", True, 2, 2)
    assert not audience_file(tmp_path, 202611010001, f"{ANN} 1001:0\n").mobile


def test_the_clock_hurries_when_told():
    """Before it is told, a day does not pass; after, it does; a signal ends any wait."""
    clock, signal_ = AcceleratedClock(start=START, factor=10_000_000), threading.Event()
    assert clock.now() < START + DAY
    clock.hurry()
    assert not clock.wait(signal_, DAY)
    assert clock.now() >= START + DAY
    signal_.set()
    assert clock.wait(signal_, 1_000_000 * DAY)


def test_both_schemas_are_found():
    """The published schemas are at hand, wherever the package lies."""
    names = [json.loads(schema_text(hashed=hashed))["name"] for hashed in (False, True)]
    assert names == ["SegmentMembership", "HashedSegmentMembership"]
