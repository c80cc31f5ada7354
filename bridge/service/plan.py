"""Whether what comes fits into what the accounts allow (`s2s-bridge plan`), before it is deployed.

Pure: demands and the configuration in, a plan out, for a steady state: what comes, comes evenly; uploads
succeed and take no time.

- An audience collects until it is due: `roll.max_age` after its oldest membership was read, or earlier where
  its file reaches `roll.max_bytes`; at least until its window is sealed. Then it takes a slot, or several
  where its file is too large for one. The next cycle begins with the next event.
- Where all audiences together ask for more files than the hour has, they wait for each other: each is served
  once in a round (schedule, rule 2), and a round takes as long as the slots last. Nothing is lost by that but
  time, and merging over a round saves bytes.
- Where they ask for more bytes than the day has, what waits grows without an end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from bridge.audience.audience import Audience
from bridge.clock import DAY, HOUR, MINUTE, SECOND
from bridge.config import Account, Config, QuotaSettings, RollSettings
from bridge.deliver.deliverer import LOOK
from bridge.deliver.quota import WORTHWHILE, general_bytes
from bridge.deliver.schedule import SMALLEST
from bridge.service.demand import Demand, Demands

ROLLS = tuple(minutes * MINUTE for minutes in (1, 2, 5, 10, 15, 20, 30)) + tuple(
    hours * HOUR for hours in (1, 2, 3, 4, 6, 8, 12, 24)
)
"""The values of `roll.max_age` that are tried, ms."""

_LONGEST_ROUND = 10_000 * DAY
"""A round may take as long, ms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AudiencePlan:
    """What is expected of one audience."""

    audience: Audience
    """Whose it is."""
    events_per_second: float
    """Events that have a membership of it."""
    files_per_hour: float
    """Slots that it asks for."""
    bytes_per_day: int
    """Size of its files of a day."""
    file_bytes: int
    """Size of one delivery, which may be several files."""
    left: float
    """The part of its memberships that is left when those of one delivery are merged."""
    usual_delay: int | None
    """Age of its oldest membership when it is uploaded, ms; None: it grows without an end."""
    longest_delay: int | None
    """It is no older than this, ms, while uploads succeed; None: nothing can be promised."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountPlan:
    """What is expected of one account."""

    name: str
    """Its name."""
    files_per_hour: float
    """Slots that its audiences ask for."""
    files_limit: int
    """Slots that an hour has."""
    bytes_per_day: int
    """Size of its files of a day."""
    bytes_limit: int
    """The day's bytes for general files: without those kept for removals."""
    tight: bool
    """The bytes fit, but so narrowly that the last files of a day may wait for its end."""
    accounts: int | None
    """How many accounts with the same quotas its audiences need as `roll` is; None: one of the audiences
    alone needs more than one."""
    audiences: tuple[AudiencePlan, ...]
    """In the order of audiences."""

    @property
    def fits(self) -> bool:
        """No more is asked for than there is."""
        return self.files_per_hour <= self.files_limit and self.bytes_per_day <= self.bytes_limit


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is expected."""

    accounts: tuple[AccountPlan, ...]
    """In the order of the configuration."""
    roll: int
    """`roll.max_age` as it is, ms."""
    fitting_roll: int | None
    """The smallest of `ROLLS` with which all accounts fit, ms; None: with none."""
    basis: tuple[str, ...]
    """What it was told from, for people."""

    @property
    def fits(self) -> bool:
        """Every account's demand fits."""
        return all(account.fits for account in self.accounts)

    def to_json(self) -> dict[str, object]:
        """The object of `plan --json` (docs/plan.md)."""
        return {
            "fits": self.fits,
            "basis": list(self.basis),
            "roll": {
                "max_age_seconds": self.roll // SECOND,
                "fitting_seconds": _seconds(self.fitting_roll),
            },
            "accounts": [_account_json(account) for account in self.accounts],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cycle:
    """An audience from one delivery to the next."""

    demand: Demand
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


def plan(demands: Demands, config: Config) -> Plan:
    """What is expected of these demands with this configuration."""
    return Plan(
        accounts=tuple(_accounts(demands, config, config.roll.max_age)),
        roll=config.roll.max_age,
        fitting_roll=next((roll for roll in ROLLS if _fit(demands, config, roll)), None),
        basis=demands.basis,
    )


def _fit(demands: Demands, config: Config, roll: int) -> bool:
    return all(
        _files(cycles) <= account.quota.files_per_hour and _bytes(cycles) <= general_bytes(account.quota)
        for account in config.accounts
        for cycles in [_asked(demands, config, account, roll)]
    )


def _accounts(demands: Demands, config: Config, roll: int) -> list[AccountPlan]:
    return [
        _account(account, _asked(demands, config, account, roll), config.window.max_age)
        for account in config.accounts
    ]


def _asked(demands: Demands, config: Config, account: Account, max_age: int) -> list[_Cycle]:
    """The account's audiences, as if there were slots for all."""
    roll = config.roll.model_copy(update={"max_age": max_age})
    return [
        _cycle(demand, account.quota, roll, config.window.max_age)
        for demand in demands.each
        if demand.audience.account == account.name and demand.memberships > 0
    ]


def _account(account: Account, asked: Sequence[_Cycle], window: int) -> AccountPlan:
    quota = account.quota
    files, limit = _files(asked), general_bytes(quota)
    turn = _round(asked, quota) if files > quota.files_per_hour else 0
    cycles = [_stretched(cycle, quota, turn) for cycle in asked]
    size = ceil(_bytes(cycles))
    tight = size <= limit < size + _margin(cycles, quota, window)
    promised = _promised(asked, quota, window) if size <= limit and not tight else None
    return AccountPlan(
        name=account.name,
        files_per_hour=files,
        files_limit=quota.files_per_hour,
        bytes_per_day=size,
        bytes_limit=limit,
        tight=tight,
        accounts=_needed(asked, quota),
        audiences=tuple(
            AudiencePlan(
                audience=cycle.demand.audience,
                events_per_second=cycle.demand.events,
                files_per_hour=_files([before]),
                bytes_per_day=ceil(_bytes([cycle])),
                file_bytes=ceil(cycle.bytes),
                left=cycle.demand.left(cycle.length),
                usual_delay=int(max(before.due, turn)) if size <= limit else None,
                longest_delay=None if promised is None else int(before.due + promised * before.parts),
            )
            for before, cycle in zip(asked, cycles, strict=True)
        ),
    )


def _cycle(demand: Demand, quota: QuotaSettings, roll: RollSettings, window: int) -> _Cycle:
    """An audience that never waits for a slot."""
    due = max(window, min(roll.max_age, _full(demand, roll, window)))
    return _collecting(demand, quota, due, due // window * window)


def _full(demand: Demand, roll: RollSettings, window: int) -> float:
    """After how many ms its file is expected to reach `roll.max_bytes`: runs count before they are merged."""
    return window * ceil(roll.max_bytes / _expected(demand, window, max(window, roll.max_age)))


def _expected(demand: Demand, window: int, length: float) -> float:
    """What the schedule expects of a window, in bytes: its rows at the mean of files of such a length."""
    return demand.merged(window) * demand.file_bytes(length) / demand.merged(length)


def _collecting(demand: Demand, quota: QuotaSettings, due: float, apart: float, turn: float = 0) -> _Cycle:
    length = max(turn, apart + demand.pause())
    size = demand.file_bytes(length)
    largest = min(quota.max_file_bytes, general_bytes(quota))
    return _Cycle(demand=demand, due=due, apart=apart, length=length, bytes=size, parts=ceil(size / largest))


def _stretched(cycle: _Cycle, quota: QuotaSettings, turn: float) -> _Cycle:
    """An audience that is served once in a round."""
    return _collecting(cycle.demand, quota, cycle.due, cycle.apart, turn)


def _files(cycles: Sequence[_Cycle]) -> float:
    """Files an hour."""
    return sum(HOUR / cycle.length * cycle.parts for cycle in cycles)


def _bytes(cycles: Sequence[_Cycle]) -> float:
    """Bytes a day."""
    return sum(DAY / cycle.length * cycle.bytes for cycle in cycles)


def _round(asked: Sequence[_Cycle], quota: QuotaSettings) -> float:
    """How long a round takes, ms: until then the slots are as many as the audiences take."""
    low, high = 0.0, float(_LONGEST_ROUND)
    while high - low > SECOND:
        middle = (low + high) / 2
        files = _files([_stretched(cycle, quota, middle) for cycle in asked])
        low, high = (middle, high) if files > quota.files_per_hour else (low, middle)
    return high


def _margin(cycles: Sequence[_Cycle], quota: QuotaSettings, window: int) -> float:
    """Bytes that a day may have beyond the mean: a file more of each audience, and room for the last one.

    A delivery begins only where there is room for twice what is expected of it, or for a part worth a slot
    (schedule, rule 5).
    """
    expected = (_expected(cycle.demand, window, cycle.length) * cycle.length / window for cycle in cycles)
    room = min(max(2 * max(expected, default=0), SMALLEST), quota.bytes_per_day // WORTHWHILE)
    return sum(cycle.bytes for cycle in cycles) + room


def _promised(asked: Sequence[_Cycle], quota: QuotaSettings, window: int) -> float:
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


def _needed(asked: Sequence[_Cycle], quota: QuotaSettings) -> int | None:
    """How many accounts hold all audiences: the largest first, each into the first that has room."""
    limit = general_bytes(quota)
    accounts: list[list[_Cycle]] = []

    def holds(cycles: list[_Cycle]) -> bool:
        return _files(cycles) <= quota.files_per_hour and _bytes(cycles) <= limit

    for cycle in sorted(asked, key=lambda one: _bytes([one]), reverse=True):
        if not holds([cycle]):
            return None
        found = next((account for account in accounts if holds([*account, cycle])), None)
        if found is None:
            accounts.append([cycle])
        else:
            found.append(cycle)
    return max(1, len(accounts))


def _account_json(account: AccountPlan) -> dict[str, object]:
    return {
        "name": account.name,
        "fits": account.fits,
        "files_per_hour": {"expected": round(account.files_per_hour, 2), "limit": account.files_limit},
        "bytes_per_day": {
            "expected": account.bytes_per_day,
            "limit": account.bytes_limit,
            "tight": account.tight,
        },
        "accounts_needed": account.accounts,
        "audiences": [_audience_json(audience) for audience in account.audiences],
    }


def _audience_json(plan: AudiencePlan) -> dict[str, object]:
    audience = plan.audience
    return {
        "client": audience.client or None,
        "mobile": audience.mobile,
        "user_namespace": audience.user_namespace,
        "user_table_id": audience.user_table_id or None,
        "segment_namespace": audience.segment_namespace,
        "hashed": audience.hashed,
        "events_per_second": round(plan.events_per_second, 4),
        "files_per_hour": round(plan.files_per_hour, 2),
        "bytes_per_day": plan.bytes_per_day,
        "file_bytes": plan.file_bytes,
        "left_when_merged": round(plan.left, 3),
        "usual_delay_seconds": _seconds(plan.usual_delay),
        "longest_delay_seconds": _seconds(plan.longest_delay),
    }


def _seconds(duration: int | None) -> int | None:
    return None if duration is None else duration // SECOND
