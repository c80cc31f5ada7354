"""What the page says of what was seen."""

from dataclasses import replace

import pytest

from bridge.clock import DAY, HOUR, MINUTE, SECOND
from bridge.deliver.file_state import UNFINISHED, FileState
from bridge.ingest.events import Reason
from bridge.segments.seen import day_of
from bridge.segments.stored import UnknownSegment
from bridge.service.page.reasons import MEANINGS
from bridge.service.page.records import Tone
from bridge.service.page.rendering import rendered
from bridge.service.page.view import MOST, NEWEST, view
from bridge.service.telling.forecast import Hold, Slot
from bridge.service.telling.segments import StreamSegments
from tests.page.lively import FAILURE, NOW

TODAY = day_of(NOW)


@pytest.fixture(scope="module")
def seen(scene):
    """What the page has seen of it, all in order but for one account's uploads."""
    return scene.front.seen()


@pytest.fixture(scope="module")
def page(scene, seen):
    return view(seen, scene.config, NOW)


def told(seen, scene, now=NOW):
    """The remarks, as tone and text."""
    return [(remark.tone, remark.text) for remark in view(seen, scene.config, now).remarks]


def quiet(seen):
    """The same, with nothing to remark."""
    accounts = tuple(replace(one, skew=0, closed_until=None) for one in seen.status.accounts)
    files = tuple(one for one in seen.status.files if one.file.state is FileState.UPLOADED)
    outlooks = {name: replace(one, exhausted_at=None) for name, one in seen.outlooks.items()}
    status = replace(seen.status, accounts=accounts, files=files)
    return replace(seen, status=status, outlooks=outlooks, not_ready=(), faults=(), working=True, trouble="")


def test_the_quotas_are_those_of_the_ledger(scene, seen, page):
    """Each account has its bars, with what is used, the limit, and when it is reset."""
    display, mobile = page.accounts
    used = seen.status.accounts[0].usage
    assert (display.name, mobile.name) == ("display", "mobile")
    assert display.files.text == f"{used.files_used} of 20"
    assert display.files.tone is Tone.LOOK
    assert display.files.resets.text == "15:00"
    assert display.bytes.resets.relative == "in 9 h 42 min"
    assert display.bytes.percent == round(100 * used.bytes_used / used.bytes_limit)
    assert used.bytes_used == sum(hour.bytes for hour in display.chart.hours)
    assert scene.ledger.files("display", limit=1)[0].uploaded_at // MINUTE == NOW // MINUTE - 3
    assert display.uploaded.relative == "3 min ago"


def test_audiences_have_their_age_and_the_time_of_their_slot(seen, page):
    """The longest first; what has its slot in the next hour says what it waits for."""
    ages = [one.oldest_read_at for one in seen.status.audiences]
    assert ages == sorted(ages)
    assert [one.audience for one in page.waiting] == [one.audience.label for one in seen.status.audiences]
    assert page.waiting[0].age == "44 min"
    late = [one for one in page.waiting if one.slot and one.slot.text == "15:00"]
    assert late
    assert {one.why for one in late} == {"the hour's files are used"}


def test_deliveries_files_and_replays(seen, page):
    """The newest deliveries with state, bytes and memberships; what is not uploaded, and why; replays."""
    assert len(page.delivered) == NEWEST
    newest = next(one.file for one in seen.status.files if one.file.state is FileState.UPLOADED)
    assert (page.delivered[0].name, page.delivered[0].memberships) == (newest.name, newest.memberships)
    assert page.delivered[0].state == "uploaded"
    (failing,) = page.unfinished
    assert (failing.attempts, failing.why, failing.tone) == (4, FAILURE, Tone.ILL)
    (replay,) = page.replays
    assert (replay.name, replay.state, replay.files) == ("october-outage", "delivering", 2)
    assert replay.memberships > 0


