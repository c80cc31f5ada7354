import json
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.audience.audience import Audience
from bridge.audience.frontier import Frontier
from bridge.clock import DAY, HOUR, MINUTE, SECOND
from bridge.deliver.database import LedgerDamaged, LedgerFailed
from bridge.deliver.file_state import TRANSITIONS, FileEvent, FileState, after
from bridge.deliver.ledger import Ledger
from bridge.deliver.ledger_schema import MIGRATIONS
from bridge.deliver.records import AudienceState, FileRecord, Outcome, Progress, Try, moving_average

NOON = 1_793_534_400_000
SERIES = "Agency_Partner_Acme"


def admit(_attempts):
    return True


def audience(client="Acme", account="default"):
    return Audience(
        account=account,
        client=client,
        user_namespace="mm",
        user_table_id="",
        segment_namespace="ep",
        mobile=False,
        hashed=False,
    )


def file(name="Agency_Partner_Acme_202611011200.log.gz", whose=None, **progress):
    values = {"start": "", "stop": None, "run": 7, "newest_event_time": 500, "removals_only": False}
    return FileRecord(
        name=name,
        audience=whose or audience(),
        state=FileState.BUILT,
        path=f"files/{name}",
        bytes=1000,
        lines=10,
        memberships=20,
        sha256="ab" * 32,
        created_at=NOON,
        uploaded_at=None,
        detail="",
        progress=Progress(**(values | progress)),
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path):
    with Ledger.create(path, "spool-1", NOON) as created:
        yield created


def begin(ledger, name, now=NOON):
    attempt = ledger.begin_attempt(name, now, 0, admit)
    assert attempt is not None
    return attempt


def upload(ledger, record, now=NOON):
    ledger.add_file(record)
    ledger.end_attempt(begin(ledger, record.name, now), now, Outcome.UPLOADED)


@pytest.mark.usefixtures("ledger")
def test_a_new_ledger_is_its_owners_alone_and_knows_its_spool(path):
    """Its mode is 0600; it opens again with the spool's id and full quotas."""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with Ledger.open(path) as again:
        assert again.spool_id == "spool-1"
        assert again.attempts("default", 0) == ()
        assert again.closed_until("default") == 0
    assert [left.name for left in path.parent.iterdir() if left.stat().st_size] == ["ledger.sqlite"]


def test_what_older_versions_retired_is_not_known(path):
    """Of audiences with a horizon nothing that they delivered is taken to be there; of others all is."""
    old = sqlite3.connect(path, isolation_level=None)
    for statement in (one for step in MIGRATIONS[:3] for one in step):
        old.execute(statement)
    old.execute("INSERT INTO ledger VALUES ('spool-1')")
    for key, client, horizon in (("k1", "old", 5), ("k2", "new", None), ("k3", "none", 5)):
        fields = json.dumps(audience(client).to_json())
        old.execute(
            """INSERT INTO audiences (audience, account, fields, frontier, removals, horizon,
                bytes_per_membership) VALUES (?, 'default', ?, '[["", 7]]', '[["", 0]]', ?, 8)""",
            (key, fields, horizon),
        )
        for run in (6, 7) if client != "none" else ():
            old.execute(
                """INSERT INTO files (name, account, audience, state, path, bytes, lines, memberships, sha256,
                    created_at, detail, start, run, removals_only)
                VALUES (?, 'default', ?, 'uploaded', '', 1, 1, 1, '', 1, '', '', ?, 0)""",
                (f"{key} {run}", key, run),
            )
    old.execute("PRAGMA user_version = 3")
    old.close()
    with Ledger.open(path) as ledger:
        retired = {known.client: state.retired for known, state in ledger.audiences().items()}
        assert retired == {"old": {"": 7}, "new": {}, "none": {}}
        assert (ledger.file("k1 6").resend_asked_at, ledger.file("k1 6").processed_at) == (None, None)


@pytest.mark.failure(53)
def test_an_adopted_spools_windows_count_as_spent(path):
    """Accounts that are charged stay closed until the given moment, and no later call shortens that."""
    with Ledger.create(path, "spool-1", NOON, {"default": NOON + 12 * HOUR}) as ledger:
        assert ledger.closed_until("default") == NOON + 12 * HOUR
        ledger.close_account("default", NOON + HOUR)
        assert ledger.closed_until("default") == NOON + 12 * HOUR
        assert ledger.closed_until("other") == 0


