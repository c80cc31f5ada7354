"""`s2s-bridge sandbox`: a stand-in for the platform, until it is stopped."""

import importlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated, TypeVar

import typer

from bridge.cli.run import stopped_by_signals
from bridge.clock import SECOND, SystemClock
from bridge.errors import UsageError
from bridge.sandbox.limits import Limits
from bridge.sandbox.order import Order
from bridge.sandbox.rules import Rules
from bridge.sandbox.settings import LOG_PATH, Address, Settings
from bridge.units import parse_duration, parse_size

Value = TypeVar("Value")

LOOK = SECOND // 2
"""Between two looks whether it still can go on, ms."""

LARGEST_PORT = 65_535

Directory = Annotated[
    Path | None,
    typer.Option(
        "--directory",
        metavar="D",
        help="Keep all here: a new directory, or an earlier sandbox's, which goes on.",
        show_default="a temporary one, removed at the end",
    ),
]
Listen = Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Page and processing log.")]
Sftp = Annotated[str, typer.Option("--sftp", metavar="HOST:PORT", help="SFTP server.")]
Username = Annotated[str, typer.Option("--username", metavar="U", help="Who may log in.")]
FilesPerHour = Annotated[
    int, typer.Option("--files-per-hour", metavar="N", min=1, help="Quota, anew on the hour (UTC).")
]
BytesPerDay = Annotated[
    str, typer.Option("--bytes-per-day", metavar="SIZE", help="Quota, anew at midnight (UTC).")
]
BytesPerFile = Annotated[str, typer.Option("--max-file-bytes", metavar="SIZE", help="Largest file.")]
SegmentNamespaces = Annotated[
    list[str] | None,
    typer.Option("--segment-namespace", metavar="NS", help="One that is known; may be repeated. None: any."),
]
TableIds = Annotated[
    list[str] | None,
    typer.Option("--table-id", metavar="ID", help="A UserTableId that is known. None: any."),
]
Placeholder = Annotated[
    str, typer.Option("--placeholder", metavar="CODE", help="The segment that does not exist.")
]
Delay = Annotated[str, typer.Option("--delay", metavar="TIME", help="Before a file is processed.")]
OutOfOrder = Annotated[
    str,
    typer.Option("--out-of-order", metavar="TIME", help="Delay each file by up to this, drawn: see --seed."),
]
Seed = Annotated[int, typer.Option("--seed", metavar="S", help="The same seed draws the same delays.")]
SuspendAbove = Annotated[
    float | None,
    typer.Option(
        "--suspend-above",
        metavar="PART",
        min=0,
        max=1,
        help="Suspend processing behind a file with more than this part of its users on needless lines.",
        show_default="only warn",
    ),
]
LogPath = Annotated[str, typer.Option("--log-path", metavar="PATH", help="Of the processing log.")]
Control = Annotated[
    bool, typer.Option("--control", help="Faults on demand for tests, from this machine (docs/sandbox.md).")
]


def sandbox(
    *,
    directory: Directory = None,
    listen: Listen = "127.0.0.1:8081",
    sftp: Sftp = "127.0.0.1:2222",
    username: Username = "sandbox",
    files_per_hour: FilesPerHour = 20,
    bytes_per_day: BytesPerDay = "5GB",
    max_file_bytes: BytesPerFile = "4GB",
    segment_namespace: SegmentNamespaces = None,
    table_id: TableIds = None,
    placeholder: Placeholder = "9999999",
    delay: Delay = "0s",
    out_of_order: OutOfOrder = "0s",
    seed: Seed = 1,
    suspend_above: SuspendAbove = None,
    log_path: LogPath = LOG_PATH,
    control: Control = False,
) -> None:
    """A stand-in for the platform, until stopped: SFTP with quotas, a loader, the processing log, a page."""
    if not username.isascii() or not username.isprintable() or not username or ":" in username:
        raise UsageError("--username is printable ASCII without a colon: name another")
    if not log_path.startswith("/") or log_path == "/" or "{" in log_path:
        raise UsageError(f"--log-path begins with a slash, and the page has / already: try {LOG_PATH}")
    rules = Rules(
        account=username,
        segment_namespaces=frozenset(segment_namespace or ()),
        table_ids=frozenset(table_id) if table_id else None,
        placeholder=placeholder,
        suspend_above=suspend_above,
    )
    order = Order(
        delay=_read("--delay", delay, parse_duration),
        spread=_read("--out-of-order", out_of_order, parse_duration),
        seed=seed,
    )
    settings = Settings(
        http=_address("--listen", listen),
        sftp=_address("--sftp", sftp),
        rules=rules,
        limits=Limits(
            files_per_hour=files_per_hour,
            bytes_per_day=_within("--bytes-per-day", bytes_per_day, "1MB", None),
            bytes_per_file=_within("--max-file-bytes", max_file_bytes, "1", "4GB"),
        ),
        order=order,
        control=control,
        log_path=log_path,
    )
    where = directory or Path(tempfile.mkdtemp(prefix="s2s-bridge-sandbox-"))
    try:
        _run(where, settings)
    finally:
        if directory is None:
            shutil.rmtree(where, ignore_errors=True)


def _run(directory: Path, settings: Settings) -> None:
    """Until SIGINT or SIGTERM."""
    parts = _parts()
    stop = stopped_by_signals()
    with parts.Sandbox(parts.SandboxSite(directory), settings, SystemClock()) as sandbox:
        print(sandbox.introduction, flush=True)
        while not stop.wait(LOOK / SECOND):
            if sandbox.fault is not None:
                raise sandbox.fault


def _parts() -> ModuleType:
    """What the sandbox is made of, an extra beside the bridge."""
    try:
        return importlib.import_module("bridge.sandbox.sandbox")
    except ModuleNotFoundError as error:
        if error.name != "asyncssh":
            raise
        raise UsageError(
            "the sandbox's SFTP server needs asyncssh: install it with pip install 's2s-bridge[demo]'"
        ) from error


def _read(option: str, text: str, read: Callable[[str], int]) -> int:
    try:
        return read(text)
    except ValueError as error:
        raise UsageError(f"{option} {text}: {error}") from error


def _within(option: str, text: str, least: str, most: str | None) -> int:
    """A size that a bridge's `quota` may have too."""
    size = _read(option, text, parse_size)
    if size < parse_size(least) or (most and size > parse_size(most)):
        raise UsageError(f"{option} {text}: write {f'{least} to {most}' if most else f'at least {least}'}")
    return size


def _address(option: str, text: str) -> Address:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or int(port) > LARGEST_PORT:
        raise UsageError(f"{option} {text}: write host:port, as in 127.0.0.1:2222")
    return Address(host=host, port=int(port))
