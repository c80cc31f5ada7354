"""`s2s-bridge file sample`: a file of a topic's newest events that leaves no trace."""

import json
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.parts import bridging, oracle
from tests.parts.bridging import Bridge, configuration, stream
from tests.parts.collecting import NOW, value

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]

NAME = r"Agency_Partner(_[A-Za-z0-9-]+)?_\d{12}\.log\.gz"


@pytest.fixture
def topic(kafka):
    name = f"sample.{uuid.uuid4().hex}"
    kafka.create_topic(name, 4)
    return name


@pytest.fixture
def bridge(kafka, sshd, tmp_path, topic):
    return Bridge(
        tmp_path, configuration(kafka, sshd, tmp_path, [stream(topic, name="acme", clients=["Acme"])])
    )


def sample(bridge, folder, *arguments):
    """The command, run in a folder of its own; --stream is acme unless given."""
    folder.mkdir(exist_ok=True)
    given = arguments if "--stream" in arguments else ("--stream", "acme", *arguments)
    return subprocess.run(
        [sys.executable, "-m", "bridge", "file", "sample", "--config", str(bridge.path), *given],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=folder,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin:/bin"},
    )


def users(path):
    return [int(uuid.UUID(user)) - 1 for user, _, _ in oracle.read(path).rows]


def test_the_newest_events_of_all_partitions(bridge, kafka, topic, tmp_path):
    """Of 400 events the 100 that Kafka got last, on two of four partitions; an audience file by the rules."""
    kafka.produce(topic, [(number % 4, None, value(number)) for number in range(300)])
    kafka.produce(topic, [(number % 2, None, value(number)) for number in range(300, 400)])
    done = sample(bridge, tmp_path / "here", "--events", "100")
    assert (done.returncode, done.stderr) == (0, "")
    (path,) = (tmp_path / "here").iterdir()
    assert re.fullmatch(NAME, path.name)
    assert users(path) == list(range(300, 400))
    assert done.stdout.splitlines()[0] == f"{path.name}: 100 users on 100 lines, 100 memberships"
    assert "made of 100 events" in done.stdout


def test_it_leaves_no_trace(bridge, kafka, sshd, topic, tmp_path):
    """No group, no commit, no upload, no spool; a run afterwards delivers all of it from the beginning."""
    kafka.produce(topic, [(number % 4, None, value(number)) for number in range(40)])
    before = {group.group_id for group in kafka.admin().list_consumer_groups().result(10).valid}
    assert sample(bridge, tmp_path / "here").returncode == 0
    after = {group.group_id for group in kafka.admin().list_consumer_groups().result(10).valid}
    assert after == before
    assert sshd.files() == []
    assert not (tmp_path / "spool").exists()
    bridge.drain()
    (delivered,) = bridging.delivered(sshd)
    assert sorted(users(delivered)) == list(range(40))


@pytest.mark.failure(29)
def test_a_topic_that_ends_with_an_aborted_transaction(bridge, kafka, topic, tmp_path):
    """Only committed events are in it, and it does not wait for an offset that no reader ever sees."""
    kafka.produce(topic, [(0, None, value(1))])
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": topic, "log_level": 0})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, value(2), partition=0)
    producer.flush(30)
    producer.abort_transaction(30)
    done = sample(bridge, tmp_path / "here")
    assert (done.returncode, done.stderr) == (0, "")
    (path,) = (tmp_path / "here").iterdir()
    assert users(path) == [1]


def test_the_largest_audience_and_the_others(bridge, kafka, topic, tmp_path):
    """The file is of the audience with the most memberships; the others, and refused events, are told."""
    events = [value(number, client="Acme") for number in range(30)]
    events += [value(number, mobile=True) for number in range(20)]
    events += [value(number) for number in range(10)]
    events += [value(1, event_time=-1), b"no json", b"{", None]
    kafka.produce(topic, [(number % 4, None, event) for number, event in enumerate(events)])
    done = sample(bridge, tmp_path / "here")
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "here").iterdir()
    assert path.name.startswith("Agency_Partner_Acme_")
    assert len(users(path)) == 30
    assert done.stderr.splitlines() == [
        "refused: 2 events: undecodable",
        "refused: 1 events: invalid_event_time",
        "not in it: 20 memberships of default/(global)/mm/ep/mobile",
        "not in it: 10 memberships of default/(global)/mm/ep/display",
    ]
    assert "made of 64 events" in done.stdout


def test_a_partners_ids_make_no_sample(bridge, kafka, topic, tmp_path):
    """What a running bridge has to translate is in none; what is sent as it is makes one all the same."""
    (own,) = bridge.config["streams"]
    own |= {"inventory": "display", "identify": {"from": "partner"}}
    bridge.write()
    kafka.produce(topic, [(0, None, value(number, user_id=f"p{number}")) for number in range(9)])
    done = sample(bridge, tmp_path / "here")
    assert (done.returncode, len(done.stderr.splitlines()), done.stdout) == (2, 1, "")
    assert "stream acme: its newest events carry a partner's ids" in done.stderr
    kafka.produce(topic, [(0, None, value(number, user_namespace="mm")) for number in range(3)])
    assert sample(bridge, tmp_path / "here").returncode == 0
    (path,) = (tmp_path / "here").iterdir()
    assert users(path) == [0, 1, 2]


