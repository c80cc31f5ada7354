"""One SSH connection to an SFTP server: verified, logged in, and never waiting for ever.

facts.md, SFTP: every timeout of the library's is off by default, its default algorithms hold broken ones, and
a frozen server can hold a sender in a full socket, where no timeout reaches it. Hence the watchdog.
"""

import contextlib
import logging
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm

from bridge.config import Secret, SftpSettings, read_secret
from bridge.deliver.host_keys import PinnedKeys, fingerprint, from_known_hosts, from_text
from bridge.deliver.refusal import Refusal
from bridge.deliver.remote import Reason
from bridge.errors import BridgeError
from bridge.name_service import Address, NameService, NoAnswer, NotWanted

KEEPALIVE = 15
"""Seconds."""

CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
DIGESTS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)
KEY_EXCHANGES = (
    "mlkem768x25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group14-sha256",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long a server may be silent: a frozen one is left within 30 s. All in seconds."""

    connect: float = 15.0
    """For each of: the host's name, the TCP connection, banner, handshake, log-in, opening the channel."""
    reply: float = 10.0
    """Without a byte while a reply is waited for."""
    silence: float = 12.0
    """The watchdog cuts the connection after one to two times this long without any progress."""


class Watchdog:
    """Shuts a socket down when nothing has moved for too long: each blocked call on it then fails.

    It counts beats instead of asking a clock: what it guards is real time on a real network.
    """

    def __init__(self, silence: float) -> None:
        self._silence = silence
        self._socket: socket.socket | None = None
        self._beats = 0
        self._over = threading.Event()
        self.was_cut = False
        """Somebody wants the connection to end."""
        self.fired = False
        """It was the watchdog that cut the connection."""

    def guard(self, connection: socket.socket) -> None:
        """Begin to watch, or go on with another socket."""
        first, self._socket = self._socket is None, connection
        if self.was_cut:
            self.cut()
        if first:
            threading.Thread(target=self._watch, name="sftp-watchdog", daemon=True).start()

    def beat(self) -> None:
        """Something moved."""
        self._beats += 1

    def cut(self) -> None:
        """Shut the socket down, now or as soon as there is one."""
        self.was_cut = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """Watch no longer."""
        self._over.set()

    def _watch(self) -> None:
        seen = -1
        while not self._over.wait(self._silence):
            if seen == self._beats:
                self.fired = True
                self.cut()
                return
            seen = self._beats


class Connection:
    """A context: entered, it is logged in; left, it is gone, however the server behaves."""

    def __init__(self, settings: SftpSettings, patience: Patience, names: NameService) -> None:
        self._settings = settings
        self._patience = patience
        self._names = names
        self._transport: paramiko.Transport | None = None
        self.watchdog = Watchdog(patience.silence)
        _silence_library()

    def __enter__(self) -> Self:
        try:
            self._log_in()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def channel(self) -> paramiko.Channel:
        """A channel with the server's SFTP on it.

        Raises:
            paramiko.SSHException: The server offers none.
        """
        assert self._transport is not None
        channel = self._transport.open_session(timeout=self._patience.connect)
        channel.settimeout(self._patience.reply)
        channel.invoke_subsystem("sftp")
        self.watchdog.beat()
        return channel

    def _log_in(self) -> None:
        settings = self._settings
        patience = self._patience.connect
        pinned = _pinned(settings)
        credentials = _credentials(settings)
        connection = self._reach()
        # A log-in is a talk of small packets: each would wait 40 ms for the answer to the one before.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.watchdog.beat()
        transport = self._transport = paramiko.Transport(connection)
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = patience
        _prefer_modern(transport, pinned)
        transport.start_client(timeout=patience)
        if transport.session_id is None:  # it returns without a word when its time is up
            raise TimeoutError
        self.watchdog.beat()
        _verify(transport, pinned)
        transport.set_keepalive(KEEPALIVE)
        _authenticate(transport, settings.username, credentials)
        self.watchdog.beat()

    def _reach(self) -> socket.socket:
        """A connection to the first address that answers; they share the time that one has."""
        watchdog, patience = self.watchdog, self._patience.connect
        addresses = self._addresses()
        failure: OSError = ConnectionAbortedError()
        for family, kind, protocol, address in addresses:
            if watchdog.was_cut:
                break
            try:
                connection = socket.socket(family, kind, protocol)
            except OSError as error:  # the kernel may not know this family of addresses
                failure = error
                continue
            connection.settimeout(patience / len(addresses))
            watchdog.guard(connection)
            try:
                connection.connect(address)
            except OSError as error:
                connection.close()
                failure = error
            else:
                connection.settimeout(patience)
                return connection
        raise failure

    def _addresses(self) -> list[Address]:
        host, port, patience = self._settings.host, self._settings.port, self._patience.connect
        try:
            return self._names.addresses(host, port, patience, lambda: not self.watchdog.was_cut)
        except NoAnswer as error:
            raise Refusal(Reason.DNS, str(error)) from error
        except NotWanted as error:
            detail = "abandoned while its address was asked for"
            raise Refusal(Reason.CONNECTION_LOST, detail) from error

    def _close(self) -> None:
        """Cut first: a polite goodbye could block on a frozen server."""
        self.watchdog.stop()
        self.watchdog.cut()
        if self._transport is not None:
            self._transport.close()
            self._transport.sock.close()


def _pinned(settings: SftpSettings) -> PinnedKeys:
    if settings.host_key is not None:
        keys = from_text(settings.host_key)
        where = "host_key"
    else:
        assert settings.known_hosts_file is not None
        where = str(settings.known_hosts_file)
        keys = from_known_hosts(_lines(settings.known_hosts_file), settings.host, settings.port)
    if not keys.accepted - keys.revoked:
        detail = f"{where} has no host key for it; add the line that its operator gives you"
        raise Refusal(Reason.HOST_KEY, detail)
    return keys


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", errors="replace").splitlines()
    except OSError as error:
        raise Refusal(Reason.HOST_KEY, f"{path} cannot be read: {error.strerror}; write it there") from error


def _credentials(settings: SftpSettings) -> Secret | paramiko.PKey:
    """Password or private key, read anew at each log-in."""
    try:
        if settings.private_key_file is None:
            assert settings.password_file is not None
            return read_secret(settings.password_file)
        read_secret(settings.private_key_file)  # the library would wait for ever at a pipe
        return paramiko.PKey.from_path(settings.private_key_file)
    except BridgeError as error:
        raise Refusal(Reason.AUTHENTICATION, str(error)) from error
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm, paramiko.SSHException) as error:
        detail = (
            f"{settings.private_key_file} cannot be read as an unencrypted ed25519, ecdsa or rsa private key"
        )
        raise Refusal(Reason.AUTHENTICATION, detail) from error


