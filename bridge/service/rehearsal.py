"""What a replay would send (`replay --dry-run`): read, judged and compressed as it would be, then dropped."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from bridge.audience.audience import Audience
from bridge.audience.lines import render
from bridge.config import Config, QuotaSettings
from bridge.deliver.capped_gzip import CappedGzip
from bridge.deliver.gathering import gather
from bridge.deliver.lanes import Held, look
from bridge.deliver.records import AudienceState
from bridge.deliver.waiting import audiences
from bridge.service.replay_delivery import held, known_states
from bridge.service.replaying import Replaying
from bridge.service.wiring import placeholders

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

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
    hours_alone: int
    """About how many hours it takes where no live data waits."""
    hours_beside: int | None
    """The same where live data always waits; None: it would never end, as `replay_share` is 0."""


def rehearse(replaying: Replaying) -> Forecast:
    """What the replay, which is read, would send.

    Raises:
        BridgeError: A run or the ledger cannot be read.
    """
    config, states = replaying.config, known_states(replaying.spool)
    own = held(replaying.replay)
    others = look(replaying.spool)
    everything = Held(runs=others.runs, replays=(*others.replays, own))
    shares = tuple(
        share
        for audience in sorted(audiences(own.runs))
        if (share := _share(config, everything, audience, states, own.record.id))
    )
    accounts = {account.name: account.quota for account in config.accounts}
    needs = {
        name: [share for share in shares if share.audience.account == name]
        for name in {share.audience.account for share in shares}
    }
    alone = [hours(accounts[name], own_shares, part=1) for name, own_shares in needs.items()]
    beside = [
        hours(accounts[name], own_shares, part=accounts[name].replay_share)
        for name, own_shares in needs.items()
    ]
    return Forecast(
        shares=shares,
        hours_alone=max((one for one in alone if one is not None), default=0),
        hours_beside=None if None in beside else max((one for one in beside if one is not None), default=0),
    )


def hours(quota: QuotaSettings, shares: list[Share], *, part: float) -> int | None:
    """About how many hours files of these sizes take within a part of the quota; None: for ever.

    One of the hour's files is left to live data, as the quota leaves it (`quota.room`).
    """
    files, size = sum(share.files for share in shares), sum(share.bytes for share in shares)
    an_hour = min(max(1, int(quota.files_per_hour * part)), max(1, quota.files_per_hour - 1))
    a_day = quota.bytes_per_day * min(part, 1 - quota.removals_reserve)
    if not files:
        return 0
    if a_day < 1:
        return None
    return max(ceil(files / an_hour), ceil(size / a_day * HOURS))


def _share(
    config: Config,
    everything: Held,
    audience: Audience,
    states: Mapping[Audience, AudienceState],
    replay: str,
) -> Share | None:
    """What an audience would be sent; None: nothing is pending of it."""
    view = everything.view(states.get(audience, AudienceState()), replay)
    quota = config.account(audience.account).quota
    largest = min(quota.max_file_bytes, int(quota.bytes_per_day * (quota.replay_share or 1)))
    member = CappedGzip(_Nowhere(), limit=2**62, level=config.roll.compression_level)
    memberships = superseded = beyond = 0
    for gathered in gather(audience, view, ""):
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


class _Nowhere(io.BytesIO):
    """Takes bytes and keeps none."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """As many as there are."""
        return memoryview(data).nbytes
