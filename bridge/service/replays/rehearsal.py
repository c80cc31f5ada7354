"""What a replay would send (`replay --dry-run`): read, judged and compressed as it would be, then dropped."""

from dataclasses import dataclass
from math import ceil
from threading import Event

from bridge.audience.audience import Audience
from bridge.audience.lines import render
from bridge.clock import DAY
from bridge.config import Account, Config, QuotaSettings
from bridge.deliver.capped_gzip import CappedGzip
from bridge.deliver.gathering import gather
from bridge.deliver.lanes import Held, View, look
from bridge.deliver.ledger import Ledger
from bridge.deliver.quota import WORTHWHILE
from bridge.deliver.records import AudienceState
from bridge.deliver.waiting import audiences
from bridge.service.nowhere import Nowhere
from bridge.service.opening import LEDGER
from bridge.service.replays.delivery import held, known_states
from bridge.service.replays.replaying import Replaying
from bridge.service.wiring import placeholders

HOURS = 24
"""Of a day."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """What one audience would be sent."""

    audience: Audience
    """Whose it is."""
    memberships: int
    """Memberships in its files."""
    superseded: int
    """Rows left out, as something newer is known."""
    beyond_horizon: int
    """Adds set aside, as nothing kept can judge them."""
    bytes: int
    """Of its files, compressed."""
    files: int
    """How many, of the largest size that a replay's may have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """What a replay would send."""

    shares: tuple[Share, ...]
    """By audience."""
    hours_alone: int | None
    """About how many hours it takes where no live data waits; None: live data uses all of the day's bytes."""
    hours_beside: int | None
    """The same where live data always waits; None: it would never end, as `replay_share` is 0."""


def rehearse(replaying: Replaying, stop: Event) -> Forecast | None:
    """What the replay, which is read, would send; None: stopped before that is known.

    Raises:
        BridgeError: A run or the ledger cannot be read.
    """
    config, states = replaying.config, known_states(replaying.spool)
    own = held(replaying.replay)
    others = look(replaying.spool)
    everything = Held(runs=others.runs, replays=(*others.replays, own))
    shares: list[Share] = []
    for audience in sorted(audiences(own.runs)):
        view = everything.view(states.get(audience, AudienceState()), own.record.id)
        share = _share(config, view, audience, stop)
        if stop.is_set():
            return None
        if share is not None:
            shares.append(share)
    alone: list[int | None] = []
    beside: list[int | None] = []
    for account in config.accounts:
        needs = [share for share in shares if share.audience.account == account.name]
        kept = _bytes_part(replaying, account)
        alone.append(hours(account.quota, needs, part=1, bytes_part=kept))
        beside.append(hours(account.quota, needs, part=account.quota.replay_share))
    return Forecast(
        shares=tuple(shares),
        hours_alone=_longest(alone),
        hours_beside=_longest(beside),
    )


def _longest(each: list[int | None]) -> int | None:
    """Accounts deliver at the same time; None: one of them never ends."""
    found = [one for one in each if one is not None]
    return max(found, default=0) if len(found) == len(each) else None


def hours(
    quota: QuotaSettings, shares: list[Share], *, part: float, bytes_part: float | None = None
) -> int | None:
    """About how many hours files of these sizes take within a part of the quota; None: for ever.

    One of the hour's files is left to live data, as the quota leaves it (`quota.room`).

    Args:
        quota: The account's.
        shares: What is to be sent.
        part: Of the hour's files, and of the day's bytes.
        bytes_part: Of the day's bytes, if another one.
    """
    files, size = sum(share.files for share in shares), sum(share.bytes for share in shares)
    an_hour = min(max(1, int(quota.files_per_hour * part)), max(1, quota.files_per_hour - 1))
    a_day = quota.bytes_per_day * min(part if bytes_part is None else bytes_part, 1 - quota.removals_reserve)
    if not files:
        return 0
    if a_day < 1:
        return None
    return max(ceil(files / an_hour), ceil(size / a_day * HOURS))


def _bytes_part(replaying: Replaying, account: Account) -> float:
    """The part of the day's bytes that live data leaves where none waits: by the last day, if it is known."""
    now, quota = replaying.outside.clock.now(), account.quota
    path = replaying.spool.directory / LEDGER
    if not path.exists():
        return _share_at_first(quota)
    with Ledger.read_only(path) as ledger:
        known_since = ledger.known_since(account.name)
        if known_since is None or known_since > now - DAY:
            return _share_at_first(quota)
        attempts = ledger.attempts(account.name, now - DAY)
    return 1 - sum(attempt.bytes for attempt in attempts if not attempt.replay) / quota.bytes_per_day


def _share_at_first(quota: QuotaSettings) -> float:
    """Where nothing is known of live data yet; as `quota.room` has it."""
    return quota.replay_share or 1 / WORTHWHILE


def _share(
    config: Config,
    view: View,
    audience: Audience,
    stop: Event,
) -> Share | None:
    """What an audience would be sent; None: nothing is pending of it, or it was stopped."""
    quota = config.account(audience.account).quota
    largest = min(quota.max_file_bytes, int(quota.bytes_per_day * _share_at_first(quota)))
    member = CappedGzip(Nowhere(), limit=2**62, level=config.roll.compression_level)
    memberships = superseded = beyond = 0
    for gathered in gather(audience, view, ""):
        if stop.is_set():
            return None
        lines = render(audience, gathered.settled.send, placeholders(config).get(audience, ""))
        member.write(lines.text)
        memberships += lines.memberships
        superseded += gathered.settled.superseded
        beyond += len(gathered.settled.beyond_horizon)
    member.close()
    if not (memberships or superseded or beyond):
        return None
    size = member.bytes if memberships else 0
    return Share(
        audience=audience,
        memberships=memberships,
        superseded=superseded,
        beyond_horizon=beyond,
        bytes=size,
        files=ceil(size / largest),
    )
