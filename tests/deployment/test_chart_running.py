"""What the chart renders runs: the pod's files and arguments, on a real Kafka and a real SFTP server."""

import contextlib
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.parts import events as made
from tests.parts.bridging import delivered, differences, end, produce
from tests.parts.charts import merged, rendered
from tests.parts.events import Load
from tests.parts.waiting import free_port, until

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

    def __init__(self, helm, wanted, folder, secrets):
        self.release = rendered(helm, wanted)
        self.path = self.release.mount(folder / "etc", secrets)
        self.container = self.release.container("StatefulSet")
        self.port = wanted["http"]["port"]
        self.log = folder / "log"
        Path(wanted["persistence"]["mountPath"]).mkdir()

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
        page = self.container[probe]["httpGet"]["path"]
        with contextlib.suppress(urllib.error.HTTPError, OSError):
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}{page}", timeout=5).status
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
        grace = pod.release.pod("StatefulSet")["terminationGracePeriodSeconds"]
        assert process.wait(grace) == 0, pod.log.read_text()[-4000:]
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
