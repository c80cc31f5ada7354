"""What of all that was seen needs somebody's eyes, as sentences. Pure."""

from collections.abc import Iterator, Sequence

from bridge.clock import DAY, MINUTE, SECOND
from bridge.config import Config
from bridge.deliver.file_state import UNFINISHED, FileState
from bridge.deliver.records import FileRecord
from bridge.segments.seen import day_of
from bridge.service.page.records import Remark, Seen, Tone
from bridge.service.page.words import duration, moment
from bridge.service.telling.forecast import Hold
from bridge.service.telling.segments import TOP
from bridge.service.telling.status import AccountStatus, FileStatus
from bridge.units import plural

OLD = MINUTE
"""Figures older than this are said to be: a look that takes long is followed by a rest (`front`)."""

SKEWED = 10 * SECOND
"""A server's clock that differs more is worth a look: it widens the guard around each reset."""

CROWDED = 0.8
"""Part of `spool.max_bytes` from which on there is little left."""

LATE = 10 * MINUTE
"""Partner ids that are translated so much later than they should be are worth a look."""

NAMED = 3
"""So many files are named in a sentence."""

_WORST_FIRST = (Tone.ILL, Tone.LOOK)


def remarks(seen: Seen, config: Config, now: int) -> tuple[Remark, ...]:
    """The sentences, the worst first."""
    found = [
        *_process(seen, now),
        *_accounts(seen, now),
        *_files(seen),
        *_platform(seen),
        *_waiting(seen),
        *_segments(seen, now),
        *_translation(seen),
        *_spool(seen, config.spool.max_bytes),
    ]
    return tuple(sorted(found, key=lambda remark: _WORST_FIRST.index(remark.tone)))


def _process(seen: Seen, now: int) -> Iterator[Remark]:
    for fault in seen.faults:
        yield Remark(tone=Tone.ILL, text=_sentence(fault))
    if seen.trouble:
        yield Remark(tone=Tone.ILL, text=_sentence(seen.trouble))
    if now - seen.status.at > OLD:
        age = duration(now - seen.status.at)
        yield Remark(tone=Tone.LOOK, text=f"Quotas, audiences and files are shown as they were {age} ago.")
    for note in seen.status.notes:
        yield Remark(tone=Tone.LOOK, text=_sentence(note))
    if not seen.working:
        yield Remark(
            tone=Tone.LOOK,
            text="This bridge does not work yet: it starts, or another process holds the locks of the spool.",
        )
    else:
        for fault in seen.not_ready:
            yield Remark(tone=Tone.LOOK, text=f"Not ready: {fault}.")


def _accounts(seen: Seen, now: int) -> Iterator[Remark]:
    for account in seen.status.accounts:
        where = f"account-{account.name}"
        if account.closed_until is not None:
            until = moment(account.closed_until, now)
            text = (
                f"Account {account.name}: no upload until {until.text} UTC ({until.relative}), as the server "
                f"refused for quota, or the ledger was lost."
            )
            yield Remark(tone=Tone.LOOK, text=text, where=where, link="See its quotas")
        elif (spent := _bytes_end(account, seen, now)) is not None:
            yield Remark(tone=Tone.LOOK, text=spent, where=where, link="See its quotas")
        if abs(account.skew) > SKEWED:
            text = (
                f"Account {account.name}: the server's clock is {duration(abs(account.skew))} "
                f"{'ahead of' if account.skew > 0 else 'behind'} ours; see which of the two is wrong."
            )
            yield Remark(tone=Tone.LOOK, text=text, where=where, link="See its quotas")


def _bytes_end(account: AccountStatus, seen: Seen, now: int) -> str | None:
    """The day's bytes are used up, or will be; None: neither."""
    outlook = seen.outlooks.get(account.name)
    if outlook is None or outlook.exhausted_at is None:
        return None
    resets = moment(outlook.resets_at, now)
    if outlook.exhausted_at <= now:
        return (
            f"Account {account.name}: the day's bytes are used; it goes on after the reset {resets.relative}."
        )
    at = moment(outlook.exhausted_at, now)
    before = duration(outlook.resets_at - outlook.exhausted_at)
    return (
        f"Account {account.name}: at today's rate the day's bytes are used up about {at.text} UTC "
        f"({at.relative}), {before} before the reset."
    )


def _files(seen: Seen) -> Iterator[Remark]:
    failing: dict[str, list[FileStatus]] = {}
    for one in seen.status.files:
        if one.file.state in UNFINISHED and one.attempts and one.file.detail:
            failing.setdefault(one.file.audience.account, []).append(one)
    for account, files in failing.items():
        tries = plural(sum(one.attempts or 0 for one in files), "attempt")
        text = (
            f"Account {account}: {plural(len(files), 'file')} could not be uploaded yet, after {tries}: "
            f"{files[0].file.detail}."
        )
        yield Remark(tone=Tone.ILL, text=text, where="unfinished", link="See the files")
    since = seen.status.at - DAY
    ended = [one.file for one in seen.status.files if (one.file.uploaded_at or one.file.created_at) >= since]
    given_up = sum(file.state is FileState.FAILED for file in ended)
    if given_up:
        text = (
            f"{plural(given_up, 'file')} of the last day {'was' if given_up == 1 else 'were'} given up; what "
            f"{_held(given_up)} is delivered anew."
        )
        yield Remark(tone=Tone.LOOK, text=text, where="delivered", link="See the files")


