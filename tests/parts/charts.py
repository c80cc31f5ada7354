"""The Helm chart: what it renders of values, and what a node makes of that: files in a container."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

CHART = Path(__file__).parents[2] / "helm" / "s2s-bridge"
RELEASE = "bridge"
LATEST = "1.37"
"""The newest Kubernetes whose schemas are at hand."""


def example(name: str) -> dict:
    """The values of a file in the chart's ci folder."""
    return yaml.safe_load((CHART / "ci" / f"{name}-values.yaml").read_text())


def template(
    helm: str, values: Mapping[str, object], *arguments: str, kube: str = LATEST, chart: Path = CHART
) -> subprocess.CompletedProcess:
    """`helm template` with these values alone."""
    return subprocess.run(
        [helm, "template", RELEASE, str(chart), "--kube-version", kube, "-f", "-", *arguments],
        input=json.dumps(values, ensure_ascii=False),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def rendered(
    helm: str, values: Mapping[str, object], *arguments: str, kube: str = LATEST, chart: Path = CHART
) -> "Rendered":
    """What is rendered; it must be accepted."""
    done = template(helm, values, *arguments, kube=kube, chart=chart)
    assert done.returncode == 0, done.stderr
    return Rendered([document for document in yaml.safe_load_all(done.stdout) if document], done.stdout)


def refusal(helm: str, values: Mapping[str, object], *arguments: str) -> str:
    """What Helm says of values that it must refuse."""
    done = template(helm, values, *arguments)
    assert done.returncode != 0, done.stdout
    return done.stderr


def merged(values: Mapping[str, object], changes: Mapping[str, object]) -> dict:
    """Values with changes, as Helm lays one file over another: null takes a value away."""
    result = {key: value for key, value in values.items() if changes.get(key, "") is not None}
    for key, change in changes.items():
        if change is None:
            continue
        before = result.get(key)
        both = isinstance(change, Mapping) and isinstance(before, Mapping)
        result[key] = merged(before, change) if both else change
    return result


@dataclass(frozen=True)
class Rendered:
    """The manifests of a release."""

    manifests: Sequence[dict]
    text: str

    def one(self, kind: str, name: str | None = None) -> dict:
        """The only manifest of its kind, or with its name."""
        (found,) = [
            manifest
            for manifest in self.manifests
            if manifest["kind"] == kind and name in (None, manifest["metadata"]["name"])
        ]
        return found

    def kinds(self) -> list[str]:
        """Of all manifests, sorted."""
        return sorted(manifest["kind"] for manifest in self.manifests)

    def pods(self) -> Iterator[tuple[str, dict, dict]]:
        """The kind of who makes it, the metadata and the specification of each pod."""
        for manifest in self.manifests:
            spec = manifest.get("spec", {})
            if manifest["kind"] == "Pod":
                yield "Pod", manifest["metadata"], spec
            elif manifest["kind"] == "CronJob":
                pod = spec["jobTemplate"]["spec"]["template"]
                yield "CronJob", pod["metadata"], pod["spec"]
            elif "template" in spec:
                yield manifest["kind"], spec["template"]["metadata"], spec["template"]["spec"]

    def pod(self, kind: str) -> dict:
        """The specification of the pod that this kind makes."""
        (found,) = [spec for of, _, spec in self.pods() if of == kind]
        return found

    def container(self, kind: str) -> dict:
        """The container of the pod that this kind makes."""
        (found,) = self.pod(kind)["containers"]
        return found

    def files(self, kind: str = "StatefulSet") -> Mapping[str, str]:
        """The configuration of the pod that this kind makes, and what lies beside it."""
        (mounted,) = [volume for volume in self.pod(kind)["volumes"] if volume["name"] == "configuration"]
        return self.one("ConfigMap", mounted["configMap"]["name"])["data"]

    def mount(self, folder: Path, secrets: Mapping[tuple[str, str], str], kind: str = "StatefulSet") -> Path:
        """Write what the configuration and secrets volumes of the pod hold; returns bridge.yaml's path.

        The configuration comes into `folder`, secrets where the pod mounts them: the values say that it is
        a folder of the test's. `secrets`: name and key to content.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.files(kind).items():
            (folder / name).write_text(text)
        mounts = {mount["name"]: mount["mountPath"] for mount in self.container(kind)["volumeMounts"]}
        for volume in self.pod(kind)["volumes"]:
            for source in volume.get("projected", {}).get("sources", []):
                for item in source["secret"]["items"]:
                    path = Path(mounts[volume["name"]], item["path"])
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(secrets[source["secret"]["name"], item["key"]])
                    path.chmod(volume["projected"]["defaultMode"])
        return folder / "bridge.yaml"