def test_last_write_wins_and_the_placeholder(bridge, kafka, topic, tmp_path):
    """It is made as a delivery is: merged by event time, with a lone -1 followed by the placeholder."""
    events = [
        value(1, segment=7, event_time=NOW - 10),
        value(1, segment=7, event_time=NOW - 20, segments=[{"segment_id": 7, "timestamp": -1}]),
        value(2, remove_all=True, segments=[]),
    ]
    kafka.produce(topic, [(number, None, event) for number, event in enumerate(events)])
    assert sample(bridge, tmp_path / "here").returncode == 0
    (path,) = (tmp_path / "here").iterdir()
    first, second = (str(uuid.UUID(int=number)) for number in (2, 3))
    assert oracle.read(path).rows == [(first, False, [("7", 0)]), (second, True, [("9999999", 0)])]


def test_output(bridge, kafka, topic, tmp_path):
    """A folder gets the file under its own name; an audience file's name is taken over; another is kept."""
    kafka.produce(topic, [(0, None, value(1))])
    here, folder = tmp_path / "here", tmp_path / "folder"
    folder.mkdir()
    assert sample(bridge, here, "--output", str(folder)).returncode == 0
    (path,) = folder.iterdir()
    assert users(path) == [1]
    named = folder / "Agency_Partner_203001010000.log.gz"
    assert sample(bridge, here, "--output", str(named)).returncode == 0
    assert users(named) == [1]
    done = sample(bridge, here, "--output", str(folder / "mine.gz"))
    assert done.returncode == 0
    (name,) = re.findall(rf"its FileIdentifier is ({NAME}):", done.stdout)[0][:1]
    shutil.move(folder / "mine.gz", here / name)
    assert users(here / name) == [1]


def test_nothing_is_overwritten(bridge, kafka, topic, tmp_path):
    """A file that is there stays as it is: wrong usage, one line, and nothing else is left behind."""
    kafka.produce(topic, [(0, None, value(1))])
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "mine.gz").write_text("mine")
    done = sample(bridge, folder, "--output", "mine.gz")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "mine.gz: is there already" in line
    assert (folder / "mine.gz").read_text() == "mine"
    assert len(list(folder.iterdir())) == 1


def test_a_name_of_another_client(bridge, kafka, topic, tmp_path):
    """A wanted name says whose data it is: one of another series is wrong usage."""
    kafka.produce(topic, [(0, None, value(1))])
    done = sample(bridge, tmp_path / "here", "--output", "Agency_Partner_Other_203001010000.log.gz")
    assert done.returncode == 2
    assert "are of Agency_Partner," in done.stderr
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize(
    ("messages", "arguments", "told"),
    [
        ([], (), (1, "its topics hold no event")),
        ([b"no json"], (), (1, "none of its 1 newest events was accepted (refused: 1 undecodable)")),
        ([value(1)], ("--stream", "other"), (2, "no such stream; the configuration has acme")),
        ([value(1)], ("--events", "0"), (2, "--events")),
        ([value(1)], ("--output", "nowhere/x.gz"), (1, "cannot write nowhere/x.gz: No such file")),
    ],
)
def test_what_cannot_be_done_is_one_line(request, tmp_path, messages, arguments, told):
    """No event, none that is good, no such stream, no place: one line, and no file."""
    kafka, topic = request.getfixturevalue("kafka"), request.getfixturevalue("topic")
    kafka.produce(topic, [(0, None, message) for message in messages])
    done = sample(request.getfixturevalue("bridge"), tmp_path / "here", *arguments)
    code, what = told
    assert done.returncode == code
    (line,) = done.stderr.splitlines()
    assert what in line
    assert list((tmp_path / "here").iterdir()) == []


def test_no_topic_and_no_broker(bridge, tmp_path):
    """A missing topic and a broker that does not answer are a line each."""
    bridge.config["streams"][0]["topics"] = ["sample.missing"]
    bridge.write()
    done = sample(bridge, tmp_path / "here")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "topic sample.missing: Kafka has no such topic" in done.stderr
    bridge.config["kafka"]["bootstrap_servers"] = "127.0.0.1:1"
    bridge.write()
    done = sample(bridge, tmp_path / "here")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "no broker answers" in done.stderr


def test_an_expression_takes_only_its_own_topics(bridge, kafka, topic, tmp_path):
    """A stream's ^regex finds its topics; one that is another stream's by name is not read."""
    kafka.create_topic(f"{topic}-more")
    kafka.produce(topic, [(0, None, value(1))])
    kafka.produce(f"{topic}-more", [(0, None, value(2))])
    bridge.config["streams"] = [
        stream(topic, name="acme", topics=[f"^{re.escape(topic)}-"]),
        stream(topic, name="other", client="Other"),
    ]
    bridge.write()
    assert sample(bridge, tmp_path / "here").returncode == 0
    (path,) = (tmp_path / "here").iterdir()
    assert users(path) == [2]


def test_file_check_accepts_it(bridge, kafka, topic, tmp_path):
    """The product's own checker finds no fault, and `file show` counts what was told."""
    kafka.produce(topic, [(number % 4, None, value(number)) for number in range(10)])
    assert sample(bridge, tmp_path / "here").returncode == 0
    (path,) = (tmp_path / "here").iterdir()
    for verb in (["check"], ["show", "--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "bridge", "file", *verb, str(path)],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(__file__).parents[2],
        )
        assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["users"] == 10
