"""An account's HTTP APIs at the platform: `accounts[].platform`.

Of the processing log nothing is published but its address, the log-in and `offset` (domain.md): all else is
a setting, whose default is what the sandbox answers.
"""

from typing import Annotated, Literal

from pydantic import Field

from bridge.clock import HOUR, MINUTE
from bridge.config.kinds import LocalPath, Text, Url, UrlPath, Wait, Word
from bridge.config.section import Section

LOG_URL = "https://s2s-api.datasvc.mediamath.com"
SEGMENTS_URL = "https://api.mediamath.com/dmp/v2.0"
TOKEN_URL = "https://auth.mediamath.com/oauth/token"  # noqa: S105  # an address
SESSION_URL = "https://api.mediamath.com/api/v2.0/session"


class LogFields(Section):
    """Where an entry of the processing log says what; a dot leads into an object: `result.status`."""

    file: Text = "file"
    """Name of the audience file."""
    status: Text = "status"
    processed_at: Text = "processed_at"
    lines_accepted: Text = "lines_accepted"
    lines_refused: Text = "lines_refused"
    reason: Text = "reason"


class ProcessingLogSettings(Section):
    """The processing log: what became of each file that was uploaded."""

    url: Url = LOG_URL
    path: UrlPath = "/processing_log"
    username: Word | None = None
    """None: as for SFTP."""
    password_file: LocalPath | None = None
    """None: as for SFTP."""
    allow_plain_http: bool = False
    """The password may go over http:// to another machine (docs/decisions/0040)."""
    offset_parameter: Text = "offset"
    records: Text = "data"
    """Key of the list of entries in an answer; dots as in `fields`."""
    fields: LogFields = LogFields()
    confirmed: tuple[Text, ...] = ("loaded",)
    """Statuses of a file that was processed."""
    rejected: tuple[Text, ...] = ("rejected",)
    """Statuses of a file that was refused."""
    pending: tuple[Text, ...] = ("received",)
    """Statuses of a file that waits; one that nobody knows is taken for such, and told."""
    poll: Wait = 5 * MINUTE
    """Between two looks, while a file is neither confirmed nor rejected."""
    overdue_after: Wait = 6 * HOUR
    """After its upload a file should be confirmed or rejected."""


class SegmentsAuth(Section):
    """The log-in of the Audience Segments API; what its kinds need stands in `rules`."""

    send: Literal["bearer", "session", "both"] = "bearer"
    """What a call brings: the token, the session cookie of the older API, or both."""
    token_url: Url = TOKEN_URL
    grant: Literal["password", "password-realm"] = "password"
    realm: Text | None = None
    """For password-realm."""
    audience: Text = "https://api.mediamath.com/"
    """The API that the token is for."""
    username: Text
    password_file: LocalPath
    client_id: Text
    client_secret_file: LocalPath
    session_url: Url = SESSION_URL
    """Where a token is exchanged for the cookie."""


class AudienceSegmentsSettings(Section):
    """The Audience Segments API: what the account's segments are called (docs/audience-segments.md)."""

    url: Url = SEGMENTS_URL
    vendor_id: Annotated[int, Field(ge=1)]
    """The data vendor, from the partnerships team."""
    requests_per_second: Annotated[float, Field(gt=0, le=100)] = 5
    """At most."""
    allow_plain_http: bool = False
    """Credentials may go over http:// to another machine."""
    auth: SegmentsAuth


class PlatformSettings(Section):
    """APIs that an account uses beside SFTP; none unless they are named."""

    processing_log: ProcessingLogSettings | None = None
    audience_segments: AudienceSegmentsSettings | None = None
