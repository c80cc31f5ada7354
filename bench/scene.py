"""What the benches share: real Kafka with the load in a topic, real sshd, and the bridge between them.

The bridge's time runs from its assignment (/readyz; just before its first message) to the rename of its
last file on the server; that of its ingest alone to the last `run_sealed` of its log.
"""

import json
import os
import platform
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from bench.measure import run
from bench.produce import SCHEMA, TOPIC, check_schema, produce
from bench.result import Load, Result
from tests.parts.kafka import Kafka
from tests.parts.openssh import OpenSsh
from tests.parts.waiting import free_port

RESULTS = Path(__file__).parent / "results"


@dataclass
class Watch:
    """Sees from outside when the bridge is ready and when its files land, in seconds since its start."""

    port: int
    root: Path
    ready: float | None = None
    landed: dict[str, float] = field(default_factory=dict)

    def __call__(self, now: float) -> None:
        if self.ready is None and self._ready():
            self.ready = now
        for path in self.root.glob("*.log.gz"):
            self.landed.setdefault(path.name, now)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False


@contextmanager
def broker() -> Iterator[Kafka]:
    """A Kafka of its own in a temporary folder."""
    check_schema()
    with tempfile.TemporaryDirectory(prefix="s2s-bench-kafka-") as name:
        kafka = Kafka.start(Path(name))
        try:
            yield kafka
        finally:
            kafka.stop()


@contextmanager
def loaded(kafka: Kafka, load: Load, topic: str = TOPIC) -> Iterator[int]:
    """The topic holds the load; gives its bytes, and deletes it at the end."""
    kafka.create_topic(topic, load.partitions)
    try:
        size = (load.events, load.users, load.seed)
        yield produce(
            kafka.bootstrap, *size, topic=topic, audiences=load.audiences, partitions=load.partitions
        )
    finally:
        kafka.delete_topic(topic)


@contextmanager
def server() -> Iterator[OpenSsh]:
    """A real sshd that listens."""
    with closing(OpenSsh()) as sshd:
        sshd.start()
        yield sshd


def configuration(
    kafka: Kafka,
    sshd: OpenSsh,
    folder: Path,
    port: int,
    *,
    account: dict[str, object] | None = None,
    stream: dict[str, object] | None = None,
    **sections: dict[str, object],
) -> dict[str, object]:
    """The defaults, but for places and names, and no guard: a bench may run at a full hour.

    The consumer group is the folder's, so that a new folder begins at the topic's beginning.

    Args:
        kafka: Where the events are.
        sshd: Where the files go.
        folder: Holds the spool.
        port: Of /readyz and /metrics.
        account: Keys of the account that are other than here.
        stream: Keys of the stream that are other than here.
        sections: Keys of other sections, as `window={"max_age": "10s"}`.
    """
    sftp = {
        "host": "127.0.0.1",
        "port": sshd.port,
        "username": sshd.username,
        "private_key_file": str(sshd.private_key_file),
        "host_key": sshd.host_key,
    }
    one = {"name": "bench", "agency": "Agency", "partner": "Partner", "sftp": sftp, "quota": {"guard": "0s"}}
    events = {
        "name": "bench",
        "topics": [TOPIC],
        "account": "bench",
        "format": "avro-confluent",
        "schema": str(SCHEMA),
        "segment_namespace": "ep",
    }
    own: dict[str, dict[str, object]] = {
        "kafka": {"bootstrap_servers": kafka.bootstrap, "group_id": folder.name},
        "spool": {"directory": str(folder / "spool")},
        "http": {"listen": f"127.0.0.1:{port}"},
    }
    merged = {name: own.get(name, {}) | sections.get(name, {}) for name in own | sections}
    return merged | {"accounts": [one | (account or {})], "streams": [events | (stream or {})]}


def bridge(kafka: Kafka, load: Load, **changes: dict[str, object]) -> Result:
    """`s2s-bridge run --until-end` to a real sshd; `changes` are those of `configuration`."""
    with server() as sshd, tempfile.TemporaryDirectory(prefix="s2s-bench-") as name:
        folder = Path(name)
        watch = Watch(port=free_port(), root=sshd.root)
        config, log = folder / "bridge.yaml", folder / "bridge.log"
        config.write_text(
            json.dumps(configuration(kafka, sshd, folder, watch.port, **changes))
        )  # it is YAML too
        command = [sys.executable, "-m", "bridge", "run", "--config", str(config), "--until-end"]
        usage = run(command, watch=watch, stderr=log)
        lines = records(log)
        size = sum(path.stat().st_size for path in sshd.files())
    if not watch.landed:
        raise SystemExit("bench: the bridge ended without a file on the server")
    if watch.ready is None:
        print("bench: /readyz did not answer: the bridge's time includes its start", file=sys.stderr)
    ready = watch.ready or 0.0
    sealed = max(instant(line) for line in lines if line["event"] == "run_sealed")
    uploaded = [line for line in lines if line["event"] == "file_uploaded"]
    return Result(
        name="s2s-bridge",
        events=load.events,
        seconds=max(watch.landed.values()) - ready,
        usage=usage,
        size=size,
        ingest=sealed - usage.started - ready,
        uploads=sum(line["seconds"] for line in uploaded),
        memberships=sum(line["memberships"] for line in uploaded),
    )


def records(log: Path) -> list[dict]:
    """The lines of the bridge's log; other things on its stderr are left out."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return [json.loads(line) for line in lines if line.startswith('{"')]


def instant(line: dict) -> float:
    """A log line's time, in epoch seconds."""
    return datetime.fromisoformat(line["timestamp"]).timestamp()


def machine() -> str:
    """What the figures were measured on."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(": ")[2] for line in info if line.startswith("model name")), "unknown")
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {model}, Python {platform.python_version()}, Kafka and sshd on the same machine"


def save(name: str, figures: dict[str, object], folder: Path = RESULTS) -> None:
    """Keep what was measured, for the chart and for the next one to compare with."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
