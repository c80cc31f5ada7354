"""A bridge in the middle of a lively day, without its threads: what its page shows, for tests and pictures.

Everything is made by the product's own parts on a clock that stands: a spool with sealed runs, a ledger with
deliveries and failures, a replay, metrics and health. It follows from the seed of the random numbers alone.
"""

import random
from dataclasses import replace
from pathlib import Path
from typing import Self

from bridge.audience.audience import Audience
from bridge.audience.names import series_of
from bridge.clock import DAY, HOUR, MINUTE, SECOND
from bridge.config import Config, load
from bridge.deliver.file_state import FileState
from bridge.deliver.ledger import Ledger
from bridge.deliver.records import FileRecord, Outcome
from bridge.deliver.records import Progress as Delivered
from bridge.observe.health import Health
from bridge.observe.http import HttpServer, pages
from bridge.observe.metrics import Metrics
from bridge.service.expected import expect
from bridge.service.identity import FOLDER
from bridge.service.opening import LEDGER
from bridge.service.page.front import FrontPage
from bridge.spool.replays import ReplayState
from bridge.spool.spool import Spool
from bridge.sync.table.table import Table
from bridge.translation.progress import Progress
from bridge.translation.turn import Tally
from tests.parts.audiences import frame
from tests.parts.clocks import HandClock
from tests.parts.delivering import user_id
from tests.parts.identity import TOPIC, Told, window

NOW = 1_793_534_400_000 + 2 * HOUR + 17 * MINUTE + 41 * SECOND
"""2026-11-01T14:17:41Z."""

CONFIGURATION = """\
kafka: {bootstrap_servers: "kafka:9092"}
spool: {directory: spool, max_bytes: 20GB}
accounts:
  - name: display
    agency: Agency
    partner: EP
    quota: {files_per_hour: 20}
    sftp: {host: sftp.example.com, username: agency, password_file: password, host_key: ssh-ed25519 AAAA}
  - name: mobile
    agency: Agency
    partner: EP-Mobile
    sftp: {host: sftp.example.com, username: mobile, password_file: password, host_key: ssh-ed25519 AAAA}
streams:
  - {name: acme, topics: [acme.segments], format: json, segment_namespace: ep, client: Acme,
     account: {display: display, mobile: mobile}}
  - {name: globex, topics: [globex.segments], format: json, segment_namespace: ep, client: Globex,
     account: {display: display, mobile: mobile}}
  - {name: initech, topics: [initech.segments], format: json, segment_namespace: ep, client: Initech,
     account: {display: display, mobile: mobile}}
  - {name: umbrella, topics: [umbrella.segments], format: json, segment_namespace: ep, client: Umbrella,
     account: display, inventory: display, identify: {from: umbrella}}
  - {name: everyone, topics: ["^everyone[.].*"], format: json, segment_namespace: ep, hash_segments: true,
     user_namespace: partner, user_table_id: "42", account: display, inventory: display}
"""

NEWS = 3
"""So many of the newest files of an account the platform has not told of yet."""

FAILURE = (
    "sftp sftp.example.com:2222: the log-in was refused; check username and password_file or private_key_file"
)