def test_streams_and_dead_letters(page):
    """Since the start: rates of the last minutes, what is behind, and refusals by reason, the most first."""
    acme, *_, everyone = page.streams
    assert (acme.name, acme.rate, acme.behind, acme.refused) == ("acme", "412 / s", 890, 1204)
    assert (everyone.name, everyone.behind) == ("everyone", 120)
    assert [(one.reason, one.events) for one in page.letters] == [
        ("zero_device_id", 18_220),
        ("invalid_user_id", 1235),
        ("undecodable", 3),
    ]
    assert page.letters[1].streams == "acme, globex"
    assert set(MEANINGS) == set(Reason)


def test_the_worst_stands_first(page):
    """What fails, before what is only worth a look; the verdict counts both."""
    assert [remark.tone for remark in page.remarks] == [Tone.ILL, Tone.LOOK]
    assert page.tone is Tone.ILL
    assert page.verdict == "1 fault, 1 thing to look at"
    assert FAILURE in page.remarks[0].text
    assert "21:" in page.remarks[1].text


def test_all_is_well(scene, seen):
    """Where there is nothing to remark, the page says that, and no more."""
    page = view(quiet(seen), scene.config, NOW)
    assert (page.tone, page.verdict, page.remarks) == (Tone.WELL, "All well", ())


TROUBLES = {
    "a silent thread": (
        lambda seen: replace(seen, faults=("thread ingest has been silent for 301 s",)),
        Tone.ILL,
        "Thread ingest has been silent for 301 s.",
    ),
    "a ledger that cannot be read": (
        lambda seen: replace(seen, trouble="the ledger is damaged"),
        Tone.ILL,
        "The ledger is damaged.",
    ),
    "old figures": (
        lambda seen: replace(seen, status=replace(seen.status, at=NOW - 70 * SECOND)),
        Tone.LOOK,
        "as they were 1 min ago",
    ),
    "no partitions": (
        lambda seen: replace(seen, not_ready=("no partitions are assigned",)),
        Tone.LOOK,
        "Not ready: no partitions are assigned.",
    ),
    "another process": (
        lambda seen: replace(seen, working=False),
        Tone.LOOK,
        "another process holds the locks",
    ),
    "a note": (
        lambda seen: replace(seen, status=replace(seen.status, notes=("/spool: no ledger yet",))),
        Tone.LOOK,
        "/spool: no ledger yet.",
    ),
    "a closed account": (
        lambda seen: of_first(seen, closed_until=NOW + HOUR),
        Tone.LOOK,
        "Account display: no upload until 15:17 UTC (in 1 h)",
    ),
    "a skewed clock": (lambda seen: of_first(seen, skew=-45_000), Tone.LOOK, "clock is 45 s behind ours"),
    "a rejected file": (
        lambda seen: of_file(seen, FileState.REJECTED),
        Tone.ILL,
        "it held is not there: mend what it complains of, then s2s-bridge files resend Agency_",
    ),
    "an overdue file": (
        lambda seen: of_file(seen, FileState.UPLOADED, overdue=True),
        Tone.LOOK,
        "1 file should have been processed by now: s2s-bridge reconcile, then ask the platform",
    ),
    "a processing log that is away": (
        lambda seen: replace(seen, unasked=("display",)),
        Tone.LOOK,
        "Account display: the processing log does not answer",
    ),
    "a file given up": (
        lambda seen: of_file(seen, FileState.FAILED),
        Tone.LOOK,
        "1 file of the last day was given up",
    ),
    "a file that fails": (
        lambda seen: of_file(seen, FileState.UPLOADING, attempts=1),
        Tone.ILL,
        "1 file could not be uploaded yet, after 1 attempt: disk full.",
    ),
    "bytes that will not last": (
        lambda seen: of_outlook(seen, exhausted_at=NOW + 2 * HOUR),
        Tone.LOOK,
        "are used up about 16:17 UTC (in 2 h), 7 h 42 min before the reset",
    ),
    "bytes that are used": (
        lambda seen: of_outlook(seen, exhausted_at=NOW - 1),
        Tone.LOOK,
        "the day's bytes are used; it goes on after the reset in 9 h 42 min",
    ),
    "no slot": (
        lambda seen: replace(
            seen, slots={seen.status.audiences[0].audience: Slot(at=None, hold=Hold.NO_ACCOUNT)}
        ),
        Tone.LOOK,
        "1 audience will hardly be delivered within the coming day",
    ),
    "a damaged identity table": (
        lambda seen: of_translation(seen, table={"trouble": "contents: the checksum differs"}),
        Tone.LOOK,
        "Contents: the checksum differs.",
    ),
    "an identity table that is read": (
        lambda seen: of_translation(seen, table={"complete_at": None}),
        Tone.LOOK,
        "does not hold all of its topic yet: until then nothing is translated",
    ),
    "an identity table that was read before the start": (
        lambda seen: of_translation(seen, table={"complete_at": seen.began_at - 1}),
        Tone.LOOK,
        "does not hold all of its topic yet: until then nothing is translated",
    ),
    "an identity table that is behind": (
        lambda seen: of_translation(seen, table={"complete_at": NOW - 2 * HOUR}),
        Tone.LOOK,
        "holds what its topic had 2 h ago: opt-outs and browsers since then are not known",
    ),
    "partner ids that are not translated": (
        lambda seen: of_translation(seen, due_at=NOW - HOUR),
        Tone.LOOK,
        "should have been translated 1 h ago: translation_waits in the log says why not",
    ),
    "a crowded spool": (lambda seen: replace(seen, spool_bytes=17_000_000_000), Tone.LOOK, "85% full"),
    "a full spool": (
        lambda seen: replace(seen, flows=(replace(seen.flows[0], paused=True), *seen.flows[1:])),
        Tone.ILL,
        "nothing is read of acme",
    ),
}


