"""What the chart renders, over a matrix of values: by the API's schemas, and as its operator relies on it."""

import json
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from bridge.config import load
from bridge.config.secret import secret_faults, secret_warnings
from bridge.units import parse_size
from tests.parts.charts import CHART, LATEST, RELEASE, example, merged, refusal, rendered

pytestmark = pytest.mark.helm

OLDEST = "1.27"
"""The oldest Kubernetes that Chart.yaml allows."""

OPERATORS = {"ServiceMonitor", "PrometheusRule"}
"""Kinds of the Prometheus operator, of which the API's schemas know nothing."""

NAME = f"{RELEASE}-s2s-bridge"
ONE = example("one-client")
TWO = example("two-accounts")
SYNC = example("user-sync")
FIFTY = ONE | {
    "clients": {
        f"Client-{number}": {
            "topics": [f"client{number}.segments"],
            "display": True,
            "mobile": number % 2 == 0,
        }
        for number in range(50)
    }
}
BARE = {
    "networkPolicy": {"enabled": False},
    "podDisruptionBudget": {"enabled": False},
    "serviceAccount": {"create": False},
    "streamDefaults": {"format": "json"},
    "fullnameOverride": "a" * 40,
}
REPLAY = {"replay": {"enabled": True, "from": "2026-11-01", "to": "2026-11-02T00:00:00Z"}}
REFRESH = {"refresh": {"enabled": True}}
MONITORED = {
    "metrics": {"serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}},
}
MATRIX = {
    "one client": ONE,
    "fifty clients": FIFTY,
    "two accounts, all there is": TWO,
    "nothing that may be left out": merged(ONE, BARE),
    "replay and refresh": merged(merged(FIFTY, REPLAY), REFRESH),
    "the Prometheus operator": merged(ONE, MONITORED),
    "the user sync": SYNC,
}
DOTS = "bridge.eu"
"""A release's name as Helm allows it, and a Service's may not be."""


@pytest.fixture(scope="module")
def matrix(helm):
    """Each of the matrix, rendered once."""
    return {name: rendered(helm, values) for name, values in MATRIX.items()}


@pytest.fixture(scope="module")
def everything(matrix):
    """The release with all there is."""
    return matrix["two accounts, all there is"]


@pytest.mark.parametrize("name", ["one-client", "two-accounts", "user-sync"])
def test_helm_has_nothing_to_say_of_it(helm, name):
    """`helm lint --strict` finds no fault."""
    values = str(CHART / "ci" / f"{name}-values.yaml")
    done = subprocess.run(
        [helm, "lint", "--strict", "--kube-version", LATEST, str(CHART), "-f", values],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "WARNING" not in done.stdout


@pytest.mark.parametrize("name", MATRIX)
def test_the_api_takes_each_manifest(matrix, name):
    """By its strict schemas, of the oldest version that the chart allows and of the newest."""
    for manifest in matrix[name].manifests:
        if manifest["kind"] not in OPERATORS:
            for version in (OLDEST, LATEST):
                kubernetes_validate.validate(manifest, version, strict=True)


def test_what_each_release_is_made_of(matrix):
    """What is switched off is not there."""
    always = ["ConfigMap", "Pod", "Service", "Service", "StatefulSet"]
    usual = sorted([*always, "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount"])
    assert matrix["one client"].kinds() == usual
    assert matrix["nothing that may be left out"].kinds() == always
    assert matrix["replay and refresh"].kinds() == sorted([*usual, "CronJob", "Job"])
    assert "ServiceMonitor" in matrix["the Prometheus operator"].kinds()


def names(manifest):
    return manifest["metadata"]["name"], *(manifest["metadata"].get("labels", {}).values())


def named(helm, release):
    """What Helm makes of a release of this name."""
    command = [helm, "template", release, str(CHART), "--kube-version", LATEST, "-f", "-"]
    return subprocess.run(command, input=json.dumps(ONE), capture_output=True, text=True, check=False)


def test_a_releases_name_may_be_no_services(helm):
    """Helm allows dots: they become hyphens. A digit at its beginning is refused, with what helps."""
    dots = named(helm, DOTS)
    names = [one["metadata"]["name"] for one in yaml.safe_load_all(dots.stdout) if one]
    assert [name for name in names if not name.startswith("bridge-eu-s2s-bridge")] == []
    assert f"app.kubernetes.io/instance: {DOTS}" in dots.stdout
    digit = "fullnameOverride: missing; 1bridge-s2s-bridge begins with a digit"
    assert digit in named(helm, "1bridge").stderr


def test_names_leave_room_for_what_kubernetes_adds(matrix):
    """A CronJob's has 52 characters at most, a StatefulSet's and all labels 63."""
    for release in matrix.values():
        for manifest in release.manifests:
            most = 52 if manifest["kind"] == "CronJob" else 63
            assert len(manifest["metadata"]["name"]) <= most
            assert all(len(word) <= 63 for word in names(manifest))


@pytest.mark.parametrize("name", MATRIX)
def test_the_rendered_configuration_is_good(helm, tmp_path, name):
    """`s2s-bridge check` finds no fault and warns of no open secret; the streams are those of the clients."""
    values = merged(MATRIX[name], {"secretsMountPath": str(tmp_path / "secrets")})
    release = rendered(helm, values)
    path = release.mount(tmp_path / "etc", Everything())
    config = load(path, {})
    assert (secret_faults(config), secret_warnings(config)) == ((), ())
    clients = sorted(values["clients"], key=str.lower)
    assert sorted(stream.name for stream in config.streams) == [client.lower() for client in clients]
    assert sorted(account.name for account in config.accounts) == sorted(values["accounts"])


class Everything:
    """Every secret that is asked for."""

    def __getitem__(self, key):
        return f"secret of {key}\n"


def test_what_a_client_becomes(helm, tmp_path):
    """Two switches are the inventory; a key is the client and its stream; global only if it is said."""
    values = merged(TWO, {"secretsMountPath": str(tmp_path / "secrets")})
    config = load(rendered(helm, values).mount(tmp_path / "etc", Everything()), {})
    acme, globex, partners = config.streams
    assert (acme.name, acme.client, acme.inventory) == ("acme", "Acme", "event")
    assert (acme.account_for(mobile=False), acme.account_for(mobile=True)) == ("cookies", "devices")
    assert (globex.client, globex.inventory, globex.format) == ("Globex", "mobile", "json")
    assert (partners.client, partners.inventory, partners.clients) == (
        None,
        "display",
        ("Initech", "Umbrella"),
    )
    assert (partners.user_table_id, partners.hash_segments) == ("007", True)
    assert partners.schema_ == tmp_path / "etc" / "partners.avsc"
    assert [stream.historical_after for stream in config.streams] == [21_600_000] * 3
    assert config.kafka.properties["fetch.min.bytes"] == "100000"


def test_a_clients_own_setting_wins_even_where_it_is_off(helm):
    """What is off or 0 is a setting, and a mapping is replaced as a whole."""
    changes = {
        "streamDefaults": {"hash_segments": True, "fields": {"user_id": "id"}, "max_future": "1h"},
        "clients": {"acme": {"hash_segments": False, "fields": {"mobile": "device"}, "max_future": "0s"}},
    }
    text = rendered(helm, merged(ONE, changes)).files()["bridge.yaml"]
    assert "hash_segments: false" in text
    assert "max_future: 0s" in text
    assert "mobile: device" in text
    assert "user_id" not in text


def test_large_numbers_are_written_as_they_are(helm, tmp_path):
    """Helm reads numbers as floating point: none comes out as 1e+09."""
    changes = {
        "secretsMountPath": str(tmp_path / "secrets"),
        "streamDefaults": {"placeholder_segment": 2**31 - 1},
        "config": {"kafka": {"properties": {"fetch.max.bytes": 2**31 - 1}}},
    }
    config = load(rendered(helm, merged(ONE, changes)).mount(tmp_path / "etc", Everything()), {})
    assert config.streams[0].placeholder_segment == 2**31 - 1
    assert config.kafka.properties["fetch.max.bytes"] == str(2**31 - 1)


def test_pods_keep_to_the_restricted_standard(everything):
    """No root, no privileges, no token, nothing to write to but the volume and /tmp: all of them."""
    kinds = []
    for kind, _, pod in everything.pods():
        kinds.append(kind)
        assert pod["automountServiceAccountToken"] is False
        of_pod = pod["securityContext"]
        assert of_pod["runAsNonRoot"] is True
        assert of_pod["runAsUser"] == of_pod["fsGroup"] == 10001
        assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]
            assert "cpu" not in container["resources"]["limits"]
            writable = {mount["name"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
            assert writable <= ({"tmp"} if kind == "Deployment" else {"data", "tmp", "extra"})
            assert not any("subPath" in mount for mount in container["volumeMounts"])
    assert sorted(kinds) == ["CronJob", "Deployment", "Job", "Pod", "StatefulSet"]
    accounts = [one for one in everything.manifests if one["kind"] == "ServiceAccount"]
    assert [one["automountServiceAccountToken"] for one in accounts] == [False, False]


def test_secrets_are_files_of_secrets_that_are_there(everything):
    """The chart makes no Secret; each is mounted for its pod alone; none is in the environment.

    The user sync's pods, which strangers talk to, have none of the accounts'.
    """
    assert "Secret" not in everything.kinds()
    accounts = {
        ("s2s-cookies", "password", "accounts/cookies/password"),
        ("s2s-devices", "ssh-privatekey", "accounts/devices/private_key"),
        ("s2s-devices-log", "password", "accounts/devices/processing_log"),
        ("s2s-segments", "password", "accounts/cookies/audience_segments_password"),
        ("s2s-segments", "client-secret", "accounts/cookies/audience_segments_client_secret"),
        ("registry", "password", "schema-registry/password"),
    }
    shared = {
        ("kafka-bridge", "password", "kafka/sasl.password"),
        ("kafka-cluster-ca", "ca.crt", "kafka/ssl.ca.pem"),
        ("sync-keys", "new", "user-sync/signing_key_0"),
        ("sync-keys", "old", "user-sync/signing_key_1"),
    }
    for kind, _, pod in everything.pods():
        (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "secrets"]
        assert volume["projected"]["defaultMode"] == 0o400
        named = {
            (source["secret"]["name"], item["key"], item["path"])
            for source in volume["projected"]["sources"]
            for item in source["secret"]["items"]
        }
        assert named == (shared if kind == "Deployment" else shared | accounts)
        for container in pod["containers"]:
            assert not any("secretKeyRef" in str(variable) for variable in container["env"])


def test_there_is_one_bridge_and_its_volume_stays(everything):
    """One replica whatever the values; the claim outlives the release, and has nothing in it that changes."""
    spec = everything.one("StatefulSet")["spec"]
    assert spec["replicas"] == 1
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["metadata"]["labels"] == spec["selector"]["matchLabels"]
    service = everything.one("Service", f"{NAME}-headless")
    assert (service["spec"]["clusterIP"], spec["serviceName"]) == ("None", f"{NAME}-headless")


def test_it_has_the_time_to_stop(everything):
    """Every pod is given more than the 25 s that the bridge takes (contract.md, Commands)."""
    assert {pod["terminationGracePeriodSeconds"] for _, _, pod in everything.pods()} == {40}


def test_probes(everything):
    """Alive is what /healthz says, which waits for nobody; ready is another question."""
    container = everything.container("StatefulSet")
    ask = {
        probe: container[probe]["httpGet"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert [get["path"] for get in ask.values()] == ["/healthz", "/healthz", "/readyz"]
    assert {get["port"] for get in ask.values()} == {"http"}
    assert {"name": "http", "containerPort": 8080} in container["ports"]
    assert "listen: 0.0.0.0:8080" in everything.files()["bridge.yaml"]


def test_a_lost_spool_is_adopted_by_a_value(helm, everything):
    """Never by itself: only where it is asked for."""
    assert "--adopt" not in everything.container("StatefulSet")["args"]
    adopting = rendered(helm, merged(ONE, {"adopt": True})).container("StatefulSet")
    assert adopting["args"] == ["run", "--config", "/etc/s2s-bridge/bridge.yaml", "--adopt"]


def test_a_changed_configuration_restarts_the_bridge(helm):
    """The pod's annotation is another where the configuration is, and the same where it is not."""

    def checksum(values):
        pod = rendered(helm, values).one("StatefulSet")["spec"]["template"]
        return pod["metadata"]["annotations"]["checksum/config"]

    assert checksum(ONE) == checksum(merged(ONE, {"networkPolicy": {"enabled": False}}))
    assert checksum(ONE) != checksum(merged(ONE, {"config": {"roll": {"max_age": "16m"}}}))


def test_whom_services_and_budget_mean(everything):
    """The bridge's pod alone: a job's is neither counted nor asked. Metrics do not wait for readiness."""
    labels = {kind: metadata["labels"] for kind, metadata, _ in everything.pods()}
    selectors = [
        everything.one("Service", NAME)["spec"]["selector"],
        everything.one("Service", f"{NAME}-headless")["spec"]["selector"],
        everything.one("PodDisruptionBudget", NAME)["spec"]["selector"]["matchLabels"],
        everything.one("StatefulSet")["spec"]["selector"]["matchLabels"],
    ]
    for selector in selectors:
        assert [kind for kind in labels if selector.items() <= labels[kind].items()] == ["StatefulSet"]
    assert everything.one("Service", NAME)["spec"]["publishNotReadyAddresses"] is True
    assert everything.one("PodDisruptionBudget", NAME)["spec"]["maxUnavailable"] == 1


def selected(selector, metadata):
    """Whether a selector means a pod, as far as the chart writes one."""
    (rule,) = selector["matchExpressions"]
    assert rule["operator"] == "NotIn"
    return (
        selector["matchLabels"].items() <= metadata["labels"].items()
        and metadata["labels"].get(rule["key"]) not in rule["values"]
    )


def test_who_may_talk_to_whom(everything, matrix):
    """Out: DNS and the configuration's ports, for all pods but the user sync's; in: HTTP from monitoring."""
    spec = everything.one("NetworkPolicy", NAME)["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    meant = [kind for kind, metadata, _ in everything.pods() if selected(spec["podSelector"], metadata)]
    assert meant == [kind for kind, _, _ in everything.pods() if kind != "Deployment"]
    names_, others = spec["egress"]
    assert {(port["protocol"], port["port"]) for port in names_["ports"]} == {("UDP", 53), ("TCP", 53)}
    assert sorted(port["port"] for port in others["ports"]) == [443, 2022, 2222, 8443, 9093, 9094, 9095, 9443]
    assert others["to"] == [{"ipBlock": {"cidr": "10.0.0.0/8"}}]
    (ingress,) = spec["ingress"]
    assert ingress["from"] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    ]
    assert [port["port"] for port in ingress["ports"]] == ["http"]
    plain = matrix["one client"].one("NetworkPolicy")["spec"]["egress"][1]
    assert sorted(port["port"] for port in plain["ports"]) == [2222, 8081, 9092]
    assert "to" not in plain


def test_what_the_operator_is_told(everything):
    """The ServiceMonitor selects the Service for metrics by its labels, and a port that it has."""
    monitor, service = everything.one("ServiceMonitor", NAME), everything.one("Service", NAME)
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    selector = monitor["spec"]["selector"]["matchLabels"]
    selected = [
        manifest["metadata"]["name"]
        for manifest in everything.manifests
        if manifest["kind"] == "Service" and selector.items() <= manifest["metadata"]["labels"].items()
    ]
    assert selected == [service["metadata"]["name"]]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert (endpoint["path"], endpoint["interval"]) == ("/metrics", "15s")
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]


def test_a_replay_runs_on_the_bridges_volume(everything):
    """On the bridge's node, with its configuration and claim; wrong usage is not tried again."""
    spec = everything.one("Job")["spec"]
    pod, container = everything.pod("Job"), everything.container("Job")
    assert container["args"] == [
        *["replay", "--config", "/etc/s2s-bridge/bridge.yaml"],
        *["--from", "2026-11-01T00:00:00Z", "--to", "now", "--stream", "globex"],
        *["--name", "correction", "--dry-run"],
    ]
    (beside,) = pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert beside["topologyKey"] == "kubernetes.io/hostname"
    bridge = everything.one("StatefulSet")
    assert beside["labelSelector"]["matchLabels"] == bridge["spec"]["selector"]["matchLabels"]
    assert "nodeAffinity" in pod["affinity"]
    (data,) = [volume for volume in pod["volumes"] if volume["name"] == "data"]
    claim = bridge["spec"]["volumeClaimTemplates"][0]["metadata"]["name"]
    assert data["persistentVolumeClaim"] == {"claimName": f"{claim}-{bridge['metadata']['name']}-0"}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts == {m["name"]: m["mountPath"] for m in everything.container("StatefulSet")["volumeMounts"]}
    assert pod["restartPolicy"] == "Never"
    rules = {rule["action"]: rule for rule in spec["podFailurePolicy"]["rules"]}
    assert rules["FailJob"]["onExitCodes"]["values"] == [2]
    assert rules["FailJob"]["onExitCodes"]["containerName"] == container["name"]
    assert (spec["backoffLimit"], spec["ttlSecondsAfterFinished"]) == (6, 604_800)


def test_a_restarted_bridge_would_rather_be_where_its_replay_runs(everything):
    """The volume is on that node until the replay is through."""
    affinity = everything.pod("StatefulSet")["affinity"]
    (term,) = affinity["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    (rule,) = term["podAffinityTerm"]["labelSelector"]["matchExpressions"]
    jobs = {metadata["labels"][rule["key"]] for kind, metadata, _ in everything.pods() if "Job" in kind}
    assert set(rule["values"]) == jobs
    assert "nodeAffinity" in affinity


def test_the_same_replay_is_the_same_job(helm):
    """Asked for twice it is not begun twice; anything else is another Job."""

    def name(**changes):
        values = merged(merged(ONE, REPLAY), {"replay": changes})
        (job,) = rendered(helm, values, "-s", "templates/replay-job.yaml").manifests
        return job["metadata"]["name"]

    others = [name(to="2026-11-03"), name(streams=["acme"]), name(name="again"), name(dryRun=True)]
    assert name() == name()
    assert len({name(), *others}) == 5


def test_a_refresh_is_a_replay_that_comes_again(everything):
    """One at a time; all pods of a run go on under its Job's name, and with the times of its start."""
    spec = everything.one("CronJob")["spec"]
    assert (spec["concurrencyPolicy"], spec["schedule"], spec["timeZone"]) == (
        "Forbid",
        "0 1 1 * *",
        "Etc/UTC",
    )
    container = everything.container("CronJob")
    args = container["args"]
    assert args[3:7] == ["--from", "-29d", "--to", "now"]
    assert args[7:] == ["--name", "$(JOB_NAME)", "--stream", "acme"]
    (variable,) = [variable for variable in container["env"] if variable["name"] == "JOB_NAME"]
    assert "batch.kubernetes.io/job-name" in variable["valueFrom"]["fieldRef"]["fieldPath"]


def test_helm_test_asks_everybody(everything):
    """The hook's pod runs `check --connect`, with the bridge's configuration and without its volume."""
    pod = everything.one("Pod")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    (container,) = pod["spec"]["containers"]
    assert container["args"] == ["check", "--config", "/etc/s2s-bridge/bridge.yaml", "--connect"]
    assert "data" not in {mount["name"] for mount in container["volumeMounts"]}


@pytest.mark.parametrize(
    ("spool", "volume", "fits"),
    [("20GB", "24G", True), ("20GB", "23G", False), ("20GiB", "24Gi", True), ("1TB", "1Ti", False)],
)
def test_the_spool_fits_its_volume(helm, spool, volume, fits):
    """A fifth is left for the ledger, files in the making and the file system; else Helm refuses."""
    values = merged(ONE, {"config": {"spool": {"max_bytes": spool}}, "persistence": {"size": volume}})
    assert fits == (parse_size(volume + "B") >= parse_size(spool) * 6 // 5)
    if fits:
        rendered(helm, values)
    else:
        assert f"persistence.size: {volume} is less than" in refusal(helm, values)


def test_the_notes_warn(helm, tmp_path):
    """Of memory below the window and what the process takes; of a replay that comes again; of no TLS.

    Where users are translated, they tell how many mappings the volume has room for.
    """
    chart = shutil.copytree(CHART, tmp_path / "chart")
    shown = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shown}\n"
    shown += 'data: {notes: {{ include "s2s-bridge.notes" . | quote }}}\n'
    (chart / "templates" / "shown.yaml").write_text(shown)

    def notes(limit, changes=ONE):
        values = merged(merged(ONE, changes), {"resources": {"limits": {"memory": limit}}})
        return rendered(helm, values, chart=chart).one("ConfigMap", "shown")["data"]["notes"]

    assert "WARNING" in notes("512Mi")
    assert "WARNING" not in notes("1Gi")
    assert "  s2s-sftp: password" in notes("1Gi")
    assert "WARNING: replay.enabled is on" in notes("1Gi", REPLAY)
    assert "WARNING" not in notes("1Gi", SYNC)
    assert "has the compacted topic user-sync" in notes("1Gi", SYNC)
    open_ = {"userSync": {"ingress": {"tls": {"enabled": False}}}}
    assert "WARNING: userSync.ingress.tls.enabled is off" in notes("1Gi", merged(SYNC, open_))
    assert "identity table" not in notes("1Gi")
    translated = {"clients": {"t": {"topics": ["t"], "display": True, "identify": {"from": "partner"}}}}
    room = translated | {"persistence": {"size": "25G"}, "config": {"spool": {"max_bytes": "10GB"}}}
    assert "has room for 200 million mappings" in notes("1Gi", room)


def test_the_examples_hold_no_secret_and_every_file_is_used():
    """What is in ci/ is what this matrix renders."""
    assert sorted(path.name for path in Path(CHART, "ci").iterdir()) == [
        "one-client-values.yaml",
        "two-accounts-values.yaml",
        "user-sync-values.yaml",
    ]
