"""Options of `s2s-bridge sandbox`, and the settings that they become."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from bridge.clock import SECOND
from bridge.errors import UsageError
from bridge.sandbox.limits import Limits
from bridge.sandbox.settings import LOG_PATH, Address
from bridge.sandbox.taxonomies.settings import BASE_PATH, GRANTS, Needs, SegmentsSettings, Vendor
from bridge.taxonomy import Permissions
from bridge.units import parse_duration, parse_size

Value = TypeVar("Value")

LARGEST_PORT = 65_535
LONGEST_ID = 18
"""Digits."""

Directory = Annotated[
    Path | None,
    typer.Option(
        "--directory",
        metavar="D",
        help="Keep all here: a new directory, or an earlier sandbox's, which goes on.",
        show_default="a temporary one, removed at the end",
    ),
]
Listen = Annotated[
    str, typer.Option("--listen", metavar="HOST:PORT", help="Page, processing log, Audience Segments API.")
]
Sftp = Annotated[str, typer.Option("--sftp", metavar="HOST:PORT", help="SFTP server.")]
Username = Annotated[str, typer.Option("--username", metavar="U", help="Who may log in.")]
FilesPerHour = Annotated[
    int,
    typer.Option("--files-per-hour", metavar="N", min=1, help="Quota, anew on the hour (UTC)."),
]
BytesPerDay = Annotated[
    str,
    typer.Option("--bytes-per-day", metavar="SIZE", help="Quota, anew at midnight (UTC)."),
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
    str,
    typer.Option("--placeholder", metavar="CODE", help="The segment that does not exist."),
]
Delay = Annotated[str, typer.Option("--delay", metavar="TIME", help="Before a file is processed.")]
OutOfOrder = Annotated[
    str,
    typer.Option("--out-of-order", metavar="TIME", help="Delay each file by up to this, drawn: see --seed."),
]
Seed = Annotated[
    int,
    typer.Option("--seed", metavar="S", help="The same seed draws the same delays."),
]
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
ApiPath = Annotated[
    str,
    typer.Option("--api-path", metavar="PATH", help="Before /audience_segments."),
]
VendorId = Annotated[
    int,
    typer.Option("--vendor-id", metavar="ID", min=1, help="Whose taxonomies they are."),
]
Grants = Annotated[
    list[str] | None,
    typer.Option(
        "--grant",
        metavar="KIND=ID",
        help="Whom a taxonomy may be for: organization=, agency= or advertiser=; may be repeated.",
        show_default="those of the documentation's example",
    ),
]
Needed = Annotated[Needs, typer.Option("--needs", help="What a call must bring.")]
Expiry = Annotated[
    str,
    typer.Option("--expiry", metavar="TIME", help="Until a token or session expires."),
]
RequestsPerSecond = Annotated[
    int,
    typer.Option("--requests-per-second", metavar="N", min=1, help="Above it the answer is 429."),
]


def limits(*, files_per_hour: int, bytes_per_day: str, bytes_per_file: str) -> Limits:
    """The quotas.

    Raises:
        UsageError: A size is none, or not one that a bridge's `quota` may have too.
    """
    return Limits(
        files_per_hour=files_per_hour,
        bytes_per_day=_within("--bytes-per-day", bytes_per_day, "1MB", None),
        bytes_per_file=_within("--max-file-bytes", bytes_per_file, "1", "4GB"),
    )


def segments(
    *, base_path: str, vendor_id: int, granted: list[str] | None, needs: Needs, expiry: str, rate: int
) -> SegmentsSettings:
    """Those of the Audience Segments API.

    Raises:
        UsageError: One of them is wrong.
    """
    seconds = duration("--expiry", expiry) // SECOND
    if not seconds:
        raise UsageError(f"--expiry {expiry}: write at least 1s")
    return SegmentsSettings(
        base_path=_path("--api-path", base_path, BASE_PATH),
        vendor=Vendor(id=vendor_id, grants=_grants(granted) if granted else GRANTS),
        needs=needs,
        token_seconds=seconds,
        requests_per_second=rate,
    )


def partner(username: str) -> str:
    """A name to log in with.

    Raises:
        UsageError: Basic authentication has no way to say it.
    """
    if not username.isascii() or not username.isprintable() or not username or ":" in username:
        raise UsageError("--username is printable ASCII without a colon: name another")
    return username


def path_of_log(text: str) -> str:
    """The processing log's path.

    Raises:
        UsageError: It is none, or the page's.
    """
    return _path("--log-path", text, LOG_PATH)


def duration(option: str, text: str) -> int:
    """Milliseconds.

    Raises:
        UsageError: It is no duration.
    """
    return _read(option, text, parse_duration)


def address(option: str, text: str) -> Address:
    """Where to listen.

    Raises:
        UsageError: It is no host and port.
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or int(port) > LARGEST_PORT:
        raise UsageError(f"{option} {text}: write host:port, as in 127.0.0.1:2222")
    return Address(host=host, port=int(port))


def _grants(granted: list[str]) -> Permissions:
    ids: dict[str, list[int]] = {"organization": [], "agency": [], "advertiser": []}
    for text in granted:
        kind, _, number = text.partition("=")
        if kind not in ids or not number.isascii() or not number.isdigit() or len(number) > LONGEST_ID:
            raise UsageError(f"--grant {text}: write {', '.join(f'{one}=ID' for one in ids)}")
        ids[kind].append(int(number))
    return Permissions(
        organizations=tuple(ids["organization"]),
        agencies=tuple(ids["agency"]),
        advertisers=tuple(ids["advertiser"]),
    )


def _path(option: str, text: str, example: str) -> str:
    if not text.startswith("/") or not text.strip("/") or "{" in text:
        raise UsageError(f"{option} must begin with a slash, and not be /, which is the page: try {example}")
    return text.rstrip("/")


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
