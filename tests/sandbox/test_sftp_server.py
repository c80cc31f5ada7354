"""The server in the process counts and refuses by its own clock; how the uploader takes refusals."""

import random
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import asyncssh
import pytest

from bridge.clock import HOUR, MINUTE
from bridge.config import SftpSettings
from bridge.deliver.remote import Outcome, Reason, Receipt, UploadFailed, UploadStage
from bridge.deliver.sftp import SftpRemote
from bridge.errors import BridgeError
from bridge.sandbox.limits import Limits
from bridge.sandbox.sftp_server import Partner, Session, SftpServer

DAY_START = 1_793_491_200_000
SIZE = 300_000
PARTNER = Partner(username="demo", password="secret")


class SetClock:
    """Stands still until it is set."""

    def __init__(self, now: int) -> None:
        self.at = now

    def now(self) -> int:
        return self.at

    def elapsed(self) -> int:
        return self.at

    def wait(self, signal: threading.Event, duration: int) -> bool:
        self.at += duration
        return signal.is_set()


class Site:
    """A server with a clock of its own, and an uploader."""

    def __init__(self, folder: Path, limits: Limits, session: type[Session], suffix: str | None) -> None:
        self.root = folder / "remote"
        self.root.mkdir()
        self.clock = SetClock(DAY_START + 20 * MINUTE)
        self.server = SftpServer(self.root, clock=self.clock, partner=PARTNER, limits=limits, session=session)
        self.server.start()
        (folder / "password").write_text("secret\n")
        settings = SftpSettings(
            host="127.0.0.1",
            port=self.server.port,
            username="demo",
            password_file=folder / "password",
            host_key=self.server.host_key,
            temporary_suffix=suffix,
        )
        self.remote = SftpRemote(settings, self.clock)
        self.local = folder / "built"
        self.local.write_bytes(random.Random(5).randbytes(SIZE))

    def upload(self, name: str, progress: Callable[[UploadStage], None] = lambda _: None) -> Receipt:
        return self.remote.upload(self.local, name, progress)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.root.iterdir())


@pytest.fixture
def make(tmp_path: Path):
    sites: list[Site] = []

    def build(
        limits: Limits | None = None, session: type[Session] = Session, suffix: str | None = ".part"
    ) -> Site:
        sites.append(Site(tmp_path, limits or Limits(), session, suffix))
        return sites[-1]

    yield build
    for site in sites:
        site.server.stop()


def failing(site: Site, name: str) -> UploadFailed:
    with pytest.raises(UploadFailed) as failure:
        site.upload(name)
    return failure.value


@pytest.mark.parametrize("suffix", [".part", None])
def test_arrivals(make, suffix: str | None):
    """Files are listed under their final names, in order, with their sizes and the server's time."""
    site = make(suffix=suffix)
    site.upload("b")
    site.clock.at += MINUTE
    site.upload("a")
    listed = [(one.name, one.at, one.bytes) for one in site.server.arrivals]
    start = DAY_START + 20 * MINUTE
    assert listed == [("b", start, SIZE), ("a", start + MINUTE, SIZE)]
    assert (site.root / "a").read_bytes() == site.local.read_bytes()
    assert site.server.violations == ()


def test_server_clock_shows(make):
    """The skew that an uploader sees is that of the server's clock."""
    site = make()
    site.remote = SftpRemote(site.remote._settings, SetClock(site.clock.at + HOUR))
    skews: list[int] = []
    site.remote.upload(site.local, "a", lambda _: None, skews.append)
    assert abs(skews[0] + HOUR) <= 500


def test_files_an_hour(make):
    """The file above the limit is refused and recorded, nothing is spent; the next hour takes it."""
    site = make(Limits(files_per_hour=2))
    site.upload("a")
    site.upload("b")
    failure = failing(site, "c")
    assert (failure.outcome, failure.reason, failure.quota) == (Outcome.NOT_OPENED, Reason.QUOTA, True)
    assert len(site.server.violations) == 1
    assert site.names() == ["a", "b"]
    site.clock.at += HOUR
    site.upload("c")


