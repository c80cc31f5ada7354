"""A live line on a terminal: what was read, what waits, what was delivered."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from bridge.observe.metrics import Metrics
from bridge.units import format_size


@contextmanager
def progress(metrics: Metrics, *, shown: bool) -> Iterator[None]:
    """Shows the line on stderr, if it is to be shown, as long as the block runs."""
    if not shown:
        yield
        return
    with Live(console=Console(stderr=True), get_renderable=lambda: _line(metrics), refresh_per_second=4):
        yield


def _line(metrics: Metrics) -> Text:
    sums = metrics.sums()
    return Text(
        f"read {sums['events_consumed']:,.0f}  refused {sums['dead_letters']:,.0f}  "
        f"waiting {sums['pending_memberships']:,.0f}  "
        f"delivered {sums['files_uploaded']:,.0f} files, {format_size(int(sums['bytes_uploaded']))}  "
        f"left this hour {sums['quota_files_remaining']:,.0f} files, "
        f"today {format_size(int(sums['quota_bytes_remaining']))}"
    )
