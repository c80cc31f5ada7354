"""Stopping and starting again, against a real broker (design.md, invariant 3)."""

import uuid

import pytest
from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import NewPartitions

from bridge.errors import BridgeError
from tests.parts.collecting import (
    Collecting,
    Setting,
    collect,
    commits,
    events,
    places,
    places_of,
    rows,
    stream,
    value,
)
from tests.parts.waiting import until

pytestmark = pytest.mark.kafka

SOON = {"session.timeout.ms": "6000"}
"""A member that is gone is missed after 6 s: the least that a broker allows."""


@pytest.fixture
def topic():
    return f"acme-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def setting(kafka, topic, tmp_path):
    kafka.create_topic(topic, 4)
    return Setting(
        bootstrap=kafka.bootstrap,
        directory=tmp_path / "spool",
        streams=(stream(topics=(topic,)),),
        group=f"group-{topic}",
        properties=dict(SOON),
    )


def committed(kafka, setting, topic):
    return {at.number: offset for at, (offset, _) in commits(kafka.bootstrap, setting.group, topic).items()}


def when_group_is_empty(request):
    """Repeat an operator's request until the members of the group before are missed."""

    def done():
        try:
            return request()
        except KafkaException as exception:
            if exception.args[0].code() not in (KafkaError.NON_EMPTY_GROUP, KafkaError.UNKNOWN_MEMBER_ID):
                raise
            return False

    until(done, "the operator's request", 30)


def reset(kafka, setting, topic, offset):
    """What an operator's tool does: offsets without metadata."""
    admin = kafka.admin()
    partitions = [TopicPartition(topic, number, offset) for number in range(4)]
    request = ConsumerGroupTopicPartitions(setting.group, partitions)

    def altered():
        answer = admin.alter_consumer_group_offsets([request])[setting.group].result(20)
        return not any(each.error for each in answer.topic_partitions)

    when_group_is_empty(altered)


def expire(kafka, setting):
    """The group's offsets are gone, as after a week without a member."""
    admin = kafka.admin()

    def deleted():
        admin.delete_consumer_groups([setting.group])[setting.group].result(20)
        return True

    when_group_is_empty(deleted)


def test_nothing_is_taken_twice(kafka, setting, topic):
    """A second run takes what is new, and seals nothing where nothing is."""
    kafka.produce(topic, events(100))
    collect(setting)
    assert len(collect(setting).spool.runs()) == 1
    kafka.produce(topic, events(100, start=100))
    done = collect(setting)
    assert places(done.spool) == places_of(200)
    assert len(done.spool.runs()) == 2


@pytest.mark.failure(27)
def test_topic_made_anew(kafka, setting, topic):
    """A topic made anew under its name is another topic: it is taken from its first event on."""
    kafka.produce(topic, events(100))
    collect(setting)
    kafka.delete_topic(topic)
    kafka.create_topic(topic, 4)
    kafka.produce(topic, events(40))
    done = collect(setting)
    assert places(done.spool) == sorted(places_of(100) + places_of(40))
    assert rows(done.spool)["source"].n_unique() == 2


def test_operators_reset(kafka, setting, topic):
    """Reset offsets win over what the spool holds; afterwards nothing is a reset any more."""
    kafka.produce(topic, events(100))
    collect(setting)
    reset(kafka, setting, topic, 20)
    done = collect(setting)
    again = sorted(set(places_of(100)) - set(places_of(80)))
    assert places(done.spool) == sorted(places_of(100) + again)
    assert len(collect(setting).spool.runs()) == 2


def test_reset_without_events(kafka, setting, topic):
    """A reset to the end is taken over at once, under our mark."""
    kafka.produce(topic, events(100))
    collect(setting)
    reset(kafka, setting, topic, 25)
    spool = collect(setting).spool
    for offset, metadata in commits(kafka.bootstrap, setting.group, topic).values():
        assert offset == 25
        assert spool.id in metadata


@pytest.mark.failure(26)
def test_expired_offsets(kafka, setting, topic):
    """Where the group's offsets have expired, the spool knows where to go on."""
    kafka.produce(topic, events(100))
    collect(setting)
    expire(kafka, setting)
    kafka.produce(topic, events(40, start=100))
    assert places(collect(setting).spool) == places_of(140)


@pytest.mark.failure(25)
def test_retention_has_passed(kafka, setting, topic):
    """Offsets that are gone stop the start with the gap; --adopt goes on behind it, for good."""
    kafka.produce(topic, events(100))
    collect(setting)
    kafka.produce(topic, events(100, start=100))
    admin = kafka.admin()
    for answer in admin.delete_records([TopicPartition(topic, number, 30) for number in range(4)]).values():
        answer.result(20)
    with pytest.raises(BridgeError, match=r"partition \d: 5 offsets, 25 to 29, are gone.*--adopt.*reset"):
        collect(setting)
    setting.adopt = True
    assert len(rows(collect(setting).spool)) == 180
    setting.adopt = False
    assert len(rows(collect(setting).spool)) == 180


@pytest.mark.failure(15)
def test_another_spool(kafka, setting, topic, tmp_path):
    """Offsets of another spool stop the start in one line that names both ways out; --adopt goes on there."""
    kafka.produce(topic, events(40))
    collect(setting)
    setting.directory = tmp_path / "second"
    with pytest.raises(BridgeError, match=rf"{topic} partition \d.*another spool.*--adopt.*reset"):
        collect(setting)
    setting.directory, setting.adopt = tmp_path / "third", True
    collect(setting)
    setting.adopt = False
    kafka.produce(topic, events(40, start=40))
    done = collect(setting)
    assert places(done.spool) == sorted(set(places_of(80)) - set(places_of(40)))