@pytest.mark.failure(54)
def test_stamps_rise_through_restarts(ledger, path):
    """Two names in one minute differ, also after the ledger was opened anew or the clock was set back."""
    first = ledger.reserve_name(SERIES, NOON + 59 * SECOND)
    with Ledger.open(path) as again:
        second = again.reserve_name(SERIES, NOON)
        third = again.reserve_name(SERIES, NOON - DAY)
        other = again.reserve_name("Agency_Partner", NOON)
    stamps = [name.stamp for name in (first, second, third, other)]
    assert stamps == [NOON, NOON + MINUTE, NOON + 2 * MINUTE, NOON]
    assert (first.series, other.series) == (SERIES, "Agency_Partner")


def test_stamps_of_many_threads_differ(ledger):
    """Accounts share a series: their threads never get one name."""
    names = []

    def reserve():
        names.extend(str(ledger.reserve_name(SERIES, NOON)) for _ in range(20))

    threads = [threading.Thread(target=reserve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(names)) == 80


def test_an_unknown_audience_has_the_defaults(ledger):
    """Nothing delivered, no horizon, never served."""
    assert ledger.audience(audience()) == AudienceState()


def test_an_upload_brings_its_audience_forward(ledger):
    """Frontier, newest event time, turn and average move together with the file's state."""
    upload(ledger, file(stop="u5"), NOON + 9)
    known = ledger.audience(audience())
    assert known.frontier == Frontier().advance("", "u5", 7)
    assert (known.newest_delivered, known.served_at) == (500, NOON + 9)
    assert known.bytes_per_membership == moving_average(8.0, 1000, 20)
    assert known.removals == Frontier()
    kept = ledger.file(file().name)
    assert kept == replace(file(stop="u5"), state=FileState.UPLOADED, uploaded_at=NOON + 9)


def test_a_later_upload_of_older_events_does_not_lower_what_was_delivered(ledger):
    """The newest event time delivered never sinks."""
    upload(ledger, file())
    upload(ledger, file("Agency_Partner_Acme_202611011201.log.gz", run=8, newest_event_time=100))
    assert ledger.audience(audience()).newest_delivered == 500
    assert ledger.audience(audience()).frontier.lowest == 8


def test_removals_ahead_leave_their_rows_pending(ledger):
    """A file of removals alone moves no frontier; which runs' removals went out is known, parts included."""
    upload(ledger, file(removals_only=True, stop="u5"))
    known = ledger.audience(audience())
    assert (known.frontier, known.removals_run, known.served_at) == (Frontier(), 0, NOON)
    upload(ledger, file("Agency_Partner_Acme_202611011201.log.gz", removals_only=True, start="u5"))
    assert ledger.audience(audience()).removals_run == 7


def test_skipping_advances_without_a_turn(ledger):
    """Where all rows lost, the frontier moves, no file is known, and the audience was not served."""
    ledger.skip(audience(), file().progress)
    known = ledger.audience(audience())
    assert (known.frontier.lowest, known.served_at) == (7, None)
    assert ledger.files() == ()


def test_horizons_never_sink(ledger):
    """Retiring an older run leaves a newer horizon."""
    ledger.raise_horizons({audience(): 100, audience("Other"): 50})
    ledger.raise_horizons({audience(): 60, audience("Other"): 70})
    assert ledger.audience(audience()).horizon == 100
    assert {whose.client: known.horizon for whose, known in ledger.audiences("default").items()} == {
        "Acme": 100,
        "Other": 70,
    }
    assert ledger.audiences("another") == {}


def test_the_newest_run_that_left_each_lane_is_kept(ledger):
    """It never sinks; and of replays that are gone it is forgotten with the rest."""
    ledger.skip(audience(), file(replay="r-1").progress)
    ledger.raise_horizons({audience(): 5}, retired={audience(): 4})
    ledger.raise_horizons({audience(): 5}, retired={audience(): 3})
    ledger.raise_horizons({audience(): 5}, retired={audience(): 9}, replay="r-1")
    assert ledger.audience(audience()).retired == {"": 4, "r-1": 9}
    ledger.forget_replays(frozenset)
    assert ledger.audience(audience()).retired == {"": 4}


def test_an_attempt_counts_before_it_connects(ledger, path):
    """As soon as `begin_attempt` returns, another connection sees it, open, with the file's bytes."""
    ledger.add_file(file())
    attempt = begin(ledger, file().name)
    with Ledger.open(path) as other:
        (seen,) = other.attempts("default", NOON + DAY)
        assert (seen.started_at, seen.ended_at, seen.bytes) == (NOON, None, 1000)
        assert other.file(file().name).state is FileState.UPLOADING
    ledger.end_attempt(attempt, NOON + 5, Outcome.SPENT, "the connection was cut")
    assert [one.ended_at for one in ledger.attempts("default", NOON + 5)] == [NOON + 5]
    assert ledger.attempts("default", NOON + 6) == ()


def test_a_given_back_attempt_does_not_count_and_leaves_the_file_untouched(ledger):
    """The file was never begun: it may be discarded; its try is still known."""
    ledger.add_file(file())
    ledger.end_attempt(begin(ledger, file().name), NOON + 5, Outcome.GIVEN_BACK)
    assert ledger.attempts("default", 0) == ()
    (tried,) = ledger.unfinished("default")
    assert tried.file.state is FileState.BUILT
    assert tried.tries == (Try(started_at=NOON, ended_at=NOON + 5, outcome=Outcome.GIVEN_BACK),)
    ledger.discard(file().name)
    assert ledger.file(file().name) is None


@pytest.mark.failure(52)
@pytest.mark.parametrize("outcome", [Outcome.SPENT, Outcome.UNKNOWN])
def test_a_begun_file_stays_begun(ledger, outcome):
    """Once an attempt was spent, one given back later does not make the file untouched."""
    ledger.add_file(file())
    ledger.end_attempt(begin(ledger, file().name), NOON + 5, outcome)
    ledger.end_attempt(begin(ledger, file().name, NOON + 9), NOON + 10, Outcome.GIVEN_BACK)
    (tried,) = ledger.unfinished("default")
    assert tried.file.state is FileState.UPLOADING
    assert [(one.ended_at, one.outcome) for one in tried.tries] == [
        (NOON + 5, outcome),
        (NOON + 10, Outcome.GIVEN_BACK),
    ]
    with pytest.raises(ValueError, match="cannot be discarded"):
        ledger.discard(file().name)
    assert len(ledger.attempts("default", 0)) == 1


def test_an_attempt_ends_once(ledger):
    """A second end is refused and changes nothing."""
    ledger.add_file(file())
    attempt = begin(ledger, file().name)
    ledger.end_attempt(attempt, NOON + 5, Outcome.SPENT)
    with pytest.raises(ValueError, match="not open"):
        ledger.end_attempt(attempt, NOON + 6, Outcome.UPLOADED)
    assert ledger.file(file().name).state is FileState.UPLOADING
    assert ledger.audience(audience()) == AudienceState()


def test_one_attempt_of_a_file_is_open_at_a_time(ledger):
    """A second one beside it is refused: fail closed."""
    ledger.add_file(file())
    begin(ledger, file().name)
    with pytest.raises(LedgerFailed):
        ledger.begin_attempt(file().name, NOON, 0, admit)


def test_an_audience_has_one_unfinished_file(ledger):
    """A second one is refused until the first is uploaded, discarded or given up."""
    ledger.add_file(file())
    second = file("Agency_Partner_Acme_202611011201.log.gz")
    with pytest.raises(LedgerFailed):
        ledger.add_file(second)
    ledger.give_up(file().name, "its bytes are gone")
    ledger.add_file(second)
    assert ledger.file(file().name).detail == "its bytes are gone"


@pytest.mark.failure(56)
def test_two_that_race_for_the_last_slot_get_it_once(ledger, path):
    """What admits is asked inside the transaction: with one slot left one attempt begins."""
    whose = [audience(f"c{number}") for number in range(6)]
    for one in whose:
        ledger.add_file(file(f"A_P_{one.client}_202611011200.log.gz", one))
    begun = []
    start = threading.Barrier(len(whose))

    def race(client):
        with Ledger.open(path) as own:
            start.wait()
            begun.append(
                own.begin_attempt(f"A_P_{client}_202611011200.log.gz", NOON, 0, lambda held: not held)
            )

    threads = [threading.Thread(target=race, args=(one.client,)) for one in whose]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(begun) == 6
    assert sum(attempt is not None for attempt in begun) == 1
    assert sum(one.state is FileState.UPLOADING for one in ledger.files()) == 1


def test_a_measured_skew_stays_with_its_attempt(ledger):
    """The account's skew is the last one; an attempt keeps its own."""
    ledger.add_file(file())
    attempt = begin(ledger, file().name)
    ledger.set_skew("default", -5000, attempt)
    ledger.end_attempt(attempt, NOON + 5, Outcome.SPENT)
    ledger.set_skew("default", 20)
    assert ledger.skew("default") == 20
    assert ledger.skew("other") == 0
    assert ledger.attempts("default", 0)[0].skew == -5000


@pytest.mark.failure(45, 52)
def test_a_file_found_uploaded_is_as_good_as_uploaded(ledger):
    """After an unknown outcome the audience advances without a further attempt."""
    ledger.add_file(file())
    ledger.end_attempt(begin(ledger, file().name), NOON + 5, Outcome.UNKNOWN)
    ledger.found_uploaded(file().name, NOON + 60)
    assert ledger.audience(audience()).frontier.lowest == 7
    assert ledger.file(file().name).state is FileState.UPLOADED
    assert len(ledger.attempts("default", 0)) == 1


def test_a_file_found_there_before_any_attempt_counted_is_uploaded_too(ledger):
    """The attempt that found it is given back; the audience advances all the same."""
    ledger.add_file(file())
    ledger.end_attempt(begin(ledger, file().name), NOON + 5, Outcome.GIVEN_BACK, "it was there already")
    ledger.found_uploaded(file().name, NOON + 5)
    assert ledger.audience(audience()).frontier.lowest == 7
    assert ledger.attempts("default", 0) == ()


def test_the_platforms_newest_word_is_kept(ledger):
    """Uploaded files are confirmed or rejected with what the log says, and it may change its word."""
    ledger.add_file(file())
    with pytest.raises(ValueError, match="built cannot confirm"):
        ledger.confirm(file().name)
    assert not ledger.reject("other", detail="bad header")  # forgotten while its log was read
    ledger.end_attempt(begin(ledger, file().name), NOON, Outcome.UPLOADED)
    arrived = ledger.file(file().name)
    assert ledger.reject(file().name, processed_at=NOON + 5, lines_refused=10, detail="bad header")
    told = {"processed_at": NOON + 5, "lines_accepted": None, "lines_refused": 10, "detail": "bad header"}
    assert ledger.file(file().name) == replace(arrived, state=FileState.REJECTED, **told)
    ledger.confirm(file().name, processed_at=NOON + 9, lines_accepted=9, lines_refused=1, detail="anew")
    told = {"processed_at": NOON + 9, "lines_accepted": 9, "lines_refused": 1, "detail": "anew"}
    assert ledger.file(file().name) == replace(arrived, state=FileState.CONFIRMED, **told)


def test_what_the_platform_has_said_nothing_of_is_told_oldest_first(ledger):
    """Files with their final names, neither confirmed nor rejected; of this account alone."""
    clients = ["a", "b", "c", "d", "e"]
    records = {one: file(f"A_P_{one}_202611011200.log.gz", audience(one)) for one in clients}
    for number, client in enumerate("dcba"):
        upload(ledger, records[client], NOON + number)
    ledger.add_file(records["e"])
    upload(ledger, file("other", audience("f", account="other")))
    ledger.confirm(records["c"].name)
    ledger.reject(records["b"].name, detail="bad header")
    assert [one.audience.client for one in ledger.unconfirmed("default")] == ["d", "a"]


def test_history_is_newest_first_and_old_files_are_forgotten(ledger):
    """Finished files before the given moment go; an unfinished one stays, however old."""
    for number in range(4):
        whose = audience(f"c{number}")
        record = replace(file(f"A_P_c{number}_202611011200.log.gz", whose), created_at=NOON + number)
        upload(ledger, record, NOON + number) if number else ledger.add_file(record)
    assert [one.audience.client for one in ledger.files(limit=3)] == ["c3", "c2", "c1"]
    assert ledger.files("another") == ()
    assert ledger.forget(NOON + 3) == 2
    assert [one.audience.client for one in ledger.files("default")] == ["c3", "c0"]
    assert ledger.audience(audience("c1")).frontier.lowest == 7
    assert len(ledger.attempts("default", 0)) == 1


@pytest.mark.parametrize("state", list(FileState))
@pytest.mark.parametrize("event", list(FileEvent))
def test_every_pair_of_state_and_event_is_decided(state, event):
    """A pair leads to a state, or is refused by name; only the platform's word changes a final state."""
    if (state, event) in TRANSITIONS:
        assert after(state, event) is TRANSITIONS[state, event]
        assert state is not FileState.FAILED
        if state in {FileState.CONFIRMED, FileState.REJECTED}:
            assert event in {FileEvent.CONFIRM, FileEvent.REJECT}
    else:
        with pytest.raises(ValueError, match=f"{state} cannot {event}"):
            after(state, event)


@pytest.mark.failure(53)
def test_a_missing_ledger_names_the_remedy(path):
    """One line with the path and --adopt; no file is made by looking."""
    for look in (Ledger.open, Ledger.read_only):
        with pytest.raises(LedgerDamaged, match=r"ledger\.sqlite: .*--adopt"):
            look(path)
    assert not path.exists()


@pytest.mark.failure(14)
@pytest.mark.parametrize(
    "garbage", [b"", b"\0" * 8192, b"SQLite format 3\0" + b"x" * 9000, b"no ledger\n" * 999]
)
def test_garbage_is_no_ledger(path, garbage):
    """Whatever lies there is refused in one line with the remedy, and left as it is."""
    path.write_bytes(garbage)
    with pytest.raises(LedgerDamaged, match=r"^[^\n]*--adopt[^\n]*$"):
        Ledger.open(path)
    assert path.read_bytes() == garbage


@pytest.mark.failure(14)
def test_another_database_is_no_ledger(path):
    """A file of SQLite's with other tables is refused too."""
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE things (thing)")
    other.execute("PRAGMA user_version = 1")
    other.close()
    with pytest.raises(LedgerDamaged, match="--adopt"):
        Ledger.open(path)


@pytest.mark.failure(61)
def test_a_newer_programs_ledger_is_left_alone(ledger, path):
    """A downgrade stops instead of guessing."""
    ledger.close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(LedgerFailed, match="newer"):
        Ledger.open(path)


@pytest.mark.failure(53)
@settings(max_examples=60)
@given(part=st.floats(0, 1, exclude_max=True), page=st.sampled_from([1, 4096]))
def test_a_ledger_cut_short_is_never_taken_for_a_whole_one(tmp_path_factory, part, page):
    """Cut anywhere, also between two pages, it is refused: its windows may not count as free."""
    path = tmp_path_factory.mktemp("cut") / "ledger.sqlite"
    with Ledger.create(path, "spool-1", NOON) as ledger:
        for number in range(8):
            upload(ledger, file(f"A_P_c{number}_202611011200.log.gz", audience(f"c{number}")))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part) // page * page])
    with pytest.raises(LedgerDamaged, match="--adopt"):
        Ledger.open(path)


