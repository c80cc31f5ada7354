"""Where the benches play: a real Kafka with the load in a topic, a real sshd, the bridge's configuration."""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bench.produce import SCHEMA, TOPIC, check_schema, produce
from bench.report import processor
from bench.result import Load
from tests.parts.kafka import Kafka
from tests.parts.openssh import OpenSsh


def machine() -> str:
    """What the figures were measured on."""
    return f"{processor()}, Kafka and sshd on the same machine"


@contextmanager
def temporary() -> Iterator[Path]:
    """A folder that is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="s2s-bench-") as name:
        yield Path(name)


@contextmanager
def broker() -> Iterator[Kafka]:
    """A Kafka of its own in a temporary folder."""
    check_schema()
    with temporary() as place:
        kafka = Kafka.start(place)
        try:
            yield kafka
        finally:
            kafka.stop()


@contextmanager
def loaded(kafka: Kafka, load: Load) -> Iterator[int]:
    """The topic holds the load; gives its bytes, and deletes it at the end."""
    kafka.create_topic(TOPIC, load.partitions)
    try:
        size = (load.events, load.users, load.seed)
        yield produce(kafka.bootstrap, *size, audiences=load.audiences, partitions=load.partitions)
    finally:
        kafka.delete_topic(TOPIC)


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
