"""`s2s-bridge plan`: whether what comes fits into the accounts' quotas, before it is deployed."""

import json
import os
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bridge.cli import tables
from bridge.cli.options import ConfigFile
from bridge.clock import SECOND, SystemClock
from bridge.config import Config, load
from bridge.observe import log
from bridge.planning.demand import Demands, given
from bridge.planning.history_demand import from_history
from bridge.planning.plan import AccountPlan, AudiencePlan, Plan
from bridge.planning.plan import plan as planned
from bridge.planning.topic_demand import from_topics
from bridge.planning.verdict import advice, verdict
from bridge.service.outside import over_sftp
from bridge.units import format_duration, format_size

MOST_EVENTS = 1_000_000_000
"""A second; more is a mistake."""

DOES_NOT_FIT = 1

Rate = Annotated[
    float | None,
    typer.Option(
        "--events-per-second",
        metavar="N",
        min=0.000_001,
        max=MOST_EVENTS,
        help="As if so many came, of all streams together.",
        show_default=False,
    ),
]
FromTopics = Annotated[
    bool, typer.Option("--from-topics", help="Tell rates, audiences and bytes from the topics.")
]


def plan(
    config: ConfigFile,
    events_per_second: Rate = None,
    from_topics: FromTopics = False,  # an option of the command line
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Tell whether what comes fits into the quotas: files, bytes, delays; nothing is uploaded or committed.

    Without options it is told from what was delivered in the last day.
    """
    settings = load(config, os.environ)
    clock = SystemClock()
    log.configure(form=settings.logging.format, level="error", clock=clock)
    made = planned(_demands(settings, clock, events_per_second, topics=from_topics), settings)
    if as_json:
        told = {"verdict": verdict(made), "advice": list(advice(made))}
        print(json.dumps({**told, **made.to_json()}))
    else:
        tables.show(_page(made))
    if not made.fits:
        raise typer.Exit(DOES_NOT_FIT)


def _demands(config: Config, clock: SystemClock, rate: float | None, *, topics: bool) -> Demands:
    if topics:
        return from_topics(config, over_sftp(config, clock), rate)
    return from_history(config, clock) if rate is None else given(config, rate)


def _page(made: Plan) -> Iterator[RenderableType]:
    yield Text(verdict(made), style="green" if made.fits else "red")
    yield from map(Text, advice(made))
    yield Text()
    yield _accounts(made)
    yield Text()
    yield _audiences(made)
    yield Text()
    yield Text(f"With roll.max_age {format_duration(made.roll)}, in a steady state. Told from:", style="dim")
    yield from (Text(f"- {line}") for line in made.basis)


def _accounts(made: Plan) -> Table:
    table = tables.table("Accounts", "account", "files an hour", "bytes a day", "accounts needed+", "")
    for account in made.accounts:
        table.add_row(
            account.name,
            _share(f"{account.files_per_hour:,.1f}", account.files_per_hour, account.files_limit),
            _share(
                format_size(account.bytes_per_day),
                account.bytes_per_day,
                account.bytes_limit,
                format_size(account.bytes_limit),
            ),
            "none helps" if account.accounts is None else str(account.accounts),
            _state(account),
        )
    return table


def _share(asked: str, demand: float, limit: int, limit_text: str = "") -> Text:
    return Text(
        f"{asked} of {limit_text or f'{limit:,}'} ({demand / limit:.0%})",
        style="red" if demand > limit else "green",
    )


def _state(account: AccountPlan) -> Text:
    if not account.fits:
        return Text("does not fit", style="red")
    return Text("fits, but hardly", style="yellow") if account.tight else Text("fits", style="green")


def _audiences(made: Plan) -> Table:
    table = tables.table(
        "Audiences",
        "account",
        "audience",
        "events/s+",
        "files/h+",
        "a file+",
        "a day+",
        "left when merged+",
        "delay+",
        "at most+",
    )
    for account in made.accounts:
        for one in account.audiences:
            table.add_row(account.name, *_cells(one))
    return table


def _cells(one: AudiencePlan) -> tuple[str, ...]:
    return (
        one.audience.label,
        f"{one.events_per_second:,.2f}",
        f"{one.files_per_hour:,.2f}",
        format_size(one.file_bytes),
        format_size(one.bytes_per_day),
        f"{one.left:.0%}",
        "grows" if one.usual_delay is None else _duration(one.usual_delay),
        "not promised" if one.longest_delay is None else _duration(one.longest_delay),
    )


def _duration(duration: int) -> str:
    return format_duration(max(SECOND, duration - duration % SECOND))
