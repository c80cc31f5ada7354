"""`s2s-bridge plan`: from a rate, from what was delivered, and from real topics."""

import json
import random
import re
import uuid
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from confluent_kafka import Producer

from bridge import cli
from bridge.clock import DAY, HOUR, MINUTE, SystemClock
from bridge.config import load
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import Outcome
from bridge.ingest import cluster
from bridge.ingest.cluster import Edges
from bridge.ingest.partition import Partition
from bridge.planning import topic_demand
from bridge.planning.topic_demand import as_known, measured
from bridge.service.flow import AGES, flow
from bridge.service.opening import LEDGER
from tests.cli.test_status import a_file, attempt
from tests.parts.audiences import DISPLAY, frame
from tests.parts.bridging import Bridge, configuration, stream
from tests.parts.collecting import value
from tests.parts.spools import new_spool, one, seal

ROOT = Path(__file__).parents[2]
SHOWN = re.compile(
    r"^\$ s2s-bridge (plan --config )(docs/example.yaml)( [^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL
)

SOURCE = replace(DISPLAY, user_namespace="partner", unresolved=True)

TEXT = """\
kafka: {{bootstrap_servers: "kafka:9092"}}
spool: {{directory: spool}}
accounts:
  - name: a
    agency: Agency
    partner: Partner
    sftp: {{host: sftp.example.com, username: agency, password_file: password, host_key: ssh-ed25519 AAAA}}
streams:
  - {{name: acme, topics: [acme], format: json, segment_namespace: ep, account: a, clients: [{clients}]}}
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "bridge.yaml"
    path.write_text(TEXT.format(clients=""))
    return path


def asked(path, capsys, *arguments):
    """Exit code, and the JSON."""
    code = cli.main(["plan", "--config", str(path), "--json", *arguments])
    out, err = capsys.readouterr()
    assert err == ""
    return code, json.loads(out)


def test_a_rate(path, capsys):
    """It fits, says so in the first line, and exits 0; the JSON says the same."""
    assert cli.main(["plan", "--config", str(path), "--events-per-second", "100"]) == 0
    out, err = capsys.readouterr()
    assert (out.splitlines()[0], err) == ("fits", "")
    assert "(global)/mm/ep/mobile" in out
    assert "100 events a second, as given" in out
    code, found = asked(path, capsys, "--events-per-second", "100")
    assert (code, found["verdict"], found["fits"]) == (0, "fits", True)
    (account,) = found["accounts"]
    assert account["files_per_hour"] == {"expected": pytest.approx(8, abs=0.01), "limit": 20}
    assert account["bytes_per_day"]["limit"] == 4_750_000_000
    assert account["bytes_per_day"]["expected"] == pytest.approx(100 * 1.6 * 10.4 * 86_400, rel=0.01)
    assert (account["accounts_needed"], len(account["audiences"])) == (1, 2)
    assert account["audiences"][0] == {
        "client": None,
        "mobile": False,
        "user_namespace": "mm",
        "user_table_id": None,
        "segment_namespace": "ep",
        "hashed": False,
        "events_per_second": 50,
        "files_per_hour": 4,
        "bytes_per_day": account["audiences"][0]["bytes_per_day"],
        "file_bytes": pytest.approx(50 * 1.6 * 10.4 * 900, rel=0.01),
        "left_when_merged": 1,
        "usual_delay_seconds": 900,
        "longest_delay_seconds": 966,
    }


def test_files_that_do_not_fit(path, capsys):
    """Exit 1, what does not fit, and what would: a longer roll, or so many accounts."""
    path.write_text(TEXT.format(clients=", ".join(f"c{number}" for number in range(19))))
    assert cli.main(["plan", "--config", str(path), "--events-per-second", "100"]) == 1
    first, second, third, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("does not fit: account a: 159.")
    assert second == "roll.max_age 2h is the smallest that fits"
    assert third == "account a: as roll is, 7 further accounts with its quotas would do"


def test_bytes_that_do_not_fit(path, capsys):
    """No roll helps; delays are not promised; above 10 GB a day it tells how accounts are divided."""
    code, found = asked(path, capsys, "--events-per-second", "20000")
    assert (code, found["fits"], found["roll"]["fitting_seconds"]) == (1, False, None)
    assert "14.4 GB" in found["verdict"] or "28.8 GB" in found["verdict"]
    assert any("further accounts do not help" in line for line in found["advice"])
    assert any("separate integrations" in line for line in found["advice"])
    audience = found["accounts"][0]["audiences"][0]
    assert (audience["usual_delay_seconds"], audience["longest_delay_seconds"]) == (None, None)


def test_the_document_shows_what_it_says(capsys):
    """What docs/plan.md shows of docs/example.yaml is what the command prints today."""
    shown = SHOWN.findall((ROOT / "docs" / "plan.md").read_text())
    assert len(shown) == 2
    for verb, path, arguments, output in shown:
        cli.main([*verb.split(), str(ROOT / path), *arguments.split()])
        assert capsys.readouterr().out == output


@pytest.mark.parametrize("rate", ["0", "-1", "many", "1e12", "nan"])
def test_no_rate(path, capsys, rate):
    """One line, exit 2."""
    assert cli.main(["plan", "--config", str(path), "--events-per-second", rate]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_nothing_is_known(path, capsys):
    """Without a history it says what to give; nothing is made."""
    assert cli.main(["plan", "--config", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no spool yet" in line
    assert line.endswith("give --from-topics, or --events-per-second N")
    assert not (path.parent / "spool").exists()


def test_what_was_delivered(path, capsys):
    """Two files of the last day and what waits; a file that failed and one of the day before do not count."""
    config, now = load(path, {}), SystemClock().now()
    spool = new_spool(config.spool.directory)
    seal(spool, one(), now=now - 2 * HOUR)
    seal(spool, {DISPLAY: [(user, 1, 0, 5, 0, 0, user) for user in range(40)]}, now=now - MINUTE)
    with Ledger.create(spool.directory / LEDGER, spool.id, now - 2 * DAY) as ledger:
        for number, age in enumerate((30 * HOUR, 3 * HOUR, 2 * HOUR)):
            file = a_file(f"Agency_Partner_20261101120{number}.log.gz", created_at=now - age)
            attempt(ledger, file, Outcome.UPLOADED, now - age)
        failed = a_file("Agency_Partner_202611011204.log.gz", created_at=now - HOUR)
        attempt(ledger, failed, Outcome.SPENT, now - HOUR, "it was cut")
    capsys.readouterr()
    code, found = asked(path, capsys)
    assert code == 0
    (audience,) = found["accounts"][0]["audiences"]
    assert audience["events_per_second"] == pytest.approx(80 / 86_400, abs=1e-4)
    assert audience["bytes_per_day"] == pytest.approx(80 * 20_000, rel=0.02)
    assert "40 memberships in 2 files of the last 1d" in found["basis"][0]


def test_what_was_delivered_by_a_new_bridge(path, capsys):
    """It has worked for three hours: what it delivered is of three hours, not of a day."""
    config, now = load(path, {}), SystemClock().now()
    spool = new_spool(config.spool.directory)
    seal(spool, one(), now=now - 3 * HOUR)
    with Ledger.create(spool.directory / LEDGER, spool.id, now - 4 * HOUR) as ledger:
        file = a_file("Agency_Partner_202611011200.log.gz", created_at=now - 3 * HOUR)
        attempt(ledger, file, Outcome.UPLOADED, now - 3 * HOUR)
    capsys.readouterr()
    _, found = asked(path, capsys)
    assert "20 memberships in 1 files of the last 3h" in found["basis"][0]
    assert found["accounts"][0]["bytes_per_day"]["expected"] == pytest.approx(8 * 400_000, rel=0.02)


def test_a_flow():
    """Partitions that reach back a day, an hour, not at all, and one that is idle."""
    ends = {Partition("t", number): edge for number, edge in enumerate([(0, 100), (50, 80), (0, 0), (0, 9)])}
    ends = {at: Edges(*edge) for at, edge in ends.items()}
    marks = {age: [100 - 80 * age // DAY, 80 - 30 * age // DAY, None, None] for age in AGES}
    marks[DAY][1] = 50
    found = flow(ends, {age: {at: marks[age][at.number] for at in ends} for age in AGES})
    assert found.per_second == pytest.approx((80 + 30) / 86_400, rel=0.1)
    assert (found.kept, found.partitions) == (139, 4)
    idle = flow({Partition("t", 3): Edges(0, 9)}, {age: {Partition("t", 3): None} for age in AGES})
    assert (idle.per_second, idle.since) == (0, None)


def test_the_flow_of_a_topic_that_is_new():
    """All of it came within the last minute: it is taken as a minute's, not a day's."""
    at = Partition("t", 0)
    found = flow({at: Edges(0, 600)}, {age: {at: 0} for age in AGES})
    assert (found.per_second, found.since) == (10, MINUTE)


def test_the_flow_of_a_burst():
    """Two hours ago the topic began with all that it has: that is no standstill, it is of three hours."""
    at = Partition("t", 0)
    found = flow({at: Edges(0, 10_800)}, {age: {at: 0 if age > 2 * HOUR else None} for age in AGES})
    assert (found.per_second, found.since) == (1, 3 * HOUR)


@pytest.mark.failure(17)
def test_no_broker(path, capsys, monkeypatch):
    """One line that says so, exit 1, and nothing on stdout."""
    monkeypatch.setattr(cluster, "TIMEOUT", 1.0)
    path.write_text(path.read_text().replace("kafka:9092", "127.0.0.1:1"))
    assert cli.main(["plan", "--config", str(path), "--from-topics"]) == 1
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert "no broker answers" in err


@pytest.fixture
def topic(kafka):
    name = f"plan.{uuid.uuid4().hex}"
    kafka.create_topic(name, 4)
    return name


@pytest.fixture
def bridge(kafka, sshd, tmp_path, topic):
    made = configuration(kafka, sshd, tmp_path, [stream(topic, name="acme", clients=["Acme"])])
    return Bridge(tmp_path, made | {"roll": {"max_age": "15m"}, "window": {"max_age": "60s"}})


def groups(kafka):
    return {group.group_id for group in kafka.admin().list_consumer_groups().result(60).valid}


@pytest.mark.kafka
@pytest.mark.sshd
def test_from_topics(bridge, kafka, topic, tmp_path, capsys):
    """Rates from offsets and times, audiences and merging from the events; no group, no spool, no upload."""
    events = [value(number % 100, client="Acme") for number in range(600)]
    events += [value(number, mobile=True) for number in range(300)]
    events += [b"no json"] * 100
    kafka.produce(topic, [(number % 4, None, event) for number, event in enumerate(events)])
    before = groups(kafka)
    code, found = asked(bridge.path, capsys, "--from-topics")
    assert (code, groups(kafka), (tmp_path / "spool").exists()) == (0, before, False)
    acme, mobile = sorted(found["accounts"][0]["audiences"], key=lambda one: one["mobile"])
    assert (acme["client"], mobile["client"]) == ("Acme", None)
    assert acme["events_per_second"] == pytest.approx(10, rel=0.01)  # of a minute, as the topic is new
    assert mobile["events_per_second"] == pytest.approx(5, rel=0.01)
    assert acme["left_when_merged"] < 0.02  # a hundred memberships, again and again
    assert mobile["left_when_merged"] == 1
    basis = "\n".join(found["basis"])
    assert "stream acme: 16.7 events a second over the last 1m" in basis
    assert "its newest 1,000 events" in basis
    assert "refused of them: 100 undecodable" in basis


@pytest.mark.kafka
@pytest.mark.sshd
def test_users_that_are_translated_count_as_known(bridge, kafka, topic, capsys):
    """Their memberships are planned in the audience that their files are of; whose ids they are is told."""
    (own,) = bridge.config["streams"]
    own |= {"inventory": "display", "identify": {"from": "partner"}}
    bridge.write()
    plain = [value(number, user_namespace="mm") for number in range(300)]
    partner = [value(number, user_id=f"p{number % 100}") for number in range(600)]
    kafka.produce(topic, [(number % 4, None, event) for number, event in enumerate(plain + partner)])
    code, found = asked(bridge.path, capsys, "--from-topics")
    (audience,) = found["accounts"][0]["audiences"]
    assert (code, audience["user_namespace"], audience["user_table_id"]) == (0, "mm", None)
    assert audience["events_per_second"] == pytest.approx(15, rel=0.01)
    assert "stream acme: every user of partner counts as known, each in one browser" in found["basis"]


def test_ids_that_stand_for_known_users_take_the_room_of_mm_uuids():
    """As much of a file as ids at random; one user is one id."""
    rows = frame(SOURCE, [(user % 900, 1, 0, user, 0, 0, user) for user in range(1_000)])
    audience, known = as_known(SOURCE, rows)
    dice = random.Random(1)
    halves = {name: [dice.getrandbits(64) for _ in range(1_000)] for name in ("hi", "lo")}
    made_up = known.with_columns(pl.Series(name, each, dtype=pl.UInt64) for name, each in halves.items())
    assert audience == DISPLAY
    assert known.select("hi", "lo").n_unique() == 900
    told, expected = (measured(DISPLAY, one, "1", 6) for one in (known, made_up))
    assert told.bytes_per_user == pytest.approx(expected.bytes_per_user, rel=0.02)
    assert as_known(DISPLAY, known)[1] is known


@pytest.mark.kafka
@pytest.mark.sshd
def test_from_topics_at_another_rate(bridge, kafka, topic, capsys):
    """A given rate is spread as the topics' events are."""
    events = [value(number, client="Acme" if number % 4 else None) for number in range(400)]
    kafka.produce(topic, [(number % 4, None, event) for number, event in enumerate(events)])
    code, found = asked(bridge.path, capsys, "--from-topics", "--events-per-second", "1000")
    assert code == 0
    shares = {one["client"]: one["events_per_second"] for one in found["accounts"][0]["audiences"]}
    assert shares == {"Acme": 750, None: 250}


