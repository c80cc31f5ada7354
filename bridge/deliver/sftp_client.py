"""paramiko's SFTP client, without what loses data (facts.md, SFTP).

The library throws away the status of CLOSE and the codes of failures; here each is an exception.
"""

from collections.abc import Callable

from paramiko import Channel, Message, SFTPAttributes, SFTPClient, SFTPFile
from paramiko.file import BufferedFile
from paramiko.sftp import (
    CMD_CLOSE,
    CMD_HANDLE,
    CMD_OPEN,
    SFTP_FLAG_CREATE,
    SFTP_FLAG_TRUNC,
    SFTP_FLAG_WRITE,
    SFTP_OK,
)


class Refused(Exception):  # noqa: N818  # an answer of the server's, not a fault of the program
    """The server answered a request with a failure."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        """SSH_FX_*; draft-ietf-secsh-filexfer."""
        self.text = text


class CheckedFile(SFTPFile):
    """A remote file whose CLOSE tells the truth."""

    def _close(self, async_: bool = False) -> None:  # noqa: FBT001, FBT002  # the library's signature
        """Close once; only from `close`, never from the garbage collector, whose thread must not wait.

        Raises:
            Refused: The server could not close it: what was written may be lost.
        """
        if self.closed:
            return
        BufferedFile.close(self)
        if not async_:
            self.sftp._request(CMD_CLOSE, self.handle)  # type: ignore[attr-defined]  # noqa: SLF001  # the only way to its status


class CheckedClient(SFTPClient):
    """A client on a channel; `beat` is called for every answer."""

    def __init__(self, channel: Channel, beat: Callable[[], None]) -> None:
        self._beat = beat
        super().__init__(channel)

    def create(self, path: str) -> CheckedFile:
        """Open for writing; what is there is cut to nothing.

        Raises:
            Refused: By the server.
        """
        flags = SFTP_FLAG_WRITE | SFTP_FLAG_CREATE | SFTP_FLAG_TRUNC
        kind, message = self._request(CMD_OPEN, path, flags, SFTPAttributes())  # type: ignore[attr-defined]  # stubs leave it out
        if kind != CMD_HANDLE:
            raise Refused(SFTP_OK, "the answer to OPEN is not a handle")
        return CheckedFile(self, message.get_binary(), "w", 0)

    def _convert_status(self, message: Message) -> None:
        self._beat()
        code = message.get_int()
        text = message.get_text()
        if code != SFTP_OK:
            raise Refused(code, text)
