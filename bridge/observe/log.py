"""The log: structlog, a line an action, JSON for machines or columns for people.

Every line has an ISO 8601 UTC `timestamp`, a `level` and an `action`: what happened, one of those that
bridge.actions declares (docs/logging.md), and then that action's fields. No line holds a secret, and of a
bug's exception it tells kind and places alone: its message may quote anything.
"""

import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from bridge.clock import SECOND, Clock
from bridge.config.secret import Plain


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
        structlog.dev.ConsoleRenderer(colors=target.isatty(), event_key="action")
        if form == "console"
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            stamp,
            _without_messages,
            _without_secrets,
            _in_order,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(target),
        cache_logger_on_first_use=False,
    )


def _without_messages(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """`exc_info` becomes the kinds of the exceptions, the cause last, and the places of the first."""
    error = event.pop("exc_info", None)
    if not isinstance(error, BaseException):
        return event
    frames = traceback.extract_tb(error.__traceback__)
    event["places"] = [f"{Path(at.filename).name}:{at.lineno} {at.name}" for at in frames]
    kinds: list[str] = []
    while error is not None:
        kinds.append(type(error).__name__)
        error = error.__cause__ or error.__context__
    event["kinds"] = kinds
    return event


def _in_order(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """What all lines have stands first; what happened is called `action`, as an event is Kafka's."""
    first = {"timestamp": event.pop("timestamp"), "level": event.pop("level"), "action": event.pop("event")}
    return {**first, **event}


def _without_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A text that is known as a secret shows itself as one: a renderer would take it for any other text."""
    return {key: repr(value) if isinstance(value, Plain) else value for key, value in event.items()}
