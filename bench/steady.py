"""Steady state: what a bridge takes for 5,000 events a second, as they happen.

Real Kafka and real sshd on loopback, the bridge's defaults but for `roll.max_age`, which lets several files
go within the run, and the guard. Its processor time (user and system) is the kernel's count for its process,
from 5 s after /readyz to the end; the bar is a quarter of a core. From the root: python -m bench.steady
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from confluent_kafka import Producer

from bench.produce import ELEMENTS, PARTITIONS, TOPIC, client_fields, kind, users
from bench.scene import broker, configuration, machine, records, save, server
from tests.parts.waiting import free_port, until

BAR = 25.0  # percent of a core
SETTLED = 5.0  # seconds after /readyz
TICK = 0.1  # seconds between two batches of events


class Bridge:
    """A bridge in a process of its own, seen from outside."""

    def __init__(self, settings: dict[str, object], folder: Path) -> None:
        self._address = f"http://{settings['http']['listen']}"
        self._log = folder / "bridge.log"
        command = run_command(settings, folder)
        self.started = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stderr=log)
        self.proc = Path(f"/proc/{self._process.pid}")

    def page(self, path: str) -> str | None:
        """What a page says; None: it is not there, or not well."""
        self.check()
        try:
            with urllib.request.urlopen(self._address + path, timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def metrics(self) -> Counter[str]:
        """Each metric's sum over its labels, by its name without `s2s_bridge_`."""
        sums: Counter[str] = Counter()
        for line in (self.page("/metrics") or "").splitlines():
            if line.startswith("s2s_bridge_"):
                name, _, value = line.removeprefix("s2s_bridge_").rpartition(" ")
                sums[name.partition("{")[0]] += float(value)
        return sums

    def memory(self, name: str = "VmRSS") -> int:
        """Bytes: VmRSS now, VmHWM at its highest."""
        lines = (self.proc / "status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

    def threads(self) -> dict[str, float]:
        """Processor seconds of each thread alive, by its name and number, and of the whole process: `all`."""
        seconds = {"all": _seconds(self.proc / "stat")}
        for task in (self.proc / "task").iterdir():
            try:
                seconds[f"{(task / 'comm').read_text().strip()} {task.name}"] = _seconds(task / "stat")
            except OSError:  # it has ended
                continue
        return seconds

    def log(self, event: str) -> list[dict]:
        """The lines of its log about one kind of action."""
        return [line for line in records(self._log) if line["event"] == event]

    def check(self) -> None:
        """Ends the bench where the bridge has ended."""
        if self._process.poll() is not None:
            said = self._log.read_text(errors="replace")[-2000:]
            raise SystemExit(f"bench: the bridge ended with {self._process.returncode}\n{said}")

    def stop(self) -> None:
        """As its user stops it; the hard way after 40 s."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(40)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _seconds(stat: Path) -> float:
    """User and system time in a stat file of the kernel's; the name in it may hold spaces."""
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_command(settings: dict[str, object], folder: Path) -> list[str]:
    """`s2s-bridge run` with these settings, which are written to the folder."""
    config = folder / "bridge.yaml"
    config.write_text(json.dumps(settings))  # it is YAML too
    return [sys.executable, "-m", "bridge", "run", "--config", str(config)]


@contextmanager
def running(settings: dict[str, object], folder: Path) -> Iterator[Bridge]:
    """A bridge that was just started; it is stopped at the end."""
    bridge = Bridge(settings, folder)
    try:
        yield bridge
    finally:
        bridge.stop()


class Feed(threading.Thread):
    """Writes events that happen now to the topic, so many a second, until stopped."""

    def __init__(self, bootstrap: str, rate: int, number_of_users: int, seed: int) -> None:
        super().__init__(daemon=True)
        self._rng = np.random.default_rng(seed)
        self._pool = users(number_of_users, self._rng)
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "linger.ms": 100, "compression.type": "lz4", "log_level": 0}
        )
        self._rate = rate
        self._ended = threading.Event()
        self.sent = 0

    def run(self) -> None:
        start = time.monotonic()
        while not self._ended.wait(TICK):
            due = int((time.monotonic() - start) * self._rate) - self.sent
            for value in self._events(due):
                self._producer.produce(TOPIC, value, partition=self.sent % PARTITIONS)
                self.sent += 1
            self._producer.poll(0)
        self._producer.flush()

    def stop(self) -> None:
        """Returns when all is in the topic."""
        self._ended.set()
        self.join()

    def _events(self, number: int) -> list[bytes]:
        """So many messages of this moment."""
        drawn = self._rng.integers(0, len(self._pool), number)
        counts = self._rng.choice(list(ELEMENTS), number, p=list(ELEMENTS.values()))
        now = np.full(number, int(time.time() * 1000))
        values: list[bytes] = []
        for elements in ELEMENTS:
            chosen = counts == elements
            if chosen.any():
                ids = self._pool[drawn[chosen]]
                values += kind(
                    ids, np.repeat(client_fields([]), len(ids), axis=0), now[chosen], elements, self._rng
                )
        return values


