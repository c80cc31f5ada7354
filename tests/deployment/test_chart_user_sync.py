"""The user sync's endpoint as the chart renders it: on its own, spread, scaled, and met by browsers alone."""

import textwrap

import pytest
import yaml

from bridge.config import load_endpoint
from tests.parts.charts import CHART, RELEASE, example, merged, rendered

pytestmark = pytest.mark.helm

NAME = f"{RELEASE}-s2s-bridge-sync"
LEAST = example("user-sync")
ALL = example("two-accounts")
OFF = {"userSync": {"enabled": False}}
FIXED = {
    "userSync": {
        "autoscaling": {"enabled": False},
        "replicas": 5,
        "ingress": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
        "preStopSeconds": 0,
        "topologySpreadConstraints": [],
    },
    "networkPolicy": {"enabled": False},
}
FIXED["userSync"]["serviceAccount"] = {"create": False}
OURS = {"Deployment", "HorizontalPodAutoscaler", "Ingress"}
"""Kinds that nothing but the user sync has."""


@pytest.fixture(scope="module")
def least(helm):
    return rendered(helm, LEAST)


@pytest.fixture(scope="module")
def everything(helm):
    return rendered(helm, ALL)


def of_the_user_sync(release):
    """Kinds of what is its own."""
    return sorted(one["kind"] for one in release.manifests if "-sync" in one["metadata"]["name"])


def test_what_it_is_made_of(helm, least, everything):
    """Nothing unless it is asked for; what is off is not there; monitoring only with the operator."""
    assert of_the_user_sync(rendered(helm, merged(LEAST, OFF))) == []
    fixed = rendered(helm, merged(LEAST, FIXED))
    assert of_the_user_sync(fixed) == ["ConfigMap", "Deployment", "Service", "Service"]
    scaled = ["ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Ingress"]
    usual = [*scaled, "NetworkPolicy", "PodDisruptionBudget", "Service", "Service"]
    assert of_the_user_sync(least) == [*usual, "ServiceAccount"]
    assert of_the_user_sync(everything) == [*usual, "ServiceMonitor"]


def test_readme_shows_the_values_of_the_example():
    """What is written beside the least values of one client is the example that this renders."""
    section = (CHART / "README.md").read_text().partition("\n## User sync\n")[2].partition("\n## ")[0]
    (shown,) = [block.removeprefix("yaml") for block in section.split("```") if block.startswith("yaml")]
    assert merged(example("one-client"), yaml.safe_load(textwrap.dedent(shown))) == LEAST


def test_the_bridge_needs_nothing_of_it(helm, least):
    """Switched off, the section stays: the bridge's pods, files and account are the same."""
    off = rendered(helm, merged(LEAST, OFF))
    assert off.files() == least.files()
    assert off.one("StatefulSet") == least.one("StatefulSet")
    assert off.one("ServiceAccount") == least.one("ServiceAccount", f"{RELEASE}-s2s-bridge")


def test_strangers_meet_nothing_of_the_bridges(everything):
    """No host, user, taxonomy or client of the bridge's is in its pods, and nothing of its environment."""
    files = everything.files("Deployment")
    assert files.keys() == {"bridge.yaml"}
    written = yaml.safe_load(files["bridge.yaml"])
    whole = yaml.safe_load(everything.files()["bridge.yaml"])
    assert written.keys() == {"kafka", "user_sync", "logging"}
    assert whole == whole | written | {"kafka": written["kafka"] | {"group_id": "s2s-bridge"}}
    names = {kind: {one["name"] for one in pod["containers"][0]["env"]} for kind, _, pod in everything.pods()}
    ours = names.pop("Deployment")
    assert "OWN" in ours
    assert "EXTRA" not in ours
    assert [kind for kind in names if "OWN" in names[kind] or "EXTRA" not in names[kind]] == []


def test_a_role_of_the_bridges_is_none_of_its_own(helm, least, everything):
    """An account of its own, with annotations of its own; made or named by hand as the bridge's is."""
    users = {kind: pod["serviceAccountName"] for kind, _, pod in everything.pods()}
    assert users.pop("Deployment") == "endpoint"
    assert set(users.values()) == {f"{RELEASE}-s2s-bridge"}
    roles = {
        one["metadata"]["name"]: one["metadata"]["annotations"]["example.com/role"]
        for one in everything.manifests
        if one["kind"] == "ServiceAccount"
    }
    assert roles == {"endpoint": "endpoint", f"{RELEASE}-s2s-bridge": "bridge"}
    assert least.pod("Deployment")["serviceAccountName"] == NAME

    def named(**settings):
        release = rendered(helm, merged(LEAST, {"userSync": {"serviceAccount": settings}}))
        made = [one["metadata"]["name"] for one in release.manifests if one["kind"] == "ServiceAccount"]
        return release.pod("Deployment")["serviceAccountName"], made

    assert named(create=False) == ("default", [f"{RELEASE}-s2s-bridge"])
    assert named(create=False, name="theirs") == ("theirs", [f"{RELEASE}-s2s-bridge"])


