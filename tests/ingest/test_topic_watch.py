"""A topic that was made anew while nobody told us."""

from concurrent.futures import Future
from random import Random

import pytest
from confluent_kafka import KafkaError, KafkaException

from bridge.errors import BridgeError
from bridge.ingest.partition import Partition
from bridge.ingest.topic_watch import LOOK, TopicWatch
from tests.ingest.source import source_of
from tests.parts.clocks import HandClock
from tests.parts.collecting import NamedIds
from tests.simulation.agenda import Agenda
from tests.simulation.broker import Cluster

pytestmark = pytest.mark.failure(27)


class Asked:
    """Calls whose answers are given by hand."""

    def __init__(self):
        self.answers = []

    def begin(self, name, call):  # noqa: ARG002  # the port's
        self.answers.append(Future())
        return self.answers[-1]


@pytest.fixture
def asked():
    return Asked()


@pytest.fixture
def watch(asked):
    return TopicWatch(NamedIds(), HandClock(LOOK), asked)


def test_another_id_ends_the_run(watch, asked):
    """In one line that says what to do."""
    watch.look({"acme": "old"})
    asked.answers[0].set_result({"acme": "new"})
    with pytest.raises(BridgeError, match=r"topic acme: it was made anew .* start again"):
        watch.look({"acme": "old"})


def test_an_answer_that_failed_says_nothing(watch, asked):
    """No broker may answer for long: that is waited for elsewhere."""
    watch.look({"acme": "old"})
    asked.answers[0].set_exception(KafkaException(KafkaError(KafkaError._TRANSPORT)))
    watch.look({"acme": "old"})


def test_an_answer_older_than_the_assignment_says_nothing(watch, asked):
    """The topic went and came back, and was taken over as the new one it is."""
    watch.look({"acme": "old"})
    asked.answers[0].set_result({"acme": "old"})
    watch.look({"acme": "new"})


class Remade(Cluster):
    """Its topics have another generation now and then."""

    generation = 1

    def topic_ids(self, names):
        return {name: f"{name}-{self.generation}" for name in names}


def test_a_new_topic_with_more_partitions_is_not_taken_for_the_old_one():
    """The group keeps the partition that we have and adds one: the id of both is asked for, and differs."""
    agenda = Agenda(0)
    cluster = Remade(agenda=agenda, rng=Random(1), on_commit=lambda _: None)
    cluster.create("acme", 1)
    source = source_of(cluster, "acme")
    source.open()
    source.poll(10, 0)
    assert source.assigned == {Partition("acme", 0)}
    cluster.generation = 2
    cluster.logs[Partition("acme", 1)], cluster.ends[Partition("acme", 1)] = [], 0
    with pytest.raises(BridgeError, match="made anew"):
        source.poll(10, 0)
