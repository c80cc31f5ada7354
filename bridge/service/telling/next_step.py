"""What somebody is to do about a file that has not arrived: by its state, then by its last attempt."""

from collections.abc import Mapping

from bridge.config import Account, Config
from bridge.deliver.confirming import is_overdue
from bridge.deliver.file_state import UNFINISHED, FileState
from bridge.deliver.ledger import Ledger
from bridge.deliver.quota import counted_since, usage
from bridge.deliver.records import FileRecord, TriedFile
from bridge.deliver.remote import Reason
from bridge.units import iso

BY_STATE: Mapping[FileState, str] = {
    FileState.UPLOADED: "",
    FileState.CONFIRMED: "",
    FileState.REJECTED: "the platform refuses it: mend what it complains of, then s2s-bridge files resend",
    FileState.FAILED: "nothing: what it held is delivered under another name",
}
"""Of a file that is through."""

AWAITED = (
    "its audience's next file waits for the platform's word on it; if that does not come, s2s-bridge files "
    "resend sends it again, or wait_for_confirmation: false lets the next one go"
)
"""Of a file that is uploaded, where its account waits for confirmation."""

LATE = "its end should be known by now: ask with s2s-bridge reconcile, then the platform what became of it"
"""Of a file that is overdue, where nothing waits for it."""

DUE_AGAIN = "nothing, if the bridge runs: what it held is sent again once no file of its audience is begun"
"""Of a file that is asked to be sent again."""

BY_REASON: Mapping[Reason, str] = {
    Reason.DNS: "the server's name is not resolved: check sftp.host and the name service",
    Reason.REFUSED: "nobody listens there: check sftp.host and sftp.port, and ask the platform",
    Reason.TIMEOUT: "the server did not answer in time: check the line and its firewalls",
    Reason.AUTHENTICATION: "the log-in was refused: put the right password or key into its file; it is read "
    "at each log-in",
    Reason.HOST_KEY: "the server's key is not the pinned one: ask the platform, then change sftp.host_key",
    Reason.PERMISSION: "the server lets us not write there: check sftp.directory, and ask the platform",
    Reason.QUOTA: "the server says that the quota is spent: see that nobody else uploads with this account",
    Reason.DISK_FULL: "the server has no room: ask the platform",
    Reason.CONNECTION_LOST: "the line was cut: where that goes on, check it and its firewalls",
    Reason.NO_DIRECTORY: "the folder is not there: check sftp.directory, or have the platform make it",
    Reason.OTHER: "see the attempt's detail",
}
"""Of a file whose last attempt failed for this reason; all are tried again by themselves."""


def next_step(tried: TriedFile, config: Config, ledger: Ledger, now: int) -> str:
    """What to do about a file; empty: nothing, it has arrived."""
    file = tried.file
    account = next((one for one in config.accounts if one.name == file.audience.account), None)
    if file.state not in UNFINISHED:
        return _of_finished(file, account, now)
    if account is None:
        return f"its account {file.audience.account} is not in the configuration any more: bring it back"
    last = tried.tries[-1] if tried.tries else None
    if last is not None and last.ended_at is None:
        return (
            "nothing, if the bridge runs: the attempt is in progress. If it has died, start it: the attempt "
            "counts as spent, and the next one asks the server first whether the file is there"
        )
    full = _full(account, file.bytes, ledger, now)
    if last is not None and last.reason in set(Reason):
        return "; ".join(filter(None, [BY_REASON[Reason(last.reason)], full, "it is tried again by itself"]))
    return full or "nothing, if the bridge runs: it goes as soon as it is its turn"


def _of_finished(file: FileRecord, account: Account | None, now: int) -> str:
    if file.resend_waits:
        return DUE_AGAIN
    if file.resent_at is not None:
        return f"nothing: what it held waits again since {iso(file.resent_at)}, to go under another name"
    if file.settled_at is not None:
        return f"nothing: it was settled {iso(file.settled_at)} (s2s-bridge files settle)"
    if file.state is FileState.UPLOADED and account is not None and account.wait_for_confirmation:
        return AWAITED
    log = account.platform.processing_log if account else None
    if log is not None and is_overdue(file, log.overdue_after, now):
        return LATE
    return BY_STATE[file.state]


def _full(account: Account, size: int, ledger: Ledger, now: int) -> str:
    """What of the quota is used up for a file of `size` bytes, and until when; empty: nothing is."""
    name, settings = account.name, account.quota
    attempts = ledger.attempts(name, counted_since(now))
    used = usage(settings, attempts, now, ledger.skew(name), ledger.closed_until(name))
    if used.bytes_used + size > used.bytes_limit:
        return f"it waits for the day's bytes, of which too few are left until {iso(used.bytes_reset_at)}"
    if used.files_used >= used.files_limit:
        return f"it waits for the hour's files, which are used up until {iso(used.files_reset_at)}"
    return ""