def of_first(seen, **changes):
    first, *others = seen.status.accounts
    return replace(seen, status=replace(seen.status, accounts=(replace(first, **changes), *others)))


def of_file(seen, state, attempts=None, *, overdue=False):
    first, *others = seen.status.files
    changed = replace(
        first, attempts=attempts, overdue=overdue, file=replace(first.file, state=state, detail="disk full")
    )
    return replace(seen, status=replace(seen.status, files=(changed, *others)))


def of_outlook(seen, **changes):
    return replace(seen, outlooks=seen.outlooks | {"display": replace(seen.outlooks["display"], **changes)})


def of_translation(seen, table=None, **changes):
    found = seen.status.translation
    changed = replace(found, table=replace(found.table, **(table or {})), **changes)
    return replace(seen, status=replace(seen.status, translation=changed))


@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_trouble_is_one_sentence(scene, seen, trouble):
    """What is wrong is told once, with its weight, where all else is quiet."""
    change, tone, text = TROUBLES[trouble]
    ((found, said),) = told(change(quiet(seen)), scene)
    assert found is tone
    assert text in said
    assert said.endswith(".")
    assert not said.endswith("..")


def test_old_figures_are_told_as_of_now(scene, seen):
    """Where nothing could be read for long, the page does not tell of the same instant in two ways."""
    ends = of_outlook(quiet(seen), exhausted_at=NOW + HOUR)
    later = view(ends, scene.config, NOW + 2 * HOUR)
    (text,) = [remark.text for remark in later.remarks if remark.where]
    assert later.accounts[0].outlook == "The day's bytes are used."
    assert "the day's bytes are used; it goes on after the reset in 7 h 42 min" in text


def test_what_the_page_points_at_is_there(scene, seen):
    """Each link of a remark leads to a part of the page that is shown."""
    for change, *_ in TROUBLES.values():
        page = view(change(quiet(seen)), scene.config, NOW)
        there = {"waiting", "delivered", "spool", "partner-ids"} | {
            f"account-{one.name}" for one in page.accounts
        }
        there |= {"unfinished"} if page.unfinished else set()
        assert {remark.where for remark in page.remarks} <= there | {""}


