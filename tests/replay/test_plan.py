"""Where a replay of topics begins and ends, asked of a real Kafka, and that it is read to there."""

import json
import threading
import time

import pytest
from confluent_kafka import Producer, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from bridge.clock import DAY, HOUR, MINUTE, SystemClock
from bridge.config import Config, Stream, WindowSettings
from bridge.errors import BridgeError, UsageError
from bridge.ingest.partition import Partition, Span
from bridge.ingest.positions import Identity
from bridge.replay.material import TopicMaterial
from bridge.replay.plan import Plan, Planner
from bridge.replay.reading import Reading, Tally
from bridge.replay.request import Bounds, Request
from bridge.spool.spool import Spool
from bridge.units import iso
from tests.parts import events as made
from tests.parts.spools import seal

NOW = int(time.time() * 1000)
T0 = NOW // HOUR * HOUR - 2 * DAY
FOR_EVER = {"retention.ms": "-1"}
ACCOUNT = {"name": "default", "agency": "A", "partner": "P", "sftp": {"host": "h", "username": "u"}}


def event(event_time, user=1):
    return {
        "user_id": f"11111111-2222-3333-4444-{user:012}",
        "event_time": event_time,
        "segments": [{"segment_id": 7, "timestamp": 0}],
    }


def stream(topic, **more):
    name = topic.replace(".", "-")
    plain = {"name": name, "topics": [topic], "format": "json", "segment_namespace": "ep", "client": name}
    return Stream(**plain | {"max_future": MINUTE} | more)


def request(since=None, streams=(), **more):
    bounds = Bounds(since=since, until=None)
    return Request(**{"name": "a", "bounds": bounds, "streams": streams, "from_offsets": {}} | more)


class Site:
    """Topics of a real Kafka, and what is asked about them."""

    def __init__(self, kafka, directory, *streams):
        self.kafka = kafka
        self.admin = kafka.admin()
        self.config = Config(
            kafka={"bootstrap_servers": kafka.bootstrap},
            spool={"directory": directory / "spool"},
            accounts=[ACCOUNT],
            streams=streams,
            dead_letters={},
        )

    def topic(self, name, partitions=1, **settings):
        """A topic that keeps what is written into it, whatever its time."""
        self.kafka.create_topic(name, partitions, FOR_EVER | settings)

    def write(self, topic, *times, partition=0):
        """Events of these times, which Kafka has too."""
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap, "log_level": 0})
        for instant in times:
            producer.produce(topic, made.json_text(event(instant)), partition=partition, timestamp=instant)
        assert producer.flush(30) == 0

    def write_in_transaction(self, topic, *times, partition=0):
        """The same, with the mark of a transaction behind it, which takes an offset too."""
        settings = {"bootstrap.servers": self.kafka.bootstrap, "log_level": 0, "transactional.id": topic}
        producer = Producer(settings)
        producer.init_transactions(30)
        producer.begin_transaction()
        for instant in times:
            producer.produce(topic, made.json_text(event(instant)), partition=partition, timestamp=instant)
        producer.commit_transaction(30)

    def delete(self, topic, up_to, partition=0):
        """What lies before the offset is gone, as retention does it; -1: everything."""
        asked = [TopicPartition(topic, partition, up_to)]
        for answer in self.admin.delete_records(asked).values():
            answer.result(30)

    def plan(self, wanted):
        with Planner(self.config, None, SystemClock()) as planner:
            return planner.plan(wanted)

    def refusal(self, wanted):
        """The one line that it is refused with."""
        with pytest.raises(UsageError) as caught:
            self.plan(wanted)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def check(self, plan):
        with Planner(self.config, None, SystemClock()) as planner:
            planner.check(plan)

    def reading(self, plan, replay):
        clock = SystemClock()
        return Reading(
            replay=replay,
            material=TopicMaterial.of(self.config, plan, None, clock),
            bounds=Bounds(since=None, until=None),
            window=WindowSettings(),
            clock=clock,
            tally=Tally(),
        )

    def replay(self, plan):
        """A replay of this plan in the spool."""
        spool = Spool.open(self.config.spool.directory, clock=SystemClock())
        return spool.replays.create(
            name="a", now=NOW, until=None, past_horizon=False, parameters={"plan": plan.to_json()}
        )


