"""That Kafka answers is told, where it does."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from bridge.ingest.cluster import HeardTopicIds
from tests.parts.collecting import NamedIds


class Away:
    """No broker answers."""

    def cluster_id(self):
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    def topic_ids(self, names):
        raise KafkaException(KafkaError(KafkaError._TRANSPORT, str(names)))


def test_each_answer_is_heard():
    """Both questions, each time; the answers are those of the brokers."""
    heard = []
    ids = HeardTopicIds(NamedIds(), lambda: heard.append(1))
    assert ids.cluster_id() == "mock-cluster"
    assert ids.topic_ids(["acme"]) == {"acme": "id-of-acme"}
    assert len(heard) == 2


def test_no_answer_is_no_sign():
    """Where no broker answers nothing is heard, and the error goes on to whoever asked."""
    heard = []
    ids = HeardTopicIds(Away(), lambda: heard.append(1))
    for ask in (ids.cluster_id, lambda: ids.topic_ids(["acme"])):
        with pytest.raises(KafkaException):
            ask()
    assert heard == []
