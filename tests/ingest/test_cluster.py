"""What is asked of the brokers, and what they answer while they come back."""

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from bridge.ingest.cluster import AdminTopicIds, Edges, edges
from bridge.ingest.faults import is_passing
from bridge.ingest.partition import Partition
from tests.parts.lone_broker import CLUSTER, END, TOPIC, LoneBroker

PARTITION = Partition(TOPIC, 0)


@pytest.fixture
def broker():
    with LoneBroker() as one:
        yield one


@pytest.fixture
def admin(broker):
    return AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})


@pytest.mark.failure(17)
def test_a_broker_that_does_not_count_itself_yet_is_asked_again(broker, admin):
    """Where it shows us no topic either, that is no answer, and it passes."""
    ids = AdminTopicIds(admin)
    broker.counts_itself = broker.has_topic = False
    with pytest.raises(KafkaException) as caught:
        ids.cluster_id()
    assert is_passing(caught.value)
    broker.counts_itself = True
    assert ids.cluster_id() == CLUSTER


@pytest.mark.failure(17)
def test_a_broker_that_does_not_count_itself_yet_knows_its_cluster(broker, admin):
    """Where it shows us a topic, that is an answer."""
    broker.counts_itself = False
    assert AdminTopicIds(admin).cluster_id() == CLUSTER


@pytest.mark.failure(17)
def test_a_partition_that_had_no_leader_is_looked_for_again(broker, admin):
    """Its leader is found as soon as there is one: what the client heard before is not believed for long."""
    broker.leads = False
    for _ in range(2):
        with pytest.raises(KafkaException) as caught:
            edges(admin, [PARTITION])
        assert is_passing(caught.value)
    broker.leads = True
    assert edges(admin, [PARTITION]) == {PARTITION: Edges(END, END)}
