"""Run numbers: each is used once, in this spool's whole life (design.md, invariant 10)."""

from pathlib import Path

import msgspec

from bridge.errors import BridgeError
from bridge.spool.disk import Disk, write_durably


class _Stored(msgspec.Struct):
    high: int


class Numbers:
    """The durable high mark of run numbers. Its callers hold the lock `numbers`."""

    def __init__(self, path: Path, temporary: Path, disk: Disk) -> None:
        """`path`: the file that holds the mark; `temporary`: a folder of the same file system."""
        self._path = path
        self._temporary = temporary
        self._disk = disk

    def high(self) -> int:
        """The largest number that was ever allotted; 0 before the first.

        Raises:
            BridgeError: The file holds something else.
        """
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Stored).high
        except FileNotFoundError:
            return 0
        except (OSError, msgspec.MsgspecError) as error:
            raise BridgeError(
                f"{self._path} cannot be read: bring it back from a copy; or remove it, then numbers go on "
                f"above those of the runs and the ledger that are there"
            ) from error

    def allot(self, above: int) -> int:
        """A number above `above` and all before it; it counts as used even if we die now.

        Raises:
            SpoolFull: There is no room for the mark; no number was allotted.
            SpoolFailed: The disk failed.
        """
        number = max(self.high(), above) + 1
        self.raise_to(number)
        return number

    def raise_to(self, number: int) -> None:
        """Numbers up to this one are used.

        Raises:
            SpoolFull: There is no room for the mark.
            SpoolFailed: The disk failed.
        """
        if number > self.high():
            mark = msgspec.json.encode(_Stored(high=number))
            write_durably(self._disk, self._temporary, self._path, mark)
