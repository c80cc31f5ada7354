"""`s2s-bridge check --connect`: each thing outside is asked, and each is a line."""

import re
import shutil

import pytest

from tests.parts.answering import Answering, said
from tests.parts.bridging import Bridge, account, configuration, stream
from tests.parts.vendor import Vendor
from tests.parts.waiting import free_port

pytestmark = [pytest.mark.kafka, pytest.mark.sshd]


@pytest.fixture
def bridge(kafka, sshd, tmp_path):
    """A good configuration of one stream."""
    if not _exists(kafka, "connect.one"):
        kafka.create_topic("connect.one", 2)
    return Bridge(tmp_path, configuration(kafka, sshd, tmp_path, [stream("connect.one")]))


def _exists(kafka, topic):
    return topic in kafka.admin().list_topics(timeout=10).topics


def found(bridge):
    """Exit code, and the lines of stdout and stderr."""
    bridge.write()
    done = bridge.call("check", "--connect")
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def line_of(path, lines):
    """The one line under this path of the configuration."""
    (line,) = [line for line in lines if line.startswith(f"{path}: ")]
    return line


def test_all_is_well(bridge, kafka, sshd, registry, tmp_path):
    """A line each for Kafka, topic, registry and account; exit 0; nothing consumed, uploaded or made."""
    bridge.config["schema_registry"] = {"url": registry.url}
    code, out, err = found(bridge)
    assert (code, err) == (0, [])
    assert out[0] == "configuration is good: 1 account, 1 stream"
    assert re.match(r"kafka.bootstrap_servers: ok: Kafka answers, 1 broker, \d+ topics$", out[1])
    assert out[2] == "streams[0].topics[0]: ok: topic connect.one, 2 partitions"
    assert out[3] == f"schema_registry: ok: the schema registry at {registry.url} answers"
    assert line_of("accounts[0].sftp", out).startswith(
        f"accounts[0].sftp: ok: logged in at 127.0.0.1:{sshd.port}"
    )
    assert len(out) == 5
    assert len(registry.requests) == 1
    assert sshd.files() == []
    groups = kafka.admin().list_consumer_groups().result(10).valid
    assert bridge.config["kafka"]["group_id"] not in [group.group_id for group in groups]
    assert not (tmp_path / "spool").exists()


def test_the_topic_of_the_identity_table(bridge, kafka):
    """It has to be there, and compacted: a bridge that waits for it translates nothing."""
    (own,) = bridge.config["streams"]
    own |= {"inventory": "display", "identify": {"from": "acme", "table": "connect.mappings"}}
    path = "streams[0].identify.table"
    code, _, err = found(bridge)
    missing = "Kafka shows us no topic connect.mappings; create it, allow us to read it, or correct it"
    assert (code, err) == (2, [f"{path}: {missing}"])
    kafka.create_topic("connect.mappings", 1)
    code, _, err = found(bridge)
    lost = "topic connect.mappings has cleanup.policy=delete, by which mappings are lost; alter it to compact"
    assert (code, err) == (2, [f"{path}: {lost}"])
    own["identify"]["table"] = "connect.compacted"
    kafka.create_topic("connect.compacted", 1, {"cleanup.policy": "compact"})
    code, out, err = found(bridge)
    assert (code, err) == (0, [])
    assert line_of(path, out) == f"{path}: ok: topic connect.compacted, compacted"


def test_without_connect_nothing_is_asked(bridge):
    """A configuration whose servers do not exist is good by itself."""
    bridge.config["kafka"]["bootstrap_servers"] = f"127.0.0.1:{free_port()}"
    bridge.write()
    done = bridge.call("check")
    assert (done.returncode, done.stdout) == (0, "configuration is good: 1 account, 1 stream\n")


