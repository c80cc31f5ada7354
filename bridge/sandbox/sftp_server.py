"""An SFTP server in the process: it counts by its own clock and refuses what is above quota.

Every file opened for writing takes a slot of the hour; its bytes count on the day they are written. Where it
is closed or renamed in a later hour, it takes a slot of that one too, as whoever keeps the quota must assume
(design.md, invariant 4). A refusal is recorded: a client that keeps the quota causes none.
"""

import asyncio
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import asyncssh

from bridge.clock import DAY, HOUR, SECOND, Clock
from bridge.errors import BridgeError
from bridge.sandbox.limits import Limits
from bridge.sandbox.settings import Address

LOOPBACK = Address(host="127.0.0.1", port=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Partner:
    """Who may log in."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """A file that got its final name."""

    name: str
    at: int
    """By the server's clock, epoch ms."""
    bytes: int
    """Its size."""


class Judge:
    """What was taken, by the server's clock; called in the server's thread alone."""

    def __init__(
        self, limits: Limits, clock: Clock, heard: "Callable[[Arrival], None]" = lambda _: None
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._heard = heard
        self._files: Counter[int] = Counter()
        self._bytes: Counter[int] = Counter()
        self.arrivals: list[Arrival] = []
        self.violations: list[str] = []

    def now(self) -> int:
        """Of the server's clock."""
        return self._clock.now()

    @property
    def busiest_hour(self) -> int:
        """Most slots that were taken of an hour."""
        return max(self._files.values(), default=0)

    def used(self) -> tuple[int, int]:
        """Slots of this hour and bytes of this day that are taken."""
        now = self.now()
        return self._files[now // HOUR], self._bytes[now // DAY]

    def remember(self, arrivals: Iterable[Arrival]) -> None:
        """Count what arrived at an earlier server."""
        for arrival in arrivals:
            self._files[arrival.at // HOUR] += 1
            self._bytes[arrival.at // DAY] += arrival.bytes

    def opened(self, name: str) -> int:
        """Take a slot of the hour, which is returned; asyncssh.SFTPError if there is none."""
        hour = self.now() // HOUR
        self._take_slot(name, hour)
        return hour

    def written(self, name: str, size: int, end: int) -> None:
        """Take bytes of the day; asyncssh.SFTPError if too few are left, or the file becomes too large.

        Args:
            name: Of the file.
            size: How many bytes are written.
            end: How long the file is then, at least.
        """
        if end > self._limits.bytes_per_file:
            self._violated(f"{name}: larger than {self._limits.bytes_per_file} bytes")
            raise asyncssh.SFTPFailure(f"{name} is too large: {self._limits.bytes_per_file} bytes at most")
        day = self.now() // DAY
        if self._bytes[day] + size > self._limits.bytes_per_day:
            self._refuse(f"{name}: more than {self._limits.bytes_per_day} bytes on day {day}")
        self._bytes[day] += size

    def still_open(self, name: str, hour: int) -> int:
        """Take a slot of the current hour too, if it is not `hour`; returns the current one."""
        current = self.now() // HOUR
        if current != hour:
            self._take_slot(name, current)
        return current

    def arrived(self, path: Path) -> None:
        """Record a file, unless its name is temporary."""
        if not path.name.endswith(self._limits.temporary_suffix):
            size = path.stat().st_size
            arrival = Arrival(name=path.name, at=self.now(), bytes=size)
            self.arrivals.append(arrival)
            self._heard(arrival)

    def _take_slot(self, name: str, hour: int) -> None:
        if self._files[hour] >= self._limits.files_per_hour:
            self._refuse(f"{name}: more than {self._limits.files_per_hour} files in hour {hour}")
        self._files[hour] += 1

    def _violated(self, violation: str) -> None:
        self.violations.append(violation)

    def _refuse(self, violation: str) -> None:
        self._violated(violation)
        raise asyncssh.SFTPFailure(f"quota exceeded: {violation}")


class Session(asyncssh.SFTPServer):
    """One client's view of the folder; a test may override a request to break it."""

    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], root: Path, judge: Judge) -> None:
        super().__init__(channel, chroot=os.fsencode(root))
        self._root = root
        self._judge = judge
        self._hours: dict[str, int] = {}
        """Name of each file written in this session, to the last hour it took a slot of."""
        self._names: dict[object, str] = {}
        self._opened_at: dict[object, int] = {}

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        """A file for writing takes a slot."""
        if not pflags & asyncssh.FXF_WRITE:
            return super().open(path, pflags, attrs)
        name = os.fsdecode(path)
        hour = self._judge.opened(name)
        file = super().open(path, pflags, attrs)
        self._hours[name] = hour
        self._names[file] = name
        self._opened_at[file] = self._judge.now()
        return file

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        """Bytes count before they are written."""
        self._judge.written(self._names[file_obj], len(data), offset + len(data))
        return super().write(file_obj, offset, data)  # type: ignore[return-value]  # ours are files: no awaitable

    def fstat(self, file_obj: object) -> asyncssh.SFTPAttrs:
        """By the server's clock, which may be another than the disk's."""
        attributes = asyncssh.SFTPAttrs.from_local(super().fstat(file_obj))  # type: ignore[arg-type]  # as in write
        attributes.mtime = self._opened_at.get(file_obj, self._judge.now()) // SECOND
        return attributes

    def close(self, file_obj: object) -> None:
        """A file that was opened under its final name has arrived."""
        name = self._names.pop(file_obj, None)
        self._opened_at.pop(file_obj, None)
        super().close(file_obj)
        if name is not None:
            self._hours[name] = self._judge.still_open(name, self._hours[name])
            self._judge.arrived(self._local(name))

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        """The file has arrived."""
        self._renaming(oldpath)
        super().rename(oldpath, newpath)
        self._judge.arrived(self._local(os.fsdecode(newpath)))

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        """The file has arrived."""
        self._renaming(oldpath)
        super().posix_rename(oldpath, newpath)
        self._judge.arrived(self._local(os.fsdecode(newpath)))

    def _renaming(self, oldpath: bytes) -> None:
        name = os.fsdecode(oldpath)
        if name in self._hours:
            self._judge.still_open(name, self._hours.pop(name))

    def _local(self, name: str) -> Path:
        return Path(os.fsdecode(self.map_path(os.fsencode(name))))


Sessions: TypeAlias = Callable[["asyncssh.SSHServerChannel[bytes]", Path, Judge], Session]
"""Makes what one client sees."""


class SftpServer:
    """The server: `start`, use `port` and `host_key`, `stop`; both may be called again."""

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock,
        partner: Partner,
        limits: Limits | None = None,
        session: Sessions = Session,
        address: Address = LOOPBACK,
        key: asyncssh.SSHKey | None = None,
        heard: Callable[[Arrival], None] = lambda _: None,
    ) -> None:
        """Nothing listens yet.

        Args:
            directory: Where files are put.
            clock: The server's.
            partner: The one that may log in.
            limits: None: the seed's.
            session: What each client sees.
            address: Where it listens.
            key: The host's; None: a new one.
            heard: Told of each arrival, in the server's thread, which it must not hold up.
        """
        asyncssh.set_log_level("CRITICAL")
        self._directory = directory
        self._judge = Judge(limits or Limits(), clock, heard)
        self._session = session
        self._partner = partner
        self._key = key or asyncssh.generate_private_key("ssh-ed25519")
        self._host = address.host
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._fault: Exception | None = None
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self.port = address.port
        """Where it listens, from the first start on."""

    @property
    def host_key(self) -> str:
        """`ssh-ed25519 AAAA...`, to be pinned."""
        return self._key.export_public_key().decode("ascii").strip()

    @property
    def arrivals(self) -> tuple[Arrival, ...]:
        """Files under their final names, in the order in which they got them."""
        return tuple(self._judge.arrivals)

    @property
    def violations(self) -> tuple[str, ...]:
        """What was refused for quota."""
        return tuple(self._judge.violations)

    def used(self) -> tuple[int, int]:
        """Files of this hour and bytes of this day that count, by the server's clock."""
        return self._judge.used()

    def remember(self, arrivals: Iterable[Arrival]) -> None:
        """Count what arrived at an earlier server; before the start."""
        self._judge.remember(arrivals)

    @property
    def busiest_hour(self) -> int:
        """Most files that counted in one hour; to be asked once it has stopped."""
        return self._judge.busiest_hour

    def start(self) -> None:
        """Listen; returns when it does.

        Raises:
            BridgeError: It cannot.
        """
        listening = threading.Event()
        self._fault = None
        self._thread = threading.Thread(target=self._run, args=(listening,), name="sftp-server", daemon=True)
        self._thread.start()
        listening.wait()
        if self._fault is not None:
            raise BridgeError(
                f"the SFTP server does not start on {self._host}:{self.port}: {self._fault}"
            ) from self._fault

    def stop(self) -> None:
        """Refuse connections and cut those that are open."""
        assert self._loop is not None
        assert self._over is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _run(self, listening: threading.Event) -> None:
        try:
            asyncio.run(self._serve(listening.set))
        except Exception as error:
            if listening.is_set():
                raise
            self._fault = error
            listening.set()

    async def _serve(self, listening: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        acceptor = await asyncssh.listen(
            self._host,
            self.port,
            server_host_keys=[self._key],
            server_factory=lambda: _LogIn(self._partner, self._connections),
            sftp_factory=lambda channel: self._session(channel, self._directory, self._judge),
        )
        self.port = acceptor.get_port()
        listening()
        await self._over.wait()
        acceptor.close()
        for connection in list(self._connections):
            connection.abort()
        await acceptor.wait_closed()


class _LogIn(asyncssh.SSHServer):
    """One username with one password."""

    def __init__(self, partner: Partner, connections: set[asyncssh.SSHServerConnection]) -> None:
        self._partner = partner
        self._connections = connections
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the library's signature
        if self._connection is not None:
            self._connections.discard(self._connection)

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return Partner(username=username, password=password) == self._partner