@pytest.mark.kafka
@pytest.mark.sshd
def test_topics_that_tell_nothing(bridge, kafka, topic, capsys):
    """An empty topic, and one of refused events: one line each, exit 1."""
    assert cli.main(["plan", "--config", str(bridge.path), "--from-topics"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "stream acme: its topics hold no event" in line
    kafka.produce(topic, [(0, None, b"no json")])
    assert cli.main(["plan", "--config", str(bridge.path), "--from-topics"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "refused of them: 1 undecodable" in line


@pytest.mark.kafka
@pytest.mark.sshd
def test_topics_of_long_ago(bridge, kafka, topic, capsys):
    """Nothing came within a day, by Kafka's own times: it says so and asks for a rate, which helps."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    for number in range(10):
        producer.produce(topic, value(number), partition=0, timestamp=SystemClock().now() - 2 * DAY)
    assert producer.flush(30) == 0
    assert cli.main(["plan", "--config", str(bridge.path), "--from-topics"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "stream acme: nothing came within a day; the newest is of 20" in line
    assert "--events-per-second" in line
    code, found = asked(bridge.path, capsys, "--from-topics", "--events-per-second", "30")
    assert code == 0
    assert [one["events_per_second"] for one in found["accounts"][0]["audiences"]] == [30]


@pytest.mark.kafka
@pytest.mark.sshd
def test_what_is_read_of_topics_is_bounded(bridge, kafka, topic, capsys, monkeypatch):
    """Of a stream only the newest events are held, and of those only so many bytes."""
    monkeypatch.setattr(topic_demand, "MOST_BYTES", 10_000)
    kafka.produce(topic, [(0, b"k" * 900, value(number)) for number in range(100)])
    code, found = asked(bridge.path, capsys, "--from-topics")
    assert code == 0
    assert re.search(r"its newest \d events", "\n".join(found["basis"]))
    (audience,) = found["accounts"][0]["audiences"]
    assert audience["events_per_second"] == pytest.approx(100 / 60, rel=0.01)
