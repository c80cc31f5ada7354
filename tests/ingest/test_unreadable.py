"""Topics that Kafka does not let us read, or no more."""

from random import Random
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, Message

from bridge.errors import BridgeError
from bridge.ingest.partition import Partition
from tests.ingest.source import source_of
from tests.simulation.agenda import Agenda
from tests.simulation.broker import Cluster, Consumer

ACME = Partition("acme", 0)


class Guarded(Cluster):
    """Says in the midst of the messages that a topic may not be read."""

    def forbid(self, at):
        """The word of it comes after what was produced by now."""
        denied = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
        self.logs[at].append(Message(topic=at.topic, partition=at.number, offset=self.ends[at], error=denied))
        self.ends[at] += 1


class Together(Consumer):
    """Whatever came, comes in one batch."""

    def list_topics(self, name, timeout):  # noqa: ARG002  # the client's
        known = SimpleNamespace(error=None, partitions=[0])
        return SimpleNamespace(topics={name: known})

    def _fetch(self, most):  # noqa: ARG002  # the consumer's
        batch = [message for at in sorted(self._positions) for message in self._cluster.logs[at]]
        for at in self._positions:
            self._cluster.logs[at] = []
        return batch


@pytest.fixture
def cluster():
    guarded = Guarded(agenda=Agenda(0), rng=Random(1), on_commit=lambda _: None)
    guarded.create("acme", 1)
    return guarded


@pytest.fixture
def told():
    return {}


@pytest.fixture
def source(cluster, told):
    made = source_of(cluster, "acme", consumer=Together, tell_unreadable=told.__setitem__)
    made.open()
    return made


def test_last_messages_before_the_word(cluster, source, told):
    """They are read, and the topic is told of, though one poll brings both and Kafka says it once."""
    for _ in range(2):
        cluster.produce(ACME, b"{}")
        cluster.forbid(ACME)
        batch = source.poll(10, 0)
        assert [message.value() for message in batch] == [b"{}"]
        assert told == {"acme": True}


def test_first_messages_after_the_word(cluster, source, told):
    """The topic was mended: it is told of no more, though no further message comes."""
    cluster.forbid(ACME)
    cluster.produce(ACME, b"{}")
    batch = source.poll(10, 0)
    assert [message.value() for message in batch] == [b"{}"]
    assert told == {"acme": False}


def test_read_again(cluster, source, told):
    """A later poll that brings its messages, and nothing else, says that it can be read."""
    cluster.forbid(ACME)
    source.poll(10, 0)
    assert told == {"acme": True}
    cluster.produce(ACME, b"{}")
    source.poll(10, 0)
    assert told == {"acme": False}


def test_a_run_until_the_end(cluster):
    """It waits for nobody: it ends with the word, whatever messages came before it."""
    source = source_of(cluster, "acme", consumer=Together, until_end=True)
    source.open()
    cluster.produce(ACME, b"{}")
    cluster.forbid(ACME)
    with pytest.raises(BridgeError, match="topic acme: Kafka does not let us read it"):
        source.poll(10, 0)
