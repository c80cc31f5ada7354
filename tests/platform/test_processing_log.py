"""Entries of the processing log, read by the configured fields, whatever the log holds."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.clock import SECOND
from bridge.config import ProcessingLogSettings
from bridge.platform import processing_log as module
from bridge.platform.processing_log import MOST_PAGES, NoPage, Reading, Status, newest, read

SETTINGS = ProcessingLogSettings()
NOON = 1_793_534_400_000
OURS = frozenset({"a", "b"})


def reading(*pages: list, settings: ProcessingLogSettings = SETTINGS, start: int = 0) -> Reading:
    """What is read of pages that lie one behind the other from `start` on."""
    places, at = {}, start
    for page in pages:
        places[at] = page
        at += len(page)
    found = Reading(names=lambda: OURS, end=start)
    read(lambda offset: {"data": places.get(offset, [])}, settings, found)
    return found


def one(record: object, settings: ProcessingLogSettings = SETTINGS) -> module.Entry:
    ((_, entry),) = reading([record], settings=settings).entries
    return entry


def test_an_entry_of_the_sandbox_is_read_whole():
    """As docs/sandbox.md shows it; times, counts and reason."""
    record = {
        "file": "a",
        "status": "rejected",
        "received_at": "2026-11-01T11:59:00Z",
        "processed_at": "2026-11-01T12:00:00Z",
        "bytes": 7,
        "lines_accepted": 0,
        "lines_refused": 3,
        "reason": "not gzip",
        "errors": [],
    }
    assert one(record) == module.Entry(
        file="a",
        status=Status.REJECTED,
        said="rejected",
        known=True,
        processed_at=NOON,
        lines_accepted=0,
        lines_refused=3,
        reason="not gzip",
    )


def test_other_fields_and_words_are_settings():
    """A dot leads into an object; statuses are the configured words, numbers too."""
    settings = ProcessingLogSettings.model_validate(
        {
            "records": "result.jobs",
            "fields": {"file": "job.name", "status": "job.state.code", "lines_accepted": "ok"},
            "confirmed": ["2"],
        }
    )
    found = Reading(names=lambda: OURS, end=0)
    pages = [
        {"result": {"jobs": [{"job": {"name": "/in/a", "state": {"code": 2}}, "ok": 5}]}},
        {"result": {"jobs": []}},
    ]
    read(lambda _: pages.pop(0), settings, found)
    ((_, entry),) = found.entries
    assert (entry.file, entry.status, entry.lines_accepted) == ("a", Status.CONFIRMED, 5)


@pytest.mark.parametrize("status", ["", "Loaded", "loaded ", "done", "success", 0, True])
def test_an_unknown_status_is_never_success(status):
    """It is pending, and told by its printable words."""
    found = reading([{"file": "a", "status": status}])
    assert [entry.status for _, entry in found.entries] == [Status.PENDING]
    assert found.unknown == {str(status)}


def test_a_known_pending_status_is_not_told():
    """The platform's word for a file that waits is a setting."""
    found = reading([{"file": "a", "status": "received"}])
    assert (found.entries[0][1].status, found.unknown) == (Status.PENDING, set())


@pytest.mark.parametrize(
    "record",
    [
        None,
        7,
        "a",
        [],
        {},
        {"file": "a"},
        {"status": "loaded"},
        {"file": None, "status": "loaded"},
        {"file": ["a"], "status": "loaded"},
        {"file": "a", "status": {}},
        {"file": "a", "status": 1.5},
    ],
)
def test_an_entry_that_lacks_what_it_must_have_stops_no_other(record):
    """It is counted, has a place in the order, and those around it are read."""
    good = {"file": "a", "status": "loaded"}
    found = reading([good, record, good])
    assert [offset for offset, _ in found.entries] == [0, 2]
    assert (found.skipped, found.end) == (1, 3)


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2026-11-01T12:00:00Z", NOON),
        ("2026-11-01T13:00:00+01:00", NOON),
        ("2026-11-01 12:00:00", NOON),
        (NOON // SECOND, NOON),
        (NOON, NOON),
        (NOON / SECOND + 0.5, NOON + 500),
        ("noon", None),
        ("9999-12-31T23:59:59Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        (0, None),
        (-5, None),
        (float("nan"), None),
        (float("inf"), None),
        (10**400, None),
        (True, None),
        ([], None),
        (None, None),
    ],
)
def test_instants_are_read_or_not_known(written, instant):
    """ISO 8601, epoch seconds or milliseconds; anything else is nothing, not a wrong time."""
    assert one({"file": "a", "status": "loaded", "processed_at": written}).processed_at == instant


