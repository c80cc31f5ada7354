"""When the processing log is asked, from where on, and what it means: over logs of any order and paging."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.clock import DAY, HOUR, MINUTE, SECOND
from bridge.config import ProcessingLogSettings
from bridge.deliver.confirming import (
    LOST,
    SOON,
    WHOLE,
    Confirm,
    Looks,
    Overdue,
    Reject,
    after,
    decide,
    due_at,
    start,
)
from bridge.deliver.file_state import FileState
from bridge.deliver.records import FileRecord, Progress
from bridge.platform.processing_log import Reading, newest, read
from tests.parts.audiences import DISPLAY

NOW = 1_793_534_400_000
POLL = 5 * MINUTE
SETTINGS = ProcessingLogSettings()


def file(name: str = "a", uploaded_at: int = NOW, state: FileState = FileState.UPLOADED) -> FileRecord:
    progress = Progress(start="", stop=None, run=1, newest_event_time=None, removals_only=False)
    return FileRecord(
        name=name,
        audience=DISPLAY,
        state=state,
        path="",
        bytes=1,
        lines=1,
        memberships=1,
        sha256="",
        created_at=uploaded_at,
        uploaded_at=uploaded_at,
        detail="",
        progress=progress,
    )


def entry(status: str, name: str = "a", **more: object) -> dict:
    return {"file": name, "status": status} | more


def decided(*records: dict, of: FileRecord, now: int = NOW) -> list:
    found = Reading(names=lambda: {of.name}, end=0)
    pages = [{"data": list(records)}, {"data": []}]
    read(lambda _: pages.pop(0), SETTINGS, found)
    return list(decide([of], newest(one for _, one in found.entries), 6 * HOUR, now))


@pytest.mark.failure(63)
def test_what_the_log_says_becomes_a_decision():
    """Loaded confirms, rejected rejects, all else is nothing until the file is overdue."""
    assert [type(one) for one in decided(entry("loaded"), of=file())] == [Confirm]
    assert [type(one) for one in decided(entry("rejected"), of=file())] == [Reject]
    for records in (
        [],
        [entry("received")],
        [entry("done")],
        [entry("loaded", "A")],
        [entry("loaded", "a.part")],
    ):
        assert decided(*records, of=file(), now=NOW + 6 * HOUR - 1) == []
    late = NOW + 6 * HOUR
    assert decided(of=file(), now=late) == [Overdue(file=file(), said="")]
    assert decided(entry("received"), of=file(), now=late) == [Overdue(file=file(), said="received")]
    assert [type(one) for one in decided(entry("loaded"), of=file(), now=late)] == [Confirm]


@pytest.mark.failure(62)
def test_a_rejected_file_may_be_processed_after_all():
    """It is neither rejected again nor overdue, but confirmed when the log says so."""
    rejected = file(state=FileState.REJECTED)
    assert decided(entry("rejected"), of=rejected, now=NOW + DAY) == []
    assert decided(of=rejected, now=NOW + DAY) == []
    assert [type(one) for one in decided(entry("rejected"), entry("loaded"), of=rejected)] == [Confirm]


def test_a_confirmed_file_may_be_rejected_after_all():
    """The log's newest word counts, either way round; one that is no newer than what is noted does not."""
    confirmed = replace(file(state=FileState.CONFIRMED), processed_at=NOW)
    assert decided(entry("loaded", processed_at=NOW + 1), of=confirmed, now=NOW + DAY) == []
    assert decided(entry("received"), of=confirmed, now=NOW + DAY) == []
    for at, kinds in ((NOW - SECOND, []), (NOW, []), (NOW + SECOND, [Reject]), (None, [Reject])):
        record = entry("rejected", processed_at=at)
        assert [type(one) for one in decided(record, of=confirmed)] == kinds
    rejected = replace(confirmed, state=FileState.REJECTED)
    assert decided(entry("loaded", processed_at=NOW - SECOND), of=rejected) == []
    assert [type(one) for one in decided(entry("loaded", processed_at=NOW + 1), of=rejected)] == [Confirm]


@pytest.mark.failure(63)
def test_a_file_that_is_sent_again_is_not_overdue():
    """Nobody has to do anything about it any more; the log's word on it counts all the same."""
    asked = replace(file(), resend_asked_at=NOW + 1)
    assert decided(of=asked, now=NOW + 6 * HOUR) == []
    assert [type(one) for one in decided(entry("loaded"), of=asked)] == [Confirm]
    looks = after(Looks(), Reading(names=lambda: {"a"}, end=0), [asked], 0, NOW + DAY)
    assert not looks.lost


@pytest.mark.parametrize("state", [FileState.UPLOADED, FileState.CONFIRMED, FileState.REJECTED])
def test_what_was_said_before_holds_no_reading_back(state):
    """A log that keeps a file's older entries is read on behind them, once it has said the end."""
    found = Reading(names=lambda: {"a", "b"}, end=0)
    pages = [{"data": [entry("received"), entry("loaded"), entry("received", "b")]}, {"data": []}]
    read(lambda _: pages.pop(0), SETTINGS, found)
    assert after(Looks(), found, [file(state=state), file("b")], 0, NOW).resume == 2
    late = file("b", state=FileState.CONFIRMED)
    assert after(Looks(), found, [file(state=state), late], 0, NOW).resume == 2


