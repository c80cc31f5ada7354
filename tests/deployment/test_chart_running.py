"""What the chart renders runs: the pods' files and arguments, on a real Kafka and a real SFTP server."""

import contextlib
import hmac
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bridge.sync.endpoint import GIF
from bridge.sync.mapping import decode
from tests.parts import events as made
from tests.parts.bridging import delivered, differences, end, produce
from tests.parts.charts import merged, rendered
from tests.parts.events import Load
from tests.parts.waiting import free_port, until
from tests.sync.serving import KEY, MM_UUID
from tests.sync.stores import InKafka

pytestmark = [pytest.mark.helm, pytest.mark.kafka, pytest.mark.sshd]

CONFIGURED = "/etc/s2s-bridge"
"""Where the pod has its configuration: the one path that no value changes."""


def values(kafka, sshd, folder, topics=("chart.acme", "chart.globex")):
    """Two clients of three lines each; addresses and folders of this machine."""
    return {
        "clients": {
            "Acme": {"topics": [topics[0]], "display": True, "mobile": True},
            "globex": {"client": "Globex", "topics": [topics[1]], "display": True, "mobile": True},
        },
        "streamDefaults": {"format": "json", "segment_namespace": "ep"},
        "accounts": {
            "default": {
                "agency": "Agency",
                "partner": "Partner",
                "sftp": {
                    "host": "127.0.0.1",
                    "port": sshd.port,
                    "username": sshd.username,
                    "private_key": {"existingSecret": "sftp", "key": "id"},
                    "host_key": sshd.host_key,
                    "directory": str(sshd.root),
                },
                "quota": {"files_per_hour": 1000, "guard": "0s"},
            }
        },
        "config": {
            "kafka": {"bootstrap_servers": kafka.bootstrap, "group_id": "chart"},
            "window": {"max_age": "500ms"},
            "roll": {"max_age": "1s"},
        },
        "http": {"address": "0.0.0.0", "port": free_port()},
        "persistence": {"mountPath": str(folder / "volume")},
        "secretsMountPath": str(folder / "secrets"),
    }


class Pod:
    """What a node makes of a pod: its files, its processes, its probes."""

    def __init__(self, helm, wanted, folder, secrets, kind="StatefulSet"):
        self.release = rendered(helm, wanted)
        self.path = self.release.mount(folder / "etc", secrets, kind)
        self.container = self.release.container(kind)
        self.grace = self.release.pod(kind)["terminationGracePeriodSeconds"]
        self.ports = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        self.log = folder / "log"
        for mount in self.container["volumeMounts"]:
            if mount["name"] == "data":
                Path(mount["mountPath"]).mkdir()

    def arguments(self, *of):
        """Those of the container, or others."""
        return [word.replace(CONFIGURED, str(self.path.parent)) for word in of or self.container["args"]]

    def start(self, *arguments):
        """The container's process, with its environment."""
        variables = {one["name"]: one["value"] for one in self.container["env"]}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "bridge", *self.arguments(*arguments)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | variables,
                cwd=Path(__file__).parents[2],
            )

    def answers(self, probe):
        """The status that a probe gets; 0: nobody answers."""
        asked = self.container[probe]["httpGet"]
        url = f"http://127.0.0.1:{self.ports[asked['port']]}{asked['path']}"
        with contextlib.suppress(urllib.error.HTTPError, OSError):
            return urllib.request.urlopen(url, timeout=5).status
        return 0