@pytest.mark.parametrize("count", [-1, 1.5, "7", True, None, [], 2**63, 10**30])
def test_counts_are_whole_numbers_or_not_known(count):
    """What the ledger cannot keep is not known, either."""
    assert one({"file": "a", "status": "loaded", "lines_refused": count}).lines_refused is None


def test_the_platforms_words_are_printable_and_short():
    """Reason and status may hold anything."""
    user = "AAAAAAAA-bbbb-cccc-dddd-eeeeeeeeeeee"
    assert one({"file": "a", "status": "x", "reason": f"line 3: {user},7"}).reason == "line 3: (a user),7"
    cut = one({"file": "a", "status": "x", "reason": "y" * 180 + user}).reason
    assert cut == "y" * 180 + "(a user)"
    entry = one({"file": "a", "status": "x\x1b[31m\n", "reason": "\ud800\n" + "y" * 10_000})
    assert entry.said == "x [31m "
    assert entry.reason == "  " + "y" * 198


@pytest.mark.parametrize("answer", [{}, {"data": None}, {"data": {}}, {"data": "x"}, {"date": []}])
def test_an_answer_without_a_list_is_told(answer):
    """One line names the setting; what was read before it is kept."""
    pages = [{"data": [{"file": "a", "status": "loaded"}]}, answer]
    found = Reading(names=lambda: OURS, end=0)
    with pytest.raises(
        NoPage, match=r"answers with no list of entries: see that platform.processing_log.records"
    ):
        read(lambda _: pages.pop(0), SETTINGS, found)
    assert len(found.entries) == 1


@pytest.mark.parametrize("record", [{"file": "a", "status": "loaded"}, {"file": "z"}, 7])
def test_a_page_that_repeats_is_the_end(record):
    """A server that knows no offset says the same for ever; whether it is understood or not."""
    asked = []
    found = Reading(names=lambda: OURS, end=0)
    read(lambda offset: asked.append(offset) or {"data": [record] * 3}, SETTINGS, found)
    assert asked == [0, 3]
    assert found.end == 3


def test_a_log_without_an_end_costs_only_so_much_at_a_time():
    """Behind the bound it goes on with the next reading."""
    asked = []
    found = Reading(names=lambda: OURS, end=0)

    def ask(offset):
        asked.append(offset)
        return {"data": [{"file": str(offset), "status": "loaded"}]}

    read(ask, SETTINGS, found)
    assert (len(asked), found.end) == (MOST_PAGES, MOST_PAGES)


def test_the_newest_entry_of_a_file_counts():
    """By when it was processed, in whatever order the log lists; where that is not known, the later one."""

    def said(status: str, at: int | None) -> dict:
        return {"file": "a", "status": status, "processed_at": at}

    def result(*records: dict) -> str:
        return newest(entry for _, entry in reading(list(records)).entries)["a"].said

    assert result(said("received", None), said("loaded", NOON)) == "loaded"
    assert result(said("rejected", NOON), said("loaded", NOON + 1)) == "loaded"
    assert result(said("loaded", NOON + 1), said("rejected", NOON)) == "loaded"
    assert result(said("rejected", NOON), said("received", None)) == "received"


RECORDS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["file", "status", "processed_at", "lines_accepted", "reason", "data"]),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@given(st.lists(st.lists(RECORDS, min_size=1, max_size=4), max_size=4))
def test_whatever_the_log_holds_is_read_or_skipped(pages):
    """No content stops a reading; all that has a place is counted, and nothing unknown is success."""
    pages = [json.loads(json.dumps(page)) for page in pages]
    found = reading(*pages)
    assert found.end <= sum(len(page) for page in pages)
    for _, entry in found.entries:
        assert entry.file in OURS
        assert entry.known or entry.status is Status.PENDING
