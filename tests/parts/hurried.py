"""A bridge in this process on a clock that hurries, and a server that judges its quota by its own clock."""

import threading
import uuid
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import yaml

from bridge.clock import DAY, HOUR, Clock
from bridge.config import load
from bridge.sandbox.limits import Limits
from bridge.sandbox.sftp_server import Partner, SftpServer
from bridge.service.outside import over_sftp
from bridge.service.service import Service
from tests.parts import oracle
from tests.parts.clocks import ShiftedClock
from tests.parts.waiting import until

START = 1_790_000_000_000 // DAY * DAY + 9 * HOUR
"""Epoch ms: nine o'clock."""


class Hurried:
    """Kafka is real, the server is in this process; `running` starts the bridge."""

    def __init__(
        self, kafka, directory: Path, streams: list[dict], clock: Clock, *, skew: int = 0, **quota: object
    ) -> None:
        self.clock = clock
        self.root = directory / "remote"
        self.root.mkdir()
        self.server = SftpServer(
            self.root,
            clock=ShiftedClock(self.clock, skew),
            partner=Partner(username="judge", password="secret"),
            limits=Limits(files_per_hour=int(quota["files_per_hour"])),
        )
        self.server.start()
        secret = directory / "password"
        secret.write_text("secret\n")
        secret.chmod(0o600)
        account = {
            "name": "default",
            "agency": "Agency",
            "partner": "Partner",
            "sftp": {
                "host": "127.0.0.1",
                "port": self.server.port,
                "username": "judge",
                "password_file": str(secret),
                "host_key": self.server.host_key,
            },
            "quota": quota,
        }
        written = {
            "kafka": {"bootstrap_servers": kafka.bootstrap, "group_id": f"group-{directory.name}"},
            "spool": {"directory": str(directory / "spool")},
            "window": {"max_age": "30s"},
            "roll": {"max_age": "10m"},
            "accounts": [account],
            "streams": streams,
            "http": {"listen": None},
        }
        path = directory / "bridge.yaml"
        path.write_text(yaml.safe_dump(written))
        self.config = load(path, {})

    @contextmanager
    def running(self):
        """The bridge runs; afterwards it has stopped, and well."""
        stop = threading.Event()
        failures: list[BaseException] = []

        def work() -> None:
            try:
                self._service(until_end=False).run(stop)
            except BaseException as failure:  # noqa: BLE001  # raised again below
                failures.append(failure)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(30)
        assert not thread.is_alive()
        if failures:
            raise failures[0]

    def drain(self) -> None:
        """Runs until all that is in Kafka has arrived."""
        self._service(until_end=True).run(threading.Event())

    def until(self, condition: Callable[[], object], what: str, seconds: float = 90) -> None:
        """As `waiting.until`, in real seconds."""
        until(condition, what, seconds)

    def files(self) -> list[oracle.AudienceFile]:
        """What arrived, in that order."""
        return [oracle.read(self.root / arrival.name) for arrival in self.server.arrivals]

    def _service(self, *, until_end: bool) -> Service:
        return Service(self.config, over_sftp(self.config, self.clock), until_end=until_end, adopt=False)


def user_of(number: int) -> str:
    """A display user's id; ascending numbers are ascending ids."""
    return str(uuid.UUID(int=number))
