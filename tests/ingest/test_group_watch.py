"""A client that has lost its partitions, and what becomes of it."""

from concurrent.futures import Future
from random import Random

import pytest
from confluent_kafka import KafkaException

from bridge.errors import BridgeError
from bridge.ingest.group_watch import LOOK, PATIENCE
from bridge.ingest.partition import Partition
from tests.ingest.source import source_of
from tests.parts.clocks import HandClock
from tests.simulation.agenda import Agenda
from tests.simulation.broker import Cluster, Consumer

pytestmark = pytest.mark.failure(22)

AT = Partition("acme", 0)
LOOKS = PATIENCE // LOOK


class Hung(Consumer):
    """Once it has lost its partitions it never joins again."""

    def _rebalance(self):
        if self._cluster.lost:
            self._on_assign = lambda *_: None
        super()._rebalance()


class AtOnce:
    """Calls that are through when they are begun."""

    def begin(self, _name, call):
        result = Future()
        try:
            result.set_result(call())
        except KafkaException as failure:
            result.set_exception(failure)
        return result


class Losing:
    """A source that has had its only partition."""

    def __init__(self, consumer):
        self.clock = HandClock(LOOK)
        self.cluster = Cluster(agenda=Agenda(0), rng=Random(1), on_commit=lambda _: None)
        self.cluster.create("acme", 1)
        self._source = source_of(self.cluster, "acme", consumer=consumer, clock=self.clock, calls=AtOnce())
        self._source.open()
        self._source.poll(1, 0)
        assert self._source.assigned == {AT}
        self.cluster.lost.add(AT)

    def poll(self, looks):
        """As long as so many looks take."""
        for _ in range(looks):
            self._source.poll(1, 0)  # asks
            self._source.poll(1, 0)  # hears the answer
            self.clock.set_by(LOOK)
        return self._source.assigned


def test_a_client_that_never_joins_again_ends_the_run():
    """In one line that says what to do, and not before Kafka has answered for ten minutes."""
    losing = Losing(Hung)
    assert losing.poll(LOOKS - 1) == frozenset()
    with pytest.raises(BridgeError, match=r"group g: .* has not joined again for 10 minutes, .* start again"):
        losing.poll(1)


def test_while_no_broker_answers_it_is_waited_for():
    """However long that is: a new process would not be better off."""
    losing = Losing(Hung)
    losing.poll(LOOKS // 2)
    losing.cluster.down = True
    losing.poll(3 * LOOKS)
    losing.cluster.down = False
    losing.poll(LOOKS - LOOKS // 2 - 1)
    with pytest.raises(BridgeError, match="has not joined again"):
        losing.poll(1)


def test_who_is_told_that_nothing_is_ours_waits_without_end():
    """Another member has all partitions: it may go, and then they are ours."""
    losing = Losing(Consumer)
    losing.cluster.elsewhere.add(AT)
    assert losing.poll(3 * LOOKS) == frozenset()
    losing.cluster.elsewhere.clear()
    assert losing.poll(1) == {AT}
