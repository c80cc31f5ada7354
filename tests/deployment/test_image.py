"""The image, as far as it can be had without an engine: its steps are carried out in a folder.

What they made is run as a container runs it: as another user, at process id 1, on a root that cannot be
written.
"""

import importlib.metadata
import os
import re
import signal
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bridge.clock import SystemClock
from bridge.observe.health import Health
from bridge.observe.http import HttpServer, pages
from tests.parts import dockerfile
from tests.parts.dockerfile import REPOSITORY, TARGET, Folder

DOCKERFILE = dockerfile.read()
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
USER, GROUP = (int(number) for number in DOCKERFILE.last.one("USER").split(":"))

NAMESPACES = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]

READ_ONLY = """
mount -o remount,bind,ro / && mount --bind "$1" "$1" && mount -o remount,bind,rw "$1" && shift && exec "$@"
"""


class Image:
    """What the steps made, with the folders that a container may write."""

    def __init__(self, root: Path) -> None:
        self.folder = Folder(root)
        self.prefix = root / TARGET[1:]
        self.writable = root / "writable"
        for name in ("tmp", "var"):
            (self.writable / name).mkdir(parents=True)
        self.folder.build(DOCKERFILE)
        (self.packages,) = self.prefix.glob("lib/python3*/site-packages")
        (self.wheel,) = root.glob("build/dist/*.whl")
        for path in (self.prefix, *self.prefix.rglob("*")):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o555)
        # Where nobody may make namespaces the modes of the folders are all that keeps it from writing.
        apart = subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False)
        self.confined = os.geteuid() == 0 and apart.returncode == 0
        if self.confined:
            for path in (self.writable, *self.writable.iterdir()):
                os.chown(path, USER, GROUP)

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Run this as in a container, with the image's environment and no other."""
        return subprocess.Popen(
            [*self._confinement(), *(self.folder.inside(word) for word in words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            env=self._environment() | environment,
        )

    def stop(self, child: subprocess.Popen[str]) -> None:
        """Send SIGTERM to what was started, not to what confines it."""
        number = child.pid
        if self.confined:
            number = int(Path(f"/proc/{number}/task/{number}/children").read_text())
        os.kill(number, signal.SIGTERM)

    def run(self, *words: str, **environment: str) -> tuple[int, str]:
        """The exit code and what it printed."""
        child = self.start(*words, **environment)
        output, _ = child.communicate(timeout=120)
        return child.returncode, output

    def contents(self) -> dict[Path, int]:
        """When each file and folder of the image was last written."""
        return {path: path.lstat().st_mtime_ns for path in self.prefix.rglob("*")}

    def _environment(self) -> dict[str, str]:
        temporary = str(self.writable / "tmp")
        words = DOCKERFILE.last.one("ENV").replace("/tmp", temporary).replace("$PATH", "/usr/bin:/bin")
        return dict(self.folder.inside(word).split("=", 1) for word in words.split()) | {"TMPDIR": temporary}

    def _confinement(self) -> list[str]:
        if not self.confined:
            return []
        # Not the file's owner, and no way around what is not to be written; but the interpreter of whoever
        # runs the tests, and the folder that they are given, may lie where only that user may look.
        look = "+dac_read_search"
        user = [f"--reuid={USER}", f"--regid={GROUP}", "--clear-groups", "--no-new-privs", "--pdeathsig=KILL"]
        rights = [f"--inh-caps=-all,{look}", f"--ambient-caps={look}", f"--bounding-set=-all,{look}"]
        return [*NAMESPACES, "sh", "-c", READ_ONLY, "sh", str(self.writable), "setpriv", *user, *rights]


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """Built once, in a folder that is gone afterwards: it takes 370 MB."""
    with tempfile.TemporaryDirectory(prefix="s2s-bridge-image-") as folder:
        Path(folder).chmod(0o755)
        yield Image(Path(folder).resolve())


@pytest.fixture(scope="module")
def demo(image: Image) -> Iterator[subprocess.Popen[str]]:
    """The demo, begun early: it is idle for most of its time."""
    before = image.contents()
    child = image.start(*entrypoint(), "demo", "--events", "100")
    yield child
    child.kill()
    child.wait()
    assert image.contents() == before


def entrypoint() -> list[str]:
    """What tini is told to run."""
    init, separator, *words = dockerfile.command(DOCKERFILE.last.one("ENTRYPOINT"))
    assert (init, separator) == ("/usr/bin/tini", "--")
    return words


def test_hadolint_finds_nothing():
    """What the linter of Dockerfiles does not like is changed, or stands there with a reason."""
    hadolint = Path(sys.executable).with_name("hadolint")
    found = subprocess.run([hadolint, REPOSITORY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_one_argument_decides_the_base_of_every_stage():
    """A digest that is given once pins what is built with and what is shipped."""
    names = {stage.name for stage in DOCKERFILE.stages}
    assert {stage.base for stage in DOCKERFILE.stages} - names == {"${PYTHON_IMAGE}"}
    version = re.fullmatch(r"python:(3\.\d+)-slim", DOCKERFILE.arguments["PYTHON_IMAGE"])
    assert version
    assert f"Programming Language :: Python :: {version[1]}" in PROJECT["classifiers"]


def test_the_label_says_the_projects_version():
    """Who looks at an image sees which version is in it."""
    assert f"VERSION={PROJECT['version']}" in DOCKERFILE.last.of("ARG")
    assert 'image.version="${VERSION}"' in DOCKERFILE.last.one("LABEL")


def test_the_spool_belongs_to_the_images_user():
    """A new volume takes owner and mode from the image's folder: nobody else may look into a spool."""
    assert USER
    spool = DOCKERFILE.last.one("VOLUME")
    assert f"install -d -o {USER} -g {GROUP} -m 0700 {spool}" in DOCKERFILE.last.one("RUN")
    example = (REPOSITORY / "docs" / "example.yaml").read_text()
    assert f"directory: {spool}\n" in example


def test_all_that_is_copied_reaches_the_builder():
    """.dockerignore lets through what the Dockerfile copies, and nothing else of the checkout."""
    rules = (REPOSITORY / ".dockerignore").read_text().splitlines()
    let_through = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        source
        for stage in DOCKERFILE.stages
        for rest in stage.of("COPY")
        if not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert let_through == copied
    assert "*" in rules


def test_the_image_has_the_project_what_it_needs_and_no_more(image: Image):
    """What s2s-bridge and its demo require, at the versions of the lock; no pip, nothing that builds."""
    installed = {
        canonicalize_name(found.name): found
        for found in importlib.metadata.distributions(path=[str(image.packages)])
    }
    wanted, waiting = set(), [Requirement("s2s-bridge[demo]")]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        wanted.add(name)
        for text in installed[name].requires or ():
            needed = Requirement(text)
            extras = requirement.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(needed)
    assert set(installed) == wanted
    locked = (REPOSITORY / "requirements.lock").read_text()
    for name in wanted - {"s2s-bridge"}:
        assert re.search(rf"^{re.escape(name)}=={re.escape(installed[name].version)}\b", locked, re.MULTILINE)


def test_the_wheel_holds_the_schemas(image: Image):
    """Who installs the wheel has the schemas of the events, as they are in the repository."""
    with zipfile.ZipFile(image.wheel) as wheel:
        for schema in (REPOSITORY / "schemas").iterdir():
            assert wheel.read(f"bridge/schemas/{schema.name}") == schema.read_bytes()
        assert not [name for name in wheel.namelist() if not name.startswith(("bridge/", "s2s_bridge-"))]


def test_every_user_may_read_all_and_its_bytecode_is_there(image: Image):
    """Whichever number a cluster runs it as can start it, at once: nothing has to be compiled."""
    for path in image.prefix.rglob("*"):
        assert path.is_symlink() or path.stat().st_mode & 0o004, path
    for source in (image.packages / "bridge").rglob("*.py"):
        (compiled,) = (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")
        flags = int.from_bytes(compiled.read_bytes()[4:8], "little")
        assert flags == 0b01, f"{compiled} is checked against its source at each start"


@pytest.mark.usefixtures("demo")
def test_it_is_the_wheel_that_runs_and_its_checks_work(image: Image):
    """The installed command, started elsewhere, finds the configuration good, and itself in no checkout."""
    site = image.writable / "var"
    text = (REPOSITORY / "docs" / "example.yaml").read_text()
    password = site / "sftp-password"
    password.write_text("not-a-secret\n")
    password.chmod(0o644)
    host_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
    text = text.replace("/run/secrets/sftp-password", str(password))
    (site / "bridge.yaml").write_text(text.replace("ssh-ed25519 AAAA...", host_key))
    code, output = image.run(*entrypoint(), "check", "--config", str(site / "bridge.yaml"))
    assert (code, output.splitlines()[-1]) == (0, "configuration is good: 1 account, 1 stream")
    code, output = image.run(f"{TARGET}/bin/python", "-c", "import bridge; print(bridge.__file__)")
    assert (code, output.strip()) == (0, str(image.packages / "bridge" / "__init__.py"))


def test_without_a_configuration_the_image_says_what_is_missing(image: Image):
    """The command that an image starts by itself names the file that is to be mounted."""
    words = dockerfile.command(DOCKERFILE.last.one("CMD"))
    code, output = image.run(*entrypoint(), *words)
    assert code == 2
    assert "/etc/s2s-bridge/bridge.yaml" in output
    assert len(output.splitlines()) == 1


def test_the_health_check_asks_the_running_bridge(image: Image):
    """The HEALTHCHECK is well while the threads beat, ill when one is silent or nobody answers."""
    clock, health = SystemClock(), Health(lambda: True)
    words = dockerfile.command(DOCKERFILE.last.one("HEALTHCHECK"))
    with HttpServer("127.0.0.1:0", pages(health, lambda: b"", clock)) as server:
        url = f"http://127.0.0.1:{server.port}/healthz"
        assert image.run(*words, S2S_HEALTH_URL=url) == (0, "ok\n")
        health.beat("ingest", 1)
        code, output = image.run(*words, S2S_HEALTH_URL=url)
        assert (code, output[:33]) == (1, "thread ingest has been silent for")
    code, output = image.run(*words, S2S_HEALTH_URL=url)
    assert code == 1
    assert "does not answer" in output


def test_the_demo_runs_in_the_image_until_it_is_stopped(image: Image, demo: subprocess.Popen[str]):
    """From broker to file, by a user without a name on a read-only root; then SIGTERM, as to a pod.

    Its process has the id 1 of its container, for which a signal that nobody handles does nothing at all.
    """
    assert demo.stdout
    lines: list[str] = []
    for line in demo.stdout:
        lines.append(line)
        if "arrived: " in line:
            break
    assert "arrived: " in lines[-1], lines
    image.stop(demo)
    output, _ = demo.communicate(timeout=60)
    assert demo.returncode == 130, [*lines, output]
    assert output.endswith("Stopped before all was delivered: there is nothing to compare.\n")
    assert not list((image.writable / "tmp").iterdir()), "it leaves nothing in /tmp"