def test_a_file_that_the_log_knows_before_its_upload_is_noted_is_read_again():
    """The platform may be through with it before the server's last answer has come to us."""
    found = Reading(names=lambda: {"a", "b"}, end=0)
    pages = [{"data": [entry("loaded"), entry("loaded", "b")]}, {"data": []}]
    read(lambda _: pages.pop(0), SETTINGS, found)
    assert after(Looks(), found, [file()], 0, NOW).resume == 1
    assert after(Looks(), found, [file(), file("b")], 0, NOW).resume == 1


def test_nothing_to_ask_is_no_call():
    """Whatever happened before."""
    assert due_at(Looks(last_at=NOW - DAY, failed=True), [], POLL, NOW) is None


def test_it_is_asked_soon_after_an_upload_and_then_now_and_then():
    """The first time at once; then `poll` after the last look, or `SOON` after an upload that came since."""
    assert due_at(Looks(), [file()], POLL, NOW) == NOW
    looks = Looks(last_at=NOW)
    assert due_at(looks, [file(uploaded_at=NOW - 1)], POLL, NOW) == NOW + POLL
    assert due_at(looks, [file(uploaded_at=NOW + 1)], POLL, NOW + 1) == NOW + 1 + SOON
    assert due_at(looks, [file(uploaded_at=NOW + POLL - 1)], POLL, NOW) == NOW + POLL
    assert due_at(looks, [file(uploaded_at=NOW + 1)], SECOND, NOW) == NOW + SECOND
    assert due_at(Looks(last_at=NOW + HOUR), [file()], POLL, NOW) == NOW  # the clock was set back


@pytest.mark.failure(64)
def test_a_log_that_fails_is_left_alone_for_a_while():
    """No upload makes it be asked sooner, and what it asked for itself is obeyed."""
    looks = Looks(last_at=NOW, failed=True)
    assert due_at(looks, [file(uploaded_at=NOW + 1)], POLL, NOW + 1) == NOW + POLL
    looks = replace(looks, not_before=NOW + HOUR)
    assert due_at(looks, [file()], POLL, NOW) == NOW + HOUR


class Log:
    """A log of many files: pages of some size, one order or the other, entries that change in their place."""

    def __init__(self, size: int, *, newest_first: bool) -> None:
        self._size = size
        self._newest_first = newest_first
        self.entries: dict[str, str] = {}
        self.asked = 0

    def page(self, offset: int) -> dict:
        self.asked += 1
        listed = list(self.entries.items())
        if self._newest_first:
            listed.reverse()
        page = listed[offset : offset + self._size]
        return {"data": [{"file": name, "status": status} for name, status in page]}


@pytest.mark.failure(63)
@given(st.integers(1, 7), st.booleans(), st.integers(0, 2**32), st.integers(0, 40))
def test_every_file_is_found_in_the_end(size, newest_first, seed, others):
    """Whatever order the log has, whenever its entries come and change, and however often it was asked."""
    luck = random.Random(seed)
    log = Log(size, newest_first=newest_first)
    log.entries = {f"old-{number}": luck.choice(["loaded", "received"]) for number in range(others)}
    looks, now, waiting = Looks(), NOW, {}
    for number in range(30):
        if luck.random() < 0.4:
            name = f"file-{number}"
            waiting[name] = file(name, now)
            if luck.random() < 0.8:
                log.entries[name] = "received"
        for name in waiting:
            if name in log.entries and luck.random() < 0.3:
                log.entries[name] = "loaded"
        looks = _look(log, looks, waiting, now)
        now += luck.choice([SECOND, POLL, LOST])
    log.entries |= dict.fromkeys(waiting, "loaded")
    for _ in range(2):
        now += max(WHOLE, LOST)
        looks = _look(log, looks, waiting, now)
    assert waiting == {}


def _look(log: Log, looks: Looks, waiting: dict[str, FileRecord], now: int) -> Looks:
    begun, files = start(looks, now), list(waiting.values())
    found = Reading(names=waiting.keys, end=begun)
    read(log.page, SETTINGS, found)
    for decision in decide(files, newest(one for _, one in found.entries), 6 * HOUR, now):
        if isinstance(decision, Confirm):
            del waiting[decision.file.name]
    return after(looks, found, files, begun, now)


def test_years_are_read_once():
    """A look reads two pages behind what is settled; a file that is nowhere costs one whole read an hour."""
    log = Log(100, newest_first=False)
    log.entries = {f"old-{number}": "loaded" for number in range(2_000)}
    looks, waiting, now = Looks(), {"a": file()}, NOW
    looks = _look(log, looks, waiting, now)
    assert log.asked == 21
    for _ in range(6 * 12):
        now += POLL
        looks = _look(log, looks, waiting, now)
    assert log.asked <= 21 + 2 * 6 * 12 + 6 * 21


@pytest.mark.parametrize("status", ["received", "odd"])
def test_a_file_that_waits_is_looked_at_again_where_it_stands(status):
    """Reading goes on at the first of our files whose end is not known, not before it and not behind it."""
    log = Log(2, newest_first=False)
    log.entries = {"x": "received", "y": "loaded", "a": status, "z": "loaded"}
    looks = _look(log, Looks(), {"a": file()}, NOW)
    assert looks.resume == 2
    looks = _look(log, looks, {}, NOW)
    assert looks.resume == 3
