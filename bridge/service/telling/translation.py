"""What is told of streams whose users are translated: what waits, what is kept, and the identity table.

All of it is from the footers of runs and the table's own files: beside a running bridge, or without one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bridge.audience.audience import Audience
from bridge.clock import SECOND
from bridge.config import Config
from bridge.errors import BridgeError
from bridge.service.identity import FOLDER, topic_of
from bridge.spool.footer import AudienceStatistics
from bridge.spool.run import Run
from bridge.sync.table import ends, looking
from bridge.sync.table.contents import Contents
from bridge.translation.due import Waits, due_at
from bridge.translation.progress import Progress
from bridge.translation.shelf import unresolved
from bridge.units import iso_or_none, plural

REMEDY = "give their stream its identify again; they stay until then, or until the spool is emptied"
"""Of memberships that nobody translates."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamTranslation:
    """A stream whose users are translated."""

    stream: str
    """Its name."""
    namespace: str
    """Whose ids its events carry."""
    park: int
    """How long rows are kept for users who are not known yet, ms."""
    waiting: int
    """Rows that are not translated yet, before they are merged."""
    oldest_read_at: int | None
    """When the oldest of them was read; None: none wait."""
    kept: int
    """Rows that were translated as far as their users were known, and are kept for those who were not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableStatus:
    """The identity table, as its files are."""

    topic: str
    """Name of the topic that it is of."""
    known_at: int | None
    """When its newest batch was taken; None: it holds nothing yet."""
    rows: int
    """Mappings and opt-outs; those of one id told again are counted again until they are merged."""
    bytes: int
    """Of its slabs."""
    complete: bool
    """It has held all of its topic once: before that nothing is translated."""
    complete_at: int | None
    """When it last did; None: it does not yet, or nobody has told."""
    trouble: str
    """Why it cannot be told of, or empty."""

    def is_behind(self, now: int) -> bool:
        """It is not what its topic was a little while ago: what its users did since is not heard of."""
        return ends.is_behind(self.complete_at, now)


@dataclass(frozen=True, kw_only=True, slots=True)
class Translation:
    """How far the translation of partner ids is."""

    run: int
    """Every run up to this one is translated, as far as users were known."""
    known_at: int | None
    """By the table as it was at this batch of it; None: there was no turn yet."""
    due_at: int | None
    """When there is a turn for what waits; None: nothing waits."""
    streams: tuple[StreamTranslation, ...]
    """In the order of the configuration."""
    table: TableStatus
    """The table."""

    def to_json(self, now: int) -> dict[str, object]:
        """`translation` in the JSON."""
        return {
            "translated_run": self.run,
            "known_at": iso_or_none(self.known_at),
            "due_at": iso_or_none(self.due_at),
            "streams": [_stream_json(one, now) for one in self.streams],
            "table": {
                "topic": self.table.topic,
                "known_at": iso_or_none(self.table.known_at),
                "rows": self.table.rows,
                "bytes": self.table.bytes,
                "complete": self.table.complete,
                "complete_at": iso_or_none(self.table.complete_at),
                "behind": self.table.is_behind(now),
                "trouble": self.table.trouble or None,
            },
        }


def translation(config: Config, runs: Sequence[Run]) -> Translation | None:
    """How far it is, of these live runs; None: no stream has its users translated."""
    topic = topic_of(config)
    if topic is None:
        return None
    done = Progress.of(runs)
    waits = Waits.of(runs, done, done.known_at)
    return Translation(
        run=done.run,
        known_at=done.known_at or None,
        due_at=due_at(waits, config.roll),
        streams=tuple(_streams(config, runs, done)),
        table=_table(config, topic),
    )


def untranslated(config: Config, runs: Sequence[Run]) -> int:
    """Rows that wait to be translated though no stream of the configuration has `identify` any more."""
    if topic_of(config) is not None:
        return 0
    done, held = Progress.of(runs), _held(runs, unresolved(runs))
    return sum(statistics.rows for run, statistics in held if run.number > done.run)


def untranslated_note(config: Config, runs: Sequence[Run]) -> tuple[str, ...]:
    """The same in words; nothing where there are none."""
    rows = untranslated(config, runs)
    text = f"{plural(rows, 'membership')} by partner ids wait, and no stream has identify: {REMEDY}"
    return (text,) if rows else ()


def _streams(config: Config, runs: Sequence[Run], done: Progress) -> Iterator[StreamTranslation]:
    """What several streams collect together is the first one's."""
    left = set(unresolved(runs))
    for stream in config.streams:
        if stream.identify is not None:
            own = left & {source for source, _ in stream.translated()}
            left -= own
            held = list(_held(runs, own))
            waiting = [statistics for run, statistics in held if run.number > done.run]
            yield StreamTranslation(
                stream=stream.name,
                namespace=stream.identify.from_,
                park=stream.identify.park,
                waiting=sum(one.rows for one in waiting),
                oldest_read_at=min((one.oldest_read_at for one in waiting), default=None),
                kept=sum(one.rows for run, one in held if run.number <= done.run),
            )


def _held(runs: Sequence[Run], whose: Iterable[Audience]) -> Iterator[tuple[Run, AudienceStatistics]]:
    """What each run holds of these audiences."""
    wanted = frozenset(whose)
    for run in runs:
        for audience in wanted & run.audiences.keys():
            yield run, run.audiences[audience]


def _table(config: Config, topic: str) -> TableStatus:
    contents, trouble, complete_at = Contents(), "", None
    folder = config.spool.directory / FOLDER
    try:
        contents = looking.known(folder)
        complete_at = ends.read(folder) if contents.complete else None
    except BridgeError as error:
        trouble = str(error)
    slabs = [slab for layer in contents.layers for slab in layer]
    return TableStatus(
        topic=topic,
        known_at=contents.known_at or None,
        rows=sum(slab.rows for slab in slabs),
        bytes=sum(slab.bytes for slab in slabs),
        complete=contents.complete,
        complete_at=complete_at,
        trouble=trouble,
    )


def _stream_json(stream: StreamTranslation, now: int) -> dict[str, object]:
    oldest = stream.oldest_read_at
    return {
        "stream": stream.stream,
        "from": stream.namespace,
        "park_seconds": stream.park // SECOND,
        "pending_memberships": stream.waiting,
        "oldest_pending_seconds": None if oldest is None else max(0, now - oldest) // SECOND,
        "kept_memberships": stream.kept,
    }
