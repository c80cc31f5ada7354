"""Mappings in a compacted topic: acknowledged by all replicas that are in step, before they count as stored.

No thread of ours: while mappings wait, the event loop itself asks the producer for reports each millisecond.
While the brokers are silent, what waits is left to end, and nothing is handed over meanwhile: so whoever
comes is answered at once, and the first one after that is the probe.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from bridge.clock import SECOND
from bridge.sync.mapping import UserSync, encode, key_of
from bridge.sync.store import StoreObserver

PRODUCER: dict[str, str | int | bool] = {
    "acks": "all",
    "enable.idempotence": True,
    "delivery.timeout.ms": 3 * SECOND,
    "linger.ms": 2,
    "compression.type": "lz4",
}
"""What the producer needs beside the brokers' address. A mapping that waits for longer is of a broker that is
down, and its browser is gone."""

_LOOK = 0.001
"""Seconds between two looks for reports, while mappings wait."""

_CLOSING = 3.0
"""Seconds that what was handed over has at the end."""

_Answer = asyncio.Future[bool]


class KafkaStore:
    """One topic."""

    def __init__(
        self,
        make_producer: Callable[[], Producer],
        topic: str,
        *,
        usable: Callable[[], bool],
        patience: float,
        most: int,
        observer: StoreObserver,
    ) -> None:
        """Nothing is asked of the brokers yet.

        Args:
            make_producer: Makes one with the properties `PRODUCER`; again after an error that ends it.
            topic: Where they go.
            usable: Whether the topic is known to be there and compacted: producing to one that is not there
                may make it, with the brokers' defaults.
            patience: Seconds that an acknowledgement may take.
            most: How many mappings may wait.
            observer: Hears when the brokers fall silent, and when they answer again.
        """
        self._make_producer = make_producer
        self._producer = make_producer()
        self._topic = topic
        self._usable = usable
        self._patience = patience
        self._most = most
        self._observer = observer
        self._silent = False
        self._handed_over = 0
        self._waiting: deque[tuple[float, _Answer]] = deque()
        self._looking: asyncio.Task[None] | None = None

    async def keep(self, sync: UserSync) -> bool:
        """As the port has it."""
        if not self._usable() or self._handed_over >= (1 if self._silent else self._most):
            return False
        loop = asyncio.get_running_loop()
        answer: _Answer = loop.create_future()
        try:
            self._producer.produce(
                self._topic, encode(sync), key_of(sync), on_delivery=partial(self._report, answer)
            )
        except (KafkaException, BufferError) as error:
            self._fail(_reason(error))
            return False
        self._handed_over += 1
        self._waiting.append((loop.time() + self._patience, answer))
        if self._looking is None or self._looking.done():
            self._looking = loop.create_task(self._look())
        return await answer

    def close(self) -> None:
        """As the port has it."""
        self._producer.flush(_CLOSING)

    async def _look(self) -> None:
        """Until a report of each mapping has come; librdkafka reports every one, at last as timed out."""
        time = asyncio.get_running_loop().time
        while self._handed_over:
            self._producer.poll(0)
            now = time()
            while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] <= now):
                _, answer = self._waiting.popleft()
                if not answer.done():
                    answer.set_result(False)
                    self._fail("no acknowledgement in time")
            await asyncio.sleep(_LOOK)

    def _report(self, answer: _Answer, error: KafkaError | None, _message: Message) -> None:
        self._handed_over -= 1
        if error is None:
            self._succeed()
        else:
            self._fail(error.name())
            if error.fatal():
                self._producer = self._make_producer()
        if not answer.done():
            answer.set_result(error is None)

    def _succeed(self) -> None:
        if self._silent:
            self._silent = False
            self._observer.recovered()

    def _fail(self, reason: str) -> None:
        if not self._silent:
            self._silent = True
            self._observer.failed(reason)


def _reason(error: Exception) -> str:
    """Kafka's name of it; its text may quote settings."""
    known = error.args[0] if error.args else None
    return known.name() if isinstance(known, KafkaError) else "the producer's queue is full"