def measured(bridge: Bridge, feed: Feed, seconds: float) -> dict[str, object]:
    """What the bridge takes while it is fed."""
    until(lambda: bridge.page("/readyz"), "the bridge to be ready")
    feed.start()
    time.sleep(SETTLED)
    before, begun = bridge.threads(), time.monotonic()
    while (left := begun + seconds - time.monotonic()) > 0:
        bridge.check()
        time.sleep(min(1.0, left))
    after, took = bridge.threads(), time.monotonic() - begun
    shares = {name: 100 * (spent - before.get(name, 0.0)) / took for name, spent in after.items()}
    total = shares.pop("all")
    shares["threads that have ended"] = total - sum(shares.values())
    sent, metrics = feed.sent, bridge.metrics()
    uploaded = bridge.log("file_uploaded")
    feed.stop()
    return {
        "seconds": round(took, 1),
        "events": int(metrics["events_consumed_total"]),
        "cpu_percent": round(total, 2),
        "threads_percent": {name: round(share, 2) for name, share in _largest(shares) if share >= 0.05},
        "peak_bytes": bridge.memory("VmHWM"),
        "lag": int(metrics["consumer_lag"]),
        "sent_and_not_consumed": sent - int(metrics["events_consumed_total"]),
        "runs": int(metrics["runs_sealed_total"]),
        "dead_letters": int(metrics["dead_letters_total"]),
        "files": len(uploaded),
        "file_bytes": sum(line["bytes"] for line in uploaded),
        "memberships": sum(line["memberships"] for line in uploaded),
    }


def _largest(shares: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(shares.items(), key=lambda item: -item[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=int, default=5_000, help="events a second")
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--roll", default="2m", help="roll.max_age")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with broker() as kafka, server() as sshd, tempfile.TemporaryDirectory(prefix="s2s-bench-") as name:
        kafka.create_topic(TOPIC, PARTITIONS)
        feed = Feed(kafka.bootstrap, options.rate, options.users, options.seed)
        settings = configuration(kafka, sshd, Path(name), free_port(), roll={"max_age": options.roll})
        with running(settings, Path(name)) as bridge:
            figures = measured(bridge, feed, options.minutes * 60)
    met = figures["cpu_percent"] < BAR
    shown = [
        f"{figures['seconds']}",
        f"{figures['cpu_percent']:.1f} %",
        f"below {BAR:.0f} %",
        "yes" if met else "no",
        f"{figures['peak_bytes'] / 1e6:.0f}",
        f"{figures['events']:,}",
        f"{figures['lag']:,}",
        f"{figures['files']}",
        f"{figures['file_bytes'] / 1e6:.1f}",
        f"{figures['memberships']:,}",
    ]
    print(f"{options.rate:,} events/s, roll.max_age {options.roll}; {machine()}\n")
    print("| seconds | CPU of a core | bar | met | peak MB | events | lag | files | file MB | memberships |")
    print(f"|--:|--:|--:|---|--:|--:|--:|--:|--:|--:|\n| {' | '.join(shown)} |\n")
    shares = ", ".join(f"{name} {share:.1f} %" for name, share in figures["threads_percent"].items())
    print(f"By thread: {shares}")
    save("steady", {"rate": options.rate, "roll": options.roll, "bar": BAR, "met": met} | figures)


if __name__ == "__main__":
    main()