@pytest.mark.failure(14, 53)
def test_adopting_keeps_the_damaged_ledger_and_its_journal_aside(path):
    """A new ledger replaces it; a journal that lay beside it is not played into the new one."""
    path.write_bytes(b"garbage")
    journal = path.with_name("ledger.sqlite-journal")
    journal.write_bytes(b"old journal")
    with Ledger.create(path, "spool-2", NOON, {"default": NOON + HOUR}) as ledger:
        assert ledger.spool_id == "spool-2"
    aside = path.with_name(f"ledger.sqlite.{NOON}.damaged")
    assert aside.read_bytes() == b"garbage"
    assert aside.with_name(f"{aside.name}-journal").read_bytes() == b"old journal"


@pytest.mark.failure(52)
def test_a_creation_that_died_half_way_is_begun_anew(path):
    """What a killed process left under the temporary name is no obstacle."""
    path.with_name("ledger.sqlite.new").write_bytes(b"half")
    path.with_name("ledger.sqlite.new-journal").write_bytes(b"half")
    with Ledger.create(path, "spool-1", NOON) as ledger:
        assert ledger.spool_id == "spool-1"


def test_status_reads_beside_a_running_bridge_and_cannot_write(ledger, path):
    """A read-only ledger sees what is committed at once, and refuses to change anything."""
    with Ledger.read_only(path) as reader:
        ledger.add_file(file())
        assert [one.name for one in reader.files()] == [file().name]
        with pytest.raises(LedgerFailed):
            reader.close_account("default", NOON)
    assert ledger.closed_until("default") == 0


