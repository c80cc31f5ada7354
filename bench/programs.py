"""The programs that read the same loaded topic from its beginning to its end: the bridge and its peers.

The peers do less. The bridge's time runs from its assignment (/readyz; just before its first message) to the
rename of its last file on the server; that of its ingest alone to the last `run_sealed` of its log.
"""

import json
import shutil
import sys
from datetime import datetime
from functools import partial

from bench import child
from bench.measure import run
from bench.produce import SCHEMA, TOPIC
from bench.replaying import replay
from bench.result import Load, Result
from bench.scene import configuration, server, temporary
from bench.watching import Watch
from tests.parts.kafka import Kafka
from tests.parts.waiting import free_port

LARGE = ("-X", "queued.min.messages=10000000", "-X", "queued.max.messages.kbytes=2000000")


def kcat(kafka: Kafka, load: Load, name: str, options: tuple[str, ...] = ()) -> Result:
    """The bytes alone, copied into gzip; its time is the whole process's, which starts in no time."""
    command = ["kcat", "-C", "-e", "-q", "-o", "beginning", *options, "-b", kafka.bootstrap, "-t", TOPIC]
    with temporary() as folder:
        output = folder / "copy.gz"
        usage = run(command, ["gzip", "-1"], stdout=output)
        size = output.stat().st_size
    return Result(name=name, events=load.events, seconds=usage.wall, usage=usage, size=size)


def bare(kafka: Kafka, load: Load, name: str, options: tuple[str, ...] = ()) -> Result:
    """bench/bare.py: messages read and thrown away; no output."""
    usage = run([*_script("bench.bare", kafka, load), *options])
    seconds = json.loads(usage.output)["seconds"]
    return Result(name=name, events=load.events, seconds=seconds, usage=usage, size=0)


def obvious(kafka: Kafka, load: Load, name: str) -> Result:
    """bench/obvious.py on all of the events: it slows as it grows."""
    with temporary() as folder:
        output = folder / "obvious.gz"
        usage = run([*_script("bench.obvious", kafka, load), str(SCHEMA), str(output)])
        seconds, size = json.loads(usage.output)["seconds"], output.stat().st_size
    return Result(name=name, events=load.events, seconds=seconds, usage=usage, size=size)


def _script(module: str, kafka: Kafka, load: Load) -> list[str]:
    load_arguments = [kafka.bootstrap, TOPIC, str(load.partitions), str(load.events)]
    return [sys.executable, "-m", module, *load_arguments]


def bridge(kafka: Kafka, load: Load, **changes: dict[str, object]) -> Result:
    """`s2s-bridge run --until-end` to a real sshd; `changes` are those of `configuration`."""
    with server() as sshd, temporary() as folder:
        settings, log = configuration(kafka, sshd, folder, free_port(), **changes), folder / "bridge.log"
        watch = Watch(address=settings["http"]["listen"], root=sshd.root)
        usage = run([*child.command(settings, folder), "--until-end"], watch=watch, stderr=log)
        sealed, uploaded = child.logged(log, "run_sealed"), child.logged(log, "file_uploaded")
        size = sum(path.stat().st_size for path in sshd.files())
    if not watch.landed:
        raise SystemExit("bench: the bridge ended without a file on the server")
    if watch.ready is None:
        print("bench: /readyz did not answer: the bridge's time includes its start", file=sys.stderr)
    ready = watch.ready or 0.0
    last = max(datetime.fromisoformat(line["timestamp"]).timestamp() for line in sealed)
    return Result(
        name="s2s-bridge",
        events=load.events,
        seconds=max(watch.landed.values()) - ready,
        usage=usage,
        size=size,
        ingest=last - usage.started - ready,
        uploads=sum(line["seconds"] for line in uploaded),
        memberships=sum(line["memberships"] for line in uploaded),
    )


def missing(program: str) -> str | None:
    """Why this program cannot run here; None: nothing is missing."""
    return "kcat is missing" if program.startswith("kcat") and not shutil.which("kcat") else None


PROGRAMS = {
    "kcat": partial(kcat, name="kcat into gzip -1"),
    "kcat-large": partial(kcat, name="kcat, large queues, into gzip -1", options=LARGE),
    "bare": partial(bare, name="consume() alone"),
    "bare-no-gc": partial(bare, name="consume() alone, gc off", options=("--no-gc",)),
    "obvious": partial(obvious, name="the obvious program"),
    "bridge": bridge,
    "replay": partial(replay, name="s2s-bridge replay"),
    "replay-history": partial(replay, name="s2s-bridge replay, 10 M delivered", history=10_000_000),
}
