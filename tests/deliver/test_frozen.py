"""A server that falls silent at any point is left soon; so is a silent name service."""

import asyncio
import contextlib
import random
import socket
import threading
import time

import asyncssh
import pytest
from structlog.testing import capture_logs

from bridge.clock import MINUTE, SystemClock
from bridge.config import SftpSettings
from bridge.deliver.remote import Outcome, Reason, UploadFailed
from bridge.deliver.sftp import SftpRemote
from bridge.deliver.ssh import Patience
from bridge.deliver.uploading import LASTING_PAUSE
from bridge.name_service import NameService
from bridge.sandbox import sftp_server
from bridge.sandbox.sftp_server import Partner, Session, SftpServer
from tests.parts.delivering import Site, Write
from tests.parts.waiting import until

NAME = "Agency_Partner_202611010000.log.gz"
IMPATIENT = Patience(connect=1, reply=1, silence=1)
WITHIN = 30
"""Seconds that a frozen upload may hold its thread (ssh.Patience)."""


def forever(*_):
    """No answer ever comes."""
    return asyncio.get_running_loop().create_future()


class AtOpen(Session):
    open = forever


class AtWrite(Session):
    def write(self, file_obj, _offset, _data):
        file_obj.close()  # or nobody would
        return forever()


class AtClose(Session):
    def close(self, file_obj):
        file_obj.close()
        return forever()


class AtRename(Session):
    posix_rename = rename = forever


class AtFirstStat(Session):
    stat = lstat = forever


class AtLastStat(Session):
    """The one that proves the size."""

    def stat(self, path):
        return forever() if path.endswith(b".part") else super().stat(path)


@pytest.fixture
def serving(tmp_path):
    """Starts a server of such sessions; gives a remote of it."""
    (tmp_path / "remote").mkdir()
    (tmp_path / "password").write_text("secret\n")
    servers = []

    def serve(session=Session, patience=IMPATIENT, **changes):
        server = SftpServer(
            tmp_path / "remote",
            clock=SystemClock(),
            partner=Partner(username="demo", password="secret"),
            session=session,
        )
        server.start()
        servers.append(server)
        return server, remote(tmp_path, server.port, patience, host_key=server.host_key, **changes)

    yield serve
    for server in servers:
        server.stop()


def remote(tmp_path, port, patience=IMPATIENT, names=None, **changes):
    settings = {
        "host": "127.0.0.1",
        "port": port,
        "username": "demo",
        "password_file": tmp_path / "password",
        "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGiHyHaB5xX8Qn7kZ2eN5E9dJ0gKxD2cVbWmQ1sUo4aR",
    }
    return SftpRemote(SftpSettings(**(settings | changes)), SystemClock(), patience, names)


def failing(one, tmp_path):
    """The failure of an upload; outcome and reason, and that it is one line."""
    local = tmp_path / "built"
    local.write_bytes(random.Random(1).randbytes(300_000))
    with pytest.raises(UploadFailed) as failure:
        one.upload(local, NAME, lambda _: None)
    assert "\n" not in str(failure.value)
    return failure.value.outcome, failure.value.reason


def test_nobody_is_waited_for_longer_than_half_a_minute():
    """Each wait by itself, and the watchdog's two rounds."""
    patience = Patience()
    assert max(patience.connect, patience.reply, 2 * patience.silence) < WITHIN


@pytest.mark.failure(41)
@pytest.mark.parametrize(
    ("session", "outcome"),
    [
        (AtFirstStat, Outcome.NOT_OPENED),
        (AtOpen, Outcome.SPENT),
        (AtWrite, Outcome.SPENT),
        (AtClose, Outcome.SPENT),
        (AtLastStat, Outcome.SPENT),
        (AtRename, Outcome.UNKNOWN),
    ],
)
def test_frozen_at_a_request(serving, tmp_path, session, outcome):
    """Whichever request is never answered: the upload ends as a timeout, with what it means for the quota."""
    _, one = serving(session)
    assert failing(one, tmp_path) == (outcome, Reason.TIMEOUT)
    assert not (tmp_path / "remote" / NAME).exists()


@pytest.mark.failure(41)
def test_frozen_at_the_log_in(serving, tmp_path, monkeypatch):
    """The password was sent and nobody says whether it is right: a timeout, not a refused log-in."""
    monkeypatch.setattr(sftp_server._LogIn, "validate_password", forever)
    _, one = serving()
    assert failing(one, tmp_path) == (Outcome.NOT_OPENED, Reason.TIMEOUT)


@contextlib.contextmanager
def listening(says, *, again=False):
    """A port that takes every connection, says this (again and again), and nothing else."""
    taken = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    connection = listener.accept()[0]
                    taken.append(connection)
                    connection.sendall(says)
                    while again:
                        time.sleep(0.1)  # a slow server
                        connection.sendall(says)

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        for connection in taken:
            connection.close()


@pytest.mark.failure(41)
@pytest.mark.parametrize(
    ("says", "again"),
    [(b"", False), (b"SSH-2.0-frozen\r\n", False), (b"Welcome\r\n", True), (b"w", True)],
    ids=["no banner", "no key exchange", "a greeting without end", "a line without end"],
)
def test_frozen_before_the_log_in(tmp_path, says, again):
    """It listens and says nothing, or begins and does not go on, or never comes to the point."""
    (tmp_path / "password").write_text("secret\n")
    with listening(says, again=again) as port:
        outcome, reason = failing(remote(tmp_path, port), tmp_path)
    assert outcome is Outcome.NOT_OPENED
    assert reason in {Reason.TIMEOUT, Reason.CONNECTION_LOST}


