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
from bridge.clock import HOUR, MINUTE, SECOND
from bridge.config import Account, Config
from bridge.deliver.quota import general_bytes
from bridge.planning.cycle import (
    Cycle,
    accounts_needed,
    bytes_per_day,
    cycle_of,
    files_per_hour,
    longest_wait,
    margin,
    round_of,
    stretched,
)
from bridge.planning.demand import Demands

ROLLS = tuple(minutes * MINUTE for minutes in (1, 2, 5, 10, 15, 20, 30)) + tuple(
    hours * HOUR for hours in (1, 2, 3, 4, 6, 8, 12, 24)
)
"""The values of `roll.max_age` that are tried, ms."""


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
        files_per_hour(cycles) <= account.quota.files_per_hour
        and bytes_per_day(cycles) <= general_bytes(account.quota)
        for account in config.accounts
        for cycles in [_asked(demands, config, account, roll)]
    )


def _accounts(demands: Demands, config: Config, roll: int) -> list[AccountPlan]:
    return [
        _account(account, _asked(demands, config, account, roll), config.window.max_age)
        for account in config.accounts
    ]


def _asked(demands: Demands, config: Config, account: Account, max_age: int) -> list[Cycle]:
    """The account's audiences, as if there were slots for all."""
    roll = config.roll.model_copy(update={"max_age": max_age})
    return [
        cycle_of(demand, account.quota, roll, config.window.max_age)
        for demand in demands.each
        if demand.audience.account == account.name and demand.memberships > 0
    ]


def _account(account: Account, asked: Sequence[Cycle], window: int) -> AccountPlan:
    quota = account.quota
    files, limit = files_per_hour(asked), general_bytes(quota)
    turn = round_of(asked, quota) if files > quota.files_per_hour else 0
    cycles = [stretched(cycle, quota, turn) for cycle in asked]
    size = ceil(bytes_per_day(cycles))
    tight = size <= limit < size + margin(cycles, quota, window)
    promised = longest_wait(asked, quota, window) if size <= limit and not tight else None
    return AccountPlan(
        name=account.name,
        files_per_hour=files,
        files_limit=quota.files_per_hour,
        bytes_per_day=size,
        bytes_limit=limit,
        tight=tight,
        accounts=accounts_needed(asked, quota),
        audiences=tuple(
            AudiencePlan(
                audience=cycle.demand.audience,
                events_per_second=cycle.demand.events,
                files_per_hour=files_per_hour([before]),
                bytes_per_day=ceil(bytes_per_day([cycle])),
                file_bytes=ceil(cycle.bytes),
                left=cycle.demand.left(cycle.length),
                usual_delay=int(max(before.due, turn)) if size <= limit else None,
                longest_delay=None if promised is None else int(before.due + promised * cycle.parts),
            )
            for before, cycle in zip(asked, cycles, strict=True)
        ),
    )


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
