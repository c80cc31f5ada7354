"""Child processes and what they used."""

import os
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

LOOK = 0.02  # seconds between two looks


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a run took."""

    started: float
    """Epoch seconds of its start."""
    wall: float
    """Seconds from its start to its end."""
    cpu: float
    """Seconds, user and system, of all processes."""
    peak: int
    """Bytes of resident memory at its highest, all processes added."""
    output: str
    """What it printed; empty if that went to a file."""


def run(
    *commands: list[str],
    stdout: Path | None = None,
    stderr: Path | None = None,
    watch: Callable[[float], None] | None = None,
) -> Usage:
    """Run a pipeline to its end; `watch` is called again and again with the seconds since the start."""
    before, started, start = os.times(), time.time(), time.monotonic()
    output: list[bytes] = []
    processes = _pipeline(commands, stdout, stderr)
    reader = threading.Thread(target=_drain, args=(processes[-1], output))
    reader.start()
    peaks = [0] * len(processes)
    running = True
    while running:
        running = any([process.poll() is None for process in processes])  # noqa: C419  # poll each, always
        peaks = [max(peak, memory(process.pid)) for peak, process in zip(peaks, processes, strict=True)]
        if watch:
            watch(time.monotonic() - start)
        time.sleep(LOOK if running else 0)
    wall = time.monotonic() - start
    reader.join()
    for command, process in zip(commands, processes, strict=True):
        if process.returncode:
            raise failure(command, process.returncode, stderr)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Usage(started=started, wall=wall, cpu=cpu, peak=sum(peaks), output=b"".join(output).decode())


def _pipeline(
    commands: tuple[list[str], ...], stdout: Path | None, stderr: Path | None
) -> list[subprocess.Popen[bytes]]:
    processes: list[subprocess.Popen[bytes]] = []
    with ExitStack() as stack:
        file = stack.enter_context((stdout or Path(os.devnull)).open("wb"))
        errors = stack.enter_context(stderr.open("wb")) if stderr else None
        for number, command in enumerate(commands, start=1):
            source = processes[-1].stdout if processes else subprocess.DEVNULL
            target = file if stdout and number == len(commands) else subprocess.PIPE
            processes.append(subprocess.Popen(command, stdin=source, stdout=target, stderr=errors))
            if len(processes) > 1:
                processes[-2].stdout.close()  # so that a writer notices when its reader ends
    return processes


def _drain(process: subprocess.Popen[bytes], output: list[bytes]) -> None:
    if process.stdout is not None:
        with process.stdout as stream:
            output.append(stream.read())


def memory(pid: int, name: str = "VmHWM") -> int:
    """Bytes of a process that are resident now (VmRSS) or were at its highest (VmHWM); 0: it has ended.

    The highest is the kernel's own record: nothing between two looks is missed.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)


def processor_time(stat: Path) -> float:
    """User and system seconds in a stat file of the kernel's; the name in it may hold spaces."""
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def failure(command: list[str], code: int, log: Path | None) -> SystemExit:
    """What ends the bench where a child ended that should not have; the end of its log stands in it."""
    said = log.read_text(errors="replace")[-2000:] if log else ""
    return SystemExit(f"bench: {' '.join(command)} ended with {code}\n{said}")
