"""The real parts of a soak, and how they are set up: a broker, a server behind a proxy, a bridge."""

import shutil
from contextlib import ExitStack
from pathlib import Path

from tests.parts.bridging import Bridge, account, configuration, stream
from tests.parts.kafka import Kafka
from tests.parts.openssh import OpenSsh
from tests.parts.proxy import Proxy
from tests.parts.waiting import free_port
from tests.soak.feed import MAIN, PARTITIONS, TIGHT
from tests.soak.keeper import Keeper
from tests.soak.platform import Platform

AMPLE = 3_000
"""Files an hour of the account that has nearly all."""
FEW = 20
"""The same of the small one, at most: the platform's own limit, which it spends within a minute."""
FEWER = 6
"""In a short soak it has a file for each so many seconds, so that it spends them too."""

SHORTEST_RETENTION = 75
"""Seconds: above what lateness, outages and the pauses between attempts come to, or events are set aside."""
RETENTIONS = 6
"""So often, at least, history goes."""


BROKER = {"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500"}
"""One that was killed may come back once its predecessor is taken for dead; by default that is 9 s."""


class Site:
    """Everything that is started; `close` stops it."""

    def __init__(self, directory: Path, seconds: float) -> None:
        self.directory = directory
        self.retention = max(SHORTEST_RETENTION, round(seconds / RETENTIONS))
        """Seconds that history is kept."""
        self.few = min(FEW, round(seconds / FEWER))
        """Files an hour of the small account."""
        with ExitStack() as started:
            self.kafka = Kafka.start(directory / "kafka", BROKER)
            started.callback(self.kafka.stop)
            self.sshd = OpenSsh()
            started.callback(self._close_sshd)
            self.sshd.start()
            self.proxy = Proxy(self.sshd.port)
            started.callback(self.proxy.close)
            self._make_topics()
            folders = self._make_folders()
            self.platform = Platform(self.sshd, folders, directory / "arrived")
            started.callback(self.platform.stop)
            self.config = self._configuration(folders)
            self.bridge = Bridge(directory, self.config)
            self.keeper = Keeper(self.bridge)
            started.callback(self.keeper.stop)
            self._started = started.pop_all()

    @property
    def spool(self) -> Path:
        return Path(self.config["spool"]["directory"])

    @property
    def pages(self) -> str:
        return f"http://{self.config['http']['listen']}"

    def _configuration(self, folders: dict[str, Path]) -> dict:
        main = account(self.sshd, "main", files_per_hour=AMPLE)
        main["sftp"] |= {"port": self.proxy.port, "directory": str(folders["main"])}
        tight = account(self.sshd, "tight", files_per_hour=self.few)
        tight["sftp"] |= {"directory": str(folders["tight"])}
        streams = [
            stream(MAIN, account="main", clients=["Acme"]),
            stream(TIGHT, account="tight", client="Tight"),
        ]
        config = configuration(self.kafka, self.sshd, self.directory, streams, accounts=[main, tight])
        config["spool"]["retention"] = f"{self.retention}s"
        config["window"]["max_age"] = "200ms"
        config["roll"] = {"max_age": "2s"}
        return config | {"http": {"listen": f"127.0.0.1:{free_port()}"}}

    def raise_quota(self) -> None:
        """The platform grants the small account more."""
        self.config["accounts"][1]["quota"]["files_per_hour"] = AMPLE
        self.bridge.write()

    def close(self) -> None:
        """Stop everything, the last one first."""
        self._started.close()

    def _close_sshd(self) -> None:
        shutil.copy(self.sshd.base / "sshd.log", self.directory)
        self.sshd.close()

    def _make_topics(self) -> None:
        for topic, partitions in PARTITIONS.items():
            self.kafka.create_topic(topic, partitions)

    def _make_folders(self) -> dict[str, Path]:
        """The folder of each account on the server."""
        folders = {name: self.sshd.root / name for name in ("main", "tight")}
        for folder in folders.values():
            folder.mkdir()
            shutil.chown(folder, self.sshd.username)
        return folders
