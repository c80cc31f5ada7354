"""What every remote promises (remote.py): one suite for the local folder and for SFTP on a real OpenSSH."""

import hashlib
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.clock import HOUR, MINUTE, SystemClock
from bridge.config import SftpSettings
from bridge.deliver.folder import FolderRemote
from bridge.deliver.remote import TOLD_EVERY, Outcome, Reason, Remote, UploadFailed, UploadStage
from bridge.deliver.sftp import SftpRemote
from tests.parts.openssh import OpenSsh

NAME = "Agency_Partner_202611010000.log.gz"
STAGES = [UploadStage.CONNECTING, UploadStage.OPENED, UploadStage.SENT, UploadStage.RENAMED]


class FastClock(SystemClock):
    """An hour ahead of the remote's."""

    def now(self) -> int:
        return super().now() + HOUR


@dataclass
class Site:
    """A kind of remote, and the folder behind it."""

    root: Path
    sshd: OpenSsh | None

    def remote(self, suffix: str | None = ".part", directory: str = ".") -> Remote:
        if self.sshd is None:
            return FolderRemote(self.root / directory, temporary_suffix=suffix, clock=FastClock())
        settings = SftpSettings(
            host="127.0.0.1",
            port=self.sshd.port,
            username=self.sshd.username,
            private_key_file=self.sshd.private_key_file,
            host_key=self.sshd.host_key,
            directory=directory,
            temporary_suffix=suffix,
        )
        return SftpRemote(settings, FastClock())

    def place(self, name: str, content: bytes) -> None:
        """A file that lies there already, and is the account's own."""
        path = self.root / name
        path.write_bytes(content)
        if self.sshd is not None:
            shutil.chown(path, self.sshd.username)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.root.iterdir())


@pytest.fixture(params=["folder", pytest.param("sftp", marks=pytest.mark.sshd)])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    if request.param == "folder":
        root = tmp_path / "remote"
        root.mkdir()
        yield Site(root, None)
    else:
        server = request.getfixturevalue("sshd")
        yield Site(server.root, server)


