"""The bridge as a child process, seen from outside: its pages, its log, its memory and processor time."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import failure, memory, processor_time


def command(settings: dict[str, object], folder: Path) -> list[str]:
    """`s2s-bridge run` with these settings, which are written to the folder."""
    config = folder / "bridge.yaml"
    config.write_text(json.dumps(settings))  # it is YAML too
    return [sys.executable, "-m", "bridge", "run", "--config", str(config)]


def page(address: str, path: str) -> str | None:
    """What a page says; None: it is not there, or not well."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return None


def logged(log: Path, action: str) -> list[dict]:
    """The log's lines about one kind of action; other things on the bridge's stderr are left out."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    records = [json.loads(line) for line in lines if line.startswith('{"')]
    return [record for record in records if record["action"] == action]


class Bridge:
    """A bridge that runs until it is stopped."""

    def __init__(self, settings: dict[str, object], folder: Path) -> None:
        self._address = settings["http"]["listen"]
        self._log = folder / "bridge.log"
        self._command = command(settings, folder)
        self.started = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stderr=log)

    def page(self, path: str) -> str | None:
        """What a page says; None: it is not there, or not well."""
        self.check()
        return page(self._address, path)

    def metrics(self) -> Counter[str]:
        """Each metric's sum over its labels, by its name without `s2s_bridge_`."""
        sums: Counter[str] = Counter()
        for line in (self.page("/metrics") or "").splitlines():
            if line.startswith("s2s_bridge_"):
                name, _, value = line.removeprefix("s2s_bridge_").rpartition(" ")
                sums[name.partition("{")[0]] += float(value)
        return sums

    def memory(self) -> int:
        """Bytes of resident memory, now."""
        return memory(self._process.pid, "VmRSS")

    def peak(self) -> int:
        """Bytes of resident memory at its highest."""
        return memory(self._process.pid)

    def threads(self) -> dict[str, float]:
        """Processor seconds of each thread alive, by its name and number, and of the whole process: `all`."""
        proc = Path(f"/proc/{self._process.pid}")
        seconds = {"all": processor_time(proc / "stat")}
        for task in (proc / "task").iterdir():
            try:
                seconds[f"{(task / 'comm').read_text().strip()} {task.name}"] = processor_time(task / "stat")
            except OSError:  # it has ended
                continue
        return seconds

    def logged(self, event: str) -> list[dict]:
        """The lines of its log about one kind of action."""
        return logged(self._log, event)

    def check(self) -> None:
        """Ends the bench where the bridge has ended."""
        if self._process.poll() is not None:
            raise failure(self._command, self._process.returncode, self._log)

    def stop(self) -> None:
        """As its user stops it; the hard way after 40 s."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(40)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def running(settings: dict[str, object], folder: Path) -> Iterator[Bridge]:
    """A bridge that was just started; it is stopped at the end."""
    bridge = Bridge(settings, folder)
    try:
        yield bridge
    finally:
        bridge.stop()
