"""What a partner may do on the platform's server: put files, and look at them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import asyncssh

from bridge.sandbox.processing import sound
from bridge.sandbox.sftp_server import Judge, Session


class PartnerSession(Session):
    """A name that was loaded is not taken again; there is one folder, and nothing but files in it."""

    def __init__(
        self,
        channel: "asyncssh.SSHServerChannel[bytes]",
        root: Path,
        judge: Judge,
        *,
        taken: Callable[[str], bool],
    ) -> None:
        super().__init__(channel, root, judge)
        self._taken = taken

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        """A file that is loaded can be read, and not be written."""
        if pflags & asyncssh.FXF_WRITE:
            self._ask(path)
        return super().open(path, pflags, attrs)

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Neither of the two is loaded."""
        self._ask(oldpath, newpath)
        super().rename(oldpath, newpath)

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        """As above."""
        self._ask(oldpath, newpath)
        super().posix_rename(oldpath, newpath)

    def remove(self, path: bytes) -> None:
        """What is loaded stays."""
        self._ask(path)
        super().remove(path)

    def setstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        """Times and modes, as some clients set them behind an upload; what is loaded stays as it is."""
        self._keep_size(attrs)
        if not self._is_taken(path):
            super().setstat(path, attrs)

    def fsetstat(self, file_obj: object, attrs: asyncssh.SFTPAttrs) -> None:
        """As above."""
        self._keep_size(attrs)
        super().fsetstat(file_obj, attrs)

    def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:  # noqa: ARG002  # the library's signature
        """There is one folder."""
        self._deny()

    def rmdir(self, path: bytes) -> None:  # noqa: ARG002  # the library's signature
        """As above."""
        self._deny()

    def symlink(self, oldpath: bytes, newpath: bytes) -> None:  # noqa: ARG002  # the library's signature
        """Files alone."""
        self._deny()

    def link(self, oldpath: bytes, newpath: bytes) -> None:  # noqa: ARG002  # the library's signature
        """As above."""
        self._deny()

    def _ask(self, *paths: bytes) -> None:
        for path in paths:
            if not sound(os.fsdecode(path)):
                raise asyncssh.SFTPFailure("file names are printable ASCII")
            if self._is_taken(path):
                raise asyncssh.SFTPFailure(
                    f"{os.fsdecode(path)} was loaded already: a FileIdentifier is used once"
                )

    def _is_taken(self, path: bytes) -> bool:
        return self._taken(Path(os.fsdecode(self.map_path(path))).name)

    def _keep_size(self, attrs: asyncssh.SFTPAttrs) -> None:
        if attrs.size is not None:
            self._deny()

    def _deny(self) -> NoReturn:
        raise asyncssh.SFTPPermissionDenied("only files can be put here")
