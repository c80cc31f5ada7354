"""The states of an audience file and what leads from one to the next (contract.md, status --json)."""

from enum import StrEnum


class FileState(StrEnum):
    """Where a file is; the values are the contract's words."""

    BUILT = "built"
    """On our disk; nothing of it has reached the server."""
    UPLOADING = "uploading"
    """An attempt is in progress, or one has left the server in a state that we cannot take back."""
    UPLOADED = "uploaded"
    """Whole, under its final name."""
    CONFIRMED = "confirmed"
    """The platform has processed it."""
    REJECTED = "rejected"
    """The platform has refused it."""
    FAILED = "failed"
    """Given up: its memberships are delivered anew under another name."""


class FileEvent(StrEnum):
    """What happens to a file."""

    BEGIN = "begin"
    """An attempt begins."""
    GIVE_BACK = "give_back"
    """An attempt failed before the remote file was opened, and no other attempt opened it."""
    BREAK = "break"
    """An attempt failed later, or nobody knows how far it came."""
    DONE = "done"
    """It has its final name."""
    GIVE_UP = "give_up"
    """Its bytes are lost or can never be uploaded."""
    CONFIRM = "confirm"
    """The platform's processing log counts it as processed."""
    REJECT = "reject"
    """The platform's processing log counts it as refused."""


TRANSITIONS: dict[tuple[FileState, FileEvent], FileState] = {
    (FileState.BUILT, FileEvent.BEGIN): FileState.UPLOADING,
    (FileState.BUILT, FileEvent.DONE): FileState.UPLOADED,  # found there, though no attempt of ours counts
    (FileState.BUILT, FileEvent.GIVE_UP): FileState.FAILED,
    (FileState.UPLOADING, FileEvent.BEGIN): FileState.UPLOADING,
    (FileState.UPLOADING, FileEvent.GIVE_BACK): FileState.BUILT,
    (FileState.UPLOADING, FileEvent.BREAK): FileState.UPLOADING,
    (FileState.UPLOADING, FileEvent.DONE): FileState.UPLOADED,
    (FileState.UPLOADING, FileEvent.GIVE_UP): FileState.FAILED,
    (FileState.UPLOADED, FileEvent.CONFIRM): FileState.CONFIRMED,
    (FileState.UPLOADED, FileEvent.REJECT): FileState.REJECTED,
    # the log's newest word counts: it is asked again and again, and the platform may process a file anew
    (FileState.CONFIRMED, FileEvent.CONFIRM): FileState.CONFIRMED,
    (FileState.CONFIRMED, FileEvent.REJECT): FileState.REJECTED,
    (FileState.REJECTED, FileEvent.CONFIRM): FileState.CONFIRMED,
    (FileState.REJECTED, FileEvent.REJECT): FileState.REJECTED,
}
"""State and event to state; any other pair is a fault of the program.

Of a file that has not got its final name, or was given up, the log can say nothing: one that lies there all
the same is found by its next attempt.
"""

ARRIVED = (FileState.UPLOADED, FileState.CONFIRMED, FileState.REJECTED)
"""The states of a file that has its final name."""

UNFINISHED = (FileState.BUILT, FileState.UPLOADING)
"""The states in which a file's bytes are kept for an upload."""


def after(state: FileState, event: FileEvent) -> FileState:
    """The state that an event leads to.

    Raises:
        ValueError: The event cannot happen in this state.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise ValueError(f"a file that is {state} cannot {event}") from None
