"""The log's lines, as they leave the process."""

import io
import json

import structlog

from bridge.clock import SystemClock
from bridge.observe.log import configure


class Writes(io.StringIO):
    """A stream that keeps each write by itself."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def write(self, text):
        self.kept.append(text)
        return super().write(text)


def test_a_line_is_written_in_one_piece():
    """Where stdout and stderr are one file, as in a container's log, no other output gets into a line."""
    stream = Writes()
    configure(form="json", level="info", clock=SystemClock(), stream=stream)
    try:
        for _ in range(3):
            structlog.get_logger().info("bridge_stopped")
    finally:
        structlog.reset_defaults()
    assert [text[-1] for text in stream.kept] == ["\n"] * 3
    assert [json.loads(text)["action"] for text in stream.kept] == ["bridge_stopped"] * 3
