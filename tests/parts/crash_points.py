"""Where a process can be killed: every step by which the bridge changes something outside of itself."""

from enum import StrEnum


class CrashPoint(StrEnum):
    """A step, what has happened by then, and the rows of the failure matrix that dying there shows.

    `writing` is in the middle of a write: half of its bytes are on the disk.
    """

    happened: str
    """What is done, and what is not."""
    rows: tuple[int, ...]
    """Rows of the failure matrix."""

    def __new__(cls, label: str, happened: str, rows: tuple[int, ...]):
        """A member is its label."""
        point = str.__new__(cls, label)
        point._value_ = label
        point.happened, point.rows = happened, rows
        return point

    SEAL_BEGUN = "seal-begun", "A window was read; nothing of it is on the disk.", (1,)
    RUN_WRITING = "run-writing", "A part of a run lies in tmp/, a block of it torn.", (2,)
    RUN_WRITTEN = "run-written", "The whole run lies in tmp/, not synced.", (2,)
    RUN_SYNCED = "run-synced", "The run is synced, under its temporary name.", (3,)
    RUN_RENAMED = "run-renamed", "The run has its name; its folder is not synced.", (4,)
    RUN_DURABLE = "run-durable", "The run is durable; nothing was committed.", (6,)
    NUMBER_RENAMED = "number-renamed", "A run's number is taken; no run has it.", (3,)
    LETTERS_WRITING = "letters-writing", "Dead letters are torn in the middle of their gzip.", (2,)
    LETTERS_SYNCED = "letters-synced", "Dead letters are synced, under their temporary name.", (3,)
    LETTERS_RENAMED = "letters-renamed", "Dead letters have their name; the folder is not synced.", (4,)
    LETTERS_DURABLE = "letters-durable", "Dead letters are durable; their run is not there.", (3,)
    COMMIT_WANTED = "commit-wanted", "A run is sealed and known to be; Kafka was not asked yet.", (6,)
    COMMIT_ASKED = "commit-asked", "Kafka was asked to commit, and may or may not have done it.", (6,)
    COMMIT_ANSWERED = "commit-answered", "The offsets are committed; nothing is delivered.", (6,)
    NAME_RESERVED = "name-reserved", "A file has a name, and no bytes.", (50,)
    FILE_WRITING = "file-writing", "A built file is torn in the middle of its gzip.", (2,)
    FILE_WRITTEN = "file-written", "A built file lies in tmp/, not synced.", (2,)
    FILE_SYNCED = "file-synced", "A built file is synced, under its temporary name.", (3,)
    FILE_RENAMED = "file-renamed", "A built file lies in files/, which is not synced.", (4,)
    FILE_DURABLE = "file-durable", "A built file is durable; the ledger does not know it.", (50,)
    FILE_NOTED = "file-noted", "The ledger knows a built file; no quota is spent.", (50,)
    QUOTA_ADMITTED = "quota-admitted", "The upload is admitted; that it is spent is not committed.", (50,)
    QUOTA_RESERVED = "quota-reserved", "The quota is spent; nobody was called.", (50,)
    CONNECTING = "connecting", "The upload has begun; nothing left the house.", (50,)
    OPENED = "opened", "The remote file is open and empty.", (21, 50)
    SKEW_NOTED = "skew-noted", "The ledger knows the server's clock; nothing was sent.", (21, 50)
    SENDING = "sending", "The n-th tenth of the bytes is about to leave, those before it have.", (21, 50)
    SENT = "sent", "All bytes are there, under the temporary name.", (21, 50)
    RENAMED = "renamed", "The file has its final name; the ledger does not know.", (50,)
    MARKED = "marked", "The ledger knows that the file is there; the built one is not removed.", (50,)
    UPKEEP_WRITING = "upkeep-writing", "A merged or rewritten run is torn, in tmp/.", (2,)
    UPKEEP_WRITTEN = "upkeep-written", "A merged or rewritten run lies in tmp/, not synced.", (2,)
    UPKEEP_SYNCED = "upkeep-synced", "A merged or rewritten run is synced, under its temporary name.", (3,)
    UPKEEP_RENAMED = "upkeep-renamed", "It has the place of the newest run; those in it are there.", (4,)
    UPKEEP_DURABLE = "upkeep-durable", "It is durable; the runs that are in it are there too.", (4,)
    RUN_REMOVED = "run-removed", "A run's file is gone: merged into another, or retired.", (4,)
    HORIZON_RAISED = "horizon-raised", "The horizon is raised; the history below it is still there.", (4,)
    LEFTOVER_REMOVED = "leftover-removed", "A start has removed one thing that a death had left.", (3,)