def test_it_serves_without_a_volume(everything):
    """The command, its two ports, and nothing that outlives a pod."""
    pod, container = everything.pod("Deployment"), everything.container("Deployment")
    assert container["args"] == ["sync", "serve", "--config", "/etc/s2s-bridge/bridge.yaml"]
    assert container["ports"] == [
        {"name": "sync", "containerPort": 9090},
        {"name": "status", "containerPort": 9091},
    ]
    kinds = {volume["name"]: next(key for key in volume if key != "name") for volume in pod["volumes"]}
    assert kinds == {
        "configuration": "configMap",
        "secrets": "projected",
        "tmp": "emptyDir",
        "ca": "configMap",
    }
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == kinds.keys()


def test_what_its_section_becomes(helm, tmp_path):
    """As it is written, with the chart's addresses and the paths of the keys, which are there."""
    values = merged(ALL, {"secretsMountPath": str(tmp_path / "secrets"), "http": {"address": "[::]"}})
    keys = {("sync-keys", key): f"{key} " * 8 for key in ("new", "old")}
    kafka = {("kafka-bridge", "password"): "p", ("kafka-cluster-ca", "ca.crt"): "c"}
    path = rendered(helm, values).mount(tmp_path / "etc", keys | kafka, "Deployment")
    sync = load_endpoint(path, {}).user_sync
    assert (sync.listen, sync.status_listen) == ("[::]:9090", "[::]:9091")
    assert [file.read_text()[:3] for file in sync.signing_key_files] == ["new", "old"]
    assert (sync.namespace, sync.topic_name, sync.path) == ("partner", "mm.user-sync", "/s")
    assert (sync.cookie.domain, sync.consent.purposes, sync.data_centres[2]) == ("partner.com", (1, 2), "ams")
    assert (sync.max_waiting, sync.answer_within) == (1_000_000, 1000)