@pytest.mark.failure(58)
def test_two_clients_run_as_rendered(helm, kafka, sshd, tmp_path):
    """It gets ready, delivers each client's files under its name, and stopped by SIGTERM has lost nothing."""
    for topic in ("chart.acme", "chart.globex"):
        kafka.create_topic(topic, 2)
    secrets = {("sftp", "id"): sshd.private_key_file.read_text()}
    pod = Pod(helm, values(kafka, sshd, tmp_path), tmp_path, secrets)
    process = pod.start()
    try:
        events = [
            *produce(kafka, "chart.acme", made.make(Load(events=500, clients=("Acme",)), 1), partitions=2),
            *produce(
                kafka, "chart.globex", made.make(Load(events=500, clients=("Globex",)), 2), partitions=2
            ),
        ]
        until(lambda: pod.answers("startupProbe") == 200, "the startup probe")
        until(lambda: pod.answers("readinessProbe") == 200, "readiness")
        until(lambda: len(delivered(sshd)) >= 4, "a file for each client's cookies and devices")
        later = made.make(Load(events=500, clients=("Acme",), start=Load.start + made.DAY), 3)
        events += produce(kafka, "chart.acme", later, partitions=2)
        assert pod.answers("livenessProbe") == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(pod.grace) == 0, pod.log.read_text()[-4000:]
    finally:
        end(process)
    ended = pod.start(*pod.container["args"], "--until-end")
    assert ended.wait(120) == 0, pod.log.read_text()[-4000:]
    assert differences(sshd, events) == []
    assert {path.name.rsplit("_", 1)[0] for path in delivered(sshd)} == {
        "Agency_Partner_Acme",
        "Agency_Partner_Globex",
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["etc", "log", "secrets", "volume"]


def test_the_test_of_an_installation(helm, kafka, sshd, tmp_path):
    """What `helm test` runs says of each thing outside that it is good, or what is not."""
    topics = ("tested.acme", "tested.globex")
    for topic in topics:
        kafka.create_topic(topic)
    secrets = {("sftp", "id"): sshd.private_key_file.read_text()}
    wanted = values(kafka, sshd, tmp_path, topics)
    pod = Pod(helm, wanted, tmp_path, secrets)
    args = pod.release.container("Pod")["args"]
    process = pod.start(*args)
    assert process.wait(60) == 0, pod.log.read_text()
    missing = merged(wanted, {"clients": {"initech": {"topics": ["tested.nowhere"], "mobile": True}}})
    rendered(helm, missing).mount(tmp_path / "etc", secrets)
    process = pod.start(*args)
    assert process.wait(60) == 2, pod.log.read_text()
    assert "tested.nowhere" in pod.log.read_text()


def browser(pod, query, partner_id=None):
    """What a browser with this cookie is answered."""
    url = f"http://127.0.0.1:{pod.ports['sync']}/sync?mmuuid={MM_UUID}&dc=ewr{query}"
    cookie = {"Cookie": f"uid={partner_id}"} if partner_id else {}
    with urllib.request.urlopen(urllib.request.Request(url, headers=cookie), timeout=60) as answer:
        return answer.read()


def under_way(pod):
    url = f"http://127.0.0.1:{pod.ports['status']}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        (line,) = [one for one in answer if one.startswith(b"s2s_bridge_syncs_in_flight ")]
        return float(line.split()[1])


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def signed(partner_id):
    """The query of a signed id, as docs/user-sync.md has it."""
    expires = int(time.time()) + 3600
    signature = hmac.new(KEY.encode(), f"acme {partner_id} {expires}".encode(), "sha256").hexdigest()
    return f"&id={partner_id}&expires={expires}&signature={signature}"


def test_the_user_sync_runs_as_rendered(helm, kafka, sshd, tmp_path):
    """Once ready a visit becomes a mapping; at SIGTERM who is under way is stored, and it ends with 0."""
    backend = InKafka(kafka)
    section = {
        "namespace": "acme",
        "topic": backend.topic,
        "cookie": {"name": "uid"},
        "answer_within": "10s",
        "signing_keys": [{"existingSecret": "sync", "key": "key"}],
    }
    around = {"enabled": True, "port": free_port(), "statusPort": free_port()}
    around["extraEnv"] = [{"name": "BROKERS", "value": kafka.bootstrap}]
    changes = {
        "config": {"user_sync": section, "kafka": {"bootstrap_servers": "${BROKERS}"}},
        "extraEnv": [{"name": "BROKERS", "value": "the bridge's"}],
        "userSync": around,
    }
    wanted = merged(values(kafka, sshd, tmp_path), changes)
    pod = Pod(helm, wanted, tmp_path, {("sync", "key"): KEY}, "Deployment")
    process = pod.start()
    people = [f"p{number}" for number in range(20)]
    try:
        until(lambda: pod.answers("startupProbe") == 200, "the startup probe")
        assert pod.answers("readinessProbe") == 200
        assert browser(pod, "", "first") == browser(pod, signed("by-link")) == GIF
        assert {decode(value).partner_id for value in backend.kept().values()} == {"first", "by-link"}
        kafka.pause()
        with ThreadPoolExecutor(len(people)) as browsers:
            answers = browsers.map(lambda one: browser(pod, "", one), people)
            until(lambda: under_way(pod) == len(people), "all of them to be under way")
            assert pod.answers("livenessProbe") == 200
            process.send_signal(signal.SIGTERM)
            until(lambda: not listens(pod.ports["sync"]), "nobody to be let in")
            kafka.resume()
            assert list(answers) == [GIF] * len(people)
        assert process.wait(pod.grace) == 0, pod.log.read_text()[-4000:]
    finally:
        kafka.resume()
        end(process)
    stored = {decode(value).partner_id for value in backend.kept().values()}
    assert stored == {"first", "by-link", *people}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["etc", "log", "secrets"]