def test_nothing_answers(bridge, registry, sshd):
    """Kafka, registry and SFTP server are stopped: each is tried and is a line with its address; exit 1."""
    registry.stop()
    sshd.stop()
    address = f"127.0.0.1:{free_port()}"
    bridge.config["kafka"]["bootstrap_servers"] = address
    bridge.config["schema_registry"] = {"url": registry.url}
    code, out, err = found(bridge)
    assert (code, len(out), len(err)) == (1, 1, 3)
    broker = line_of("kafka.bootstrap_servers", err)
    assert "no broker answers" in broker
    assert f"{address}/bootstrap: Connect to" in broker
    assert registry.url in line_of("schema_registry", err)
    assert str(sshd.port) in line_of("accounts[0].sftp", err)


def test_every_account_is_tried(bridge, sshd):
    """An account whose server does not answer hides nothing of the next one."""
    dead = account(sshd, "dead")
    dead["sftp"]["port"] = free_port()
    bridge.config["accounts"].insert(0, dead)
    code, out, err = found(bridge)
    assert code == 1
    assert len(err) == 1
    assert line_of("accounts[0].sftp", err)
    assert "ok" in line_of("accounts[1].sftp", out)


def test_topics_that_are_not_there(bridge):
    """A name without a topic, and an expression that matches none, are faults; the stream beside is good."""
    missing, nothing = stream("connect.missing"), stream("connect.none", topics=[r"^connect\.nowhere-.*"])
    bridge.config["streams"] += [missing, nothing]
    bridge.config["dead_letters"] = {"topic": "connect.dead"}
    code, out, err = found(bridge)
    assert code == 2
    assert "ok" in line_of("streams[0].topics[0]", out)
    assert "no topic connect.missing" in line_of("streams[1].topics[0]", err)
    assert "matches no topic" in line_of("streams[2].topics[0]", err)
    assert "no topic connect.dead" in line_of("dead_letters.topic", err)
    assert len(err) == 3


def test_a_topic_of_two_streams(bridge, kafka):
    """Two expressions that match one topic of the broker: a fault that names topic and streams."""
    kafka.create_topic("connect.both-eu")
    first = stream("connect.first", topics=[r"^connect\.both-.*"])
    second = stream("connect.second", topics=[r"^connect\.[a-z]+-eu$"])
    bridge.config["streams"] += [first, second]
    code, out, err = found(bridge)
    assert code == 2
    assert line_of("streams[1].topics[0]", out).endswith(r"^connect\.both-.* matches 1: connect.both-eu")
    (line,) = err
    assert line.startswith("streams[2].topics: connect.both-eu is matched by streams[1] too;")


def test_sftp_refusals_are_faults(bridge, sshd, tmp_path):
    """A foreign host key, a key unknown to the server, a folder that is not there: each is told; exit 2."""
    impostor, stranger, lost = (account(sshd, name) for name in ("default", "stranger", "lost"))
    impostor["sftp"]["host_key"] = (sshd.base / "client_key.pub").read_text().strip()
    unknown = tmp_path / "unknown_key"
    shutil.copy(sshd.base / "ssh_host_ed25519_key", unknown)
    stranger["sftp"] |= {"private_key_file": str(unknown), "host": "localhost"}
    lost["sftp"] |= {"directory": "nowhere", "host": "127.1"}  # one host and user would be one quota
    bridge.config["accounts"] = [impostor, stranger, lost]
    code, _, err = found(bridge)
    assert code == 2
    assert "host key" in line_of("accounts[0].sftp", err)
    assert "refuse" in line_of("accounts[1].sftp", err)
    assert "sftp.directory does not exist" in line_of("accounts[2].sftp", err)
    assert len(err) == 3


def test_a_registry_that_refuses_or_fails(bridge, registry):
    """A refused log-in, or another protocol, is a fault; a server's own failure is not: exit 1."""
    registry.answer = lambda _: (401, {"error_code": 401, "message": "Unauthorized"})
    bridge.config["schema_registry"] = {"url": registry.url}
    code, _, err = found(bridge)
    assert (code, len(err)) == (2, 1)
    assert "refused the log-in" in line_of("schema_registry", err)
    registry.answer = lambda _: (404, {})
    code, _, err = found(bridge)
    assert (code, len(err)) == (2, 1)
    assert "is no schema registry" in line_of("schema_registry", err)
    registry.answer = lambda _: (500, {"error_code": 50001, "message": "down"})
    code, _, err = found(bridge)
    assert code == 1
    assert "HTTP 500" in line_of("schema_registry", err)


