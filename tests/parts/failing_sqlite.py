"""SQLite on a disk that fails when it is told to: the n-th call, once or from then on, or a power cut.

A VFS around SQLite's own one, as https://www.sqlite.org/vfs.html allows, in the library that Python's
`sqlite3` itself uses. A file is opened by SQLite's VFS and keeps its memory; only its table of methods is
exchanged, for one that counts. What is synced is remembered, so that a power cut can take away the rest.
"""

import _sqlite3
import ctypes
import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_void_p
from functools import cache
from pathlib import Path

import pytest

OK, IOERR, FULL, CANTOPEN = 0, 10, 13, 14

OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
DELETE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)
ACCESS = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_void_p)
TRANSFER = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
WITH_FLAG = CFUNCTYPE(c_int, c_void_p, c_int)
WITH_POINTER = CFUNCTYPE(c_int, c_void_p, c_void_p)

METHODS = {
    "xRead": TRANSFER,
    "xWrite": TRANSFER,
    "xTruncate": TRUNCATE,
    "xSync": WITH_FLAG,
    "xFileSize": WITH_POINTER,
    "xLock": WITH_FLAG,
}
"""Of a file, those that are counted."""


class Vfs(ctypes.Structure):
    """sqlite3_vfs, version 2."""

    _fields_ = (
        ("iVersion", c_int),
        ("szOsFile", c_int),
        ("mxPathname", c_int),
        ("pNext", c_void_p),
        ("zName", c_char_p),
        ("pAppData", c_void_p),
        ("xOpen", c_void_p),
        ("xDelete", c_void_p),
        ("xAccess", c_void_p),
        *((f"rest{number}", c_void_p) for number in range(10)),
    )


class Methods(ctypes.Structure):
    """sqlite3_io_methods, version 1: without shared memory, which only a write-ahead log needs."""

    _fields_ = (
        ("iVersion", c_int),
        *(
            (name, c_void_p)
            for name in ("xClose", "xRead", "xWrite", "xTruncate", "xSync", "xFileSize", "xLock", "xUnlock")
        ),
        *((f"rest{number}", c_void_p) for number in range(4)),
    )


@cache
def library() -> ctypes.CDLL | None:
    """The SQLite that Python uses; None: it is built in, and shows none of its functions."""
    for name in (getattr(_sqlite3, "__file__", None), None):
        found = ctypes.CDLL(name)
        if hasattr(found, "sqlite3_vfs_find"):
            found.sqlite3_vfs_find.restype = POINTER(Vfs)
            return found
    return None


def need() -> None:
    """The test is left out where SQLite cannot be made to fail; with CI=true no test may be left out."""
    if library() is None:
        leave = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        leave("Python's SQLite is built in, and shows no function to register a VFS")


class FailingSqlite:
    """What SQLite asks of the disk, in order, and what fails. All connections opened meanwhile are meant."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        """Operation and the file's name."""
        self.failed: list[tuple[str, str]] = []
        """Those that failed."""
        self.synced: dict[Path, bytes | None] = {}
        """What a power cut would leave of each file; None: it would not be there."""
        self._at: Callable[[int], bool] = lambda _: False
        self._code = IOERR
        self._cut: dict[Path, bytes | None] | None = None

    def fail(self, number: int, *, code: int = IOERR, once: bool = True) -> None:
        """Call `number` from now on (the first is 1) fails; or it and all later ones."""
        due = len(self.calls) + number
        self._code = code
        self._at = lambda at: at == due if once else at >= due

    def cut(self, number: int) -> None:
        """At call `number` from now on the power goes: nothing more is written, until `power_on`."""
        due = len(self.calls) + number
        self._code = IOERR

        def at(call: int) -> bool:
            if call == due:
                self._cut = dict(self.synced)
            return call >= due

        self._at = at

    def heal(self) -> None:
        """Nothing fails any more."""
        self._at = lambda _: False

    def power_on(self) -> None:
        """The files are as the power cut left them, if there was one; to be called without connections."""
        self.heal()
        for path, content in (self._cut or {}).items():
            if content is None:
                path.unlink(missing_ok=True)
            elif path.parent.is_dir():
                path.write_bytes(content)
        self._cut = None

    def counted(self, operation: str, name: str) -> int:
        """OK, or the code that it fails with."""
        self.calls.append((operation, Path(name).name))
        if not self._at(len(self.calls)):
            return OK
        self.failed.append(self.calls[-1])
        return CANTOPEN if operation == "xOpen" else self._code

    def keep(self, path: Path) -> None:
        """What the file holds is on the disk for good."""
        self.synced[path] = _content(path)


_files: dict[int, str] = {}
"""The name of each open file, by the address of its memory."""

_disk: list[FailingSqlite] = []
"""The one that is asked now."""