def test_bytes_a_day(make):
    """Bytes above the day's limit are refused in the middle; what was written is removed again."""
    site = make(Limits(bytes_per_day=SIZE + SIZE // 2))
    site.upload("a")
    failure = failing(site, "b")
    assert (failure.outcome, failure.reason, failure.quota) == (Outcome.SPENT, Reason.QUOTA, True)
    assert len(site.server.violations) >= 1
    assert site.names() == ["a"]
    site.clock.at += 24 * HOUR
    site.upload("b")


def test_a_file_over_the_hours_end(make):
    """A file that is open when the hour ends takes a slot of both hours."""
    site = make(Limits(files_per_hour=1))

    def late(stage: UploadStage) -> None:
        if stage is UploadStage.SENT:
            site.clock.at += HOUR

    site.upload("a", late)
    assert failing(site, "b").quota


def test_restart(make):
    """A stopped server refuses; it comes back on the same port with the same key, and still counts."""
    site = make(Limits(files_per_hour=1))
    site.upload("a")
    site.server.stop()
    assert failing(site, "b").reason is Reason.REFUSED
    site.server.start()
    assert failing(site, "b").quota
    assert [one.name for one in site.server.arrivals] == ["a"]


class RefusesAWrite(Session):
    """One write in the middle fails, the others succeed: a short ENOSPC."""

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        if offset == 131_072:
            raise asyncssh.SFTPFailure("Failure")
        return super().write(file_obj, offset, data)


class RefusesClose(Session):
    """The file cannot be closed, as on a network disk that is full."""

    def close(self, file_obj: object) -> None:
        super().close(file_obj)
        raise asyncssh.SFTPFailure("No space left")


class TakesAtOnce(Session):
    """The platform takes a file as soon as it is closed."""

    def close(self, file_obj: object) -> None:
        path = self._local(self._names[file_obj])
        super().close(file_obj)
        path.unlink()


class LosesBytes(Session):
    """Acknowledges a write that it does not do."""

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        return len(data) if offset + len(data) == SIZE else super().write(file_obj, offset, data)


class NoPosixRename(Session):
    """Knows the plain rename alone."""

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:  # noqa: ARG002  # the library's signature
        raise asyncssh.SFTPOpUnsupported("Unsupported")


class RefusesRename(NoPosixRename):
    """Knows no rename."""

    def rename(self, oldpath: bytes, newpath: bytes) -> None:  # noqa: ARG002  # the library's signature
        raise asyncssh.SFTPPermissionDenied("No")


class HidesFiles(Session):
    """May not be asked for what lies under a final name."""

    def stat(self, path: bytes) -> object:
        if not path.endswith(b".part"):
            raise asyncssh.SFTPPermissionDenied("No")
        return super().stat(path)


@pytest.mark.failure(43, 44)
@pytest.mark.parametrize(
    ("session", "outcome", "reason"),
    [
        (RefusesAWrite, Outcome.SPENT, Reason.DISK_FULL),
        (RefusesClose, Outcome.SPENT, Reason.DISK_FULL),
        (LosesBytes, Outcome.SPENT, Reason.OTHER),
        (RefusesRename, Outcome.SPENT, Reason.PERMISSION),
    ],
)
def test_refusals(make, session: type[Session], outcome: Outcome, reason: Reason):
    """One refused write or CLOSE fails the upload; nothing has the final name (failures 43, 44)."""
    site = make(session=session)
    failure = failing(site, "a")
    assert (failure.outcome, failure.reason) == (outcome, reason)
    assert "a" not in site.names()


@pytest.mark.failure(43, 44)
@pytest.mark.parametrize("session", [RefusesAWrite, RefusesClose])
def test_refusals_in_place(make, session: type[Session]):
    """Under the final name, what a refusal left behind is removed, so that nothing of it has that name."""
    site = make(session=session, suffix=None)
    assert failing(site, "a").outcome is Outcome.SPENT
    assert site.names() == []


def test_size_proves_the_whole(make):
    """In place, a file with a refused write in it never reaches its full size, even while it is there."""
    sizes: list[int] = []

    class Watches(RefusesAWrite):
        def remove(self, path: bytes) -> None:
            sizes.append(self._local(path.decode()).stat().st_size)
            super().remove(path)

    site = make(session=Watches, suffix=None)
    failing(site, "a")
    assert len(sizes) == 1
    assert sizes[0] < SIZE


@pytest.mark.failure(46)
def test_taken_at_once(make):
    """In place, a file that the platform takes before we look at its size has arrived (failure 46)."""
    site = make(session=TakesAtOnce, suffix=None)
    assert site.upload("a").bytes == SIZE
    assert site.names() == []


@pytest.mark.parametrize("session", [NoPosixRename, HidesFiles])
def test_poor_servers(make, session: type[Session]):
    """A server without OpenSSH's rename, and one that does not let us look, get the file all the same."""
    site = make(session=session)
    site.upload("a")
    assert site.names() == ["a"]


def test_a_server_that_cannot_start_says_so(tmp_path):
    """Whoever starts it gets an error in a line, and does not wait for ever for a thread that has ended."""
    server = SftpServer(tmp_path, clock=SetClock(DAY_START), partner=PARTNER)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server.port = taken.getsockname()[1]
        with pytest.raises(
            BridgeError, match=r"^the SFTP server does not start on 127.0.0.1:[0-9]+: .*in use"
        ):
            server.start()
    server.port = 0
    server.start()
    server.stop()
