"""SFTP on a real OpenSSH: log-in, host keys, and every way of breaking in the middle (failures 38 to 49)."""

import contextlib
import logging
import os
import random
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.clock import SystemClock
from bridge.config import SftpSettings
from bridge.deliver.remote import Outcome, Reason, UploadFailed, UploadStage
from bridge.deliver.sftp import SftpRemote
from bridge.deliver.ssh import Patience
from bridge.name_service import Address, NameService
from tests.parts.openssh import OpenSsh
from tests.parts.proxy import Proxy
from tests.parts.waiting import free_port, until

pytestmark = pytest.mark.sshd

NAME = "Agency_Partner_202611010000.log.gz"
SIZE = 1_000_000
IMPATIENT = Patience(connect=2, reply=2, silence=30)


@pytest.fixture
def local(tmp_path: Path) -> Path:
    path = tmp_path / "built"
    path.write_bytes(random.Random(1).randbytes(SIZE))
    return path


@pytest.fixture
def proxy(sshd: OpenSsh) -> Iterator[Proxy]:
    one = Proxy(sshd.port)
    yield one
    one.close()


def remote_of(sshd: OpenSsh, patience: Patience | None = None, **changes: object) -> SftpRemote:
    settings: dict[str, object] = {
        "host": "127.0.0.1",
        "port": sshd.port,
        "username": sshd.username,
        "private_key_file": sshd.private_key_file,
        "host_key": sshd.host_key,
    }
    return SftpRemote(SftpSettings(**(settings | changes)), SystemClock(), patience)


def failing(
    remote: SftpRemote, local: Path, progress: Callable[[UploadStage], object] = lambda _: None
) -> UploadFailed:
    with pytest.raises(UploadFailed) as failure:
        remote.upload(local, NAME, lambda stage: progress(stage) and None)
    assert "\n" not in str(failure.value)
    return failure.value


def at(stage: UploadStage, act: Callable[[], None]) -> Callable[[UploadStage], object]:
    return lambda now: act() if now is stage else None


def known(failure: UploadFailed) -> tuple[Outcome, Reason, bool]:
    return failure.outcome, failure.reason, failure.transient


# --- log-in -----------------------------------------------------------------------------------------------


@pytest.mark.failure(39)
def test_password(sshd: OpenSsh, local: Path):
    """A password is read anew at each log-in: a rotated one is taken up; a wrong one is told without it."""
    if sshd.password_file is None:
        pytest.skip("a password needs an account of its own, which only root can make")
    good = sshd.password_file.read_text()
    remote = remote_of(sshd, private_key_file=None, password_file=sshd.password_file)
    sshd.password_file.write_text("wrong-pass-phrase\n")
    failure = failing(remote, local)
    assert known(failure) == (Outcome.NOT_OPENED, Reason.AUTHENTICATION, False)
    assert "wrong-pass-phrase" not in str(failure)
    sshd.password_file.write_text(good)
    assert remote.upload(local, NAME, lambda _: None).bytes == SIZE


@pytest.mark.parametrize(
    ("kind", "form"),
    [("ed25519", "RFC4716"), ("ecdsa", "RFC4716"), ("ecdsa", "PEM"), ("rsa", "RFC4716"), ("rsa", "PEM")],
)
def test_private_keys(sshd: OpenSsh, tmp_path: Path, kind: str, form: str):
    """Keys of every modern kind log in, in OpenSSH's file format and in the older one."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-m", form, "-N", "", "-f", str(key)], check=True)
    (sshd.base / "authorized_keys").write_text((tmp_path / "key.pub").read_text())
    remote_of(sshd, private_key_file=key).check()


@pytest.mark.failure(39)
def test_wrong_key(sshd: OpenSsh, tmp_path: Path, local: Path):
    """A key that the server does not know is an authentication failure, tried once."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    failure = failing(remote_of(sshd, private_key_file=key), local)
    assert known(failure) == (Outcome.NOT_OPENED, Reason.AUTHENTICATION, False)


