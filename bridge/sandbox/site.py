"""A sandbox's directory.

DIRECTORY/
  files/          what was put on the SFTP server; it stays
  journal.jsonl   what was processed, and the verdicts
  taxonomies.json those of the Audience Segments API
  host_key        of the SFTP server
  sftp-password   of the one who may log in; of the APIs too
  client-secret   of CLIENT_ID, for tokens of the Audience Segments API
  lock
"""

import os
import secrets
from pathlib import Path

import asyncssh

from bridge.clock import Clock
from bridge.errors import BridgeError, UsageError
from bridge.spool.locks import Lock, LockHeld

PRIVATE = 0o600
FOLDER = 0o700
"""Files hold user ids."""

CLIENT_ID = "sandbox"
"""Of the program that asks for tokens."""


class SandboxSite:
    """The paths below a directory that is new, empty, or an earlier sandbox's."""

    def __init__(self, directory: Path) -> None:
        """Make what must be there.

        Raises:
            UsageError: It holds something else, or cannot be used.
        """
        self.directory = directory.resolve()
        self.files = self.directory / "files"
        self.journal = self.directory / "journal.jsonl"
        self.taxonomies = self.directory / "taxonomies.json"
        self.password_file = self.directory / "sftp-password"
        self.client_secret_file = self.directory / "client-secret"
        self._key_file = self.directory / "host_key"
        try:
            directory.mkdir(mode=FOLDER, parents=True, exist_ok=True)
            if any(directory.iterdir()) and not self._key_file.exists():
                raise UsageError(
                    f"--directory {directory} holds something else: name a new one, or a sandbox's"
                )
            if not self._key_file.exists():
                self._create()
            self.files.mkdir(exist_ok=True)
            self.host_key = asyncssh.import_private_key(self._key_file.read_bytes())
            self.password = self.password_file.read_text(encoding="utf-8").strip()
            if not self.client_secret_file.exists():  # earlier sandboxes had none
                _write_secret(self.client_secret_file)
            self.client_secret = self.client_secret_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            why = error.strerror or error
            raise UsageError(f"--directory {directory} cannot be used ({why}): name another") from error
        except (asyncssh.KeyImportError, UnicodeDecodeError) as error:
            raise UsageError(
                f"--directory {directory}: host_key, sftp-password or client-secret is damaged: name another"
            ) from error

    def lock(self, clock: Clock) -> Lock:
        """Held while a sandbox runs here.

        Raises:
            BridgeError: Another one does.
        """
        lock = Lock(self.directory / "lock")
        try:
            return lock.acquire(0, clock)
        except LockHeld as error:
            raise BridgeError(
                f"--directory {self.directory} is used by {lock.holder()}: stop that sandbox, or name another"
            ) from error

    def _create(self) -> None:
        """The key last: with it the directory is a sandbox's."""
        _write_secret(self.password_file)
        key = asyncssh.generate_private_key("ssh-ed25519").export_private_key()
        _write_private(self._key_file, key)


def _write_secret(path: Path) -> None:
    _write_private(path, f"{secrets.token_urlsafe(16)}\n".encode())


def _write_private(path: Path, content: bytes) -> None:
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)