def _prefer_modern(transport: paramiko.Transport, pinned: PinnedKeys) -> None:
    options = transport.get_security_options()
    options.ciphers = CIPHERS
    options.digests = DIGESTS
    options.kex = tuple(name for name in KEY_EXCHANGES if name in options.kex)
    options.key_types = pinned.algorithms


def _verify(transport: paramiko.Transport, pinned: PinnedKeys) -> None:
    key = transport.get_remote_server_key().asbytes()
    if pinned.accepts(key):
        return
    what = "revoked" if key in pinned.revoked else "not the pinned one"
    detail = (
        f"its host key {fingerprint(key)} is {what}; nothing was sent; ask its operator, then pin the new key"
    )
    raise Refusal(Reason.HOST_KEY, detail)


def _authenticate(transport: paramiko.Transport, username: str, credentials: Secret | paramiko.PKey) -> None:
    try:
        if isinstance(credentials, Secret):
            further = transport.auth_password(username, credentials.reveal())
        else:
            further = transport.auth_publickey(username, credentials)
    except paramiko.BadAuthenticationType as error:
        detail = f"it takes only {', '.join(error.allowed_types)} for log-in"
        raise Refusal(Reason.AUTHENTICATION, detail) from error
    except paramiko.AuthenticationException as error:
        if not transport.is_active():
            raise Refusal(Reason.CONNECTION_LOST, "the connection ended during the log-in") from error
        if "timeout" in str(error):
            raise Refusal(Reason.TIMEOUT, "no answer to the log-in") from error
        detail = "the log-in was refused; check username and password_file or private_key_file"
        raise Refusal(Reason.AUTHENTICATION, detail) from error
    if further:
        raise Refusal(Reason.AUTHENTICATION, f"it asks for a further factor: {', '.join(further)}")


def _silence_library() -> None:
    """The library's log stays out of ours: it names paths and users, and prints tracebacks."""
    logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)
