"""A running endpoint, asked over real sockets."""

import http.client
import re
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass

import yaml

from bridge.clock import SystemClock
from bridge.config import load
from bridge.service.syncing import SyncService
from bridge.sync.mapping import decode

MM_UUID = "5f11538c-fcb6-4600-88e0-6e51bff72bbc"
KEY = "k" * 40


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def cookies(self):
        """Name to value of what is to be set; an ended one is empty."""
        return dict(line.split(";")[0].split("=", 1) for line in self.headers.get_all("set-cookie") or [])


@dataclass(frozen=True)
class Site:
    """A service, and the file it stores in."""

    service: SyncService
    folder: object

    def ask(self, path="/sync", method="GET", **headers):
        """One request; underscores in the headers' names are hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=30)) as connection:
            connection.request(method, path, headers=named)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())

    def status(self, path):
        """A page of the other port."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.service.status_port)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def outcomes(self, metric="syncs"):
        """Outcome to how often, where it has come at all."""
        line = rf'(?m)^s2s_bridge_{metric}_total{{\w+="(\w+)"}} ([0-9.e+]+)$'
        found = re.findall(line, self.metrics())
        return {outcome: float(count) for outcome, count in found if float(count)}

    def metrics(self):
        return self.status("/metrics")[1]

    @property
    def file(self):
        return self.folder / "sync.sqlite"

    def stored(self):
        """What the file holds."""
        with closing(sqlite3.connect(self.file)) as connection:
            return [decode(value) for (value,) in connection.execute("SELECT value FROM user_sync")]


def configuration(folder, bootstrap="127.0.0.1:1", **settings):
    """A configuration whose `user_sync` has these settings; where it lies."""
    (folder / "key").write_text(KEY)
    account = {"name": "default", "agency": "A", "partner": "P"}
    account["sftp"] = {"host": "h", "username": "u", "password_file": "p", "host_key": "ssh-ed25519 AAAA"}
    document = {
        "kafka": {"bootstrap_servers": bootstrap},
        "accounts": [account],
        "streams": [{"name": "s", "topics": ["t"], "format": "json", "segment_namespace": "ep"}],
        "user_sync": {
            "listen": "127.0.0.1:0",
            "status_listen": "127.0.0.1:0",
            "namespace": "acme",
            "signing_key_files": ["key"],
            **settings,
        },
    }
    path = folder / "bridge.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def service(folder, bootstrap="127.0.0.1:1", **settings):
    return SyncService(load(configuration(folder, bootstrap, **settings), {}), SystemClock())


@contextmanager
def serving(folder, **settings):
    """With a file for a store."""
    with service(folder, sqlite_file="sync.sqlite", **settings) as one:
        yield Site(one, folder)