class Lively:
    """The scene; `serve` its page."""

    def __init__(self, directory: Path, *, seed: int = 1, troubled: bool = True) -> None:
        """`troubled`: one account's uploads fail."""
        (directory / "bridge.yaml").write_text(CONFIGURATION)
        self.config: Config = load(directory / "bridge.yaml", {})
        self.clock = HandClock(NOW - 9 * HOUR)
        self.dice = random.Random(seed)
        self.health = Health(lambda: True)
        self.metrics = Metrics(self.health)
        expect(self.metrics, self.config, self.clock)
        streams = [stream for stream in self.config.streams if stream.identify is None]
        self.audiences = [one for stream in streams for one in stream.audiences()]
        self.front = FrontPage(self.config, self.health, self.metrics, self.clock)
        self.clock.move_to(NOW - 5 * MINUTE)
        self.spool = Spool.open(self.config.spool.directory, clock=self.clock)
        self.front.opened = self.spool
        self.ledger = Ledger.create(self.config.spool.directory / LEDGER, self.spool.id, NOW - 3 * DAY)
        with self.ledger._database.reading() as connection:
            connection.execute("PRAGMA synchronous = OFF")  # hundreds of steps that nobody has to keep
        self._deliver("display", every=11 * MINUTE, size=38_000_000)
        self._deliver("mobile", every=19 * MINUTE, size=21_000_000)
        for number in range(18):
            whose = self.of("display")[number % 3]
            self.upload(
                whose,
                NOW - 15 * MINUTE + number * 40 * SECOND,
                self.dice.randint(2_000_000, 40_000_000),
                Outcome.UPLOADED,
            )
        self._confirm()
        self._replay()
        self._wait()
        self._translate()
        if troubled:
            self._fail()
        self._count()
        for thread in ("ingest", "housekeeping", "deliver display", "deliver mobile"):
            self.health.beat(thread, NOW)
        self.clock.move_to(NOW)

    def serve(self, listen: str = "127.0.0.1:0") -> HttpServer:
        """The bridge's pages, on a free port or this address."""
        return HttpServer(listen, pages(self.health, self.metrics.text, self.clock) | {"/": self.front})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ledger.close()

    def of(self, account: str) -> list[Audience]:
        """The audiences of an account."""
        return [one for one in self.audiences if one.account == account]

    def upload(
        self, audience: Audience, at: int, size: int, outcome: Outcome, detail: str = "", **more
    ) -> str:
        """A file of an audience, and how an attempt of it ended; its name."""
        account = self.config.account(audience.account)
        series = series_of(account.agency, account.partner, audience.client)
        name = str(self.ledger.reserve_name(series, at))
        memberships = size // 7
        progress = Delivered(start="", stop=None, run=1, newest_event_time=at, removals_only=False)
        file = FileRecord(
            name=name,
            audience=audience,
            state=FileState.BUILT,
            path=f"files/{name}",
            bytes=size,
            lines=memberships // 3,
            memberships=memberships,
            sha256="ab" * 32,
            created_at=at,
            uploaded_at=None,
            detail="",
            progress=replace(progress, **more),
        )
        self.ledger.add_file(file)
        self.attempt(name, at, outcome, detail)
        return name

    def attempt(self, name: str, at: int, outcome: Outcome, detail: str = "") -> None:
        """One of a file that is there."""
        begun = self.ledger.begin_attempt(name, at, 0, lambda _: True)
        assert begun is not None
        self.ledger.end_attempt(begun, at + 20 * SECOND, outcome, detail)

    def _deliver(self, account: str, *, every: int, size: int) -> None:
        """Files since yesterday evening, more by day than by night."""
        at, audiences = NOW - NOW % DAY - 2 * HOUR, self.of(account)
        while at < NOW - every:
            by_day = 1.4 if 7 <= at % DAY // HOUR <= 21 else 0.6
            whose = self.dice.choice(audiences)
            self.upload(
                whose, at + 2 * MINUTE, int(size * by_day * self.dice.uniform(0.4, 1.5)), Outcome.UPLOADED
            )
            at += int(every * self.dice.uniform(0.7, 1.3))
        self.ledger.set_skew(account, self.dice.randint(-900, 900))

    def _confirm(self) -> None:
        """The platform has told of all files but the newest."""
        for account in ("display", "mobile"):
            for file in self.ledger.files(account, limit=1_000)[NEWS:]:
                self.ledger.confirm(
                    file.name,
                    processed_at=file.created_at + 5 * MINUTE,
                    lines_accepted=file.lines,
                    lines_refused=0,
                )

    def _replay(self) -> None:
        whose = self.of("display")[0]
        replay = self.spool.replays.create(
            name="october-outage",
            now=NOW - 3 * HOUR,
            until=None,
            past_horizon=True,
            parameters={"asked": {"from": NOW - 12 * DAY, "to": NOW - 11 * DAY}},
        )
        shard = frame(whose, [(user, 1, 0, NOW - 11 * DAY, 0, 0, user) for user in range(21_480)])
        replay.store.seal(
            shards={whose: shard}, oldest_read_at={whose: NOW - 3 * HOUR}, positions=(), now=NOW
        )
        self.spool.replays.move_on(replay, ReplayState.READ)
        for hours in (2, 1):
            run = replay.runs()[0].number
            stop = user_id(6_000 if hours == 2 else 12_000).replace("-", "")
            self.upload(
                whose, NOW - hours * HOUR, 9_000_000, Outcome.UPLOADED, replay=replay.id, run=run, stop=stop
            )

    def _wait(self) -> None:
        """Runs that are not delivered: those of the account that fails have waited longer."""
        for account, minutes in (
            ("mobile", 44),
            ("mobile", 21),
            ("display", 16),
            ("display", 9),
            ("display", 3),
        ):
            shards = {}
            for audience in self.dice.sample(self.of(account), 2):
                rows = range(self.dice.randint(300, 9_000))
                shards[audience] = frame(audience, [(user, 1, 0, NOW - HOUR, 0, 0, user) for user in rows])
            read_at = NOW - minutes * MINUTE
            self.spool.seal(
                shards=shards, oldest_read_at=dict.fromkeys(shards, read_at), positions=(), now=read_at
            )

    def _translate(self) -> None:
        """Partner ids: some are translated, some are kept, some wait; and a table of mappings."""
        (target,) = self.config.streams[3].audiences()
        source = replace(target, user_namespace="umbrella", unresolved=True)
        for minutes, users in ((31, 2_840), (4, 1_204)):
            read_at = NOW - minutes * MINUTE
            rows = frame(source, [(user, 1, 0, read_at, 0, 0, user) for user in range(users)])
            run = self.spool.seal(
                shards={source: rows}, oldest_read_at={source: read_at}, positions=(), now=read_at
            )
            if minutes > 15:  # they were due
                done = Progress(run=run.number, known_at=read_at)
                self.spool.seal(shards={}, oldest_read_at={}, positions=done.positions(), now=read_at)
        with Table.open(self.config.spool.directory / FOLDER, clock=self.clock) as table:
            table.restart(TOPIC, NOW)
            told = [Told(f"u{user}", user, NOW, namespace="umbrella") for user in range(1, 40_001)]
            table.append(window(told), {0: len(told)}, NOW - 4 * SECOND)
            table.completed(NOW - 7 * SECOND)
        translation = self.metrics.translation
        translation.translated("umbrella", Tally(matched=481_220, unmatched=305_117, found=22_934))
        translation.table(self.spool.usage(), complete_at=NOW - 7 * SECOND, caught_up=True, skipped={})

    def _fail(self) -> None:
        name = self.upload(self.of("mobile")[0], NOW - 9 * MINUTE, 18_300_000, Outcome.GIVEN_BACK, FAILURE)
        for minutes in (8, 6, 1):
            self.attempt(name, NOW - minutes * MINUTE, Outcome.GIVEN_BACK, FAILURE)

    def _count(self) -> None:
        """What the process has counted, with a look in between for the rates."""
        ingest, rates = (
            self.metrics.ingest,
            {"acme": 412, "globex": 96, "initech": 7, "umbrella": 23, "everyone": 188},
        )
        for stream, rate in rates.items():
            ingest.consumed(stream, rate * 8 * 3600)
            ingest.collected(stream, rate * 8 * 3600 * 2)
        ingest.sealed(4, 0)
        for stream, reason, events in (
            ("acme", "invalid_user_id", 1204),
            ("globex", "invalid_user_id", 31),
            ("globex", "zero_device_id", 18_220),
            ("initech", "undecodable", 3),
        ):
            ingest.refused(stream, reason, events)
        self.front.seen()
        for stream, rate in rates.items():
            ingest.consumed(stream, rate * 300)
        for topic, behind in (("acme.segments", 890), ("globex.segments", 0), ("everyone.eu", 120)):
            ingest.lag(topic, 0, behind)
        ingest.assigned(assigned=True)
        self.metrics.spool.used(7_340_000_000)
