"""The remote port: where audience files go, and what is known when that fails.

Source: design.md, invariants 4 and 5.

Contract of every adapter:
- Under its final name a file is whole: it is written under a temporary name, every write is acknowledged,
  its size is checked, then it is renamed. Without a temporary suffix it has its full size only after every
  other write was acknowledged.
- A file that already has its final name and this size is ours, from an attempt whose last reply was lost:
  names are never used twice. It is not sent again.
- A leftover under the temporary name is overwritten.
- `upload` raises nothing but `UploadFailed`, which says what the failure means for quota and name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum
from pathlib import Path
from typing import Protocol

from bridge.errors import BridgeError

TOLD_EVERY = 4 * 1024 * 1024
"""Bytes between two reports of `UploadStage.SENDING`: half a minute of a line of 1 Mbit/s."""


class UploadStage(StrEnum):
    """How far an upload has come; each is reported as soon as it is reached."""

    CONNECTING = "connecting"
    """Nothing left the house yet."""
    OPENED = "opened"
    """The remote file is open: the slot is spent."""
    SENDING = "sending"
    """Another `TOLD_EVERY` bytes were handed over: told again and again."""
    SENT = "sent"
    """All bytes are there, acknowledged and closed, and the size is right."""
    RENAMED = "renamed"
    """The file has its final name."""


class Outcome(StrEnum):
    """What a failed upload means."""

    NOT_OPENED = "not_opened"
    """No remote file was opened: quota is given back."""
    SPENT = "spent"
    """A remote file may have been opened; nothing of it has the final name, for sure."""
    UNKNOWN = "unknown"
    """The final name may exist; `Remote.exists` tells."""


class Reason(StrEnum):
    """Why an upload failed: the label of the metric."""

    DNS = "dns"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    AUTHENTICATION = "authentication"
    HOST_KEY = "host_key"
    PERMISSION = "permission"
    QUOTA = "quota"
    DISK_FULL = "disk_full"
    """The server said so, or refused a write without saying why (OpenSSH does so when its disk is full)."""
    CONNECTION_LOST = "connection_lost"
    NO_DIRECTORY = "no_directory"
    OTHER = "other"


LASTING = frozenset({Reason.AUTHENTICATION, Reason.HOST_KEY, Reason.PERMISSION, Reason.NO_DIRECTORY})
"""Reasons that go away only when a person acts: try again, but slowly."""


class UploadFailed(BridgeError):  # noqa: N818  # it tells what happened, as its outcome does
    """An upload, or a question to the remote, failed; the message is one line without secrets."""

    def __init__(self, message: str, *, outcome: Outcome, reason: Reason) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.reason = reason

    @property
    def transient(self) -> bool:
        """It may well work in a moment."""
        return self.reason not in LASTING

    @property
    def quota(self) -> bool:
        """The server refused for quota: its window is closed until the reset."""
        return self.reason is Reason.QUOTA


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """An upload that is done."""

    bytes: int
    """Size of the file under its final name."""
    seconds: float
    """From connecting to the last reply."""
    found: bool = False
    """It was there already: nothing was opened or sent."""


class Step(Enum):
    """What is under way within an upload."""

    LOG_IN = "log in"
    OPEN = "open"
    SEND = "send"
    RENAME = "rename"


OUTCOMES = {
    (Step.LOG_IN, True): Outcome.NOT_OPENED,
    (Step.LOG_IN, False): Outcome.NOT_OPENED,
    (Step.OPEN, True): Outcome.NOT_OPENED,
    (Step.OPEN, False): Outcome.SPENT,
    (Step.SEND, True): Outcome.SPENT,
    (Step.SEND, False): Outcome.SPENT,
    (Step.RENAME, True): Outcome.SPENT,
    (Step.RENAME, False): Outcome.UNKNOWN,
}
"""(step, the remote itself refused it) to the outcome, where a temporary name is used."""

OUTCOMES_IN_PLACE = OUTCOMES | {
    (Step.OPEN, False): Outcome.UNKNOWN,
    (Step.SEND, True): Outcome.UNKNOWN,
    (Step.SEND, False): Outcome.UNKNOWN,
}
"""The same where the file is written straight under its final name."""


def outcome_of(step: Step, *, refused: bool, in_place: bool) -> Outcome:
    """What is known when `step` failed; `refused`: the remote answered, rather than fell silent."""
    return (OUTCOMES_IN_PLACE if in_place else OUTCOMES)[step, refused]


Progress = Callable[[UploadStage], None]
"""Told each stage in order, from the thread of the upload."""

Measured = Callable[[int], None]
"""Told the server's clock less ours, ms, to half a second (mtime of the file just opened), before the first
byte is sent: it counts however the upload ends."""


def unheard(_skew: int) -> None:
    """Nobody wants to know the skew."""


class Remote(Protocol):
    """One account's place on the platform's server."""

    def upload(self, local: Path, name: str, progress: Progress, measured: Measured = unheard) -> Receipt:
        """Send the bytes of `local` under `name`.

        Raises:
            UploadFailed: With what is known then.
        """
        ...

    def exists(self, name: str) -> int | None:
        """Size of the file `name`; None where there is none.

        Raises:
            UploadFailed: It could not be asked.
        """
        ...

    def check(self) -> None:
        """Log in, and find the directory; opens no file, as that could count as one.

        Raises:
            UploadFailed: With the reason.
        """
        ...

    def abandon(self) -> None:
        """Make the upload under way, and each later one, fail at once; called from another thread."""
        ...
