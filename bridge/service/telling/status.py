"""What `status` tells: quotas, what waits, what was delivered, how far back late events are judged.

All of it is from the ledger, the runs' footers and the records of segments. Nothing is written and no lock is
taken, so it may be asked beside a running bridge. Instants are epoch milliseconds in the records, ISO 8601
UTC in the JSON (contract.md, Commands).
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from pathlib import Path

from bridge.audience.audience import Audience
from bridge.clock import DAY, SECOND, Clock
from bridge.config import Account, Config, QuotaSettings, RollSettings
from bridge.deliver.confirming import is_overdue
from bridge.deliver.file_state import FileState
from bridge.deliver.lanes import Held
from bridge.deliver.ledger import Ledger
from bridge.deliver.quota import Attempt, Usage, closing, counted_since, usage
from bridge.deliver.records import AudienceState, FileRecord
from bridge.deliver.schedule import Unfinished, Waiting, due_at
from bridge.deliver.waiting import (
    as_unfinished,
    as_waiting,
    audiences,
    awaited,
    held_back,
    pending,
    replays_waiting,
    unsent,
)
from bridge.service.opening import LEDGER
from bridge.service.replays.delivery import Delivery, held
from bridge.service.telling.segments import StreamSegments, top
from bridge.service.telling.translation import Translation, translation, untranslated_note
from bridge.spool.replays import Replay, ReplayState
from bridge.spool.run import Run
from bridge.spool.spool import Spool
from bridge.units import iso, iso_or_none

MOST_FILES = 1000
"""The newest ones are told, and as many of those that the platform has refused or said nothing of, which
somebody may have to send again; unfinished ones however old they are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountStatus:
    """One account of the configuration."""

    name: str
    """Its name."""
    usage: Usage
    """What is used of its hour and day."""
    closed_until: int | None
    """Until when its quota counts as spent, by the server's word or a lost ledger; None: it does not."""
    skew: int
    """The server's clock less ours, ms, as last measured."""
    attempts: tuple[Attempt, ...]
    """Those that count in its quota, since `counted_since`."""
    known_since: int | None
    """When its first attempt on record began; None: there is none."""
    unfinished: tuple[Unfinished, ...]
    """Its files that are built and not uploaded, as the schedule sees them."""
    replays: tuple[Waiting, ...]
    """What waits of its replays, as the schedule sees it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AudienceStatus:
    """An audience with undelivered memberships."""

    audience: Audience
    """Whose they are."""
    memberships: int
    """How many wait, before they are merged."""
    oldest_read_at: int
    """When the oldest of them was read."""
    due_at: int
    """When it is due; whether it may go then is the quota's word."""
    horizon: int | None
    """Newest event time in any retired run of it; None: none was retired."""
    delivered_run: int
    """Every run up to this one is delivered."""
    served_at: int | None
    """When a file of it was last uploaded."""
    waiting: Waiting
    """The same, as the schedule sees it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryStatus:
    """How far back late events of an audience are judged."""

    audience: Audience
    """Whose they are."""
    horizon: int | None
    """Newest event time in any retired run of it: newer events are judged exactly; None: all are."""
    history_from: int | None
    """When the oldest live run with rows of it was sealed; None: no run has any."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayStatus:
    """A replay that the spool holds."""

    name: str
    """Its name."""
    state: str
    """`reading`, `delivering`, `delivered` or `cancelled`."""
    created_at: int
    """When it was made."""
    since: int | None
    """First event time that was asked for; None: no bound."""
    until: int | None
    """Event time before which it was asked for; None: no bound."""
    memberships: int
    """How many wait to be sent, at most."""
    files: int
    """How many of its files have arrived."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileStatus:
    """One file of the ledger."""

    file: FileRecord
    """What the ledger says of it."""
    attempts: int | None
    """How often it was tried; None: it is finished, and nobody asks any more."""
    overdue: bool = False
    """By the account's processing log it should have been confirmed or rejected by now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """All that `status` tells."""

    at: int
    """When it was asked."""
    notes: tuple[str, ...]
    """What is not there, for people."""
    accounts: tuple[AccountStatus, ...]
    """In the order of the configuration."""
    audiences: tuple[AudienceStatus, ...]
    """Those that wait, the longest first; of accounts too that are configured no more."""
    histories: tuple[HistoryStatus, ...]
    """Of every audience that the ledger knows or a run holds, in the order of audiences."""
    replays: tuple[ReplayStatus, ...]
    """The oldest first; those that are delivered stay for the retention, as history."""
    files: tuple[FileStatus, ...]
    """The newest first."""
    segments: tuple[StreamSegments, ...] = ()
    """The unknown segments of each stream that names a taxonomy, the most frequent ones."""
    translation: Translation | None = None
    """How far partner ids are translated; None: no stream has `identify`."""

    def to_json(self) -> dict[str, object]:
        """The object of `status --json`."""
        return {
            "at": iso(self.at),
            "notes": list(self.notes),
            "accounts": [_account_json(account) for account in self.accounts],
            "audiences": [_audience_json(audience, self.at) for audience in self.audiences],
            "horizons": [_history_json(history) for history in self.histories],
            "replays": [_replay_json(replay) for replay in self.replays],
            "files": [{**file_json(file), "overdue": file.overdue} for file in self.files],
            "segments": [segments.to_json() for segments in self.segments],
            "translation": None if self.translation is None else self.translation.to_json(self.at),
        }