@pytest.mark.parametrize("content", [None, "", "no key", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"])
def test_unreadable_key(sshd: OpenSsh, tmp_path: Path, local: Path, content: str | None):
    """A private key that cannot be read is told with its file, without its content."""
    key = tmp_path / "key"
    if content is not None:
        key.write_text(content)
    failure = failing(remote_of(sshd, private_key_file=key), local)
    assert known(failure) == (Outcome.NOT_OPENED, Reason.AUTHENTICATION, False)
    assert str(key) in str(failure)


def test_encrypted_key(sshd: OpenSsh, tmp_path: Path, local: Path):
    """A key behind a passphrase is refused in one line."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "phrase", "-f", str(key)], check=True)
    assert failing(remote_of(sshd, private_key_file=key), local).reason is Reason.AUTHENTICATION


# --- host keys --------------------------------------------------------------------------------------------


@pytest.mark.failure(40)
def test_changed_host_key(sshd: OpenSsh, local: Path):
    """Another key than the pinned one stops the upload before any credential is sent (failure 40)."""
    remote = remote_of(sshd)
    sshd.new_host_key()
    failure = failing(remote, local)
    assert known(failure) == (Outcome.NOT_OPENED, Reason.HOST_KEY, False)
    assert "Accepted" not in sshd.log()


def test_pinned_rsa(sshd: OpenSsh, local: Path):
    """A pinned ssh-rsa key is right for a server that signs with rsa-sha2 alone."""
    remote = remote_of(sshd, host_key=sshd.rsa_host_key)
    assert remote.upload(local, NAME, lambda _: None).bytes == SIZE


@pytest.mark.parametrize("hashed", [False, True])
def test_known_hosts(sshd: OpenSsh, tmp_path: Path, local: Path, *, hashed: bool):
    """A known_hosts file as ssh writes it is taken, with hashed names too."""
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"# ours\n[127.0.0.1]:{sshd.port} {sshd.host_key}\nother {sshd.rsa_host_key}\n")
    if hashed:
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(known_hosts)], check=True, capture_output=True)
        assert "127.0.0.1" not in known_hosts.read_text()
    remote_of(sshd, host_key=None, known_hosts_file=known_hosts).upload(local, NAME, lambda _: None)


@pytest.mark.failure(40)
@pytest.mark.parametrize(
    "line",
    ["", "elsewhere {key}", "[127.0.0.1]:1 {key}", "{name} {rsa}\n@revoked {name} {key}\n@revoked * {rsa}"],
)
def test_unknown_host(sshd: OpenSsh, tmp_path: Path, local: Path, line: str):
    """A server that known_hosts does not hold, or holds as revoked, is refused."""
    known_hosts = tmp_path / "known_hosts"
    name = f"[127.0.0.1]:{sshd.port}"
    known_hosts.write_text(line.format(name=name, key=sshd.host_key, rsa=sshd.rsa_host_key))
    failure = failing(remote_of(sshd, host_key=None, known_hosts_file=known_hosts), local)
    assert known(failure) == (Outcome.NOT_OPENED, Reason.HOST_KEY, False)


# --- not reached ------------------------------------------------------------------------------------------


def test_refused(sshd: OpenSsh, local: Path):
    """Nothing listens on the port."""
    failure = failing(remote_of(sshd, port=free_port()), local)
    assert known(failure) == (Outcome.NOT_OPENED, Reason.REFUSED, True)


@pytest.mark.failure(38)
def test_unknown_name(sshd: OpenSsh, local: Path):
    """The host name does not exist (failure 38; .invalid never does, RFC 6761)."""
    failure = failing(remote_of(sshd, host="sftp.invalid"), local)
    assert known(failure) == (Outcome.NOT_OPENED, Reason.DNS, True)


# --- broken in the middle ---------------------------------------------------------------------------------


@pytest.mark.failure(41)
@pytest.mark.parametrize(
    ("stage", "outcome"),
    [
        (UploadStage.CONNECTING, Outcome.NOT_OPENED),
        (UploadStage.OPENED, Outcome.SPENT),
        (UploadStage.SENT, Outcome.UNKNOWN),
    ],
)
def test_frozen(sshd: OpenSsh, local: Path, stage: UploadStage, outcome: Outcome):
    """A server that stops in the middle is left, whatever is under way (failure 41)."""
    failure = failing(remote_of(sshd, IMPATIENT), local, at(stage, sshd.freeze))
    sshd.thaw()
    assert known(failure) == (outcome, Reason.TIMEOUT, True)


@pytest.mark.failure(41)
def test_frozen_with_full_sockets(sshd: OpenSsh, tmp_path: Path):
    """A sender that hangs in a full socket, where no timeout reaches it, is freed by the watchdog."""
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(200_000_000)
    patience = Patience(connect=60, reply=60, silence=2)
    failure = failing(remote_of(sshd, patience), large, at(UploadStage.OPENED, sshd.freeze))
    sshd.thaw()
    assert known(failure) == (Outcome.SPENT, Reason.TIMEOUT, True)


@pytest.mark.failure(42)
@pytest.mark.parametrize("tenth", range(10))
def test_cut(sshd: OpenSsh, proxy: Proxy, local: Path, tenth: int):
    """Cut at any tenth, nothing has the final name, and the next attempt succeeds (failure 42)."""
    remote = remote_of(sshd, port=proxy.port)
    stages: list[UploadStage] = []
    proxy.cut_after = tenth * SIZE // 10
    failure = failing(remote, local, stages.append)
    opened = UploadStage.OPENED in stages
    assert failure.outcome is (Outcome.SPENT if opened else Outcome.NOT_OPENED)
    assert failure.reason is Reason.CONNECTION_LOST
    assert opened == (tenth > 0)
    assert NAME not in [path.name for path in sshd.files()]
    proxy.cut_after = None
    remote.upload(local, NAME, lambda _: None)
    assert (sshd.root / NAME).read_bytes() == local.read_bytes()


@pytest.mark.failure(42)
def test_cut_in_place(sshd: OpenSsh, proxy: Proxy, local: Path):
    """Without a temporary name a cut leaves the outcome unknown; the size tells that it is not whole."""
    remote = remote_of(sshd, port=proxy.port, temporary_suffix=None)
    proxy.cut_after = SIZE // 2
    assert failing(remote, local).outcome is Outcome.UNKNOWN
    proxy.cut_after = None
    assert remote.exists(NAME) != SIZE
    remote.upload(local, NAME, lambda _: None)
    assert (sshd.root / NAME).read_bytes() == local.read_bytes()


@pytest.mark.failure(45)
def test_reply_to_rename_lost(sshd: OpenSsh, proxy: Proxy, local: Path):
    """Renamed, but the reply is lost: unknown; `exists` tells, and an upload finds it (failure 45)."""
    remote = remote_of(sshd, port=proxy.port)
    failure = failing(remote, local, at(UploadStage.SENT, proxy.lose_next_reply))
    assert known(failure) == (Outcome.UNKNOWN, Reason.CONNECTION_LOST, True)
    until(lambda: [path.name for path in sshd.files()] == [NAME], "the rename", 10)
    assert remote.exists(NAME) == SIZE
    assert remote.upload(local, NAME, lambda _: None).found


@pytest.mark.failure(41)
def test_replies_swallowed(sshd: OpenSsh, proxy: Proxy, local: Path):
    """A connection that carries no reply any more is left; nothing has the final name."""
    remote = remote_of(sshd, IMPATIENT, port=proxy.port)
    progress = at(UploadStage.OPENED, lambda: setattr(proxy, "swallow_after", 0))
    failure = failing(remote, local, progress)
    assert known(failure) == (Outcome.SPENT, Reason.TIMEOUT, True)
    assert NAME not in [path.name for path in sshd.files()]


# --- the server refuses -----------------------------------------------------------------------------------


@pytest.mark.failure(48)
def test_disk_full(sshd: OpenSsh, local: Path):
    """A full disk fails the upload, frees what was written, and heals (failure 48)."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    with _small_disk(sshd, 2 * SIZE) as disk:
        remote = remote_of(sshd, directory="small")
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(3 * SIZE // 2))
        failure = failing(remote, local)
        assert known(failure) == (Outcome.SPENT, Reason.DISK_FULL, True)
        assert [path.name for path in disk.iterdir()] == ["ballast"]
        ballast.unlink()
        remote.upload(local, NAME, lambda _: None)
        assert (disk / NAME).read_bytes() == local.read_bytes()


def test_no_right_to_write(sshd: OpenSsh, local: Path):
    """A directory that is not ours to write in is told; nothing is spent."""
    if os.geteuid() != 0:
        pytest.skip("the server runs as us, who may write everywhere below")
    (sshd.root / "theirs").mkdir(mode=0o755)
    failure = failing(remote_of(sshd, directory="theirs"), local)
    assert known(failure) == (Outcome.NOT_OPENED, Reason.PERMISSION, False)


def test_silent(sshd: OpenSsh, local: Path, caplog: pytest.LogCaptureFixture):
    """The library's log, which names users and paths, stays out of ours."""
    caplog.set_level(logging.DEBUG)
    failing(remote_of(sshd, host_key=sshd.rsa_host_key, username="nobody-knows"), local)
    remote_of(sshd).upload(local, NAME, lambda _: None)
    assert caplog.text == ""


@contextlib.contextmanager
def _small_disk(sshd: OpenSsh, size: int) -> Iterator[Path]:
    folder = sshd.root / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        shutil.chown(folder, sshd.username)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.failure(38)
def test_an_address_that_the_kernel_does_not_know_is_passed_over(sshd: OpenSsh):
    """Where IPv6 is off, a server that has such an address first is reached by its other one."""

    def look_up(host: str, port: int) -> list[Address]:
        foreign = (socket.AF_X25 if hasattr(socket, "AF_X25") else 9, socket.SOCK_STREAM, 0, ("::1", port))
        return [foreign, (socket.AF_INET, socket.SOCK_STREAM, 0, (host, port))]

    remote = remote_of(sshd)
    remote._names = NameService(look_up)
    remote.check()
