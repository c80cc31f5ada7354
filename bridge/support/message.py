"""A request as an RFC 5322 message: the same bytes for the same arguments, plain ASCII, body untouched."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from bridge.clock import SECOND
from bridge.support.address import checked
from bridge.support.request import Request

# No header is folded: all are shorter than the 998 characters of a line, and stay one line for any reader.
_UNFOLDED = SMTP.clone(max_line_length=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """Who writes to whom, and when."""

    sender: str
    """A plain address."""
    recipient: str
    """A plain address."""
    date: int
    """Epoch milliseconds, UTC."""
    message_id: str
    """What stands between the angle brackets, `id@domain`: written like an address."""


def render(request: Request, envelope: Envelope) -> bytes:
    """The bytes of an .eml file, lines ending with CR LF.

    Raises:
        ValueError: An address of the envelope is none: a line break in it would begin a header of its own.
    """
    message = EmailMessage(policy=SMTP)
    message["Date"] = format_datetime(datetime.fromtimestamp(envelope.date // SECOND, UTC))
    message["From"] = checked(envelope.sender)
    message["To"] = checked(envelope.recipient)
    message["Message-ID"] = f"<{checked(envelope.message_id)}>"
    message["Subject"] = request.subject
    message["X-Unsent"] = "1"  # Outlook opens such a file as a draft that can be sent
    # 7bit, said outright: long lines would otherwise become quoted-printable.
    message.set_content(request.body, charset="us-ascii", cte="7bit")
    attached = request.attachment
    if attached is not None:
        message.add_attachment(attached.content, maintype="text", subtype="csv", filename=attached.name)
        # Drawn at random otherwise. Base64 has no underscore, and our bodies none of such lines.
        message.set_boundary(f"=_{hashlib.sha256(attached.content).hexdigest()[:32]}")
    return message.as_bytes(policy=_UNFOLDED)
