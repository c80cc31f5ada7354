"""What is asked of the brokers, and what they answer while they come back."""

from contextlib import suppress

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from bridge.errors import BridgeError
from bridge.ingest.cluster import AdminTopicIds, Edges, LastingAdmin, LastingTopicIds, edges
from bridge.ingest.faults import is_passing
from bridge.ingest.partition import Partition
from tests.parts.lone_broker import CLUSTER, END, TOPIC, LoneBroker

PARTITION = Partition(TOPIC, 0)


@pytest.fixture
def broker():
    with LoneBroker() as one:
        yield one


def client_of(broker):
    return AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})


@pytest.fixture
def admin(broker):
    return client_of(broker)


@pytest.mark.failure(17)
def test_a_broker_that_does_not_count_itself_yet_is_asked_again(broker, admin):
    """Where it shows us no topic either, that is no answer, and it passes."""
    ids = AdminTopicIds(admin)
    assert ids.cluster_id() == CLUSTER
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


@pytest.mark.failure(17)
def test_a_client_that_has_lost_its_brokers_is_given_up(broker):
    """Who heard of no broker may never hear of one again; whoever asks on has an answer all the same."""
    ids = LastingTopicIds(LastingAdmin(lambda: client_of(broker)))
    assert ids.cluster_id() == CLUSTER
    broker.counts_itself = False
    for _ in range(3):
        with suppress(KafkaException):
            ids.cluster_id()
    broker.counts_itself = True
    with suppress(KafkaException):
        ids.cluster_id()
    assert ids.cluster_id() == CLUSTER


@pytest.mark.parametrize(
    ("code", "same"),
    [(KafkaError._TRANSPORT, False), (KafkaError._TIMED_OUT, False), (KafkaError.UNKNOWN_TOPIC_ID, True)],
)
def test_what_no_other_client_would_hear_otherwise_is_no_reason(broker, code, same):
    """A new client logs in anew: only where there was no answer."""
    admin, asked = LastingAdmin(lambda: client_of(broker)), []

    def question(client):
        asked.append(client)
        raise KafkaException(KafkaError(code))

    with pytest.raises(KafkaException):
        admin.ask(question)
    admin.ask(asked.append)
    assert (asked[0] is asked[1]) == same


def test_a_secret_that_is_away_for_a_moment_ends_nothing(broker):
    """The client that there is goes on."""
    made = []

    def make():
        if made:
            raise BridgeError("secret: cannot be read")
        made.append(client_of(broker))
        return made[0]

    def question(_):
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    admin = LastingAdmin(make)
    with pytest.raises(KafkaException):
        admin.ask(question)
    assert admin.ask(lambda client: client) is made[0]
