"""Events, all the time, at a steady rate: late ones, duplicates, removals, and some that are none."""

import json
import random
import threading
import time
from collections.abc import Iterator

from confluent_kafka import Message, Producer

from tests.parts import events as made
from tests.parts.events import Event, Load
from tests.parts.kafka import Kafka

MAIN, TIGHT = "soak.main", "soak.tight"
"""The topics: nearly all, and a few of an account with the platform's own small quota."""

PARTITIONS = {MAIN: 4, TIGHT: 1}
"""The small account waits longer for its quota than history is kept: nothing may come late there."""

USERS = 5_000
LATENESS = 3_000
"""An event comes at most so long after its time, ms: a short history can judge it."""

FEW = 0.02
"""Share of the events in the small topic."""
BAD = 0.005
"""Share of what is no event."""
MARK = "soaked-secret"
"""Stands in what is no event, for the search in the log."""


def _broken(**more: object) -> bytes:
    right = {
        "user_id": "11111111-2222-3333-4444-555555555555",
        "segments": [{"segment_id": 1, "timestamp": 0}],
        "event_time": 1_790_000_000_000,
    }
    return json.dumps(right | more).encode()


BROKEN = {
    "undecodable": f'{{"user_id": "{MARK}'.encode(),
    "invalid_user_id": _broken(user_id=MARK),
    "zero_device_id": _broken(user_id="00000000-0000-0000-0000-000000000000", mobile=True),
    "unknown_client": _broken(client=MARK),
    "no_segments": _broken(segments=[]),
    "invalid_segment_id": _broken(segments=[{"segment_id": 0, "timestamp": 0}]),
    "invalid_timestamp": _broken(segments=[{"segment_id": 1, "timestamp": -2}]),
    "invalid_event_time": _broken(event_time=0),
}
"""What is refused, by reason; the reason is the message's key."""


class Feed:
    """A thread that produces until it is stopped. What the topics hold then is the truth."""

    def __init__(self, kafka: Kafka, seed: int, rate: int, seconds: float) -> None:
        self.produced = 0
        """Events handed to the producer, bad ones too."""
        self.failure: Exception | None = None
        self._rate = rate
        self._dice = random.Random(seed)
        self._newest = 0
        self._stop = threading.Event()
        load = Load(
            events=int(rate * seconds),
            users=USERS,
            clients=(None, "Acme"),
            lateness=LATENESS,
            start=time.time_ns() // 1_000_000,
            span=int(seconds * 1000),
        )
        self._events = made.flow(load, seed)
        # It tries for ever, and keeps the order; what is stored twice for that is a duplicate as any other.
        self._producer = Producer(
            {
                "bootstrap.servers": kafka.bootstrap,
                "acks": "all",
                "max.in.flight": 1,
                "message.timeout.ms": 0,
                "linger.ms": 20,
                "reconnect.backoff.max.ms": 1000,
                "log_level": 0,
            }
        )
        self._thread = threading.Thread(target=self._run, name="feed")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when all is stored; the broker must be well."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        left = self._producer.flush(60)
        self.failure = self.failure or (TimeoutError(f"{left} events were not stored") if left else None)
        if self.failure:
            raise self.failure

    def _run(self) -> None:
        try:
            self._feed(time.monotonic())
        except Exception as failure:  # noqa: BLE001  # whatever it is: `stop` raises it
            self.failure = failure

    def _feed(self, start: float) -> None:
        for topic, key, value in self._messages():
            while (due := start + self.produced / self._rate) > time.monotonic():
                self._producer.poll(0)
                if self._stop.wait(min(0.02, due - time.monotonic() + 0.001)):
                    return
            self._send(topic, key, value)

    def _send(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        partition = self._dice.randrange(PARTITIONS[topic])
        while not self._stop.is_set():
            try:
                self._producer.produce(topic, value, key, partition, on_delivery=self._delivered)
            except BufferError:
                self._producer.poll(0.1)
            else:
                self.produced += 1
                return

    def _delivered(self, error: object, _message: Message) -> None:
        if error is not None:
            self.failure = RuntimeError(f"an event was not stored: {error}")

    def _messages(self) -> Iterator[tuple[str, bytes | None, bytes | None]]:
        for event in self._events:
            punctual = event["event_time"] >= self._newest
            self._newest = max(self._newest, event["event_time"])
            small = self._dice.random() < FEW and punctual
            luck = self._dice.random()
            if luck < BAD:
                reason = self._dice.choice(list(BROKEN))
                yield TIGHT if small else MAIN, reason.encode(), BROKEN[reason]
            elif luck < BAD * 1.2:
                yield MAIN, None, None
            else:
                sent: Event = event | {"client": None} if small else event
                yield TIGHT if small else MAIN, None, made.json_text(sent)
