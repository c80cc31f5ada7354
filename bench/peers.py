"""What the bridge is measured against: each reads the same topic from beginning to end, and does less."""

import json
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

from bench.measure import run
from bench.produce import TOPIC
from bench.result import Load, Result
from tests.parts.kafka import Kafka

FOLDER = Path(__file__).parent
LARGE = ("-X", "queued.min.messages=10000000", "-X", "queued.max.messages.kbytes=2000000")


def kcat(kafka: Kafka, load: Load, name: str, options: tuple[str, ...] = ()) -> Result:
    """The bytes alone, copied into gzip; its time is the whole process's, which starts in no time."""
    command = ["kcat", "-C", "-e", "-q", "-o", "beginning", *options, "-b", kafka.bootstrap, "-t", TOPIC]
    with tempfile.TemporaryDirectory(prefix="s2s-bench-") as folder:
        output = Path(folder) / "copy.gz"
        usage = run(command, ["gzip", "-1"], stdout=output)
        size = output.stat().st_size
    return Result(name=name, events=load.events, seconds=usage.wall, usage=usage, size=size)


def bare(kafka: Kafka, load: Load, name: str, options: tuple[str, ...] = ()) -> Result:
    """bench/bare.py: messages read and thrown away; no output."""
    usage = run([*_script("bare.py", kafka, load), *options])
    seconds = json.loads(usage.output)["seconds"]
    return Result(name=name, events=load.events, seconds=seconds, usage=usage, size=0)


def obvious(kafka: Kafka, load: Load, name: str) -> Result:
    """bench/obvious.py on all of the events: it slows as it grows."""
    with tempfile.TemporaryDirectory(prefix="s2s-bench-") as folder:
        output = Path(folder) / "obvious.gz"
        usage = run([*_script("obvious.py", kafka, load), str(output)])
        seconds, size = json.loads(usage.output)["seconds"], output.stat().st_size
    return Result(name=name, events=load.events, seconds=seconds, usage=usage, size=size)


def _script(name: str, kafka: Kafka, load: Load) -> list[str]:
    return [
        sys.executable,
        str(FOLDER / name),
        kafka.bootstrap,
        TOPIC,
        str(load.partitions),
        str(load.events),
    ]


def missing(peer: str) -> str | None:
    """Why this peer cannot run here; None: nothing is missing."""
    return "kcat is missing" if peer.startswith("kcat") and not shutil.which("kcat") else None


PEERS = {
    "kcat": partial(kcat, name="kcat into gzip -1"),
    "kcat-large": partial(kcat, name="kcat, large queues, into gzip -1", options=LARGE),
    "bare": partial(bare, name="consume() alone"),
    "bare-no-gc": partial(bare, name="consume() alone, gc off", options=("--no-gc",)),
    "obvious": partial(obvious, name="the obvious program"),
}
