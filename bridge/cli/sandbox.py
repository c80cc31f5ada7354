"""`s2s-bridge sandbox`: a stand-in for the platform, until it is stopped."""

import importlib
import shutil
import tempfile
from pathlib import Path
from types import ModuleType

from bridge.cli import sandbox_options as options
from bridge.cli.run import stopped_by_signals
from bridge.clock import SECOND, SystemClock
from bridge.errors import UsageError
from bridge.sandbox.order import Order
from bridge.sandbox.rules import Rules
from bridge.sandbox.settings import LOG_PATH, Settings
from bridge.sandbox.taxonomies.settings import BASE_PATH, VENDOR, Needs

LOOK = SECOND // 2
"""Between two looks whether it still can go on, ms."""


def sandbox(
    *,
    directory: options.Directory = None,
    listen: options.Listen = "127.0.0.1:8081",
    sftp: options.Sftp = "127.0.0.1:2222",
    username: options.Username = "sandbox",
    log_path: options.LogPath = LOG_PATH,
    control: options.Control = False,
    files_per_hour: options.FilesPerHour = 20,
    bytes_per_day: options.BytesPerDay = "5GB",
    max_file_bytes: options.BytesPerFile = "4GB",
    segment_namespace: options.SegmentNamespaces = None,
    table_id: options.TableIds = None,
    placeholder: options.Placeholder = "9999999",
    delay: options.Delay = "0s",
    out_of_order: options.OutOfOrder = "0s",
    seed: options.Seed = 1,
    suspend_above: options.SuspendAbove = None,
    api_path: options.ApiPath = BASE_PATH,
    vendor_id: options.VendorId = VENDOR,
    grant: options.Grants = None,
    needs: options.Needed = Needs.BEARER,
    expiry: options.Expiry = "1d",
    requests_per_second: options.RequestsPerSecond = 10,
) -> None:
    """A stand-in for the platform, until stopped: SFTP with quotas, a loader, the platform's APIs, a page."""
    settings = Settings(
        http=options.address("--listen", listen),
        sftp=options.address("--sftp", sftp),
        rules=Rules(
            account=options.partner(username),
            segment_namespaces=frozenset(segment_namespace or ()),
            table_ids=frozenset(table_id) if table_id else None,
            placeholder=placeholder,
            suspend_above=suspend_above,
        ),
        limits=options.limits(
            files_per_hour=files_per_hour, bytes_per_day=bytes_per_day, bytes_per_file=max_file_bytes
        ),
        order=Order(
            delay=options.duration("--delay", delay),
            spread=options.duration("--out-of-order", out_of_order),
            seed=seed,
        ),
        control=control,
        log_path=options.path_of_log(log_path),
        segments=options.segments(
            base_path=api_path,
            vendor_id=vendor_id,
            granted=grant,
            needs=needs,
            expiry=expiry,
            rate=requests_per_second,
        ),
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