@contextmanager
def failing_sqlite() -> Iterator[FailingSqlite]:
    """All connections that are opened meanwhile are to a disk that fails as it is told.

    Renames of SQLite's files count too; they outlive a power cut once their folder is synced, which counts.
    """
    sqlite = library()
    assert sqlite is not None
    original = sqlite.sqlite3_vfs_find(None)
    disk = FailingSqlite()
    _disk.append(disk)
    sqlite.sqlite3_vfs_register(ctypes.byref(_counting()), 1)
    try:
        with _counting_names(disk):
            yield disk
    finally:
        disk.heal()
        _disk.remove(disk)
        sqlite.sqlite3_vfs_register(original, 1)


def untouched(path: Path) -> sqlite3.Connection:
    """A connection past all this, to look at the file."""
    return sqlite3.connect(f"file:{path}?mode=ro&vfs=unix", uri=True)


def _ask(operation: str, name: str) -> int:
    return _disk[-1].counted(operation, name) if _disk else OK


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _keep(name: str) -> None:
    if _disk:
        _disk[-1].keep(Path(name))


@cache
def _counting() -> Vfs:
    """SQLite's own VFS, but counting; it lives as long as the process."""
    sqlite = library()
    assert sqlite is not None
    inner = sqlite.sqlite3_vfs_find(None).contents
    real_open, real_delete, real_access = OPEN(inner.xOpen), DELETE(inner.xDelete), ACCESS(inner.xAccess)

    def opened(vfs: int, name: int | None, file: int, flags: int, out: int | None) -> int:
        path = ctypes.string_at(name).decode() if name else ""
        methods = ctypes.cast(file, POINTER(c_void_p))
        code = _ask("xOpen", path)
        if code:
            methods[0] = None
            return code
        there = Path(path).exists()
        code = real_open(vfs, name, file, flags, out)
        if code == OK:
            methods[0] = ctypes.addressof(_counting_methods(methods[0]))
            _files[file] = path
            if _disk and path and Path(path) not in _disk[-1].synced:
                _disk[-1].synced[Path(path)] = _content(Path(path)) if there else None
        return code

    def deleted(vfs: int, name: int, sync: int) -> int:
        path = ctypes.string_at(name).decode()
        code = _ask("xDelete", path) or real_delete(vfs, name, sync)
        if code == OK and sync:
            _keep(path)
        return code

    def accessed(vfs: int, name: int, flags: int, out: int) -> int:
        return _ask("xAccess", ctypes.string_at(name).decode()) or real_access(vfs, name, flags, out)

    outer = Vfs.from_buffer_copy(inner)
    outer.iVersion, outer.zName = 2, b"failing"
    outer.kept = (OPEN(opened), DELETE(deleted), ACCESS(accessed))
    outer.xOpen, outer.xDelete, outer.xAccess = (ctypes.cast(one, c_void_p).value for one in outer.kept)
    return outer


@cache
def _counting_methods(address: int) -> Methods:
    """The methods at this address, but counting."""
    outer = Methods.from_buffer_copy(Methods.from_address(address))
    outer.iVersion = 1
    outer.kept = {name: kind(_counted(name, kind(getattr(outer, name)))) for name, kind in METHODS.items()}
    for name, method in outer.kept.items():
        setattr(outer, name, ctypes.cast(method, c_void_p).value)
    return outer


def _counted(operation: str, real: Callable[..., int]) -> Callable[..., int]:
    def call(file: int, *arguments: int) -> int:
        code = _ask(operation, _files[file])
        if operation == "xSync" and code == OK:
            if _files[file]:
                _keep(_files[file])
            return OK  # it is as good as synced: the real one would only take time
        if operation == "xWrite" and code != OK:
            data, length, offset = arguments
            real(file, data, length // 2, offset)  # a disk that fails may have written some of it
        return code or real(file, *arguments)

    return call


@contextmanager
def _counting_names(disk: FailingSqlite) -> Iterator[None]:
    replace, fsync = os.replace, os.fsync
    renamed: list[tuple[Path, Path]] = []

    def counting_replace(source: Path, target: Path) -> None:
        if Path(source) in disk.synced:
            _raise(disk.counted("rename", str(target)))
            disk.synced.setdefault(Path(target), _content(Path(target)))
            renamed.append((Path(source), Path(target)))
        replace(source, target)

    def counting_fsync(descriptor: int) -> None:
        synced = os.fstat(descriptor)
        here = [pair for pair in renamed if os.path.samestat(synced, pair[1].parent.stat())]
        if here:
            _raise(disk.counted("fsync_folder", str(here[0][1].parent)))
        for source, target in here:
            disk.synced[target], disk.synced[source] = disk.synced[source], None
            renamed.remove((source, target))
        fsync(descriptor)

    os.replace, os.fsync = counting_replace, counting_fsync
    try:
        yield
    finally:
        os.replace, os.fsync = replace, fsync


def _raise(code: int) -> None:
    if code:
        number = errno.ENOSPC if code == FULL else errno.EIO
        raise OSError(number, os.strerror(number))