def _platform(seen: Seen) -> Iterator[Remark]:
    """What the platform says of files, and what it should have said."""
    files = [one.file for one in seen.status.files]
    rejected = [one for one in files if one.state is FileState.REJECTED and one.open]
    if rejected:
        text = (
            f"The platform has rejected {plural(len(rejected), 'file')}, and what {_held(len(rejected))} is "
            f"not there: mend what it complains of, then "
            f"s2s-bridge files resend {_names(rejected, ' ', ' ...')}."
        )
        yield Remark(tone=Tone.ILL, text=text, where="delivered", link="See the files")
    late = [one.file for one in seen.status.files if one.overdue]
    if late:
        text = (
            f"{plural(len(late), 'file')} should have been processed by now: s2s-bridge reconcile, then ask "
            f"the platform what became of {_names(late, ', ', ' and others')}."
        )
        yield Remark(tone=Tone.LOOK, text=text, where="delivered", link="See the files")
    for account in seen.unasked:
        text = f"Account {account}: the processing log does not answer; s2s-bridge check --connect says why."
        yield Remark(tone=Tone.LOOK, text=text, where=f"account-{account}", link="See its quotas")


def _held(files: int) -> str:
    return "it held" if files == 1 else "they held"


def _names(files: Sequence[FileRecord], between: str, more: str) -> str:
    return between.join(file.name for file in files[:NAMED]) + (more if len(files) > NAMED else "")


def _waiting(seen: Seen) -> Iterator[Remark]:
    stuck = sum(slot.at is None and slot.hold is not Hold.CONFIRMATION for slot in seen.slots.values())
    if stuck:
        text = f"{plural(stuck, 'audience')} will hardly be delivered within the coming day."
        yield Remark(tone=Tone.LOOK, text=text, where="waiting", link="See the audiences")


def _segments(seen: Seen, now: int) -> Iterator[Remark]:
    """Those of today and yesterday: what came before may be mended."""
    for one in seen.status.segments:
        codes = [segment.code for segment in one.unknown if segment.last_day >= day_of(now) - 1]
        if codes:
            text = f"Stream {one.stream}: nobody can buy {_listed(codes)}."
            yield Remark(tone=Tone.LOOK, text=text, where="segments-unknown", link="See the segments")


def _listed(codes: Sequence[str]) -> str:
    if len(codes) == 1:
        return f"segment {codes[0]}: its taxonomy does not hold it"
    others = f"{len(codes) - 1} or more others" if len(codes) == TOP else plural(len(codes) - 1, "other")
    return f"segment {codes[0]} and {others}: its taxonomy does not hold them"


def _translation(seen: Seen) -> Iterator[Remark]:
    """Why partner ids are not translated, or not in time."""
    found = seen.status.translation
    if found is None or not seen.working:
        return
    late = 0 if found.due_at is None else seen.status.at - found.due_at
    complete_at = found.table.complete_at
    if found.table.trouble:
        text = _sentence(found.table.trouble)
    elif complete_at is None or complete_at < seen.began_at:
        text = "The identity table does not hold all of its topic yet: until then nothing is translated."
    elif found.table.is_behind(seen.status.at):
        text = (
            f"The identity table holds what its topic had {duration(seen.status.at - complete_at)} ago: "
            f"opt-outs and browsers since then are not known; identity_topic_waited_for or "
            f"identity_table_waits in the log says why."
        )
    elif late > LATE:
        text = (
            f"Memberships by partner ids should have been translated {duration(late)} ago: "
            f"translation_waits in the log says why not."
        )
    else:
        return
    yield Remark(tone=Tone.LOOK, text=text, where="partner-ids", link="See the streams")


def _spool(seen: Seen, limit: int) -> Iterator[Remark]:
    paused = [flow.stream for flow in seen.flows if flow.paused]
    share = seen.spool_bytes / limit
    if paused:
        text = f"The spool has no room: nothing is read of {', '.join(paused)}."
        yield Remark(tone=Tone.ILL, text=text, where="spool", link="See the spool")
    elif share >= CROWDED:
        text = f"The spool is {share:.0%} full."
        yield Remark(tone=Tone.LOOK, text=text, where="spool", link="See the spool")


def _sentence(text: str) -> str:
    """With a capital, unless it begins with a path, and a full stop."""
    first = text[:1].upper() + text[1:]
    return first if first.endswith((".", "!", "?")) else f"{first}."
