"""The test parts themselves, on real Kafka and real sshd."""

import json
import socket
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

import paramiko
import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.parts.kafka import Kafka
from tests.parts.openssh import OpenSsh
from tests.parts.registry import SchemaRegistry
from tests.parts.waiting import until


def consumed(kafka: Kafka, topic: str, number: int) -> list[tuple[int, bytes | None, bytes | None]]:
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "parts"})
    try:
        partitions = range(len(kafka.admin().list_topics(topic).topics[topic].partitions))
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        found = consumer.consume(number, timeout=30)
        return [(message.partition(), message.key(), message.value()) for message in found]
    finally:
        consumer.close()


def connected(sshd: OpenSsh, *, password: bool) -> paramiko.SFTPClient:
    kind, text = sshd.host_key.split()
    transport = paramiko.Transport(socket.create_connection(("127.0.0.1", sshd.port), 10))
    transport.start_client(timeout=10)
    key = transport.get_remote_server_key()
    if (key.get_name(), key.get_base64()) != (kind, text):
        transport.close()
        raise paramiko.BadHostKeyException("127.0.0.1", key, key)
    if password:
        assert sshd.password_file is not None
        transport.auth_password(sshd.username, sshd.password_file.read_text().strip())
    else:
        own = paramiko.Ed25519Key.from_private_key_file(str(sshd.private_key_file))
        transport.auth_publickey(sshd.username, own)
    client = paramiko.SFTPClient.from_transport(transport)
    assert client is not None
    return client


def put(sshd: OpenSsh, name: str, content: bytes, *, password: bool = False) -> None:
    client = connected(sshd, password=password)
    with closing(client.get_channel().get_transport()), client, client.open(name, "wb") as file:
        file.write(content)


@pytest.mark.kafka
def test_what_is_produced_is_consumed_at_the_place_told(kafka: Kafka) -> None:
    """Messages keep key, value and partition, and `produce` tells each one's offset."""
    kafka.create_topic("parts-produce", 2)
    messages = [(1, b"k", b"first"), (1, None, b"second"), (0, b"k", None)]
    assert kafka.produce("parts-produce", messages) == [(1, 0), (1, 1), (0, 0)]
    assert sorted(consumed(kafka, "parts-produce", 3), key=repr) == sorted(messages, key=repr)


@pytest.mark.kafka
def test_a_topic_that_was_deleted_starts_again_at_offset_0(kafka: Kafka) -> None:
    """`delete_topic` and `create_topic` make another, empty topic of the same name."""
    kafka.create_topic("parts-again")
    kafka.produce("parts-again", [(0, None, b"old")])
    kafka.delete_topic("parts-again")
    kafka.create_topic("parts-again")
    assert kafka.produce("parts-again", [(0, None, b"new")]) == [(0, 0)]
    assert consumed(kafka, "parts-again", 1) == [(0, None, b"new")]


@pytest.mark.kafka
def test_a_broker_that_restarts_keeps_its_data(kafka: Kafka) -> None:
    """After `restart` the same address serves the same messages."""
    kafka.create_topic("parts-restart")
    kafka.produce("parts-restart", [(0, None, b"kept")])
    kafka.restart()
    assert consumed(kafka, "parts-restart", 1) == [(0, None, b"kept")]


@pytest.mark.kafka
def test_a_paused_broker_is_silent_until_it_goes_on(kafka: Kafka) -> None:
    """While paused nothing is answered; after `resume` all is as before."""
    kafka.pause()
    try:
        with pytest.raises(KafkaException):
            kafka.admin().list_topics(timeout=0.5)
    finally:
        kafka.resume()
    assert kafka.admin().list_topics(timeout=30).brokers


@pytest.mark.sshd
def test_a_file_that_is_put_lies_in_the_root(sshd: OpenSsh) -> None:
    """A session with the key begins in `root`, and restarting keeps port, key and files."""
    put(sshd, "one", b"1" * 100_000)
    sshd.restart()
    put(sshd, "two", b"2")
    assert {path.name: path.stat().st_size for path in sshd.files()} == {"one": 100_000, "two": 1}


@pytest.mark.sshd
def test_the_password_opens_the_server_where_there_is_one(sshd: OpenSsh) -> None:
    """As root the account has a password; a wrong one is refused."""
    if sshd.password_file is None:
        pytest.skip("an account with a password can be made by root alone")
    put(sshd, "one", b"1", password=True)
    assert [path.name for path in sshd.files()] == ["one"]
    sshd.password_file.write_text("wrong\n")
    with pytest.raises(paramiko.AuthenticationException):
        put(sshd, "two", b"2", password=True)


@pytest.mark.sshd
def test_a_stopped_server_refuses_and_a_frozen_one_is_silent(sshd: OpenSsh) -> None:
    """`stop` ends open sessions too; a frozen server accepts a connection and does not greet."""
    client = connected(sshd, password=False)
    transport = client.get_channel().get_transport()
    with closing(transport), client:
        sshd.freeze()
        client.get_channel().settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.listdir(".")
        sshd.stop()
        until(lambda: not transport.is_active(), "the session's end")
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", sshd.port), 5):
            pass


@pytest.mark.sshd
def test_a_new_host_key_is_another_one(sshd: OpenSsh) -> None:
    """After `new_host_key` whoever pinned the old key is not served."""
    old, old_rsa = sshd.host_key, sshd.rsa_host_key
    sshd.new_host_key()
    assert sshd.host_key != old
    assert sshd.rsa_host_key != old_rsa
    put(sshd, "one", b"1")


def test_the_registry_answers_by_id_and_counts(registry: SchemaRegistry) -> None:
    """Known ids give their schema, others 404; stopped it refuses; started it is there again."""
    registry.schemas[7] = '"string"'
    with urllib.request.urlopen(f"{registry.url}/schemas/ids/7?deleted=true", timeout=5) as answer:
        assert json.load(answer) == {"schema": '"string"'}
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{registry.url}/schemas/ids/8", timeout=5)
    refused.value.close()
    assert refused.value.code == 404
    registry.stop()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{registry.url}/schemas/ids/7", timeout=5)
    registry.start()
    with urllib.request.urlopen(f"{registry.url}/schemas/ids/7", timeout=5):
        pass
    assert registry.requests == [7, 8, 7]


@pytest.mark.sshd
def test_a_closed_server_leaves_nothing(sshd: OpenSsh) -> None:
    """`close` removes the account and every file."""
    sshd.close()
    assert not sshd.base.exists()
    assert sshd.password_file is None or sshd.username not in Path("/etc/passwd").read_text()
