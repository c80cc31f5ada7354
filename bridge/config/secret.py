"""The files that hold secrets. They are read anew at each log-in, so that a rotated one is taken up.

What was read is a `Secret`: whoever prints, logs, formats or pickles it by mistake shows nothing.
"""

import errno
import hmac
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from bridge.config.fault import Fault, Location
from bridge.config.model import Config
from bridge.errors import BridgeError

LARGEST = 1_000_000
"""Bytes of a secret file: a chain of certificates has some thousands."""

SENSITIVE = frozenset(
    {
        "sasl.oauthbearer.client.credentials.secret",
        "sasl.oauthbearer.client.secret",
        "sasl.password",
        "ssl.key.password",
        "ssl.key.pem",
        "ssl.keystore.password",
    }
)
"""Properties of librdkafka that are secrets, wherever they are written."""

_HIDDEN = "<secret>"
_PUBLIC = "known_hosts_file"


class Plain(str):
    """A secret for a library that wants a text: all that is added up with it shows; by itself it does not.

    So a mapping of settings can be printed, and a traceback that shows its locals too.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return _HIDDEN

    def __format__(self, _specification: str) -> str:
        return _HIDDEN

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise _unpickled()


class Secret:
    """A secret, which shows itself only to who asks for it by `reveal`."""

    __slots__ = ("_plain",)

    def __init__(self, plain: str) -> None:
        self._plain = Plain(plain)

    def reveal(self) -> Plain:
        """The text itself, for the library that sends it."""
        return self._plain

    def shows_in(self, text: str) -> bool:
        """Whether it stands in the text."""
        return str(self._plain) in text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._plain.encode(), other._plain.encode())

    def __hash__(self) -> int:
        return hash(self._plain)

    def __repr__(self) -> str:
        return _HIDDEN

    def __format__(self, _specification: str) -> str:
        return _HIDDEN

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise _unpickled()


def _unpickled() -> TypeError:
    return TypeError("a secret is not pickled; read its file where it is needed")


def read_secret(path: Path) -> Secret:
    """The file's text without one newline at its end.

    Raises:
        BridgeError: It names the file, never its content.
    """
    try:
        text = _bytes_of(path).decode()
    except OSError as error:
        raise BridgeError(
            f"cannot read {path}: {error.strerror}; see that it is there and readable"
        ) from None
    except UnicodeDecodeError:
        raise BridgeError(f"{path} is no UTF-8 text; write it as text") from None
    secret = text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")
    if not secret:
        raise BridgeError(f"{path} is empty; write its content")
    return Secret(secret)


def secret_faults(config: Config) -> tuple[str, ...]:
    """A line for each file of the configuration that cannot be read, under its key's path."""
    found: list[str] = []
    for fault_path, file in _files(config):
        try:
            read_secret(file)
        except BridgeError as error:
            found.append(str(Fault(fault_path, str(error))))
    return tuple(found)


def secret_warnings(config: Config) -> tuple[str, ...]:
    """A line for each secret that others may read, or that stands in the configuration itself.

    No faults (docs/decisions/0023): a file's mode is often not its user's to choose.
    """
    return (*_of_properties(config), *_of_modes(config))


def _of_properties(config: Config) -> Iterator[str]:
    for name in config.kafka.properties:
        if name in SENSITIVE:
            what = "holds a secret; put that into a file, and name it under kafka.secret_properties"
            yield str(Fault(("kafka", "properties", name), what))


def _of_modes(config: Config) -> Iterator[str]:
    for path, file in _files(config):
        if path[-1] == _PUBLIC:
            continue
        try:
            mode = file.stat().st_mode
        except OSError:  # a fault of its own
            continue
        if mode & stat.S_IROTH:
            what = f"every user may read {file} (mode {stat.S_IMODE(mode):04o}); chmod o-r it"
            yield str(Fault(path, what))


def _bytes_of(path: Path) -> bytes:
    """The whole file, if it is one: a pipe could keep its reader waiting for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise BridgeError(f"{path} is no regular file; write the secret into one")
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise BridgeError(f"{path} is larger than {LARGEST:,} bytes, which no secret is; name the right file")
    return content


def _files(config: Config) -> Iterator[tuple[Location, Path]]:
    for name, file in config.kafka.secret_properties.items():
        yield ("kafka", "secret_properties", name), file
    if config.schema_registry is not None and config.schema_registry.password_file is not None:
        yield ("schema_registry", "password_file"), config.schema_registry.password_file
    for at, account in enumerate(config.accounts):
        for key in ("password_file", "private_key_file", _PUBLIC):
            file = getattr(account.sftp, key)
            if file is not None:
                yield ("accounts", at, "sftp", key), file
        log = account.platform.processing_log
        if log is not None and log.password_file is not None:
            yield ("accounts", at, "platform", "processing_log", "password_file"), log.password_file
        segments = account.platform.audience_segments
        if segments is not None:
            auth = ("accounts", at, "platform", "audience_segments", "auth")
            yield (*auth, "password_file"), segments.auth.password_file
            yield (*auth, "client_secret_file"), segments.auth.client_secret_file
    for at, file in enumerate(config.user_sync.signing_key_files if config.user_sync else ()):
        yield ("user_sync", "signing_key_files", at), file
