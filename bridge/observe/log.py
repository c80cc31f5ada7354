"""The log: structlog, a line an action, JSON for machines or columns for people.

Every line has a stable `event` (what happened, snake_case), a `level` and an ISO 8601 UTC `timestamp`.
"""

import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from bridge.clock import SECOND, Clock


def configure(*, form: str, level: str, clock: Clock, stream: TextIO | None = None) -> None:
    """Write the log.

    Args:
        form: `json` or `console`.
        level: The lowest level that is written: debug, info, warning or error.
        clock: Stamps the lines.
        stream: Where it goes; None: stderr.
    """
    target = sys.stderr if stream is None else stream

    def stamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        now = datetime.fromtimestamp(clock.now() / SECOND, UTC)
        event["timestamp"] = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return event

    renderer = (
        structlog.dev.ConsoleRenderer(colors=target.isatty())
        if form == "console"
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            stamp,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
