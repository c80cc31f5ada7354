"""Replays in the spool: history that is read again, kept apart from the live runs.

    SPOOL/replays/NAME-ID/replay.json    what it is      SPOOL/replays/NAME-ID/*.run    what was read

Its runs hold positions too, which are the replay's own checkpoint: no consumer group ever starts from them.
Nothing of a replay is delivered before all of it is read, as what was read last may decide about the first.
"""

import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

import msgspec
import polars as pl
import structlog

from bridge.audience.audience import Audience
from bridge.errors import BridgeError
from bridge.spool.disk import SpoolFailed, fatal, refusals, size_of, write_durably
from bridge.spool.folder import RunFolder
from bridge.spool.footer import Position, PositionKey, newest
from bridge.spool.run import Run, RunDamaged
from bridge.spool.store import RunStore, Tools
from bridge.spool.upkeep import MOST_RUNS, plan_merge, summary

log = structlog.get_logger()

_RECORD = "replay.json"

DRY_RUN = "dry_run"
"""What a dry run is called, before a name that it was given: no other replay's name has an underscore."""


class ReplayState(StrEnum):
    """Where a replay is. How far a read one is delivered is the ledger's to know."""

    READING = "reading"
    """Not all of it is read."""
    READ = "read"
    """All is read: it may be delivered."""
    CANCELLED = "cancelled"
    """No more of it is to be delivered; what was delivered is history."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayRecord:
    """What a replay is; stands in its folder."""

    id: str
    """Its name and a few drawn characters: unlike any other's."""
    name: str
    """What its user calls it; two unfinished ones never have the same."""
    state: ReplayState
    """Where it is."""
    created_at: int
    """Epoch ms."""
    until: int | None
    """Rows of events from this instant (epoch ms) on are not sent, but decide; None: all are to be sent."""
    past_horizon: bool
    """The horizon of live runs does not limit its adds: all that topics hold and is newer was read too."""
    parameters: Mapping[str, object]
    """What was asked for and found at the start, as JSON has it: it goes on only with the same."""
    forced: bool = False
    """Its adds are sent however old they are: the operator has decided so."""
    only_copy: bool = False
    """What it has read is gone from where it was: it is never given up before it is sent."""


class ReplayStore(RunStore):
    """The runs of one replay. Who seals them holds the replay's lock, and so merges them too."""

    def seal(
        self,
        *,
        shards: Mapping[Audience, pl.DataFrame],
        oldest_read_at: Mapping[Audience, int],
        positions: Iterable[Position],
        now: int,
        publish_dead_letters: Callable[[int], None] | None = None,
    ) -> Run:
        """As `RunStore.seal`; the cheapest neighbours are merged where the runs become too many."""
        run = super().seal(
            shards=shards,
            oldest_read_at=oldest_read_at,
            positions=positions,
            now=now,
            publish_dead_letters=publish_dead_letters,
        )
        runs = self.runs()
        if len(runs) > MOST_RUNS:
            chosen = plan_merge([summary(one) for one in runs], now=now, settled_after=-1, retention=now)
            self.merge([one for one in runs if one.number in (chosen or ())])
        return run


class Replay:
    """One replay and its runs."""

    def __init__(self, record: ReplayRecord, directory: Path, tools: Tools) -> None:
        self.record = record
        """What it is."""
        self.directory = directory
        """Its folder."""
        self.store = ReplayStore(directory, tools, record.id)
        """Its runs; who writes them holds the lock `replay-NAME`."""

    @property
    def id(self) -> str:
        """Unlike any other's."""
        return self.record.id

    def runs(self) -> tuple[Run, ...]:
        """As `RunStore.runs`; none where the replay has been removed meanwhile."""
        try:
            return self.store.runs()
        except SpoolFailed:
            if self.directory.exists():
                raise
            return ()

    def positions(self) -> Mapping[PositionKey, Position]:
        """How far it has read each partition or file: where it goes on.

        Raises:
            RunDamaged: A footer is not what was written.
        """
        return newest(position for run in self.runs() for position in run.footer.positions)