def read(reading, seconds=30):
    """Reads to the end, and tells how many events that were."""
    stop, done = threading.Event(), []
    thread = threading.Thread(target=lambda: done.append(reading.run(stop, lambda: None)))
    thread.start()
    thread.join(seconds)
    ended = not thread.is_alive()
    stop.set()
    thread.join()
    assert ended, "it waits for what never comes"
    assert done == [True]
    return reading.tally.events


@given(
    st.dictionaries(st.text(), st.text()),
    st.dictionaries(
        st.builds(Partition, st.text(), st.integers(0, 99)),
        st.tuples(st.integers(0, 2**62), st.integers(0, 2**62)),
    ),
    st.booleans(),
)
def test_a_plan_is_written_down_and_read_as_it_was(topic_ids, places, past_horizon):
    """A replay that goes on reads the same partitions from and to the same places."""
    plan = Plan(
        cluster_id="cluster",
        topic_ids=topic_ids,
        starts={at: start for at, (start, _) in places.items()},
        ends={at: end for at, (_, end) in places.items()},
        past_horizon=past_horizon,
    )
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    assert plan.offsets == sum(max(0, end - start) for start, end in places.values())


@pytest.mark.kafka
def test_where_a_time_begins(kafka, tmp_path):
    """In each partition with what came `max_future` before it or later, to the end as it is now."""
    topic = "plan.time"
    site = Site(kafka, tmp_path, stream(topic, max_future=30 * MINUTE))
    site.topic(topic, 4)
    site.write(topic, T0, T0 + 31 * MINUTE, T0 + 2 * HOUR)
    site.write(topic, T0 + 29 * MINUTE, T0 + 5 * HOUR, partition=1)
    site.write(topic, T0, partition=2)
    plan = site.plan(request(T0 + HOUR))
    site.write(topic, T0 + 6 * HOUR)
    assert {at.number: (plan.starts[at], plan.ends[at]) for at in plan.ends} == {
        0: (1, 3),
        1: (1, 2),
        2: (1, 1),
        3: (0, 0),
    }
    assert plan.offsets == 3
    site.check(plan)
    assert read(site.reading(plan, site.replay(plan))) in (3, 4), "what came in behind the end may be seen"


@pytest.mark.kafka
def test_a_time_before_what_is_kept_is_refused(kafka, tmp_path):
    """Once something is gone, no time before the first event that is left; the line says when that came."""
    topic = "plan.kept"
    site = Site(kafka, tmp_path, stream(topic))
    site.topic(topic, 2)
    site.write(topic, T0, T0 + HOUR, T0 + 2 * HOUR)
    site.write(topic, T0, partition=1)
    assert site.plan(request(T0 - DAY)).offsets == 4
    site.delete(topic, 1)
    line = site.refusal(request(T0 + HOUR - 1))
    assert line.startswith(
        f"--from {iso(T0 + HOUR - 1)}: topic {topic} partition 0 holds only what came since "
    )
    assert iso(T0 + HOUR) in line
    assert "--files" in line
    assert site.plan(request(T0 + HOUR)).offsets == 2


@pytest.mark.kafka
def test_retention_by_time_is_believed(kafka, tmp_path):
    """What is younger than it was not deleted: such a time is held, even where nothing is left at all."""
    topic = "plan.retention"
    site = Site(kafka, tmp_path, stream(topic))
    site.topic(topic, 2, **{"retention.ms": str(3 * DAY)})
    site.write(topic, NOW - DAY, NOW - HOUR)
    site.write(topic, NOW - DAY, partition=1)
    site.delete(topic, -1, partition=1)
    assert site.plan(request(NOW - 2 * DAY)).offsets == 2
    line = site.refusal(request(NOW - 4 * DAY))
    assert f"topic {topic} partition 1 holds only what came since 2" in line
    site.delete(topic, 1)
    assert site.plan(request(NOW - 2 * DAY)).offsets == 1


