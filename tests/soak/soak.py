"""One soak, from its seed to its verdict."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.soak import judge, report, truth
from tests.soak.draining import drain
from tests.soak.feed import Feed
from tests.soak.flat import courses
from tests.soak.incidents import Incidents
from tests.soak.judge import Finding
from tests.soak.plan import draw
from tests.soak.samples import Sampler
from tests.soak.site import Site
from tests.soak.witness import Witness

Say = Callable[[str], object]


@dataclass(frozen=True, kw_only=True)
class Soak:
    """What to do."""

    seconds: float
    """How long events come and things happen."""
    seed: int
    rate: int
    """Events a second."""

    @property
    def step(self) -> float:
        """Seconds of a row of the report."""
        return max(10.0, min(60.0, self.seconds / 10))


class Part(Protocol):
    """Something that works in a thread of its own."""

    def start(self) -> None: ...

    def stop(self) -> object: ...


def soak(asked: Soak, directory: Path, say: Say) -> list[Finding]:
    """Everything, in `directory`; what each invariant came to."""
    with _site(directory, asked) as site:
        sampler, incidents, witness = _soak(asked, site, say)
        stored = truth.read(site.kafka)
        drained, raised_at = drain(site, stored)
        site.platform.stop()
        arrivals, lives = site.platform.arrivals, site.keeper.lives
        grown = courses(sampler.samples, site.retention)
        for line in (*report.series(sampler.samples, asked.step), "", *report.flatness(grown), ""):
            say(line)
        findings = [
            judge.nothing_lost(site, stored),
            judge.refused(site, stored),
            judge.durable(witness.looks, witness.faults),
            judge.ledger_agrees(site),
            judge.quotas(site, raised_at),
            judge.files_keep_the_rules(arrivals),
            judge.repeats(arrivals, incidents),
            judge.bounded(grown),
            judge.tidy(site),
            drained,
            judge.silent(site, stored, sampler.ids),
            judge.ends(lives),
        ]
        for line in report.verdicts(findings):
            say(line)
        return findings


def _soak(asked: Soak, site: Site, say: Say) -> tuple[Sampler, int, Witness]:
    """The time in which things happen; at its end all parts are well, and every event is stored."""
    feed = Feed(site.kafka, asked.seed, asked.rate, asked.seconds)
    sampler, witness = Sampler(site, lambda: feed.produced), Witness(site)
    incidents = Incidents(site, draw(asked.seed, asked.seconds), say)
    site.platform.start()
    site.keeper.start()
    with _well() as failures, _running(witness, sampler, feed, incidents):
        time.sleep(asked.seconds)
    if failed := [*incidents.failures, *failures]:
        raise failed[0]
    return sampler, len(incidents.happened), witness


@contextmanager
def _site(directory: Path, asked: Soak) -> Iterator[Site]:
    site = Site(directory, asked.seconds)
    try:
        yield site
    finally:
        site.close()


@contextmanager
def _well() -> Iterator[list[BaseException]]:
    """What threads end with: one that has stopped looking has nothing to complain of."""
    failures: list[BaseException] = []
    before = threading.excepthook

    def note(told: threading.ExceptHookArgs) -> None:
        failures.append(told.exc_value or RuntimeError(str(told.exc_type)))
        before(told)

    threading.excepthook = note
    try:
        yield failures
    finally:
        threading.excepthook = before


@contextmanager
def _running(*parts: Part) -> Iterator[None]:
    with ExitStack() as stack:
        for part in parts:
            stack.callback(part.stop)
            part.start()
        yield
