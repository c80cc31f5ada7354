"""The user sync's endpoint: `user_sync`."""

from typing import Annotated

from pydantic import Field

from bridge.clock import DAY, SECOND
from bridge.config.kinds import (
    CookieAge,
    CookieName,
    HeaderValue,
    HostName,
    Listen,
    LocalPath,
    PlainPath,
    Size,
    Wait,
)
from bridge.config.section import Section

TOPIC = "user-sync"


class CookieSettings(Section):
    """The cookie with the partner's own id (docs/decisions/0046)."""

    name: CookieName = "s2s_id"
    max_age: CookieAge = 365 * DAY
    domain: HostName | None = None
    """Whose hosts get it; None: the endpoint's host alone."""
    path: PlainPath = "/"


class ConsentSettings(Section):
    """What a user has to consent to (docs/user-sync.md)."""

    vendor_id: Annotated[int, Field(ge=1, le=65_535)] | None = None
    """The partner's id in the Global Vendor List of the TCF; None: it is not in it."""
    purposes: tuple[Annotated[int, Field(ge=1, le=24)], ...] = (1,)
    """Of the TCF: where the GDPR applies, all of these."""
    required: bool = False
    """Whether a visit that says nothing of consent is refused."""


class UserSyncSettings(Section):
    """Where browsers bring the platform's id, and what becomes of it."""

    listen: Listen = "127.0.0.1:8090"
    """host:port for browsers, behind whatever speaks TLS."""
    status_listen: Listen = "127.0.0.1:8091"
    """host:port of health and metrics."""
    path: PlainPath = "/sync"
    """Of visits."""
    opt_out_path: PlainPath = "/opt-out"
    namespace: HeaderValue
    """User namespace of the partner's own ids."""
    topic: HeaderValue | None = None
    """A compacted topic; None, and no `sqlite_file`: `user-sync`."""
    sqlite_file: LocalPath | None = None
    """A file instead, for one machine."""
    cookie: CookieSettings = CookieSettings()
    signing_key_files: tuple[LocalPath, ...] = ()
    """Each holds a key; an id may be signed by any of them."""
    consent: ConsentSettings = ConsentSettings()
    data_centres: tuple[HeaderValue, ...] = ("ewr", "iad")
    """Those that are counted each; others together."""
    answer_within: Wait = SECOND // 2
    """A mapping that is not durable by then counts as not stored."""
    max_waiting: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Mappings that wait to be durable."""
    max_connections: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Open at once."""
    max_request_bytes: Size = 16_384
    """Of a request with its headers."""

    @property
    def topic_name(self) -> str | None:
        """The topic; None: the file is used."""
        return None if self.sqlite_file is not None else self.topic or TOPIC
