"""Steady state: what a bridge takes for 5,000 events a second, as they happen.

Real Kafka and real sshd on loopback, the bridge's defaults but for `roll.max_age`, which lets several files
go within the run, and the guard. Its processor time (user and system) is the kernel's count for its process,
from 5 s after /readyz to the end; the bar is a quarter of a core. From the root: python -m bench.steady
"""

import threading
import time

import numpy as np

from bench import report
from bench.child import Bridge, running
from bench.produce import PARTITIONS, TOPIC, batch, client_fields, producer, users
from bench.report import Bar
from bench.scene import broker, configuration, machine, server, temporary
from tests.parts.waiting import free_port, until

BAR = 25.0  # percent of a core
SETTLED = 5.0  # seconds after /readyz
TICK = 0.1  # seconds between two batches of events
SHOWN = 0.05  # percent of a core that a thread must take to be listed


class Feed(threading.Thread):
    """Writes events that happen now to the topic, so many a second, until stopped."""

    def __init__(self, bootstrap: str, rate: int, number_of_users: int, seed: int) -> None:
        super().__init__(daemon=True)
        self._rng = np.random.default_rng(seed)
        self._pool = users(number_of_users, self._rng)
        self._producer = producer(bootstrap, log_level=0)
        self._rate = rate
        self._ended = threading.Event()
        self.sent = 0

    def run(self) -> None:
        start = time.monotonic()
        while not self._ended.wait(TICK):
            due = int((time.monotonic() - start) * self._rate) - self.sent
            now = np.full(due, int(time.time() * 1000))
            for value in batch(self._pool, client_fields([]), now, self._rng):
                self._producer.produce(TOPIC, value, partition=self.sent % PARTITIONS)
                self.sent += 1
            self._producer.poll(0)
        self._producer.flush()

    def stop(self) -> None:
        """Returns when all is in the topic."""
        self._ended.set()
        self.join()


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
    taken = {"seconds": round(took, 1)} | shares(before, after, took) | results(bridge, feed.sent)
    feed.stop()
    return taken


def shares(before: dict[str, float], after: dict[str, float], took: float) -> dict[str, object]:
    """Percent of a core, of the process and of its threads, the largest first."""
    found = {name: 100 * (spent - before.get(name, 0.0)) / took for name, spent in after.items()}
    total = found.pop("all")
    found["threads that have ended"] = total - sum(found.values())
    largest = sorted(found.items(), key=lambda item: -item[1])
    threads = {name: round(share, 2) for name, share in largest if share >= SHOWN}
    return {"cpu_percent": round(total, 2), "threads_percent": threads}


def results(bridge: Bridge, sent: int) -> dict[str, int]:
    """What it has done."""
    metrics, uploaded = bridge.metrics(), bridge.logged("file_uploaded")
    return {
        "events": int(metrics["events_consumed_total"]),
        "peak_bytes": bridge.peak(),
        "lag": int(metrics["consumer_lag"]),
        "sent_and_not_consumed": sent - int(metrics["events_consumed_total"]),
        "runs": int(metrics["runs_sealed_total"]),
        "dead_letters": int(metrics["dead_letters_total"]),
        "files": len(uploaded),
        "file_bytes": sum(line["bytes"] for line in uploaded),
        "memberships": sum(line["memberships"] for line in uploaded),
    }


def shown(figures: dict[str, object], bar: Bar) -> str:
    """Tables, and the threads in a line."""
    counted = [f"{figures[name]:,}" for name in ("events", "lag", "files")]
    sizes = [f"{figures['file_bytes'] / 1e6:.1f}", f"{figures['memberships']:,}"]
    row = [f"{figures['seconds']}", f"{figures['peak_bytes'] / 1e6:.0f}", *counted, *sizes]
    head = ["seconds", "peak MB", "events", "lag", "files", "file MB", "memberships"]
    threads = ", ".join(f"{name} {share:.1f} %" for name, share in figures["threads_percent"].items())
    return f"{report.table(head, [row])}\n\n{report.verdict([bar])}\n\nBy thread: {threads}"


def main() -> None:
    sizes = {
        "minutes": (10.0, "how long it is measured"),
        "rate": (5_000, "events a second"),
        "users": (1_000_000, "users that they are of"),
        "roll": ("2m", "roll.max_age"),
    }
    options = report.arguments(__doc__, **sizes).parse_args()
    with broker() as kafka, server() as sshd, temporary() as folder:
        kafka.create_topic(TOPIC, PARTITIONS)
        feed = Feed(kafka.bootstrap, options.rate, options.users, options.seed)
        settings = configuration(kafka, sshd, folder, free_port(), roll={"max_age": options.roll})
        with running(settings, folder) as bridge:
            figures = measured(bridge, feed, options.minutes * 60)
    percent = figures["cpu_percent"]
    bar = Bar(name="CPU of a core", goal=f"below {BAR:.0f} %", measured=f"{percent:.1f} %", met=percent < BAR)
    print(f"{options.rate:,} events/s, roll.max_age {options.roll}; {machine()}\n\n{shown(figures, bar)}")
    facts = {"machine": machine(), "rate": options.rate, "roll": options.roll}
    report.save("steady", report.destination(options), facts | figures, [bar])


if __name__ == "__main__":
    main()
