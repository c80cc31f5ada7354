"""The schema of the values that are Kubernetes' own: what the chart asks of a cluster.

What Kubernetes describes itself (resources, affinity, security contexts, volumes) is only said to be a
mapping or a list: the API judges it, and rightly knows more of it with each version.
"""

from collections.abc import Iterable, Mapping

Schema = dict[str, object]
"""A JSON Schema, or a part of one."""

TEXT: Schema = {"type": "string"}
SWITCH: Schema = {"type": "boolean"}
MAPPING: Schema = {"type": "object"}
LIST: Schema = {"type": "array"}
PORT: Schema = {"type": "integer", "minimum": 1, "maximum": 65_535}
WORDS: Schema = {"type": "object", "additionalProperties": TEXT}
"""Labels and annotations."""

_LONGEST_STOP = 25
"""Seconds that the bridge may take to stop (contract.md, Commands)."""
_LONGEST_PRE_STOP = 10
"""Seconds that a pod of the user sync may go on answering; what it takes to stop behind that has 20 left."""
_INSTANT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
_AGO = r"-[1-9][0-9]{0,3}[mhd]"


def section(properties: Mapping[str, object], *, required: Iterable[str] = ()) -> Schema:
    """A mapping of these keys and no others."""
    known: Schema = {"type": "object", "additionalProperties": False, "properties": dict(properties)}
    return known | ({"required": list(required)} if required else {})


def one_of_names(pattern: str, value: Schema, *, least: int = 1, without: Iterable[str] = ()) -> Schema:
    """A mapping by name; `without`: what no name may be."""
    return {
        "type": "object",
        "minProperties": least,
        "properties": dict.fromkeys(without, False),
        "patternProperties": {f"^{pattern}$": value},
        "additionalProperties": False,
    }


def matching(pattern: str) -> Schema:
    """A text that matches as a whole."""
    return {"type": "string", "pattern": f"^({pattern})$"}


def at_least(least: int) -> Schema:
    """A whole number."""
    return {"type": "integer", "minimum": least}


def secret_key() -> Schema:
    """A key of a Secret that is there already."""
    return section(
        {
            "existingSecret": matching("[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"),
            "key": matching("[A-Za-z0-9._-]{1,253}"),
        },
        required=("existingSecret", "key"),
    )


def properties() -> Mapping[str, object]:
    """What stands beside the configuration in values.yaml."""
    return _pods() | _jobs() | _metrics() | {"userSync": _user_sync(), "global": MAPPING}


def _probes() -> dict[str, object]:
    probe = section(
        {
            **dict.fromkeys(("periodSeconds", "timeoutSeconds", "failureThreshold"), at_least(1)),
            "initialDelaySeconds": at_least(0),
        }
    )
    return dict.fromkeys(("startupProbe", "livenessProbe", "readinessProbe"), probe)


def _service_account() -> Schema:
    return section({"create": SWITCH, "name": TEXT, "annotations": WORDS})


def _environment() -> Schema:
    return {"type": "array", "items": {"type": "object", "required": ["name"]}}


def _pods() -> dict[str, object]:
    return {
        "image": section(
            {
                "repository": {"type": "string", "minLength": 1},
                "tag": matching("[A-Za-z0-9_][A-Za-z0-9._-]{0,127}|"),
                "digest": matching("sha256:[0-9a-f]{64}|"),
                "pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
            }
        ),
        "imagePullSecrets": LIST,
        "nameOverride": matching("[a-z0-9-]*"),
        "fullnameOverride": matching("([a-z][a-z0-9-]{0,39})?"),
        "http": section({"address": {"type": "string", "minLength": 1}, "port": PORT}),
        "persistence": section(
            {
                "size": matching("[1-9][0-9]{0,5}(M|G|T|Mi|Gi|Ti)"),
                "storageClass": TEXT,
                "annotations": WORDS,
                "mountPath": matching("/[^\\x00:]+"),
            }
        ),
        "secretsMountPath": matching("/[^\\x00:]+"),
        "serviceAccount": _service_account(),
        "resources": MAPPING,
        "adopt": SWITCH,
        "threads": at_least(1),
        "terminationGracePeriodSeconds": at_least(_LONGEST_STOP + 5),
        **_probes(),
        **dict.fromkeys(("podSecurityContext", "securityContext", "affinity"), MAPPING),
        "podDisruptionBudget": section(
            {"enabled": SWITCH, "maxUnavailable": {"type": "integer", "minimum": 0, "maximum": 1}}
        ),
        "networkPolicy": section(
            {
                "enabled": SWITCH,
                "monitoringNamespace": WORDS,
                "extraPorts": {"type": "array", "items": PORT},
                "to": LIST,
            }
        ),
        "service": section({"port": PORT, "annotations": WORDS}),
        **dict.fromkeys(("podLabels", "podAnnotations", "nodeSelector"), WORDS),
        **dict.fromkeys(("tolerations", "topologySpreadConstraints"), LIST),
        **dict.fromkeys(("extraVolumes", "extraVolumeMounts"), LIST),
        "extraEnv": _environment(),
        "priorityClassName": TEXT,
    }


