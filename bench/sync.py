"""What a visit of a browser costs `s2s-bridge sync serve`, with a Kafka that acknowledges each mapping.

Browsers are a process of their own, over 64 connections that stay open (`bench.browsers`). The server has one
core for itself, Kafka and browsers share the others. Told are visits a second, as many as are answered, the
processor's time of each, and how long answers take at 2,000 a second; and the same of the web server alone,
with an application that only gives the image. On a machine that others use, processor time is what compares.
From the root: python -m bench.sync [--seconds 10] [--rounds 3] [--store kafka|sqlite]
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import yaml

from tests.parts.kafka import Kafka
from tests.parts.waiting import free_port, until

RATE = 5_000
"""Visits a second that one core is to answer."""

STEADY = 2_000
"""Visits a second, at which ..."""

P99 = 20.0
"""... 99 of 100 answers take no more milliseconds."""

TICKS = os.sysconf("SC_CLK_TCK")

ALONE = """
import sys, time
from bridge.sync.endpoint import GIF, HEADERS
from bridge.web.bounds import Bounds
from bridge.web.server import WebServer
from starlette.responses import Response

async def application(scope, receive, send):
    await Response(GIF, media_type="image/gif")(scope, receive, send)

address, bounds = f"127.0.0.1:{sys.argv[1]}", Bounds(connections=1000)
with WebServer(application, address, setting="listen", headers=HEADERS, bounds=bounds):
    time.sleep(3600)
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--store", choices=["kafka", "sqlite"], default="kafka")
    given = parser.parse_args()
    own, *others = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, others or {own})  # what is started from here is there too
    with tempfile.TemporaryDirectory() as directory, _store(Path(directory), given.store) as settings:
        rounds = [_round(Path(directory), settings, given.seconds, own) for _ in range(given.rounds)]
    served = [one for one, _ in rounds]
    cost = median(one["cpu_us"] for one in served)
    p99 = median(one["p99_ms"] for one in served)
    print(
        f"                        visits/s   processor   p50 at {STEADY}/s   p99   (median of {given.rounds})"
    )
    for name, found in (("sync serve", served), ("web server alone", [one for _, one in rounds])):
        rate, cpu, p50, late = (
            median(one[key] for one in found) for key in ("rate", "cpu_us", "p50_ms", "p99_ms")
        )
        print(f"{name:22}  {rate:8,.0f}   {cpu:6.0f} us   {p50:9.1f} ms   {late:6.1f} ms")
    _tell(f"one core of its own, visits/s: {1e6 / cost:,.0f}", f"at least {RATE:,}", met=1e6 / cost >= RATE)
    print(f"durable in time: {median(one['stored'] for one in served):.2%} of the visits")
    _tell(f"p99 at {STEADY:,}/s: {p99:.1f} ms", f"below {P99:g} ms", met=p99 < P99)
    return 0


def _tell(measured: str, bar: str, *, met: bool) -> None:
    print(f"{measured}; bar: {bar}: {'met' if met else 'missed'}")


@contextmanager
def _store(folder: Path, kind: str) -> Iterator[dict[str, str]]:
    if kind == "sqlite":
        yield {"sqlite_file": str(folder / "sync.sqlite")}
        return
    broker = Kafka.start(folder / "kafka")
    try:
        broker.create_topic("user-sync", 3, {"cleanup.policy": "compact"})
        yield {"bootstrap": broker.bootstrap}
    finally:
        broker.stop()


def _round(
    folder: Path, settings: dict[str, str], seconds: float, core: int
) -> tuple[dict[str, float], dict[str, float]]:
    port, status = free_port(), free_port()
    path = _configuration(folder, port, status, settings)
    with _running(["-m", "bridge", "sync", "serve", "--config", str(path)], port, core) as pid:
        served = _measured(pid, port, seconds) | {"stored": _stored(status)}
    port = free_port()
    with _running(["-c", ALONE, str(port)], port, core) as pid:
        return served, _measured(pid, port, seconds)


def _configuration(folder: Path, port: int, status: int, settings: dict[str, str]) -> Path:
    sync = {"namespace": "acme", "listen": f"127.0.0.1:{port}", "status_listen": f"127.0.0.1:{status}"}
    document = {
        "kafka": {"bootstrap_servers": settings.get("bootstrap", "127.0.0.1:1")},
        "user_sync": sync | {key: value for key, value in settings.items() if key != "bootstrap"},
    }
    path = folder / "bridge.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@contextmanager
def _running(arguments: list[str], port: int, core: int) -> Iterator[int]:
    """A server on one core, once it answers."""
    process = subprocess.Popen([sys.executable, *arguments])
    os.sched_setaffinity(process.pid, {core})  # before it has any other thread
    try:
        until(lambda: _browsers(port, 0.2)["answers"], "the server's first answer")
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _measured(pid: int, port: int, seconds: float) -> dict[str, float]:
    """Rate and processor time under all that it can take, then the times at a steady rate."""
    _browsers(port, 1)
    before = _cpu(pid)
    full = _browsers(port, seconds)
    used = _cpu(pid) - before
    steady = _browsers(port, seconds, STEADY)
    return {
        "rate": full["rate"],
        "cpu_us": 1e6 * used / full["answers"],
        "p50_ms": steady["p50_ms"],
        "p99_ms": steady["p99_ms"],
    }


def _stored(status: int) -> float:
    """Part of the visits whose mapping was durable in time."""
    with urllib.request.urlopen(f"http://127.0.0.1:{status}/metrics") as answer:
        text = answer.read().decode()
    found = {
        name: float(count) for name, count in re.findall(r'syncs_total{outcome="(\w+)"} ([0-9.e+]+)', text)
    }
    return found["stored"] / sum(found.values())


def _browsers(port: int, seconds: float, rate: float = 0) -> dict[str, float]:
    command = [
        sys.executable,
        "-m",
        "bench.browsers",
        str(port),
        "--seconds",
        str(seconds),
        "--rate",
        str(rate),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    time.sleep(0.1 if done.returncode else 0)
    return dict(json.loads(done.stdout)) if done.returncode == 0 else {"answers": 0}


def _cpu(pid: int) -> float:
    """Seconds of the processor, of all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


if __name__ == "__main__":
    sys.exit(main())
