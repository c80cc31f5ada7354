"""Whose taxonomies they are: the account that names the Audience Segments API, and a client of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from bridge.clock import Clock, SystemClock
from bridge.config import AudienceSegmentsSettings, Config, Stream, load
from bridge.errors import UsageError
from bridge.platform.segments import KEY, Segments

AccountName = Annotated[
    str | None,
    typer.Option(
        "--account",
        metavar="A",
        help="Of those in the configuration.",
        show_default="the one that names the API",
    ),
]
TaxonomyId = Annotated[
    int, typer.Argument(metavar="ID", min=1, help="The platform's number.", show_default=False)
]


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentsAccount:
    """An account, and what it may ask."""

    name: str
    at: int
    """Its position in the configuration."""
    settings: AudienceSegmentsSettings
    config: Config
    clock: Clock

    @contextmanager
    def client(self) -> Iterator[Segments]:
        """For as long as it is used."""
        client = Segments(self.settings, setting=f"accounts[{self.at}].{KEY}", clock=self.clock)
        try:
            yield client
        finally:
            client.close()

    @property
    def streams(self) -> dict[int, Stream]:
        """Those that send to the account, by their position."""
        return {
            at: stream
            for at, stream in enumerate(self.config.streams)
            if self.name in {stream.account_for(mobile=mobile) for mobile in (False, True)}
        }


def account_of(file: Path, name: str | None) -> SegmentsAccount:
    """The account of this name; None: the only one that names the API.

    Raises:
        ConfigurationError: The file has faults.
        UsageError: There is none such, or it is not clear which.
    """
    config = load(file, os.environ)
    if name is not None and name not in {account.name for account in config.accounts}:
        raise UsageError(f"--account {name} is none of {file}; name one that it has")
    having = [
        SegmentsAccount(name=account.name, at=at, settings=settings, config=config, clock=SystemClock())
        for at, account in enumerate(config.accounts)
        if (settings := account.platform.audience_segments) is not None and name in (None, account.name)
    ]
    if not having:
        which = "no account" if name is None else f"account {name}"
        raise UsageError(
            f"{which} of {file} has {KEY}, but {KEY} is needed; write it (docs/audience-segments.md)"
        )
    if len(having) > 1:
        names = ", ".join(account.name for account in having)
        raise UsageError(f"several accounts have {KEY}: {names}; say which with --account")
    return having[0]
