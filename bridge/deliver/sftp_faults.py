"""What an exception on the way to an SFTP server means, as data."""

import errno
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from paramiko.sftp import SFTP_FAILURE, SFTP_NO_SUCH_FILE, SFTP_PERMISSION_DENIED
from paramiko.ssh_exception import IncompatiblePeer, SSHException

from bridge.deliver.refusal import Refusal
from bridge.deliver.remote import Reason, Step
from bridge.deliver.sftp_client import Refused


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why something failed."""

    reason: Reason
    detail: str
    """One line without secrets."""
    refused: bool = False
    """The server answered, and refused; otherwise it is not known what it did."""


NEWER = "ask its operator to allow a newer one (man sshd_config names them)"

KINDS = {
    "kex": "key exchange (KexAlgorithms)",
    "host key": "host key algorithm (HostKeyAlgorithms)",
    "ciphers": "cipher (Ciphers)",
    "macs": "MAC (MACs)",
    "": "SSH algorithm",
}
"""What the library says of a server that has nothing in common with us, to what that is."""

UNREACHABLE = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH)


def _offers_no(said: str, error: Exception) -> bool:
    return isinstance(error, IncompatiblePeer) and said in str(error)


def _timed_out(error: BaseException | None) -> bool:
    """A timeout stands in the chain of causes: the library wraps that of the banner."""
    while error is not None:
        if isinstance(error, TimeoutError):
            return True
        error = error.__cause__ or error.__context__
    return False


SILENCES: tuple[tuple[Callable[[Exception], bool], Reason, str], ...] = (
    (
        lambda error: isinstance(error, socket.gaierror),
        Reason.DNS,
        "the host name is not known; check sftp.host",
    ),
    (
        lambda error: isinstance(error, OSError) and error.errno in UNREACHABLE,
        Reason.REFUSED,
        "nothing listens there; check sftp.host and sftp.port",
    ),
    (_timed_out, Reason.TIMEOUT, "no answer for too long"),
    *(
        (partial(_offers_no, said), Reason.OTHER, f"it offers no {kind} that is still safe; {NEWER}")
        for said, kind in KINDS.items()
    ),
    (
        lambda error: isinstance(error, OSError | EOFError | SSHException),
        Reason.CONNECTION_LOST,
        "the connection was lost",
    ),
    (lambda _error: True, Reason.OTHER, "the connection failed in an unexpected way"),
)
"""Faults that are no answer of the server's; the first that fits."""

ANSWERS: tuple[tuple[Callable[[int, str, Step], bool], Reason, str], ...] = (
    (lambda code, text, _: code == QUOTA_EXCEEDED or "quota" in text, Reason.QUOTA, ""),
    (lambda _, text, __: "edquot" in text, Reason.QUOTA, ""),
    (lambda code, text, _: code == NO_SPACE or "no space" in text, Reason.DISK_FULL, ""),
    (lambda _, text, __: "disk full" in text or "enospc" in text, Reason.DISK_FULL, ""),
    (
        lambda code, _, __: code == SFTP_PERMISSION_DENIED,
        Reason.PERMISSION,
        "; ask for the right to write there",
    ),
    (
        lambda code, _, step: code == SFTP_NO_SUCH_FILE and step is Step.OPEN,
        Reason.NO_DIRECTORY,
        "; sftp.directory does not exist, correct it",
    ),
    (
        lambda code, _, step: code == SFTP_FAILURE and step is Step.SEND,
        Reason.DISK_FULL,
        "; its disk, or our quota there, may be full",
    ),
    (lambda _, __, ___: True, Reason.OTHER, ""),
)
"""The server's refusals by code, text in lower case, and what was asked; the first that fits."""

NO_SPACE = 14
QUOTA_EXCEEDED = 15
"""SSH_FX_NO_SPACE_ON_FILESYSTEM, SSH_FX_QUOTA_EXCEEDED of later versions of SFTP; some servers use them."""


def explain(error: Exception, step: Step, *, cut: bool) -> Explanation:
    """Sort what was raised during `step`; `cut`: the watchdog had ended the connection."""
    if isinstance(error, Refusal):
        return Explanation(error.reason, error.detail)
    if isinstance(error, Refused):
        said = " ".join(error.text.split())[:200]
        lowered = said.lower()
        reason, advice = next((r, a) for fits, r, a in ANSWERS if fits(error.code, lowered, step))
        return Explanation(reason, f"the server refused to {step.value}: {said!r}{advice}", refused=True)
    met: Exception = TimeoutError() if cut else error
    reason, detail = next((r, d) for fits, r, d in SILENCES if fits(met))
    return Explanation(reason, f"{detail} ({step.value}; {type(error).__name__})")