def gather(config: Config, clock: Clock, opened: Spool | None = None) -> Status:
    """What is known now; a spool or a ledger that is not there is a note, and not made.

    Args:
        config: The configuration.
        clock: What time it is.
        opened: The configured spool, by whoever has it open: it knows most footers already. They are nearly
            all that this takes (bench/page.py).

    Raises:
        BridgeError: The spool or the ledger is there and cannot be read.
    """
    directory = config.spool.directory
    if not (directory / "spool.json").exists():
        note = f"{directory}: no spool yet: no bridge has run here"
        return _status(config, clock.now(), _Known(notes=(note,)))
    spool, path = opened or Spool.open(directory, clock=clock), directory / LEDGER
    runs, replays = spool.runs(), spool.replays.all()
    if not path.exists():
        known = _Known(runs=runs, replays=replays, notes=(_no_ledger(path, runs),))
        return _status(config, clock.now(), known)
    with Ledger.read_only(path) as ledger:
        return _status(config, clock.now(), _Known(runs=runs, replays=replays, ledger=ledger))


def _no_ledger(path: Path, runs: Sequence[Run]) -> str:
    if not runs:
        return f"{path}: no ledger yet: nothing was delivered"
    return (
        f"{path}: the ledger is missing though there are runs, so what was delivered is not known: bring it "
        f"back, or start with --adopt"
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    """What there is to tell from."""

    runs: tuple[Run, ...] = ()
    replays: tuple[Replay, ...] = ()
    ledger: Ledger | None = None
    notes: tuple[str, ...] = ()


def _status(config: Config, now: int, known: _Known) -> Status:
    runs, ledger = known.runs, known.ledger
    states = ledger.audiences() if ledger else {}
    held = frozenset[Audience]().union(*(awaited(one, ledger) for one in config.accounts if ledger))
    waiting = (
        _waiting(audience, states.get(audience, AudienceState()), runs, config.roll, held)
        for audience in audiences(runs)
    )
    found = [audience for audience in waiting if audience is not None]
    segments, unreadable = top(config)
    return Status(
        at=now,
        notes=(*known.notes, *unreadable, *untranslated_note(config, runs)),
        accounts=tuple(_account(account, known, states, now) for account in config.accounts),
        audiences=tuple(sorted(found, key=lambda status: (status.oldest_read_at, status.audience))),
        histories=tuple(_histories(runs, states)),
        replays=tuple(_replay(replay, states, ledger) for replay in known.replays),
        files=_files(ledger, config, now) if ledger else (),
        segments=segments,
        translation=translation(config, runs),
    )


def _account(
    account: Account, known: _Known, states: Mapping[Audience, AudienceState], now: int
) -> AccountStatus:
    """An account whose ledger is lost has spent its windows: `--adopt` will say so too."""
    name, settings, ledger = account.name, account.quota, known.ledger
    skew = ledger.skew(name) if ledger else 0
    closed = ledger.closed_until(name) if ledger else _spent(settings, now) if known.runs else 0
    attempts = ledger.attempts(name, counted_since(now)) if ledger else ()
    read = tuple(held(one) for one in known.replays if one.record.state is ReplayState.READ)
    return AccountStatus(
        name=name,
        usage=usage(settings, attempts, now, skew, closed),
        closed_until=closed if closed > now else None,
        skew=skew,
        attempts=attempts,
        known_since=ledger.known_since(name) if ledger else None,
        unfinished=tuple(as_unfinished(one, now) for one in (ledger.unfinished(name) if ledger else ())),
        replays=tuple(
            held_back(
                replays_waiting(Held(runs=known.runs, replays=read), states, name),
                awaited(account, ledger) if ledger else frozenset(),
            )
        ),
    )


def _spent(settings: QuotaSettings, now: int) -> int:
    return closing(settings, now, 0, DAY)


def _waiting(
    audience: Audience,
    state: AudienceState,
    runs: Sequence[Run],
    roll: RollSettings,
    awaiting: AbstractSet[Audience],
) -> AudienceStatus | None:
    waits = pending(audience, state, runs)
    if waits is None:
        return None
    (waiting,) = held_back([as_waiting(audience, waits, state)], awaiting)
    return AudienceStatus(
        audience=audience,
        memberships=waits.memberships,
        oldest_read_at=waits.oldest_read_at,
        due_at=due_at(waiting, roll),
        horizon=state.horizon,
        delivered_run=state.frontier.lowest,
        served_at=state.served_at,
        waiting=waiting,
    )


def _histories(runs: Sequence[Run], states: Mapping[Audience, AudienceState]) -> Iterator[HistoryStatus]:
    oldest: dict[Audience, int] = {}
    for run in runs:
        for audience in audiences([run]):
            sealed_at = run.footer.oldest_sealed_at
            oldest[audience] = min(oldest.get(audience, sealed_at), sealed_at)
    for audience in sorted(oldest.keys() | states):
        horizon = states.get(audience, AudienceState()).horizon
        yield HistoryStatus(audience=audience, horizon=horizon, history_from=oldest.get(audience))


def _replay(replay: Replay, states: Mapping[Audience, AudienceState], ledger: Ledger | None) -> ReplayStatus:
    record, files = replay.record, ledger.of_replay(replay.id) if ledger else ()
    waits = unsent(held(replay), states) if record.state is ReplayState.READ else {}
    delivery = Delivery(waiting=waits, files=files)
    asked: Mapping[str, int | None] = record.parameters["asked"]  # type: ignore[assignment]  # we wrote it
    read = "delivered" if delivery.done else "delivering"
    return ReplayStatus(
        name=record.name,
        state=read if record.state is ReplayState.READ else str(record.state),
        created_at=record.created_at,
        since=asked.get("from"),
        until=asked.get("to"),
        memberships=sum(pending.memberships for pending in waits.values()),
        files=len(delivery.uploaded),
    )


def _files(ledger: Ledger, config: Config, now: int) -> tuple[FileStatus, ...]:
    tried = {one.file.name: one for account in config.accounts for one in ledger.unfinished(account.name)}
    newest = ledger.files(limit=MOST_FILES)
    ended = ledger.files(limit=MOST_FILES, states=(FileState.UPLOADED, FileState.REJECTED))
    unsettled = [file for file in ended if file.open]
    told = {file.name: file for file in (*newest, *(one.file for one in tried.values()), *unsettled)}
    return tuple(
        FileStatus(
            file=file,
            attempts=len(tried[file.name].tries) if file.name in tried else None,
            overdue=overdue(file, config, now),
        )
        for file in sorted(told.values(), key=lambda file: file.created_at, reverse=True)
    )


def overdue(file: FileRecord, config: Config, now: int) -> bool:
    """Whether its account's processing log should have told by now what became of a file."""
    account = next((one for one in config.accounts if one.name == file.audience.account), None)
    settings = account.platform.processing_log if account else None
    return settings is not None and is_overdue(file, settings.overdue_after, now)


def _account_json(account: AccountStatus) -> dict[str, object]:
    used = account.usage
    return {
        "name": account.name,
        "quota": {
            "files": {
                "used": used.files_used,
                "limit": used.files_limit,
                "resets_at": iso(used.files_reset_at),
            },
            "bytes": {
                "used": used.bytes_used,
                "limit": used.bytes_limit,
                "resets_at": iso(used.bytes_reset_at),
            },
        },
        "closed_until": iso_or_none(account.closed_until),
        "skew_ms": account.skew,
    }


def _audience_json(status: AudienceStatus, now: int) -> dict[str, object]:
    return {
        **_fields(status.audience),
        "pending_memberships": status.memberships,
        "oldest_pending_seconds": max(0, now - status.oldest_read_at) // SECOND,
        "due_at": iso(status.due_at),
        "waits_for_confirmation": status.waiting.unconfirmed,
        "horizon": iso_or_none(status.horizon),
        "delivered_run": status.delivered_run,
        "last_uploaded_at": iso_or_none(status.served_at),
    }


def _history_json(status: HistoryStatus) -> dict[str, object]:
    return {
        **_fields(status.audience),
        "horizon": iso_or_none(status.horizon),
        "history_from": iso_or_none(status.history_from),
    }


def _replay_json(status: ReplayStatus) -> dict[str, object]:
    return {
        "name": status.name,
        "state": status.state,
        "created_at": iso(status.created_at),
        "from": iso_or_none(status.since),
        "to": iso_or_none(status.until),
        "pending_memberships": status.memberships,
        "files": status.files,
    }


def file_json(status: FileStatus) -> dict[str, object]:
    """One of `files` in the JSON."""
    file = status.file
    return {
        "name": file.name,
        **_fields(file.audience),
        "state": str(file.state),
        "bytes": file.bytes,
        "lines": file.lines,
        "memberships": file.memberships,
        "sha256": file.sha256,
        "uploaded_at": iso_or_none(file.uploaded_at),
        "created_at": iso(file.created_at),
        "attempts": status.attempts,
        "replay": file.replay or None,
        "removals_only": file.progress.removals_only,
        "detail": file.detail,
        "reason": file.detail if file.state is FileState.REJECTED else None,
        "processed_at": iso_or_none(file.processed_at),
        "lines_accepted": file.lines_accepted,
        "lines_refused": file.lines_refused,
        "resend_asked_at": iso_or_none(file.resend_asked_at),
        "resent_at": iso_or_none(file.resent_at),
        "settled_at": iso_or_none(file.settled_at),
    }


def _fields(audience: Audience) -> dict[str, object]:
    """The audience's fields under the contract's names; what is empty is null. None is unresolved."""
    fields: dict[str, object] = asdict(audience)
    del fields["unresolved"]
    return {name: None if value == "" else value for name, value in fields.items()}