@pytest.mark.failure(51)
def test_a_ledger_that_cannot_be_written_fails_closed(ledger, path):
    """No attempt begins where it cannot be written down: the error names the file and the remedy."""
    ledger.add_file(file())
    holder = sqlite3.connect(path)
    holder.execute("CREATE TRIGGER full BEFORE INSERT ON attempts BEGIN SELECT RAISE(FAIL, 'disk full'); END")
    holder.close()
    with pytest.raises(LedgerFailed, match=r"ledger\.sqlite: .*disk full.*start again"):
        ledger.begin_attempt(file().name, NOON, 0, admit)
    assert ledger.file(file().name).state is FileState.BUILT
    assert ledger.attempts("default", 0) == ()


@pytest.mark.failure(51)
def test_a_step_that_fails_undoes_its_whole_transaction(ledger, path):
    """An upload whose audience cannot be advanced is not marked uploaded, nor its attempt ended."""
    ledger.add_file(file())
    attempt = begin(ledger, file().name)
    holder = sqlite3.connect(path)
    holder.execute(
        "CREATE TRIGGER full BEFORE UPDATE ON audiences BEGIN SELECT RAISE(FAIL, 'disk full'); END"
    )
    holder.close()
    with pytest.raises(LedgerFailed):
        ledger.end_attempt(attempt, NOON + 5, Outcome.UPLOADED)
    assert ledger.file(file().name).state is FileState.UPLOADING
    assert [one.ended_at for one in ledger.attempts("default", 0)] == [None]