def test_missing_topic_is_waited_for(kafka, setting, topic):
    """Without --until-end a missing topic is waited for, while the others are read."""
    setting.streams = (stream(topics=(topic, f"{topic}-later")),)
    kafka.produce(topic, events(40))
    with Collecting(setting) as collecting:
        until(lambda: collecting.notes.consumed_events.get("acme") == 40, "the first topic")
        kafka.create_topic(f"{topic}-later", 4)
        kafka.produce(f"{topic}-later", events(40))
        until(lambda: collecting.notes.consumed_events.get("acme") == 80, "the topic made later")
        collecting.stop()


@pytest.mark.failure(28)
def test_partitions_grow(kafka, setting, topic):
    """Events of partitions that were added later are taken from the first one on."""
    admin = kafka.admin()
    kafka.produce(topic, events(40))
    with Collecting(setting) as collecting:
        until(lambda: collecting.notes.consumed_events.get("acme") == 40, "the first partitions")
        admin.create_partitions([NewPartitions(topic, 6)])[topic].result(20)
        until(
            lambda: len(admin.list_topics(topic, timeout=10).topics[topic].partitions) == 6,
            "the new partitions",
        )
        kafka.produce(topic, [(5, None, value(100)), (4, None, value(101))])
        until(lambda: collecting.notes.consumed_events.get("acme") == 42, "their events")
        collecting.stop()


@pytest.mark.failure(29)
def test_aborted_transactions(kafka, setting, topic):
    """Events of aborted transactions are not taken; the gaps they leave do not hide the end."""
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap, "transactional.id": topic, "linger.ms": 0, "log_level": 0}
    )
    producer.init_transactions(30)
    for number, ending in enumerate([producer.commit_transaction, producer.abort_transaction] * 2):
        producer.begin_transaction()
        for partition, key, bytes_ in events(8, start=8 * number):
            producer.produce(topic, bytes_, key, partition)
        producer.flush(30)
        ending(30)
    done = collect(setting)
    assert places(done.spool) == sorted((p, offset) for p in range(4) for offset in (0, 1, 6, 7))
    assert len(collect(setting).spool.runs()) == 1


@pytest.mark.failure(20)
def test_a_member_joins(kafka, setting, topic, tmp_path):
    """Partitions that go to another member are sealed and committed before: it goes on right behind us."""
    setting.max_age = 3_600_000
    kafka.produce(topic, events(400))
    other = Setting(
        bootstrap=setting.bootstrap,
        directory=tmp_path / "other",
        streams=setting.streams,
        group=setting.group,
        adopt=True,
        max_age=3_600_000,
        properties=dict(SOON),
    )
    with Collecting(setting) as first:
        until(lambda: first.notes.consumed_events.get("acme") == 400, "the first events")
        with Collecting(other) as second:
            until(lambda: second.notes.is_assigned, "the second member's partitions")
            assert len(committed(kafka, setting, topic)) == 4
            kafka.produce(topic, events(400, start=400))
            until(
                lambda: (
                    first.notes.consumed_events["acme"] + second.notes.consumed_events.get("acme", 0) == 800
                ),
                "all events",
            )
            second.stop()
        first.stop()
    assert sorted(places(first.spool) + places(second.spool)) == places_of(800)
    assert len(places(second.spool)) == 200


@pytest.mark.failure(19)
def test_cloned_spool(kafka, setting, topic):
    """Two processes with one identity: the older one ends with a line that says so; nothing is lost."""
    kafka.produce(topic, events(40))
    with Collecting(setting) as first:
        until(lambda: len(committed(kafka, setting, topic)) == 4, "the first one's commit")
        with Collecting(setting) as second:
            with pytest.raises(BridgeError, match="another bridge with this spool's identity"):
                first.join()
            kafka.produce(topic, events(40, start=40))
            until(lambda: len(rows(second.spool)) == 80, "the second one's events")
            second.stop()


@pytest.mark.failure(17)
def test_broker_down(kafka, setting, topic):
    """A broker that is not there is waited for, at the start and later; nothing is lost or taken twice."""
    kafka.produce(topic, events(40))
    kafka.stop()
    try:
        with Collecting(setting) as collecting:
            until(lambda: collecting.notes.beats > 1, "a second attempt")
            kafka.restart()
            until(lambda: len(rows(collecting.spool)) == 40, "the events")
            kafka.restart()
            kafka.produce(topic, events(40, start=40))
            until(lambda: collecting.error or len(rows(collecting.spool)) == 80, "events after the restart")
            collecting._stop.set()
        if collecting.error:  # a broker that was stopped while we joined may fence us by our own second try
            assert "this spool's identity" in str(collecting.error)
            collecting = collect(setting)
    finally:
        if kafka._process is None:
            kafka.restart()
    assert places(collecting.spool) == places_of(80)


@pytest.mark.failure(17, 58)
def test_stop_without_broker(kafka, setting, topic):
    """Stopped while no broker answers it seals and ends within 25 s; the run holds what is not committed."""
    setting.max_age = 3_600_000
    kafka.produce(topic, events(40))
    with Collecting(setting) as collecting:
        until(lambda: collecting.notes.consumed_events.get("acme") == 40, "the events")
        kafka.pause()
        try:
            collecting._stop.set()
            collecting._thread.join(25)
            assert not collecting._thread.is_alive()
        finally:
            kafka.resume()
    assert places(collect(setting).spool) == places_of(40)
