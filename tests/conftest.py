"""The real parts that tests may ask for."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.parts import kafka as kafka_part
from tests.parts import openssh, tools
from tests.parts.kafka import Kafka
from tests.parts.openssh import OpenSsh
from tests.parts.registry import SchemaRegistry

# What a property takes is the machine's matter: on a busy one nothing is found out by a time limit.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """A command sends the log to the stderr of its time, which for a later test is closed."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """One real broker for all tests: each makes topics of its own."""
    _need(kafka_part.missing())
    broker = Kafka.start(tmp_path_factory.mktemp("kafka"))
    yield broker
    broker.stop()


@pytest.fixture
def sshd() -> Iterator[OpenSsh]:
    """A running OpenSSH server with an empty folder, for one test."""
    with _running_sshd() as server:
        yield server


@pytest.fixture(scope="module")
def shared_sshd() -> Iterator[OpenSsh]:
    """A running OpenSSH server for the tests of a module, which use folders of their own (`apart`)."""
    with _running_sshd() as server:
        yield server


@pytest.fixture
def registry() -> Iterator[SchemaRegistry]:
    """A running schema registry without schemas."""
    server = SchemaRegistry()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def helm() -> str:
    """The path of Helm."""
    return _program("helm", tools.found_helm())


@pytest.fixture(scope="session")
def promtool() -> str:
    """The path of Prometheus's checker."""
    return _program("promtool", tools.found("promtool"))


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a browser."""
    return _program("chromium", tools.found("chromium"))


@contextmanager
def _running_sshd() -> Iterator[OpenSsh]:
    _need(openssh.missing())
    server = OpenSsh()
    try:
        server.start()
        yield server
    finally:
        server.close()


def _need(missing: str | None) -> None:
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"{missing}, and with CI=true no test may be left out")
    if missing:
        pytest.skip(missing)


def _program(name: str, path: str | None) -> str:
    _need(None if path else f"{name} is missing: tests/parts/install.sh brings it")
    assert path
    return path