def test_how_many_there_are(helm, everything):
    """The autoscaler's word alone, or a number; an upgrade adds one before it takes one."""
    deployment, scaler = everything.one("Deployment"), everything.one("HorizontalPodAutoscaler")["spec"]
    assert "replicas" not in deployment["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME}
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 30)
    (metric,) = scaler["metrics"]
    assert metric["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    assert everything.container("Deployment")["resources"]["requests"]["cpu"]
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert rendered(helm, merged(LEAST, FIXED)).one("Deployment")["spec"]["replicas"] == 5


def test_probes_ask_the_port_that_is_not_for_browsers(everything):
    """Alive and ready are who answers browsers."""
    container = everything.container("Deployment")
    asked = [container[probe]["httpGet"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
    assert asked == [{"path": path, "port": "status"} for path in ("/healthz", "/healthz", "/readyz")]


def test_a_pod_answers_until_everybody_knows_that_it_ends(helm, everything):
    """Before SIGTERM it waits; it then has more time than it takes; 0: it does not wait."""
    container = everything.container("Deployment")
    assert container["lifecycle"] == {"preStop": {"exec": {"command": ["sleep", "10"]}}}
    assert everything.pod("Deployment")["terminationGracePeriodSeconds"] >= 10 + 20
    assert "lifecycle" not in rendered(helm, merged(LEAST, FIXED)).container("Deployment")


def test_where_its_pods_are(least, everything):
    """Over nodes and zones; on nodes of their own, not the bridge's; a selector that is given is kept."""
    ours = least.one("Deployment")["spec"]["selector"]
    spread = least.pod("Deployment")["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    assert [one["labelSelector"] for one in spread] == [ours, ours]
    pod = everything.pod("Deployment")
    zone, rack = pod["topologySpreadConstraints"]
    assert (zone["labelSelector"], zone["whenUnsatisfiable"]) == (ours, "DoNotSchedule")
    assert rack["labelSelector"] == {"matchLabels": {"team": "data"}}
    assert (pod["nodeSelector"], pod["priorityClassName"]) == ({"pool": "web"}, "web")
    assert pod["tolerations"] == [{"key": "web", "operator": "Exists"}]
    assert pod["affinity"].keys() == {"nodeAffinity"}


def test_whom_services_and_budget_mean(everything):
    """Its pods alone; browsers' Service has no port of metrics, and metrics do not wait for readiness."""
    labels = {kind: metadata["labels"] for kind, metadata, _ in everything.pods()}
    browsers, metrics = everything.one("Service", NAME), everything.one("Service", f"{NAME}-metrics")
    budget, policy = everything.one("PodDisruptionBudget", NAME), everything.one("NetworkPolicy", NAME)
    for selector in (
        browsers["spec"]["selector"],
        metrics["spec"]["selector"],
        budget["spec"]["selector"]["matchLabels"],
        policy["spec"]["podSelector"]["matchLabels"],
        everything.one("Deployment")["spec"]["selector"]["matchLabels"],
    ):
        assert [kind for kind in labels if selector.items() <= labels[kind].items()] == ["Deployment"]
    assert budget["spec"]["maxUnavailable"] == "25%"
    assert browsers["spec"]["type"] == "NodePort"
    assert browsers["spec"]["ports"] == [{"name": "http", "port": 8000, "targetPort": "sync"}]
    assert metrics["spec"]["publishNotReadyAddresses"] is True


def test_the_ingress_leads_to_two_paths(least, everything):
    """Of each host, as they stand and no others; TLS for all hosts."""
    spec = everything.one("Ingress")["spec"]
    hosts = ["sync.partner.com", "sync.eu.partner.com"]
    assert spec["tls"] == [{"hosts": hosts, "secretName": "sync-partner-com"}]
    assert [rule["host"] for rule in spec["rules"]] == hosts
    for rule in spec["rules"]:
        paths = rule["http"]["paths"]
        assert [(path["path"], path["pathType"]) for path in paths] == [("/s", "Exact"), ("/o", "Exact")]
        assert {path["backend"]["service"]["name"] for path in paths} == {NAME}
        assert {path["backend"]["service"]["port"]["name"] for path in paths} == {"http"}
    assert spec["ingressClassName"] == "traefik"
    paths = least.one("Ingress")["spec"]["rules"][0]["http"]["paths"]
    assert [path["path"] for path in paths] == ["/sync", "/opt-out"]
    assert "nginx.ingress.kubernetes.io/limit-rps" in least.one("Ingress")["metadata"]["annotations"]


def test_who_may_talk_to_whom(least, everything):
    """In: browsers' port from whom it is said, metrics from monitoring. Out: DNS and Kafka, nothing else."""
    spec = everything.one("NetworkPolicy", NAME)["spec"]
    browsers, monitoring = spec["ingress"]
    assert ([one["port"] for one in browsers["ports"]], [one["port"] for one in monitoring["ports"]]) == (
        ["sync"],
        ["status"],
    )
    assert browsers["from"] == ALL["userSync"]["networkPolicy"]["from"]
    assert monitoring["from"][0]["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": "monitoring"
    }
    names, kafka = spec["egress"]
    assert {one["port"] for one in names["ports"]} == {53}
    assert sorted(one["port"] for one in kafka["ports"]) == [9093, 9094, 9095]
    assert kafka["to"] == [{"ipBlock": {"cidr": "10.0.0.0/8"}}]
    assert "from" not in least.one("NetworkPolicy", NAME)["spec"]["ingress"][0]


def test_what_the_operator_is_told(everything):
    """The ServiceMonitor selects the Service for metrics alone, and a port that it has."""
    monitor = everything.one("ServiceMonitor", NAME)["spec"]
    labels = monitor["selector"]["matchLabels"]
    services = [one for one in everything.manifests if one["kind"] == "Service"]
    (service,) = [one for one in services if labels.items() <= one["metadata"]["labels"].items()]
    assert service["metadata"]["name"] == f"{NAME}-metrics"
    (endpoint,) = monitor["endpoints"]
    assert (endpoint["path"], endpoint["interval"]) == ("/metrics", "15s")
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]


def test_what_it_uses_restarts_it_and_nothing_else(helm):
    """A client more is none of its business, nor the bridge's group; its own section and Kafka are."""

    def checksum(changes):
        pod = rendered(helm, merged(LEAST, changes)).one("Deployment")["spec"]["template"]
        return pod["metadata"]["annotations"]["checksum/config"]

    another = {"clients": {"globex": {"topics": ["globex"], "display": True}}}
    group = {"config": {"roll": {"max_age": "1h"}, "kafka": {"group_id": "other"}}}
    assert checksum(another) == checksum(group) == checksum({})
    changed = [
        {"config": {"user_sync": {"consent": {"required": True}}}},
        {"config": {"kafka": {"bootstrap_servers": "other:9092"}}},
        {"userSync": {"port": 9000}},
    ]
    assert len({checksum(one) for one in [{}, *changed]}) == 4
