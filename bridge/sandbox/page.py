"""The sandbox's page: what was received and what became of it, what is held, and what is assumed.

It holds names, counts and times, and no user ids, but for the beginnings of those that the sandbox made up;
every text is escaped, and it runs no script.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Template

from bridge.sandbox.assumptions import assumptions
from bridge.sandbox.browsers import Browser
from bridge.sandbox.journal import Record
from bridge.sandbox.platform import Held
from bridge.sandbox.taxonomies.catalogue import HeldTaxonomy
from bridge.sandbox.verdict import Status
from bridge.units import format_duration, format_size, iso, plural
from bridge.web.look import environment

REFRESH = 5
"""Seconds after which the page is loaded anew."""

MOST = 50
"""Files, taxonomies and browsers, the newest, that are shown; of refusals for quota the last ten."""

TONES = {Status.LOADED: "well", Status.REJECTED: "ill", Status.RECEIVED: "look"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Quota:
    """How much of one is used."""

    name: str
    used: int
    limit: int
    bytes: bool = False
    """It is bytes that are counted."""

    @property
    def percent(self) -> float:
        """Used, at most 100."""
        return round(min(100.0, 100 * self.used / self.limit), 1)

    @property
    def text(self) -> str:
        """Both numbers."""
        if self.bytes:
            return f"{format_size(self.used)} of {format_size(self.limit)}"
        return f"{self.used:,} of {self.limit:,}"


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """What the page is made of."""

    now: int
    """Epoch ms."""
    sftp: str
    """Where the SFTP server listens."""
    username: str
    log_path: str
    files: Sequence[Record]
    """All, in the order of their arrival."""
    held: Sequence[Held]
    suspended: str
    """Why processing is suspended; empty: it is not."""
    fault: str
    """Why it has ended; empty: it has not."""
    refusals: Sequence[str]
    """What was refused for quota since the start."""
    quotas: Sequence[Quota]
    taxonomies: Sequence[HeldTaxonomy]
    """In the order of their creation."""
    browsers: Sequence[Browser]
    """That sync tags have brought; the last one first."""
    tags_refused: Sequence[tuple[str, int]]
    """Why nobody was brought, and how often."""

    @property
    def counts(self) -> dict[Status, int]:
        """Files by status."""
        return {status: sum(one.verdict.status is status for one in self.files) for status in Status}

    @property
    def verdict(self) -> str:
        """All in one line."""
        counts = self.counts
        waiting = counts[Status.RECEIVED]
        return (
            f"{plural(counts[Status.LOADED], 'file')} loaded, {counts[Status.REJECTED]:,} rejected, "
            f"{waiting:,} {'waits' if waiting == 1 else 'wait'}"
        )

    @property
    def tone(self) -> str:
        """Of the whole."""
        if self.fault or self.suspended or self.counts[Status.REJECTED]:
            return "ill"
        return "look" if self.refusals else "well"


def rendered(view: View) -> bytes:
    """The page."""
    shown = {
        "newest": tuple(reversed(view.files))[:MOST],
        "taxonomies": sorted(view.taxonomies, key=lambda one: one.updated_at, reverse=True)[:MOST],
        "browsers": view.browsers[:MOST],
    }
    return _template().render(view=view, **shown, assumptions=assumptions(), refresh=REFRESH).encode()


@cache
def _template() -> Template:
    one = environment("bridge.sandbox")
    one.globals["tones"] = TONES
    one.filters.update(size=format_size, duration=format_duration, iso=iso)
    return one.get_template("page.html")