def test_a_client_property_that_does_not_exist(bridge):
    """Kafka's client refuses it: a fault that names it; the others are tried all the same."""
    bridge.config["kafka"]["properties"] = {"sasl.mechanismus": "PLAIN"}
    code, out, err = found(bridge)
    assert code == 2
    assert "sasl.mechanismus" in line_of("kafka.properties", err)
    assert "ok" in line_of("accounts[0].sftp", out)


def test_no_secret_is_told(bridge, tmp_path):
    """A secret property whose value Kafka's client dislikes is a fault that does not quote it."""
    (tmp_path / "secret").write_text("hunter2\n")
    bridge.config["kafka"]["secret_properties"] = {"security.protocol": str(tmp_path / "secret")}
    code, out, err = found(bridge)
    assert code == 2
    assert line_of("kafka.properties", err)
    assert "hunter2" not in "\n".join(out + err)


def with_log(bridge, tmp_path, url):
    """Its processing log is here."""
    (tmp_path / "password").write_text("secret")
    (tmp_path / "password").chmod(0o600)
    log = {"url": url, "password_file": str(tmp_path / "password")}
    bridge.config["accounts"][0]["platform"] = {"processing_log": log}
    return "accounts[0].platform.processing_log"


def test_a_processing_log_is_asked_for_one_page(bridge, tmp_path):
    """It answers with what is understood: a line, and one request."""
    entries = [{"file": f"{number}", "status": "loaded"} for number in range(3)]
    with Answering(said({"data": entries})) as server:
        path = with_log(bridge, tmp_path, server.url)
        code, out, err = found(bridge)
    assert (code, err, len(server.asked)) == (0, [], 1)
    assert line_of(path, out).endswith("answers, entries on its first page: 3")


@pytest.mark.failure(64)
def test_a_processing_log_that_says_no_or_nothing(bridge, tmp_path):
    """A refusal, and what is not understood, are faults; that it is busy may be one of the moment."""
    answers = {
        "refuses the log-in (HTTP 401)": (said({}, 401), 2),
        "no list of entries": (said({"rows": []}), 2),
        "have no file or no status": (said({"data": [{"name": "a"}]}), 2),
        "is busy or ill (HTTP 503)": (said({}, 503), 1),
    }
    for words, (answer, expected) in answers.items():
        with Answering(answer) as server:
            path = with_log(bridge, tmp_path, server.url)
            code, _, err = found(bridge)
        assert (code, words in line_of(path, err)) == (expected, True), words


def with_segments(bridge, site, **more):
    """Its Audience Segments API is the sandbox that runs at `site`."""
    settings = site.settings().model_dump(mode="json") | more
    bridge.config["accounts"][0]["platform"] = {"audience_segments": settings}
    return "accounts[0].platform.audience_segments"


def test_the_segments_api_is_asked_for_the_vendors_grants(bridge, tmp_path):
    """It lets us in and knows the vendor: a line, and nothing is changed."""
    vendor = Vendor(tmp_path)
    with vendor.running() as sandbox:
        path = with_segments(bridge, vendor)
        code, out, err = found(bridge)
    assert (code, err, sandbox.writes.created) == (0, [], 0)
    assert line_of(path, out).endswith("lets vendor 1234 in, entities that it may permit: 6")


def test_a_segments_api_that_says_no_or_nothing(bridge, tmp_path):
    """A refused log-in or vendor is a fault; that it is not there may be one of the moment."""
    vendor = Vendor(tmp_path)
    with vendor.running():
        path = with_segments(bridge, vendor, vendor_id=99)
        code, _, err = found(bridge)
        assert (code, "this vendor is not yours" in line_of(path, err)) == (2, True)
        path = with_segments(bridge, vendor)
        vendor.place.password_file.write_text("wrong")
        code, _, err = found(bridge)
        assert (code, "refuses the log-in (HTTP 403, invalid_grant)" in line_of(path, err)) == (2, True)
    code, _, err = found(bridge)
    assert (code, "auth.token_url" in line_of(path, err)) == (1, True)