@pytest.mark.kafka
def test_topics_that_hold_nothing_are_told(kafka, tmp_path):
    """Never written, or emptied by retention: nothing would be sent, and the line says what can be done."""
    emptied, new = "plan.emptied", "plan.new"
    site = Site(kafka, tmp_path, stream(emptied), stream(new))
    site.topic(emptied)
    site.topic(new)
    site.write(emptied, T0, T0 + HOUR)
    site.delete(emptied, -1)
    told = f"--from {iso(T0)}: the topics hold no events; replay archived files with --files"
    assert site.refusal(request(T0)) == told
    line = site.refusal(request(from_offsets={Partition(emptied, 0): 1}))
    assert line.startswith(f"--from-offset {emptied}:0:1: the partition holds no events; ")
    assert "offset 2" in line


@pytest.mark.kafka
@pytest.mark.parametrize("write", [Site.write, Site.write_in_transaction])
def test_a_time_after_all_that_is_held_is_refused(kafka, tmp_path, write):
    """The line says when the last event came, though the last offset may be a mark of a transaction."""
    topic = f"plan.late.{write.__name__.replace('_', '-')}"
    site = Site(kafka, tmp_path, stream(topic))
    site.topic(topic, 2)
    write(site, topic, T0, T0 + HOUR)
    line = site.refusal(request(NOW + DAY))
    assert line.startswith(f"--from {iso(NOW + DAY)}: the topics hold nothing of that time or later; ")
    assert "their last event came at 20" in line
    assert "give an earlier time" in line


@pytest.mark.kafka
def test_one_stream_that_was_quiet_does_not_keep_the_others(kafka, tmp_path):
    """Of all streams some may have nothing of the time; alone, such a one is refused."""
    busy, quiet = "plan.busy", "plan.quiet"
    site = Site(kafka, tmp_path, stream(busy), stream(quiet))
    for topic, instant in ((busy, T0 + DAY), (quiet, T0)):
        site.topic(topic)
        site.write(topic, instant)
    plan = site.plan(request(T0 + DAY))
    assert plan.starts == {Partition(busy, 0): 0, Partition(quiet, 0): 1}
    assert "hold nothing of that time" in site.refusal(request(T0 + DAY, streams=("plan-quiet",)))
    assert read(site.reading(plan, site.replay(plan))) == 1


@pytest.mark.kafka
def test_where_offsets_begin(kafka, tmp_path):
    """Only in the partitions that are named, from there to the end as it is now; the end is a place too."""
    topic, other = "plan.offsets", "plan.offsets.other"
    site = Site(kafka, tmp_path, stream(topic), stream(other))
    site.topic(topic, 3)
    site.topic(other)
    site.write(topic, T0, T0 + 1, T0 + 2)
    site.write(topic, T0, T0 + 1, partition=1)
    site.delete(topic, 1)
    places = {Partition(topic, 0): 1, Partition(topic, 1): 2}
    plan = site.plan(request(from_offsets=places))
    assert plan.starts == places
    assert plan.ends == {Partition(topic, 0): 3, Partition(topic, 1): 2}
    assert set(plan.topic_ids) == {topic}
    assert not plan.past_horizon, "what is newer may lie in other partitions"
    assert read(site.reading(plan, site.replay(plan))) == 2


@pytest.mark.kafka
def test_an_offset_that_is_not_held_is_refused(kafka, tmp_path):
    """The line names the place and what is held; so it does where there is no such partition, or not here."""
    topic, other = "plan.held", "plan.held.other"
    site = Site(kafka, tmp_path, stream(topic), stream(other))
    site.topic(topic)
    site.topic(other)
    site.write(topic, T0, T0 + 1, T0 + 2)
    site.delete(topic, 1)
    for offset in (0, 4):
        assert site.refusal(request(from_offsets={Partition(topic, 0): offset})) == (
            f"--from-offset {topic}:0:{offset}: the partition holds offsets 1 to 2; name one of these"
        )
    for at in (Partition(topic, 1), Partition("plan.nowhere", 0)):
        line = site.refusal(request(from_offsets={at: 1}))
        assert line.startswith(f"--from-offset {at.topic}:{at.number}:1: no such partition is replayed")
    wanted = request(from_offsets={Partition(topic, 0): 1}, streams=("plan-held-other",))
    assert "no such partition is replayed" in site.refusal(wanted)