class Replays:
    """All replays of a spool."""

    def __init__(self, directory: Path, tools: Tools) -> None:
        """`directory` is there already."""
        self._directory = directory
        self._tools = tools
        self._known: dict[str, Replay] = {}

    def all(self) -> tuple[Replay, ...]:
        """Every replay, the oldest first, those of other processes too.

        Raises:
            BridgeError: A record cannot be read; the message names the file.
        """
        found: dict[str, Replay] = {}
        for directory in self._folders():
            record = _read(directory / _RECORD)
            if record is not None:
                replay = self._known.get(record.id) or Replay(record, directory, self._tools)
                replay.record = record
                found[record.id] = replay
        self._known = found
        return tuple(sorted(found.values(), key=lambda replay: (replay.record.created_at, replay.id)))

    def create(
        self,
        *,
        name: str,
        now: int,
        until: int | None,
        past_horizon: bool,
        parameters: Mapping[str, object],
        forced: bool = False,
        only_copy: bool = False,
    ) -> Replay:
        """A new replay, to be read. The caller holds the lock `replay-NAME`.

        Raises:
            SpoolFull: There is no room.
            SpoolFailed: The disk failed.
        """
        record = ReplayRecord(
            id=f"{name}-{uuid.uuid4().hex[:8]}",
            name=name,
            state=ReplayState.READING,
            created_at=now,
            until=until,
            past_horizon=past_horizon,
            parameters=parameters,
            forced=forced,
            only_copy=only_copy,
        )
        directory = self._directory / record.id
        with self._tools.writing(), self._tools.numbering():  # so that no one takes it for a leftover
            with refusals(directory):
                directory.mkdir(mode=0o700)
            with fatal(self._directory):
                self._tools.disk.fsync_folder(self._directory)
            self._write(directory, record)
        return Replay(record, directory, self._tools)

    def move_on(self, replay: Replay, state: ReplayState) -> None:
        """The replay is in this state, durably.

        Raises:
            SpoolFull: There is no room.
            SpoolFailed: The disk failed.
        """
        self._change(replay, state=state)
        log.info("replay_moved_on", replay=replay.id, state=state)

    def leave_to_history(self, replay: Replay) -> None:
        """The horizon limits the replay like any other, durably: what it would be judged by has to go.

        Raises:
            SpoolFull: There is no room.
            SpoolFailed: The disk failed.
        """
        self._change(replay, past_horizon=False)
        log.warning("replay_limited", replay=replay.id, reason="history since it began makes room")

    def remove(self, replay: Replay) -> None:
        """The replay is gone. Of one that was delivered the caller has noted the horizon before.

        Raises:
            SpoolFailed: The disk failed.
        """
        with self._tools.writing(), self._tools.numbering():  # as above
            self._tools.unlink(replay.directory / _RECORD)  # from here on it is a leftover
            with fatal(replay.directory):
                self._tools.disk.fsync_folder(replay.directory)
            self._remove(replay.directory)
        log.info("replay_removed", replay=replay.id)

    def discard(self, replay: Replay) -> None:
        """As `remove`, of one that may be gone already."""
        if replay.directory.exists():
            self.remove(replay)

    def clean_up(self) -> None:
        """Removes what a creation or a removal that died has left. Only under the lock `numbers`."""
        for directory in self._folders():
            if not (directory / _RECORD).exists():
                self._remove(directory)
                continue
            try:
                leftovers = RunFolder(directory).leftovers()
            except RunDamaged as damage:  # whoever delivers or resumes it tells; nothing else stops for it
                log.error("replay_damaged", replay=directory.name, reason=str(damage))
                continue
            for path in leftovers:
                self._tools.unlink(path)

    def usage(self) -> int:
        """Bytes of all replays."""
        return size_of(self._directory)

    def highest(self) -> int:
        """The largest run number in any replay; 0 without one."""
        return max((RunFolder(directory).highest() for directory in self._folders()), default=0)

    def _change(self, replay: Replay, **changes: object) -> None:
        """Under the lock, as another process may change something else of the same record."""
        with self._tools.writing(), self._tools.numbering():
            record = _read(replay.directory / _RECORD) or replay.record
            record = replace(record, **changes)  # type: ignore[arg-type]  # fields of it
            self._write(replay.directory, record)
        replay.record = record

    def _folders(self) -> Iterable[Path]:
        with refusals(self._directory):
            return [path for path in self._directory.iterdir() if path.is_dir()]

    def _write(self, directory: Path, record: ReplayRecord) -> None:
        data = msgspec.json.encode(asdict(record))
        write_durably(self._tools.disk, self._tools.temporary, directory / _RECORD, data)

    def _remove(self, directory: Path) -> None:
        with refusals(directory):
            shutil.rmtree(directory)
        with fatal(self._directory):
            self._tools.disk.fsync_folder(self._directory)


def _read(path: Path) -> ReplayRecord | None:
    """The record; None where it is not there, or no longer."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=ReplayRecord)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise BridgeError(
            f"{path} cannot be read: if a newer s2s-bridge wrote it, run that version; else bring it back "
            f"from a copy, or remove its folder and replay again"
        ) from error