@contextlib.contextmanager
def unanswering():
    """A port to which no connection comes about."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):  # what waits to be accepted fills the listener's queue
            one = stack.enter_context(socket.socket())
            one.setblocking(False)  # noqa: FBT003  # the library's
            one.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.failure(41)
def test_a_port_that_does_not_answer(tmp_path):
    """Not even the connection comes about."""
    (tmp_path / "password").write_text("secret\n")
    with unanswering() as port:
        assert failing(remote(tmp_path, port), tmp_path) == (Outcome.NOT_OPENED, Reason.TIMEOUT)


@pytest.mark.failure(38)
def test_a_name_service_that_never_answers(tmp_path):
    """The upload fails as DNS, in time; however often it is tried, one question is under way, not many."""
    (tmp_path / "password").write_text("secret\n")
    answer, asked = threading.Event(), []

    def look_up(host, _port):
        asked.append(host)
        answer.wait()
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    one = remote(tmp_path, 22, names=NameService(look_up), host="sftp.example.com")
    for _ in range(3):
        assert failing(one, tmp_path) == (Outcome.NOT_OPENED, Reason.DNS)
    assert asked == ["sftp.example.com"]
    answer.set()
    assert failing(one, tmp_path) == (Outcome.NOT_OPENED, Reason.DNS)
    assert failing(one, tmp_path) == (Outcome.NOT_OPENED, Reason.DNS)
    assert len(asked) == 2


@pytest.mark.failure(38)
def test_the_name_service_is_asked_again_at_each_log_in(serving, tmp_path):
    """An answer is good for one log-in: a server that moved is found."""
    server, _ = serving()
    ports = iter([1, server.port])

    def look_up(_host, _port):
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, ("127.0.0.1", next(ports)))]

    one = remote(tmp_path, 22, names=NameService(look_up), host_key=server.host_key)
    assert failing(one, tmp_path) == (Outcome.NOT_OPENED, Reason.REFUSED)
    assert one.upload(tmp_path / "built", NAME, lambda _: None).bytes == 300_000


def test_the_next_address_is_tried(serving, tmp_path):
    """Of several addresses of a host the first that answers is taken."""
    server, _ = serving()

    def look_up(_host, _port):
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 0, ("::1", 1)),
            (socket.AF_INET, socket.SOCK_STREAM, 0, ("127.0.0.1", 1)),
            (socket.AF_INET, socket.SOCK_STREAM, 0, ("127.0.0.1", server.port)),
        ]

    remote(tmp_path, 22, names=NameService(look_up), host_key=server.host_key).check()


@pytest.mark.parametrize("silent", ["name service", "port", "server"])
def test_abandoned_while_nobody_answers(tmp_path, silent):
    """A stop need not wait for a name service or a port that does not answer."""
    (tmp_path / "password").write_text("secret\n")
    waiting = threading.Event()

    def look_up(_host, _port):
        waiting.set()
        return threading.Event().wait() or []

    with contextlib.ExitStack() as stack:
        port = stack.enter_context(unanswering() if silent == "port" else listening(b""))
        names = NameService(look_up) if silent == "name service" else None
        one = remote(tmp_path, port, Patience(connect=60, reply=60, silence=60), names)
        stages = []
        thread = threading.Thread(target=lambda: stages.append(failing(one, tmp_path)))
        thread.start()
        if names:
            assert waiting.wait(10)
        else:
            until(lambda: one._attempt and one._attempt._connection.watchdog._socket, "its socket", 10)
        one.abandon()
        thread.join(WITHIN)
        assert stages == [(Outcome.NOT_OPENED, Reason.CONNECTION_LOST)]


@pytest.mark.failure(39, 40)
@pytest.mark.parametrize("wrong", ["password", "host key"])
def test_who_refuses_us_is_tried_seldom_and_told_each_time(serving, tmp_path, monkeypatch, wrong):
    """Half an hour of refusals is a few tries, an error line each; put right, all arrives at the next.

    Where the host key is wrong, the server never hears the password.
    """
    heard = []
    judge = sftp_server._LogIn.validate_password

    def validate(self, username, password):
        heard.append(password)
        return judge(self, username, password)

    monkeypatch.setattr(sftp_server._LogIn, "validate_password", validate)
    server, good = serving(patience=None)
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site")
    right = good if wrong == "password" else None
    if right is None:
        other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
        site.remote = remote(tmp_path, server.port, None, host_key=other)
    else:
        (tmp_path / "password").write_text("wrong\n")
        site.remote = good
    site.deliverer = site._deliverer()
    site.give(Write(1, 7))
    began = site.clock.now()
    with capture_logs() as lines:
        site.until(lambda: site.clock.now() - began >= 6 * LASTING_PAUSE)
    failures = [line for line in lines if line["event"] == "upload_failed"]
    reason = Reason.AUTHENTICATION if right else Reason.HOST_KEY
    assert {(line["log_level"], line["reason"]) for line in failures} == {("error", reason)}
    assert 4 <= len(failures) <= 7
    assert heard == (["wrong"] * len(failures) if right else [])
    assert site.counted() == ()
    (tmp_path / "password").write_text("secret\n")
    if right is None:
        site.remote = good
        site.restart()
    site.until(lambda: server.arrivals)
    assert site.clock.now() - began <= 7 * LASTING_PAUSE + MINUTE