CHILD = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from test_ledger import NOON, SERIES, Outcome, audience, begin, file
from bridge.deliver.ledger import Ledger

ledger = Ledger.open(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    name = str(ledger.reserve_name(SERIES, NOON))
    print("reserved", name, flush=True)
    ledger.add_file(file(name, run=number, newest_event_time=number))
    print("built", name, flush=True)
    attempt = begin(ledger, name)
    print("begun", name, flush=True)
    ledger.end_attempt(attempt, NOON + number, Outcome.UPLOADED)
    print("uploaded", name, flush=True)
"""


@pytest.mark.failure(50, 52)
@pytest.mark.parametrize("lines", [1, 2, 3, 4, 41, 42, 43, 44])
def test_what_a_killed_process_was_told_is_durable_is_there(ledger, path, lines):
    """SIGKILL at any step: whatever it had reported holds, state and frontier agree, and it goes on."""
    ledger.close()
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), *folders], stdout=subprocess.PIPE, text=True
    )
    try:
        told = [child.stdout.readline().split() for _ in range(lines)]
    finally:
        child.send_signal(signal.SIGKILL)
        told += [line.split() for line in child.stdout.read().splitlines()]
        child.wait()
        child.stdout.close()
    with Ledger.open(path) as after_crash:
        recovered = after_crash.recover("default", NOON + DAY)
        files = {one.name: one.state for one in after_crash.files(limit=100_000)}
        attempts = after_crash.attempts("default", 0)
        order = ["reserved", "built", "begun", "uploaded"]
        for step, name in told:
            reached = {"built": 1, "uploading": 2, "uploaded": 3}.get(files.get(name), 0)
            assert reached >= order.index(step)
        uploaded = sum(state is FileState.UPLOADED for state in files.values())
        assert after_crash.audience(audience()).frontier.lowest == uploaded
        assert (after_crash.audience(audience()).newest_delivered or 0) == uploaded
        assert recovered == sum(state is FileState.UPLOADING for state in files.values())
        assert len(attempts) == uploaded + recovered
        assert all(one.ended_at is not None for one in attempts)
        assert str(after_crash.reserve_name(SERIES, NOON)) not in {name for _, name in told}


@pytest.mark.failure(52)
def test_a_reader_undoes_what_a_killed_writer_left_half_done(path, ledger):
    """Status after a SIGKILL inside a transaction shows the state before it."""
    ledger.close()
    code = (
        "import os, signal, sqlite3, sys\n"
        "ledger = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "ledger.execute('PRAGMA cache_size = 1')\n"
        "ledger.execute('BEGIN IMMEDIATE')\n"
        "ledger.executemany('INSERT INTO series VALUES (?, 0)', ((str(n) * 50,) for n in range(20000)))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -signal.SIGKILL
    assert path.with_name("ledger.sqlite-journal").stat().st_size > 0
    with Ledger.read_only(path) as reader:
        assert reader.spool_id == "spool-1"
    probe = sqlite3.connect(path)
    assert probe.execute("SELECT COUNT(*) FROM series").fetchone() == (0,)
    probe.close()
