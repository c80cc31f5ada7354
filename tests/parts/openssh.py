"""A real OpenSSH server that speaks SFTP only, with its own host keys and configuration, on loopback.

As root it serves a throw-away account with a password and a key, which is removed at the end.
Else it serves the user who runs the tests, by key alone: `password_file` is None then.
"""

import contextlib
import copy
import fcntl
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from tests.parts.waiting import free_port, until

CONFIGURATION = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {base}/ssh_host_ed25519_key
HostKey {base}/ssh_host_rsa_key
PidFile none
AuthorizedKeysFile {base}/authorized_keys
StrictModes no
UsePAM no
UseDNS no
PasswordAuthentication {password}
KbdInteractiveAuthentication no
PermitRootLogin no
AllowUsers {username}
MaxStartups 100
MaxAuthTries 20
Subsystem sftp internal-sftp
ForceCommand internal-sftp -d {root}
"""
# OpenSSH from 9.8 on shuts out an address that failed to log in; here all come from one.
PENALTIES = "PerSourcePenalties no\n"


ACCOUNT = "s2stest-"


def missing() -> str | None:
    """Why no sshd can be started here; None: nothing is missing."""
    return None if _sshd() and shutil.which("ssh-keygen") else "OpenSSH's sshd is missing"


class OpenSsh:
    """A server; `root` is the folder where its sessions begin.

    Not below the test's own folder: others than root may not enter that.
    """

    def __init__(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="s2s-sshd-"))
        self.base.chmod(0o755)
        self.root = self.base / "remote"
        self.root.mkdir()
        self.port = free_port()
        self.username = getpass.getuser()
        self.private_key_file = self.base / "client_key"
        self.password_file: Path | None = None
        self.more = ""
        """Further lines of its configuration, from the next start on."""
        self._process: subprocess.Popen[bytes] | None = None
        self._account = os.geteuid() == 0
        _keygen(self.private_key_file, "ed25519")
        shutil.copy(self.base / "client_key.pub", self.base / "authorized_keys")
        if self._account:
            try:
                self._make_account()
            except BaseException:
                self.close()
                raise

    @property
    def host_key(self) -> str:
        """`ssh-ed25519 AAAA...`, as the configuration pins it."""
        return self._public("ed25519")

    @property
    def rsa_host_key(self) -> str:
        """`ssh-rsa AAAA...`."""
        return self._public("rsa")

    def start(self) -> None:
        """Listen, on the same port each time; returns when the server greets."""
        if not (self.base / "ssh_host_ed25519_key").exists():
            self._make_host_keys()
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd's own place for privilege separation
        configuration = self._configuration()
        with (self.base / "sshd.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(_sshd()), "-D", "-e", "-f", str(configuration)], stdin=subprocess.DEVNULL, stderr=log
            )
        try:
            until(self._greets, "sshd's greeting", 20)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Refuse connections, and end those that are open."""
        if self._process is None:
            return
        for pid in self._tree():
            _signal(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def kill_sessions(self) -> None:
        """End the connections that are open; new ones are taken."""
        for pid in self._tree()[1:]:
            _signal(pid, signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop, and remove the account and all files."""
        try:
            self.stop()
            if self._account and self.username.startswith(ACCOUNT):
                # --force: a killed session may not be quite gone, and userdel would count it as log-in.
                _account_command("userdel", "--force", self.username)
        finally:
            self._account = False
            shutil.rmtree(self.base, ignore_errors=True)

    def freeze(self) -> None:
        """Stop the server and its sessions in the middle: connections stay open and nothing answers."""
        for pid in self._tree():
            _signal(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in self._tree():
            _signal(pid, signal.SIGCONT)

    def new_host_key(self) -> None:
        """Come back with other host keys, as an impostor would."""
        self.stop()
        self._make_host_keys()
        self.start()

    def apart(self, name: str) -> "OpenSsh":
        """The same server with a folder of its own as its `root`: for several tests at once."""
        other = copy.copy(self)
        other.root = self.root / name
        other.root.mkdir()
        if self._account:
            shutil.chown(other.root, self.username)
        return other

    def files(self) -> list[Path]:
        """What lies in `root`, by name."""
        return sorted(self.root.iterdir())

    def log(self) -> str:
        return (self.base / "sshd.log").read_text()

    def _make_account(self) -> None:
        self.username = f"s2stest-{secrets.token_hex(4)}"
        password = secrets.token_hex(12)
        useradd = ["useradd", "--system", "--no-create-home", "--home-dir", str(self.root)]
        shell = [
            "--shell",
            "/bin/sh",
        ]  # sshd runs ForceCommand's built-in server itself, but asks for a shell
        subprocess.run([*useradd, *shell, self.username], check=True, capture_output=True)
        subprocess.run(["chpasswd"], input=f"{self.username}:{password}", text=True, check=True)
        shutil.chown(self.root, self.username)
        self.password_file = self.base / "password"
        self.password_file.write_text(password + "\n")
        self.password_file.chmod(0o600)

    def _make_host_keys(self) -> None:
        for kind in ("ed25519", "rsa"):
            for name in (f"ssh_host_{kind}_key", f"ssh_host_{kind}_key.pub"):
                (self.base / name).unlink(missing_ok=True)
            _keygen(self.base / f"ssh_host_{kind}_key", kind)

    def _configuration(self) -> Path:
        path = self.base / "sshd_config"
        text = CONFIGURATION.format(
            port=self.port,
            base=self.base,
            root=self.root,
            username=self.username,
            password="yes" if self.password_file else "no",
        )
        text += self.more
        path.write_text(text + PENALTIES)
        if subprocess.run([str(_sshd()), "-t", "-f", str(path)], check=False, capture_output=True).returncode:
            path.write_text(text)
        return path

    def _public(self, kind: str) -> str:
        return " ".join((self.base / f"ssh_host_{kind}_key.pub").read_text().split()[:2])

    def _greets(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError("sshd ended at once: " + self.log()[-2000:])
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def _tree(self) -> list[int]:
        """The server's process and its sessions', parents first."""
        if self._process is None:
            return []
        pids = [self._process.pid]
        for pid in pids:  # grows as it goes
            pids += _children(pid)
        return pids


def _sshd() -> str | None:
    return shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def _account_command(*command: str, stdin: str = "") -> None:
    """Run useradd and the like; they fail when another test run is at the same files, so one at a time."""
    with (Path(tempfile.gettempdir()) / "s2s-sshd.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(command, input=stdin, text=True, check=False, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()}")


def _keygen(path: Path, kind: str) -> None:
    size = ["-b", "2048"] if kind == "rsa" else []
    command = ["ssh-keygen", "-q", "-t", kind, *size, "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