def _user_sync() -> Schema:
    some: Schema = {"type": ["integer", "string"], "minimum": 0, "pattern": "^(0|[1-9][0-9]?|100)%$"}
    return section(
        {
            "enabled": SWITCH,
            **dict.fromkeys(("port", "statusPort"), PORT),
            "replicas": at_least(0),
            "autoscaling": section(
                {
                    "enabled": SWITCH,
                    **dict.fromkeys(("minReplicas", "maxReplicas"), at_least(1)),
                    "targetCPUUtilizationPercentage": at_least(1),
                }
            ),
            "resources": MAPPING,
            "service": section(
                {
                    "type": {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
                    "port": PORT,
                    "annotations": WORDS,
                }
            ),
            "ingress": _ingress(),
            "networkPolicy": section({"from": LIST}),
            "podDisruptionBudget": section({"enabled": SWITCH, "maxUnavailable": some}),
            "preStopSeconds": {"type": "integer", "minimum": 0, "maximum": _LONGEST_PRE_STOP},
            **_probes(),
            "nodeSelector": WORDS,
            **dict.fromkeys(("tolerations", "extraVolumes", "extraVolumeMounts"), LIST),
            "serviceAccount": _service_account(),
            "extraEnv": _environment(),
            "topologySpreadConstraints": {"type": "array", "items": MAPPING},
            "affinity": MAPPING,
            "priorityClassName": TEXT,
        }
    )


def _ingress() -> Schema:
    label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
    return section(
        {
            "enabled": SWITCH,
            "className": TEXT,
            "annotations": WORDS,
            "hosts": {"type": "array", "items": matching(rf"{label}(\.{label})+"), "uniqueItems": True},
            "tls": section({"enabled": SWITCH, "secretName": TEXT}),
        }
    )


def _jobs() -> dict[str, object]:
    streams = {"type": "array", "items": matching("[A-Za-z0-9-]{1,64}")}
    return {
        "replay": section(
            {
                "enabled": SWITCH,
                "from": matching(f"{_INSTANT}|{_AGO}|"),
                "to": matching(f"{_INSTANT}|{_AGO}|now|"),
                "streams": streams,
                "name": matching("[A-Za-z0-9][A-Za-z0-9.-]{0,63}|"),
                "dryRun": SWITCH,
            }
        ),
        "refresh": section(
            {
                "enabled": SWITCH,
                "schedule": {"type": "string", "minLength": 1},
                "from": matching(_AGO),
                "streams": streams,
                "suspend": SWITCH,
            }
        ),
        "jobs": section(
            {"resources": MAPPING, "backoffLimit": at_least(0), "ttlSecondsAfterFinished": at_least(0)}
        ),
    }


def _metrics() -> dict[str, object]:
    rule: dict[str, Schema] = {"enabled": SWITCH, "labels": WORDS}
    return {
        "metrics": section(
            {
                "serviceMonitor": section(rule | {"interval": matching("[1-9][0-9]{0,4}(ms|s|m|h)")}),
                "prometheusRule": section(rule | {"runbook": TEXT}),
                "dashboard": section(rule | {"annotations": WORDS}),
            }
        )
    }