def local_file(folder: Path, size: int) -> Path:
    path = folder / "built"
    path.write_bytes(random.Random(size).randbytes(size))
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("size", [0, 1, 32_767, 32_768, 32_769, 65_536, 65_537, 9_000_000])
def test_bytes_arrive(site: Site, tmp_path: Path, size: int):
    """Exactly the local bytes stand under the final name, nothing else; each stage is told in order."""
    local = local_file(tmp_path, size)
    stages: list[UploadStage] = []
    receipt = site.remote().upload(local, NAME, stages.append)
    assert site.names() == [NAME]
    assert digest(site.root / NAME) == digest(local)
    assert stages == [*STAGES[:2], *[UploadStage.SENDING] * (size // TOLD_EVERY), *STAGES[2:]]
    assert receipt.bytes == size
    assert not receipt.found


def test_skew(site: Site, tmp_path: Path):
    """The skew is the remote's clock less ours: ours runs an hour ahead."""
    skews: list[int] = []
    site.remote().upload(local_file(tmp_path, 10), NAME, lambda _: None, skews.append)
    (skew,) = skews
    assert -HOUR - MINUTE < skew < -HOUR + MINUTE


def test_not_visible_before_renamed(site: Site, tmp_path: Path):
    """While it is sent, the file has its temporary name alone."""
    seen: dict[UploadStage, list[str]] = {}
    local = local_file(tmp_path, 100_000)
    site.remote().upload(local, NAME, lambda stage: seen.update({stage: site.names()}))
    assert seen[UploadStage.OPENED] == seen[UploadStage.SENT] == [NAME + ".part"]
    assert seen[UploadStage.RENAMED] == [NAME]


@pytest.mark.failure(49)
def test_leftover_is_overwritten(site: Site, tmp_path: Path):
    """An old temporary file, though longer, leaves no byte behind (failure 49)."""
    site.place(NAME + ".part", b"old" * 100_000)
    local = local_file(tmp_path, 70_000)
    site.remote().upload(local, NAME, lambda _: None)
    assert digest(site.root / NAME) == digest(local)
    assert site.names() == [NAME]


@pytest.mark.failure(45)
def test_found(site: Site, tmp_path: Path):
    """A file of our name and size is ours, from an attempt whose reply was lost: nothing is sent."""
    local = local_file(tmp_path, 1000)
    site.place(NAME, local.read_bytes())
    before = (site.root / NAME).stat().st_mtime_ns
    stages: list[UploadStage] = []
    receipt = site.remote().upload(local, NAME, stages.append)
    assert receipt.found
    assert stages == [UploadStage.CONNECTING, UploadStage.RENAMED]
    assert (site.root / NAME).stat().st_mtime_ns == before


@pytest.mark.failure(47)
def test_foreign_file(site: Site, tmp_path: Path):
    """A file of our name and another size is not ours: it stays, and nothing is spent (failure 47)."""
    site.place(NAME, b"foreign")
    with pytest.raises(UploadFailed) as failure:
        site.remote().upload(local_file(tmp_path, 1000), NAME, lambda _: None)
    assert (failure.value.outcome, failure.value.reason) == (Outcome.NOT_OPENED, Reason.OTHER)
    assert (site.root / NAME).read_bytes() == b"foreign"
    assert site.names() == [NAME]


def test_in_place(site: Site, tmp_path: Path):
    """Without a temporary suffix the final name is written, over what a cut attempt left there."""
    site.place(NAME, b"cut short")
    local = local_file(tmp_path, 100_000)
    stages: list[UploadStage] = []
    site.remote(suffix=None).upload(local, NAME, stages.append)
    assert digest(site.root / NAME) == digest(local)
    assert stages == STAGES


def test_directory(site: Site, tmp_path: Path):
    """Files go into the configured directory."""
    (site.root / "in").mkdir()
    if site.sshd is not None:
        shutil.chown(site.root / "in", site.sshd.username)
    remote = site.remote(directory="in")
    remote.check()
    remote.upload(local_file(tmp_path, 10), NAME, lambda _: None)
    assert (site.root / "in" / NAME).stat().st_size == 10
    assert remote.exists(NAME) == 10


def test_no_directory(site: Site, tmp_path: Path):
    """A directory that is not there is told as such, by `check` and by an upload, which spends nothing."""
    remote = site.remote(directory="nowhere")
    with pytest.raises(UploadFailed) as failure:
        remote.check()
    assert failure.value.reason is Reason.NO_DIRECTORY
    with pytest.raises(UploadFailed) as failure:
        remote.upload(local_file(tmp_path, 10), NAME, lambda _: None)
    assert (failure.value.outcome, failure.value.reason) == (Outcome.NOT_OPENED, Reason.NO_DIRECTORY)
    assert not failure.value.transient


def test_exists(site: Site):
    """The size of a file, None where there is none; a temporary file is none."""
    site.place(NAME + ".part", b"12345")
    remote = site.remote()
    assert remote.exists(NAME) is None
    site.place(NAME, b"123")
    assert remote.exists(NAME) == 3
    remote.check()


def test_lost_local_file(site: Site, tmp_path: Path):
    """A built file that is gone fails before anything is opened."""
    with pytest.raises(UploadFailed) as failure:
        site.remote().upload(tmp_path / "gone", NAME, lambda _: None)
    assert failure.value.outcome is Outcome.NOT_OPENED
    assert site.names() == []


@pytest.mark.parametrize(
    ("stage", "outcome"),
    [(UploadStage.CONNECTING, Outcome.NOT_OPENED), (UploadStage.OPENED, Outcome.SPENT)],
)
def test_abandon(site: Site, tmp_path: Path, stage: UploadStage, outcome: Outcome):
    """An abandoned upload fails with what is known then; the next one fails before it begins."""
    remote = site.remote()
    local = local_file(tmp_path, 100_000)
    with pytest.raises(UploadFailed) as failure:
        remote.upload(local, NAME, lambda now: remote.abandon() if now is stage else None)
    assert failure.value.outcome is outcome
    assert NAME not in site.names()
    with pytest.raises(UploadFailed) as failure:
        remote.upload(local, NAME, lambda _: None)
    assert failure.value.outcome is Outcome.NOT_OPENED


@pytest.mark.parametrize("stage", [UploadStage.CONNECTING, UploadStage.OPENED, UploadStage.SENT])
def test_callers_own_fault(site: Site, tmp_path: Path, stage: UploadStage):
    """What the caller raises at a stage ends the upload there, and comes out as it is."""

    class LedgerBrokenError(Exception):
        pass

    def progress(now: UploadStage) -> None:
        if now is stage:
            raise LedgerBrokenError

    with pytest.raises(LedgerBrokenError):
        site.remote().upload(local_file(tmp_path, 1000), NAME, progress)
    assert NAME not in site.names()
