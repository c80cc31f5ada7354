"""The taxonomies that streams name, as codes: files of this machine, or the platform's by their ids.

Only the running bridge asks the platform; what it has read lies in the spool (`segment_keeper`), and whoever
judges events beside it, as a replay does, takes it from there.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from bridge.config import Config, Stream
from bridge.config.fault import Fault
from bridge.errors import UsageError
from bridge.platform.segments import Held
from bridge.segments import stored
from bridge.segments.codes import Codes, Sighting
from bridge.segments.reading import read_codes
from bridge.segments.watch import Watching

PlatformTaxonomy: TypeAlias = Callable[[str, int], Held]
"""The taxonomy of an id, as the account of this name sees it at the platform now.

Contract: it may take long, as it is called in a thread of its own, which may be left when the process ends.
Whatever keeps the taxonomy from being had is a BridgeError, which names the way out and no secret."""


def judged_beside(config: Config) -> Mapping[str, Watching]:
    """For those who judge events beside the bridge, by the names of the streams that name a taxonomy.

    Codes are read when they are first asked for: then UsageError says that a file has faults or does not fit
    its stream, and BridgeError that what the bridge has kept cannot be read. An id's codes are those that the
    bridge last read, and none where it has read none.
    """
    return {
        stream.name: _Beside(stream, config.spool.directory)
        for stream in config.streams
        if stream.taxonomy is not None
    }


def taxonomy_faults(config: Config) -> list[str]:
    """What is wrong with the taxonomies that streams name, a line each with its path."""
    found: list[str] = []
    known: dict[tuple[Path, bool], str] = {}
    for at, stream in enumerate(config.streams):
        if isinstance(stream.taxonomy, Path):
            asked = stream.taxonomy, stream.hash_segments
            if asked not in known:
                known[asked] = _fault(*asked)
            if known[asked]:
                found.append(str(Fault(("streams", at, "taxonomy"), known[asked])))
    return found


class _Beside:
    """Judges, and remembers nothing: what is read again was seen before."""

    def __init__(self, stream: Stream, spool: Path) -> None:
        self._stream = stream
        self._spool = spool
        self._codes: Codes | None = None

    def codes(self) -> Codes:
        """As Watching has it."""
        if self._codes is None:
            self._codes = self._read()
        return self._codes

    def see(self, sighting: Sighting, day: int) -> None:
        """Nothing."""

    def _read(self) -> Codes:
        taxonomy, hashed = self._stream.taxonomy, self._stream.hash_segments
        if isinstance(taxonomy, Path):
            return read_codes(taxonomy, hashed=hashed)
        seen = stored.load(stored.path_of(self._spool, self._stream.name))
        if seen is None or not seen.of(str(taxonomy), hashed=hashed):
            return Codes((), hashed=hashed)
        return seen.codes


def _fault(path: Path, hashed: bool) -> str:  # noqa: FBT001  # a part of a key
    try:
        read_codes(path, hashed=hashed)
    except UsageError as error:
        return str(error)
    return ""
