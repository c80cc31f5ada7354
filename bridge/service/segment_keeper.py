"""Keeps what is known of streams' segments up to date: reads their taxonomies again, writes what was seen.

Ingest goes on with the codes that it has meanwhile, and nothing that goes wrong here stops it. A large file
takes seconds to read and the platform may take minutes to answer, so each reading is a call beside this
thread.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Protocol

import structlog

from bridge.clock import HOUR, MINUTE, SECOND
from bridge.config import Config, Stream
from bridge.errors import BridgeError
from bridge.platform.api import CallFailed, Outcome
from bridge.segments import stored
from bridge.segments.codes import Codes
from bridge.segments.reading import codes_of, read_codes
from bridge.segments.seen import Seen, day_of
from bridge.segments.watch import Watch
from bridge.service.outside import Outside
from bridge.service.taxonomies import PlatformTaxonomy
from bridge.spool.disk import write_durably
from bridge.spool.spool import Spool

if TYPE_CHECKING:
    from concurrent.futures import Future

log = structlog.get_logger()

LOOK = 5 * SECOND
"""How often it looks whether a file has changed, ms."""

ASK = HOUR
"""How often the platform is asked, ms; after it has refused, too, as only people can mend that."""

ASK_AGAIN = 5 * MINUTE
"""And after it did not answer."""

WRITE = 5 * MINUTE
"""How often what was seen is written, ms; what a kill takes is that of so long at most, and only counts."""


class _Source(Protocol):
    """Where codes come from."""

    @property
    def name(self) -> str:
        """The file's path, or the taxonomy's id."""
        ...

    def due(self, elapsed: int) -> bool:
        """Whether there may be other codes than before; asked at each look."""
        ...

    def read(self) -> Codes:
        """The codes; this may take long.

        Raises:
            BridgeError: They cannot be had now.
        """
        ...

    def ended(self, elapsed: int, failure: BridgeError | None) -> None:
        """A reading has ended; None: well."""
        ...


class SegmentKeeper:
    """Of all streams that name a taxonomy. Its owner holds the lock for ingest."""

    def __init__(self, config: Config, spool: Spool, outside: Outside, beat: Callable[[int], None]) -> None:
        """Files are read at once; the platform is asked later, as nothing outside may hold a start.

        Raises:
            UsageError: A file has faults, or does not fit its stream, and no earlier version is known.
        """
        self._spool = spool
        self._outside = outside
        self._beat = beat
        self._written: dict[str, Seen] = {}
        self._write_at = outside.clock.elapsed()
        self._under_way: dict[_Source, Future[Codes]] = {}
        self._doubted: dict[_Source, Codes] = {}
        streams = [stream for stream in config.streams if stream.taxonomy is not None]
        self.watches: Mapping[str, Watch] = {stream.name: Watch(self._kept(stream)) for stream in streams}
        """What is known of each stream, by name."""
        self._sources: Mapping[_Source, list[Watch]] = self._fed(streams)
        for source in self._sources:
            if isinstance(source, _File):
                self._begin(source)

    def run(self, stop: Event) -> None:
        """Work until stopped; then what has been told and seen is written, and nothing waited for."""
        clock = self._outside.clock
        while not stop.is_set():
            self._beat(clock.now())
            self.step()
            clock.wait(stop, LOOK)
        for source in tuple(self._under_way):
            self._advance(source)  # of short runs, each would else begin without codes
        self.write()

    def step(self) -> None:
        """Look once."""
        elapsed = self._outside.clock.elapsed()
        for source in self._sources:
            if source in self._under_way:
                self._advance(source)
            elif source.due(elapsed):
                self._under_way[source] = self._outside.calls.begin("taxonomy", partial(_read, source))
        if elapsed >= self._write_at or self._first_unknown():
            self._write_at = elapsed + WRITE
            self.write()

    def write(self) -> None:
        """What has changed since it was last written is on disk; where that fails, the log tells."""
        for name, watch in self.watches.items():
            seen = watch.keep(self._today())
            if seen is self._written.get(name):
                continue
            try:
                path = stored.path_of(self._spool.directory, name)
                # Not by the spool: after a failure of its disk it lets nobody write any more.
                write_durably(self._outside.disk, self._spool.temporary_directory, path, stored.encoded(seen))
            except BridgeError as error:
                log.warning("segments_not_written", stream=name, reason=str(error))
            else:
                self._written[name] = seen

    def _first_unknown(self) -> bool:
        """Whether the record of a stream tells of none, and there are some: then it must not go on so."""
        return any(
            len(watch.seen.unknown) and not len(written.unknown)
            for name, watch in self.watches.items()
            if (written := self._written.get(name)) is not None
        )

    def _today(self) -> int:
        return day_of(self._outside.clock.now())

    def _kept(self, stream: Stream) -> Seen:
        """What was written of a stream; nothing, if that was by another taxonomy, which must not judge it."""
        taxonomy, hashed = str(stream.taxonomy), stream.hash_segments
        try:
            seen = stored.load(stored.path_of(self._spool.directory, stream.name))
        except BridgeError as error:
            log.warning("segments_forgotten", stream=stream.name, reason=str(error))
            seen = None
        if seen is None or not seen.of(taxonomy, hashed=hashed):
            return Seen.nothing(self._today(), hashed=hashed, taxonomy=taxonomy)
        return seen

    def _fed(self, streams: Sequence[Stream]) -> Mapping[_Source, list[Watch]]:
        """Each taxonomy, and the watches of the streams that it is of."""
        sources: dict[tuple[int | Path, bool, str], _Source] = {}
        fed: dict[_Source, list[Watch]] = {}
        for stream in streams:
            taxonomy, hashed = stream.taxonomy, stream.hash_segments
            account = stream.account_for(mobile=stream.inventory == "mobile")
            source: _Source
            if isinstance(taxonomy, Path):
                source = sources.setdefault((taxonomy, hashed, ""), _File(taxonomy, hashed=hashed))
            elif taxonomy is not None:
                asked = _AtPlatform(taxonomy, account, self._outside.taxonomy, hashed=hashed)
                source = sources.setdefault((taxonomy, hashed, account), asked)
            fed.setdefault(source, []).append(self.watches[stream.name])
        return fed

    def _begin(self, file: "_File") -> None:
        """A start needs a file, unless what it held is known from before."""
        try:
            self._know(file, _read(file))
        except BridgeError as error:
            if not all(len(watch.codes()) for watch in self._sources[file]):
                raise
            log.warning("taxonomy_kept", taxonomy=file.name, reason=str(error))

    def _advance(self, source: _Source) -> None:
        """Take what a reading has found, if it has ended."""
        if not self._under_way[source].done():
            return
        elapsed = self._outside.clock.elapsed()
        try:
            codes = self._under_way.pop(source).result()
        except BridgeError as error:
            source.ended(elapsed, error)
            log.warning("taxonomy_kept", taxonomy=source.name, reason=str(error))
        else:
            source.ended(elapsed, None)
            if self._believed(source, codes):
                self._know(source, codes)

    def _believed(self, source: _Source, codes: Codes) -> bool:
        """A platform's word that most codes are gone is taken when the next asking tells the very same.

        An answer that lacks a part would refuse good events. A file is believed: a person laid it there.
        """
        before = self._doubted.pop(source, None)
        if isinstance(source, _File) or (before is not None and before.values.equals(codes.values)):
            return True
        lost = [watch for watch in self._sources[source] if not codes.keeps_most_of(watch.codes())]
        if not lost:
            return True
        self._doubted[source] = codes
        reason = (
            f"of {len(lost[0].codes()):,} codes more than a third are gone at the platform; if it tells the "
            f"same in an hour, that is taken: see s2s-bridge taxonomy get {source.name}"
        )
        log.warning("taxonomy_kept", taxonomy=source.name, reason=reason)
        return False

    def _know(self, source: _Source, codes: Codes) -> None:
        log.info("taxonomy_read", taxonomy=source.name, segments=len(codes))
        for watch in self._sources[source]:
            watch.know(codes, self._today())


def _read(source: _Source) -> Codes:
    """The codes of a source. A bug that a hostile taxonomy meets is told as any other failure of it.

    Raises:
        BridgeError: They cannot be had now.
    """
    try:
        return source.read()
    except BridgeError:
        raise
    except Exception as error:
        # The kind alone: the message of an unforeseen error may quote a secret.
        what = f"reading taxonomy {source.name} ended with {type(error).__name__}: please report it"
        raise BridgeError(what) from error


class _File:
    """A file of this machine."""

    def __init__(self, path: Path, *, hashed: bool) -> None:
        self._path = path
        self._hashed = hashed
        self._read: tuple[int, ...] = ()
        self._looked: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """As _Source has it."""
        return str(self._path)

    def due(self, elapsed: int) -> bool:  # noqa: ARG002  # the port's
        """It has changed, and has stayed the same for a look: whoever writes it is through."""
        before, self._looked = self._looked, self._identity()
        return self._looked != self._read and self._looked == before

    def read(self) -> Codes:
        """As _Source has it."""
        self._read = self._identity()  # before: what is changed meanwhile is read again
        return read_codes(self._path, hashed=self._hashed)

    def ended(self, elapsed: int, failure: BridgeError | None) -> None:
        """A file that cannot be read is tried again when it has changed."""

    def _identity(self) -> tuple[int, ...]:
        """What is another where another file lies there, or something else in it; of none: zeros."""
        try:
            status = self._path.stat()
        except OSError:
            return (0,)
        return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


class _AtPlatform:
    """A taxonomy of the platform's, asked for now and then."""

    def __init__(self, taxonomy: int, account: str, ask: PlatformTaxonomy | None, *, hashed: bool) -> None:
        self._taxonomy = taxonomy
        self._account = account
        self._ask = ask
        self._hashed = hashed
        self._due = 0

    @property
    def name(self) -> str:
        """As _Source has it."""
        return str(self._taxonomy)

    def due(self, elapsed: int) -> bool:
        """It was not asked for, for long."""
        return elapsed >= self._due

    def read(self) -> Codes:
        """As _Source has it."""
        if self._ask is None:
            raise BridgeError(
                "nobody is there to ask the platform: name a file, or start with its API set up"
            )
        held = self._ask(self._account, self._taxonomy)
        taxonomy = held.taxonomy
        if self._hashed and not held.tells_hash:
            # It is not compared: whole numbers may be hashed codes, too. Texts can be nothing else.
            taxonomy = replace(taxonomy, use_hash=True)
        try:
            return codes_of(taxonomy, hashed=self._hashed)
        except BridgeError as error:
            raise BridgeError(f"taxonomy {self._taxonomy} {error}") from None

    def ended(self, elapsed: int, failure: BridgeError | None) -> None:
        """As _Source has it."""
        refused = isinstance(failure, CallFailed) and failure.outcome is Outcome.REFUSED
        self._due = elapsed + (ASK if failure is None or refused else ASK_AGAIN)