def test_many_audiences_are_summed_up(scene, seen):
    """The longest waiting are shown, the others counted with their memberships."""
    many = seen.status.audiences * 100
    page = view(replace(seen, status=replace(seen.status, audiences=many)), scene.config, NOW)
    assert len(page.waiting) == MOST
    left = many[MOST:]
    assert (
        f"{len(left)} audiences, {sum(one.memberships for one in left):,} memberships more"
        in page.more_waiting
    )


def test_many_files_that_are_not_uploaded_are_counted(scene, seen):
    """In a long outage each audience may have one: those that are not shown are not kept quiet about."""
    first = next(one for one in seen.status.files if one.file.state in UNFINISHED)
    files = tuple(replace(first, file=replace(first.file, name=f"{n}.log.gz")) for n in range(MOST + 2))
    page = view(replace(seen, status=replace(seen.status, files=files)), scene.config, NOW)
    assert len(page.unfinished) == MOST
    assert page.more_unfinished == "and 2 files more: s2s-bridge status tells all"
    assert page.more_unfinished in rendered(page).decode()
    assert view(seen, scene.config, NOW).more_unfinished == ""


def test_an_audience_of_an_account_that_is_gone_is_shown(scene, seen):
    """It waits for ever, and the page says why."""
    first, *others = seen.status.audiences
    stray = replace(first, audience=replace(first.audience, account="gone"))
    slots = {stray.audience: Slot(at=None, hold=Hold.NO_ACCOUNT)}
    status = replace(seen.status, audiences=(stray, *others))
    page = view(replace(seen, status=status, slots=slots), scene.config, NOW)
    assert (page.waiting[0].slot, page.waiting[0].why) == (None, "its account is configured no more")


def test_an_audience_that_waits_for_a_confirmation_is_no_trouble(scene, seen):
    """When the platform's word comes is not known: it says so, and what to do if it does not; no remark."""
    quietly = quiet(seen)
    first, *others = quietly.status.audiences
    held = replace(first, waiting=replace(first.waiting, unconfirmed=True))
    slots = quietly.slots | {held.audience: Slot(at=None, hold=Hold.CONFIRMATION)}
    waiting = replace(quietly, status=replace(quietly.status, audiences=(held, *others)), slots=slots)
    page = view(waiting, scene.config, NOW)
    assert "files resend" in page.waiting[0].why
    assert told(waiting, scene) == []
    assert "not within a day" not in rendered(page).decode()


def test_a_file_of_long_ago_is_no_news(scene, seen):
    """What was given up days ago is in the table, and no remark."""
    old = of_file(quiet(seen), FileState.FAILED)
    first, *others = old.status.files
    dated = replace(first, file=replace(first.file, uploaded_at=NOW - 2 * DAY))
    assert told(replace(old, status=replace(old.status, files=(dated, *others))), scene) == []


def unknown_segments(stream, *segments):
    """As the record of a stream has them: code, memberships, last day."""
    return StreamSegments(
        stream=stream,
        taxonomy="acme.csv",
        since=TODAY - 9,
        until=TODAY,
        unknown=tuple(
            UnknownSegment(code=code, memberships=count, first_day=TODAY - 9, last_day=last)
            for code, count, last in segments
        ),
    )


def test_segments_that_nobody_can_buy_are_told_with_their_streams(seen, scene):
    """The most frequent first, over all streams; without any the page says nothing of them."""
    assert view(seen, scene.config, NOW).segments == ()
    status = replace(
        seen.status,
        segments=(
            unknown_segments("acme", ("9", 70, TODAY), ("<u>9", 2, TODAY - 5)),
            unknown_segments("globex", ("7", 1_200, TODAY)),
        ),
    )
    page = view(replace(seen, status=status), scene.config, NOW)
    assert [(one.code, one.stream, one.memberships) for one in page.segments] == [
        ("7", "globex", 1_200),
        ("9", "acme", 70),
        ("<u>9", "acme", 2),
    ]
    text = rendered(page)
    assert b"Segments that nobody can buy" in text
    assert b"<u>9" not in text
    assert b"&lt;u&gt;9" in text