@pytest.mark.kafka
def test_what_no_horizon_limits(kafka, tmp_path):
    """Topics that nothing was taken out of, of all streams that feed their audiences: all newer is there."""
    settings = {
        "plan.whole.one": ("Acme", {}),
        "plan.whole.two": ("Acme", {}),
        "plan.whole.compacted": ("Globex", {"cleanup.policy": "compact"}),
        "plan.whole.both": ("Initech", {"cleanup.policy": "compact,delete"}),
    }
    streams = [stream(topic, client=client) for topic, (client, _) in settings.items()]
    site = Site(kafka, tmp_path, *streams)
    for topic, (_, more) in settings.items():
        site.topic(topic, **more)
        kafka.produce(topic, [(0, b"key", made.json_text(event(T0)))])
    one, two, compacted, both = (each.name for each in streams)
    judged = [(one, two), (one,), (compacted,), (both,), (one, two, both), ()]
    assert [names for names in judged if site.plan(request(T0, names)).past_horizon] == [(one, two)]


@pytest.mark.kafka
def test_a_topic_that_is_another_one_is_not_gone_on_with(kafka, tmp_path):
    """Deleted, or made anew: its offsets mean other events. The line names it and the way out."""
    topic = "plan.anew"
    site = Site(kafka, tmp_path, stream(topic))
    site.topic(topic)
    site.write(topic, T0)
    plan = site.plan(request(T0))
    kafka.delete_topic(topic)
    with pytest.raises(BridgeError, match=rf"topic {topic}: was deleted or made anew.*--cancel"):
        site.check(plan)
    site.topic(topic)
    with pytest.raises(BridgeError, match=rf"topic {topic}: was deleted or made anew.*--cancel"):
        site.check(plan)


@pytest.mark.kafka
def test_what_is_planned_is_read_to_its_ends(kafka, tmp_path):
    """Whatever lies at an end: an event, a mark of a transaction, nothing; and where some was read before."""
    topic = "plan.ends"
    site = Site(kafka, tmp_path, stream(topic))
    site.topic(topic, 4)
    site.write(topic, T0, T0 + 1)
    site.write_in_transaction(topic, T0, T0 + 1, T0 + 2, partition=1)
    site.write(topic, T0, partition=2)
    site.delete(topic, -1, partition=2)
    plan = site.plan(request(T0 + 1))
    assert list(plan.ends.values()) == [2, 4, 1, 0]
    assert read(site.reading(plan, site.replay(plan))) == 5
    begun = site.replay(plan)
    took(begun, plan, {Partition(topic, 0): 2, Partition(topic, 1): 1})
    assert read(site.reading(plan, begun)) == 2
    took(begun, plan, {Partition(topic, 1): 3})
    assert read(site.reading(plan, begun)) == 0


def took(replay, plan, reached):
    """A run that says that the replay has read up to these offsets."""
    identity = Identity(cluster_id=plan.cluster_id, group=replay.id)
    identity.topic_ids |= plan.topic_ids
    spans = {at: Span(plan.starts[at], offset) for at, offset in reached.items()}
    seal(replay.store, {}, positions=identity.positions(spans), now=NOW)


@pytest.mark.kafka
def test_what_is_gone_before_it_is_read_ends_the_replay(kafka, tmp_path):
    """Retention passes the place where it would go on: the line says so, and that --cancel is the way out."""
    topic = "plan.passed"
    site = Site(kafka, tmp_path, stream(topic))
    site.topic(topic)
    site.write(topic, T0, T0 + 1, T0 + 2)
    plan = site.plan(request(T0))
    site.delete(topic, 2)
    with pytest.raises(BridgeError, match=rf"topic {topic} partition 0: .*retention.*--cancel") as caught:
        site.reading(plan, site.replay(plan)).run(threading.Event(), lambda: None)
    assert "\n" not in str(caught.value)
