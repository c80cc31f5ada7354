"""What a probe that runs a command learns of the bridge."""

import socket
import threading
from pathlib import Path

import pytest

from bridge.config import HttpSettings, UserSyncSettings
from bridge.observe import probe
from bridge.observe.health import Health
from bridge.observe.http import HttpServer, pages


class Standing:
    """A clock that stands."""

    def now(self):
        return 1_000_000_000_000

    def wait(self, signal, duration):
        raise NotImplementedError


@pytest.fixture
def served():
    """A server on a free port, and its health."""
    health = Health(lambda: True)
    with HttpServer("127.0.0.1:0", pages(health, lambda: b"", Standing())) as server:
        yield f"http://127.0.0.1:{server.port}/healthz", health


def test_a_bridge_that_works_is_well(served, capsys):
    """Exit 0, wherever the URL stands; a proxy of the environment is not asked."""
    url, _ = served
    assert probe.main([url], {}) == 0
    assert probe.main([], {"S2S_HEALTH_URL": url, "http_proxy": "http://127.0.0.1:1"}) == 0
    assert capsys.readouterr().out == "ok\nok\n"


def test_a_silent_thread_makes_it_ill(served, capsys):
    """Exit 1, and the line that /healthz says: it stands in the container's history of health."""
    url, health = served
    health.beat("ingest", 1)
    assert probe.main([url], {}) == 1
    assert capsys.readouterr().out.startswith("thread ingest has been silent for")


def test_who_does_not_answer_is_ill(capsys):
    """Exit 1, and where to look."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/healthz"
    assert probe.main([url], {}) == 1
    assert capsys.readouterr().out == (
        f"{url} does not answer ([Errno 111] Connection refused); "
        "see http.listen, or user_sync.status_listen\n"
    )


@pytest.mark.parametrize("url", ["http://a..b/", "http://127.0.0.1:1/\u00e4"])
def test_who_cannot_be_asked_is_ill(url, capsys):
    """A host, or a path, that is none: a line, and no traceback."""
    assert probe.main([url], {}) == 1
    assert capsys.readouterr().out.startswith(f"{url} does not answer (")


def test_who_answers_something_else_is_ill(capsys):
    """A port that another program took is not taken for a bridge."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(5)

        def answer():
            connection, _ = other.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{other.getsockname()[1]}/healthz"
        assert probe.main([url], {}) == 1
        thread.join()
    assert "does not answer" in capsys.readouterr().out


@pytest.mark.parametrize(
    "url", ["healthz", "https://127.0.0.1/healthz", "http://", "http://a:b/", "http://["]
)
def test_what_is_no_url_is_told(url, capsys):
    """Exit 2, with one that is right."""
    assert probe.main([url], {}) == 2
    assert capsys.readouterr().out.endswith(f"write it as {probe.URL}\n")


IMAGE = ["/usr/bin/tini", "--", "/opt/s2s-bridge/bin/s2s-bridge"]


@pytest.mark.parametrize(
    ("words", "settings", "listen"),
    [
        (["run", "--config", "/a"], HttpSettings, "listen"),
        (["sync", "serve", "--config", "/a"], UserSyncSettings, "status_listen"),
        (["sync", "tag"], HttpSettings, "listen"),
        (["run", "--config", "sync serve"], HttpSettings, "listen"),
    ],
)
def test_each_process_is_asked_where_it_listens_by_default(words, settings, listen):
    """One image has the bridge and the user sync; what a container was started with says which it is."""
    running = [*IMAGE, *words, ""]
    default = settings.model_fields[listen].default
    assert probe.asked([], {}, running) == f"http://{default}/healthz"
    assert probe.asked([], {"S2S_HEALTH_URL": "http://b"}, running) == "http://b"
    assert probe.asked(["http://a"], {"S2S_HEALTH_URL": "http://b"}, running) == "http://a"


def test_the_command_is_that_of_process_1():
    """As it is seen from within a container."""
    assert "\0".join(probe.process_1()).encode() == Path("/proc/1/cmdline").read_bytes()