def test_unknown_segments_of_today_are_remarked_and_old_ones_are_not(seen, scene):
    """One sentence a stream, for two days after the last one came."""

    def remarked(*streams):
        status = replace(quiet(seen).status, segments=streams)
        return [text for _, text in told(replace(quiet(seen), status=status), scene)]

    old = unknown_segments("old", ("5", 5, TODAY - 2))
    assert remarked(old) == []
    many = unknown_segments("many", *[(str(one), 1, TODAY) for one in range(20)])
    assert remarked(old, unknown_segments("one", ("9", 70, TODAY - 1), ("8", 1, TODAY - 2)), many) == [
        "Stream one: nobody can buy segment 9: its taxonomy does not hold it.",
        "Stream many: nobody can buy segment 0 and 19 or more others: its taxonomy does not hold them.",
    ]


@pytest.mark.failure(62)
def test_a_rejected_file_is_told_until_it_is_sent_again(scene, seen):
    """However long ago that was; once somebody has asked for that, it is in the table alone."""
    bad = of_file(quiet(seen), FileState.REJECTED)
    first, *others = bad.status.files
    for asked_at, remarks in ((None, 1), (NOW, 0)):
        file = replace(first.file, uploaded_at=NOW - 20 * DAY, resend_asked_at=asked_at)
        status = replace(bad.status, files=(replace(first, file=file), *others))
        assert len(told(replace(bad, status=status), scene)) == remarks


def test_refused_lines_are_shown_with_their_file(scene, seen):
    """A confirmed file of which lines were refused is worth a look."""
    confirmed = of_file(seen, FileState.CONFIRMED)
    first, *others = confirmed.status.files
    file = replace(first.file, detail="", lines_accepted=7, lines_refused=1_204)
    status = replace(confirmed.status, files=(replace(first, file=file), *others))
    shown = view(replace(confirmed, status=status), scene.config, NOW).delivered[0]
    assert (shown.state, shown.tone, shown.why) == ("confirmed", Tone.LOOK, "1,204 lines refused")


def test_the_match_rate_of_each_stream_is_that_since_the_start(scene, seen, page):
    """Of the memberships that were translated; what waits and is kept is the spool's, and so is the table."""
    (umbrella,) = page.translations
    assert (umbrella.name, umbrella.namespace, umbrella.match_rate) == ("umbrella", "umbrella", "61.2 %")
    assert (umbrella.matched, umbrella.found) == (481_220, 22_934)
    assert (umbrella.waiting, umbrella.age, umbrella.kept) == (1_204, "4 min", 2_840)
    assert "topic user-sync holds 40,000 rows" in page.translation
    assert "the newest taken 4 s ago" in page.translation
    assert "It was last read to the topic's end 7 s ago." in page.translation
    assert "What waits is translated in 11 min." in page.translation
    assert b"61.2 %" in rendered(page)
    none = replace(
        seen, flows=tuple(replace(flow, translated={"matched": 0, "unmatched": 0}) for flow in seen.flows)
    )
    (umbrella,) = view(none, scene.config, NOW).translations
    assert umbrella.match_rate == ""


def test_without_identify_the_page_says_nothing_of_partner_ids(scene, seen):
    """Nor of a table that is not there, nor is there a part of the page for it."""
    plain = replace(quiet(seen), status=replace(quiet(seen).status, translation=None))
    page = view(plain, scene.config, NOW)
    assert (page.translations, page.translation, page.remarks) == ((), "", ())
    assert b"Partner ids" not in rendered(page)


def test_an_identity_table_that_holds_nothing_is_said_to(scene, seen):
    """At a first start, before anything was read of its topic."""
    empty = of_translation(seen, table={"known_at": None, "complete_at": None}, due_at=None)
    told = view(empty, scene.config, NOW).translation
    assert told == "The identity table of topic user-sync holds nothing yet."
