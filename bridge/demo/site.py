"""The demo's directory, and the configuration in it, with which any command can be tried afterwards.

DIRECTORY/
  bridge.yaml  segment_membership.avsc  sftp-password  bridge.log
  spool/    what the bridge keeps
  server/   what arrived on the SFTP server
"""

import gzip
import json
import os
from collections import Counter
from pathlib import Path

import yaml

from bridge.config import Config, load
from bridge.demo.avro import schema_text
from bridge.demo.events import CLIENTS, topic_of
from bridge.errors import UsageError

ACCOUNT = "demo"

USERNAME = "demo"

PASSWORD = "not-a-secret"  # noqa: S105  # of a server that lives as long as the demo does, on loopback

FILES_PER_HOUR = 4
"""Fewer than there are audiences: they have to wait for each other."""

SCHEMA = "segment_membership.avsc"

HEAD = "# Made by `s2s-bridge demo`. The broker and the server in it were gone when the demo was over.\n"


class Site:
    """The paths below a directory that is new or empty."""

    def __init__(self, directory: Path) -> None:
        """Make what must be there.

        Raises:
            UsageError: It is not empty, or cannot be made.
        """
        self.server = directory / "server"
        self.spool = directory / "spool"
        self.log = directory / "bridge.log"
        self.configuration = directory / "bridge.yaml"
        self.schema = directory / SCHEMA
        self._password = directory / "sftp-password"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if any(directory.iterdir()):
                raise UsageError(f"--directory {directory} is not empty: name one that is empty or new")
            self.server.mkdir()
            self.schema.write_text(schema_text(), encoding="utf-8")
            self._password.write_text(f"{PASSWORD}\n", encoding="utf-8")
            self._password.chmod(0o600)
        except OSError as error:
            why = error.strerror or error
            raise UsageError(f"--directory {directory} cannot be used ({why}): name another") from error

    def configure(self, broker: str, port: int, host_key: str) -> Config:
        """Write the configuration for these two, and load it."""
        settings = {
            "kafka": {"bootstrap_servers": broker, "properties": {"log_level": "0"}},
            "spool": {"directory": "spool"},
            "window": {"max_age": "2m"},
            "roll": {"max_age": "30m"},
            "accounts": [
                {
                    "name": ACCOUNT,
                    "agency": "Demo",
                    "partner": "EP",
                    "sftp": {
                        "host": "127.0.0.1",
                        "port": port,
                        "username": USERNAME,
                        "password_file": self._password.name,
                        "host_key": host_key,
                    },
                    "quota": {"files_per_hour": FILES_PER_HOUR},
                }
            ],
            "streams": [_stream(client) for client in CLIENTS],
            "http": {"listen": None},
        }
        text = HEAD + yaml.safe_dump(settings, sort_keys=False, width=200)
        self.configuration.write_text(text, encoding="utf-8")
        return load(self.configuration, os.environ)

    def dead_letters(self) -> Counter[str]:
        """How many events were refused, by reason."""
        reasons: Counter[str] = Counter()
        for path in (self.spool / "dead-letters").glob("*.jsonl.gz"):
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                reasons.update(json.loads(line)["reason"] for line in lines)
        return reasons


def _stream(client: str) -> dict[str, object]:
    topic = topic_of(client)
    return {
        "name": topic.replace(".", "-"),
        "topics": [topic],
        "account": ACCOUNT,
        "client": client or None,
        "format": "avro",
        "schema": SCHEMA,
        "segment_namespace": "ep",
    }
