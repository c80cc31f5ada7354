"""How requests to the platform's people leave: an .eml file, and a memory file of what was asked.

The message comes first, whole and synced, then the memory: a crash between them asks again rather than never.
"""

import contextlib
import fcntl
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from bridge.clock import SystemClock
from bridge.errors import BridgeError, UsageError
from bridge.support import address
from bridge.support.memory import Memory, MemoryDamaged, appended
from bridge.support.message import Envelope, render
from bridge.support.request import Request

_Asked = TypeVar("_Asked", bound=Request)

STDOUT = Path("-")
MOST_BYTES = 1_000_000
"""Of a file of mappings: tens of thousands; a longer one is another file by mistake."""
MOST_REMEMBERED = 100_000_000
"""Bytes of a memory: that of hundreds of such files."""
MOST_WARNINGS = 20
"""Printed; the others are counted."""

Sender = Annotated[
    str, typer.Option("--from", metavar="ADDRESS", help="Who asks; answers go there.", show_default=False)
]
Recipient = Annotated[
    str,
    typer.Option("--to", metavar="ADDRESS", help="The support that your contract names.", show_default=False),
]
MemoryFile = Annotated[
    Path, typer.Option("--memory", metavar="FILE", help="What was asked already, JSON Lines.")
]
Again = Annotated[bool, typer.Option("--again", help="Ask also for what was asked already.")]

MEMORY = Path("support-requests.jsonl")
"""One for all requests: a folder's requests are told in one place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outgoing:
    """Where a request goes."""

    sender: str
    """A mail address."""
    recipient: str
    """A mail address."""
    output: Path
    """The .eml file, which must not exist; STDOUT."""
    memory: Path
    """May not exist yet."""

    def __post_init__(self) -> None:
        """Raises UsageError for what can be told before anything is read."""
        for option, text in (("--from", self.sender), ("--to", self.recipient)):
            try:
                address.checked(text)
            except ValueError as error:
                raise UsageError(f"{option} {error}") from None
        try:
            same = self.output.resolve() == self.memory.resolve()
        except (OSError, RuntimeError):
            raise UsageError("--output or --memory is a link that leads nowhere; name other files") from None
        if same:
            raise UsageError(f"--output and --memory are both {self.memory}; name two files")

    @property
    def shown(self) -> str:
        """The output, for people."""
        return "standard output" if self.output == STDOUT else str(self.output)


def ask(outgoing: Outgoing, choose: Callable[[Memory], _Asked | None]) -> _Asked | None:
    """Write the request, then remember what it asks; returns the request that was written.

    Args:
        outgoing: Where it goes.
        choose: The request, in view of what was asked; None where nothing is left to ask.

    Raises:
        BridgeError: A file cannot be read or written; what is remembered is never more than what was written.
        UsageError: The output exists already: it may be a request that nobody has sent yet.
    """
    target = outgoing.memory.resolve()
    with _held(target):
        text = _text(target)
        try:
            memory = Memory.parse(text)
        except MemoryDamaged as error:
            raise BridgeError(f"{outgoing.memory}:{error}") from None
        request = choose(memory)
        if request is None:
            return None
        now = SystemClock().now()
        message_id = f"{uuid.uuid4().hex}@{address.domain(outgoing.sender)}"
        envelope = Envelope(
            sender=outgoing.sender, recipient=outgoing.recipient, date=now, message_id=message_id
        )
        _deliver(outgoing.output, render(request, envelope))
        _replace(target, appended(text, request.asks, now, message_id).encode())
        return request


def read(path: Path, most: int) -> bytes:
    """A file of at most so many bytes.

    Raises:
        UsageError: It cannot be read, or is longer.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {_reason(error)}; name a file that can be read") from None
    if len(content) > most:
        raise UsageError(f"{path} is larger than {most:,} bytes; name a smaller file")
    return content


def warn(lines: tuple[str, ...]) -> None:
    """To stderr: stdout may be the message."""
    for line in lines[:MOST_WARNINGS]:
        print("warning:", " ".join(line.split()), file=sys.stderr)
    if len(lines) > MOST_WARNINGS:
        print(f"{len(lines) - MOST_WARNINGS:,} more warnings", file=sys.stderr)


def _text(path: Path) -> str:
    try:
        return read(path, MOST_REMEMBERED).decode() if path.exists() else ""
    except UnicodeDecodeError:
        raise BridgeError(f"{path} is no text; name the file of what was asked with --memory") from None


def _deliver(output: Path, content: bytes) -> None:
    if output != STDOUT:
        # Under the memory's lock: what appears between this look and the rename is not ours.
        if os.path.lexists(output):
            raise UsageError(
                f"{output} exists, perhaps not sent yet; send it and move it away, or name another --output"
            )
        _replace(output, content)
        return
    try:
        # Unbuffered: what a buffer holds back would fail once more when the process ends.
        with open(sys.stdout.fileno(), "wb", buffering=0, closefd=False) as stdout:
            rest = memoryview(content)
            while rest:
                rest = rest[stdout.write(rest) :]
    except OSError as error:
        raise BridgeError(
            f"standard output: {_reason(error)}; nothing is remembered as asked: run it again"
        ) from None


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """No other command reads or writes the memory meanwhile. The lock's file stays: a lock is on the file."""
    lock = path.with_name(f".{path.name}.lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise UsageError(f"cannot write {lock}: {_reason(error)}; name another --memory") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, content: bytes) -> None:
    """`path` holds the content, whole and synced, or what it held before; its mode stays."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        try:
            with temporary.open("xb") as file:
                if path.exists():
                    os.fchmod(file.fileno(), path.stat().st_mode & 0o777)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
        finally:
            temporary.unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise BridgeError(f"cannot write {path}: {_reason(error)}; mend that, then run it again") from None


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
