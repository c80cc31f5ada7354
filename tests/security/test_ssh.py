"""What an SFTP server must be before a password reaches it: modern, and the one whose key is pinned."""

import contextlib
import os
import socket
import subprocess
import threading

import pytest

from bridge.clock import SystemClock
from bridge.config import SftpSettings
from bridge.deliver.remote import Outcome, Reason, UploadFailed
from bridge.deliver.sftp import SftpRemote

pytestmark = pytest.mark.sshd

OLD = {
    "cipher (Ciphers)": "Ciphers aes128-cbc,aes256-cbc,3des-cbc\n",
    "MAC (MACs)": "Ciphers aes128-ctr\nMACs hmac-md5,hmac-sha1,hmac-sha1-96\n",
    "key exchange (KexAlgorithms)": (
        "KexAlgorithms diffie-hellman-group1-sha1,diffie-hellman-group14-sha1,"
        "diffie-hellman-group-exchange-sha1\n"
    ),
    "host key algorithm (HostKeyAlgorithms)": "HostKeyAlgorithms ssh-rsa\n",
}
VERBOSE = "LogLevel DEBUG1\n"
ATTEMPT = "userauth-request for user"
"""What sshd logs of every try to log in, also of the question which ways there are."""


def remote_of(sshd, **changes):
    settings = {
        "host": "127.0.0.1",
        "port": sshd.port,
        "username": sshd.username,
        "private_key_file": sshd.private_key_file,
        "host_key": sshd.host_key,
    }
    return SftpRemote(SftpSettings(**(settings | changes)), SystemClock())


def with_password(sshd):
    """The settings of a log-in by password, which needs an account of its own."""
    if sshd.password_file is None:
        pytest.skip("a password needs an account of its own, which only root can make")
    return {"private_key_file": None, "password_file": sshd.password_file}


def configured(sshd, lines):
    """The server with these lines more."""
    sshd.more = lines
    sshd.restart()
    return sshd


def failing(remote):
    with pytest.raises(UploadFailed) as failure:
        remote.check()
    assert failure.value.outcome is Outcome.NOT_OPENED
    assert "\n" not in str(failure.value)
    return failure.value


@pytest.mark.parametrize("kind", OLD)
def test_a_server_with_nothing_safe_is_refused(sshd, kind):
    """What it lacks is named, with sshd's word for it and the remedy; no try to log in is made."""
    configured(sshd, VERBOSE + OLD[kind])
    failure = failing(remote_of(sshd, host_key=sshd.rsa_host_key))
    assert failure.reason is Reason.OTHER
    assert str(failure) == (
        f"sftp 127.0.0.1:{sshd.port}: it offers no {kind} that is still safe; ask its operator to allow a "
        "newer one (man sshd_config names them) (log in; IncompatiblePeer)"
    )
    assert ATTEMPT not in sshd.log()


@pytest.mark.parametrize(
    "lines",
    [
        """\
Ciphers 3des-cbc,aes128-ctr
MACs hmac-md5,hmac-sha2-256
KexAlgorithms diffie-hellman-group14-sha1,diffie-hellman-group14-sha256
HostKeyAlgorithms ssh-rsa,rsa-sha2-256
""",
        """\
Ciphers aes256-gcm@openssh.com
KexAlgorithms diffie-hellman-group-exchange-sha256
HostKeyAlgorithms rsa-sha2-512
""",
    ],
)
def test_of_old_and_new_the_new_is_taken(sshd, lines):
    """A server that offers both is spoken to, a pinned `ssh-rsa` key proved by SHA-2 (facts.md, SFTP)."""
    configured(sshd, VERBOSE + lines)
    remote_of(sshd, host_key=sshd.rsa_host_key).check()
    taken = [line for line in sshd.log().splitlines() if "kex: " in line and "cipher:" in line]
    assert taken
    assert [line for line in taken if "cbc" in line or "md5" in line] == []
    algorithms = [line for line in sshd.log().splitlines() if "kex: algorithm:" in line or "key alg" in line]
    assert [line for line in algorithms if line.endswith(("sha1", " ssh-rsa"))] == []


@pytest.mark.failure(40)
@pytest.mark.parametrize("known", ["another", "none", "revoked"])
def test_no_password_leaves_before_the_key_is_known(sshd, tmp_path, known):
    """A server of another, an unknown or a revoked key sees no try to log in, and is told as such."""
    log_in = with_password(sshd)
    configured(sshd, VERBOSE)
    hosts = tmp_path / "known_hosts"
    name, key = f"[127.0.0.1]:{sshd.port}", sshd.host_key
    hosts.write_text(
        {"none": "", "revoked": f"{name} {key}\n@revoked * {key}\n"}.get(known, f"{name} {key}\n")
    )
    remote = remote_of(sshd, **log_in, host_key=None, known_hosts_file=hosts)
    if known == "another":
        sshd.new_host_key()
    failure = failing(remote)
    assert (failure.reason, failure.transient) == (Reason.HOST_KEY, False)
    assert ATTEMPT not in sshd.log()
    remote_of(sshd, **log_in).check()  # the log would have shown it
    assert f"{ATTEMPT} {sshd.username} service ssh-connection method password" in sshd.log()


def test_no_key_but_the_configured_one_is_tried(sshd, tmp_path, monkeypatch):
    """Neither an agent nor ~/.ssh is asked, though both could open the door: one try, with the one key."""
    home, other = tmp_path / "home", tmp_path / "other"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id_ed25519").write_bytes(sshd.private_key_file.read_bytes())
    (home / ".ssh" / "id_ed25519").chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    monkeypatch.setenv("HOME", str(home))
    configured(sshd, VERBOSE)
    with agent(tmp_path / "agent") as asked:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        assert failing(remote_of(sshd, private_key_file=other)).reason is Reason.AUTHENTICATION
    assert asked == []
    tries = [line for line in sshd.log().splitlines() if ATTEMPT in line and "method publickey" in line]
    assert len(tries) == 1


@contextlib.contextmanager
def agent(path):
    """A socket that notes who connects, as an SSH agent's would be."""
    asked = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(path))
        listener.listen()

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    asked.append(listener.accept()[0].close())

        threading.Thread(target=accept, daemon=True).start()
        yield asked


def test_a_pipe_for_a_key_keeps_nobody_waiting(sshd, tmp_path):
    """A secret file that is a pipe, which nobody writes to, is one line at once; no thread hangs in it."""
    os.mkfifo(tmp_path / "pipe")
    for key in ("private_key_file", "password_file"):
        log_in = {"private_key_file": None, "password_file": None} | {key: tmp_path / "pipe"}
        failure = failing(remote_of(sshd, **log_in))
        assert failure.reason is Reason.AUTHENTICATION
        assert str(tmp_path / "pipe") in str(failure)
