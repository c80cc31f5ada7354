"""From what was seen to what the page says of it. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from bridge.clock import SECOND
from bridge.config import Config
from bridge.deliver.file_state import UNFINISHED, FileState
from bridge.service.page.chart import chart
from bridge.service.page.reasons import MEANINGS
from bridge.service.page.records import (
    AccountView,
    Bar,
    FileView,
    LettersView,
    Remark,
    ReplayView,
    Seen,
    SegmentView,
    StreamCounts,
    StreamView,
    Tone,
    TranslationView,
    View,
    WaitingView,
)
from bridge.service.page.remarks import remarks
from bridge.service.page.words import Moment, count, duration, moment, relative
from bridge.service.telling.forecast import Hold, Outlook, Slot
from bridge.service.telling.segments import StreamSegments, date
from bridge.service.telling.status import AccountStatus, AudienceStatus, FileStatus, ReplayStatus
from bridge.service.telling.translation import Translation
from bridge.units import format_size, iso, plural

MOST = 50
"""Rows of a table; `s2s-bridge status` tells all."""

NEWEST = 20
"""Deliveries that are shown."""

SHORT, SPENT = 0.8, 1.0
"""Parts of a limit from which on it is short, and spent."""

REFRESH = 10
"""Seconds."""

TONES = {
    FileState.UPLOADED: Tone.WELL,
    FileState.CONFIRMED: Tone.WELL,
    FileState.REJECTED: Tone.ILL,
    FileState.FAILED: Tone.LOOK,
    FileState.BUILT: Tone.PLAIN,
    FileState.UPLOADING: Tone.PLAIN,
}

HOLDS = {
    Hold.AGE: "to be old or large enough",
    Hold.GUARD: "the reset is too near",
    Hold.FILES: "the hour's files are used",
    Hold.BYTES: "too few of the day's bytes are left",
    Hold.REFUSED: "the account counts as spent",
    Hold.PAUSE: "its file failed, and is tried again",
    Hold.CONFIRMATION: "its last file is not confirmed: files resend, or wait_for_confirmation: false",
    Hold.NO_ACCOUNT: "its account is configured no more",
}
"""What an audience waits for."""

_REPLAY_TONES = {"delivered": Tone.WELL, "cancelled": Tone.LOOK}


def view(seen: Seen, config: Config, now: int) -> View:
    """The page at `now` (epoch ms)."""
    status, told = seen.status, remarks(seen, config, now)
    unfinished = [one for one in status.files if one.file.state in UNFINISHED]
    finished = [one for one in status.files if one.file.state not in UNFINISHED]
    segments = _segments(status.segments)
    return View(
        at=moment(now, now),
        clock=iso(now)[11:19],
        tone=told[0].tone if told else Tone.WELL,
        verdict=_verdict(told),
        remarks=told,
        accounts=tuple(_account(account, seen, now) for account in status.accounts),
        waiting=tuple(_waiting(one, seen.slots.get(one.audience), now) for one in status.audiences[:MOST]),
        more_waiting=_more(_sum(status.audiences[MOST:])) if status.audiences[MOST:] else "",
        unfinished=tuple(_file(one, now) for one in unfinished[:MOST]),
        more_unfinished=_more(plural(len(unfinished) - MOST, "file")) if unfinished[MOST:] else "",
        delivered=tuple(_file(one, now) for one in finished[:NEWEST]),
        replays=tuple(_replay(one, now) for one in reversed(status.replays[-NEWEST:])),
        streams=tuple(_stream(flow) for flow in seen.flows),
        translations=tuple(_translations(seen, now)),
        translation=_translation(seen.status.translation, now),
        letters=tuple(_letters(seen.flows)),
        segments=segments[:MOST],
        more_segments="and more: s2s-bridge segments unknown tells all" if segments[MOST:] else "",
        spool=_spool(seen.spool_bytes, config.spool.max_bytes) if seen.spool_bytes else None,
        began=moment(seen.began_at, now),
        refresh=REFRESH,
    )


def _verdict(told: Sequence[Remark]) -> str:
    ill = sum(remark.tone is Tone.ILL for remark in told)
    look = len(told) - ill
    said = [f"{plural(ill, 'fault')}"] * bool(ill) + [f"{plural(look, 'thing')} to look at"] * bool(look)
    return ", ".join(said) or "All well"


def _account(account: AccountStatus, seen: Seen, now: int) -> AccountView:
    used, outlook = account.usage, seen.outlooks[account.name]
    own = [one for one in seen.status.audiences if one.audience.account == account.name]
    uploads = [one.file for one in seen.status.files if one.file.audience.account == account.name]
    uploaded = max((file.uploaded_at for file in uploads if file.uploaded_at is not None), default=None)
    hour, day = _at(used.files_reset_at, now), _at(used.bytes_reset_at, now)
    return AccountView(
        name=account.name,
        files=_bar("Files this hour", used.files_used, used.files_limit, count, hour),
        bytes=_bar("Bytes today", used.bytes_used, used.bytes_limit, format_size, day),
        closed=_at(account.closed_until, now),
        clock=_clock(account.skew),
        uploaded=_at(uploaded, now),
        waiting=_sum(own) if own else "nothing",
        chart=chart(outlook),
        limit=format_size(used.bytes_limit),
        half=format_size(used.bytes_limit // 2),
        outlook=_outlook(outlook, now),
    )


def _bar(label: str, used: int, limit: int, words: Callable[[int], str], resets: Moment | None) -> Bar:
    part = used / limit
    return Bar(
        label=label,
        text=f"{words(used)} of {words(limit)}",
        used=used,
        limit=limit,
        percent=min(100, max(0, round(100 * part))),
        share=f"{100 * part:.0f} %",
        tone=Tone.ILL if part >= SPENT else Tone.LOOK if part >= SHORT else Tone.WELL,
        resets=resets,
    )


def _clock(skew: int) -> str:
    if abs(skew) < SECOND:
        return f"within a second of ours ({skew / SECOND:+.1f} s)" if skew else "as ours, or not measured yet"
    return f"{duration(abs(skew))} {'ahead of' if skew > 0 else 'behind'} ours"


def _outlook(outlook: Outlook, now: int) -> str:
    if outlook.exhausted_at is None:
        return f"At today's rate {format_size(outlook.expected)} by the reset: it fits."
    if outlook.exhausted_at <= now:
        return "The day's bytes are used."
    at = moment(outlook.exhausted_at, now)
    return f"At today's rate the day's bytes are used up about {at.text} UTC, {at.relative}."


def _waiting(one: AudienceStatus, slot: Slot | None, now: int) -> WaitingView:
    return WaitingView(
        account=one.audience.account,
        audience=one.audience.label,
        memberships=one.memberships,
        age=duration(now - one.oldest_read_at),
        due=moment(one.due_at, now),
        slot=_at(slot.at, now) if slot else None,
        unconfirmed=one.waiting.unconfirmed,
        why=_why(slot, now),
    )


def _why(slot: Slot | None, now: int) -> str:
    if slot is None:
        return ""
    return "its turn" if slot.at is not None and slot.at <= now else HOLDS[slot.hold]


def _more(left: str) -> str:
    return f"and {left} more: s2s-bridge status tells all"


def _sum(waiting: Sequence[AudienceStatus]) -> str:
    memberships = sum(one.memberships for one in waiting)
    return f"{plural(len(waiting), 'audience')}, {plural(memberships, 'membership')}"


def _file(one: FileStatus, now: int) -> FileView:
    file = one.file
    return FileView(
        name=file.name,
        account=file.audience.account,
        audience=file.audience.label,
        state=str(file.state),
        tone=_tone(one),
        kind="replay" if file.replay else "removals" if file.progress.removals_only else "",
        built=moment(file.created_at, now),
        uploaded=_at(file.uploaded_at, now),
        size=format_size(file.bytes),
        memberships=file.memberships,
        attempts=one.attempts or 0,
        why=_why_there(one),
    )


def _tone(one: FileStatus) -> Tone:
    file = one.file
    if file.state in UNFINISHED and one.attempts and file.detail:
        return Tone.ILL
    well = TONES[file.state]
    return Tone.LOOK if one.overdue or (file.lines_refused and well is Tone.WELL) else well


def _why_there(one: FileStatus) -> str:
    """Why a file is where it is, as far as that is worth a word."""
    if one.overdue:
        return "overdue"
    refused = one.file.lines_refused
    return "; ".join(filter(None, [one.file.detail, f"{plural(refused, 'line')} refused" if refused else ""]))


def _replay(one: ReplayStatus, now: int) -> ReplayView:
    return ReplayView(
        name=one.name,
        state=one.state,
        tone=_REPLAY_TONES.get(one.state, Tone.PLAIN),
        since=_at(one.since, now),
        until=_at(one.until, now),
        memberships=one.memberships,
        files=one.files,
    )


def _stream(flow: StreamCounts) -> StreamView:
    return StreamView(
        name=flow.stream,
        events=flow.events,
        rate="" if flow.rate is None else f"{count(flow.rate)} / s",
        behind=flow.behind,
        memberships=flow.memberships,
        refused=sum(flow.refused.values()),
        paused=flow.paused,
    )


def _translations(seen: Seen, now: int) -> Iterator[TranslationView]:
    flows = {flow.stream: flow.translated for flow in seen.flows}
    for one in seen.status.translation.streams if seen.status.translation else ():
        counts = flows.get(one.stream, {})
        matched, unmatched = counts.get("matched", 0), counts.get("unmatched", 0)
        come = matched + unmatched
        yield TranslationView(
            name=one.stream,
            namespace=one.namespace,
            match_rate=f"{100 * matched / come:.1f} %" if come else "",
            matched=matched,
            found=counts.get("found_later", 0),
            waiting=one.waiting,
            age="" if one.oldest_read_at is None else duration(now - one.oldest_read_at),
            kept=one.kept,
        )


def _translation(found: Translation | None, now: int) -> str:
    if found is None:
        return ""
    table = found.table
    said = [f"The identity table of topic {table.topic} holds nothing yet."]
    if table.known_at is not None:
        newest = relative(table.known_at, now)
        holds = f"{plural(table.rows, 'row')}, {format_size(table.bytes)}, the newest taken {newest}"
        said = [f"The identity table of topic {table.topic} holds {holds}."]
    if table.complete_at is not None:
        said.append(f"It was last read to the topic's end {relative(table.complete_at, now)}.")
    if found.due_at is not None:
        said.append(f"What waits is translated {relative(max(found.due_at, now), now)}.")
    return " ".join(said)


def _letters(flows: Sequence[StreamCounts]) -> Iterator[LettersView]:
    by_reason: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for flow in flows:
        for reason, events in flow.refused.items():
            by_reason[reason][flow.stream] = events
    for reason, streams in sorted(by_reason.items(), key=lambda one: (-sum(one[1].values()), one[0])):
        most = sorted(streams, key=lambda stream: -streams[stream])
        yield LettersView(
            reason=reason,
            meaning=MEANINGS.get(reason, ""),
            events=sum(streams.values()),
            streams=", ".join(most[:3]) + (f" and {len(most) - 3} more" if len(most) > 3 else ""),  # noqa: PLR2004  # as many as fit
        )


def _segments(streams: Sequence[StreamSegments]) -> tuple[SegmentView, ...]:
    found = [
        SegmentView(
            code=segment.code,
            stream=one.stream,
            memberships=segment.memberships,
            first=date(segment.first_day),
            last=date(segment.last_day),
        )
        for one in streams
        for segment in one.unknown
    ]
    return tuple(sorted(found, key=lambda one: -one.memberships))


def _spool(size: int, limit: int) -> Bar:
    return _bar("Disk that it takes", size, limit, format_size, None)


def _at(instant: int | None, now: int) -> Moment | None:
    return None if instant is None else moment(instant, now)
