"""An audience from one delivery to the next, in a steady state, and what many of them ask for together.

Pure: demands and settings in, numbers out. Durations are milliseconds.

An audience is due `roll.max_age` after its oldest membership was read, or earlier where its file is expected
to reach `roll.max_bytes`; at least once its window is sealed. What was read and not sealed when it is
delivered is the next delivery's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from bridge.clock import DAY, HOUR, SECOND
from bridge.config import QuotaSettings, RollSettings
from bridge.deliver.deliverer import LOOK
from bridge.deliver.quota import WORTHWHILE, general_bytes
from bridge.deliver.schedule import SMALLEST
from bridge.planning.demand import Demand

_LONGEST_ROUND = 10_000 * DAY
"""A round may take as long."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cycle:
    """An audience from one delivery to the next."""

    demand: Demand
    """What comes of it."""
    due: float
    """How old its oldest membership is when it is due, ms."""
    apart: float
    """Its deliveries are due no closer than this, ms: one leaves what was read and not sealed to the next."""
    length: float
    """From delivery to delivery, ms."""
    bytes: float
    """Of the delivery."""
    parts: int
    """Files that it takes."""


def cycle_of(demand: Demand, quota: QuotaSettings, roll: RollSettings, window: int) -> Cycle:
    """An audience that never waits for a slot."""
    due = max(window, min(roll.max_age, _full(demand, roll, window)))
    return _collecting(demand, quota, due, due // window * window)


def _full(demand: Demand, roll: RollSettings, window: int) -> float:
    """After how many ms its file is expected to reach `roll.max_bytes`: runs count before they are merged."""
    return window * ceil(roll.max_bytes / _expected(demand, window, max(window, roll.max_age)))


def _expected(demand: Demand, window: int, length: float) -> float:
    """What the schedule expects of a window, in bytes: its rows at the mean of files of such a length."""
    return demand.merged(window) * demand.file_bytes(length) / demand.merged(length)


def _collecting(demand: Demand, quota: QuotaSettings, due: float, apart: float, turn: float = 0) -> Cycle:
    length = max(turn, apart + demand.pause())
    size = demand.file_bytes(length)
    largest = max(1, min(quota.max_file_bytes, general_bytes(quota)))
    return Cycle(demand=demand, due=due, apart=apart, length=length, bytes=size, parts=ceil(size / largest))


def stretched(cycle: Cycle, quota: QuotaSettings, turn: float) -> Cycle:
    """An audience that is served once in a round."""
    return _collecting(cycle.demand, quota, cycle.due, cycle.apart, turn)


def files_per_hour(cycles: Sequence[Cycle]) -> float:
    """Files an hour."""
    return sum(HOUR / cycle.length * cycle.parts for cycle in cycles)


def bytes_per_day(cycles: Sequence[Cycle]) -> float:
    """Bytes a day."""
    return sum(DAY / cycle.length * cycle.bytes for cycle in cycles)


def round_of(asked: Sequence[Cycle], quota: QuotaSettings) -> float:
    """How long a round takes, ms: until then the slots are as many as the audiences take."""
    low, high = 0.0, float(_LONGEST_ROUND)
    while high - low > SECOND:
        middle = (low + high) / 2
        files = files_per_hour([stretched(cycle, quota, middle) for cycle in asked])
        low, high = (middle, high) if files > quota.files_per_hour else (low, middle)
    return high


def margin(cycles: Sequence[Cycle], quota: QuotaSettings, window: int) -> float:
    """Bytes that a day may have beyond the mean: a file more of each audience, and room for the last one.

    A delivery begins only where there is room for twice what is expected of it, or for a part worth a slot
    (schedule, rule 5).
    """
    expected = (_expected(cycle.demand, window, cycle.length) * cycle.length / window for cycle in cycles)
    room = min(max(2 * max(expected, default=0), SMALLEST), quota.bytes_per_day // WORTHWHILE)
    return sum(cycle.bytes for cycle in cycles) + room


def longest_wait(asked: Sequence[Cycle], quota: QuotaSettings, window: int) -> float:
    """The longest wait for a slot, ms.

    Where every hour has a slot for each delivery that may fall into it, only the guard is in the way: what
    was delivered begins anew with what lay in the window, so deliveries are at most a window closer than the
    age at which they are due. Else a place in the queue comes once each other audience had one.
    """
    guarded = 2 * quota.guard + LOOK + SECOND
    most = sum(ceil((HOUR - 2 * quota.guard + window) / cycle.apart) * cycle.parts for cycle in asked)
    if most <= quota.files_per_hour:
        return guarded
    return ceil(len(asked) / quota.files_per_hour) * HOUR + guarded


def accounts_needed(asked: Sequence[Cycle], quota: QuotaSettings) -> int | None:
    """How many accounts hold all audiences: the largest first, each into the first that has room."""
    limit = general_bytes(quota)
    accounts: list[list[Cycle]] = []

    def holds(cycles: list[Cycle]) -> bool:
        return files_per_hour(cycles) <= quota.files_per_hour and bytes_per_day(cycles) <= limit

    for cycle in sorted(asked, key=lambda one: bytes_per_day([one]), reverse=True):
        if not holds([cycle]):
            return None
        found = next((account for account in accounts if holds([*account, cycle])), None)
        if found is None:
            accounts.append([cycle])
        else:
            found.append(cycle)
    return max(1, len(accounts))
