"""What comes of each audience, told from what was delivered in the last day, and what waits (`plan`)."""

from collections import Counter
from collections.abc import Iterator

from bridge.audience.audience import Audience
from bridge.clock import DAY, HOUR, SECOND, Clock
from bridge.config import Config
from bridge.deliver.file_state import ARRIVED
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import FileRecord
from bridge.errors import UsageError
from bridge.planning.demand import HEADER, Demand, Demands
from bridge.service.opening import LEDGER
from bridge.service.telling.status import Status, gather
from bridge.units import format_duration

MOST_FILES = 100_000
"""Of an account so many are looked at, the newest."""


def from_history(config: Config, clock: Clock) -> Demands:
    """What came of each audience: what was delivered within a day, replays not counted, and what waits.

    Raises:
        BridgeError: The spool or the ledger cannot be read.
        UsageError: Nothing was delivered within a day.
    """
    status = gather(config, clock)
    path = config.spool.directory / LEDGER
    if not path.exists():
        raise UsageError(f"{status.notes[0]}: {_REMEDY}")
    with Ledger.read_only(path) as ledger:
        files = [one for account in config.accounts for one in _delivered(ledger, account.name, status.at)]
        first = [ledger.known_since(account.name) for account in config.accounts]
    if not files:
        raise UsageError(f"{path}: nothing was delivered within a day: {_REMEDY}")
    since = max(status.at - DAY, min((at for at in first if at is not None), default=0))
    length = max(HOUR, status.at - since)
    return Demands(each=tuple(_demands(files, status, length)), basis=tuple(_basis(files, status, length)))


_REMEDY = "give --from-topics, or --events-per-second N"


def _delivered(ledger: Ledger, account: str, now: int) -> Iterator[FileRecord]:
    for file in ledger.files(account, MOST_FILES):
        arrived = file.state in ARRIVED and (file.uploaded_at or 0) > now - DAY
        if arrived and not (file.replay or file.progress.removals_only):  # those rows come in a general file
            yield file


def _demands(files: list[FileRecord], status: Status, length: int) -> Iterator[Demand]:
    """The files' memberships are merged already: what a longer roll would save is not in them."""
    memberships, size, count = Counter[Audience](), Counter[Audience](), Counter[Audience]()
    for file in files:
        memberships[file.audience] += file.memberships
        size[file.audience] += file.bytes
        count[file.audience] += 1
    waits = {one.audience: one.memberships for one in status.audiences}
    for audience in sorted(memberships):
        sent = max(1, memberships[audience])
        rate = (sent + waits.get(audience, 0)) * SECOND / length
        yield Demand(
            audience=audience,
            events=rate,
            memberships=rate,
            bytes_per_membership=max(1, size[audience] - HEADER * count[audience]) / sent,
            different=None,
        )


def _basis(files: list[FileRecord], status: Status, length: int) -> Iterator[str]:
    memberships = sum(file.memberships for file in files)
    told = format_duration(length - length % SECOND)
    yield f"{memberships:,} memberships in {len(files):,} files of the last {told}, and what waits now"
    yield "they are merged as roll is now: what a longer roll would save is not counted"
    missing = {one.audience for one in status.audiences} - {file.audience for file in files}
    for audience in sorted(missing):
        yield f"{audience.key}: waits, but had no file in that time: not planned"
