"""Copying, the obvious program and the bridge on the same topic: prints a table.

Real Kafka and real sshd on loopback, as in the tests. The bridge's time runs from its assignment
(/readyz; just before its first message) to the rename of its last file on the server.
From the root: python -m bench.bench
"""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure import Usage, run
from bench.produce import PARTITIONS, SCHEMA, TOPIC, check_schema, produce
from tests.parts.kafka import Kafka
from tests.parts.openssh import OpenSsh
from tests.parts.waiting import free_port

ROOT = Path(__file__).parents[1]
OBVIOUS_EVENTS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Result:
    """A line of the table."""

    name: str
    events: int
    seconds: float
    """From the first message to the finished file."""
    usage: Usage
    size: int
    """Bytes of the files."""

    @property
    def rate(self) -> float:
        return self.events / self.seconds


@dataclass
class Watch:
    """Sees from outside when the bridge is ready and when its files land."""

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


def copying(kafka: Kafka, events: int, folder: Path) -> Result:
    """The bytes alone: kcat with its default queues, into gzip."""
    output = folder / "copy.gz"
    kcat = ["kcat", "-C", "-e", "-q", "-o", "beginning", "-b", kafka.bootstrap, "-t", TOPIC]
    usage = run(kcat, ["gzip", "-1"], stdout=output)
    size = output.stat().st_size
    return Result(name="kcat into gzip -1", events=events, seconds=usage.wall, usage=usage, size=size)


def obvious(kafka: Kafka, events: int, folder: Path) -> Result:
    """bench/obvious.py on at most 1 M of the events: it slows as it grows."""
    output, number = folder / "obvious.gz", min(events, OBVIOUS_EVENTS)
    script = [sys.executable, str(ROOT / "bench" / "obvious.py")]
    usage = run([*script, kafka.bootstrap, TOPIC, str(PARTITIONS), str(number), str(output)])
    seconds, size = json.loads(usage.output)["seconds"], output.stat().st_size
    return Result(name="the obvious program", events=number, seconds=seconds, usage=usage, size=size)


def bridge(kafka: Kafka, events: int, folder: Path) -> Result:
    """`s2s-bridge run --until-end` to a real sshd."""
    sshd = OpenSsh()
    with ExitStack() as stack:
        stack.callback(sshd.close)
        sshd.start()
        watch = Watch(port=free_port(), root=sshd.root)
        config = folder / "bridge.yaml"
        config.write_text(json.dumps(configuration(kafka, sshd, folder, watch.port)))  # JSON is YAML too
        usage = run(
            [sys.executable, "-m", "bridge", "run", "--config", str(config), "--until-end"], watch=watch
        )
        size = sum((sshd.root / name).stat().st_size for name in watch.landed)
    if not watch.landed:
        raise SystemExit("bench: the bridge ended without a file on the server")
    if watch.ready is None:
        print("bench: /readyz did not answer: the bridge's time includes its start", file=sys.stderr)
    seconds = max(watch.landed.values()) - (watch.ready or 0.0)
    return Result(name="the bridge", events=events, seconds=seconds, usage=usage, size=size)


def configuration(kafka: Kafka, sshd: OpenSsh, folder: Path, port: int) -> dict[str, object]:
    """The defaults, but for places and names, and no guard: the bench may run at a full hour."""
    sftp = {
        "host": "127.0.0.1",
        "port": sshd.port,
        "username": sshd.username,
        "private_key_file": str(sshd.private_key_file),
        "host_key": sshd.host_key,
    }
    account = {"name": "bench", "agency": "Agency", "partner": "Partner", "sftp": sftp}
    stream = {
        "name": "bench",
        "topics": [TOPIC],
        "account": "bench",
        "format": "avro-confluent",
        "schema": str(SCHEMA),
        "segment_namespace": "ep",
    }
    return {
        "kafka": {"bootstrap_servers": kafka.bootstrap},
        "spool": {"directory": str(folder / "spool")},
        "accounts": [account | {"quota": {"guard": "0s"}}],
        "streams": [stream],
        "http": {"listen": f"127.0.0.1:{port}"},
    }


RUNS = {"copying": copying, "obvious": obvious, "bridge": bridge}


def table(results: list[Result]) -> str:
    """Markdown; ratios are to the obvious program's rate, where it ran."""
    rates = {result.name: result.rate for result in results}
    base = rates.get("the obvious program")
    lines = [
        "| | events | seconds | events/s | to the obvious | whole process s | CPU s | peak MB | file MB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for result in results:
        ratio = f"{result.rate / base:.2f}" if base else ""
        usage = result.usage
        lines.append(
            f"| {result.name} | {result.events:,} | {result.seconds:.1f} | {result.rate:,.0f} | {ratio} "
            f"| {usage.wall:.1f} | {usage.cpu:.1f} | {usage.peak / 1e6:,.0f} | {result.size / 1e6:.1f} |"
        )
    return "\n".join(lines)


def machine() -> str:
    """What the figures were measured on."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(": ")[2] for line in info if line.startswith("model name")), "unknown")
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {model}, Python {platform.python_version()}, Kafka and sshd on the same machine"


def chosen(only: str) -> list[str]:
    """The runs asked for; without kcat copying is left out, in one line."""
    names = only.split(",")
    if unknown := set(names) - set(RUNS):
        raise SystemExit(f"bench: --only takes {','.join(RUNS)}, not {','.join(sorted(unknown))}")
    if "copying" in names and not shutil.which("kcat"):
        print("bench: kcat is missing, so copying is left out", file=sys.stderr)
        names.remove("copying")
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=4_000_000)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default=",".join(RUNS), help="of copying,obvious,bridge")
    options = parser.parse_args()
    names = chosen(options.only)
    check_schema()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="s2s-bench-")))
        kafka = Kafka.start(folder / "kafka")
        stack.callback(kafka.stop)
        kafka.create_topic(TOPIC, PARTITIONS)
        size = produce(kafka.bootstrap, options.events, options.users, options.seed)
        each = size / options.events
        print(f"{options.events:,} events of {each:.1f} bytes, {options.users:,} users; {machine()}\n")
        results = [RUNS[name](kafka, options.events, folder) for name in names]
    print(table(results))


if __name__ == "__main__":
    main()
